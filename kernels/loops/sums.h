/* The innermost loops: over the pixels of a tile along the fast axis, within one over orientations; sources, layers and
 * sub-pixels are loops further out. Nothing is reduced across pixels, so the reference's order of summation is kept and
 * results cannot depend on vector length.
 *
 * Each loop is written once, for any lattice transform, and compiled once for each of them: always_inline and a
 * constant `kind` do what a C++ template would. In Cython that would take a list of types beside the list of shapes.
 *
 * pqr: NB_PQR_ROWS rows of NB_BLOCK: P, Q, R of h, then of k, then of l, of `count` orientations, each for a source,
 * and a tile: on a flat detector an index is inv_airpath * (P + Q*i) - R, two multiply-adds an axis; then the source's
 * weight, and where in `table` its structure factors begin. place: 0, 1, 2, ... as doubles. inv: 1/airpath.
 *
 * Sources of one direction share their geometry: an index is what it would be at a wavelength of 1 m, times
 * 1/wavelength. NB_SHARED: pqr has that in place of h's P, a column a source, and h, k, l of one orientation at 1 m are
 * given (hs, ks, ls).
 *
 * NB_CURVED: on a curved detector the pixels' scattering vectors are given in place of those (curved.h), and pqr has
 * the orientations' cell vectors, in place of h's P, Q, R the components of a.
 */
#ifndef NB_SUMS_H
#define NB_SUMS_H

#include "nb_first.h"
#include "nb_look.h"
#include "nb_structure.h"
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

NB_FN void nb_leave_between(int left, nb_between *m, int i, const double *x)
{
    m->a[i] = x[0];
    if (left > 1) m->b[i] = x[1];
    if (left > 2) m->c[i] = x[2];
    if (left > 3) m->d[i] = x[3];
}

NB_FN void nb_find_between(int left, const nb_between *m, int i, double *x)
{
    x[0] = m->a[i];
    if (left > 1) x[1] = m->b[i];
    if (left > 2) x[2] = m->c[i];
    if (left > 3) x[3] = m->d[i];
}

NB_FN void nb_first_part(int kind, const nb_lattice *c, int i, double h, double k, double l, nb_between *m)
{
    double x[NB_PART_VALUES] = {h, k, l};
    nb_lattice_part(kind, 0, c, x);
    nb_leave_between(nb_left_by(kind, 0), m, i, x);
}

/* The same in vectors (nb_first.h). */
#define NB_8_AT_I(array) NB_8(array, i)
#define NB_INDEX_8(x, i) NB_INDEX_OF(x, NB_8_AT_I)

NB_FN void nb_second_part(int kind, const nb_lattice *c, int n, nb_between *m)
{
    const int first = nb_left_by(kind, 0) + nb_wants_roots(kind);
    if (nb_wants_roots(kind)) nb_inverse_roots(n, m->a, m->b);
    for (int i = 0; i < n; ++i) {
        double x[NB_PART_VALUES];
        nb_find_between(first, m, i, x);
        nb_lattice_part(kind, 1, c, x);
        nb_leave_between(nb_left_by(kind, 1), m, i, x);
    }
}

NB_FN double nb_last_part(int kind, const nb_lattice *c, int i, const nb_between *m)
{
    double x[NB_PART_VALUES];
    nb_find_between(nb_left_by(kind, 1), m, i, x);
    nb_lattice_part(kind, 2, c, x);
    return x[0];
}

NB_FN void nb_flat(int kind, int weighted, int geometry, const nb_lattice *c, int n, NB_AT, int count, nb_in pqr,
                   nb_out acc)
{
    n = nb_whole(kind, NB_MANY_REGISTERS || (geometry == NB_SHARED && nb_is_product(kind)), n);
    if (n <= 0) return;
    for (long j = 0; j < count; ++j) {
        NB_PQR(j);
        if (NB_IN_PARTS && nb_is_cut(kind)) {
            nb_between m;
#ifdef NB_FIRST_IN_VECTORS
            const int vectors = nb_has_first_8(kind);
            for (int i = 0; vectors && i < n; i += 8)
                nb_first_8(kind, c, NB_INDEX_8(h, i), NB_INDEX_8(k, i), NB_INDEX_8(l, i), m.a + i, m.b + i, m.c + i);
#else
            const int vectors = 0;
#endif
            for (int i = 0; !vectors && i < n; ++i) {
                double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
                nb_first_part(kind, c, i, h - nb_rint(h), k - nb_rint(k), l - nb_rint(l), &m);
            }
            nb_second_part(kind, c, n, &m);
            for (int i = 0; i < n; ++i) {
                double f = nb_last_part(kind, c, i, &m);
                acc[i] = acc[i] + (weighted ? weight * f : f);
            }
            continue;
        }
        for (int i = 0; i < n; ++i) {
            double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
            double f = nb_lattice_sqr(kind, c, h - nb_rint(h), k - nb_rint(k), l - nb_rint(l));
            acc[i] = acc[i] + (weighted ? weight * f : f);
        }
    }
}

NB_FN void nb_add_found(int kind, const nb_lattice *c, int i, double weight, nb_in table, const nb_looked_up *u,
                        const nb_between *m, nb_out acc)
{
    double f = nb_found(i, table, u);
    acc[i] = acc[i] + (weight * (f * f)) * nb_last_part(kind, c, i, m);
}

/* inside: all indices lie in the table, and are not clamped. */
NB_FN void nb_flat_nearest(int kind, int inside, int geometry, const nb_lattice *c, const nb_box *box, nb_in table,
                           int n, NB_AT, int count, nb_in pqr, nb_out acc)
{
    n = nb_whole(kind, nb_is_product(kind) && NB_MANY_REGISTERS, n);
    for (int j = 0; j < count; ++j) {
        NB_PQR(j);
        NB_TABLE(j);
        if (NB_IN_PARTS) {
            nb_between m;
            nb_looked_up u;
            for (int i = 0; i < n; ++i) {
                double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
                double h0 = nb_nearest(h), k0 = nb_nearest(k), l0 = nb_nearest(l);
                nb_note(box, inside, h0, k0, l0, i, &u);
                nb_first_part(kind, c, i, h - h0, k - k0, l - l0, &m);
            }
            if (!NB_LOOK_LOW) nb_look_there(0, n, of_source, &u);
            nb_second_part(kind, c, n, &m);
            for (int i = 0; !NB_LOOK_LOW && i < n; ++i) nb_add_found(kind, c, i, weight, of_source, &u, &m, acc);
            for (int i = 0; NB_LOOK_LOW && i < n; i += 8) {
                nb_look_there(i, i + 8, of_source, &u);
#pragma GCC unroll 1
                for (int j = i; j < i + 8; ++j) nb_add_found(kind, c, j, weight, of_source, &u, &m, acc);
            }
            continue;
        }
        for (int i = 0; i < n; ++i) {
            double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
            double h0 = nb_nearest(h), k0 = nb_nearest(k), l0 = nb_nearest(l);
            double f = of_source[(int)nb_box_place(box, inside, 0.0, h0, k0, l0)];
            acc[i] = acc[i] + (weight * (f * f)) * nb_lattice_sqr(kind, c, h - h0, k - k0, l - l0);
        }
    }
}

/* `nb_flat`, or with a table in which all indices lie `nb_flat_nearest`, of one orientation for several rows of n
 * pixels, one after the other, whose P, Q, R are a column each: what does not depend on these is done for all at
 * once. place: 0 to n - 1 for each row. */
NB_FN void nb_flat_rows(int kind, int nearest, const nb_lattice *c, const nb_box *box, nb_in table, int n, int rows,
                        nb_in place, nb_in inv, nb_in pqr, nb_out acc)
{
    const int geometry = NB_FLAT;
    nb_in hs = 0, ks = 0, ls = 0;
    nb_between m;
    nb_looked_up u;
    const int all = n * rows;
    const double of_weight = pqr[9 * NB_BLOCK];
    NB_TABLE(0);
    for (int r = 0; r < rows; ++r) {
        NB_PQR(r);
        const int first = r * n, last = first + n;
        (void)weight;
#ifdef NB_FIRST_IN_VECTORS
        const int vectors = !nearest && nb_has_first_8(kind);
        for (int i = first; vectors && i < last; i += 8)
            nb_first_8(kind, c, NB_INDEX_8(h, i), NB_INDEX_8(k, i), NB_INDEX_8(l, i), m.a + i, m.b + i, m.c + i);
#else
        const int vectors = 0;
#endif
        for (int i = first; !vectors && !nearest && i < last; ++i) {
            double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
            nb_first_part(kind, c, i, h - nb_rint(h), k - nb_rint(k), l - nb_rint(l), &m);
        }
        for (int i = first; nearest && i < last; ++i) {
            double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
            double h0 = nb_nearest(h), k0 = nb_nearest(k), l0 = nb_nearest(l);
            nb_note(box, 1, h0, k0, l0, i, &u);
            nb_first_part(kind, c, i, h - h0, k - k0, l - l0, &m);
        }
    }
    if (nearest && !NB_LOOK_LOW) nb_look_there(0, all, of_source, &u);
    nb_second_part(kind, c, all, &m);
    for (int i = 0; !nearest && i < all; ++i) acc[i] = acc[i] + nb_last_part(kind, c, i, &m);
    for (int i = 0; nearest && !NB_LOOK_LOW && i < all; ++i)
        nb_add_found(kind, c, i, of_weight, of_source, &u, &m, acc);
    for (int i = 0; nearest && NB_LOOK_LOW && i < all; i += 8) {
        nb_look_there(i, i + 8, of_source, &u);
#pragma GCC unroll 1
        for (int j = i; j < i + 8; ++j) nb_add_found(kind, c, j, of_weight, of_source, &u, &m, acc);
    }
}

/* A product's chains without those of its indices are short enough. */
NB_FN void nb_weighted(int kind, const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_out acc)
{
    n = nb_whole(kind, NB_MANY_REGISTERS, n);
    if (NB_IN_PARTS && nb_is_cut(kind) && !nb_is_product(kind)) {
        nb_between m;
        for (int i = 0; i < n; ++i)
            nb_first_part(kind, c, i, h[i] - nb_rint(h[i]), k[i] - nb_rint(k[i]), l[i] - nb_rint(l[i]), &m);
        nb_second_part(kind, c, n, &m);
        for (int i = 0; i < n; ++i) acc[i] = acc[i] + weight[i] * nb_last_part(kind, c, i, &m);
        return;
    }
    for (int i = 0; i < n; ++i)
        acc[i] = acc[i] + weight[i] * nb_lattice_sqr(kind, c, h[i] - nb_rint(h[i]), k[i] - nb_rint(k[i]),
                                                     l[i] - nb_rint(l[i]));
}

/* The loops of each transform, apart, so that gcc does not mix their registers; and what chooses one of them. */
#define NB_LOOP static __attribute__((noinline)) void

/* acc += F_latt^2 on a flat detector; _weighted: times the weight of the source. */
#define NB_ENTRY(name, shape, single) \
    NB_LOOP nb_flat_##name(const nb_lattice *c, int n, nb_in place, nb_in inv, int count, nb_in pqr, nb_out acc) \
    { \
        nb_flat(NB_KIND_##name, 0, NB_FLAT, c, n, place, inv, 0, 0, 0, count, pqr, acc); \
    } \
    NB_LOOP nb_flat_weighted_##name(const nb_lattice *c, int n, nb_in place, nb_in inv, int count, nb_in pqr, \
                                    nb_out acc) \
    { \
        nb_flat(NB_KIND_##name, 1, NB_FLAT, c, n, place, inv, 0, 0, 0, count, pqr, acc); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: \
        if (weighted) nb_flat_weighted_##name(c, n, place, inv, count, pqr, acc); \
        else nb_flat_##name(c, n, place, inv, count, pqr, acc); \
        return;
static void nb_sum_flat(int kind, int weighted, const nb_lattice *c, int n, nb_in place, nb_in inv, int count,
                        nb_in pqr, nb_out acc)
{
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
}
#undef NB_ENTRY

/* acc += F_cell^2 F_latt^2 on a flat detector, F_cell at the nearest whole index. */
#define NB_ENTRY(name, shape, single) \
    NB_LOOP nb_flat_nearest_##name(const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in place, \
                                   nb_in inv, int count, nb_in pqr, nb_out acc) \
    { \
        nb_flat_nearest(NB_KIND_##name, 0, NB_FLAT, c, box, table, n, place, inv, 0, 0, 0, count, pqr, acc); \
    } \
    NB_LOOP nb_flat_inside_##name(const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in place, nb_in inv, \
                                  int count, nb_in pqr, nb_out acc) \
    { \
        nb_flat_nearest(NB_KIND_##name, 1, NB_FLAT, c, box, table, n, place, inv, 0, 0, 0, count, pqr, acc); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: \
        if (inside) nb_flat_inside_##name(c, box, table, n, place, inv, count, pqr, acc); \
        else nb_flat_nearest_##name(c, box, table, n, place, inv, count, pqr, acc); \
        return;
static void nb_sum_flat_nearest(int kind, int inside, const nb_lattice *c, const nb_box *box, nb_in table, int n,
                                nb_in place, nb_in inv, int count, nb_in pqr, nb_out acc)
{
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
}
#undef NB_ENTRY

/* `nb_flat_rows` of a still, with a table or without. Loops that do rows and many orientations took
 * 1 % longer for these. */
#define NB_ENTRY(name, shape, single) \
    NB_LOOP nb_rows_##name(const nb_lattice *c, int n, int rows, nb_in place, nb_in inv, nb_in pqr, nb_out acc) \
    { \
        if (NB_IN_PARTS && nb_is_cut(NB_KIND_##name)) { \
            nb_flat_rows(NB_KIND_##name, 0, c, 0, pqr, n, rows, place, inv, pqr, acc); \
            return; \
        } \
        for (long r = 0; r < rows; ++r) \
            nb_flat_##name(c, n, place, inv + r * n, 1, pqr + r, acc + r * n); \
    } \
    NB_LOOP nb_rows_inside_##name(const nb_lattice *c, const nb_box *box, nb_in table, int n, int rows, nb_in place, \
                                  nb_in inv, nb_in pqr, nb_out acc) \
    { \
        if (NB_IN_PARTS) { \
            nb_flat_rows(NB_KIND_##name, 1, c, box, table, n, rows, place, inv, pqr, acc); \
            return; \
        } \
        for (long r = 0; r < rows; ++r) \
            nb_flat_inside_##name(c, box, table, n, place, inv + r * n, 1, pqr + r, acc + r * n); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: \
        if (table) nb_rows_inside_##name(c, box, table, n, rows, place, inv, pqr, acc); \
        else nb_rows_##name(c, n, rows, place, inv, pqr, acc); \
        return;
static void nb_sum_rows(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, int rows,
                        nb_in place, nb_in inv, nb_in pqr, nb_out acc)
{
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
}
#undef NB_ENTRY

/* acc += weight * F_latt^2 for Miller indices that were worked out before. */
#define NB_ENTRY(name, shape, single) \
    NB_LOOP nb_weighted_##name(const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_out acc) \
    { \
        nb_weighted(NB_KIND_##name, c, n, h, k, l, weight, acc); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: nb_weighted_##name(c, n, h, k, l, weight, acc); return;
static void nb_sum_indices(int kind, const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, nb_in weight, nb_out acc)
{
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
}
#undef NB_ENTRY

/* `nb_sum_flat` and `nb_sum_flat_nearest` of sources of one direction, whose weights count. */
#define NB_ENTRY(name, shape, single) \
    NB_LOOP nb_shared_##name(const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, int count, nb_in pqr, nb_out acc) \
    { \
        nb_flat(NB_KIND_##name, 1, NB_SHARED, c, n, 0, 0, h, k, l, count, pqr, acc); \
    } \
    NB_LOOP nb_shared_nearest_##name(const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in h, nb_in k, \
                                     nb_in l, int count, nb_in pqr, nb_out acc) \
    { \
        nb_flat_nearest(NB_KIND_##name, 0, NB_SHARED, c, box, table, n, 0, 0, h, k, l, count, pqr, acc); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: \
        if (table) nb_shared_nearest_##name(c, box, table, n, h, k, l, count, pqr, acc); \
        else nb_shared_##name(c, n, h, k, l, count, pqr, acc); \
        return;
static void nb_sum_shared(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in h, nb_in k,
                          nb_in l, int count, nb_in pqr, nb_out acc)
{
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
}
#undef NB_ENTRY

#endif
