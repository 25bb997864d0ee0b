# Orientations along a row of a flat detector: P, Q, R of their Miller indices, and which of them have a spot near.
# Part of render.pyx and gradient.pyx, which include it: in a .pxd these functions would be inlined, and lose their
# vectors.


cdef void make_p(const nb_job *p, int count, nb_in cells, Py_ssize_t stride, const double *source,
                 const double *start, nb_out pqr) noexcept nogil:
    """P of `count` orientations for a tile whose first pixel lies at `start`."""
    cdef int j, axis
    cdef double w = source[3]
    cdef double px = start[0] * w, py = start[1] * w, pz = start[2] * w
    cdef nb_in ax
    cdef nb_in ay
    cdef nb_in az
    for axis in range(3):
        ax = cells + (3 * axis) * stride
        ay = cells + (3 * axis + 1) * stride
        az = cells + (3 * axis + 2) * stride
        for j in range((count + VECTOR - 1) // VECTOR * VECTOR):
            pqr[3 * axis * BLOCK + j] = ax[j] * px + ay[j] * py + az[j] * pz


cdef void make_pqr(const nb_job *p, int count, nb_in cells, Py_ssize_t stride, const double *source,
                   const double *start, double step, nb_out pqr) noexcept nogil:
    """P, Q, R of `count` orientations for a tile whose first pixel lies at `start`, the next ones `step` further."""
    cdef int j, axis
    cdef double w = source[3]
    cdef double qx = step * p.fast[0] * w, qy = step * p.fast[1] * w, qz = step * p.fast[2] * w
    cdef double rx = source[0] * w, ry = source[1] * w, rz = source[2] * w
    cdef nb_in ax
    cdef nb_in ay
    cdef nb_in az
    make_p(p, count, cells, stride, source, start, pqr)
    for axis in range(3):
        ax = cells + (3 * axis) * stride
        ay = cells + (3 * axis + 1) * stride
        az = cells + (3 * axis + 2) * stride
        for j in range((count + VECTOR - 1) // VECTOR * VECTOR):
            pqr[(3 * axis + 1) * BLOCK + j] = ax[j] * qx + ay[j] * qy + az[j] * qz
            pqr[(3 * axis + 2) * BLOCK + j] = ax[j] * rx + ay[j] * ry + az[j] * rz


cdef void find_near(const nb_job *p, int count, const Scratch *w, const double *pqr, int first, int last,
                    nb_out near) noexcept nogil:
    """near = 1 for the orientations in `pqr` that have a spot within reach of pixels `first` to `last`, else 0."""
    cdef int j, axis
    cdef double t0 = w.along + w.step * first, t1 = w.along + w.step * last, off = w.off, inv0 = w.inv[first]
    cdef double inv1 = w.inv[last], limit = p.lattice.limit, reach, distance
    cdef nb_in cp
    cdef nb_in cq
    cdef nb_in cr
    for j in range(count):
        near[j] = 1.0
    for axis in range(3):
        cp = pqr + 3 * axis * BLOCK
        cq = pqr + (3 * axis + 1) * BLOCK
        cr = pqr + (3 * axis + 2) * BLOCK
        reach = p.lattice.reach[axis]
        for j in range(count):
            distance = nb_row_distance(cp[j], cq[j], cr[j], w.along, w.step, off, t0, t1, inv0, inv1)
            near[j] = 0.0 if reach * distance * distance > limit else near[j]
