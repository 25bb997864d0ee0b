from libc.stdint cimport int64_t

from nanobragg_py.kernels.noise.nb_random cimport nb_ran1


cdef int64_t seed_variable(seed) except? -1


cdef class Ran1:
    cdef nb_ran1 shared
