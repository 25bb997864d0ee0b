/* Parts of the transforms that are cut (shapes.h), eight pixels at a time, for which AVX-512 has instructions that C
 * has no word for. One makes x - rint(x), to the same bits: on Sapphire Rapids it is one operation, and the two are
 * three. An infinite index, which that difference would make no number, is at 0, as those beyond 2^53 are. Another one
 * makes p 2^n, which is three operations where n has to be put among the bits of a double. */
#ifndef NB_EIGHT_H
#define NB_EIGHT_H

#include "nb_vector.h"
#include "shapes/shapes.h"

#ifdef __AVX512DQ__
#define NB_IN_EIGHTS 1
#define NB_8(x, i) (*(__m512d *)((x) + (i)))

NB_FN __m512d nb_first_8_gauss(const nb_gauss *c, __m512d h, __m512d k, __m512d l)
{
    return _mm512_max_pd(_mm512_set1_pd(c->least), NB_METRIC(c->metric, h, k, l, c->log_height));
}

/* Those whose part 0 is here; the others' is done as C has it. */
NB_FN int nb_has_first_8(int kind)
{
    return nb_is_product(kind) || kind == NB_KIND_gauss || kind == NB_KIND_round;
}

/* NB_FOLDED_square_general as one operation: the larger one of |d| and 1e-40, whose sum is |d| beyond 1e-24. */
NB_FN __m512d nb_amount_8(__m512d d)
{
    return _mm512_range_pd(d, _mm512_set1_pd(1e-40), 0xb);
}

/* h, k, l: indices; a, b, c: what part 0 leaves, but for the root. */
NB_FN void nb_first_8(int kind, const nb_lattice *lattice, __m512d h, __m512d k, __m512d l, double *a, double *b,
                      double *c)
{
    h = _mm512_reduce_pd(h, 0);
    k = _mm512_reduce_pd(k, 0);
    l = _mm512_reduce_pd(l, 0);
    if (kind == NB_KIND_square_general) {
        NB_8(a, 0) = nb_amount_8(h);
        NB_8(b, 0) = nb_amount_8(k);
        NB_8(c, 0) = nb_amount_8(l);
        return;
    }
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

/* Where a transform wants roots (shapes.h): 1/r and r - rint(r), of a = r^2. */
NB_FN void nb_roots_8(const double *a, double *b, double *c)
{
    __m512d root = nb_inverse_root(1.0, NB_8(a, 0));
    NB_8(b, 0) = root;
    NB_8(c, 0) = _mm512_reduce_pd(NB_8(a, 0) * root, 0);
}

/* Those whose part 1 is here: the numerator of square_general. */
NB_FN int nb_has_second_8(int kind)
{
    return kind == NB_KIND_square_general;
}

NB_FN void nb_second_8(int kind, const nb_lattice *lattice, const double *a, const double *b, const double *c,
                       double *d)
{
    const double *cells = lattice->of.square.cells;
    __m512d h = _mm512_reduce_pd(cells[0] * NB_8(a, 0), 0), k = _mm512_reduce_pd(cells[1] * NB_8(b, 0), 0);
    __m512d l = _mm512_reduce_pd(cells[2] * NB_8(c, 0), 0), uh = h * h, uk = k * k, ul = l * l, sh, sk, sl;
    NB_SINC_PI3(uh, uk, ul, sh, sk, sl);
    NB_8(d, 0) = (h * sh) * (k * sk) * (l * sl);
}

/* Those whose part 2 is here, for loops that do nothing beside it: where they look something up it gains nothing. */
NB_FN int nb_has_last_8(int kind)
{
    return kind == NB_KIND_gauss;
}

/* nb_exp2, bit by bit. */
NB_FN __m512d nb_last_8(int kind, const double *a)
{
    __m512d x = NB_8(a, 0), f = _mm512_reduce_pd(x, 0), p;
    NB_EXP2_FRACTION(f, p);
    return _mm512_scalef_pd(1.0 + f * p, x - f);
}
#endif

#endif
