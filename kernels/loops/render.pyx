# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The image on the CPU: rows of tiles, parallel over tiles, the sum of every contribution to every pixel.

This one source is compiled several times, for several levels of the x86-64 instruction set (see setup.py); the level
is picked at import by `nanobragg_py.render.backends`. A pixel is computed by one thread, from start to end, in an order
that depends on nothing but the experiment: results are the same bit for bit for any number of threads.
"""

from cython.parallel cimport prange
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, sqrt
from libc.stdlib cimport free

from nanobragg_py.kernels.formulas.formulas cimport *
from nanobragg_py.kernels.loops.job cimport Job

cdef extern from *:
    """
    #include <stdlib.h>
    #include <time.h>
    #ifdef _OPENMP
    #include <omp.h>
    #define NB_THREAD omp_get_thread_num()
    #define NB_PARALLEL 1
    #else
    #define NB_THREAD 0
    #define NB_PARALLEL 0
    #endif
    static double nb_now(void)
    {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec + 1e-9 * t.tv_nsec;
    }
    static void *nb_aligned(size_t nbytes)
    {
        void *data = NULL;
        return posix_memalign(&data, 64, nbytes) ? NULL : data;
    }
    """
    int NB_THREAD
    int NB_PARALLEL
    double nb_now() noexcept nogil
    void *nb_aligned(size_t nbytes) noexcept nogil

include "scratch.pxi"
include "geometry.pxi"
include "indices.pxi"
include "sums.pxi"

#: True when this build can use more than one thread
PARALLEL = bool(NB_PARALLEL)


# ---- a tile --------------------------------------------------------------------------------------------------------

cdef void add_weighted(const nb_job *p, int n, bint masked, const Scratch *w) noexcept nogil:
    """acc += part with the corrections that are asked for per contribution, and the dmin cut."""
    cdef int i
    cdef nb_out part = w.part
    cdef nb_out acc = w.acc
    cdef nb_in factor
    if masked:
        factor = w.passed
        for i in range(n):
            part[i] = part[i] * factor[i]
    if p.weight_thick:
        factor = w.capture
        for i in range(n):
            part[i] = part[i] * factor[i]
    if p.weight_polar:
        factor = w.polar
        for i in range(n):
            part[i] = part[i] * factor[i]
    if p.weight_omega:
        factor = w.omega
        for i in range(n):
            part[i] = part[i] * factor[i]
    for i in range(n):
        acc[i] = acc[i] + part[i]


cdef void first_polarization(int n, nb_in passed, nb_in fresh, nb_out polar) noexcept nogil:
    """Polarization is that of the first source and sub-step that passes dmin: take it where there is none yet."""
    cdef int i
    for i in range(n):
        polar[i] = fresh[i] if (polar[i] == 0.0 and passed[i] != 0.0) else polar[i]


cdef void finish(const nb_job *p, int n, const unsigned short *mask, const Scratch *w, int replaced,
                 nb_outf image) noexcept nogil:
    """Sum -> float32 pixels, and their share in the statistics.

    replaced: the pixel of the tile whose value was worked out elsewhere, or -1.
    """
    cdef int i
    cdef double f2 = p.default_F * p.default_F if p.structure_kind == NB_CONSTANT else 1.0
    cdef double background = p.background
    cdef nb_out acc = w.acc
    cdef nb_out seen = w.part
    cdef nb_in capture = w.capture
    cdef const double *omega = w.ones if p.weight_omega else w.omega
    cdef const double *polar = w.polar if p.polarized and not p.weight_polar else w.ones
    if p.sensor and not p.weight_thick:
        for i in range(n):
            acc[i] = (background + f2 * acc[i]) * capture[i]
        background = 0.0
        f2 = 1.0
    if mask != NULL:
        for i in range(n):
            acc[i] = acc[i] if mask[i] else 0.0
            seen[i] = polar[i] * omega[i] if mask[i] else 0.0
        polar = seen
        omega = w.ones
    f2 = f2 * p.scale
    background = background * p.scale
    if replaced < 0:
        shade(w, 0, n, background, f2, acc, polar, omega, image)
    else:
        shade(w, 0, replaced, background, f2, acc, polar, omega, image)
        shade(w, replaced, replaced + 1, w.value, 0.0, acc, w.ones, w.ones, image)
        shade(w, replaced + 1, n, background, f2, acc, polar, omega, image)


cdef void shade(const Scratch *w, int first, int last, double background, double f2, nb_in acc, nb_in polar,
                nb_in omega, nb_outf image) noexcept nogil:
    """Pixels `first` to `last` - 1 of a tile."""
    cdef int i
    cdef nb_out sum = w.sum
    cdef nb_out squares = w.squares
    cdef nb_outf top = w.top
    cdef float value
    for i in range(first, last):
        value = <float>((background + f2 * acc[i]) * (polar[i] * omega[i]))
        image[i] = value
        sum[i] = sum[i] + value
        squares[i] = squares[i] + value * value
        top[i] = value if value > top[i] else top[i]


cdef void along(const nb_job *p, int n, const double *axis, double step, const double *start, const Scratch *w,
                double *out) noexcept nogil:
    """Components of the tile's diffracted directions along an axis."""
    if p.curved:
        project(n, axis, w.x, w.y, w.z, out)
    else:
        project_flat(p, n, axis, step, start, w.place, w.inv, out)


cdef void render_tile(const nb_job *p, const double *sources, const double *cells, Py_ssize_t stride,
                      const double *table, const unsigned short *mask, int slow, int fast, int n, Scratch *w,
                      float *image) noexcept nogil:
    """n pixels of row `slow` from column `fast` on."""
    cdef int m = (n + LANES - 1) // LANES * LANES  # the spare lanes are computed and thrown away
    cdef int layer, sub_slow, sub_fast, source, passing = m, substeps = p.oversample * p.oversample
    cdef bint weighted = p.weight_thick or p.weight_polar or p.weight_omega
    cdef bint need_polar = p.polarized, cut = p.dmin > 0.0, have_omega = False, have_capture
    cdef double f, s, o, step = p.subpixel * p.oversample
    cdef bint vectors = p.curved or cut  # whether the directions are needed as vectors
    cdef double start[3]
    cdef const double *src
    cdef int i
    if mask != NULL:
        for i in range(n):
            if mask[i]:
                break
        else:
            return
    w.real = n
    w.cut = cut
    w.mask = mask
    fill(m, 0.0, w.acc)
    if cut:
        fill(m, 0.0, w.polar)
    for layer in range(p.layers):
        o = layer * p.thickstep
        have_capture = False
        for sub_slow in range(p.oversample):
            for sub_fast in range(p.oversample):
                f = p.subpixel * (fast * p.oversample + sub_fast) + p.subpixel / 2.0
                s = p.subpixel * (slow * p.oversample + sub_slow) + p.subpixel / 2.0
                for i in range(3):
                    start[i] = f * p.fast[i] + s * p.slow[i] + o * p.normal[i] + p.origin[i]
                if vectors:
                    directions(p, m, step, start, w.place, w.x, w.y, w.z, w.inv, w)
                else:
                    inverse_airpaths(p, m, step, start, w.place, w.inv, w)
                if not have_omega or p.weight_omega:
                    solid_angles(p, n, mask, w.inv, 1.0 if p.weight_omega else p.layers * substeps, w.omega, w.angle)
                    have_omega = True
                if (p.sensor and not have_capture) or p.weight_thick:
                    along(p, m, p.normal, step, start, w, w.capture)
                    captures(p, m, layer, w.capture)
                    have_capture = True
                for source in range(p.sources):
                    src = sources + source * NB_SOURCE_SIZE
                    if vectors:
                        scattering(m, src, w.x, w.y, w.z, w.qx, w.qy, w.qz)
                    if cut:
                        passing = within_dmin(p.dmin, m, w.qx, w.qy, w.qz, w.passed)
                        if passing == 0:
                            continue
                    if need_polar or p.weight_polar:
                        along(p, m, src, step, start, w, w.h)
                        if p.kahn != 0.0:
                            along(p, m, src + 4, step, start, w, w.k)
                            along(p, m, src + 7, step, start, w, w.l)
                        if cut and not p.weight_polar:
                            polarizations(p.kahn, m, w.h, w.k, w.l, w.part)
                            first_polarization(m, w.passed, w.part, w.polar)
                        else:
                            polarizations(p.kahn, m, w.h, w.k, w.l, w.polar)
                            need_polar = False
                    if weighted or passing < m:
                        fill(m, 0.0, w.part)
                        sum_orientations(p, cells, stride, table, src, start, step, m, w, w.part)
                        add_weighted(p, m, passing < m, w)
                    else:
                        sum_orientations(p, cells, stride, table, src, start, step, m, w, w.acc)
    finish(p, n, mask, w, w.column - fast if w.row == slow and fast <= w.column < fast + n else -1, image)


# ---- the image -----------------------------------------------------------------------------------------------------

def render(Job job, float[:, ::1] image, int threads=1, progress=None, override=None, exact=None):
    """Render into `image` (slow, fast), float32, which must be zeroed outside the region of interest.

    threads: at most this many. progress: called with the number of pixels of the region of interest that are done,
    now and then. override: (slow, fast, value) of a pixel that was worked out elsewhere (`-compat c`). exact: None, or
    what gives a pixel's value, from its (slow, fast), where these loops give no number.
    Returns (sum, sum of squares, pixels, maximum, its (slow, fast), solid angle sum, steps outside the interpolation
    range, seconds in the loop).
    """
    cdef const nb_job *p = &job.p
    cdef Py_ssize_t stride = job.stride
    cdef const double *sources = job.source_data
    cdef const double *cells = job.orientation_data
    cdef const double *table = job.table_data
    cdef const unsigned short *mask = job.mask_data
    cdef int width = p.fast_max - p.fast_min + 1, height = p.slow_max - p.slow_min + 1
    cdef int lines, length, across, rows, row, row_end, t
    cdef Py_ssize_t item, items
    cdef double sum = 0.0, squares = 0.0, top = 0.0, angle = 0.0, clock = 0.0, begin, cost
    cdef long outside = 0, pixels = 0
    cdef double *memory = NULL
    cdef double *statistics = NULL
    cdef Scratch *scratch = NULL
    cdef Portion best, marked
    cdef float *data
    cdef double *st
    if image.shape[0] != p.spixels or image.shape[1] != p.fpixels:
        raise ValueError(f"image is {image.shape[0]} x {image.shape[1]}, the detector {p.spixels} x {p.fpixels}")
    if width <= 0 or height <= 0:
        return 0.0, 0.0, 0, 0.0, None, 0.0, 0, 0.0
    # A portion is one tile, or several rows where a pixel has little to sum. It must not depend on the threads, which
    # would change the order in which the statistics are summed.
    cost = 1.5e-9 * job.steps_per_pixel + 4e-9
    if cost * width < 20e-6:
        lines = <int>(20e-6 / (cost * width)) + 1
        length = width
    else:
        lines = 1
        length = TILE if cost > 20e-9 else 8 * TILE
    across = (width + length - 1) // length
    if threads < 1 or not NB_PARALLEL:
        threads = 1
    if threads > across * <Py_ssize_t>((height + lines - 1) // lines):
        threads = across * ((height + lines - 1) // lines)
    data = &image[0, 0]
    # a band of rows between two looks at the keyboard and the progress meter: about 20 ms of work
    cost = cost * width * lines
    rows = (<int>(0.02 * threads / cost) + 1) if cost < 0.02 * threads else 1
    rows = rows * lines if rows < height // lines + 1 else height
    items = <Py_ssize_t>((rows + lines - 1) // lines) * across
    memory = <double *>nb_aligned(threads * SCRATCH_DOUBLES * sizeof(double))
    scratch = <Scratch *>nb_aligned(threads * sizeof(Scratch))
    statistics = <double *>nb_aligned(items * STATISTICS * sizeof(double))
    if memory == NULL or scratch == NULL or statistics == NULL:
        free(memory)
        free(scratch)
        free(statistics)
        raise MemoryError("no memory for the kernels' workspace")
    try:
        for t in range(threads):
            lay_out(&scratch[t], p, memory + t * SCRATCH_DOUBLES)
            if override is not None:
                scratch[t].row, scratch[t].column, scratch[t].value = override
        row = p.slow_min
        while row <= p.slow_max:
            row_end = row + rows if row + rows <= p.slow_max else p.slow_max + 1
            items = <Py_ssize_t>((row_end - row + lines - 1) // lines) * across
            begin = nb_now()
            if threads == 1:
                with nogil:
                    for item in range(items):
                        choose_portion(&scratch[0].portion, p, item, row, row_end, lines, across, length)
                        one_item(p, sources, cells, stride, table, mask, &scratch[0], data,
                                 statistics + item * STATISTICS)
            else:
                for item in prange(items, nogil=True, schedule="dynamic", chunksize=1, num_threads=threads):
                    choose_portion(&scratch[NB_THREAD].portion, p, item, row, row_end, lines, across, length)
                    one_item(p, sources, cells, stride, table, mask, &scratch[NB_THREAD], data,
                             statistics + item * STATISTICS)
            clock += nb_now() - begin
            for item in range(items):
                st = statistics + item * STATISTICS
                if exact is not None and st[0] != st[0]:
                    choose_portion(&marked, p, item, row, row_end, lines, across, length)
                    replace_marked(&marked, image, exact, st)
                sum += st[0]
                squares += st[1]
                angle += st[2]
                if st[3] > top:
                    top = st[3]
                    choose_portion(&best, p, item, row, row_end, lines, across, length)
            pixels += count_pixels(job, row, row_end - 1)
            row = row_end
            if progress is not None:
                progress(pixels)
            PyErr_CheckSignals()
        for t in range(threads):
            outside += scratch[t].outside
    finally:
        free(memory)
        free(scratch)
        free(statistics)
    return sum, squares, pixels, top, find_first(&best, image, <float>top) if top > 0.0 else None, angle, outside, clock


def start_threads(int threads):
    """Have OpenMP create its threads now, so that they are awake, and on processors of their own, when there is work.

    The scheduler puts a thread that wakes on an idle processor, but a new one may wait beside its parent for as long as
    a small image takes.
    """
    cdef int _thread
    if threads > 1:
        for _thread in prange(threads, nogil=True, num_threads=threads):
            nb_now()


cdef int replace_marked(const Portion *item, float[:, ::1] image, exact, double *statistics) except -1:
    """Have `exact` work out the pixels of a portion that are no numbers, and the portion's statistics anew."""
    cdef int slow, fast
    cdef float value
    statistics[0] = statistics[1] = statistics[3] = 0.0
    for slow in range(item.slow, item.slow_end):
        for fast in range(item.fast, item.fast_end):
            if image[slow, fast] != image[slow, fast]:
                image[slow, fast] = exact(slow, fast)
            value = image[slow, fast]
            statistics[0] += value
            statistics[1] += value * value
            statistics[3] = value if value > statistics[3] else statistics[3]
    return 0


cdef tuple find_first(const Portion *item, float[:, ::1] image, float value):
    """(slow, fast) of the first pixel of a portion that has a value."""
    cdef int slow, fast
    for slow in range(item.slow, item.slow_end):
        for fast in range(item.fast, item.fast_end):
            if image[slow, fast] == value:
                return slow, fast
    return None


cdef void one_item(const nb_job *p, const double *sources, const double *cells, Py_ssize_t stride, const double *table,
                   const unsigned short *mask, Scratch *w, float *image,
                   double *statistics) noexcept nogil:
    """Render one portion of the image, tile by tile, and reduce its statistics."""
    cdef const Portion *item = &w.portion
    cdef int slow, fast, n, width = TILE // 2
    cdef Py_ssize_t at
    fill(TILE, 0.0, w.sum)
    fill(TILE, 0.0, w.squares)
    fill(TILE, 0.0, w.angle)
    fill(TILE // 2, 0.0, <double *>w.top)
    for slow in range(item.slow, item.slow_end):
        fast = item.fast
        while fast < item.fast_end:
            n = item.fast_end - fast
            if n > TILE:
                n = TILE
            at = <Py_ssize_t>slow * p.fpixels + fast
            render_tile(p, sources, cells, stride, table, <const unsigned short *>NULL if mask == NULL else mask + at,
                        slow, fast, n, w, image + at)
            fast += n
    statistics[0] = total(w.sum)
    statistics[1] = total(w.squares)
    statistics[2] = total(w.angle)
    while width > 0:
        larger(width, w.top + width, w.top)
        width //= 2
    statistics[3] = w.top[0]


cdef double total(double *values) noexcept nogil:
    """Sum of TILE values, which is destroyed: halves are added to halves, in vectors, so that the order of the sum does
    not depend on their length."""
    cdef int width = TILE // 2
    while width > 0:
        halve(width, values + width, values)
        width //= 2
    return values[0]


cdef void halve(int n, nb_in upper, nb_out lower) noexcept nogil:
    cdef int i
    for i in range(n):
        lower[i] = lower[i] + upper[i]


cdef void larger(int n, nb_inf upper, nb_outf lower) noexcept nogil:
    cdef int i
    for i in range(n):
        lower[i] = upper[i] if upper[i] > lower[i] else lower[i]


cdef long count_pixels(Job job, int first, int last):
    """Pixels of the region of interest, in rows `first` to `last`, that the mask leaves."""
    cdef const nb_job *p = &job.p
    cdef long count = 0
    cdef int slow, fast
    cdef const unsigned short *row
    if job.mask_data == NULL:
        return <long>(p.fast_max - p.fast_min + 1) * (last - first + 1)
    for slow in range(first, last + 1):
        row = job.mask_data + <Py_ssize_t>slow * p.fpixels
        for fast in range(p.fast_min, p.fast_max + 1):
            count += row[fast] != 0
    return count


cdef void add_deviations(int n, nb_inf image, double mean, nb_out sums) noexcept nogil:
    cdef int i
    cdef double d
    for i in range(n):
        d = image[i] - mean
        sums[i] = sums[i] + d * d


def squared_deviations(Job job, const float[:, ::1] image, double mean):
    """Sum of (pixel - mean)^2 over the region of interest, masked pixels (0) included, and the number of pixels."""
    cdef const nb_job *p = &job.p
    cdef int slow, fast, i, n, width = p.fast_max - p.fast_min + 1, height = p.slow_max - p.slow_min + 1
    cdef double sums[TILE]
    if width <= 0 or height <= 0:
        return 0.0, 0
    with nogil:
        for i in range(TILE):
            sums[i] = 0.0
        for slow in range(p.slow_min, p.slow_max + 1):
            fast = p.fast_min
            while fast <= p.fast_max:
                n = p.fast_max - fast + 1
                add_deviations(n if n < TILE else TILE, &image[slow, fast], mean, sums)
                fast += TILE
    return total(sums), <long>width * height
