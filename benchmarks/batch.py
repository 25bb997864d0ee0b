"""Throughput of a batch: stills of 256 x 256 pixels with noise into HDF5 files, against the kernels alone.

    python benchmarks/batch.py [--images N] [--workers W] [--memory N] [--data]

The same images are rendered and given noise in one process with one thread, experiments made beforehand and nothing
written: what the kernels alone take. Then `nanobragg-py batch` is run twice, for few images and for many, so that its
start can be told from the time of an image. Times of an image are of the processor, which other users of the machine
disturb little; images in a second are by the clock. --memory N: a worker renders N images and says how much memory it
has as it goes on. --data: instead of the program, `nanobragg_py.data.Images` with labels, in turns with the kernels
alone, in one process and in as many as there are processors at a time.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from nanobragg_py.batch import Job, Maker, Output
from nanobragg_py.batch.output import COMPRESSIONS, write_unit
from nanobragg_py.data import Images

ROOT = Path(__file__).resolve().parent.parent
FLAGS = (
    "-hkl cro_1orc_2A.hkl -cell 34.77 39.17 48.31 90 90 90 -N 12 -lambda 1 -distance 100 -detpixels 256 -pixel 0.4 "
    "{oversampling} -fluence 1e24 -water 80"
)
RANDOM = {
    "crystal.orientation": "uniform",
    "crystal.lengths": {"jitter": 0.005},
    "beam.fluence": {"lognormal": [1e24, 0.5]},
}
#: sub-pixels a side (0: as many as the program chooses) and compression
CASES = [*((1, compression) for compression in COMPRESSIONS), (3, "szip"), (0, "szip")]
CALIBRATION = 100


def kernel_seconds(maker):
    """Processor seconds of an image that is only rendered and given noise."""
    experiments = [maker.experiment(index) for index in range(CALIBRATION)]
    out = np.empty(experiments[0][0].shape, np.float32)
    begin = process_time()
    for experiment, _, noise in experiments:
        experiment.add_noise(experiment.render(threads=1, out=out), threads=1, **noise)
    return (process_time() - begin) / CALIBRATION


def values(images, oversample):
    """The content of a job file."""
    flags = FLAGS.format(oversampling=f"-oversample {oversample}" if oversample else "")
    return {"repeat": images, "experiment": {"flags": flags}, "random": RANDOM}


def batch_seconds(folder, given, workers, compression):
    """Seconds of a whole run of the program, and processor seconds of its processes."""
    job = folder / "job.json"
    job.write_text(json.dumps(given))
    code = "import sys; from nanobragg_py.cli.main import main; sys.exit(main())"
    words = ["batch", str(job), "--out", str(folder / "out"), "--workers", str(workers), "--threads", "1"]
    words += ["--compression", compression]
    begin, before = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-c", code, *words], check=True, **quiet)
    seconds, after = perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(folder / "out")
    return np.array([seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime])


def kernels_alone(maker, numbers):
    """A function that renders images and gives them noise, their experiments made beforehand."""
    experiments = [maker.experiment(index) for index in numbers]

    def run():
        for experiment, _, noise in experiments:
            experiment.add_noise(experiment.render(threads=1), threads=1, **noise)

    return run


def everything(images, numbers):
    """A function that takes images with their labels from the data set."""

    def run():
        for index in numbers:
            images[index]

    return run


def at_a_time(folder, oversample, workers, rounds):
    """Seconds of an image, (rounds, 2): of the kernels alone and of `Images`, in so many processes at a time.

    One process: of the processor. Several: by the clock, all of them starting a round together.
    """
    pipes, count = [], CALIBRATION // 2
    for worker in range(workers):
        ours, theirs = multiprocessing.Pipe()
        pipes.append(ours)
        if os.fork() == 0:
            images = Images(Job(values(count * workers, oversample), folder))
            numbers = range(worker * count, (worker + 1) * count)
            runs = kernels_alone(images.maker, numbers), everything(images, numbers)
            for run in runs:
                run()
            theirs.send(None)
            for which in iter(theirs.recv, None):
                begin = process_time()
                runs[which]()
                theirs.send(process_time() - begin)
            os._exit(0)
    for pipe in pipes:
        pipe.recv()
    told = np.empty((rounds, 2))
    for turn in range(rounds):
        for which in (0, 1):
            begin = perf_counter()
            for pipe in pipes:
                pipe.send(which)
            spent = [pipe.recv() for pipe in pipes]
            told[turn, which] = (spent[0] if workers == 1 else perf_counter() - begin) / (count * workers)
    for pipe in pipes:
        pipe.send(None)
        os.wait()
    return told


def data(folder, rounds=5):
    """What of the kernels' throughput the data set has."""
    print("oversample  processes  kernels alone     Images  part   (least, most)  in a second")
    for oversample in (1, 3, 0):
        for workers in (1, len(os.sched_getaffinity(0))):
            told = at_a_time(folder, oversample, workers, rounds)
            parts, (kernels, images) = np.sort(told[:, 0] / told[:, 1]), np.median(told, axis=0)
            print(
                f"{oversample or 'automatic':<10}  {workers:<9}  {kernels * 1e3:10.2f} ms  {images * 1e3:6.2f} ms  "
                f"{np.median(parts):4.0%}   {parts[0]:4.0%}, {parts[-1]:4.0%}  {1 / images:5.0f} images"
            )


def resident():
    """The process's resident memory, MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(folder, images):
    """Resident memory of one worker after each tenth of its images."""
    maker = Maker(Job(values(images, 1), folder))
    output, told = Output(folder / "memory"), []
    for unit in range(output.units(maker.job)):
        write_unit(output, maker, unit, str(folder / "memory.h5"))
        if (unit + 1) % max(1, output.units(maker.job) // 10) == 0:
            told.append(f"{resident():.1f}")
    print(f"resident memory after each tenth of {images} images, MiB: {' '.join(told)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--memory", type=int, default=0, metavar="N")
    parser.add_argument("--data", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "golden/inputs/cro_1orc_2A.hkl", folder)
        if args.memory:
            memory(folder, args.memory)
            return
        if args.data:
            data(folder)
            return
        print(f"{args.workers} workers of one thread; load before: {os.getloadavg()[0]:.1f}")
        print("oversample  compression  kernels alone        batch  part   in a second  start")
        few = max(args.workers, args.images // 4)
        for oversample, compression in CASES:
            maker = Maker(Job(values(CALIBRATION, oversample), folder))
            before = kernel_seconds(maker)
            short, long = (
                batch_seconds(folder, values(images, oversample), args.workers, compression)
                for images in (few, args.images)
            )
            kernels = (before + kernel_seconds(maker)) / 2
            elapsed, spent = (long - short) / (args.images - few)
            print(
                f"{oversample or 'automatic':<10}  {compression:<11}  {kernels * 1e3:10.2f} ms  {spent * 1e3:8.2f} ms  "
                f"{kernels / spent:4.0%}  {1 / elapsed:4.0f} images  {short[0] - few * elapsed:4.1f} s"
            )


if __name__ == "__main__":
    main()
