# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Plain aligned memory that Python, numpy and typed memoryviews see without a copy, and without importing numpy.

Large blocks come from anonymous pages: zeroed pages that nobody touches cost nothing, and huge pages where the system
grants them make the first touch of an image several times cheaper.
"""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_F_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_STRIDES,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.stdlib cimport free
from libc.string cimport memset

cdef extern from *:
    """
    #include <stdlib.h>
    #include <sys/mman.h>
    #ifndef MAP_ANONYMOUS
    #define MAP_ANONYMOUS MAP_ANON
    #endif

    #define NB_HUGE ((size_t)2 << 20)

    /* Whole huge pages from a quarter of one on: clearing it takes less than the faults of that many small pages. */
    static size_t nb_pages(size_t nbytes)
    {
        return nbytes < NB_HUGE / 4 ? nbytes : (nbytes + NB_HUGE - 1) / NB_HUGE * NB_HUGE;
    }

    static void *nb_map(size_t nbytes)
    {
        size_t length = nb_pages(nbytes);
        void *data = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data == MAP_FAILED) return NULL;
    #ifdef MADV_HUGEPAGE
        if (length >= NB_HUGE) madvise(data, length, MADV_HUGEPAGE); /* a hint: refusal changes nothing but speed */
    #endif
    #ifdef MADV_POPULATE_WRITE
        if (length < NB_HUGE) madvise(data, length, MADV_POPULATE_WRITE); /* one call, not a fault for every page */
    #endif
        return data;
    }

    static void nb_unmap(void *data, size_t nbytes)
    {
        munmap(data, nb_pages(nbytes));
    }
    """
    void* nb_map(size_t nbytes) noexcept nogil
    void nb_unmap(void* data, size_t nbytes) noexcept nogil
    int posix_memalign(void** data, size_t alignment, size_t nbytes) noexcept nogil

cdef enum:
    ALIGNMENT = 64
    # below this malloc is quicker than a system call and two page faults
    MAPPED_FROM = 1 << 18

# elements and pad may each have this many, of eight bytes, and their sum still fits into Py_ssize_t
cdef Py_ssize_t ELEMENT_LIMIT = (<Py_ssize_t>1 << (8 * sizeof(Py_ssize_t) - 5)) - 4096


cdef void* page_alloc(size_t nbytes, bint zero) noexcept nogil:
    """`nbytes` of memory aligned to at least 64 bytes, or NULL; give it back with page_free and the same size."""
    cdef void* data = NULL
    if nbytes >= MAPPED_FROM:
        return nb_map(nbytes)
    if posix_memalign(&data, ALIGNMENT, nbytes if nbytes > 0 else ALIGNMENT) != 0:
        return NULL
    if zero:
        memset(data, 0, nbytes)
    return data


cdef void page_free(void* data, size_t nbytes) noexcept nogil:
    """Give back what page_alloc(nbytes) returned; NULL is allowed."""
    if data == NULL:
        return
    if nbytes >= MAPPED_FROM:
        nb_unmap(data, nbytes)
    else:
        free(data)


cdef Py_ssize_t size_of(str format) except -1:
    if format == "B":
        return 1
    if format == "H":
        return 2
    if format == "f" or format == "i":
        return 4
    if format == "d" or format == "q":
        return 8
    raise ValueError(f"a Buffer holds items of format f, d, H, B, i or q, not {format!r}")


cdef class Buffer:
    """C-contiguous memory of up to three dimensions.

    shape: an int or a tuple of one to three. format: one of the struct codes ``f d H B i q`` (float32, float64, uint16,
    uint8, int32, int64). zero: whether the elements start as 0; otherwise they start as anything. pad: at least that
    many zeroed elements lie before the first one, for kernels that read a little before it (rounded up so that the
    first element stays aligned to 64 bytes; the attribute `pad` says how many there are).

    Raises ValueError for a shape or format that makes no sense, MemoryError when there is no memory.
    """

    def __cinit__(self, shape, str format="d", bint zero=True, Py_ssize_t pad=0):
        cdef Py_ssize_t extent, elements = 1, granule
        cdef int axis
        self.base = NULL
        self.itemsize = size_of(format)
        if not isinstance(shape, tuple):
            shape = (shape,)
        if not 1 <= len(shape) <= 3:
            raise ValueError(f"a Buffer has one to three dimensions, not {len(shape)}")
        if pad < 0:
            raise ValueError("the pad of a Buffer cannot be negative")
        self.ndim = len(shape)
        for axis in range(self.ndim):
            extent = shape[axis]
            if extent < 0:
                raise ValueError(f"a Buffer cannot have the shape {shape}")
            if extent > 0 and elements > ELEMENT_LIMIT // extent:
                raise MemoryError(f"an array of shape {shape} does not fit into memory")
            elements *= extent
            self.extent[axis] = extent
        granule = ALIGNMENT // self.itemsize
        if pad > ELEMENT_LIMIT:
            raise MemoryError(f"a pad of {pad} elements does not fit into memory")
        self.pad = (pad + granule - 1) // granule * granule
        self.format = format
        self.code[0] = <char>ord(format)
        self.code[1] = 0
        extent = self.itemsize
        for axis in range(self.ndim - 1, -1, -1):
            self.stride[axis] = extent
            extent *= self.extent[axis]
        self.nbytes = elements * self.itemsize
        self.base_bytes = self.nbytes + self.pad * self.itemsize
        self.base = page_alloc(self.base_bytes, zero)
        if self.base == NULL:
            raise MemoryError(f"no memory for an array of shape {shape}: {self.base_bytes / 1073741824.0:.3g} GiB")
        if self.pad > 0 and not zero:
            memset(self.base, 0, self.pad * self.itemsize)
        self.data = <char*>self.base + self.pad * self.itemsize

    def __dealloc__(self):
        page_free(self.base, self.base_bytes)

    def __getbuffer__(self, Py_buffer* view, int flags):
        if self.ndim > 1 and (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS:
            raise BufferError("a Buffer is C-contiguous")
        view.buf = self.data
        view.obj = self
        view.len = self.nbytes
        view.itemsize = self.itemsize
        view.readonly = 0
        view.format = self.code if flags & PyBUF_FORMAT else NULL
        view.ndim = self.ndim
        view.shape = self.extent if flags & PyBUF_ND else NULL
        view.strides = self.stride if (flags & PyBUF_STRIDES) == PyBUF_STRIDES else NULL
        view.suboffsets = NULL
        view.internal = NULL

    @property
    def shape(self):
        """The extents, slowest first."""
        return tuple([self.extent[axis] for axis in range(self.ndim)])

    def __len__(self):
        return self.extent[0]

    def __repr__(self):
        return f"Buffer({self.shape}, {self.format!r})"

    def __reduce__(self):
        raise TypeError("a Buffer is plain memory and cannot be pickled; pass its bytes")


cdef class Borrowed:
    """Somebody else's memory, held as long as this object lives: a C-contiguous buffer of one format.

    Raises ValueError when `source` is something else. Typed memoryviews would do the same, at a millisecond of start-up
    for each module that has them.
    """

    def __cinit__(self, source, str format):
        PyObject_GetBuffer(source, &self.view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        given = "B" if self.view.format == NULL else (<bytes>self.view.format).decode().lstrip("@=<")
        if given != format:
            raise ValueError(f"a buffer of format {format!r} is needed, not {given!r}")
        self.data = self.view.buf
        self.count = self.view.len // self.view.itemsize

    def __dealloc__(self):
        PyBuffer_Release(&self.view)


cdef Buffer allocate(Py_ssize_t elements, str format, bint zero, Py_ssize_t pad=0):
    """A one-dimensional Buffer, for callers in C."""
    return Buffer.__new__(Buffer, elements, format, zero, pad)
