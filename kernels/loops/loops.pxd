"""The innermost loops, over the pixels of a tile. Formulas come from the headers; here is only data layout.

The vector axis is always the pixels of a tile along the fast axis; orientations, sources, layers and sub-pixels are
outer loops. Nothing is reduced across pixels, so the reference's order of summation is kept and results cannot depend
on vector length. The fused type plays the part of a C++ template: each lattice transform gets loops of its own.
"""

from nanobragg_py.kernels.formulas.nb cimport *

cdef enum:
    TILE = 256  # pixels a tile: eight arrays of doubles stay in a 32 kB first-level cache

cdef extern from "nb_lattice.h" nogil:
    # the same struct under six names, which is what tells the specialisations apart
    ctypedef struct square_555 "nb_lattice":
        pass
    ctypedef struct square_small "nb_lattice":
        pass
    ctypedef struct square_general "nb_lattice":
        pass
    ctypedef struct round_xtal "nb_lattice":
        pass
    ctypedef struct gauss_xtal "nb_lattice":
        pass
    ctypedef struct tophat_xtal "nb_lattice":
        pass

ctypedef fused Lattice:
    square_555
    square_small
    square_general
    round_xtal
    gauss_xtal
    tophat_xtal


cdef inline double lattice_sqr(Lattice *c, double h, double k, double l) noexcept nogil:
    if Lattice is square_555:
        return nb_square_555(h, k, l)
    elif Lattice is square_small:
        return nb_square_small(<nb_lattice *>c, h, k, l)
    elif Lattice is square_general:
        return nb_square_general(<nb_lattice *>c, h, k, l)
    elif Lattice is round_xtal:
        return nb_round_xtal(<nb_lattice *>c, h, k, l)
    elif Lattice is gauss_xtal:
        return nb_gauss_xtal(<nb_lattice *>c, h, k, l)
    else:
        return nb_tophat_xtal(<nb_lattice *>c, h, k, l)


cdef inline float single_sqr(Lattice *c, float h, float k, float l) noexcept nogil:
    if Lattice is square_555:
        return nb_single_sqr(NB_SQUARE_555, <nb_lattice *>c, h, k, l)
    elif Lattice is square_small:
        return nb_single_sqr(NB_SQUARE_SMALL, <nb_lattice *>c, h, k, l)
    elif Lattice is square_general:
        return nb_single_sqr(NB_SQUARE_GENERAL, <nb_lattice *>c, h, k, l)
    elif Lattice is round_xtal:
        return nb_single_sqr(NB_ROUND, <nb_lattice *>c, h, k, l)
    elif Lattice is gauss_xtal:
        return nb_single_sqr(NB_GAUSS, <nb_lattice *>c, h, k, l)
    else:
        return nb_single_sqr(NB_TOPHAT, <nb_lattice *>c, h, k, l)


cdef inline void sum_single(Lattice *c, int n, nb_in place, nb_in inv, const double *m, nb_outf acc) noexcept nogil:
    """`sum_flat` with indices in double and the rest in float32; acc is float32, and is emptied now and then."""
    cdef int i
    cdef double hp = m[0], hq = m[1], hr = m[2] - NB_SINGLE_SHIFT, kp = m[3], kq = m[4], kr = m[5] - NB_SINGLE_SHIFT
    cdef double lp = m[6], lq = m[7], lr = m[8] - NB_SINGLE_SHIFT
    for i in range(n):
        acc[i] = acc[i] + single_sqr(
            c,
            nb_single_fraction(inv[i] * (hp + hq * place[i]) - hr),
            nb_single_fraction(inv[i] * (kp + kq * place[i]) - kr),
            nb_single_fraction(inv[i] * (lp + lq * place[i]) - lr),
        )


cdef inline void sum_single_nearest(Lattice *c, const nb_box *box, nb_in table, int n, nb_in place, nb_in inv,
                                    const double *m, nb_outf acc) noexcept nogil:
    """`sum_flat_nearest` in the same way."""
    cdef int i
    cdef double hp = m[0], hq = m[1], hr = m[2], kp = m[3], kq = m[4], kr = m[5], lp = m[6], lq = m[7], lr = m[8]
    cdef double h, k, l, h0, k0, l0
    cdef float f
    for i in range(n):
        h = inv[i] * (hp + hq * place[i]) - hr
        k = inv[i] * (kp + kq * place[i]) - kr
        l = inv[i] * (lp + lq * place[i]) - lr
        h0 = nb_nearest(h)
        k0 = nb_nearest(k)
        l0 = nb_nearest(l)
        f = <float>table[nb_box_element(box, h0, k0, l0)]
        acc[i] = acc[i] + (f * f) * single_sqr(c, <float>(h - h0), <float>(k - k0), <float>(l - l0))


cdef inline void sum_flat(Lattice *c, int n, nb_in place, nb_in inv, const double *m, nb_out acc) noexcept nogil:
    """acc += F_latt^2 on a flat detector, where an index is inv_airpath * (P + Q*i) - R: two multiply-adds an axis.

    m: P, Q, R of h, then of k, then of l, for this orientation, source and tile. place: 0, 1, 2, ... as doubles.
    """
    cdef int i
    cdef double hp = m[0], hq = m[1], hr = m[2], kp = m[3], kq = m[4], kr = m[5], lp = m[6], lq = m[7], lr = m[8]
    cdef double h, k, l
    for i in range(n):
        h = inv[i] * (hp + hq * place[i]) - hr
        k = inv[i] * (kp + kq * place[i]) - kr
        l = inv[i] * (lp + lq * place[i]) - lr
        acc[i] = acc[i] + lattice_sqr(c, h - nb_rint(h), k - nb_rint(k), l - nb_rint(l))


cdef inline void sum_flat_nearest(Lattice *c, const nb_box *box, nb_in table, int n, nb_in place, nb_in inv,
                                  const double *m, nb_out acc) noexcept nogil:
    """acc += F_cell^2 F_latt^2 on a flat detector, F_cell at the nearest whole index."""
    cdef int i
    cdef double hp = m[0], hq = m[1], hr = m[2], kp = m[3], kq = m[4], kr = m[5], lp = m[6], lq = m[7], lr = m[8]
    cdef double h, k, l, h0, k0, l0, f
    for i in range(n):
        h = inv[i] * (hp + hq * place[i]) - hr
        k = inv[i] * (kp + kq * place[i]) - kr
        l = inv[i] * (lp + lq * place[i]) - lr
        h0 = nb_nearest(h)
        k0 = nb_nearest(k)
        l0 = nb_nearest(l)
        f = table[nb_box_element(box, h0, k0, l0)]
        acc[i] = acc[i] + (f * f) * lattice_sqr(c, h - h0, k - k0, l - l0)


cdef inline void sum_indices(Lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_out acc) noexcept nogil:
    """acc += weight * F_latt^2 for Miller indices that were worked out before."""
    cdef int i
    for i in range(n):
        acc[i] = acc[i] + weight[i] * lattice_sqr(c, h[i] - nb_rint(h[i]), k[i] - nb_rint(k[i]), l[i] - nb_rint(l[i]))


cdef inline void indices_flat(int n, nb_in place, nb_in inv, const double *m,
                              nb_out h, nb_out k, nb_out l) noexcept nogil:
    """Miller indices on a flat detector, as in `sum_flat`."""
    cdef int i
    cdef double hp = m[0], hq = m[1], hr = m[2], kp = m[3], kq = m[4], kr = m[5], lp = m[6], lq = m[7], lr = m[8]
    for i in range(n):
        h[i] = inv[i] * (hp + hq * place[i]) - hr
        k[i] = inv[i] * (kp + kq * place[i]) - kr
        l[i] = inv[i] * (lp + lq * place[i]) - lr


cdef inline void indices_scattering(int n, nb_in x, nb_in y, nb_in z, const double *cell,
                                    nb_out h, nb_out k, nb_out l) noexcept nogil:
    """Miller indices a.q, b.q, c.q from scattering vectors (curved detectors). cell: rows a, b, c."""
    cdef int i
    cdef double ax = cell[0], ay = cell[1], az = cell[2], bx = cell[3], by = cell[4], bz = cell[5]
    cdef double cx = cell[6], cy = cell[7], cz = cell[8]
    for i in range(n):
        h[i] = ax * x[i] + ay * y[i] + az * z[i]
        k[i] = bx * x[i] + by * y[i] + bz * z[i]
        l[i] = cx * x[i] + cy * y[i] + cz * z[i]


cdef inline void weights_nearest(const nb_box *box, nb_in table, int n, nb_in h, nb_in k, nb_in l,
                                 nb_out weight) noexcept nogil:
    """weight = F_cell^2 at the nearest whole index."""
    cdef int i
    cdef double f
    for i in range(n):
        f = table[nb_box_element(box, nb_nearest(h[i]), nb_nearest(k[i]), nb_nearest(l[i]))]
        weight[i] = f * f


cdef inline void cubic_weights(int n, nb_in h, nb_out w) noexcept nogil:
    """The four weights of one axis, in four arrays TILE apart."""
    cdef int i
    cdef nb_out w0 = w
    cdef nb_out w1 = w + TILE
    cdef nb_out w2 = w + 2 * TILE
    cdef nb_out w3 = w + 3 * TILE
    for i in range(n):
        nb_cubic_weights(h[i] - nb_floor(h[i]), &w0[i], &w1[i], &w2[i], &w3[i])


cdef inline bint weights_tricubic(const nb_box *box, nb_in table, int n, nb_in h, nb_in k, nb_in l,
                                  nb_out scratch, nb_outi element, nb_out weight) noexcept nogil:
    """weight = F_cell^2 by tricubic interpolation where the neighbourhood is in the table, else at the nearest index.

    scratch: 12 * TILE doubles. element: TILE ints, left negative where the nearest index was taken. True if it was.
    """
    cdef int i, j
    cdef bint outside = False
    cdef double f
    cdef double w[12]
    cdef nb_box b = box[0]  # a copy, so that the stores below cannot change it under the vectoriser's feet
    cubic_weights(n, h, scratch)
    cubic_weights(n, k, scratch + 4 * TILE)
    cubic_weights(n, l, scratch + 8 * TILE)
    for i in range(n):
        element[i] = nb_box_corner(&b, h[i], k[i], l[i])
    for i in range(n):
        if element[i] < 0:
            outside = True
            f = table[nb_box_element(&b, nb_nearest(h[i]), nb_nearest(k[i]), nb_nearest(l[i]))]
        else:
            for j in range(12):
                w[j] = scratch[j * TILE + i]
            f = nb_tricubic(table + element[i], <int>b.stride[0], <int>b.stride[1], w, w + 4, w + 8)
        weight[i] = f * f
    return outside
