from nanobragg_py.kernels.memory.buffers cimport Buffer

cdef extern from "nb_background.h" nogil:
    ctypedef struct nb_pieces:
        const double *node
        const double *coefficient
        const int *cell
        double cells_per, last_cell
        int pieces, stride, width
    ctypedef struct nb_direction:
        double incident[3]
        double E[3]
        double B[3]
        int along, spectrum
    ctypedef struct nb_spectrum:
        int first, count, merged
        nb_pieces pieces
    ctypedef struct nb_background:
        double fast[3]
        double slow[3]
        double normal[3]
        double origin[3]
        double beam[3]
        double pixel, subpixel, distance, close_distance
        double kahn, scale
        double first_depth, thickstep, absorption, deepening
        int layers, sensor
        int fpixels, spixels, fast_min, fast_max, slow_min, slow_max
        int oversample, curved, point_pixel, polarized, map
        int directions, last_direction
        double last_inverse
        const nb_direction *direction
        const nb_spectrum *spectrum
        const double *inverse
        const double *weight
        nb_pieces curve


cdef class Curve:
    """A curve F(sin(theta)/lambda) as the loops want it."""
    cdef readonly Buffer x            # rows + 4: the abscissae, 1/m, with two points added at each end
    cdef readonly Buffer F            # the values there
    cdef readonly int rows
    cdef readonly bint ascending      # each abscissa lies above the one before it
    cdef readonly double overshoot    # how far the curve leaves the rows' range between them, in parts of that range
    cdef nb_pieces pieces
    cdef Buffer nodes, coefficients, cells, signs
    cdef _cut(self)
    cdef Py_ssize_t _add_pieces(self, Py_ssize_t count, const double *c, double node, double end)


cdef class BackgroundJob:
    """Amorphous scattering as plain arrays."""
    cdef nb_background p
    cdef readonly Curve curve
    cdef readonly Buffer sources      # (sources, 14): direction, wavelength, weight, E, B, and whether that is 0
    cdef Buffer directions, spectra, inverses, weights
    cdef list kept
    cdef int threads
    cdef _set_sources(self, beam)
    cdef _set_spectra(self, list spectra, long uses)
    cdef double _largest_half_difference(self)
    cdef _merge(self, nb_spectrum *spectrum, double largest)
