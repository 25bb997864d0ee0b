# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The image of amorphous material on the CPU: portions of rows, parallel over portions.

What `Loops` names is compiled for several levels of the instruction set, as in render.pyx. A portion is one thread's
from start to end, and what its size is depends on the image alone: results are the same bit for bit for any number of
threads.
"""

from cython.parallel cimport parallel, prange
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free

from nanobragg_py.kernels.loops.amorphous cimport BackgroundJob, nb_background
from nanobragg_py.kernels.loops.threads cimport NB_PARALLEL, NB_THREAD, nb_aligned, nb_now
from nanobragg_py.kernels.loops.watch cimport begin_portions, begin_watch, end_watch, nb_leave, nb_take_apart, nb_watch

cdef extern from "nb_background.h" nogil:
    ctypedef struct nb_tile_work:
        long counted
        bint dropped
        nb_watch *watch
    void nb_background_rows(const nb_background *p, int first, int last, nb_tile_work *w, float *image,
                            double *statistics)

cdef enum:
    STATISTICS = 4         # sum, sum of squares, solid angle, maximum
    PORTION_PIXELS = 4096  # of a portion, at least
    PORTIONS = 4           # of a band, for every thread: at its end few wait for the last one

cdef struct Loops:
    # of the level that was chosen
    void (*take_portions)(const nb_background *p, int first, Py_ssize_t items, int lines, int row_end,
                          nb_tile_work *work, float *image, double *statistics) noexcept nogil

include "levels.pxi"


cdef void fill_loops "nb_fill_loops"(void *table) noexcept:
    (<Loops *>table).take_portions = take_portions


def render(BackgroundJob job, float[:, ::1] image, int threads=1, progress=None):
    """Render into `image` (slow, fast), float32, which must be zeroed outside the region of interest.

    threads: at most this many. progress: called with the number of pixels that are done, now and then.
    Returns (sum, sum of squares, pixels, maximum, its (slow, fast), solid angle sum, seconds in the loop).
    """
    cdef const nb_background *p = &job.p
    cdef int width = p.fast_max - p.fast_min + 1, height = p.slow_max - p.slow_min + 1
    cdef int lines, row, band, row_end, first, t
    cdef Py_ssize_t item, items, best = -1
    cdef double total = 0.0, squares = 0.0, top = 0.0, angle = 0.0, clock = 0.0, begin, cost
    cdef double *statistics = NULL
    cdef nb_tile_work *work = NULL
    cdef nb_watch watch
    cdef double *st
    cdef float *data
    if image.shape[0] != p.spixels or image.shape[1] != p.fpixels:
        raise ValueError(f"image is {image.shape[0]} x {image.shape[1]}, the detector {p.spixels} x {p.fpixels}")
    if width <= 0 or height <= 0:
        return 0.0, 0.0, 0, 0.0, None, 0.0, 0.0
    lines = 1 + (PORTION_PIXELS - 1) // width
    # a band of rows between two looks at the progress meter: about 20 ms of work, and several portions for every thread
    cost = 3e-9 * width * p.oversample * p.oversample * (p.directions + 1)
    band = <int>min(<double>height, 0.02 * (threads if threads > 1 else 1) / cost + 1.0)
    band = (band + lines - 1) // lines * lines
    threads = max(1, min(threads if NB_PARALLEL else 1, (height + lines - 1) // lines))
    if threads > 1:
        band = max(band, PORTIONS * threads * lines)
    items = (height + lines - 1) // lines
    statistics = <double *>nb_aligned(items * STATISTICS * sizeof(double))
    work = <nb_tile_work *>nb_aligned(threads * sizeof(nb_tile_work))
    if statistics == NULL or work == NULL:
        free(statistics)
        free(work)
        raise MemoryError("no memory for the kernels' workspace")
    data = &image[0, 0]
    try:
        begin_watch(&watch)
        for t in range(threads):
            work[t].watch = &watch
            work[t].counted = 0
            work[t].dropped = False
        row = 0
        while row < height:
            row_end = min(row + band, height)
            first = row // lines
            items = (row_end - row + lines - 1) // lines
            begin = nb_now()
            begin_portions(&watch)
            if threads == 1:
                with nogil:
                    loops.take_portions(p, first, items, lines, row_end, work, data, statistics)
            else:
                with nogil, parallel(num_threads=threads):
                    loops.take_portions(p, first, items, lines, row_end, work + NB_THREAD, data, statistics)
            end_watch(&watch)
            clock += nb_now() - begin
            for item in range(first, first + items):
                st = statistics + item * STATISTICS
                total += st[0]
                squares += st[1]
                angle += st[2]
                if st[3] > top:
                    top = st[3]
                    best = item
            row = row_end
            if progress is not None:
                progress(<long>row * width)
            PyErr_CheckSignals()
    finally:
        free(statistics)
        free(work)
    where = None if best < 0 else find_first(p, image, p.slow_min + <int>best * lines, <float>top)
    return total, squares, <long>width * height, top, where, angle, clock


cdef void take_portions(const nb_background *p, int first, Py_ssize_t items, int lines, int row_end, nb_tile_work *work,
                        float *image, double *statistics) noexcept nogil:
    """One thread's part in `items` portions from number `first` on."""
    cdef Py_ssize_t item = nb_take_apart(work.watch, items)
    while item < items and not work.dropped:
        one_portion(p, first + item, lines, row_end, work, image, statistics)
        item = nb_take_apart(work.watch, items)
    nb_leave(work.watch)


cdef void one_portion(const nb_background *p, Py_ssize_t item, int lines, int row_end, nb_tile_work *work, float *image,
                      double *statistics) noexcept nogil:
    """The rows of a portion, `lines` of them, before row `row_end` of the region."""
    cdef int row = <int>item * lines
    nb_background_rows(p, p.slow_min + row, p.slow_min + (row + lines if row + lines < row_end else row_end), work,
                       image, statistics + item * STATISTICS)


cdef tuple find_first(const nb_background *p, float[:, ::1] image, int slow, float value):
    """(slow, fast) of the first pixel from row `slow` on that has a value."""
    cdef int fast
    while slow <= p.slow_max:
        for fast in range(p.fast_min, p.fast_max + 1):
            if image[slow, fast] == value:
                return slow, fast
        slow += 1
    return None


def start_threads(int threads):
    """Have OpenMP create its threads now; see render.pyx."""
    cdef int _thread
    if threads > 1:
        for _thread in prange(threads, nogil=True, num_threads=threads):
            nb_now()
