/* Tricubic interpolation for the pixels of a tile: what is a pixel's own, its neighbourhood in the table, one after the
 * other; what is the same for all, in vectors of pixels. */
#ifndef NB_CUBIC_H
#define NB_CUBIC_H

#include "nb_structure.h"
#include "nb_vector.h"

/* weight = F_cell^2 for the pixels whose neighbourhood begins at an element >= 0; whether there are others. weights: of
 * h and k, four arrays of NB_TILE each, and four more that are overwritten. The order of sums is nb_tricubic's. */
static __attribute__((noinline)) int nb_interpolate(const nb_box *box, nb_in table, int n, nb_ini element, nb_in l,
                                                    nb_out weights, nb_out weight)
{
    __attribute__((aligned(NB_PAGE))) double line[4 * NB_TILE];
    const int plane = (int)box->stride[0], row = (int)box->stride[1];
    nb_out a = weights + 8 * NB_TILE, b = a + NB_TILE, c = b + NB_TILE, d = c + NB_TILE;
    const nb_four zero = {0};
    int outside = 0;
    for (long i = 0; i < n; ++i) {
        if (element[i] < 0) {
            nb_store4(line + 4 * i, zero);
            outside = 1;
            continue;
        }
        nb_store4(line + 4 * i, nb_tricubic_four(table + element[i], plane, row, weights + i,
                                                 weights + 4 * NB_TILE + i, NB_TILE));
    }
    for (long i = 0; i < n; ++i) {
        double w0, w1, w2, w3;
        nb_cubic_weights(l[i] - nb_floor(l[i]), &w0, &w1, &w2, &w3);
        a[i] = w0 * line[4 * i];
        b[i] = w1 * line[4 * i + 1];
        c[i] = w2 * line[4 * i + 2];
        d[i] = w3 * line[4 * i + 3];
    }
    /* apart, so that no level of the instruction set fuses these sums with the products */
    for (long i = 0; i < n; ++i) {
        double f = (a[i] + b[i]) + (c[i] + d[i]);
        weight[i] = f * f;
    }
    return outside;
}

#endif
