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

#include "nb_look.h"
#include "nb_parts.h"

NB_FN void nb_flat(int kind, int weighted, int geometry, const nb_lattice *c, int n, NB_AT, int count, nb_in pqr,
                   nb_out acc)
{
    n = nb_whole(kind, NB_MANY_REGISTERS || (geometry == NB_SHARED && nb_is_product(kind)), n);
    if (n <= 0) return;
    if (NB_MAY_TURN_OF(kind) && nb_turns && n >= NB_LEAST_TURNS) {
        nb_in_turns(kind, weighted, geometry, c, n, 0, place, inv, hs, ks, ls, count, pqr, acc);
        return;
    }
    for (long j = 0; j < count; ++j) {
        NB_PQR(j);
        if (NB_IN_PARTS && nb_is_cut(kind)) {
            nb_between m;
#ifdef NB_IN_EIGHTS
            const int vectors = nb_has_first_8(kind);
            for (int i = 0; vectors && i < n; i += 8)
                nb_first_8(kind, c, NB_INDEX_8(h, i), NB_INDEX_8(k, i), NB_INDEX_8(l, i), m.a + i, m.b + i, m.c + i);
#else
            const int vectors = 0;
#endif
            const int by_sums = NB_MAY_TURN && kind == NB_KIND_gauss && nb_turns;
            for (int i = 0; by_sums && i < n; ++i) {
                double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
                nb_first_part(kind, c, i, NB_BY_SUMS(h), NB_BY_SUMS(k), NB_BY_SUMS(l), &m);
            }
            for (int i = 0; !vectors && !by_sums && i < n; ++i) {
                double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
                nb_first_part(kind, c, i, h - nb_rint(h), k - nb_rint(k), l - nb_rint(l), &m);
            }
            nb_second_part(kind, c, n, &m);
            if (nb_add_last_8(kind, weighted, weight, n, &m, acc)) continue;
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
#ifdef NB_IN_EIGHTS
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
    if (!nearest && nb_add_last_8(kind, 0, 1.0, all, &m, acc)) return;
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
        if (NB_MAY_TURN_OF(NB_KIND_##name) && nb_turns && n * rows >= NB_LEAST_TURNS) { \
            nb_in_turns(NB_KIND_##name, 0, NB_FLAT, c, n, n, place, inv, 0, 0, 0, rows, pqr, acc); \
            return; \
        } \
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
