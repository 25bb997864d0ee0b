"""Whole files into memory."""

import errno
import os
import stat
from io import FileIO

from ..errors import NanoBraggError
from ..kernels.memory.buffers import Buffer
from .failures import file_name, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: what editors put before UTF-8 text
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def cannot_read(path: "Any", error: "Any", advice: str = "") -> "Any":
    """The NanoBraggError for a file that could not be read; advice: a clause that says what to do."""
    return NanoBraggError(f"cannot read {os.fsdecode(path)}: {reason(error)}{'; ' if advice else ''}{advice}")


def open_input(path: "Any") -> "Any":
    """The unbuffered binary file at `path`; raises OSError."""
    return FileIO(file_name(path), "r")


def check_regular(path: "Any") -> None:
    """Raise NanoBraggError for what is there and is no file: a folder, or a pipe, which may never end."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # whoever opens it says why
    if not stat.S_ISREG(mode):
        kind = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise cannot_read(path, OSError(kind, "it is a pipe or a device"))


def check_ends(file: "Any") -> None:
    """Raise OSError for an open file that is a device: /dev/zero has no end. Terminals and the null device have one."""
    status = os.fstat(file.fileno())
    if stat.S_ISBLK(status.st_mode) or (
        stat.S_ISCHR(status.st_mode) and not file.isatty() and status.st_rdev != os.stat(os.devnull).st_rdev
    ):
        raise OSError(errno.EINVAL, "it is a device, which may have no end")


def fill(file: "Any", view: "Any") -> "Any":
    """Read from `file` until `view`, a memoryview of bytes, is full or the file ends; return the bytes read."""
    filled = 0
    while filled < len(view):
        count = file.readinto(view[filled:])
        if not count:
            break
        filled += count
    return filled


def read_whole(file: "Any") -> "tuple[Any, Any]":
    """The rest of an open file as a Buffer of bytes, with room for one byte more, and the number of bytes.

    Raises OSError, MemoryError.
    """
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size > 0:
        size = status.st_size - file.tell()
        text = Buffer(max(size, 0) + 1, "B", zero=False)
        return text, fill(file, memoryview(text)[:size])
    # a pipe, a terminal, or one of the files of /proc, which have no size
    check_ends(file)
    data = file.readall()
    text = Buffer(len(data) + 1, "B", zero=False)
    memoryview(text)[: len(data)] = data
    return text, len(data)
