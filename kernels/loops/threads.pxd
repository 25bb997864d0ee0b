cdef extern from "nb_threads.h" nogil:
    int NB_THREAD
    int NB_PARALLEL
    double nb_now() noexcept
    void *nb_aligned(size_t nbytes) noexcept
