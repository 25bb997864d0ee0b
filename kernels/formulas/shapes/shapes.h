/* The crystal shapes: the one list of them, and what is generated from it.
 *
 * A shape is a header of this folder, a row in each of the two lists here, and a flag (docs/architecture.md, "Add a
 * crystal shape"). Its header has, for a shape called S with transforms called T (one, T = S, unless some crystals
 * allow a quicker one):
 *
 *     nb_S                          a struct: what the transforms need to know of the crystal; filled once an image
 *     nb_S_constants(x, c)          fills it from the crystal; returns the transform to use, NB_KIND_T
 *     nb_S_ends(c, brightest, form) 0, or the value of a quadratic form hh, hk, hl, kk, kl, ll beyond which spots
 *                                   cannot change a float32 pixel; brightest: the factor from F_latt^2 to photons
 *     nb_S_amplitude(c, h, k, l, axis)  F_latt, with its sign, straight from the definition: what is shown to people,
 *                                   and what the sequential loop sums; axis: its factors along a, b, c, if it has them
 *     nb_S_photons(x)               how bright a spot is, summed over it, as a part of what so many cells scatter
 *     nb_T_sqr(c, h, k, l)          F_latt^2 by whatever road is quickest, for the rendering loops
 *     nb_T_single(c, h, k, l)       the same in float32, if the list says that there is one
 *     nb_T_slopes(c, h, k, l, slope)  F_latt^2 and its slopes by h, k, l
 *     nb_T_axis(c, axis, d, slope)  where F_latt^2 is a product of one factor an axis (the list NB_PRODUCTS): that of
 *                                   an axis, and its slope
 *     nb_S_by_shape(c, weight, value, h, k, l, by)  derivatives of value = weight * F_latt^2 by the numbers that make
 *                                   the shape, at most NB_BY_SHAPE; the list says which ones
 *
 * A long transform may be cut into parts, which some processors do one after the other for a tile of pixels
 * (kernels/loops/nb_parts.h); it is then in the list NB_CUT, and NB_SQR_OF_PARTS makes its nb_T_sqr:
 *
 *     nb_T_part(part, c, a)         part 0 takes h, k, l in a[0] to a[2], part 1 what part 0 leaves in a, part 2
 *                                   what part 1 leaves, and leaves F_latt^2 in a[0]
 *
 * kernels/loops/nb_eight.h has parts of some in vectors of AVX-512.
 *
 * Where nb_T_sqr gives nan, `-compat c` has the pixel worked out from the amplitude, one step after the other.
 *
 * h, k, l are distances from the nearest lattice point; those of the amplitude are whole indices. Nothing else knows
 * the shapes: enumerations, choices and Python's names (kernels/loops/crystal.pxi) all come from the lists, and a
 * function that is missing does not compile.
 */
#ifndef NB_SHAPES_H
#define NB_SHAPES_H

/* name, as the library and the headers have it; the reference's word for the crystal in what it prints; 1 if spots have
 * along all axes the width that the product of the numbers of cells makes, 0: each axis has its own; what images have
 * derivatives by (nanobragg_py/gradients/model.py): cells, the three numbers of them; form, that of a Gaussian and its
 * height's logarithm; none, where they are not to be had */
#define NB_SHAPES(X)                     \
    X(square, "parallelpiped", 0, cells) \
    X(round, "ellipsoidal", 0, cells)    \
    X(gauss, "gaussian", 1, form)        \
    X(tophat, "tophat-spot", 1, none)

/* name; the shape it belongs to; 1 if there is a nb_T_single, 0: `-precision single` renders the double form */
#define NB_TRANSFORMS(X)         \
    X(square_555, square, 1)     \
    X(square_small, square, 1)   \
    X(square_general, square, 1) \
    X(round, round, 1)           \
    X(round_marked, round, 0)    \
    X(gauss, gauss, 1)           \
    X(tophat, tophat, 1)

/* transforms that are cut into parts */
#define NB_CUT(X)                      \
    X(square_555, square, 3, 3, 0)     \
    X(square_small, square, 3, 3, 0)   \
    X(square_general, square, 3, 4, 0) \
    X(round, round, 2, 4, 1)           \
    X(gauss, gauss, 1, 1, 0)
/* with how many numbers part 0 leaves, and part 1; 1 if a[1] after part 0 is the root of a[0]: with AVX-512, part 0
 * leaves it out, and the loops put its inverse there, and its distance from the nearest whole number in a[2] */

/* transforms that are products of the axes'; part 0 makes NB_FOLDED_T(|d|) of the distance d of each */
#define NB_PRODUCTS(X)      \
    X(square_555, square)   \
    X(square_small, square) \
    X(square_general, square)

#define NB_ENTRY(name, printed, product, by) NB_SHAPE_##name,
enum { NB_SHAPES(NB_ENTRY) NB_SHAPE_COUNT };
#undef NB_ENTRY

#define NB_ENTRY(name, shape, single) NB_KIND_##name,
enum { NB_TRANSFORMS(NB_ENTRY) NB_KIND_COUNT };
#undef NB_ENTRY

/* what images have derivatives by, of each shape */
#define NB_ENTRY(name, printed, product, by) NB_BY_OF_##name = NB_BY_##by,
enum { NB_BY_none, NB_BY_cells, NB_BY_form, NB_SHAPES(NB_ENTRY) };
#undef NB_ENTRY

#include "gauss.h"
#include "round.h"
#include "square.h"
#include "tophat.h"

/* What the rendering knows of the crystal; filled once an image. */
#define NB_ENTRY(name, printed, product, by) nb_##name name;
typedef union {
    NB_SHAPES(NB_ENTRY)
} nb_constants;
#undef NB_ENTRY

typedef struct {
    nb_constants of; /* of.S: the shape's own */
    double reach[3]; /* spots that end: the form is at least reach * d^2 when the distance on that axis is d; */
    double limit;    /* beyond this value of the form, contributions cannot change a float32 pixel; 0: none ends */
} nb_lattice;

/* The functions below choose by a constant, known to the compiler in every loop that matters. There is no transform for
 * a number that is none of the list: it gives no number. */

/* F_latt^2 at a distance h, k, l from the nearest lattice point. */
NB_FN double nb_lattice_sqr(int kind, const nb_lattice *c, double h, double k, double l)
{
#define NB_ENTRY(name, shape, single) case NB_KIND_##name: return nb_##name##_sqr(&c->of.shape, h, k, l);
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
    return nan("");
}

/* 1 if the loops have to put inverse roots, and their distances, between parts 0 and 1. */
NB_FN int nb_wants_roots(int kind)
{
#define NB_ENTRY(name, shape, first, second, root) case NB_KIND_##name: return root && NB_VECTOR_ROOTS;
    switch (kind) { NB_CUT(NB_ENTRY) }
#undef NB_ENTRY
    return 0;
}

/* How many numbers part 0 or 1 leaves; a transform that is not cut leaves h, k, l to part 2. */
NB_FN int nb_left_by(int kind, int part)
{
#define NB_ENTRY(name, shape, first, second, root) \
    case NB_KIND_##name: return part ? second : first - nb_wants_roots(kind);
    switch (kind) { NB_CUT(NB_ENTRY) }
#undef NB_ENTRY
    return 3;
}

/* 1 if the transform is cut into parts. */
NB_FN int nb_is_cut(int kind)
{
#define NB_ENTRY(name, shape, first, second, root) case NB_KIND_##name: return 1;
    switch (kind) { NB_CUT(NB_ENTRY) }
#undef NB_ENTRY
    return 0;
}

/* F_latt^2 in three parts, 0 to 2; of a transform that is not cut the last one is all of it. */
NB_FN void nb_lattice_part(int kind, int part, const nb_lattice *c, double *a)
{
#define NB_ENTRY(name, shape, first, second, root) \
    case NB_KIND_##name: nb_##name##_part(part, &c->of.shape, a); return;
    switch (kind) { NB_CUT(NB_ENTRY) }
#undef NB_ENTRY
    if (part == 2) a[0] = nb_lattice_sqr(kind, c, a[0], a[1], a[2]);
}

/* F_latt^2, and its slopes by h, k, l. */
NB_FN double nb_lattice_slopes(int kind, const nb_lattice *c, double h, double k, double l, double *slope)
{
#define NB_ENTRY(name, shape, single) case NB_KIND_##name: return nb_##name##_slopes(&c->of.shape, h, k, l, slope);
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
    return nan("");
}

/* 0 if nobody asks for derivatives: they are refused, or it is a transform of `-compat c`, which is for images. */
NB_FN int nb_has_derivatives(int kind)
{
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: return NB_BY_OF_##shape != NB_BY_none && NB_KIND_##name != NB_KIND_round_marked;
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
    return 0;
}

/* 1 if the transform is a product of the axes'. */
NB_FN int nb_is_product(int kind)
{
#define NB_ENTRY(name, shape) case NB_KIND_##name: return 1;
    switch (kind) { NB_PRODUCTS(NB_ENTRY) }
#undef NB_ENTRY
    return 0;
}

/* An axis' factor of a product, and its slope. */
NB_FN double nb_lattice_axis(int kind, int axis, const nb_lattice *c, double d, double *slope)
{
#define NB_ENTRY(name, shape) case NB_KIND_##name: return nb_##name##_axis(&c->of.shape, axis, d, slope);
    switch (kind) { NB_PRODUCTS(NB_ENTRY) }
#undef NB_ENTRY
    return nan("");
}

#define NB_BY_SHAPE 7

/* Derivatives of value = weight * F_latt^2 by the shape's own numbers; those that a shape has none of stay. */
NB_FN void nb_lattice_by_shape(int kind, const nb_lattice *c, double weight, double value, double h, double k, double l,
                               double *by)
{
#define NB_ENTRY(name, shape, single) \
    case NB_KIND_##name: nb_##shape##_by_shape(&c->of.shape, weight, value, h, k, l, by); return;
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
}

/* F_latt^2 in float32, or the double form where there is no other. */
NB_FN float nb_single_sqr(int kind, const nb_lattice *c, float h, float k, float l)
{
#define NB_SINGLE_1(name, shape) nb_##name##_single(&c->of.shape, h, k, l)
#define NB_SINGLE_0(name, shape) (float)nb_##name##_sqr(&c->of.shape, h, k, l)
#define NB_ENTRY(name, shape, single) case NB_KIND_##name: return NB_SINGLE_##single(name, shape);
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
    return nanf("");
}

/* 1 if the transform has a float32 form. */
NB_FN int nb_has_single(int kind)
{
#define NB_ENTRY(name, shape, single) case NB_KIND_##name: return single;
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
    return 0;
}

/* F_latt at h, k, l, and its factors per axis where it is a product (1 each where not). */
NB_FN double nb_amplitude(int kind, const nb_lattice *c, double h, double k, double l, double *axis)
{
    axis[0] = axis[1] = axis[2] = 1.0;
#define NB_ENTRY(name, shape, single) case NB_KIND_##name: return nb_##shape##_amplitude(&c->of.shape, h, k, l, axis);
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
    return nan("");
}

/* Fill in a shape's constants; returns the transform to use, or -1 for a number that is no shape. */
NB_FN int nb_set_constants(int shape, const nb_crystal *x, nb_lattice *c)
{
#define NB_ENTRY(name, printed, product, by) case NB_SHAPE_##name: return nb_##name##_constants(x, &c->of.name);
    switch (shape) { NB_SHAPES(NB_ENTRY) }
#undef NB_ENTRY
    return -1;
}

/* How bright spots are, see above; no number for a number that is no shape. */
NB_FN double nb_spot_photons(int shape, const nb_crystal *x)
{
#define NB_ENTRY(name, printed, product, by) case NB_SHAPE_##name: return nb_##name##_photons(x);
    switch (shape) { NB_SHAPES(NB_ENTRY) }
#undef NB_ENTRY
    return nan("");
}

/* Where spots of a shape end, see above. */
NB_FN double nb_spot_ends(int shape, const nb_lattice *c, double brightest, double *form)
{
#define NB_ENTRY(name, printed, product, by) \
    case NB_SHAPE_##name: return nb_##name##_ends(&c->of.name, brightest, form);
    switch (shape) { NB_SHAPES(NB_ENTRY) }
#undef NB_ENTRY
    return 0.0;
}

/* Whether the spots of a transform can end; known to the compiler where they never do. */
NB_FN int nb_can_end(int kind, const nb_lattice *c)
{
    double form[6];
#define NB_ENTRY(name, shape, single) case NB_KIND_##name: return nb_##shape##_ends(&c->of.shape, 1.0, form) > 0.0;
    switch (kind) { NB_TRANSFORMS(NB_ENTRY) }
#undef NB_ENTRY
    return 0;
}

#ifndef __CUDACC__
/* The lists for Python. */
#define NB_ENTRY(name, printed, product, by) {#name, printed, #by},
static const char *const nb_shape_names[][3] __attribute__((unused)) = {NB_SHAPES(NB_ENTRY)};
#undef NB_ENTRY

#define NB_ENTRY(name, printed, product, by) product,
static const int nb_shape_by_product[] __attribute__((unused)) = {NB_SHAPES(NB_ENTRY)};
#undef NB_ENTRY

#define NB_ENTRY(name, shape, single) #name,
static const char *const nb_kind_names[] __attribute__((unused)) = {NB_TRANSFORMS(NB_ENTRY)};
#undef NB_ENTRY
#endif

#endif
