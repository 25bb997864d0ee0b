/* Images on a CUDA device: a block renders a segment of a row of one, a thread NB_PIXELS pixels of it.
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

/* Numbers read from shared memory serve for all pixels of a thread: NB_PIXELS (nanobragg_py/render/gpu/variants.py).
 * Blocks of a multiprocessor: 512 threads with 128 registers each; 384 with 168 where that is too few; 640 with 96 in
 * float32, whose longer transforms wait for what they have just worked out. (Measured on an H100.) */
#define NB_THREADS (NB_PIXELS == 4 ? 64 : 128)
#define NB_BLOCKS (NB_PIXELS == 4 ? 6 : NB_PIXELS == 1 ? 3 : NB_SINGLE ? 5 : 4)
#define NB_SEGMENT (NB_THREADS * NB_PIXELS)
/* indices as NB_SINGLE_SHIFT and themselves, whose bits give fraction and whole number without a conversion */
#define NB_SHIFTED (NB_SINGLE && NB_STRUCTURE != NB_TRICUBIC)
/* orientations without a spot near are left out, of shapes whose spots end */
#define NB_CULLS (!NB_CURVED && NB_STRUCTURE != NB_TRICUBIC)
#define NB_ROW 10 /* doubles of an orientation in shared memory: nine, and one that keeps rows at 16 bytes */

#define NB_EACH_PIXEL _Pragma("unroll") for (int k = 0; k < NB_PIXELS; ++k)

#if NB_SINGLE
typedef float nb_part;
#define NB_TRANSFORM(h, k, l) nb_single_sqr(NB_KIND, &p.lattice, (float)(h), (float)(k), (float)(l))
#else
typedef double nb_part;
#define NB_TRANSFORM(h, k, l) nb_lattice_sqr(NB_KIND, &p.lattice, h, k, l)
#endif

typedef struct {
    int lit;            /* in the region of interest, and the mask leaves it */
    int passed;         /* dmin lets the present source pass */
    double place;       /* pixels from the segment's first */
    double inv;         /* 1/airpath */
#if NB_CURVED
    double x, y, z;     /* diffracted unit vector */
    double q[3];        /* scattering vector for the present source */
#endif
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

/* The diffracted unit vector, which on a flat detector is worked out where it is wanted: registers are dearer. */
NB_FN void nb_direction(const double *start, const double *step, const nb_pixel &pixel, double *d)
{
#if NB_CURVED
    d[0] = pixel.x;
    d[1] = pixel.y;
    d[2] = pixel.z;
#else
    for (int i = 0; i < 3; ++i) d[i] = (start[i] + pixel.place * step[i]) * pixel.inv;
#endif
}

/* Where a sub-pixel is, and what follows from that. sub: its number, slow axis outermost. */
NB_FN void nb_locate(const nb_job &p, const double *start, const double *step, int layer, int sub, nb_pixel &pixel)
{
    double x = start[0] + pixel.place * step[0], y = start[1] + pixel.place * step[1];
    double z = start[2] + pixel.place * step[2];
#if NB_CURVED
    nb_curve(p.beam, p.fast, p.slow, p.distance, &x, &y, &z);
#endif
    pixel.inv = 1.0 / sqrt(x * x + y * y + z * z);
#if NB_CURVED
    pixel.x = x * pixel.inv;
    pixel.y = y * pixel.inv;
    pixel.z = z * pixel.inv;
#endif
    if (pixel.omega == 0.0 || p.weight_omega)
        pixel.omega = nb_solid_angle(pixel.inv, p.pixel * p.pixel,
                                     p.close_distance + p.deepening * (p.first_depth + layer * p.thickstep),
                                     p.point_pixel);
    if ((p.sensor && sub == 0) || p.weight_thick) {
        double d[3];
        nb_direction(start, step, pixel, d);
        pixel.capture = nb_capture(layer, p.absorption, nb_dot(d, p.normal));
    }
}

/* What has to be known of a source before the sum over orientations. */
NB_FN void nb_meet_source(const nb_job &p, const double *source, const double *start, const double *step,
                          nb_pixel &pixel)
{
    double d[3], q[3];
    nb_direction(start, step, pixel, d);
    for (int i = 0; i < 3; ++i) q[i] = (d[i] - source[i]) * source[3];
#if NB_CURVED
    for (int i = 0; i < 3; ++i) pixel.q[i] = q[i];
#endif
    pixel.passed = nb_passes_dmin(p.dmin, q);
    if (!pixel.passed && p.diffuse == 0.0) return;
    if (p.polarized && (pixel.polar == 0.0 || p.weight_polar))
        pixel.polar = nb_polarization(p.kahn, nb_dot(source, d), nb_dot(source + 4, d), nb_dot(source + 7, d));
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
    out[2] = nb_dot(v, source) * source[3] - (NB_SHIFTED ? NB_SINGLE_SHIFT : 0.0);
#endif
}

/* F_cell^2 F_latt^2 of one orientation (without F_cell where that is the same everywhere). */
NB_FN nb_part nb_contribution(const nb_job &p, const nb_whole_box &box, const double *table, const double *m,
                              nb_pixel &pixel)
{
#if NB_CURVED
    const double shift = NB_SHIFTED ? NB_SINGLE_SHIFT : 0.0;
    const double h = nb_dot(m, pixel.q) + shift, k = nb_dot(m + 3, pixel.q) + shift;
    const double l = nb_dot(m + 6, pixel.q) + shift;
#else
    const double h = pixel.inv * (m[0] + m[1] * pixel.place) - m[2];
    const double k = pixel.inv * (m[3] + m[4] * pixel.place) - m[5];
    const double l = pixel.inv * (m[6] + m[7] * pixel.place) - m[8];
#endif
#if NB_SHIFTED
    const float part = NB_TRANSFORM(nb_single_fraction(h), nb_single_fraction(k), nb_single_fraction(l));
#if NB_STRUCTURE == NB_CONSTANT
    return part;
#else
    const float F = (float)table[nb_whole_element(&box, nb_single_whole(h), nb_single_whole(k), nb_single_whole(l))];
    return F * F * part;
#endif
#elif NB_STRUCTURE == NB_CONSTANT
    return NB_TRANSFORM(h - nb_rint(h), k - nb_rint(k), l - nb_rint(l));
#else
    const double h0 = nb_nearest(h), k0 = nb_nearest(k), l0 = nb_nearest(l);
    double F;
#if NB_STRUCTURE == NB_TRICUBIC
    if (nb_box_safe(&p.box, h, k, l)) F = nb_box_interpolate(&p.box, table, h, k, l);
    else {
        F = table[nb_whole_element(&box, nb_whole(h0), nb_whole(k0), nb_whole(l0))];
        pixel.outside += pixel.lit;
    }
#else
    F = table[nb_whole_element(&box, nb_whole(h0), nb_whole(k0), nb_whole(l0))];
#endif
    return (nb_part)(F * F) * NB_TRANSFORM(h - h0, k - k0, l - l0);
#endif
}

#if NB_CULLS
/* Of the `count` rows of a chunk those stay, in their order, that have a spot within reach of the segment's pixels: the
 * first and last of them are at t0 and t1 along the row, that begins at `along` and is off^1/2 from the crystal.
 * Returns how many; all threads have to come here, and leave after a barrier. */
NB_FN int nb_keep_near(const nb_job &p, double *chunk, int count, double along, double step, double off, double t0,
                       double t1, unsigned int *near)
{
    const int j = threadIdx.x;
    const double inv0 = 1.0 / sqrt(t0 * t0 + off), inv1 = 1.0 / sqrt(t1 * t1 + off);
    double row[9];
    if (j < 2) near[j] = 0;
    __syncthreads();
    if (j < count) {
        int stays = 1;
        for (int axis = 0; axis < 3; ++axis) {
            const double *index = chunk + j * NB_ROW + 3 * axis, shift = NB_SHIFTED ? NB_SINGLE_SHIFT : 0.0;
            const double distance =
                nb_row_distance(index[0], index[1], index[2] + shift, along, step, off, t0, t1, inv0, inv1);
            stays &= !(p.lattice.reach[axis] * distance * distance > p.lattice.limit);
        }
        if (stays) atomicOr(near + j / 32, 1u << j % 32);
    }
    __syncthreads();
    const int stays = j < count && near[j / 32] >> j % 32 & 1;
    for (int i = 0; stays && i < 9; ++i) row[i] = chunk[j * NB_ROW + i];
    __syncthreads();
    if (stays) {
        const int place = (j >= 32 ? __popc(near[0]) : 0) + __popc(near[j / 32] & ((1u << j % 32) - 1));
        for (int i = 0; i < 9; ++i) chunk[place * NB_ROW + i] = row[i];
    }
    __syncthreads();
    return __popc(near[0]) + __popc(near[1]);
}
#endif

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

/* shots: the images, one for every blockIdx.z. inputs, all_cells: what their offsets are places in. table: the first
 * element of the padded box, or null. mask: of the images, or null. begin, end: the pieces (nb_cut) of every pixel that
 * this launch adds; an end beyond the last: all. carried: NB_SEGMENT for each block, what the launches before have left
 * and the next ones want, or null where one launch does all. images: rows from first_slow on, fpixels each, of every
 * shot; partials: one a block; written by the launch that has the last piece. All shots have one size and region of
 * interest. Grid: segments of the region of interest along the fast axis, rows, shots. Block: NB_THREADS. */
extern "C" __global__ void __launch_bounds__(NB_THREADS, NB_BLOCKS)
    nb_intensity(const nb_shot *__restrict__ shots, const double *__restrict__ inputs,
                 const double *__restrict__ all_cells, const double *__restrict__ table,
                 const unsigned short *__restrict__ mask, int first_slow, long long begin, long long end,
                 nb_carried *__restrict__ carried, float *__restrict__ images, nb_statistics *__restrict__ partials)
{
    /* the image's numbers, where all threads read the same ones */
    __shared__ union {
        nb_shot shot;
        long long words[sizeof(nb_shot) / sizeof(long long)];
    } known;
    __shared__ __align__(16) double chunk[NB_CHUNK * NB_ROW];
    __shared__ nb_statistics tally[NB_THREADS];
#if NB_CULLS
    __shared__ unsigned int near[2];
#endif
    const int thread = threadIdx.x;
    for (int i = thread; i < (int)(sizeof(nb_shot) / sizeof(long long)); i += NB_THREADS)
        known.words[i] = ((const long long *)(shots + blockIdx.z))[i];
    __syncthreads();
    const nb_job &p = known.shot.job;
    const double *__restrict__ sources = inputs + known.shot.sources;
    const double *__restrict__ cells = all_cells + known.shot.cells;
    const long long stride = known.shot.stride;
    const int slow = first_slow + blockIdx.y, segment = p.fast_min + blockIdx.x * NB_SEGMENT;
    const long long row = (long long)blockIdx.z * gridDim.y + blockIdx.y, block = row * gridDim.x + blockIdx.x;
    const nb_whole_box box = nb_box_whole(&p.box);
    const int subs = p.oversample * p.oversample;
    const nb_cut cut = nb_cut_of(&p);
    if (end > cut.pieces) end = cut.pieces;
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
#if NB_CULLS
        const double along = nb_dot(start, p.fast), off = nb_dot(start, start) - along * along;
        const int last = (segment + NB_SEGMENT <= p.fast_max ? NB_SEGMENT : p.fast_max + 1 - segment) - 1;
#endif
        NB_EACH_PIXEL {
            nb_locate(p, start, step, layer, sub, pixel[k]);
            if (pixel[k].lit && group == 0 && first == 0) pixel[k].angle += pixel[k].omega;
        }
        for (; left > 0 && group < cut.groups; ++group, first = 0) {
            const double *source = sources + group * NB_SOURCE_SIZE;
            const double *of_source = p.tables > 0 ? table + (long long)inputs[known.shot.tables + group] : table;
            NB_EACH_PIXEL nb_meet_source(p, source, start, step, pixel[k]);
            for (; left > 0 && first < cut.members; first += NB_CHUNK, --left) {
                int count = cut.members - first < NB_CHUNK ? cut.members - first : NB_CHUNK;
                __syncthreads();
                for (int item = thread; item < 3 * count; item += NB_THREADS) {
                    const int row = item / 3, axis = item % 3, member = first + row;
                    nb_prepare(cells + 3 * axis * stride + member % p.orientations, stride,
                               source + member / p.orientations * NB_SOURCE_SIZE, start, step,
                               chunk + row * NB_ROW + 3 * axis);
                }
                __syncthreads();
#if NB_CULLS
                if (nb_can_end(NB_KIND, &p.lattice) && p.lattice.limit > 0.0)
                    count = nb_keep_near(p, chunk, count, along, p.pixel, off, along, along + p.pixel * last, near);
#endif
#pragma unroll 2
                for (int j = 0; j < count; ++j)
                    NB_EACH_PIXEL pixel[k].part += nb_contribution(p, box, of_source, chunk + j * NB_ROW, pixel[k]);
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
            if (slow == known.shot.slow && fast == known.shot.fast) value = known.shot.value;
            images[row * p.fpixels + fast] = value;
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
