"""Inputs of the drop-in and of the tools around it: command lines, headers, matrices, sources, dump files, traces."""

import functools
import os
import shlex
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from breaking import NUMBERS, WORDS, broken_bytes, broken_text
from harness import Input, kind

sys.path.append(os.fspath(Path(__file__).parent.parent))

import random_lines

from nanobragg_py.flags.nanobragg import RULES

CELL = "-cell 34.77 39.17 48.31 90 90 90"
SMALL = "-N 3 -lambda 1 -distance 60 -detpixels 12 -pixel 5 -oversample 1 -seed 1 -threads 1"
FLAGS = sorted({rule.name for rule in RULES if getattr(rule, "name", "").startswith("-")})
HKL = "".join(f"{h} {k} {l} {10 + h * h + k}\n" for h in range(-2, 3) for k in range(-2, 3) for l in range(-2, 3))
HEADER_WORDS = (
    "HEADER_BYTES=",
    "DIM=",
    "TYPE=float;",
    "BEAM_CENTER_X=",
    "XDS_ORGX=",
    "PIXEL_SIZE=",
    "SIZE1=",
    "TWOTHETA=",
)
MATRIX = "0.0285 0.001 0.002\n-0.001 0.0255 0.0003\n0.0002 -0.0005 0.0207\n"
SOURCES = "-10 0 0 1 1e-10\n-10 0.01 0 1 1.01e-10\n-10 0 0.01 1 0.99e-10\n"


@functools.cache
def inputs():
    """The files of the random command lines."""
    with tempfile.TemporaryDirectory() as folder:
        random_lines.write_inputs(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@functools.cache
def made(line, *wanted):
    """Files that the installed program makes of a command line."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.hkl").write_text(HKL)
        program = os.path.join(os.path.dirname(sys.executable), "nanoBragg")
        subprocess.run([program, *shlex.split(line)], cwd=folder, check=True, capture_output=True)
        return tuple((Path(folder) / name).read_bytes() for name in wanted)


def small_enough(words):
    """The words with an image at the end that takes no time, so that what takes long is a finding."""
    return [*words, "-noprogress", "-threads", "1", "-roi", "0", "3", "0", "3"]


@kind("command")
def command(numbers):
    """A valid line with a few words changed, left out, moved or put in."""
    words = random_lines.Lines(numbers.randrange(2**32)).line()
    for _ in range(numbers.choice((1, 1, 2, 4))):
        at = numbers.randrange(len(words) + 1)
        change = numbers.randrange(6)
        if change < 3 and at < len(words):
            words[at] = numbers.choice((*NUMBERS, *WORDS)).replace("\0", "0")
        elif change == 3 and at < len(words):
            del words[at]
        elif change == 4:
            words[at:at] = [numbers.choice(FLAGS), numbers.choice(NUMBERS)]
        else:
            words.insert(at, numbers.choice((*FLAGS, *NUMBERS, "-detpixels")))
    return Input("nanoBragg", small_enough(words), inputs())


@kind("absurd")
def absurd(numbers):
    """A valid line with one flag's number made absurd."""
    words = shlex.split(f"{CELL} -default_F 10 {SMALL}")
    for _ in range(numbers.choice((1, 1, 2))):
        flag = numbers.choice(FLAGS)
        words += [flag, *(numbers.choice(NUMBERS) for _ in range(numbers.choice((1, 1, 3, 6))))]
    return Input("nanoBragg", small_enough(words), {"x.hkl": HKL.encode()})


def broken_header(numbers, header):
    """The 512 bytes of a header with some of its lines changed, and perhaps more or fewer of them."""
    text = broken_text(numbers, header.decode("latin-1"), words=HEADER_WORDS)
    return text.decode("utf-8", "replace").encode("latin-1", "replace")


@kind("header")
def header(numbers):
    """The header of a -img or -mask file."""
    (data,) = made(f"-hkl x.hkl {CELL} {SMALL}", "intimage.img")
    text, pixels = data[:512], data[512:]
    words = (
        b"HEADER_BYTES= DIM= TYPE=float; BEAM_CENTER_X= XDS_ORGX= PIXEL_SIZE= SIZE1= SIZE2= TWOTHETA=".decode().split()
    )
    broken = broken_text(numbers, text.decode("latin-1"), words=words)
    broken = broken.decode("utf-8", "replace").encode("latin-1", "replace")
    flag = numbers.choice(("-img", "-mask"))
    files = {"m.img": broken.ljust(512) + pixels if numbers.random() < 0.7 else broken + pixels}
    return Input("nanoBragg", small_enough([flag, "m.img", *shlex.split(f"{CELL} -default_F 10 -N 3")]), files)


@kind("matrix")
def matrix(numbers):
    files = {"A.mat": broken_text(numbers, MATRIX)}
    return Input("nanoBragg", small_enough(["-mat", "A.mat", *shlex.split(f"-default_F 10 {SMALL}")]), files)


@kind("sources")
def sources(numbers):
    files = {"s.txt": broken_text(numbers, SOURCES)}
    words = ["-sourcefile", "s.txt", *shlex.split(f"{CELL} -default_F 10 {SMALL}")]
    return Input("nanoBragg", small_enough(words), files)


@kind("hkl")
def hkl(numbers):
    files = {"x.hkl": broken_text(numbers, HKL)}
    words = ["-hkl", "x.hkl", *shlex.split(f"{CELL} {SMALL}")]
    return Input("nanoBragg", small_enough(words + numbers.choice(([], ["-nointerpolate"]))), files)


@kind("dump")
def dump(numbers):
    (data,) = made(f"-hkl x.hkl {CELL} {SMALL}", "Fdump.bin")
    if numbers.random() < 0.5:
        bounds = [str(numbers.choice((-3, -2, 2, 3, *NUMBERS))) for _ in range(6)]
        head = " ".join(bounds).encode("utf-8", "surrogateescape") + b"\n\f"
        data = head + struct.pack("<d", numbers.random()) * numbers.choice((0, 1, 216, 343, 10000))
    else:
        data = broken_bytes(numbers, data)
    words = shlex.split(f"{CELL} {SMALL}") + numbers.choice(([], ["-nointerpolate"]))
    return Input("nanoBragg", small_enough(words), {"Fdump.bin": data})


@kind("image")
def image(numbers):
    """The tools that read images."""
    names = ("intimage.img", "noiseimage.img")
    data = numbers.choice(made(f"-hkl x.hkl {CELL} {SMALL}", *names))
    if numbers.random() < 0.5:
        data = (
            broken_text(numbers, data[:512].decode("latin-1")).decode("utf-8", "replace").encode("latin-1", "replace")
        )
        data = data.ljust(512) + bytes(288)
    else:
        data = broken_bytes(numbers, data)
    words = numbers.choice(
        (["info", "a.img"], ["convert", "a.img", "--out", "o.cbf"], ["convert", "a.img", "--out", "o.png"])
    )
    return Input("nanobragg-py", words, {"a.img": data})


@kind("trace")
def trace(numbers):
    """Two traces of a pixel, one of them broken."""
    text = traced()
    files = {"a.txt": text.encode(), "b.txt": broken_text(numbers, text)}
    return Input("nanobragg-py", ["compare-traces", "a.txt", "b.txt"], files)


@functools.cache
def traced():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.hkl").write_text(HKL)
        program = os.path.join(os.path.dirname(sys.executable), "nanobragg-py")
        words = ["trace", "--pixel", "3", "4", "--", *shlex.split(f"-hkl x.hkl {CELL} {SMALL}")]
        done = subprocess.run([program, *words], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout
