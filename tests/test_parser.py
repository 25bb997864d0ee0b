"""The command line: which rules fire, what they read, what is said about the rest."""

import json
import locale
import math
import os
import random
import re
import shlex
import subprocess
import sys

import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.flags import nanobragg as flags
from nanobragg_py.flags import page, parser, usage
from nanobragg_py.flags.nanobragg import matching_rules, nearest_flag, parse, prescan, unknown_flags, warning_sentences
from nanobragg_py.flags.options import DEFAULTS, Options

ROOT = os.path.join(os.path.dirname(__file__), "..")
RTD = 180.0 * 0.31830988618379067154
REFERENCE_RULES = [rule for rule in flags.RULES if rule.match != "own"]
OWN_RULES = [rule for rule in flags.RULES if rule.group == flags.OWN]
RETIRED_RULES = [rule for rule in flags.RULES if rule.group == flags.RETIRED]


def options(line, **given):
    return parse(shlex.split(line), Options(**given))


def changed(line):
    """The options that differ from their defaults."""
    given = options(line)
    return {k: getattr(given, k) for k in DEFAULTS if not same(getattr(given, k), DEFAULTS[k])}


def same(one, other):
    """Equal to the last bit and the sign of zero; nan equals nan."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        both_nan = one != one and other != other
        return both_nan or (one == other and math.copysign(1, one) == math.copysign(1, other))
    return type(one) is type(other) and one == other


# An independent model of the rules: slow, straight from the description of the reference, and sharing nothing with the
# table or the parser. Each row: needles, how they match (has, is, or a length), values, what happens.


def atof(text):
    match = re.match(r"\s*([+-]?)(?:(0x(?=[0-9a-f.])(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?\d+)?)|"
                     r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)|(inf)|(nan))", text, re.I | re.A)  # fmt: skip
    if not match:
        return 0.0
    sign, hexadecimal, decimal, infinite, _ = match.groups()
    value = math.nan
    if infinite:
        value = math.inf
    elif decimal:
        value = float(decimal)
    elif hexadecimal:
        value = float.fromhex(hexadecimal)
    return -value if sign == "-" else value


def atoi(text):
    match = re.match(r"\s*([+-]?\d+)", text, re.A)
    whole = max(-(2**63), min(2**63 - 1, int(match[1]))) if match else 0
    return as_int(whole)


def as_int(whole):
    return (whole + 2**31) % 2**32 - 2**31


def degrees(text):
    return atof(text) / RTD


def thousandth(text):
    return atof(text) / 1000.0


def put(convert, *names, **constants):
    """An effect: the values, converted, to each name (several as a tuple), and constants."""

    def effect(given, words):
        values = tuple(convert(word) for word in words)
        for name in names:
            given[name] = values[0] if len(values) == 1 else values
        given.update(constants)

    return effect


def switch(**constants):
    return lambda given, words: given.update(constants)


def pivot(given, words):
    for word in ("sample", "beam"):
        if word in words[0]:
            given["pivot"] = word


def sensor(given, words):
    if "inf" in words[0] or atof(words[0]) == 0:
        given.update(detector_thick=0.0, detector_mu=0.0)
    else:
        depth = atof(words[0]) * 1e-6
        given["detector_mu"] = 1.0 / depth if depth else math.copysign(math.inf, depth)


def energy(text):
    value = atof(text)
    return (12398.42 / value if value else math.copysign(math.inf, value)) / 1.0e10


def cells(text):
    return float(atoi(text))


def seed(text):
    return as_int(-atoi(text))


def vector(name):
    return (f"-{name}", "has", 3, put(atof, name, convention="CUSTOM"))


def convention(name, pivot):
    return (f"-{name.lower()}", "has", 0, switch(convention=name, pivot=pivot))


BEAM, SAMPLE = {"pivot": "beam"}, {"pivot": "sample"}
STOP = "stop"
MODEL = [
    ("-Na", "has", 1, put(cells, "Na"), STOP),
    ("-Nb", "has", 1, put(cells, "Nb"), STOP),
    ("-Nc", "has", 1, put(cells, "Nc"), STOP),
    ("-N", "is", 1, put(cells, "Na", "Nb", "Nc"), STOP),
    ("-cell", "has", 1, "cell"),
    ("-misset", "has", 1, "random"),
    ("-misset", "has", 3, put(degrees, "misset", misset_mode="angles")),
    ("-samplesize -sample_size", "has", 1, put(thousandth, "sample_x", "sample_y", "sample_z")),
    ("-sample_thick -sample_x", "has", 1, put(thousandth, "sample_x")),
    ("-sample_width -sample_y -width", "has", 1, put(thousandth, "sample_y")),
    ("-sample_heigh -sample_z -heigh", "has", 1, put(thousandth, "sample_z")),
    ("-xtalsize -xtal_size", "has", 1, put(thousandth, "sample_x", "sample_y", "sample_z")),
    ("-xtal_thick -xtal_x", "has", 1, put(thousandth, "sample_x")),
    ("-xtal_width -xtal_y -width", "has", 1, put(thousandth, "sample_y")),
    ("-xtal_heigh -xtal_z -heigh", "has", 1, put(thousandth, "sample_z")),
    ("-density -sample_den", "has", 1, put(lambda text: atof(text) * 1e6, "density")),
    ("-MW", "is", 1, put(atof, "molecular_weight")),
    ("-molec", "has", 1, put(atof, "molecular_weight")),
    ("-Xbeam", "has", 1, put(thousandth, "Xbeam", **BEAM)),
    ("-Ybeam", "has", 1, put(thousandth, "Ybeam", **BEAM)),
    ("-Xclose", "has", 1, put(thousandth, "Xclose", **SAMPLE)),
    ("-Yclose", "has", 1, put(thousandth, "Yclose", **SAMPLE)),
    ("-ORGX", "has", 1, put(atof, "ORGX", **SAMPLE)),
    ("-ORGY", "has", 1, put(atof, "ORGY", **SAMPLE)),
    ("-pivot", "has", 1, pivot),
    convention("MOSFLM", "beam"),
    convention("XDS", "sample"),
    convention("ADXV", "beam"),
    convention("DENZO", "beam"),
    convention("DIALS", "beam"),
    vector("fdet_vector"),
    vector("sdet_vector"),
    vector("odet_vector"),
    vector("beam_vector"),
    vector("polar_vector"),
    vector("spindle_axis"),
    vector("twotheta_axis"),
    vector("pix0_vector"),
    ("-distance", "has", 1, put(thousandth, "distance", **BEAM)),
    ("-close_distance", "has", 1, put(thousandth, "close_distance", **SAMPLE)),
    ("-detector_abs", "has", 1, sensor),
    ("-detector_thick", 15, 1, put(lambda text: atof(text) * 1e-6, "detector_thick")),
    ("-detector_thicksteps", "has", 1, put(atoi, "detector_thicksteps")),
    ("-thicksteps", "has", 1, put(atoi, "detector_thicksteps")),
    ("-twotheta", "has", 1, put(degrees, "twotheta", **SAMPLE)),
    ("-detector_rotx", "has", 1, put(degrees, "detector_rotx")),
    ("-detector_roty", "has", 1, put(degrees, "detector_roty")),
    ("-detector_rotz", "has", 1, put(degrees, "detector_rotz")),
    ("-detsize", 8, 1, put(thousandth, "detsize_f", "detsize_s")),
    ("-detsize_f", "has", 1, put(thousandth, "detsize_f")),
    ("-detsize_s", "has", 1, put(thousandth, "detsize_s")),
    ("-detpixels", 10, 1, put(atoi, "fpixels", "spixels")),
    ("-detpixels_f -detpixels_x", "has", 1, put(atoi, "fpixels")),
    ("-detpixels_s -detpixels_y", "has", 1, put(atoi, "spixels")),
    ("-curved_det", "has", "1 with -compat c", switch(curved_det=True)),
    ("-pixel", "has", 1, put(thousandth, "pixel_size")),
    ("-point_pixel", "has", 0, switch(point_pixel=True)),
    ("-polar", 6, 1, put(atof, "polarization", nopolar=False)),
    ("-nopolar", "has", 0, switch(nopolar=True)),
    ("-oversample_thick", "has", 0, switch(oversample_thick=True), STOP),
    ("-oversample_polar", "has", 0, switch(oversample_polar=True), STOP),
    ("-oversample_omega", "has", 0, switch(oversample_omega=True), STOP),
    ("-oversample", "has", 1, put(atoi, "oversample")),
    ("-roi", "has", 4, put(atoi, "roi")),
    ("-lambda -wave", "has", 1, put(lambda text: atof(text) / 1.0e10, "wavelength")),
    ("-energy", "has", 1, put(energy, "wavelength")),
    ("-fluence", "has", 1, put(atof, "fluence")),
    ("-flux", "has", 1, put(atof, "flux")),
    ("-exposure", "has", 1, put(atof, "exposure")),
    ("-beamsize", "has", 1, put(thousandth, "beamsize")),
    ("-mosaic", 7, 1, put(degrees, "mosaic_spread")),
    ("-mosaici -mosaic_spr", "has", 1, put(degrees, "mosaic_spread")),
    ("-mosaic_dom", "has", 1, put(atoi, "mosaic_domains")),
    ("-dispersion", "has", 1, put(lambda text: atof(text) / 100.0, "dispersion")),
    ("-dispsteps", "has", 1, put(atoi, "dispsteps")),
    ("-divergence", "has", 1, put(thousandth, "hdivrange", "vdivrange")),
    ("-hdivrange", "has", 1, put(thousandth, "hdivrange")),
    ("-vdivrange", "has", 1, put(thousandth, "vdivrange")),
    ("-hdivstep", 9, 1, put(thousandth, "hdivstep")),
    ("-hdivsteps", "has", 1, put(atoi, "hdivsteps")),
    ("-vdivstep", 9, 1, put(thousandth, "vdivstep")),
    ("-vdivsteps", "has", 1, put(atoi, "vdivsteps")),
    ("-divsteps", "has", 1, put(atoi, "hdivsteps", "vdivsteps")),
    ("-round_div", "has", 0, switch(round_div=True)),
    ("-square_div", "has", 0, switch(round_div=False)),
    ("-adc", "has", 1, put(atof, "adc_offset")),
    ("-phi", 4, 1, put(degrees, "phi0")),
    ("-osc", "has", 1, put(degrees, "osc")),
    ("-phistep", 8, 1, put(degrees, "phistep")),
    ("-phisteps", "has", 1, put(atoi, "phisteps")),
    ("-dmin", "has", 1, put(lambda text: atof(text) * 1e-10, "dmin")),
    ("-mat", "has", 1, put(str, "matrix_file")),
    ("-hkl", "has", 1, put(str, "hkl_file")),
    ("-default_F", "has", 1, put(atof, "default_F")),
    ("-dump", "has", 1, put(str, "dump_file")),
    ("-stolout", "has", 1, put(str, "stolout_file")),
    ("-stol", 5, 1, put(str, "stol_file", stol_mult=1e10)),
    ("-4stol", 6, 1, put(str, "stol_file", stol_mult=1e10 / 4)),
    ("-Q", 2, 1, put(str, "stol_file", stol_mult=1e10 / math.pi / 4)),
    ("-sourcefile", "has", 1, put(str, "source_file")),
    ("-floatfile -floatimage", "has", 1, put(str, "float_file")),
    ("-intfile -intimage", "has", 1, put(str, "int_file")),
    ("-pgmfile -pgmimage", "has", 1, put(str, "pgm_file", write_pgm=True)),
    ("-noisefile -noiseimage", "has", 1, put(str, "noise_file", write_noise=True)),
    ("-nonoise", "has", 0, switch(write_noise=False)),
    ("-nopgm", "has", 0, switch(write_pgm=False)),
    ("-scale", "has", 1, put(atof, "scale")),
    ("-pgmscale", "has", 1, put(atof, "pgm_scale", write_pgm=True)),
    ("-coherent", "has", 0, switch(coherent=True)),
    ("-printout", "has", 0, switch(printout=True)),
    ("-noprogress", "has", 0, switch(progress=False)),
    ("-progress", "has", 0, switch(progress=True)),
    ("-interpolate", "has", 0, switch(interpolate=1)),
    ("-nointerpolate", "has", 0, switch(interpolate=0)),
    ("-round_xtal", "has", 0, switch(shape="round")),
    ("-square_xtal", "has", 0, switch(shape="square")),
    ("-gauss_xtal", "has", 0, switch(shape="gauss")),
    ("-binary_spots -tophat_spots", "has", 0, switch(shape="tophat")),
    ("-fudge", "has", 1, put(atof, "fudge")),
    ("-printout_pixel", "has", 2, put(atoi, "printout_pixel")),
    ("-seed", "has", 1, put(seed, "seed")),
    ("-mosaic_seed", "has", 1, put(seed, "mosaic_seed")),
    ("-misset_seed", "has", 1, put(seed, "misset_seed")),
    ("-water", "has", 1, put(lambda text: atof(text) / 1e6, "water")),
]


def model_cell(given, words):
    """Returns whether reading stopped early."""
    given["user_cell"] = True
    cell = [*given["cell_lengths"], *given["cell_angles"]]
    number = 0
    while number < 6 and number < len(words) and not words[number].startswith("-"):
        cell[number] = atof(words[number]) if number < 3 else degrees(words[number])
        number += 1
    given["cell_lengths"], given["cell_angles"] = tuple(cell[:3]), tuple(cell[3:])
    return number < 6


def model(argv, compat):
    given = dict(DEFAULTS, compat=compat)
    for position, token in enumerate(argv):
        following = argv[position + 1 :]
        if not token.startswith("-"):
            continue
        for needle, name in (("-img", "img_file"), ("-mask", "mask_file")):
            if needle in token and following:
                given[name] = following[0]
        for needles, how, values, effect, *stop in MODEL:
            found = [needle for needle in needles.split() if needle in token]
            if not found or (how == "is" and token not in needles.split()):
                continue
            if isinstance(how, int) and len(os.fsencode(token)) != how:
                continue
            if values == "1 with -compat c":
                values, needed = 0, int(compat == "c")
            else:
                needed = values
            if len(following) < needed:
                continue
            if effect == "cell":
                if model_cell(given, following):
                    break
            elif effect == "random":
                if "rand" in following[0]:
                    given["misset_mode"] = "random"
                    break
            else:
                effect(given, following[:values])
                if stop:
                    break
    return given


ODD_WORDS = [
    *("0", "1", "2.5", "-3", "-.5e2", "1e3", "1e3x", "0x64", "-0x1p-3", "0x", "5x", "44.9", "+4", "3deg", "1,5", "1e"),
    *("abc", "nan", "-nan", "inf", "-inf", "infinite", "1e400", "1e-320", "1.e1", " 7", "\t-8.5 ", "", ".", "-", "--"),
    *("99999999999", "-99999999999", "4294967296", "2147483648", "-2147483648", "9" * 20, "-" + "9" * 20),
    *("-x", "random", "strands", "sample", "beam", "sample_or_beam", "beam-not-sample"),
    *("file.hkl", "-file.img", "\udcff\udce4.bin"),
]


def random_token(rng):
    """A flag, often with something before, behind or missing, or the spellings of two in one."""
    spelled = [word for rule in REFERENCE_RULES + RETIRED_RULES for word in rule.names + rule.needles]
    token = rng.choice(spelled)
    kind = rng.random()
    if kind < 0.06:
        return "-" + token
    if kind < 0.12:
        return "-my" + token
    if kind < 0.20:
        return token + rng.choice(["s", "x", "_f", "\udcff"])
    if kind < 0.25:
        return token[:-1]
    if kind < 0.32:
        return token + rng.choice(spelled)
    return token


def random_line(rng):
    line = []
    for _ in range(rng.randrange(9)):
        line.append(random_token(rng))
        for _ in range(rng.choice([0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 6])):
            line.append(rng.choice(ODD_WORDS) if rng.random() < 0.4 else repr(round(rng.uniform(-200, 200), 5)))
    return line


@pytest.mark.parametrize("compat", ["spec", "c"])
def test_agrees_with_the_model_on_random_lines(compat):
    rng = random.Random(20170517)
    for _ in range(2500):
        line = random_line(rng)
        given, expected = parse(line, Options(compat=compat)), model(line, compat)
        wrong = {k: (getattr(given, k), v) for k, v in expected.items() if not same(getattr(given, k), v)}
        assert not wrong, line
        assert prescan(line) == (expected["mask_file"], expected["img_file"]), line


@pytest.mark.parametrize("word", ODD_WORDS)
def test_numbers_as_c_reads_them(word):
    assert same(parse(["-fluence", word]).fluence, atof(word))
    assert same(parse(["-phisteps", word]).phisteps, atoi(word))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-fluence 0x64", {"fluence": 100.0}),
        ("-fluence 5x", {"fluence": 5.0}),
        ("-fluence abc", {"fluence": 0.0}),
        ("-fluence -inf", {"fluence": -math.inf}),
        ("-phisteps 44.9", {"phisteps": 44}),
        ("-phisteps 1e3x", {"phisteps": 1}),
        ("-phisteps 99999999999", {"phisteps": 1215752191}),
        ("-phisteps 99999999999999999999", {}),
        ("-phisteps -99999999999999999999", {"phisteps": 0}),
        ("-seed 42", {"seed": -42}),
        ("-mosaic_seed -42", {"mosaic_seed": 42}),
        ("-seed -2147483648", {"seed": -2147483648}),
        ("-energy 0", {"wavelength": math.inf}),
    ],
)
def test_numbers(line, expected):
    assert changed(line) == expected


def test_numbers_do_not_follow_the_locale():
    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        for name in ("de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "sv_SE.UTF-8", "de_DE"):
            try:
                locale.setlocale(locale.LC_NUMERIC, name)
            except locale.Error:
                continue
            assert changed("-fluence 1.5") == {"fluence": 1.5}
            return
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
    pytest.skip("no locale with a decimal comma is installed")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-matrix A.mat", {"matrix_file": "A.mat"}),
        ("--distance 90", {"distance": 0.09}),
        ("--my-lambda 1.5", {"wavelength": 1.5 / 1e10}),
        (
            "-twotheta_axis 20 0 1",
            {"twotheta_axis": (20.0, 0.0, 1.0), "twotheta": 20 / RTD, "convention": "CUSTOM", "pivot": "sample"},
        ),
        ("-twotheta_axis 20 0", {"twotheta": 20 / RTD, "pivot": "sample"}),
        ("-misset_seed 7", {"misset_seed": -7}),
        (
            "-misset_seed 7 -phi 12",
            {"misset_seed": -7, "misset": (7 / RTD, 0.0, 12 / RTD), "misset_mode": "angles", "phi0": 12 / RTD},
        ),
        ("-misset_seed strand 2 3", {"misset_mode": "random"}),
        ("-misset random -misset 1 2 3", {"misset": (1 / RTD, 2 / RTD, 3 / RTD), "misset_mode": "angles"}),
        ("-misset 1 2 3 -misset random", {"misset": (1 / RTD, 2 / RTD, 3 / RTD), "misset_mode": "random"}),
        ("-misset 1 2", {}),
        ("-detector_thicksteps 3", {"detector_thicksteps": 3}),
        ("-detector_thick 300", {"detector_thick": 300 * 1e-6}),
        ("-detector_thickness 300", {}),
        ("-detector_absorb 200", {"detector_mu": 1.0 / (200 * 1e-6)}),
        ("-detector_thick 300 -detector_abs inf", {"detector_mu": 0.0}),
        ("-detector_thick 300 -detector_abs 0", {"detector_mu": 0.0}),
        ("-detector_thick 300 -detector_abs 5inf", {"detector_mu": 0.0}),
        ("-oversample_thick 3", {"oversample_thick": True}),
        ("-oversample_omega 3 -oversample 2", {"oversample_omega": True, "oversample": 2}),
        ("-oversample_what 3", {"oversample": 3}),
        ("-phi 3", {"phi0": 3 / RTD}),
        ("-phistep 3", {"phistep": 3 / RTD}),
        ("-phisteps 3", {"phisteps": 3}),
        ("--phi 3", {}),
        ("-mosaic 3", {"mosaic_spread": 3 / RTD}),
        ("-mosaicity 3", {"mosaic_spread": 3 / RTD}),
        ("-mosaic_spread 3", {"mosaic_spread": 3 / RTD}),
        ("-mosaic_domains 3", {"mosaic_domains": 3}),
        ("-mosaic_seed 3", {"mosaic_seed": -3}),
        ("-polar 0.5", {"polarization": 0.5}),
        ("-polarization 0.5", {}),
        ("-nopolar -polar 0.5", {"polarization": 0.5}),
        ("-polar 0.5 -nopolar", {"polarization": 0.5, "nopolar": True}),
        ("-detsize 50", {"detsize_f": 0.05, "detsize_s": 0.05}),
        ("-detsize_f 50", {"detsize_f": 0.05}),
        ("-detsize_fast 50", {"detsize_f": 0.05}),
        ("-detpixels 7 -detpixels_y 8", {"fpixels": 7, "spixels": 8}),
        ("-printout_pixel 5 6", {"printout": True, "printout_pixel": (5, 6)}),
        ("-printout_pixel 5", {"printout": True}),
        ("-noprogress", {"progress": False}),
        ("-noprogress -progress", {}),
        ("-stolout x", {"stolout_file": "x"}),
        ("-stol x", {"stol_file": "x"}),
        ("-Q x", {"stol_file": "x", "stol_mult": 1e10 / math.pi / 4}),
        ("-Qx x", {}),
        ("-N 5", {"Na": 5.0, "Nb": 5.0, "Nc": 5.0}),
        ("--N 5", {}),
        ("-Nab 5", {"Na": 5.0}),
        ("-N 5 -Nb 6", {"Na": 5.0, "Nb": 6.0, "Nc": 5.0}),
        ("-Nb 6 -N 5", {"Na": 5.0, "Nb": 5.0, "Nc": 5.0}),
        ("-width 2", {"sample_y": 0.002}),
        ("-height 2", {"sample_z": 0.002}),
        ("-nopgm -pgmscale 3", {"pgm_scale": 3.0}),
        ("-nonoise -noisefile n", {"noise_file": "n"}),
        ("-pgmfile p -nopgm", {"pgm_file": "p", "write_pgm": False}),
        ("-roi 1 2 3 -4", {"roi": (1, 2, 3, -4)}),
        ("-roi 1 2 3", {}),
        ("-pivot beam_or_sample", {}),
        ("-pivot sample -pivot neither", {"pivot": "sample"}),
        ("-Xclose 1 -Xbeam 2", {"Xclose": 0.001, "Xbeam": 0.002}),
        ("-pix0_vector_mm 1 2 3", {"pix0_vector": (1.0, 2.0, 3.0), "convention": "CUSTOM"}),
        ("-fdet_vector 1 2 3 -xds", {"fdet_vector": (1.0, 2.0, 3.0), "convention": "XDS", "pivot": "sample"}),
        ("-lambda 3 -energy 6199.21", {"wavelength": 2.0 / 1e10}),
        ("-phisteps", {}),
        ("-hkl -phi 3", {"hkl_file": "-phi", "phi0": 3 / RTD}),
        ("-foo 3 bar", {}),
        ("", {}),
    ],
)
def test_rules(line, expected):
    assert changed(line) == expected


@pytest.mark.parametrize(
    ("line", "lengths", "angles"),
    [
        ("-cell 45", (45.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ("-cell 1 2 3 90 100", (1.0, 2.0, 3.0), (90 / RTD, 100 / RTD, 0.0)),
        ("-cell 1 2 3 90 100 110 120", (1.0, 2.0, 3.0), (90 / RTD, 100 / RTD, 110 / RTD)),
        ("-cell 1 2 -3 90 100 110", (1.0, 2.0, 0.0), (0.0, 0.0, 0.0)),
        ("-cell 1 2 3 90 90 90 -cell 4 5 -N 2", (4.0, 5.0, 3.0), (90 / RTD, 90 / RTD, 90 / RTD)),
        ("-cell -N 3", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    ],
)
def test_cell_is_read_step_by_step(line, lengths, angles):
    given = options(line)
    assert (given.user_cell, given.cell_lengths, given.cell_angles) == (True, lengths, angles)


def test_cell_without_a_value_is_not_given():
    assert changed("-cell") == {}


def test_cell_stops_later_rules_only_when_cut_short():
    assert options("-cell-water 1 2 3").water == 0
    assert options("-cell-water 1 2 3 4 5 6").water == 1e-6


def test_headers_are_found_wherever_they_stand():
    assert prescan(["-img", "a", "x", "-mask", "b", "--img", "c", "-mask"]) == ("b", "c")
    assert prescan(["img", "a", "-oversample_thick-mask", "b"]) == ("b", None)
    assert prescan([]) == (None, None)
    given = options("-img a -oversample_thick-mask b")
    assert (given.img_file, given.mask_file) == ("a", "b")


def test_flags_apply_to_options_that_headers_filled():
    given = Options(distance=0.5, wavelength=2e-10)
    assert parse(["-distance", "90"], given) is given
    assert (given.distance, given.wavelength) == (0.09, 2e-10)


def test_curved_detector_as_last_token():
    assert options("-N 2 -curved_det").curved_det
    assert not options("-compat c -curved_det").curved_det
    assert options("-compat c -curved_det 1").curved_det
    assert options("-curved_det -compat c").curved_det
    assert not options("-curved_det", compat="c").curved_det


def test_file_names_survive_any_bytes():
    name = os.fsdecode(b"caf\xe9-\xff.hkl")
    assert os.fsencode(parse(["-hkl", name]).hkl_file) == b"caf\xe9-\xff.hkl"
    assert prescan(["-mask", name]) == (name, None)


@pytest.mark.parametrize("token", ["a\0b", "\ud800"])
def test_tokens_no_command_line_can_hold(token):
    with pytest.raises(NanoBraggError, match="on the command line"):
        parse(["-hkl", token])


# the table


def test_every_rule_sets_known_options():
    for rule in flags.RULES:
        assert set(rule.dests) | {name for name, _ in rule.sets} <= set(DEFAULTS), rule
        assert rule.group in flags.GROUPS and rule.help and rule.names, rule
        assert rule.convert in parser.METAVARS or rule.convert == "choice", rule


def test_every_option_but_two_can_be_set():
    # these are read by nothing the reference knows, and its defaults stand
    missing = {"detector_thickstep", "dispstep"}
    assert {name for rule in flags.RULES for name in (*rule.dests, *dict(rule.sets))} == set(DEFAULTS) - missing


def test_every_spelling_fires_its_own_rule():
    for rule in flags.RULES:
        for name in (*rule.names, *rule.needles):
            assert rule in matching_rules(name), name


def test_the_table_has_the_rules_of_the_model_in_order():
    listed = [(set(rule.needles), rule.values) for rule in REFERENCE_RULES if not rule.first_pass]
    expected = [
        (set(needles.split()), 0 if values == "1 with -compat c" else values) for needles, _, values, *_ in MODEL
    ]
    assert listed == expected


@pytest.mark.parametrize("rule", OWN_RULES + RETIRED_RULES, ids=lambda rule: rule.name)
def test_own_and_retired_flags_leave_the_reference_alone(rule):
    for token in (rule.name, "-" + rule.name):
        assert matching_rules(token) == [rule]
        for needles, how, *_ in MODEL:
            for needle in needles.split():
                assert not (token == needle if how == "is" else needle in token and how in ("has", len(token)))
        assert "-img" not in token and "-mask" not in token


@pytest.mark.parametrize("rule", OWN_RULES, ids=lambda rule: rule.name)
def test_own_flags_are_exact(rule):
    for token in (rule.name + "x", rule.name[:-1], "---" + rule.name[1:], "-x" + rule.name):
        assert rule not in matching_rules(token)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-compat c", {"compat": "c"}),
        ("--compat c -compat spec", {}),
        ("-threads 3", {"threads": 3}),
        ("-threads 0", {}),
        ("-backend auto", {"backend": "auto"}),
        ("-device 2", {"device": 2}),
        ("-precision single", {"precision": "single"}),
        ("-noise_rng philox", {"noise_rng": "philox"}),
        ("-trace_pixel 685 1039", {"trace_pixel": (685, 1039)}),
        ("-timing --version -help", {"timing": True, "show_version": True, "show_help": True}),
    ],
)
def test_own_flags(line, expected):
    assert changed(line) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-compat x", ["-compat", "'x'", "c or spec"]),
        ("-compat C", ["'C'"]),
        ("-compat", ["-compat", "lacks a value", "c or spec"]),
        ("-threads -3", ["-threads", "'-3'", "whole number from 0"]),
        ("-threads 1.5", ["'1.5'"]),
        ("-threads 99999999999", ["'99999999999'"]),
        ("-threads ²", ["whole number"]),
        ("--threads -N 3", ["--threads", "'-N'"]),
        ("-backend foo", ["-backend", "'foo'", "cpu or gpu or auto"]),
        ("-device x", ["-device"]),
        ("-precision half", ["double or single"]),
        ("-noise_rng mt", ["ran1 or philox"]),
        ("-trace_pixel 5", ["-trace_pixel", "lacks a value", "SLOW FAST"]),
        ("-trace_pixel 5 y", ["-trace_pixel", "'y'", "2 whole numbers"]),
    ],
)
def test_bad_values_of_own_flags(line, said):
    with pytest.raises(NanoBraggError) as error:
        options(line)
    for words in said:
        assert words in str(error.value)


# events and warnings


def test_events_say_what_each_token_did():
    events = []
    argv = ["-twotheta_axis", "20", "0", "1", "-phisteps"]
    parse(argv, None, events)
    seen = [(position, token, rule.name, words, changes) for position, token, rule, words, changes in events]
    axis = [("convention", "CUSTOM"), ("twotheta_axis", (20.0, 0.0, 1.0))]
    swing = [("pivot", "sample"), ("twotheta", 20 / RTD)]
    assert seen == [
        (0, "-twotheta_axis", "-twotheta_axis", ("20", "0", "1"), axis),
        (0, "-twotheta_axis", "-twotheta", ("20",), swing),
        (4, "-phisteps", "-phisteps", (), None),
    ]


def test_events_of_a_cell_hold_the_words_read():
    events = []
    parse(["-cell", "1", "2", "-N", "3"], None, events)
    assert [event[3] for event in events] == [("1", "2"), ("3",)]


@pytest.mark.parametrize(
    ("token", "nearest"),
    [
        ("-lamda", "-lambda"),
        ("-detpixel", "-detpixels"),
        ("-hdivrnage", "-hdivrange"),
        ("-close-distance", "-close_distance"),
        ("-xbeam", "-Xbeam"),
        ("-n", "-N"),
        ("--N", "-N"),
        ("-verison", "-version"),
        ("--thread=4", "-threads"),
        ("-interp", "-interpolate"),
        ("-polarization", "-polar"),
        ("-detector_thickness", "-detector_thick"),
        ("-foo", None),
        ("-h", None),
        ("-hdivs", "-hdivstep"),
        ("-" + "x" * 100, None),
        ("-", None),
    ],
)
def test_nearest_flag(token, nearest):
    assert nearest_flag(token) == nearest


def test_unknown_flags():
    argv = ["-lamda", "1", "-5", "-.5e3", "-inf", "-hkl", "-file.hkl", "-info", "-phi", "-foo", "-hdiv", "-osc"]
    assert unknown_flags(argv) == [("-lamda", "-lambda"), ("-info", None), ("-foo", None)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-foo 3 -N 2", ["-foo is not a nanoBragg flag and was ignored"]),
        ("-lamda 3", ["-lamda is not a nanoBragg flag and was ignored; did you mean -lambda?"]),
        ("-hdiv 2 bar", [
            "-hdiv is a flag of older documents and was ignored; use -hdivrange",
            "bar belongs to no flag and was ignored",
        ]),
        ("-xdet_vector 1 -foo", [
            "-xdet_vector is a flag of older documents and was ignored; use -fdet_vector",
            "-foo is not a nanoBragg flag and was ignored",
        ]),
        ("x.hkl -N 5 6 -7", [f"{word} belongs to no flag and was ignored" for word in ("x.hkl", "6", "-7")]),
        ("-phisteps", ["-phisteps needs a value after it and was ignored"]),
        ("-N 3 -misset 1 2", ["-misset needs 3 values after it and was ignored"]),
        ("-compat c -curved_det", ["-curved_det needs a value after it and was ignored"]),
        ("-curved_det 1", []),
        ("-phisteps 1e3", ["-phisteps takes a whole number and reads '1e3' as 1"]),
        ("-distance 90mm -phi abc", [
            "-distance takes a number and reads '90mm' as 90",
            "-phi takes a number and reads 'abc' as 0",
        ]),
        ("-misset_seed 7 -phi 12", ["-misset_seed fires -misset too, which takes a number and reads '-phi' as 0"]),
        ("-misset_seed 7 -misset random", []),
        ("-matrix A.mat -misset_seed 7", []),
        ("-pivot detector", ["-pivot takes beam or sample and ignored 'detector'"]),
        ("-detector_abs infinite -fluence inf -misset random", []),
        ("-cell 1 2 3 90 90 90 -misset 1 2 3 -roi 1 2 3 4 -hkl - -trace_pixel 1 2 -compat c", []),
        ("", []),
    ],
)  # fmt: skip
def test_warnings(line, expected):
    argv = shlex.split(line)
    events = []
    parse(argv, None, events)
    assert warning_sentences(argv, events) == expected
    assert warning_sentences(argv) == expected


def test_random_lines_can_all_be_warned_about():
    rng = random.Random(5)
    for _ in range(300):
        line = random_line(rng)
        assert len(warning_sentences(line)) <= 2 * len(line)


def golden_cases():
    with open(os.path.join(ROOT, "golden", "cases.json"), encoding="utf-8") as file:
        return json.load(file)


def test_golden_lines():
    said = {}
    for case in golden_cases():
        argv = shlex.split(case["args"])
        events = []
        given = parse([*argv, "-compat", "c"] if case["mode"] == "c" else argv, None, events)
        assert given.compat == ("c" if case["mode"] == "c" else "spec")
        if "parser" not in case["tags"] and warning_sentences(argv):
            said[case["id"]] = warning_sentences(argv)
    assert said == {}


# what people read


def test_usage_shows_every_flag_in_100_columns():
    text = usage.usage_text(flags.TABLE)
    assert max(map(len, text.splitlines())) <= 100
    assert text.endswith("\n") and "docs/flags.md" in text.splitlines()[-1]
    for rule in flags.RULES:
        line = f"\n  {', '.join(rule.names)} {rule.metavar}".rstrip()
        assert (line in text) == (rule.group != flags.RETIRED), rule


@pytest.mark.parametrize("name", ["flags.md", "noisify.md", "nonbragg.md"])
def test_flags_page_is_current(name):
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
        text = file.read()
    assert text == page.renewed(text), f"run: python -m nanobragg_py.flags.page docs/{name}"


def test_the_command_line_imports_little():
    code = """if True:
        import sys
        before = set(sys.modules)
        import nanobragg_py.flags.nanobragg, nanobragg_py.flags.usage
        print(*set(sys.modules) - before)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heavy = "numpy re argparse dataclasses logging typing pathlib subprocess tempfile inspect enum difflib json"
    assert not set(done.stdout.split()) & set(heavy.split())
