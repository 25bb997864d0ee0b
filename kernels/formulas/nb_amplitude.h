/* The lattice transform as an amplitude with its sign, straight from the definition.
 *
 * The rendering loops need the square only and get it by quicker roads (nb_lattice.h); this is what is reported to
 * people, and what the sequential loop sums.
 */
#ifndef NB_AMPLITUDE_H
#define NB_AMPLITUDE_H

#include "nb_lattice.h"

/* A grating of N slits, sin(N pi h)/sin(pi h); N where h is exactly 0. */
NB_FN double nb_grating(double h, double n)
{
    double x = NB_PI * h;
    return x == 0.0 ? n : sin(x * n) / sin(x);
}

/* Transform of a sphere of unit height, 3 (sin x/x - cos x)/x^2. */
NB_FN double nb_sphere(double x)
{
    return x == 0.0 ? 1.0 : 3.0 * (sin(x) / x - cos(x)) / (x * x);
}

/* F_latt at h, k, l; per axis as well for the square crystal (1 for the others). */
NB_FN double nb_amplitude(int kind, const nb_lattice *c, double h, double k, double l, double *axis)
{
    double dh = h - nb_nearest(h), dk = k - nb_nearest(k), dl = l - nb_nearest(l);
    double volume = c->cells[0] * c->cells[1] * c->cells[2];
    axis[0] = axis[1] = axis[2] = 1.0;
    switch (kind) {
    case NB_ROUND:
        return volume * 0.723601254558268 *
               nb_sphere(NB_PI * sqrt(c->radius[0] * (dh * dh) + c->radius[1] * (dk * dk) + c->radius[2] * (dl * dl)));
    case NB_GAUSS: return volume * exp(nb_metric(c, dh, dk, dl, 0.0) * 0.34657359027997265471); /* half of ln 2 */
    case NB_TOPHAT: return nb_metric(c, dh, dk, dl, 0.0) < c->cutoff ? volume : 0.0;
    default:
        if (c->cells[0] > 1.0) axis[0] = nb_grating(h, c->cells[0]);
        if (c->cells[1] > 1.0) axis[1] = nb_grating(k, c->cells[1]);
        if (c->cells[2] > 1.0) axis[2] = nb_grating(l, c->cells[2]);
        return axis[0] * axis[1] * axis[2];
    }
}

#endif
