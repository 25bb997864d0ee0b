"""Every golden case, run by the installed program in an empty folder, at every instruction-set level."""

import json
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.inspect import golden
from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.render.backends import LEVELS

FOLDER = Path(__file__).parent.parent / "golden"
CASES = json.loads((FOLDER / "cases.json").read_text())
AVAILABLE = LEVELS[: LEVELS.index(processor_level()) + 1]

#: cases of which a gate cannot be met: id -> (the share of pixels that is asked for instead, why)
KNOWN = {
    "N_1000_even_odd": (
        0.99,
        "N = 1000 multiplies the rounding of a Miller index by a thousand near the zeros of the pattern: 8 of 2304 "
        "pixels differ in the last bit where 2 may; two builds of the reference, with and without fused "
        "multiply-adds, differ in 4",
    ),
}

# A large real case whose inputs are not ours to publish; it lies beside some checkouts.
SUPERVISOR = Path(__file__).parent.parent.parent / "shared" / "supervisor"
SUPERVISOR_CASES = json.loads((SUPERVISOR / "cases.json").read_text()) if SUPERVISOR.is_dir() else []
SUPERVISOR_FAST, SUPERVISOR_SLOW = 2463, 2527
NO_SUPERVISOR = "the supervisor's case (../shared/supervisor) is not there"


def check(program, case, inputs, results, **options):
    result = golden.run_case(program, case, inputs, **options)
    reference = golden.load(results / f"{case['id']}.npz")
    share, _ = KNOWN.get(case["id"], (golden.IDENTICAL, ""))
    found = golden.compare(result, reference, golden.case_arguments(case), share)
    assert found.differences == []
    return result


@pytest.mark.parametrize("level", AVAILABLE[::-1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case, level, program):
    check(program, case, FOLDER / "inputs", FOLDER, environment={"NANOBRAGG_ISA": level})


def test_known_cases_exist():
    assert {*KNOWN} <= {case["id"] for case in CASES}


# ---- the supervisor's case -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def supervisor_images(program):
    """id -> float image of the cases that were rendered, each once, after all of its gates were met."""
    images = {}

    def render(name):
        if not SUPERVISOR_CASES:
            pytest.skip(NO_SUPERVISOR)
        if name not in images:
            (case,) = (case for case in SUPERVISOR_CASES if case["id"] == name)
            files = check(program, case, SUPERVISOR, SUPERVISOR).files
            image = np.frombuffer(files["floatimage.bin"], np.float32)
            images[name] = image.reshape(SUPERVISOR_SLOW, SUPERVISOR_FAST)
        return images[name]

    return render


@pytest.mark.parametrize("part", ["background", "peak"])
@pytest.mark.parametrize("prefix", ["", "c_"], ids=["default", "compat_c"])
def test_supervisor_golden(prefix, part, supervisor_images):
    supervisor_images(f"{prefix}supervisor_{part}")


@pytest.mark.parametrize(("prefix", "value"), [("", 2.46470731e-07), ("c_", 2.88139542684698e-07)])
def test_supervisor_pixel(prefix, value, supervisor_images):
    image = supervisor_images(f"{prefix}supervisor_background")
    assert image[685, 1039] == pytest.approx(value, rel=1e-6, abs=0)


@pytest.mark.parametrize(("prefix", "value"), [("", 466.4818), ("c_", 446.2541)])
def test_supervisor_maximum(prefix, value, supervisor_images):
    image = supervisor_images(f"{prefix}supervisor_peak")
    assert np.unravel_index(np.argmax(image), image.shape) == (1039, 685)
    assert image.max() == pytest.approx(value, rel=1e-6, abs=0)


# ---- the comparison itself -----------------------------------------------------------------------------------------


def pixels(*values):
    return np.array(values, np.float32)


def nudged(image, at, times=1):
    """The image with one pixel a number of float32 steps larger."""
    image = image.copy()
    image.view(np.uint32)[at] += times
    return image


RAMP = np.linspace(1, 1000, 2000, dtype=np.float32)


@pytest.mark.parametrize(
    ("ours", "theirs", "found", "differing"),
    [
        (RAMP, RAMP, 0, 0),
        (nudged(RAMP, 7), RAMP, 0, 1),
        (nudged(RAMP, slice(0, 2)), RAMP, 0, 2),
        (nudged(RAMP, slice(0, 3)), RAMP, 1, 3),
        (nudged(RAMP, 1999, 9), RAMP, 0, 1),
        (nudged(RAMP, 1999, 40), RAMP, 1, 1),
        (pixels(0, 1), pixels(0, 1), 0, 0),
        (pixels(1e-12, 1), pixels(0, 1), 2, 1),  # within the tolerance, but not 0
        (pixels(np.nan, 1), pixels(np.nan, 1), 0, 0),
        (pixels(np.nan, 1), pixels(1, 1), 2, 1),
        (pixels(1, 1), pixels(np.nan, 1), 2, 1),
        (pixels(np.inf, 1), pixels(np.inf, 1), 0, 0),
        (pixels(3e38, 1), pixels(np.inf, 1), 2, 1),
        (pixels(1, 2, 3), pixels(1, 2), 1, 3),
    ],
)
def test_gates_of_float_images(ours, theirs, found, differing):
    sentences, count = golden.compare_pixels(ours, theirs)
    assert (len(sentences), count) == (found, differing), sentences


REFERENCE = golden.Result(
    files={"floatimage.bin": RAMP.tobytes(), "image.pgm": b"P5"},
    lines=["one", "two 2"],
    progress=["0% done", "50% done"],
    warnings=1,
    exit_status=0,
)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"floatimage.bin": RAMP.tobytes(), "image.pgm": b"P6"}},
        {"files": {"floatimage.bin": RAMP.tobytes()}},
        {"files": {**REFERENCE.files, "extra": b""}},
        {"files": {"floatimage.bin": (2 * RAMP).tobytes(), "image.pgm": b"P5"}},
        {"lines": ["one", "two 3"]},
        {"lines": ["one"]},
        {"lines": ["one", "two 2", "three"]},
        {"progress": ["0% done"]},
        {"warnings": 0},
        {"exit_status": 9},
    ],
)
def test_every_kind_of_difference_is_found(change):
    assert golden.compare(REFERENCE, REFERENCE, []).differences == []
    assert golden.compare(REFERENCE.replace(**change), REFERENCE, []).differences != []


def test_float_image_by_another_name():
    named = REFERENCE.replace(files={"f.bin": RAMP.tobytes()})
    other = REFERENCE.replace(files={"f.bin": nudged(RAMP, 5).tobytes()})
    assert golden.compare(other, named, ["-floatfile", "f.bin"]).differences == []
    assert golden.compare(other, named, []).differences != []


def test_archive(tmp_path):
    golden.save(REFERENCE, tmp_path / "r.npz")
    assert golden.load(tmp_path / "r.npz") == REFERENCE


def test_what_of_the_printed_lines_counts():
    text = (
        "nanoBragg, or whoever\n a 1  \nWARNING: so big\n         but so small\n0% done\nb\n\nmmap(x) = 0x1\n"
        "ERROR: nothing to do.usage: nanoBragg\n\t-flag\nc\n"
    )
    assert golden.printed_lines(text) == {"lines": [" a 1", "b"], "progress": ["0% done"], "warnings": 1}
