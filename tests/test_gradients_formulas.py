"""Derivatives against the physics written down once more in numpy, and differentiated by complex steps.

The formulas are those of the exact physics: Busing and Levy's cell, the transform of each shape, Kahn's polarization,
the solid angle of a pixel, sensors in layers. Nothing of the package is used for them but a constant.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from nanobragg_py import Beam, Crystal, Detector, Experiment, Sampling, StructureFactors
from nanobragg_py.constants import R_E_SQR

STEP = 1e-30
AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def skew(v):
    x, y, z = v
    return np.array([[0.0 * x, -z, y], [z, 0.0 * x, -x], [-y, x, 0.0 * x]])


def rotation(axis, angle):
    """Rodrigues' formula."""
    k = skew(axis)
    return np.eye(3) + np.sin(angle) * k + (1.0 - np.cos(angle)) * (k @ k)


def norm(v):
    """Without a conjugate."""
    return np.sqrt((v * v).sum(-1))[..., None]


def real_cell(lengths, angles):
    """a, b, c (rows, A), a* along x and b* in the plane of x and y: the inverse of Busing and Levy's matrix."""
    a, b, c = lengths
    ca, cb, cg = np.cos(angles)
    volume = a * b * c * np.sqrt(1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg)
    sa, sb, sg = np.sin(angles)
    a_star, b_star, c_star = b * c * sa / volume, a * c * sb / volume, a * b * sg / volume
    cos_b_star, cos_g_star = (cg * ca - cb) / (sg * sa), (ca * cb - cg) / (sa * sb)
    sin_g_star, sin_b_star = np.sqrt(1.0 - cos_g_star**2), np.sqrt(1.0 - cos_b_star**2)
    zero = 0.0 * volume
    B = np.array(
        [
            [a_star, b_star * cos_g_star, c_star * cos_b_star],
            [zero, b_star * sin_g_star, -c_star * sin_b_star * ca],
            [zero, zero, 1.0 / c],
        ]
    )
    return np.linalg.inv(B)


def transform(shape, cells, fudge, delta):
    """F_latt, delta: h, k, l (pixels, 3) from the nearest lattice point."""
    if shape == "square":
        return (np.sin(np.pi * cells * delta) / np.sin(np.pi * delta)).prod(-1)
    r = norm(cells * delta)[..., 0]
    if shape == "gauss":
        return cells.prod() * np.exp(-np.pi * r * r * fudge / 2.0)
    x = np.pi * r * np.sqrt(fudge)
    return cells.prod() * 0.723601254558268 * 3.0 * (np.sin(x) / x - np.cos(x)) / x**2


#: what is differentiated, and what it is in the experiment below
FIELDS = {
    "crystal.rotation": (0.0, 0.0, 0.0), "crystal.missets": (0.1, 0.2, 0.3), "crystal.lengths": (40.0, 45.0, 52.0),
    "crystal.angles": (1.4, 1.66, 1.8), "crystal.cells": (4.0, 5.0, 6.0), "beam.wavelength": 1e-10,
    "beam.fluence": 1e26, "beam.source_weights": (1.0, 1.0, 1.0), "detector.distance": 0.05,
    "detector.origin": (0.0, 0.0, 0.0), "sampling.phi0": 0.02, "sampling.osc": 0.01,
    "structure_factors.default_F": 90.0,
}  # fmt: skip
SOURCES = ((-10.0, 0.1, -0.05, 1.0, 1), (-10.0, -0.2, 0.1, 2.0, 1.01), (-10.0, 0.0, 0.15, 3.0, 0.99))
PIXEL, FAST, SLOW, CENTRE, KAHN, MU, THICK = 1.2e-3, 12, 10, (5.9e-3, 7.3e-3), 0.7, 3000.0, 4e-4


def image_of(shape, layers, subpixels, v):
    """The image (slow, fast) of fields v, some of them with imaginary steps."""
    v = {name: np.asarray(value) for name, value in v.items()}
    cell = real_cell(v["crystal.lengths"], v["crystal.angles"])
    for axis, angle in zip(AXES.values(), v["crystal.missets"], strict=True):
        cell = cell @ rotation(axis, angle).T
    cell = cell @ (np.eye(3) + skew(v["crystal.rotation"])).T * 1e-10
    weights = v["beam.source_weights"] * [source[3] for source in SOURCES]
    fast, slow, normal = np.array((0.0, 0.0, 1.0)), np.array((0.0, -1.0, 0.0)), np.array((1.0, 0.0, 0.0))
    origin = v["detector.distance"] * normal - CENTRE[0] * fast - CENTRE[1] * slow + v["detector.origin"]
    total = 0.0
    for layer in range(layers):
        depth = (layer + 0.5) * THICK / layers if layers > 1 else THICK / 2.0
        for sub_slow in range(subpixels):
            for sub_fast in range(subpixels):
                f = PIXEL * (np.arange(FAST) + (sub_fast + 0.5) / subpixels)
                s = PIXEL * (np.arange(SLOW) + (sub_slow + 0.5) / subpixels)
                place = origin + depth * normal + s[:, None, None] * slow + f[None, :, None] * fast
                r = norm(place)
                d = place / r
                solid = PIXEL**2 / r[..., 0] ** 2 * (place @ normal) / r[..., 0]
                u = MU * THICK / layers / (d @ normal)
                caught = np.exp(-layer * u) - np.exp(-(layer + 1) * u)
                for weight, source in zip(weights, SOURCES, strict=True):
                    incident = -np.array(source[:3]) / np.linalg.norm(source[:3])
                    B = np.cross((0.0, 0.0, 1.0), incident)
                    B = B / np.linalg.norm(B)
                    E = np.cross(incident, B)
                    c, e, b = d @ incident, d @ E, d @ B
                    polar = 0.5 * (1.0 + c * c - KAHN * (e * e - b * b) / (e * e + b * b) * (1.0 - c * c))
                    q = (d - incident) / (v["beam.wavelength"] * source[4])
                    squares = 0.0
                    for step in range(2):
                        phi = v["sampling.phi0"] + v["sampling.osc"] / 2.0 * step
                        hkl = q @ (cell @ rotation(AXES["z"], phi).T).T
                        delta = hkl - np.rint(hkl.real)
                        squares = squares + transform(shape, v["crystal.cells"], 0.8, delta) ** 2
                    total = total + weight * squares * polar * solid * caught
    scale = R_E_SQR * v["beam.fluence"] * v["structure_factors.default_F"] ** 2
    return total * scale / (weights.sum() * 2.0 * subpixels**2)


def experiment_of(shape, layers, subpixels):
    v = FIELDS
    return Experiment(
        Crystal(
            lengths=v["crystal.lengths"], angles=v["crystal.angles"], missets=v["crystal.missets"],
            cells=tuple(map(int, v["crystal.cells"])), shape=shape, fudge=0.8,
        ),
        Beam(
            v["beam.wavelength"], v["beam.fluence"], polarization=KAHN,
            sources=[(*row[:4], row[4] * v["beam.wavelength"]) for row in SOURCES],
        ),
        Detector(
            FAST, SLOW, PIXEL, distance=v["detector.distance"], thickness=THICK, thicksteps=layers, mu=MU,
            Xbeam=CENTRE[1] - PIXEL / 2.0, Ybeam=CENTRE[0] - PIXEL / 2.0,
        ),
        Sampling(subpixels, phi0=v["sampling.phi0"], osc=v["sampling.osc"], phisteps=2, interpolate=False),
        StructureFactors(default_F=v["structure_factors.default_F"]),
    )  # fmt: skip


@pytest.mark.parametrize("layers, subpixels", [(1, 1), (3, 2)])
@pytest.mark.parametrize("shape", ["square", "gauss", "round"])
def test_formulas(shape, layers, subpixels):
    """The image to 1e-11 of the brightest pixel, derivatives to 1e-10 of the largest."""
    e = experiment_of(shape, layers, subpixels)
    expected = image_of(shape, layers, subpixels, FIELDS)
    image = e.render(dtype="float64", threads=1)
    assert np.abs(image - expected).max() <= 1e-11 * expected.max()
    images = e.derivative_images(list(FIELDS), threads=1)
    for name, value in FIELDS.items():
        for index in np.ndindex(np.shape(value)):
            step = np.zeros(np.shape(value), dtype=complex)
            step[index] = 1j * STEP
            derivative = image_of(shape, layers, subpixels, {**FIELDS, name: value + step}).imag / STEP
            largest = np.abs(derivative).max()
            assert largest > 0.0 and np.abs(images[name][index] - derivative).max() <= 1e-10 * largest, (name, index)


# ---- memory --------------------------------------------------------------------------------------------------------

MEASURE = """
import sys
import numpy as np
from nanobragg_py import Beam, Crystal, Detector, Experiment, Sampling, StructureFactors

def status(name):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(name))

domains, factors = int(sys.argv[1]), sys.argv[2] == "table"
span = np.arange(-40, 41)
hkl = np.stack(np.meshgrid(span, span, span, indexing="ij"), -1).reshape(-1, 3)
table = StructureFactors.from_arrays(hkl, np.ones(len(hkl))) if factors else StructureFactors(default_F=1.0)
def experiment(pixels, domains):
    crystal = Crystal.from_cell(40.0, cells=(5, 5, 5), mosaic_spread=0.01, mosaic_domains=domains)
    return Experiment(crystal, Beam(), Detector.flat(pixels, 1e-4, 0.1), Sampling(1, interpolate=False), table)
names = ["crystal.rotation", "crystal.lengths", "crystal.angles", "crystal.mosaic_spread", "beam.wavelength",
         "detector.origin", "detector.rotations"] + ["structure_factors.F"] * factors
experiment(64, 2).vjp(names, threads=2)[1](np.ones((64, 64)))  # what is loaded once
e = experiment(1024, domains)
weights = np.ones(e.shape)
with open("/proc/self/clear_refs", "w") as f:
    f.write("5")
before = status("VmRSS")
image, pullback = e.vjp(names, threads=2)
gradient = pullback(weights)
print((status("VmHWM") - before - 8 * factors * len(hkl)) / weights.size)
"""


def test_memory():
    """At most 100 bytes a pixel, the image among them, and no more for more steps."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("needs /proc/self/clear_refs, as Linux has it")

    def bytes_a_pixel(*words):
        run = [sys.executable, "-P", "-c", MEASURE, *words]
        return float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)

    few, many, table = bytes_a_pixel("1", "none"), bytes_a_pixel("6", "none"), bytes_a_pixel("1", "table")
    assert 16.0 < few < 100.0 and table < 100.0
    assert many < few + 4.0
