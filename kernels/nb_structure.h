/* Structure factors of the unit cell: the table, the nearest index, tricubic interpolation.
 *
 * The table is a dense box in the dump file's layout, h outermost, every axis one layer longer than its range. That
 * extra layer holds default_F, and so does a slab before the first element: an index of -1 on an axis is then the extra
 * layer of the row before, and clamping an index to [-1, range] needs no test for "outside".
 */
#ifndef NB_STRUCTURE_H
#define NB_STRUCTURE_H

#include "nb_common.h"

typedef struct {
    double low[3];    /* lowest index less one */
    double high[3];   /* highest index plus one */
    double stride[2]; /* elements from h to h+1, from k to k+1 */
    double offset;    /* element of index 0 0 0 */
    double safe_low[3];  /* tricubic: interpolate where safe_low <= h and h <= safe_high */
    double safe_high[3];
} nb_box;

NB_FN double nb_clamp(double x, double low, double high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* Element of the table for whole indices, wherever they lie. */
NB_FN int nb_box_element(const nb_box *b, double h0, double k0, double l0)
{
    h0 = nb_clamp(h0, b->low[0], b->high[0]);
    k0 = nb_clamp(k0, b->low[1], b->high[1]);
    l0 = nb_clamp(l0, b->low[2], b->high[2]);
    return (int)(h0 * b->stride[0] + (k0 * b->stride[1] + (l0 + b->offset)));
}

/* The reference's rule for where the 4x4x4 neighbourhood may be used (its bounds, not the table's). */
NB_FN int nb_box_safe(const nb_box *b, double h, double k, double l)
{
    return (h >= b->safe_low[0]) & (h <= b->safe_high[0]) & (k >= b->safe_low[1]) & (k <= b->safe_high[1]) &
           (l >= b->safe_low[2]) & (l <= b->safe_high[2]);
}

/* Weights of the cubic Lagrange polynomial through -1, 0, 1, 2 at t in [0, 1). */
NB_FN void nb_cubic_weights(double t, double *w0, double *w1, double *w2, double *w3)
{
    double a = t + 1.0, b = t - 1.0, c = t - 2.0;
    *w0 = t * b * c * (-1.0 / 6.0);
    *w1 = a * b * c * 0.5;
    *w2 = a * t * c * -0.5;
    *w3 = a * t * b * (1.0 / 6.0);
}

#endif
