"""The examples run; the scripts that were written for the C program run with either and leave the same."""

import os
import shutil
import subprocess
import sys
from array import array

import numpy as np
import pytest
from PIL import Image
from transcripts import ROOT

EXAMPLES = ROOT / "examples"
OURS = os.path.join(os.path.dirname(sys.executable), "nanoBragg")
REFERENCE = os.environ.get("NANOBRAGG_C")
RUNS = range(1, 7)
SHELLS = [
    pytest.param(["bash", EXAMPLES / "orientations.sh"], id="bash"),
    pytest.param(
        ["tcsh", "-f", EXAMPLES / "orientations.csh"],
        id="tcsh",
        marks=pytest.mark.skipif(shutil.which("tcsh") is None, reason="tcsh is not installed"),
    ),
]


def run(command, folder, **variables):
    """The standard output of a script run in a folder that is made for it; it has to succeed."""
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "NANOBRAGG"}
    done = subprocess.run(command, cwd=folder, env={**environment, **variables}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def floats(path):
    values = array("f")
    values.frombytes(path.read_bytes())
    return values


@pytest.mark.parametrize("script", SHELLS)
def test_orientations(script, tmp_path):
    """The loop runs, names its files by flag and finds the strongest orientation among the numbers it cuts out."""
    lines = run([*script, OURS], tmp_path / "run").splitlines()
    maxima = []
    for number, line in zip(RUNS, lines[:-1], strict=True):
        words = line.split()
        maximum = max(floats(tmp_path / "run" / f"orient_{number}.bin"))
        assert (words[0], words[5]) == (f"{number}:", "max_I")
        assert float(words[6]) == pytest.approx(maximum, rel=1e-5)
        assert int(words[8]) > 0
        maxima.append((maximum, number, words[6]))
    _, number, text = max(maxima)
    assert lines[-1] == f"strongest: orient_{number}.img, max_I {text}"


@pytest.mark.parametrize("script", SHELLS)
def test_program_from_the_environment(script, tmp_path):
    """$NANOBRAGG names the program as well, and a program that fails stops the script."""
    (tmp_path / "run").mkdir()
    done = subprocess.run(script, cwd=tmp_path / "run", env={**os.environ, "NANOBRAGG": "false"}, capture_output=True)
    assert done.returncode == 9


@pytest.mark.skipif(not REFERENCE, reason="NANOBRAGG_C does not name the C program")
@pytest.mark.parametrize("script", SHELLS)
def test_orientations_with_the_reference(script, tmp_path):
    """Either program under the same script: the same words, the same files."""
    ours = run([*script, OURS], tmp_path / "ours")
    theirs = run([*script, os.path.abspath(REFERENCE)], tmp_path / "theirs")
    assert ours == theirs
    names = sorted(path.name for path in (tmp_path / "theirs").iterdir())
    assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == names
    for name in names:
        mine, other = tmp_path / "ours" / name, tmp_path / "theirs" / name
        if name.endswith(".bin") and name != "Fdump.bin":
            values, expected = floats(mine), floats(other)
            top = max(expected)
            assert len(values) == len(expected)
            assert all(abs(a - b) <= 1e-6 * abs(b) + 1e-9 * top for a, b in zip(values, expected, strict=True)), name
        elif not name.endswith(".log"):
            assert mine.read_bytes() == other.read_bytes(), name


def test_rotation_and_its_picture(tmp_path):
    """The README's picture can be made again, but for the noise: the files are there, and spots stand out."""
    variables = {"PATH": os.path.dirname(OURS) + os.pathsep + os.environ["PATH"]}
    printed = run(["sh", EXAMPLES / "rotation.sh", "picture"], tmp_path / "run", **variables)
    folder = tmp_path / "run" / "picture"
    assert printed.splitlines()[-1].endswith(f"its picture {folder}/rotation.png")
    pixels = sorted(floats(folder / "rotation.bin"))
    assert len(pixels) == 1024 * 1024
    assert 10 < pixels[len(pixels) // 2] < 30  # the background
    assert pixels[-1] > 100 * pixels[len(pixels) // 2]
    assert pixels[int(0.99 * len(pixels))] < 2 * pixels[len(pixels) // 2]  # spots are few
    for name in ("rotation.img", "rotation_noiseless.img"):
        assert (folder / name).stat().st_size == 512 + 2 * 1024 * 1024
    picture = np.asarray(Image.open(folder / "rotation.png"))
    assert picture.shape == (512, 512)
    assert picture.min() == 0 and 220 < np.median(picture) <= 255  # black spots on light grey
    # an image that differs in a last bit may draw other noise, but has its spots in the same places
    shown = np.asarray(Image.open(ROOT / "docs/images/rotation.png")) < 100
    assert ((picture < 100) ^ shown).sum() < 0.3 * shown.sum()
