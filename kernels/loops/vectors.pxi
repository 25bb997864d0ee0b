# Three-component vectors of what is worked out once an image.
#
# Part of job.pyx and amorphous.pyx, which include it.


cdef void set_vector(double *out, values):
    out[0], out[1], out[2] = values


cdef bint unit(double *v) noexcept:
    """Normalise; False for the zero vector, which stays."""
    cdef double length = sqrt(nb_dot(v, v))
    if length == 0.0:
        return False
    v[0] /= length
    v[1] /= length
    v[2] /= length
    return True
