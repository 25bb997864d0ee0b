/* A photon count as a pixel of an image file; no fused multiply-adds here, so that every compiler gives the same. */
#ifndef NB_PIXEL_H
#define NB_PIXEL_H

#include "nb_common.h"

/* I*scale + adc, clipped to 0..65535, plus 0.5, rounded to float32 (as the reference does) and cut. NaN becomes 0. */
NB_FN unsigned short nb_smv_pixel(double photons, double scale, double adc)
{
    float value = (float)(photons * scale + adc + 0.5);
    value = value > 0.0f ? value : 0.0f; /* clipping float32 is cheaper, and comes to the same */
    return (unsigned short)(int)(value < 65535.5f ? value : 65535.5f);
}

/* A count plus adc as a pixel, clipped at 65535 and cut; *clipped: whether it was. */
NB_FN unsigned short nb_noise_pixel(double count, double adc, int *clipped)
{
    double value = count + adc;
    *clipped = value > 65535.0;
    value = *clipped ? 65535.0 : value;
    value = value > -2147483649.0 ? value : 0.0;
    return (unsigned short)(int)value;
}

#endif
