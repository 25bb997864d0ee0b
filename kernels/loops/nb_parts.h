/* A step of the loops of sums.h: the index that P, Q and R make, and the lattice transform in parts. */
#ifndef NB_PARTS_H
#define NB_PARTS_H

#include "nb_eight.h"
#include "nb_vector.h"
#include "shapes/shapes.h"

/* P, Q, R as plain variables, and the index along an axis that they make. */
enum { NB_FLAT, NB_SHARED, NB_CURVED }; /* of a loop's geometry */
#define NB_BLOCK 64 /* orientations whose P, Q, R are worked out together */
#define NB_PQR_ROWS 11
#define NB_PQR(j) \
    const double hp = pqr[j], hq = pqr[NB_BLOCK + (j)], hr = pqr[2 * NB_BLOCK + (j)], kp = pqr[3 * NB_BLOCK + (j)]; \
    const double kq = pqr[4 * NB_BLOCK + (j)], kr = pqr[5 * NB_BLOCK + (j)], lp = pqr[6 * NB_BLOCK + (j)]; \
    const double lq = pqr[7 * NB_BLOCK + (j)], lr = pqr[8 * NB_BLOCK + (j)], weight = pqr[9 * NB_BLOCK + (j)]
#define NB_TABLE(j) const double *of_source = table + (long long)pqr[10 * NB_BLOCK + (j)]
#define NB_INDEX_OF(x, at) \
    (geometry == NB_SHARED   ? at(x##s) * hp \
     : geometry == NB_CURVED ? x##p * at(hs) + x##q * at(ks) + x##r * at(ls) \
                             : at(inv) * (x##p + x##q * at(place)) - x##r)
#define NB_AT_I(array) (array)[i]
#define NB_INDEX(x, i) NB_INDEX_OF(x, NB_AT_I)
#define NB_AT nb_in place, nb_in inv, nb_in hs, nb_in ks, nb_in ls

/* A step is a chain of dependent operations, a hundred cycles long, and a processor works on as many vectors of steps
 * at a time as its queues hold. Those are too few to keep the multipliers busy, so a transform is done part by part for
 * all pixels of a tile (AVX2 on Zen 3: gauss -25 %, round -32 %, square -8 to -20 %), with the same bits. On Arm it was
 * not measured. */
#ifdef __SSE2__
#define NB_IN_PARTS 1
#else
#define NB_IN_PARTS 0
#endif

/* Tiles and their stretches have their spare lanes worked out as well (LANES of scratch.pxi). A loop that is known to
 * end with a whole vector needs nothing for a remainder and begins sooner, which rows of 64 pixels want: 100 domains on
 * 64 panels of them take 1 % more than on one detector with AVX-512, N = 5, where they took 3.5 %. But gcc keeps the
 * constants of all parts in registers then, which the first part lacks where there are few and it has P, Q and R: with
 * AVX2 images of square crystals took 2 % longer. fits: whether it was measured that they do not. */
#ifdef __AVX512F__
#define NB_MANY_REGISTERS 1
#else
#define NB_MANY_REGISTERS 0
#endif
NB_FN int nb_whole(int kind, int fits, int n)
{
    return fits || !nb_is_cut(kind) ? n & -16 : n;
}

/* What lies between the parts, of the pixels of a tile. A load waits for stores before it whose addresses have the same
 * last twelve bits, until it is known that they are others; some runs took twice the time where these arrays lay where
 * the stack happened to be. Loops go through all arrays in step, so what counts is where these begin in a page of 64
 * lines of 64 bytes: place and inv do at its first, sums at line 32 (scratch.pxi), these at 16 and 48. element of
 * nb_look.h and what is in float32 go half as fast: they stay away from the others all the way. */
#define NB_LINES(n) (64 * (n) / sizeof(double))
#if NB_TILE * 16 != NB_PAGE
#error "arrays of a tile are half a page"
#endif
typedef struct {
    double before[NB_LINES(16)], a[NB_TILE], b[NB_TILE], c[NB_TILE], d[NB_TILE];
} __attribute__((aligned(NB_PAGE))) nb_between;

NB_FN void nb_leave_between(int left, nb_between *m, long i, const double *x)
{
    m->a[i] = x[0];
    if (left > 1) m->b[i] = x[1];
    if (left > 2) m->c[i] = x[2];
    if (left > 3) m->d[i] = x[3];
}

NB_FN void nb_find_between(int left, const nb_between *m, long i, double *x)
{
    x[0] = m->a[i];
    if (left > 1) x[1] = m->b[i];
    if (left > 2) x[2] = m->c[i];
    if (left > 3) x[3] = m->d[i];
}

NB_FN void nb_first_part(int kind, const nb_lattice *c, long i, double h, double k, double l, nb_between *m)
{
    double x[NB_PART_VALUES] = {h, k, l};
    nb_lattice_part(kind, 0, c, x);
    nb_leave_between(nb_left_by(kind, 0), m, i, x);
}

NB_FN void nb_second_part_of(int kind, const nb_lattice *c, long i, nb_between *m)
{
    double x[NB_PART_VALUES];
    nb_find_between(nb_left_by(kind, 0) + 2 * nb_wants_roots(kind), m, i, x);
    nb_lattice_part(kind, 1, c, x);
    nb_leave_between(nb_left_by(kind, 1), m, i, x);
}

/* The same in vectors (nb_eight.h). */
#define NB_8_AT_I(array) NB_8(array, i)
#define NB_INDEX_8(x, i) NB_INDEX_OF(x, NB_8_AT_I)

NB_FN void nb_second_part(int kind, const nb_lattice *c, int n, nb_between *m)
{
#ifdef NB_IN_EIGHTS
    const int eights = nb_has_second_8(kind);
    for (int i = 0; nb_wants_roots(kind) && i < n; i += 8) nb_roots_8(m->a + i, m->b + i, m->c + i);
    for (int i = 0; eights && i < n; i += 8) nb_second_8(kind, c, m->a + i, m->b + i, m->c + i, m->d + i);
#else
    const int eights = 0;
#endif
    for (int i = 0; !eights && i < n; ++i) nb_second_part_of(kind, c, i, m);
}

NB_FN double nb_last_part(int kind, const nb_lattice *c, long i, const nb_between *m)
{
    double x[NB_PART_VALUES];
    nb_find_between(nb_left_by(kind, 1), m, i, x);
    nb_lattice_part(kind, 2, c, x);
    return x[0];
}

/* 1 if it has added part 2 of n pixels to their sums, in vectors; 0 if that is left to nb_last_part. */
NB_FN int nb_add_last_8(int kind, int weighted, double weight, int n, const nb_between *m, nb_out acc)
{
#ifdef NB_IN_EIGHTS
    for (int i = 0; nb_has_last_8(kind) && i < n; i += 8) {
        __m512d f = nb_last_8(kind, m->a + i);
        if (weighted) f = weight * f;
        NB_8(acc, i) = NB_8(acc, i) + f;
    }
    return nb_has_last_8(kind);
#else
    return 0;
#endif
}

/* With AVX2, some transforms may take their parts in turns: part 0 of some pixels, part 1 of those before them, part 2
 * of those before these, and indices are rounded by two additions. A part at a time for a whole tile leaves the units
 * for additions idle in one, and those for multiplications in another; and the instruction that rounds takes two turns
 * of the latter. That is so on Intel's processors from Alder Lake on, which add in units that do not all multiply and
 * have queues long enough for all parts; they are known by AVX-VNNI. Others keep to a part at a time. Not a bit depends
 * on it: no index is beyond 2^51 (experiment/resolve/finite.py). On Sapphire Rapids: square -10 % with five cells, -5
 * to -6 % with others, round and Gaussian -9 %. It gains nothing with structure factors, and loses a tenth with
 * AVX-512, where two units do everything, and with SSE2. NANOBRAGG_TURNS=0 and 1 choose, for tests. */
#if defined(__AVX2__) && !defined(__AVX512F__)
#include <cpuid.h>
#include <stdlib.h>
#define NB_MAY_TURN 1
static int nb_turns = 0; /* of each unit that is compiled with this header; 0 until it asks */
NB_FN void nb_ask_for_turns(void)
{
    const char *wanted = getenv("NANOBRAGG_TURNS");
    unsigned int a = 0, b, c, d;
    if (wanted && *wanted) nb_turns = *wanted != '0';
    else nb_turns = __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#else
#define NB_MAY_TURN 0
#define nb_turns 0
#define nb_ask_for_turns() ((void)0)
#endif
/* Transforms that do; of a Gaussian, whose stretches are short, indices are rounded so. */
#define NB_MAY_TURN_OF(kind) (NB_MAY_TURN && (nb_is_product(kind) || kind == NB_KIND_round))
#define NB_BY_SUMS(x) ((x) - nb_rint_by_sums(x))
/* Pixels of a turn, as was measured to be best. A tile needs four times as many; in a narrower one, of 16 pixels, a
 * step is done as a whole. */
#define NB_TURN(kind) (kind == NB_KIND_square_555 || kind == NB_KIND_square_general ? 4 : 8)
#define NB_LEAST_TURNS 32
/* A loop over the pixels of a turn, in vectors. */
#define NB_IN_TURN _Pragma("GCC ivdep") _Pragma("GCC unroll 1") for (long v = 0; v < length; ++v)

/* acc += what `count` columns of pqr contribute to n pixels, a multiple of 8. shift: from the pixels of one column to
 * those of the next; 0 if all have the same. There are two turns before the first pixels and two after the last ones
 * that work for nothing, so that none has to ask. */
NB_FN void nb_in_turns(int kind, int weighted, int geometry, const nb_lattice *c, int n, int shift, NB_AT, int count,
                       nb_in pqr, nb_out acc)
{
    const int length = NB_TURN(kind);
    nb_between m;
    double spare[8], weight1 = 0.0, weight2 = 0.0;
    double *to1 = spare, *to2 = spare;
    long at1 = n - length, at2 = at1;
    for (int v = 0; v < length; ++v) spare[v] = m.a[at1 + v] = m.b[at1 + v] = m.c[at1 + v] = m.d[at1 + v] = 0.0;
    for (long j = 0; j <= count; ++j) {
        const long column = j < count ? j : 0, first = column * shift, last = first + (j < count ? n : 2 * length);
        NB_PQR(column);
        for (long at = first; at < last; at += length) {
            NB_IN_TURN
            {
                const long i = at + v;
                double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
                nb_first_part(kind, c, i, NB_BY_SUMS(h), NB_BY_SUMS(k), NB_BY_SUMS(l), &m);
            }
            NB_IN_TURN nb_second_part_of(kind, c, at1 + v, &m);
            NB_IN_TURN
            {
                double f = nb_last_part(kind, c, at2 + v, &m);
                to2[v] = to2[v] + (weighted ? weight2 * f : f);
            }
            to2 = to1;
            to1 = acc + at;
            weight2 = weight1;
            weight1 = weight;
            at2 = at1;
            at1 = at;
        }
    }
}

#endif
