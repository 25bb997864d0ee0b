"""What derivatives cost, in images: one thread, processor time, against the float64 image in the same run.

    python benchmarks/gradients.py [--only W3 N20 ...] [--repeat 7]

For each workload: nanoseconds a step of `render(dtype="float64")`, and how many times as long each takes: the pullback
by crystal parameters, with the detector's and the beam's, with the table's structure factors; nine derivative images
with the image; a jvp with the image. Medians of runs that take turns.
"""

import argparse
import statistics
import time

import numpy as np

from nanobragg_py import Beam, Crystal, Detector, Experiment, Sampling, StructureFactors

CRYSTAL = ["crystal.rotation", "crystal.lengths", "crystal.angles"]
DETECTOR = ["detector.distance", "detector.origin", "detector.rotations", "beam.wavelength"]
#: what a project asks of itself
TARGETS = {"crystal": 2.2, "detector": 3.0, "table": 4.0, "nine images": 4.0, "jvp": 2.5}


def table():
    """Every index that the detector sees."""
    hkl = np.stack(np.meshgrid(*[np.arange(-55, 56)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return StructureFactors.from_arrays(hkl, 50.0 + (hkl @ (7, 11, 13)) % 100)


def workloads():
    """{name: experiment}"""
    crystal = Crystal.from_cell(100.0, cells=(5, 5, 5), mosaic_spread=np.radians(0.5), mosaic_domains=100)
    w3 = Experiment(
        crystal,
        Beam(wavelength=1e-10),
        Detector.flat(256, 1e-4, 0.1),
        Sampling(oversample=1, interpolate=False),
        StructureFactors(default_F=100.0),
    )
    still = {"crystal.mosaic_spread": None, "crystal.mosaic_domains": None, "sampling.osc": np.radians(1.0)}
    w5 = {"sampling.phisteps": 10, "crystal.mosaic_domains": 10, "sampling.oversample": 2, "beam.dispersion_steps": 5}
    return {
        "W3": w3,
        "W4": w3.replace({**still, "sampling.phisteps": 100}),
        "W5": w3.replace({**w5, "sampling.osc": np.radians(1.0), "beam.dispersion": 0.01}),
        "N=20": w3.replace({"crystal.cells": (20, 20, 20)}),
        "gauss": w3.replace({"crystal.shape": "gauss"}),
        "nearest": w3.replace({"structure_factors": table()}),
    }


def measure(experiment, repeat):
    """{what: processor seconds} of the float64 image and its derivatives."""
    weights = np.random.default_rng(1).normal(size=experiment.shape)
    pull = {
        "crystal": experiment.vjp(CRYSTAL, threads=1)[1],
        "detector": experiment.vjp(CRYSTAL + DETECTOR, threads=1)[1],
    }
    if experiment.structure_factors.bounds is not None:
        pull["table"] = experiment.vjp([*CRYSTAL, *DETECTOR, "structure_factors.F"], threads=1)[1]
    runs = {
        "image": lambda: experiment.render(dtype="float64", threads=1),
        **{name: lambda pullback=pullback: pullback(weights) for name, pullback in pull.items()},
        "nine images": lambda: experiment.derivative_images(CRYSTAL, threads=1),
        "jvp": lambda: experiment.jvp({"crystal.rotation": (1.0, 2.0, 3.0), "crystal.lengths": (1.0,) * 3}, threads=1),
    }
    seconds = {name: [] for name in runs}
    for _ in range(repeat):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            seconds[name].append(time.process_time() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of these workloads")
    parser.add_argument("--repeat", type=int, default=7, help="runs of each (default %(default)s)")
    args = parser.parse_args()
    print(f"{'':9} {'ns/step':>8}" + "".join(f"{name:>13}" for name in TARGETS))
    for name, experiment in workloads().items():
        if args.only and name not in args.only:
            continue
        seconds = measure(experiment, args.repeat)
        image = seconds.pop("image")
        steps = np.prod(experiment.shape) * experiment.resolved.sampling.steps
        row = "".join(f"{seconds[key] / image:13.2f}" if key in seconds else f"{'':13}" for key in TARGETS)
        print(f"{name:9} {image / steps * 1e9:8.2f}{row}")
    print(f"{'asked for':18}" + "".join(f"{value:13.1f}" for value in TARGETS.values()))


if __name__ == "__main__":
    main()
