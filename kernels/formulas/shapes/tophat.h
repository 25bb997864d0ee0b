/* Top-hat spots: the Gaussian's quadratic form without its factor, cut at a value of it. */
#ifndef NB_TOPHAT_H
#define NB_TOPHAT_H

#include "nb_lattice.h"
#include "nb_single.h"

typedef struct {
    double metric[6]; /* the squared distance times fudge, as a quadratic form */
    double volume;    /* F inside, Na Nb Nc */
    double height;    /* its square */
    double cutoff;    /* the value of the form where it ends */
} nb_tophat;

NB_FN int nb_tophat_constants(const nb_crystal *x, nb_tophat *c)
{
    c->volume = x->cells[0] * x->cells[1] * x->cells[2];
    c->height = c->volume * c->volume;
    c->cutoff = x->tophat_cutoff;
    nb_metric_of(x, x->fudge * x->scale, c->metric);
    return NB_KIND_tophat;
}

/* The volume of a sphere. */
NB_FN double nb_tophat_photons(const nb_crystal *x)
{
    return nb_spot_volume(x) * (4.0 * NB_PI / 3.0) * pow(x->tophat_cutoff / x->fudge, 1.5);
}

NB_FN double nb_tophat_ends(const nb_tophat *c, double brightest, double *form)
{
    int i;
    for (i = 0; i < 6; ++i) form[i] = c->metric[i];
    return c->cutoff;
}

NB_FN double nb_tophat_sqr(const nb_tophat *c, double h, double k, double l)
{
    double inside = nb_metric(c->metric, h, k, l, 0.0) < c->cutoff ? 1.0 : 0.0;
    return c->height * inside;
}

/* A step has no slope. */
NB_FN double nb_tophat_slopes(const nb_tophat *c, double h, double k, double l, double *slope)
{
    slope[0] = slope[1] = slope[2] = 0.0;
    return nb_tophat_sqr(c, h, k, l);
}

NB_FN void nb_tophat_by_shape(const nb_tophat *c, double weight, double value, double h, double k, double l,
                               double *by)
{
}

NB_FN double nb_tophat_amplitude(const nb_tophat *c, double h, double k, double l, double *axis)
{
    double dh = h - nb_nearest(h), dk = k - nb_nearest(k), dl = l - nb_nearest(l);
    return nb_metric(c->metric, dh, dk, dl, 0.0) < c->cutoff ? c->volume : 0.0;
}

NB_FN float nb_tophat_single(const nb_tophat *c, float h, float k, float l)
{
    return nb_single_metric(c->metric, h, k, l) < (float)c->cutoff ? (float)c->height : 0.0f;
}

#endif
