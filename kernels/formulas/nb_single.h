/* The lattice transforms of nb_lattice.h in float32, for `-precision single`: shorter polynomials, the same shapes.
 *
 * The distances from the nearest lattice point come from double arithmetic; a crystal of N cells amplifies their
 * rounding to float32 by N, so relative errors are about 1e-7 N, and larger next to the zeros of the pattern.
 */
#ifndef NB_SINGLE_H
#define NB_SINGLE_H

#include "nb_lattice.h"

#define NB_SINGLE_SHIFT 1572864.0 /* 1.5 * 2^20 */

/* Distance of an index from the nearest whole number, from the index plus NB_SINGLE_SHIFT: the low half of that
 * double's bits is the fraction in units of 2^-32, with its sign. For indices of less than a third of the shift. */
NB_FN float nb_single_fraction(double shifted)
{
    union {
        double d;
        long long i;
    } bits;
    bits.d = shifted;
    return (float)(int)bits.i * (1.0f / 4294967296.0f);
}

/* Nearest integer, |x| < 2^22; see nb_rint. */
NB_FN float nb_rintf(float x)
{
#if defined(__SSE2__) && !defined(__SSE4_1__)
    return (x + 12582912.0f) - 12582912.0f; /* 1.5 * 2^23 */
#else
    return rintf(x);
#endif
}

/* sin(pi d)/d, |d| <= 1/2, u = d^2. */
NB_FN float nb_single_sinc_pi(float u)
{
    return 3.14159274f + u * (-5.1677103f + u * (2.55007744f + u * (-0.598290384f + u * 0.0776559114f)));
}

/* cos(pi d), |d| <= 1/2, u = d^2. */
NB_FN float nb_single_cos_pi(float u)
{
    return 1.0f + u * (-4.93480206f + u * (4.05870914f + u * (-1.33521199f + u * (0.234937072f + u * -0.0243959315f))));
}

NB_FN float nb_single_grating_5(float d)
{
    float t = fabsf(d) - 0.25f, u = t * t;
    float y = 0.5f + t * (-12.566371f + u * (82.6833649f + u * (-163.204956f + u * (153.162338f + u * -79.5196533f))));
    return y * y - 1.25f;
}

NB_FN float nb_single_small(const nb_lattice *c, int axis, float d)
{
    float t = 0.5f - fabsf(d), w = t * nb_single_sinc_pi(t * t), odd;
    w *= w;
    odd = (float)c->odd[axis][0] + w * ((float)c->odd[axis][1] + w * (float)c->odd[axis][2]);
    return ((float)c->even[axis][0] + (float)c->even[axis][1] * w) * (odd * odd);
}

/* The 1e-20 makes d = 0 come out as N. */
NB_FN float nb_single_grating(const nb_lattice *c, int axis, float d)
{
    float a = fabsf(d) + 1e-20f, q = (float)c->cells[axis] * a;
    q -= nb_rintf(q);
    return q * nb_single_sinc_pi(q * q) / (a * nb_single_sinc_pi(a * a));
}

NB_FN float nb_single_round(const nb_lattice *c, float h, float k, float l)
{
    float v = (float)c->radius[0] * (h * h) + (float)c->radius[1] * (k * k) + (float)c->radius[2] * (l * l);
    float r = sqrtf(v), t = r - nb_rintf(r), u = t * t;
    float w = (t * nb_single_sinc_pi(u) - (3.14159274f * r) * nb_single_cos_pi(u)) / (v * r * 10.3354256f);
    float z = 1.0f + v * (-0.986960441f + v * (0.347889611f + v * (-0.0635839414f + v * 0.00713123097f)));
    w = v < 0.04f ? z : w;
    return (float)c->height * (w * w);
}

NB_FN float nb_single_metric(const nb_lattice *c, float h, float k, float l)
{
    return h * ((float)c->metric[0] * h + (float)c->metric[1] * k + (float)c->metric[2] * l) +
           k * ((float)c->metric[3] * k + (float)c->metric[4] * l) + (float)c->metric[5] * (l * l);
}

/* 2^x for -126 <= x <= 127, as nb_exp2. Error 2e-7. */
NB_FN float nb_single_exp2(float x)
{
    union {
        float f;
        int i;
    } bits;
    float f;
    x = x < -126.0f ? -126.0f : x;
    bits.f = x + 12582912.0f; /* 1.5 * 2^23 */
    f = x - (bits.f - 12582912.0f);
    bits.i = (int)((unsigned int)bits.i << 23) + (127 << 23);
    return (1.0f + f * (0.693147182f + f * (0.240226462f + f * (0.0555032864f + f * (0.00961866603f + f * 0.00134f))))) *
           bits.f;
}

/* F_latt^2 of any of the shapes; see nb_lattice_sqr. */
NB_FN float nb_single_sqr(int kind, const nb_lattice *c, float h, float k, float l)
{
    float product;
    switch (kind) {
    case NB_SQUARE_555: product = nb_single_grating_5(h) * nb_single_grating_5(k) * nb_single_grating_5(l); break;
    case NB_SQUARE_SMALL: return nb_single_small(c, 0, h) * nb_single_small(c, 1, k) * nb_single_small(c, 2, l);
    case NB_SQUARE_GENERAL:
        product = nb_single_grating(c, 0, h) * nb_single_grating(c, 1, k) * nb_single_grating(c, 2, l);
        break;
    case NB_ROUND: return nb_single_round(c, h, k, l);
    case NB_GAUSS: return (float)c->height * nb_single_exp2(nb_single_metric(c, h, k, l));
    default: return nb_single_metric(c, h, k, l) < (float)c->cutoff ? (float)c->height : 0.0f;
    }
    return product * product;
}

#endif
