# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What a detector makes of photons: source flicker, calibration errors, counting, read-out noise, integers.

Two seeds share one shuffle table, one last number and one normal deviate that is left over, as in the reference. Where
only the counting draws, whole blocks of pixels are drawn at a time (poisson.pyx); elsewhere what a pixel draws next
hangs on what the one before it drew, and they are drawn one by one.

To be compiled without fused multiply-adds: every quantity is the reference's, bit for bit.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc

from nanobragg_py.kernels.formulas.formulas cimport nb_in, nb_inf, nb_out
from nanobragg_py.kernels.memory.buffers cimport Borrowed, Buffer
from nanobragg_py.kernels.noise.nb_random cimport nb_ran1
from nanobragg_py.kernels.noise.poisson cimport DRAWN, Drawing, begin_drawing, leave_spare
from nanobragg_py.kernels.noise.random cimport seed_variable

from nanobragg_py.kernels.noise import poisson

cdef extern from *:
    """
    typedef unsigned short *__restrict nb_outh;
    typedef unsigned int *__restrict nb_outw;
    /* adu above which a 32-bit and a 16-bit pixel is an overload */
    #define NB_TOP_32 2147483647.0
    #define NB_TOP_16 65535.0
    """
    double TOP_32 "NB_TOP_32"
    double TOP_16 "NB_TOP_16"
    ctypedef uint16_t *nb_outh
    ctypedef uint32_t *nb_outw

cdef extern from "nb_draws.h" nogil:
    enum:
        NB_PHOTONS
    ctypedef struct nb_numbers:
        pass
    ctypedef struct nb_draws:
        nb_ran1 shared
        nb_numbers stream[2]
        bint spare_ready
        float spare
    void nb_begin_draws(nb_draws *d, int64_t seed, int64_t calib_seed)
    int64_t nb_current_seed(const nb_numbers *s)

cdef extern from "nb_counts.h" nogil:
    double nb_add_up(long n, const float *count, double sum)
    double nb_count(nb_draws *d, long n, float *photons, double flicker, double calibration, double sum)

cdef enum:
    STRETCH = 1 << 20  # pixels between two looks for signals


# ---- pixels --------------------------------------------------------------------------------------------------------

cdef void to_adu(int n, nb_inf photons, double gain, double adc, nb_out adu) noexcept nogil:
    cdef int i
    for i in range(n):
        adu[i] = photons[i] * gain + adc


cdef void add_readout(int n, nb_inf normal, double readout, nb_out adu) noexcept nogil:
    cdef int i
    for i in range(n):
        adu[i] = adu[i] + readout * normal[i]


cdef void count_limits(int n, nb_in adu, double top, long *overloads, long *negative) noexcept nogil:
    cdef int i, above = 0, below = 0
    for i in range(n):
        above += adu[i] > top
        below += not adu[i] > -1.0
    overloads[0] += above
    negative[0] += below


cdef void to_16_bits(int n, nb_in adu, bint wrap, nb_outh out) noexcept nogil:
    """wrap: what x86-64 makes of negative values; otherwise, as with nan, they are 0."""
    cdef int i
    cdef double x
    if wrap:
        for i in range(n):
            x = adu[i] if adu[i] < TOP_16 else TOP_16
            out[i] = <uint16_t><int32_t>(x if x > -2147483649.0 else 0.0) if adu[i] == adu[i] else 0
        return
    for i in range(n):
        x = adu[i] if adu[i] < TOP_16 else TOP_16
        x = x if adu[i] > 0.0 else 0.0
        out[i] = <uint16_t><int32_t>x


cdef void to_32_bits(int n, nb_in adu, double top, bint wrap, nb_outw out) noexcept nogil:
    cdef int i
    cdef double x
    if wrap:
        for i in range(n):
            x = adu[i] if adu[i] < top else top
            out[i] = <uint32_t><int64_t>(x if x > -9.2233720368547e18 else 0.0) if adu[i] == adu[i] else 0
        return
    for i in range(n):
        x = adu[i] if adu[i] < top else top
        x = x if adu[i] > 0.0 else 0.0
        out[i] = <uint32_t><int64_t>x


cdef void to_bytes(int n, const uint16_t *pixel, uint8_t *out) noexcept nogil:
    cdef int i
    for i in range(n):
        out[i] = <uint8_t>(pixel[i] if pixel[i] < 255 else 255)


cdef long look_over(Py_ssize_t n, nb_inf values, float *maximum) noexcept nogil:
    """The largest value and the number of negative ones."""
    cdef Py_ssize_t i
    cdef float top = 0.0
    cdef int below = 0
    for i in range(n):
        top = values[i] if values[i] > top else top
        below += values[i] < <float>0.0
    maximum[0] = top
    return below


cdef void rescale(Py_ssize_t n, double factor, float *values) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        values[i] = <float>(factor * values[i])


# ---- stretches of an image -----------------------------------------------------------------------------------------

cdef struct Integers:
    # how an image becomes integers, and what was found of its pixels
    double gain, adc, readout, top
    bint wrap, wide
    double photons
    long overloads, negative


cdef void count_stretch(const Drawing *d, Py_ssize_t n, float *photons, double *sum) noexcept nogil:
    """Counts in the place of mean counts, which are added up in image order."""
    cdef int length
    while n > 0:
        length = <int>min(<Py_ssize_t>DRAWN, n)
        d.counts(d.state, length, photons)
        sum[0] = nb_add_up(length, photons, sum[0])
        photons += length
        n -= length


cdef void pixels_stretch(const Drawing *d, Integers *how, Py_ssize_t n, const float *photons, void *out) noexcept nogil:
    cdef double adu[DRAWN]
    cdef float normal[DRAWN]
    cdef Py_ssize_t at = 0
    cdef int length
    cdef double sum = how.photons
    while at < n:
        length = <int>min(<Py_ssize_t>DRAWN, n - at)
        to_adu(length, photons + at, how.gain, how.adc, adu)
        sum = nb_add_up(length, photons + at, sum)
        if how.readout > 0.0:
            d.normals(d.state, length, normal)
            add_readout(length, normal, how.readout, adu)
        count_limits(length, adu, how.top if how.wide else TOP_16, &how.overloads, &how.negative)
        if how.wide:
            to_32_bits(length, adu, how.top, how.wrap, <uint32_t *>out + at)
        else:
            to_16_bits(length, adu, how.wrap, <uint16_t *>out + at)
        at += length
    how.photons = sum


cdef void pgm_stretch(const Integers *how, Py_ssize_t n, const float *photons, uint8_t *out) noexcept nogil:
    cdef double adu[DRAWN]
    cdef uint16_t pixel[DRAWN]
    cdef Py_ssize_t at = 0
    cdef int length
    while at < n:
        length = <int>min(<Py_ssize_t>DRAWN, n - at)
        to_adu(length, photons + at, how.gain, how.adc, adu)
        to_16_bits(length, adu, how.wrap, pixel)
        to_bytes(length, pixel, out + at)
        at += length


cdef double count_one_by_one(nb_draws *draws, long n, float *photons, double flicker, double calibration,
                             double sum) noexcept nogil:
    return nb_count(draws, n, photons, flicker, calibration, sum)


cdef struct Loops:
    # of the level that was chosen (nb_levels.h)
    double (*count_one_by_one)(nb_draws *draws, long n, float *photons, double flicker, double calibration,
                               double sum) noexcept nogil
    void (*count_stretch)(const Drawing *d, Py_ssize_t n, float *photons, double *sum) noexcept nogil
    void (*pixels_stretch)(const Drawing *d, Integers *how, Py_ssize_t n, const float *photons,
                           void *out) noexcept nogil
    void (*pgm_stretch)(const Integers *how, Py_ssize_t n, const float *photons, uint8_t *out) noexcept nogil
    long (*look_over)(Py_ssize_t n, nb_inf values, float *maximum) noexcept nogil
    void (*rescale)(Py_ssize_t n, double factor, float *values) noexcept nogil

cdef extern from "nb_levels.h":
    bint nb_choose(const char *level, void *loops)

cdef Loops loops


def choose(str level):
    """As of levels.pxi, and of the module that draws, too."""
    return poisson.choose(level) and nb_choose(level.encode(), &loops)


cdef void fill_loops "nb_fill_loops"(void *table) noexcept:
    cdef Loops *of_level = <Loops *>table
    of_level.count_one_by_one = count_one_by_one
    of_level.count_stretch = count_stretch
    of_level.pixels_stretch = pixels_stretch
    of_level.pgm_stretch = pgm_stretch
    of_level.look_over = look_over
    of_level.rescale = rescale


# ---- images --------------------------------------------------------------------------------------------------------

def to_photons(image, double factor):
    """Multiply a float32 image by a factor, in place.

    Returns the largest value before, 0 at least, and the list of the negative ones; nan counts as neither.
    """
    cdef Borrowed source = Borrowed(image, "f")
    cdef float *values = <float *>source.data
    cdef float maximum
    cdef Py_ssize_t i
    cdef long below
    cdef list negative = []
    with nogil:
        below = loops.look_over(source.count, values, &maximum)
    if below > 0:
        negative = [values[i] for i in range(source.count) if values[i] < <float>0.0]
    if factor != 1.0:
        with nogil:
            loops.rescale(source.count, factor, values)
    return <double>maximum, negative


def pgm_pixels(image, Py_ssize_t first, Buffer block not None, double gain, double adc, bint wrap):
    """Fill `block` (uint8) with the pixels of a PGM: the 16-bit pixels of the same image, at most 255."""
    cdef Borrowed source = Borrowed(image, "f")
    cdef const float *photons = <const float *>source.data + first * block.extent[1]
    cdef Integers how
    how.gain = gain
    how.adc = adc
    how.wrap = wrap
    with nogil:
        loops.pgm_stretch(&how, block.nbytes, photons, <uint8_t *>block.data)


cdef class DetectorNoise:
    """The noise of one image and its integers, from the reference's random numbers.

    seed, calib_seed: the negated values that users give. photons: what `pixels` summed so far. overloads: pixels that
    were clipped so far. negative: pixels so far that were below 0, or no numbers.
    """

    cdef nb_draws *draws
    cdef Drawing drawing
    cdef bint counted
    cdef readonly double photons
    cdef readonly long overloads
    cdef readonly long negative

    def __cinit__(self, seed, calib_seed):
        self.draws = <nb_draws *>malloc(sizeof(nb_draws))
        if self.draws == NULL:
            raise MemoryError("no memory for the noise generator")
        nb_begin_draws(self.draws, seed_variable(seed), seed_variable(calib_seed))

    def __dealloc__(self):
        free(self.draws)
        free(self.drawing.state)

    cdef int begin(self) except -1:
        return begin_drawing(&self.drawing, self.draws.shared, nb_current_seed(&self.draws.stream[NB_PHOTONS]))

    def count(self, image, double flicker, double calibration):
        """Make photon counts of a float32 image of mean counts, in place; returns their sum.

        flicker, calibration: relative errors of the source and of each pixel; none where they are 0 or less.
        """
        cdef Borrowed source = Borrowed(image, "f")
        cdef float *photons = <float *>source.data
        cdef double sum = 0.0
        cdef Py_ssize_t at = 0, end
        cdef bint one_by_one = flicker > 0.0 or calibration > 0.0
        self.counted = True
        if not one_by_one:
            self.begin()
        while at < source.count:
            end = min(at + STRETCH, source.count)
            with nogil:
                if one_by_one:
                    sum = loops.count_one_by_one(self.draws, end - at, photons + at, flicker, calibration, sum)
                else:
                    loops.count_stretch(&self.drawing, end - at, photons + at, &sum)
            at = end
            PyErr_CheckSignals()
        if one_by_one:
            self.begin()
            if self.draws.spare_ready:
                leave_spare(&self.drawing, self.draws.spare)
        return sum

    def pixels(self, image, Py_ssize_t first, Buffer block not None, double gain, double adc, double readout, bint wrap,
               double top=TOP_32):
        """Fill `block` (uint16 or int32) with image*gain + adc plus read-out noise, from row `first` of the image on.

        Blocks must come in image order. readout: root mean square, none if 0 or less. wrap: negative values as the
        reference has them on x86-64, instead of 0. top: what 32-bit pixels are clipped at.
        """
        cdef Borrowed source = Borrowed(image, "f")
        cdef Py_ssize_t fast = block.extent[1], at = 0, end, count = block.extent[0] * fast
        cdef const float *photons = <const float *>source.data + first * fast
        cdef Integers how
        if block.code[0] not in (c"H", c"i") or (first + block.extent[0]) * fast > source.count:
            raise ValueError("the block needs the format H or i and rows of the image")
        if readout > 0.0 and not self.counted:
            raise ValueError("read-out noise goes on with the random numbers of the counting")
        how.gain, how.adc, how.readout, how.top = gain, adc, readout, top
        how.wrap = wrap
        how.wide = block.itemsize == 4
        how.photons = self.photons
        how.overloads = how.negative = 0
        while at < count:
            end = min(at + STRETCH, count)
            with nogil:
                loops.pixels_stretch(&self.drawing, &how, end - at, photons + at,
                                     <char *>block.data + at * block.itemsize)
            at = end
            PyErr_CheckSignals()
        self.photons = how.photons
        self.overloads += how.overloads
        self.negative += how.negative
