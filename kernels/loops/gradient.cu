/* Derivatives of the image on a CUDA device: what kernels/loops/gradient.pyx sums in reverse, in two passes.
 *
 * nb_derive has a thread for a pixel and goes through all orientations: the pixel in double, and what the weighted
 * sum of pixels changes by for the numbers of sources, detector, shape and factors. nb_turned has a thread for an
 * orientation and goes through a part of the pixels: the derivatives by the nine components of that orientation's cell
 * vectors stay in its registers. Every sum has a fixed order, and no two threads add to one number.
 *
 * Compile-time choices are those of intensity.cu, but for NB_SINGLE.
 */
#include "nb_device.h"
#include "nb_geometry.h"
#include "nb_job.h"

#define NB_THREADS 128
#define NB_ROW 9

/* where numbers begin among those that derivatives are by: as the enum of slopes.pxi, a test compares them */
#define NB_ORIGIN 0
#define NB_FAST 3
#define NB_SLOW 6
#define NB_NORMAL 9
#define NB_BEAM 12
#define NB_DISTANCE 15
#define NB_CLOSE 16
#define NB_SCALE 17
#define NB_BACKGROUND 18
#define NB_FACTOR 19
#define NB_SHAPE 20
#define NB_CELL 27
#define NB_DIFFUSE 36
#define NB_HEAD 37
#define NB_PER_SOURCE 11

/* A pixel's sub-pixel in a layer. */
typedef struct {
    double f, s, depth; /* along the axes from the first pixel's corner, m */
    double d[3], inv;   /* diffracted direction, 1/airpath */
    double y, z;        /* flat position's, that a curved detector is made of */
    double close;       /* distance along the normal that makes the solid angle */
} nb_spot;

NB_FN void nb_find_spot(const nb_job &p, int slow, int fast, int layer, int sub, nb_spot &at)
{
    double x[3];
    at.f = p.subpixel * ((double)fast * p.oversample + sub % p.oversample) + p.subpixel / 2.0;
    at.s = p.subpixel * ((double)slow * p.oversample + sub / p.oversample) + p.subpixel / 2.0;
    at.depth = p.first_depth + layer * p.thickstep;
    at.close = p.close_distance + p.deepening * at.depth;
    for (int i = 0; i < 3; ++i) x[i] = at.f * p.fast[i] + at.s * p.slow[i] + at.depth * p.normal[i] + p.origin[i];
    at.y = x[1];
    at.z = x[2];
#if NB_CURVED
    nb_curve(p.beam, p.fast, p.slow, p.distance, x, x + 1, x + 2);
#endif
    at.inv = 1.0 / sqrt(nb_dot(x, x));
    for (int i = 0; i < 3; ++i) at.d[i] = x[i] * at.inv;
}

NB_FN double nb_spot_omega(const nb_job &p, const nb_spot &at)
{
    return nb_solid_angle(at.inv, p.pixel * p.pixel, at.close, p.point_pixel);
}

NB_FN double nb_spot_capture(const nb_job &p, const nb_spot &at, int layer)
{
    return nb_capture(layer, p.absorption, nb_dot(at.d, p.normal));
}

NB_FN double nb_spot_polar(const nb_job &p, const nb_spot &at, const double *source)
{
    return nb_polarization(p.kahn, nb_dot(at.d, source), nb_dot(at.d, source + 4), nb_dot(at.d, source + 7));
}

NB_FN int nb_spot_passes(const nb_job &p, const nb_spot &at, const double *source, double *q)
{
    for (int i = 0; i < 3; ++i) q[i] = (at.d[i] - source[i]) * source[3];
    return nb_passes_dmin(p.dmin, q);
}

/* What a source's share of the sum is multiplied by, the dmin cut aside. */
NB_FN double nb_share(const nb_job &p, const nb_spot &at, int layer, const double *source)
{
    double share = source[NB_SOURCE_WEIGHT];
    if (p.weight_thick) share *= nb_spot_capture(p, at, layer);
    if (p.weight_polar) share *= nb_spot_polar(p, at, source);
    if (p.weight_omega) share *= nb_spot_omega(p, at);
    return share;
}

/* Corrections for the whole pixel: those of the first sub-pixel, and of the first source that dmin lets pass; the last
 * layer's capture. */
NB_FN double nb_whole(const nb_job &p, int slow, int fast, const double *sources)
{
    const int subs = p.oversample * p.oversample;
    double whole = 1.0, q[3];
    nb_spot at;
    if (p.sensor && !p.weight_thick) {
        nb_find_spot(p, slow, fast, p.layers - 1, 0, at);
        whole = nb_spot_capture(p, at, p.layers - 1);
    }
    if (!p.weight_omega) {
        nb_find_spot(p, slow, fast, 0, 0, at);
        whole *= nb_spot_omega(p, at);
    }
    if (!p.polarized || p.weight_polar) return whole;
    for (int place = 0; place < p.layers * subs; ++place) {
        nb_find_spot(p, slow, fast, place / subs, place % subs, at);
        for (int j = 0; j < p.sources; ++j) {
            const double *source = sources + j * NB_SOURCE_SIZE;
            if (nb_spot_passes(p, at, source, q)) return whole * nb_spot_polar(p, at, source);
        }
    }
    return 0.0;
}

/* F_cell^2 F_latt^2 and its slopes by h, k, l. weight: F_cell^2; from: h, k, l from the nearest lattice point. */
NB_FN double nb_step(const nb_job &p, const double *table, const double *m, const double *q, double *slope,
                     double *weight, double *from)
{
    const double h = nb_dot(m, q), k = nb_dot(m + 3, q), l = nb_dot(m + 6, q);
    double value, bend[3] = {0.0, 0.0, 0.0};
    from[0] = h - nb_rint(h);
    from[1] = k - nb_rint(k);
    from[2] = l - nb_rint(l);
    value = nb_lattice_slopes(NB_KIND, &p.lattice, from[0], from[1], from[2], slope);
    *weight = 1.0;
#if NB_STRUCTURE != NB_CONSTANT
    double F = table[nb_box_element(&p.box, nb_nearest(h), nb_nearest(k), nb_nearest(l))];
#if NB_STRUCTURE == NB_TRICUBIC
    const int corner = nb_box_corner(&p.box, h, k, l);
    if (corner >= 0) {
        F = nb_tricubic_slopes(table + corner, (int)p.box.stride[0], (int)p.box.stride[1], h, k, l, bend);
        for (int i = 0; i < 3; ++i) bend[i] *= 2.0 * F;
    }
#endif
    *weight = F * F;
#endif
    for (int i = 0; i < 3; ++i) slope[i] = *weight * slope[i] + bend[i] * value;
    return *weight * value;
}

/* The sum of a number over the block's threads, for thread 0. */
NB_FN double nb_block_sum(double *tally, double number)
{
    const int thread = threadIdx.x;
    __syncthreads();
    tally[thread] = number;
    for (int width = NB_THREADS / 2; width > 0; width /= 2) {
        __syncthreads();
        if (thread < width) tally[thread] += tally[thread + width];
    }
    return tally[0];
}

/* From derivatives by the scattering vector, and the share's logarithm, to those by source and diffracted direction.
 * g: by q. share: weighted contribution of the source. both: of the whole pixel, where it takes its polarization here.
 * by: NB_PER_SOURCE numbers. toward: by the direction. */
NB_FN void nb_close_source(const nb_job &p, const nb_spot &at, const double *source, const double *q, const double *g,
                           double share, double both, double *by, double *toward)
{
    const double inverse = source[3];
    int i;
    by[3] = nb_dot(g, q) / inverse;
    by[10] = share;
    for (i = 0; i < 3; ++i) {
        by[i] = -inverse * g[i];
        by[4 + i] = by[7 + i] = 0.0;
        toward[i] += g[i] * inverse;
    }
    if (!p.polarized) return;
    double slope[3];
    const double polar = nb_polarization_slopes(p.kahn, nb_dot(at.d, source), nb_dot(at.d, source + 4),
                                                nb_dot(at.d, source + 7), slope);
    const double a = polar != 0.0 ? (p.weight_polar ? share : both) / polar : 0.0;
    for (i = 0; i < 3; ++i) {
        by[i] += a * slope[0] * at.d[i];
        by[4 + i] = a * slope[1] * at.d[i];
        by[7 + i] = a * slope[2] * at.d[i];
        toward[i] += a * (slope[0] * source[i] + slope[1] * source[4 + i] + slope[2] * source[7 + i]);
    }
}

/* From derivatives by the diffracted direction, and the logarithms of solid angle and capture, to the detector's. */
NB_FN void nb_close_place(const nb_job &p, const nb_spot &at, int layer, double *toward, double log_omega,
                          double log_capture, double *own)
{
    const double power = p.point_pixel ? 2.0 : 3.0;
    double along;
    int i;
    if (p.sensor) {
        double slope, a;
        const double capture = nb_capture_slope(layer, p.absorption, nb_dot(at.d, p.normal), &slope);
        a = log_capture != 0.0 ? log_capture * slope / capture : 0.0;
        for (i = 0; i < 3; ++i) {
            own[NB_NORMAL + i] += a * at.d[i];
            toward[i] += a * p.normal[i];
        }
    }
    if (!p.point_pixel) own[NB_CLOSE] += log_omega / at.close;
    along = nb_dot(toward, at.d) + power * log_omega;
    for (i = 0; i < 3; ++i) toward[i] = at.inv * (toward[i] - along * at.d[i]);
#if NB_CURVED
    double unit[12] = {0.0}, out[3], by_y = 0.0, by_z = 0.0;
    for (int j = 0; j < 12; ++j) {
        unit[j] = 1.0;
        nb_curve_slope(p.beam, p.fast, p.slow, p.distance, at.y, at.z, unit, unit + 4, unit + 7, unit[3], unit[10],
                       unit[11], out);
        unit[j] = 0.0;
        const double share = nb_dot(toward, out);
        if (j < 4) own[NB_BEAM + j] += share;
        else if (j < 10) own[NB_FAST + j - 4] += share;
        else if (j == 10) by_y = share;
        else by_z = share;
    }
    toward[0] = 0.0;
    toward[1] = by_y;
    toward[2] = by_z;
#endif
    for (i = 0; i < 3; ++i) {
        own[NB_ORIGIN + i] += toward[i];
        own[NB_FAST + i] += at.f * toward[i];
        own[NB_SLOW + i] += at.s * toward[i];
        own[NB_NORMAL + i] += at.depth * toward[i];
    }
}

/* The image (weights null), or derivatives of the sum of weights * image. sources: p.sources x NB_SOURCE_SIZE. cells: 9
 * x stride. table: the first element of the padded box, or null. mask: of the image, or null. image, weights, adjoint:
 * of the image, rows of p.fpixels. adjoint: what multiplies a pixel's sum. sums: size numbers for each block, zeroed.
 * Grid: segments of the region of interest along the fast axis, rows from first_slow on. Block: NB_THREADS. */
extern "C" __global__ void __launch_bounds__(NB_THREADS)
    nb_derive(const nb_job p, const double *__restrict__ sources, const double *__restrict__ cells, long long stride,
              const double *__restrict__ table, const unsigned short *__restrict__ mask, int first_slow,
              const double *__restrict__ weights, int geometry, int shape, double *__restrict__ image,
              double *__restrict__ adjoint, long long size, double *__restrict__ sums)
{
    __shared__ double chunk[NB_CHUNK * NB_ROW];
    __shared__ double tally[NB_THREADS];
    const int thread = threadIdx.x, slow = first_slow + blockIdx.y;
    const int fast = p.fast_min + blockIdx.x * NB_THREADS + thread, subs = p.oversample * p.oversample;
    const long long pixel = (long long)slow * p.fpixels + fast;
    const int lit = fast <= p.fast_max && (!mask || mask[pixel] != 0);
    const double f2 = NB_STRUCTURE == NB_CONSTANT ? p.default_F * p.default_F : 1.0;
    const double diffuse = f2 != 0.0 ? p.diffuse / f2 : 0.0;
    const double outer = !lit ? 0.0 : weights ? weights[pixel] : 1.0;
    const double whole = lit ? nb_whole(p, slow, fast, sources) : 0.0;
    const double scaled = outer * p.scale * f2 * whole, both = lit && weights ? outer * image[pixel] : 0.0;
    double *mine = weights ? sums + ((long long)blockIdx.y * gridDim.x + blockIdx.x) * size : sums;
    double own[NB_HEAD] = {0.0}, acc = 0.0;
    int taken = 0;

    if (weights) {
        const double sum = outer * whole * p.scale;
        own[NB_BACKGROUND] = sum;
        own[NB_SCALE] = p.scale != 0.0 ? both / p.scale : 0.0;
        own[NB_FACTOR] = f2 != 0.0 ? (both - sum * p.background) / f2 : 0.0;
        if (lit) adjoint[pixel] = scaled;
    }
    for (int place = 0; place < p.layers * subs; ++place) {
        const int layer = place / subs, first = place == 0;
        const int last = p.sensor && layer == p.layers - 1 && place % subs == 0;
        double toward[3] = {0.0, 0.0, 0.0};
        double log_omega = first && !p.weight_omega ? both : 0.0;
        double log_capture = last && !p.weight_thick ? both : 0.0;
        nb_spot at;
        nb_find_spot(p, slow, fast, layer, place % subs, at);
        for (int j = 0; j < p.sources; ++j) {
            const double *source = sources + j * NB_SOURCE_SIZE;
            double q[3], g[3] = {0.0, 0.0, 0.0}, by_shape[NB_BY_SHAPE] = {0.0}, part = 0.0;
            const int passed = nb_spot_passes(p, at, source, q), take = passed && !taken;
            const double share = nb_share(p, at, layer, source);
            taken |= passed;
            for (int begin = 0; begin < p.orientations; begin += NB_CHUNK) {
                const int count = p.orientations - begin < NB_CHUNK ? p.orientations - begin : NB_CHUNK;
                __syncthreads();
                for (int item = thread; item < NB_ROW * count; item += NB_THREADS)
                    chunk[item] = cells[item % NB_ROW * stride + begin + item / NB_ROW];
                __syncthreads();
                for (int o = 0; o < count; ++o) {
                    const double *m = chunk + o * NB_ROW;
                    double slope[3], from[3], weight;
                    const double value = nb_step(p, table, m, q, slope, &weight, from);
                    part += value;
                    if (geometry)
                        for (int i = 0; i < 3; ++i) g[i] += slope[0] * m[i] + slope[1] * m[3 + i] + slope[2] * m[6 + i];
                    if (shape)
                        nb_lattice_by_shape(NB_KIND, &p.lattice, weight, value, from[0], from[1], from[2], by_shape);
                }
            }
            part = (passed ? part : 0.0) + diffuse;
            acc += share * part;
            if (!weights) continue;
            const double weighted = passed ? scaled * share : 0.0, sum = scaled * share * part;
            own[NB_DIFFUSE] += scaled * share;
            for (int i = 0; i < NB_BY_SHAPE; ++i) own[NB_SHAPE + i] += weighted * by_shape[i];
            if (!geometry) continue;
            double by[NB_PER_SOURCE];
            for (int i = 0; i < 3; ++i) g[i] *= weighted;
            if (p.weight_omega) log_omega += sum;
            if (p.weight_thick) log_capture += sum;
            nb_close_source(p, at, source, q, g, sum, take ? both : 0.0, by, toward);
            for (int i = 0; i < NB_PER_SOURCE; ++i) {
                const double all = nb_block_sum(tally, lit ? by[i] : 0.0);
                if (thread == 0) mine[NB_HEAD + j * NB_PER_SOURCE + i] += all;
            }
        }
        if (weights && geometry) nb_close_place(p, at, layer, toward, log_omega, log_capture, own);
    }
    if (!weights) {
        if (lit) image[pixel] = p.scale * (p.background + f2 * acc) * whole;
        return;
    }
    for (int i = 0; i < NB_HEAD; ++i) {
        const double all = nb_block_sum(tally, lit ? own[i] : 0.0);
        if (thread == 0) mine[i] = all;
    }
}

/* Derivatives by the cell vectors of every orientation. adjoint: as nb_derive left it. parts: that the pixels, tiles of
 * NB_THREADS of them, are divided into; turned: (parts, 9, stride). lanes: orientations of a block, a power of two; its
 * other threads take their share of the pixels. Grid: blocks of orientations, parts from first_part on. */
extern "C" __global__ void __launch_bounds__(NB_THREADS)
    nb_turned(const nb_job p, const double *__restrict__ sources, const double *__restrict__ cells, long long stride,
              const double *__restrict__ table, const unsigned short *__restrict__ mask,
              const double *__restrict__ adjoint, int lanes, int first_part, int parts, double *__restrict__ turned)
{
    __shared__ double there[4 * NB_THREADS]; /* q and the weight of every pixel of a tile */
    __shared__ double tally[NB_THREADS];
    const int thread = threadIdx.x, lane = thread % lanes, slices = NB_THREADS / lanes;
    const int o = blockIdx.x * lanes + lane, part = first_part + blockIdx.y, subs = p.oversample * p.oversample;
    const int segments = (p.fast_max - p.fast_min + NB_THREADS) / NB_THREADS;
    const long long tiles = (long long)(p.slow_max - p.slow_min + 1) * segments;
    double m[9], sum[9] = {0.0};
    for (int i = 0; i < 9; ++i) m[i] = o < p.orientations ? cells[i * stride + o] : 0.0;
    for (long long tile = tiles * part / parts; tile < tiles * (part + 1) / parts; ++tile) {
        const int slow = p.slow_min + (int)(tile / segments);
        const int fast = p.fast_min + (int)(tile % segments) * NB_THREADS + thread;
        const long long pixel = (long long)slow * p.fpixels + fast;
        const double scaled = fast <= p.fast_max && (!mask || mask[pixel] != 0) ? adjoint[pixel] : 0.0;
        for (int place = 0; place < p.layers * subs; ++place) {
            nb_spot at;
            nb_find_spot(p, slow, fast, place / subs, place % subs, at);
            for (int j = 0; j < p.sources; ++j) {
                const double *source = sources + j * NB_SOURCE_SIZE;
                double q[3];
                const int passed = nb_spot_passes(p, at, source, q);
                __syncthreads();
                for (int i = 0; i < 3; ++i) there[i * NB_THREADS + thread] = q[i];
                there[3 * NB_THREADS + thread] =
                    passed && scaled != 0.0 ? scaled * nb_share(p, at, place / subs, source) : 0.0;
                __syncthreads();
                if (o >= p.orientations) continue;
                for (int i = thread / lanes; i < NB_THREADS; i += slices) {
                    const double w = there[3 * NB_THREADS + i];
                    const double v[3] = {there[i], there[NB_THREADS + i], there[2 * NB_THREADS + i]};
                    double slope[3], from[3], weight;
                    if (w == 0.0) continue;
                    nb_step(p, table, m, v, slope, &weight, from);
                    for (int axis = 0; axis < 3; ++axis)
                        for (int k = 0; k < 3; ++k) sum[3 * axis + k] += w * slope[axis] * v[k];
                }
            }
        }
    }
    for (int i = 0; i < 9; ++i) {
        __syncthreads();
        tally[thread] = sum[i];
        for (int width = slices / 2; width > 0; width /= 2) {
            __syncthreads();
            if (thread < width * lanes) tally[thread] += tally[thread + width * lanes];
        }
        __syncthreads();
        if (thread < lanes && o < p.orientations) turned[((long long)part * 9 + i) * stride + o] = tally[thread];
    }
}

/* out[i]: the sum of `parts` arrays of `size` numbers, one after the other, in order. */
extern "C" __global__ void nb_add_parts(const double *__restrict__ given, long long parts, long long size,
                                        double *__restrict__ out)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    double sum = 0.0;
    if (i >= size) return;
    for (long long part = 0; part < parts; ++part) sum += given[part * size + i];
    out[i] = sum;
}
