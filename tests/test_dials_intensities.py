"""The structure factors that went in come out of DIALS' integration: run where NANOBRAGG_DXTBX names its Python.

``NANOBRAGG_DXTBX=/usr/bin/python3 pytest tests/test_dials_intensities.py``, some minutes.

The crystal is 0.14 um along c, more than what a pixel resolves: with one point a pixel the sum over a spot is off by
up to a tenth (R(I) is 2.9 % of one of 20 cells). What is left with nine is the tails of strong reflections at low
resolution, which a small crystal spreads over more of the turn than DIALS integrates; beyond 5 A R(I) is 0.3 %.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py import Beam, Crystal, Detector, Experiment, Sampling, StructureFactors

INPUTS = Path(__file__).resolve().parent.parent / "golden" / "inputs"
PYTHON = os.environ.get("NANOBRAGG_DXTBX")
pytestmark = pytest.mark.skipif(
    not PYTHON or not shutil.which("dials.integrate"), reason="NANOBRAGG_DXTBX names no Python that has DIALS"
)
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
CELL = (34.77, 39.17, 48.31)
IMAGES = 40
OSC = 0.5

#: what a Python with DIALS prints: index and corrected intensity of every reflection that was integrated whole
READ = """
import json
from dials.array_family import flex
r = flex.reflection_table.from_file("integrated.refl")
r = r.select(r.get_flags(r.flags.integrated_sum))
r = r.select(r["partiality"] > 0.99)
I = r["intensity.sum.value"] * r["lp"] / (r["qe"] if "qe" in r else flex.double(len(r), 1.0))
print(json.dumps([[list(h) for h in r["miller_index"]], list(I)]))
"""


def run(folder, *words):
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


#: 0.32 mm of silicon, its attenuation at 1 A, 1/m, as DIALS has it
SENSOR = {"thickness": 3.2e-4, "mu": 4207.985875566818, "thicksteps": 6}


def simulated(**sensor):
    """The first image of a sweep of a round crystal."""
    return Experiment(
        Crystal.from_cell(*CELL, cells=(30, 30, 30), shape="round", missets=(0.2, 0.4, 0.6)),
        Beam(wavelength=1e-10, fluence=1e27),
        Detector.flat((700, 650), 1.2e-4, 0.09, beam_centre=(0.0415, 0.038), **sensor),
        Sampling(osc=np.radians(OSC), phisteps=20, oversample=3),
        StructureFactors.read(INPUTS / "cro_1orc_2A.hkl"),
    )


def images(experiment):
    for number in range(IMAGES):
        turned = experiment.replace({"sampling.phi0": np.radians(OSC * number)})
        yield turned, np.rint(turned.render()).astype(np.int32)


def residual(folder):
    """R(I) of the merged intensities against F^2, scaled by their sums, and how many there are."""
    indices, intensities = json.loads(run(folder, PYTHON, "-c", READ).splitlines()[-1])
    merged = {}
    for index, intensity in zip(indices, intensities, strict=True):
        merged.setdefault(tuple(map(abs, index)), []).append(intensity)
    known, F = StructureFactors.read(INPUTS / "cro_1orc_2A.hkl").amplitudes()
    squares = {tuple(index): F2 for index, F2 in zip(known.tolist(), (F**2).tolist(), strict=True)}
    pairs = np.array([(np.mean(each), squares[index]) for index, each in merged.items() if index in squares])
    found, true = pairs.T
    return np.abs(found * true.sum() / found.sum() - true).sum() / true.sum(), len(pairs)


def integrate(folder, *names):
    run(folder, "dials.import", *names)
    run(folder, "dials.find_spots", "imported.expt", "nproc=2")
    cell = ",".join(map(str, CELL))
    run(folder, "dials.index", "imported.expt", "strong.refl", f"unit_cell={cell},90,90,90", "space_group=P222")
    run(folder, "dials.refine", "indexed.expt", "indexed.refl", "scan_varying=False")
    run(folder, "dials.integrate", "refined.expt", "refined.refl", "nproc=2", "profile.fitting=False")


def as_cbf(folder):
    """A full imgCIF header tells of the polarization: an unpolarized beam; no sensor."""
    for number, (experiment, pixels) in enumerate(images(simulated()), 1):
        experiment.to_cbf(folder / f"image_{number:05d}.cbf", pixels, full=True)
    return sorted(map(str, folder.glob("*.cbf")))


def as_nxmx(folder):
    """NXmx tells of the sensor, which DIALS corrects for; of the polarization, too, which DIALS 3.12 does not read."""
    first = simulated(**SENSOR)
    first.to_nexus(folder / "sweep.nxs", [pixels for _, pixels in images(first)])
    return [str(folder / "sweep.nxs"), "geometry.beam.polarization_fraction=0.5"]


@pytest.mark.parametrize("write", [as_cbf, as_nxmx])
def test_intensities(write, tmp_path):
    integrate(tmp_path, *write(tmp_path))
    R, count = residual(tmp_path)
    print(f"R(I) of {count} reflections, {write.__name__}: {R:.4f}")
    assert count > 800
    assert R < 0.015
