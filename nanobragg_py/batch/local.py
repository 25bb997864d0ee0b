"""A run on this machine: worker processes that are given one unit after the other.

Workers are separate interpreters (nanobragg_py/batch/worker.py) that read numbers of units and answer line by line, so
that one that dies takes nothing with it but the unit it was at, which is given to another.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain
from math import prod
from time import perf_counter
from typing import Any

from ..errors import NanoBraggError
from ..render.backends import LONG, expected_seconds, short_waits
from .images import Maker, stored_shape
from .jobs import Job
from .lock import alone
from .output import Output, write_unit
from .store import Store, remove_unfinished

#: workers for each GPU: one renders while others write what they have
DEVICE_WORKERS = 4
#: how often a unit is tried whose worker dies
ATTEMPTS = 4
#: what a worker runs: the modules that this process finds, and not what happens to lie in the working directory
WORKER = "import sys; sys.path[:] = {path!r}; from nanobragg_py.batch.worker import main; sys.exit(main())"
#: seconds of an image, and of each of its pixels, beside the loops', roughly: what is worked out, noise, and the file
IMAGE, PIXEL = 1.5e-3, 1.5e-8
#: seconds that an estimate may take, about
ESTIMATE_SECONDS = 2.0
#: images that would take longer, by their steps, or are larger are not tried
LONGEST_TRIAL = 5.0
LARGEST_TRIAL = 10**8


def processors() -> int:
    """How many processors are this process's to use: what Slurm or Open MPI gives a rank, else what the system does."""
    stated = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if stated.isdigit() and int(stated) > 0:
        return int(stated)
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:
        available = os.cpu_count() or 1
    beside = os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", "")
    return max(1, available // int(beside)) if beside.isdigit() and int(beside) > 0 else available


def divide(units: int, workers: int = 0, threads: int = 0, devices: int = 0) -> tuple[int, int]:
    """(workers, threads of each) that fill the processors once; numbers other than 0 are kept.

    devices: GPUs that render; 0: none. Each is busy with a few workers, which take turns at it.
    """
    available = processors()
    if not workers:
        most = available // threads if threads else available
        if devices:
            most = max(devices, min(most, devices * DEVICE_WORKERS))
        workers = max(1, min(units, most))
    return workers, threads or max(1, available // workers)


def run(
    job: Job | str | os.PathLike[str],
    output: Output,
    *,
    workers: int = 0,
    threads: int = 0,
    rank: tuple[int, int] = (0, 1),
    progress: Callable[[int], Any] | None = None,
    complain: Callable[[str], Any] = lambda sentence: None,
) -> int:
    """Render what is missing of a job, with processes of this machine; returns how many units are missing afterwards.

    job: a Job, or the name of a job file. workers, threads: 0: such that every processor has one thread. rank: (rank,
    number of ranks): of the missing units, only those with unit % number == rank are rendered. progress: called with
    the number of images that have been rendered. complain: called with what the program would warn of, and with a
    sentence when a worker dies.

    The files do not depend on workers, threads and ranks. Raises NanoBraggError; what is complete stays.
    """
    output.require()
    maker = Maker(job)
    maker.check()
    if rank[0] == 0:
        for sentence in (*(f"warning: {each}" for each in maker.warnings), *output.lost(maker)):
            complain(sentence)
    store = Store(maker, output, complain)
    with alone(output.folder, rank[1] > 1, complain):
        missing = store.missing()
        units = missing.of_rank(*rank)
        first = next(units, None)
        if first is not None:
            tell_of_space(maker, output, missing, complain)
            share = -(-len(missing) // rank[1])
            workers, threads = divide(share, workers, threads, devices_of(maker.job))
            tell_of_time(maker, output, share, workers, threads, complain)
            crew = Crew(maker.job, output, threads, progress, complain, rank[0])
            crew.work(chain((first,), units), min(workers, share))
        return store.finish()


def devices_of(job: Any) -> int:
    """How many GPUs render a job."""
    return len(job.devices) if job.backend == "gpu" else 0


def tell_of_space(maker: Any, output: Any, missing: Any, complain: Any) -> None:
    """Say so where the images that are missing have no room on the disk unless they are compressed."""
    experiment, _, noise = maker.experiment(0)
    images = min(len(missing) * output.per_file, len(maker.job))
    size = images * sum(map(prod, experiment.shapes)) * maker.dtype(noise).itemsize
    free = shutil.disk_usage(output.folder).free
    if size > free:
        complain(
            f"warning: the images that are missing have {size / 1e9:.3g} GB before they are compressed, and "
            f"{output.folder} has room for {free / 1e9:.3g} GB"
        )


def tell_of_time(maker: Any, output: Any, share: int, workers: int, threads: int, complain: Any) -> None:
    """Say so before minutes are spent on the CPU. share: how many units are to be rendered here."""
    if maker.job.backend == "gpu":
        return
    experiment, images = maker.experiment(0)[0], min(share * output.per_file, len(maker.job))
    each = expected_seconds(experiment.resolved, 1) + IMAGE + PIXEL * sum(map(prod, experiment.shapes))
    seconds = images * each / (workers * threads)
    if seconds > LONG:
        complain(
            f"{images} images are expected to take {seconds / 60.0:.2g} minutes or more with {workers} workers of "
            f"{threads} threads; Ctrl-C stops, and the same command goes on"
        )


class Crew:
    """Worker processes and what each is at. rank: of this process among those that share a run."""

    def __init__(self, job: Any, output: Any, threads: int, progress: Any, complain: Any, rank: int = 0) -> None:
        self.opening: Any = {
            "values": job.values,
            "folder": job.folder,
            "name": job.name,
            "output": {"folder": output.folder, **output.settings()},
            "threads": threads,
        }
        # the GPUs of the job go round the workers, and one that takes a dead one's place takes its GPU
        self.rank: int = rank
        self.numbers: dict[Any, int] = {}
        self.progress, self.complain = progress, complain
        self.folder: Any = output.folder
        self.images: Any = 0
        self.attempts: dict[int, int] = {}

    def work(self, units: Iterable[int], workers: int) -> None:
        """Have all units rendered; raises NanoBraggError for the first that cannot be."""
        self.waiting = iter(units)
        self.again: deque[int] = deque()
        self.at: dict[subprocess.Popen, int] = {}
        self.unread: dict[subprocess.Popen, bytes] = {}
        with selectors.DefaultSelector() as selector:
            self.selector = selector
            try:
                for number in range(workers):
                    self._hire(self.rank + number)
                while self.at:
                    for key, _ in selector.select():
                        self._listen(key.data)
            except BaseException:
                for worker in self.at:
                    worker.kill()
                raise
            finally:
                for worker in self.at:
                    worker.wait()
                    remove_unfinished(self.folder, worker.pid)

    def _hire(self, number):
        """Start worker `number` on the next unit, if there is one."""
        unit = self._take()
        if unit is None:
            return
        # a child that inherits no threads of OpenMP, and no main module that would have to be guarded
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER.format(path=sys.path)],
            env={**os.environ, **short_waits(os.environ)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.at[worker] = -1
        self.numbers[worker] = number
        self.selector.register(worker.stdout, selectors.EVENT_READ, worker)
        self._tell(worker, json.dumps({**self.opening, "worker": number}, default=str))
        self._give(worker, unit)

    def _take(self):
        """The next unit, first those that a dead worker had; None when there is none."""
        return self.again.popleft() if self.again else next(self.waiting, None)

    def _tell(self, worker, line):
        try:
            worker.stdin.write(line.encode() + b"\n")
            worker.stdin.flush()
        except BrokenPipeError:
            return  # its end will be noticed when its output ends

    def _give(self, worker, unit):
        """Set a worker to a unit, or have it end."""
        self.at[worker] = -1 if unit is None else unit
        if unit is not None:
            self._tell(worker, str(unit))
        else:
            with suppress(BrokenPipeError):
                worker.stdin.close()

    def _listen(self, worker):
        data = os.read(worker.stdout.fileno(), 65536)
        if not data:
            self._gone(worker)
            return
        *lines, self.unread[worker] = (self.unread.get(worker, b"") + data).split(b"\n")
        for line in lines:
            if line.startswith(b"images "):
                self.images += int(line[7:])
                if self.progress is not None:
                    self.progress(self.images)
            elif line == b"unit":
                self._give(worker, self._take())
            else:
                raise NanoBraggError(json.loads(line))

    def _gone(self, worker):
        """A worker has ended: as it should, or with its unit undone, which another one gets."""
        self.selector.unregister(worker.stdout)
        worker.stdout.close()
        status = worker.wait()
        unit, number = self.at.pop(worker), self.numbers.pop(worker)
        if unit < 0:
            return
        why = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        self.attempts[unit] = self.attempts.get(unit, 0) + 1
        if self.attempts[unit] >= ATTEMPTS:
            raise NanoBraggError(
                f"a worker ended with {why} on file {unit}, as {ATTEMPTS - 1} before it; what is complete stays"
            )
        self.complain(f"a worker ended with {why}; another one takes over")
        remove_unfinished(self.folder, worker.pid)
        self.again.append(unit)
        self._hire(number)


# ---- beforehand ----------------------------------------------------------------------------------------------------


def estimate(
    job: Job | str | os.PathLike[str], output: Output, complain: Callable[[str], Any] = lambda sentence: None
) -> dict[str, Any]:
    """What a run would be: a few images are rendered and written to a temporary folder, and measured.

    complain: called with what `run` would warn of.

    Where one image alone would take long, its time is reckoned from the number of its steps and its size is that of its
    pixels.

    Returns images, slow, fast, dtype, files, bytes (of all files together), seconds_per_image (one thread), seconds,
    workers, threads.
    """
    output.require()
    maker = Maker(job)
    maker.check()
    output.check_room(maker)
    for sentence in (*(f"warning: {each}" for each in maker.warnings), *output.lost(maker)):
        complain(sentence)
    total = len(maker.job)
    experiment, _, noise = maker.experiment(0)
    slow, fast = stored_shape(experiment)
    pixels = slow * fast
    each = expected_seconds(experiment.resolved, 1)
    if each < LONGEST_TRIAL and pixels < LARGEST_TRIAL:
        each, size = _measured(maker, output, total)
    else:
        size = pixels * maker.dtype(noise).itemsize
    workers, threads = divide(output.units(maker.job), devices=devices_of(maker.job))
    return {
        "images": total,
        "slow": slow,
        "fast": fast,
        "dtype": maker.dtype(noise).name,
        "files": output.units(maker.job),
        "bytes": round(size * total),
        "seconds_per_image": each,
        "seconds": each * total / (workers * threads),
        "workers": workers,
        "threads": threads,
    }


def _measured(maker, output, total):
    """Seconds and bytes of an image, from a few that are rendered and written."""
    single = Output(output.folder, output.format, 1, output.compression, spots=output.spots)
    begin = perf_counter()
    times, sizes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for index in dict.fromkeys((0, total // 2, total - 1, total // 4, 3 * total // 4)):
            path = os.path.join(folder, f"{index}.tmp")
            started = perf_counter()
            write_unit(single, maker, index, path)
            times.append(perf_counter() - started)
            sizes.append(os.path.getsize(path))
            if perf_counter() - begin > ESTIMATE_SECONDS:
                break
    # the first one reads tables and warms up
    return min(times[1:] or times), sum(sizes) / len(sizes)
