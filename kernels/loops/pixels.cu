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

/* One thread a pixel. image, pixels: rows x width, C order. Columns outside fast_min .. fast_max become 0. */
extern "C" __global__ void nb_smv_pixels(const float *image, long long rows, int width, int fast_min, int fast_max,
                                         double scale, double adc, unsigned short *pixels)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const int fast = i % width;
    if (i >= rows * width) return;
    pixels[i] = fast >= fast_min && fast <= fast_max ? nb_smv_pixel(nb_double(image[i]), scale, adc) : 0;
}

/* One block a row: Poisson noise from the counter-based stream. image, pixels: as above, row 0 being row first_slow of
 * the whole image; found: one a row. Block: NB_THREADS. */
extern "C" __global__ void nb_noise(const float *image, int first_slow, int width, int fast_min, int fast_max,
                                    double adc, unsigned int key_low, unsigned int key_high, unsigned short *pixels,
                                    nb_noise_row *found)
{
    __shared__ nb_noise_row tally[NB_THREADS];
    const int thread = threadIdx.x;
    const long long row = (long long)blockIdx.x * width;
    nb_noise_row mine = {0.0, 0};
    for (int fast = thread; fast < width; fast += NB_THREADS) {
        unsigned short pixel = 0;
        if (fast >= fast_min && fast <= fast_max) {
            const unsigned long long place = (unsigned long long)(first_slow + (long long)blockIdx.x) * width + fast;
            const double count = nb_poisson(nb_double(image[row + fast]), place, key_low, key_high);
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
    if (thread == 0) found[blockIdx.x] = tally[0];
}
