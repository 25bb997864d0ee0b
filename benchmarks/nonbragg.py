"""Benchmarks of nonBragg, paired with the C program that NONBRAGG_C names: processor time of rendering, pixel by pixel.

Run it with the interpreter of the environment that nonBragg is installed in. Runs of the two alternate; figures are
minima, in ns a pixel. "run" is the ratio of whole runs with `SIDE`^2 pixels; "ratio" that of the slopes: processor time
of such a run less that of one of a single pixel, so that starting up and reading do not count; writing the images
counts for both. "loop" is ours without writing, in this process. --threads N repeats the loop on N threads, by
wall-clock time.
"""

import argparse
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

from nanobragg_py.experiment.load_background import load
from nanobragg_py.flags.nonbragg import TABLE, NonBraggOptions
from nanobragg_py.render.background import render_background

SIDE = 1024
BASE = "-stol curve.stol -lambda 1 -distance 100 -pixel 0.1 -fluence 1e20 -seed 1 -nonoise -noprogress"

#: name: (rows of the curve, flags, target of the ratio or None)
WORKLOADS = {
    "B1": (200, "-nopolar", 8.0),
    "B2": (200, "", 8.0),
    "B3": (200, "-polar 0.99", 8.0),
    "B4": (10000, "-polar 0.99", 8.0),
    "B5": (200, "-polar 0.99 -oversample 3", 8.0),
    "B6": (200, "-dispersion 10 -dispsteps 10", 15.0),
    "B7": (200, "-dispersion 50 -dispsteps 50", 15.0),
    "B8": (10000, "-dispersion 50 -dispsteps 10", 15.0),
    "B9": (200, "-divergence 2 -hdivsteps 3 -vdivsteps 3 -dispersion 2 -dispsteps 5", 15.0),
    "B10": (14, "-polar 0.99 -curved_det 1", None),
}


def write_curve(rows, folder):
    x = np.linspace(0.0, 0.5, rows)
    F = 2.57 + 5.5 * np.exp(-(((x - 0.16) / 0.05) ** 2)) + 2.0 * np.exp(-(((x - 0.25) / 0.06) ** 2)) + x
    np.savetxt(os.path.join(folder, "curve.stol"), np.column_stack([x, F]), fmt="%.7g")


def run(command, folder):
    """User and system seconds of one run on one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def loop(background, threads):
    """(processor seconds, wall-clock seconds) of the loop."""
    begin = time.process_time(), time.perf_counter()
    render_background(background, threads=threads)
    return time.process_time() - begin[0], time.perf_counter() - begin[1]


def measure(name, ours, reference, repeat, threads):
    rows, flags, target = WORKLOADS[name]
    pixels = SIDE * SIDE
    with tempfile.TemporaryDirectory() as folder:
        write_curve(rows, folder)
        words = shlex.split(f"{BASE} {flags}")
        large, small = [*words, "-detpixels", str(SIDE)], [*words, "-detpixels", "1"]
        times = {
            "reference": [],
            "ours": [],
            "whole reference": [],
            "whole": [],
            "loop": [],
            "wall": [],
            "parallel": [],
        }
        options = NonBraggOptions()
        TABLE.parse(large, options, [])
        options.stol_file = os.path.join(folder, options.stol_file)
        background = load(options).background
        for _ in range(repeat):
            for key, whole, program in (("reference", "whole reference", reference), ("ours", "whole", ours)):
                if program is not None:
                    base = run([program, *small], folder)
                    times[whole].append(run([program, *large], folder))
                    times[key].append(times[whole][-1] - base)
            processor, wall = loop(background, 1)
            times["loop"].append(processor)
            times["wall"].append(wall)
            if threads > 1:
                times["parallel"].append(loop(background, threads)[1])
    result = {key: min(each) * 1e9 / pixels for key, each in times.items() if each}
    result |= {"name": name, "rows": rows, "flags": flags, "target": target}
    if times["reference"]:
        result["run"] = result["whole reference"] / result["whole"]
        result["ratio"] = result["reference"] / result["ours"]
        result["loop ratio"] = result["reference"] / result["loop"]
    if times["parallel"]:
        result["scaling"] = min(times["wall"]) / min(times["parallel"])
    return result


COLUMNS = {
    "name": "",
    "rows": "",
    "flags": "",
    "reference": ".0f",
    "ours": ".1f",
    "run": ".1f",
    "ratio": ".1f",
    "loop": ".1f",
    "loop ratio": ".1f",
    "target": "g",
    "scaling": ".2f",
}


def row(result):
    """A result as a row of a Markdown table."""
    cells = ["-" if result.get(key) is None else format(result[key], form) for key, form in COLUMNS.items()]
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description="Benchmarks of nonBragg; NONBRAGG_C names the C program to beat.")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    ours = shutil.which("nonBragg", path=os.path.dirname(sys.executable)) or shutil.which("nonBragg")
    if ours is None:
        raise SystemExit("nonBragg is not installed beside this interpreter")
    reference = os.environ.get("NONBRAGG_C")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in args.only:
        print(row(measure(name, ours, reference and os.path.abspath(reference), args.repeat, args.threads)), flush=True)


if __name__ == "__main__":
    main()
