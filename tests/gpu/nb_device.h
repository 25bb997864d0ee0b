/* The conversions of kernels/formulas/nb_device.h for the emulated device, whose float32 arithmetic flushes subnormal
 * numbers to zero (emulated_cuda.h): by whole multiples of 2^-149, which are no float32 numbers until they are done. */
#ifndef NB_DEVICE_H
#define NB_DEVICE_H

static inline float nb_float(double x)
{
    if (!(std::fabs(x) < 0x1p-126)) return (float)x;
    const int multiple = (int)std::nearbyint(std::fabs(x) * 0x1p149);
    return __int_as_float(multiple | (std::signbit(x) ? 1 << 31 : 0));
}

static inline int nb_whole(double x)
{
    return x < 2147483647.0 ? (x > -2147483648.0 ? (int)x : -2147483647 - 1) : 2147483647;
}

static inline double nb_double(float x)
{
    const int bits = __float_as_int(x);
    if (bits & 0x7f800000) return (double)x;
    return (bits < 0 ? -0x1p-149 : 0x1p-149) * (bits & 0x7fffff);
}

#endif
