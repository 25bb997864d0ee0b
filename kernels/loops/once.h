/* What is worked out once a pixel, on a flat detector, in one pass over a tile: 1/airpath, the solid angle, the
 * polarization. As loops of their own these are short ones that wait for one another, and where a pixel has one step
 * they take as long as the lattice transform. Values are to the bit those of the loops in geometry.pxi.
 */
#ifndef NB_ONCE_H
#define NB_ONCE_H

#include "nb_geometry.h"
#include "nb_vector.h"

#define NB_ROWS (NB_TILE / 16) /* of a tile, at most */
enum { NB_NO_POLARIZATION, NB_NO_PLANE, NB_PLANE }; /* of nb_once.polarization: NB_NO_PLANE is kahn 0 */

typedef struct {
    double along, off; /* as of nb_inverse_lengths */
    double metres[2];  /* the same two, m and m^2 */
    double first[3];   /* components along the beam, E and B: (first + more place)/airpath */
} nb_once_row;

typedef struct {
    int polarization;
    double step, unit;           /* as of nb_inverse_lengths */
    double area, close_distance; /* as of nb_solid_angle */
    double more[3], kahn;
    nb_once_row row[NB_ROWS];
} nb_once;

/* Eight pixels whose 1/airpaths are known. */
#define NB_EIGHT_OF(i) \
    _Pragma("GCC unroll 1") for (long j = 0; j < 8; ++j) \
    { \
        const long to = at + (i) + j; \
        double x = place[(i) + j], r = inv[to], omega = nb_solid_angle(r, area, close, 0), c = (c0 + c1 * x) * r; \
        angle[(i) + j] = angle[(i) + j] + omega; \
        acc[to] = 0.0; \
        if (polarization == NB_PLANE) omega *= nb_polarization(kahn, c, (e0 + e1 * x) * r, (b0 + b1 * x) * r); \
        else if (polarization == NB_NO_PLANE) omega *= 0.5 * (1.0 + c * c); \
        factor[to] = omega; \
    }
#define NB_INVERSE_OF(i) nb_inverse_of(unit, m.square + at + (i), m.estimate + at + (i), inv + at + (i))
/* With AVX2, the 1/airpaths are made ahead of what follows from them, and their estimates ahead of both (nb_vector.h).
 * In rows that are narrower, all estimates are made first. */
#define NB_AHEAD_INVERSE 16
#define NB_LEAST_AHEAD 128

NB_FN void nb_once_of(int polarization, int n, int rows, const nb_once *o, nb_in place, nb_out inv, nb_out factor,
                      nb_out angle, nb_out acc)
{
    const double area = o->area, close = o->close_distance, kahn = o->kahn, step = o->step, unit = o->unit;
    const double c1 = o->more[0], e1 = o->more[1], b1 = o->more[2];
    const long ahead = NB_ESTIMATES_AHEAD && n >= NB_LEAST_AHEAD ? NB_AHEAD : n;
    const nb_once_row *row = o->row;
    nb_estimates m;
    for (long at = 0; at < (long)rows * n; at += n, ++row)
        nb_inverse_estimates(ahead, row->along, step, row->off, place, (NB_ESTIMATES_AHEAD ? m.square : inv) + at,
                             m.estimate + at);
    row = o->row;
    for (long at = 0; at < (long)rows * n; at += n, ++row) {
        const double along = row->along, off = row->off, c0 = row->first[0], e0 = row->first[1], b0 = row->first[2];
        long i = 0;
        for (; NB_ESTIMATES_AHEAD && i < NB_AHEAD_INVERSE && i < n; i += 8) NB_INVERSE_OF(i);
        for (i = 0; NB_ESTIMATES_AHEAD && i < n - ahead; i += 8) {
            const long next = i + ahead;
            nb_inverse_estimates(8, along, step, off, place + next, m.square + at + next, m.estimate + at + next);
            NB_INVERSE_OF(i + NB_AHEAD_INVERSE);
            NB_EIGHT_OF(i);
        }
        for (; NB_ESTIMATES_AHEAD && i < n - NB_AHEAD_INVERSE; i += 8) {
            NB_INVERSE_OF(i + NB_AHEAD_INVERSE);
            NB_EIGHT_OF(i);
        }
        for (; i < n; i += 8) {
            if (!NB_ESTIMATES_AHEAD)
                nb_inverse_eight(along, step, off, unit, place + i, m.estimate + at + i, inv + at + i);
            NB_EIGHT_OF(i);
        }
    }
}

/* inv, factor = polarization x solid angle, acc = 0 for rows of n pixels, a multiple of 8, one after the other; angle,
 * of one row, += their solid angles. */
static __attribute__((noinline)) void nb_work_once(int n, int rows, const nb_once *o, nb_in place, nb_out inv,
                                                   nb_out factor, nb_out angle, nb_out acc)
{
    if (o->polarization == NB_NO_PLANE) nb_once_of(NB_NO_PLANE, n, rows, o, place, inv, factor, angle, acc);
    else if (o->polarization == NB_PLANE) nb_once_of(NB_PLANE, n, rows, o, place, inv, factor, angle, acc);
    else nb_once_of(NB_NO_POLARIZATION, n, rows, o, place, inv, factor, angle, acc);
}

#endif
