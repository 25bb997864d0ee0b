/* The formula headers for tests/formula_library.py: each function over arrays. Compiled by the test, at every level. */
#include <string.h>

#include "nb_cell.h"
#include "nb_elementary.h"
#include "nb_geometry.h"
#include "nb_structure.h"
#include "shapes/shapes.h"

#define EACH(n) for (int i = 0; i < (n); ++i)
#define MAP1(name, function) \
    void name(int n, const double *x, double *out) { EACH(n) out[i] = function(x[i]); }

MAP1(map_rint, nb_rint)
MAP1(map_nearest, nb_nearest)
MAP1(map_floor, nb_floor)
#define EXP2(x) nb_exp2((x) > -1000.0 ? (x) : -1000.0)
MAP1(map_exp2, EXP2)
MAP1(map_exp, nb_exp)
MAP1(map_log, nb_log)
MAP1(map_tan_pi, nb_tan_pi)
MAP1(map_sphere, nb_sphere)

void map_sincos(int n, const double *x, double *s, double *c) { EACH(n) nb_sincos(x[i], s + i, c + i); }
void map_grating(int n, const double *h, double cells, double *out) { EACH(n) out[i] = nb_grating(h[i], cells); }
void map_weights(int n, const double *t, double *w)
{
    EACH(n) nb_cubic_weights(t[i], w + 4 * i, w + 4 * i + 1, w + 4 * i + 2, w + 4 * i + 3);
}

int kind(const char *name)
{
    for (int i = 0; i < NB_KIND_COUNT; ++i)
        if (!strcmp(name, nb_kind_names[i])) return i;
    return -1;
}

static int shape_number(const char *name)
{
    for (int i = 0; i < NB_SHAPE_COUNT; ++i)
        if (!strcmp(name, nb_shape_names[i][0])) return i;
    return -1;
}

/* numbers: cells (3), fudge, rows of axes (9), scale, width of Gaussians, cut-off of top-hats */
static int lattice(const char *shape, const double *numbers, nb_lattice *c)
{
    nb_crystal x = {{numbers[0], numbers[1], numbers[2]}, numbers[3], 0, {{0}}, numbers[13], numbers[14], numbers[15]};
    memset(c, 0, sizeof *c);
    for (int i = 0; i < 9; ++i) x.axes[i / 3][i % 3] = numbers[4 + i];
    return nb_set_constants(shape_number(shape), &x, c);
}

int chosen(const char *shape, const double *numbers)
{
    nb_lattice c;
    return lattice(shape, numbers, &c);
}

void map_lattice_sqr(const char *shape, int which, const double *numbers, int n, const double *h, const double *k,
                     const double *l, double *out)
{
    nb_lattice c;
    lattice(shape, numbers, &c);
    EACH(n) out[i] = nb_lattice_sqr(which, &c, h[i], k[i], l[i]);
}

void map_single_sqr(const char *shape, int which, const double *numbers, int n, const double *h, const double *k,
                    const double *l, double *out)
{
    nb_lattice c;
    lattice(shape, numbers, &c);
    EACH(n) out[i] = nb_single_sqr(which, &c, h[i], k[i], l[i]);
}

void map_amplitude(const char *shape, int which, const double *numbers, int n, const double *h, const double *k,
                   const double *l, double *out)
{
    nb_lattice c;
    double axis[3];
    lattice(shape, numbers, &c);
    EACH(n) out[i] = nb_amplitude(which, &c, h[i], k[i], l[i], axis);
}

double solid_angle(double inv, double area, double close, int point) { return nb_solid_angle(inv, area, close, point); }
double capture(int layer, double absorption, double obliquity) { return nb_capture(layer, absorption, obliquity); }
double polarization(double kahn, double c, double e, double b) { return nb_polarization(kahn, c, e, b); }
int passes_dmin(double dmin, const double *q) { return nb_passes_dmin(dmin, q); }
void curve(const double *beam, const double *fast, const double *slow, double distance, double *position)
{
    nb_curve(beam, fast, slow, distance, position, position + 1, position + 2);
}

void rotate_axis(const double *v, const double *axis, double phi, double *out)
{
    nb_rotate_axis(v, axis, cos(phi), sin(phi), out);
}
void rotate_cell(const double *cell, const double *spindle, double phi, const double *domain, double *out)
{
    nb_rotate_cell(cell, spindle, phi, domain, 0, out);
}
double volume(const double *cell) { return nb_cell_volume(cell); }
void dual(const double *cell, double v, double *out) { nb_dual_cell(cell, v, out); }

/* bounds: hmin hmax kmin kmax lmin lmax */
static nb_box box(const double *bounds)
{
    nb_box b;
    double extent[3];
    for (int i = 0; i < 3; ++i) {
        extent[i] = bounds[2 * i + 1] - bounds[2 * i] + 1.0;
        b.low[i] = bounds[2 * i] - 1.0;
        b.high[i] = bounds[2 * i] + extent[i];
        b.safe_low[i] = bounds[2 * i] + 2.0;
        b.safe_high[i] = bounds[2 * i] + extent[i] - 3.0;
    }
    b.stride[1] = extent[2] + 1.0;
    b.stride[0] = (extent[1] + 1.0) * b.stride[1];
    b.offset = -(bounds[0] * b.stride[0] + bounds[2] * b.stride[1] + bounds[4]);
    return b;
}

int box_element(const double *bounds, double h, double k, double l)
{
    nb_box b = box(bounds);
    return nb_box_element(&b, h, k, l);
}
void map_box_element(int n, const double *bounds, const double *h, const double *k, const double *l, int *out)
{
    nb_box b = box(bounds);
    EACH(n) out[i] = nb_box_element(&b, h[i], k[i], l[i]);
}
void map_box_corner(int n, const double *bounds, const double *h, const double *k, const double *l, int *out)
{
    nb_box b = box(bounds);
    EACH(n) out[i] = nb_box_corner(&b, h[i], k[i], l[i]);
}
int box_safe(const double *bounds, double h, double k, double l)
{
    nb_box b = box(bounds);
    return nb_box_safe(&b, h, k, l);
}
double box_interpolate(const double *bounds, const double *table, double h, double k, double l)
{
    nb_box b = box(bounds);
    return nb_box_interpolate(&b, table, h, k, l);
}
