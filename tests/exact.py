"""One reflection of a small crystal, alone in the image of a sweep, and what theory says of it."""

import numpy as np

from nanobragg_py import Beam, Crystal, Detector, Experiment, Sampling, StructureFactors, b_matrix

R_E_SQR = 7.94079248018965e-30
ORTHOGONAL = (40, 45, 50, 90, 90, 90)
TRICLINIC = (35, 42, 48, 71, 84, 97)
HKL = (5, 4, 3)
FLUENCE, WAVELENGTH, DISTANCE, DEPTH, F = 1e24, 1e-10, 0.1, 300e-6, 100.0
KAHN = 0.3


def turned_onto(vector, target):
    """The smallest rotation that turns a vector into the direction of another, a unit one."""
    unit = vector / np.linalg.norm(vector)
    x, y, z = np.cross(unit, target)
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + K + K @ K / (1 + unit @ target)


class Reflection:
    """The reflection HKL of a cell, in diffracting position at phi = 0; beam along x, spindle and E-vector along z."""

    def __init__(self, cell):
        self.cell, self.B = cell, b_matrix(*cell)
        q, wavelength = self.B @ HKL, WAVELENGTH * 1e10
        down = wavelength * np.linalg.norm(q) / 2
        across = np.sqrt(1 - down**2)
        self.U = turned_onto(q, np.array([-down, across * np.cos(0.6), across * np.sin(0.6)]))
        self.s0 = np.array([1.0, 0.0, 0.0])
        self.s1 = self.s0 + wavelength * self.U @ q
        self.volume = 1e-30 / np.linalg.det(self.B)

    @property
    def polarization(self):
        """P, from the directions: the scattered ray's components along the E and B vectors of the beam."""
        _, b, e = self.s1
        cosine = self.s0 @ self.s1
        return (1 + cosine**2 - KAHN * (e**2 - b**2) / (e**2 + b**2) * (1 - cosine**2)) / 2

    def experiment(self, shape, cells, half=0.75, pixels=120, steps=240, sensor=0.0, **more):
        """Its image over a sweep of `half` indices to either side, the rest of the crystal's reflections absent."""
        reach = 2.6 * half * WAVELENGTH * 1e10 * np.linalg.norm(self.B, axis=0).max() * DISTANCE / self.s1[0]
        spot = np.array([self.s1[2], -self.s1[1]]) / self.s1[0] * DISTANCE
        size = reach / pixels
        rate = abs(np.cross([0, 0, 1.0], self.U @ self.B @ HKL) @ self.s1)
        osc = 3.2 * half * np.sqrt(3) * np.linalg.norm(self.B, axis=0).max() / rate
        thick = {"thickness": sensor, "mu": 1 / DEPTH} if sensor else {}
        sampling = {name: more.pop(name) for name in ("oversample", "phisteps") if name in more}
        layers = more.pop("thicksteps", None)
        detector = Detector.flat(
            pixels, size, DISTANCE, tuple(reach / 2 - spot), **thick, **({"thicksteps": layers} if layers else {})
        )
        beam = Beam(wavelength=WAVELENGTH, fluence=FLUENCE, polarization=KAHN, **more.pop("beam", {}))
        return Experiment(
            Crystal.from_UB(self.U, self.cell, cells=cells, shape=shape, **more.pop("crystal", {})),
            beam,
            detector,
            Sampling(**{"phi0": -osc / 2, "osc": osc, "phisteps": steps, "oversample": 1, **sampling}),
            StructureFactors.from_arrays([HKL], [F]),
            **more,
        )

    def photons(self, experiment):
        """Darwin's: fluence r_e^2 lambda^3 F^2 V P/(V_cell^2 dphi |e.(s1 x s0)|), and what the sensor catches of it."""
        crystal = np.prod(experiment.crystal.cells) * self.volume
        lorentz = 1 / (experiment.sampling.osc * abs(np.cross(self.s1, self.s0)[2]))
        caught = 1 - np.exp(-experiment.detector.thickness / DEPTH / self.s1[0])
        scale = FLUENCE * R_E_SQR * WAVELENGTH**3 * F**2 * self.polarization * lorentz
        return scale * crystal / self.volume**2 * (caught if experiment.detector.thickness else 1.0)

    def found(self, experiment):
        """The photons of an image over Darwin's."""
        return experiment.render(threads=1).sum(dtype=float) / self.photons(experiment)
