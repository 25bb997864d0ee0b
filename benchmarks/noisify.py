"""Benchmarks of noisify, paired with the C program that NOISIFY_C names: user and system time of whole runs.

Run it with the interpreter of the environment that noisify is installed in. Runs of the two alternate; figures are
minima, in ns a pixel. "ratio" is of whole runs, "per pixel" of what is left of these without a run on a single pixel
each: starting up does not count there, as it does not for large images; reading and writing do. --threads N repeats
the point spreads on N threads, by wall-clock time.
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

import numpy as np

SIDE = 1024
BASE = "-nopgm -bits 16 -seed 1"
WIDE = "-nonoise -psf_fwhm 300"

#: name: (image, flags, target of the ratio or None)
WORKLOADS = {
    "Q0": ("flat10", "-nonoise", None),
    "Q1": ("flat0.1", "-calibration 0", 2.0),
    "Q2": ("flat10", "-calibration 0", 2.0),
    "Q3": ("flat1000", "-calibration 0", 2.0),
    "Q4": ("gamma50", "-calibration 0", 2.0),
    "Q5": ("gamma50", "", 1.7),
    "Q6": ("gamma50", "-flicker 0.02 -readout_noise 3", 1.7),
    "Q7": ("gamma50", f"{WIDE} -psf fiber -psf_radius 3", 4.0),
    "Q8": ("gamma50", f"{WIDE} -psf fiber -psf_radius 10", 12.0),
    "Q9": ("gamma50", f"{WIDE} -psf fiber -psf_radius 40", 12.0),
    "Q10 radius 5": ("gamma50", f"{WIDE} -psf gauss -psf_radius 5", 4.0),
    "Q10 radius 10": ("gamma50", f"{WIDE} -psf gauss -psf_radius 10", 12.0),
    "Q10 radius 40": ("gamma50", f"{WIDE} -psf gauss -psf_radius 40", 12.0),
    "Q11": ("flat10", "-nonoise -psf gauss", None),
    "Q12": ("flat10", "-nonoise -psf fiber", 12.0),
    "Q13": ("gamma50", "-nonoise -psf fiber", 10.0),
    "Q13b": ("flat1000", "-nonoise -psf fiber", 15.0),
    "Q14": ("frame", "-adc 0", None),
}
#: what is divided by what, without the start of each
PAIRS = (("reference", "reference start"), ("ours", "start"))
#: the frame of upstream's own benchmark set
FRAME = (2463, 2527)


def write_image(name, folder):
    """The float image of a workload; returns (fast, slow)."""
    fast, slow = FRAME if name == "frame" else (SIDE, SIDE)
    random = np.random.default_rng(1)
    if name.startswith("flat"):
        image = np.full((slow, fast), float(name.removeprefix("flat")))
    elif name == "gamma50":
        image = random.gamma(0.5, 100.0, (slow, fast))
    else:
        image = np.where(random.random((slow, fast)) < 0.002, 500.0, 3.0) * random.gamma(4.0, 0.25, (slow, fast))
    image.astype(np.float32).tofile(os.path.join(folder, "in.bin"))
    return fast, slow


def run(command, folder, threads):
    """(user and system seconds, wall-clock seconds) of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds


def measure(name, ours, reference, repeat, threads):
    """The figures of one workload as a dict."""
    image, flags, target = WORKLOADS[name]
    with tempfile.TemporaryDirectory() as folder:
        fast, slow = write_image(image, folder)
        words = shlex.split(f"-floatfile in.bin -detpixels_x {fast} -detpixels_y {slow} {BASE} {flags}")
        one = [word for word in words if word not in ("-psf", "gauss", "fiber")]
        one[one.index("-detpixels_x") + 1] = one[one.index("-detpixels_y") + 1] = "1"
        times = {"ours": [], "reference": [], "start": [], "reference start": [], "wall_1": [], f"wall_{threads}": []}
        run([ours, *words], folder, 1)
        for _ in range(repeat):
            if reference and (name != "Q13b" or not times["reference"]):  # minutes
                times["reference"].append(run([reference, *words], folder, 1)[0])
            cpu, wall = run([ours, *words], folder, 1)
            times["ours"].append(cpu)
            times["wall_1"].append(wall)
            times["start"].append(run([ours, *one], folder, 1)[0])
            if reference:
                times["reference start"].append(run([reference, *one], folder, 1)[0])
            if threads > 1 and "-psf" in words:
                times[f"wall_{threads}"].append(run([ours, *words], folder, threads)[1])
    nanoseconds = {key: min(each) * 1e9 / (fast * slow) for key, each in times.items() if each}
    result = {"name": name, "image": image, "flags": flags, "target": target, **nanoseconds}
    if reference:
        result["ratio"] = nanoseconds["reference"] / nanoseconds["ours"]
        slopes = [nanoseconds[key] - nanoseconds[begin] for key, begin in PAIRS]
        result["per pixel"] = slopes[0] / slopes[1]
    if f"wall_{threads}" in nanoseconds and threads > 1:
        result["scaling"] = min(times["wall_1"]) / min(times[f"wall_{threads}"])
    return result


def row(result):
    """A result as a row of a Markdown table."""

    def cell(key, form):
        return "-" if result.get(key) is None else format(result[key], form)

    cells = [
        result["name"],
        result["image"],
        f"`{result['flags']}`" if result["flags"] else "",
        cell("reference", ".0f"),
    ]
    cells += [cell("ours", ".0f"), cell("ratio", ".1f"), cell("per pixel", ".1f"), cell("target", "g")]
    cells.append(cell("scaling", ".2f"))
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description="Benchmarks of noisify; NOISIFY_C names the C program to beat.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="repeat point spreads on so many threads")
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    unknown = set(arguments.only or ()) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}")
    ours = os.path.join(os.path.dirname(sys.executable), "noisify")
    ours = ours if os.path.exists(ours) else shutil.which("noisify")
    reference = os.environ.get("NOISIFY_C")
    print("| workload | image | flags | C program, ns | ours, ns | ratio | per pixel | target | threads |")
    print("|---|---|---|---|---|---|---|---|---|")
    results = []
    for name in WORKLOADS:
        if arguments.only and name not in arguments.only:
            continue
        results.append(measure(name, ours, reference, arguments.repeat, arguments.threads))
        print(row(results[-1]), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
