"""How fast: nanoseconds a step, and whole runs, alone or against the C program.

    python benchmarks/run.py [--only W3 N=20 ...] [--repeat 5] [--json FILE] [--plot FILE] [--scaling] [--isa v3]

Runs the installed nanoBragg with one thread on the workloads below. With NANOBRAGG_C naming the reference (built with
``gcc -O3 -fopenmp``), the two take turns, one thread each, and the ratios are those of the medians. A step is one
contribution to one pixel: pixel x sub-pixel x layer x source x phi step x mosaic domain.

Where it can (x86-64 Linux with gcc and objdump), it first measures what this machine's vector units do in a second, and
counts the operations of each workload's loops from the compiled code (benchmarks/bound/). The fraction is the least
time that these take, the bound, over the time of the fastest run: 1 would be a loop whose busiest unit never waits.

Our loop time is what -timing reports. The reference does not report its own: it is taken from when its progress lines
arrive, which it flushes as it goes.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from bound.fraction import Bounds, bound, touch_time, unit_times
from growth import BASE, CONSTANT, MEMORY, SCALING, growth, write_cube, write_panels

DOMAINS = f"{CONSTANT} -detpixels 256 -oversample 1 -mosaic 0.5 -mosaic_domains 100"
TRICLINIC = DOMAINS.replace("-cell 100 100 100 90 90 90", "-cell 90 100 110 80 95 100")

#: name: (flags, target ns a step, target loop ratio, target ratio of whole runs); None: no target
WORKLOADS = {
    "W1": (f"{CONSTANT} -detpixels 1024 -oversample 1", 1.6, 100, 6),
    "W1h": (f"-hkl bench.hkl {BASE} -detpixels 1024 -oversample 1", 2.0, 80, 6),
    "W2": (f"{CONSTANT} -detpixels 2048 -oversample 2", 1.3, 100, 20),
    "W3": (DOMAINS, 0.80, 115, 25),
    "W4": (f"{CONSTANT} -detpixels 256 -oversample 1 -phi 1 -osc 1 -phisteps 100", 0.80, 130, 30),
    "W5": (
        f"{CONSTANT} -detpixels 256 -oversample 2 -phi 1 -osc 1 -phisteps 10 -mosaic 0.5 -mosaic_domains 10 "
        "-dispersion 1 -dispsteps 5",
        0.80,
        105,
        90,
    ),
    "W6": (f"{DOMAINS} -gauss_xtal", 0.6, 60, 10),
    "W6 N=20": (f"{DOMAINS} -gauss_xtal -N 20", 0.6, 60, None),
    "W7": (f"{DOMAINS} -round_xtal", 1.1, 60, 15),
    "W8": (f"-hkl bench.hkl {BASE} -detpixels 256 -oversample 1 -interpolate", 9, 30, 3),
    "N=6": (f"{DOMAINS} -N 6", 1.4, 60, None),
    "N=20": (f"{DOMAINS} -N 20", 1.4, 60, None),
    "N=100": (f"{DOMAINS} -N 100", 1.4, 60, None),
    "W3 polarized": (f"{DOMAINS} -polar 0.9", 1.04, None, None),
    "W3 triclinic": (f"{TRICLINIC} -misset 10 20 30", 1.04, None, None),
    "W3 dispersed": (f"{DOMAINS} -dispersion 1 -dispsteps 5", 1.04, None, None),
    "W3 4 layers": (f"{DOMAINS} -detector_thick 400 -detector_abs 300 -thicksteps 4", 1.04, None, None),
    "W3 ROI": (DOMAINS.replace("-detpixels 256", "-detpixels 2048 -roi 992 1055 992 1055"), 1.04, None, None),
    "W3 curved": (f"{DOMAINS} -curved_det 1", 1.28, None, None),
    "W3 mask": (f"{DOMAINS} -mask bench.img", 1.04, None, None),
    "W3 single": (f"{DOMAINS} -precision single", 0.40, None, None),
    "start-up": (f"{CONSTANT} -detpixels 8 -oversample 1", None, None, None),
}

#: what the table says of a bound that a run went below, which is none
TOO_HIGH = " (measured too high)"
#: a whole run is short, in seconds, where as many more of them are made
SHORT, MORE = 0.15, 3


def write_inputs(folder):
    """The structure factors (every index the detector sees) and the mask that some workloads read."""
    with open(os.path.join(folder, "bench.hkl"), "w") as file:
        for h in range(-14, 4):
            for k in range(-50, 51):
                file.writelines(f"{h} {k} {l} {50 + (7 * h + 11 * k + 13 * l) % 100}\n" for l in range(-50, 51))
    header = b"{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\nSIZE1=256;\nSIZE2=256;\n"
    header += b"PIXEL_SIZE=0.1;\nDISTANCE=100;\nWAVELENGTH=1;\n}\f"
    with open(os.path.join(folder, "bench.img"), "wb") as file:
        file.write(header.ljust(512))
        file.write(b"\x01\x00" * 256 * 256)


def run_ours(program, flags, folder, threads=1):
    """(seconds in the loop, steps, seconds in all)."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    begin = time.perf_counter()
    done = subprocess.run([program, *flags, "-timing"], cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{program} {' '.join(flags)}\n{done.stderr}")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("timing: loop")]
    words = line.split()
    return float(words[2]) / 1e3, int(words[5]), seconds


def run_reference(program, flags, folder):
    """(seconds in the loop or None, seconds in all)."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    begin = time.perf_counter()
    arrivals = []
    with subprocess.Popen(
        [program, *flags], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        for line in process.stdout:
            if line.endswith(b"% done\n"):
                arrivals.append((time.perf_counter(), int(line.split(b"%")[0])))
    seconds = time.perf_counter() - begin
    # percents are cut to whole numbers, so the first and last of one value are not known better than to a percent
    if len(arrivals) < 10 or arrivals[-1][1] - arrivals[0][1] < 90:
        return None, seconds
    first, last = arrivals[0], arrivals[-1]
    return (last[0] - first[0]) * 100.0 / (last[1] - first[1]), seconds


def fraction(flags, steps, seconds, counts, speeds):
    """The bound of a workload and its share in the time of the fastest run. seconds: of that."""
    side = int(flags[flags.index("-detpixels") + 1])
    first, last = 0, side - 1
    if "-roi" in flags:
        first, last = (int(word) for word in flags[flags.index("-roi") + 3 :][:2])
    touched = touch_time((side, side), first, last, speeds) / steps
    ns, unit = bound(counts, speeds, touched)
    found = {"bound_ns": ns, "touch_ns": touched, "unit": unit, "fraction": ns * steps / (seconds * 1e9)}
    if found["fraction"] >= 1.005:
        found["unit"] += TOO_HIGH
    return found | {"unit_ns": unit_times(counts, speeds)}


def measure(name, flags, ours, reference, folder, repeat, bounds=None):
    """The medians of one workload as a dict; with bounds, the bound too."""
    flags = shlex.split(flags)
    loops, totals, reference_loops, reference_totals, speeds = [], [], [], [], {}
    short = run_ours(ours, flags, folder)[2] < SHORT

    def measure_units():
        for key, ns in bounds.speeds(units).items():
            speeds[key] = min(ns, speeds.get(key, ns))

    if bounds:
        counts = bounds.counted(flags, folder)
        units = bounds.program(counts)
    for _ in range(repeat):
        if bounds:
            measure_units()
        for _ in range(MORE if short else 1):
            loop, steps, seconds = run_ours(ours, flags, folder)
            loops.append(loop)
            totals.append(seconds)
        if reference and "-precision" not in flags:
            loop, seconds = run_reference(reference, flags, folder)
            reference_totals.append(seconds)
            if loop is not None:
                reference_loops.append(loop)
    result = {
        "name": name,
        "flags": " ".join(flags),
        "steps": steps,
        "loop_ns": statistics.median(loops) / steps * 1e9,
        "total_s": statistics.median(totals),
    }
    if bounds:
        for _ in range(repeat):
            if fraction(flags, steps, min(loops), counts, speeds)["fraction"] <= 1.0:
                break
            measure_units()  # no bound is above what was reached
        result.update(fraction(flags, steps, min(loops), counts, speeds))
        result["counts"] = {" ".join(key).strip(): number for key, number in counts.items()}
    if reference_totals:
        result["reference_total_s"] = statistics.median(reference_totals)
        result["total_ratio"] = result["reference_total_s"] / result["total_s"]
    if reference_loops:
        result["reference_loop_ns"] = statistics.median(reference_loops) / steps * 1e9
        result["loop_ratio"] = result["reference_loop_ns"] / result["loop_ns"]
    return result


def cell(value, form):
    return "-" if value is None else format(value, form)


def table(results):
    """The results beside their targets, as a Markdown table."""
    lines = [
        "| workload | ns a step | target | fraction | busiest | reference | loop ratio | target "
        "| run, ms | reference, ms | run ratio | target |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        _, ns, loop_ratio, total_ratio = WORKLOADS[result["name"]]
        reference_total = result.get("reference_total_s")
        cells = [
            result["name"],
            "-" if result["name"] == "start-up" else cell(result["loop_ns"], ".2f"),
            cell(ns, "g"),
            "-" if result["name"] == "start-up" else cell(result.get("fraction"), ".2f"),
            "-" if result["name"] == "start-up" else result.get("unit", "-"),
            "-" if result["name"] == "start-up" else cell(result.get("reference_loop_ns"), ".0f"),
            cell(result.get("loop_ratio"), ".0f"),
            cell(loop_ratio, "g"),
            cell(result["total_s"] * 1e3, ".0f"),
            cell(reference_total and reference_total * 1e3, ".0f"),
            cell(result.get("total_ratio"), ".1f"),
            cell(total_ratio, "g"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fractions(results):
    """Bounds and fractions as the Markdown table of docs/speed.md."""
    lines = ["| | ns a step, fastest | bound | fraction | busiest |", "|---|---|---|---|---|"]
    for result in results:
        if "bound_ns" in result and result["name"] != "start-up":
            fastest = result["bound_ns"] / result["fraction"]
            cells = [result["name"], f"{fastest:.2f}", f"{result['bound_ns']:.2f}", f"{result['fraction']:.2f}"]
            lines.append(f"| {' | '.join(cells)} | {result['unit']} |")
    return "\n".join(lines)


def peak_memory(program, flags, folder):
    """Peak resident megabytes of one run."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=-3); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", code, program, *flags], cwd=folder, capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout) * unit / 1e6


def measure_rest(ours, reference, repeat):
    """Threads, scaling and memory."""
    rest = {"threads": {}, "scaling": {}, "memory_MB": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("W2", "W3", "W4", "W5"):
            flags = shlex.split(WORKLOADS[name][0]) + ["-nonoise", "-nopgm"]
            counts = [2**i for i in range((os.cpu_count() or 1).bit_length())]
            times = {threads: [] for threads in counts}
            for _ in range(3 * repeat):  # some loops last milliseconds: medians of more runs
                for threads in counts:
                    loop, steps, _ = run_ours(ours, flags, folder, threads)
                    times[threads].append(loop / steps)
            rest["threads"][name] = [(threads, statistics.median(times[threads]) * 1e9) for threads in counts]
    for what, series in SCALING.items():
        rest["scaling"][what] = []
        for n, flags in series:
            with tempfile.TemporaryDirectory() as folder:
                if what == "reflections":
                    write_cube(folder, n)
                elif what == "panels":
                    write_panels(folder, n)
                runs = [run_ours(ours, shlex.split(flags), folder) for _ in range(repeat)]
            rest["scaling"][what].append((n, statistics.median(loop / steps for loop, steps, _ in runs) * 1e9))
    for name, flags in (("W2", WORKLOADS["W2"][0]), ("10000^2 still", f"{CONSTANT} -detpixels 10000 -oversample 1")):
        with tempfile.TemporaryDirectory() as folder:
            programs = [ours, reference] if reference else [ours]
            rest["memory_MB"][name] = [peak_memory(program, shlex.split(flags), folder) for program in programs]
    rest["memory_by_side"] = []
    for side in MEMORY:
        flags = shlex.split(f"{CONSTANT} -detpixels {side} -oversample 1 -nonoise -nopgm")
        with tempfile.TemporaryDirectory() as folder:
            rest["memory_by_side"].append((side, peak_memory(ours, flags, folder)))
    return rest


def plot(results, rest, path):
    """Ratio bars, and ns a step against what it should not depend on, with the memory that an image takes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    bars = [(r["name"], r["loop_ratio"], r["total_ratio"]) for r in results if "loop_ratio" in r]
    places = [*rest["scaling"], "memory", "threads"] if rest else []
    places += ["."] * (len(places) % 2)
    half = len(places) // 2
    rows = [places[:half], places[half:]] if places else [[]]
    layout = [["ratios", *row] if bars or not rest else row for row in rows]
    figure, axes = pyplot.subplot_mosaic(layout, figsize=(3 + 3 * len(layout[0]), 7))
    if bars:
        axis, (names, loops, totals) = axes["ratios"], zip(*bars, strict=True)
        axis.barh([p - 0.2 for p in range(len(names))], loops, 0.4, label="loop")
        axis.barh([p + 0.2 for p in range(len(names))], totals, 0.4, label="whole run")
        axis.set_yticks(list(range(len(names))), names, fontsize=8)
        axis.invert_yaxis()
        axis.set_xlabel("times the speed of the C program")
        axis.legend()
    if rest:
        for what, series in rest["scaling"].items():
            axes[what].semilogx(*zip(*series, strict=True), "o-")
            numbers = [n for n, _ in series]
            axes[what].set_xticks(numbers, [f"{n}" if n < 1e5 else f"{n:.0e}" for n in numbers], fontsize=7)
            axes[what].minorticks_off()
            axes[what].set_xlabel(what)
        for name, series in rest["threads"].items():
            axes["threads"].plot(*zip(*series, strict=True), "o-", label=name)
            axes["threads"].set_xticks([n for n, _ in series])
        axes["threads"].set_xlabel("threads")
        axes["threads"].legend()
        for what in (*rest["scaling"], "threads"):
            axes[what].set_ylim(0, 1.2 * axes[what].get_ylim()[1])
            axes[what].set_ylabel("ns a step")
        axes["memory"].plot([side**2 / 1e6 for side, _ in rest["memory_by_side"]],
                            [megabytes for _, megabytes in rest["memory_by_side"]], "o-")  # fmt: skip
        axes["memory"].set_xlabel("millions of pixels")
        axes["memory"].set_ylabel("peak memory, MB")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main():
    parser = argparse.ArgumentParser(description="Benchmarks of nanoBragg; NANOBRAGG_C names the C program to beat.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    parser.add_argument("--plot", metavar="FILE", help="write a picture here (needs matplotlib)")
    parser.add_argument("--isa", choices=("base", "v3", "v4"), help="instruction set (default: the processor's best)")
    parser.add_argument("--scaling", action="store_true", help="measure threads, sizes and memory as well")
    arguments = parser.parse_args()
    ours = os.path.join(os.path.dirname(sys.executable), "nanoBragg")
    ours = ours if os.path.exists(ours) else shutil.which("nanoBragg")
    reference = os.environ.get("NANOBRAGG_C")
    unknown = set(arguments.only or ()) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}")
    if arguments.isa:
        os.environ["NANOBRAGG_ISA"] = arguments.isa
    bounds = Bounds()
    print(bounds.describe())
    results, rest = [], None
    for name, (flags, *_) in WORKLOADS.items():
        if arguments.only and name not in arguments.only:
            continue
        # a folder for each: a dump file that one workload leaves would give the next its structure factors
        with tempfile.TemporaryDirectory() as folder:
            write_inputs(folder)
            bounded = None if bounds.reason or name == "start-up" else bounds  # which has no rows to count
            results.append(measure(name, flags, ours, reference, folder, arguments.repeat, bounded))
        print(table(results[-1:]).splitlines()[-1], flush=True)
    if arguments.scaling:
        rest = measure_rest(ours, reference, arguments.repeat)
    print()
    print(table(results))
    print()
    print(fractions(results))
    if rest:
        for name, ((_, one), *more) in rest["threads"].items():
            gains = ", ".join(f"{threads} threads {one / ns:.2f} times one" for threads, ns in more)
            print(f"\n{name}: {gains}", end="")
        print()
        print(growth(rest))
        for name, megabytes in rest["memory_MB"].items():
            print(f"peak memory, {name}: " + " against ".join(f"{mb:.0f} MB" for mb in megabytes))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"results": results, "rest": rest}, file, indent=1)
    if arguments.plot:
        plot(results, rest, arguments.plot)


if __name__ == "__main__":
    main()
