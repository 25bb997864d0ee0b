/* Counts of photons, where a source's flicker or a detector's calibration has a part in each pixel's mean.
 *
 * Whether a pixel takes one more number of the generator is a branch that nobody can predict, and all that comes after
 * waits for it: so what matters is how soon it is known. What the comparisons need is worked out roughly, in short
 * chains, and again as the reference does it where they are closer than that can tell. Build without contraction.
 */
#ifndef NB_COUNTS_H
#define NB_COUNTS_H

#include "nb_draws.h"

#define NB_GAMMA_DOUBT 4e-10    /* Lanczos's formula and Stirling's series differ by 1.6e-10 from 13 on */
#define NB_RELATIVE_DOUBT 1e-12 /* of the series, relative */

#define NB_WHOLE 4194304.0f /* of so large counts, so many still have a sum that is an int */
#define NB_WHOLE_MANY 511
#define NB_WHOLE_SUM 4e15   /* below which sums know every count */

#define NB_STEEP 20.0f          /* |tan| up to which the cubics serve */
#define NB_TAN_DOUBT 1e-6f      /* of the cubic of tan, over 1 + tan^2 */
#define NB_GAP_DOUBT 1e-4f      /* absolute: ten times the error of nb_log_rough */

#define NB_NEAR 0.15f           /* by which a mean may differ from its photons to be treated roughly, relative */
#define NB_FAINT 10.4f          /* photons of which no mean reaches 12, */
#define NB_BRIGHT 14.2f         /* and of which each does, */
#define NB_BRIGHT_END 3000.0f   /* and of which few counts are NB_FACTORIALS or more */
#define NB_LIMIT_DOUBT 1e-4f    /* of exp(-mean), relative: seven times what its series and the factor leave */
#define NB_MEAN_DOUBT 2e-6f     /* of a mean, relative: NB_NEAR times 3e-6 twice, and as much for rounding */
#define NB_ROUNDING_DOUBT 5e-7  /* of an exponent's terms, which the reference rounds four times, relative */

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

/* `poidev`.
 *
 * A trial's count is a whole number, and whether it is accepted a comparison: both follow from cubics that are quicker
 * than tan, exp and log, unless the one is next to a whole number or the other to equality. Then, and where tan is
 * steep, it is the reference's own arithmetic that decides.
 */
NB_ALWAYS float nb_poidev(nb_draws *d, nb_turn *t, float mean)
{
    float k = 0.0f, product = 1.0f, y, weight, u, v;
    if (mean > 1e6f) {
        nb_normal n = nb_next_normal(d, t, NB_PHOTONS);
        return (float)(mean + sqrt((double)mean) * nb_exactly(&n));
    }
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
        y = nb_cubic(cell->y, x);
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
            gap = nb_cubic(cell->envelope, x);
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

/* What a pixel's mean is made of, and roughly what that comes to. */
typedef struct {
    double flicker, calibration; /* relative errors */
    nb_normal by[2];             /* normal deviates of these; v is 0 of one that does not count */
    float photons, change;       /* the mean is about photons*(1 + change) */
} nb_mean;

static __attribute__((noinline)) float nb_exact_mean(const nb_mean *m)
{
    double mean = m->photons;
    if (m->flicker > 0.0) mean *= 1.0 + m->flicker * nb_exactly(&m->by[0]);
    if (m->calibration > 0.0) mean *= 1.0 + m->calibration * nb_exactly(&m->by[1]);
    return (float)mean;
}

/* `poidev` for means below 12: a product of deviates is compared with exp(-mean), of which photons have their part
 * beforehand and what the mean differs by a series. */
NB_ALWAYS float nb_count_faint(nb_draws *d, nb_turn *t, const nb_mean *m, float darkness)
{
    float x = -m->photons * m->change, w, product = 1.0f, k = 0.0f, limit, most, least;
    int far = fabsf(x) > 0.4f;
    x = far ? 0.125f * x : x;
    w = x * x;
    limit = nb_about(w, nb_about(x, 1.0f / 120, 1.0f / 24), nb_about(x, 1.0f / 6, 0.5f));
    limit = nb_about(w, limit, 1.0f + x);
    if (__builtin_expect(far, 0)) {
        limit *= limit;
        limit *= limit;
        limit *= limit;
    }
    most = limit * (darkness * (1.0f + NB_LIMIT_DOUBT));
    least = limit * (darkness * (1.0f - NB_LIMIT_DOUBT));
    for (;;) {
        product *= nb_draw(d, t, NB_PHOTONS);
        if (product > most) {
            k += 1.0f;
            continue;
        }
        if (__builtin_expect(product < least, 1)) return k;
        limit = (float)exp(-(double)nb_exact_mean(m));
        while (product > limit) {
            k += 1.0f;
            product *= nb_draw(d, t, NB_PHOTONS);
        }
        return k;
    }
}

/* `poidev` for means from 12 on, of photons below NB_BRIGHT_END. A trial's exponent is (k + 1/2) ln m - m - ln k! and a
 * constant; of ln m, photons have their part beforehand. */
NB_ALWAYS float nb_count_bright(nb_draws *d, nb_turn *t, const nb_mean *m, double log_photons)
{
    double r = m->change, w = r * r, mean = m->photons + m->photons * r, l, rest, error;
    float middle = (float)mean, width = sqrtf(2.0f * middle);
    l = (r - w * 0.5) + (w * r) * ((1.0 / 3 - r * 0.25) + w * ((0.2 - r * (1.0 / 6)) + w * (1.0 / 7)));
    l += log_photons;
    rest = 0.5 * l - mean + 0.91893853320467274 + (double)((1.0f / 12) / middle);
    error = mean * l * NB_ROUNDING_DOUBT + NB_GAP_DOUBT;
    for (;;) {
        float u = nb_draw(d, t, NB_PHOTONS), v = 0.0f, y, k, x, gap, doubt;
        const nb_cell *cell = &d->cell[t->last >> NB_CELL_BITS];
        int whole, known;
        x = nb_in_cell(t->last);
        y = nb_cubic(cell->y, x);
        k = width * y + middle;
        doubt = width * ((1.0f + y * y) * (2.0f * NB_TAN_DOUBT)) + (fabsf(k) + 3.0f * middle) * NB_MEAN_DOUBT;
        whole = (int)(k < NB_FACTORIALS ? k : NB_FACTORIALS);
        known = k - (float)whole > doubt && k - (float)whole < 1.0f - doubt && fabsf(cell->y[0]) < NB_STEEP;
        if (__builtin_expect(known, 1)) {
            v = nb_draw(d, t, NB_PHOTONS);
            gap = (float)(whole * l + (rest - nb_log_factorial(d, (float)whole)));
            gap += nb_cubic(cell->envelope, x) - nb_log_rough(v);
            doubt = (float)error + whole * (float)l * (float)NB_ROUNDING_DOUBT + fabsf(k - middle) * NB_MEAN_DOUBT;
            if (gap > doubt) return (float)whole;
            if (__builtin_expect(gap < -doubt, 1)) continue;
        }
        middle = nb_exact_mean(m);
        if (middle != d->old_mean) nb_poidev_constants(d, middle);
        y = (float)tan(NB_PI * u);
        k = d->width * y + middle;
        middle = (float)mean;
        if (k < 0.0f) continue;
        if (k < 16777216.0f) k = (float)(int)k;
        if (!known) v = nb_draw(d, t, NB_PHOTONS);
        if (!(v > (float)(0.9 * (1.0 + y * y) * exp(k * d->log_mean - nb_log_factorial(d, k) - d->norm)))) return k;
    }
}

static void nb_prepare(long n, const float *photons, float *__restrict darkness, double *__restrict log_photons)
{
    long i;
    for (i = 0; i < n; i++) {
        double x = photons[i];
        darkness[i] = (float)nb_exp(-(x < NB_BRIGHT ? (x > 0.0 ? x : 0.0) : NB_BRIGHT));
    }
    for (i = 0; i < n; i++) {
        double x = photons[i];
        log_photons[i] = nb_log(x < NB_BRIGHT_END ? (x > 1.0 ? x : 1.0) : NB_BRIGHT_END);
    }
}

NB_ALWAYS void nb_count_some(nb_draws *d, long n, float *photons, double flicker, double calibration, int flickers,
                             int calibrates)
{
    nb_turn t;
    nb_mean m;
    long i;
    int rough;
    m.flicker = flicker;
    m.calibration = calibration;
    t.last = d->shared.last;
    t.place[0] = d->stream[0].place;
    t.place[1] = d->stream[1].place;
    t.spare_ready = d->spare_ready;
    t.spare.v = d->spare;
    t.spare.square = 0.0f;
    t.spare.factor = 1.0f;
    nb_prepare(n, photons, d->darkness, d->log_photons);
    for (i = 0; i < n; i++) {
        float first = 0.0f, second = 0.0f, mean;
        rough = 1;
        m.photons = photons[i];
        if (flickers) {
            m.by[0] = nb_next_normal(d, &t, NB_PHOTONS);
            first = (float)flicker * (m.by[0].v * m.by[0].factor);
            rough = m.by[0].factor != 0.0f;
        }
        if (calibrates) {
            m.by[1] = nb_next_normal(d, &t, NB_CALIBRATION);
            second = (float)calibration * (m.by[1].v * m.by[1].factor);
            rough &= m.by[1].factor != 0.0f;
        }
        m.change = first + second + first * second;
        rough &= m.change < NB_NEAR && m.change > -NB_NEAR;
        mean = m.photons + m.photons * m.change;
        if (rough && m.photons >= 0.0f && (m.photons < NB_FAINT || (m.photons < NB_BRIGHT && mean < 11.999f))) {
            photons[i] = nb_count_faint(d, &t, &m, d->darkness[i]);
            d->old_mean = NAN; /* some mean that is not the first */
        } else if (rough && m.photons < NB_BRIGHT_END && (m.photons > NB_BRIGHT || mean > 12.001f)) {
            photons[i] = nb_count_bright(d, &t, &m, d->log_photons[i]);
            d->old_mean = NAN;
        } else {
            photons[i] = nb_poidev(d, &t, nb_exact_mean(&m));
        }
    }
    d->shared.last = t.last;
    d->stream[0].place = t.place[0];
    d->stream[1].place = t.place[1];
    d->spare_ready = t.spare_ready;
    d->spare = nb_exactly(&t.spare);
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
    long m;
    for (; n > 0; n -= m, photons += m) {
        m = n < NB_TOGETHER ? n : NB_TOGETHER;
        if (flicker > 0.0 && calibration > 0.0)
            nb_count_some(d, m, photons, flicker, calibration, 1, 1);
        else if (flicker > 0.0)
            nb_count_some(d, m, photons, flicker, calibration, 1, 0);
        else
            nb_count_some(d, m, photons, flicker, calibration, 0, 1);
        sum = nb_add_up(m, photons, sum);
    }
    return sum;
}

#endif
