"""Intensities as SCALEPACK writes them (.sca): merged, with mates or without, and unmerged (NO MERGE ORIGINAL INDEX).

Columns are fixed and may touch: (3I4, 4F8.1) of merged files, below three lines of heading with cell and space group;
(6I4, I6, 2I2, I3, 2F8.1) of unmerged ones, below the space group and its operations, two lines each.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .reflections import Reflections, content, gemmi_module, in_one_sentence, miller_indices

#: first and last column of the fields of a row: the indices, and what is wanted of the rest
INDICES = ((0, 4), (4, 8), (8, 12))
MERGED = (*INDICES, (12, 20), (20, 28), (28, 36), (36, 44))
UNMERGED = (*INDICES, (37, 45), (45, 53))
_UNMERGED_START = re.compile(r" *(\d{1,3}) +([A-Za-z][-A-Za-z0-9/ ]*)\s*")


def is_scalepack(head: bytes) -> bool:
    """Whether the first bytes of a text are those of a merged or an unmerged file."""
    lines = head.decode("latin-1").splitlines()[:3]
    return _merged_heading(lines) is not None or _operations(lines) > 0


def _merged_heading(lines):
    """(cell, space group's name) of a merged file's first lines, or None."""
    if len(lines) < 3 or lines[0].strip() != "1" or not re.fullmatch(r" *-?\d+ *", lines[1]):
        return None
    words = lines[2].split(None, 6)
    try:
        return tuple(map(float, words[:6])), words[6].strip()
    except (ValueError, IndexError):
        return None


def _operations(lines):
    """How many operations an unmerged file states by its first lines; 0 for a file that is none."""
    found = _UNMERGED_START.fullmatch(lines[0]) if len(lines) > 2 else None
    if found is None or [len(line.split()) for line in lines[1:3]] != [9, 3]:
        return 0
    whole = all(re.fullmatch(r"-?\d{1,2}", word) for line in lines[1:3] for word in line.split())
    return int(found[1]) if whole else 0


def read_scalepack(path: Any) -> Any:
    """The Reflections of a SCALEPACK file: intensities. What was not measured (sigma of -1) is left out."""
    name = os.fspath(path)
    lines = content(path).decode("latin-1").splitlines()
    with in_one_sentence(name):
        count = _operations(lines)
        if count:
            return _unmerged(name, lines, count)
        cell, symbol = _merged_heading(lines)
        return _merged(name, lines, cell, symbol)


def _fields(name, number, line, places):
    """(Miller indices, the other fields as numbers, nan for those that are empty or overflowed) of a row."""
    words = [line[first:last].strip() for first, last in places]
    try:
        index = [int(word) for word in words[:3]]
        rest = [np.nan if not word.strip("*") else float(word) for word in words[3:]]
    except ValueError:
        raise NanoBraggError(f"{name}, line {number}: {line.strip()[:40]!r} is no row of a SCALEPACK file") from None
    return index, rest


def _rows(name, lines, skipped, places):
    """Miller indices (N, 3) and the other fields of all rows behind the heading."""
    rows = [
        _fields(name, number, line, places) for number, line in enumerate(lines[skipped:], skipped + 1) if line.strip()
    ]
    if not rows:
        raise NanoBraggError(f"{name} has no rows behind its heading; give a file with reflections")
    hkl, fields = zip(*rows, strict=True)
    return miller_indices(name, hkl), np.array(fields, dtype=float)


def _measured(intensity, sigma):
    """Intensities, nan where a sigma says that there is none."""
    return np.where((sigma == -1.0) | ((sigma == 0.0) & (intensity == 0.0)), np.nan, intensity)


def _group(name, symbol, cell=None, operations=None):
    gemmi = gemmi_module()
    alpha, gamma = (cell[3], cell[5]) if cell is not None else (0.0, 0.0)
    group = gemmi.find_spacegroup_by_name(symbol[:1].upper() + symbol[1:], alpha, gamma)
    if group is None and operations:
        group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(operations))
    if group is None:
        raise NanoBraggError(f"{name} is of the space group {symbol!r}, which gemmi does not know; correct its heading")
    return group


def _merged(name, lines, cell, symbol):
    hkl, fields = _rows(name, lines, 3, MERGED)
    plus, plus_sigma, minus, minus_sigma = fields.T
    mates = None
    notes = ["amplitudes from the intensities I"]
    if np.isfinite(minus).any():
        mates = _measured(minus, minus_sigma), minus_sigma
        notes = ["amplitudes from the intensities I(+) and I(-)"]
    return Reflections(
        hkl=hkl,
        values=_measured(plus, plus_sigma),
        sigma=plus_sigma,
        mates=mates,
        intensities=True,
        group=_group(name, symbol, cell),
        cell=cell,
        notes=tuple(notes),
    )


def _unmerged(name, lines, count):
    symbol = _UNMERGED_START.fullmatch(lines[0])[2].strip()
    hkl, fields = _rows(name, lines, 1 + 2 * count, UNMERGED)
    operations = []
    for first in range(1, 1 + 2 * count, 2):
        rotation = np.array(lines[first].split(), int).reshape(3, 3)
        shift = np.array(lines[first + 1].split(), int)
        operation = gemmi_module().Op()
        operation.rot, operation.tran = (24 * rotation).tolist(), (2 * shift).tolist()
        operations.append(operation)
    return Reflections(
        hkl=hkl,
        values=_measured(*fields.T),
        sigma=fields[:, 1],
        intensities=True,
        unmerged=True,
        group=_group(name, symbol, operations=operations),
        notes=("not merged yet: amplitudes from the intensities I",),
    )
