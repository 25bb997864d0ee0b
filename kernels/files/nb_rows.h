/* Rows of float32 pixels to the integers of image files.
 *
 * The one module that does it is not compiled for several levels, which would take longer to load than a small image to
 * convert; so its two loops are, here. Build without contraction: all levels give the same bytes.
 */
#ifndef NB_ROWS_H
#define NB_ROWS_H

#include "nb_pixel.h"
#include <stdint.h>

#define NB_INLINED static inline __attribute__((always_inline))

NB_INLINED void nb_smv_pixels(const float *__restrict image, uint16_t *__restrict pixel, long n, double scale,
                              double adc)
{
    long i;
    for (i = 0; i < n; i++) pixel[i] = nb_smv_pixel(image[i], scale, adc);
}

/* What is negative keeps the low byte of its integer part, and 0 if that is no 32-bit integer. */
NB_INLINED void nb_pgm_pixels(const float *__restrict image, uint8_t *__restrict pixel, long n, double scale)
{
    long i;
    for (i = 0; i < n; i++) {
        double value = image[i] * scale;
        value = value > 255.0 ? 255.0 : value;
        value = value > -2147483648.0 ? value : -2147483648.0;
        pixel[i] = (uint8_t)(int32_t)value;
    }
}

#if defined(__x86_64__) && !defined(__AVX2__)
#define NB_HAS_WIDE __builtin_cpu_supports("avx2")

static __attribute__((target("avx2"))) void nb_smv_row_wide(const float *image, uint16_t *pixel, long n, double scale,
                                                            double adc)
{
    nb_smv_pixels(image, pixel, n, scale, adc);
}

static __attribute__((target("avx2"))) void nb_pgm_row_wide(const float *image, uint8_t *pixel, long n, double scale)
{
    nb_pgm_pixels(image, pixel, n, scale);
}
#else
#define NB_HAS_WIDE 0
#define nb_smv_row_wide nb_smv_pixels
#define nb_pgm_row_wide nb_pgm_pixels
#endif

/* wide: with AVX2, where the processor has it. */
static void nb_smv_row(const float *image, uint16_t *pixel, long n, double scale, double adc, int wide)
{
    if (wide && NB_HAS_WIDE)
        nb_smv_row_wide(image, pixel, n, scale, adc);
    else
        nb_smv_pixels(image, pixel, n, scale, adc);
}

static void nb_pgm_row(const float *image, uint8_t *pixel, long n, double scale, int wide)
{
    if (wide && NB_HAS_WIDE)
        nb_pgm_row_wide(image, pixel, n, scale);
    else
        nb_pgm_pixels(image, pixel, n, scale);
}

#endif
