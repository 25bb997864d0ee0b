/* What every formula header needs: how a function is declared for gcc and for NVRTC, and how to round.
 *
 * The formulas of this project stand in the nb_*.h headers and nowhere else: Cython (gcc, clang) and the CUDA kernels
 * (NVRTC) compile the same text. The headers know numbers and plain arrays; no loops over pixels, no files, no Python.
 */
#ifndef NB_COMMON_H
#define NB_COMMON_H

#ifdef __CUDACC__
#define NB_FN static __device__ __forceinline__
#else
#include <math.h>
#define NB_FN static inline __attribute__((always_inline, unused))
#endif

#ifndef NB_PI
#define NB_PI 3.14159265358979323846
#endif

/* 1.5 * 2^52: adding it to a double of moderate size leaves the nearest integer in the low bits of the mantissa. */
#define NB_ROUND_MAGIC 6755399441055744.0

/* Nearest integer, ties to even. One instruction where the processor rounds; the magic constant on plain SSE2, where
 * rint() would be a call that keeps the loop from being vectorised. */
NB_FN double nb_rint_by_sums(double x) /* |x| < 2^51 */
{
    return (x + NB_ROUND_MAGIC) - NB_ROUND_MAGIC;
}

NB_FN double nb_rint(double x)
{
#if defined(__SSE2__) && !defined(__SSE4_1__)
    return nb_rint_by_sums(x);
#else
    return rint(x);
#endif
}

/* The same of less than 2^51, beside multiplications: with AVX2, the instruction takes two turns of the units that
 * multiply on Intel's processors, and two additions have units of their own there from Alder Lake on, and on AMD's. */
NB_FN double nb_rint_beside(double x)
{
#if defined(__AVX2__) && !defined(__AVX512F__)
    return nb_rint_by_sums(x);
#else
    return nb_rint(x);
#endif
}

/* ceil(x - 1/2): the nearest integer, ties towards minus infinity, which is how the reference picks a Miller index. */
NB_FN double nb_nearest(double x)
{
#if defined(__SSE2__) && !defined(__SSE4_1__)
    double n = nb_rint(x);
    return n - (n - x >= 0.5 ? 1.0 : 0.0);
#else
    return ceil(x - 0.5);
#endif
}

NB_FN double nb_floor(double x)
{
#if defined(__SSE2__) && !defined(__SSE4_1__)
    double n = nb_rint(x);
    return n - (n > x ? 1.0 : 0.0);
#else
    return floor(x);
#endif
}

/* 1/sqrt(v) to the last bit or two, for 1e-30 < v < 1e30: a float32 estimate costs the divider half as much, and one
 * third-order step makes up for it. */
NB_FN float nb_rsqrt_estimate(double v)
{
    return 1.0f / sqrtf((float)v);
}

NB_FN double nb_rsqrt_from(double v, double y)
{
    double e = 1.0 - v * y * y;
    return y * (1.0 + e * (0.5 + 0.375 * e));
}

NB_FN double nb_rsqrt(double v)
{
#ifdef __CUDACC__
    return rsqrt(v);
#else
    return nb_rsqrt_from(v, nb_rsqrt_estimate(v));
#endif
}

NB_FN double nb_dot(const double *u, const double *v)
{
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
}

NB_FN void nb_cross(const double *u, const double *v, double *w)
{
    w[0] = u[1] * v[2] - u[2] * v[1];
    w[1] = u[2] * v[0] - u[0] * v[2];
    w[2] = u[0] * v[1] - u[1] * v[0];
}

#endif
