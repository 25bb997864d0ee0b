/* Loops that a compiler cannot make of the formulas by itself, for want of an instruction that C has no word for. The
 * header that names those takes gcc a quarter of a second to read: for sources that call one of these loops. */
#ifndef NB_VECTOR_H
#define NB_VECTOR_H

#include "nb_common.h"
#include "nb_pointers.h"
#include "nb_single.h"
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define NB_TILE 256  /* pixels at a time, at most; TILE in scratch.pxi */
#define NB_PAGE 4096 /* what workspaces are multiples of, and begin at (sums.h) */

#ifdef __AVX512F__
/* unit/sqrt(v) to the last bit or two: AVX-512 estimates a double's inverse root to 14 bits without the divider, and
 * one step of fourth order makes up for the rest. */
NB_FN __m512d nb_inverse_root(double unit, __m512d v)
{
    __m512d y = _mm512_rsqrt14_pd(v), e = 1.0 - v * y * y;
    return (unit * y) * (1.0 + e * (0.5 + e * (0.375 + e * 0.3125)));
}
#endif

/* inverse[i] = unit/sqrt((along + step place[i])^2 + off) to the last bit or two, for i < n, a multiple of 8; the
 * roots lie between 1e-15 and 1e15, and arrays at multiples of 64 bytes. Without AVX-512 a root and a division make
 * the estimate, a chain so long that it is a loop of its own (see NB_IN_PARTS in nb_parts.h), which leaves the squared
 * lengths in `inverse`; eight pixels at a time are then made of the two (with AVX2 they are not apart: below).
 * Counters are long: Python has its modules compiled with -fwrapv, and gcc widens an int at every turn, and compares
 * where a sum may be none. */
#ifdef __AVX512F__
NB_FN void nb_inverse_estimates(int n, double along, double step, double off, nb_in place, nb_out inverse,
                                nb_outf estimate)
{
}

NB_FN void nb_inverse_eight(double along, double step, double off, double unit, nb_in place, nb_inf estimate,
                            nb_out inverse)
{
    __m512d t = along + step * *(const __m512d *)place;
    *(__m512d *)inverse = nb_inverse_root(unit, t * t + off);
}
#else
NB_FN void nb_inverse_estimates(int n, double along, double step, double off, nb_in place, nb_out inverse,
                                nb_outf estimate)
{
    for (long i = 0; i < n; i += 8)
#pragma GCC unroll 1
        for (long j = 0; j < 8; ++j) {
            double t = along + step * place[i + j], v = t * t + off;
            inverse[i + j] = v;
            estimate[i + j] = nb_rsqrt_estimate(v);
        }
}

NB_FN void nb_inverse_eight(double along, double step, double off, double unit, nb_in place, nb_inf estimate,
                            nb_out inverse)
{
#pragma GCC unroll 1
    for (long i = 0; i < 8; ++i) inverse[i] = unit * nb_rsqrt_from(inverse[i], estimate[i]);
}
#endif

/* With AVX2, a root and a division keep the divider busy, and the rest, which is multiplications, waits for them. So
 * the estimates of some pixels are made beside the inverses of others, and so far ahead that nothing waits in the
 * processor's queues: on Emerald Rapids it takes a fifth less than one after the other. The squared lengths are then
 * not left in `inverse`: loads of place would wait for their stores (nb_between of nb_parts.h). */
#if defined(__AVX2__) && !defined(__AVX512F__)
#define NB_ESTIMATES_AHEAD 1
#else
#define NB_ESTIMATES_AHEAD 0
#endif
#define NB_AHEAD 48 /* pixels */
typedef struct {
    float estimate[NB_TILE];
    double square[NB_ESTIMATES_AHEAD ? NB_TILE : 1];
} __attribute__((aligned(NB_PAGE))) nb_estimates;

NB_FN void nb_inverse_of(double unit, nb_in square, nb_inf estimate, nb_out inverse)
{
#pragma GCC unroll 1
    for (long i = 0; i < 8; ++i) inverse[i] = unit * nb_rsqrt_from(square[i], estimate[i]);
}

NB_FN void nb_inverse_lengths(int n, double along, double step, double off, double unit, nb_in place,
                              nb_out inverse)
{
    const long ahead = NB_ESTIMATES_AHEAD && n > NB_AHEAD ? NB_AHEAD : n;
    nb_estimates m;
    long i = 0;
    nb_inverse_estimates(ahead, along, step, off, place, NB_ESTIMATES_AHEAD ? m.square : inverse, m.estimate);
    for (; NB_ESTIMATES_AHEAD && i < n - ahead; i += 8) {
        const long to = i + ahead;
        nb_inverse_estimates(8, along, step, off, place + to, m.square + to, m.estimate + to);
        nb_inverse_of(unit, m.square + i, m.estimate + i, inverse + i);
    }
    for (; i < n; i += 8) {
        if (NB_ESTIMATES_AHEAD) nb_inverse_of(unit, m.square + i, m.estimate + i, inverse + i);
        else nb_inverse_eight(along, step, off, unit, place + i, m.estimate + i, inverse + i);
    }
}

/* out[i] = table[element[i]] for i < n, a multiple of 4; arrays lie at multiples of 32 bytes. gcc would gather with
 * AVX2, which takes 7 cycles for four numbers on Zen 3, where loads and shuffles take 4. */
NB_FN void nb_look_up(int n, nb_in table, nb_ini element, nb_out out)
{
    int i;
#if defined(__AVX2__) && !defined(__AVX512F__)
    for (i = 0; i < n; i += 4)
        *(__m256d *)(out + i) = _mm256_set_pd(table[element[i + 3]], table[element[i + 2]], table[element[i + 1]],
                                              table[element[i]]);
#else
    for (i = 0; i < n; ++i) out[i] = table[element[i]];
#endif
}

/* The 16 floats, or 8, that nb_single_fraction makes of two vectors of doubles. To gather the low halves of doubles
 * takes gcc five shuffles, not one or two. */
#if defined(__AVX512F__)
NB_FN __m512 nb_single_16(__m512d a, __m512d b)
{
    const __m512i low = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    __m512i whole = _mm512_permutex2var_epi32(_mm512_castpd_si512(a), low, _mm512_castpd_si512(b));
    return _mm512_cvtepi32_ps(whole) * (1.0f / 4294967296.0f);
}
#elif defined(__AVX2__)
NB_FN __m256 nb_single_8(__m256d a, __m256d b)
{
    __m256d halves = _mm256_castps_pd(_mm256_shuffle_ps(_mm256_castpd_ps(a), _mm256_castpd_ps(b), 0x88));
    __m256i whole = _mm256_castpd_si256(_mm256_permute4x64_pd(halves, 0xd8));
    return _mm256_cvtepi32_ps(whole) * (1.0f / 4294967296.0f);
}
#endif

/* nb_single_fraction of inv (p + q place) - r, for i < n and up to the next multiple of 16, for which arrays have room;
 * they lie at multiples of 64 bytes. */
NB_FN void nb_single_fractions(int n, double p, double q, double r, nb_in place, nb_in inv, nb_outf out)
{
    int i;
#if defined(__AVX512F__)
    for (i = 0; i < n; i += 16) {
        __m512d a = *(const __m512d *)(inv + i) * (p + q * *(const __m512d *)(place + i)) - r;
        __m512d b = *(const __m512d *)(inv + i + 8) * (p + q * *(const __m512d *)(place + i + 8)) - r;
        *(__m512 *)(out + i) = nb_single_16(a, b);
    }
#elif defined(__AVX2__)
    for (i = 0; i < n; i += 8) {
        __m256d a = *(const __m256d *)(inv + i) * (p + q * *(const __m256d *)(place + i)) - r;
        __m256d b = *(const __m256d *)(inv + i + 4) * (p + q * *(const __m256d *)(place + i + 4)) - r;
        *(__m256 *)(out + i) = nb_single_8(a, b);
    }
#else
    for (i = 0; i < n; ++i) out[i] = nb_single_fraction(inv[i] * (p + q * place[i]) - r);
#endif
}

/* The same of w h + shift. */
NB_FN void nb_single_multiples(int n, double w, double shift, nb_in h, nb_outf out)
{
    int i;
#if defined(__AVX512F__)
    for (i = 0; i < n; i += 16)
        *(__m512 *)(out + i) =
            nb_single_16(w * *(const __m512d *)(h + i) + shift, w * *(const __m512d *)(h + i + 8) + shift);
#elif defined(__AVX2__)
    for (i = 0; i < n; i += 8)
        *(__m256 *)(out + i) =
            nb_single_8(w * *(const __m256d *)(h + i) + shift, w * *(const __m256d *)(h + i + 4) + shift);
#else
    for (i = 0; i < n; ++i) out[i] = nb_single_fraction(w * h[i] + shift);
#endif
}

#endif
