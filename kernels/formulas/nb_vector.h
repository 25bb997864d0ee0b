/* What vector loops need: pointers that alias nothing, and loops that a compiler cannot make of the formulas by itself,
 * for want of an instruction that C has no word for. */
#ifndef NB_VECTOR_H
#define NB_VECTOR_H

#include "nb_common.h"
#ifdef __AVX512F__
#include <immintrin.h>
#endif

/* Pointers that alias nothing: without the promise gcc checks for overlap before every vector loop, or gives up. */
typedef double *__restrict nb_out;
typedef const double *__restrict nb_in;
typedef float *__restrict nb_outf;
typedef const float *__restrict nb_inf;
typedef int *__restrict nb_outi;
typedef const int *__restrict nb_ini;

/* inverse[i] = unit/sqrt((along + step place[i])^2 + off) to the last bit or two, for i < n, a multiple of 8; the roots
 * lie between 1e-15 and 1e15, and arrays at multiples of 64 bytes. AVX-512 estimates a double's inverse root to 14 bits
 * without the divider; one step of fourth order makes up for the rest. */
NB_FN void nb_inverse_lengths(int n, double along, double step, double off, double unit, nb_in place,
                              nb_out inverse)
{
    int i;
#ifdef __AVX512F__
    for (i = 0; i < n; i += 8) {
        __m512d t = along + step * *(const __m512d *)(place + i), v = t * t + off;
        __m512d y = _mm512_rsqrt14_pd(v), e = 1.0 - v * y * y;
        *(__m512d *)(inverse + i) = (unit * y) * (1.0 + e * (0.5 + e * (0.375 + e * 0.3125)));
    }
#else
    for (i = 0; i < n; i++) {
        double t = along + step * place[i];
        inverse[i] = unit * nb_rsqrt(t * t + off);
    }
#endif
}

#endif
