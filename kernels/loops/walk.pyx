# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Amorphous scattering one pixel after the other, with the state that the reference carries from step to step.

It is what `-compat c` needs where a curve's abscissae do not ascend (docs/nonbragg.md, N2 and N3), what -printout
shows, and how -img turns pixels into F. To be compiled without fused multiply-adds.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, fabsf, sqrt
from libc.stdint cimport uint16_t

from nanobragg_py.kernels.memory.buffers cimport Borrowed, Buffer
from nanobragg_py.kernels.loops.amorphous cimport BackgroundJob, nb_background
from nanobragg_py.kernels.loops.watch cimport begin_watch, end_watch, nb_dropped, nb_watch

from nanobragg_py.constants import R_E_SQR

cdef extern from "nb_geometry.h" nogil:
    void nb_curve(const double *beam, const double *fast, const double *slow, double distance,
                  double *x, double *y, double *z)

cdef extern from "nb_interpolant.h" nogil:
    double nb_lagrange(const double *x, const double *y, double at)
    double nb_dot(const double *u, const double *v)

cdef enum:
    STEP = 8  # what a source's part in a sub-pixel counts, in the steps of nb_watch.h


cdef class Walk:
    """Pixels of a `BackgroundJob` one at a time; the attributes hold the last step's values.

    stol: sin(theta)/lambda, 1/m; interval: index of the table's point (the two added ones counted) at or before it;
    F, polar, omega; weight: of the last source; position: of the last sub-pixel, m. angle: sum of the solid angle so
    far.
    """
    cdef readonly BackgroundJob job
    cdef readonly double stol, F, polar, omega, weight, angle
    cdef readonly int interval
    cdef double place[3]
    cdef double r_e_sqr, fluence, molecules, steps
    cdef const double *x
    cdef const double *heights
    cdef const double *sources
    cdef int last, end
    cdef nb_watch watch
    cdef long counted   # steps since signals were looked for
    cdef bint dropped   # there was one that ends the work

    def __init__(self, background, BackgroundJob job):
        self.job = job
        self.r_e_sqr = R_E_SQR
        self.fluence = background.beam.fluence
        self.molecules = background.molecules
        self.steps = background.steps
        self.x = <const double *>job.curve.x.data
        self.heights = <const double *>job.curve.F.data
        self.sources = <const double *>job.sources.data
        self.last = len(background.beam.sources) - 1
        self.end = job.curve.rows + 2
        self.counted = 0
        self.dropped = False

    @property
    def position(self):
        """The last sub-pixel in the laboratory, m."""
        return self.place[0], self.place[1], self.place[2]

    cdef double substep(self, int slow, int fast, int sub_slow, int sub_fast, int source) noexcept nogil:
        """The sum over the sources from `source` on, at one sub-pixel."""
        cdef const nb_background *p = &self.job.p
        cdef double f, s, r, c, e, b, total = 0.0
        cdef double d[3]
        cdef double q[3]
        cdef const double *from_
        cdef int i
        f = p.subpixel * (<double>fast * p.oversample + sub_fast) + p.subpixel / 2.0
        s = p.subpixel * (<double>slow * p.oversample + sub_slow) + p.subpixel / 2.0
        for i in range(3):
            self.place[i] = f * p.fast[i] + s * p.slow[i] + p.origin[i]
        if p.curved:
            nb_curve(p.beam, p.fast, p.slow, p.distance, &self.place[0], &self.place[1], &self.place[2])
        r = sqrt(nb_dot(self.place, self.place))
        for i in range(3):
            d[i] = self.place[i] / r
        self.omega = p.pixel * p.pixel / r / r * p.close_distance / r
        if p.point_pixel:
            self.omega = 1.0 / r / r
        self.angle += self.omega
        while source <= self.last:
            from_ = self.sources + 14 * source
            for i in range(3):
                q[i] = (d[i] - from_[i]) / from_[3]
            self.stol = 0.5 * sqrt(nb_dot(q, q))
            while self.stol > self.x[self.interval] and self.interval < self.end:
                self.interval += 1
            while self.stol < self.x[self.interval] and self.interval >= 2:
                self.interval -= 1
            # before the first sub-pixel of all the walk stands on a point that has none before it
            i = min(max(self.interval, 1), self.end - 1)
            self.F = nb_lagrange(self.x + i - 1, self.heights + i - 1, self.stol)
            self.polar = 1.0
            if p.polarized:
                c = nb_dot(from_, d)
                e = nb_dot(from_ + 5, d)
                b = nb_dot(from_ + 8, d)
                c = c * c
                self.polar = 0.5 * (1.0 + c - p.kahn * ((1.0 - c) if from_[11] else (e * e - b * b)))
            self.weight = from_[4]
            total += (-1.0 if self.F < 0.0 else 1.0) * self.F * self.F * self.polar * self.omega * self.weight
            source += 1
        return total

    cdef bint drop(self) noexcept nogil:
        """Whether the work is to be dropped, because of a signal; asked at every sub-pixel."""
        if not self.dropped:
            self.dropped = nb_dropped(&self.watch, &self.counted, STEP * (self.last + 1))
        return self.dropped

    cdef float value(self, int slow, int fast) noexcept nogil:
        cdef const nb_background *p = &self.job.p
        cdef double total = 0.0
        cdef int sub_slow, sub_fast
        for sub_slow in range(p.oversample):
            for sub_fast in range(p.oversample):
                if self.drop():
                    return 0.0
                total += self.substep(slow, fast, sub_slow, sub_fast, 0)
        if p.map:
            return <float>self.F
        # the reference adds to 0, so that no pixel is -0
        return <float>(0.0 + total * self.r_e_sqr * self.fluence * self.molecules / self.steps)

    def pixel(self, int slow, int fast):
        """The pixel's value; the details are left in the attributes."""
        cdef float value
        begin_watch(&self.watch)
        with nogil:
            value = self.value(slow, fast)
        end_watch(&self.watch)
        return value

    cdef float structure_factor(self, uint16_t pixel, double adc, double gain) noexcept nogil:
        """F that a pixel of an image stands for, with the last step's geometry; negative below the zero level."""
        cdef float photons = <float>((<float>pixel - adc) / gain)
        cdef double sign = -1.0 if photons < 0.0 else 1.0
        photons = fabsf(photons)
        return <float>(sign * sqrt(photons / self.polar / self.omega / self.fluence / self.r_e_sqr / self.molecules
                                   * self.steps))

    cdef void last_step(self, int slow, int fast) noexcept nogil:
        """The state after a pixel, where it does not depend on the pixels before."""
        cdef int last = self.job.p.oversample - 1
        self.substep(slow, fast, last, last, self.last)


def render(Walk walk, float[:, ::1] image, progress=None):
    """Render into `image` in image order; returns what background.pyx's `render` does, but for the time."""
    cdef const nb_background *p = &walk.job.p
    cdef double total = 0.0, squares = 0.0, top = 0.0
    cdef int slow, fast, top_slow = 0, top_fast = 0
    cdef long pixels = 0
    cdef float value
    begin_watch(&walk.watch)
    for slow in range(p.slow_min, p.slow_max + 1):
        with nogil:
            for fast in range(p.fast_min, p.fast_max + 1):
                value = walk.value(slow, fast)
                if walk.dropped:
                    break
                image[slow, fast] = value
                total += value
                squares += value * value
                if value > top:
                    top = value
                    top_slow = slow
                    top_fast = fast
                pixels += 1
        end_watch(&walk.watch)
        PyErr_CheckSignals()
        if progress is not None:
            progress(pixels)
    return total, squares, pixels, top, (top_slow, top_fast) if top > 0.0 else None, walk.angle, 0.0


def shifted_deviations(BackgroundJob job, const float[:, ::1] image, double mean):
    """Sum of (value - mean)^2 over the region of interest, and the number of pixels.

    The value is that of the pixel behind each one in memory, 0 behind the last: so the reference has it.
    """
    cdef const nb_background *p = &job.p
    cdef Py_ssize_t total = <Py_ssize_t>p.spixels * p.fpixels, row
    cdef int slow, fast, n = p.fast_max - p.fast_min + 1, i
    cdef const float *data = &image[0, 0]
    cdef double sums[8]
    cdef double d
    if n <= 0 or p.slow_max < p.slow_min:
        return 0.0, 0
    for i in range(8):
        sums[i] = 0.0
    with nogil:
        for slow in range(p.slow_min, p.slow_max + 1):
            row = <Py_ssize_t>slow * p.fpixels + p.fast_min + 1
            if row + n > total:
                n -= 1
                d = 0.0 - mean
                sums[0] += d * d
            for fast in range(n // 8):
                for i in range(8):
                    d = data[row + 8 * fast + i] - mean
                    sums[i] += d * d
            for i in range(n // 8 * 8, n):
                d = data[row + i] - mean
                sums[i % 8] += d * d
    n = p.fast_max - p.fast_min + 1
    d = 0.0
    for i in range(8):
        d += sums[i]
    return d, <long>n * (p.slow_max - p.slow_min + 1)


def structure_factors(Walk walk, pixels, set ignored, double adc, double gain, bint follow, bint outside):
    """F that the pixels of an image stand for, by the curve's points that they lie nearest to.

    pixels: buffer of uint16, at least as many as the detector has, in its order. ignored: values that take no part.
    follow: go all the way that the reference goes, since where it is depends on it. outside: let pixels outside the
    region of interest spill into the bins, as the reference does.
    Returns (mean, rms deviation, number of pixels) of each row of the curve; float32 arithmetic in image order.
    """
    cdef const nb_background *p = &walk.job.p
    cdef Py_ssize_t total = <Py_ssize_t>p.spixels * p.fpixels, j
    cdef Borrowed image = Borrowed(pixels, "H")
    cdef const uint16_t *values = <const uint16_t *>image.data
    cdef Py_ssize_t points = walk.job.curve.rows + 4, n, i
    cdef Buffer F_of = Buffer(total, "f"), bin_of = Buffer(total, "i"), start_of = Buffer(points, "q")
    cdef Buffer count_of = Buffer(points, "q"), store = Buffer(2 * total + 10 * points + 2, "f")
    cdef Buffer skipped = Buffer(65536, "B")
    cdef float *F = <float *>F_of.data
    cdef float *stored = <float *>store.data
    cdef int *bins = <int *>bin_of.data
    cdef long long *start = <long long *>start_of.data
    cdef long long *count = <long long *>count_of.data
    cdef unsigned char *skip = <unsigned char *>skipped.data
    cdef int slow, fast, b
    cdef float mean, spread, deviation
    for value in ignored:
        skip[<int>value] = 1
    begin_watch(&walk.watch)
    for j in range(total):
        bins[j] = -1
    for slow in range(p.slow_min, p.slow_max + 1):
        PyErr_CheckSignals()
        with nogil:
            for fast in range(p.fast_min, p.fast_max + 1):
                j = <Py_ssize_t>slow * p.fpixels + fast
                if follow:
                    walk.value(slow, fast)
                else:
                    walk.last_step(slow, fast)
                if walk.dropped:
                    break
                F[j] = walk.structure_factor(values[j], adc, gain)
                b = 0
                if not skip[values[j]]:
                    b = walk.interval
                    if walk.stol > (walk.x[b] + walk.x[b + 1]) / 2.0:
                        b += 1
                count[b] += 1
                bins[j] = b
        end_watch(&walk.watch)
    start[0] = 1
    for i in range(1, points - 1):
        start[i] = start[i - 1] + 2 * count[i - 1] + 2
    for j in range(total):
        b = bins[j]
        if b < 0:
            if not outside:
                continue
            b = 0
        stored[start[b]] = F[j]
        start[b] += 1
    found = []
    for i in range(2, points - 2):
        n = count[i]
        start[i] -= n
        mean = spread = 0.0
        for j in range(n):
            mean += stored[start[i] + j]
        if n:
            mean = mean / <float>n
            for j in range(n):
                deviation = <float>fabs(stored[start[i] + j] - mean)
                spread += deviation * deviation
            spread = <float>sqrt(spread / <float>n)
        found.append((mean, spread, n))
    return found
