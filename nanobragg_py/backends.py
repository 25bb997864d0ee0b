"""Which compiled loops to use, and how many threads."""

import os

from .errors import NanoBraggError

#: instruction-set levels, least first; the environment variable NANOBRAGG_ISA forces one
LEVELS = ("base", "v3", "v4")


def cpu_renderer(level=None):
    """The render module for an instruction-set level, and the level's name.

    level: one of LEVELS; None takes NANOBRAGG_ISA from the environment, else the best that this processor has. A level
    that was not built falls back to the next lower one. Raises NanoBraggError for a level that the processor lacks.
    """
    from .kernels.job import processor_level

    best = processor_level()
    wanted = level or os.environ.get("NANOBRAGG_ISA") or best
    if wanted not in LEVELS:
        raise NanoBraggError(f"NANOBRAGG_ISA is {wanted!r}; it must be one of {', '.join(LEVELS)}")
    if LEVELS.index(wanted) > LEVELS.index(best):
        raise NanoBraggError(f"NANOBRAGG_ISA is {wanted}, but this processor has {best} at most")
    for name in reversed(LEVELS[: LEVELS.index(wanted) + 1]):
        try:
            module = __import__(f"nanobragg_py.kernels.render_{name}", fromlist=["render"])
        except ModuleNotFoundError:
            continue
        return module, name
    raise NanoBraggError("the compiled loops are missing; install the package anew")


def thread_count(wanted=0):
    """How many threads to use: `wanted`, else OMP_NUM_THREADS, else every processor this process may run on."""
    if wanted > 0:
        return wanted
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdigit() and int(first) > 0:
        return int(first)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
