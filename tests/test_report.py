"""The printed lines and the image header, against the goldens and, where it is at hand, the reference itself."""

import json
import math
import os
import random
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from resolving import Ran1

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.resolve import resolve
from nanobragg_py.files import report
from nanobragg_py.files.matrix import read_matrix
from nanobragg_py.files.table import read_sources
from nanobragg_py.flags.nanobragg import parse

GOLDEN = Path(__file__).parent.parent / "golden"
REFERENCE = os.environ.get("NANOBRAGG_C")
NAN = math.nan


def golden(name):
    """The arguments and the recorded outputs of a golden case that needs no structure factors from a file."""
    (case,) = (case for case in json.loads((GOLDEN / "cases.json").read_text()) if case["id"] == name)
    return shlex.split(case["args"]), np.load(GOLDEN / f"{name}.npz")


def resolved(arguments, folder=GOLDEN / "inputs"):
    """Experiment, setup and options of a command line without headers and hkl files."""
    options = parse(arguments)
    matrix = None if options.matrix_file is None else read_matrix(folder / options.matrix_file)
    rows = None if options.source_file is None else read_sources(folder / options.source_file)
    experiment, setup = resolve(options, Ran1(), matrix=matrix, source_rows=rows)
    return experiment, setup, options


def lines_before_rendering(arguments, **where):
    experiment, setup, options = resolved(arguments, **where)
    return [
        *report.opening_lines(setup),
        *report.setup_lines(setup),
        *report.sweep_lines(setup),
        *report.source_lines(experiment),
        *report.summary_lines(experiment, setup.noise_seed if options.write_noise else None),
    ], experiment


def without_warnings(lines):
    return [line.rstrip() for line in lines if not line.startswith("WARNING:")]


# ---- number formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a=%g b=%g", (0.1, -0.0), "a=0.1 b=-0"),
        ("%g", (1e-5,), "1e-05"),
        ("%g %f %11.8f|", (math.inf, -math.inf, math.inf), "inf -inf         inf|"),
        ("%g %g", (NAN, -NAN), "nan -nan"),
        ("x= %f %d nan %g.", (-NAN, 7, NAN), "x= -nan 7 nan nan."),
        ("X: %11.8f %15.10g|", (-NAN, -NAN), "X:        -nan            -nan|"),
        ("%d is %g of %s", (3, -NAN, "nan.mat"), "3 is -nan of nan.mat"),
    ],
)
def test_numbers_as_printf_writes_them(text, values, expected):
    assert report.c_format(text, *values) == expected


# ---- against the goldens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["still_cubic", "still_orthorhombic", "misset_random", "xtalsize", "xtal_xyz", "cell_defaults", "energy", "flux"],
)
def test_lines_and_headers(name):
    arguments, recorded = golden(name)
    lines, experiment = lines_before_rendering(arguments)
    expected = bytes(recorded["stdout"]).decode().split("\n")
    assert without_warnings(lines) == expected[: len(without_warnings(lines))]
    assert report.smv_header(experiment) == bytes(recorded["intimage.img"])[:512]
    assert report.smv_header(experiment, noise=True) == bytes(recorded["noiseimage.img"])[:512]


@pytest.mark.parametrize("name", ["progress", "progress_wide", "defaults_nothing"])
def test_progress(name):
    arguments, recorded = golden(name)
    experiment, _, _ = resolved([*arguments, "-default_F", "1"])
    detector = experiment.detector
    xmin, xmax, ymin, ymax = detector.roi
    done = (min(xmax, detector.fpixels - 1) - xmin + 1) * (min(ymax, detector.spixels - 1) - ymin + 1)
    due = [line for n, line in report.progress_lines(detector.roi) if n < done]
    assert due == bytes(recorded["progress"]).decode().splitlines()


@pytest.mark.parametrize("width", [10, 11, 12, 33, 47])
@pytest.mark.parametrize("height", [9, 10, 31])
def test_when_progress_is_due(width, height):
    pixels = width * height
    due = []
    for n in range(pixels if pixels >= 100 else 0):
        at_the_ends = 10 * n < pixels or 10 * n > 9 * pixels
        if n % (pixels // 20) == 0 or (at_the_ends and n % (pixels // 100) == 0):
            due.append((n, f"{100 * n // pixels}% done"))
    assert report.progress_lines((3, 2 + width, 5, 4 + height)) == due


def test_no_progress_without_pixels():
    assert report.progress_lines((5, 2, 0, 90)) == []


def test_pixel_lines():
    _, recorded = golden("printout_pixel")
    expected = bytes(recorded["stdout"]).decode().split("\n")
    start = expected.index("  20   31 : stol = 6.2578e+08 or 0.062578")
    columns = ((27.00231215, 16.54768038, 17.11868606), (-35.16087165, 22.23901057, 21.86640149))
    pixel = {
        "stol": 6.2578e8,
        "position": (0.1, 0.0015, -0.0125),
        "hkl": (-2.088288, -2.105540, -7.142198),
        "hkl0": (-2, -2, -7),
        "F_cell": 54.62,
        "F_latt": -22.0373,
        "I": 2967008.408,
        "steps": 2,
        "polar": 0.9921986514,
        "omega": 9.766874845e-05,
        "capture_fraction": 1.0,
        "value": 0.1141581386,
        **dict(zip("ab", (tuple(x * 1e-10 for x in column) for column in columns), strict=True)),
        "c": (-9.71791088e-10, -26.99281093e-10, 54.96317282e-10),
    }
    lines = report.pixel_lines(20, 31, pixel, 1e-10)
    assert [line.rstrip() for line in lines] == expected[start : start + len(lines)]
    assert len(lines) == 14


def test_statistics_lines():
    _, recorded = golden("still_orthorhombic")
    lines = bytes(recorded["stdout"]).decode().split("\n")
    assert report.solid_angle_line(0.372007, 1) in lines
    assert report.writing_floats_line("floatimage.bin", 4096) in lines
    assert report.writing_integers_line("image.pgm", 1) in lines
    assert report.writing_integers_line("intimage.img", 2) in lines
    assert report.solid_angle_line(-NAN, 2) == "solid angle subtended by detector = -nan steradian ( -nan% sphere)"
    assert report.maximum_line(2.39172, 0.0435, 0.0225) == "max_I = 2.39172  at 0.0435 0.0225"
    assert report.spread_line(0.01, NAN, -NAN) == "mean= 0.01 rms= nan rmsd= -nan"
    assert report.integer_scale_line(22996.0) == "intfile_scale = 22996"
    assert report.pgm_scale_line(648.1034) == "pgm_scale = 648.103"
    assert report.photons_line(40.0, 3) == "40 photons on noise image (3 overloads)"


def test_structure_factor_lines():
    lines = [report.counting_line("F.hkl"), *report.filling_lines("F.hkl", 20.0), report.dump_line("Fdump.bin")]
    _, recorded = golden("still_triclinic_misset")
    text = bytes(recorded["stdout"]).decode()
    assert "\n".join(lines).replace("F.hkl", "full8.hkl") in text
    assert report.filling_lines("F.hkl", 0.0) == ["re-reading F.hkl"]
    _, recorded = golden("hkl_dump_reread")
    assert report.dump_read_line("Fdump.bin") in bytes(recorded["stdout"]).decode().split("\n")


# ---- headers -------------------------------------------------------------------------------------------------------


def test_a_header_of_many_digits_is_longer_than_it_says():
    """As the reference's; the image follows it all the same."""
    arguments = (
        "-cell 50 -default_F 1 -detpixels 4000 -pixel 0.172345 -distance 123.4567 -lambda 0.9793412 -phi 12.3456"
    )
    arguments += " -osc 0.123456 -detector_rotx 1.2345 -twotheta -1.23456 -Xbeam 123.4567 -Ybeam 223.4567 -oversample 1"
    experiment, _, _ = resolved(shlex.split(arguments))
    header = report.smv_header(experiment)
    assert len(header) > 512
    assert header.startswith(b"{\nHEADER_BYTES=512;\n")
    assert header.endswith(b"}\f")


@pytest.mark.parametrize(
    "name", ["convention_xds_beam", "convention_adxv_beam", "rectangular", "phi_offset", "twotheta"]
)
def test_header_of_other_detectors(name):
    arguments, recorded = golden(name)
    experiment, _, _ = resolved(arguments)
    assert report.smv_header(experiment) == bytes(recorded["intimage.img"])[:512]


def test_the_two_headers_differ_in_the_sign_of_zero():
    experiment, _, _ = resolved(shlex.split("-cell 50 -default_F 1 -detpixels 8 -oversample 1"))
    detector = experiment.detector.replace(Sbeam=-0.0)
    experiment = experiment.replace(detector=detector)
    assert b"DENZO_X_BEAM=-0;" in report.smv_header(experiment)
    assert b"DENZO_X_BEAM=0;" in report.smv_header(experiment, noise=True)


# ---- against the reference -----------------------------------------------------------------------------------------


def some_arguments(chance):
    """A command line out of flags that bear on the printed lines."""

    def number(low, high):
        return f"{chance.uniform(low, high):.6g}"

    def whole(low, high):
        return str(chance.randint(low, high))

    def vector(flag, low=-1, high=1):
        return [flag, number(low, high), number(low, high), number(low, high)]

    pool = [
        *[lambda flag=flag: vector(flag) for flag in ("-fdet_vector", "-sdet_vector", "-odet_vector", "-beam_vector")],
        *[lambda flag=flag: vector(flag) for flag in ("-polar_vector", "-spindle_axis", "-twotheta_axis")],
        lambda: [chance.choice(["-mosflm", "-xds", "-adxv", "-denzo", "-dials"])],
        lambda: ["-odet_vector", "0.6", "0", "0.8"],
        lambda: ["-pivot", chance.choice(["beam", "sample"])],
        *[lambda flag=flag: [flag, number(-3, 10)] for flag in ("-Xbeam", "-Ybeam", "-Xclose", "-ORGX", "-ORGY")],
        *[lambda flag=flag: [flag, number(20, 300)] for flag in ("-distance", "-close_distance")],
        *[lambda flag=flag: [flag, number(-50, 50)] for flag in ("-twotheta", "-detector_rotx", "-detector_roty")],
        lambda: ["-detector_rotz", number(-180, 180)],
        lambda: ["-lambda", number(0.5, 3)],
        lambda: ["-energy", number(5000, 15000)],
        lambda: ["-pixel", number(0.05, 2)],
        lambda: ["-roi", *[whole(-2, 6) for _ in range(4)]],
        lambda: vector("-misset", -180, 180),
        lambda: ["-misset", "random", "-misset_seed", whole(1, 10**6)],
        lambda: ["-mat", "A.mat"],
        lambda: ["-sourcefile", "sources.txt"],
        lambda: ["-N", whole(0, 9)],
        lambda: ["-xtalsize", number(0, 5e-5)],
        lambda: ["-beamsize", number(1e-5, 0.1)],
        lambda: ["-flux", number(0, 1e12), "-exposure", number(0, 3)],
        *[lambda flag=flag: [flag, number(0, 10)] for flag in ("-phi", "-osc", "-phistep", "-dispersion")],
        *[lambda flag=flag: [flag, number(0, 10)] for flag in ("-hdivrange", "-vdivrange", "-hdivstep", "-vdivstep")],
        *[lambda flag=flag: [flag, whole(-1, 5)] for flag in ("-phisteps", "-hdivsteps", "-vdivsteps", "-dispsteps")],
        *[lambda flag=flag: [flag, whole(-1, 4)] for flag in ("-mosaic_domains", "-thicksteps", "-oversample")],
        *[lambda flag=flag: [flag, number(0, 500)] for flag in ("-detector_thick", "-detector_abs")],
        lambda: ["-mosaic", number(0, 3)],
        lambda: ["-polar", number(-1, 1)],
        *[lambda flag=flag: [flag] for flag in ("-nopolar", "-point_pixel", "-curved_det", "-square_div", "-nonoise")],
        *[lambda flag=flag: [flag] for flag in ("-interpolate", "-nointerpolate", "-gauss_xtal", "-round_xtal")],
    ]
    low, high = chance.choice([(90, 90), (60, 120), (20, 170)])
    arguments = ["-cell", *[number(10, 100) for _ in range(3)], *[number(low, high) for _ in range(3)]]
    for make in chance.sample(pool, chance.randint(1, 14)):
        arguments += make()
    return [*arguments, "-default_F", "7", "-detpixels", "3", "-seed", "3", "-noprogress", "-oversample", "1"]


@pytest.mark.skipif(REFERENCE is None, reason="NANOBRAGG_C does not name a built reference program")
@pytest.mark.parametrize("seed", range(40))
def test_the_reference_prints_the_same(seed, tmp_path):
    arguments = some_arguments(random.Random(seed))
    for name in ("A.mat", "sources.txt"):
        (tmp_path / name).write_bytes((GOLDEN / "inputs" / name).read_bytes())
    try:
        lines, experiment = lines_before_rendering(arguments, folder=tmp_path)
    except NanoBraggError:
        pytest.skip("options that make no image")
    ran = subprocess.run([REFERENCE, *arguments], cwd=tmp_path, capture_output=True, check=True)
    # the program's name is ours, and so is the number of lines a warning about oversampling takes
    theirs = [line for line in ran.stdout.decode().split("\n") if not line.startswith(("nanoBragg ", "         "))]
    first_words = [line.split(" ")[0] if line.startswith("WARNING:") else line for line in lines]
    theirs = [line.split(" ")[0] if line.startswith("WARNING:") else line for line in theirs]
    assert first_words == theirs[: len(first_words)], shlex.join(arguments)
    header = report.smv_header(experiment)
    assert (tmp_path / "intimage.img").read_bytes()[: len(header)] == header
