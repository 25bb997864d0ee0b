/* The last pass over a tile: sums to float32 pixels, and their share in the statistics, whose sums stay in registers.
 * As arrays of a tile's length they were five loads and five stores for 16 pixels with AVX-512, and loads waited for
 * stores: a still took 2.3 ns a pixel in memory that was there, and 2.1 since.
 */
#ifndef NB_SHADE_H
#define NB_SHADE_H

#include "nb_vector.h"

#define NB_TALLY 16 /* lanes of statistics, whatever the length of vectors, so that sums are the same everywhere */

/* The statistics: each of sum, squares and top is 16 numbers at a multiple of 64 bytes. */
#if defined(__AVX512F__)
#define NB_AT_ONCE_F 16 /* floats of a vector */
typedef struct {
    __m512d sum[2], squares[2];
    __m512 top;
} nb_tally;

NB_FN void nb_tally_begin(nb_tally *t, nb_in sum, nb_in squares, nb_inf top)
{
    for (int j = 0; j < 2; ++j) {
        t->sum[j] = _mm512_load_pd(sum + 8 * j);
        t->squares[j] = _mm512_load_pd(squares + 8 * j);
    }
    t->top = _mm512_load_ps(top);
}

NB_FN void nb_tally_add(nb_tally *t, const float *image)
{
    __m512 x = _mm512_loadu_ps(image), y = x * x;
    t->sum[0] += _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    t->sum[1] += _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    t->squares[0] += _mm512_cvtps_pd(_mm512_castps512_ps256(y));
    t->squares[1] += _mm512_cvtps_pd(_mm512_extractf32x8_ps(y, 1));
    t->top = _mm512_max_ps(x, t->top);
}

NB_FN void nb_tally_end(const nb_tally *t, nb_out sum, nb_out squares, nb_outf top)
{
    for (int j = 0; j < 2; ++j) {
        _mm512_store_pd(sum + 8 * j, t->sum[j]);
        _mm512_store_pd(squares + 8 * j, t->squares[j]);
    }
    _mm512_store_ps(top, t->top);
}
#elif defined(__AVX2__)
#define NB_AT_ONCE_F 8
typedef struct {
    __m256d sum[4], squares[4];
    __m256 top[2];
} nb_tally;

NB_FN void nb_tally_begin(nb_tally *t, nb_in sum, nb_in squares, nb_inf top)
{
    for (int j = 0; j < 4; ++j) {
        t->sum[j] = _mm256_load_pd(sum + 4 * j);
        t->squares[j] = _mm256_load_pd(squares + 4 * j);
    }
    for (int j = 0; j < 2; ++j) t->top[j] = _mm256_load_ps(top + 8 * j);
}

NB_FN void nb_tally_add(nb_tally *t, const float *image)
{
    for (int j = 0; j < 4; ++j) {
        __m128 x = _mm_loadu_ps(image + 4 * j);
        t->sum[j] += _mm256_cvtps_pd(x);
        t->squares[j] += _mm256_cvtps_pd(x * x);
    }
    for (int j = 0; j < 2; ++j) t->top[j] = _mm256_max_ps(_mm256_loadu_ps(image + 8 * j), t->top[j]);
}

NB_FN void nb_tally_end(const nb_tally *t, nb_out sum, nb_out squares, nb_outf top)
{
    for (int j = 0; j < 4; ++j) {
        _mm256_store_pd(sum + 4 * j, t->sum[j]);
        _mm256_store_pd(squares + 4 * j, t->squares[j]);
    }
    for (int j = 0; j < 2; ++j) _mm256_store_ps(top + 8 * j, t->top[j]);
}
#else
#define NB_AT_ONCE_F 4
typedef struct {
    double sum[NB_TALLY], squares[NB_TALLY];
    float top[NB_TALLY];
} nb_tally;

NB_FN void nb_tally_begin(nb_tally *t, nb_in sum, nb_in squares, nb_inf top)
{
    for (int j = 0; j < NB_TALLY; ++j) {
        t->sum[j] = sum[j];
        t->squares[j] = squares[j];
        t->top[j] = top[j];
    }
}

NB_FN void nb_tally_add(nb_tally *t, const float *image)
{
    for (int j = 0; j < NB_TALLY; ++j) {
        float x = image[j];
        t->sum[j] = t->sum[j] + x;
        t->squares[j] = t->squares[j] + x * x;
        t->top[j] = x > t->top[j] ? x : t->top[j];
    }
}

NB_FN void nb_tally_end(const nb_tally *t, nb_out sum, nb_out squares, nb_outf top)
{
    for (int j = 0; j < NB_TALLY; ++j) {
        sum[j] = t->sum[j];
        squares[j] = t->squares[j];
        top[j] = t->top[j];
    }
}
#endif

/* Pixels (background + f2 acc) factor of n, a multiple of 16, and their share in the statistics. */
static __attribute__((noinline)) void nb_shade(int n, double background, double f2, nb_in acc, nb_in factor,
                                               nb_outf image, nb_out sum, nb_out squares, nb_outf top)
{
    nb_tally t;
    nb_tally_begin(&t, sum, squares, top);
    for (long i = 0; i < n; i += NB_TALLY) {
        for (long k = 0; k < NB_TALLY; k += NB_AT_ONCE_F) /* not from i on: gcc asks then whether it has passed n */
#pragma GCC unroll 1
            for (long j = 0; j < NB_AT_ONCE_F; ++j) {
                const long at = i + k + j;
                image[at] = (float)((background + f2 * acc[at]) * factor[at]);
            }
        nb_tally_add(&t, image + i);
    }
    nb_tally_end(&t, sum, squares, top);
}

#endif
