"""The parser's rules once more, in plain Python, as a model to hold the parser against; and random command lines."""

import math
import os
import re
import shlex

from nanobragg_py.flags import nanobragg as flags
from nanobragg_py.flags.nanobragg import parse
from nanobragg_py.flags.options import DEFAULTS, Options

ROOT = os.path.join(os.path.dirname(__file__), "..")
RTD = 180.0 * 0.31830988618379067154
REFERENCE_RULES = [rule for rule in flags.RULES if rule.match != "own"]
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
    """With the fraction, which the exact physics takes; the reference's cuts it."""
    whole, number = float(atoi(text)), atof(text)
    return number if abs(number) < 2**31 and math.trunc(number) == whole else whole


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
    ("-dump", "has", 1, put(str, "dump_file", dump_named=True)),
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
