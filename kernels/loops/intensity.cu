/* The image on a CUDA device: a block renders a segment of a row, a thread NB_PIXELS pixels of it.
 *
 * Compile-time choices (see nanobragg_py/render/gpu/modules.py): NB_KIND, the lattice transform; NB_STRUCTURE, where
 * structure factors come from; NB_CURVED, a curved detector; NB_SINGLE, lattice transforms in float32. What only the
 * outer loops ask for (layers, sub-pixels, corrections for each contribution) is looked up as they run.
 *
 * As on the CPU a Miller index on a flat detector is inv_airpath*(P + Q*i) - R. A chunk of P, Q, R is worked out by the
 * block together and kept in shared memory, where every thread reads the same nine numbers at the same time. A pixel's
 * contributions are added by one thread in the reference's order, in double.
 */
#include "nb_device.h"
#include "nb_geometry.h"
#include "nb_job.h"
#include "nb_statistics.h"

static_assert(NB_KIND >= 0 && NB_KIND < NB_KIND_COUNT, "NB_KIND is none of the lattice transforms");

#define NB_THREADS 128
#define NB_PIXELS (NB_STRUCTURE == NB_TRICUBIC ? 1 : 2) /* 2: numbers read from shared memory serve twice */
#define NB_SEGMENT (NB_THREADS * NB_PIXELS)
#define NB_ROW 10 /* doubles of an orientation in shared memory: nine, and one that keeps rows at 16 bytes */

#define NB_EACH_PIXEL _Pragma("unroll") for (int k = 0; k < NB_PIXELS; ++k)

#if NB_SINGLE
typedef float nb_part;
#define NB_TRANSFORM(h, k, l) nb_single_sqr(NB_KIND, &p.lattice, (float)(h), (float)(k), (float)(l))
#else
typedef double nb_part;
#define NB_TRANSFORM(h, k, l) nb_lattice_sqr(NB_KIND, &p.lattice, h, k, l)
#endif

/* A pixel that was worked out elsewhere; slow < 0: none. */
typedef struct {
    int slow, fast;
    float value;
} nb_override;

typedef struct {
    int lit;            /* in the region of interest, and the mask leaves it */
    int passed;         /* dmin lets the present source pass */
    double place;       /* pixels from the segment's first */
    double x, y, z;     /* diffracted unit vector */
    double inv;         /* 1/airpath */
    double q[3];        /* scattering vector for the present source */
    nb_part part;       /* the sum over the present run of orientations */
    double sum;
    double omega, capture, polar;
    double angle;       /* sum of the solid angle */
    long long outside;  /* steps that could not be interpolated */
} nb_pixel;

/* What a pixel takes from a launch to the next, where its work is cut. */
typedef struct {
    double sum, omega, capture, polar, angle;
    long long outside;
} nb_carried;

/* Where a sub-pixel is, and what follows from that. sub: its number, slow axis outermost. */
NB_FN void nb_locate(const nb_job &p, const double *start, const double *step, int layer, int sub, nb_pixel &pixel)
{
    double x = start[0] + pixel.place * step[0], y = start[1] + pixel.place * step[1];
    double z = start[2] + pixel.place * step[2];
#if NB_CURVED
    nb_curve(p.beam, p.fast, p.slow, p.distance, &x, &y, &z);
#endif
    pixel.inv = 1.0 / sqrt(x * x + y * y + z * z);
    pixel.x = x * pixel.inv;
    pixel.y = y * pixel.inv;
    pixel.z = z * pixel.inv;
    if (pixel.omega == 0.0 || p.weight_omega)
        pixel.omega = nb_solid_angle(pixel.inv, p.pixel * p.pixel,
                                     p.close_distance + p.deepening * (p.first_depth + layer * p.thickstep),
                                     p.point_pixel);
    if ((p.sensor && sub == 0) || p.weight_thick)
        pixel.capture = nb_capture(layer, p.absorption,
                                   pixel.x * p.normal[0] + pixel.y * p.normal[1] + pixel.z * p.normal[2]);
}

/* What has to be known of a source before the sum over orientations. */
NB_FN void nb_meet_source(const nb_job &p, const double *source, nb_pixel &pixel)
{
    const double x = pixel.x, y = pixel.y, z = pixel.z;
    pixel.q[0] = (x - source[0]) * source[3];
    pixel.q[1] = (y - source[1]) * source[3];
    pixel.q[2] = (z - source[2]) * source[3];
    pixel.passed = nb_passes_dmin(p.dmin, pixel.q);
    if (!pixel.passed && p.diffuse == 0.0) return;
    if (p.polarized && (pixel.polar == 0.0 || p.weight_polar))
        pixel.polar = nb_polarization(p.kahn, source[0] * x + source[1] * y + source[2] * z,
                                      source[4] * x + source[5] * y + source[6] * z,
                                      source[7] * x + source[8] * y + source[9] * z);
}

/* One axis of an orientation as the threads want it: P, Q, R, or for a curved detector the cell vector itself. */
NB_FN void nb_prepare(const double *cells, long long stride, const double *source, const double *start,
                      const double *step, double *out)
{
    const double v[3] = {cells[0], cells[stride], cells[2 * stride]};
#if NB_CURVED
    out[0] = v[0];
    out[1] = v[1];
    out[2] = v[2];
#else
    out[0] = nb_dot(v, start) * source[3];
    out[1] = nb_dot(v, step) * source[3];
    out[2] = nb_dot(v, source) * source[3];
#endif
}

/* F_cell^2 F_latt^2 of one orientation (without F_cell where that is the same everywhere). */
NB_FN nb_part nb_contribution(const nb_job &p, const double *table, const double *m, nb_pixel &pixel)
{
#if NB_CURVED
    const double h = nb_dot(m, pixel.q), k = nb_dot(m + 3, pixel.q), l = nb_dot(m + 6, pixel.q);
#else
    const double h = pixel.inv * (m[0] + m[1] * pixel.place) - m[2];
    const double k = pixel.inv * (m[3] + m[4] * pixel.place) - m[5];
    const double l = pixel.inv * (m[6] + m[7] * pixel.place) - m[8];
#endif
#if NB_STRUCTURE == NB_CONSTANT
    return NB_TRANSFORM(h - nb_rint(h), k - nb_rint(k), l - nb_rint(l));
#else
    const double h0 = nb_nearest(h), k0 = nb_nearest(k), l0 = nb_nearest(l);
    double F;
#if NB_STRUCTURE == NB_TRICUBIC
    if (nb_box_safe(&p.box, h, k, l)) F = nb_box_interpolate(&p.box, table, h, k, l);
    else {
        F = table[nb_box_element(&p.box, h0, k0, l0)];
        pixel.outside += pixel.lit;
    }
#else
    F = table[nb_box_element(&p.box, h0, k0, l0)];
#endif
    return (nb_part)(F * F) * NB_TRANSFORM(h - h0, k - k0, l - l0);
#endif
}

/* The sum over a run of orientations joins the pixel's, and with it what is diffuse, once a source. */
NB_FN void nb_add(const nb_job &p, const double *source, double diffuse, nb_pixel &pixel)
{
    double part = pixel.passed ? pixel.part + diffuse : diffuse;
    pixel.part = 0;
    if (p.weight_source) part *= source[NB_SOURCE_WEIGHT];
    if (p.weight_thick) part *= pixel.capture;
    if (p.weight_polar) part *= pixel.polar;
    if (p.weight_omega) part *= pixel.omega;
    pixel.sum += part;
}

/* Photons in the pixel. */
NB_FN float nb_photons(const nb_job &p, const nb_pixel &pixel)
{
    const double f2 = NB_STRUCTURE == NB_CONSTANT ? p.default_F * p.default_F : 1.0;
    double photons = (p.background + f2 * pixel.sum) * p.scale;
    if (p.sensor && !p.weight_thick) photons *= pixel.capture;
    if (p.polarized && !p.weight_polar) photons *= pixel.polar;
    if (!p.weight_omega) photons *= pixel.omega;
    return pixel.lit ? nb_float(photons) : 0.0f;
}

/* sources: p.sources x NB_SOURCE_SIZE. tables: where in `table` each one's structure factors begin. cells: 9 x stride.
 * table: the first element of the padded box, or null. mask: of the image, or null. begin, end: the pieces (nb_cut) of
 * every pixel that this launch adds. carried: NB_SEGMENT for each block, what the launches before have left and the
 * next ones want, or null where one launch does all. image: rows from first_slow on, p.fpixels each; partials: one a
 * block; written by the launch that has the last piece.
 * Grid: segments of the region of interest along the fast axis, rows. Block: NB_THREADS. */
extern "C" __global__ void __launch_bounds__(NB_THREADS, 3)
    nb_intensity(const nb_job p, const nb_override replaced, const double *__restrict__ sources,
                 const double *__restrict__ tables, const double *__restrict__ cells, long long stride,
                 const double *__restrict__ table, const unsigned short *__restrict__ mask, int first_slow,
                 long long begin, long long end, nb_carried *__restrict__ carried, float *__restrict__ image,
                 nb_statistics *__restrict__ partials)
{
    __shared__ __align__(16) double chunk[NB_CHUNK * NB_ROW];
    __shared__ nb_statistics tally[NB_THREADS];
    const int thread = threadIdx.x, slow = first_slow + blockIdx.y, segment = p.fast_min + blockIdx.x * NB_SEGMENT;
    const long long block = (long long)blockIdx.y * gridDim.x + blockIdx.x;
    const int subs = p.oversample * p.oversample;
    const nb_cut cut = nb_cut_of(&p);
    /* F_cell^2 of a crystal that has one for all indices is left to the end */
    const double diffuse = NB_STRUCTURE == NB_CONSTANT ? p.diffuse / (p.default_F * p.default_F) : p.diffuse;
    nb_pixel pixel[NB_PIXELS];
    int any = 0;

    NB_EACH_PIXEL {
        const int fast = segment + thread + k * NB_THREADS;
        nb_carried before = {0.0, 0.0, 0.0, 0.0, 0.0, 0};
        if (begin > 0) before = carried[block * NB_SEGMENT + k * NB_THREADS + thread];
        pixel[k].lit = fast <= p.fast_max && (!mask || mask[(long long)slow * p.fpixels + fast] != 0);
        pixel[k].place = thread + k * NB_THREADS;
        pixel[k].part = 0;
        pixel[k].sum = before.sum;
        pixel[k].omega = before.omega;
        pixel[k].capture = before.capture;
        pixel[k].polar = before.polar;
        pixel[k].angle = before.angle;
        pixel[k].outside = before.outside;
        any |= pixel[k].lit;
    }
    any = __syncthreads_or(any); /* a block that the mask darkens has nothing to do */
    /* where the pieces begin: a sub-pixel of a layer, a group, an orientation */
    long long place = begin / cut.runs / cut.groups;
    int group = begin / cut.runs % cut.groups, first = begin % cut.runs * NB_CHUNK;
    for (long long left = any ? end - begin : 0; left > 0; ++place, group = 0) {
        const int layer = place / subs, sub = place % subs;
        const double f = p.subpixel * (segment * p.oversample + sub % p.oversample) + p.subpixel / 2.0;
        const double s = p.subpixel * (slow * p.oversample + sub / p.oversample) + p.subpixel / 2.0;
        const double depth = p.first_depth + layer * p.thickstep;
        double start[3], step[3];
        for (int i = 0; i < 3; ++i) {
            start[i] = f * p.fast[i] + s * p.slow[i] + depth * p.normal[i] + p.origin[i];
            step[i] = p.pixel * p.fast[i];
        }
        NB_EACH_PIXEL {
            nb_locate(p, start, step, layer, sub, pixel[k]);
            if (pixel[k].lit && group == 0 && first == 0) pixel[k].angle += pixel[k].omega;
        }
        for (; left > 0 && group < cut.groups; ++group, first = 0) {
            const double *source = sources + group * NB_SOURCE_SIZE;
            const double *of_source = p.tables > 0 ? table + (long long)tables[group] : table;
            NB_EACH_PIXEL nb_meet_source(p, source, pixel[k]);
            for (; left > 0 && first < cut.members; first += NB_CHUNK, --left) {
                const int count = cut.members - first < NB_CHUNK ? cut.members - first : NB_CHUNK;
                __syncthreads();
                for (int item = thread; item < 3 * count; item += NB_THREADS) {
                    const int row = item / 3, axis = item % 3, member = first + row;
                    nb_prepare(cells + 3 * axis * stride + member % p.orientations, stride,
                               source + member / p.orientations * NB_SOURCE_SIZE, start, step,
                               chunk + row * NB_ROW + 3 * axis);
                }
                __syncthreads();
                for (int j = 0; j < count; ++j)
                    NB_EACH_PIXEL pixel[k].part += nb_contribution(p, of_source, chunk + j * NB_ROW, pixel[k]);
                NB_EACH_PIXEL nb_add(p, source, first == 0 ? diffuse : 0.0, pixel[k]);
            }
        }
    }
    if (end < cut.pieces) {
        NB_EACH_PIXEL {
            const nb_carried after = {pixel[k].sum,   pixel[k].omega, pixel[k].capture,
                                      pixel[k].polar, pixel[k].angle, pixel[k].outside};
            carried[block * NB_SEGMENT + k * NB_THREADS + thread] = after;
        }
        return;
    }

    nb_statistics mine = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1, 0, 0};
    NB_EACH_PIXEL {
        const int fast = segment + thread + k * NB_THREADS;
        mine.angle += pixel[k].angle;
        mine.outside += pixel[k].outside;
        if (fast <= p.fast_max) {
            float value = nb_photons(p, pixel[k]);
            if (slow == replaced.slow && fast == replaced.fast) value = replaced.value;
            image[(long long)blockIdx.y * p.fpixels + fast] = value;
            const double counted = nb_double(value), square = nb_double(nb_float(counted * counted));
            nb_count_pixel(&mine, counted, square, (long long)slow * p.fpixels + fast, pixel[k].lit);
        }
    }
    tally[thread] = mine;
    for (int width = NB_THREADS / 2; width > 0; width /= 2) {
        __syncthreads();
        if (thread < width) nb_merge(&tally[thread], &tally[thread + width]);
    }
    if (thread == 0) partials[block] = tally[0];
}
