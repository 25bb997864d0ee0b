# The sum over phi steps and mosaic domains for the pixels of a tile.
# Part of render.pyx, which includes it: in a .pxd these functions would be inlined, and lose their vectors.

cdef extern from "sums.h" nogil:
    void nb_ask_for_turns()
    void nb_sum_flat(int kind, int weighted, const nb_lattice *c, int n, nb_in place, nb_in inv, int count, nb_in pqr,
                     nb_out acc)
    void nb_sum_flat_nearest(int kind, int inside, const nb_lattice *c, const nb_box *box, nb_in table, int n,
                             nb_in place, nb_in inv, int count, nb_in pqr, nb_out acc)
    void nb_sum_rows(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, int rows, nb_in place,
                     nb_in inv, nb_in pqr, nb_out acc)
    void nb_sum_indices(int kind, const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_out acc)
    void nb_sum_shared(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in h, nb_in k, nb_in l,
                       int count, nb_in pqr, nb_out acc)

cdef extern from "sums_single.h" nogil:
    void nb_sum_single(int kind, int weighted, const nb_lattice *c, int n, nb_in place, nb_in inv, int count,
                       nb_in pqr, nb_outf acc)
    void nb_sum_single_nearest(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in place,
                               nb_in inv, int count, nb_in pqr, nb_outf acc)
    void nb_sum_single_shared(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in h, nb_in k,
                              nb_in l, int count, nb_in pqr, nb_outf acc)

cdef extern from "curved.h" nogil:
    void nb_sum_curved(int kind, int weighted, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in x,
                       nb_in y, nb_in z, int count, nb_in pqr, nb_out acc)


cdef int pick_near(int count, const double *near, const double *pqr, double *some) noexcept nogil:
    """Copy P, Q, R of the orientations that are near to the beginning of `some`; how many they are."""
    cdef int i, j, picked = 0
    for j in range(count):
        if near[j] != 0.0:
            for i in range(PQR_ROWS):
                some[i * BLOCK + picked] = pqr[i * BLOCK + j]
            picked += 1
    return picked


cdef void sum_near(const nb_job *p, const double *table, int count, int n, Scratch *w,
                   double *acc) noexcept nogil:
    """As `sum_block`, for spots that end: orientations without one near a stretch of pixels are left out.

    Most have none near the whole tile, where they have any end, and are asked about once.
    """
    cdef int j, last, first = 0, length, within = 0
    cdef double near[BLOCK]
    cdef const double *pqr = w.pqr
    find_near(p, count, w, pqr, 0, n - 1, near)
    for j in range(count):
        within += near[j] != 0.0
    if within == 0:
        return
    if within <= count // 2:
        count = pick_near(count, near, pqr, w.cubic)
        pqr = w.cubic
    while first < n:
        length = n - first if n - first < STRETCH else STRETCH
        find_near(p, count, w, pqr, first, first + length - 1, near)
        j = 0
        while j < count:
            last = j
            while last < count and near[last] != 0.0:
                last += 1
            if last == j:
                j += 1
                continue
            if p.structure_kind == NB_CONSTANT:
                nb_sum_flat(p.lattice_kind, p.weight_source, &p.lattice, length, w.place + first, w.inv + first,
                            last - j, pqr + j, acc + first)
            else:
                nb_sum_flat_nearest(p.lattice_kind, 0, &p.lattice, &p.box, table, length, w.place + first,
                                    w.inv + first, last - j, pqr + j, acc + first)
            j = last
        first += STRETCH


cdef void sum_block_single(const nb_job *p, const double *table, int count, int n, Scratch *w,
                           double *acc) noexcept nogil:
    """As `sum_block` for flat detectors, in float32; a block's sum goes to the double one."""
    cdef int i
    cdef nb_outf part = <float *>w.h
    cdef nb_out total = acc
    fill(TILE // 2, 0.0, w.h)
    if p.structure_kind == NB_CONSTANT:
        nb_sum_single(p.lattice_kind, p.weight_source, &p.lattice, n, w.place, w.inv, count, w.pqr, part)
    else:
        nb_sum_single_nearest(p.lattice_kind, &p.lattice, &p.box, table, n, w.place, w.inv, count, w.pqr, part)
    for i in range(n):
        total[i] = total[i] + part[i]


cdef bint all_inside(const nb_job *p, int count, int n, nb_in pqr, nb_in inv, const Scratch *w) noexcept nogil:
    """Whether the nearest indices of `count` orientations are in the table of structure factors, all along the tile, as
    those of most images are: they need not be clamped then, which is a tenth of a step."""
    cdef int j, axis
    cdef double t0 = w.along, t1 = w.along + w.step * (n - 1)
    cdef nb_in m
    for axis in range(3):
        m = pqr + 3 * axis * BLOCK
        for j in range(count):
            if not nb_row_between(m[j], m[BLOCK + j], m[2 * BLOCK + j], w.along, w.step, w.off, t0, t1, inv[0],
                                  inv[n - 1], p.box.low[axis], p.box.high[axis]):
                return False
    return True


cdef int count_outside(const nb_job *p, const Scratch *w) noexcept nogil:
    """How many of the tile's steps could not be interpolated, of those that the reference would have executed."""
    cdef int i, count = 0
    cdef double axis[3]
    for i in range(w.real):
        if w.element[i] >= 0 or (w.mask != NULL and w.mask[i] == 0) or (w.cut and w.passed[i] == 0.0):
            continue
        # the amplitude, which is nothing far from a Gaussian spot, where the loops' exponential is next to nothing
        count += p.background != 0.0 or nb_amplitude(p.lattice_kind, &p.lattice, w.h[i], w.k[i], w.l[i], axis) != 0.0
    return count


cdef void sum_block(const nb_job *p, const double *cells, Py_ssize_t stride, const double *table, int count,
                    int n, Scratch *w, double *acc) noexcept nogil:
    """acc += contributions of up to BLOCK orientations to a tile."""
    cdef int i, j
    cdef double m[9]
    cdef double weight
    if p.single and not p.curved and p.structure_kind != NB_TRICUBIC:
        sum_block_single(p, table, count, n, w, acc)
        return
    if not p.curved and p.structure_kind == NB_CONSTANT:
        nb_sum_flat(p.lattice_kind, p.weight_source, &p.lattice, n, w.place, w.inv, count, w.pqr, acc)
        return
    if not p.curved and p.structure_kind == NB_NEAREST:
        nb_sum_flat_nearest(p.lattice_kind, all_inside(p, count, n, w.pqr, w.inv, w), &p.lattice, &p.box, table, n,
                            w.place, w.inv, count, w.pqr, acc)
        return
    if p.curved:
        for i in range(9):
            copy(count, cells + i * stride, w.pqr + i * BLOCK)
        if p.structure_kind != NB_TRICUBIC:
            nb_sum_curved(p.lattice_kind, p.weight_source, &p.lattice, &p.box,
                          table if p.structure_kind == NB_NEAREST else <const double *>NULL, n, w.qx, w.qy, w.qz,
                          count, w.pqr, acc)
            return
    # where structure factors are interpolated: indices, then these, then the lattice
    for j in range(count):
        for i in range(9):
            m[i] = w.pqr[i * BLOCK + j]
        if p.curved:
            indices_scattering(n, w.qx, w.qy, w.qz, m, w.h, w.k, w.l)
        else:
            indices_flat(n, w.place, w.inv, m, w.h, w.k, w.l)
        if weights_tricubic(&p.box, table + <Py_ssize_t>w.pqr[10 * BLOCK + j], n, w.h, w.k, w.l, w.cubic, w.element,
                            w.weight):
            w.outside += count_outside(p, w)
        if p.weight_source:
            weight = w.pqr[9 * BLOCK + j]
            for i in range(n):
                w.weight[i] = w.weight[i] * weight
        nb_sum_indices(p.lattice_kind, &p.lattice, n, w.h, w.k, w.l, w.weight, acc)


cdef void sum_ready(const nb_job *p, const double *cells, Py_ssize_t stride, const double *table, int count, int n,
                    Scratch *w, double *acc) noexcept nogil:
    """acc += contributions of the orientations whose P, Q, R are in `w.pqr`."""
    if p.lattice.limit > 0.0:
        sum_near(p, table, count, n, w, acc)
    elif count > 0:
        sum_block(p, cells, stride, table, count, n, w, acc)


cdef bint one_direction(const double *sources, int members) noexcept nogil:
    cdef int source
    for source in range(1, members):
        if not same_direction(sources, sources + source * NB_SOURCE_SIZE):
            return False
    return True


cdef void sum_wavelengths(const nb_job *p, const double *cells, Py_ssize_t stride, const double *table,
                          const double *sources, const long long *tables, int members, const double *start,
                          double step, int n, Scratch *w, double *acc) noexcept nogil:
    """As `sum_orientations` for sources of one direction, one orientation after the other: but for a factor they share
    its h, k and l."""
    cdef int source = 0, count, first, ready, j, i
    cdef const double *src
    cdef const double *values = table if p.structure_kind == NB_NEAREST else <const double *>NULL
    cdef double m[9]
    cdef double metre[4]
    cdef nb_outf part = <float *>w.weight
    cdef nb_out total = acc
    w.pqr = w.blocks
    w.kept = NULL
    for i in range(3):
        metre[i] = sources[i]
    metre[3] = 1.0
    while source < members:
        count = 0
        while source < members and count < BLOCK:
            src = sources + source * NB_SOURCE_SIZE
            if src[NB_SOURCE_WEIGHT] != 0.0:
                w.waves[count] = src[3]
                w.waves[9 * BLOCK + count] = src[NB_SOURCE_WEIGHT]
                w.waves[10 * BLOCK + count] = <double>tables[source]
                count += 1
            source += 1
        first = 0
        while first < p.orientations and count > 0:
            ready = min(p.orientations - first, BLOCK)
            make_pqr(p, ready, cells + first, stride, metre, start, step, w.pqr)
            for j in range(ready):
                for i in range(9):
                    m[i] = w.pqr[i * BLOCK + j]
                indices_flat(n, w.place, w.inv, m, w.h, w.k, w.l)
                if p.single:
                    fill(TILE // 2, 0.0, w.weight)
                    nb_sum_single_shared(p.lattice_kind, &p.lattice, &p.box, values, n, w.h, w.k, w.l, count, w.waves,
                                         part)
                    for i in range(n):
                        total[i] = total[i] + part[i]
                else:
                    nb_sum_shared(p.lattice_kind, &p.lattice, &p.box, values, n, w.h, w.k, w.l, count, w.waves, acc)
                if drop(w, <Py_ssize_t>count * n):
                    return
            first += ready


cdef void sum_orientations(const nb_job *p, const double *cells, Py_ssize_t stride, const double *table,
                           const double *sources, const long long *tables, int members, const double *start,
                           double step, int n, Scratch *w, double *acc) noexcept nogil:
    """acc += contributions of every phi step and mosaic domain for `members` sources, in the reference's order.

    tables: where in `table` each source's structure factors begin. Sources that have few orientations share a block,
    which on a curved detector, that has no P, Q and R, they cannot.
    """
    cdef int source, first, count, at = 0, i, block = 0
    cdef const double *src
    # sources and orientations come in the same order for every tile: of their P, Q and R, where all have room, only P
    # changes
    cdef bint kept = w.kept == p and w.kept_sources == sources and w.kept_members == members
    # with one orientation the order is the reference's
    if (members >= SHARED_FROM and (p.sources_join or p.orientations == 1) and not p.curved
            and p.lattice.limit == 0.0 and p.structure_kind != NB_TRICUBIC and one_direction(sources, members)):
        sum_wavelengths(p, cells, stride, table, sources, tables, members, start, step, n, w, acc)
        return
    w.pqr = w.blocks
    if not kept:
        w.kept = NULL
    for source in range(members):
        src = sources + source * NB_SOURCE_SIZE
        if p.weight_source and src[NB_SOURCE_WEIGHT] == 0.0:
            continue
        first = 0
        while first < p.orientations:
            count = p.orientations - first
            if count > BLOCK:
                count = BLOCK
            if at + (count + VECTOR - 1) // VECTOR * VECTOR > BLOCK:
                sum_ready(p, cells, stride, table, at, n, w, acc)
                if drop(w, <Py_ssize_t>at * n):
                    return
                at = 0
                block += 1
                w.pqr = w.blocks + block % BLOCKS * (PQR_ROWS * BLOCK)
            if kept:
                make_p(p, count, cells + first, stride, src, start, w.pqr + at)
                at += count
                first += count
                continue
            for i in range(count):
                w.pqr[9 * BLOCK + at + i] = src[NB_SOURCE_WEIGHT]
                w.pqr[10 * BLOCK + at + i] = <double>tables[source]
            if p.curved:
                sum_ready(p, cells + first, stride, table, count, n, w, acc)
                if drop(w, <Py_ssize_t>count * n):
                    return
            else:
                make_pqr(p, count, cells + first, stride, src, start, step, w.pqr + at)
                at += count
            first += count
    if at > 0:
        sum_ready(p, cells, stride, table, at, n, w, acc)
    if block < BLOCKS and not p.curved:
        w.kept = p
        w.kept_sources = sources
        w.kept_members = members
