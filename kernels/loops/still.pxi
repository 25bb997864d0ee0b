# Tiles of a still: a flat detector, one source, one orientation, nothing that is asked of single pixels. What a tile
# takes besides its loops counts there: by the long way round, render_tile, it is a fifth of the time.
# Part of render.pyx, which includes it: in a .pxd these functions would be inlined, and lose their vectors.


cdef bint is_still(const Panel *panel, const Scratch *w) noexcept nogil:
    cdef const nb_job *p = panel.p
    return (p.sources == 1 and p.orientations == 1 and p.layers == 1 and not p.curved and not p.sensor and not p.single
            and p.dmin <= 0.0 and p.diffuse == 0.0 and not p.point_pixel and not p.weight_source
            and not p.weight_thick and not p.weight_polar and not p.weight_omega and p.lattice.limit <= 0.0
            and p.structure_kind != NB_TRICUBIC and panel.mask == NULL and panel.unrounded == NULL and w.row < 0)


cdef void begin_still(const Panel *panel, Scratch *w) noexcept nogil:
    """What the tiles of a portion have in common: Q, R and the source."""
    cdef const nb_job *p = panel.p
    w.pqr = w.blocks
    w.kept = NULL
    make_pqr(p, 1, panel.cells, panel.stride, panel.sources, p.origin, p.subpixel * p.oversample, w.pqr)
    w.pqr[9 * BLOCK] = panel.sources[NB_SOURCE_WEIGHT]
    w.pqr[10 * BLOCK] = <double>panel.tables[0]


cdef void render_still(const Panel *panel, int slow, int fast, int n, Scratch *w, float *image) noexcept nogil:
    """As `render_tile`, where `is_still`, for a number of pixels n that is a multiple of LANES."""
    cdef const nb_job *p = panel.p
    cdef const double *cells = panel.cells
    cdef Py_ssize_t stride = panel.stride
    cdef int sub_slow, sub_fast, i, axis
    cdef bint first = True
    cdef double step = p.subpixel * p.oversample, o = p.first_depth, wave = panel.sources[3], f, s, px, py, pz
    cdef double start[3]
    for sub_slow in range(p.oversample):
        for sub_fast in range(p.oversample):
            if drop(w, n):
                return
            f = p.subpixel * (fast * p.oversample + sub_fast) + p.subpixel / 2.0
            s = p.subpixel * (slow * p.oversample + sub_slow) + p.subpixel / 2.0
            for i in range(3):
                start[i] = f * p.fast[i] + s * p.slow[i] + o * p.normal[i] + p.origin[i]
            if first:
                work_once(p, n, panel.sources, step, start, o, w)
                first = False
            else:
                inverse_airpaths(n, step, start, w.place, w.inv, w)
            px = start[0] * wave
            py = start[1] * wave
            pz = start[2] * wave
            for axis in range(3):
                w.pqr[3 * axis * BLOCK] = (cells[3 * axis * stride] * px + cells[(3 * axis + 1) * stride] * py
                                           + cells[(3 * axis + 2) * stride] * pz)
            if p.structure_kind == NB_CONSTANT:
                nb_sum_flat(p.lattice_kind, 0, &p.lattice, n, w.place, w.inv, 1, w.pqr, w.acc)
            else:
                nb_sum_flat_nearest(p.lattice_kind, all_inside(p, 1, n, w), &p.lattice, &p.box, panel.table, n, w.place,
                                    w.inv, 1, w.pqr, w.acc)
    finish(p, n, NULL, w, -1, True, image)
