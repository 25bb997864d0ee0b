# Tiles of a still: a flat detector, one source, one orientation, nothing that is asked of single pixels. What a tile
# takes besides its loops counts there: by the long way round, render_tile, it is a fifth of the time. Of rows of a
# narrow panel as many as have room are one tile, and only what depends on the row begins anew.
# Part of render.pyx, which includes it: in a .pxd these functions would be inlined, and lose their vectors.


cdef bint is_still(const Panel *panel, const Scratch *w) noexcept nogil:
    cdef const nb_job *p = panel.p
    return (p.sources == 1 and p.orientations == 1 and p.layers == 1 and not p.curved and not p.sensor and not p.single
            and p.dmin <= 0.0 and p.diffuse == 0.0 and not p.point_pixel and not p.weight_source
            and not p.weight_thick and not p.weight_polar and not p.weight_omega and p.lattice.limit <= 0.0
            and p.structure_kind != NB_TRICUBIC and panel.mask == NULL and panel.unrounded == NULL and w.row < 0)


cdef void begin_still(const Panel *panel, int rows, int n, nb_once *o, Scratch *w) noexcept nogil:
    """What the tiles of a portion have in common: Q, R and the source.

    w.y: the pixels' places, 0, 1, 2, ... in each of a tile's rows of n pixels.
    """
    cdef const nb_job *p = panel.p
    cdef double step = p.subpixel * p.oversample
    cdef int i, row
    w.pqr = w.blocks
    w.kept = NULL
    make_pqr(p, 1, panel.cells, panel.stride, panel.sources, p.origin, step, w.pqr)
    w.pqr[9 * BLOCK] = panel.sources[NB_SOURCE_WEIGHT]
    w.pqr[10 * BLOCK] = <double>panel.tables[0]
    for row in range(rows):
        copy(n, w.place, w.y + row * n)
    for i in range(PQR_ROWS):
        for row in range(1, rows):
            w.pqr[i * BLOCK + row] = w.pqr[i * BLOCK]
    begin_once(p, panel.sources, step, p.first_depth, w, o)


cdef void begin_still_row(const Panel *panel, double s, double f, int row, nb_once_row *at,
                          Scratch *w) noexcept nogil:
    """A row of the tile whose first pixel, or sub-pixel, lies at s, f on the detector: P, and where it is."""
    cdef const nb_job *p = panel.p
    cdef const double *cells = panel.cells
    cdef Py_ssize_t stride = panel.stride
    cdef double o = p.first_depth, wave = panel.sources[3], px, py, pz
    cdef double start[3]
    cdef int i, axis
    for i in range(3):
        start[i] = f * p.fast[i] + s * p.slow[i] + o * p.normal[i] + p.origin[i]
    begin_row(panel.sources, p.subpixel * p.oversample, start, w, at)
    px = start[0] * wave
    py = start[1] * wave
    pz = start[2] * wave
    for axis in range(3):
        w.pqr[3 * axis * BLOCK + row] = (cells[3 * axis * stride] * px + cells[(3 * axis + 1) * stride] * py
                                         + cells[(3 * axis + 2) * stride] * pz)


cdef void render_still(const Panel *panel, int slow, int rows, int fast, int n, nb_once *o, Scratch *w,
                       float *image) noexcept nogil:
    """As `render_tile`, where `is_still`, for some rows of n pixels."""
    cdef const nb_job *p = panel.p
    cdef int sub_slow, sub_fast, row, i, m = (n + LANES - 1) // LANES * LANES  # with spare lanes, which are thrown away
    cdef bint first = True, inside
    cdef double spare[LANES]
    cdef const double *table = <const double *>NULL if p.structure_kind == NB_CONSTANT else panel.table
    cdef double f, s
    for sub_slow in range(p.oversample):
        for sub_fast in range(p.oversample):
            if drop(w, m * rows):
                return
            f = p.subpixel * (fast * p.oversample + sub_fast) + p.subpixel / 2.0
            for row in range(rows):
                s = p.subpixel * ((slow + row) * p.oversample + sub_slow) + p.subpixel / 2.0
                begin_still_row(panel, s, f, row, &o.row[row], w)
            if first:
                for i in range(m - n):
                    spare[i] = w.angle[n + i]
                nb_work_once(m, rows, o, w.place, w.inv, w.factor, w.angle, w.acc)
                for i in range(m - n):
                    w.angle[n + i] = spare[i]
                first = False
            else:
                for row in range(rows):
                    nb_inverse_lengths(m, o.row[row].along, o.step, o.row[row].off, o.unit, w.place, w.inv + row * m)
            inside = True
            for row in range(rows if table != NULL else 0):
                inside = inside and still_inside(p, m, row, &o.row[row], w)
            if inside:
                nb_sum_rows(p.lattice_kind, &p.lattice, &p.box, table, m, rows, w.y, w.inv, w.pqr, w.acc)
                continue
            for row in range(rows):
                nb_sum_flat_nearest(p.lattice_kind, 0, &p.lattice, &p.box, table, m, w.place, w.inv + row * m, 1,
                                    w.pqr + row, w.acc + row * m)
    if panel.pitch == m == n:  # rows that follow one another
        m *= rows
        n = m
        rows = 1
    w.precise = NULL
    for row in range(rows):
        finish(p, n, NULL, w, -1, True, image + row * panel.pitch)
        w.acc += m
        w.factor += m
    w.acc -= rows * m
    w.factor -= rows * m


cdef bint still_inside(const nb_job *p, int n, int row, const nb_once_row *at, Scratch *w) noexcept nogil:
    """`all_inside` of a row of the tile."""
    w.along = at.metres[0]
    w.off = at.metres[1]
    return all_inside(p, 1, n, w.pqr + row, w.inv + row * n, w)
