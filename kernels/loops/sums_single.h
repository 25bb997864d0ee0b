/* The loops of sums.h with indices in double precision and the rest in float32; acc is float32, and is emptied now and
 * then. */
#ifndef NB_SUMS_SINGLE_H
#define NB_SUMS_SINGLE_H

#include "sums.h"

/* What lies between the parts, as in nb_between; fractions of indices where a transform has none. */
typedef struct {
    double before[NB_LINES(32)];
    float h[NB_TILE], l[NB_TILE], k[NB_TILE];
} __attribute__((aligned(NB_PAGE))) nb_between_single;

NB_FN void nb_flat_single(int kind, int weighted, int geometry, const nb_lattice *c, int n, NB_AT, int count, nb_in pqr,
                          nb_outf acc)
{
    nb_between_single m;
    n = nb_whole(kind, 0, n);
    for (int j = 0; j < count; ++j) {
        NB_PQR(j);
        if (geometry == NB_SHARED) {
            nb_single_multiples(n, hp, NB_SINGLE_SHIFT, hs, m.h);
            nb_single_multiples(n, hp, NB_SINGLE_SHIFT, ks, m.k);
            nb_single_multiples(n, hp, NB_SINGLE_SHIFT, ls, m.l);
        } else {
            nb_single_fractions(n, hp, hq, hr - NB_SINGLE_SHIFT, place, inv, m.h);
            nb_single_fractions(n, kp, kq, kr - NB_SINGLE_SHIFT, place, inv, m.k);
            nb_single_fractions(n, lp, lq, lr - NB_SINGLE_SHIFT, place, inv, m.l);
        }
        const float share = (float)weight;
        for (int i = 0; i < n; ++i) {
            float f = nb_single_sqr(kind, c, m.h[i], m.k[i], m.l[i]);
            acc[i] = acc[i] + (weighted ? share * f : f);
        }
    }
}

NB_FN void nb_flat_nearest_single(int kind, int geometry, const nb_lattice *c, const nb_box *box, nb_in table, int n,
                                  NB_AT, int count, nb_in pqr, nb_outf acc)
{
    n = nb_whole(kind, NB_MANY_REGISTERS, n);
    for (int j = 0; j < count; ++j) {
        NB_PQR(j);
        NB_TABLE(j);
        const float share = (float)weight;
        if (NB_IN_PARTS) {
            nb_between_single m;
            nb_looked_up u;
            for (int i = 0; i < n; ++i) {
                double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
                double h0 = nb_nearest(h), k0 = nb_nearest(k), l0 = nb_nearest(l);
                nb_note(box, 0, h0, k0, l0, i, &u);
                m.h[i] = (float)(h - h0);
                m.k[i] = (float)(k - k0);
                m.l[i] = (float)(l - l0);
            }
            nb_look_there(0, n, of_source, &u);
            for (int i = 0; i < n; ++i) {
                float f = (float)nb_found(i, of_source, &u);
                f = share * (f * f);
                acc[i] = acc[i] + f * nb_single_sqr(kind, c, m.h[i], m.k[i], m.l[i]);
            }
            continue;
        }
        for (int i = 0; i < n; ++i) {
            double h = NB_INDEX(h, i), k = NB_INDEX(k, i), l = NB_INDEX(l, i);
            double h0 = nb_nearest(h), k0 = nb_nearest(k), l0 = nb_nearest(l);
            float f = (float)of_source[nb_box_element(box, h0, k0, l0)];
            f = share * (f * f);
            acc[i] = acc[i] + f * nb_single_sqr(kind, c, (float)(h - h0), (float)(k - k0), (float)(l - l0));
        }
    }
}

/* `nb_sum_flat`. Nobody calls that of a transform without a float32 form (`single` of nb_job): it has no loop. */
#define NB_ENTRY(name, shape, single) \
    NB_LOOP nb_flat_single_##name(const nb_lattice *c, int n, nb_in place, nb_in inv, int count, nb_in pqr, \
                                  nb_outf acc) \
    { \
        if (single) nb_flat_single(NB_KIND_##name, 0, NB_FLAT, c, n, place, inv, 0, 0, 0, count, pqr, acc); \
    } \
    NB_LOOP nb_flat_single_weighted_##name(const nb_lattice *c, int n, nb_in place, nb_in inv, int count, nb_in pqr, \
                                           nb_outf acc) \
    { \
        if (single) nb_flat_single(NB_KIND_##name, 1, NB_FLAT, c, n, place, inv, 0, 0, 0, count, pqr, acc); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: \
        if (weighted) nb_flat_single_weighted_##name(c, n, place, inv, count, pqr, acc); \
        else nb_flat_single_##name(c, n, place, inv, count, pqr, acc); \
        return;
static void nb_sum_single(int kind, int weighted, const nb_lattice *c, int n, nb_in place, nb_in inv, int count,
                          nb_in pqr, nb_outf acc)
{
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
}
#undef NB_ENTRY

/* `nb_sum_flat_nearest`. */
#define NB_ENTRY(name, shape, single) \
    NB_LOOP nb_flat_nearest_single_##name(const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in place, \
                                          nb_in inv, int count, nb_in pqr, nb_outf acc) \
    { \
        if (single) \
            nb_flat_nearest_single(NB_KIND_##name, NB_FLAT, c, box, table, n, place, inv, 0, 0, 0, count, pqr, acc); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: nb_flat_nearest_single_##name(c, box, table, n, place, inv, count, pqr, acc); return;
static void nb_sum_single_nearest(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in place,
                                  nb_in inv, int count, nb_in pqr, nb_outf acc)
{
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
}
#undef NB_ENTRY

/* `nb_sum_shared`. */
#define NB_ENTRY(name, shape, single) \
    NB_LOOP nb_shared_single_##name(const nb_lattice *c, int n, nb_in h, nb_in k, nb_in l, int count, nb_in pqr, \
                                    nb_outf acc) \
    { \
        if (single) nb_flat_single(NB_KIND_##name, 1, NB_SHARED, c, n, 0, 0, h, k, l, count, pqr, acc); \
    } \
    NB_LOOP nb_shared_nearest_single_##name(const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in h, \
                                            nb_in k, nb_in l, int count, nb_in pqr, nb_outf acc) \
    { \
        if (single) \
            nb_flat_nearest_single(NB_KIND_##name, NB_SHARED, c, box, table, n, 0, 0, h, k, l, count, pqr, acc); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: \
        if (table) nb_shared_nearest_single_##name(c, box, table, n, h, k, l, count, pqr, acc); \
        else nb_shared_single_##name(c, n, h, k, l, count, pqr, acc); \
        return;
static void nb_sum_single_shared(int kind, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in h,
                                 nb_in k, nb_in l, int count, nb_in pqr, nb_outf acc)
{
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
}
#undef NB_ENTRY

#endif
