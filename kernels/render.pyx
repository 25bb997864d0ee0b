# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The image on the CPU: rows of tiles, parallel over tiles, the sum of every contribution to every pixel.

This one source is compiled several times, for several levels of the x86-64 instruction set (see setup.py); the level
is picked at import by `nanobragg_py.backends`. A pixel is computed by one thread, from start to end, in an order that
depends on nothing but the experiment: results are the same bit for bit for any number of threads.
"""

from cython.parallel cimport prange
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, sqrt
from libc.stdlib cimport free

from nanobragg_py.kernels.job cimport Job
from nanobragg_py.kernels.loops cimport *

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

cdef enum:
    BLOCK = 64       # orientations whose P, Q, R are worked out together,
    VECTOR = 8       # in multiples of this (the arrays are padded)
    STRETCH = 64     # pixels for which it is asked whether a spot is near
    LANES = 16       # tiles are filled up to a multiple of this
    STATISTICS = 4   # sum, sum of squares, solid angle, maximum

#: True when this build can use more than one thread
PARALLEL = bool(NB_PARALLEL)


cdef struct Portion:
    # what a thread renders at a time: rows slow to slow_end - 1, columns fast to fast_end - 1
    int slow, slow_end, fast, fast_end


cdef struct Scratch:
    # one thread's workspace: arrays of TILE doubles
    double *place      # 0, 1, 2, ...
    double *x          # diffracted unit vector
    double *y
    double *z
    double *inv        # 1/airpath
    double *acc        # the pixel's sum
    double *part       # the sum of one source and sub-step, where it has to be weighted
    double *omega
    double *capture
    double *polar
    double *passed     # 1 where dmin lets a source pass
    double *qx         # scattering vector
    double *qy
    double *qz
    double *h
    double *k
    double *l
    double *weight
    double *cubic      # 12 * TILE
    double *pqr        # 9 * BLOCK
    double along       # of the tile: first pixel's place along the fast axis from the foot of the perpendicular, m,
    double off         # the perpendicular squared, m^2, and a pixel's step, m
    double step
    double *sum        # over the tiles of a strip, pixel by pixel: values,
    double *squares    # their squares,
    double *angle      # solid angles,
    float *top         # and the largest value
    int *element
    long outside       # steps that left the range of interpolation
    Portion portion    # what is being rendered
    int row            # the pixel that was worked out elsewhere (-1: none), and its value
    int column
    float value

cdef enum:
    ARRAYS = 22
    SCRATCH_DOUBLES = (ARRAYS + 12) * TILE + 9 * BLOCK + TILE


cdef void choose_portion(Portion *item, const nb_job *p, Py_ssize_t number, int row, int row_end, int lines, int across,
                         int length) noexcept nogil:
    """Portion `number` of the rows from `row` to `row_end` - 1: `across` of them cover `lines` rows."""
    item.slow = row + <int>(number // across) * lines
    item.slow_end = item.slow + lines if item.slow + lines < row_end else row_end
    item.fast = p.fast_min + <int>(number % across) * length
    item.fast_end = item.fast + length if item.fast + length < p.fast_max + 1 else p.fast_max + 1


cdef void lay_out(Scratch *w, double *memory) noexcept nogil:
    cdef int i
    w.place = memory
    w.x = memory + TILE
    w.y = memory + 2 * TILE
    w.z = memory + 3 * TILE
    w.inv = memory + 4 * TILE
    w.acc = memory + 5 * TILE
    w.part = memory + 6 * TILE
    w.omega = memory + 7 * TILE
    w.capture = memory + 8 * TILE
    w.polar = memory + 9 * TILE
    w.passed = memory + 10 * TILE
    w.qx = memory + 11 * TILE
    w.qy = memory + 12 * TILE
    w.qz = memory + 13 * TILE
    w.h = memory + 14 * TILE
    w.k = memory + 15 * TILE
    w.l = memory + 16 * TILE
    w.weight = memory + 17 * TILE
    w.sum = memory + 18 * TILE
    w.squares = memory + 19 * TILE
    w.angle = memory + 20 * TILE
    w.top = <float *>(memory + 21 * TILE)
    w.cubic = memory + ARRAYS * TILE
    w.pqr = w.cubic + 12 * TILE
    w.element = <int *>(w.pqr + 9 * BLOCK)
    w.outside = 0
    w.row = -1
    w.column = -1
    w.value = 0.0
    for i in range(TILE):
        w.place[i] = i


# ---- geometry of a tile --------------------------------------------------------------------------------------------

cdef void inverse_airpaths(const nb_job *p, int n, double step, const double *start, nb_in place,
                           nb_out inv, Scratch *w) noexcept nogil:
    """1/airpath of the pixels of a flat detector's tile: start + step*i along the fast axis.

    The squared airpath is t^2 + off: t along the fast axis from the foot of the perpendicular, which is sqrt(off) long.
    """
    cdef int i
    # not 1 when a two-theta axis that is no unit vector has turned the detector, which the reference allows
    cdef double length = sqrt(nb_dot(p.fast, p.fast)), along = nb_dot(start, p.fast) / length, off = 0.0, unit, t, d
    for i in range(3):
        d = start[i] - along * p.fast[i] / length
        off += d * d
    step = step * length
    w.along = along
    w.off = off
    w.step = step
    # in units of the first pixel's airpath nb_rsqrt sees numbers near 1, whatever the geometry
    unit = 1.0 / sqrt(along * along + off)
    along = along * unit
    off = off * unit * unit
    step = step * unit
    for i in range(n):
        t = along + step * place[i]
        inv[i] = unit * nb_rsqrt(t * t + off)


cdef void directions(const nb_job *p, int n, double step, const double *start, nb_in place,
                     nb_out x, nb_out y, nb_out z, nb_out inv, Scratch *w) noexcept nogil:
    """Diffracted unit vectors and 1/airpath of the pixels of any tile."""
    cdef int i
    cdef double fx = step * p.fast[0], fy = step * p.fast[1], fz = step * p.fast[2]
    cdef double sx = start[0], sy = start[1], sz = start[2], px, py, pz, r
    if p.curved:
        for i in range(n):
            px = sx + fx * place[i]
            py = sy + fy * place[i]
            pz = sz + fz * place[i]
            nb_curve(p.beam, p.fast, p.slow, p.distance, &px, &py, &pz)
            r = 1.0 / sqrt(px * px + py * py + pz * pz)
            x[i] = px * r
            y[i] = py * r
            z[i] = pz * r
            inv[i] = r
        return
    inverse_airpaths(p, n, step, start, place, inv, w)
    for i in range(n):
        x[i] = (sx + fx * place[i]) * inv[i]
        y[i] = (sy + fy * place[i]) * inv[i]
        z[i] = (sz + fz * place[i]) * inv[i]


cdef void project(int n, const double *axis, nb_in x, nb_in y, nb_in z, nb_out out) noexcept nogil:
    """Components of the diffracted directions along an axis."""
    cdef int i
    for i in range(n):
        out[i] = axis[0] * x[i] + axis[1] * y[i] + axis[2] * z[i]


cdef void project_flat(const nb_job *p, int n, const double *axis, double step, const double *start, nb_in place,
                       nb_in inv, nb_out out) noexcept nogil:
    """The same on a flat detector, where they are (P + Q*i)/airpath."""
    cdef int i
    cdef double first = nb_dot(axis, start), more = step * nb_dot(axis, p.fast)
    for i in range(n):
        out[i] = (first + more * place[i]) * inv[i]


cdef void solid_angles(const nb_job *p, int n, const unsigned short *mask, nb_in inv, double times, nb_out omega,
                       nb_out angle) noexcept nogil:
    """The pixels' solid angles; `times` of each goes into the sum of those that are not masked."""
    cdef int i
    cdef double area = p.pixel * p.pixel, close = p.close_distance
    if p.point_pixel:
        for i in range(n):
            omega[i] = nb_solid_angle(inv[i], area, close, 1)
    else:
        for i in range(n):
            omega[i] = nb_solid_angle(inv[i], area, close, 0)
    if mask == NULL:
        for i in range(n):
            angle[i] = angle[i] + times * omega[i]
    else:
        for i in range(n):
            angle[i] = angle[i] + (times * omega[i] if mask[i] else 0.0)


cdef void captures(const nb_job *p, int n, int layer, nb_out capture) noexcept nogil:
    """Obliquities (in `capture`) to capture fractions."""
    cdef int i
    for i in range(n):
        capture[i] = nb_capture(layer, p.absorption, capture[i])


cdef void polarizations(double kahn, int n, nb_in c, nb_in e, nb_in b, nb_out polar) noexcept nogil:
    """Polarization factors from components along the beam (c) and its E and B vectors."""
    cdef int i
    if kahn == 0.0:
        for i in range(n):
            polar[i] = 0.5 * (1.0 + c[i] * c[i])
    else:
        for i in range(n):
            polar[i] = nb_polarization(kahn, c[i], e[i], b[i])


cdef void scattering(int n, const double *source, nb_in x, nb_in y, nb_in z,
                     nb_out qx, nb_out qy, nb_out qz) noexcept nogil:
    """Scattering vectors (d - s)/lambda."""
    cdef int i
    cdef double sx = source[0], sy = source[1], sz = source[2], w = source[3]
    for i in range(n):
        qx[i] = (x[i] - sx) * w
        qy[i] = (y[i] - sy) * w
        qz[i] = (z[i] - sz) * w


cdef int within_dmin(double dmin, int n, nb_in qx, nb_in qy, nb_in qz, nb_out passed) noexcept nogil:
    """passed = 1 where dmin <= 1/|q| (or q = 0); returns how many of n."""
    cdef int i, count = 0
    cdef double q
    for i in range(n):
        q = sqrt(qx[i] * qx[i] + qy[i] * qy[i] + qz[i] * qz[i])
        passed[i] = 0.0 if (q > 0.0 and dmin > 1.0 / q) else 1.0
    for i in range(n):
        count += passed[i] > 0.0
    return count


# ---- the sum over orientations -------------------------------------------------------------------------------------

cdef void make_pqr(const nb_job *p, int count, nb_in cells, Py_ssize_t stride, const double *source,
                   const double *start, double step, nb_out pqr) noexcept nogil:
    """P, Q, R of `count` orientations for a tile whose first pixel lies at `start` (vector), next ones `step` further."""
    cdef int j, axis
    cdef double w = source[3]
    cdef double px = start[0] * w, py = start[1] * w, pz = start[2] * w
    cdef double qx = step * p.fast[0] * w, qy = step * p.fast[1] * w, qz = step * p.fast[2] * w
    cdef double rx = source[0] * w, ry = source[1] * w, rz = source[2] * w
    cdef nb_in ax
    cdef nb_in ay
    cdef nb_in az
    for axis in range(3):
        ax = cells + (3 * axis) * stride
        ay = cells + (3 * axis + 1) * stride
        az = cells + (3 * axis + 2) * stride
        for j in range((count + VECTOR - 1) // VECTOR * VECTOR):
            pqr[3 * axis * BLOCK + j] = ax[j] * px + ay[j] * py + az[j] * pz
            pqr[(3 * axis + 1) * BLOCK + j] = ax[j] * qx + ay[j] * qy + az[j] * qz
            pqr[(3 * axis + 2) * BLOCK + j] = ax[j] * rx + ay[j] * ry + az[j] * rz


cdef void find_near(const nb_job *p, int count, const Scratch *w, int first, int last, nb_out near) noexcept nogil:
    """near = 1 for the orientations that have a spot within reach of pixels `first` to `last`, else 0.

    Along a row an index is (A + B t)/sqrt(t^2 + off) - R, which lies between its values at the ends, and the value at its
    one extremum, sqrt(B^2 + A^2/off), when that is between them.
    """
    cdef int j, axis
    cdef double t0 = w.along + w.step * first, t1 = w.along + w.step * last, off = w.off, inv0 = w.inv[first]
    cdef double inv1 = w.inv[last], limit = p.lattice.limit, reach, a, b, h0, h1, low, high, peak, distance
    cdef nb_in cp
    cdef nb_in cq
    cdef nb_in cr
    for j in range(count):
        near[j] = 1.0
    for axis in range(3):
        cp = w.pqr + 3 * axis * BLOCK
        cq = w.pqr + (3 * axis + 1) * BLOCK
        cr = w.pqr + (3 * axis + 2) * BLOCK
        reach = p.lattice.reach[axis]
        for j in range(count):
            b = cq[j] / w.step
            a = cp[j] - b * w.along
            h0 = inv0 * (a + b * t0)
            h1 = inv1 * (a + b * t1)
            low = h0 if h0 < h1 else h1
            high = h1 if h0 < h1 else h0
            peak = sqrt(b * b + a * a / off)
            peak = peak if a > 0.0 else -peak
            peak = peak if (t0 * a - b * off) * (t1 * a - b * off) < 0.0 else h0
            low = peak if peak < low else low
            high = peak if peak > high else high
            # middle of the range to the nearest whole index, less half the range and a margin for rounding
            a = 0.5 * (low + high) - cr[j]
            distance = fabs(a - nb_rint(a)) - 0.5 * (high - low) - 1e-6
            distance = distance if distance > 0.0 else 0.0
            near[j] = 0.0 if reach * distance * distance > limit else near[j]


cdef void sum_near(Lattice *c, const nb_job *p, const double *table, int count, int n, Scratch *w,
                   double *acc) noexcept nogil:
    """As `sum_block`, for spots that end: orientations without one near a stretch of pixels are left out."""
    cdef int i, j, first = 0, length
    cdef double near[BLOCK]
    cdef double m[9]
    while first < n:
        length = n - first if n - first < STRETCH else STRETCH
        find_near(p, count, w, first, first + length - 1, near)
        for j in range(count):
            if near[j] == 0.0:
                continue
            for i in range(9):
                m[i] = w.pqr[i * BLOCK + j]
            if p.structure_kind == NB_CONSTANT:
                sum_flat(c, length, w.place + first, w.inv + first, m, acc + first)
            else:
                sum_flat_nearest(c, &p.box, table, length, w.place + first, w.inv + first, m, acc + first)
        first += STRETCH


cdef void sum_block(Lattice *c, const nb_job *p, const double *cells, Py_ssize_t stride, const double *table, int count,
                    int n, Scratch *w, double *acc) noexcept nogil:
    """acc += contributions of up to BLOCK orientations to a tile."""
    cdef int i, j
    cdef double m[9]
    for j in range(count):
        if p.curved:
            for i in range(9):
                m[i] = cells[i * stride + j]
        else:
            for i in range(9):
                m[i] = w.pqr[i * BLOCK + j]
            if p.structure_kind == NB_CONSTANT:
                sum_flat(c, n, w.place, w.inv, m, acc)
                continue
            if p.structure_kind == NB_NEAREST:
                sum_flat_nearest(c, &p.box, table, n, w.place, w.inv, m, acc)
                continue
        # the long way round, for what is rarely asked: indices, then structure factors, then the lattice
        if p.curved:
            indices_scattering(n, w.qx, w.qy, w.qz, m, w.h, w.k, w.l)
        else:
            indices_flat(n, w.place, w.inv, m, w.h, w.k, w.l)
        if p.structure_kind == NB_NEAREST:
            weights_nearest(&p.box, table, n, w.h, w.k, w.l, w.weight)
        elif p.structure_kind == NB_TRICUBIC:
            w.outside += weights_tricubic(&p.box, table, n, w.h, w.k, w.l, w.cubic, w.element, w.weight)
        else:
            for i in range(n):
                w.weight[i] = 1.0
        sum_indices(c, n, w.h, w.k, w.l, w.weight, acc)


cdef void sum_orientations(const nb_job *p, const double *cells, Py_ssize_t stride, const double *table,
                           const double *source, const double *start, double step, int n,
                           Scratch *w, double *acc) noexcept nogil:
    """acc += contributions of every phi step and mosaic domain, in the reference's order."""
    cdef int first = 0, count
    cdef nb_lattice *c = <nb_lattice *>&p.lattice
    while first < p.orientations:
        count = p.orientations - first
        if count > BLOCK:
            count = BLOCK
        if not p.curved:
            make_pqr(p, count, cells + first, stride, source, start, step, w.pqr)
        if p.lattice_kind == NB_SQUARE_555:
            sum_block(<square_555 *>c, p, cells + first, stride, table, count, n, w, acc)
        elif p.lattice_kind == NB_SQUARE_SMALL:
            sum_block(<square_small *>c, p, cells + first, stride, table, count, n, w, acc)
        elif p.lattice_kind == NB_SQUARE_GENERAL:
            sum_block(<square_general *>c, p, cells + first, stride, table, count, n, w, acc)
        elif p.lattice_kind == NB_ROUND:
            sum_block(<round_xtal *>c, p, cells + first, stride, table, count, n, w, acc)
        elif p.lattice.limit > 0.0:
            if p.lattice_kind == NB_GAUSS:
                sum_near(<gauss_xtal *>c, p, table, count, n, w, acc)
            else:
                sum_near(<tophat_xtal *>c, p, table, count, n, w, acc)
        elif p.lattice_kind == NB_GAUSS:
            sum_block(<gauss_xtal *>c, p, cells + first, stride, table, count, n, w, acc)
        else:
            sum_block(<tophat_xtal *>c, p, cells + first, stride, table, count, n, w, acc)
        first += BLOCK


# ---- a tile --------------------------------------------------------------------------------------------------------

cdef void fill(int n, double value, nb_out a) noexcept nogil:
    cdef int i
    for i in range(n):
        a[i] = value


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
    cdef double background = p.background, scale = p.scale
    cdef nb_out acc = w.acc
    cdef nb_out sum = w.sum
    cdef nb_out squares = w.squares
    cdef nb_outf top = w.top
    cdef nb_in omega = w.omega
    cdef nb_in polar = w.polar
    cdef nb_in capture = w.capture
    cdef float value
    if p.sensor and not p.weight_thick:
        for i in range(n):
            acc[i] = (background + f2 * acc[i]) * capture[i]
        background = 0.0
        f2 = 1.0
    f2 = f2 * scale
    background = background * scale
    if not p.weight_omega:
        if p.polarized and not p.weight_polar:
            for i in range(n):
                acc[i] = (background + f2 * acc[i]) * (polar[i] * omega[i])
        else:
            for i in range(n):
                acc[i] = (background + f2 * acc[i]) * omega[i]
    elif p.polarized and not p.weight_polar:
        for i in range(n):
            acc[i] = (background + f2 * acc[i]) * polar[i]
    else:
        for i in range(n):
            acc[i] = background + f2 * acc[i]
    if mask != NULL:
        for i in range(n):
            acc[i] = acc[i] if mask[i] else 0.0
    if replaced >= 0:
        acc[replaced] = w.value
    for i in range(n):
        value = <float>acc[i]
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

def render(Job job, float[:, ::1] image, int threads=1, progress=None, override=None):
    """Render into `image` (slow, fast), float32, which must be zeroed outside the region of interest.

    threads: at most this many. progress: called with the number of pixels of the region of interest that are done,
    now and then. override: (slow, fast, value) of a pixel that was worked out elsewhere (`-compat c`).
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
    cdef Portion best
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
            lay_out(&scratch[t], memory + t * SCRATCH_DOUBLES)
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
                        one_item(p, sources, cells, stride, table, mask, &scratch[0], data, statistics + item * STATISTICS)
            else:
                for item in prange(items, nogil=True, schedule="dynamic", chunksize=1, num_threads=threads):
                    choose_portion(&scratch[NB_THREAD].portion, p, item, row, row_end, lines, across, length)
                    one_item(p, sources, cells, stride, table, mask, &scratch[NB_THREAD], data,
                             statistics + item * STATISTICS)
            clock += nb_now() - begin
            for item in range(items):
                st = statistics + item * STATISTICS
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
