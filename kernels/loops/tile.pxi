# One tile: from its geometry to its float32 pixels and their share in the statistics.
# Part of render.pyx, which includes it: in a .pxd these functions would be inlined, and lose their vectors.

cdef extern from "shade.h" nogil:
    enum:
        TALLY "NB_TALLY"  # pixels at a time, and lanes of their statistics
    void nb_shade(int n, double background, double f2, nb_in acc, nb_in factor, nb_outf image, nb_out sum,
                  nb_out squares, nb_outf top)


cdef void add_weighted(const nb_job *p, int n, bint masked, double diffuse, const Scratch *w) noexcept nogil:
    """acc += part with the dmin cut, what is diffuse, and the corrections that are asked for per contribution."""
    cdef int i
    cdef nb_out part = w.part
    cdef nb_out acc = w.acc
    cdef nb_in passed = w.passed if masked else w.ones
    cdef nb_in capture = w.capture if p.weight_thick else w.ones
    cdef nb_in polar = w.polar if p.weight_polar else w.ones
    cdef nb_in omega = w.omega if p.weight_omega else w.ones
    if masked or diffuse != 0.0 or p.weight_thick:
        for i in range(n):
            part[i] = (part[i] * passed[i] + diffuse) * capture[i] * polar[i] * omega[i]
    else:  # the same bits, of half the loads: what is left of the exact physics on a thin sensor
        for i in range(n):
            part[i] = part[i] * polar[i] * omega[i]
    # apart, so that no level of the instruction set fuses the last product with the sum
    for i in range(n):
        acc[i] = acc[i] + part[i]


cdef bint same_direction(const double *source, const double *other) noexcept nogil:
    return source[0] == other[0] and source[1] == other[1] and source[2] == other[2]


cdef void first_polarization(int n, nb_in passed, nb_in fresh, nb_out polar) noexcept nogil:
    """Polarization is that of the first source and sub-step that passes dmin: take it where there is none yet."""
    cdef int i
    for i in range(n):
        polar[i] = fresh[i] if (polar[i] == 0.0 and passed[i] != 0.0) else polar[i]


cdef void multiply(int n, nb_in a, nb_in b, nb_out out) noexcept nogil:
    cdef int i
    for i in range(n):
        out[i] = a[i] * b[i]


cdef void finish(const nb_job *p, int n, const unsigned short *mask, const Scratch *w, int replaced, bint ready,
                 nb_outf image) noexcept nogil:
    """Sum -> float32 pixels, and their share in the statistics.

    replaced: the pixel of the tile whose value was worked out elsewhere, or -1. ready: whether w.factor is known.
    """
    cdef int i
    cdef double f2 = p.default_F * p.default_F if p.structure_kind == NB_CONSTANT else 1.0
    cdef double background = p.background
    cdef nb_out acc = w.acc
    cdef nb_out seen = w.part
    cdef nb_in capture = w.capture
    cdef const double *factor = w.ones if p.weight_omega else w.omega
    if ready:
        factor = w.factor
    elif p.polarized and not p.weight_polar:
        multiply(n, w.polar, factor, w.factor)
        factor = w.factor
    if p.sensor and not p.weight_thick:
        for i in range(n):
            acc[i] = (background + f2 * acc[i]) * capture[i]
        background = 0.0
        f2 = 1.0
    if mask != NULL:
        for i in range(n):
            acc[i] = acc[i] if mask[i] else 0.0
            seen[i] = factor[i] if mask[i] else 0.0
        factor = seen
    f2 = f2 * p.scale
    background = background * p.scale
    if replaced < 0:
        shade(w, 0, n, background, f2, acc, factor, image)
    else:
        shade(w, 0, replaced, background, f2, acc, factor, image)
        shade(w, replaced, replaced + 1, w.value, 0.0, acc, w.ones, image)
        shade(w, replaced + 1, n, background, f2, acc, factor, image)


cdef void shade(const Scratch *w, int first, int last, double background, double f2, nb_in acc, nb_in factor,
                nb_outf image) noexcept nogil:
    """Pixels `first` to `last` - 1 of a tile."""
    cdef int i
    cdef nb_out sum = w.sum
    cdef nb_out squares = w.squares
    cdef nb_outf top = w.top
    cdef nb_out precise = w.precise
    cdef float value
    if w.precise != NULL:
        for i in range(first, last):
            precise[i] = (background + f2 * acc[i]) * factor[i]
    if (last - first) % TALLY == 0:
        nb_shade(last - first, background, f2, acc + first, factor + first, image + first, sum, squares, top)
        return
    for i in range(first, last):
        value = <float>((background + f2 * acc[i]) * factor[i])
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


cdef void render_tile(const nb_job *p, const double *sources, const long long *tables, const double *cells,
                      Py_ssize_t stride, const double *table, const unsigned short *mask, int slow, int fast, int n,
                      Scratch *w, float *image) noexcept nogil:
    """n pixels of row `slow` from column `fast` on."""
    cdef int m = (n + LANES - 1) // LANES * LANES  # the spare lanes are computed and thrown away
    cdef int layer, sub_slow, sub_fast, source, members, passing = m
    cdef bint weighted = p.weight_thick or p.weight_polar or p.weight_omega or p.diffuse != 0.0
    cdef bint need_polar = p.polarized, cut = p.dmin > 0.0, have_omega = False, have_capture, ready
    # F_cell^2 of a crystal that has one for all indices is left to the end
    cdef double diffuse = p.diffuse / (p.default_F * p.default_F) if p.structure_kind == NB_CONSTANT else p.diffuse
    cdef double f, s, o, step = p.subpixel * p.oversample
    cdef bint vectors = p.curved or cut  # whether the directions are needed as vectors
    # sources that make one sum: all of them where nothing is asked of each, or those of one direction
    cdef bint together = not vectors and diffuse == 0.0 and (not weighted or p.sources_join)
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
    # whether what is worked out once a pixel can be so in one pass; solid angles of spare lanes must not be counted
    ready = not vectors and not p.weight_omega and not p.weight_polar and not p.point_pixel and mask == NULL and m == n
    if not ready:
        fill(m, 0.0, w.acc)
    if cut:
        fill(m, 0.0, w.polar)
    for layer in range(p.layers):
        o = p.first_depth + layer * p.thickstep
        have_capture = False
        for sub_slow in range(p.oversample):
            for sub_fast in range(p.oversample):
                if drop(w, m):
                    return
                f = p.subpixel * (fast * p.oversample + sub_fast) + p.subpixel / 2.0
                s = p.subpixel * (slow * p.oversample + sub_slow) + p.subpixel / 2.0
                for i in range(3):
                    start[i] = f * p.fast[i] + s * p.slow[i] + o * p.normal[i] + p.origin[i]
                if ready and not have_omega:
                    work_once(p, m, sources, step, start, o, w)
                    have_omega = True
                    need_polar = False
                elif vectors:
                    directions(p, m, step, start, w.place, w.x, w.y, w.z, w.inv, w)
                else:
                    inverse_airpaths(m, step, start, w.place, w.inv, w)
                if not have_omega or p.weight_omega:
                    solid_angles(p, n, mask, o, w.inv, w.omega, w.angle)
                    have_omega = True
                # once a pixel, the last layer's counts
                if p.weight_thick or (p.sensor and not have_capture and layer == p.layers - 1):
                    along(p, m, p.normal, step, start, w, w.capture)
                    captures(p, m, layer, w.capture)
                    have_capture = True
                source = 0
                members = 0
                while source + members < p.sources:
                    source += members
                    if drop(w, m):
                        return
                    src = sources + source * NB_SOURCE_SIZE
                    members = 1
                    while together and source + members < p.sources and (
                            not weighted or same_direction(src, src + members * NB_SOURCE_SIZE)):
                        members += 1
                    if vectors:
                        scattering(m, src, w.x, w.y, w.z, w.qx, w.qy, w.qz)
                    if cut:
                        passing = within_dmin(p.dmin, m, w.qx, w.qy, w.qz, w.passed)
                        if passing == 0 and diffuse == 0.0:
                            continue
                    if need_polar or (p.weight_polar and (source == 0 or cut
                                                          or not same_direction(src, src - NB_SOURCE_SIZE))):
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
                        if passing > 0:
                            sum_orientations(p, cells, stride, table, src, tables + source, members, start, step, m, w,
                                             w.part)
                        add_weighted(p, m, passing < m, diffuse * src[NB_SOURCE_WEIGHT], w)
                    else:
                        sum_orientations(p, cells, stride, table, src, tables + source, members, start, step, m, w,
                                         w.acc)
    finish(p, n, mask, w, w.column - fast if w.row == slow and fast <= w.column < fast + n else -1, ready, image)
