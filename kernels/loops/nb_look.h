/* Structure factors of a tile's pixels, looked up by whole indices: first where each lies, then what lies there. */
#ifndef NB_LOOK_H
#define NB_LOOK_H

#include "nb_structure.h"
#include "nb_vector.h"

/* With AVX-512, the loads and shuffles that gcc makes of a look-up are done beside the arithmetic of the last part. */
#ifdef __AVX512F__
#define NB_LOOK_LATE 1
#else
#define NB_LOOK_LATE 0
#endif

/* With AVX2, an element is left as the low half of a double, in the place of what will be found there: converting four
 * doubles and putting them together takes three operations more. */
#if defined(__AVX2__) && !defined(__AVX512F__)
#define NB_LOOK_LOW 1
#else
#define NB_LOOK_LOW 0
#endif

typedef struct {
    double before[448]; /* they begin at line 56 of a page: see nb_parts.h */
    int element[NB_TILE];
    double cell[NB_TILE];
} __attribute__((aligned(NB_PAGE))) nb_looked_up;

/* inside: the index is known to lie in the table. */
NB_FN void nb_note(const nb_box *box, int inside, double h0, double k0, double l0, int i, nb_looked_up *u)
{
    if (NB_LOOK_LOW) u->cell[i] = nb_box_place(box, inside, NB_ROUND_MAGIC, h0, k0, l0);
    else u->element[i] = (int)nb_box_place(box, inside, 0.0, h0, k0, l0);
}

/* For pixels `first` to `last` - 1, which are a multiple of 4. With AVX2 the arithmetic of the last part is done beside
 * it, eight pixels at a time; with AVX-512 gcc sees to that. */
NB_FN void nb_look_there(int first, int last, nb_in table, nb_looked_up *u)
{
#if NB_LOOK_LOW
    typedef int __attribute__((may_alias)) low_half;
    for (int i = first; i < last; i += 4) {
        const low_half *e = (const low_half *)(u->cell + i);
        *(__m256d *)(u->cell + i) = _mm256_set_pd(table[e[6]], table[e[4]], table[e[2]], table[e[0]]);
    }
#else
    if (!NB_LOOK_LATE) nb_look_up(last - first, table, u->element + first, u->cell + first);
#endif
}

NB_FN double nb_found(int i, nb_in table, const nb_looked_up *u)
{
    return NB_LOOK_LATE ? table[u->element[i]] : u->cell[i];
}

#endif
