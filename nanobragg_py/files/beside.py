"""Files that libraries write under a name of their own choosing, and that still appear whole or not at all."""

import os
from contextlib import contextmanager

from ..errors import NanoBraggError
from ..process import hold, release
from .atomic import cannot_write, check_writable
from .parts import DATA, Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


@contextmanager
def written_beside(path: "Any") -> "Iterator[Any]":
    """The name of a file beside `path` to write to; it takes the place of `path` when the block ends without an error.

    Raises NanoBraggError where the file cannot be written.
    """
    check_writable(path)
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        raise NanoBraggError(f"cannot write {os.fsdecode(path)}: a file of this format cannot be a pipe or a device")
    part = None
    try:
        hold()
        try:
            part = Part(target)
        finally:
            release()
        # the part holds the lock, and libraries (HDF5) lock what they write themselves
        yield part.path + DATA
        os.replace(part.path + DATA, target)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        hold()
        try:
            if part is not None:
                part.abandon()
        finally:
            release()
