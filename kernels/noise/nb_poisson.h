/* The number of photons in a pixel: a Poisson deviate that is a function of the mean, the pixel and the seed.
 *
 * Means below 10: inversion: adding up the probabilities of 0, 1, 2, ... until they pass a uniform deviate. From there
 * to 1e8: PTRS, transformed rejection with a squeeze, of W. Hoermann: "The transformed rejection method for generating
 * Poisson random variables", Insurance: Mathematics and Economics 12 (1993) 39-45. Above: a normal deviate (Marsaglia's
 * polar method), rounded; the skewness that is left out is below 1e-4 there.
 *
 * Decisions are made with the functions of nb_elementary.h and with operations that IEEE 754 rounds correctly: built
 * without contraction to multiply-adds, every processor gives the same counts.
 */
#ifndef NB_POISSON_H
#define NB_POISSON_H

#include "nb_elementary.h"
#include "nb_philox.h"

#define NB_POISSON_PTRS 10.0   /* the mean from which on PTRS serves; it needs 10 at least */
#define NB_POISSON_NORMAL 1e8  /* and the normal deviate */
#define NB_POISSON_WORD 2147483648.0 /* 2^31: inversion counts probabilities in units of 2^-31 */
#define NB_POISSON_MOST 64     /* no count of a mean below 10 is larger: the chance is 1e-28 */

/* Inversion. word: 31 random bits. They decide almost always; only where a sum of probabilities falls between this
 * word and the next, 22 bits more are drawn. */
NB_FN double nb_poisson_small(double mean, unsigned int word, unsigned long long pixel, unsigned int key_low,
                              unsigned int key_high)
{
    double u = (double)(int)word, width = 1.0, p = nb_exp(-mean) * NB_POISSON_WORD, sum = p;
    unsigned int x[4];
    int k = 0;
    while (k < NB_POISSON_MOST) {
        if (u >= sum) {
            k++;
            p = p * (mean * (1.0 / (double)k));
            sum = sum + p;
        } else if (width > 0.0 && u + width > sum) {
            nb_philox_words(0u, pixel, NB_PHILOX_PIXEL, key_low, key_high, x);
            u = u + (double)(int)(x[0] >> 10) * (1.0 / 4194304.0);
            width = 0.0;
        } else {
            break;
        }
    }
    return (double)k;
}

/* What PTRS makes of a mean. */
typedef struct {
    double a, b, inverse_alpha, squeeze;
} nb_ptrs;

NB_FN nb_ptrs nb_ptrs_of(double mean)
{
    nb_ptrs s;
    s.b = 0.931 + 2.53 * sqrt(mean);
    s.a = 0.02483 * s.b - 0.059;
    s.inverse_alpha = 1.1239 + 1.1328 / (s.b - 3.4);
    s.squeeze = 0.9277 - 3.6224 / (s.b - 2.0);
    return s;
}

/* The count that a trial proposes; u: uniform deviate less 1/2, us: 1/2 - |u|. */
NB_FN double nb_ptrs_count(double mean, nb_ptrs s, double u, double us)
{
    return nb_floor((2.0 * s.a / us + s.b) * u + mean + 0.43);
}

/* How far a trial (us, v) that proposes k >= 10 lies within what is accepted, in logarithms; negative: rejected. The
 * large terms of ln k! (Stirling's series, off by 1e-12 at most) and of k ln(mean) are taken together. */
NB_FN double nb_ptrs_margin(double mean, nb_ptrs s, double us, double v, double k)
{
    double height = v * s.inverse_alpha / (s.a / (us * us) + s.b), inverse = 1.0 / k, w = inverse * inverse;
    double stirling = inverse * (1.0 / 12.0 - w * (1.0 / 360.0 - w * (1.0 / 1260.0 - w * (1.0 / 1680.0))));
    return ((k - mean) - k * nb_log(k / mean) - stirling) - nb_log(height * sqrt((2.0 * NB_PI) * k));
}

/* The same for 0 <= k < 10, where k! is exact. */
NB_FN double nb_ptrs_small_margin(double mean, nb_ptrs s, double us, double v, double k)
{
    double factorial = 1.0;
    int i;
    for (i = 2; i <= (int)k; i++)
        factorial = factorial * (double)i;
    return k * nb_log(mean) - mean - nb_log(v * s.inverse_alpha / (s.a / (us * us) + s.b) * factorial);
}

/* True when a trial is accepted that the squeeze leaves open. */
NB_FN int nb_ptrs_accepted(double mean, nb_ptrs s, double us, double v, double k)
{
    if (k < 0.0 || (us < 0.013 && v > us))
        return 0;
    return (k < 10.0 ? nb_ptrs_small_margin(mean, s, us, v, k) : nb_ptrs_margin(mean, s, us, v, k)) >= 0.0;
}

/* The deviates of a trial from its four random words. */
NB_FN double nb_ptrs_u(unsigned int x0, unsigned int x1)
{
    return nb_uniform(x0, x1) - 0.5;
}

NB_FN double nb_ptrs_us(double u)
{
    return 0.5 - (u < 0.0 ? -u : u);
}

/* True when the squeeze accepts a trial: nine of ten are. */
NB_FN int nb_ptrs_squeezed(nb_ptrs s, double us, double v)
{
    return us >= 0.07 && v <= s.squeeze;
}

/* Trials from number `draw` on. */
NB_FN double nb_poisson_ptrs(double mean, unsigned int draw, unsigned long long pixel, unsigned int key_low,
                             unsigned int key_high)
{
    nb_ptrs s = nb_ptrs_of(mean);
    unsigned int x[4];
    double u, v, us, k;
    for (;; draw++) {
        nb_philox_words(draw, pixel, NB_PHILOX_PIXEL, key_low, key_high, x);
        u = nb_ptrs_u(x[0], x[1]);
        v = nb_uniform(x[2], x[3]);
        us = nb_ptrs_us(u);
        k = nb_ptrs_count(mean, s, u, us);
        if (nb_ptrs_squeezed(s, us, v) || nb_ptrs_accepted(mean, s, us, v, k))
            return k;
    }
}

/* A rounded normal deviate. An infinite mean gives an infinite count. */
NB_FN double nb_poisson_normal(double mean, unsigned long long pixel, unsigned int key_low, unsigned int key_high)
{
    unsigned int x[4], draw;
    double a, b, r, count;
    if (mean > 1e300)
        return mean;
    for (draw = 0u;; draw++) {
        nb_philox_words(draw, pixel, NB_PHILOX_PIXEL, key_low, key_high, x);
        a = 2.0 * nb_uniform(x[0], x[1]) - 1.0;
        b = 2.0 * nb_uniform(x[2], x[3]) - 1.0;
        r = a * a + b * b;
        if (r < 1.0) {
            count = mean + sqrt(mean) * (a * sqrt(-2.0 * nb_log(r) / r));
            return count < 1e15 ? nb_floor(count + 0.5) : count; /* beyond, doubles are whole or nearly */
        }
    }
}

/* Photons in a pixel: a whole number; 0 where the mean is negative or not a number.
 *
 * pixel: index in the image, slow * fast pixels + fast. key_low, key_high: the low and high 32 bits of the seed. */
NB_FN double nb_poisson(double mean, unsigned long long pixel, unsigned int key_low, unsigned int key_high)
{
    unsigned int x[4];
    if (!(mean > 0.0))
        return 0.0;
    if (mean < NB_POISSON_PTRS) {
        nb_philox_words(0u, pixel / NB_PHILOX_SHARE, NB_PHILOX_GROUP, key_low, key_high, x);
        return nb_poisson_small(mean, x[pixel % NB_PHILOX_SHARE] >> 1, pixel, key_low, key_high);
    }
    if (mean < NB_POISSON_NORMAL)
        return nb_poisson_ptrs(mean, 0u, pixel, key_low, key_high);
    return nb_poisson_normal(mean, pixel, key_low, key_high);
}

#endif
