"""Signals in work that would take minutes or hours: how long does it go on?

    python tests/fuzz/rows.py                        every scene, each signal once
    python tests/fuzz/rows.py --scenes vjp --count 5

A scene is a program's command line, or what a user's own Python does. Each is started, left alone for a moment, and
sent a signal. A program must end with the status of the signal and leave no temporary file; the library must raise
KeyboardInterrupt, and its caller must then get from it what it would have got otherwise.
"""

import argparse
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent
CELL = "-cell 50 60 70 90 90 90 -N 5 -seed 1 -detpixels 300 -pixel 0.2"
PLAIN = f"{CELL} -default_F 10"
STATUS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}

#: what the library's scenes begin with, and end with: the caller's process is whole
BEGIN = """
import numpy as np, sys
from nanobragg_py import Background, Experiment, Response
small = Experiment.from_args("-cell 50 60 70 90 90 90 -N 5 -default_F 10 -detpixels 20 -oversample 1")
before = small.render(threads=1)
def flags(words):
    return Experiment.from_args(words)
try:
"""
END = """
    print("it came to its end", file=sys.stderr)
    sys.exit(1)
except KeyboardInterrupt:
    same = np.array_equal(small.render(threads=2), before)
    sys.exit(0 if same else "another image")
"""
IMAGES = {
    "constant": f"{PLAIN} -oversample 30000",
    "table": f"{CELL} -hkl a.hkl -oversample 30000",
    "interpolated": f"{CELL} -hkl a.hkl -interpolate -oversample 20000",
    "curved": f"{PLAIN} -curved_det -oversample 20000",
    "gauss": f"{PLAIN} -gauss_xtal -N 50 -oversample 30000",
    "tophat": f"{PLAIN} -binary_spots -N 50 -oversample 30000",
    "round": f"{PLAIN} -round_xtal -oversample 20000",
    "no pixel within dmin": f"{PLAIN} -dmin 1000 -oversample 40000",
    "weights": f"{PLAIN} -oversample_omega -oversample_polar -oversample 20000",
    "domains": f"{PLAIN} -mosaic 1 -mosaic_domains 100000 -phisteps 100 -osc 1 -oversample 10",
    "sources": f"{PLAIN} -dispersion 10 -dispsteps 20000 -oversample 100",
    "layers": f"{PLAIN} -detector_thick 100 -detector_abs 100 -detector_thicksteps 10000 -oversample 1000",
}
LIBRARY = {
    **{f"image, {name}": f"flags('{words}').render(threads=%d)" for name, words in IMAGES.items()},
    "image, float64": f"flags('{PLAIN} -oversample 30000').render(threads=%d, dtype=np.float64)",
    "image, in the reference's order": f"flags('{PLAIN} -oversample 20000 -oversample_omega')"
    ".render(threads=%d, compat='c')",
    "background": f"Background('water', oversample=20000).render(flags('{PLAIN} -oversample 1'), threads=%d)",
    "background, sources": "Background('water', oversample=200).render("
    f"flags('{PLAIN} -oversample 1 -hdivrange 1 -hdivsteps 200 -vdivrange 1 -vdivsteps 100'), threads=%d)",
    "point spread, one radius": "Response(psf='gauss', fwhm=0.1, radius=1500, threads=%d)"
    ".apply(np.full((3000, 3000), 100.0))",
    "point spread, own radii": "Response(psf='fiber', fwhm=0.01, threads=%d)"
    ".apply(np.random.default_rng(1).random((3000, 3000)) * 1e4)",
    "point spread, few pixels": "Response(psf='fiber', fwhm=0.1, threads=%d)"
    ".apply((np.random.default_rng(1).random((4000, 4000)) < 0.01) * 1e6)",
    "noise": "[Response(readout=3, threads=%d).apply(np.full((5000, 5000), 50.0), 1) for _ in range(1000)]",
    "noise, drawn one by one": "[Response(flicker=0.01, threads=%d).apply(np.full((5000, 5000), 50.0), 1) "
    "for _ in range(1000)]",
    "noise, philox": "[Response(stream='philox', flicker=0.01, threads=%d)"
    ".apply(np.full((5000, 5000), 50.0), 1) for _ in range(1000)]",
    "vjp": f"flags('{PLAIN} -oversample 5000').vjp(['crystal.rotation', 'detector.distance'], threads=%d)[1]"
    "(np.ones((300, 300)))",
    "vjp, domains": f"flags('{PLAIN} -mosaic 1 -mosaic_domains 100000 -oversample 30')"
    ".vjp(['crystal.rotation'], threads=%d)[1](np.ones((300, 300)))",
    "derivative images": f"flags('{PLAIN} -oversample 5000').derivative_images(['crystal.lengths'], threads=%d)",
    "derivatives of the background": f"flags('{PLAIN} -oversample 5000')"
    ".background_derivatives('water', ['thickness'], threads=%d)",
    "trace": f"[flags('{PLAIN} -oversample 300').trace(100, 100) for _ in range(1000 * %d)]",
}
JOB = f'experiment.flags = "{PLAIN} -oversample 30000"\nrepeat = 2\n'
PROGRAMS = {
    "nanoBragg": f"nanoBragg {PLAIN} -oversample 30000",
    "nanoBragg, a row of seconds": f"nanoBragg {PLAIN} -oversample 500",
    "nanoBragg -compat c": f"nanoBragg {PLAIN} -oversample 10000 -compat c -oversample_omega",
    "nanoBragg -printout": f"nanoBragg {PLAIN} -oversample 1000 -printout -printout_pixel 299 299 -compat c "
    "-roi 290 299 299 299",
    "nanoBragg -trace_pixel": f"nanoBragg {PLAIN} -oversample 316 -trace_pixel 5 5 -roi 5 5 5 5",
    "nonBragg": "nonBragg -stol a.stol -detpixels 300 -pixel 0.2 -oversample 20000 -noprogress",
    "nonBragg -compat c": "nonBragg -stol b.stol -detpixels 300 -pixel 0.2 -oversample 20000 -noprogress -compat c",
    "nonBragg -img": "nonBragg -img in.img -stol a.stol -detpixels 300 -pixel 0.2 -oversample 3000 -noprogress",
    "noisify -psf_radius": "noisify -floatfile large.bin -detpixels 3000 -pixel 0.1 -psf gauss -psf_fwhm 100 "
    "-psf_radius 1500",
    "noisify": "noisify -floatfile large.bin -detpixels 3000 -pixel 0.1 -psf fiber -psf_fwhm 10",
    "simulate": f"nanobragg-py simulate --background water --out o.cbf -- {PLAIN} -oversample 20000",
    "batch": "nanobragg-py batch in.toml --out o --workers 2",
    "trace": f"nanobragg-py trace --pixel 100 100 -- {PLAIN} -oversample 316",
    "sweep": f"nanobragg-py sweep --images 2 --osc 1 --workers 1 --out o -- {PLAIN} -oversample 30000",
    "golden": "nanobragg-py golden make in.json o",
    "refine": f"nanobragg-py refine in.img --outdir o --parameters rotation -- {PLAIN} -oversample 5000",
    "convert to CBF": "nanobragg-py convert large.img --out o.cbf",
    "convert to HDF5": "nanobragg-py convert large.img --out o.h5",
    "view": "nanobragg-py view large.img --out o.png",
    "compare": "nanobragg-py compare --images large.img larger.img --outdir o",
}


def prepare(folder):
    """The files that the scenes read."""
    import numpy as np

    folder = Path(folder)
    hkl = (f"{h} {k} {l} {10 + h + k + l}" for h in range(-9, 10) for k in range(-9, 10) for l in range(-9, 10))
    (folder / "a.hkl").write_text("\n".join(hkl) + "\n")
    rows = [f"{0.02 * i:.3g} {5 + i % 7}" for i in range(60)]
    (folder / "a.stol").write_text("\n".join(rows) + "\n")
    (folder / "b.stol").write_text("\n".join(reversed(rows)) + "\n")
    (folder / "in.toml").write_text(JOB)
    (folder / "in.json").write_text(f'[{{"id": "one", "args": "{PLAIN} -oversample 30000"}}]')
    np.random.default_rng(1).exponential(1e4, (3000, 3000)).astype(np.float32).tofile(folder / "large.bin")
    for line in (
        "-intfile in.img -floatfile in.bin -nonoise",
        "-noisefile large.img -detpixels 6000 -pixel 0.01 -water 1000",
        "-noisefile larger.img -detpixels 6000 -pixel 0.01 -water 1000 -seed 2",
    ):
        words = shlex.split(f"{PLAIN} -oversample 1 -nopgm -noprogress {line}")
        subprocess.run([BIN / "nanoBragg", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def scenes():
    """{name: (command, {signal: status})}"""
    found = {}
    for name, code in LIBRARY.items():
        for threads in (1, 2):
            command = [sys.executable, "-P", "-c", BEGIN + "    " + code % threads + END]
            found[f"{name}, {threads} threads" if threads > 1 else name] = command, {"SIGINT": 0}
    for name, line in PROGRAMS.items():
        program, *words = shlex.split(line)
        found[name] = [os.fspath(BIN / program), *words], STATUS
    return found


def hear():
    """In the child: signals that whoever started this may have had ignored are heard."""
    for name in STATUS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def send(command, folder, number, after, give_up):
    """Start, wait, send: (exit status or None where it had ended, seconds that it went on, standard error)."""
    with open(Path(folder, "errors.txt"), "w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            preexec_fn=hear,
        )
        time.sleep(after)
        ended = process.poll() is not None
        process.send_signal(getattr(signal, number))
        begin = time.perf_counter()
        try:
            process.wait(give_up)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        took = time.perf_counter() - begin
        errors.seek(0)
        said = errors.read().strip()
    return None if ended else process.returncode, took, said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1, help="of each signal to each scene (default: 1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--after", type=float, nargs=2, default=[1.5, 4.0], metavar="S", help="seconds before it")
    parser.add_argument("--give-up", type=float, default=60.0, metavar="S", help="seconds after it (default: 60)")
    parser.add_argument("--scenes", nargs="+", default=[""], metavar="NAME", help="those whose names begin so")
    args = parser.parse_args()
    numbers, wrong, sent, longest = random.Random(args.seed), 0, 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        for scene, (command, statuses) in scenes().items():
            if not scene.startswith(tuple(args.scenes)):
                continue
            for name, status in list(statuses.items()) * args.count:
                found, took, said = send(command, folder, name, numbers.uniform(*args.after), args.give_up)
                parts = [path.name for path in Path(folder).rglob("*.part")]
                bad = found != status or parts
                told = f": {found}, {parts}, {said[-300:]}" if bad else ""
                print(f"{took:7.3f} s  {name:8} {scene}{told}", flush=True)
                wrong, sent, longest = wrong + bool(bad), sent + 1, max(longest, took)
                subprocess.run("rm -rf o o.*; find . -name '*.part' -delete", shell=True, cwd=folder, check=True)
    print(f"{sent} signals, {wrong} with another end; the longest went on for {longest:.3f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
