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

/* x between low and high, and low where x is not a number: a comparison with nan is false, so it must be the one that
 * lets x through. */
NB_FN double nb_clamp(double x, double low, double high)
{
    x = x > low ? x : low;
    return x < high ? x : high;
}

/* Element of the table for whole indices, plus a whole number. inside: they are known to lie in it; else they may lie
 * wherever they want, infinite ones and nan included. */
NB_FN double nb_box_place(const nb_box *b, int inside, double plus, double h0, double k0, double l0)
{
    if (!inside) {
        h0 = nb_clamp(h0, b->low[0], b->high[0]);
        k0 = nb_clamp(k0, b->low[1], b->high[1]);
        l0 = nb_clamp(l0, b->low[2], b->high[2]);
    }
    return h0 * b->stride[0] + (k0 * b->stride[1] + (l0 + (b->offset + plus)));
}

NB_FN int nb_box_element(const nb_box *b, double h0, double k0, double l0)
{
    return (int)nb_box_place(b, 0, 0.0, h0, k0, l0);
}

/* The same in whole numbers, for devices that have more units for these than for doubles. */
typedef struct {
    int low[3], high[3];
    unsigned int stride[2], offset; /* modulo 2^32, which an element is below */
} nb_whole_box;

NB_FN nb_whole_box nb_box_whole(const nb_box *b)
{
    nb_whole_box w;
    int i;
    for (i = 0; i < 3; ++i) {
        w.low[i] = (int)b->low[i];
        w.high[i] = (int)b->high[i];
    }
    w.stride[0] = (unsigned int)b->stride[0];
    w.stride[1] = (unsigned int)b->stride[1];
    w.offset = (unsigned int)(long long)b->offset;
    return w;
}

NB_FN int nb_whole_clamp(int x, int low, int high)
{
    x = x > low ? x : low;
    return x < high ? x : high;
}

NB_FN int nb_whole_element(const nb_whole_box *w, int h, int k, int l)
{
    h = nb_whole_clamp(h, w->low[0], w->high[0]);
    k = nb_whole_clamp(k, w->low[1], w->high[1]);
    l = nb_whole_clamp(l, w->low[2], w->high[2]);
    return (int)((unsigned int)h * w->stride[0] + ((unsigned int)k * w->stride[1] + ((unsigned int)l + w->offset)));
}

/* The reference's rule for where the 4x4x4 neighbourhood may be used (its bounds, not the table's). */
NB_FN int nb_box_safe(const nb_box *b, double h, double k, double l)
{
    return (h >= b->safe_low[0]) & (h <= b->safe_high[0]) & (k >= b->safe_low[1]) & (k <= b->safe_high[1]) &
           (l >= b->safe_low[2]) & (l <= b->safe_high[2]);
}

/* Element of the neighbourhood's first corner, or -1 where it may not be used. */
NB_FN int nb_box_corner(const nb_box *b, double h, double k, double l)
{
    int corner = nb_box_element(b, nb_floor(h) - 1.0, nb_floor(k) - 1.0, nb_floor(l) - 1.0);
    return nb_box_safe(b, h, k, l) ? corner : -1;
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

/* Four neighbours along l at once, where there are vectors of four. */
#ifndef __AVX__
typedef struct {
    double lane[4];
} nb_four;

NB_FN nb_four nb_load4(const double *p)
{
    nb_four r;
    for (int i = 0; i < 4; ++i) r.lane[i] = p[i];
    return r;
}

NB_FN void nb_store4(double *p, nb_four x)
{
    for (int i = 0; i < 4; ++i) p[i] = x.lane[i];
}

NB_FN nb_four nb_axpy4(double w, nb_four x, nb_four y)
{
    for (int i = 0; i < 4; ++i) y.lane[i] += w * x.lane[i];
    return y;
}

NB_FN double nb_dot4(const double *w, nb_four x)
{
    return (w[0] * x.lane[0] + w[1] * x.lane[1]) + (w[2] * x.lane[2] + w[3] * x.lane[3]);
}
#else
typedef double nb_four __attribute__((vector_size(32)));
typedef double nb_four_anywhere __attribute__((vector_size(32), aligned(8), may_alias));

#define nb_load4(p) ((nb_four)*(const nb_four_anywhere *)(p))
#define nb_store4(p, x) (*(nb_four_anywhere *)(p) = (x))
#define nb_axpy4(w, x, y) ((y) + (w) * (x))

NB_FN double nb_dot4(const double *w, nb_four x)
{
    x *= nb_load4(w);
    return (x[0] + x[1]) + (x[2] + x[3]);
}
#endif

/* Sums of the 4x4x4 neighbourhood that begins at `corner` over its two outer indices, with two sets of cubic weights,
 * `apart` elements from one to the next; plane and row are the strides of these indices. */
NB_FN nb_four nb_tricubic_four(const double *corner, int plane, int row, const double *wh, const double *wk, int apart)
{
    nb_four sum = {0}, part, zero = {0};
    int i;
    for (i = 0; i < 4; ++i) {
        const double *f = corner + (long long)i * plane;
        part = nb_axpy4(wk[0], nb_load4(f), zero);
        part = nb_axpy4(wk[apart], nb_load4(f + row), part);
        part = nb_axpy4(wk[2 * apart], nb_load4(f + 2 * row), part);
        part = nb_axpy4(wk[3 * apart], nb_load4(f + 3 * row), part);
        sum = nb_axpy4(wh[i * apart], part, sum);
    }
    return sum;
}

/* Tensor product of three sets of cubic weights with the neighbourhood. */
NB_FN double nb_tricubic(const double *corner, int plane, int row, const double *wh, const double *wk, const double *wl)
{
    return nb_dot4(wl, nb_tricubic_four(corner, plane, row, wh, wk, 1));
}

/* F at h, k, l by tricubic interpolation; the caller has made sure that the neighbourhood is inside the table. */
NB_FN double nb_box_interpolate(const nb_box *b, const double *table, double h, double k, double l)
{
    double fh = nb_floor(h), fk = nb_floor(k), fl = nb_floor(l), wh[4], wk[4], wl[4];
    const double *corner = table + nb_box_element(b, fh - 1.0, fk - 1.0, fl - 1.0);
    nb_cubic_weights(h - fh, wh, wh + 1, wh + 2, wh + 3);
    nb_cubic_weights(k - fk, wk, wk + 1, wk + 2, wk + 3);
    nb_cubic_weights(l - fl, wl, wl + 1, wl + 2, wl + 3);
    return nb_tricubic(corner, (int)b->stride[0], (int)b->stride[1], wh, wk, wl);
}

/* Slopes of the cubic weights by t. */
NB_FN void nb_cubic_slopes(double t, double *w)
{
    double s = t * t;
    w[0] = (-1.0 / 6.0) * (3.0 * s - 6.0 * t + 2.0);
    w[1] = 0.5 * (3.0 * s - 4.0 * t - 1.0);
    w[2] = -0.5 * (3.0 * s - 2.0 * t - 2.0);
    w[3] = (1.0 / 6.0) * (3.0 * s - 1.0);
}

/* F and its slopes at h, k, l inside the table; element: of the neighbourhood's corner; weights: twelve. */
NB_FN double nb_tricubic_slopes(const double *corner, int plane, int row, double h, double k, double l, double *slope)
{
    double w[12], d[12];
    h -= nb_floor(h);
    k -= nb_floor(k);
    l -= nb_floor(l);
    nb_cubic_weights(h, w, w + 1, w + 2, w + 3);
    nb_cubic_weights(k, w + 4, w + 5, w + 6, w + 7);
    nb_cubic_weights(l, w + 8, w + 9, w + 10, w + 11);
    nb_cubic_slopes(h, d);
    nb_cubic_slopes(k, d + 4);
    nb_cubic_slopes(l, d + 8);
    slope[0] = nb_tricubic(corner, plane, row, d, w + 4, w + 8);
    slope[1] = nb_tricubic(corner, plane, row, w, d + 4, w + 8);
    slope[2] = nb_tricubic(corner, plane, row, w, w + 4, d + 8);
    return nb_tricubic(corner, plane, row, w, w + 4, w + 8);
}

#endif
