/* The lattice transform: squared sum of unit-cell waves over the crystal, F_latt^2.
 *
 * All shapes depend on the distances h, k, l (-1/2 to 1/2) from the nearest lattice point only; the callers, who need
 * the whole indices for other things, do that reduction. The three axes are written in lock-step: three independent chains keep the multipliers busy where one
 * Horner scheme would wait for itself. Polynomials are Chebyshev-node interpolants; their errors are tested.
 */
#ifndef NB_LATTICE_H
#define NB_LATTICE_H

#include "nb_common.h"

/* Which transform; the square crystal has three, by the number of cells. */
#define NB_SQUARE_555 0     /* five cells along every axis */
#define NB_SQUARE_SMALL 1   /* at most six along every axis */
#define NB_SQUARE_GENERAL 2 /* any number */
#define NB_ROUND 3
#define NB_GAUSS 4
#define NB_TOPHAT 5

/* One Horner step on three axes. */
#define NB_HORNER3(p, q, r, u, v, w, c) \
    do { \
        p = (c) + (u) * p; \
        q = (c) + (v) * q; \
        r = (c) + (w) * r; \
    } while (0)

/* What the transforms need to know of the crystal; filled once an image. */
typedef struct {
    double cells[3];       /* Na, Nb, Nc */
    double even[3][2];     /* small N: F^2 = prod (even0 + even1 w) (odd0 + odd1 w + odd2 w^2)^2 */
    double odd[3][3];
    double radius[3];      /* round: N^2 * fudge */
    double metric[6];      /* gauss, tophat: quadratic form hh, hk, hl, kk, kl, ll of the squared distance */
    double height;         /* round, gauss, tophat: F^2 at a lattice point; */
    double log_height;     /* its binary logarithm */
    double cutoff;         /* tophat: the squared distance where it ends */
    double reach[3];       /* gauss, tophat: the form is at least reach * d^2 when the distance on that axis is d; */
    double limit;          /* beyond this value of the form, contributions cannot change a float32 pixel */
} nb_lattice;

/* Five cells: sin(5 pi d)/sin(pi d) = 4x^2 + 2x - 1 = y^2 - 5/4 with x = cos(2 pi d), y = 2x + 1/2; the polynomial gives
 * y at once. */
NB_FN double nb_square_555(double h, double k, double l)
{
    double th = fabs(h) - 0.25, tk = fabs(k) - 0.25, tl = fabs(l) - 0.25;
    double uh = th * th, uk = tk * tk, ul = tl * tl;
    double ph = -7.3317103191279225, pk = ph, pl = ph, r;
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
    return r * r;
}

/* sin(pi d)/d on three axes, |d| <= 1/2, u = d^2. Error 1.6e-13. */
NB_FN void nb_sinc_pi3(double uh, double uk, double ul, double *h, double *k, double *l)
{
    double ph = 0.0004474920849077101, pk = ph, pl = ph;
    NB_HORNER3(ph, pk, pl, uh, uk, ul, -0.007364005472115722);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 0.08214479467064854);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, -0.5992644339357286);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 2.550164035906745);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, -5.167712779987959);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 3.141592653589635);
    *h = ph;
    *k = pk;
    *l = pl;
}

/* Up to six cells: the squared grating function is a polynomial in w = cos^2(pi d), itself where N is even and 1 where it
 * is odd, times the square of another of degree at most two. No division. cos(pi d) = sin(pi (1/2 - |d|)) keeps its
 * relative accuracy where it vanishes, which is where even N have their zeros. */
NB_FN double nb_square_small(const nb_lattice *c, double h, double k, double l)
{
    double th = 0.5 - fabs(h), tk = 0.5 - fabs(k), tl = 0.5 - fabs(l), eh, ek, el, r;
    nb_sinc_pi3(th * th, tk * tk, tl * tl, &h, &k, &l);
    h *= th;
    k *= tk;
    l *= tl;
    h *= h;
    k *= k;
    l *= l;
    eh = c->even[0][0] + c->even[0][1] * h;
    ek = c->even[1][0] + c->even[1][1] * k;
    el = c->even[2][0] + c->even[2][1] * l;
    h = c->odd[0][0] + h * (c->odd[0][1] + h * c->odd[0][2]);
    k = c->odd[1][0] + k * (c->odd[1][1] + k * c->odd[1][2]);
    l = c->odd[2][0] + l * (c->odd[2][1] + l * c->odd[2][2]);
    r = h * k * l;
    return (eh * ek * el) * (r * r);
}

/* Any number of cells: sin(N pi d)/sin(pi d) with N an integer, so N d may be reduced by whole numbers as well. One
 * division for three axes. The 1e-40 makes d = 0 come out as N: numerator and denominator carry the same tiny factor. */
NB_FN double nb_square_general(const nb_lattice *c, double h, double k, double l)
{
    double qh, qk, ql, sh, sk, sl, num, den;
    h = fabs(h) + 1e-40;
    k = fabs(k) + 1e-40;
    l = fabs(l) + 1e-40;
    qh = c->cells[0] * h;
    qk = c->cells[1] * k;
    ql = c->cells[2] * l;
    qh -= nb_rint(qh);
    qk -= nb_rint(qk);
    ql -= nb_rint(ql);
    nb_sinc_pi3(qh * qh, qk * qk, ql * ql, &sh, &sk, &sl);
    num = (qh * sh) * (qk * sk) * (ql * sl);
    nb_sinc_pi3(h * h, k * k, l * l, &sh, &sk, &sl);
    den = (h * sh) * (k * sk) * (l * sl);
    num /= den;
    return num * num;
}

/* Ellipsoidal crystal: transform of a sphere, 3 (sin x/x - cos x)/x^2 at x = pi r, r^2 = fudge * sum (N d)^2. One
 * reduction serves sine and cosine; below r^2 = 0.01 the difference cancels and a series takes over. Error 2e-12. */
NB_FN double nb_round_xtal(const nb_lattice *c, double h, double k, double l)
{
    double v, r, t, u, w, s0, s1, c0, c1, direct, series;
    v = c->radius[0] * (h * h) + c->radius[1] * (k * k) + c->radius[2] * (l * l);
    r = sqrt(v);
    t = r - nb_rint(r);
    u = t * t;
    w = u * u;
    /* sin(pi t)/t and cos(pi t), even and odd powers of u apart; the sign of the reduction squares away */
    s0 = 0.08214479467064854 + w * 0.0004474920849077101;
    s1 = -0.5992644339357286 + w * -0.007364005472115722;
    c0 = 0.23533058831317874 + w * 0.0019278700526981333;
    c1 = -0.025806531975921563 + w * -0.0001004164642205389;
    s0 = 2.550164035906745 + w * s0;
    s1 = -5.167712779987959 + w * s1;
    c0 = 4.058712126333295 + w * c0;
    c1 = -1.3352627661817635 + w * c1;
    s0 = 3.141592653589635 + w * s0;
    c0 = 0.9999999999999981 + w * c0;
    c1 = -4.934802200543686 + w * c1;
    direct = (t * (s0 + u * s1) - (NB_PI * r) * (c0 + u * c1)) / (v * r * 10.3354255600999399); /* pi^3/3 */
    series = 1.0 + v * (-0.9869604401088296 + v * (0.34788961080470326 + v * (-0.0635839380644403 +
             v * 0.007131071578290818)));
    w = v < 0.01 ? series : direct;
    return c->height * (w * w);
}

/* The quadratic form of gauss and tophat, plus a constant. */
NB_FN double nb_metric(const nb_lattice *c, double h, double k, double l, double constant)
{
    return h * (c->metric[0] * h + c->metric[1] * k + c->metric[2] * l) +
           (k * (c->metric[3] * k + c->metric[4] * l) + (l * (c->metric[5] * l) + constant));
}

/* 2^x for -1000 <= x: a polynomial for the fraction, the whole number straight into the exponent bits. Error 9e-13. */
NB_FN double nb_exp2(double x)
{
    union {
        double d;
        unsigned long long i;
    } bits;
    double f, p;
    x = x < -1000.0 ? -1000.0 : x;
    bits.d = x + NB_ROUND_MAGIC;
    f = x - (bits.d - NB_ROUND_MAGIC);
    bits.i = (bits.i << 52) + (1023ULL << 52);
    p = 1.5310079402249296e-05 + f * 1.3255224878668817e-06;
    p = 0.00015403455852453838 + f * p;
    p = 0.0013333450568000645 + f * p;
    p = 0.009618129159402558 + f * p;
    p = 0.05550410941205933 + f * p;
    p = 0.2402265069581299 + f * p;
    p = 0.6931471805459335 + f * p;
    return (1.0 + f * p) * bits.d;
}

/* Gaussian spots: the metric carries -2 log2(e)/0.63 * fudge, so that F^2 = 2^(log2 height + metric). */
NB_FN double nb_gauss_xtal(const nb_lattice *c, double h, double k, double l)
{
    return nb_exp2(nb_metric(c, h, k, l, c->log_height));
}

/* Top hat: the Gaussian's metric without its factor, cut where the reference cuts. */
NB_FN double nb_tophat_xtal(const nb_lattice *c, double h, double k, double l)
{
    double inside = nb_metric(c, h, k, l, 0.0) < c->cutoff ? 1.0 : 0.0;
    return c->height * inside;
}

/* Any of them, chosen by a constant (a compile-time one in every loop that matters). */
NB_FN double nb_lattice_sqr(int kind, const nb_lattice *c, double h, double k, double l)
{
    switch (kind) {
    case NB_SQUARE_555: return nb_square_555(h, k, l);
    case NB_SQUARE_SMALL: return nb_square_small(c, h, k, l);
    case NB_SQUARE_GENERAL: return nb_square_general(c, h, k, l);
    case NB_ROUND: return nb_round_xtal(c, h, k, l);
    case NB_GAUSS: return nb_gauss_xtal(c, h, k, l);
    default: return nb_tophat_xtal(c, h, k, l);
    }
}

#endif
