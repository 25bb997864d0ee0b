/* float32 on a device whose compiler flushes subnormal numbers to zero.
 *
 * CuPy compiles with -ftz=true: arithmetic, comparisons and conversions of float32 take and give 0 for what is below
 * 2^-126. That is as good in sums, but a faint pixel is a float32 of its own, and the CPU keeps it. These conversions
 * keep it too. tests/gpu has another header of this name, for a device that is emulated.
 */
#ifndef NB_DEVICE_H
#define NB_DEVICE_H

#include "nb_common.h"

/* The float32 nearest to x. */
NB_FN float nb_float(double x)
{
#ifdef __CUDA_ARCH__
    float y;
    asm("cvt.rn.f32.f64 %0, %1;" : "=f"(y) : "d"(x));
    return y;
#else
    return (float)x;
#endif
}

/* A whole number as an int; what is beyond one, or is no number, becomes one of the ends. */
NB_FN int nb_whole(double x)
{
#ifdef __CUDA_ARCH__
    return __double2int_rn(x);
#else
    return x < 2147483647.0 ? (x > -2147483648.0 ? (int)x : -2147483647 - 1) : 2147483647;
#endif
}

/* x as it is. */
NB_FN double nb_double(float x)
{
#ifdef __CUDA_ARCH__
    double y;
    asm("cvt.f64.f32 %0, %1;" : "=d"(y) : "f"(x));
    return y;
#else
    return (double)x;
#endif
}

#endif
