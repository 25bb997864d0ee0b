"""Damaged heaps of HDF5 files, found before the HDF5 library reads them and does not end.

A global heap ("GCOL") holds texts of any length, such as those of attributes: objects one behind the other, each with
its size. Object 0 is the free space at the end; where damage gives it no size, the library (2.0 at least) goes on from
where it is for ever, and no signal reaches Python meanwhile.
"""

import mmap
import os
import struct
from typing import Any

from ..errors import NanoBraggError

#: with its version
MAGIC = b"GCOL\x01\x00\x00\x00"
#: a heap has at least so many bytes
LEAST = 4096
#: larger files are not searched, which would take a while
LARGEST = 2**26
_SIZE, _OBJECT = struct.Struct("<Q"), struct.Struct("<HHIQ")


def check_heaps(path: Any) -> None:
    """Raise NanoBraggError for a file with a heap that the HDF5 library would read for ever."""
    try:
        if not os.path.isfile(path) or not 0 < os.path.getsize(path) <= LARGEST:
            return
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            check_heaps_in(os.fsdecode(path), data)
    except (OSError, ValueError):
        return  # whoever opens it says why


def check_heaps_in(name: str, data: Any) -> None:
    """The same of the bytes of a file. name: for the sentence."""
    at = data.find(MAGIC)
    while at >= 0:
        if _is_endless(data, at):
            raise NanoBraggError(f"{name} is damaged: its heap of texts at byte {at} has no end")
        at = data.find(MAGIC, at + len(MAGIC))


def _is_endless(data: Any, at: int) -> bool:
    """Whether the objects of the heap at a place come to a free space without a size."""
    if at + 16 > len(data):
        return False
    size = _SIZE.unpack_from(data, at + 8)[0]
    if size < LEAST:
        return False
    end = min(at + size, len(data))
    place = at + 16
    while place + _OBJECT.size <= end:
        number, _, _, size = _OBJECT.unpack_from(data, place)
        if number == 0:
            return size == 0
        if size > end - place:  # added to a place, it comes round to it
            return True
        place += _OBJECT.size + -(-size // 8) * 8
    return False
