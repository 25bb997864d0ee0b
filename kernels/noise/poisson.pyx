# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Poisson noise on float images, and the conversion of counts to 16-bit pixels; deviates for response.pyx, too."""

from libc.math cimport floor
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from nanobragg_py.kernels.noise.random cimport Ran1, seed_variable

include "poidev.pxi"

cdef extern from *:
    """
    typedef unsigned short *__restrict nb_outh;
    """
    ctypedef unsigned short *nb_outh


cdef int convert_small(int n, nb_inf count, int pedestal, nb_outh out) noexcept nogil:
    """Counts that are all less than 65535 - pedestal to pixels; returns their sum, or -1 if they are not."""
    cdef int i, k, total = 0, large = 0
    for i in range(n):
        k = <int>(count[i] if count[i] < <float>65535.0 else <float>65535.0)
        total += k
        large += k + pedestal > 65534
        out[i] = <unsigned short>(k + pedestal)
    return total if large == 0 else -1


cdef double convert(int n, nb_inf count, double adc, double sum, nb_outh out, long *overloads) noexcept nogil:
    """Counts to 16-bit pixels; returns `sum` plus the counts, added in image order."""
    cdef int i, total, clipped = 0
    cdef double t
    # Whole numbers, and a pedestal in 1/1024ths: sums are exact in any order and every precision.
    if 0.0 <= adc <= 65535.0 and floor(adc * 1024.0) == adc * 1024.0 and sum < 1e13:
        total = convert_small(n, count, <int>adc, out)
        if total >= 0:
            return sum + total
    for i in range(n):
        t = count[i] + adc
        clipped += t > 65535.0
        t = 65535.0 if t > 65535.0 else t
        t = t if t > -2147483649.0 else 0.0  # also where it is not a number
        out[i] = <unsigned short><int>t
    for i in range(n):
        sum += count[i]
    overloads[0] += clipped
    return sum


cdef double draw_row(Poidev *s, Py_ssize_t n, const float *image, double adc, double photons, unsigned short *out,
                     long *overloads) noexcept nogil:
    """The next pixels of a row; returns `photons` plus their counts."""
    cdef Py_ssize_t begin = 0
    cdef int length
    while begin < n:
        length = <int>min(<Py_ssize_t>BLOCK, n - begin)
        draw(s, length, image + begin)
        photons = convert(length, s.count, adc, photons, out + begin, overloads)
        begin += length
    return photons


# ---- deviates for other modules (poisson.pxd) ------------------------------------------------------------------------

cdef void draw_counts(void *state, int n, float *values) noexcept nogil:
    cdef Poidev *s = <Poidev *>state
    draw(s, n, values)
    memcpy(values, s.count, n * sizeof(float))


cdef void draw_normals(void *state, int n, float *values) noexcept nogil:
    """n normal deviates, the one that is left over first."""
    cdef Poidev *s = <Poidev *>state
    cdef int i = 0, place = s.place
    cdef float factor
    while i < n:
        if s.spare_ready:
            s.spare_ready = False
            values[i] = s.spare
            i += 1
            continue
        if place >= s.polar.end[place & 1]:
            while s.stream.end - place < 2 * PAIRS:
                place = refill(s, place)
            normals(s, place, PAIRS)
        factor = s.polar.first[place]
        place += 2
        if factor == <float>0.0:
            continue
        s.spare = <float>(2.0 * s.stream.u[place - 2] - 1.0) * factor
        s.spare_ready = True
        values[i] = <float>(2.0 * s.stream.u[place - 1] - 1.0) * factor
        i += 1
    s.place = place


cdef struct Loops:
    # of the level that was chosen (nb_levels.h)
    void (*begin_poidev)(Poidev *s, nb_ran1 shared, int64_t seed) noexcept nogil
    double (*draw_row)(Poidev *s, Py_ssize_t n, const float *image, double adc, double photons, unsigned short *out,
                       long *overloads) noexcept nogil
    Draw draw_counts
    Draw draw_normals

include "../loops/levels.pxi"


cdef void fill_loops "nb_fill_loops"(void *table) noexcept:
    cdef Loops *of_level = <Loops *>table
    of_level.begin_poidev = begin_poidev
    of_level.draw_row = draw_row
    of_level.draw_counts = draw_counts
    of_level.draw_normals = draw_normals


cdef int begin_drawing(Drawing *d, nb_ran1 shared, int64_t seed) except -1:
    free(d.state)
    d.state = malloc(sizeof(Poidev))
    if d.state == NULL:
        raise MemoryError("no memory for the noise generator")
    loops.begin_poidev(<Poidev *>d.state, shared, seed)
    d.counts = loops.draw_counts
    d.normals = loops.draw_normals
    return 0


cdef void leave_spare(Drawing *d, float spare) noexcept:
    cdef Poidev *s = <Poidev *>d.state
    s.spare_ready = True
    s.spare = spare


cdef class PoissonNoise:
    """Noise of one image, drawn row block by row block from one serial stream.

    ran1: the generator whose table earlier streams may have loaded (it is copied: this is the last stream of a run).
    seed: the negated -seed. photons: sum of all counts so far. overloads: pixels clipped so far.
    """

    cdef Poidev *state
    cdef readonly double photons
    cdef readonly long overloads

    def __cinit__(self, Ran1 ran1, seed):
        self.state = <Poidev *>malloc(sizeof(Poidev))
        if self.state == NULL:
            raise MemoryError("no memory for the noise generator")
        loops.begin_poidev(self.state, ran1.shared, seed_variable(seed))

    def __dealloc__(self):
        free(self.state)

    def apply(self, const float[:, ::1] image, unsigned short[:, ::1] out, double adc, Py_ssize_t fast_min,
              Py_ssize_t fast_max):
        """Draw the next rows: image (rows, fast) of mean counts, out of the same shape.

        Pixels from fast_min to fast_max (inclusive) get count + adc, clipped at 65535 and truncated; the others get 0
        and draw nothing.
        """
        cdef Py_ssize_t row, fast = image.shape[1], low = max(fast_min, 0), high = min(fast_max + 1, fast)
        cdef long overloads = 0
        cdef double photons = self.photons
        if out.shape[0] != image.shape[0] or out.shape[1] != fast:
            raise ValueError("the image and its noise must have the same shape")
        with nogil:
            for row in range(image.shape[0]):
                if low > 0 or high < fast:
                    memset(&out[row, 0], 0, fast * sizeof(unsigned short))
                if low < high:
                    photons = loops.draw_row(self.state, high - low, &image[row, low], adc, photons, &out[row, low],
                                             &overloads)
        self.photons = photons
        self.overloads += overloads
