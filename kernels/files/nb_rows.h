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

#if defined(__x86_64__)
#define NB_HAS_WIDE __builtin_cpu_supports("avx2")
#include <immintrin.h>
#define NB_WIDE static __attribute__((target("avx2")))

/* In instructions: gcc takes three for a minimum where a number may be a nan. A minimum or maximum with a nan is its
 * second operand, and an integer that has no room for a number -2^31, as above. */

NB_WIDE inline __m128i nb_smv_four(const float *image, __m256d scale, __m256d adc)
{
    __m256d photons = _mm256_mul_pd(_mm256_cvtps_pd(_mm_loadu_ps(image)), scale);
    __m128 value = _mm256_cvtpd_ps(_mm256_add_pd(_mm256_add_pd(photons, adc), _mm256_set1_pd(0.5)));
    value = _mm_min_ps(_mm_max_ps(value, _mm_setzero_ps()), _mm_set1_ps(65535.5f));
    return _mm_cvttps_epi32(value);
}

NB_WIDE void nb_smv_row_wide(const float *image, uint16_t *pixel, long n, double scale, double adc)
{
    __m256d scales = _mm256_set1_pd(scale), adcs = _mm256_set1_pd(adc);
    long i;
    for (i = 0; i + 8 <= n; i += 8) {
        __m128i low = nb_smv_four(image + i, scales, adcs), high = nb_smv_four(image + i + 4, scales, adcs);
        _mm_storeu_si128((__m128i *)(pixel + i), _mm_packus_epi32(low, high));
    }
    nb_smv_pixels(image + i, pixel + i, n - i, scale, adc);
}

NB_WIDE inline __m128i nb_pgm_four(const float *image, __m256d scale)
{
    __m256d value = _mm256_mul_pd(_mm256_cvtps_pd(_mm_loadu_ps(image)), scale);
    value = _mm256_min_pd(_mm256_set1_pd(255.0), value);
    return _mm_and_si128(_mm256_cvttpd_epi32(value), _mm_set1_epi32(255));
}

NB_WIDE void nb_pgm_row_wide(const float *image, uint8_t *pixel, long n, double scale)
{
    __m256d scales = _mm256_set1_pd(scale);
    long i;
    for (i = 0; i + 16 <= n; i += 16) {
        __m128i low = _mm_packus_epi32(nb_pgm_four(image + i, scales), nb_pgm_four(image + i + 4, scales));
        __m128i high = _mm_packus_epi32(nb_pgm_four(image + i + 8, scales), nb_pgm_four(image + i + 12, scales));
        _mm_storeu_si128((__m128i *)(pixel + i), _mm_packus_epi16(low, high));
    }
    nb_pgm_pixels(image + i, pixel + i, n - i, scale);
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
