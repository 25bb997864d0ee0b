/* The statistics of blocks join, pairwise and always in the same order. */
#include "nb_statistics.h"

#define NB_THREADS 256

/* A block makes one of NB_THREADS of an image's partials: a level of the tree. count: of an image. before: what joins
 * in front of them, one an image, or null. Grid: as many blocks as there are to be of each image, images. Block:
 * NB_THREADS. */
extern "C" __global__ void nb_reduce(const nb_statistics *partials, long long count, const nb_statistics *before,
                                     nb_statistics *joined)
{
    __shared__ nb_statistics tally[NB_THREADS];
    const int thread = threadIdx.x;
    const long long place = (long long)blockIdx.x * NB_THREADS + thread;
    nb_statistics mine = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1, 0, 0};
    tally[thread] = place < count ? partials[blockIdx.y * count + place] : mine;
    for (int width = 1; width < NB_THREADS; width *= 2) {
        __syncthreads();
        if (thread % (2 * width) == 0) nb_merge(&tally[thread], &tally[thread + width]);
    }
    if (thread != 0) return;
    if (before) mine = before[blockIdx.y];
    nb_merge(&mine, &tally[0]);
    joined[(long long)blockIdx.y * gridDim.x + blockIdx.x] = mine;
}
