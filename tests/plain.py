"""The sum over steps in plain Python and numpy, straight from its description: the check on the compiled loops.

Slow, and written without a look at the kernels: rotations are matrices, the polarization has its angle, F_latt its
sines. `Plain` renders pixels one after the other in image order, with the reference's defects D1 and D2 if asked.
"""

import math

import numpy as np

from nanobragg_py.constants import R_E_SQR


def unit(v):
    v = np.asarray(v, float)
    return v / np.linalg.norm(v)


def rotation(axis, angle):
    """The right-handed rotation matrix about a unit axis."""
    x, y, z = axis
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + math.sin(angle) * k + (1.0 - math.cos(angle)) * (k @ k)


def grating(h, cells):
    """sin(pi N h)/sin(pi h)."""
    sine = math.sin(math.pi * h)
    return math.sin(math.pi * cells * h) / sine if sine else cells


def read_factors(path):
    """{(h, k, l): F} of a text file."""
    rows = (line.split() for line in path.read_text().splitlines())
    return {tuple(map(int, row[:3])): float(row[3]) for row in rows if len(row) >= 4}


class Plain:
    """Pixels of an experiment with square crystals and structure factors at the nearest index.

    factors: {(h, k, l): F}. defects: D1 and D2. After `pixel`, `orientations` has the (phi, domain) that each step
    really used, phi in radians; None is the unrotated cell.
    """

    def __init__(self, experiment, factors, defects=False):
        self.experiment = experiment
        self.factors = factors
        self.defects = defects
        self.cell = np.array([experiment.crystal.a, experiment.crystal.b, experiment.crystal.c])
        spread, matrices = experiment.crystal.mosaic_spread, experiment.crystal.mosaic_rotations
        self.domains = np.asarray(matrices).reshape(-1, 3, 3) if spread > 0 else [np.eye(3)]
        self.phi_of_cell = None
        self.orientations = []

    def pixel(self, slow, fast):
        """The pixel's photons, float64."""
        self.orientations = []
        beam, detector, sampling = self.experiment.beam, self.experiment.detector, self.experiment.sampling
        size, n = detector.pixel_size, sampling.oversample
        total, polar, omega = self.experiment.water_background, None, None
        for layer in range(detector.thicksteps):
            capture = None
            for sub in range(n * n):
                f = (fast + (sub % n + 0.5) / n) * size
                s = (slow + (sub // n + 0.5) / n) * size
                at = np.asarray(detector.origin) + f * np.asarray(detector.fast) + s * np.asarray(detector.slow)
                at = at + layer * detector.thickstep * np.asarray(detector.normal)
                airpath, d = np.linalg.norm(at), unit(at)
                if omega is None or sampling.oversample_omega:
                    omega = size**2 / airpath**2 * detector.close_distance / airpath
                if capture is None or sampling.oversample_thick:
                    capture = self.capture(layer, d)
                for x, y, z, _, wavelength in beam.sources:
                    incident = -unit((x, y, z))
                    q = (d - incident) / wavelength
                    if sampling.dmin > 0 and sampling.dmin > 1 / np.linalg.norm(q):
                        continue
                    if polar is None or sampling.oversample_polar:
                        polar = self.polarization(incident, d)
                    weight = capture if sampling.oversample_thick else 1.0
                    weight *= polar if sampling.oversample_polar else 1.0
                    weight *= omega if sampling.oversample_omega else 1.0
                    for intensity in self.sweep(q):
                        total = (total + intensity) * weight if self.defects else total + intensity * weight
        value = R_E_SQR * beam.fluence * total / sampling.steps
        value *= 1.0 if sampling.oversample_thick else capture
        value *= 1.0 if sampling.oversample_omega else omega
        return value * (1.0 if sampling.oversample_polar else polar or 0.0)

    def sweep(self, q):
        """F_cell^2 F_latt^2 of every phi step and domain."""
        sampling = self.experiment.sampling
        for step in range(sampling.phisteps):
            phi = sampling.phi0 + step * sampling.phistep
            if not (self.defects and phi == 0.0):
                self.phi_of_cell = phi
            turn = rotation(sampling.spindle, self.phi_of_cell or 0.0)
            for domain, matrix in enumerate(self.domains):
                self.orientations.append((self.phi_of_cell, domain))
                hkl = (matrix @ turn @ self.cell.T).T @ q
                nearest = tuple(math.ceil(x - 0.5) for x in hkl)
                factor = self.factors.get(nearest, self.experiment.structure_factors.default_F)
                lattice = math.prod(map(grating, hkl, self.experiment.crystal.cells))
                yield (factor * lattice) ** 2

    def capture(self, layer, d):
        detector = self.experiment.detector
        if detector.thickness == 0:
            return 1.0
        depth = detector.thickstep * detector.mu / float(np.dot(d, detector.normal))
        return math.exp(-layer * depth) - math.exp(-(layer + 1) * depth)

    def polarization(self, incident, d):
        beam = self.experiment.beam
        if not beam.polarized and not self.experiment.sampling.oversample_polar:
            return 1.0
        b = unit(np.cross(beam.polarization_axis, incident))
        e = unit(np.cross(incident, b))
        c = float(np.dot(incident, d))
        psi = -math.atan2(np.dot(d, b), np.dot(d, e))
        return (1 + c * c - beam.polarization * math.cos(2 * psi) * (1 - c * c)) / 2
