/* What loops that run in parallel share: the thread's number, how many there are, a clock, memory on a cache line. */
#ifndef NB_THREADS_H
#define NB_THREADS_H

#include <stdlib.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#define NB_THREAD omp_get_thread_num()
#define NB_TEAM omp_get_num_threads()
#define NB_PARALLEL 1
#else
#define NB_THREAD 0
#define NB_TEAM 1
#define NB_PARALLEL 0
#endif

/* Seconds of a clock that only goes forward. */
static inline double nb_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* Memory on cache lines of its own, on pages of its own where it is more than one, to be freed with free(), or NULL. */
static inline void *nb_aligned(size_t nbytes)
{
    void *data = NULL;
    return posix_memalign(&data, nbytes < 4096 ? 64 : 4096, nbytes) ? NULL : data;
}

#endif
