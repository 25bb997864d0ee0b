"""Inputs of the batch runner and of sets of reference results: job and experiment files, folders of earlier runs."""

import copy
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from breaking import broken_bytes, broken_text, broken_value
from harness import Input, kind
from inputs_programs import CELL, HKL

FLAGS = f"-hkl x.hkl {CELL} -N 3 -lambda 1 -distance 60 -detpixels 12 -pixel 5 -oversample 1 -seed 1"
JOB = {
    "seed": 5,
    "repeat": 2,
    "noise": {"stream": "philox", "adc": 10},
    "experiment": {"flags": FLAGS},
    "vary": [
        {"beam.wavelength": ["0.98 A", "1.02 A"], "detector.distance": ["100 mm", "110 mm"]},
        {"crystal.mosaic_spread": {"start": "0 deg", "stop": "1 deg", "count": 5}},
    ],
    "random": {
        "crystal.orientation": "uniform",
        "beam.fluence": {"lognormal": [1e24, 0.5]},
        "-N": {"integers": [1, 6]},
        "crystal.lengths": {"jitter": 0.01},
    },
    "override": {"17": "-oversample 3"},
}
JOB_TOML = f"""seed = 5
repeat = 2
noise = {{ stream = "philox", adc = 10 }}
[experiment]
flags = "{FLAGS}"
[[vary]]
"beam.wavelength" = ["0.98 A", "1.02 A"]
[[vary]]
"crystal.mosaic_spread" = {{ start = "0 deg", stop = "1 deg", count = 5 }}
[[vary]]
table = "t.csv"
[random]
"crystal.orientation" = "uniform"
"beam.fluence" = {{ lognormal = [1e24, 0.5] }}
"""
CSV = 'detector.distance,-misset,flags\n0.06,10 20 30,-seed 4\n0.07,0 0 0,"-seed 5 -N 3"\n'
JSONL = '{"beam.wavelength": "1.0 A", "-misset": [1,2,3]}\n"-seed 5 -N 3"\n{"flags": "-N 2"}\n'
EXPERIMENT = {
    "detector": {"fpixels": 12, "spixels": 12, "pixel_size": 0.005, "distance": 0.06},
    "crystal": {"lengths": [34.77, 39.17, 48.31], "angles": [1.57, 1.57, 1.57], "cells": [3, 3, 3]},
    "beam": {"wavelength": 1e-10, "fluence": 1e24},
    "sampling": {"oversample": 1},
    "structure_factors": {"default_F": 10.0},
}
EXPERIMENT_TOML = """[detector]
fpixels = 12
spixels = 12
pixel_size = 0.005
distance = 0.06
[crystal]
lengths = [34.77, 39.17, 48.31]
cells = [3, 3, 3]
[sampling]
oversample = 1
[structure_factors]
default_F = 10.0
"""
FILES = {"x.hkl": HKL.encode(), "t.csv": CSV.encode(), "t.jsonl": JSONL.encode()}


@kind("job")
def job(numbers):
    """A job file of each kind, looked at without being run."""
    which = numbers.randrange(4)
    files = dict(FILES)
    if which == 0:
        name, value = "d.json", copy.deepcopy(JOB)
        for _ in range(numbers.choice((1, 1, 2))):
            value = broken_value(numbers, value)
        files[name] = json.dumps(value).encode("utf-8", "surrogatepass")
    elif which == 1:
        name = "a.toml"
        files[name] = broken_text(numbers, JOB_TOML)
    elif which == 2:
        name = "t.csv"
        files[name] = broken_text(numbers, CSV)
    else:
        name = numbers.choice(("a.toml", "t.jsonl"))
        files["t.csv"] = broken_text(numbers, CSV)
        files[name] = JOB_TOML.encode() if name == "a.toml" else broken_text(numbers, JSONL)
    return Input("nanobragg-py", ["batch", name, "--dry-run"], files)


@kind("experiment")
def experiment(numbers):
    """An experiment file, JSON or TOML, that a job names."""
    if numbers.random() < 0.6:
        name = "e.json"
        data = json.dumps(broken_value(numbers, EXPERIMENT)).encode("utf-8", "surrogatepass")
    else:
        name, data = "e.toml", broken_text(numbers, EXPERIMENT_TOML)
    files = {name: data, "j.toml": f'experiment.file = "{name}"\n'.encode()}
    return Input("nanobragg-py", ["batch", "j.toml", "--dry-run"], files)


def program(name):
    return os.path.join(os.path.dirname(sys.executable), name)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
    }


@functools.cache
def finished():
    """A folder of images, finished, and the same before its end (journals instead of a manifest)."""
    job = 'repeat = 3\nexperiment.flags = "' + FLAGS + '"\nrandom."crystal.orientation" = "uniform"\n'
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "j.toml").write_text(job)
        (folder / "x.hkl").write_text(HKL)
        words = [program("nanobragg-py"), "batch", "j.toml", "--workers", "1", "--per-file", "1"]
        subprocess.run([*words, "--out", "o"], cwd=folder, check=True, capture_output=True)
        whole = contents(folder)
        # a rank of two leaves its part, and a journal
        subprocess.run([*words, "--out", "p", "--rank", "0/2"], cwd=folder, check=True, capture_output=True)
        part = {name: data for name, data in contents(folder).items() if name.startswith(("p/", "j.toml", "x.hkl"))}
        return whole, part


#: names of files in a folder that are read
READ = ("manifest.jsonl", "job.json", "journal.jsonl", ".h5")


@kind("folder")
def folder(numbers):
    """A folder of an earlier run with one of its files changed: continued, or verified."""
    whole, part = finished()
    verify = numbers.random() < 0.7
    files = dict(whole if verify or numbers.random() < 0.5 else part)
    where = "o" if any(name.startswith("o/") for name in files) else "p"
    name = numbers.choice([name for name in files if name.startswith(f"{where}/") and name.endswith(READ)])
    change = numbers.randrange(5)
    if change == 0:
        del files[name]
    elif name.endswith(".jsonl") and change < 4:
        lines = files[name].decode().splitlines()
        at = numbers.randrange(len(lines))
        lines[at] = json.dumps(broken_value(numbers, json.loads(lines[at])))
        files[name] = "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")
    else:
        files[name] = broken_bytes(numbers, files[name])
    if verify:
        return Input("nanobragg-py", ["batch", "--verify", where], files)
    words = ["batch", "j.toml", "--out", where, "--workers", "1", "--per-file", "1"]
    return Input("nanobragg-py", words, files)


@functools.cache
def reference_set():
    case = [{"id": "one", "args": FLAGS}]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "cases.json").write_text(json.dumps(case))
        (folder / "x.hkl").write_text(HKL)
        words = [program("nanobragg-py"), "golden", "make", "cases.json", "refs"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        return contents(folder)


@kind("golden")
def golden(numbers):
    """A set of reference results with its cases, manifest or archive changed."""
    files = dict(reference_set())
    name = numbers.choice(("cases.json", "refs/manifest.json", "refs/one.npz"))
    if name.endswith(".npz"):
        files[name] = broken_bytes(numbers, files[name])
    else:
        value = broken_value(numbers, json.loads(files[name]))
        files[name] = json.dumps(value).encode("utf-8", "surrogatepass")
    action = numbers.choice(("check", "check", "make"))
    return Input(
        "nanobragg-py", ["golden", action, "cases.json", "refs", *(["--force"] if action == "make" else [])], files
    )
