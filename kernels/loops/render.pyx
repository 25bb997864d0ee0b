# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The image on the CPU: rows of tiles, parallel over tiles, the sum of every contribution to every pixel.

This one source is compiled several times, for several levels of the x86-64 instruction set (see setup.py); the level
is picked at import by `nanobragg_py.render.backends`. A pixel is computed by one thread, from start to end, in an order
that depends on nothing but the experiment: results are the same bit for bit for any number of threads.
"""

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport parallel, prange
from libc.math cimport fabs, sqrt
from libc.stdlib cimport free

from nanobragg_py.kernels.formulas.formulas cimport *
from nanobragg_py.kernels.loops.job cimport Job
from nanobragg_py.kernels.loops.threads cimport NB_PARALLEL, NB_THREAD, nb_aligned, nb_now
from nanobragg_py.kernels.loops.watch cimport begin_portions, begin_watch, end_watch, nb_leave, nb_take, nb_watch

include "scratch.pxi"
include "geometry.pxi"
include "indices.pxi"
include "rows.pxi"
include "sums.pxi"
include "tile.pxi"

cdef enum:
    PORTIONS = 4  # of a band, for every thread: at its end few wait for the last one
    LINE = 16  # pixels of a cache line: what one thread takes of each tile's columns, at least
    DEVIATIONS_FROM = 1 << 18  # pixels, below which threads take longer to begin than to add up

#: True when this build can use more than one thread
PARALLEL = bool(NB_PARALLEL)


# ---- the image -----------------------------------------------------------------------------------------------------

def render(Job job, float[:, ::1] image, int threads=1, progress=None, override=None, exact=None,
           double[:, ::1] precise=None):
    """Render into `image` (slow, fast), float32, which must be zeroed outside the region of interest.

    threads: at most this many. progress: called with the number of pixels of the region of interest that are done,
    now and then. override: (slow, fast, value) of a pixel that was worked out elsewhere (`-compat c`). exact: None, or
    what gives a pixel's value, from its (slow, fast), where these loops give no number. precise: None, or a float64
    image, zeroed like the other, that holds the same pixels before they are rounded.
    Returns (sum, sum of squares, pixels, maximum, its (slow, fast), solid angle sum, steps outside the interpolation
    range, seconds in the loop).
    """
    cdef const nb_job *p = &job.p
    cdef Py_ssize_t stride = job.stride
    cdef const double *sources = job.source_data
    cdef const long long *tables = job.tables_data
    cdef const double *cells = job.orientation_data
    cdef const double *table = job.table_data
    cdef const unsigned short *mask = job.mask_data
    cdef int width = p.fast_max - p.fast_min + 1, height = p.slow_max - p.slow_min + 1
    cdef int lines, length, across, rows, row, row_end, t
    cdef nb_watch watch
    cdef Py_ssize_t item, items
    cdef double sum = 0.0, squares = 0.0, top = 0.0, angle = 0.0, clock = 0.0, begin, cost
    cdef long outside = 0, pixels = 0
    cdef double *memory = NULL
    cdef double *statistics = NULL
    cdef Scratch *scratch = NULL
    cdef Portion best, marked
    cdef float *data
    cdef double *unrounded = NULL
    cdef double *st
    if precise is not None:
        if precise.shape[0] != image.shape[0] or precise.shape[1] != image.shape[1]:
            raise ValueError(f"the float64 image is {precise.shape[0]} x {precise.shape[1]}")
        unrounded = &precise[0, 0]
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
    # a band of rows between two looks at the progress meter: about 20 ms of work, and several portions for every thread
    cost = cost * width * lines
    rows = (<int>(0.02 * threads / cost) + 1) if cost < 0.02 * threads else 1
    if threads > 1:
        rows = max(rows, (PORTIONS * threads + across - 1) // across)
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
            lay_out(&scratch[t], p, memory + t * SCRATCH_DOUBLES, &watch)
            if override is not None:
                scratch[t].row, scratch[t].column, scratch[t].value = override
        begin_watch(&watch)
        row = p.slow_min
        while row <= p.slow_max:
            row_end = row + rows if row + rows <= p.slow_max else p.slow_max + 1
            items = <Py_ssize_t>((row_end - row + lines - 1) // lines) * across
            begin = nb_now()
            begin_portions(&watch)
            if threads == 1:
                with nogil:
                    take_portions(p, sources, tables, cells, stride, table, mask, scratch, data, unrounded, statistics,
                                  row, row_end, lines, across, length)
            else:
                with nogil, parallel(num_threads=threads):
                    take_portions(p, sources, tables, cells, stride, table, mask, scratch + NB_THREAD, data, unrounded,
                                  statistics, row, row_end, lines, across, length)
            end_watch(&watch)
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


cdef void take_portions(const nb_job *p, const double *sources, const long long *tables, const double *cells,
                        Py_ssize_t stride, const double *table, const unsigned short *mask, Scratch *w, float *image,
                        double *unrounded, double *statistics, int row, int row_end, int lines, int across,
                        int length) noexcept nogil:
    """One thread's part in the rows `row` to `row_end` - 1."""
    cdef Py_ssize_t items = <Py_ssize_t>((row_end - row + lines - 1) // lines) * across, item = nb_take(w.watch)
    while item < items and not w.dropped:
        choose_portion(&w.portion, p, item, row, row_end, lines, across, length)
        one_item(p, sources, tables, cells, stride, table, mask, w, image, unrounded, statistics + item * STATISTICS)
        item = nb_take(w.watch)
    nb_leave(w.watch)


cdef void one_item(const nb_job *p, const double *sources, const long long *tables, const double *cells,
                   Py_ssize_t stride, const double *table, const unsigned short *mask, Scratch *w, float *image,
                   double *unrounded, double *statistics) noexcept nogil:
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
            if unrounded != NULL:
                w.precise = unrounded + at
            render_tile(p, sources, tables, cells, stride, table,
                        <const unsigned short *>NULL if mask == NULL else mask + at,
                        slow, fast, n, w, image + at)
            if w.dropped:
                return
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


cdef void deviations_of(const nb_job *p, const float *image, double mean, int lane, int lanes,
                        double *sums) noexcept nogil:
    """Sums of (pixel - mean)^2 of `lanes` of the TILE columns of every tile, from column `lane` on."""
    cdef int slow, fast, n
    cdef const float *row
    for slow in range(p.slow_min, p.slow_max + 1):
        row = image + <Py_ssize_t>slow * p.fpixels
        fast = p.fast_min + lane
        while fast <= p.fast_max:
            n = p.fast_max - fast + 1
            add_deviations(n if n < lanes else lanes, row + fast, mean, sums + lane)
            fast += TILE


def squared_deviations(Job job, const float[:, ::1] image, double mean, int threads=1):
    """Sum of (pixel - mean)^2 over the region of interest, masked pixels (0) included, and the number of pixels.

    Threads take columns of the tiles, so that every sum is added up in the same order, however many there are.
    """
    cdef const nb_job *p = &job.p
    cdef int i, width = p.fast_max - p.fast_min + 1, height = p.slow_max - p.slow_min + 1
    cdef const float *data
    cdef double sums[TILE]
    if width <= 0 or height <= 0:
        return 0.0, 0
    data = &image[0, 0]
    for i in range(TILE):
        sums[i] = 0.0
    if threads < 2 or <long>width * height < DEVIATIONS_FROM:
        with nogil:
            deviations_of(p, data, mean, 0, TILE, sums)
    else:
        for i in prange(TILE // LINE, nogil=True, schedule="static", num_threads=min(threads, TILE // LINE)):
            deviations_of(p, data, mean, i * LINE, LINE, sums)
    return total(sums), <long>width * height
