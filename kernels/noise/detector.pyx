# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Flicker, calibration, counting and read-out noise from counter-based random numbers.

What a pixel gets depends on its mean, its index and the seeds, on nothing else: so threads can share pixels out, and a
detector can have a calibration of its own that stays from shot to shot. To be compiled without contraction.
"""

from cython.parallel cimport prange
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint32_t, uint64_t

from nanobragg_py.kernels.memory.buffers cimport Borrowed

cdef extern from "nb_poisson.h" nogil:
    double nb_poisson(double mean, uint64_t pixel, uint32_t key_low, uint32_t key_high)
    void nb_philox_words(uint32_t draw, uint64_t index, uint32_t kind, uint32_t key_low, uint32_t key_high, uint32_t *x)
    double nb_uniform(uint32_t high, uint32_t low)
    double nb_log(double x)

cdef extern from "<math.h>" nogil:
    double sqrt(double x)

#: what the numbers of a counter are for, besides what nb_philox.h lists
cdef enum:
    FLICKER = 3
    CALIBRATION = 4
    READOUT = 5
    STRETCH = 1 << 20  # pixels between two looks for signals


cdef double normal(uint64_t pixel, uint32_t kind, uint64_t key) noexcept nogil:
    """A normal deviate: Marsaglia's polar method, the first draw that falls into the circle."""
    cdef uint32_t x[4]
    cdef uint32_t draw = 0
    cdef double v, w, square
    while True:
        nb_philox_words(draw, pixel, kind, <uint32_t>key, <uint32_t>(key >> 32), x)
        v = 2.0 * nb_uniform(x[0], x[1]) - 1.0
        w = 2.0 * nb_uniform(x[2], x[3]) - 1.0
        square = v * v + w * w
        if square < 1.0:  # never 0: uniform deviates are the middles of intervals
            return v * sqrt(-2.0 * nb_log(square) / square)
        draw += 1


def calibrate(image, double calibration, uint64_t seed, int threads):
    """Multiply every pixel of a float32 image, in place, by 1 + calibration times a normal deviate of its own."""
    cdef Borrowed source = Borrowed(image, "f")
    cdef float *photons = <float *>source.data
    cdef Py_ssize_t i, first, end
    for first in range(0, source.count, STRETCH):
        end = min(first + STRETCH, source.count)
        for i in prange(first, end, nogil=True, num_threads=threads, chunksize=4096, schedule="static"):
            photons[i] = <float>(photons[i] * (1.0 + calibration * normal(i, CALIBRATION, seed)))
        PyErr_CheckSignals()


def count(image, double flicker, uint64_t seed, int threads):
    """Make photon counts of a float32 image of mean counts, in place. flicker: relative error of the source."""
    cdef Borrowed source = Borrowed(image, "f")
    cdef float *photons = <float *>source.data
    cdef Py_ssize_t i, first, end
    cdef double mean
    for first in range(0, source.count, STRETCH):
        end = min(first + STRETCH, source.count)
        for i in prange(first, end, nogil=True, num_threads=threads, chunksize=4096, schedule="static"):
            mean = photons[i]
            if flicker > 0.0:
                mean = mean * (1.0 + flicker * normal(i, FLICKER, seed))
            photons[i] = <float>nb_poisson(mean, i, <uint32_t>seed, <uint32_t>(seed >> 32))
        PyErr_CheckSignals()


def add_readout(adu, double readout, uint64_t seed, int threads):
    """Add read-out noise to float64 pixel values, in place. readout: root mean square."""
    cdef Borrowed source = Borrowed(adu, "d")
    cdef double *values = <double *>source.data
    cdef Py_ssize_t i, first, end
    for first in range(0, source.count, STRETCH):
        end = min(first + STRETCH, source.count)
        for i in prange(first, end, nogil=True, num_threads=threads, chunksize=4096, schedule="static"):
            values[i] = values[i] + readout * normal(i, READOUT, seed)
        PyErr_CheckSignals()
