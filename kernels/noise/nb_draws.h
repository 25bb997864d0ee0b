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
#define NB_TOGETHER 256         /* pixels whose constants are worked out in vectors */
#define NB_FACTORIALS 4096      /* ln k! is looked up below this */
#define NB_CELLS 512
#define NB_CELL_BITS 22         /* 2^31 / NB_CELLS */
#define NB_FACTORS 512          /* a power of two */
#define NB_SQUARE_LEAST 0.02f   /* squares between which the cubics of the polar method's factor serve */
#define NB_SQUARE_MOST 0.988f

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

/* A normal deviate that nobody has worked out yet: v times the polar method's factor of `square`, which takes a
 * logarithm, a quotient and a root, one after the other. */
typedef struct {
    float v, square; /* square 0: v is the deviate */
    float factor;    /* roughly, within 3e-6 of itself; 0 where it is not known */
} nb_normal;

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
    float root[NB_FACTORS + 1][4]; /* cubics about i/NB_FACTORS, in 1/NB_FACTORS: sqrt(-2 ln s/s) */
    float darkness[NB_TOGETHER];   /* exp(-photons) of the next pixels, where they are faint, */
    double log_photons[NB_TOGETHER]; /* and ln(photons), where they are bright */
} nb_draws;

/* What changes with every deviate. */
typedef struct {
    int64_t last;
    int place[2];
    int spare_ready;
    nb_normal spare;
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

static void nb_make_roots(float (*root)[4])
{
    int i;
    for (i = 1; i < NB_FACTORS; i++) { /* g = f^2, and so on for its slopes */
        const double h = 1.0 / NB_FACTORS, s = i * h, l = log(s), f = sqrt(-2.0 * l / s);
        const double f1 = (2.0 * l - 2.0) / (s * s) / (2.0 * f);
        const double f2 = ((6.0 - 4.0 * l) / (s * s * s) - 2.0 * f1 * f1) / (2.0 * f);
        const double f3 = ((12.0 * l - 22.0) / (s * s * s * s) - 6.0 * f1 * f2) / (2.0 * f);
        root[i][0] = (float)f;
        root[i][1] = (float)(f1 * h);
        root[i][2] = (float)(f2 * h * h / 2.0);
        root[i][3] = (float)(f3 * h * h * h / 6.0);
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
    nb_make_roots(d->root);
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

/* a b + c, for what need not be the same everywhere */
NB_ALWAYS float nb_about(float a, float b, float c)
{
#ifdef __FMA__
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

NB_ALWAYS float nb_cubic(const float *c, float x)
{
    return nb_about(x * x, nb_about(x, c[3], c[2]), nb_about(x, c[1], c[0]));
}

NB_ALWAYS float nb_rough_factor(const nb_draws *d, float square)
{
    const float magic = 8388608.0f / NB_FACTORS; /* numbers from here on are whole in 1/NB_FACTORS */
    float sum = square + magic, first = magic;
    unsigned int i, zero;
    memcpy(&i, &sum, sizeof i);
    memcpy(&zero, &first, sizeof zero);
    return nb_cubic(d->root[i - zero], (square - (sum - magic)) * NB_FACTORS);
}

/* `gaussdev`: by the polar method, one of two kept for the next call, whatever stream that names. */
NB_ALWAYS nb_normal nb_next_normal(nb_draws *d, nb_turn *t, int which)
{
    nb_normal n;
    float w;
    if (t->spare_ready) {
        t->spare_ready = 0;
        return t->spare;
    }
    do {
        w = 2.0f * nb_draw(d, t, which) - 1.0f; /* the reference's is in double: exact, or next to -1 */
        n.v = 2.0f * nb_draw(d, t, which) - 1.0f;
        n.square = w * w + n.v * n.v;
    } while (n.square >= 1.0f || n.square == 0.0f);
    n.factor = nb_rough_factor(d, n.square);
    n.factor = n.square > NB_SQUARE_LEAST && n.square < NB_SQUARE_MOST ? n.factor : 0.0f;
    t->spare = n;
    t->spare.v = w;
    t->spare_ready = 1;
    return n;
}

/* The deviate, as the reference has it. */
NB_ALWAYS float nb_exactly(const nb_normal *n)
{
    return n->square == 0.0f ? n->v : n->v * (float)sqrt(-2.0 * log(n->square) / n->square);
}

#endif
