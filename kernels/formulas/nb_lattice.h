/* What the crystal's shapes share: their input, a quadratic form, and pieces of their transforms.
 *
 * All shapes depend on the distances h, k, l (-1/2 to 1/2) from the nearest lattice point only; the callers, who need
 * the whole indices for other things, do that reduction. The three axes are written in lock-step: three independent
 * chains keep the multipliers busy where one Horner scheme would wait for itself. Polynomials are Chebyshev-node
 * interpolants; their errors are tested.
 */
#ifndef NB_LATTICE_H
#define NB_LATTICE_H

#include "nb_common.h"

/* One Horner step on three axes. */
#define NB_HORNER3(p, q, r, u, v, w, c) \
    do { \
        p = (c) + (u) * p; \
        q = (c) + (v) * q; \
        r = (c) + (w) * r; \
    } while (0)

/* Numbers that go from one part of a transform to the next (shapes.h), at most. */
#define NB_PART_VALUES 4

/* Inverse roots of doubles are had without the divider (nb_vector.h), and distances from whole numbers by one
 * instruction (nb_eight.h). */
#if defined(__AVX512DQ__) && !defined(__CUDACC__)
#define NB_VECTOR_ROOTS 1
#else
#define NB_VECTOR_ROOTS 0
#endif

/* nb_T_sqr of a transform that is cut, put together from its parts. */
#define NB_SQR_OF_PARTS(transform, shape) \
    NB_FN double nb_##transform##_sqr(const nb_##shape *c, double h, double k, double l) \
    { \
        double a[NB_PART_VALUES] = {h, k, l}; \
        nb_##transform##_part(0, c, a); \
        nb_##transform##_part(1, c, a); \
        nb_##transform##_part(2, c, a); \
        return a[0]; \
    }

/* What a shape's constants follow from. */
typedef struct {
    double cells[3]; /* Na, Nb, Nc */
    double fudge;    /* the shape parameter */
    int reference;   /* -compat c: what the reference's arithmetic gives, its cancellations included */
    /* spots of one profile in all directions: the squared distance is scale |h axes[0] + k axes[1] + l axes[2]|^2 */
    double axes[3][3], scale;
    double gauss_width;   /* F = F(0) exp(-distance^2 fudge/gauss_width) */
    double tophat_cutoff; /* F = F(0) where distance^2 fudge is less */
} nb_crystal;

/* The crystal's cells times the volume, in indices, of a spot where the squared distance is at most 1, over that of
 * the unit sphere: what the photons of a profile are in proportion to. */
NB_FN double nb_spot_volume(const nb_crystal *x)
{
    double product[3], cells = x->cells[0] * x->cells[1] * x->cells[2];
    nb_cross(x->axes[1], x->axes[2], product);
    return cells / (fabs(nb_dot(x->axes[0], product)) * pow(x->scale, 1.5));
}

/* An index along a row of pixels, R aside, is at least low and at most high.
 *
 * The index is (P + Q i)/airpath - R in terms of the pixel's number i, or (A + B t)/sqrt(t^2 + off) - R in terms of the
 * place t = along + step i. It lies between its values at the ends, t0 and t1 with inv = 1/airpath, and the value at
 * its one extremum, sqrt(B^2 + A^2/off), when that is between them. */
NB_FN void nb_row_range(double P, double Q, double along, double step, double off, double t0, double t1, double inv0,
                        double inv1, double *low, double *high)
{
    double b = Q * (1.0 / step), a = P - b * along, h0 = inv0 * (a + b * t0), h1 = inv1 * (a + b * t1);
    double least = h0 < h1 ? h0 : h1, most = h0 < h1 ? h1 : h0;
    double peak = sqrt(b * b + a * a * (1.0 / off)); /* inverses that a loop over orientations works out once */
    peak = a > 0.0 ? peak : -peak;
    peak = (t0 * a - b * off) * (t1 * a - b * off) < 0.0 ? peak : h0;
    *low = peak < least ? peak : least;
    *high = peak > most ? peak : most;
}

/* How near it comes to a whole number, less a margin for rounding; 0 where it may meet one. */
NB_FN double nb_row_distance(double P, double Q, double R, double along, double step, double off, double t0, double t1,
                             double inv0, double inv1)
{
    double low, high, middle, distance;
    nb_row_range(P, Q, along, step, off, t0, t1, inv0, inv1, &low, &high);
    middle = 0.5 * (low + high) - R;
    distance = fabs(middle - nb_rint(middle)) - 0.5 * (high - low) - 1e-6;
    return distance > 0.0 ? distance : 0.0;
}

/* 1 if it stays between two numbers, with the same margin; 0 where that is not sure. */
NB_FN int nb_row_between(double P, double Q, double R, double along, double step, double off, double t0, double t1,
                         double inv0, double inv1, double least, double most)
{
    double low, high;
    nb_row_range(P, Q, along, step, off, t0, t1, inv0, inv1, &low, &high);
    return (low - R - 1e-6 >= least) & (high - R + 1e-6 <= most);
}

/* sin(pi d)/d on three axes, |d| <= 1/2, u = d^2; of numbers or vectors of them. Error 1.6e-13. */
#define NB_SINC_PI3(uh, uk, ul, h, k, l) \
    do { \
        h = -0.007364005472115722 + (uh) * 0.0004474920849077101; \
        k = -0.007364005472115722 + (uk) * 0.0004474920849077101; \
        l = -0.007364005472115722 + (ul) * 0.0004474920849077101; \
        NB_HORNER3(h, k, l, uh, uk, ul, 0.08214479467064854); \
        NB_HORNER3(h, k, l, uh, uk, ul, -0.5992644339357286); \
        NB_HORNER3(h, k, l, uh, uk, ul, 2.550164035906745); \
        NB_HORNER3(h, k, l, uh, uk, ul, -5.167712779987959); \
        NB_HORNER3(h, k, l, uh, uk, ul, 3.141592653589635); \
    } while (0)

NB_FN void nb_sinc_pi3(double uh, double uk, double ul, double *h, double *k, double *l)
{
    double ph, pk, pl;
    NB_SINC_PI3(uh, uk, ul, ph, pk, pl);
    *h = ph;
    *k = pk;
    *l = pl;
}

/* s = sin(pi d), by the polynomial above, and twice its slope by d, for |d| <= 1/2. Error of the slope 2.4e-12. */
NB_FN void nb_sin_pi_slope(double d, double *s, double *twice)
{
    double u = d * d, p = 0.0004474920849077101, q = 2.0 * 0.005780497299119949;
    p = -0.007364005472115722 + u * p;
    q = 2.0 * -0.08097868632487987 + u * q;
    p = 0.08214479467064854 + u * p;
    q = 2.0 * 0.7392966627868212 + u * q;
    p = -0.5992644339357286 + u * p;
    q = 2.0 * -4.194850280241053 + u * q;
    p = 2.550164035906745 + u * p;
    q = 2.0 * 12.750820140075561 + u * q;
    p = -5.167712779987959 + u * p;
    q = 2.0 * -15.503138339223675 + u * q;
    p = 3.141592653589635 + u * p;
    q = 2.0 * 3.1415926535874306 + u * q;
    *s = d * p;
    *twice = q;
}

/* The quadratic form hh, hk, hl, kk, kl, ll of |h axes[0] + k axes[1] + l axes[2]|^2, times a factor. */
NB_FN void nb_metric_of(const nb_crystal *x, double factor, double *metric)
{
    metric[0] = factor * nb_dot(x->axes[0], x->axes[0]);
    metric[1] = factor * 2.0 * nb_dot(x->axes[0], x->axes[1]);
    metric[2] = factor * 2.0 * nb_dot(x->axes[0], x->axes[2]);
    metric[3] = factor * nb_dot(x->axes[1], x->axes[1]);
    metric[4] = factor * 2.0 * nb_dot(x->axes[1], x->axes[2]);
    metric[5] = factor * nb_dot(x->axes[2], x->axes[2]);
}

/* A quadratic form, plus a constant; of numbers or vectors of them. */
#define NB_METRIC(metric, h, k, l, constant) \
    ((h) * ((metric)[0] * (h) + (metric)[1] * (k) + (metric)[2] * (l)) + \
     ((k) * ((metric)[3] * (k) + (metric)[4] * (l)) + ((l) * ((metric)[5] * (l)) + (constant))))

NB_FN double nb_metric(const double *metric, double h, double k, double l, double constant)
{
    return NB_METRIC(metric, h, k, l, constant);
}

/* Slopes of a quadratic form by h, k, l. */
NB_FN void nb_metric_slopes(const double *metric, double h, double k, double l, double *slope)
{
    slope[0] = 2.0 * metric[0] * h + (metric[1] * k + metric[2] * l);
    slope[1] = 2.0 * metric[3] * k + (metric[1] * h + metric[4] * l);
    slope[2] = 2.0 * metric[5] * l + (metric[2] * h + metric[4] * k);
}

/* (2^f - 1)/f for |f| <= 1/2; of a number or a vector of them. */
#define NB_EXP2_FRACTION(f, p) \
    do { \
        p = 1.5310079402249296e-05 + (f) * 1.3255224878668817e-06; \
        p = 0.00015403455852453838 + (f) * p; \
        p = 0.0013333450568000645 + (f) * p; \
        p = 0.009618129159402558 + (f) * p; \
        p = 0.05550410941205933 + (f) * p; \
        p = 0.2402265069581299 + (f) * p; \
        p = 0.6931471805459335 + (f) * p; \
    } while (0)

/* 2^x for -1000 <= x: a polynomial for the fraction, the whole number straight into the exponent bits. Error 9e-13. */
NB_FN double nb_exp2(double x)
{
    union {
        double d;
        unsigned long long i;
    } bits;
    double f, p;
    bits.d = x + NB_ROUND_MAGIC;
    f = x - (bits.d - NB_ROUND_MAGIC);
    bits.i = (bits.i << 52) + (1023ULL << 52);
    NB_EXP2_FRACTION(f, p);
    return (1.0 + f * p) * bits.d;
}

#endif
