/* Innermost loops of derivatives: F_latt^2 and its slopes for the pixels of a tile and one orientation, and the sums
 * that are made of them. As in sums.h a loop is written once and compiled once for each transform.
 *
 * Sums over pixels are told to the compiler as reductions: their order hangs on the vectors' length, never on threads.
 */
#ifndef NB_SLOPES_H
#define NB_SLOPES_H

#include "nb_geometry.h"
#include "nb_structure.h"
#include "nb_vector.h"
#include "shapes/shapes.h"

#define NB_SUM_OVER _Pragma("omp simd reduction(+:s0,s1,s2,s3,s4,s5,s6,s7,s8)")

/* m: P, Q, R of h, of k, of l. value: F^2; h, k, l: slopes. */
#define NB_SLOPE_INDEX(x, i) (inv[i] * (m[x] + m[(x) + 1] * place[i]) - m[(x) + 2])

/* F_latt^2 and its slopes, from distances to a lattice point, which stand where the slopes go. It is done in parts: a
 * step is a chain of dependent operations, and a short one leaves room for more of them at a time. */
NB_FN void nb_slopes_tile(int kind, const nb_lattice *c, int n, nb_out value, nb_out sh, nb_out sk, nb_out sl)
{
    __attribute__((aligned(64))) double k[NB_TILE], l[NB_TILE];
    if (!nb_is_product(kind)) {
        for (int i = 0; i < n; ++i) {
            double slope[3];
            value[i] = nb_lattice_slopes(kind, c, sh[i], sk[i], sl[i], slope);
            sh[i] = slope[0];
            sk[i] = slope[1];
            sl[i] = slope[2];
        }
        return;
    }
    for (int i = 0; i < n; ++i) value[i] = nb_lattice_axis(kind, 0, c, sh[i], &sh[i]);
    for (int i = 0; i < n; ++i) k[i] = nb_lattice_axis(kind, 1, c, sk[i], &sk[i]);
    for (int i = 0; i < n; ++i) l[i] = nb_lattice_axis(kind, 2, c, sl[i], &sl[i]);
    for (int i = 0; i < n; ++i) {
        double slope[3] = {sh[i], sk[i], sl[i]};
        value[i] = nb_product_slopes(value[i], k[i], l[i], slope);
        sh[i] = slope[0];
        sk[i] = slope[1];
        sl[i] = slope[2];
    }
}

NB_FN void nb_slopes_flat(int kind, const nb_lattice *c, int n, nb_in place, nb_in inv, const double *m, nb_out value,
                          nb_out sh, nb_out sk, nb_out sl)
{
    for (int i = 0; i < n; ++i) {
        double h = NB_SLOPE_INDEX(0, i), k = NB_SLOPE_INDEX(3, i), l = NB_SLOPE_INDEX(6, i);
        sh[i] = h - nb_rint(h);
        sk[i] = k - nb_rint(k);
        sl[i] = l - nb_rint(l);
    }
    nb_slopes_tile(kind, c, n, value, sh, sk, sl);
}

NB_FN void nb_slopes_nearest(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in place,
                             nb_in inv, const double *m, nb_out value, nb_out sh, nb_out sk, nb_out sl)
{
    __attribute__((aligned(64))) double cell[NB_TILE];
    __attribute__((aligned(64))) int element[NB_TILE];
    for (int i = 0; i < n; ++i) {
        double h = NB_SLOPE_INDEX(0, i), k = NB_SLOPE_INDEX(3, i), l = NB_SLOPE_INDEX(6, i);
        double h0 = nb_nearest(h), k0 = nb_nearest(k), l0 = nb_nearest(l);
        element[i] = nb_box_element(box, h0, k0, l0);
        sh[i] = h - h0;
        sk[i] = k - k0;
        sl[i] = l - l0;
    }
    nb_look_up(n, table, element, cell);
    nb_slopes_tile(kind, c, n, value, sh, sk, sl);
    for (int i = 0; i < n; ++i) {
        double f = cell[i] * cell[i];
        value[i] *= f;
        sh[i] *= f;
        sk[i] *= f;
        sl[i] *= f;
    }
}

/* The same from indices; weight: F_cell^2; wh, wk, wl: its slopes. */
NB_FN void nb_slopes_indices(int kind, const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_in wh,
                             nb_in wk, nb_in wl, nb_out value, nb_out sh, nb_out sk, nb_out sl)
{
    for (int i = 0; i < n; ++i) {
        sh[i] = h[i] - nb_rint(h[i]);
        sk[i] = k[i] - nb_rint(k[i]);
        sl[i] = l[i] - nb_rint(l[i]);
    }
    nb_slopes_tile(kind, c, n, value, sh, sk, sl);
    for (int i = 0; i < n; ++i) {
        double f = value[i];
        value[i] = weight[i] * f;
        sh[i] = weight[i] * sh[i] + wh[i] * f;
        sk[i] = weight[i] * sk[i] + wk[i] * f;
        sl[i] = weight[i] * sl[i] + wl[i] * f;
    }
}

/* There is no loop where nobody asks for derivatives. */
#define NB_SLOPE_LOOP static __attribute__((noinline)) void

#define NB_ENTRY(name, shape, single) \
    NB_SLOPE_LOOP nb_slopes_flat_##name(const nb_lattice *c, int n, nb_in place, nb_in inv, const double *m, \
                                        nb_out value, nb_out sh, nb_out sk, nb_out sl) \
    { \
        if (nb_has_derivatives(NB_KIND_##name)) \
            nb_slopes_flat(NB_KIND_##name, c, n, place, inv, m, value, sh, sk, sl); \
    } \
    NB_SLOPE_LOOP nb_slopes_nearest_##name(const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in place, \
                                           nb_in inv, const double *m, nb_out value, nb_out sh, nb_out sk, nb_out sl) \
    { \
        if (nb_has_derivatives(NB_KIND_##name)) \
            nb_slopes_nearest(NB_KIND_##name, c, box, table, n, place, inv, m, value, sh, sk, sl); \
    } \
    NB_SLOPE_LOOP nb_slopes_indices_##name(const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, \
                                           nb_in wh, nb_in wk, nb_in wl, nb_out value, nb_out sh, nb_out sk, \
                                           nb_out sl) \
    { \
        if (nb_has_derivatives(NB_KIND_##name)) \
            nb_slopes_indices(NB_KIND_##name, c, n, h, k, l, weight, wh, wk, wl, value, sh, sk, sl); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY

static void nb_slope_flat(int kind, const nb_lattice *c, int n, nb_in place, nb_in inv, const double *m, nb_out value,
                          nb_out sh, nb_out sk, nb_out sl)
{
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: nb_slopes_flat_##name(c, n, place, inv, m, value, sh, sk, sl); return;
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
}

static void nb_slope_nearest(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in place,
                             nb_in inv, const double *m, nb_out value, nb_out sh, nb_out sk, nb_out sl)
{
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: nb_slopes_nearest_##name(c, box, table, n, place, inv, m, value, sh, sk, sl); return;
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
}

static void nb_slope_indices(int kind, const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_in wh,
                             nb_in wk, nb_in wl, nb_out value, nb_out sh, nb_out sk, nb_out sl)
{
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: nb_slopes_indices_##name(c, n, h, k, l, weight, wh, wk, wl, value, sh, sk, sl); return;
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
}

/* ---- what is made of the slopes ---------------------------------------------------------------------------------- */

/* sums[3*axis + component] += sum of slope * q: by the orientation's cell vectors. q: times the pixel's adjoint. */
static __attribute__((noinline)) void nb_collect(int n, nb_in sh, nb_in sk, nb_in sl, nb_in qx, nb_in qy, nb_in qz,
                                                 double *sums, long stride)
{
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0, s8 = 0;
    NB_SUM_OVER
    for (int i = 0; i < n; ++i) {
        double h = sh[i], k = sk[i], l = sl[i];
        s0 += h * qx[i];
        s1 += h * qy[i];
        s2 += h * qz[i];
        s3 += k * qx[i];
        s4 += k * qy[i];
        s5 += k * qz[i];
        s6 += l * qx[i];
        s7 += l * qy[i];
        s8 += l * qz[i];
    }
    sums[0] += s0;
    sums[stride] += s1;
    sums[2 * stride] += s2;
    sums[3 * stride] += s3;
    sums[4 * stride] += s4;
    sums[5 * stride] += s5;
    sums[6 * stride] += s6;
    sums[7 * stride] += s7;
    sums[8 * stride] += s8;
}

/* g += slopes times cell vectors: by the scattering vector. cell: a, b, c. */
static void nb_by_scattering(int n, nb_in sh, nb_in sk, nb_in sl, const double *cell, nb_out gx, nb_out gy, nb_out gz)
{
    const double ax = cell[0], ay = cell[1], az = cell[2], bx = cell[3], by = cell[4], bz = cell[5], cx = cell[6];
    const double cy = cell[7], cz = cell[8];
    for (int i = 0; i < n; ++i) {
        gx[i] += sh[i] * ax + sk[i] * bx + sl[i] * cx;
        gy[i] += sh[i] * ay + sk[i] * by + sl[i] * cy;
        gz[i] += sh[i] * az + sk[i] * bz + sl[i] * cz;
    }
}

/* nine arrays `step` apart += slopes times components of q in the crystal's frame before it was turned: by the nine
 * components of the unrotated cell. turn: the row-major matrix of the orientation. */
static void nb_by_cell(int n, nb_in sh, nb_in sk, nb_in sl, nb_in qx, nb_in qy, nb_in qz, const double *turn,
                       double *sums, long step)
{
    nb_out ax = sums, ay = sums + step, az = sums + 2 * step, bx = sums + 3 * step, by = sums + 4 * step;
    nb_out bz = sums + 5 * step, cx = sums + 6 * step, cy = sums + 7 * step, cz = sums + 8 * step;
    const double xx = turn[0], xy = turn[1], xz = turn[2], yx = turn[3], yy = turn[4], yz = turn[5], zx = turn[6];
    const double zy = turn[7], zz = turn[8];
    for (int i = 0; i < n; ++i) {
        double x = xx * qx[i] + yx * qy[i] + zx * qz[i];
        double y = xy * qx[i] + yy * qy[i] + zy * qz[i];
        double z = xz * qx[i] + yz * qy[i] + zz * qz[i];
        ax[i] += sh[i] * x;
        ay[i] += sh[i] * y;
        az[i] += sh[i] * z;
        bx[i] += sk[i] * x;
        by[i] += sk[i] * y;
        bz[i] += sk[i] * z;
        cx[i] += sl[i] * x;
        cy[i] += sl[i] * y;
        cz[i] += sl[i] * z;
    }
}

/* sum += the change of the contribution when the cell vectors change by `change`. */
static void nb_along(int n, nb_in sh, nb_in sk, nb_in sl, nb_in qx, nb_in qy, nb_in qz, const double *change,
                     nb_out sum)
{
    const double ax = change[0], ay = change[1], az = change[2], bx = change[3], by = change[4], bz = change[5];
    const double cx = change[6], cy = change[7], cz = change[8];
    for (int i = 0; i < n; ++i)
        sum[i] += sh[i] * (ax * qx[i] + ay * qy[i] + az * qz[i]) + sk[i] * (bx * qx[i] + by * qy[i] + bz * qz[i]) +
                  sl[i] * (cx * qx[i] + cy * qy[i] + cz * qz[i]);
}

/* by[k] += d(value)/d(shape's number k), NB_BY_SHAPE arrays `step` apart; value: weight * F_latt^2. */
NB_FN void nb_add_by_shape(int kind, const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_in value,
                           double *by, long step)
{
    nb_out by0 = by, by1 = by + step, by2 = by + 2 * step, by3 = by + 3 * step, by4 = by + 4 * step;
    nb_out by5 = by + 5 * step, by6 = by + 6 * step;
    for (int i = 0; i < n; ++i) {
        double each[NB_BY_SHAPE] = {0};
        nb_lattice_by_shape(kind, c, weight[i], value[i], h[i] - nb_rint(h[i]), k[i] - nb_rint(k[i]),
                            l[i] - nb_rint(l[i]), each);
        by0[i] += each[0];
        by1[i] += each[1];
        by2[i] += each[2];
        by3[i] += each[3];
        by4[i] += each[4];
        by5[i] += each[5];
        by6[i] += each[6];
    }
}

#define NB_ENTRY(name, shape, single) \
    NB_SLOPE_LOOP nb_by_shape_##name(const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, \
                                     nb_in value, double *by, long step) \
    { \
        if (nb_has_derivatives(NB_KIND_##name)) \
            nb_add_by_shape(NB_KIND_##name, c, n, h, k, l, weight, value, by, step); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY

static void nb_by_shape(int kind, const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_in value,
                        double *by, long step)
{
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: nb_by_shape_##name(c, n, h, k, l, weight, value, by, step); return;
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
}

/* 1 where the derivatives by the shape's numbers follow from the value alone, whatever weight is in it. */
static int nb_shape_by_value(int kind)
{
    return kind == NB_KIND_gauss;
}

/* The sums of adjoint * d(value)/d(shape's number) on a flat detector, for Gaussian spots. */
static __attribute__((noinline)) void nb_collect_gauss(const nb_lattice *c, int n, nb_in place, nb_in inv,
                                                       const double *m, nb_in value, nb_in adjoint, double *sums)
{
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0;
    _Pragma("omp simd reduction(+:s0,s1,s2,s3,s4,s5,s6)") for (int i = 0; i < n; ++i)
    {
        double h = NB_SLOPE_INDEX(0, i), k = NB_SLOPE_INDEX(3, i), l = NB_SLOPE_INDEX(6, i);
        double g = adjoint[i] * value[i];
        h -= nb_rint(h);
        k -= nb_rint(k);
        l -= nb_rint(l);
        s6 += g;
        s0 += g * (h * h);
        s1 += g * (h * k);
        s2 += g * (h * l);
        s3 += g * (k * k);
        s4 += g * (k * l);
        s5 += g * (l * l);
    }
    sums[0] += 0.6931471805599453 * s0;
    sums[1] += 0.6931471805599453 * s1;
    sums[2] += 0.6931471805599453 * s2;
    sums[3] += 0.6931471805599453 * s3;
    sums[4] += 0.6931471805599453 * s4;
    sums[5] += 0.6931471805599453 * s5;
    sums[6] += 0.6931471805599453 * s6;
}

/* `nb_by_shape` on a flat detector, for Gaussian spots. */
static __attribute__((noinline)) void nb_by_shape_flat(const nb_lattice *c, int n, nb_in place, nb_in inv,
                                                       const double *m, nb_in value, double *by, long step)
{
    nb_out by0 = by, by1 = by + step, by2 = by + 2 * step, by3 = by + 3 * step, by4 = by + 4 * step;
    nb_out by5 = by + 5 * step, by6 = by + 6 * step;
    for (int i = 0; i < n; ++i) {
        double h = NB_SLOPE_INDEX(0, i), k = NB_SLOPE_INDEX(3, i), l = NB_SLOPE_INDEX(6, i), each[NB_BY_SHAPE];
        nb_gauss_by_shape(&c->of.gauss, 1.0, value[i], h - nb_rint(h), k - nb_rint(k), l - nb_rint(l), each);
        by0[i] += each[0];
        by1[i] += each[1];
        by2[i] += each[2];
        by3[i] += each[3];
        by4[i] += each[4];
        by5[i] += each[5];
        by6[i] += each[6];
    }
}

static double nb_total(int n, nb_in a)
{
    double sum = 0;
    _Pragma("omp simd reduction(+:sum)") for (int i = 0; i < n; ++i) sum += a[i];
    return sum;
}

static double nb_total2(int n, nb_in a, nb_in b)
{
    double sum = 0;
    _Pragma("omp simd reduction(+:sum)") for (int i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

/* Elements of the table at nearest indices, F there and its square. */
static __attribute__((noinline)) void nb_nearest_factors(const nb_box *box, nb_in table, int n, nb_in h, nb_in k,
                                                         nb_in l, nb_outi element, nb_out factor, nb_out weight)
{
    for (int i = 0; i < n; ++i) {
        int at = nb_box_element(box, nb_nearest(h[i]), nb_nearest(k[i]), nb_nearest(l[i]));
        double f = table[at];
        element[i] = at;
        factor[i] = f;
        weight[i] = f * f;
    }
}

/* sums[element] += adjoint * 2 value/F, the derivative of value = F^2 F_latt^2 by F; neighbours mostly share one. */
static __attribute__((noinline)) void nb_spread_nearest(int n, nb_ini element, nb_in factor, nb_in value,
                                                        nb_in adjoint, nb_out amount, nb_out sums)
{
    double sum = 0;
    int i, at = element[0];
    for (i = 0; i < n; ++i) amount[i] = factor[i] != 0.0 ? adjoint[i] * (2.0 * value[i] / factor[i]) : 0.0;
    for (i = 0; i < n; ++i) {
        if (element[i] != at) {
            sums[at] += sum;
            sum = 0;
            at = element[i];
        }
        sum += amount[i];
    }
    sums[at] += sum;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* by: the sums of a neighbourhood += amount times its weights */
NB_FN void nb_tricubic_spread(double *corner, int plane, int row, double h, double k, double l, double amount)
{
    double w[12];
    h -= nb_floor(h);
    k -= nb_floor(k);
    l -= nb_floor(l);
    nb_cubic_weights(h, w, w + 1, w + 2, w + 3);
    nb_cubic_weights(k, w + 4, w + 5, w + 6, w + 7);
    nb_cubic_weights(l, w + 8, w + 9, w + 10, w + 11);
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) {
            double *f = corner + (long long)i * plane + j * row, share = amount * w[i] * w[4 + j];
            for (int m = 0; m < 4; ++m) f[m] += share * w[8 + m];
        }
}

#endif
