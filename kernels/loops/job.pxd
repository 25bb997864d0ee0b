from nanobragg_py.kernels.memory.buffers cimport Borrowed, Buffer
from nanobragg_py.kernels.formulas.formulas cimport nb_job


cdef class Job:
    """An experiment as plain arrays."""
    cdef nb_job p
    cdef readonly Buffer sources          # (sources, NB_SOURCE_SIZE)
    cdef readonly Buffer wavelengths      # of the sources, m
    cdef readonly Buffer tables           # where in `table` the structure factors of each source begin (elements)
    cdef readonly Buffer orientations     # (9, stride): ax ay az bx ... cz of every phi step and domain
    cdef readonly Buffer first_orientations  # the same for the very first sweep under -compat c, or None
    cdef readonly Py_ssize_t stride       # orientations rounded up to the vector length
    cdef readonly Buffer table            # structure factors in the kernels' layout, or None
    cdef readonly tuple rotation          # cell (9), spindle (3), phi of steps, domains' matrices or None, domains_turn
    cdef readonly bint domains_turn       # the domains' matrices are of the crystal, which phi turns
    cdef readonly object mask             # buffer of uint16, or None
    cdef const double *source_data
    cdef double *wavelength_data
    cdef const long long *tables_data
    cdef const double *orientation_data
    cdef const double *first_data
    cdef const double *table_data
    cdef const unsigned short *mask_data
    cdef Borrowed _mask
    cdef int shape_number                  # number of the crystal shape
    cdef double top                       # the largest squared amplitude; below 0: not yet looked for
    cdef _set_detector(self, detector)
    cdef _set_reach(self)
    cdef _set_mask(self, mask)
    cdef _set_sources(self, beam)
    cdef _set_tables(self, beam, factors)
    cdef _set_orientations(self, crystal, sampling, bint defects)
    cdef _fill(self, double *out, const double *cell, const double *spindle, list phis, const double *domains)
