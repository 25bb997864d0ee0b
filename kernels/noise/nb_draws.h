/* The reference's random numbers where two seeds take turns, one deviate at a time.
 *
 * What a pixel draws hangs on what the one before it drew, so this is serial code: it keeps the last word of the
 * generator and the places in its streams in registers, has the congruential numbers made ahead (they hang on nothing
 * but their seed), and calls the C library, whose functions have shorter dependent chains than those of
 * nb_elementary.h. Every quantity is the reference's. Build without contraction.
 */
#ifndef NB_DRAWS_H
#define NB_DRAWS_H

#include "nb_elementary.h"
#include "nb_random.h"
#include <math.h>
#include <string.h>

#define NB_AHEAD 128            /* congruential numbers made at a time */
#define NB_FACTORIALS 4096      /* ln k! is looked up below this */
#define NB_GAMMA_DOUBT 4e-10    /* Lanczos's formula and Stirling's series differ by 1.6e-10 from 13 on */
#define NB_RELATIVE_DOUBT 1e-12 /* of the series, relative */

#define NB_WHOLE 4194304.0f /* of so large counts, so many still have a sum that is an int */
#define NB_WHOLE_MANY 511
#define NB_WHOLE_SUM 4e15   /* below which sums know every count */

#define NB_CELLS 512
#define NB_CELL_BITS 22         /* 2^31 / NB_CELLS */
#define NB_STEEP 20.0f          /* |tan| up to which the cubics serve */
#define NB_TAN_DOUBT 1e-6f      /* of the cubic of tan, over 1 + tan^2 */
#define NB_GAP_DOUBT 1e-4f        /* absolute: ten times the error of nb_log_rough */

#define NB_ALWAYS static inline __attribute__((always_inline))

enum { NB_PHOTONS = 0, NB_CALIBRATION = 1 };

typedef struct {
    unsigned int lane[NB_AHEAD], number[NB_AHEAD], stride;
    int begun;    /* lane holds what follows number */
    int place;    /* of the next number; NB_AHEAD: none left */
    int64_t seed; /* the seed variable, while no numbers are ahead */
} nb_numbers;

/* Cubics about the middle of a cell of deviates u, in cells: y = tan(pi u), and ln of 0.9 (1 + y^2). */
typedef struct {
    float y[4], envelope[4];
} nb_cell;

typedef struct {
    nb_ran1 shared;
    nb_numbers stream[2];
    int slow; /* a seed leaves the range that numbers are made ahead in */
    int spare_ready;
    float spare;
    float old_mean; /* what poidev keeps: of this mean */
    float width, log_mean, norm;
    float factorial[NB_FACTORIALS]; /* ln k!, nan where nobody has asked yet */
    nb_cell cell[NB_CELLS];
} nb_draws;

/* What changes with every deviate. */
typedef struct {
    int64_t last;
    int place[2];
    int spare_ready;
    float spare;
} nb_turn;

static void nb_make_cells(nb_cell *cell)
{
    int i;
    for (i = 0; i < NB_CELLS; i++) {
        const double h = NB_PI / NB_CELLS, y = tan(h * (i + 0.5)), slope = 1.0 + y * y;
        float *c = cell[i].y, *e = cell[i].envelope;
        c[0] = (float)y;
        c[1] = (float)(slope * h);
        c[2] = (float)(y * slope * h * h);
        c[3] = (float)((1.0 + 3.0 * y * y) * slope * h * h * h / 3.0);
        e[0] = (float)log(0.9 * slope);
        e[1] = (float)(2.0 * y * h);
        e[2] = (float)(slope * h * h);
        e[3] = (float)(2.0 * y * slope * h * h * h / 3.0);
    }
}

static void nb_begin_draws(nb_draws *d, int64_t seed, int64_t calib_seed)
{
    int i;
    int64_t seeds[2] = {seed, calib_seed};
    memset(d, 0, sizeof *d);
    for (i = 0; i < 2; i++) {
        d->stream[i].seed = seeds[i];
        d->stream[i].place = NB_AHEAD;
        d->slow |= seeds[i] == NB_RAN1_MODULUS || seeds[i] == -NB_RAN1_MODULUS;
    }
    d->old_mean = -1.0f;
    for (i = 0; i < NB_FACTORIALS; i++) d->factorial[i] = NAN;
    nb_make_cells(d->cell);
}

static void nb_make_ahead(nb_numbers *s)
{
    int i;
    int64_t x = s->seed;
    unsigned long long stride = 1;
    if (!s->begun) {
        for (i = 0; i < NB_AHEAD; i++) {
            s->lane[i] = (unsigned int)(x = nb_ran1_step(x));
            stride = stride * 16807 % NB_RAN1_MODULUS;
        }
        s->stride = (unsigned int)stride;
        s->begun = 1;
    }
    for (i = 0; i < NB_AHEAD; i++) {
        unsigned long long product = (unsigned long long)s->lane[i] * s->stride;
        unsigned int folded = (unsigned int)(product & NB_RAN1_MODULUS) + (unsigned int)(product >> 31);
        s->number[i] = s->lane[i];
        s->lane[i] = (folded & NB_RAN1_MODULUS) + (folded >> 31);
    }
    s->place = 0;
}

/* The seed variable of a stream. */
static int64_t nb_current_seed(const nb_numbers *s)
{
    return s->begun ? (int64_t)s->number[s->place - 1] : s->seed;
}

/* A deviate of a stream that has no numbers ahead, which it has afterwards if its seed is loaded. */
static __attribute__((noinline)) float nb_draw_unready(nb_draws *d, int which)
{
    nb_numbers *s = &d->stream[which];
    int64_t j, drawn;
    if (s->begun) s->seed = s->number[NB_AHEAD - 1]; /* loaded, and stays so: no output is ever 0 */
    if (d->slow || d->shared.last == 0 || s->seed <= 0) return nb_ran1_next(&d->shared, &s->seed);
    nb_make_ahead(s);
    j = d->shared.last >> 26;
    drawn = d->shared.table[j];
    d->shared.table[j] = s->number[s->place++];
    d->shared.last = drawn;
    return nb_ran1_deviate((int32_t)drawn);
}

NB_ALWAYS float nb_draw(nb_draws *d, nb_turn *t, int which)
{
    int64_t j = t->last >> 26, drawn;
    if (__builtin_expect(t->place[which] == NB_AHEAD, 0)) {
        float u;
        d->shared.last = t->last;
        u = nb_draw_unready(d, which);
        t->last = d->shared.last;
        t->place[which] = d->stream[which].place;
        return u;
    }
    drawn = d->shared.table[j];
    d->shared.table[j] = d->stream[which].number[t->place[which]++];
    t->last = drawn;
    return nb_ran1_deviate((int32_t)drawn);
}

/* `gaussdev`: by the polar method, one of two kept for the next call, whatever stream that names. */
NB_ALWAYS float nb_normal(nb_draws *d, nb_turn *t, int which)
{
    float v, w, square, factor;
    if (t->spare_ready) {
        t->spare_ready = 0;
        return t->spare;
    }
    do {
        v = (float)(2.0 * nb_draw(d, t, which) - 1.0);
        w = (float)(2.0 * nb_draw(d, t, which) - 1.0);
        square = v * v + w * w;
    } while (square >= 1.0f || square == 0.0f);
    factor = (float)sqrt(-2.0 * log(square) / square);
    t->spare = v * factor;
    t->spare_ready = 1;
    return w * factor;
}

/* float32 ln Gamma(x) as nb_gammln has it, for x >= 13 by Stirling's series where that leaves no doubt. */
NB_ALWAYS float nb_gammln_large(float x)
{
    double inverse = 1.0 / x, w = inverse * inverse, v, doubt;
    float high;
    w = inverse * (1.0 / 12.0 - w * (1.0 / 360.0 - w * (1.0 / 1260.0)));
    v = (x - 0.5) * log(x) - x + (0.91893853320467274 + w);
    doubt = v * NB_RELATIVE_DOUBT + NB_GAMMA_DOUBT;
    high = (float)(v + doubt);
    return __builtin_expect(high == (float)(v - doubt), 1) ? high : nb_gammln(x);
}

NB_ALWAYS float nb_log_factorial(nb_draws *d, float k)
{
    float *kept;
    if (!(k < (float)NB_FACTORIALS)) return k < 1e9f ? nb_gammln_large((float)(k + 1.0)) : nb_gammln((float)(k + 1.0));
    kept = &d->factorial[(int)k];
    if (__builtin_expect(*kept != *kept, 0)) *kept = nb_gammln((float)(k + 1.0));
    return *kept;
}

/* What poidev keeps of a mean of 12 or more. One logarithm does: ln Gamma(m+1) is Stirling's series at m plus ln m, and
 * what m+1 was rounded by counts with its slope. */
NB_ALWAYS void nb_poidev_constants(nb_draws *d, float mean)
{
    double m = mean, l = log(m), inverse = 1.0 / m, w = inverse * inverse, v, doubt, shift;
    float x = (float)(m + 1.0), high;
    d->old_mean = mean;
    d->width = (float)sqrt(2.0 * mean);
    d->log_mean = (float)l;
    shift = x - (m + 1.0);
    w = inverse * (1.0 / 12.0 - w * (1.0 / 360.0 - w * (1.0 / 1260.0)));
    v = (m + 0.5) * l - m + (0.91893853320467274 + w) + shift * (l + 0.5 * inverse);
    doubt = v * NB_RELATIVE_DOUBT + NB_GAMMA_DOUBT;
    high = (float)(v + doubt);
    if (__builtin_expect(high != (float)(v - doubt), 0)) high = nb_gammln(x);
    d->norm = mean * d->log_mean - high;
}

/* Where in its cell a deviate lies, in cells from the middle; drawn: the number that makes it. */
NB_ALWAYS float nb_in_cell(int64_t drawn)
{
    const int width = 1 << NB_CELL_BITS;
    return (float)((int)(drawn & (width - 1)) - width / 2) * (1.0f / width);
}

NB_ALWAYS float nb_cell_value(const float *c, float x)
{
    return c[0] + x * (c[1] + x * (c[2] + x * c[3]));
}

/* `poidev`.
 *
 * A trial's count is a whole number, and whether it is accepted a comparison: both follow from cubics that are quicker
 * than tan, exp and log, unless the one is next to a whole number or the other to equality. Then, and where tan is
 * steep, it is the reference's own arithmetic that decides.
 */
NB_ALWAYS float nb_poidev(nb_draws *d, nb_turn *t, float mean)
{
    float k = 0.0f, product = 1.0f, y, weight, u, v;
    if (mean > 1e6f) return (float)(mean + sqrt((double)mean) * nb_normal(d, t, NB_PHOTONS));
    if (mean < 12.0f) {
        if (mean != d->old_mean) {
            d->old_mean = mean;
            d->norm = (float)exp(-(double)mean);
        }
        for (;;) {
            product *= nb_draw(d, t, NB_PHOTONS);
            if (!(product > d->norm)) return k;
            k += 1.0f;
        }
    }
    if (mean != d->old_mean) nb_poidev_constants(d, mean);
    for (;;) {
        const nb_cell *cell;
        float x, gap, doubt;
        int whole, known;
        u = nb_draw(d, t, NB_PHOTONS);
        cell = &d->cell[t->last >> NB_CELL_BITS];
        x = nb_in_cell(t->last);
        y = nb_cell_value(cell->y, x);
        k = d->width * y + mean;
        doubt = d->width * ((1.0f + y * y) * NB_TAN_DOUBT) + (k + 2.0f * mean) * 3e-7f;
        whole = (int)(k < 1e9f ? k : 0.0f); /* a mean that is no number goes the other way */
        known = k - (float)whole > doubt && k - (float)whole < 1.0f - doubt && fabsf(cell->y[0]) < NB_STEEP;
        if (__builtin_expect(!known, 0)) {
            double r = nb_tan_pi(u);
            y = (float)(r + r * NB_RELATIVE_DOUBT);
            if (__builtin_expect(y != (float)(r - r * NB_RELATIVE_DOUBT), 0)) y = (float)tan(NB_PI * u);
            k = d->width * y + mean;
            if (k < 0.0f) continue;
            if (k < 16777216.0f) k = (float)(int)k; /* beyond, it is whole */
            gap = nb_log(0.9f * (1.0f + y * y));
        } else {
            k = (float)whole;
            gap = nb_cell_value(cell->envelope, x);
        }
        weight = k * d->log_mean - nb_log_factorial(d, k) - d->norm;
        v = nb_draw(d, t, NB_PHOTONS);
        gap = weight + gap - nb_log_rough(v);
        if (gap > NB_GAP_DOUBT) return k;
        if (__builtin_expect(!(gap < -NB_GAP_DOUBT), 0)) {
            if (known) y = (float)tan(NB_PI * u);
            if (!(v > (float)(0.9 * (1.0 + y * y) * exp(weight)))) return k;
        }
    }
}

NB_ALWAYS double nb_count_some(nb_draws *d, long n, float *photons, double flicker, double calibration, double sum,
                              int flickers, int calibrates)
{
    nb_turn t;
    double mean;
    long i;
    t.last = d->shared.last;
    t.place[0] = d->stream[0].place;
    t.place[1] = d->stream[1].place;
    t.spare_ready = d->spare_ready;
    t.spare = d->spare;
    for (i = 0; i < n; i++) {
        mean = photons[i];
        if (flickers) mean *= 1.0 + flicker * nb_normal(d, &t, NB_PHOTONS);
        if (calibrates) mean *= 1.0 + calibration * nb_normal(d, &t, NB_CALIBRATION);
        photons[i] = nb_poidev(d, &t, (float)mean);
        sum += photons[i];
    }
    d->shared.last = t.last;
    d->stream[0].place = t.place[0];
    d->stream[1].place = t.place[1];
    d->spare_ready = t.spare_ready;
    d->spare = t.spare;
    return sum;
}

/* `sum` plus n values, at most NB_WHOLE_MANY, added one by one. Counts, as long as their sum is known to the last one,
 * are whole numbers, whose sum no order changes: in vectors. */
static double nb_add_up(long n, const float *count, double sum)
{
    int total = 0, other = 0, k;
    long i;
    float x;
    if (sum >= 0.0 && sum < NB_WHOLE_SUM && floor(sum) == sum && n <= NB_WHOLE_MANY) {
        for (i = 0; i < n; i++) {
            x = count[i] > 0.0f ? count[i] : 0.0f;
            k = (int)(x < NB_WHOLE ? x : NB_WHOLE);
            total += k;
            other += (float)k != count[i];
        }
        if (!other) return sum + total;
    }
    for (i = 0; i < n; i++) sum += count[i];
    return sum;
}

/* Mean counts to counts, in place; returns `sum` and theirs. flicker, calibration: relative errors, if above 0. */
static double nb_count(nb_draws *d, long n, float *photons, double flicker, double calibration, double sum)
{
    if (flicker > 0.0 && calibration > 0.0) return nb_count_some(d, n, photons, flicker, calibration, sum, 1, 1);
    if (flicker > 0.0) return nb_count_some(d, n, photons, flicker, calibration, sum, 1, 0);
    return nb_count_some(d, n, photons, flicker, calibration, sum, 0, 1);
}

#endif
