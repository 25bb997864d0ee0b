# The geometry of a tile: airpaths, directions, solid angles, what the sensor catches, polarization, resolution.
# Part of render.pyx, which includes it: in a .pxd these functions would be inlined, and lose their vectors.


cdef extern from "once.h" nogil:
    enum:
        NB_NO_POLARIZATION
        NB_NO_PLANE
        NB_PLANE

    enum:
        ROWS "NB_ROWS"

    ctypedef struct nb_once_row:
        double along, off
        double[2] metres
        double[3] first

    ctypedef struct nb_once:
        int polarization
        double step, unit
        double area, close_distance
        double[3] more
        double kahn
        nb_once_row[ROWS] row

    void nb_work_once(int n, int rows, const nb_once *o, nb_in place, nb_out inv, nb_out factor, nb_out angle,
                      nb_out acc)


cdef extern from "nb_vector.h" nogil:
    void nb_inverse_lengths(int n, double along, double step, double off, double unit, const double *place,
                            double *inverse)


cdef void foot(double step, const double *start, Scratch *w) noexcept nogil:
    """Where a flat detector's tile lies: its pixels are start + step*i along the fast axis.

    The squared airpath is t^2 + off: t along the fast axis from the foot of the perpendicular, which is sqrt(off) long.
    """
    cdef int i
    cdef double along = nb_dot(start, w.fast), off = 0.0, d
    for i in range(3):
        d = start[i] - along * w.fast[i]
        off += d * d
    w.along = along
    w.off = off
    w.step = step * w.length


cdef void inverse_airpaths(int n, double step, const double *start, nb_in place, nb_out inv,
                           Scratch *w) noexcept nogil:
    """1/airpath of the pixels of a flat detector's tile."""
    cdef double unit = w.unit
    foot(step, start, w)
    nb_inverse_lengths(n, w.along * unit, w.step * unit, w.off * (unit * unit), unit, place, inv)


cdef void begin_once(const nb_job *p, const double *source, double step, double depth, const Scratch *w,
                     nb_once *o) noexcept nogil:
    """Of `nb_once`, what rows have in common. source: the first one, whose polarization counts."""
    cdef int i
    o.polarization = NB_NO_POLARIZATION if not p.polarized else NB_NO_PLANE if p.kahn == 0.0 else NB_PLANE
    o.unit = w.unit
    o.step = step * w.length * w.unit
    o.area = p.pixel * p.pixel
    o.close_distance = p.close_distance + p.deepening * depth
    o.kahn = p.kahn
    for i in range(3):
        o.more[i] = step * nb_dot(source + (0 if i == 0 else 1 + 3 * i), p.fast)  # the beam, E, B


cdef void begin_row(const double *source, double step, const double *start, Scratch *w,
                    nb_once_row *row) noexcept nogil:
    """The rest, of a row that begins at `start`."""
    cdef int i
    foot(step, start, w)
    row.metres[0] = w.along
    row.metres[1] = w.off
    row.along = w.along * w.unit
    row.off = w.off * (w.unit * w.unit)
    for i in range(3):
        row.first[i] = nb_dot(source + (0 if i == 0 else 1 + 3 * i), start)


cdef void work_once(const nb_job *p, int n, const double *source, double step, const double *start, double depth,
                    Scratch *w) noexcept nogil:
    """1/airpaths, solid angles and polarization on a flat detector at once, and a cleared sum.

    w.factor: solid angle times polarization.
    """
    cdef nb_once o
    begin_once(p, source, step, depth, w, &o)
    begin_row(source, step, start, w, &o.row[0])
    nb_work_once(n, 1, &o, w.place, w.inv, w.factor, w.angle, w.acc)


cdef void directions(const nb_job *p, int n, double step, const double *start, nb_in place,
                     nb_out x, nb_out y, nb_out z, nb_out inv, Scratch *w) noexcept nogil:
    """Diffracted unit vectors and 1/airpath of the pixels of any tile."""
    cdef int i
    cdef double fx = step * p.fast[0], fy = step * p.fast[1], fz = step * p.fast[2]
    cdef double sx = start[0], sy = start[1], sz = start[2], px, py, pz, r
    if p.curved:
        for i in range(n):
            px = sx + fx * place[i]
            py = sy + fy * place[i]
            pz = sz + fz * place[i]
            nb_curve(p.beam, p.fast, p.slow, p.distance, &px, &py, &pz)
            r = 1.0 / sqrt(px * px + py * py + pz * pz)
            x[i] = px * r
            y[i] = py * r
            z[i] = pz * r
            inv[i] = r
        return
    inverse_airpaths(n, step, start, place, inv, w)
    for i in range(n):
        x[i] = (sx + fx * place[i]) * inv[i]
        y[i] = (sy + fy * place[i]) * inv[i]
        z[i] = (sz + fz * place[i]) * inv[i]


cdef void project(int n, const double *axis, nb_in x, nb_in y, nb_in z, nb_out out) noexcept nogil:
    """Components of the diffracted directions along an axis."""
    cdef int i
    for i in range(n):
        out[i] = axis[0] * x[i] + axis[1] * y[i] + axis[2] * z[i]


cdef void project_flat(const nb_job *p, int n, const double *axis, double step, const double *start, nb_in place,
                       nb_in inv, nb_out out) noexcept nogil:
    """The same on a flat detector, where they are (P + Q*i)/airpath."""
    cdef int i
    cdef double first = nb_dot(axis, start), more = step * nb_dot(axis, p.fast)
    for i in range(n):
        out[i] = (first + more * place[i]) * inv[i]


cdef void solid_angles(const nb_job *p, int n, const unsigned short *mask, double depth, nb_in inv, nb_out omega,
                       nb_out angle) noexcept nogil:
    """The pixels' solid angles, `depth` in the sensor, and their sum, of those not masked."""
    cdef int i, point = p.point_pixel
    cdef double area = p.pixel * p.pixel, close = p.close_distance + p.deepening * depth, o
    if mask == NULL:
        for i in range(n):
            o = nb_solid_angle(inv[i], area, close, point)
            omega[i] = o
            angle[i] = angle[i] + o
    else:
        for i in range(n):
            o = nb_solid_angle(inv[i], area, close, point)
            omega[i] = o
            angle[i] = angle[i] + (o if mask[i] else 0.0)


cdef void captures(const nb_job *p, int n, int layer, nb_out capture) noexcept nogil:
    """Obliquities (in `capture`) to capture fractions."""
    cdef int i
    for i in range(n):
        capture[i] = nb_capture(layer, p.absorption, capture[i])


cdef void polarizations(double kahn, int n, nb_in c, nb_in e, nb_in b, nb_out polar) noexcept nogil:
    """Polarization factors from components along the beam (c) and its E and B vectors."""
    cdef int i
    if kahn == 0.0:
        for i in range(n):
            polar[i] = 0.5 * (1.0 + c[i] * c[i])
    else:
        for i in range(n):
            polar[i] = nb_polarization(kahn, c[i], e[i], b[i])


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
