/* The scattering of amorphous material: a tile of pixels along the fast axis.
 *
 * Every loop runs over pixels, so that it becomes vectors; what pixels share is worked out before. A pixel's
 * contributions are added in one order, whatever the length of the vectors and the number of threads.
 */
#ifndef NB_BACKGROUND_H
#define NB_BACKGROUND_H

#include "nb_geometry.h"
#include "nb_interpolant.h"
#include "nb_watch.h"
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define NB_TILE 128           /* the arrays, a curve and the image share a first-level cache of 32 kB */
#define NB_ROOM (NB_TILE + 8) /* of an array: a power of two apart, they would share places there */
#define NB_SAME_DIRECTION 1e-31  /* squared: unit vectors that differ by less differ by rounding */

/* A function in pieces. Piece k holds from node[k] on and is a polynomial in (x - node[k]); the last node is infinite.
 * cell[] has for every cell of an even grid the piece that its left end lies in; a search by halves from `stride` on
 * does the rest, one comparison where no cell has more than one node. */
typedef struct {
    const double *node;
    const double *coefficient;  /* `width` a piece */
    const int *cell;
    double cells_per, last_cell;
    int pieces, stride, width;
} nb_pieces;

/* sources in one direction */
typedef struct {
    double incident[3], E[3], B[3];
    int along;    /* the polarization axis lies along the beam: cos 2 psi is 1 */
    int spectrum;
} nb_direction;

/* wavelengths and weights of sources in one direction */
typedef struct {
    int first, count;  /* of the wavelengths, where they are summed one by one */
    int merged;        /* 1: `pieces` is the sum over all of them of w F|F|, as a function of |d - s|/2 */
    nb_pieces pieces;
} nb_spectrum;

typedef struct {
    double fast[3], slow[3], normal[3], origin[3], beam[3];
    double pixel, subpixel, distance, close_distance;
    double kahn, scale;  /* pixel = scale * sum */
    double first_depth, thickstep, absorption, deepening; /* of the layers of a sensor, as in nb_job.h */
    int layers, sensor;                                   /* sensor: capture fractions count */
    int fpixels, spixels, fast_min, fast_max, slow_min, slow_max;
    int oversample, curved, point_pixel, polarized, map;  /* map: pixels are F of the last step */
    int directions, last_direction;
    double last_inverse;  /* of the last source's wavelength */
    const nb_direction *direction;
    const nb_spectrum *spectrum;
    const double *inverse;  /* 1/wavelength of the sources, spectrum by spectrum */
    const double *weight;
    nb_pieces curve;        /* F(x), x in 1/m */
} nb_background;

/* one thread's workspace */
typedef struct {
    double place[NB_ROOM], x[NB_ROOM], y[NB_ROOM], z[NB_ROOM], omega[NB_ROOM], u[NB_ROOM], polar[NB_ROOM];
    double at[NB_ROOM], part[NB_ROOM], acc[NB_ROOM], sum[NB_ROOM], squares[NB_ROOM], angle[NB_ROOM];
    int piece[NB_ROOM];
    float top[NB_ROOM];
    long counted; /* steps, for nb_watch.h */
    int dropped;
    nb_watch *watch;
} __attribute__((aligned(64))) nb_tile_work;

/* root[i] = 1/sqrt(square[i]) for i < n, and up to the next multiple of 8; arrays lie at multiples of 64 bytes. AVX-512
 * estimates an inverse root to 14 bits without the divider, for which root and quotient would wait; one step of fourth
 * order makes up for the rest, to the last bit or two. */
static void nb_inverse_roots(int n, const double *__restrict square, double *__restrict root)
{
    int i;
#ifdef __AVX512F__
    for (i = 0; i < n; i += 8) {
        __m512d v = *(const __m512d *)(square + i), y = _mm512_rsqrt14_pd(v), e = 1.0 - v * y * y;
        *(__m512d *)(root + i) = y + y * (e * (0.5 + e * (0.375 + e * 0.3125)));
    }
#else
    for (i = 0; i < n; i++) root[i] = 1.0 / sqrt(square[i]);
#endif
}

/* Unit vectors to the pixels, and their solid angles. */
static void nb_tile_geometry(const nb_background *p, int n, const double *start, double step, double depth,
                             nb_tile_work *w)
{
    const double *__restrict place = w->place;
    double *__restrict x = w->x, *__restrict y = w->y, *__restrict z = w->z;
    double *__restrict omega = w->omega, *__restrict angle = w->angle;
    double *__restrict square = w->part, *__restrict root = w->u;
    double fx = step * p->fast[0], fy = step * p->fast[1], fz = step * p->fast[2], area = p->pixel * p->pixel;
    double close_distance = p->close_distance + p->deepening * depth;
    int point = p->point_pixel, i;
    for (i = 0; i < n; i++) {
        x[i] = start[0] + fx * place[i];
        y[i] = start[1] + fy * place[i];
        z[i] = start[2] + fz * place[i];
    }
    if (p->curved)
        for (i = 0; i < n; i++) nb_curve(p->beam, p->fast, p->slow, p->distance, &x[i], &y[i], &z[i]);
    for (i = 0; i < n; i++) square[i] = x[i] * x[i] + y[i] * y[i] + z[i] * z[i];
    nb_inverse_roots(n, square, root);
    for (i = 0; i < n; i++) {
        double inverse = root[i];
        x[i] *= inverse;
        y[i] *= inverse;
        z[i] *= inverse;
        omega[i] = nb_solid_angle(inverse, area, close_distance, point);
        angle[i] += omega[i];
    }
}

/* The part of the photons that a layer of the sensor catches, into the solid angles. */
static void nb_tile_capture(const nb_background *p, int n, int layer, nb_tile_work *w)
{
    const double *__restrict x = w->x, *__restrict y = w->y, *__restrict z = w->z;
    double *__restrict omega = w->omega;
    int i;
    for (i = 0; i < n; i++) {
        double obliquity = p->normal[0] * x[i] + p->normal[1] * y[i] + p->normal[2] * z[i];
        omega[i] *= nb_capture(layer, p->absorption, obliquity);
    }
}

/* u = |d - s|/2. In the direct beam it is 0, of which rounding must not make something: with a curve that begins at 0
 * the pixel would not be dark. */
static void nb_tile_half_difference(int n, const double *s, nb_tile_work *w)
{
    const double *__restrict x = w->x, *__restrict y = w->y, *__restrict z = w->z;
    double *__restrict u = w->u;
    double sx = s[0], sy = s[1], sz = s[2];
    int i;
    for (i = 0; i < n; i++) {
        double dx = x[i] - sx, dy = y[i] - sy, dz = z[i] - sz, square = dx * dx + dy * dy + dz * dz;
        u[i] = 0.5 * sqrt(square > NB_SAME_DIRECTION ? square : 0.0);
    }
}

/* Kahn's factor times the solid angle, or the latter alone: returns where they are. The B and E vectors and the beam
 * are perpendicular unit vectors, so that cos 2 psi sin^2 2theta is e^2 - b^2, without a quotient that has no value in
 * the direct beam. */
static const double *nb_tile_polarization(const nb_background *p, int n, const nb_direction *s, nb_tile_work *w)
{
    const double *__restrict x = w->x, *__restrict y = w->y, *__restrict z = w->z, *__restrict omega = w->omega;
    double *__restrict polar = w->polar;
    double kahn = p->kahn;
    int i;
    if (!p->polarized) return w->omega;
    if (kahn == 0.0 || s->along) {
        for (i = 0; i < n; i++) {
            double c = s->incident[0] * x[i] + s->incident[1] * y[i] + s->incident[2] * z[i];
            polar[i] = 0.5 * (1.0 + c * c - kahn * (1.0 - c * c)) * omega[i];
        }
    } else {
        for (i = 0; i < n; i++) {
            double c = s->incident[0] * x[i] + s->incident[1] * y[i] + s->incident[2] * z[i];
            double e = s->E[0] * x[i] + s->E[1] * y[i] + s->E[2] * z[i];
            double b = s->B[0] * x[i] + s->B[1] * y[i] + s->B[2] * z[i];
            polar[i] = 0.5 * (1.0 + c * c - kahn * (e * e - b * b)) * omega[i];
        }
    }
    return w->polar;
}

/* at = u*factor, less the node of its piece; `piece` is filled up to the next multiple of 4 */
static void nb_tile_find(const nb_pieces *f, int n, double factor, nb_tile_work *w)
{
    const double *__restrict u = w->u, *node = f->node;
    const int *cell = f->cell;
    double *__restrict at = w->at;
    int *__restrict piece = w->piece;
    double per = factor * f->cells_per, last = f->last_cell;
    int stride = f->stride, pieces = f->pieces, i;
    for (i = 0; i < n; i++) {
        double c = u[i] * per;
        piece[i] = (int)(c < last ? c : last);
        at[i] = u[i] * factor;
    }
    if (stride == 1) {
        for (i = 0; i < n; i++) {
            int k = cell[piece[i]];
            k += node[k + 1] <= at[i];
            piece[i] = k;
            at[i] -= node[k];
        }
    } else {
        for (i = 0; i < n; i++) piece[i] = cell[piece[i]];
        for (; stride; stride >>= 1)
            for (i = 0; i < n; i++) {
                int k = piece[i] + stride;
                k = k < pieces ? k : pieces;
                piece[i] = node[k] <= at[i] ? k : piece[i];
            }
        for (i = 0; i < n; i++) at[i] -= node[piece[i]];
    }
    for (; i & 3; i++) piece[i] = 0;
}

#if defined(__AVX2__) && defined(__FMA__)
/* Four numbers of each of four pixels, from row[piece[i]*width] on, to a vector each. */
static inline void nb_columns(const double *row, const int *piece, int width, __m256d *column)
{
    int half;
    for (half = 0; half < 2; half++, row += 2) {
        __m256d even = _mm256_castpd128_pd256(_mm_loadu_pd(row + piece[0] * (long)width));
        __m256d odd = _mm256_castpd128_pd256(_mm_loadu_pd(row + piece[1] * (long)width));
        even = _mm256_insertf128_pd(even, _mm_loadu_pd(row + piece[2] * (long)width), 1);
        odd = _mm256_insertf128_pd(odd, _mm_loadu_pd(row + piece[3] * (long)width), 1);
        column[2 * half] = _mm256_unpacklo_pd(even, odd);
        column[2 * half + 1] = _mm256_unpackhi_pd(even, odd);
    }
}
#endif

/* part += weight * F|F| for F of the curve; first: of the first wavelength, instead of what is in part */
static void nb_tile_squares(const nb_pieces *f, int n, double weight, int first, nb_tile_work *w)
{
    const double *__restrict at = w->at, *c = f->coefficient;
    const int *__restrict piece = w->piece;
    double *__restrict part = w->part;
    int i;
#if defined(__AVX2__) && defined(__FMA__)
    const __m256d weights = _mm256_set1_pd(weight), sign = _mm256_set1_pd(-0.0);
    for (i = 0; i < n; i += 4) {
        __m256d column[4], t = _mm256_load_pd(at + i), F;
        nb_columns(c, piece + i, 4, column);
        F = _mm256_fmadd_pd(t, column[3], column[2]);
        F = _mm256_fmadd_pd(t, F, column[1]);
        F = _mm256_fmadd_pd(t, F, column[0]);
        F = _mm256_mul_pd(F, _mm256_andnot_pd(sign, F));
        F = first ? _mm256_mul_pd(weights, F) : _mm256_fmadd_pd(weights, F, _mm256_load_pd(part + i));
        _mm256_store_pd(part + i, F);
    }
#else
    for (i = 0; i < n; i++) {
        int k = 4 * piece[i];
        double t = at[i], F = c[k] + t * (c[k + 1] + t * (c[k + 2] + t * c[k + 3]));
        part[i] = (first ? 0.0 : part[i]) + weight * (F * fabs(F));
    }
#endif
}

/* part = the sum over a spectrum */
static void nb_tile_sextic(const nb_pieces *f, int n, nb_tile_work *w)
{
    const double *__restrict at = w->at, *c = f->coefficient;
    const int *__restrict piece = w->piece;
    double *__restrict part = w->part;
    int i;
#if defined(__AVX2__) && defined(__FMA__)
    for (i = 0; i < n; i += 4) {
        __m256d low[4], high[4], t = _mm256_load_pd(at + i), sum;
        nb_columns(c, piece + i, 8, low);
        nb_columns(c + 4, piece + i, 8, high);
        sum = _mm256_fmadd_pd(t, high[2], high[1]);
        sum = _mm256_fmadd_pd(t, sum, high[0]);
        sum = _mm256_fmadd_pd(t, sum, low[3]);
        sum = _mm256_fmadd_pd(t, sum, low[2]);
        sum = _mm256_fmadd_pd(t, sum, low[1]);
        _mm256_store_pd(part + i, _mm256_fmadd_pd(t, sum, low[0]));
    }
#else
    for (i = 0; i < n; i++) {
        int k = 8 * piece[i];
        double t = at[i], high = c[k + 4] + t * (c[k + 5] + t * c[k + 6]);
        part[i] = c[k] + t * (c[k + 1] + t * (c[k + 2] + t * (c[k + 3] + t * high)));
    }
#endif
}

/* pixels: F of the last step */
static void nb_tile_map(const nb_background *p, int n, nb_tile_work *w)
{
    const double *__restrict at = w->at, *c = p->curve.coefficient;
    const int *__restrict piece = w->piece;
    double *__restrict acc = w->acc;
    int i;
    nb_tile_half_difference(n, p->direction[p->last_direction].incident, w);
    nb_tile_find(&p->curve, n, p->last_inverse, w);
    for (i = 0; i < n; i++) {
        int k = 4 * piece[i];
        double t = at[i];
        acc[i] = c[k] + t * (c[k + 1] + t * (c[k + 2] + t * c[k + 3]));
    }
}

/* Whether the work is to be dropped, because of a signal; asked where so many steps have been done. */
static inline int nb_tile_drop(nb_tile_work *w, long steps)
{
    if (!w->dropped) w->dropped = nb_dropped(w->watch, &w->counted, steps);
    return w->dropped;
}

/* One sub-pixel of every pixel of the tile. */
static void nb_tile_substep(const nb_background *p, int n, nb_tile_work *w)
{
    double *__restrict acc = w->acc;
    const double *__restrict part = w->part, *polar;
    int d, s, i;
    for (d = 0; d < p->directions; d++) {
        const nb_direction *direction = &p->direction[d];
        const nb_spectrum *spectrum = &p->spectrum[direction->spectrum];
        if (nb_tile_drop(w, 4 * n)) return;
        nb_tile_half_difference(n, direction->incident, w);
        polar = nb_tile_polarization(p, n, direction, w);
        if (spectrum->merged) {
            nb_tile_find(&spectrum->pieces, n, 1.0, w);
            nb_tile_sextic(&spectrum->pieces, n, w);
        } else {
            for (s = spectrum->first; s < spectrum->first + spectrum->count; s++) {
                nb_tile_find(&p->curve, n, p->inverse[s], w);
                nb_tile_squares(&p->curve, n, p->weight[s], s == spectrum->first, w);
                if (nb_tile_drop(w, 2 * n)) return;
            }
        }
        for (i = 0; i < n; i++) acc[i] += part[i] * polar[i];
    }
}

/* n <= NB_TILE pixels of row `slow` from column `fast` on, and their share in the statistics. */
static void nb_background_tile(const nb_background *p, int slow, int fast, int n, nb_tile_work *w, float *image)
{
    double *__restrict acc = w->acc, *__restrict sum = w->sum, *__restrict squares = w->squares;
    float *__restrict top = w->top, *__restrict out = image;
    double start[3], f, s, o, scale = p->map ? 1.0 : p->scale;
    const double nothing = p->map ? -0.0 : 0.0;  /* as in the reference, which adds photons to 0: no pixel is -0 */
    int layer, sub_slow, sub_fast, i;
    for (i = 0; i < n; i++) acc[i] = 0.0;
    for (layer = 0; layer < p->layers; layer++) {
        o = p->first_depth + layer * p->thickstep;
        for (sub_slow = 0; sub_slow < p->oversample; sub_slow++)
            for (sub_fast = 0; sub_fast < p->oversample; sub_fast++) {
                if (nb_tile_drop(w, n)) return;
                f = p->subpixel * ((double)fast * p->oversample + sub_fast) + p->subpixel / 2.0;
                s = p->subpixel * ((double)slow * p->oversample + sub_slow) + p->subpixel / 2.0;
                for (i = 0; i < 3; i++) start[i] = f * p->fast[i] + s * p->slow[i] + p->origin[i];
                if (o != 0.0)
                    for (i = 0; i < 3; i++) start[i] += o * p->normal[i];
                nb_tile_geometry(p, n, start, p->subpixel * p->oversample, o, w);
                if (p->sensor) nb_tile_capture(p, n, layer, w);
                if (!p->map) nb_tile_substep(p, n, w);
            }
    }
    if (p->map) nb_tile_map(p, n, w);
    for (i = 0; i < n; i++) {
        float value = (float)(acc[i] * scale + nothing);
        out[i] = value;
        sum[i] += value;
        squares[i] += value * value;
        top[i] = value > top[i] ? value : top[i];
    }
}

static double nb_total(const double *values)
{
    double sum = 0.0;
    int i;
    for (i = 0; i < NB_TILE; i++) sum += values[i];
    return sum;
}

/* Rows first to last - 1; statistics: sum, sum of squares, solid angle, largest value. */
static void nb_background_rows(const nb_background *p, int first, int last, nb_tile_work *w, float *image,
                               double *statistics)
{
    int slow, fast, i;
    float top = 0.0f;
    for (i = 0; i < NB_TILE; i++) {
        w->place[i] = i;
        w->sum[i] = w->squares[i] = w->angle[i] = 0.0;
        w->top[i] = 0.0f;
    }
    for (slow = first; slow < last; slow++)
        for (fast = p->fast_min; fast <= p->fast_max; fast += NB_TILE) {
            int n = p->fast_max + 1 - fast < NB_TILE ? p->fast_max + 1 - fast : NB_TILE;
            nb_background_tile(p, slow, fast, n, w, image + (long)slow * p->fpixels + fast);
            if (w->dropped) return;
        }
    for (i = 0; i < NB_TILE; i++) top = w->top[i] > top ? w->top[i] : top;
    statistics[0] = nb_total(w->sum);
    statistics[1] = nb_total(w->squares);
    statistics[2] = nb_total(w->angle);
    statistics[3] = top;
}

#endif
