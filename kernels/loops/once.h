/* What is worked out once a pixel, on a flat detector, in one pass over a tile: 1/airpath, the solid angle, the
 * polarization. As loops of their own these are short ones that wait for one another, and where a pixel has one step
 * they take as long as the lattice transform. Values are to the bit those of the loops in geometry.pxi.
 */
#ifndef NB_ONCE_H
#define NB_ONCE_H

#include "nb_geometry.h"
#include "nb_vector.h"

enum { NB_NO_POLARIZATION, NB_NO_PLANE, NB_PLANE }; /* of nb_once.polarization: NB_NO_PLANE is kahn 0 */

typedef struct {
    int polarization;
    double along, step, off, unit;  /* as of nb_inverse_lengths */
    double area, close_distance;    /* as of nb_solid_angle */
    double first[3], more[3], kahn; /* components along the beam, E and B: (first + more place)/airpath */
} nb_once;

NB_FN void nb_once_of(int polarization, int n, const nb_once *o, nb_in place, nb_out inv, nb_out factor, nb_out angle,
                      nb_out acc)
{
    const double area = o->area, close = o->close_distance, kahn = o->kahn;
    const double c0 = o->first[0], c1 = o->more[0], e0 = o->first[1], e1 = o->more[1], b0 = o->first[2];
    const double b1 = o->more[2], along = o->along, step = o->step, off = o->off, unit = o->unit;
    __attribute__((aligned(NB_PAGE))) float estimate[NB_TILE];
    nb_inverse_estimates(n, along, step, off, place, inv, estimate);
    for (long i = 0; i < n; i += 8) {
        nb_inverse_eight(along, step, off, unit, place + i, estimate + i, inv + i);
#pragma GCC unroll 1
        for (long j = 0; j < 8; ++j) {
            double r = inv[i + j], omega = nb_solid_angle(r, area, close, 0), c = (c0 + c1 * place[i + j]) * r;
            angle[i + j] = angle[i + j] + omega;
            acc[i + j] = 0.0;
            if (polarization == NB_PLANE)
                omega *= nb_polarization(kahn, c, (e0 + e1 * place[i + j]) * r, (b0 + b1 * place[i + j]) * r);
            else if (polarization == NB_NO_PLANE) omega *= 0.5 * (1.0 + c * c);
            factor[i + j] = omega;
        }
    }
}

/* inv, factor = polarization x solid angle, angle += solid angle, acc = 0 for n pixels, a multiple of 8. */
static __attribute__((noinline)) void nb_work_once(int n, const nb_once *o, nb_in place, nb_out inv, nb_out factor,
                                                   nb_out angle, nb_out acc)
{
    if (o->polarization == NB_NO_PLANE) nb_once_of(NB_NO_PLANE, n, o, place, inv, factor, angle, acc);
    else if (o->polarization == NB_PLANE) nb_once_of(NB_PLANE, n, o, place, inv, factor, angle, acc);
    else nb_once_of(NB_NO_POLARIZATION, n, o, place, inv, factor, angle, acc);
}

#endif
