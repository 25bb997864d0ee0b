"""The benchmark workloads on a CUDA device: kernel and transfers apart, beside the CPU.

python benchmarks/gpu.py [-device N] [-precision double|single] [name ...]
"""

import argparse
from time import perf_counter

import numpy as np

from nanobragg_py.experiment.load import load_args
from nanobragg_py.render.backends import renderer_of
from nanobragg_py.render.simulate import simulate

CRYSTAL = "-default_F 100 -cell 100 100 100 90 90 90 -lambda 1 -distance 100 -pixel 0.1 -N 5 -nointerpolate"
#: the workloads of benchmarks/run.py that a GPU is for, and two that fill a large one
WORKLOADS = {
    "W1": "-detpixels 1024 -oversample 1",
    "W2": "-detpixels 2048 -oversample 2",
    "W3": "-detpixels 256 -oversample 1 -mosaic_spread 1 -mosaic_domains 100",
    "W4": "-detpixels 256 -oversample 1 -osc 1 -phisteps 100",
    "W5": "-detpixels 256 -oversample 2 -osc 1 -phisteps 10 -mosaic_spread 1 -mosaic_domains 10"
    " -dispersion 1 -dispsteps 5",
    "W6": "-detpixels 256 -oversample 1 -mosaic_spread 1 -mosaic_domains 100 -gauss_xtal",
    "W7": "-detpixels 256 -oversample 1 -mosaic_spread 1 -mosaic_domains 100 -round_xtal",
    "large": "-detpixels 2048 -oversample 1 -mosaic_spread 1 -mosaic_domains 10000",
    "large_N10": "-detpixels 2048 -oversample 1 -mosaic_spread 1 -mosaic_domains 1000 -N 10",
}
#: steps beyond which the CPU is not asked
MOST_STEPS = 1e10


def measure(name, device, precision, repeats=5):
    """Print one workload's times: the best of some repeats, the first run apart since it compiles."""
    experiment = load_args(f"{CRYSTAL} {WORKLOADS[name]}".split()).experiment
    detector = experiment.detector
    steps = detector.fpixels * detector.spixels * experiment.sampling.steps * detector.thicksteps
    renderer = renderer_of("gpu", device, precision)
    parts = []
    begin = perf_counter()
    for _ in range(repeats + 1):
        image, _ = simulate(experiment, backend="gpu", device=device, precision=precision)
        parts.append((perf_counter() - begin, renderer.seconds))
        begin = perf_counter()
    whole, best = min(parts[1:], key=lambda part: part[0])
    line = f"{name:10} {steps:9.3g} steps  first {parts[0][0]:7.3f} s  all {whole * 1e3:8.2f} ms"
    line += "".join(f"  {what} {seconds * 1e3:8.2f} ms" for what, seconds in best.items())
    line += f"  {steps / best['kernels'] * 1e-9:7.1f} Gstep/s in the kernels"
    if steps <= MOST_STEPS:
        begin = perf_counter()
        expected, _ = simulate(experiment)
        seconds = perf_counter() - begin
        error = np.abs(np.asarray(image) - np.asarray(expected)).max() / np.asarray(expected).max()
        line += f"  CPU {seconds * 1e3:9.1f} ms  apart {error:.1e} of the maximum"
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-device", type=int, default=0, help="number of the GPU")
    parser.add_argument("-precision", choices=("double", "single"), default="double")
    parser.add_argument("names", nargs="*", metavar="name", help=f"workloads: {', '.join(WORKLOADS)}; all of them")
    args = parser.parse_args()
    print(renderer_of("gpu", args.device, args.precision).name, args.precision)
    for name in args.names or WORKLOADS:
        measure(name, args.device, args.precision)


if __name__ == "__main__":
    main()
