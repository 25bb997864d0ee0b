# A tile's derivatives: what orientations, sources and places in the pixel come to.
# Part of gradient.pyx, which includes it.


cdef void whole_factors(const Task *t, Work *k, int slow, int fast, int n) noexcept nogil:
    """Corrections that the renderer applies to the whole pixel, to `whole`: those of the first sub-pixel, and of the
    first source that dmin lets pass; the last layer's capture."""
    cdef const nb_job *p = t.p
    cdef Scratch *w = &k.w
    cdef int i, layer, sub_slow, sub_fast, source, missing
    cdef double start[3]
    cdef double f, s
    fill(n, 1.0, k.whole)
    place_in_pixel(p, slow, fast, p.layers - 1, 0, 0, start, &f, &s)
    directions(p, n, p.pixel, start, w.place, w.x, w.y, w.z, w.inv, w)
    if p.sensor and not p.weight_thick:
        for i in range(n):
            k.whole[i] = nb_capture(p.layers - 1, p.absorption, w.x[i] * p.normal[0] + w.y[i] * p.normal[1]
                                    + w.z[i] * p.normal[2])
    place_in_pixel(p, slow, fast, 0, 0, 0, start, &f, &s)
    directions(p, n, p.pixel, start, w.place, w.x, w.y, w.z, w.inv, w)
    if not p.weight_omega:
        for i in range(n):
            k.whole[i] *= nb_solid_angle(w.inv[i], p.pixel * p.pixel, close_to(p, 0), p.point_pixel)
    if not p.polarized or p.weight_polar:
        return
    fill(n, 0.0, k.taken)
    fill(n, 0.0, w.polar)
    for layer in range(p.layers):
        for sub_slow in range(p.oversample):
            for sub_fast in range(p.oversample):
                place_in_pixel(p, slow, fast, layer, sub_slow, sub_fast, start, &f, &s)
                directions(p, n, p.pixel, start, w.place, w.x, w.y, w.z, w.inv, w)
                for source in range(p.sources):
                    if drop(w, 4 * n):
                        return
                    missing = take_polarization(t, k, t.sources + source * NB_SOURCE_SIZE, n)
                    for i in range(n):
                        if k.take[i] != 0.0:
                            w.polar[i] = nb_polarization(p.kahn, k.c[i], k.e[i], k.b[i])
                    if missing == 0:
                        for i in range(n):
                            k.whole[i] *= w.polar[i]
                        return
    for i in range(n):
        k.whole[i] *= w.polar[i]


cdef int take_polarization(const Task *t, Work *k, const double *source, int n) noexcept nogil:
    """Components c, e, b for a source, `passed`, and which pixels take their polarization here; returns how many have
    none yet."""
    cdef const nb_job *p = t.p
    cdef Scratch *w = &k.w
    cdef int i, missing = 0
    project(n, source, w.x, w.y, w.z, k.c)
    project(n, source + 4, w.x, w.y, w.z, k.e)
    project(n, source + 7, w.x, w.y, w.z, k.b)
    scattering(n, source, w.x, w.y, w.z, w.qx, w.qy, w.qz)
    if p.dmin > 0.0:
        within_dmin(p.dmin, n, w.qx, w.qy, w.qz, w.passed)
    for i in range(n):
        k.take[i] = 1.0 if k.taken[i] == 0.0 and (p.dmin <= 0.0 or w.passed[i] != 0.0) else 0.0
        k.taken[i] += k.take[i]
        missing += k.taken[i] == 0.0
    return missing


cdef double layer_depth(const nb_job *p, int layer) noexcept nogil:
    """How far along the normal a layer of the sensor lies behind its front."""
    return p.first_depth + layer * p.thickstep


cdef double close_to(const nb_job *p, int layer) noexcept nogil:
    """The distance along the normal that makes the solid angle of a layer's pixels."""
    return p.close_distance + p.deepening * layer_depth(p, layer)


cdef void place_in_pixel(const nb_job *p, int slow, int fast, int layer, int sub_slow, int sub_fast, double *start,
                         double *f, double *s) noexcept nogil:
    """Where the tile's first pixel has a sub-pixel of a layer; f and s: along the axes."""
    cdef int i
    f[0] = p.subpixel * (fast * p.oversample + sub_fast) + p.subpixel / 2.0
    s[0] = p.subpixel * (slow * p.oversample + sub_slow) + p.subpixel / 2.0
    for i in range(3):
        start[i] = f[0] * p.fast[i] + s[0] * p.slow[i] + layer_depth(p, layer) * p.normal[i] + p.origin[i]


cdef void contribution_weights(const nb_job *p, Work *k, double weight, int n) noexcept nogil:
    """What a source's share of the sum is multiplied by, but for the dmin cut, which is of the crystal's part alone,
    to `weight` of the workspace. weight: the source's."""
    cdef Scratch *w = &k.w
    cdef int i
    cdef double factor
    for i in range(n):
        factor = weight
        if p.weight_thick:
            factor = factor * w.capture[i]
        if p.weight_polar:
            factor = factor * nb_polarization(p.kahn, k.c[i], k.e[i], k.b[i])
        if p.weight_omega:
            factor = factor * w.omega[i]
        k.weight[i] = factor


cdef void close_source(const Task *t, Work *k, const double *source, double *sums, int n) noexcept nogil:
    """Reverse: from derivatives by the scattering vector to those by source and diffracted direction."""
    cdef const nb_job *p = t.p
    cdef Scratch *w = &k.w
    cdef int i
    cdef double a, polar, inverse = source[3]
    cdef double slope[3]
    for i in range(n):
        k.gx[i] *= k.weighted[i]
        k.gy[i] *= k.weighted[i]
        k.gz[i] *= k.weighted[i]
        k.dx[i] += k.gx[i] * inverse
        k.dy[i] += k.gy[i] * inverse
        k.dz[i] += k.gz[i] * inverse
    sums[0] -= inverse * nb_total(n, k.gx)
    sums[1] -= inverse * nb_total(n, k.gy)
    sums[2] -= inverse * nb_total(n, k.gz)
    sums[3] += (nb_total2(n, k.gx, w.qx) + nb_total2(n, k.gy, w.qy) + nb_total2(n, k.gz, w.qz)) / inverse
    for i in range(n):
        a = k.share[i] * w.part[i]
        k.log_omega[i] += a if p.weight_omega else 0.0
        k.log_capture[i] += a if p.weight_thick else 0.0
        w.part[i] = a
    sums[WEIGHT] += nb_total(n, w.part)
    if not p.polarized:
        return
    for i in range(n):
        a = w.part[i] if p.weight_polar else k.both[i] * k.take[i]
        polar = nb_polarization_slopes(p.kahn, k.c[i], k.e[i], k.b[i], slope)
        a = a / polar if polar != 0.0 else 0.0
        k.gx[i] = a * slope[0]
        k.gy[i] = a * slope[1]
        k.gz[i] = a * slope[2]
        k.dx[i] += k.gx[i] * source[0] + k.gy[i] * source[4] + k.gz[i] * source[7]
        k.dy[i] += k.gx[i] * source[1] + k.gy[i] * source[5] + k.gz[i] * source[8]
        k.dz[i] += k.gx[i] * source[2] + k.gy[i] * source[6] + k.gz[i] * source[9]
    sums[0] += nb_total2(n, k.gx, w.x)
    sums[1] += nb_total2(n, k.gx, w.y)
    sums[2] += nb_total2(n, k.gx, w.z)
    sums[4] += nb_total2(n, k.gy, w.x)
    sums[5] += nb_total2(n, k.gy, w.y)
    sums[6] += nb_total2(n, k.gy, w.z)
    sums[7] += nb_total2(n, k.gz, w.x)
    sums[8] += nb_total2(n, k.gz, w.y)
    sums[9] += nb_total2(n, k.gz, w.z)


cdef void close_place(const Task *t, Work *k, int layer, const double *start, double f, double s, int n) noexcept nogil:
    """Reverse: from derivatives by the diffracted direction, solid angle and capture to those by the detector."""
    cdef const nb_job *p = t.p
    cdef Scratch *w = &k.w
    cdef double *sums = k.sums
    cdef int i
    cdef double a, capture, slope, along, power = 2.0 if p.point_pixel else 3.0
    if p.sensor:
        for i in range(n):
            capture = nb_capture_slope(layer, p.absorption, w.x[i] * p.normal[0] + w.y[i] * p.normal[1]
                                       + w.z[i] * p.normal[2], &slope)
            a = k.log_capture[i] * slope / capture if k.log_capture[i] != 0.0 else 0.0
            k.gx[i] = a
            k.dx[i] += a * p.normal[0]
            k.dy[i] += a * p.normal[1]
            k.dz[i] += a * p.normal[2]
        sums[NORMAL] += nb_total2(n, k.gx, w.x)
        sums[NORMAL + 1] += nb_total2(n, k.gx, w.y)
        sums[NORMAL + 2] += nb_total2(n, k.gx, w.z)
    if not p.point_pixel:
        sums[CLOSE] += nb_total(n, k.log_omega) / close_to(p, layer)
    for i in range(n):
        along = k.dx[i] * w.x[i] + k.dy[i] * w.y[i] + k.dz[i] * w.z[i] + power * k.log_omega[i]
        k.dx[i] = w.inv[i] * (k.dx[i] - along * w.x[i])
        k.dy[i] = w.inv[i] * (k.dy[i] - along * w.y[i])
        k.dz[i] = w.inv[i] * (k.dz[i] - along * w.z[i])
    if p.curved:
        uncurve(p, k, start, n)
    to_axes(sums, nb_total(n, k.dx), nb_total2(n, k.dx, w.place), p.pixel, f, s, layer_depth(p, layer))
    to_axes(sums + 1, nb_total(n, k.dy), nb_total2(n, k.dy, w.place), p.pixel, f, s, layer_depth(p, layer))
    to_axes(sums + 2, nb_total(n, k.dz), nb_total2(n, k.dz, w.place), p.pixel, f, s, layer_depth(p, layer))


cdef void to_axes(double *sums, double all, double moment, double pixel, double f, double s, double o) noexcept nogil:
    """One component of the positions' derivatives to those of origin and axes."""
    sums[ORIGIN] += all
    sums[FAST] += f * all + pixel * moment
    sums[SLOW] += s * all
    sums[NORMAL] += o * all


cdef void uncurve(const nb_job *p, Work *k, const double *start, int n) noexcept nogil:
    """From derivatives by positions on the curved detector to those by what curves it and by the flat positions."""
    cdef Scratch *w = &k.w
    cdef int i, j
    cdef double y, z, share
    cdef double by[12]
    cdef double unit[12]
    cdef double out[3]
    for i in range(n):
        y = start[1] + p.pixel * p.fast[1] * w.place[i]
        z = start[2] + p.pixel * p.fast[2] * w.place[i]
        for j in range(12):
            unit[j] = 0.0
        for j in range(12):
            unit[j] = 1.0
            nb_curve_slope(p.beam, p.fast, p.slow, p.distance, y, z, unit, unit + 4, unit + 7, unit[3], unit[10],
                           unit[11], out)
            unit[j] = 0.0
            share = k.dx[i] * out[0] + k.dy[i] * out[1] + k.dz[i] * out[2]
            by[j] = share
            if j < 10:  # beam and distance; the axes, which have their place before
                k.sums[BEAM + j if j < 4 else FAST + j - 4] += share
        k.dx[i] = 0.0
        k.dy[i] = by[10]
        k.dz[i] = by[11]


cdef void add_changes(const Task *t, Work *k, int number, int layer, int source_number, const double *start, double f,
                      double s, bint first, bint last, int n) noexcept nogil:
    """Forward: what change `number` does to the tile's sum through one source, layer and sub-pixel.

    first: the pixel takes its solid angle here. last: and its capture.
    """
    cdef const nb_job *p = t.p
    cdef Scratch *w = &k.w
    cdef const double *change = t.changes + number * t.size
    cdef const double *source = t.sources + source_number * NB_SOURCE_SIZE
    cdef const double *moved = change + HEAD + source_number * PER_SOURCE
    cdef nb_out sum = k.change + number * TILE
    cdef nb_out logs = k.logs + number * TILE
    cdef int i, j
    cdef double px, py, pz, ex, ey, ez, y, z, along, dlog, capture, slope
    cdef double o = layer_depth(p, layer), inverse = source[3]
    cdef double polar, total
    cdef double bend[3]
    cdef double out[3]
    cdef double power = 2.0 if p.point_pixel else 3.0
    cdef const double *own = k.along + t.direction[number] * TILE
    for i in range(n):
        total = 0.0
        if t.cell:
            for j in range(9):
                total += change[CELL + j] * k.cell[j * TILE + i]
        if t.shape:
            for j in range(NB_BY_SHAPE):
                total += change[SHAPE + j] * k.shape[j * TILE + i]
        if t.direction[number] >= 0:
            total += own[i]
        if t.table_change != NULL and number == 0:
            total += k.along[t.directions * TILE + i]
        dlog = moved[WEIGHT]
        if t.geometry:
            y = f + p.pixel * w.place[i]
            px = change[ORIGIN] + y * change[FAST] + s * change[SLOW] + o * change[NORMAL]
            py = change[ORIGIN + 1] + y * change[FAST + 1] + s * change[SLOW + 1] + o * change[NORMAL + 1]
            pz = change[ORIGIN + 2] + y * change[FAST + 2] + s * change[SLOW + 2] + o * change[NORMAL + 2]
            if p.curved:
                y = start[1] + p.pixel * p.fast[1] * w.place[i]
                z = start[2] + p.pixel * p.fast[2] * w.place[i]
                nb_curve_slope(p.beam, p.fast, p.slow, p.distance, y, z, change + BEAM, change + FAST, change + SLOW,
                               change[DISTANCE], py, pz, out)
                px = out[0]
                py = out[1]
                pz = out[2]
            along = px * w.x[i] + py * w.y[i] + pz * w.z[i]
            px = w.inv[i] * (px - along * w.x[i])
            py = w.inv[i] * (py - along * w.y[i])
            pz = w.inv[i] * (pz - along * w.z[i])
            total += (k.gx[i] * ((px - moved[0]) * inverse + w.qx[i] * moved[3] / inverse)
                      + k.gy[i] * ((py - moved[1]) * inverse + w.qy[i] * moved[3] / inverse)
                      + k.gz[i] * ((pz - moved[2]) * inverse + w.qz[i] * moved[3] / inverse))
            if p.polarized:
                ex = (px * source[0] + py * source[1] + pz * source[2]
                      + moved[0] * w.x[i] + moved[1] * w.y[i] + moved[2] * w.z[i])
                ey = (px * source[4] + py * source[5] + pz * source[6]
                      + moved[4] * w.x[i] + moved[5] * w.y[i] + moved[6] * w.z[i])
                ez = (px * source[7] + py * source[8] + pz * source[9]
                      + moved[7] * w.x[i] + moved[8] * w.y[i] + moved[9] * w.z[i])
                polar = nb_polarization_slopes(p.kahn, k.c[i], k.e[i], k.b[i], bend)
                polar = (bend[0] * ex + bend[1] * ey + bend[2] * ez) / polar if polar != 0.0 else 0.0
                if p.weight_polar:
                    dlog += polar
                else:
                    logs[i] += polar * k.take[i]
            polar = -power * w.inv[i] * along + (0.0 if p.point_pixel else change[CLOSE] / close_to(p, layer))
            if p.weight_omega:
                dlog += polar
            elif first:
                logs[i] += polar
            if p.sensor and (p.weight_thick or last):
                capture = nb_capture_slope(layer, p.absorption, w.x[i] * p.normal[0] + w.y[i] * p.normal[1]
                                           + w.z[i] * p.normal[2], &slope)
                polar = (px * p.normal[0] + py * p.normal[1] + pz * p.normal[2] + change[NORMAL] * w.x[i]
                         + change[NORMAL + 1] * w.y[i] + change[NORMAL + 2] * w.z[i])
                polar = polar * slope / capture if capture != 0.0 else 0.0
                if p.weight_thick:
                    dlog += polar
                else:
                    logs[i] += polar
        if p.dmin > 0.0:
            total = total * w.passed[i]
        sum[i] += k.weight[i] * (total + change[DIFFUSE] + w.part[i] * dlog)


cdef void slope_tile(const Task *t, Work *k, int slow, int fast, int real) noexcept nogil:
    """`real` pixels of row `slow` from column `fast` on."""
    cdef const nb_job *p = t.p
    cdef Scratch *w = &k.w
    cdef int n = (real + LANES - 1) // LANES * LANES
    cdef int i, layer, sub_slow, sub_fast, source, number
    cdef Py_ssize_t at = <Py_ssize_t>slow * p.fpixels + fast
    cdef double f2 = p.default_F * p.default_F if p.structure_kind == NB_CONSTANT else 1.0
    cdef double start[3]
    cdef double f, s, sum, diffuse = p.diffuse / f2 if f2 != 0.0 else 0.0
    cdef bint first, last, some = False
    cdef const double *src
    for i in range(n):
        k.outer[i] = 0.0
        if i < real and (t.mask == NULL or t.mask[at + i]):
            k.outer[i] = t.outer[at + i] if t.reverse else 1.0
        some = some or k.outer[i] != 0.0
    if not some:
        return
    whole_factors(t, k, slow, fast, n)
    if w.dropped:
        return
    fill(n, 0.0, w.acc)
    fill(n, 0.0, k.taken)
    fill(n, 0.0, k.take)
    if t.reverse:
        sum = nb_total2(n, k.outer, k.whole) * p.scale
        for i in range(n):
            k.both[i] = k.outer[i] * t.image[at + i] if i < real else 0.0
            k.adjoint[i] = k.outer[i] * (p.scale * f2) * k.whole[i]
        k.sums[BACKGROUND] += sum
        k.sums[SCALE] += nb_total(n, k.both) / p.scale if p.scale != 0.0 else 0.0
        k.sums[FACTOR] += (nb_total(n, k.both) - sum * p.background) / f2 if f2 != 0.0 else 0.0
    else:
        fill(2 * t.count * TILE, 0.0, k.change)
    for layer in range(p.layers):
        for sub_slow in range(p.oversample):
            for sub_fast in range(p.oversample):
                first = layer == 0 and sub_slow == 0 and sub_fast == 0
                last = p.sensor and layer == p.layers - 1 and sub_slow == 0 and sub_fast == 0
                place_in_pixel(p, slow, fast, layer, sub_slow, sub_fast, start, &f, &s)
                directions(p, n, p.pixel, start, w.place, w.x, w.y, w.z, w.inv, w)
                if p.weight_omega:
                    for i in range(n):
                        w.omega[i] = nb_solid_angle(w.inv[i], p.pixel * p.pixel, close_to(p, layer), p.point_pixel)
                if p.weight_thick:
                    project(n, p.normal, w.x, w.y, w.z, w.capture)
                    captures(p, n, layer, w.capture)
                if t.reverse and t.geometry:
                    fill(n, 0.0, k.dx)
                    fill(n, 0.0, k.dy)
                    fill(n, 0.0, k.dz)
                    for i in range(n):
                        k.log_omega[i] = k.both[i] if first and not p.weight_omega else 0.0
                        k.log_capture[i] = k.both[i] if last and not p.weight_thick else 0.0
                for source in range(p.sources):
                    if drop(w, 8 * n):
                        return
                    src = t.sources + source * NB_SOURCE_SIZE
                    take_polarization(t, k, src, n)
                    contribution_weights(p, k, src[NB_SOURCE_WEIGHT], n)
                    if t.reverse:
                        for i in range(n):
                            k.share[i] = k.adjoint[i] * k.weight[i]
                            k.weighted[i] = k.share[i] * (w.passed[i] if p.dmin > 0.0 else 1.0)
                            k.wx[i] = k.weighted[i] * w.qx[i]
                            k.wy[i] = k.weighted[i] * w.qy[i]
                            k.wz[i] = k.weighted[i] * w.qz[i]
                    all_orientations(t, k, src, start, p.pixel, n)
                    for i in range(n):
                        w.part[i] = w.part[i] * (w.passed[i] if p.dmin > 0.0 else 1.0) + diffuse
                    if t.reverse:
                        k.sums[DIFFUSE] += nb_total(n, k.share)
                        if t.shape:
                            for i in range(NB_BY_SHAPE):
                                k.sums[SHAPE + i] += nb_total2(n, k.weighted, k.shape + i * TILE)
                        if t.geometry:
                            close_source(t, k, src, k.sums + HEAD + source * PER_SOURCE, n)
                    else:
                        for i in range(n):
                            w.acc[i] += k.weight[i] * w.part[i]
                        for number in range(t.count):
                            add_changes(t, k, number, layer, source, start, f, s, first and source == 0,
                                        last and source == 0, n)
                if t.reverse and t.geometry:
                    close_place(t, k, layer, start, f, s, n)
    if not t.reverse:
        changes_of_pixels(t, k, f2, real, at)


cdef void changes_of_pixels(const Task *t, Work *k, double f2, int n, Py_ssize_t at) noexcept nogil:
    """Forward: the pixels and their changes, from those of the sum."""
    cdef const nb_job *p = t.p
    cdef Py_ssize_t pixels = <Py_ssize_t>p.spixels * p.fpixels
    cdef const double *change
    cdef int i, number
    cdef double sum, value
    for i in range(n):
        if k.outer[i] == 0.0:
            continue
        sum = k.w.acc[i]
        value = p.scale * (p.background + f2 * sum) * k.whole[i]
        t.image[at + i] = value
        for number in range(t.count):
            change = t.changes + number * t.size
            t.out[number * pixels + at + i] = (
                p.scale * k.whole[i] * (change[BACKGROUND] + change[FACTOR] * sum + f2 * k.change[number * TILE + i])
                + (value * change[SCALE] / p.scale if p.scale != 0.0 else 0.0) + value * k.logs[number * TILE + i]
            )
