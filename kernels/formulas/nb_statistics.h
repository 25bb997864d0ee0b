/* What is known of a set of pixels, and how two sets are put together.
 *
 * Means and squared deviations are merged by the pairwise formula of Chan, Golub and LeVeque (1979), which does not
 * cancel; merging in a fixed order makes the result the same on every run.
 */
#ifndef NB_STATISTICS_H
#define NB_STATISTICS_H

#include "nb_common.h"

typedef struct {
    double count;       /* pixels, masked ones (0) included */
    double mean;        /* of those */
    double deviations;  /* sum of (pixel - mean)^2 */
    double squares;     /* sum of pixel^2, each square rounded to float32 as the reference's */
    double angle;       /* sum of the solid angle over all sub-steps */
    double top;         /* the largest value; 0: none is positive */
    long long where;    /* row-major index in the image of the first pixel with that value; -1: none */
    long long rendered; /* pixels that the mask leaves */
    long long outside;  /* steps that could not be interpolated */
} nb_statistics;

/* into := into and other together. */
NB_FN void nb_merge(nb_statistics *into, const nb_statistics *other)
{
    double count = into->count + other->count, apart = other->mean - into->mean;
    if (count > 0.0) {
        double part = other->count / count;
        into->mean += apart * part;
        into->deviations += other->deviations + apart * apart * (into->count * part);
        into->count = count;
    }
    into->squares += other->squares;
    into->angle += other->angle;
    if (other->top > into->top || (other->top == into->top && other->where < into->where)) {
        into->top = other->top;
        into->where = other->where;
    }
    into->rendered += other->rendered;
    into->outside += other->outside;
}

/* One pixel more; square: value^2 rounded to float32. Doubles, so that no compiler flushes them. */
NB_FN void nb_count_pixel(nb_statistics *into, double value, double square, long long where, int rendered)
{
    nb_statistics pixel = {1.0, value, 0.0, square, 0.0, 0.0, -1, rendered, 0};
    if (value > 0.0) {
        pixel.top = value;
        pixel.where = where;
    }
    nb_merge(into, &pixel);
}

#endif
