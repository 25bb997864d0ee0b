/* The inner loops of a point spread: sums of taps that are rounded to float32 after every tap.
 *
 * An output pixel is a chain of additions in the order of its sources; different outputs have nothing to do with one
 * another, and are what the vectors are made of. Build without contraction.
 */
#ifndef NB_SPREAD_H
#define NB_SPREAD_H

#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

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

/* Named, where there are instructions for whole vectors: of __builtin_convertvector gcc 12 makes three to five, half a
 * vector at a time. */
static inline nb_doubles nb_widen(nb_floats x)
{
#if defined(__AVX512F__)
    return (nb_doubles)_mm512_cvtps_pd((__m256)x);
#elif defined(__AVX__)
    return (nb_doubles)_mm256_cvtps_pd((__m128)x);
#else
    return __builtin_convertvector(x, nb_doubles);
#endif
}

static inline nb_floats nb_narrow(nb_doubles x)
{
#if defined(__AVX512F__)
    return (nb_floats)_mm512_cvtpd_ps((__m512d)x);
#elif defined(__AVX__)
    return (nb_floats)_mm256_cvtpd_ps((__m256d)x);
#else
    return __builtin_convertvector(x, nb_floats);
#endif
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

/* All ones for the first n lanes from nb_lanes + NB_LANES - n on, and zeros. */
static const long long nb_lanes[2 * NB_LANES] = {
    -1, -1, -1, -1,
#if NB_LANES == 8
    -1, -1, -1, -1,
#endif
};

/* What one source adds to rows of outputs, `stride` apart. out, tap: those of its own column, in the first row; half:
 * how far it reaches to either side, row by row; left, right: how many columns there are. Outputs and taps are read up
 * to the next multiple of NB_LANES, and these outputs written as they were: a tail of single taps takes longer than the
 * vectors before it. */
static inline void nb_scatter(float *out, long stride, const double *tap, long side, const int *half, long rows,
                              int left, int right, double source)
{
    for (; rows > 0; rows--, out += stride, tap += side, half++) {
        int to_left = *half < left ? *half : left, n = to_left + (*half < right ? *half : right) + 1, i = 0;
        float *o = out - to_left;
        const double *t = tap - to_left;
        nb_floats sum;
        nb_masks lanes;
        nb_doubles rest;
        for (; i < n - NB_LANES; i += NB_LANES) {
            memcpy(&sum, o + i, sizeof sum);
            sum = nb_narrow(nb_widen(sum) + nb_load(t + i) * source);
            memcpy(o + i, &sum, sizeof sum);
        }
        memcpy(&lanes, nb_lanes + NB_LANES - (n - i), sizeof lanes);
        rest = (nb_doubles)((nb_masks)nb_load(t + i) & lanes);
        memcpy(&sum, o + i, sizeof sum);
        sum = nb_narrow(nb_widen(sum) + rest * source);
        memcpy(o + i, &sum, sizeof sum);
    }
}

/* The largest of n values, and at least 0; nan does not count. */
static inline float nb_maximum(const float *value, long n)
{
    float top[NB_BLOCK] = {0}, most = 0.0f;
    long i = 0;
    int k;
    for (; i + NB_BLOCK <= n; i += NB_BLOCK)
        for (k = 0; k < NB_BLOCK; k++) top[k] = value[i + k] > top[k] ? value[i + k] : top[k];
    for (k = 0; k < NB_BLOCK; k++) most = top[k] > most ? top[k] : most;
    for (; i < n; i++) most = value[i] > most ? value[i] : most;
    return most;
}

#endif
