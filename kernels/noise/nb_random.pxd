"""The headers of random numbers as Cython sees them."""

from libc.stdint cimport int32_t, int64_t, uint32_t

cdef extern from "nb_random.h" nogil:
    enum:
        NB_RAN1_MODULUS
        NB_RAN1_ENTRIES
    ctypedef struct nb_ran1:
        int64_t table[32]
        int64_t last
    int64_t nb_ran1_step(int64_t x)
    float nb_ran1_deviate(int32_t drawn)
    float nb_ran1_next(nb_ran1 *r, int64_t *seed)
    double NB_LANCZOS_1
    double NB_LANCZOS_2
    double NB_LANCZOS_3
    double NB_LANCZOS_4
    double NB_LANCZOS_5
    double NB_LANCZOS_6
    float nb_gammln(float x)
    float nb_acceptance(float count, float y, float log_mean, float norm)

cdef extern from "nb_elementary.h" nogil:
    double nb_exp(double x)
    double nb_log(double x)
    double nb_tan_pi(double u)
    float nb_log_rough(float x)
    uint32_t nb_log_units(float u)
