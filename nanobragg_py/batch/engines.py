"""Engines that are there already: Dask's scheduler, and the ranks that srun, mpirun and Slurm's arrays number.

They only decide who renders which unit. The files go into a folder that all of them see, and are the same whoever
writes them.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ..errors import NanoBraggError
from .images import Maker
from .jobs import Job
from .local import processors
from .lock import alone
from .output import Output
from .store import Store, Writer

RETRIES = 3
#: a task has several units where there are many, which Dask's scheduler is grateful for
TASKS_AT_MOST = 5000
#: what is said where connections are not authenticated
OPEN_PORTS = (
    "Dask's ports on {} ask nobody who they are: whoever reaches them can run programs in this user's name; keep them "
    "in a network that you trust, or give TLS certificates with --dask-security"
)


# ---- ranks ---------------------------------------------------------------------------------------------------------


def rank_of_environment(environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """(rank, number of ranks) as mpirun (Open MPI, MPICH, Intel MPI), srun or a Slurm array tell it.

    Within a Slurm array, every element's ranks are counted on from those of the element before it. environment: None:
    that of the process. Raises NanoBraggError where there is nothing of the kind.
    """
    given = os.environ if environment is None else environment
    pair = None
    for names in (
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        ("PMI_RANK", "PMI_SIZE"),
        ("SLURM_PROCID", "SLURM_NTASKS"),
    ):
        if all(name in given for name in names):
            pair = tuple(_whole(given, name) for name in names)
            break
    if "SLURM_ARRAY_TASK_ID" in given:
        first = _whole(given, "SLURM_ARRAY_TASK_MIN", 0)
        step = max(1, _whole(given, "SLURM_ARRAY_TASK_STEP", 1))
        element = (_whole(given, "SLURM_ARRAY_TASK_ID") - first) // step
        rank, size = pair or (0, 1)
        pair = element * size + rank, _whole(given, "SLURM_ARRAY_TASK_COUNT") * size
    if pair is None:
        raise NanoBraggError(
            "the environment has no rank (SLURM_PROCID, OMPI_COMM_WORLD_RANK, PMI_RANK or SLURM_ARRAY_TASK_ID); "
            "run this with srun or mpirun or in a Slurm array, or say --rank 0/4"
        )
    return check_rank(*pair)


def _whole(given, name, default=None):
    text = given.get(name)
    if text is None and default is not None:
        return default
    try:
        return int(text)
    except (TypeError, ValueError):
        raise NanoBraggError(f"the environment's {name} is {text!r}; it must be a whole number") from None


def check_rank(rank: int, size: int) -> tuple[int, int]:
    """The pair, or NanoBraggError where it makes no sense."""
    if not 0 <= rank < size:
        raise NanoBraggError(f"rank {rank} of {size} cannot be; ranks go from 0 to one less than their number")
    return rank, size


# ---- Dask ----------------------------------------------------------------------------------------------------------


def run_dask(
    job: Job | str | os.PathLike[str],
    output: Output,
    address: str,
    *,
    threads: int = 0,
    security: tuple[str, str, str] | None = None,
    progress: Callable[[int], Any] | None = None,
    complain: Callable[[str], Any] = lambda sentence: None,
) -> int:
    """Render what is missing of a job with Dask's workers; returns how many units are missing afterwards.

    address: of a scheduler, such as "tcp://host:8786" (Dask's setting distributed.comm.timeouts.connect says how long
    it is looked for), or "local" for a cluster of this machine's processors that ends with the run. threads: of one
    image; 0: 1. security: files in PEM format for TLS: certificates of the authority, own certificate, own key;
    without, a sentence says what open ports mean. progress: called with the number of images that have been rendered.
    complain: called with what the program would warn of.

    Workers need this package and see output.folder under the same name. Those that join get work; what was given to one
    that dies is given to another. Raises NanoBraggError when the scheduler cannot be reached or is gone; what is
    complete stays.
    """
    from ..files.extras import need

    distributed = need("distributed", "dask", "runs on Dask")
    output.require()
    maker = Maker(job)
    maker.check()
    for sentence in maker.warnings:
        complain(f"warning: {sentence}")
    with connected(distributed, address, output.units(maker.job), security) as client:
        if security is None:
            complain(OPEN_PORTS.format("this machine" if address == "local" else address))
        store = Store(maker, output, complain)
        with alone(output.folder, False, complain):
            units = list(store.missing())
            if units:
                _work(distributed, client, maker.job, output, units, threads or 1, progress, address)
            return store.finish()


def connected(distributed: Any, address: Any, units: Any, security: Any = None) -> Any:
    """A client of the scheduler at an address, or of a cluster that ends with it. security: as of `run_dask`."""
    how = {} if security is None else {"security": tls_of(distributed, security)}
    try:
        if address == "local":
            from dask import config

            # what a busy machine makes it log, tracebacks too, says nothing; what matters is said in a sentence
            with config.set({"distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical"}):
                cluster = distributed.LocalCluster(
                    n_workers=max(1, min(processors(), units)),
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                    **how,
                )
            return _Local(distributed.Client(cluster, **how), cluster)
        return distributed.Client(address, **how)
    except (OSError, ValueError, TimeoutError) as error:
        told = str(error).partition("\n")[0] or type(error).__name__
        raise NanoBraggError(f"cannot reach a Dask scheduler at {address}: {told}") from None


def tls_of(distributed: Any, files: tuple[str, str, str]) -> Any:
    """Dask's Security with one certificate for every role; NanoBraggError for files that are none."""
    import ssl

    authority, certificate, key = map(os.fspath, files)
    roles = {f"tls_{role}_{what}": name for role in ("client", "scheduler", "worker") for what, name in
             (("cert", certificate), ("key", key))}  # fmt: skip
    try:
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise NanoBraggError(
            f"cannot use {authority}, {certificate} and {key} for TLS: {error.strerror or error}; give certificates of "
            "the authority, own certificate and its key, in PEM format"
        ) from None
    return distributed.Security(tls_ca_file=authority, require_encryption=True, **roles)


class _Local:
    """A client together with the cluster that was started for it."""

    def __init__(self, client, cluster):
        self.client, self.cluster = client, cluster

    def __enter__(self):
        return self.client

    def __exit__(self, kind, error, traceback):
        self.client.close()
        self.cluster.close()


def _work(distributed, client, job, output, units, threads, progress, address):
    share = -(-len(units) // TASKS_AT_MOST)
    parts = [units[start : start + share] for start in range(0, len(units), share)]
    text = json.dumps({"values": job.values, "folder": job.folder, "name": job.name}, default=str)
    files = {"folder": output.folder, **output.settings()}
    futures = [client.submit(render_units, text, files, part, threads, pure=False, retries=RETRIES) for part in parts]
    images = 0
    try:
        for future in distributed.as_completed(futures):
            images += future.result()
            if progress is not None:
                progress(images)
    except NanoBraggError:
        raise
    except distributed.KilledWorker:
        raise NanoBraggError(
            f"workers of the Dask scheduler at {address} died on the same files again and again, perhaps for want of "
            "memory; the same command continues the run"
        ) from None
    except (OSError, TimeoutError, distributed.CancelledError):
        raise NanoBraggError(f"the Dask scheduler at {address} is gone; the same command continues the run") from None
    finally:
        with suppress(OSError, TimeoutError):
            client.cancel(futures)


def render_units(text: str, files: dict[str, Any], units: list[int], threads: int) -> int:
    """A task: render some units of the job `text` (JSON); returns the number of images."""
    worker = worker_number()
    maker = _maker(text, threads, worker)
    output = Output(**files)
    writer = _writer(text, output, threads, worker, threading.get_ident())
    if not os.path.isdir(writer.folder):
        # of a run that is over; this one goes on where it, or somebody, left files missing
        _writer.cache_clear()
        writer = _writer(text, output, threads, worker, threading.get_ident())
    done = 0
    for unit in units:
        writer.unit(unit)
        done += len(output.indices(maker.job, unit))
    return done


def worker_number() -> int:
    """The number of this process's worker, by which workers share a job's GPUs: its name where that is a number.

    Dask numbers the workers of a cluster on one machine; others have the sum of their name's letters.
    """
    from distributed import get_worker

    try:
        name = str(get_worker().name)
    except ValueError:  # no worker
        return 0
    return int(name) if name.isdecimal() else sum(name.encode())


@functools.lru_cache(maxsize=1)
def _maker(text, threads, worker):
    """The job's Maker, kept from one task of a worker to the next for its structure factors."""
    job = json.loads(text)
    return Maker(Job(job["values"], job["folder"], job["name"]), threads, worker)


@functools.lru_cache(maxsize=64)
def _writer(text, output, threads, worker, thread):
    """One journal for each of a worker's threads."""
    return Writer(_maker(text, threads, worker), output)
