/* Part 0 of the transforms that are cut (shapes.h), eight pixels at a time: AVX-512 has an instruction for x - rint(x),
 * for which C has no word. On Sapphire Rapids it is one operation, and the two are three. An infinite index, which that
 * difference would make no number, is at 0, as those beyond 2^53 are. */
#ifndef NB_FIRST_H
#define NB_FIRST_H

#include "nb_vector.h"
#include "shapes/shapes.h"

#ifdef __AVX512DQ__
#define NB_FIRST_IN_VECTORS 1
#define NB_8(x, i) (*(__m512d *)((x) + (i)))

NB_FN __m512d nb_first_8_gauss(const nb_gauss *c, __m512d h, __m512d k, __m512d l)
{
    return _mm512_max_pd(_mm512_set1_pd(c->least), NB_METRIC(c->metric, h, k, l, c->log_height));
}

/* Those that are here; the others' part 0 is done as C has it. */
NB_FN int nb_has_first_8(int kind)
{
    return nb_is_product(kind) || kind == NB_KIND_gauss || kind == NB_KIND_round;
}

/* h, k, l: indices; a, b, c: what part 0 leaves, but for the root. */
NB_FN void nb_first_8(int kind, const nb_lattice *lattice, __m512d h, __m512d k, __m512d l, double *a, double *b,
                      double *c)
{
    h = _mm512_reduce_pd(h, 0);
    k = _mm512_reduce_pd(k, 0);
    l = _mm512_reduce_pd(l, 0);
    switch (kind) {
#define NB_ENTRY(name, shape) \
    case NB_KIND_##name: \
        NB_8(a, 0) = NB_FOLDED_##name(_mm512_abs_pd(h)); \
        NB_8(b, 0) = NB_FOLDED_##name(_mm512_abs_pd(k)); \
        NB_8(c, 0) = NB_FOLDED_##name(_mm512_abs_pd(l)); \
        return;
        NB_PRODUCTS(NB_ENTRY)
#undef NB_ENTRY
    case NB_KIND_gauss: NB_8(a, 0) = nb_first_8_gauss(&lattice->of.gauss, h, k, l); return;
    case NB_KIND_round: NB_8(a, 0) = NB_ROUND_RADIUS(&lattice->of.round, h, k, l); return;
    }
}
#endif

#endif
