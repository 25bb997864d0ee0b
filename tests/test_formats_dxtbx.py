"""What DIALS makes of our files: run where NANOBRAGG_DXTBX names a Python that has dxtbx.

Debian has it as python3-dials: ``NANOBRAGG_DXTBX=/usr/bin/python3 pytest tests/test_formats_dxtbx.py``.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from images import CONVENTIONS, FLAGS, geometry, render, sweep, tool

from nanobragg_py.files.image import read_image

INPUTS = Path(__file__).resolve().parent.parent / "golden" / "inputs"
PYTHON = os.environ.get("NANOBRAGG_DXTBX")
pytestmark = pytest.mark.skipif(not PYTHON, reason="NANOBRAGG_DXTBX does not name a Python that has dxtbx")

CRYSTALS = """
import json, sys
from dxtbx.model.experiment_list import ExperimentListFactory
from dxtbx.serialize import xds
experiment = ExperimentListFactory.from_json_file(sys.argv[1], check_format=False)[0]
print(json.dumps([experiment.crystal.get_A(), xds.to_crystal(sys.argv[2]).get_A()]))
"""


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def dropin(words, folder):
    program = Path(sysconfig.get_path("scripts")) / words[0]
    return subprocess.run([program, *words[1:]], cwd=folder, capture_output=True).returncode


def dxtbx(*words):
    done = subprocess.run([PYTHON, *map(str, words)], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def read(folder, *images):
    place = folder / "pixels"
    place.mkdir(exist_ok=True)
    return dxtbx(Path(__file__).parent / "dxtbx_read.py", place, *images), place


def agrees(found, known):
    rotation = known.frame("imgcif")
    for name in ("origin", "fast", "slow"):
        unit = 1e3 if name == "origin" else 1.0
        assert found[name] == pytest.approx(rotation @ np.asarray(getattr(known, name)) * unit, abs=1e-4)
    assert found["source"] == pytest.approx((0, 0, 1)) and found["axis"] == pytest.approx((1, 0, 0))
    assert found["beam_centre"] == pytest.approx([x * 1e3 for x in known.beam_centre], abs=1e-3)
    assert found["distance"] == pytest.approx(known.close_distance * 1e3, abs=1e-3)
    assert found["wavelength"] == pytest.approx(1.1)
    assert found["pixel"] == pytest.approx((0.5, 0.5)) and found["size"] == [90, 70]


@pytest.mark.parametrize("name", ["all.nxs", "all_00001.cbf"])
def test_what_simulate_writes(tmp_path, name):
    """Spots, background and detector: dxtbx finds the pixels that our readers find, and the geometry."""
    words = ["--background", "water,thickness=1e-4", "--response", "psf=gauss,fwhm=1e-3,readout=2", "--seed", 3]
    assert tool("simulate", *words, "--out", tmp_path / name, "--", *FLAGS, "-fluence", "1e20")[0] == 0
    (found,), place = read(tmp_path, tmp_path / name)
    agrees(found, geometry())
    pixels = read_image(tmp_path / name).pixels
    assert pixels.std() > 0 and np.array_equal(np.load(place / "0_0.npy"), pixels)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("tilt", [(), ("-twotheta", "12"), ("-detector_rotx", "5", "-detector_rotz", "-3")])
@pytest.mark.parametrize("name", ["image_00001.cbf", "image.h5"])
def test_geometry(tmp_path, convention, tilt, name):
    flags = (f"-{convention}", *tilt)
    path = render(tmp_path, *flags)
    assert tool("convert", path, "--out", tmp_path / name, "--", "-lambda", "1.1", *FLAGS, *flags)[0] == 0
    (found,), place = read(tmp_path, tmp_path / name)
    agrees(found, geometry(*flags))
    assert found["oscillation"] == pytest.approx((30, 0.5)) and found["images"] == 1
    assert np.array_equal(np.load(place / "0_0.npy"), read_image(path).pixels)


@pytest.mark.parametrize("name", ["sweep_#####.cbf", "sweep.h5"])
def test_a_series_is_one_sweep(tmp_path, name):
    images = sweep(tmp_path, 4)
    assert tool("convert", *images, "--out", tmp_path / name)[0] == 0
    (found,), place = read(tmp_path, *sorted(tmp_path.glob("sweep*")))
    agrees(found, geometry())
    assert found["images"] == 4 and found["oscillation"] == pytest.approx((30, 0.5))
    for index, path in enumerate(images):
        assert np.array_equal(np.load(place / f"0_{index}.npy"), read_image(path).pixels)


def test_nexus_of_batch_is_one_sweep(tmp_path):
    """The master file over files of two images each."""
    from test_formats_back import nexus_run

    assert nexus_run(tmp_path, [word for word in FLAGS if word != "-nopgm"])[0] == 0
    (found,), place = read(tmp_path, tmp_path / "out" / "images.h5")
    agrees(found, geometry())
    assert found["images"] == 5 and found["oscillation"] == pytest.approx((10, 0.5))
    for number in range(5):
        assert np.array_equal(
            np.load(place / f"0_{number}.npy"), read_image(f"{tmp_path}/out/images.h5#{number}").pixels
        )


def test_smv(tmp_path):
    """dxtbx takes BEAM_CENTER for ADXV's, whatever the convention, so only the rest can agree."""
    images = sweep(tmp_path, 3)
    (found,), place = read(tmp_path, *images)
    assert found["images"] == 3 and found["oscillation"] == pytest.approx((30, 0.5))
    assert (found["wavelength"], found["distance"]) == pytest.approx((1.1, 80))
    assert np.array_equal(np.load(place / "0_1.npy"), read_image(images[1]).pixels)


def test_crystals(tmp_path):
    cell = ["--cell", 40, 50, 60, 80, 95, 110, "--random", 3]
    for kind, name in (("dials", "a.expt"), ("xds", "XPARM.XDS")):
        flags = ["--", *FLAGS, "-detector_rotx", "4"]
        assert tool("matrix", *cell, "--to", kind, "--out", tmp_path / name, *flags)[0] == 0
    _, mat, _ = tool("matrix", *cell, "--wavelength", 1.0)
    A = np.array(mat.split(), float).reshape(3, 3)
    # from the mosflm frame into the imgcif frame: x along the spindle, z towards the source
    expected = np.array([A[2], A[1], -A[0]])
    from_expt, from_xds = (
        np.array(values).reshape(3, 3) for values in dxtbx("-c", CRYSTALS, tmp_path / "a.expt", tmp_path / "XPARM.XDS")
    )
    assert from_expt == pytest.approx(expected, abs=1e-12)
    assert from_xds == pytest.approx(expected, abs=1e-7)


@pytest.mark.skipif(not shutil.which("dials.index"), reason="DIALS is not on the path")
def test_dials_finds_the_crystal(tmp_path):
    """Spots found and indexed by DIALS in a sweep of ours, detector tilted, give the orientation it was made with."""
    flags = shlex.split(
        "-cell 34.77 39.17 48.31 -misset 10 20 30 -N 12 -lambda 1 -distance 100 -detpixels_f 900 -detpixels_s 800 "
        "-pixel 0.12 -Xbeam 45 -Ybeam 57 -fluence 1e26 -water 10 -oversample 1 -osc 1 -phisteps 20 -twotheta 6 "
        f"-hkl {INPUTS / 'cro_1orc_2A.hkl'}"
    )
    images = []
    for number in range(20):
        images.append(tmp_path / f"noise_{number + 1:02d}.img")
        names = ["-floatfile", "f.bin", "-intfile", "i.img", "-nopgm", "-seed", "1", "-noisefile", str(images[-1])]
        assert dropin(["nanoBragg", *flags, "-phi", str(number), *names], tmp_path) == 0
    assert tool("convert", *images, "--out", tmp_path / "sweep.h5")[0] == 0
    for command in (
        "dials.import sweep.h5",
        "dials.find_spots imported.expt nproc=1",
        "dials.index imported.expt strong.refl unit_cell=34.77,39.17,48.31,90,90,90 space_group=P222",
    ):
        done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, env=environment())
        assert done.returncode == 0, done.stdout[-3000:]
    found = np.array(tool("matrix", tmp_path / "indexed.expt")[1].split(), float).reshape(3, 3)
    made = np.array(tool("matrix", "--", *flags)[1].split(), float).reshape(3, 3)
    # the same but for the two-fold axes
    turn = np.linalg.inv(made) @ found
    assert np.abs(turn) == pytest.approx(np.eye(3), abs=0.01) and np.linalg.det(turn) > 0


def test_python_is_another():
    assert sys.executable != PYTHON
