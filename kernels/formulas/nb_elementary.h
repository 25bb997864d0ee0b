/* Elementary functions without branches or tables, for loops that the compiler turns into vector code.
 *
 * Where a result has to be the reference's to the last bit of a float32, the caller brackets it: it rounds the value
 * a little too small and a little too large, and asks the C library only when the two differ. The functions also serve
 * the counter-based noise, where the same text must give the same numbers on every processor: nothing here calls the
 * library, and every operation is one that IEEE 754 rounds correctly (build without contraction: -ffp-contract=off for
 * gcc, --fmad=false for NVRTC).
 */
#ifndef NB_ELEMENTARY_H
#define NB_ELEMENTARY_H

#include "nb_common.h"
#ifndef __CUDACC__
#include <string.h>
#endif

typedef unsigned long long nb_u64;

NB_FN nb_u64 nb_bits(double x)
{
#ifdef __CUDACC__
    return (nb_u64)__double_as_longlong(x);
#else
    nb_u64 n;
    memcpy(&n, &x, sizeof n);
    return n;
#endif
}

NB_FN double nb_from_bits(nb_u64 n)
{
#ifdef __CUDACC__
    return __longlong_as_double((long long)n);
#else
    double x;
    memcpy(&x, &n, sizeof x);
    return x;
#endif
}

/* exp(x) for |x| < 700: a power of two times the Taylor series for |r| < ln(2)/2. Relative error below 4e-16. */
NB_FN double nb_exp(double x)
{
    double z = x * 1.4426950408889634 + NB_ROUND_MAGIC, n = z - NB_ROUND_MAGIC, r, p;
    r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    p = 1.6059043836821613e-10;
    p = 2.08767569878681e-09 + r * p;
    p = 2.505210838544172e-08 + r * p;
    p = 2.755731922398589e-07 + r * p;
    p = 2.7557319223985893e-06 + r * p;
    p = 2.48015873015873e-05 + r * p;
    p = 0.0001984126984126984 + r * p;
    p = 0.001388888888888889 + r * p;
    p = 0.008333333333333333 + r * p;
    p = 0.041666666666666664 + r * p;
    p = 0.16666666666666666 + r * p;
    p = 0.5 + r * p;
    p = 1.0 + r * (1.0 + r * p);
    return nb_from_bits(nb_bits(p) + (nb_bits(z) << 52)); /* the low bits of z hold n */
}

/* ln(x) for positive normal x: x = 2^n m with m within a factor sqrt(2) of 1, ln m = 2 atanh((m-1)/(m+1)).
 * Error below 2 units in the last place of the result. */
NB_FN double nb_log(double x)
{
    nb_u64 bits = nb_bits(x), biased = (bits + 0x00095f619980c433ULL) >> 52; /* exponent after x/sqrt(1/2) */
    double n = nb_from_bits(biased | 0x4330000000000000ULL) - (4503599627370496.0 + 1023.0);
    double m = nb_from_bits(bits - ((biased - 1023ULL) << 52));
    double f = m - 1.0, s = f / (m + 1.0), w = s * s, p;
    p = 0.09523809523809523;
    p = 0.10526315789473684 + w * p;
    p = 0.11764705882352941 + w * p;
    p = 0.13333333333333333 + w * p;
    p = 0.15384615384615385 + w * p;
    p = 0.18181818181818182 + w * p;
    p = 0.2222222222222222 + w * p;
    p = 0.2857142857142857 + w * p;
    p = 0.4 + w * p;
    p = 0.6666666666666666 + w * p;
    /* 2s = f - s f, so that the leading term f is exact */
    return n * 0.693147180369123816490 + (f + (s * (w * p - f) + n * 1.90821492927058770002e-10));
}

#ifndef __CUDACC__

/* tan of the float64 product pi*u, for 0 <= u < 1: the argument is brought to |q| <= pi/4 exactly, then the [7/6]
 * convergent of the continued fraction of tan. Relative error below 1e-14 (but for u = 0: 0). */
NB_FN double nb_tan_pi(double u)
{
    double z = 3.14159265358979323846 * u;
    double r = u > 0.5 ? (z - 3.14159265358979323846) - 1.2246467991473532e-16 : z;
    double a = r < 0.0 ? -r : r;
    double q = a > 0.78539816339744831 ? (1.5707963267948966 - a) + 6.123233995736766e-17 : a;
    double w = q * q;
    double num = q * (135135.0 + w * (-17325.0 + w * (378.0 - w)));
    double den = 135135.0 + w * (-62370.0 + w * (3150.0 - 28.0 * w));
    double top = a > 0.78539816339744831 ? den : num, bottom = a > 0.78539816339744831 ? num : den;
    return (r < 0.0 ? -top : top) / bottom;
}

/* ln(x) for positive normal x, absolute error below 1e-5. */
NB_FN float nb_log_rough(float x)
{
    unsigned int bits, biased;
    float n, m, s, w;
    memcpy(&bits, &x, sizeof bits);
    biased = (bits + 0x004afb0du) >> 23;
    n = (float)((int)biased - 127);
    bits -= (biased - 127u) << 23;
    memcpy(&m, &bits, sizeof m);
    s = (m - 1.0f) / (m + 1.0f);
    w = s * s;
    return n * 0.69314718f + s * (2.0f + w * (0.6666667f + w * (0.4f + w * 0.2857143f)));
}

/* -log2(u) in units of 2^-17, within 0.7 units, for 2^-31 <= u <= 1; what is less counts as 2^-31. */
NB_FN unsigned int nb_log_units(float u)
{
    unsigned int bits, biased;
    float m, s, w;
    u = u > 4.6566129e-10f ? u : 4.6566129e-10f;
    memcpy(&bits, &u, sizeof bits);
    biased = (bits + 0x004afb0du) >> 23;
    bits -= (biased - 127u) << 23;
    memcpy(&m, &bits, sizeof m);
    s = (m - 1.0f) / (m + 1.0f);
    w = s * s;
    s = s * (2.8853901f + w * (0.96179669f + w * (0.57707802f + w * 0.41219859f)));
    return (126u - biased) * 131072u + (unsigned int)(int)(131072.5f - 131072.0f * s);
}

#endif
#endif
