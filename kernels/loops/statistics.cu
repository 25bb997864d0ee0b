/* The statistics of a band of rows join those of the image, always in the same order. */
#include "nb_statistics.h"

#define NB_THREADS 256

/* One block. Every thread merges a run of the partials, and the runs are merged pairwise. */
extern "C" __global__ void nb_reduce(const nb_statistics *partials, long long count, nb_statistics *total)
{
    __shared__ nb_statistics tally[NB_THREADS];
    const int thread = threadIdx.x;
    const long long run = (count + NB_THREADS - 1) / NB_THREADS, first = thread * run;
    nb_statistics mine = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1, 0, 0};
    for (long long i = first; i < first + run && i < count; ++i) nb_merge(&mine, &partials[i]);
    tally[thread] = mine;
    for (int width = 1; width < NB_THREADS; width *= 2) {
        __syncthreads();
        if (thread % (2 * width) == 0) nb_merge(&tally[thread], &tally[thread + width]);
    }
    if (thread == 0) nb_merge(total, &tally[0]);
}
