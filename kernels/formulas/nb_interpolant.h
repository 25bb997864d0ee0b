/* A curve through points: the 4-point Lagrange polynomial, and the same as powers of the distance from one point. */
#ifndef NB_INTERPOLANT_H
#define NB_INTERPOLANT_H

#include "nb_common.h"

/* The Lagrange polynomial through four points (x, y), at `at`; nan where abscissae are equal. */
NB_FN double nb_lagrange(const double *x, const double *y, double at)
{
    double sum = 0.0;
    int j, k;
    for (k = 0; k < 4; k++) {
        double above = 1.0, below = 1.0;
        for (j = 0; j < 4; j++) {
            if (j == k) continue;
            above *= at - x[j];
            below *= x[k] - x[j];
        }
        sum += above * y[k] / below;
    }
    return sum;
}

/* The polynomial through `count` points, 1 to 4, as four coefficients of powers of (x - x[0]).
 * Newton's divided differences; in this form x[0] is a node, so that nothing cancels near it. */
NB_FN void nb_taylor(int count, const double *x, const double *y, double *c)
{
    double d[4] = {0.0, 0.0, 0.0, 0.0}, a1, a2;
    int i, level;
    for (i = 0; i < count; i++) d[i] = y[i];
    for (level = 1; level < count; level++)
        for (i = count - 1; i >= level; i--) d[i] = (d[i] - d[i - 1]) / (x[i] - x[i - level]);
    a1 = count > 1 ? x[0] - x[1] : 0.0;
    a2 = count > 2 ? x[0] - x[2] : 0.0;
    c[0] = d[0];
    c[1] = d[1] + d[2] * a1 + d[3] * a1 * a2;
    c[2] = d[2] + d[3] * (a1 + a2);
    c[3] = d[3];
}

/* The cubic with coefficients c about 0 as one about t. */
NB_FN void nb_shift_cubic(const double *c, double t, double *out)
{
    out[0] = c[0] + t * (c[1] + t * (c[2] + t * c[3]));
    out[1] = c[1] + t * (2.0 * c[2] + t * 3.0 * c[3]);
    out[2] = c[2] + t * 3.0 * c[3];
    out[3] = c[3];
}

NB_FN double nb_cubic(const double *c, double t)
{
    return c[0] + t * (c[1] + t * (c[2] + t * c[3]));
}

/* out += weight * (cubic c of scale*t)^2, seven coefficients. */
NB_FN void nb_add_square(const double *c, double scale, double weight, double *out)
{
    double a = c[0], b = c[1] * scale, q = c[2] * scale * scale, r = c[3] * scale * scale * scale;
    out[0] += weight * (a * a);
    out[1] += weight * (2.0 * a * b);
    out[2] += weight * (2.0 * a * q + b * b);
    out[3] += weight * (2.0 * (a * r + b * q));
    out[4] += weight * (2.0 * b * r + q * q);
    out[5] += weight * (2.0 * q * r);
    out[6] += weight * (r * r);
}

/* Where the cubic c changes its sign in (0, length): places in ascending order, at most 3; returns how many. */
NB_FN int nb_sign_changes(const double *c, double length, double *places)
{
    /* between the turning points it is monotonic, and bisection finds every change */
    double stops[4] = {0.0, length, length, length}, a = 3.0 * c[3], b = 2.0 * c[2], disc = b * b - 4.0 * a * c[1];
    int stop = 1, found = 0, i;
    if (a != 0.0 && disc > 0.0) {
        double root = -0.5 * (b + (b < 0.0 ? -sqrt(disc) : sqrt(disc)));
        double one = root / a, other = root != 0.0 ? c[1] / root : one, low, high;
        low = one < other ? one : other;
        high = one < other ? other : one;
        if (low > 0.0 && low < length) stops[stop++] = low;
        if (high > 0.0 && high < length && high > low) stops[stop++] = high;
    } else if (a == 0.0 && b != 0.0) {
        double turn = -c[1] / b;
        if (turn > 0.0 && turn < length) stops[stop++] = turn;
    }
    stops[stop] = length;
    for (i = 0; i < stop; i++) {
        double low = stops[i], high = stops[i + 1], middle, f = nb_cubic(c, low), g = nb_cubic(c, high);
        int step;
        if (!((f < 0.0 && g > 0.0) || (f > 0.0 && g < 0.0))) continue;
        for (step = 0; step < 200; step++) {
            middle = 0.5 * (low + high);
            if (middle <= low || middle >= high) break;
            if ((nb_cubic(c, middle) < 0.0) == (f < 0.0)) low = middle; else high = middle;
        }
        if (high < length) places[found++] = high;
    }
    return found;
}

#endif
