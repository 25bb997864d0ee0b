/* The crystals' cells at every phi step and mosaic domain: one thread an orientation. */
#include "nb_cell.h"
#include "nb_job.h"

/* shots: the images, one for every blockIdx.y. inputs: the phis and rotations that they have the places of. all_cells:
 * of each 9 x stride, ax ay az bx ... cz of orientation j = phi step * domains + domain. */
extern "C" __global__ void nb_rotation(const nb_shot *shots, const double *inputs, double *all_cells)
{
    const nb_shot &shot = shots[blockIdx.y];
    const long long j = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const double *domains = inputs + shot.domains;
    double *cells = all_cells + shot.cells;
    double turned[9];
    if (j >= shot.job.orientations) return;
    nb_rotate_cell(shot.cell, shot.spindle, inputs[shot.phis + j / shot.job.domains],
                   shot.domains < 0 ? 0 : domains + 9 * (j % shot.job.domains), shot.inside, turned);
    for (int i = 0; i < 9; ++i) cells[i * shot.stride + j] = turned[i];
}
