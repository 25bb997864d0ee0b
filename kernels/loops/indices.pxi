# Miller indices and F_cell of the pixels of a tile, where they are wanted apart from the lattice transform.
# Part of render.pyx, which includes it.

cdef extern from "cubic.h" nogil:
    bint nb_interpolate(const nb_box *box, nb_in table, int n, nb_ini element, nb_in l, nb_out weights,
                        nb_out weight)


cdef void indices_flat(int n, nb_in place, nb_in inv, const double *m,
                       nb_out h, nb_out k, nb_out l) noexcept nogil:
    """Miller indices on a flat detector, as in sums.h."""
    cdef int i
    cdef double hp = m[0], hq = m[1], hr = m[2], kp = m[3], kq = m[4], kr = m[5], lp = m[6], lq = m[7], lr = m[8]
    for i in range(n):
        h[i] = inv[i] * (hp + hq * place[i]) - hr
        k[i] = inv[i] * (kp + kq * place[i]) - kr
        l[i] = inv[i] * (lp + lq * place[i]) - lr


cdef void indices_scattering(int n, nb_in x, nb_in y, nb_in z, const double *cell,
                             nb_out h, nb_out k, nb_out l) noexcept nogil:
    """Miller indices a.q, b.q, c.q from scattering vectors (curved detectors). cell: rows a, b, c."""
    cdef int i
    cdef double ax = cell[0], ay = cell[1], az = cell[2], bx = cell[3], by = cell[4], bz = cell[5]
    cdef double cx = cell[6], cy = cell[7], cz = cell[8]
    for i in range(n):
        h[i] = ax * x[i] + ay * y[i] + az * z[i]
        k[i] = bx * x[i] + by * y[i] + bz * z[i]
        l[i] = cx * x[i] + cy * y[i] + cz * z[i]


cdef void cubic_weights(int n, nb_in h, nb_out w) noexcept nogil:
    """The four weights of one axis, in four arrays TILE apart."""
    cdef int i
    cdef nb_out w0 = w
    cdef nb_out w1 = w + TILE
    cdef nb_out w2 = w + 2 * TILE
    cdef nb_out w3 = w + 3 * TILE
    for i in range(n):
        nb_cubic_weights(h[i] - nb_floor(h[i]), &w0[i], &w1[i], &w2[i], &w3[i])


cdef bint weights_tricubic(const nb_box *box, nb_in table, int n, nb_in h, nb_in k, nb_in l,
                           nb_out scratch, nb_outi element, nb_out weight) noexcept nogil:
    """weight = F_cell^2 by tricubic interpolation where the neighbourhood is in the table, else at the nearest index.

    scratch: 12 * TILE doubles. element: TILE ints, left negative where the nearest index was taken. True if it was.
    """
    cdef int i
    cdef bint outside
    cdef double f
    cdef nb_box b = box[0]  # a copy, so that the stores below cannot change it under the vectoriser's feet
    cubic_weights(n, h, scratch)
    cubic_weights(n, k, scratch + 4 * TILE)
    for i in range(n):
        element[i] = nb_box_corner(&b, h[i], k[i], l[i])
    outside = nb_interpolate(box, table, n, element, l, scratch, weight)
    if outside:
        for i in range(n):
            if element[i] < 0:
                f = table[nb_box_element(&b, nb_nearest(h[i]), nb_nearest(k[i]), nb_nearest(l[i]))]
                weight[i] = f * f
    return outside
