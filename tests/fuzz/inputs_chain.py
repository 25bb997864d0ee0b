"""Inputs of noisify, of nonBragg, of the tools' own options, and of the library."""

import functools
import json
import os
import shlex
import sys
from pathlib import Path

from breaking import NUMBERS, WORDS, broken_bytes, broken_text, broken_value
from harness import Input, kind
from inputs_batch import EXPERIMENT, EXPERIMENT_TOML
from inputs_images import made
from inputs_programs import CELL, FLAGS, HKL, SMALL, small_enough

sys.path.append(os.fspath(Path(__file__).parent.parent))

CURVE = "".join(f"{0.02 * i:.3g} {5 + (i % 7):.4g}\n" for i in range(40))


def flags_of(table):
    return sorted({rule.name for rule in table.rules if getattr(rule, "name", "").startswith("-")})


def changed(numbers, words, flags, times=None):
    """The words of a command line, a few of them changed, left out, doubled or put in."""
    words = list(words)
    for _ in range(times or numbers.choice((1, 1, 2, 4))):
        at = numbers.randrange(len(words) + 1)
        change = numbers.randrange(6)
        if change < 3 and at < len(words):
            words[at] = numbers.choice((*NUMBERS, *WORDS)).replace("\0", "0")
        elif change == 3 and at < len(words):
            del words[at]
        elif change == 4:
            words[at:at] = [numbers.choice(flags), numbers.choice(NUMBERS)]
        else:
            words.insert(at, numbers.choice((*flags, *NUMBERS)))
    return words


@kind("noisify")
def noisify(numbers):
    """Its command line, its float image, or the header that it takes sizes from."""
    from test_differential_noisify import TABLE, Lines

    words, image, header = Lines(numbers.randrange(2**32), True).line()
    image, files = image[:20, :20], {}
    data = image.tobytes()
    which = numbers.randrange(3)
    if which == 0:
        words = changed(numbers, words, flags_of(TABLE))
    elif which == 1:
        data = broken_bytes(numbers, data)
    elif header is not None:
        header = broken_text(numbers, header[:512].decode("latin-1")).ljust(512) + header[512:]
    else:
        words += [numbers.choice(flags_of(TABLE)), *(numbers.choice(NUMBERS) for _ in range(3))]
    files["in.bin"] = data
    if header is not None:
        files["head.img"] = header
    return Input("noisify", [*words, "-threads", "1"], files)


@kind("nonbragg")
def nonbragg(numbers):
    """Its command line, and the curve, image and sources that it reads."""
    from test_differential_nonbragg import TABLE, Lines

    words, files = Lines(numbers.randrange(2**32), True).line()
    if numbers.random() < 0.6:
        words = changed(numbers, words, flags_of(TABLE))
    else:
        name = numbers.choice(sorted(files))
        if name.endswith(".img"):
            head = broken_text(numbers, files[name][:512].decode("latin-1"))
            files[name] = head.ljust(512) + files[name][512:]
        else:
            files[name] = broken_text(numbers, files[name].decode())
    return Input("nonBragg", [*words, "-roi", "0", "5", "0", "5", "-noprogress", "-threads", "1"], files)


#: what the tools' own options are given besides numbers
VALUES = ("a.cbf", "o.cbf", "o.h5", "x.hkl", "90x70", "0x0", "-1x5", "1e9x1e9", ".", "nowhere/o.cbf", "dials", "hkl")
#: tools that start no program of their own, with what they are commonly given
TOOLS = {
    "trace": "--pixel 3 4 -- " + f"-hkl x.hkl {CELL} {SMALL}",
    "explain": f"-- -hkl x.hkl {CELL} {SMALL}",
    "hkl": f"x.hkl --out o.hkl --to dump -- {CELL} {SMALL}",
    "matrix": "A.mat --to dials",
    "convert": "a.cbf --out o.h5",
    "view": "a.cbf --out o.png --rings 3 4",
    "info": "a.cbf",
    "simulate": f"--background water,thickness=1e-4 --response readout=3,psf=gauss,fwhm=1e-4 --seed 3 --out o.npy -- "
    f"-hkl x.hkl {CELL} {SMALL} -roi 0 3 0 3",
    "compare-traces": "t.txt t.txt --all --json o.json",
    "completion": "bash",
}


@functools.cache
def options_of(tool):
    """The option strings of a tool."""
    from nanobragg_py.cli import main

    parser = main.build_parser(tool)
    (tools,) = (action for action in parser._actions if hasattr(action, "choices") and isinstance(action.choices, dict))
    return sorted(tools.choices[tool]._option_string_actions)


@kind("tool")
def tool(numbers):
    """A tool's own options and arguments."""
    name = numbers.choice(list(TOOLS))
    own, _, flags = TOOLS[name].partition("-- ")
    own, flags = shlex.split(own), shlex.split(flags)
    options = options_of(name)
    for _ in range(numbers.choice((1, 1, 2, 3))):
        at, change = numbers.randrange(len(own) + 1), numbers.randrange(6)
        if change < 2 and at < len(own):
            own[at] = numbers.choice((*NUMBERS, *WORDS, *VALUES)).replace("\0", "0")
        elif change == 2 and at < len(own):
            del own[at]
        elif change == 3:
            own[at:at] = [numbers.choice(options)]
        else:
            own[at:at] = [numbers.choice(options), numbers.choice((*NUMBERS, *VALUES))]
    if flags and numbers.random() < 0.3:
        flags = changed(numbers, flags, FLAGS, 1)
    # the shell's picture protocols and what would draw for a second
    words = [word for word in own if word != "--show"]
    files = {"x.hkl": HKL.encode(), "a.cbf": made()["a.cbf"], "A.mat": made()["A.mat"]}
    return Input("nanobragg-py", [name, *words, *(["--", *flags] if flags else [])], files)


PAIRS = ("thickness", "density", "molecular_weight", "molecules", "x", "psf", "fwhm", "gain", "readout", "adc_offset")
PAIRS += ("bits", "flicker", "calibration", "static", "psf_radius", "seed", "stream", "quantum_gain", "dispersion")


@kind("material")
def material(numbers):
    """What `simulate` reads: a curve's file, and the words of --background and --response."""

    def pairs(first):
        words = [first] if first else []
        for _ in range(numbers.randrange(4)):
            value = numbers.choice((*NUMBERS, "gauss", "fiber", "true", "philox", "ran1"))
            words.append(f"{numbers.choice(PAIRS)}={value}")
        return ",".join(words)

    curve = numbers.choice(("water", "c.stol", "unity", "nothing.stol"))
    words = ["simulate", "--background", pairs(curve), "--response", pairs(""), "--out", "o.npy", "--threads", "1"]
    words = words if numbers.random() < 0.5 else [*words[:3], *words[5:]]
    words += ["--seed", numbers.choice(NUMBERS)] if numbers.random() < 0.3 else []
    files = {"x.hkl": HKL.encode(), "c.stol": broken_text(numbers, CURVE)}
    return Input("nanobragg-py", [*words, "--", *shlex.split(f"-hkl x.hkl {CELL} {SMALL}")], files)


@kind("library")
def library(numbers):
    """A user's Python with a command line, or with the file of an experiment."""
    which = numbers.randrange(4)
    if which == 0:
        words = changed(numbers, shlex.split(f"-hkl x.hkl {CELL} {SMALL}"), FLAGS)
        return Input("library", small_enough(words), {"x.hkl": HKL.encode()})
    if which == 1:
        words = shlex.split(f"{CELL} -default_F 10 {SMALL}")
        words += [numbers.choice(FLAGS), *(numbers.choice(NUMBERS) for _ in range(numbers.choice((1, 1, 3, 6))))]
        return Input("library", small_enough(words), {"x.hkl": HKL.encode()})
    if which == 2:
        value = broken_value(numbers, EXPERIMENT)
        return Input("library", ["e.json"], {"e.json": json.dumps(value).encode("utf-8", "surrogatepass")})
    return Input("library", ["e.toml"], {"e.toml": broken_text(numbers, EXPERIMENT_TOML)})
