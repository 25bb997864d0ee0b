/* The statistics of blocks join, pairwise and always in the same order. */
#include "nb_statistics.h"

#define NB_THREADS 256

/* A block makes one of NB_THREADS of the partials: a level of the tree. before: what joins in front of them, or null.
 * Grid: as many blocks as there are to be. Block: NB_THREADS. */
extern "C" __global__ void nb_reduce(const nb_statistics *partials, long long count, const nb_statistics *before,
                                     nb_statistics *joined)
{
    __shared__ nb_statistics tally[NB_THREADS];
    const int thread = threadIdx.x;
    const long long place = (long long)blockIdx.x * NB_THREADS + thread;
    nb_statistics mine = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1, 0, 0};
    tally[thread] = place < count ? partials[place] : mine;
    for (int width = 1; width < NB_THREADS; width *= 2) {
        __syncthreads();
        if (thread % (2 * width) == 0) nb_merge(&tally[thread], &tally[thread + width]);
    }
    if (thread != 0) return;
    if (before) mine = *before;
    nb_merge(&mine, &tally[0]);
    joined[blockIdx.x] = mine;
}
