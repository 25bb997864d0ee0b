/* What the shapes' float32 forms share (`-precision single`): shorter polynomials, the same transforms.
 *
 * The distances from the nearest lattice point come from double arithmetic; a crystal of N cells amplifies their
 * rounding to float32 by N, so relative errors are about 1e-7 N, and larger next to the zeros of the pattern.
 */
#ifndef NB_SINGLE_H
#define NB_SINGLE_H

#include "nb_common.h"

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

/* The whole number that this distance is from, a tie being nearer to the lower one as for nb_nearest. */
NB_FN int nb_single_whole(double shifted)
{
    union {
        double d;
        long long i;
    } bits;
    bits.d = shifted;
    return (((int)(bits.i >> 32) & 0xfffff) - 0x80000) + ((unsigned int)bits.i > 0x80000000u);
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

NB_FN float nb_single_metric(const double *metric, float h, float k, float l)
{
    return h * ((float)metric[0] * h + (float)metric[1] * k + (float)metric[2] * l) +
           k * ((float)metric[3] * k + (float)metric[4] * l) + (float)metric[5] * (l * l);
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
    return (1.0f +
            f * (0.693147182f + f * (0.240226462f + f * (0.0555032864f + f * (0.00961866603f + f * 0.00134f))))) *
           bits.f;
}

#endif
