/* The square crystal: a parallelepiped of Na x Nb x Nc cells, whose transform is a product of three gratings. There are
 * three ways to its square, by the number of cells: square_555, five along every axis; square_small, at most six;
 * square_general, any number.
 */
#ifndef NB_SQUARE_H
#define NB_SQUARE_H

#include "nb_lattice.h"
#include "nb_single.h"

typedef struct {
    double cells[3];   /* Na, Nb, Nc */
    double even[3][2]; /* up to six cells: F^2 = prod (even0 + even1 w) (odd0 + odd1 w + odd2 w^2)^2, w = cos^2(pi d) */
    double odd[3][3];
    int reference; /* as nb_crystal's */
} nb_square;

/* even and odd of N = 1 to 6: squares of Chebyshev polynomials of the second kind, U_{N-1}(cos pi d). */
NB_FN void nb_square_polynomial(int n, double *even, double *odd)
{
    const double polynomials[6][5] = {
        {1.0, 0.0, 1.0, 0.0, 0.0},  {0.0, 1.0, 2.0, 0.0, 0.0},   {1.0, 0.0, -1.0, 4.0, 0.0},
        {0.0, 1.0, -4.0, 8.0, 0.0}, {1.0, 0.0, 1.0, -12.0, 16.0}, {0.0, 1.0, 6.0, -32.0, 32.0},
    };
    const double *p = polynomials[n - 1];
    even[0] = p[0];
    even[1] = p[1];
    odd[0] = p[2];
    odd[1] = p[3];
    odd[2] = p[4];
}

NB_FN int nb_square_constants(const nb_crystal *x, nb_square *c)
{
    int axis, small = 1, five = 1;
    c->reference = x->reference;
    for (axis = 0; axis < 3; ++axis) {
        c->cells[axis] = x->cells[axis];
        small &= x->cells[axis] >= 1.0 && x->cells[axis] <= 6.0 && x->cells[axis] == nb_rint(x->cells[axis]);
        five &= x->cells[axis] == 5.0;
    }
    for (axis = 0; axis < 3 && small; ++axis)
        nb_square_polynomial((int)x->cells[axis], c->even[axis], c->odd[axis]);
    return five ? NB_KIND_square_555 : small ? NB_KIND_square_small : NB_KIND_square_general;
}

/* A product of gratings: all of them. */
NB_FN double nb_square_photons(const nb_crystal *x)
{
    return 1.0;
}

NB_FN double nb_square_ends(const nb_square *c, double brightest, double *form)
{
    return 0.0;
}

/* What part 0 makes of the distance of an axis, from its amount: a number, or a vector of them. The 1e-40 makes
 * d = 0 come out as N: numerator and denominator carry the same tiny factor. */
#define NB_FOLDED_square_555(d) ((d) - 0.25)
#define NB_FOLDED_square_small(d) (0.5 - (d))
#define NB_FOLDED_square_general(d) ((d) + 1e-40)

/* Five cells: sin(5 pi d)/sin(pi d) = 4x^2 + 2x - 1 = y^2 - 5/4 with x = cos(2 pi d), y = 2x + 1/2; the polynomial
 * gives y at once. */
NB_FN void nb_square_555_part(int part, const nb_square *c, double *a)
{
    double th = a[0], tk = a[1], tl = a[2], uh = th * th, uk = tk * tk, ul = tl * tl;
    double ph = -7.3317103191279225, pk = ph, pl = ph, r;
    if (part == 0) {
        a[0] = NB_FOLDED_square_555(fabs(th));
        a[1] = NB_FOLDED_square_555(fabs(tk));
        a[2] = NB_FOLDED_square_555(fabs(tl));
    }
    if (part < 2) return;
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 30.162966413786);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, -84.11626974274411);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 153.41169508754652);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, -163.21049829803167);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 82.68340447980735);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, -12.56637061435854);
    NB_HORNER3(ph, pk, pl, th, tk, tl, 0.5);
    ph = ph * ph - 1.25;
    pk = pk * pk - 1.25;
    pl = pl * pl - 1.25;
    r = ph * pk * pl;
    a[0] = r * r;
}

NB_SQR_OF_PARTS(square_555, square)

/* Up to six cells: the squared grating function is a polynomial in w = cos^2(pi d), itself where N is even and 1 where
 * it is odd, times the square of another of degree at most two. No division. cos(pi d) = sin(pi (1/2 - |d|)) keeps its
 * relative accuracy where it vanishes, which is where even N have their zeros. */
NB_FN void nb_square_small_part(int part, const nb_square *c, double *a)
{
    double h = a[0], k = a[1], l = a[2], eh, ek, el, r;
    if (part == 0) {
        a[0] = NB_FOLDED_square_small(fabs(h));
        a[1] = NB_FOLDED_square_small(fabs(k));
        a[2] = NB_FOLDED_square_small(fabs(l));
        return;
    }
    if (part == 1) {
        nb_sinc_pi3(h * h, k * k, l * l, &a[0], &a[1], &a[2]);
        a[0] *= h;
        a[1] *= k;
        a[2] *= l;
        a[0] *= a[0];
        a[1] *= a[1];
        a[2] *= a[2];
        return;
    }
    eh = c->even[0][0] + c->even[0][1] * h;
    ek = c->even[1][0] + c->even[1][1] * k;
    el = c->even[2][0] + c->even[2][1] * l;
    h = c->odd[0][0] + h * (c->odd[0][1] + h * c->odd[0][2]);
    k = c->odd[1][0] + k * (c->odd[1][1] + k * c->odd[1][2]);
    l = c->odd[2][0] + l * (c->odd[2][1] + l * c->odd[2][2]);
    r = h * k * l;
    a[0] = (eh * ek * el) * (r * r);
}

NB_SQR_OF_PARTS(square_small, square)

/* Any number of cells: sin(N pi d)/sin(pi d) with N an integer, so N d may be reduced by whole numbers as well. One
 * division for three axes. Between the parts: h, k, l and the numerator. */
NB_FN void nb_square_general_part(int part, const nb_square *c, double *a)
{
    double h = a[0], k = a[1], l = a[2], qh, qk, ql, sh, sk, sl, quotient;
    if (part == 0) {
        a[0] = NB_FOLDED_square_general(fabs(h));
        a[1] = NB_FOLDED_square_general(fabs(k));
        a[2] = NB_FOLDED_square_general(fabs(l));
        return;
    }
    if (part == 1) {
        qh = c->cells[0] * h;
        qk = c->cells[1] * k;
        ql = c->cells[2] * l;
        qh -= nb_rint_beside(qh); /* no more than the cells, 1e15 at most: resolve/crystal.py */
        qk -= nb_rint_beside(qk);
        ql -= nb_rint_beside(ql);
        nb_sinc_pi3(qh * qh, qk * qk, ql * ql, &sh, &sk, &sl);
        a[3] = (qh * sh) * (qk * sk) * (ql * sl);
        return;
    }
    nb_sinc_pi3(h * h, k * k, l * l, &sh, &sk, &sl);
    quotient = a[3] / ((h * sh) * (k * sk) * (l * sl));
    a[0] = quotient * quotient;
}

NB_SQR_OF_PARTS(square_general, square)

/* The three axes' squares and their slopes, to the product and its slopes. */
NB_FN double nb_product_slopes(double h, double k, double l, double *slope)
{
    double hk = h * k;
    slope[0] *= k * l;
    slope[1] *= h * l;
    slope[2] *= hk;
    return hk * l;
}

/* One axis of five cells: the square of f = y^2 - 5/4, and its slope. */
NB_FN double nb_square_555_axis(const nb_square *c, int axis, double d, double *slope)
{
    double t = fabs(d) - 0.25, u = t * t, p = -7.3317103191279225, q = 4.0 * 13.0 * -7.3317103191279225, f;
    p = 30.162966413786 + u * p;
    q = 4.0 * 11.0 * 30.162966413786 + u * q;
    p = -84.11626974274411 + u * p;
    q = 4.0 * 9.0 * -84.11626974274411 + u * q;
    p = 153.41169508754652 + u * p;
    q = 4.0 * 7.0 * 153.41169508754652 + u * q;
    p = -163.21049829803167 + u * p;
    q = 4.0 * 5.0 * -163.21049829803167 + u * q;
    p = 82.68340447980735 + u * p;
    q = 4.0 * 3.0 * 82.68340447980735 + u * q;
    p = -12.56637061435854 + u * p;
    q = 4.0 * -12.56637061435854 + u * q;
    p = 0.5 + t * p;
    f = p * p - 1.25;
    *slope = (p * f) * (q * copysign(1.0, d)); /* q: four times the slope of y */
    return f * f;
}

/* One axis of up to six cells: E O^2, and its slope. */
NB_FN double nb_square_small_axis(const nb_square *c, int axis, double d, double *slope)
{
    const double e1 = c->even[axis][1], o1 = c->odd[axis][1], o2 = c->odd[axis][2];
    double s, twice, w, even, odd;
    nb_sin_pi_slope(d, &s, &twice);
    w = 1.0 - s * s;
    even = c->even[axis][0] + e1 * w;
    odd = c->odd[axis][0] + w * (o1 + w * o2);
    *slope = (s * twice) * odd * (-e1 * odd + even * (-2.0 * o1 + w * (-4.0 * o2)));
    return even * (odd * odd);
}

/* One axis of any number of cells: with s_q and s_x the sines and c_q, c_x their slopes, (s_q/s_x)^2 has the slope
 * 2 s_q (N c_q s_x - s_q c_x)/s_x^3. It cancels near the lattice point, where the first terms of the series serve. */
NB_FN double nb_square_general_axis(const nb_square *c, int axis, double d, double *slope)
{
    const double n = c->cells[axis], m = n * n, first = m * (m - 1.0) * (NB_PI * NB_PI);
    const double linear = first * (-2.0 / 3.0), cubic = first * (NB_PI * NB_PI) * (4.0 / 45.0) * (2.0 * m - 3.0);
    double x = d + 1e-40, q = n * x, u = x * x, sq, sx, cq, cx, f, near, far, inverse;
    nb_sin_pi_slope(q - nb_rint(q), &sq, &cq);
    nb_sin_pi_slope(x, &sx, &cx);
    inverse = 1.0 / sx;
    f = sq * inverse;
    near = x * (linear + u * cubic);
    far = (f * inverse) * (n * cq - f * cx);
    *slope = u < 2.5e-5 / m ? near : far;
    return f * f;
}

#define NB_SQUARE_SLOPES(name) \
    NB_FN double nb_##name##_slopes(const nb_square *c, double h, double k, double l, double *slope) \
    { \
        h = nb_##name##_axis(c, 0, h, &slope[0]); \
        k = nb_##name##_axis(c, 1, k, &slope[1]); \
        l = nb_##name##_axis(c, 2, l, &slope[2]); \
        return nb_product_slopes(h, k, l, slope); \
    }
NB_SQUARE_SLOPES(square_555)
NB_SQUARE_SLOPES(square_small)
NB_SQUARE_SLOPES(square_general)
#undef NB_SQUARE_SLOPES

/* The slope of one axis' square by N, taken as a real number: 2 (s_q/s_x) (x/s_x) c_q. */
NB_FN double nb_square_by_cells(double n, double d, double *by)
{
    double x = fabs(d) + 1e-40, q = n * x, sq, sx, cq, cx, f;
    q -= nb_rint(q);
    nb_sin_pi_slope(q, &sq, &cq);
    nb_sin_pi_slope(x, &sx, &cx);
    f = sq / sx;
    *by = f * (x / sx) * cq; /* cq: twice the slope */
    return f * f;
}

/* By the numbers of cells along the axes. */
NB_FN void nb_square_by_shape(const nb_square *c, double weight, double value, double h, double k, double l, double *by)
{
    h = nb_square_by_cells(c->cells[0], h, &by[0]);
    k = nb_square_by_cells(c->cells[1], k, &by[1]);
    l = nb_square_by_cells(c->cells[2], l, &by[2]);
    nb_product_slopes(h, k, l, by);
    by[0] *= weight;
    by[1] *= weight;
    by[2] *= weight;
}

/* A grating of N slits, sin(N pi h)/sin(pi h); N where h is exactly 0. */
NB_FN double nb_grating(double h, double n)
{
    double x = NB_PI * h;
    return x == 0.0 ? n : sin(x * n) / sin(x);
}

/* The same; within 1e-5 of a lattice point, where the sines of large angles are rounding, from the distance to it. */
NB_FN double nb_grating_near(double h, double n)
{
    double whole = nb_nearest(h), value;
    if (fabs(h - whole) >= 1e-5) return nb_grating(h, n);
    value = nb_grating(h - whole, n);
    return fmod(whole, 2.0) != 0.0 && fmod(n, 2.0) == 0.0 ? -value : value;
}

/* The axes' gratings as well; where there is one cell, 1. */
NB_FN double nb_square_amplitude(const nb_square *c, double h, double k, double l, double *axis)
{
    const double at[3] = {h, k, l};
    for (int i = 0; i < 3; ++i)
        if (c->cells[i] > 1.0)
            axis[i] = c->reference ? nb_grating(at[i], c->cells[i]) : nb_grating_near(at[i], c->cells[i]);
    return axis[0] * axis[1] * axis[2];
}

NB_FN float nb_single_grating_5(float d)
{
    float t = fabsf(d) - 0.25f, u = t * t;
    float y = 0.5f + t * (-12.566371f + u * (82.6833649f + u * (-163.204956f + u * (153.162338f + u * -79.5196533f))));
    return y * y - 1.25f;
}

NB_FN float nb_square_555_single(const nb_square *c, float h, float k, float l)
{
    float product = nb_single_grating_5(h) * nb_single_grating_5(k) * nb_single_grating_5(l);
    return product * product;
}

NB_FN float nb_single_small(const nb_square *c, int axis, float d)
{
    float t = 0.5f - fabsf(d), w = t * nb_single_sinc_pi(t * t), odd;
    w *= w;
    odd = (float)c->odd[axis][0] + w * ((float)c->odd[axis][1] + w * (float)c->odd[axis][2]);
    return ((float)c->even[axis][0] + (float)c->even[axis][1] * w) * (odd * odd);
}

NB_FN float nb_square_small_single(const nb_square *c, float h, float k, float l)
{
    return nb_single_small(c, 0, h) * nb_single_small(c, 1, k) * nb_single_small(c, 2, l);
}

/* The 1e-20 makes d = 0 come out as N. */
NB_FN float nb_single_grating(const nb_square *c, int axis, float d)
{
    float a = fabsf(d) + 1e-20f, q = (float)c->cells[axis] * a;
    q -= nb_rintf(q);
    return q * nb_single_sinc_pi(q * q) / (a * nb_single_sinc_pi(a * a));
}

NB_FN float nb_square_general_single(const nb_square *c, float h, float k, float l)
{
    float product = nb_single_grating(c, 0, h) * nb_single_grating(c, 1, k) * nb_single_grating(c, 2, l);
    return product * product;
}

#endif
