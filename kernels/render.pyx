# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The image on the CPU: rows of tiles, parallel over tiles, the sum of every contribution to every pixel.

This one source is compiled several times, for several levels of the x86-64 instruction set (see setup.py); the level
is picked at import by `nanobragg_py.backends`. A pixel is computed by one thread, from start to end, in an order that
depends on nothing but the experiment: results are the same bit for bit for any number of threads.
"""

from cython.parallel cimport prange
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport sqrt
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
    BLOCK = 64       # orientations whose P, Q, R are worked out together
    LANES = 16       # partial sums of the statistics
    STATISTICS = 5   # sum, sum of squares, maximum, where, solid angle

#: True when this build can use more than one thread
PARALLEL = bool(NB_PARALLEL)


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
    int *element
    long outside       # steps that left the range of interpolation
    int row            # the pixel that was worked out elsewhere (-1: none), and its value
    int column
    float value

cdef enum:
    ARRAYS = 18
    SCRATCH_DOUBLES = (ARRAYS + 12) * TILE + 9 * BLOCK + TILE


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

cdef void directions(const nb_job *p, int n, double fast, double step, const double *start, nb_in place,
                     nb_out x, nb_out y, nb_out z, nb_out inv) noexcept nogil:
    """Diffracted unit vectors and 1/airpath of pixels at start + (fast + step*i) * fast axis."""
    cdef int i
    cdef double fx = p.fast[0], fy = p.fast[1], fz = p.fast[2], sx = start[0], sy = start[1], sz = start[2]
    cdef double px, py, pz, f, r
    if p.curved:
        for i in range(n):
            f = fast + step * place[i]
            px = f * fx + sx
            py = f * fy + sy
            pz = f * fz + sz
            nb_curve(p.beam, p.fast, p.slow, p.distance, &px, &py, &pz)
            r = 1.0 / sqrt(px * px + py * py + pz * pz)
            x[i] = px * r
            y[i] = py * r
            z[i] = pz * r
            inv[i] = r
        return
    for i in range(n):
        f = fast + step * place[i]
        px = f * fx + sx
        py = f * fy + sy
        pz = f * fz + sz
        r = 1.0 / sqrt(px * px + py * py + pz * pz)
        x[i] = px * r
        y[i] = py * r
        z[i] = pz * r
        inv[i] = r


cdef void solid_angles(const nb_job *p, int n, nb_in inv, nb_out omega) noexcept nogil:
    cdef int i
    cdef double area = p.pixel * p.pixel, close = p.close_distance
    if p.point_pixel:
        for i in range(n):
            omega[i] = nb_solid_angle(inv[i], area, close, 1)
    else:
        for i in range(n):
            omega[i] = nb_solid_angle(inv[i], area, close, 0)


cdef void captures(const nb_job *p, int n, int layer, nb_in x, nb_in y, nb_in z, nb_out capture) noexcept nogil:
    cdef int i
    cdef double nx = p.normal[0], ny = p.normal[1], nz = p.normal[2]
    for i in range(n):
        capture[i] = nb_capture(layer, p.absorption, x[i] * nx + y[i] * ny + z[i] * nz)


cdef void polarizations(const nb_job *p, int n, const double *source, nb_in x, nb_in y, nb_in z,
                        nb_out polar) noexcept nogil:
    cdef int i
    cdef double kahn = p.kahn, c
    cdef double sx = source[0], sy = source[1], sz = source[2], ex = source[4], ey = source[5], ez = source[6]
    cdef double bx = source[7], by = source[8], bz = source[9]
    if kahn == 0.0:
        for i in range(n):
            c = sx * x[i] + sy * y[i] + sz * z[i]
            polar[i] = 0.5 * (1.0 + c * c)
        return
    for i in range(n):
        c = sx * x[i] + sy * y[i] + sz * z[i]
        polar[i] = nb_polarization(kahn, c, ex * x[i] + ey * y[i] + ez * z[i], bx * x[i] + by * y[i] + bz * z[i])


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
        for j in range(count):
            pqr[3 * axis * BLOCK + j] = ax[j] * px + ay[j] * py + az[j] * pz
            pqr[(3 * axis + 1) * BLOCK + j] = ax[j] * qx + ay[j] * qy + az[j] * qz
            pqr[(3 * axis + 2) * BLOCK + j] = ax[j] * rx + ay[j] * ry + az[j] * rz


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
                 nb_outf image, double *statistics) noexcept nogil:
    """Sum -> float32 pixels, and what the statistics need of them: sum, sum of squares, maximum and where, solid angle.

    The partial sums have a fixed number of lanes, so they do not depend on the vector length. replaced: the pixel of
    the tile whose value was worked out elsewhere, or -1.
    """
    cdef int i, j, whole = n // LANES * LANES
    cdef double f2 = p.default_F * p.default_F if p.structure_kind == NB_CONSTANT else 1.0
    cdef double background = p.background, scale = p.scale
    cdef nb_out acc = w.acc
    cdef nb_in omega = w.omega
    cdef nb_in polar = w.polar
    cdef nb_in capture = w.capture
    cdef double total[LANES]
    cdef double squares[LANES]
    cdef float top[LANES]
    cdef float value, best
    for i in range(n):
        acc[i] = (background + f2 * acc[i]) * scale
    if p.sensor and not p.weight_thick:
        for i in range(n):
            acc[i] = acc[i] * capture[i]
    if p.polarized and not p.weight_polar:
        for i in range(n):
            acc[i] = acc[i] * polar[i]
    if not p.weight_omega:
        for i in range(n):
            acc[i] = acc[i] * omega[i]
    if mask != NULL:
        for i in range(n):
            acc[i] = acc[i] if mask[i] else 0.0
    for i in range(n):
        image[i] = <float>acc[i]
    if replaced >= 0:
        image[replaced] = w.value
    for j in range(LANES):
        total[j] = 0.0
        squares[j] = 0.0
        top[j] = 0.0
    i = 0
    while i < whole:
        for j in range(LANES):
            value = image[i + j]
            total[j] = total[j] + value
            squares[j] = squares[j] + value * value
            top[j] = value if value > top[j] else top[j]
        i += LANES
    for j in range(n - whole):
        value = image[whole + j]
        total[j] = total[j] + value
        squares[j] = squares[j] + value * value
        top[j] = value if value > top[j] else top[j]
    best = 0.0
    for j in range(LANES):
        statistics[0] += total[j]
        statistics[1] += squares[j]
        best = top[j] if top[j] > best else best
    if best > statistics[2]:
        for i in range(n):
            if image[i] == best:
                statistics[2] = best
                statistics[3] = i
                break


cdef void add_solid_angle(int n, const unsigned short *mask, const double *omega, double times,
                          double *statistics) noexcept nogil:
    cdef int i, j, whole = n // LANES * LANES
    cdef double angle[LANES]
    cdef double total = 0.0
    for j in range(LANES):
        angle[j] = 0.0
    if mask != NULL:
        for i in range(n):
            if mask[i]:
                angle[i % LANES] += omega[i]
    else:
        i = 0
        while i < whole:
            for j in range(LANES):
                angle[j] = angle[j] + omega[i + j]
            i += LANES
        for j in range(n - whole):
            angle[j] = angle[j] + omega[whole + j]
    for j in range(LANES):
        total += angle[j]
    statistics[4] += total * times


cdef void render_tile(const nb_job *p, const double *sources, const double *cells, Py_ssize_t stride,
                      const double *table, const unsigned short *mask, int slow, int fast, int n, Scratch *w,
                      float *image, double *statistics) noexcept nogil:
    """n pixels of row `slow` from column `fast` on."""
    cdef int m = (n + LANES - 1) // LANES * LANES  # the spare lanes are computed and thrown away
    cdef int layer, sub_slow, sub_fast, source, passing = m, substeps = p.oversample * p.oversample
    cdef bint weighted = p.weight_thick or p.weight_polar or p.weight_omega
    cdef bint need_polar = p.polarized, cut = p.dmin > 0.0, have_omega = False, have_capture
    cdef double f, s, o, step = p.subpixel * p.oversample
    cdef double start[3]
    cdef double origin[3]
    cdef const double *src
    cdef int i
    statistics[0] = statistics[1] = statistics[2] = statistics[3] = statistics[4] = 0.0
    if mask != NULL:
        for i in range(n):
            if mask[i]:
                break
        else:
            return
    fill(m, 0.0, w.acc)
    fill(m, 0.0, w.polar)
    for layer in range(p.layers):
        o = layer * p.thickstep
        have_capture = False
        for sub_slow in range(p.oversample):
            for sub_fast in range(p.oversample):
                f = p.subpixel * (fast * p.oversample + sub_fast) + p.subpixel / 2.0
                s = p.subpixel * (slow * p.oversample + sub_slow) + p.subpixel / 2.0
                for i in range(3):
                    start[i] = s * p.slow[i] + o * p.normal[i] + p.origin[i]
                    origin[i] = f * p.fast[i] + start[i]
                directions(p, m, f, step, start, w.place, w.x, w.y, w.z, w.inv)
                if not have_omega or p.weight_omega:
                    solid_angles(p, m, w.inv, w.omega)
                    add_solid_angle(n, mask, w.omega, 1.0 if p.weight_omega else p.layers * substeps, statistics)
                    have_omega = True
                if (p.sensor and not have_capture) or p.weight_thick:
                    captures(p, m, layer, w.x, w.y, w.z, w.capture)
                    have_capture = True
                for source in range(p.sources):
                    src = sources + source * NB_SOURCE_SIZE
                    if cut or p.curved:
                        scattering(m, src, w.x, w.y, w.z, w.qx, w.qy, w.qz)
                    if cut:
                        passing = within_dmin(p.dmin, m, w.qx, w.qy, w.qz, w.passed)
                        if passing == 0:
                            continue
                    if p.weight_polar or (need_polar and not cut):
                        polarizations(p, m, src, w.x, w.y, w.z, w.polar)
                        need_polar = False
                    elif need_polar:
                        polarizations(p, m, src, w.x, w.y, w.z, w.part)
                        first_polarization(m, w.passed, w.part, w.polar)
                    if weighted or passing < m:
                        fill(m, 0.0, w.part)
                        sum_orientations(p, cells, stride, table, src, origin, step, m, w, w.part)
                        add_weighted(p, m, passing < m, w)
                    else:
                        sum_orientations(p, cells, stride, table, src, origin, step, m, w, w.acc)
    finish(p, n, mask, w, w.column - fast if w.row == slow and fast <= w.column < fast + n else -1, image, statistics)


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
    cdef int tiles = (width + TILE - 1) // TILE, rows, row, t, best_slow = -1, best_fast = -1
    cdef Py_ssize_t item, items
    cdef double total = 0.0, squares = 0.0, top = 0.0, angle = 0.0, clock = 0.0, begin, cost
    cdef long outside = 0, pixels = 0
    cdef double *memory = NULL
    cdef double *statistics = NULL
    cdef Scratch *scratch = NULL
    cdef float *data
    cdef double *st
    if image.shape[0] != p.spixels or image.shape[1] != p.fpixels:
        raise ValueError(f"image is {image.shape[0]} x {image.shape[1]}, the detector {p.spixels} x {p.fpixels}")
    if width <= 0 or height <= 0:
        return 0.0, 0.0, 0, 0.0, None, 0.0, 0, 0.0
    if threads < 1 or not NB_PARALLEL:
        threads = 1
    if threads > tiles * <Py_ssize_t>height:
        threads = tiles * height
    data = &image[0, 0]
    # a band of rows between two looks at the clock, the keyboard and the progress meter: about 20 ms of work
    cost = 1.5e-9 * job.steps_per_pixel + 4e-9
    rows = <int>(0.02 * threads / (cost * width)) + 1
    if rows > height:
        rows = height
    memory = <double *>nb_aligned(threads * SCRATCH_DOUBLES * sizeof(double))
    scratch = <Scratch *>nb_aligned(threads * sizeof(Scratch))
    statistics = <double *>nb_aligned(rows * tiles * STATISTICS * sizeof(double))
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
            if rows > p.slow_max - row + 1:
                rows = p.slow_max - row + 1
            items = <Py_ssize_t>rows * tiles
            begin = nb_now()
            if threads == 1:
                with nogil:
                    for item in range(items):
                        one_item(p, sources, cells, stride, table, mask, row, tiles, item, &scratch[0], data, statistics)
            else:
                for item in prange(items, nogil=True, schedule="dynamic", chunksize=1, num_threads=threads):
                    one_item(p, sources, cells, stride, table, mask, row, tiles, item, &scratch[NB_THREAD], data,
                             statistics)
            clock += nb_now() - begin
            for item in range(items):
                st = statistics + item * STATISTICS
                total += st[0]
                squares += st[1]
                angle += st[4]
                if st[2] > top:
                    top = st[2]
                    best_slow = row + <int>(item // tiles)
                    best_fast = p.fast_min + <int>(item % tiles) * TILE + <int>st[3]
            row += rows
            pixels += count_pixels(job, row - rows, row - 1)
            if progress is not None:
                progress(pixels)
            PyErr_CheckSignals()
        for t in range(threads):
            outside += scratch[t].outside
    finally:
        free(memory)
        free(scratch)
        free(statistics)
    return (total, squares, pixels, top, None if best_slow < 0 else (best_slow, best_fast), angle, outside,
            clock)


cdef void one_item(const nb_job *p, const double *sources, const double *cells, Py_ssize_t stride, const double *table,
                   const unsigned short *mask, int row, int tiles, Py_ssize_t item, Scratch *w, float *image,
                   double *statistics) noexcept nogil:
    cdef int slow = row + <int>(item // tiles)
    cdef int fast = p.fast_min + <int>(item % tiles) * TILE
    cdef int n = p.fast_max - fast + 1
    cdef Py_ssize_t at = <Py_ssize_t>slow * p.fpixels + fast
    if n > TILE:
        n = TILE
    render_tile(p, sources, cells, stride, table, <const unsigned short *>NULL if mask == NULL else mask + at, slow, fast, n, w, image + at,
                statistics + item * STATISTICS)


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


cdef void add_deviations(int n, nb_inf image, double mean, nb_out lanes) noexcept nogil:
    cdef int i = 0, j, whole = n // LANES * LANES
    cdef double d
    while i < whole:
        for j in range(LANES):
            d = image[i + j] - mean
            lanes[j] = lanes[j] + d * d
        i += LANES
    for j in range(n - whole):
        d = image[whole + j] - mean
        lanes[j] = lanes[j] + d * d


def squared_deviations(Job job, const float[:, ::1] image, double mean):
    """Sum of (pixel - mean)^2 over the region of interest, masked pixels (0) included, and the number of pixels."""
    cdef const nb_job *p = &job.p
    cdef int slow, j, width = p.fast_max - p.fast_min + 1, height = p.slow_max - p.slow_min + 1
    cdef double lanes[LANES]
    cdef double total = 0.0
    if width <= 0 or height <= 0:
        return 0.0, 0
    with nogil:
        for j in range(LANES):
            lanes[j] = 0.0
        for slow in range(p.slow_min, p.slow_max + 1):
            add_deviations(width, &image[slow, p.fast_min], mean, lanes)
        for j in range(LANES):
            total += lanes[j]
    return total, <long>width * height
