# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The point spread of a detector: every pixel's photons over its neighbours, byte for byte as the reference does it.

The reference walks over the sources in image order and rounds the target to float32 after every tap, so that what an
output pixel gets depends on the order of its sources, and on nothing else. So there are two ways to the same bytes:
`gather` sums a block of outputs in registers over all sources around it, `scatter` adds the taps of each source to the
outputs, within a band of rows. The first is for sources that are many and reach equally far, the second for the rest.
Threads share the outputs out; each of them passes over all sources that reach its own.

A tap that lands one step beyond the right edge counts in the first column of the row below. Only that column has
sources that come twice: `gather` leaves it to `exact_pixel`, `scatter` adds such a tap after the source's others.

To be compiled without fused multiply-adds.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.math cimport M_PI, atan, ceil, erf, exp, log, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from nanobragg_py.kernels.formulas.formulas cimport nb_inf, nb_outf
from nanobragg_py.kernels.loops.watch cimport begin_portions, begin_watch, end_watch, nb_watch
from nanobragg_py.kernels.loops.watch cimport nb_dropped, nb_leave, nb_stopped, nb_take_apart
from nanobragg_py.kernels.memory.buffers cimport Borrowed, Buffer

cdef extern from "nb_elementary.h" nogil:
    double nb_log(double x)

cdef extern from "nb_spread.h" nogil:
    enum:
        NB_LANES
        NB_BLOCK
        NB_CHAINS
    ctypedef struct nb_floats:
        pass
    void nb_gather_row(nb_floats *sum, const double *source, const double *tap, long taps)
    void nb_gather_row_within(nb_floats *sum, const double *source, const double *reach, const double *tap,
                              double square, long taps)
    void nb_scatter(float *out, long stride, const double *tap, long side, const int *half, long rows, int left,
                    int right, double source)
    float nb_maximum(const float *value, long n)

cdef extern from *:
    """
    typedef int *__restrict nb_outr;
    typedef double *__restrict nb_outd;
    """
    ctypedef int *nb_outr
    ctypedef double *nb_outd

cdef enum:
    GAUSS = 1
    FIBER = 2
    BAND = 32  # rows of outputs that are added to together, at least
    # The rows of a band are this far apart, but for whole pages. One below the other in a page, they would be taken for
    # one another by a processor that reads before what it is writing is written, and share their places in a cache.
    PERIOD = 1024
    SHIFT = 144
    SOURCE = 8  # what a source counts beside its taps, in the steps of nb_watch.h

#: the factor between the width of a fiber's point spread and its g
cdef double FIBER_G = 0.652383013252053
#: nanoseconds, roughly, for a tap of each kind and for a row of a source's taps: they only decide which way is taken
cdef double GATHER_TAP = 0.2, WITHIN_TAP = 0.35, SCATTER_TAP = 0.25, SCATTER_ROW = 3.0

cdef struct Spread:
    int kind
    double width    # full width at half maximum, pixels
    double g
    Py_ssize_t fast, slow
    int limit       # no radius is larger
    int reach       # radius of the kernel
    int one_radius  # of every source; 0: each has its own
    const double *kernel  # (2 reach + 1) rows of as many
    const int *extent     # of each row of the kernel: the largest |dx| with a tap that is not 0, or -1
    const int *half       # half[r(r+1) + dy]: the largest dx with dx^2 + dy^2 <= r^2 and a tap that is not 0, or 0
    const float *image
    const int *radius     # of each source, NULL with one radius
    float *out
    float *band           # a band of outputs for every thread, in rows of `stride`
    Py_ssize_t band_size
    Py_ssize_t stride
    double *share         # of each radius, where it was asked for yet (see `share_of`)
    double *lost          # what falls outside
    nb_watch *watch

include "spread_taps.pxi"
include "spread_rows.pxi"

cdef struct Loops:
    # of the level that was chosen (nb_levels.h); its vectors' lanes, and the outputs that are gathered at once
    int lanes, block
    void (*fill_kernel)(const Spread *p, double *kernel, double *scratch) noexcept nogil
    void (*trim_kernel)(const Spread *p, double *kernel, int *extent) noexcept nogil
    void (*find_radii)(const Spread *p, int n, nb_inf photons, double *steps, nb_outr radius) noexcept nogil
    void (*look_over)(const Spread *p, Py_ssize_t y, Sources *row) noexcept nogil
    void (*pad_row)(const Spread *p, const Padded *q, Py_ssize_t y) noexcept nogil
    void (*take_portions)(const Spread *p, const Padded *q, int kind, Py_ssize_t portions,
                          Py_ssize_t height) noexcept nogil
    void (*add_to_all)(Py_ssize_t n, double share, nb_outf out) noexcept nogil
    double (*lost_photons)(const Spread *p) noexcept nogil
    float (*maximum)(const float *value, long n) noexcept nogil

include "levels.pxi"


cdef float maximum_of(const float *value, long n) noexcept nogil:
    return nb_maximum(value, n)


cdef void fill_loops "nb_fill_loops"(void *table) noexcept:
    cdef Loops *of_level = <Loops *>table
    of_level.lanes = NB_LANES
    of_level.block = NB_BLOCK
    of_level.fill_kernel = fill_kernel
    of_level.trim_kernel = trim_kernel
    of_level.find_radii = find_radii
    of_level.look_over = look_over
    of_level.pad_row = pad_row
    of_level.take_portions = take_portions
    of_level.add_to_all = add_to_all
    of_level.lost_photons = lost_photons
    of_level.maximum = maximum_of


# ---- the whole image -----------------------------------------------------------------------------------------------

cdef double circle(double radius) noexcept nogil:
    """About how many taps a source of that radius has."""
    return M_PI * radius * radius + 1.0


def maximum(image):
    """The largest of the float32 values of a buffer, and at least 0; nan does not count."""
    cdef Borrowed source = Borrowed(image, "f")
    return <double>loops.maximum(<const float *>source.data, source.count)


def automatic_radius(double photons, bint fiber, double width, int limit):
    """The radius at which a tenth of the Poisson error of a pixel falls outside, 1 at least; `limit` beyond an int.

    This is the reference's formula for the kernel; that for single pixels can differ from it by its rounding.
    """
    cdef double lost = sqrt(photons) / 10.0, steps
    if fiber:
        steps = width * FIBER_G * (photons / lost)
    else:
        steps = sqrt(-log(lost / photons) / log(4.0) / 2.0) * width
    return limit if steps > 2147483646.0 else radius_of(steps, 2147483647)


cdef void set_kind(Spread *p, bint fiber, double width, int reach) noexcept:
    p.kind = FIBER if fiber else GAUSS
    p.width = width
    p.g = width * FIBER_G
    p.reach = reach


cdef Buffer make_kernel(Spread *p):
    """The taps as a float64 Buffer of shape (dy, dx), which p gets to know; those beyond the radius are there yet."""
    cdef Py_ssize_t side = 2 * <Py_ssize_t>p.reach + 1
    cdef Buffer taps = Buffer((side, side), "d", False)
    cdef Buffer scratch = Buffer(max(4 * side, <Py_ssize_t>(p.reach + 1) * (p.reach + 1)), "d", False)
    cdef double *kernel = <double *>taps.data
    with nogil:
        loops.fill_kernel(p, kernel, <double *>scratch.data)
    end_watch(p.watch)
    p.kernel = kernel
    return taps


def kernel(bint fiber, double width, int reach):
    """(taps, share): what falls on each pixel around a source, float64 of shape (dy, dx), and what falls outside.

    fiber, width, reach: as for `spread`.
    """
    cdef Spread p
    cdef nb_watch watch
    cdef Buffer taps, extent
    begin_watch(&watch)
    p.watch = &watch
    set_kind(&p, fiber, width, reach)
    taps = make_kernel(&p)
    extent = Buffer(2 * <Py_ssize_t>reach + 1, "i", False)
    loops.trim_kernel(&p, <double *>taps.data, <int *>extent.data)
    return taps, escaping(&p, 1.0, share_of(&p, reach))


def spread(image, out, bint fiber, double width, int given, int reach, int threads):
    """Spread every pixel's photons; returns the photons that fell beyond the radii, which are added back evenly.

    image: float32 of shape (slow, fast). out: the same, zeroed, filled. fiber: the kind, else a Gaussian. width: full
    width at half maximum in pixels, > 0 and finite. given: the radius that the user wants, 0 for an automatic one of
    every pixel, negative for no spreading at all. reach: radius of the kernel, at most the image's larger side.
    threads: the result does not depend on them.
    """
    cdef Borrowed source = Borrowed(image, "f"), target = Borrowed(out, "f")
    cdef Buffer taps_around, extent, radii, steps, shares, rows
    cdef Spread p
    cdef nb_watch watch
    cdef Py_ssize_t y
    cdef double lost = 0.0, share, sources, taps, lines
    cdef Sources all
    cdef Sources *row
    cdef const float *photons
    cdef double *scratch
    cdef int *found = NULL
    begin_watch(&watch)
    p.watch = &watch
    p.slow, p.fast = memoryview(image).shape
    if memoryview(out).shape != memoryview(image).shape:
        raise ValueError("the image and what it is spread into must have the same shape")
    set_kind(&p, fiber, width, reach)
    p.limit = <int>max(p.fast, p.slow)
    p.image = photons = <const float *>source.data
    p.out = <float *>target.data
    p.one_radius = min(given, p.limit)
    p.radius = NULL
    p.half = NULL
    taps_around = make_kernel(&p)
    extent = Buffer(2 * <Py_ssize_t>reach + 1, "i", False)
    loops.trim_kernel(&p, <double *>taps_around.data, <int *>extent.data)
    p.extent = <const int *>extent.data
    shares = Buffer(<Py_ssize_t>p.limit + 1, "d")
    p.share = <double *>shares.data
    p.lost = &lost
    rows = Buffer(p.slow * <Py_ssize_t>sizeof(Sources), "B", False)
    row = <Sources *>rows.data

    if given == 0:
        radii = Buffer(source.count, "i", False)
        steps = Buffer(source.count, "d", False)
        p.radius = found = <int *>radii.data
        scratch = <double *>steps.data
    for y in prange(p.slow, nogil=True, num_threads=threads):
        if found != NULL:
            loops.find_radii(&p, <int>p.fast, photons + y * p.fast, scratch + y * p.fast, found + y * p.fast)
        loops.look_over(&p, y, &row[y])
    all = add_up(row, p.slow, p.limit)
    sources, taps, lines = <double>all.count, M_PI * all.squares + all.count, 2.0 * all.radii + all.count
    if given < 0 or sources == 0:
        lost = loops.lost_photons(&p)
    elif not all.finite:
        share_portions(&p, NULL, EXACT, p.slow, 1, threads)
    elif (<double>source.count * circle(all.most) * (GATHER_TAP if all.least == all.most else WITHIN_TAP)
            <= taps * SCATTER_TAP + lines * SCATTER_ROW):
        gather(&p, all.least, all.most, threads)
    else:
        scatter(&p, all.most, threads)
    share = lost / source.count
    for y in prange(p.slow, nogil=True, num_threads=threads):
        loops.add_to_all(p.fast, share, p.out + y * p.fast)
    return lost


cdef int share_portions(const Spread *p, const Padded *q, int kind, Py_ssize_t portions, Py_ssize_t height,
                        int threads) except -1:
    """Have threads take the outputs in portions of `height` rows, and one of them find out what falls outside."""
    begin_portions(p.watch)
    with nogil, parallel(num_threads=threads):
        loops.take_portions(p, q, kind, portions, height)
    return end_watch(p.watch)


cdef int gather(Spread *p, int least, int most, int threads) except -1:
    cdef Padded q
    cdef Buffer photons, square
    cdef Py_ssize_t y, blocks = (p.fast + loops.block - 1) // loops.block
    q.margin = <int>min(<Py_ssize_t>most, p.fast - 1)
    q.least = least
    q.stride = 2 * q.margin + blocks * loops.block
    q.square = NULL
    photons = Buffer(p.slow * q.stride, "d", False)
    q.photons = <double *>photons.data
    if least != most:
        square = Buffer(p.slow * q.stride, "d", False)
        q.square = <double *>square.data
    for y in prange(p.slow, nogil=True, num_threads=threads):
        loops.pad_row(p, &q, y)
    share_portions(p, &q, GATHERED, p.slow, 1, threads)
    return 0


cdef int scatter(Spread *p, int most, int threads) except -1:
    cdef Buffer halves = Buffer(<Py_ssize_t>(most + 1) * (most + 1), "i", False)
    cdef Buffer taps, outputs
    cdef int *half = <int *>halves.data
    cdef Py_ssize_t r, dy, dx, height, side = 2 * <Py_ssize_t>p.reach + 1
    p.half = half
    with nogil:
        for r in range(most + 1):
            dx = r
            for dy in range(r + 1):
                while dx * dx + dy * dy > r * r:
                    dx -= 1
                half[r * r + r + dy] = half[r * r + r - dy] = max(
                    0, <int>min(dx, <Py_ssize_t>max(p.extent[p.reach + dy], p.extent[p.reach - dy])))
    # high enough for few sources to be passed over often, and enough of them to share
    height = max(BAND, <Py_ssize_t>most // 2)
    height = min(height, max(1, (p.slow + 4 * threads - 1) // (4 * threads))) if threads > 1 else height
    p.stride = p.fast + loops.lanes
    p.stride += (SHIFT - p.stride) & (PERIOD - 1)
    p.band_size = height * p.stride
    outputs = Buffer(threads * p.band_size, "f", False)
    p.band = <float *>outputs.data
    taps = Buffer(side * side + loops.lanes, "d", False)  # what is read behind the last one
    memcpy(taps.data, p.kernel, side * side * sizeof(double))
    p.kernel = <double *>taps.data
    share_portions(p, NULL, SCATTERED, (p.slow + height - 1) // height, height, threads)
    return 0
