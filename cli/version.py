"""What `-version` prints."""

import sys

from .. import __version__
from ..errors import NanoBraggError
from ..render.backends import LEVELS, cpu_renderer, thread_count


def version_lines() -> "list[str]":
    """The lines: version, instruction-set level, threads, Python with its compiler."""
    renderer, level = cpu_renderer()
    available = [name for name in LEVELS if _usable(name)]
    if renderer.PARALLEL:
        count = thread_count()
        threads = f"{count} by default (OpenMP)"
    else:
        threads = "1 (single-threaded build: the compiler had no OpenMP)"
    return [
        f"nanobragg_py {__version__}",
        f"instruction set: {level} (available: {', '.join(available)})",
        f"threads: {threads}",
        f"Python: {' '.join(sys.version.split())}",
    ]


def _usable(level):
    """True for a level that was built and that this processor has."""
    try:
        return cpu_renderer(level)[1] == level
    except NanoBraggError:
        return False
