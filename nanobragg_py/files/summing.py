"""Sums of float images, the way from spots and backgrounds to what a detector sees."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .atomic import OutputFile
from .reading import cannot_read, fill, open_input
from .registry import format_of_bytes

#: values of an image that are in memory at a time
BLOCK = 1 << 20
#: bytes of a file that tell its format
START = 512


def add_float_images(names: Sequence[str], scales: Sequence[float], out: str) -> int:
    """Write the sum of float images, raw float32 files of one length, each times its scale; returns the values written.

    They are added in their order, and rounded to float32 after each, as adding them one after the other does: with
    scales of 1 these are the bytes of float32 sums. out: appears whole or not at all, and may be one of the images.
    Raises NanoBraggError for files that cannot be read or are no such images.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(_open(name)) for name in names]
        lengths = [_length(name, file) for name, file in zip(names, files, strict=True)]
        for name, length in zip(names, lengths, strict=True):
            if length != lengths[0]:
                raise NanoBraggError(
                    f"{name} has {length // 4} values and {names[0]} {lengths[0] // 4}; images that are added have as "
                    "many pixels (nonBragg may add a row or a column: look at the number that it prints)"
                )
        count = lengths[0] // 4
        target = stack.enter_context(OutputFile(out, "give another name with --out"))
        for begin in range(0, count, BLOCK):
            n = min(BLOCK, count - begin)
            parts = [_block(name, file, n) for name, file in zip(names, files, strict=True)]
            target.write(_sum(parts, scales))
    return count


def _sum(parts, scales):
    """The float32 sum of arrays, each times its scale."""
    sums: Any = None
    with np.errstate(all="ignore"):  # what is no number, or too large, is so in the sum
        for part, scale in zip(parts, scales, strict=True):
            value = part if scale == 1.0 else part * np.float64(scale)
            sums = value.astype(np.float32) if sums is None else (sums + value).astype(np.float32)
    return sums


def _open(name):
    try:
        return open_input(name)
    except OSError as error:
        raise cannot_read(name, error) from None


def _length(name, file):
    """The bytes of a float image; the file is at its beginning then."""
    try:
        start = file.read(START)
        length = os.fstat(file.fileno()).st_size
        file.seek(0)
    except OSError as error:
        raise cannot_read(name, error, "give files, which can be read more than once") from None
    found = format_of_bytes(name, start)
    if found is not None and found.magic is not None:
        raise NanoBraggError(
            f"{name} is a file of another kind ({found.title}); give float images, such as those of -floatfile"
        )
    if length == 0 or length % 4:
        raise NanoBraggError(f"{name} has {length} bytes, which is no number of 4-byte floats; give a float image")
    return length


def _block(name, file, count):
    """The next values of a float image."""
    values = np.empty(count, np.float32)
    try:
        complete = fill(file, memoryview(values).cast("B")) == values.nbytes
    except OSError as error:
        raise cannot_read(name, error) from None
    if not complete:
        raise NanoBraggError(f"{name} became shorter while it was read")
    return values
