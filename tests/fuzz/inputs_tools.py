"""Inputs of sums, fits, sweeps, bundles and zarr folders, and of the files that noisify and nonBragg read."""

import functools
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from breaking import NUMBERS, WORDS, broken_bytes, broken_text, broken_value
from harness import Input, kind
from inputs_batch import EXPERIMENT, EXPERIMENT_TOML, contents, program
from inputs_chain import CURVE, changed, options_of
from inputs_images import damaged
from inputs_programs import CELL, FLAGS, HKL, SMALL

BIN = Path(sys.executable).parent


@functools.cache
def rendered():
    """{name: bytes}: a float image, an SMV image and a folder of evidence."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.hkl").write_text(HKL)
        line = shlex.split(f"-hkl x.hkl {CELL} {SMALL} -nopgm")
        subprocess.run([BIN / "nanoBragg", *line], cwd=folder, check=True, capture_output=True)
        words = ["bundle", "e", "--pixel", "3", "4", "--", *line]
        environment = {name: value for name, value in os.environ.items() if name not in ("NANOBRAGG_C", "NB_C_BIN")}
        subprocess.run([BIN / "nanobragg-py", *words], cwd=folder, check=True, capture_output=True, env=environment)
        return contents(folder)


def own_options(numbers, tool, words, values):
    """A tool's words, some of them changed, and options of it put in."""
    words, options = list(words), [option for option in options_of(tool) if option != "--show"]
    for _ in range(numbers.choice((0, 1, 1, 2))):
        at, change = numbers.randrange(len(words) + 1), numbers.randrange(5)
        if change < 2 and at < len(words):
            words[at] = numbers.choice((*NUMBERS, *WORDS, *values)).replace("\0", "0")
        elif change == 2 and at < len(words):
            del words[at]
        else:
            words[at:at] = [numbers.choice(options), numbers.choice((*NUMBERS, *values))]
    return words


@kind("add")
def add(numbers):
    image = rendered()["floatimage.bin"]
    files = {"a.bin": broken_bytes(numbers, image), "b.bin": image, "c.img": rendered()["intimage.img"]}
    words = ["a.bin", "b.bin", "--out", numbers.choice(("o.bin", "a.bin"))]
    scales = f"{numbers.choice(NUMBERS)},{numbers.choice(NUMBERS)}"
    words += numbers.choice(([], ["--scale", "1,2"], ["--scale", scales]))
    return Input("nanobragg-py", ["add", *own_options(numbers, "add", words, ("c.img", "b.bin", "."))], files)


@kind("refine")
def refine(numbers):
    files = {"x.hkl": HKL.encode(), "o.img": rendered()["intimage.img"]}
    words = ["o.img", "--evaluations", "2", "--no-picture", "--parameters", "rotation,fluence", "--threads", "1"]
    which = numbers.randrange(4)
    if which == 0:
        files["o.img"] = damaged(numbers, files["o.img"])
    elif which == 1:
        files["s.json"] = json.dumps(broken_value(numbers, EXPERIMENT)).encode("utf-8", "surrogatepass")
    elif which == 2:
        files["s.toml"] = broken_text(numbers, EXPERIMENT_TOML)
    values = ("lengths", "background", "amorphous", "distance,cells", "o.img", "water", "rotation", "x.hkl")
    words = own_options(numbers, "refine", words, values)
    if which in (1, 2):
        return Input("nanobragg-py", ["refine", *words, "--start", "s.json" if which == 1 else "s.toml"], files)
    flags = shlex.split(f"-hkl x.hkl {CELL} {SMALL} -misset 0.1 0 0")
    flags = changed(numbers, flags, FLAGS, 1) if numbers.random() < 0.3 else flags
    return Input("nanobragg-py", ["refine", *words, "--", *flags], files)


@kind("sweep")
def sweep(numbers):
    words = ["--images", "2", "--osc", "1", "--workers", "1", "--format", numbers.choice(("cbf", "smv", "npy", "tiff"))]
    words = own_options(numbers, "sweep", words, ("zarr", "hdf5", "0/2", "x", "..", "a b"))
    flags = shlex.split(f"-hkl x.hkl {CELL} {SMALL} -roi 0 3 0 3")
    flags = changed(numbers, flags, FLAGS, 1) if numbers.random() < 0.5 else flags
    return Input("nanobragg-py", ["sweep", *words, "--", *flags], {"x.hkl": HKL.encode()})


@kind("bundle")
def bundle(numbers):
    """A folder of evidence that somebody has edited, verified."""
    files = {name: data for name, data in rendered().items() if name.startswith("e/")}
    name = numbers.choice(sorted(files))
    change = numbers.randrange(4)
    if change == 0:
        del files[name]
    elif change == 1 or name.endswith((".img", ".bin")):
        files[name] = broken_bytes(numbers, files[name])
    elif name.endswith(".json"):
        files[name] = json.dumps(broken_value(numbers, json.loads(files[name]))).encode("utf-8", "surrogatepass")
    else:
        files[name] = broken_text(numbers, files[name].decode("latin-1"))
    return Input("nanobragg-py", ["bundle", "--check", "e"], files)


@functools.cache
def stores():
    """The files of a zarr folder of three images; none where zarr is not installed."""
    job = 'repeat = 3\nexperiment.flags = "' + f"{CELL} -default_F 10 {SMALL}" + '"\n'
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "j.toml").write_text(job)
        words = [program("nanobragg-py"), "batch", "j.toml", "--format", "zarr", "--out", "o", "--workers", "1"]
        done = subprocess.run(words, cwd=folder, capture_output=True)
        return {} if done.returncode else {n: d for n, d in contents(folder).items() if ".zarr/" in n}


@kind("store")
def store(numbers):
    files = dict(stores()) or {"o/images.zarr/zarr.json": b"{}"}
    for _ in range(numbers.choice((1, 1, 2))):
        name = numbers.choice(sorted(files))
        change = numbers.randrange(4)
        if change == 0 and len(files) > 1:
            del files[name]
        elif name.endswith(".json") and change < 3:
            try:
                value = json.loads(files[name])
            except ValueError:
                continue
            files[name] = json.dumps(broken_value(numbers, value)).encode("utf-8", "surrogatepass")
        else:
            files[name] = broken_bytes(numbers, files[name])
    number = numbers.choice(("", "#0", "#1", "#2", "#9"))
    tail = numbers.choice((["info"], ["info", "--json"], ["convert", "--out", "o.npy"], ["convert", "--out", "o.cbf"]))
    return Input("nanobragg-py", [tail[0], f"o/images.zarr{number}", *tail[1:]], files)


@kind("scatter")
def scatter(numbers):
    """The curve and image of nonBragg; the float image of noisify with point spreads."""
    image = rendered()["intimage.img"]
    if numbers.random() < 0.5:
        files = {"c.stol": broken_text(numbers, CURVE), "i.img": damaged(numbers, image)}
        words = ["-stol", "c.stol", "-img", "i.img", "-threads", "1", "-noprogress"]
        words += numbers.choice(([], ["-distance", "60"], ["-stolout", "o.stol"], ["-ignore", "0"]))
        return Input("nonBragg", words, files)
    files = {"f.bin": broken_bytes(numbers, rendered()["floatimage.bin"]), "i.img": damaged(numbers, image)}
    spread = numbers.choice(("gauss", "fiber", *WORDS)).replace("\0", "0")
    words = ["-floatfile", "f.bin", "-psf", spread, "-threads", "1", "-psf_fwhm", numbers.choice(NUMBERS)]
    words += ["-psf_radius", numbers.choice(("0", "3", *NUMBERS))]
    words += numbers.choice((["-img", "i.img"], ["-detpixels", "12"], ["-mask", "i.img"], ["-psf_method", "fft"]))
    return Input("noisify", words, files)
