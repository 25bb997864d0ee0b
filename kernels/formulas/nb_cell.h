/* Rotation of the crystal's cell, and the duality of real and reciprocal vectors.
 *
 * At every phi step and mosaic domain the real-space vectors are rotated afresh from the unrotated ones; the reciprocal
 * vectors follow from them with the volume kept: a* = (b x c)/V and so on.
 */
#ifndef NB_CELL_H
#define NB_CELL_H

#include "nb_common.h"

/* v rotated by phi (cosine and sine given) about a unit axis, right-handed (Rodrigues' formula). */
NB_FN void nb_rotate_axis(const double *v, const double *axis, double cosphi, double sinphi, double *out)
{
    double d = nb_dot(axis, v) * (1.0 - cosphi);
    double w[3];
    nb_cross(axis, v, w);
    out[0] = axis[0] * d + v[0] * cosphi + w[0] * sinphi;
    out[1] = axis[1] * d + v[1] * cosphi + w[1] * sinphi;
    out[2] = axis[2] * d + v[2] * cosphi + w[2] * sinphi;
}

/* v multiplied by a row-major 3x3 matrix. */
NB_FN void nb_rotate_matrix(const double *v, const double *u, double *out)
{
    out[0] = u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    out[1] = u[3] * v[0] + u[4] * v[1] + u[5] * v[2];
    out[2] = u[6] * v[0] + u[7] * v[1] + u[8] * v[2];
}

/* Cell vectors (rows a, b, c of `cell`) about the spindle by phi and then by a domain's matrix (NULL: none); inside:
 * by the matrix first, which is then one of the crystal that phi turns.
 * phi == 0 leaves them untouched to the last bit, as the reference does. */
NB_FN void nb_rotate_cell(const double *cell, const double *spindle, double phi, const double *domain, int inside,
                          double *out)
{
    double cosphi = cos(phi), sinphi = sin(phi), own[3], turned[3];
    int axis;
    for (axis = 0; axis < 3; ++axis) {
        const double *v = cell + 3 * axis;
        if (domain && inside) {
            nb_rotate_matrix(v, domain, own);
            v = own;
        }
        turned[0] = v[0];
        turned[1] = v[1];
        turned[2] = v[2];
        if (phi != 0.0) nb_rotate_axis(v, spindle, cosphi, sinphi, turned);
        if (domain && !inside) nb_rotate_matrix(turned, domain, out + 3 * axis);
        else {
            out[3 * axis] = turned[0];
            out[3 * axis + 1] = turned[1];
            out[3 * axis + 2] = turned[2];
        }
    }
}

/* Volume a . (b x c) of three rows. */
NB_FN double nb_cell_volume(const double *cell)
{
    double w[3];
    nb_cross(cell + 3, cell + 6, w);
    return nb_dot(cell, w);
}

/* The dual vectors of `cell` for a given volume: rows (b x c)/V, (c x a)/V, (a x b)/V. */
NB_FN void nb_dual_cell(const double *cell, double volume, double *dual)
{
    int i;
    nb_cross(cell + 3, cell + 6, dual);
    nb_cross(cell + 6, cell, dual + 3);
    nb_cross(cell, cell + 3, dual + 6);
    for (i = 0; i < 9; ++i) dual[i] /= volume;
}

#endif
