/* The inner loops of a point spread: sums of taps that are rounded to float32 after every tap.
 *
 * An output pixel is a chain of additions in the order of its sources; different outputs have nothing to do with one
 * another, and are what the vectors are made of. Build without contraction.
 */
#ifndef NB_SPREAD_H
#define NB_SPREAD_H

#include <string.h>

#if defined(__AVX512F__)
#define NB_LANES 8
#else
#define NB_LANES 4
#endif
#define NB_CHAINS 8                      /* vectors at a time: one's addition waits for its last one's rounding */
#define NB_BLOCK (NB_LANES * NB_CHAINS)  /* outputs at a time */

typedef float nb_floats __attribute__((vector_size(4 * NB_LANES)));
typedef double nb_doubles __attribute__((vector_size(8 * NB_LANES)));
typedef long long nb_masks __attribute__((vector_size(8 * NB_LANES)));

static inline nb_doubles nb_load(const double *x)
{
    nb_doubles v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline nb_doubles nb_widen(nb_floats x)
{
    return __builtin_convertvector(x, nb_doubles);
}

static inline nb_floats nb_narrow(nb_doubles x)
{
    return __builtin_convertvector(x, nb_floats);
}

/* One row of sources for NB_BLOCK outputs. source: the leftmost one of the first output; tap: its tap. From source to
 * source, to the right, the taps go to the left: dx falls from taps/2 to -taps/2. */
static inline void nb_gather_row(nb_floats *sum, const double *source, const double *tap, long taps)
{
    long t;
    int c;
    for (t = 0; t < taps; t++) {
        double k = tap[-t];
#pragma GCC unroll 8
        for (c = 0; c < NB_CHAINS; c++)
            sum[c] = nb_narrow(nb_widen(sum[c]) + nb_load(source + t + c * NB_LANES) * k);
    }
}

/* The same where a source reaches as far as its own squared radius says. square: of the row's distance. */
static inline void nb_gather_row_within(nb_floats *sum, const double *source, const double *reach, const double *tap,
                                        double square, long taps)
{
    long t;
    int c;
    for (t = 0; t < taps; t++) {
        double dx = (double)(taps / 2 - t), k = tap[-t], d = square + dx * dx;
#pragma GCC unroll 8
        for (c = 0; c < NB_CHAINS; c++) {
            nb_masks within = nb_load(reach + t + c * NB_LANES) >= d;
            nb_masks bits = (nb_masks)nb_load(source + t + c * NB_LANES) & within;
            sum[c] = nb_narrow(nb_widen(sum[c]) + (nb_doubles)bits * k);
        }
    }
}

/* The taps of one source that fall on n neighbouring outputs. */
static inline void nb_scatter_row(float *out, const double *tap, double source, long n)
{
    long i = 0;
    for (; i + 2 * NB_LANES <= n; i += 2 * NB_LANES) {
        nb_floats a, b;
        memcpy(&a, out + i, sizeof a);
        memcpy(&b, out + i + NB_LANES, sizeof b);
        a = nb_narrow(nb_widen(a) + nb_load(tap + i) * source);
        b = nb_narrow(nb_widen(b) + nb_load(tap + i + NB_LANES) * source);
        memcpy(out + i, &a, sizeof a);
        memcpy(out + i + NB_LANES, &b, sizeof b);
    }
    for (; i < n; i++) out[i] = (float)(out[i] + tap[i] * source);
}

#endif
