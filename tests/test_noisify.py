"""noisify the program: its flags, what it says of bad input, and what it leaves behind then."""

import shlex

import numpy as np
import pytest
from running import Runner

from nanobragg_py.flags.noisify import DEFAULTS, RULES, TABLE
from nanobragg_py.flags.parser import METAVARS, OWN

OWN_RULES = [rule for rule in RULES if rule.group == OWN]


@pytest.fixture
def runner(noisify, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    np.full(60, 20.0, np.float32).tofile(folder / "in.bin")
    return Runner(noisify, folder)


def header(folder, text, size=512):
    (folder / "head.img").write_bytes(text.encode().ljust(size))


# ---- flags ---------------------------------------------------------------------------------------------------------


def test_rules_name_options_that_exist():
    for rule in RULES:
        assert set(rule.dests) | {name for name, _ in rule.sets} <= set(DEFAULTS), rule
        assert rule.group in TABLE.groups and rule.help and rule.names, rule
        assert rule.convert in METAVARS or rule.convert == "choice", rule
        for name in rule.names:
            assert rule in TABLE.matching_rules(name), name


@pytest.mark.parametrize("rule", OWN_RULES, ids=lambda rule: rule.name)
def test_own_flags_fire_no_rule_of_the_reference(rule):
    for token in (rule.name, "-" + rule.name):
        assert TABLE.matching_rules(token) == [rule]
    for token in (rule.name + "x", rule.name[:-1], "-x" + rule.name):
        assert rule not in TABLE.matching_rules(token)


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("floatimage.bin", {"input_file": "floatimage.bin"}),
        ("-bin a.bin -noisefile floatimage.bin", {"input_file": "floatimage.bin", "noise_file": "floatimage.bin"}),
        ("-floatfile d/floatimage.bin -bin b", {"input_file": "b"}),
        ("-scale-floatimage.bin 5", {"input_file": "-scale-floatimage.bin"}),
        ("-psf gaussfiber -psf_rad 4.9", {"psf": "fiber", "psf_radius": 4}),
        ("-psf_si 220", {"psf_fwhm": float(np.float32(220 / 1e6))}),
        ("-psf gauss -psf foo", {}),
        ("-psf", {}),
        ("-psf_radius -1e30", {"psf_radius": -(2**31)}),
        ("-calib_seed 5 -seed -2147483648", {"calib_seed": -5, "seed": -(2**31)}),
        ("-readnois 2 --readout_noise_rms 3", {"readout": 3.0}),
        ("-detpixels 7 -detpixels_y 9 -detsize 5", {"xpixels": 7, "ypixels": 9, "detsize_x": 5e-3, "detsize_y": 5e-3}),
        ("-lambda 2 -wavelength 3 -energy 12 -quantum_gain 4", {"wavelength": 2.0}),
        ("-psf_method fft --threads 2", {"psf_method": "fft", "threads": 2}),
        ("-nonoises -nopgm", {"write_noise": False, "write_pgm": False}),
    ],
)  # fmt: skip
def test_options(line, changed):
    given = TABLE.parse(shlex.split(line))
    assert {k: getattr(given, k) for k in DEFAULTS if getattr(given, k) != DEFAULTS[k]} == changed


def test_help_names_every_flag(runner):
    done = runner("-help")
    assert done.returncode == 0 and done.stderr == ""
    assert all(name in done.stdout for rule in RULES for name in rule.names if rule.match != "bare")
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_version_and_timing(runner):
    assert runner("--version").stdout.startswith("nanobragg_py ")
    done = runner(*shlex.split("-floatfile in.bin -seed 1 -timing -psf gauss"))
    assert next(line.split()[1] for line in done.stderr.splitlines() if line.startswith("timing:")) == "input"


# ---- bad input -----------------------------------------------------------------------------------------------------

GOOD = "{\nHEADER_BYTES=512;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\nSIZE1=10;\nSIZE2=6;\n}\f"


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        ("", None, "there is no input; give a float image with -floatfile"),
        ("-floatfile nowhere.bin", None, "cannot read nowhere.bin: no such file; name another input"),
        ("-floatfile .", None, "cannot read .: it is a directory; name another input"),
        ("-floatfile in.bin -detpixels 50", None, "in.bin has 240 bytes, too few for 50 x 50 values of 4"),
        ("-floatfile in.bin -detpixels -6", None, "an image cannot have -6 x -6 pixels; correct -detpixels"),
        ("-floatfile in.bin -detpixels_x -6", None, "an image cannot have -6 x -10 pixels; correct -detpixels"),
        ("-floatfile in.bin -detpixels 2000000000", None, "in.bin has 240 bytes, too few for 2000000000 x 2000000000"),
        ("-floatfile in.bin -header nowhere.img", None, "cannot read nowhere.img: no such file"),
        ("-floatfile in.bin -header head.img", "junk", "head.img is no SMV image"),
        ("-floatfile in.bin -header head.img", GOOD.replace("=512", "=1024"), "head.img is cut off"),
        ("-floatfile in.bin -header head.img", GOOD.replace("SIZE", "EDGE"), "head.img has no usable SIZE1"),
        ("-floatfile in.bin -header head.img", GOOD.replace("=10", "=-10"), "head.img has -10 x 6 pixels"),
        ("-floatfile in.bin -header head.img", GOOD.replace("=10", "=5000"), "in.bin has 240 bytes, too few for"),
        ("-floatfile in.bin -threads many", None, "-threads does not take 'many'; give it a whole number"),
        ("-floatfile in.bin -psf_method quick", None, "-psf_method does not take 'quick'; give it exact or fft"),
        ("-floatfile in.bin -intfile no/where.img", None, "cannot write no/where.img: its directory does not exist"),
    ],
)  # fmt: skip
def test_bad_input(line, text, said, runner):
    if text is not None:
        header(runner.folder, text)
    before = sorted(runner.folder.iterdir())
    done = runner(*shlex.split(line), "-seed", "1")
    assert done.returncode == 9
    errors = [each for each in done.stderr.splitlines() if not each.startswith("WARNING")]
    assert len(errors) == 1 and errors[0].startswith(f"ERROR: {said}"), done.stderr
    assert sorted(runner.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-detpixels 8", "in.bin has 60 values for 8 x 8 pixels; the others are 0"),
        ("-detpixels 5", "in.bin has 60 values; 5 x 5 pixels take the first 25"),
        ("-header head.img -bits 32", "the header of head.img is copied as it is and says TYPE="),
        ("-psf gauss -psf_radius 400", "-psf_radius 400 is more than the image has pixels a side, and was cut to 10"),
        ("-flicker", "-flicker needs a value after it and was ignored"),
        ("-calibratoin 3", "-calibratoin is not a noisify flag and was ignored; did you mean -calibration?"),
    ],
)  # fmt: skip
def test_what_is_odd_is_said(line, said, runner):
    header(runner.folder, GOOD)
    done = runner(*shlex.split(f"-floatfile in.bin -seed 1 {line}"))
    assert done.returncode == 0
    assert any(each.startswith(f"WARNING: {said}") for each in done.stderr.splitlines()), done.stderr


def test_pixels_below_zero_are_counted(runner):
    done = runner(*shlex.split("-floatfile in.bin -seed 1 -adc -100"))
    assert done.stderr == "120 pixels below 0, or no numbers, were written as 0; a larger -adc raises them\n"
    assert runner(*shlex.split("-floatfile in.bin -seed 1 -adc -100 -compat c")).stderr == ""


def test_input_through_a_pipe(runner):
    with open(runner.folder / "in.bin", "rb") as file:
        done = runner(*shlex.split("-floatfile /dev/stdin -detpixels_x 10 -seed 1 -noisefile a.img"), stdin=file)
    assert done.returncode == 0
    runner(*shlex.split("-floatfile in.bin -detpixels_x 10 -seed 1 -noisefile b.img"))
    assert (runner.folder / "a.img").read_bytes() == (runner.folder / "b.img").read_bytes()


def test_an_output_that_is_the_input(runner):
    runner(*shlex.split("-floatfile in.bin -seed 1 -noisefile b.img"))
    done = runner(*shlex.split("-floatfile in.bin -seed 1 -noisefile in.bin"))
    assert done.returncode == 0
    assert (runner.folder / "in.bin").read_bytes() == (runner.folder / "b.img").read_bytes()
