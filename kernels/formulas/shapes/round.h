/* The round crystal: an ellipsoid, whose transform is that of a sphere, 3 (sin x/x - cos x)/x^2 at x = pi r,
 * r^2 = fudge * sum (N d)^2.
 *
 * The quotient cancels at small x: below 1e-8 it is 0, and noise a little further out. A series has the right value, 1.
 * With `-compat c` it is the reference's that is wanted: the loops mark pixels so close to a lattice point with nan
 * (round_marked), and the amplitude is the quotient, with the reference's operations in the reference's order.
 */
#ifndef NB_ROUND_H
#define NB_ROUND_H

#include "nb_lattice.h"
#include "nb_single.h"

typedef struct {
    double cells[3], fudge;
    int reference;    /* as nb_crystal's */
    double radius[3]; /* N^2 * fudge */
    double top;       /* F at a lattice point */
    double height;    /* and its square */
} nb_round;

NB_FN int nb_round_constants(const nb_crystal *x, nb_round *c)
{
    int axis;
    for (axis = 0; axis < 3; ++axis) {
        c->cells[axis] = x->cells[axis];
        c->radius[axis] = x->cells[axis] * x->cells[axis] * x->fudge;
    }
    c->fudge = x->fudge;
    c->reference = x->reference;
    /* the reference's correction for the volume ratio of sphere and cube */
    c->top = x->cells[0] * x->cells[1] * x->cells[2] * 0.723601254558268;
    c->height = c->top * c->top;
    return x->reference ? NB_KIND_round_marked : NB_KIND_round;
}

/* All of them where fudge is 1; it makes spots narrower along three axes. */
NB_FN double nb_round_photons(const nb_crystal *x)
{
    return 1.0 / (x->fudge * sqrt(x->fudge));
}

NB_FN double nb_round_ends(const nb_round *c, double brightest, double *form)
{
    return 0.0;
}

/* r^2; of numbers or vectors of them */
#define NB_ROUND_RADIUS(c, h, k, l) \
    ((c)->radius[0] * ((h) * (h)) + (c)->radius[1] * ((k) * (k)) + (c)->radius[2] * ((l) * (l)))

NB_FN double nb_round_radius(const nb_round *c, double h, double k, double l)
{
    return NB_ROUND_RADIUS(c, h, k, l);
}

/* 3 (sin x/x - cos x)/x^2 for v = r^2 < 0.04, x = pi r. */
NB_FN double nb_sphere_series(double v)
{
    return 1.0 + v * (-0.9869604401088296 + v * (0.34788961080470326 + v * (-0.0635839380644403 +
           v * 0.007131071578290818)));
}

/* The same times pi^2/3. */
NB_FN double nb_sphere_series_scaled(double v)
{
    return 3.289868133696453 + v * (-3.246969701133065 + v * (1.1445109446304544 + v * (-0.2091827716531311 +
           v * 0.023460285144527433)));
}

/* (sin x/x - cos x)/r^2, one reduction for sine and cosine, and its square times 9/pi^4; below r^2 = 0.01 the
 * difference cancels and a series takes over. Error 2e-12. Between the parts: r^2, r, and sin(pi t)/pi and cos(pi t),
 * whose sign the reduction costs, which squares away. inverse: a[1] is 1/r, and part 1 finds t in a[2]. */
NB_FN void nb_round_steps(int inverse, int part, const nb_round *c, double *a)
{
    double v = a[0], y, t, u, w, s0, s1, c0, c1, direct, series;
    if (part == 0) {
        a[0] = nb_round_radius(c, a[0], a[1], a[2]);
        if (!inverse) a[1] = sqrt(a[0]);
        return;
    }
    if (part == 2) {
        y = inverse ? a[1] : 1.0 / a[1];
        direct = (y * a[2] - a[3]) * (y * y);
        series = nb_sphere_series_scaled(v);
        w = v < 0.01 ? series : direct;
        a[0] = (c->height * 0.09239384029215901) * (w * w); /* 9/pi^4 */
        return;
    }
    t = inverse ? a[2] : a[1] - nb_rint_beside(a[1]); /* no more than the cells, 1e15 at most: resolve/crystal.py */
    u = t * t;
    w = u * u;
    /* sin(pi t)/(pi t) and cos(pi t), even and odd powers of u apart */
    s0 = 0.026147500242204993 + w * 0.0001424411546151204;
    s1 = -0.1907517937600755 + w * -0.0023440357436859674;
    c0 = 0.23533058831317874 + w * 0.0019278700526981333;
    c1 = -0.025806531975921563 + w * -0.0001004164642205389;
    s0 = 0.8117424240194722 + w * s0;
    s1 = -1.6449340668284878 + w * s1;
    c0 = 4.058712126333295 + w * c0;
    c1 = -1.3352627661817635 + w * c1;
    s0 = 0.9999999999999496 + w * s0;
    c0 = 0.9999999999999981 + w * c0;
    c1 = -4.934802200543686 + w * c1;
    a[2] = t * (s0 + u * s1);
    a[3] = c0 + u * c1;
}

NB_FN void nb_round_part(int part, const nb_round *c, double *a)
{
    nb_round_steps(NB_VECTOR_ROOTS, part, c, a);
}

NB_FN double nb_round_sqr(const nb_round *c, double h, double k, double l)
{
    double a[NB_PART_VALUES] = {h, k, l};
    nb_round_steps(0, 0, c, a);
    nb_round_steps(0, 1, c, a);
    nb_round_steps(0, 2, c, a);
    return a[0];
}

/* With w the transform of the sphere and x = pi r: dw/dv = 3/2 (sin x/x - w)/v, v = r^2. */
NB_FN void nb_sphere_slope(double v, double *w, double *slope)
{
    double r = sqrt(v), t = r - nb_rint(r), s, c, inverse, direct, series, bent, bends;
    nb_sin_pi_slope(t, &s, &c);
    /* the sign that the reduction costs is the same in both; c is 2 pi cos(pi t) */
    inverse = 1.0 / (v * r);
    direct = ((s - 0.5 * r * c) * inverse) * (1.0 / 10.3354255600999399); /* pi^3/3 */
    bends = (1.5 * r) * inverse * (s * (v * inverse) * (1.0 / NB_PI) - direct);
    series = nb_sphere_series(v);
    bent = -0.9869604401088296 + v * (2.0 * 0.34788961080470326 + v * (3.0 * -0.0635839380644403 +
           v * (4.0 * 0.007131071578290818)));
    *w = v < 0.01 ? series : direct;
    *slope = v < 0.01 ? bent : bends;
}

NB_FN double nb_round_slopes(const nb_round *c, double h, double k, double l, double *slope)
{
    double w, bend;
    nb_sphere_slope(nb_round_radius(c, h, k, l), &w, &bend);
    bend *= 4.0 * c->height * w;
    slope[0] = bend * c->radius[0] * h;
    slope[1] = bend * c->radius[1] * k;
    slope[2] = bend * c->radius[2] * l;
    return c->height * (w * w);
}

/* By the numbers of cells along the axes, which enter radii and height. */
NB_FN void nb_round_by_shape(const nb_round *c, double weight, double value, double h, double k, double l, double *by)
{
    double w, bend, twice;
    nb_sphere_slope(nb_round_radius(c, h, k, l), &w, &bend);
    bend *= 4.0 * weight * c->height * w * c->fudge;
    twice = 2.0 * value;
    by[0] = bend * c->cells[0] * h * h + twice / c->cells[0];
    by[1] = bend * c->cells[1] * k * k + twice / c->cells[1];
    by[2] = bend * c->cells[2] * l * l + twice / c->cells[2];
}

NB_FN double nb_round_marked_slopes(const nb_round *c, double h, double k, double l, double *slope)
{
    return nb_round_slopes(c, h, k, l, slope);
}

/* The same; nan where the reference's quotient is further than 1e-10 from the truth. */
NB_FN double nb_round_marked_sqr(const nb_round *c, double h, double k, double l)
{
    return nb_round_radius(c, h, k, l) < 1e-6 ? nan("") : nb_round_sqr(c, h, k, l);
}

/* Transform of a sphere of unit height, 3 (sin x/x - cos x)/x^2. */
NB_FN double nb_sphere(double x)
{
    return x == 0.0 ? 1.0 : 3.0 * (sin(x) / x - cos(x)) / (x * x);
}

NB_FN double nb_round_amplitude(const nb_round *c, double h, double k, double l, double *axis)
{
    const double *n = c->cells;
    double dh = h - nb_nearest(h), dk = k - nb_nearest(k), dl = l - nb_nearest(l);
    double v = (dh * dh * n[0] * n[0] + dk * dk * n[1] * n[1] + dl * dl * n[2] * n[2]) * c->fudge;
    return c->top * (v < 0.01 && !c->reference ? nb_sphere_series(v) : nb_sphere(NB_PI * sqrt(v)));
}

NB_FN float nb_round_single(const nb_round *c, float h, float k, float l)
{
    float v = (float)c->radius[0] * (h * h) + (float)c->radius[1] * (k * k) + (float)c->radius[2] * (l * l);
    float r = sqrtf(v), t = r - nb_rintf(r), u = t * t;
    float w = (t * nb_single_sinc_pi(u) - (3.14159274f * r) * nb_single_cos_pi(u)) / (v * r * 10.3354256f);
    float z = 1.0f + v * (-0.986960441f + v * (0.347889611f + v * (-0.0635839414f + v * 0.00713123097f)));
    w = v < 0.04f ? z : w;
    return (float)c->height * (w * w);
}

#endif
