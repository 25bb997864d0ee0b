# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Random numbers as the reference draws them: one shuffle table, a seed variable for each stream.

Seeds are the negated values that users give (see `nanobragg_py.flags.options`): a seed <= 0 loads the table anew. A
positive one (the user gave a negative seed) goes on with the table as the stream before left it, or, when nothing has
been drawn yet, starts as seed 1 does: the reference's rule.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport M_PI, cos, log, sin, sqrt
from libc.stdint cimport int64_t

from nanobragg_py.kernels.memory.buffers cimport Buffer
from nanobragg_py.kernels.noise.nb_random cimport nb_ran1, nb_ran1_next

from nanobragg_py.errors import NanoBraggError

cdef extern from "<math.h>" nogil:
    float powf(float x, float y)

cdef enum:
    STRETCH = 1 << 18  # rotations between two looks for signals


cdef int64_t seed_variable(seed) except? -1:
    """A seed as the C variable the generator works on; NanoBraggError if it does not fit."""
    if not -(2**31) <= seed <= 2**31:
        raise NanoBraggError(f"the seed {-seed} is out of range: give a whole number from -2147483648 to 2147483647")
    return seed


cdef void draw_rotation(nb_ran1 *r, int64_t *seed, float spread, double *u) noexcept nogil:
    """A rotation of at most `spread` radians, the axis anywhere, as a row-major matrix: `mosaic_rotation_umat`."""
    cdef double r1, r2, r3, rho, angle, x, y, z, c, s, t
    r1 = 2.0 * nb_ran1_next(r, seed) - 1.0
    r2 = 2.0 * nb_ran1_next(r, seed) - 1.0
    r3 = 2.0 * nb_ran1_next(r, seed) - 1.0
    rho = sqrt(1.0 - r2 * r2)
    # the angle is a float32 product of float32 factors in the reference, and so it is here
    angle = spread * powf(<float>(1.0 - r3 * r3), <float>(1.0 / 3.0))
    x = rho * sin(M_PI * r1)
    y = rho * cos(M_PI * r1)
    z = r2
    c = cos(angle)
    s = sin(angle)
    t = 1.0 - c
    # products in the reference's order: the last bits of every pixel depend on them
    u[0] = c + t * (x * x)
    u[1] = t * x * y - s * z
    u[2] = t * x * z + s * y
    u[3] = t * x * y + s * z
    u[4] = c + t * (y * y)
    u[5] = t * y * z - s * x
    u[6] = t * x * z - s * y
    u[7] = t * y * z + s * x
    u[8] = c + t * (z * z)


cdef void rotation_of(const double *v, double *u) noexcept nogil:
    """The matrix, row-major, of a rotation by |v| radians about v (Rodrigues' formula)."""
    cdef double angle = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    # sin(angle)/angle and (1 - cos(angle))/angle^2
    cdef double s = sin(angle) / angle if angle > 0.0 else 1.0, half = sin(0.5 * angle)
    cdef double t = 2.0 * half * half / (angle * angle) if angle > 0.0 else 0.5, c = cos(angle)
    u[0] = c + t * v[0] * v[0]
    u[1] = t * v[0] * v[1] - s * v[2]
    u[2] = t * v[0] * v[2] + s * v[1]
    u[3] = t * v[0] * v[1] + s * v[2]
    u[4] = c + t * v[1] * v[1]
    u[5] = t * v[1] * v[2] - s * v[0]
    u[6] = t * v[0] * v[2] - s * v[1]
    u[7] = t * v[1] * v[2] + s * v[0]
    u[8] = c + t * v[2] * v[2]


cdef class Ran1:
    """The shuffle table that all streams of one run share. Make a new one for every image."""

    def __cinit__(self):
        self.shared.last = 0

    def mosaic_rotations(self, double spread, Py_ssize_t domains, seed):
        """Rotation matrices of the mosaic domains: a float64 Buffer of 9*domains values, row-major one after another.

        spread: the largest angle, radians. The first matrix is the identity; its deviates are drawn all the same.
        """
        cdef int64_t variable = seed_variable(seed)
        cdef Buffer rotations = Buffer(9 * domains, "d", False)
        cdef double *u = <double *>rotations.data
        cdef Py_ssize_t i, first
        for first in range(0, domains, STRETCH):
            with nogil:
                for i in range(first, min(first + STRETCH, domains)):
                    draw_rotation(&self.shared, &variable, <float>spread, u + 9 * i)
            PyErr_CheckSignals()
        for i in range(9 if domains > 0 else 0):
            u[i] = 1.0 if i % 4 == 0 else 0.0
        return rotations

    def normal_rotations(self, axes, Py_ssize_t domains, seed):
        """As `mosaic_rotations`, but normal: rotation vectors with three normal components, along three axes.

        axes: three vectors, as long as the standard deviations about them, radians. No matrix is the identity. A domain
        takes four uniform deviates: two pairs of G. E. P. Box & M. E. Muller, Ann. Math. Stat. 29, 610 (1958), but one.
        """
        cdef int64_t variable = seed_variable(seed)
        cdef Buffer rotations = Buffer(9 * domains, "d", False)
        cdef double *u = <double *>rotations.data
        cdef double e[9]
        cdef double n[3]
        cdef double v[3]
        cdef double r, turn
        cdef Py_ssize_t i, first
        cdef int j
        for j in range(3):
            e[3 * j], e[3 * j + 1], e[3 * j + 2] = axes[j]
        for first in range(0, domains, STRETCH):
            with nogil:
                for i in range(first, min(first + STRETCH, domains)):
                    r = sqrt(-2.0 * log(nb_ran1_next(&self.shared, &variable)))
                    turn = 2.0 * M_PI * nb_ran1_next(&self.shared, &variable)
                    n[0] = r * cos(turn)
                    n[1] = r * sin(turn)
                    r = sqrt(-2.0 * log(nb_ran1_next(&self.shared, &variable)))
                    n[2] = r * cos(2.0 * M_PI * nb_ran1_next(&self.shared, &variable))
                    for j in range(3):
                        v[j] = n[0] * e[j] + n[1] * e[3 + j] + n[2] * e[6 + j]
                    rotation_of(v, u + 9 * i)
            PyErr_CheckSignals()
        return rotations

    def random_rotation(self, double spread, seed):
        """One rotation of at most `spread` radians: nine floats, row-major."""
        cdef int64_t variable = seed_variable(seed)
        cdef double u[9]
        draw_rotation(&self.shared, &variable, <float>spread, u)
        return tuple([u[i] for i in range(9)])

    def deviates(self, Py_ssize_t count, seed):
        """The first `count` uniform deviates of a stream: a float32 Buffer."""
        cdef int64_t variable = seed_variable(seed)
        cdef Buffer drawn = Buffer(count, "f", False)
        cdef float *u = <float *>drawn.data
        cdef Py_ssize_t i
        with nogil:
            for i in range(count):
                u[i] = nb_ran1_next(&self.shared, &variable)
        return drawn
