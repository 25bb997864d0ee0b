/* The crystal's cell at every phi step and mosaic domain: one thread an orientation. */
#include "nb_cell.h"

typedef struct {
    double cell[9];    /* rows a, b, c, unrotated, m */
    double spindle[3]; /* unit vector */
    int inside;        /* rotations by domain are of the crystal, which phi turns */
} nb_setting;

/* cells: 9 x stride, ax ay az bx ... cz of orientation j = phi step * domains + domain. rotations: domains x 9,
 * row-major, or null: no rotation by domain. */
extern "C" __global__ void nb_rotation(const nb_setting setting, const double *phis, const double *rotations, int steps,
                                       int domains, long long stride, double *cells)
{
    const long long j = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    double turned[9];
    if (j >= (long long)steps * domains) return;
    nb_rotate_cell(setting.cell, setting.spindle, phis[j / domains], rotations ? rotations + 9 * (j % domains) : 0,
                   setting.inside, turned);
    for (int i = 0; i < 9; ++i) cells[i * stride + j] = turned[i];
}
