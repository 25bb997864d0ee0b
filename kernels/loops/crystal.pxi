# The crystal as the loops want it: which transform its shape takes, the constants of that, and how far its spots reach.
#
# Part of job.pyx, which includes it: what it sets lies in a struct of a Job.

#: the crystal shapes, and the reference's words for them
SHAPES = {nb_shape_names[i][0].decode(): nb_shape_names[i][1].decode() for i in range(NB_SHAPE_COUNT)}
#: the lattice transforms in the order of their numbers; the square crystal has several
TRANSFORMS = tuple([nb_kind_names[i].decode() for i in range(NB_KIND_COUNT)])


cdef int shape_number(str name) except -1:
    if name not in SHAPES:
        raise NanoBraggError(f"{name!r} is no crystal shape; give one of {', '.join(SHAPES)}")
    return list(SHAPES).index(name)


def by_product(str shape):
    """True where spots are as wide along every axis as the product of the numbers of cells makes them."""
    return bool(nb_shape_by_product[shape_number(shape)])


def derivatives_by(str shape):
    """What numbers of the shape images have derivatives by: "cells", "form", or "none"; see shapes.h."""
    return nb_shape_names[shape_number(shape)][2].decode()


def marks_pixels(str shape):
    """True where `-compat c` has pixels of some spots' centres worked out one by one."""
    cdef nb_crystal x
    cdef nb_lattice constants
    cdef int number = shape_number(shape), plain
    # of any crystal
    set_vector(x.cells, (1.0, 1.0, 1.0))
    set_vector(x.axes[0], (1.0, 0.0, 0.0))
    set_vector(x.axes[1], (0.0, 1.0, 0.0))
    set_vector(x.axes[2], (0.0, 0.0, 1.0))
    x.scale = x.gauss_width = x.tophat_cutoff = 1.0
    x.fudge = 1.0
    x.reference = False
    plain = nb_set_constants(number, &x, &constants)
    x.reference = True
    return nb_set_constants(number, &x, &constants) != plain


def photons_kept(crystal):
    """How bright a spot of a ResolvedCrystal is, summed over all of it, as a part of what so many cells scatter."""
    cdef nb_crystal x
    read_crystal(crystal, False, &x)
    return nb_spot_photons(shape_number(crystal.shape), &x)


cdef int read_crystal(crystal, bint defects, nb_crystal *x) except -1:
    set_vector(x.cells, crystal.cells)
    x.fudge = crystal.fudge
    x.reference = defects
    cdef int i
    for i in range(3):
        set_vector(x.axes[i], crystal.spot_axes[i])
    x.scale = crystal.spot_scale
    x.gauss_width = crystal.gauss_width
    x.tophat_cutoff = crystal.tophat_cutoff
    return 0


cdef int set_lattice(nb_job *p, crystal, bint defects) except -1:
    """Choose the transform and its constants; returns the shape's number."""
    cdef nb_crystal x
    cdef int shape = shape_number(crystal.shape)
    read_crystal(crystal, defects, &x)
    p.lattice_kind = nb_set_constants(shape, &x, &p.lattice)
    return shape


cdef double largest_square(double top, Buffer table):
    """The largest squared amplitude; top where there is no table."""
    cdef const double *values
    cdef Py_ssize_t i
    if table is not None:
        values = <const double *>table.data
        for i in range(table.nbytes // 8):
            top = max(top, values[i] * values[i])
    return top


cdef void set_reach(nb_job *p, int shape, double top):
    """From where on spots that end need not be computed; limit stays 0 where that gains nothing."""
    cdef nb_lattice *c = &p.lattice
    cdef double determinant, brightest
    cdef double q[6]
    brightest = (top * p.scale * p.sources * p.orientations * p.layers * p.oversample * p.oversample
                 * (1.0 if p.point_pixel else p.pixel * p.pixel) / (p.close_distance * p.close_distance))
    c.limit = nb_spot_ends(shape, c, brightest, q)
    # the matrix of the form is q0 q1 q2 / q1 q3 q4 / q2 q4 q5; its minimum for a given d on one axis is d^2/inverse
    q[1] *= 0.5
    q[2] *= 0.5
    q[4] *= 0.5
    determinant = (q[0] * (q[3] * q[5] - q[4] * q[4]) - q[1] * (q[1] * q[5] - q[2] * q[4])
                   + q[2] * (q[1] * q[4] - q[2] * q[3]))
    c.reach[0] = determinant / (q[3] * q[5] - q[4] * q[4])
    c.reach[1] = determinant / (q[0] * q[5] - q[2] * q[2])
    c.reach[2] = determinant / (q[0] * q[3] - q[1] * q[1])
    # worth the trouble only if something can end, and only where all numbers are sound
    if not (max(c.reach[0], c.reach[1], c.reach[2]) * 0.25 > c.limit > 0.0):
        c.limit = 0.0
