# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Float images to the integers of image files, a block of rows at a time.

To be compiled without fused multiply-adds: the pixels must be the reference's, bit for bit.
"""

from cython.parallel cimport prange
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memset

from nanobragg_py.kernels.memory.buffers cimport Buffer

cdef extern from *:
    """
    #if defined(__linux__)
    #include <fcntl.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #endif
    static int nb_exchange(const char *one, const char *other)
    {
    #if defined(__linux__) && defined(SYS_renameat2)
        return syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2u /* RENAME_EXCHANGE */) == 0;
    #else
        (void)one, (void)other;
        return 0;
    #endif
    }

    #include <errno.h>
    #include <sys/file.h>
    static int nb_lock(int descriptor)
    {
        return flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 1 : errno == EWOULDBLOCK ? 0 : -1;
    }
    """
    bint nb_exchange(const char *one, const char *other) nogil
    int nb_lock(int descriptor) nogil

cdef extern from "nb_rows.h" nogil:
    void nb_smv_row(const float* image, uint16_t* pixel, long n, double scale, double adc, bint wide)
    void nb_pgm_row(const float* image, uint8_t* pixel, long n, double scale, bint wide)


cdef enum:
    THREADS_FROM = 1 << 17  # pixels of a block, below which threads take longer to begin than to convert


cdef struct Conversion:
    # rows of an image, `width` pixels each, to rows of a block; 0 outside of slow_min to slow_end - 1, fast_min to
    # fast_end - 1, counted from the block's first pixel
    const float* image   # the block's first row
    char* block
    Py_ssize_t width, fast_min, fast_end, slow_min, slow_end
    double scale, adc
    char kind
    bint wide


cdef void convert_row(const Conversion* c, Py_ssize_t row) noexcept nogil:
    cdef Py_ssize_t size = 2 if c.kind == c"H" else 1
    cdef const float* I = c.image + row * c.width
    cdef char* pixel = c.block + row * c.width * size
    if row < c.slow_min or row >= c.slow_end or c.fast_min >= c.fast_end:
        memset(pixel, 0, c.width * size)
        return
    memset(pixel, 0, c.fast_min * size)
    if c.kind == c"H":
        nb_smv_row(I + c.fast_min, <uint16_t*>pixel + c.fast_min, c.fast_end - c.fast_min, c.scale, c.adc, c.wide)
    else:
        nb_pgm_row(I + c.fast_min, <uint8_t*>pixel + c.fast_min, c.fast_end - c.fast_min, c.scale, c.wide)
    memset(pixel + c.fast_end * size, 0, (c.width - c.fast_end) * size)


cdef int convert(
    object image, Py_ssize_t first, Buffer block, tuple roi, double scale, double adc, char kind, int threads,
    bint wide
) except -1:
    """Fill `block` with the pixels of its rows of the image, the first being row `first`; 0 outside the ROI."""
    cdef Py_buffer view
    cdef Py_ssize_t row, rows = block.extent[0]
    cdef Conversion c
    c.width = block.extent[1]
    c.block = <char*>block.data
    c.fast_min, c.fast_end = max(roi[0], 0), min(roi[1], c.width - 1) + 1
    c.slow_min, c.slow_end = max(roi[2], 0) - first, roi[3] + 1 - first
    c.scale = scale
    c.adc = adc
    c.kind = kind
    c.wide = wide
    if block.ndim != 2 or block.code[0] != kind:
        raise ValueError(f"the block needs two dimensions and format {chr(kind)}")
    PyObject_GetBuffer(image, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    try:
        if view.ndim != 2 or view.format == NULL or view.format[0] != c"f" or view.format[1] != 0:
            raise ValueError("the image needs two dimensions, slow and fast, of float32")
        if view.shape[1] != c.width or first < 0 or first + rows > view.shape[0]:
            raise ValueError("the block does not lie inside the image")
        c.image = <const float*>view.buf + first * c.width
        if threads < 2 or rows * c.width < THREADS_FROM:
            with nogil:
                for row in range(rows):
                    convert_row(&c, row)
        else:
            for row in prange(rows, nogil=True, schedule="static", num_threads=threads):
                convert_row(&c, row)
    finally:
        PyBuffer_Release(&view)
    return 0


def smv_pixels(image, Py_ssize_t first, Buffer block not None, tuple roi not None, double scale, double adc,
               int threads=1, bint wide=True):
    """Pixels of an SMV file: I*scale + adc, clipped to 0..65535, plus 0.5, rounded to float32, cut to an integer.

    image: float32 of shape (slow, fast). first: the image's row where the block begins. block: uint16 Buffer of shape
    (rows, fast), filled. roi: (fast min, fast max, slow min, slow max), inclusive; 0 outside. NaN becomes 0. threads:
    at most this many take rows, if there are enough. wide: with AVX2, where the processor has it.
    """
    convert(image, first, block, roi, scale, adc, c"H", threads, wide)


def pgm_pixels(image, Py_ssize_t first, Buffer block not None, tuple roi not None, double scale, int threads=1,
               bint wide=True):
    """Pixels of a PGM file: I*scale, at most 255, cut to an integer, of which the low byte counts.

    image, first, roi, threads, wide: as for `smv_pixels`. block: uint8 Buffer of shape (rows, fast), filled.
    """
    convert(image, first, block, roi, scale, 0.0, c"B", threads, wide)


def exchange(bytes one, bytes other):
    """Let two files have each other's names, at one stroke; False where the system or the file system cannot."""
    return nb_exchange(one, other)


def lock(int descriptor):
    """Lock an open file for this process: True, or False where another has it, or None where there are no locks."""
    cdef int locked = nb_lock(descriptor)
    return None if locked < 0 else bool(locked)
