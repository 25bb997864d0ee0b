# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Derivatives of the image on the CPU: the same steps as in render.pyx, with the slopes of each.

`reverse` gives what a weighted sum of pixels changes by, for every number that the loops know: cell vectors of every
orientation, sources, detector, factors, structure factors. `forward` gives what pixels change by, for changes of those
numbers. What the numbers follow from is nanobragg_py/gradients/'s business.

Rows are divided into as many parts as memory allows, whatever the threads; each part has sums of its own, which are
added in order: results are the same bit for bit for any number of threads.
"""

from cython.parallel cimport parallel
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, sqrt
from libc.stdlib cimport free
from libc.string cimport memset

from nanobragg_py.kernels.formulas.formulas cimport *
from nanobragg_py.kernels.loops.job cimport Job
from nanobragg_py.kernels.loops.threads cimport NB_PARALLEL, NB_THREAD, nb_aligned
from nanobragg_py.kernels.loops.watch cimport begin_portions, begin_watch, end_watch, nb_leave, nb_take

from nanobragg_py.kernels.memory.buffers cimport Buffer

include "scratch.pxi"
include "geometry.pxi"
include "indices.pxi"
include "rows.pxi"
include "slopes.pxi"
include "adjoint.pxi"

#: where a number begins among those that derivatives are by, how many there are, and how many more for each source
LAYOUT = {
    "origin": (ORIGIN, 3), "fast": (FAST, 3), "slow": (SLOW, 3), "normal": (NORMAL, 3), "beam": (BEAM, 3),
    "distance": (DISTANCE, 1), "close_distance": (CLOSE, 1), "scale": (SCALE, 1), "background": (BACKGROUND, 1),
    "factor": (FACTOR, 1), "shape": (SHAPE, NB_BY_SHAPE), "cell": (CELL, 9),
    "diffuse": (DIFFUSE, 1),
}
SOURCES_BEGIN = HEAD
SOURCE_NUMBERS = PER_SOURCE

cdef enum:
    PARTS = 64         # that rows are divided into, at most
    PIXEL_BYTES = 64   # of sums a pixel, at most (but for one part)


cdef int number_of_parts(const nb_job *p, Py_ssize_t bytes_each) noexcept:
    cdef Py_ssize_t height = p.slow_max - p.slow_min + 1, most
    most = PIXEL_BYTES * <Py_ssize_t>(p.fast_max - p.fast_min + 1) * height // (bytes_each if bytes_each > 0 else 1)
    return <int>max(1, min(PARTS, height, most))


cdef void rows_of_part(const Task *t, Work *k, int part, int parts, int round, int rows) noexcept nogil:
    """The `rows` rows of a part whose turn it is."""
    cdef const nb_job *p = t.p
    cdef int height = p.slow_max - p.slow_min + 1
    cdef int begin = p.slow_min + <int>(<Py_ssize_t>height * part // parts)
    cdef int end = p.slow_min + <int>(<Py_ssize_t>height * (part + 1) // parts)
    cdef int slow, fast, n
    begin += round * rows
    if begin + rows < end:
        end = begin + rows
    for slow in range(begin, end):
        fast = p.fast_min
        while fast <= p.fast_max:
            n = p.fast_max + 1 - fast
            if n > TILE:
                n = TILE
            slope_tile(t, k, slow, fast, n)
            if k.w.dropped:
                return
            fast += n


cdef struct Sums:
    # of all parts, one after the other, or NULL
    double *numbers
    double *turned
    double *table
    Py_ssize_t table_size
    Py_ssize_t pad


cdef void take_parts(const Task *t, Work *k, const Sums *sums, int parts, int round, int rows) noexcept nogil:
    """One thread's share of the parts."""
    cdef Py_ssize_t part = nb_take(k.w.watch)
    while part < parts and not k.w.dropped:
        k.sums = sums.numbers + part * t.size
        k.turned = sums.turned + part * 9 * t.stride
        k.table = <double *>NULL if sums.table == NULL else sums.table + part * sums.table_size + sums.pad
        rows_of_part(t, k, <int>part, parts, round, rows)
        part = nb_take(k.w.watch)
    nb_leave(k.w.watch)


cdef void add_parts(const double *parts, Py_ssize_t size, int count, double *sums) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(count):
        for j in range(size):
            sums[j] += parts[i * size + j]


cdef struct Loops:
    # of the level that was chosen (nb_levels.h)
    void (*lay_out_work)(Work *k, const Task *t, double *memory, nb_watch *watch) noexcept nogil
    void (*take_parts)(const Task *t, Work *k, const Sums *sums, int parts, int round, int rows) noexcept nogil
    void (*add_parts)(const double *parts, Py_ssize_t size, int count, double *sums) noexcept nogil

include "levels.pxi"


cdef void fill_loops "nb_fill_loops"(void *table) noexcept:
    cdef Loops *of_level = <Loops *>table
    of_level.lay_out_work = lay_out_work
    of_level.take_parts = take_parts
    of_level.add_parts = add_parts


cdef int run(Job job, Task *t, int threads, int parts, const Sums *sums) except -1:
    """All rows."""
    cdef const nb_job *p = t.p
    cdef int height = p.slow_max - p.slow_min + 1, width = p.fast_max - p.fast_min + 1, i, rows, round = 0
    cdef Py_ssize_t each = workspace(t)
    cdef double cost = 5e-9 * job.steps_per_pixel * width * parts
    cdef double *memory
    cdef Work *work
    cdef nb_watch watch
    if width <= 0 or height <= 0:
        return 0
    if threads < 1 or not NB_PARALLEL:
        threads = 1
    if threads > parts:
        threads = parts
    # rows of every part between two times that threads wait for one another: about a tenth of a second
    rows = <int>(0.1 * threads / cost) + 1 if cost < 0.1 * threads else 1
    each = (each + 7) // 8 * 8
    memory = <double *>nb_aligned(threads * each * sizeof(double))
    work = <Work *>nb_aligned(threads * sizeof(Work))
    if memory == NULL or work == NULL:
        free(memory)
        free(work)
        raise MemoryError("no memory for the kernels' workspace")
    try:
        memset(memory, 0, threads * each * sizeof(double))
        for i in range(threads):
            loops.lay_out_work(&work[i], t, memory + i * each, &watch)
        begin_watch(&watch)
        while round * rows * parts < height + parts * rows:
            begin_portions(&watch)
            with nogil, parallel(num_threads=threads):
                loops.take_parts(t, work + NB_THREAD, sums, parts, round, rows)
            end_watch(&watch)
            round += 1
            PyErr_CheckSignals()
    finally:
        free(memory)
        free(work)
    return 0


cdef void set_task(Task *t, Job job, bint geometry, bint shape):
    memset(t, 0, sizeof(Task))
    t.p = &job.p
    t.sources = job.source_data
    t.cells = job.orientation_data
    t.table = job.table_data
    t.mask = job.mask_data
    t.stride = job.stride
    t.geometry = geometry
    t.shape = shape
    t.size = HEAD + PER_SOURCE * job.p.sources


cdef int check_image(Job job, const double[:, ::1] image) except -1:
    if image.shape[0] != job.p.spixels or image.shape[1] != job.p.fpixels:
        raise ValueError(f"{image.shape[0]} x {image.shape[1]} pixels, not {job.p.spixels} x {job.p.fpixels}")
    return 0


cdef Buffer added(Buffer parts, Py_ssize_t size, int count):
    """The sum of `count` parts of `size` numbers, in order."""
    cdef Buffer sums = Buffer(size, "d")
    loops.add_parts(<const double *>parts.data, size, count, <double *>sums.data)
    return sums


def reverse(Job job, const double[:, ::1] weights, double[:, ::1] image, bint geometry, bint shape, bint table,
            int threads=1):
    """Derivatives of the sum of weights * image, by the numbers of the loops.

    weights, image: float64 (slow, fast). geometry: whether those by sources and detector are wanted; shape: those by
    the shape's numbers; table: those by structure factors.
    Returns (numbers, turned, table): numbers as LAYOUT has it, then those of the sources (those of the unrotated cell
    are left 0); by the cell vectors of the orientations, (9, stride); by the table's elements, with the pad before its
    first, or None.
    """
    cdef Task t
    cdef Sums totals
    cdef int parts
    cdef Py_ssize_t elements = 0, pad = 0
    cdef Buffer sums, turned, by_elements = None
    set_task(&t, job, geometry, shape)
    check_image(job, weights)
    check_image(job, image)
    t.reverse = True
    t.outer = &weights[0, 0]
    t.image = &image[0, 0]
    if table:
        pad = job.table.pad
        elements = job.table.nbytes // 8 + pad
    parts = number_of_parts(&job.p, 8 * (elements + t.size + 9 * t.stride))
    sums = Buffer(parts * t.size, "d")
    turned = Buffer(parts * 9 * t.stride, "d")
    if table:
        by_elements = Buffer(parts * elements, "d")
    totals.numbers = <double *>sums.data
    totals.turned = <double *>turned.data
    totals.table = NULL if by_elements is None else <double *>by_elements.data
    totals.table_size = elements
    totals.pad = pad
    run(job, &t, threads, parts, &totals)
    return (added(sums, t.size, parts), added(turned, 9 * t.stride, parts),
            None if by_elements is None else added(by_elements, elements, parts))


def forward(Job job, const double[:, ::1] changes, const int[::1] own, const double[:, :, ::1] orientations,
            const double[:, ::1] turns, const double[::1] table, double[:, :, ::1] out, double[:, ::1] image,
            bint geometry, bint shape, int threads=1):
    """The pixels' changes for changes of the loops' numbers.

    changes: (count, numbers), as LAYOUT has them, then those of the sources. orientations: (some, 9, stride), changes
    of the orientations' cell vectors, or None; own: for each change, which of them is its own, or -1. turns: (9,
    stride), row-major matrices that turn the cell, or None where no change has one of the cell. table: changes of the
    table's elements, with the pad before its first, for the first change; or None. geometry, shape: whether any change
    has numbers of sources or detector, or of the shape.
    out: (count, slow, fast), image: (slow, fast), zeroed; they take the changes and the image.
    """
    cdef Task t
    cdef Sums none
    set_task(&t, job, geometry, shape)
    check_image(job, image)
    if changes.shape[1] != t.size or out.shape[0] != changes.shape[0] or own.shape[0] != changes.shape[0]:
        raise ValueError("changes, own and out must agree")
    if out.shape[1] != image.shape[0] or out.shape[2] != image.shape[1]:
        raise ValueError("out and image must agree")
    t.count = <int>changes.shape[0]
    t.changes = &changes[0, 0]
    t.direction = &own[0]
    t.image = &image[0, 0]
    t.out = &out[0, 0, 0]
    if orientations is not None:
        if orientations.shape[1] != 9 or orientations.shape[2] != t.stride:
            raise ValueError("orientations must be (some, 9, stride)")
        t.directions = <int>orientations.shape[0]
        t.orientations = &orientations[0, 0, 0]
    if turns is not None:
        if turns.shape[0] != 9 or turns.shape[1] != t.stride:
            raise ValueError("turns must be (9, stride)")
        t.cell = True
        t.turns = &turns[0, 0]
    if table is not None:
        if job.table is None or table.shape[0] != job.table.nbytes // 8 + job.table.pad:
            raise ValueError("the change of the table must have its size")
        t.table_change = &table[job.table.pad]
    memset(&none, 0, sizeof(Sums))
    run(job, &t, threads, <int>min(PARTS, max(1, job.p.slow_max - job.p.slow_min + 1)), &none)
