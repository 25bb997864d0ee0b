"""Benchmarks of nonBragg, paired with the C program that NONBRAGG_C names: processor time of rendering, pixel by pixel.

Run it with the interpreter of the environment that nonBragg is installed in. Runs of the two alternate; figures are
minima, in ns a pixel. It prints the first table of docs/nonbragg.md: "run" is the ratio of whole runs with `SIDE`^2
pixels; "ratio" that of the slopes: processor time of such a run less that of one of a single pixel, so that starting up
and reading do not count; writing the images counts for both. "loop" is ours without writing, in this process.
--threads N prints the second table instead: the loops alone, on one thread and on N in turns, by wall-clock time.
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

# numpy's BLAS has a thread that keeps a processor busy for the first tenth of a second, which the programs do without
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from nanobragg_py.experiment.load_background import load
from nanobragg_py.flags.nonbragg import TABLE, NonBraggOptions
from nanobragg_py.kernels.loops.amorphous import BackgroundJob
from nanobragg_py.render.backends import level_module
from nanobragg_py.render.background import render_background
from nanobragg_py.render.simulate import new_image

SIDE = 1024
BASE = "-stol curve.stol -lambda 1 -distance 100 -pixel 0.1 -fluence 1e20 -seed 1 -nonoise -noprogress"

#: name: (row of the docs' table, rows of the curve, flags, target of the ratio or None)
WORKLOADS = {
    "B1": ("one source, `-nopolar`", 200, "-nopolar", 8.0),
    "B2": ("one source, unpolarized", 200, "", 8.0),
    "B3": ("one source, `-polar 0.99`", 200, "-polar 0.99", 8.0),
    "B4": ("one source, `-polar 0.99`", 10000, "-polar 0.99", 8.0),
    "B6": ("10 wavelengths over 10 %", 200, "-dispersion 10 -dispsteps 10", 15.0),
    "B8": ("10 wavelengths over 50 %", 10000, "-dispersion 50 -dispsteps 10", 15.0),
}
#: those that the docs leave out
MORE = {
    "B5": ("3 x 3 sub-pixels", 200, "-polar 0.99 -oversample 3", 8.0),
    "B7": ("50 wavelengths over 50 %", 200, "-dispersion 50 -dispsteps 50", 15.0),
    "B9": (
        "3 x 3 directions of 5 wavelengths",
        200,
        "-divergence 2 -hdivsteps 3 -vdivsteps 3 -dispersion 2 -dispsteps 5",
        15.0,
    ),
    "B10": ("curved detector", 14, "-polar 0.99 -curved_det 1", None),
}
COLUMNS = ("workload", "rows of the curve", "reference", "ours", "run", "ratio", "loop")
TARGET_COLUMN = "target"
THREAD_COLUMNS = ("workload", "rows of the curve", "1 thread", "{} threads", "ratio")


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


def loaded(words, folder):
    """The resolved background of a command line whose curve lies in a folder."""
    options = NonBraggOptions()
    TABLE.parse(words, options, [])
    options.stol_file = os.path.join(folder, options.stol_file)
    return load(options).background


def measure(workload, ours, reference, repeat):
    """The figures of one workload as a dict."""
    _, rows, flags, _ = workload
    with tempfile.TemporaryDirectory() as folder:
        write_curve(rows, folder)
        words = shlex.split(f"{BASE} {flags}")
        large, small = [*words, "-detpixels", str(SIDE)], [*words, "-detpixels", "1"]
        keys = ("whole reference", "start reference", "whole", "start", "loop")
        times = {key: [] for key in keys}
        background = loaded(large, folder)
        for _ in range(repeat):
            for of, program in ((" reference", reference), ("", ours)):
                if program is not None:
                    times[f"start{of}"].append(run([program, *small], folder))
                    times[f"whole{of}"].append(run([program, *large], folder))
            begin = time.process_time()
            render_background(background, threads=1)
            times["loop"].append(time.process_time() - begin)
    result = {key: min(each) * 1e9 / SIDE**2 for key, each in times.items() if each}
    # not the least difference of a run and a start beside it: that would be one whose start was slow
    result["ours"] = result["whole"] - result["start"]
    if reference is not None:
        result["reference"] = result["whole reference"] - result["start reference"]
        result["run"] = result["whole reference"] / result["whole"]
        result["ratio"] = result["reference"] / result["ours"]
    return result


def measure_threads(workload, repeat, threads):
    """Wall-clock time of the loop on one thread and on several, which take turns."""
    _, rows, flags, _ = workload
    with tempfile.TemporaryDirectory() as folder:
        write_curve(rows, folder)
        # what is worked out once an image is not the loop's
        job = BackgroundJob(loaded([*shlex.split(f"{BASE} {flags}"), "-detpixels", str(SIDE)], folder))
    render = level_module("loops.background")[0].render
    walls, images = {1: [], threads: []}, {}
    for _ in range(repeat):
        for count in walls:
            images[count] = new_image(job.shape)
            begin = time.perf_counter()
            render(job, images[count], count, None)
            walls[count].append(time.perf_counter() - begin)
    if bytes(images[1]) != bytes(images[threads]):
        raise SystemExit(f"{workload[0]}: another image on {threads} threads")
    one, several = (min(each) * 1e9 / SIDE**2 for each in walls.values())
    return {"1 thread": one, f"{threads} threads": several, "ratio": one / several}


def table_row(cells):
    """Cells as a row of a Markdown table; nothing for those that are None."""
    return f"| {' | '.join('' if cell is None else str(cell) for cell in cells)} |"


def number(value, whole_from=10.0):
    """A figure with two digits or all that are whole, as the docs have them."""
    if value is None:
        return None
    return f"{value:.0f}" if value >= whole_from else f"{value:.1f}"


def main():
    parser = argparse.ArgumentParser(description="Benchmarks of nonBragg; NONBRAGG_C names the C program to beat.")
    known = WORKLOADS | MORE
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=known, default=list(WORKLOADS))
    parser.add_argument("--all", action="store_true", help="those that the docs leave out as well")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="only loops, on one thread and on so many")
    parser.add_argument("--targets", action="store_true", help="with the ratios that are aimed at")
    args = parser.parse_args()
    ours = shutil.which("nonBragg", path=os.path.dirname(sys.executable)) or shutil.which("nonBragg")
    if ours is None:
        raise SystemExit("nonBragg is not installed beside this interpreter")
    reference = os.environ.get("NONBRAGG_C")
    columns = [*COLUMNS, TARGET_COLUMN] if args.targets else COLUMNS
    if args.threads > 1:
        columns = [text.format(args.threads) for text in THREAD_COLUMNS]
    print(f"{table_row(columns)}\n|{'---|' * len(columns)}", flush=True)
    for name in known if args.all else args.only:
        workload = known[name]
        if args.threads > 1:
            found = measure_threads(workload, args.repeat, args.threads)
            cells = [*map(number, list(found.values())[:2]), f"{found['ratio']:.2f}"]
        else:
            found = measure(workload, ours, reference and os.path.abspath(reference), args.repeat)
            cells = [number(found.get(key)) for key in COLUMNS[2:]]
        if args.targets and args.threads == 1:
            cells.append(number(workload[3]))
        print(table_row([*workload[:2], *cells]), flush=True)


if __name__ == "__main__":
    main()
