# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Experiment -> kernel arrays: everything that is worked out once an image.

The same arrays serve the CPU loops, the sequential `-compat c` loop, the tracer and the GPU backend.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.limits cimport INT_MAX
from libc.math cimport sqrt
from libc.string cimport memset

from nanobragg_py.kernels.memory.buffers cimport Borrowed, Buffer
from nanobragg_py.kernels.formulas.formulas cimport *

from nanobragg_py.constants import R_E_SQR
from nanobragg_py.errors import NanoBraggError

cdef enum:
    VECTOR = 8  # orientations are padded to a multiple of this
    STRETCH = 1 << 20  # orientations between two looks for signals

ctypedef nb_job nb_panel

include "vectors.pxi"
include "crystal.pxi"
include "detector.pxi"


cdef double largest_index(crystal, beam):
    """No Miller index is larger: |a| |q| with |q| <= 2/lambda, doubled for source directions that are not unit ones."""
    lengths = [sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) for v in (crystal.a, crystal.b, crystal.c)]
    return 4.0 * max(lengths) / min([source[4] for source in beam.sources])


cdef void set_box(nb_job *p, bounds):
    """Where the table's indices lie, and where interpolation is allowed (the reference's bounds)."""
    cdef int i
    cdef double low[3]
    cdef double extent[3]
    cdef nb_box *b = &p.box
    for i in range(3):
        low[i] = bounds[2 * i]
        extent[i] = bounds[2 * i + 1] - low[i] + 1.0
        b.low[i] = low[i] - 1.0
        b.high[i] = low[i] + extent[i]
        b.safe_low[i] = low[i] + 2.0
        b.safe_high[i] = low[i] + extent[i] - 3.0
    b.stride[1] = extent[2] + 1.0
    b.stride[0] = (extent[1] + 1.0) * b.stride[1]
    b.offset = -(low[0] * b.stride[0] + low[1] * b.stride[1] + low[2])


cdef int check_table(const nb_box *b, Buffer table, int tables) except -1:
    """The table, or so many of them, must hold every element that the loops may ask for, and what lies one index before
    it on each axis."""
    cdef double elements = 1.0
    cdef int i
    for i in range(3):
        elements *= b.high[i] - b.low[i]
    if (not 0.0 < elements < INT_MAX or table.nbytes // 8 < elements * max(tables, 1)
            or table.pad < b.stride[0] + b.stride[1] + 1.0):
        raise ValueError(f"a table of {table.nbytes // 8} structure factors, and the bounds ask for {elements:.0f}")
    return 0


def table_numbers(beam, factors):
    """Which of several tables of structure factors each source has: (a number for each source, how many there are).

    Sources of one wavelength share a table; 0 tables: there is no choice.
    """
    if not factors.wavelengths:
        return [0] * len(beam.sources), 0
    places = {}
    numbers = [places.setdefault(source[4], len(places)) for source in beam.sources]
    return numbers, len(places)


cdef class Job:
    """An experiment as plain arrays.

    experiment: a resolved Experiment. table: its structure factors in the kernels' layout (see
    `nanobragg_py.files.hkl.kernel_table`), or None when there is no table. defects: reproduce the reference's
    D1, where a step at phi = 0 keeps the vectors of the step before it, and D6, the centres of round crystals' spots.
    single: the lattice transform in float32, where the shape and the loops have it (flat detectors, no interpolation,
    indices below 2^19); indices stay in double.
    """

    def __init__(self, experiment, table=None, bint defects=False, bint single=False):
        cdef nb_job *p = &self.p
        cdef int shape
        memset(p, 0, sizeof(nb_job))
        beam, detector = experiment.beam, experiment.detector
        crystal, sampling = experiment.crystal, experiment.sampling
        factors = experiment.structure_factors

        set_vector(p.beam, beam.direction)
        p.oversample = sampling.oversample  # of every panel
        p.weight_thick = sampling.oversample_thick
        self._set_detector(detector)
        p.polarized = beam.polarized or sampling.oversample_polar
        p.weight_polar = sampling.oversample_polar
        p.weight_omega = sampling.oversample_omega
        p.weight_source = len(beam.relative_weights) > 0
        p.sources_join = experiment.physics.weights
        p.kahn = beam.polarization
        p.dmin = sampling.dmin
        p.phisteps = sampling.phisteps
        p.domains = crystal.mosaic_domains
        if <long long>p.phisteps * p.domains > INT_MAX - VECTOR:
            raise NanoBraggError(
                f"{p.phisteps} phi steps of {p.domains} mosaic domains are more orientations than can be counted; use "
                "fewer with -phisteps or -mosaic_domains"
            )
        p.orientations = p.phisteps * p.domains
        p.background = experiment.water_background
        # a share is of the crystal's photons, not of what is diffuse
        p.diffuse = experiment.diffuse * p.orientations / <double>crystal.share
        p.default_F = factors.default_F
        p.scale = R_E_SQR * beam.fluence * crystal.share / sampling.steps
        shape = set_lattice(p, crystal, defects)
        if table is None:
            p.structure_kind = NB_CONSTANT
        else:
            p.structure_kind = NB_TRICUBIC if sampling.interpolate else NB_NEAREST
            set_box(p, factors.bounds)
        self.table = table
        self.table_data = NULL if table is None else <const double *>(<Buffer>table).data
        self._set_sources(beam)
        self._set_tables(beam, factors)
        self._set_orientations(crystal, sampling, defects)
        self.shape_number = shape
        self.top = -1.0
        self._set_reach()
        p.single = single and nb_has_single(p.lattice_kind) and largest_index(crystal, beam) < NB_SINGLE_SHIFT / 3.0

    cdef _set_detector(self, detector):
        cdef nb_job *p = &self.p
        set_panel(p, detector, p.oversample)
        set_sensor(p, detector)
        if detector.deepening != 0.0:  # each layer catches its own part, of panels that have layers
            p.weight_thick = p.sensor
        self.mask = detector.mask
        self.mask_data = NULL
        if detector.mask is not None:
            self._set_mask(detector.mask)

    cdef _set_reach(self):
        cdef double q[6]
        self.p.lattice.limit = 0.0
        if (self.p.curved or self.p.structure_kind == NB_TRICUBIC
                or nb_spot_ends(self.shape_number, &self.p.lattice, 1.0, q) == 0.0):
            return
        if self.top < 0.0:
            self.top = largest_square(self.p.default_F * self.p.default_F, self.table)
        set_reach(&self.p, self.shape_number, self.top)

    def with_detector(self, detector):
        """The same on another detector, a ResolvedDetector; sources, orientations and tables are shared."""
        cdef Job other = Job.__new__(Job)
        other.p = self.p
        other.sources, other.wavelengths, other.source_data = self.sources, self.wavelengths, self.source_data
        other.wavelength_data, other.table, other.table_data = self.wavelength_data, self.table, self.table_data
        other.tables, other.tables_data = self.tables, self.tables_data
        other.orientations, other.orientation_data = self.orientations, self.orientation_data
        other.first_orientations, other.first_data = self.first_orientations, self.first_data
        other.stride, other.rotation, other.domains_turn = self.stride, self.rotation, self.domains_turn
        other.shape_number, other.top = self.shape_number, self.top
        other._set_detector(detector)
        other._set_reach()
        return other

    cdef _set_mask(self, mask):
        self._mask = Borrowed(mask, "H")
        if self._mask.count != <Py_ssize_t>self.p.fpixels * self.p.spixels:
            raise ValueError(f"mask has {self._mask.count} pixels, the detector {self.p.fpixels * self.p.spixels}")
        self.mask_data = <const unsigned short *>self._mask.data

    cdef _set_sources(self, beam):
        cdef double *out
        cdef double axis[3]
        cdef int i, j
        self.p.sources = len(beam.sources)
        self.sources = Buffer((self.p.sources, NB_SOURCE_SIZE), "d")
        self.source_data = <const double *>self.sources.data
        self.wavelengths = Buffer(self.p.sources, "d")
        self.wavelength_data = <double *>self.wavelengths.data
        set_vector(axis, beam.polarization_axis)
        for i in range(self.p.sources):
            out = <double *>self.sources.data + i * NB_SOURCE_SIZE
            direction = beam.source_directions[i]
            for j in range(3):
                out[j] = -<double>direction[j]
            self.wavelength_data[i] = beam.sources[i][4]
            out[3] = 1.0 / self.wavelength_data[i]
            out[NB_SOURCE_WEIGHT] = beam.relative_weights[i] if self.p.weight_source else 1.0
            # B = unit(axis x s), E = unit(s x B); 0 when the axis lies along the beam
            nb_cross(axis, out, out + 7)
            unit(out + 7)
            nb_cross(out, out + 7, out + 4)
            unit(out + 4)

    cdef _set_tables(self, beam, factors):
        """Where the table of each source begins: one for all, or one for every wavelength (see `table_numbers`)."""
        cdef long long *out
        cdef long long size = 0
        cdef int i
        numbers, count = table_numbers(beam, factors)
        self.p.tables = count
        self.tables = Buffer(self.p.sources, "q")
        out = <long long *>self.tables.data
        self.tables_data = out
        if self.table is None:
            return
        check_table(&self.p.box, self.table, count)
        if count > 0:
            size = <long long>(self.p.box.stride[0] * (self.p.box.high[0] - self.p.box.low[0]))
        for i in range(self.p.sources):
            out[i] = size * <long long>numbers[i]

    cdef _set_orientations(self, crystal, sampling, bint defects):
        cdef double cell[9]
        cdef double spindle[3]
        cdef Py_ssize_t j
        cdef Borrowed rotations
        cdef const double *domains = NULL
        set_vector(cell, crystal.a)
        set_vector(cell + 3, crystal.b)
        set_vector(cell + 6, crystal.c)
        set_vector(spindle, sampling.spindle)
        if crystal.mosaic_spread > 0.0:
            rotations = Borrowed(crystal.mosaic_rotations, "d")
            if rotations.count < 9 * <Py_ssize_t>self.p.domains:
                raise ValueError(f"{rotations.count // 9} mosaic rotations for {self.p.domains} domains")
            domains = <const double *>rotations.data
        self.domains_turn = crystal.domains_turn
        self.stride = (self.p.orientations + VECTOR - 1) // VECTOR * VECTOR
        self.orientations = Buffer((9, self.stride), "d")
        self.orientation_data = <const double *>self.orientations.data
        self.first_orientations = None
        self.first_data = NULL
        phis = [sampling.phi0 + sampling.phistep * i for i in range(self.p.phisteps)]
        steps = phis
        if defects and 0.0 in phis:
            # Which phi each step really uses: a phi of exactly 0 repeats the one before it. The first sweep starts from
            # the unrotated cell (None), later ones from where the sweep before ended.
            steps = repeat_before_zero(phis, None)
            first = steps
            steps = repeat_before_zero(phis, steps[len(steps) - 1])
            if first != steps:
                self.first_orientations = Buffer((9, self.stride), "d")
                self.first_data = <const double *>self.first_orientations.data
                self._fill(<double *>self.first_orientations.data, cell, spindle, first, domains)
        self._fill(<double *>self.orientations.data, cell, spindle, steps, domains)
        self.rotation = (
            tuple([cell[j] for j in range(9)]),
            tuple([spindle[j] for j in range(3)]),
            [0.0 if phi is None else phi for phi in steps],
            None if domains == NULL else crystal.mosaic_rotations,
            self.domains_turn,
        )

    cdef _fill(self, double *out, const double *cell, const double *spindle, list phis, const double *domains):
        cdef double turned[9]
        cdef Py_ssize_t j = 0, domain
        cdef int i
        cdef double phi
        for value in phis:
            phi = 0.0 if value is None else value
            for domain in range(self.p.domains):
                nb_rotate_cell(cell, spindle, phi, NULL if domains == NULL else domains + 9 * domain,
                               self.domains_turn, turned)
                for i in range(9):
                    out[i * self.stride + j] = turned[i]
                j += 1
                if j % STRETCH == 0:
                    PyErr_CheckSignals()

    @property
    def params(self):
        """The bytes of the struct `nb_job`, which the CUDA kernels take by value."""
        return (<const char *>&self.p)[:sizeof(nb_job)]

    @property
    def choices(self):
        """What the CUDA kernels are compiled for: (lattice transform, source of structure factors, curved detector)."""
        return self.p.lattice_kind, self.p.structure_kind, bool(self.p.curved)

    @property
    def single(self):
        """Whether the lattice transform is in float32: asked for, with such a form, and indices are small enough."""
        return bool(self.p.single)

    @property
    def domains(self):
        """Mosaic domains."""
        return self.p.domains

    @property
    def steps_per_pixel(self):
        """Contributions summed for one pixel: layers * sub-pixels * sources * orientations."""
        return int(self.p.layers) * int(self.p.oversample) ** 2 * int(self.p.sources) * int(self.p.orientations)

    @property
    def pieces(self):
        """Pieces that the work on a pixel can be cut into on a device, see `nb_cut` in kernels/formulas/nb_job.h."""
        return nb_cut_of(&self.p).pieces

    @property
    def roi(self):
        """Pixels that are rendered: (fast min, fast max, slow min, slow max), inclusive and inside the image."""
        return self.p.fast_min, self.p.fast_max, self.p.slow_min, self.p.slow_max

    @property
    def shape(self):
        """(slow, fast) pixels of the image."""
        return self.p.spixels, self.p.fpixels


cdef list repeat_before_zero(list phis, last):
    """The phi every step uses when a phi of exactly 0 keeps the orientation of the step before it."""
    used = []
    for phi in phis:
        if phi != 0.0:
            last = phi
        used.append(last)
    return used


cdef extern from *:
    """
    /* the highest of the levels that setup.py builds which this processor (and system) has: 0 base, 3, 4 */
    static int nb_cpu_level(void)
    {
    #if defined(__x86_64__) && defined(__GNUC__)
        __builtin_cpu_init();
        if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt"))) return 0;
        if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl"))) return 3;
        return 4;
    #else
        return 0;
    #endif
    }
    """
    int nb_cpu_level()


def processor_level():
    """The highest instruction-set level of this processor: "base", "v3" (AVX2) or "v4" (AVX-512)."""
    level = nb_cpu_level()
    return f"v{level}" if level else "base"
