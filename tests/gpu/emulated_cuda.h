// The CUDA built-ins that the kernels use, for g++: a block's threads are fibres, a barrier hands over to the next one.
//
// float32 numbers below 2^-126 are flushed to zero, as CuPy has the device's compiler do (-ftz=true). The processor does the
// same to doubles below 2^-1022 then, which the device keeps; no kernel has any.
//
// Blocks run one after the other and every thread runs from barrier to barrier, forwards in one phase and backwards in
// the next, so that a barrier that is missing shows. A barrier that some threads of a block never reach is an error.
#pragma once
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#ifdef __SSE__
#include <xmmintrin.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define __CUDACC__
#define __device__
#define __global__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct Dim3 {
    unsigned x, y, z;
};
static Dim3 threadIdx, blockIdx, blockDim, gridDim;

static inline long long __double_as_longlong(double x) { long long n; std::memcpy(&n, &x, sizeof n); return n; }
static inline double __longlong_as_double(long long n) { double x; std::memcpy(&x, &n, sizeof x); return x; }
static inline int __float_as_int(float x) { int n; std::memcpy(&n, &x, sizeof n); return n; }
static inline float __int_as_float(int n) { float x; std::memcpy(&x, &n, sizeof x); return x; }
static inline unsigned __float_as_uint(float x) { return (unsigned)__float_as_int(x); }
static inline float __uint_as_float(unsigned n) { return __int_as_float((int)n); }
static inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
static inline int __popc(unsigned n) { return __builtin_popcount(n); }
static inline unsigned atomicOr(unsigned *place, unsigned bits) { unsigned before = *place; *place |= bits; return before; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }

namespace emulated {

const int MOST_THREADS = 1024;
const size_t STACK = 256 * 1024;

// A fibre lasts for all blocks. Only its first step needs a context of its own: to switch with swapcontext takes two
// system calls, with _longjmp none.
struct Fibre {
    ucontext_t beginning;
    jmp_buf place;
    char *stack;
    bool begun, waiting, done;
};

static Fibre fibres[MOST_THREADS];
static jmp_buf scheduler;
static const void *scheduler_stack;
static size_t scheduler_size;
static int current, pending_or, settled_or;
static void (*body)(void *);
static void *body_arguments;

static void arrive(void *fake)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_size);
#else
    (void)fake;
#endif
}

static void leave(bool at_the_end)
{
    Fibre &fibre = fibres[current];
    (at_the_end ? fibre.done : fibre.waiting) = true;
#if defined(__SANITIZE_ADDRESS__)
    void *fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, scheduler_stack, scheduler_size);
    if (!_setjmp(fibre.place)) _longjmp(scheduler, 1);
    arrive(fake);
#else
    if (!_setjmp(fibre.place)) _longjmp(scheduler, 1);
#endif
}

static void run_fibre()
{
    arrive(nullptr);
    for (;;) {
        body(body_arguments);
        leave(true);
    }
}

static void resume(int thread)
{
    Fibre &fibre = fibres[thread];
    current = thread;
    threadIdx.x = thread % blockDim.x;
    threadIdx.y = thread / blockDim.x % blockDim.y;
    threadIdx.z = thread / blockDim.x / blockDim.y;
    fibre.waiting = false;
#if defined(__SANITIZE_ADDRESS__)
    void *fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, fibre.stack, STACK);
#endif
    if (!_setjmp(scheduler)) {
        if (fibre.begun) _longjmp(fibre.place, 1);
        fibre.begun = true;
        setcontext(&fibre.beginning);
    }
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

static void begin(Fibre &fibre)
{
    if (!fibre.stack) fibre.stack = (char *)std::malloc(STACK);
    getcontext(&fibre.beginning);
    fibre.beginning.uc_stack.ss_sp = fibre.stack;
    fibre.beginning.uc_stack.ss_size = STACK;
    fibre.beginning.uc_link = nullptr;
    makecontext(&fibre.beginning, run_fibre, 0);
}

// 0: fine; 1: a barrier was not reached by every thread of the block
static int run_block()
{
    const int threads = blockDim.x * blockDim.y * blockDim.z;
    bool backwards = false;
    for (int i = 0; i < threads; ++i) {
        Fibre &fibre = fibres[i];
        // one that was left before a barrier begins anew
        if (fibre.begun && !fibre.done) fibre.begun = false;
        if (!fibre.begun) begin(fibre);
        fibre.waiting = fibre.done = false;
    }
    for (;;) {
        int waiting = 0, done = 0;
        pending_or = 0;
        for (int i = 0; i < threads; ++i) resume(backwards ? threads - 1 - i : i);
        for (int i = 0; i < threads; ++i) {
            waiting += fibres[i].waiting;
            done += fibres[i].done;
        }
        settled_or = pending_or;
        if (done == threads) return 0;
        if (waiting != threads) return 1;
        backwards = !backwards;
    }
}

static int run_grid(void (*run)(void *), void *arguments)
{
    int status = 0;
#ifdef __SSE__
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);  // results and operands
#endif
    body = run;
    body_arguments = arguments;
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) status |= run_block();
    body_arguments = nullptr;
#ifdef __SSE__
    _mm_setcsr(before);
#endif
    return status;
}

template <class... A, size_t... I>
static void call(void (*kernel)(A...), void **arguments, std::index_sequence<I...>)
{
    kernel(*static_cast<std::remove_const_t<A> *>(arguments[I])...);
}

template <class... A>
struct Launch {
    void (*kernel)(A...);
    void **arguments;
    static void run(void *self)
    {
        call(static_cast<Launch *>(self)->kernel, static_cast<Launch *>(self)->arguments,
             std::index_sequence_for<A...>());
    }
};

// 2: not as many arguments, or not of the sizes, that the kernel has
template <class... A>
static int launch(void (*kernel)(A...), void **arguments, const size_t *sizes, size_t count, const unsigned *shape)
{
    const size_t wanted[] = {sizeof(A)...};
    Launch<A...> launched = {kernel, arguments};
    if (count != sizeof...(A) || std::memcmp(sizes, wanted, sizeof wanted)) return 2;
    gridDim = {shape[0], shape[1], shape[2]};
    blockDim = {shape[3], shape[4], shape[5]};
    return run_grid(Launch<A...>::run, &launched);
}

}  // namespace emulated

static inline void __syncthreads() { emulated::leave(false); }

static inline int __syncthreads_or(int predicate)
{
    emulated::pending_or |= predicate != 0;
    emulated::leave(false);
    return emulated::settled_or;
}
