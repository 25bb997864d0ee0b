/* The loops of sums.h on a curved detector, from scattering vectors. */
#ifndef NB_CURVED_H
#define NB_CURVED_H

#include "sums.h"

/* As nb_sum_flat, and, with a table, nb_sum_flat_nearest. */
#define NB_ENTRY(name, shape, single) \
    NB_LOOP nb_curved_##name(const nb_lattice *c, int n, nb_in x, nb_in y, nb_in z, int count, nb_in pqr, nb_out acc) \
    { \
        nb_flat(NB_KIND_##name, 0, NB_CURVED, c, n, 0, 0, x, y, z, count, pqr, acc); \
    } \
    NB_LOOP nb_curved_weighted_##name(const nb_lattice *c, int n, nb_in x, nb_in y, nb_in z, int count, nb_in pqr, \
                                      nb_out acc) \
    { \
        nb_flat(NB_KIND_##name, 1, NB_CURVED, c, n, 0, 0, x, y, z, count, pqr, acc); \
    } \
    NB_LOOP nb_curved_nearest_##name(const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in x, nb_in y, \
                                     nb_in z, int count, nb_in pqr, nb_out acc) \
    { \
        nb_flat_nearest(NB_KIND_##name, 0, NB_CURVED, c, box, table, n, 0, 0, x, y, z, count, pqr, acc); \
    }
NB_TRANSFORMS(NB_ENTRY)
#undef NB_ENTRY
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: \
        if (table) nb_curved_nearest_##name(c, box, table, n, x, y, z, count, pqr, acc); \
        else if (weighted) nb_curved_weighted_##name(c, n, x, y, z, count, pqr, acc); \
        else nb_curved_##name(c, n, x, y, z, count, pqr, acc); \
        return;
static void nb_sum_curved(int kind, int weighted, const nb_lattice *c, const nb_box *box, nb_in table, int n, nb_in x,
                          nb_in y, nb_in z, int count, nb_in pqr, nb_out acc)
{
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
}
#undef NB_ENTRY

#endif
