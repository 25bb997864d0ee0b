# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One pixel after the other, in the reference's order and with its state: `-compat c`, `-printout`, and the tracer.

The reference keeps variables from one step to the next where it should not (docs/differences.md, D1, D2, D4), so what
it gives for a pixel depends on all the pixels before it. This loop carries the same state, and does arithmetic in the
same order. It is not fast and need not be: for D1 alone, only the first pixel goes through it, and for D6 the pixels at
the centres of spots.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport sqrt

from nanobragg_py.kernels.loops.job cimport Job
from nanobragg_py.kernels.formulas.formulas cimport *

from time import perf_counter

cdef enum:
    LOOK_AFTER = 1 << 16  # steps: about a hundredth of a second


cdef class Sequential:
    """Renders pixels of a job one at a time.

    defects: False, every step stands on its own, as in the parallel loops; True, the reference's D1, D2 and D4 (the
    job must have been made with `defects`, too).

    recorder: None, or an object that is told of everything on the way to a pixel (see
    `nanobragg_py.inspect.trace.Recorder`): its methods subpixel(layer, sub_slow, sub_fast), source(index, passed) and
    step(orientation, contribution, total) are called with this loop's attributes holding the values in use.
    """
    cdef readonly Job job
    cdef bint defects
    cdef bint interpolating
    cdef unsigned int counted              # steps, for when signals are looked for
    cdef readonly bint executed            # some sweep over phi has been executed
    cdef readonly long outside             # steps that could not be interpolated
    cdef readonly double angle             # sum of the solid angle over all sub-steps so far
    cdef public object recorder
    # the last step's values, which stay from pixel to pixel
    cdef readonly double stol, h, k, l, h0, k0, l0, F_cell, F_latt, intensity, polar, omega, capture, fast, slow
    cdef readonly double depth, airpath    # of the sub-pixel: along the detector's normal, from the sample; m
    cdef readonly bint interpolated        # F_cell came from its neighbourhood
    cdef readonly tuple outside_at         # h, k, l, h0, k0, l0 of the first such step
    cdef double cell[9]
    cdef double place[3]
    cdef double diffracted[3]
    cdef double scattering[3]
    cdef double axis[3]
    cdef double weights[12]
    cdef const double *source
    cdef const double *table   # of the source
    cdef const double *corner

    def __init__(self, Job job, bint defects=False):
        self.job = job
        self.defects = defects
        self.source = job.source_data
        self.interpolating = job.p.structure_kind == NB_TRICUBIC
        self.executed = False
        self.counted = 0

    @property
    def cell_vectors(self):
        """Rows a, b, c of the last step's real-space cell, m."""
        return tuple(self.cell[i] for i in range(9))

    @property
    def position(self):
        """The last sub-pixel in the laboratory, m."""
        return self.place[0], self.place[1], self.place[2]

    @property
    def roi(self):
        """(fast min, fast max, slow min, slow max), inclusive."""
        return self.job.roi

    def skipped(self, int slow, int fast):
        """True for a pixel that the mask leaves out, or that is none."""
        if not (0 <= slow < self.job.p.spixels and 0 <= fast < self.job.p.fpixels):
            return True
        return self.job.mask_data != NULL and self.job.mask_data[<Py_ssize_t>slow * self.job.p.fpixels + fast] == 0

    def catch_up(self, int slow, int fast):
        """Bring the state to what it is when the loop over the image comes to this pixel.

        Without defects there is none. With them it settles when a sweep over phi has been executed (D1) and
        interpolation is off (D4): only the pixels until then have to be rendered.
        """
        cdef int s, f
        if not self.defects:
            return
        fast_min, fast_max, slow_min, slow_max = self.job.roi
        for s in range(slow_min, slow_max + 1):
            PyErr_CheckSignals()
            for f in range(fast_min, fast_max + 1):
                if (s == slow and f == fast) or (self.executed and not self.interpolating):
                    return
                if not self.skipped(s, f):
                    self.pixel(s, f)

    def pixel(self, int slow, int fast):
        """The pixel's value in photons, as float64; the details are left in the attributes."""
        cdef const nb_job *p = &self.job.p
        cdef const double *cells
        cdef const double *source
        cdef double *position = self.place
        cdef double *direction = self.diffracted
        cdef double *q = self.scattering
        cdef Py_ssize_t stride = self.job.stride
        cdef int layer, sub_slow, sub_fast, s, i, j
        cdef double total = p.background, polar = 0.0 if p.polarized else 1.0, omega = 0.0, capture, inv, value, step
        cdef bint passed, recording = self.recorder is not None
        for layer in range(p.layers):
            self.depth = p.first_depth + layer * p.thickstep
            capture = 0.0 if p.sensor else 1.0
            for sub_slow in range(p.oversample):
                for sub_fast in range(p.oversample):
                    self.fast = p.subpixel * (fast * p.oversample + sub_fast) + p.subpixel / 2.0
                    self.slow = p.subpixel * (slow * p.oversample + sub_slow) + p.subpixel / 2.0
                    for i in range(3):
                        position[i] = (self.fast * p.fast[i] + self.slow * p.slow[i] + self.depth * p.normal[i] +
                                       p.origin[i])
                    if p.curved:
                        nb_curve(p.beam, p.fast, p.slow, p.distance, &position[0], &position[1], &position[2])
                    self.airpath = sqrt(nb_dot(position, position))
                    inv = 1.0 / self.airpath
                    for i in range(3):
                        direction[i] = position[i] / self.airpath
                    if omega == 0.0 or p.weight_omega:
                        omega = nb_solid_angle(inv, p.pixel * p.pixel, p.close_distance + p.deepening * self.depth,
                                               p.point_pixel)
                    self.angle += omega
                    if capture == 0.0 or p.weight_thick:
                        capture = nb_capture(layer, p.absorption, nb_dot(direction, p.normal))
                    if recording:
                        self.omega = omega
                        self.capture = capture
                        self.recorder.subpixel(layer, sub_slow, sub_fast)
                    for s in range(p.sources):
                        self.look()
                        source = self.source = self.job.source_data + s * NB_SOURCE_SIZE
                        self.table = self.job.table_data + self.job.tables_data[s]
                        for i in range(3):
                            q[i] = (direction[i] - source[i]) / self.job.wavelength_data[s]
                        self.stol = 0.5 * sqrt(nb_dot(q, q))
                        passed = not (p.dmin > 0.0 and self.stol > 0.0 and p.dmin > 0.5 / self.stol)
                        if (passed or p.diffuse != 0.0) and (polar == 0.0 or p.weight_polar):
                            polar = nb_polarization(p.kahn, nb_dot(source, direction), nb_dot(source + 4, direction),
                                                    nb_dot(source + 7, direction))
                        if recording:
                            self.polar = polar
                            self.recorder.source(s, passed)
                        if p.diffuse != 0.0:
                            total += self.weighted(p.diffuse, capture, polar, omega)
                        if not passed:
                            continue
                        cells = self.job.orientation_data
                        if not self.executed and self.job.first_data != NULL:
                            cells = self.job.first_data
                        self.executed = True
                        for j in range(p.orientations):
                            self.look()
                            for i in range(9):
                                self.cell[i] = cells[i * stride + j]
                            if self.step(&step):
                                if self.defects:
                                    # D2: the running sum is weighted, so earlier contributions are weighted again
                                    total = self.weighted(total + step, capture, polar, omega)
                                else:
                                    total += self.weighted(step, capture, polar, omega)
                            else:
                                step = 0.0
                            if recording:
                                self.recorder.step(j, step, total)
        value = p.scale * total
        if not p.weight_thick:
            value *= capture
        if not p.weight_polar:
            value *= polar
        if not p.weight_omega:
            value *= omega
        self.intensity = total
        self.polar = polar
        self.omega = omega
        self.capture = capture
        return value

    cdef int look(self) except -1:
        """Look for signals after so many steps: a pixel may have hours of them."""
        self.counted += 1
        if self.counted % LOOK_AFTER == 0:
            PyErr_CheckSignals()
        return 0

    cdef double weighted(self, double intensity, double capture, double polar, double omega) noexcept:
        """The intensity with the corrections that are made at every step."""
        cdef const nb_job *p = &self.job.p
        if p.weight_source:
            intensity *= self.source[NB_SOURCE_WEIGHT]
        if p.weight_thick:
            intensity *= capture
        if p.weight_polar:
            intensity *= polar
        if p.weight_omega:
            intensity *= omega
        return intensity

    cdef bint step(self, double *contribution) noexcept:
        """One orientation: F_cell^2 * F_latt^2; False when the reference skips the step (F_latt 0 and no water)."""
        cdef const nb_job *p = &self.job.p
        self.h = nb_dot(self.cell, self.scattering)
        self.k = nb_dot(self.cell + 3, self.scattering)
        self.l = nb_dot(self.cell + 6, self.scattering)
        self.h0 = nb_nearest(self.h)
        self.k0 = nb_nearest(self.k)
        self.l0 = nb_nearest(self.l)
        self.F_latt = nb_amplitude(p.lattice_kind, &p.lattice, self.h, self.k, self.l, self.axis)
        self.interpolated = False
        if self.F_latt == 0.0 and p.background == 0.0:
            return False
        if p.structure_kind == NB_CONSTANT:
            self.F_cell = p.default_F
        elif self.interpolating and nb_box_safe(&p.box, self.h, self.k, self.l):
            self.F_cell = self.tricubic()
            self.interpolated = True
        else:
            if self.interpolating:
                if self.outside == 0:
                    self.outside_at = (self.h, self.k, self.l, self.h0, self.k0, self.l0)
                self.outside += 1
                # D4: the reference stops interpolating for the rest of the image
                self.interpolating = not self.defects
            self.F_cell = self.table[nb_box_element(&p.box, self.h0, self.k0, self.l0)]
        contribution[0] = self.F_cell * self.F_cell * self.F_latt * self.F_latt
        return True

    cdef double tricubic(self) noexcept:
        cdef const nb_box *box = &self.job.p.box
        cdef double fh = nb_floor(self.h), fk = nb_floor(self.k), fl = nb_floor(self.l), plane, row, total = 0.0
        cdef double *wh = self.weights
        cdef double *wk = self.weights + 4
        cdef double *wl = self.weights + 8
        cdef const double *f
        cdef Py_ssize_t d1 = <Py_ssize_t>box.stride[0], d2 = <Py_ssize_t>box.stride[1]
        cdef int i, j
        self.corner = self.table + nb_box_element(box, fh - 1.0, fk - 1.0, fl - 1.0)
        nb_cubic_weights(self.h - fh, &wh[0], &wh[1], &wh[2], &wh[3])
        nb_cubic_weights(self.k - fk, &wk[0], &wk[1], &wk[2], &wk[3])
        nb_cubic_weights(self.l - fl, &wl[0], &wl[1], &wl[2], &wl[3])
        for i in range(4):
            plane = 0.0
            for j in range(4):
                f = self.corner + i * d1 + j * d2
                row = wl[0] * f[0] + wl[1] * f[1] + wl[2] * f[2] + wl[3] * f[3]
                plane += wk[j] * row
            total += wh[i] * plane
        return total

    # ---- what a recorder asks for: about the last sub-pixel, source and step ----

    @property
    def diffracted_direction(self):
        """Unit vector from the sample to the sub-pixel."""
        return self.diffracted[0], self.diffracted[1], self.diffracted[2]

    @property
    def incident_direction(self):
        """Unit vector along which the source's beam travels."""
        return self.source[0], self.source[1], self.source[2]

    @property
    def wavelength(self):
        """Of the source, m."""
        return 1.0 / self.source[3]

    @property
    def weighs_sources(self):
        """True where sources do not count alike."""
        return bool(self.job.p.weight_source)

    @property
    def diffuse(self):
        """What joins the sum over orientations of every source, sub-pixel and layer."""
        return self.job.p.diffuse

    @property
    def weight(self):
        """Of the source, 1 on average."""
        return self.source[NB_SOURCE_WEIGHT]

    @property
    def scattering_vector(self):
        """(diffracted - incident direction)/wavelength, 1/m."""
        return self.scattering[0], self.scattering[1], self.scattering[2]

    @property
    def cos_2theta(self):
        """Cosine between the incident and the diffracted direction."""
        return nb_dot(self.source, self.diffracted)

    @property
    def cos_normal(self):
        """Cosine between diffracted direction and detector normal; the way through a layer is its thickness over it."""
        return nb_dot(self.job.p.normal, self.diffracted)

    @property
    def volume(self):
        """Of the step's unit cell, m^3."""
        return nb_cell_volume(self.cell)

    @property
    def reciprocal_vectors(self):
        """Rows a*, b*, c* of the step's cell, 1/m."""
        cdef double dual[9]
        cdef int i
        nb_dual_cell(self.cell, nb_cell_volume(self.cell), dual)
        return tuple([dual[i] for i in range(9)])

    @property
    def F_latt_axes(self):
        """F_latt along a, b and c; 1 each for crystals that are not square, whose transform is no product."""
        return self.axis[0], self.axis[1], self.axis[2]

    @property
    def F_latt_sqr(self):
        """F_latt^2 by the formula that the parallel loops use, or, where they leave it to this loop, by its own."""
        cdef const nb_job *p = &self.job.p
        cdef double square = nb_lattice_sqr(p.lattice_kind, &p.lattice, self.h - nb_rint(self.h),
                                            self.k - nb_rint(self.k), self.l - nb_rint(self.l))
        return square if square == square else self.F_latt * self.F_latt

    @property
    def neighbourhood(self):
        """Of an interpolated step: the weights along h, k, l (3 x 4), and F of the 4 x 4 rows along l, h slowest.

        None of another step.
        """
        cdef Py_ssize_t d1 = <Py_ssize_t>self.job.p.box.stride[0], d2 = <Py_ssize_t>self.job.p.box.stride[1]
        cdef int i, j, m
        if not self.interpolated:
            return None
        weights = [tuple([self.weights[4 * i + j] for j in range(4)]) for i in range(3)]
        rows = [tuple([self.corner[i * d1 + j * d2 + m] for m in range(4)]) for i in range(4) for j in range(4)]
        return weights, rows


def render_sequential(Sequential loop, float[:, ::1] image, progress=None):
    """Render every pixel of the region of interest through `loop`, in image order.

    Arguments and return value are those of `render` in the parallel loops.
    """
    cdef int slow, fast
    cdef double total = 0.0, squares = 0.0, top = 0.0, begin = perf_counter()
    cdef float value
    cdef long pixels = 0
    cdef object where = None
    fast_min, fast_max, slow_min, slow_max = loop.job.roi
    for slow in range(slow_min, slow_max + 1):
        for fast in range(fast_min, fast_max + 1):
            if loop.skipped(slow, fast):
                continue
            value = <float>loop.pixel(slow, fast)
            image[slow, fast] = value
            pixels += 1
            total += value
            squares += value * value
            if value > top:
                top = value
                where = (slow, fast)
        PyErr_CheckSignals()
        if progress is not None:
            progress(pixels)
    return total, squares, pixels, top, where, loop.angle, loop.outside, perf_counter() - begin
