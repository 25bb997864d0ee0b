"""One run at a time in a folder of images: the second one waits for the end of the first.

The lock is the system's (flock) on the folder itself, leaves no file, and ends with the process. Ranks of one run share
it. Where a file system has no such locks nothing is kept apart, which loses time and no image: every file takes its
place at one stroke.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

try:
    import fcntl
except ImportError:  # not on every system
    fcntl = None  # type: ignore[assignment]


@contextmanager
def alone(folder: str, shared: bool, complain: Callable[[str], Any]) -> Iterator[None]:
    """Hold the lock of a folder during the block. shared: with other ranks. complain: told when there is a wait."""
    descriptor = _lock(folder, shared, complain) if fcntl is not None else -1
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _lock(folder, shared, complain):
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return -1
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            complain(f"another run is writing into {folder}; this one waits for its end")
            fcntl.flock(descriptor, kind)
    except OSError:
        os.close(descriptor)
        return -1
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
