/* Gaussian spots: F = volume * exp(-g/width * fudge), where g is the squared distance from the lattice point in the
 * crystal's own scale: of reciprocal space times (Na Nb Nc)^2 in the reference, of (Na h, Nb k, Nc l) where the spot is
 * to scatter what a crystal of so many cells does, which a width of 2/pi then makes it do.
 */
#ifndef NB_GAUSS_H
#define NB_GAUSS_H

#include "nb_lattice.h"
#include "nb_single.h"

typedef struct {
    double metric[6];  /* log2(F^2/height) as a quadratic form */
    double volume;     /* F at a lattice point, Na Nb Nc */
    double height;     /* its square */
    double log_height; /* the binary logarithm of that */
    double least;      /* what is less serves as well, and nb_exp2 takes no less; gcc clips at a variable by a maximum,
                        * at a constant by a comparison and a choice */
} nb_gauss;

NB_FN int nb_gauss_constants(const nb_crystal *x, nb_gauss *c)
{
    c->volume = x->cells[0] * x->cells[1] * x->cells[2];
    c->height = c->volume * c->volume;
    c->log_height = log2(c->height);
    c->least = -1000.0;
    nb_metric_of(x, -2.0 * 1.4426950408889634074 / x->gauss_width * x->fudge * x->scale, c->metric);
    return NB_KIND_gauss;
}

/* The integral of a Gaussian. */
NB_FN double nb_gauss_photons(const nb_crystal *x)
{
    return nb_spot_volume(x) * pow(0.5 * x->gauss_width * NB_PI / x->fudge, 1.5);
}

/* A Gaussian ends where all that is left out of a pixel, taken together, is less than half of the least float32 above
 * zero, so that no pixel can come out differently. */
NB_FN double nb_gauss_ends(const nb_gauss *c, double brightest, double *form)
{
    int i;
    for (i = 0; i < 6; ++i) form[i] = -c->metric[i];
    return 152.0 + c->log_height + (brightest > 0.0 ? log2(brightest) : 0.0);
}

NB_FN void nb_gauss_part(int part, const nb_gauss *c, double *a)
{
    if (part == 0) {
        double x = nb_metric(c->metric, a[0], a[1], a[2], c->log_height);
        a[0] = c->least > x ? c->least : x;
    }
    if (part == 2) a[0] = nb_exp2(a[0]);
}

NB_SQR_OF_PARTS(gauss, gauss)

NB_FN double nb_gauss_slopes(const nb_gauss *c, double h, double k, double l, double *slope)
{
    double f = nb_gauss_sqr(c, h, k, l), g = 0.6931471805599453 * f;
    nb_metric_slopes(c->metric, h, k, l, slope);
    slope[0] *= g;
    slope[1] *= g;
    slope[2] *= g;
    return f;
}

/* By the six numbers of the form and by the height's logarithm. */
NB_FN void nb_gauss_by_shape(const nb_gauss *c, double weight, double value, double h, double k, double l, double *by)
{
    double g = 0.6931471805599453 * value;
    by[0] = g * h * h;
    by[1] = g * h * k;
    by[2] = g * h * l;
    by[3] = g * k * k;
    by[4] = g * k * l;
    by[5] = g * l * l;
    by[6] = g;
}

NB_FN double nb_gauss_amplitude(const nb_gauss *c, double h, double k, double l, double *axis)
{
    double dh = h - nb_nearest(h), dk = k - nb_nearest(k), dl = l - nb_nearest(l);
    return c->volume * exp(nb_metric(c->metric, dh, dk, dl, 0.0) * 0.34657359027997265471); /* half of ln 2 */
}

NB_FN float nb_gauss_single(const nb_gauss *c, float h, float k, float l)
{
    return (float)c->height * nb_single_exp2(nb_single_metric(c->metric, h, k, l));
}

#endif
