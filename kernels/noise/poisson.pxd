"""The reference's Poisson and normal deviates for other modules, by the loops of the level that was chosen."""

from libc.stdint cimport int64_t

from nanobragg_py.kernels.noise.nb_random cimport nb_ran1

ctypedef void (*Draw)(void *state, int n, float *values) noexcept nogil

cdef struct Drawing:
    void *state     # NULL before it has begun; to be freed
    Draw counts     # of mean counts, which they take the place of: DRAWN at most
    Draw normals

cdef enum:
    DRAWN = 256  # pixels whose constants are worked out together

cdef int begin_drawing(Drawing *d, nb_ran1 shared, int64_t seed) except -1
cdef void leave_spare(Drawing *d, float spare) noexcept
