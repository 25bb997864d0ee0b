/* The reference's uniform generator and the deviates it makes of it, one at a time and with the C library.
 *
 * Generator: "minimal standard", x -> 16807 x mod 2^31 - 1 (Park and Miller 1988, Comm. ACM 31, 1192), through the
 * shuffle of Bays and Durham (Knuth, The Art of Computer Programming, volume 2, 3.2.2, algorithm B) with 32 entries:
 * `ran1` of Numerical Recipes. From the same book is what `poidev` is made of. Every quantity that the reference stores
 * is a float32 there and here. Build without contraction.
 */
#ifndef NB_RANDOM_H
#define NB_RANDOM_H

#include "nb_common.h"
#include <stdint.h>

#define NB_RAN1_MODULUS 2147483647
#define NB_RAN1_ENTRIES 32
#define NB_RAN1_TOP 0.99999988f /* float32 of 1 - 1.2e-7: no deviate is larger */

/* The shared part: the shuffle table, and the number drawn last, which says what entry is next; 0: not loaded. */
typedef struct {
    int64_t table[NB_RAN1_ENTRIES];
    int64_t last;
} nb_ran1;

/* 16807 x mod 2^31 - 1 by Schrage's method, which matters for the seeds outside 1 .. 2^31 - 2 that a user may give. */
NB_FN int64_t nb_ran1_step(int64_t x)
{
    int64_t k = x / 127773;
    x = 16807 * (x - k * 127773) - 2836 * k;
    return x < 0 ? x + NB_RAN1_MODULUS : x;
}

NB_FN float nb_ran1_deviate(int32_t drawn)
{
    float u = (float)((1.0 / NB_RAN1_MODULUS) * drawn);
    return u < NB_RAN1_TOP ? u : NB_RAN1_TOP;
}

/* One deviate in [0, 1). `seed` is the stream's own variable; a value <= 0 (re)loads the table for every stream. */
NB_FN float nb_ran1_next(nb_ran1 *r, int64_t *seed)
{
    int i;
    int64_t drawn;
    if (*seed <= 0 || r->last == 0) {
        *seed = *seed < 0 ? -*seed : 1;
        for (i = NB_RAN1_ENTRIES + 7; i >= 0; i--) {
            *seed = nb_ran1_step(*seed);
            if (i < NB_RAN1_ENTRIES) r->table[i] = *seed;
        }
        r->last = r->table[0];
    }
    *seed = nb_ran1_step(*seed);
    i = (int)(r->last >> 26);
    drawn = r->table[i];
    r->table[i] = *seed;
    r->last = drawn;
    return nb_ran1_deviate((int32_t)drawn);
}

#define NB_LANCZOS_1 76.18009172947146
#define NB_LANCZOS_2 -86.50532032941677
#define NB_LANCZOS_3 24.01409824083091
#define NB_LANCZOS_4 -1.231739572450155
#define NB_LANCZOS_5 0.1208650973866179e-2
#define NB_LANCZOS_6 -0.5395239384953e-5

/* ln Gamma(x), x > 0: Lanczos's approximation, summed in the reference's order. */
NB_FN float nb_gammln(float x)
{
    static const double c[6] = {NB_LANCZOS_1, NB_LANCZOS_2, NB_LANCZOS_3, NB_LANCZOS_4, NB_LANCZOS_5, NB_LANCZOS_6};
    double base = (double)x + 5.5, series = 1.000000000190015, y = x;
    int i;
    base -= ((double)x + 0.5) * log(base);
    for (i = 0; i < 6; i++) series += c[i] / ++y;
    return (float)(-base + log(2.5066282746310005 * series / x));
}

/* The Poisson probability of `count` over its Lorentzian envelope, the latter at deviate y. log_mean and norm =
 * mean*log_mean - lnGamma(mean + 1) belong to the mean. */
NB_FN float nb_acceptance(float count, float y, float log_mean, float norm)
{
    float exponent = count * log_mean - nb_gammln((float)(count + 1.0)) - norm;
    return (float)(0.9 * (1.0 + y * y) * exp(exponent));
}

#endif
