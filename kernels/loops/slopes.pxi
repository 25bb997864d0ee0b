# One thread's workspace for derivatives, and the orientations' part in them.
# Part of gradient.pyx, which includes it.

cdef extern from "nb_slopes.h" nogil:
    void nb_slope_flat(int kind, const nb_lattice *c, int n, nb_in place, nb_in inv, const double *m, nb_out value,
                       nb_out sh, nb_out sk, nb_out sl)
    void nb_slope_nearest(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in place, nb_in inv,
                          const double *m, nb_out value, nb_out sh, nb_out sk, nb_out sl)
    void nb_slope_indices(int kind, const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_in wh,
                          nb_in wk, nb_in wl, nb_out value, nb_out sh, nb_out sk, nb_out sl)
    void nb_collect(int n, nb_in sh, nb_in sk, nb_in sl, nb_in qx, nb_in qy, nb_in qz, double *sums, long stride)
    void nb_by_scattering(int n, nb_in sh, nb_in sk, nb_in sl, const double *cell, nb_out gx, nb_out gy, nb_out gz)
    void nb_by_cell(int n, nb_in sh, nb_in sk, nb_in sl, nb_in qx, nb_in qy, nb_in qz, const double *turn,
                    double *sums, long step)
    void nb_along(int n, nb_in sh, nb_in sk, nb_in sl, nb_in qx, nb_in qy, nb_in qz, const double *change, nb_out sum)
    void nb_by_shape(int kind, const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_in value,
                     double *by, long step)
    bint nb_shape_by_value(int kind)
    void nb_collect_gauss(const nb_lattice *c, int n, nb_in place, nb_in inv, const double *m, nb_in value,
                          nb_in adjoint, double *sums)
    void nb_by_shape_flat(const nb_lattice *c, int n, nb_in place, nb_in inv, const double *m, nb_in value, double *by,
                          long step)
    double nb_total(int n, nb_in a)
    double nb_total2(int n, nb_in a, nb_in b)
    void nb_nearest_factors(const nb_box *box, nb_in table, int n, nb_in h, nb_in k, nb_in l, nb_outi element,
                            nb_out factor, nb_out weight)
    void nb_spread_nearest(int n, nb_ini element, nb_in factor, nb_in value, nb_in adjoint, nb_out amount, nb_out sums)
    double nb_tricubic_slopes(const double *corner, int plane, int row, double h, double k, double l, double *slope)
    void nb_tricubic_spread(double *corner, int plane, int row, double h, double k, double l, double amount)

# the numbers that the derivatives are by, in one array: where they begin, how many for a source
cdef enum:
    ORIGIN = 0
    FAST = 3
    SLOW = 6
    NORMAL = 9
    BEAM = 12
    DISTANCE = 15
    CLOSE = 16
    SCALE = 17
    BACKGROUND = 18
    FACTOR = 19  # of the sum: default_F^2 where that is the structure factor
    SHAPE = 20
    CELL = 27  # a, b, c before they are turned
    DIFFUSE = 36  # what joins each source's sum, over that factor
    HEAD = 37
    PER_SOURCE = 11   # those of nb_job's source, and a weight
    WEIGHT = 10


cdef struct Task:
    # what all threads share
    const nb_job *p
    const double *sources
    const double *cells
    const double *table
    const unsigned short *mask
    Py_ssize_t stride
    bint reverse
    bint geometry      # derivatives by source and detector are wanted,
    bint shape         # by the shape's numbers,
    bint cell          # and (forward) by the unrotated cell
    const double *outer  # reverse: weights of the pixels
    double *image              # reverse: the image; forward: where it goes
    int count                  # forward: changes at once,
    const double *changes      # each of `size` numbers,
    Py_ssize_t size
    int directions             # changes of the orientations' own,
    const double *orientations  # (9, stride) each,
    const int *direction       # and which of them belongs to a change, or -1
    const double *turns        # (9, stride), row-major matrices
    const double *table_change  # of structure factors, for the first change; or NULL
    double *out                # (count, slow, fast)


cdef struct Work:
    Scratch w
    double *outer      # reverse: the pixels' weights,
    double *both       # times the image,
    double *adjoint    # times what multiplies the sum
    double *whole      # corrections for the whole pixel
    double *weight     # of a contribution,
    double *share  # times adjoint,
    double *weighted   # and 0 beyond dmin: of the crystal's part,
    double *wx         # times the scattering vector
    double *wy
    double *wz
    double *value      # of a step, and its slopes
    double *sh
    double *sk
    double *sl
    double *wh         # slopes of F_cell^2
    double *wk
    double *wl
    double *factor     # F_cell,
    double *corner     # where its neighbourhood begins in the table, or -1,
    double *amount     # and what the step is by it
    double *gx         # by the scattering vector
    double *gy
    double *gz
    double *dx         # reverse: by the diffracted direction
    double *dy
    double *dz
    double *c          # components along the beam, its E and its B vector
    double *e
    double *b
    double *taken      # 1 where the pixel has its polarization,
    double *take       # and where it takes it now
    double *log_omega  # reverse: by the logarithms of solid angle and capture
    double *log_capture
    double *cell       # 9 * TILE
    double *shape      # NB_BY_SHAPE * TILE
    double *along      # `directions` of them
    double *change     # forward: of the sum,
    double *logs       # and of the logarithm of the whole pixel's factors
    double *sums       # reverse: HEAD + PER_SOURCE * sources,
    double *turned     # (9, stride),
    double *table      # and structure factors, or NULL

cdef enum:
    OWN = 33


cdef Py_ssize_t workspace(const Task *t) noexcept nogil:
    """Doubles that a thread needs."""
    return SCRATCH_DOUBLES + TILE * (OWN + 9 + NB_BY_SHAPE + t.directions + 1 + 2 * t.count)


cdef void lay_out_work(Work *k, const Task *t, double *memory, nb_watch *watch) noexcept nogil:
    lay_out(&k.w, memory, watch)
    aim(&k.w, t.p)
    memory += SCRATCH_DOUBLES
    cdef double **own = &k.outer
    cdef int i
    for i in range(OWN):
        own[i] = memory + i * TILE
    memory += OWN * TILE
    k.cell = memory
    k.shape = memory + 9 * TILE
    k.along = k.shape + NB_BY_SHAPE * TILE
    k.change = k.along + (t.directions + 1) * TILE
    k.logs = k.change + t.count * TILE
    k.sums = k.turned = k.table = NULL


cdef void table_weights(const Task *t, Work *k, int at, int n) noexcept nogil:
    """F_cell, its square and that one's slopes at the tile's indices; what was interpolated keeps an element of 0 or
    more in `corner`."""
    cdef const nb_job *p = t.p
    cdef Scratch *w = &k.w
    cdef int i, j
    cdef double f
    cdef double slope[3]
    if p.structure_kind == NB_CONSTANT:
        fill(n, 1.0, w.weight + at)
        return
    nb_nearest_factors(&p.box, t.table, n, w.h + at, w.k + at, w.l + at, w.element + at, k.factor + at, w.weight + at)
    if p.structure_kind == NB_NEAREST:
        return
    for i in range(at, at + n):
        k.corner[i] = -1.0
        k.wh[i] = k.wk[i] = k.wl[i] = 0.0
        j = nb_box_corner(&p.box, w.h[i], w.k[i], w.l[i])
        if j >= 0:
            f = nb_tricubic_slopes(t.table + j, <int>p.box.stride[0], <int>p.box.stride[1], w.h[i], w.k[i], w.l[i],
                                   slope)
            k.corner[i] = j
            k.factor[i] = f
            w.weight[i] = f * f
            k.wh[i] = 2.0 * f * slope[0]
            k.wk[i] = 2.0 * f * slope[1]
            k.wl[i] = 2.0 * f * slope[2]


cdef void by_table(const Task *t, Work *k, int at, int n) noexcept nogil:
    """Reverse: what the structure factors have done to the sum. Forward: what their change does."""
    cdef const nb_job *p = t.p
    cdef Scratch *w = &k.w
    cdef int i, corner, plane = <int>p.box.stride[0], row = <int>p.box.stride[1]
    cdef double amount, change
    cdef double slope[3]
    cdef double *changes = k.along + t.directions * TILE
    if t.reverse and p.structure_kind == NB_NEAREST:
        nb_spread_nearest(n, w.element + at, k.factor + at, k.value + at, k.weighted + at, k.amount + at, k.table)
        return
    for i in range(at, at + n):
        amount = 2.0 * k.value[i] / k.factor[i] if k.factor[i] != 0.0 else 0.0
        corner = <int>k.corner[i] if p.structure_kind == NB_TRICUBIC else -1
        if t.reverse:
            if corner >= 0:
                nb_tricubic_spread(k.table + corner, plane, row, w.h[i], w.k[i], w.l[i], amount * k.weighted[i])
            else:
                k.table[w.element[i]] += amount * k.weighted[i]
            continue
        if corner >= 0:
            change = nb_tricubic_slopes(t.table_change + corner, plane, row, w.h[i], w.k[i], w.l[i], slope)
        else:
            change = t.table_change[w.element[i]]
        changes[i] += amount * change


cdef void one_orientation(const Task *t, Work *k, int o, int j, int at, int n) noexcept nogil:
    """Orientation o, the block's number j, and the n pixels from `at` on."""
    cdef const nb_job *p = t.p
    cdef Scratch *w = &k.w
    cdef int i, d
    cdef double m[9]
    cdef double cell[9]
    cdef nb_in value = k.value + at
    cdef nb_out part = w.part + at
    cdef nb_in sh = k.sh + at
    cdef nb_in sk = k.sk + at
    cdef nb_in sl = k.sl + at
    cdef bint table = k.table != NULL or t.table_change != NULL
    if t.geometry or p.curved:
        for i in range(9):
            cell[i] = t.cells[i * t.stride + o]
    for i in range(9):
        m[i] = cell[i] if p.curved else w.pqr[i * BLOCK + j]
    cdef bint direct = not (p.curved or p.structure_kind == NB_TRICUBIC or table
                            or (t.shape and not nb_shape_by_value(p.lattice_kind)))
    if not direct:
        if p.curved:
            indices_scattering(n, w.qx + at, w.qy + at, w.qz + at, m, w.h + at, w.k + at, w.l + at)
        else:
            indices_flat(n, w.place + at, w.inv + at, m, w.h + at, w.k + at, w.l + at)
        table_weights(t, k, at, n)
        nb_slope_indices(p.lattice_kind, &p.lattice, n, w.h + at, w.k + at, w.l + at, w.weight + at, k.wh + at,
                         k.wk + at, k.wl + at, k.value + at, k.sh + at, k.sk + at, k.sl + at)
        if t.shape:
            nb_by_shape(p.lattice_kind, &p.lattice, n, w.h + at, w.k + at, w.l + at, w.weight + at, value,
                        k.shape + at, TILE)
        if table:
            by_table(t, k, at, n)
    elif p.structure_kind == NB_CONSTANT:
        nb_slope_flat(p.lattice_kind, &p.lattice, n, w.place + at, w.inv + at, m, k.value + at, k.sh + at, k.sk + at,
                      k.sl + at)
    else:
        nb_slope_nearest(p.lattice_kind, &p.lattice, &p.box, t.table, n, w.place + at, w.inv + at, m, k.value + at,
                         k.sh + at, k.sk + at, k.sl + at)
    if direct and t.shape and t.reverse:
        nb_collect_gauss(&p.lattice, n, w.place + at, w.inv + at, m, value, k.weighted + at, k.sums + SHAPE)
    elif direct and t.shape:
        nb_by_shape_flat(&p.lattice, n, w.place + at, w.inv + at, m, value, k.shape + at, TILE)
    if t.reverse:
        nb_collect(n, sh, sk, sl, k.wx + at, k.wy + at, k.wz + at, k.turned + o, t.stride)
    if t.geometry:
        nb_by_scattering(n, sh, sk, sl, cell, k.gx + at, k.gy + at, k.gz + at)
    if t.geometry or not t.reverse:
        for i in range(n):
            part[i] = part[i] + value[i]
    if t.cell:
        for i in range(9):
            cell[i] = t.turns[i * t.stride + o]
        nb_by_cell(n, sh, sk, sl, w.qx + at, w.qy + at, w.qz + at, cell, k.cell + at, TILE)
    for d in range(t.directions):
        for i in range(9):
            cell[i] = t.orientations[(9 * d + i) * t.stride + o]
        nb_along(n, sh, sk, sl, w.qx + at, w.qy + at, w.qz + at, cell, k.along + d * TILE + at)


cdef void all_orientations(const Task *t, Work *k, const double *source, const double *start, double step,
                           int n) noexcept nogil:
    """The sums over phi steps and domains for one source, layer and sub-pixel of a tile."""
    cdef const nb_job *p = t.p
    cdef int first = 0, count, j, at, length
    cdef double near[BLOCK]
    fill(n, 0.0, k.w.part)
    fill(n, 0.0, k.gx)
    fill(n, 0.0, k.gy)
    fill(n, 0.0, k.gz)
    if t.cell:
        fill(9 * TILE, 0.0, k.cell)
    if t.shape:
        fill(NB_BY_SHAPE * TILE, 0.0, k.shape)
    fill((t.directions + 1) * TILE, 0.0, k.along)
    while first < p.orientations:
        count = p.orientations - first
        if count > BLOCK:
            count = BLOCK
        if not p.curved:
            make_pqr(p, count, t.cells + first, t.stride, source, start, step, k.w.pqr)
        if p.lattice.limit > 0.0:
            at = 0
            while at < n:
                length = n - at if n - at < STRETCH else STRETCH
                find_near(p, count, &k.w, k.w.pqr, at, at + length - 1, near)
                for j in range(count):
                    if near[j] != 0.0:
                        one_orientation(t, k, first + j, j, at, length)
                at += STRETCH
        else:
            for j in range(count):
                one_orientation(t, k, first + j, j, 0, n)
        if drop(&k.w, 4 * <Py_ssize_t>count * n):
            return
        first += BLOCK
