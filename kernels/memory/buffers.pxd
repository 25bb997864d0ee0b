"""Plain memory with the buffer protocol; see buffers.pyx."""


cdef void* page_alloc(size_t nbytes, bint zero) noexcept nogil
cdef void page_free(void* data, size_t nbytes) noexcept nogil


cdef class Buffer:
    # data: the first exposed element, 64-byte aligned; `pad` zeroed elements lie before it.
    cdef void* data
    cdef readonly str format
    cdef readonly Py_ssize_t itemsize
    cdef readonly Py_ssize_t nbytes
    cdef readonly Py_ssize_t pad
    cdef readonly int ndim
    cdef void* base
    cdef size_t base_bytes
    cdef Py_ssize_t[3] extent
    cdef Py_ssize_t[3] stride
    cdef char[2] code


cdef class Borrowed:
    cdef Py_buffer view
    cdef const void* data
    cdef Py_ssize_t count


cdef Buffer allocate(Py_ssize_t elements, str format, bint zero, Py_ssize_t pad=*)
