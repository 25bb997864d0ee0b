"""nonBragg beyond its goldens: errors, the kernels against their definition, the library, and the chain of programs."""

import math

import numpy as np
import pytest

from nanobragg_py import Background, Experiment, FieldError, NanoBraggError
from nanobragg_py.experiment.background import make_curve
from nanobragg_py.inspect import golden
from nanobragg_py.kernels.files.columns import read_columns
from nanobragg_py.kernels.loops.amorphous import BackgroundJob
from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.kernels.loops.walk import Walk
from nanobragg_py.render.backends import LEVELS, level_module

CURVE = "".join(f"{0.02 * i:.2f} {3 + math.sin(i):.6f}\n" for i in range(30))
ROWS = [tuple(map(float, line.split())) for line in CURVE.splitlines()]
AVAILABLE = LEVELS[: LEVELS.index(processor_level()) + 1]


def flags(*more):
    """An experiment with axes of its own, in which both programs count the beam centre alike."""
    text = (
        "-cell 50 60 70 90 90 90 -default_F 20 -N 3 -lambda 1 -distance 60 -pixel 1 -detpixels_f 50 -detpixels_s 40 "
        "-fdet_vector 0 0 1 -Xbeam 22.3 -Ybeam 18.1 -oversample 1 -fluence 1e24"
    )
    return [*text.split(), *more]


# ---- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "there is no curve; give one with -stol, -4stol or -Q"),
        ("-stol none.stol", "cannot read none.stol: no such file"),
        ("-stol empty.stol", "empty.stol has no row of numbers"),
        ("-stol prose.stol", "prose.stol has no row of numbers"),
        ("-stol onlyx.stol", "onlyx.stol has no F"),
        ("-stol inf.stol", "row 2 of inf.stol is"),
        ("-stol curve.stol -lambda 0", "-lambda (or -energy) does not take 0; give a wavelength in Angstrom"),
        ("-stol curve.stol -pixel 0", "-pixel does not take 0"),
        ("-stol curve.stol -distance 0", "-distance does not take 0"),
        ("-stol curve.stol -MW 0", "-MW does not take 0"),
        ("-stol curve.stol -molecules 1e5 -thickness 0", "-molecules need a sample with a volume"),
        ("-stol curve.stol -flux 1e12 -beamsize 0", "-beamsize 0 leaves no beam for -flux"),
        ("-stol curve.stol -detsize_x 0", "has no pixels"),
        ("-stol curve.stol -beam_vector 0 0 0", "-beam_vector does not take 0 0 0"),
        ("-stol curve.stol -polar_vector 0 0 0", "-polar_vector does not take 0 0 0"),
        ("-stol curve.stol -thickness nan", "-thickness does not take nan"),
        ("-stol curve.stol -gain inf", "-gain does not take inf"),
        ("-stol curve.stol -source_distance 0", "-source_distance does not take 0"),
        ("-stol curve.stol -sourcefile zero.txt", "lies in the sample"),
        ("-stol curve.stol -sourcefile none.txt", "cannot read none.txt"),
        ("-stol curve.stol -img short.img", "short.img is cut off"),
        ("-stol curve.stol -img good.img -detpixels 60", "is larger than good.img, which has 20 x 10"),
        ("-stol curve.stol -detpixels 8 -floatfile no/f.bin", "cannot write no/f.bin"),
    ],
)
def test_errors(words, said, nonbragg, tmp_path):
    header = "{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\nSIZE1=20;\nSIZE2=10;\n}\f"
    for name, data in (
        ("curve.stol", CURVE.encode()),
        ("empty.stol", b"\n \n"),
        ("prose.stol", b"# a curve\nnanocrystalline\n"),
        ("onlyx.stol", b"0.1\n0.2\n"),
        ("inf.stol", b"0.1 1\ninf 2\n"),
        ("zero.txt", b"0 0 0\n"),
        ("short.img", b"{\nHEADER_BYTES=512;"),
        ("good.img", header.encode().ljust(512) + bytes(400)),
    ):
        (tmp_path / name).write_bytes(data)
    result = golden.run(nonbragg, words.split(), tmp_path)
    last = result.errors.splitlines()[-1]
    assert result.exit_status == 9
    assert last.startswith("ERROR: ")
    assert said in last
    assert result.files == {}


def test_img_that_is_no_image_is_ignored(nonbragg, tmp_path):
    (tmp_path / "curve.stol").write_text(CURVE)
    result = golden.run(
        nonbragg, ["-stol", "curve.stol", "-detpixels", "8", "-img", "none.img", "-seed", "1"], tmp_path
    )
    assert result.exit_status == 0
    assert "-img is ignored" in result.errors


def test_overshoot_is_told(nonbragg, tmp_path):
    (tmp_path / "peaks.stol").write_text("0 0\n0.1 0\n0.19 0\n0.2 100\n0.2001 0\n0.3 0\n0.4 0\n")
    result = golden.run(nonbragg, ["-stol", "peaks.stol", "-detpixels", "8", "-seed", "1"], tmp_path)
    assert "the curve leaves their range by" in result.errors


@pytest.mark.parametrize("own", [[], ["-compat", "c"]])
def test_no_pixel_is_minus_zero(own, nonbragg, tmp_path):
    """The reference adds photons to 0, so that a negative F of no molecules is 0 and not -0, in files and in print."""
    (tmp_path / "curve.stol").write_text("0 -8\n0.05 -5\n")
    words = "-stol curve.stol -detpixels 8 -pixel 15 -density 0 -nonoise -printout"
    result = golden.run(nonbragg, [*own, *words.split()], tmp_path)
    assert result.exit_status == 0
    assert result.files["floatimage.bin"] == bytes(4 * 8 * 8)
    assert {line.split()[1] for line in result.lines if line.startswith("pixel  ")} == {"0"}


def test_own_flags_fire_nothing():
    from nanobragg_py.flags.nonbragg import OWN, TABLE

    for rule in TABLE.rules:
        if rule.group == OWN:
            assert [found.name for found in TABLE.matching_rules(rule.name)] == [rule.name]


# ---- tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (b"1 2\n3 4\n", [(1, 2), (3, 4)]),
        (b"1\n3 4\n", [(1, math.nan), (3, 4)]),
        (b"1\r\n3 4\r\n", [(1, 0), (3, 4)]),
        (b"1 2\n3", [(1, 2), (3, 0)]),
        (b" ;!\n\n1:2\n", [(1, 2)]),
        (b"# x y\n1,,2 z\n", [(0, 0), (1, 2)]),
        (b"0x10 1e1x 5\n", [(16, 10)]),
        (b"1 2g\n", [(1, 2)]),
    ],
)
def test_columns(text, rows):
    table, count = read_columns(text, len(text), 2)
    found = list(zip(*memoryview(table).tolist(), strict=True))
    assert count == len(rows)
    np.testing.assert_array_equal(found, rows)


def test_long_lines_are_cut():
    text = b"1 2" + b" " * 10236 + b"3 4\n"
    table, count = read_columns(text, len(text), 2)
    assert count == 2
    assert memoryview(table).tolist() == [[1.0, 3.0], [2.0, 4.0]]


# ---- kernels -------------------------------------------------------------------------------------------------------


def lagrange(x, F, at):
    """The curve by its definition: the cubic through the four points around, those beyond the ends left out."""
    i = np.searchsorted(x, at, side="right") - 1
    nodes = [k for k in range(i - 1, i + 3) if 0 <= k < len(x)]
    if not nodes:
        nodes = [len(x) - 1] if i >= len(x) else [0]
    total = 0.0
    for k in nodes:
        term = F[k]
        for j in nodes:
            if j != k:
                term *= (at - x[j]) / (x[k] - x[j])
        total += term
    return total


@pytest.mark.parametrize("rows", [2, 3, 4, 30])
def test_curve_is_the_lagrange_polynomial(rows):
    x, F = (np.array(column[:rows]) for column in zip(*ROWS, strict=True))
    curve = make_curve(x.tolist(), F.tolist(), "test")
    for at in np.linspace(0.0, x[-1] + 0.019, 301):
        assert curve.value(at) == pytest.approx(lagrange(x, F, at), rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("level", AVAILABLE)
@pytest.mark.parametrize("merge", [0, 1])
@pytest.mark.parametrize(
    "more",
    [
        "-polar 0.8",
        "-nopolar -point_pixel",
        "-dispersion 20 -dispsteps 7 -oversample 2",
        "-divergence 20 -divsteps 3 -dispersion 5 -dispsteps 4 -polar -0.4",
        "-curved_det 1 -twotheta 15",
    ],
)
def test_loops_against_the_walk(more, merge, level):
    # the second curve changes its sign several times
    for low in (0.0, 3.5):
        experiment = Experiment.from_args(flags(*more.split()))
        x, F = zip(*ROWS, strict=True)
        resolved = Background((x, [f - low for f in F])).resolved(experiment)
        job = BackgroundJob(resolved, merge)
        assert (job.merged > 0) == bool(merge)
        images = []
        for threads in (1, 3, 8):
            image = np.zeros(experiment.shape, np.float32)
            level_module("loops.background", level)[0].render(job, image, threads)
            images.append(image)
        assert all(np.array_equal(images[0], image) for image in images)
        walk = Walk(resolved, job)
        slow, fast = experiment.shape
        expected = np.array([[walk.pixel(s, f) for f in range(fast)] for s in range(slow)])
        np.testing.assert_allclose(images[0], expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
        assert np.mean(images[0] == expected) > 0.999


# ---- the library ---------------------------------------------------------------------------------------------------


def test_background_is_nonbragg(nonbragg, tmp_path):
    (tmp_path / "curve.stol").write_text(CURVE)
    words = flags("-divergence", "10", "-divsteps", "2", "-polar", "0.5")
    golden.run(nonbragg, ["-stol", "curve.stol", "-thickness", "0.3", "-MW", "28", *words], tmp_path)
    theirs = np.fromfile(tmp_path / "floatimage.bin", np.float32).reshape(40, 50)
    experiment = Experiment.from_args(words)
    ours = experiment.background(tmp_path / "curve.stol", thickness=3e-4, molecular_weight=28)
    assert np.array_equal(ours, theirs)
    x, F = zip(*ROWS, strict=True)
    assert np.array_equal(ours, Background((x, F), thickness=3e-4, molecular_weight=28).render(experiment, threads=2))
    out = np.zeros((40, 50), np.float32)
    assert np.shares_memory(Background((x, F)).render(experiment, out), out)
    assert out.min() > 0.0


def test_sensor_and_mask_hold_for_the_background(tmp_path, program, monkeypatch):
    """In the exact physics Experiment.background is what the program's -stol adds; in the reference's nonBragg's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "curve.stol").write_text(CURVE)
    sensor = "-detector_thick 300 -detector_abs 500 -thicksteps 3 -twotheta 20"
    header = b"{\nHEADER_BYTES=512;\nSIZE1=50;\nSIZE2=40;\n}\f".ljust(512)
    mask = np.ones((40, 50), "<u2")
    mask[7:9, 11:30] = 0
    (tmp_path / "mask.img").write_bytes(header + mask.tobytes())
    line = [*flags("-physics", "exact", "-mask", "mask.img"), *sensor.split()]
    line[line.index("-default_F") + 1] = "1e-12"
    size = "-stol curve.stol -sample_thick 0.2 -sample_y 0.1 -sample_z 0.1 -nonoise -floatfile all.bin"
    assert golden.run(program, [*line, *size.split()], tmp_path).exit_status == 0
    program = np.fromfile(tmp_path / "all.bin", np.float32).reshape(40, 50)
    experiment = Experiment.from_args(line)
    image = experiment.background("curve.stol", thickness="0.2 mm", width="100 um")
    assert image.max() > 0.0
    assert np.allclose(image, program, rtol=1e-6, atol=0.0)
    reference = Experiment.from_args(line[: line.index("-physics")] + line[line.index("-physics") + 2 :])
    bare = reference.background("curve.stol", thickness=2e-4, width=1e-4)
    assert (bare[mask == 1] > 1.5 * image[mask == 1]).all() and (bare[mask == 0] > 0.0).all()


def test_lengths_may_be_words():
    made = Background("water", thickness="0.3 mm", width="50 um")
    assert (made.thickness, made.width) == pytest.approx((3e-4, 5e-5), rel=1e-15)
    for value, said in (("3 deg", "its unit one of m, cm"), ("1 2 mm", "one number"), ("thick", "must be a number")):
        with pytest.raises(FieldError, match=said):
            Background("water", thickness=value)


def test_background_of_a_function_and_of_the_package():
    experiment = Experiment.from_args(flags())
    constant = experiment.background(lambda x: 2.0)
    np.testing.assert_allclose(constant, 4.0 * experiment.background("unity"), rtol=1e-6)
    water, air = experiment.background("water"), experiment.background("air", density=1.2e-3, molecular_weight=28)
    assert water.min() > air.min() > 0.0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"curve": "no.stol"}, "cannot read no.stol"),
        ({"curve": ([1, 2], [1])}, "as many of each"),
        ({"curve": 5}, "it must be a file, a pair"),
        ({"curve": ([1.0], [math.nan])}, "has no F"),
        ({"curve": "water", "density": -1}, "density is -1"),
        ({"curve": "water", "abscissa": "Q"}, "leave abscissa"),
        ({"curve": "water", "abscissa": "q"}, "abscissa is 'q'"),
        ({"curve": "water", "oversample": 0}, "oversample is 0"),
        ({"curve": "water", "molecular_weight": 0}, "molecular_weight is 0"),
    ],
)
def test_background_errors(more, said):
    with pytest.raises(NanoBraggError, match="(?s).*" + said.replace("'", ".")) as caught:
        Background(**more).render(Experiment.from_args(flags()))
    assert isinstance(caught.value, FieldError)


#: flags of both programs that the references read in two ways
VECTORS = ("-fdet_vector", "-sdet_vector", "-odet_vector", "-beam_vector", "-polar_vector", "-spindle_axis")
READ_OTHERWISE = {*VECTORS, "-twotheta_axis", "-pix0_vector", "-molecular_weight", "-pgmfile", "-pgmscale"}
READ_OTHERWISE |= {"-detsize_x", "-detsize_y", "-source_distance"}
#: what decides how a token is read
READING = ("names", "convert", "dests", "values", "needles", "match", "action", "sets", "stop", "first_pass", "choices")


def test_rows_of_both_tables_are_read_alike():
    """They stand twice, since a program that starts reads one table; what is changed in one is changed in the other."""
    from nanobragg_py.flags.nanobragg import RULES
    from nanobragg_py.flags.nonbragg import RULES as OTHERS

    ours, others = ({rule.name: rule for rule in rules} for rules in (RULES, OTHERS))
    both = ours.keys() & others.keys()
    differing = {name for name in both if any(getattr(ours[name], a) != getattr(others[name], a) for a in READING)}
    assert differing == READ_OTHERWISE and len(both) > 80
