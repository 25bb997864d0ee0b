"""What to run first on a real GPU, in about ten minutes: tests, goldens, faint pixels, launches, speed, tuning.

python benchmarks/gpu_first_run.py [-device N] [step ...]

Every step is a process of its own, so that a device that has failed in one serves the next, and has a limit of seconds.
Ends with the names of the steps that failed, and exit status 1; without a device it says so, and ends with 9.
"""

import argparse
import contextlib
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
BASE = "-default_F 100 -cell 100 100 100 90 90 90 -lambda 1 -distance 100 -nointerpolate "
LONG = BASE + "-pixel 0.1 -detpixels 2048 -mosaic_spread 1 -mosaic_domains 1000 -N 5 -oversample 1"


def versions(device):
    """Card, driver, libraries, and what the device says of itself."""
    import numpy

    from nanobragg_py.kernels.loops.job import processor_level
    from nanobragg_py.render.backends import renderer_of, thread_count

    if shutil.which("nvidia-smi"):
        query = "name,driver_version,compute_cap,clocks.max.sm,power.limit,memory.total"
        subprocess.run(["nvidia-smi", f"--query-gpu={query}", "--format=csv"], check=False)
    renderer = renderer_of("gpu", device)
    cupy, hardware = renderer.cupy, renderer.hardware
    compiler = "none"
    with contextlib.suppress(RuntimeError, OSError, ImportError):
        compiler = ".".join(map(str, cupy.cuda.nvrtc.getVersion()))
    print(f"Python {platform.python_version()}, numpy {numpy.__version__}, CuPy {getattr(cupy, '__version__', '?')}, "
          f"NVRTC {compiler}, CPU {processor_level()} with {thread_count()} threads")  # fmt: skip
    print(hardware)
    for precision in ("double", "single"):
        print(f"expected in {precision}: {hardware.rate(precision) * 1e-9:.0f} Gstep/s at least")


def tests(device):
    """The device's tests, without the golden cases."""
    pytest("-k", "not golden")


def golden(device):
    """All golden cases, in one process."""
    pytest("-k", "golden")


def pytest(*words):
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-n", "0", "-m", "gpu", "-p", "no:cacheprovider"]
    status = subprocess.run([*command, *words, "tests/gpu/test_gpu_device.py"], cwd=ROOT).returncode
    if status:
        sys.exit(status)


def faint(device):
    """Subnormal float32 pixels, which a device's arithmetic takes for 0: they have to be the CPU's."""
    import numpy as np

    words = BASE + "-pixel 0.5 -detpixels 200 -gauss_xtal -N 10"
    image, expected = rendered(words, device)[0], rendered(words, device, "cpu")[0]
    small = (expected != 0) & (np.abs(expected) < np.finfo(np.float32).tiny)
    same = (image == expected).mean()
    print(
        f"same to the bit {same:.4f} of all pixels; "
        f"of {small.sum()} subnormal ones {(image == expected)[small].mean():.4f}"
    )
    if same <= 0.999 or not np.array_equal(image[small], expected[small]):
        sys.exit("faint pixels differ")


def bands(device):
    """One long job in launches of several lengths: what cutting costs, and that no bit depends on it."""
    import numpy as np

    from nanobragg_py.render.gpu import bands as module

    words = BASE + ("-pixel 0.1 -detpixels 1024 -N 5 -oversample 1 -mosaic_spread 1 -mosaic_domains 1000 -osc 1"
                    " -phisteps 50")  # fmt: skip
    first = None
    for seconds in (10.0, 0.25, 0.05):
        module.SECONDS = seconds
        image, steps, kernels, whole = rendered(words, device)
        report(f"launches of {seconds} s", steps, kernels, whole)
        if first is not None and not np.array_equal(image, first):
            sys.exit("the image depends on how it is cut")
        first = image


def speed(device):
    """The benchmark workloads, in both precisions."""
    for precision in ("double", "single"):
        command = [
            sys.executable,
            "-P",
            str(ROOT / "benchmarks" / "gpu.py"),
            "-device",
            str(device),
            "-precision",
            precision,
        ]
        status = subprocess.run([*command, "W1", "W2", "W3", "W6", "W7", "large", "large_N10"], cwd=ROOT).returncode
        if status:
            sys.exit(status)


def stills(device):
    """Many stills of 256 x 256: images a second, and the host's part of one."""
    from nanobragg_py import Experiment
    from nanobragg_py.render.backends import Compute, renderer_of
    from nanobragg_py.render.images import render_many

    compute = Compute(backend="gpu", device=device)
    base = Experiment.from_args(BASE + "-pixel 0.4 -detpixels 256 -N 10 -oversample 1")
    for count in (1, 64, 256):
        begin = perf_counter()
        experiments = [base.replace({"crystal.missets": (1e-3 * i, 2e-3 * i, 3e-3 * i)}) for i in range(count)]
        made = perf_counter() - begin
        render_many(experiments, compute)
        best, kernels = min(timed_stills(experiments, compute) for _ in range(3))
        each, kernel, making = (seconds / count * 1e3 for seconds in (best, kernels, made))
        print(f"{count:4} stills together: {count / best:8.0f} images/s; an image {each:.3f} ms, of which kernels "
              f"{kernel:.3f} ms; to make its experiment {making:.3f} ms")  # fmt: skip
    print(renderer_of("gpu", device).name)


def timed_stills(experiments, compute):
    from nanobragg_py.render.images import render_many

    begin = perf_counter()
    found = render_many(experiments, compute)
    return perf_counter() - begin, sum(statistics.seconds for _, statistics in found)


def tune(device):
    """Blocks a multiprocessor that the compiler is told of, which decides on registers."""
    from nanobragg_py.render import backends
    from nanobragg_py.render.gpu import modules, prebuilt

    text = modules.source
    prebuilt.FILE = ""  # everything is compiled
    for precision, tried in (("double", (2, 3, 4, 5)), ("single", (4, 6, 8, 10))):
        for blocks in tried:
            modules.source = lambda name, n=blocks: re.sub(
                r"(?m)^#define NB_BLOCKS .*$", f"#define NB_BLOCKS {n}", text(name)
            )
            backends._gpu_renderers.clear()
            rendered(LONG, device, precision=precision)
            _, steps, kernels, whole = rendered(LONG, device, precision=precision)
            report(f"{precision}, {blocks} blocks", steps, kernels, whole)


def rendered(words, device, backend="gpu", precision="double"):
    """(image, steps, seconds in kernels, seconds in all)."""
    import numpy as np

    from nanobragg_py.experiment.load import load_args
    from nanobragg_py.render.backends import renderer_of, steps_of
    from nanobragg_py.render.simulate import simulate

    experiment = load_args(words.split()).experiment
    begin = perf_counter()
    image, _ = simulate(experiment, backend=backend, device=device, precision=precision)
    whole = perf_counter() - begin
    kernels = renderer_of("gpu", device, precision).seconds["kernels"] if backend == "gpu" else 0.0
    return np.asarray(image), steps_of(experiment), kernels, whole


def report(what, steps, kernels, whole):
    print(f"{what:24} {steps:9.3g} steps, all {whole * 1e3:8.1f} ms, kernels {kernels * 1e3:8.2f} ms, "
          f"{steps / kernels * 1e-9:6.1f} Gstep/s", flush=True)  # fmt: skip


#: what is done, and the seconds that each may take
STEPS = {versions: 60, tests: 120, golden: 240, faint: 30, bands: 60, stills: 40, speed: 120, tune: 90}
NAMES = {step.__name__: step for step in STEPS}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-device", type=int, default=0, help="number of the GPU")
    parser.add_argument("-patience", type=float, default=1.0, help="times the seconds that a step may take")
    parser.add_argument("-here", action="store_true", help="do the steps in this process")
    parser.add_argument("steps", nargs="*", metavar="step", help=f"{', '.join(NAMES)}; all of them")
    args = parser.parse_args()
    if wrong := [name for name in args.steps if name not in NAMES and not args.here]:
        parser.error(f"there is no step {wrong[0]}; the steps are {', '.join(NAMES)}")
    chosen = [NAMES[name] for name in args.steps if name in NAMES] or list(STEPS)
    if args.here and args.steps == ["asked"]:
        asked(args.device)
        return 0
    if args.here:
        for step in chosen:
            step(args.device)
        return 0
    if not there(args.device):
        return 9
    failed, begin = [], perf_counter()
    for step in chosen:
        print(
            f"=== {step.__name__}: {step.__doc__.splitlines()[0]} ({perf_counter() - begin:.0f} s so far)", flush=True
        )
        command = [sys.executable, "-P", __file__, "-here", "-device", str(args.device), step.__name__]
        try:
            status = subprocess.run(command, timeout=STEPS[step] * args.patience).returncode
        except subprocess.TimeoutExpired:
            print(f"{step.__name__} was ended after {STEPS[step] * args.patience:g} s")
            status = 1
        if status:
            failed.append(step.__name__)
    print(
        f"=== done in {perf_counter() - begin:.0f} s; "
        + (f"failed: {', '.join(failed)}" if failed else "nothing failed")
    )
    return 1 if failed else 0


def there(device):
    """Whether there is a device, asked in a process of its own."""
    command = [sys.executable, "-P", __file__, "-here", "-device", str(device), "asked"]
    return not subprocess.run(command).returncode


def asked(device):
    """Open the device, or say why not."""
    from nanobragg_py.errors import OptionError
    from nanobragg_py.experiment.fields import in_fields
    from nanobragg_py.render.backends import renderer_of

    try:
        renderer_of("gpu", device)
    except OptionError as error:
        print(f"no GPU was measured: {in_fields(error.sentence)}")
        sys.exit(9)


if __name__ == "__main__":
    sys.exit(main())
