/* Float images to the pixels of image files. To be compiled without fused multiply-adds, as the CPU's loops are. */
#include "nb_device.h"
#include "nb_pixel.h"
#include "nb_poisson.h"

#define NB_THREADS 128

/* What is known of the noise of a row. */
typedef struct {
    double photons;      /* sum of the counts */
    long long overloads; /* pixels that are clipped */
} nb_noise_row;

/* How the noise of an image is drawn. */
typedef struct {
    double adc;             /* pixel value of no photons */
    unsigned long long key; /* the seed */
} nb_noise_how;

/* One thread a pixel. image, pixels: rows x width, C order. Columns outside fast_min .. fast_max become 0. */
extern "C" __global__ void nb_smv_pixels(const float *image, long long rows, int width, int fast_min, int fast_max,
                                         double scale, double adc, unsigned short *pixels)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const int fast = i % width;
    if (i >= rows * width) return;
    pixels[i] = fast >= fast_min && fast <= fast_max ? nb_smv_pixel(nb_double(image[i]), scale, adc) : 0;
}

/* One block a row of an image: Poisson noise from the counter-based stream. images, pixels: one after the other, each
 * as above, row 0 being row first_slow of the whole image; how: one an image; found: one a row. Grid: rows, images.
 * Block: NB_THREADS. */
extern "C" __global__ void nb_noise(const float *images, int first_slow, int width, int fast_min, int fast_max,
                                    const nb_noise_how *how, unsigned short *pixels, nb_noise_row *found)
{
    __shared__ nb_noise_row tally[NB_THREADS];
    const int thread = threadIdx.x;
    const long long line = (long long)blockIdx.y * gridDim.x + blockIdx.x, row = line * width;
    const double adc = how[blockIdx.y].adc;
    const unsigned int key_low = how[blockIdx.y].key, key_high = how[blockIdx.y].key >> 32;
    nb_noise_row mine = {0.0, 0};
    for (int fast = thread; fast < width; fast += NB_THREADS) {
        unsigned short pixel = 0;
        if (fast >= fast_min && fast <= fast_max) {
            const unsigned long long place = (unsigned long long)(first_slow + (long long)blockIdx.x) * width + fast;
            const double count = nb_poisson(nb_double(images[row + fast]), place, key_low, key_high);
            int clipped;
            pixel = nb_noise_pixel(count, adc, &clipped);
            mine.photons += count;
            mine.overloads += clipped;
        }
        pixels[row + fast] = pixel;
    }
    tally[thread] = mine;
    for (int width = NB_THREADS / 2; width > 0; width /= 2) {
        __syncthreads();
        if (thread < width) {
            tally[thread].photons += tally[thread + width].photons;
            tally[thread].overloads += tally[thread + width].overloads;
        }
    }
    if (thread == 0) found[line] = tally[0];
}
