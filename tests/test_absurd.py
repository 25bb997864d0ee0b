"""Kernels that are given geometry without sense or number: an image without sense, and no crash.

Resolving refuses such numbers with a sentence; here they are put behind its back, in a process of its own, so that a
signal is seen.
"""

import json
import os
import subprocess
import sys
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.kernels.loops.job import Job, processor_level
from nanobragg_py.kernels.memory.buffers import Buffer
from nanobragg_py.render.backends import LEVELS

ROOT = Path(__file__).parent.parent
CRYSTAL = "-cell 36 47 62 80 95 100 -misset 12 25 40 -N 5 -oversample 1 -detpixels_x 40 -detpixels_y 3 -pixel 0.4"
CASES = {
    "constant": "-default_F 20",
    "nearest": "-hkl golden/inputs/full8.hkl -nointerpolate",
    "tricubic": "-hkl golden/inputs/full8.hkl -interpolate",
    "round": "-default_F 20 -round_xtal",
    "spots that end": "-hkl golden/inputs/full8.hkl -nointerpolate -gauss_xtal -N 20",
}
CURVED = ("flat", "curved")
#: renders (curved, words) after (curved, words), and prints a line for each
SCRIPT = """
import json
import sys
import numpy as np
backend, cases = sys.argv[1], json.loads(sys.argv[2])
if backend == "gpu":
    sys.path.insert(0, "tests/gpu")
    import emulated_cupy
    emulated_cupy.install()
from nanobragg_py.experiment.load import load_args
from nanobragg_py.render.simulate import simulate

def absurd(curved, words):
    loaded = load_args(words)
    whole = loaded.experiment.replace(detector=loaded.experiment.detector.replace(curved=curved))
    rendered = 0
    for number in (float("nan"), float("inf"), -float("inf"), 1e160, 1e308, -1e300, 1e-320):
        for part, name in (("detector", "distance"), ("detector", "pixel_size"), ("detector", "origin"),
                           ("detector", "fast"), ("crystal", "a"), ("crystal", "c_star"), ("crystal", "fudge"),
                           ("sampling", "spindle"), ("sampling", "phi0"), ("beam", "sources"), ("beam", "direction")):
            record = getattr(whole, part)
            old = getattr(record, name)
            if name == "sources":
                new = tuple((*source[:4], number) for source in old)
            else:
                new = (number, *old[1:]) if isinstance(old, tuple) else number
            experiment = whole.replace(**{part: record.replace(**{name: new})})
            for keywords in ({}, {"precision": "single"}, {"compat": "c"}):
                if backend == "gpu" and "compat" in keywords:
                    continue
                try:
                    image, _ = simulate(experiment, loaded.table, backend=backend, threads=1, **keywords)
                except (OverflowError, ValueError, ZeroDivisionError):
                    continue
                rendered += np.asarray(image).size > 0
    return rendered

for curved, words in cases:
    print(absurd(curved == "curved", words), flush=True)
"""


@cache
def rendered(level, backend, *cases):
    """A process that renders (curved, case) one after the other: its exit status, what it printed, its last words."""
    given = json.dumps([(curved, [*CRYSTAL.split(), *CASES[case].split()]) for curved, case in cases])
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, backend, given],
        cwd=ROOT,
        env={**os.environ, "NANOBRAGG_ISA": level},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.split(), done.stderr[-500:]


def survive(level, backend, cases, which):
    status, images, errors = rendered(level, backend, *cases)
    place = cases.index(which)
    # the case that the process did not survive, and those after it, which were not tried
    assert place < len(images), f"exit status {status} at {cases[len(images)]}: {errors}"
    assert int(images[place]) > 60
    assert status == 0 or place < len(images) - 1, f"exit status {status}: {errors}"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("curved", CURVED)
@pytest.mark.parametrize("level", LEVELS[: LEVELS.index(processor_level()) + 1])
def test_on_the_cpu(level, curved, case):
    survive(level, "cpu", [*product(CURVED, CASES)], (curved, case))


@pytest.mark.compiler
@pytest.mark.parametrize("case", ["nearest", "tricubic"])
def test_on_the_gpu(case):
    survive("base", "gpu", [("flat", "nearest"), ("flat", "tricubic")], ("flat", case))


def test_tables_that_are_smaller_than_their_bounds():
    loaded = load_args([*CRYSTAL.split(), "-hkl", str(ROOT / "golden/inputs/full8.hkl")])
    experiment, table = loaded.experiment, loaded.table
    factors = experiment.structure_factors
    low, high, *rest = factors.bounds
    with pytest.raises(ValueError, match="the bounds ask for"):
        Job(experiment.replace(structure_factors=factors.replace(bounds=(low, high + 1, *rest))), table)
    with pytest.raises(ValueError, match="the bounds ask for"):
        Job(experiment, Buffer(table.shape, "d", True, 0))


def test_fewer_mosaic_rotations_than_domains():
    experiment = load_args(f"{CRYSTAL} -default_F 1 -mosaic 1 -mosaic_domains 4".split()).experiment
    crystal = experiment.crystal.replace(mosaic_domains=5)
    with pytest.raises(ValueError, match="4 mosaic rotations for 5 domains"):
        Job(experiment.replace(crystal=crystal))


def test_more_orientations_than_an_int_can_count():
    experiment = load_args(f"{CRYSTAL} -default_F 1 -mosaic 1 -mosaic_domains 65536".split()).experiment
    sampling = experiment.sampling.replace(phisteps=65537)
    with pytest.raises(NanoBraggError, match="65537 phi steps of 65536 mosaic domains are more orientations"):
        Job(experiment.replace(sampling=sampling))


def test_a_shape_that_is_none():
    experiment = load_args(f"{CRYSTAL} -default_F 1".split()).experiment
    with pytest.raises(NanoBraggError, match="'cube' is no crystal shape; give one of square, round, gauss, tophat"):
        Job(experiment.replace(crystal=experiment.crystal.replace(shape="cube")))


BACKGROUND = """
import sys
from array import array
import numpy as np
from nanobragg_py.experiment.load_background import load
from nanobragg_py.flags.nonbragg import TABLE, NonBraggOptions
from nanobragg_py.kernels.loops import walk
from nanobragg_py.render import background as rendering

options = NonBraggOptions()
TABLE.parse(sys.argv[1:], options, [])
whole = load(options, None, [], lambda lines: None, lambda sentence: None).background
pixels = array("H", range(whole.detector.fpixels * whole.detector.spixels))
rendered = 0
for number in (float("nan"), float("inf"), -float("inf"), 1e160, 1e308, -1e300, 1e-320):
    for part, name in (("detector", "close_distance"), ("detector", "pixel_size"), ("detector", "origin"),
                       ("detector", "fast"), ("beam", "sources"), ("beam", "direction")):
        record = getattr(whole, part)
        old = getattr(record, name)
        if name == "sources":
            new = tuple((*source[:4], number) for source in old)
        else:
            new = (number, *old[1:]) if isinstance(old, tuple) else number
        background = whole.replace(**{part: record.replace(**{name: new})})
        done = rendering.render_background(background, threads=1)
        rendered += np.asarray(done.image).size > 0
        walk.render(walk.Walk(background, done.job), done.image)
        for follow in (False, True):  # as for curves that ascend, and for those that do not
            walk.structure_factors(walk.Walk(background, done.job), pixels, set(), 0.0, 1.0, follow, follow)
print(rendered)
"""


def test_a_background(tmp_path):
    (tmp_path / "c.stol").write_text("".join(f"{0.02 * i} 5\n" for i in range(9)))
    words = "-stol c.stol -lambda 1 -distance 100 -detpixels 12 -pixel 2 -dispersion 1 -dispsteps 2"
    done = subprocess.run(
        [sys.executable, "-P", "-c", BACKGROUND, *words.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr[-900:]}"
    assert int(done.stdout) > 30


def test_a_wavelength_next_to_nothing(tmp_path):
    (tmp_path / "c.stol").write_text("".join(f"{0.02 * i} 5\n" for i in range(9)))
    program = Path(sys.executable).parent / "nonBragg"
    words = "-stol c.stol -detpixels 8 -pixel 2 -lambda 1e-308"
    done = subprocess.run([program, *words.split()], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 9 and "-lambda" in done.stderr and not (tmp_path / "floatimage.bin").exists()
