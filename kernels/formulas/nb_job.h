/* The arguments of a rendering: one flat struct, the same for the CPU loops and the CUDA kernels.
 *
 * Pointers are kept out of it (they differ between host and device), so it can be copied to a device as it is.
 */
#ifndef NB_JOB_H
#define NB_JOB_H

#include "shapes/shapes.h"
#include "nb_structure.h"

/* structure factors: one value everywhere, nearest index, tricubic interpolation */
#define NB_CONSTANT 0
#define NB_NEAREST 1
#define NB_TRICUBIC 2

/* doubles per source: incident direction (3), 1/wavelength, E vector (3), B vector (3), weight (on average 1) */
#define NB_SOURCE_SIZE 11
#define NB_SOURCE_WEIGHT 10

typedef struct {
    /* detector, metres */
    double fast[3], slow[3], normal[3], origin[3], beam[3];
    double pixel, subpixel, distance, close_distance;
    double first_depth, thickstep, absorption; /* of the first layer, to the next; layer thickness * mu */
    /* pixels: fast axis length, first and last to render, inclusive */
    int fpixels, spixels, fast_min, fast_max, slow_min, slow_max;
    int oversample, layers, curved, point_pixel;
    /* corrections */
    double deepening; /* of the solid angle's distance with depth in the sensor: 1, or 0 for the front's everywhere */
    int sensor;                       /* there is a sensor: capture fractions count */
    int polarized;                    /* the polarization factor counts */
    int weight_thick, weight_polar, weight_omega; /* per contribution rather than per pixel */
    int weight_source;                /* sources do not count alike */
    int sources_join;                 /* those of one direction may be summed before corrections (last bits differ) */
    int tables;                       /* of structure factors, which sources may have of their own; 0: one or none */
    double kahn;
    double dmin; /* m; 0: none */
    /* what is summed */
    int sources, orientations, phisteps, domains;
    int lattice_kind, structure_kind;
    int single; /* the lattice transform in float32 (CPU; a compile-time choice on the GPU) */
    double background, default_F, scale; /* pixel = scale * (background + sum) * corrections */
    double diffuse; /* joins the sum over orientations of every source, sub-pixel and layer */
    nb_lattice lattice;
    nb_box box;
} nb_job;

/* An image to be made on a device, whose arrays lie with those of others in three large ones. The offsets are places of
 * their first elements there. */
typedef struct {
    nb_job job;
    double cell[9];    /* rows a, b, c, unrotated, m */
    double spindle[3]; /* unit vector */
    long long sources; /* job.sources x NB_SOURCE_SIZE, of the doubles that are given */
    long long tables;  /* where each source's structure factors begin among those of all, likewise */
    long long phis;    /* of every phi step, likewise */
    long long domains; /* job.domains x 9, row-major, likewise; below 0: no rotation by domain */
    long long cells;   /* 9 x stride, of the cell vectors */
    long long stride;
    int inside; /* rotations by domain are of the crystal, which phi turns */
    /* a pixel that was worked out elsewhere; slow < 0: none */
    int slow, fast;
    float value;
} nb_shot;

/* How the work on a pixel is cut on a device. A piece is a run of at most NB_CHUNK orientations of a group of sources:
 * one source where a pixel's work depends on it, else all of them in one list, if an int can count it. The pieces of a
 * pixel follow one another in the reference's order: layers, sub-pixels, groups, runs. */
#define NB_CHUNK 64

typedef struct {
    int groups, members; /* groups of sources, orientations of all sources of a group */
    int runs;            /* of a group */
    long long pieces;    /* of a pixel */
} nb_cut;

NB_FN nb_cut nb_cut_of(const nb_job *p)
{
    const int by_source = p->curved || p->weight_thick || p->weight_polar || p->weight_omega || p->weight_source ||
                          p->tables > 0 || p->diffuse > 0.0 || p->dmin > 0.0 ||
                          (double)p->sources * p->orientations > 1e9;
    nb_cut cut;
    cut.groups = by_source ? p->sources : 1;
    cut.members = by_source ? p->orientations : p->sources * p->orientations;
    cut.runs = (cut.members + NB_CHUNK - 1) / NB_CHUNK;
    cut.pieces = (long long)p->layers * p->oversample * p->oversample * cut.groups * cut.runs;
    return cut;
}

#endif
