"""Reflections as a file of another program states them, before symmetry has its say; and what their readers share."""

from __future__ import annotations

import lzma
import os
import tempfile
import zlib
from contextlib import contextmanager
from importlib import import_module

import numpy as np

from ..errors import NanoBraggError
from ..records import REQUIRED, Record
from .extras import need
from .reading import cannot_read, check_ends
from .source import WRAPPINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: no Miller index is as large as that
LARGEST_INDEX = 99_999
#: amplitude columns in the order in which they are looked for when no label is given
AMPLITUDES = (
    "FP",
    "F",
    "FOBS",
    "F-obs",
    "F-obs-filtered",
    "F_meas_au",
    "F_meas",
    "FC",
    "F-model",
    "FMODEL",
    "F_calc_au",
    "F_calc",
)
INTENSITIES = ("IMEAN", "I", "IOBS", "I-obs", "intensity_meas", "F_squared_meas", "intensity_net", "IPR")
ADVICE = "give a file of structure factors"
#: as much as a compressed file may hold, bytes
LARGEST_TEXT = 2**31
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_PACKED = tuple(magic for magic, _ in WRAPPINGS)


class Reflections(Record):
    """Rows of a file.

    hkl: int64 array (N, 3). values: float64 array (N,), nan where there is no number; intensities: whether they are
    that, and not amplitudes. sigma: (N,) standard deviations, or None. mates: (values, sigma) of -h -k -l in the same
    rows, or None. unmerged: whether the file is one of observations, so that several of one reflection are to be
    expected. group: gemmi's SpaceGroup, or None where the rows are all there is. cell: lengths in Angstrom and
    angles in degrees, or None. notes: sentences on what was taken and left; warnings: on what is not as it should be.
    """

    _fields = {
        "hkl": REQUIRED,
        "values": REQUIRED,
        "sigma": None,
        "mates": None,
        "intensities": False,
        "unmerged": False,
        "group": None,
        "cell": None,
        "notes": (),
        "warnings": (),
    }


def gemmi_module() -> Any:
    """The package gemmi; NanoBraggError that says how to install it where it is missing."""
    return need("gemmi", "gemmi", "MTZ, mmCIF, XDS_ASCII, SCALEPACK and models")


@contextmanager
def in_one_sentence(name: str, shown: Any = None) -> Iterator[Any]:
    """What gemmi, numpy and Python say of a file, as a NanoBraggError that names it. shown: the name that they know."""
    try:
        yield
    except NanoBraggError:
        raise
    except (OSError, RuntimeError, ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
        reason = "a name in it is no text" if isinstance(error, UnicodeError) else " ".join(str(error).split())
        if shown is not None:
            reason = reason.replace(shown, name)
        raise NanoBraggError(f"cannot read {name}: {reason or 'it is not what it should be'}") from None


def content(path: Any, limit: Any = LARGEST_TEXT) -> Any:
    """The bytes of a file, decompressed (gzip, bzip2, xz), without a byte order mark, in UTF-8 if they were in UTF-16.

    limit: no more than so many of them. Raises NanoBraggError.
    """
    name = os.fspath(path)
    module = None
    try:
        with open(name, "rb") as file:
            check_ends(file)
            head = file.read(6)
            module = next((module for magic, module in WRAPPINGS if head.startswith(magic)), None)
            file.seek(0)
            data = file.read(limit) if module is None else import_module(module).open(file).read(limit)
    except (EOFError, zlib.error, lzma.LZMAError):
        raise _damaged(name, module) from None
    except (OSError, ValueError) as error:
        # gzip and bz2 have no errors of their own for damage
        if module is not None and getattr(error, "errno", None) is None:
            raise _damaged(name, module) from None
        raise cannot_read(path, error, ADVICE) from None
    if len(data) == LARGEST_TEXT:
        raise NanoBraggError(f"{name} is larger than {LARGEST_TEXT >> 30} GiB; give a part of it")
    return _in_utf8(name, data, limit)


def _damaged(name, module):
    kind = {"gzip": "gzip", "bz2": "bzip2", "lzma": "xz"}[module]
    return NanoBraggError(f"{name} is {kind} that is cut off or damaged; unpack it again from its source")


def _in_utf8(name, data, limit):
    """Bytes of a text without its mark, in UTF-8 where the mark, or every other byte, says that they are in UTF-16."""
    code = next((code for mark, code in _MARKS.items() if data.startswith(mark)), None)
    if code is None and len(data) > 7 and data[0] + data[1] and (data[0] == 0 or data[1] == 0):
        first = 1 if data[0] == 0 else 0
        if not any(data[1 - first : 64 : 2]) and all(9 <= byte < 127 for byte in data[first:64:2]):
            code = ("utf-16-le", "utf-16-be")[first]
    if code is None:
        return data
    try:
        return data.decode(code, "ignore" if limit < LARGEST_TEXT else "strict").encode()
    except UnicodeError:
        raise NanoBraggError(f"{name} begins as {code} does, and is none; save it as UTF-8") from None


@contextmanager
def plain_file(path: Any, suffix: str) -> Iterator[Any]:
    """The name of a file with the content of `path` that other libraries can read: itself, or a temporary one."""
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            head = file.read(6)
    except (OSError, ValueError) as error:
        raise cannot_read(path, error, ADVICE) from None
    if not head.startswith((*_PACKED, *_MARKS)):
        yield name
        return
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content(path))
        file.flush()
        yield file.name


def listed(names: Any) -> Any:
    """Names in a sentence."""
    return ", ".join(names) or "none"


def miller_indices(name: str, hkl: Any) -> Any:
    """Indices, (N, 3) numbers, as int64; NanoBraggError that names the first reflection whose indices are none."""
    hkl = np.asarray(hkl, dtype=float)
    good = (np.abs(hkl) <= LARGEST_INDEX) & (hkl == np.rint(hkl))
    if not good.all():
        row = int(np.argmin(good.all(axis=1)))
        index = " ".join(f"{x:g}" for x in hkl[row])
        raise NanoBraggError(f"{name}, reflection {row + 1}: {index} are no Miller indices; correct it")
    return hkl.astype(np.int64)
