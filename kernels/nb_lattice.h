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
    double height;         /* round, gauss, tophat: F^2 at a lattice point */
    double cutoff;         /* tophat: the squared distance where it ends */
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

/* sin(pi d)/d on three axes, |d| <= 1/2, u = d^2. Error 6e-16. */
NB_FN void nb_sinc_pi3(double uh, double uk, double ul, double *h, double *k, double *l)
{
    double ph = -2.113362735205297e-05, pk = ph, pl = ph;
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 0.0004659870158043378);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, -0.0073703643265304155);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 0.08214587881631043);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, -0.599264528825224);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 2.5501640398618677);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, -5.1677127800497855);
    NB_HORNER3(ph, pk, pl, uh, uk, ul, 3.1415926535897927);
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
 * reduction serves sine and cosine; below r^2 = 0.04 the difference cancels and a series takes over. */
NB_FN double nb_round_xtal(const nb_lattice *c, double h, double k, double l)
{
    double v, r, t, u, s, co, w, z;
    v = c->radius[0] * (h * h) + c->radius[1] * (k * k) + c->radius[2] * (l * l);
    r = sqrt(v);
    t = r - nb_rint(r);
    u = t * t;
    /* sin(pi t)/t and cos(pi t); the sign of the reduction squares away */
    s = 0.0004662998161898394 + u * (-2.1903497074626018e-05 + u * 7.697826768224191e-07);
    co = 0.0019295562724817132 + u * (-0.00010456655338748738 + u * 4.149564353942586e-06);
    s = -0.007370430505916944 + u * s;
    co = -0.025806888737002202 + u * co;
    s = 0.0821458865731029 + u * s;
    co = 0.23533063012953284 + u * co;
    s = -0.5992645293189447 + u * s;
    co = -1.335262768843447 + u * co;
    s = 2.5501640398773007 + u * s;
    co = 4.058712126416497 + u * co;
    s = -5.167712780049969 + u * s;
    co = -4.934802200544676 + u * co;
    s = 3.141592653589793 + u * s;
    co = 1.0 + u * co;
    w = (t * s - (NB_PI * r) * co) / (v * r * 10.3354255600999399); /* pi^3/3 */
    z = 1.0 + v * (-0.9869604401089358 + v * (0.34788961083569897 + v * (-0.06358394137042446 +
        v * (0.007131230965534413 + v * (-0.0005413938715162353 + v * 2.951388826295247e-05)))));
    w = v < 0.04 ? z : w;
    return c->height * (w * w);
}

/* The quadratic form of gauss and tophat. */
NB_FN double nb_metric(const nb_lattice *c, double h, double k, double l)
{
    return h * (c->metric[0] * h + c->metric[1] * k + c->metric[2] * l) + k * (c->metric[3] * k + c->metric[4] * l) +
           c->metric[5] * (l * l);
}

/* 2^x for -1000 <= x: a polynomial for the fraction, the whole number straight into the exponent bits. Error 2e-14. */
NB_FN double nb_exp2(double x)
{
    union {
        double d;
        long long i;
    } bits;
    double n, f, p;
    x = x < -1000.0 ? -1000.0 : x;
    bits.d = x + NB_ROUND_MAGIC;
    n = bits.d - NB_ROUND_MAGIC;
    f = x - n;
    bits.i = (bits.i << 52) + (1023LL << 52);
    p = 1.0205905413765595e-07;
    p = 1.325964524488711e-06 + f * p;
    p = 1.5252672924850737e-05 + f * p;
    p = 0.0001540343375125101 + f * p;
    p = 0.0013333558200794592 + f * p;
    p = 0.009618129193934313 + f * p;
    p = 0.05550410866465167 + f * p;
    p = 0.2402265069564034 + f * p;
    p = 0.6931471805599462 + f * p;
    p = 1.0000000000000135 + f * p;
    return p * bits.d;
}

/* Gaussian spots: the metric carries -2 log2(e)/0.63 * fudge, so that F^2 = height * 2^metric. */
NB_FN double nb_gauss_xtal(const nb_lattice *c, double h, double k, double l)
{
    return c->height * nb_exp2(nb_metric(c, h, k, l));
}

/* Top hat: the Gaussian's metric without its factor, cut where the reference cuts. */
NB_FN double nb_tophat_xtal(const nb_lattice *c, double h, double k, double l)
{
    return nb_metric(c, h, k, l) < c->cutoff ? c->height : 0.0;
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
