"""Benchmarks of noisify, paired with the C program that NOISIFY_C names: user and system time of whole runs.

Run it with the interpreter of the environment that noisify is installed in. Runs of the two alternate; figures are
minima, in ns a pixel. It prints the first table of docs/noisify.md: "run" is the ratio of whole runs, "per pixel" of
what is left of these without a run on a single pixel each: starting up does not count there, as it does not for large
images; reading and writing do. --threads N prints the second table instead: the point spreads alone, in this process,
on one thread and on N in turns, by wall-clock time.
"""

import argparse
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise

# numpy's BLAS has a thread that keeps a processor busy for the first tenth of a second, which the programs do without
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

SIDE = 1024
BASE = "-nopgm -bits 16 -seed 1"
WIDE = "-nonoise -psf_fwhm 300"

#: name: (row of the docs' table, image, flags, target of the ratio per pixel or None)
WORKLOADS = {
    "Q0": ("`-nonoise`", "flat10", "-nonoise", None),
    "Q1": ("photon noise only, 0.1 photons a pixel", "flat0.1", "-calibration 0", 2.0),
    "Q2": ("photon noise only, 10 photons", "flat10", "-calibration 0", 2.0),
    "Q3": ("photon noise only, 1000 photons", "flat1000", "-calibration 0", 2.0),
    "Q4": ("photon noise only, mean 50, varying", "gamma50", "-calibration 0", 2.0),
    "Q5": ("the same with 3 % calibration", "gamma50", "", 1.7),
    "Q6": ("the same with flicker, calibration and read-out", "gamma50", "-flicker 0.02 -readout_noise 3", 1.7),
    "Q7": ("fiber, radius 3", "gamma50", f"{WIDE} -psf fiber -psf_radius 3", 4.0),
    "Q10 radius 5": ("gauss, radius 5", "gamma50", f"{WIDE} -psf gauss -psf_radius 5", 4.0),
    "Q8": ("fiber, radius 10", "gamma50", f"{WIDE} -psf fiber -psf_radius 10", 12.0),
    "Q10 radius 10": ("gauss, radius 10", "gamma50", f"{WIDE} -psf gauss -psf_radius 10", 12.0),
    "Q9": ("fiber, radius 40", "gamma50", f"{WIDE} -psf fiber -psf_radius 40", 12.0),
    "Q10 radius 40": ("gauss, radius 40", "gamma50", f"{WIDE} -psf gauss -psf_radius 40", 12.0),
    "Q11": ("gauss, automatic, 10 photons (radius 2)", "flat10", "-nonoise -psf gauss", None),
    "Q12": ("fiber, automatic, 10 photons (radius 11)", "flat10", "-nonoise -psf fiber", 12.0),
    "Q13": ("fiber, automatic, mean 50, varying (radius up to 105)", "gamma50", "-nonoise -psf fiber", 10.0),
    "Q13b": ("fiber, automatic, 1000 photons (radius 96)", "flat1000", "-nonoise -psf fiber", 15.0),
    "Q14": ("2463 x 2527 pixels of few photons, 3 % calibration", "frame", "-adc 0", None),
}
#: one run of the C program takes minutes
SLOW = ("Q13b",)
#: what is divided by what, without the start of each
PAIRS = (("reference", "reference start"), ("ours", "start"))
#: the frame of upstream's own benchmark set
FRAME = (2463, 2527)
COLUMNS = ("workload", "C program", "ours", "run", "per pixel")
TARGET_COLUMN = "target"
SPREAD_COLUMNS = ("point spread", "1 thread", "{} threads", "ratio")


def image_of(name):
    """The float image of a workload, float32 (slow, fast)."""
    fast, slow = FRAME if name == "frame" else (SIDE, SIDE)
    random = np.random.default_rng(1)
    if name.startswith("flat"):
        image = np.full((slow, fast), float(name.removeprefix("flat")))
    elif name == "gamma50":
        image = random.gamma(0.5, 100.0, (slow, fast))
    else:
        image = np.where(random.random((slow, fast)) < 0.002, 500.0, 3.0) * random.gamma(4.0, 0.25, (slow, fast))
    return image.astype(np.float32)


def run(command, folder):
    """User and system seconds of one run on one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name, ours, reference, repeat):
    """The figures of one workload as a dict."""
    label, image, flags, target = WORKLOADS[name]
    with tempfile.TemporaryDirectory() as folder:
        pixels = image_of(image)
        slow, fast = pixels.shape
        pixels.tofile(os.path.join(folder, "in.bin"))
        words = shlex.split(f"-floatfile in.bin -detpixels_x {fast} -detpixels_y {slow} {BASE} {flags}")
        one = [word for word in words if word not in ("-psf", "gauss", "fiber")]
        one[one.index("-detpixels_x") + 1] = one[one.index("-detpixels_y") + 1] = "1"
        times = {"ours": [], "reference": [], "start": [], "reference start": []}
        run([ours, *words], folder)
        for _ in range(repeat):
            if reference and (name not in SLOW or not times["reference"]):
                times["reference"].append(run([reference, *words], folder))
            times["ours"].append(run([ours, *words], folder))
            times["start"].append(run([ours, *one], folder))
            if reference:
                times["reference start"].append(run([reference, *one], folder))
    nanoseconds = {key: min(each) * 1e9 / (fast * slow) for key, each in times.items() if each}
    result = {"name": name, "workload": label, "image": image, "flags": flags, "target": target, **nanoseconds}
    if reference:
        result["run"] = nanoseconds["reference"] / nanoseconds["ours"]
        slopes = [nanoseconds[key] - nanoseconds[begin] for key, begin in PAIRS]
        result["per pixel"] = slopes[0] / slopes[1]
    return result


def measure_spread(name, repeat, threads):
    """The figures of a workload's point spread on one thread and on several, which take turns."""
    from nanobragg_py.render.detector import spread_photons

    label, image, flags, _ = WORKLOADS[name]
    words = shlex.split(flags)
    given = dict(pairwise(words))
    # noisify's pixels have 100 um, and its width 46
    width, radius = float(given.get("-psf_fwhm", 46)) / 100.0, int(given.get("-psf_radius", 0))
    pixels = image_of(image)
    walls = {1: [], threads: []}
    images = {}
    for _ in range(repeat):
        for count in walls:
            begin = time.perf_counter()
            spread = spread_photons(pixels, given["-psf"], width, radius, count)
            walls[count].append(time.perf_counter() - begin)
            images[count] = np.asarray(spread.image)
    if not np.array_equal(images[1], images[threads]):
        raise SystemExit(f"{label}: another image on {threads} threads")
    one, several = (min(each) * 1e9 / pixels.size for each in walls.values())
    return {"name": name, "workload": label, "1": one, str(threads): several, "ratio": one / several}


def table_row(cells):
    """Cells as a row of a Markdown table; nothing for those that are None."""
    return f"| {' | '.join('' if cell is None else str(cell) for cell in cells)} |"


def number(value, least=0):
    """A figure with two or three digits, as the docs have them."""
    if value is None:
        return None
    return f"{value:.1f}" if value < 10 + least else f"{value:.0f}"


def row(result, with_target):
    """A result as a row of the docs' table."""
    times = [None if result.get(key) is None else f"{result[key]:.0f}" for key in ("reference", "ours")]
    cells = [result["workload"], *times, number(result.get("run"), 20), number(result.get("per pixel"), 20)]
    return table_row([*cells, f"{result['target']:g}" if result["target"] else None] if with_target else cells)


def spread_row(result, threads):
    """A result as a row of the docs' table of threads."""
    return table_row(
        [result["workload"], f"{result['1']:.0f}", f"{result[str(threads)]:.0f}", f"{result['ratio']:.2f}"]
    )


def main():
    parser = argparse.ArgumentParser(description="Benchmarks of noisify; NOISIFY_C names the C program to beat.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="only point spreads, on one thread and on so many")
    parser.add_argument("--targets", action="store_true", help="with the ratios per pixel that are aimed at")
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    unknown = set(arguments.only or ()) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}")
    names = [name for name in WORKLOADS if not arguments.only or name in arguments.only]
    threads = arguments.threads
    if threads > 1:
        names = [name for name in names if "-psf " in WORKLOADS[name][2] and (arguments.only or name not in SLOW)]
        columns = [text.format(threads) for text in SPREAD_COLUMNS]
    else:
        ours = os.path.join(os.path.dirname(sys.executable), "noisify")
        ours = ours if os.path.exists(ours) else shutil.which("noisify")
        columns = [*COLUMNS, TARGET_COLUMN] if arguments.targets else COLUMNS
    print(f"{table_row(columns)}\n|{'---|' * len(columns)}", flush=True)
    results = []
    for name in names:
        if threads > 1:
            results.append(measure_spread(name, arguments.repeat, threads))
            print(spread_row(results[-1], threads), flush=True)
        else:
            results.append(measure(name, ours, os.environ.get("NOISIFY_C"), arguments.repeat))
            print(row(results[-1], arguments.targets), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
