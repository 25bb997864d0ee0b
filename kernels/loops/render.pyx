# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The image on the CPU: rows of tiles, parallel over tiles, the sum of every contribution to every pixel.

What `Loops` names is compiled several times, for several levels of the x86-64 instruction set (see nb_levels.h); the
level is picked by `nanobragg_py.render.backends`. A pixel is computed by one thread, from start to end, in an order
that depends on nothing but the experiment: results are the same bit for bit for any number of threads.
"""

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport parallel, prange
from libc.math cimport fabs, sqrt
from libc.stdlib cimport free
from libc.string cimport memset

from nanobragg_py.kernels.formulas.formulas cimport *
from nanobragg_py.kernels.loops.job cimport Job
from nanobragg_py.kernels.loops.threads cimport NB_PARALLEL, NB_THREAD, nb_aligned, nb_now
from nanobragg_py.kernels.loops.watch cimport begin_portions, begin_watch, end_watch, nb_leave, nb_take_apart, nb_watch

include "scratch.pxi"
include "geometry.pxi"
include "indices.pxi"
include "rows.pxi"
include "sums.pxi"
include "tile.pxi"
include "bands.pxi"
include "still.pxi"

cdef enum:
    PORTIONS = 4  # of a band, for every thread: at its end few wait for the last one
    LINE = 16  # pixels of a cache line: what one thread takes of each tile's columns, at least
    DEVIATIONS_FROM = 1 << 18  # pixels, below which threads take longer to begin than to add up

#: True when this build can use more than one thread
PARALLEL = bool(NB_PARALLEL)

cdef struct Loops:
    # of the level that was chosen
    void (*take_portions)(const Stretch *stretch, Py_ssize_t items, Scratch *w, double *statistics) noexcept nogil
    long (*unmasked)(const nb_job *p, const unsigned short *mask, int first, int last) noexcept nogil
    void (*deviations_of)(const nb_job *p, const float *image, Py_ssize_t pitch, double mean, int lane, int lanes,
                          double *sums) noexcept nogil
    double (*total)(int width, double *values) noexcept nogil

include "levels.pxi"


cdef void fill_loops "nb_fill_loops"(void *table) noexcept:
    cdef Loops *of_level = <Loops *>table
    nb_ask_for_turns()
    of_level.take_portions = take_portions
    of_level.unmasked = unmasked
    of_level.deviations_of = deviations_of
    of_level.total = total


# ---- the image -----------------------------------------------------------------------------------------------------

def render(Job job, image, int threads=1, progress=None, override=None, exact=None, precise=None):
    """Render into `image` (slow, fast), float32, which must be zeroed outside the region of interest.

    threads: at most this many. progress: called with the number of pixels of the region of interest that are done,
    now and then. override: (slow, fast, value) of a pixel that was worked out elsewhere (`-compat c`). exact: None, or
    what gives a pixel's value, from its (slow, fast), where these loops give no number. precise: None, or a float64
    image, zeroed like the other, that holds the same pixels before they are rounded.
    Returns (sum, sum of squares, pixels, maximum, its (slow, fast), solid angle sum, steps outside the interpolation
    range, seconds in the loop).
    """
    return render_panels([job], [image], threads, progress, None if precise is None else [precise], override, exact)[0]


def render_panels(list jobs, images, int threads=1, progress=None, precise=None, override=None, exact=None):
    """Render every panel of a detector, a Job and an image each, as `render` does one; a list of what it returns.

    Rows of an image may lie apart, as they do in one that holds several panels.

    All panels are the work of one team of threads, in bands that end where the progress meter looks, not panels. Of the
    seconds each has a part, by what it was expected to cost; where its maximum lies is looked for on those panels only
    that have the largest of all.
    """
    cdef int count = len(jobs), number, row, height, t, taken, wanted
    cdef nb_watch watch
    cdef Py_ssize_t item, items, most = 0, room = 0
    cdef double begin, seconds, budget, spent
    cdef long pixels = 0
    cdef double *memory = NULL
    cdef double *statistics = NULL
    cdef Scratch *scratch = NULL
    cdef Panel *panels = NULL
    cdef Stretch *band = NULL
    cdef Stretch *stretch
    cdef Panel *panel
    cdef Portion marked
    cdef double *st
    panels = <Panel *>nb_aligned(count * sizeof(Panel))
    band = <Stretch *>nb_aligned(count * sizeof(Stretch))
    try:
        if panels == NULL or band == NULL:
            raise MemoryError("no memory for the kernels' workspace")
        for number in range(count):
            cut(&panels[number], jobs[number], images[number], None if precise is None else precise[number])
            height = panels[number].p.slow_max - panels[number].row + 1
            most += panels[number].across * <Py_ssize_t>((height + panels[number].lines - 1) // panels[number].lines)
        if threads < 1 or not NB_PARALLEL:
            threads = 1
        if threads > most:
            threads = max(most, 1)
        memory = <double *>nb_aligned(threads * SCRATCH_DOUBLES * sizeof(double))
        scratch = <Scratch *>nb_aligned(threads * sizeof(Scratch))
        if memory == NULL or scratch == NULL:
            raise MemoryError("no memory for the kernels' workspace")
        for t in range(threads):
            lay_out(&scratch[t], memory + t * SCRATCH_DOUBLES, &watch)
            if override is not None:
                scratch[t].row, scratch[t].column, scratch[t].value = override
        begin_watch(&watch)
        number = 0
        while number < count:
            # rows between two looks at the progress meter: about 20 ms of work, and several portions for every thread
            budget = 0.02 * threads
            spent = 0.0
            items = 0
            taken = 0  # stretches, at most one of a panel
            while number < count > taken and (budget > spent or (threads > 1 and items < PORTIONS * threads)):
                panel = &panels[number]
                row = panel.row
                if row > panel.p.slow_max or panel.across == 0:
                    number += 1
                    continue
                height = panel.p.slow_max - row + 1
                wanted = <int>((budget - spent) / panel.cost) + 1 if panel.cost < budget - spent else 1
                if threads > 1:
                    wanted = max(wanted, <int>((PORTIONS * threads - items + panel.across - 1) // panel.across))
                panel.row = row + wanted * panel.lines if wanted < height // panel.lines + 1 else row + height
                stretch = &band[taken]
                stretch.panel = panel
                stretch.row = row
                stretch.row_end = panel.row
                stretch.first = items
                wanted = (panel.row - row + panel.lines - 1) // panel.lines
                stretch.cost = wanted * panel.cost
                spent += stretch.cost
                items += <Py_ssize_t>wanted * panel.across
                taken += 1
            if taken == 0:
                break
            if items > room:
                free(statistics)
                statistics = <double *>nb_aligned(items * STATISTICS * sizeof(double))
                if statistics == NULL:
                    raise MemoryError("no memory for the kernels' workspace")
                room = items
            begin = nb_now()
            begin_portions(&watch)
            if threads == 1:
                with nogil:
                    loops.take_portions(band, items, scratch, statistics)
            else:
                with nogil, parallel(num_threads=threads):
                    loops.take_portions(band, items, scratch + NB_THREAD, statistics)
            end_watch(&watch)
            seconds = nb_now() - begin
            for t in range(taken):
                stretch = &band[t]
                panel = stretch.panel
                panel.clock += seconds * (stretch.cost / spent)
                for item in range(items_of(stretch)):
                    st = statistics + (stretch.first + item) * STATISTICS
                    if exact is not None and st[0] != st[0]:
                        choose_portion(&marked, stretch, item)
                        replace_marked(&marked, panel, exact, st)
                    panel.sum += st[0]
                    panel.squares += st[1]
                    panel.angle += st[2]
                    panel.outside += <long>st[4]
                    if st[3] > panel.top:
                        panel.top = st[3]
                        choose_portion(&panel.best, stretch, item)
                wanted = <int>loops.unmasked(panel.p, panel.mask, stretch.row, stretch.row_end - 1)
                panel.pixels += wanted
                pixels += wanted
            if progress is not None:
                progress(pixels)
            PyErr_CheckSignals()
        top = max([panels[number].top for number in range(count)])
        return [found_of(&panels[number], top) for number in range(count)]
    finally:
        free(memory)
        free(scratch)
        free(statistics)
        free(panels)
        free(band)


def start_threads(int threads):
    """Have OpenMP create its threads now, so that they are awake, and on processors of their own, when there is work.

    The scheduler puts a thread that wakes on an idle processor, but a new one may wait beside its parent for as long as
    a small image takes.
    """
    cdef int _thread
    if threads > 1:
        for _thread in prange(threads, nogil=True, num_threads=threads):
            nb_now()


cdef void take_portions(const Stretch *stretch, Py_ssize_t items, Scratch *w, double *statistics) noexcept nogil:
    """One thread's part in a band, which begins with `stretch` and has so many portions."""
    cdef Py_ssize_t item = nb_take_apart(w.watch, items)
    cdef const nb_job *aimed = NULL
    cdef const Stretch *at = stretch
    while item < items and not w.dropped:
        if item < at.first:
            at = stretch
        while item >= at.first + items_of(at):
            at += 1
        if at.panel.p != aimed:
            aimed = at.panel.p
            aim(w, aimed)
        choose_portion(&w.portion, at, item - at.first)
        one_item(at.panel, w, statistics + item * STATISTICS)
        item = nb_take_apart(w.watch, items)
    nb_leave(w.watch)


cdef void one_item(const Panel *panel, Scratch *w, double *statistics) noexcept nogil:
    """Render one portion of the image, tile by tile, and reduce its statistics."""
    cdef const nb_job *p = panel.p
    cdef const Portion *item = &w.portion
    cdef int slow, fast, n, rows = 1, lanes = LANES, width
    cdef Py_ssize_t at
    cdef bint still = is_still(panel, w)
    cdef nb_once once
    w.outside = 0
    n = item.fast_end - item.fast
    while lanes < n and lanes < TILE:  # as many as tiles have pixels, and not less than LANES
        lanes *= 2
    fill(lanes, 0.0, w.sum)
    fill(lanes, 0.0, w.squares)
    fill(lanes, 0.0, w.angle)
    fill(lanes // 2, 0.0, <double *>w.top)
    if still:
        n = min((n + LANES - 1) // LANES * LANES, <int>TILE)
        rows = TILE // n
        begin_still(panel, rows, n, &once, w)
    slow = item.slow
    while slow < item.slow_end:
        rows = min(rows, item.slow_end - slow)
        fast = item.fast
        while fast < item.fast_end:
            n = item.fast_end - fast
            if n > TILE:
                n = TILE
            if still:
                render_still(panel, slow, rows, fast, n, &once, w,
                             panel.image + slow * panel.pitch + fast)
            else:
                at = <Py_ssize_t>slow * p.fpixels + fast
                w.precise = <double *>NULL if panel.unrounded == NULL else panel.unrounded + at
                render_tile(p, panel.sources, panel.tables, panel.cells, panel.stride, panel.table,
                            <const unsigned short *>NULL if panel.mask == NULL else panel.mask + at,
                            slow, fast, n, w, panel.image + slow * panel.pitch + fast)
            if w.dropped:
                return
            fast += n
        slow += rows
    statistics[0] = total(lanes, w.sum)
    statistics[1] = total(lanes, w.squares)
    # of the sub-pixels and layers, which where they are not looked at one by one have that of the first
    statistics[2] = total(lanes, w.angle) * (1.0 if p.weight_omega else <double>p.layers * p.oversample * p.oversample)
    width = lanes // 2
    while width > 0:
        larger(width, w.top + width, w.top)
        width //= 2
    statistics[3] = w.top[0]
    statistics[4] = w.outside


cdef double total(int width, double *values) noexcept nogil:
    """Sum of so many values, a power of two, which is destroyed: halves are added to halves, in vectors, so that the
    order of the sum does not depend on their length."""
    while width > 1:
        width //= 2
        halve(width, values + width, values)
    return values[0]


cdef void halve(int n, nb_in upper, nb_out lower) noexcept nogil:
    cdef int i
    for i in range(n):
        lower[i] = lower[i] + upper[i]


cdef void larger(int n, nb_inf upper, nb_outf lower) noexcept nogil:
    cdef int i
    for i in range(n):
        lower[i] = upper[i] if upper[i] > lower[i] else lower[i]


cdef long unmasked(const nb_job *p, const unsigned short *mask, int first, int last) noexcept nogil:
    """Pixels of the region of interest, in rows `first` to `last`, that the mask leaves."""
    cdef long count = 0
    cdef int slow, fast
    cdef const unsigned short *row
    if mask == NULL:
        return <long>(p.fast_max - p.fast_min + 1) * (last - first + 1)
    for slow in range(first, last + 1):
        row = mask + <Py_ssize_t>slow * p.fpixels
        for fast in range(p.fast_min, p.fast_max + 1):
            count += row[fast] != 0
    return count


cdef void add_deviations(int n, nb_inf image, double mean, nb_out sums) noexcept nogil:
    cdef int i
    cdef double d
    for i in range(n):
        d = image[i] - mean
        sums[i] = sums[i] + d * d


cdef void deviations_of(const nb_job *p, const float *image, Py_ssize_t pitch, double mean, int lane, int lanes,
                        double *sums) noexcept nogil:
    """Sums of (pixel - mean)^2 of `lanes` of the TILE columns of every tile, from column `lane` on."""
    cdef int slow, fast, n
    cdef const float *row
    for slow in range(p.slow_min, p.slow_max + 1):
        row = image + slow * pitch
        fast = p.fast_min + lane
        while fast <= p.fast_max:
            n = p.fast_max - fast + 1
            add_deviations(n if n < lanes else lanes, row + fast, mean, sums + lane)
            fast += TILE


def squared_deviations(Job job, const float[:, :] image, double mean, int threads=1):
    """Sum of (pixel - mean)^2 over the region of interest, masked pixels (0) included, and the number of pixels.

    Threads take columns of the tiles, so that every sum is added up in the same order, however many there are.
    """
    cdef const nb_job *p = &job.p
    cdef int i, width = p.fast_max - p.fast_min + 1, height = p.slow_max - p.slow_min + 1
    cdef const float *data
    cdef Py_ssize_t pitch
    cdef double sums[TILE]
    if width <= 0 or height <= 0:
        return 0.0, 0
    data = &image[0, 0]
    pitch = image.strides[0] // <Py_ssize_t>sizeof(float)
    for i in range(TILE):
        sums[i] = 0.0
    if threads < 2 or <long>width * height < DEVIATIONS_FROM:
        with nogil:
            loops.deviations_of(p, data, pitch, mean, 0, TILE, sums)
    else:
        for i in prange(TILE // LINE, nogil=True, schedule="static", num_threads=min(threads, TILE // LINE)):
            loops.deviations_of(p, data, pitch, mean, i * LINE, LINE, sums)
    return loops.total(TILE, sums), <long>width * height
