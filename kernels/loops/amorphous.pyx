# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Amorphous scattering -> kernel arrays: everything that is worked out once an image."""

from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memset

from cython.parallel cimport prange

from nanobragg_py.kernels.memory.buffers cimport Borrowed, Buffer

from nanobragg_py.constants import R_E_SQR

cdef extern from "nb_interpolant.h" nogil:
    void nb_taylor(int count, const double *x, const double *y, double *c)
    void nb_shift_cubic(const double *c, double t, double *out)
    double nb_cubic(const double *c, double t)
    void nb_add_square(const double *c, double scale, double weight, double *out)
    int nb_sign_changes(const double *c, double length, double *places)
    void nb_cross(const double *u, const double *v, double *w)
    double nb_dot(const double *u, const double *v)

ctypedef nb_background nb_panel

include "vectors.pxi"
include "detector.pxi"

cdef enum:
    MOST_CELLS = 1 << 18   # of the grid that finds a piece,
    MOST_MERGED = 1 << 18  # and pieces of a merged spectrum: 16 MiB
    NODES = 256            # of a merged spectrum that a thread takes at a time: their polynomials stay in its cache

# What it takes to put one wavelength into one piece of a merged spectrum, in look-ups of a pixel's wavelength.
cdef double MERGING = 6.0


cdef set_cells(nb_pieces *f, Buffer cells):
    """Fill the grid that finds pieces: as many cells as are needed for one node each, within reason."""
    cdef int *cell = <int *>cells.data
    cdef Py_ssize_t count = cells.nbytes // 4 - 1, j
    cdef int k = 0, most = 0, before
    cdef double last = f.node[f.pieces - 1]
    f.cells_per = count / last if last > 0.0 else 0.0
    f.last_cell = count
    for j in range(count + 1):
        before = k
        while k + 1 < f.pieces and f.node[k + 1] * f.cells_per <= j:
            k += 1
        cell[j] = k
        if j:
            most = max(most, k - before)
    f.cell = cell
    f.stride = 1
    while 2 * f.stride <= most:
        f.stride *= 2
    return most


cdef Buffer grid_cells(nb_pieces *f):
    """The grid of cells for the pieces of f."""
    cdef Py_ssize_t count = 64
    cdef Buffer cells
    while count < 2 * f.pieces:
        count *= 2
    while True:
        cells = Buffer(count + 1, "i", zero=False)
        if set_cells(f, cells) <= 1 or count >= MOST_CELLS:
            return cells
        count *= 2


cdef class Curve:
    """A curve F(sin(theta)/lambda) as the loops want it: its points, and the polynomials between them.

    x, F: abscissae, 1/m, and values of the rows, in the order in which the reference would walk through them; buffers
    of float64. first, last: F of the points that are added at either end.
    """

    def __init__(self, x, F, double first, double last):
        cdef Borrowed abscissae = Borrowed(x, "d"), values = Borrowed(F, "d")
        cdef int rows = abscissae.count, i
        cdef double *points
        cdef double *heights
        self.rows = rows
        self.x = Buffer(rows + 4, "d")
        self.F = Buffer(rows + 4, "d")
        points = <double *>self.x.data
        heights = <double *>self.F.data
        points[0], points[1], points[rows + 2], points[rows + 3] = -1e99, -1e98, 1e98, 1e99
        heights[0] = heights[1] = first
        heights[rows + 2] = heights[rows + 3] = last
        for i in range(rows):
            points[i + 2] = (<const double *>abscissae.data)[i]
            heights[i + 2] = (<const double *>values.data)[i]
        self.ascending = True
        for i in range(2, rows + 1):
            if not points[i] < points[i + 1]:
                self.ascending = False
        if self.ascending:
            self._cut()

    cdef _cut(self):
        """The polynomial of every interval from 0 on, about its left end, cut where it changes its sign."""
        cdef const double *x = <const double *>self.x.data
        cdef const double *F = <const double *>self.F.data
        cdef int rows = self.rows, i, j, count
        cdef double points[4]
        cdef double heights[4]
        cdef double c[4]
        cdef double shifted[4]
        cdef double left, right, low = INFINITY, high = -INFINITY, beyond = 0.0, f
        cdef Py_ssize_t pieces = 0
        self.nodes = Buffer(4 * (rows + 1) + 1, "d", zero=False)
        self.coefficients = Buffer((4 * (rows + 1), 4), "d", zero=False)
        self.signs = Buffer(4 * (rows + 1), "d", zero=False)
        for i in range(2, rows + 2):
            low = min(low, F[i])
            high = max(high, F[i])
        # interval i reaches from point i to the next; its polynomial goes through the points i-1 to i+2 that are rows
        for i in range(1, rows + 2):
            right = x[i + 1] if i < rows + 1 else INFINITY
            if right <= 0.0:
                continue
            left = max(i, 2)
            points[0] = x[<int>left]
            heights[0] = F[<int>left]
            count = 1
            for j in (i + 1, i - 1, i + 2):
                if 2 <= j <= rows + 1 and j != <int>left:
                    points[count] = x[j]
                    heights[count] = F[j]
                    count += 1
            nb_taylor(count, points, heights, c)
            left = points[0] if i > 1 else 0.0
            if i == 1:
                nb_shift_cubic(c, -points[0], shifted)
                c[0], c[1], c[2], c[3] = shifted[0], shifted[1], shifted[2], shifted[3]
            elif i < rows + 1:
                for j in range(1, 8):
                    f = nb_cubic(c, (right - left) * j / 8.0)
                    beyond = max(beyond, low - f, f - high)
            pieces = self._add_pieces(pieces, c, left, right)
        self.overshoot = beyond / (high - low) if high > low else 0.0
        (<double *>self.nodes.data)[pieces] = INFINITY
        self.pieces.node = <const double *>self.nodes.data
        self.pieces.coefficient = <const double *>self.coefficients.data
        self.pieces.pieces = <int>pieces
        self.pieces.width = 4
        self.cells = grid_cells(&self.pieces)

    cdef Py_ssize_t _add_pieces(self, Py_ssize_t count, const double *c, double node, double end):
        """Append an interval's polynomial about `node`, in parts of one sign; returns how many pieces there are."""
        cdef double *nodes = <double *>self.nodes.data
        cdef double *out = <double *>self.coefficients.data
        cdef double *signs = <double *>self.signs.data
        cdef double places[4]
        cdef double start, stop
        cdef int changes, i
        changes = nb_sign_changes(c, 1e30 if end == INFINITY else end - node, places)
        for i in range(changes + 1):
            start = places[i - 1] if i else 0.0
            stop = places[i] if i < changes else (start + 1e20 if end == INFINITY else end - node)
            nodes[count] = node + start
            nb_shift_cubic(c, start, out + 4 * count)
            signs[count] = -1.0 if nb_cubic(c, 0.5 * (start + stop)) < 0.0 else 1.0
            count += 1
        return count

    def value(self, double x):
        """F at x >= 0, 1/m; nan for a curve whose rows do not ascend."""
        cdef int k = 0
        if not self.ascending:
            return float("nan")
        while self.pieces.node[k + 1] <= x:
            k += 1
        return nb_cubic(self.pieces.coefficient + 4 * k, x - self.pieces.node[k])


cdef double *sorted_runs(double *values, double *other, Py_ssize_t *ends, int runs) noexcept nogil:
    """Merge runs of values, each in ascending order, two by two; which of the two arrays holds all in order.

    ends: where each run ends; overwritten.
    """
    cdef double *held
    cdef Py_ssize_t i, j, at, begin, middle, stop
    cdef int run
    while runs > 1:
        begin = 0
        for run in range(0, runs, 2):
            middle = ends[run]
            stop = ends[run + 1] if run + 1 < runs else middle
            i = begin
            j = middle
            for at in range(begin, stop):
                if j >= stop or (i < middle and values[i] <= values[j]):
                    other[at] = values[i]
                    i += 1
                else:
                    other[at] = values[j]
                    j += 1
            begin = stop
            ends[run // 2] = stop
        runs = (runs + 1) // 2
        held = values
        values = other
        other = held
    return values


cdef void sum_squares(const nb_pieces *curve, const double *signs, const double *inverse, const double *weight,
                      int count, const double *node, Py_ssize_t first, Py_ssize_t end, double *out) noexcept nogil:
    """Add the squares of a spectrum's `count` wavelengths to the polynomials of the nodes from `first` to `end`."""
    cdef Py_ssize_t i
    cdef int s, k, low, high
    cdef double next_node
    cdef double shifted[4]
    for s in range(count):
        # the last piece that begins at or before the first node
        k = 0
        high = curve.pieces
        while high - k > 1:
            low = (k + high) // 2
            if curve.node[low] / inverse[s] <= node[first]:
                k = low
            else:
                high = low
        next_node = curve.node[k + 1] / inverse[s]
        for i in range(first, end):
            while next_node <= node[i]:  # behind the last piece's is infinity
                k += 1
                next_node = curve.node[k + 1] / inverse[s]
            nb_shift_cubic(curve.coefficient + 4 * k, node[i] * inverse[s] - curve.node[k], shifted)
            nb_add_square(shifted, inverse[s], weight[s] * signs[k], out + 8 * i)


cdef class BackgroundJob:
    """Amorphous scattering as plain arrays.

    background: a resolved one (`nanobragg_py.experiment.background.ResolvedBackground`). merge: 1 puts spectra
    together in any case, 0 never, -1 where that is expected to be faster. threads: how many do it.
    """

    def __init__(self, background, int merge=-1, int threads=1):
        cdef nb_background *p = &self.p
        memset(p, 0, sizeof(nb_background))
        beam, detector = background.beam, background.detector
        set_panel(p, detector, background.oversample)
        set_vector(p.beam, beam.direction)
        p.layers = 1
        if background.sensor:
            set_sensor(p, detector)
        p.polarized = beam.polarized
        p.kahn = beam.polarization
        p.map = background.map
        p.scale = R_E_SQR * beam.fluence * background.molecules / background.steps
        self.curve = background.curve
        p.curve = self.curve.pieces
        self.kept = []
        self.threads = threads
        self._set_sources(beam)
        spectra = self._group(beam)
        if self.curve.ascending:
            self._set_spectra(spectra, merge)

    cdef _set_sources(self, beam):
        """The sources in their order, as the walk in the reference's order wants them."""
        cdef double *out
        cdef double axis[3]
        cdef int i
        self.sources = Buffer((len(beam.sources), 14), "d")
        set_vector(axis, beam.polarization_axis)
        for i in range(len(beam.sources)):
            out = <double *>self.sources.data + 14 * i
            set_vector(out, beam.source_directions[i])
            out[0], out[1], out[2] = -out[0], -out[1], -out[2]
            out[3] = beam.sources[i][4]
            out[4] = beam.sources[i][3]
            nb_cross(axis, out, out + 8)
            out[11] = 0.0 if unit(out + 8) else 1.0
            nb_cross(out, out + 8, out + 5)
            unit(out + 5)

    def _group(self, beam):
        """Directions, and the spectra in them: a list of [(wavelength, weight), ...], each once."""
        cdef nb_direction *out
        cdef const double *source
        cdef int i, j, number = 0
        found, order = {}, {}
        for i in range(len(beam.sources)):
            direction = tuple(beam.source_directions[i])
            number = order.setdefault(direction, i)
            wavelengths = found.setdefault(number, {})
            wavelength = fabs(<double>beam.sources[i][4])
            wavelengths[wavelength] = wavelengths.get(wavelength, 0.0) + beam.sources[i][3]
        self.p.last_inverse = 1.0 / wavelength
        self.p.directions = len(found)
        self.directions = Buffer(self.p.directions * sizeof(nb_direction), "B")
        spectra = {}
        for i, (first, wavelengths) in enumerate(found.items()):
            out = <nb_direction *>self.directions.data + i
            source = <const double *>self.sources.data + 14 * <int>first
            for j in range(3):
                out.incident[j] = source[j]
                out.E[j] = source[5 + j]
                out.B[j] = source[8 + j]
            out.along = source[11] != 0.0
            out.spectrum = spectra.setdefault(tuple(wavelengths.items()), len(spectra))
            if first == number:
                self.p.last_direction = i
        self.p.direction = <const nb_direction *>self.directions.data
        return list(spectra)

    cdef _set_spectra(self, list spectra, long merge):
        cdef nb_spectrum *out
        cdef double *inverse
        cdef double *weight
        cdef double pixels, largest = self._largest_half_difference(), pieces
        cdef int at = 0, s, i
        total = sum([len(spectrum) for spectrum in spectra])
        self.spectra = Buffer(len(spectra) * sizeof(nb_spectrum), "B")
        self.inverses = Buffer(total, "d")
        self.weights = Buffer(total, "d")
        inverse = <double *>self.inverses.data
        weight = <double *>self.weights.data
        self.p.spectrum = <const nb_spectrum *>self.spectra.data
        self.p.inverse = inverse
        self.p.weight = weight
        pixels = (<double>max(0, self.p.fast_max - self.p.fast_min + 1) * max(0, self.p.slow_max - self.p.slow_min + 1)
                  * self.p.oversample * self.p.oversample * self.p.directions / len(spectra))
        for s in range(len(spectra)):
            out = <nb_spectrum *>self.spectra.data + s
            out.first = at
            out.count = len(spectra[s])
            pieces = 0.0
            for wavelength, share in spectra[s]:
                inverse[at] = 1.0 / wavelength
                weight[at] = share
                at += 1
                for i in range(1, self.curve.pieces.pieces):
                    if self.curve.pieces.node[i] * wavelength >= largest:
                        break
                    pieces += 1.0
            if merge == 1 or (merge < 0 and out.count > 2 and pieces < MOST_MERGED
                              and MERGING * pieces * out.count < pixels * (out.count - 2)):
                self._merge(out, largest)

    cdef double _largest_half_difference(self):
        """No |d - s|/2 of a pixel is larger: that of the farthest corner if all corners lie ahead, or else 1."""
        cdef const nb_background *p = &self.p
        cdef double corner[3]
        cdef double f, s, c, least = 1.0
        cdef int i, j, d
        if p.curved:
            return 1.0
        for i in range(2):
            for j in range(2):
                f = p.pixel * (p.fast_max + 1 if i else p.fast_min)
                s = p.pixel * (p.slow_max + 1 if j else p.slow_min)
                for d in range(3):
                    corner[d] = f * p.fast[d] + s * p.slow[d] + p.origin[d]
                if not unit(corner):
                    return 1.0
                for d in range(p.directions):
                    c = nb_dot(corner, p.direction[d].incident)
                    if c <= 0.0:
                        return 1.0
                    least = min(least, c)
        return min(1.0, sqrt(0.5 * (1.0 - least)) * (1.0 + 1e-6) + 1e-9)

    cdef _merge(self, nb_spectrum *spectrum, double largest):
        """The sum over a spectrum as one function of |d - s|/2, a polynomial of degree 6 between any two nodes."""
        cdef const nb_pieces *curve = &self.curve.pieces
        cdef const double *inverse = self.p.inverse + spectrum.first
        cdef const double *weight = self.p.weight + spectrum.first
        cdef const double *signs = <const double *>self.curve.signs.data
        cdef Py_ssize_t total = 0, at = 0, i
        cdef int s, k, chunk, chunks
        cdef Buffer places, others, last, nodes, coefficients, cells
        cdef double *breaks
        cdef double *node
        cdef Py_ssize_t *ends
        cdef double *out
        for s in range(spectrum.count):
            for k in range(1, curve.pieces):
                if curve.node[k] / inverse[s] >= largest:
                    break
                total += 1
        places = Buffer(total + 1, "d", zero=False)
        others = Buffer(total + 1, "d", zero=False)
        last = Buffer(spectrum.count * sizeof(Py_ssize_t), "B", zero=False)
        breaks = <double *>places.data
        ends = <Py_ssize_t *>last.data
        for s in range(spectrum.count):
            for k in range(1, curve.pieces):
                if curve.node[k] / inverse[s] >= largest:
                    break
                breaks[at] = curve.node[k] / inverse[s]
                at += 1
            ends[s] = at
        breaks = sorted_runs(breaks, <double *>others.data, ends, spectrum.count)
        nodes = Buffer(total + 2, "d", zero=False)
        node = <double *>nodes.data
        node[0] = 0.0
        at = 1
        for i in range(total):
            if breaks[i] != node[at - 1]:
                node[at] = breaks[i]
                at += 1
        node[at] = INFINITY
        coefficients = Buffer((at, 8), "d")
        out = <double *>coefficients.data
        chunks = <int>((at + NODES - 1) // NODES)
        for chunk in prange(chunks, nogil=True, schedule="dynamic", num_threads=max(1, min(self.threads, chunks))):
            sum_squares(curve, signs, inverse, weight, spectrum.count, node, chunk * NODES,
                        min(<Py_ssize_t>(chunk + 1) * NODES, at), out)
        spectrum.merged = 1
        spectrum.pieces.node = node
        spectrum.pieces.coefficient = out
        spectrum.pieces.pieces = <int>at
        spectrum.pieces.width = 8
        cells = grid_cells(&spectrum.pieces)
        self.kept.append((nodes, coefficients, cells))

    @property
    def roi(self):
        """Pixels that are rendered: (fast min, fast max, slow min, slow max), inclusive and inside the image."""
        return self.p.fast_min, self.p.fast_max, self.p.slow_min, self.p.slow_max

    @property
    def shape(self):
        """(slow, fast) pixels of the image."""
        return self.p.spixels, self.p.fpixels

    @property
    def merged(self):
        """How many of the spectra are summed beforehand."""
        cdef int s, count = 0
        for s in range(self.spectra.nbytes // sizeof(nb_spectrum) if self.spectra is not None else 0):
            count += self.p.spectrum[s].merged
        return count
