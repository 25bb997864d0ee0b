"""Observations of XDS: XDS_ASCII.HKL, merged or not, of any version, what XSCALE writes, and INTEGRATE.HKL.

Lines that begin with ! are the header, which says what stands in which column: !ITEM_IOBS=4, or, in INTEGRATE.HKL, the
names in their order.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .reflections import Reflections, content, gemmi_module, in_one_sentence, miller_indices

#: first lines; INTEGRATE.HKL says what it is on its own
STARTS = (b"!FORMAT=XDS_ASCII", b"!OUTPUT_FILE=INTEGRATE.HKL")
#: of the columns that are read, by the first letters of their names
COLUMNS = ("H", "K", "L", "IOBS", "SIGMA")


def read_xds_ascii(path: Any) -> Any:
    """The Reflections of an XDS file: intensities; misfits, of negative sigma, are left out."""
    name = os.fspath(path)
    lines = content(path).decode("latin-1").splitlines()
    header = [line for line in lines if line.startswith("!")]
    places = _places(name, header)
    with in_one_sentence(name):
        rows = np.array(_rows(name, lines, places), dtype=float).reshape(-1, len(COLUMNS))
    sigma = rows[:, 4]
    good = sigma > 0.0
    if not good.any():
        raise NanoBraggError(f"{name} has no observation with a positive sigma; give one with reflections")
    hkl = miller_indices(name, rows[good, :3])
    cell = _numbers(name, header, "UNIT_CELL_CONSTANTS", 6)
    number = _numbers(name, header, "SPACE_GROUP_NUMBER", 1)[0]
    group = gemmi_module().find_spacegroup_by_number(int(number)) if 1 <= number <= 230 else None
    if group is None:
        raise NanoBraggError(f"{name} has no SPACE_GROUP_NUMBER from 1 to 230; correct its header")
    notes = ["amplitudes from the intensities IOBS"]
    if not good.all():
        notes.append(f"{np.count_nonzero(~good)} misfits (negative sigma) are left out")
    warnings: tuple[str, ...] = ()
    if any("INTEGRATE.HKL" in line for line in header[:1]):
        warnings = ("these observations are not scaled; XDS_ASCII.HKL of the same data is",)
    return Reflections(
        hkl=hkl,
        values=rows[good, 3],
        sigma=sigma[good],
        intensities=True,
        unmerged=True,
        group=group,
        cell=cell,
        notes=tuple(notes),
        warnings=warnings,
    )


def _numbers(name, header, key, count):
    """The numbers behind a key of the header."""
    found = next((line.partition("=")[2].split() for line in header if line.startswith(f"!{key}=")), [])
    try:
        numbers = tuple(map(float, found[:count]))
    except ValueError:
        numbers = ()
    if len(numbers) < count or not np.isfinite(numbers).all():
        raise NanoBraggError(f"{name} has no {key} in its header; correct it")
    return numbers


def _places(name, header):
    """Where the columns are, counted from 0."""
    items = {}
    for line in header:
        found = re.match(r"!ITEM_([^=]+)=\s*(\d+)", line)
        if found:
            items[found[1].strip()] = int(found[2]) - 1
        elif line.startswith("!H,K,L,"):
            items = {word.strip(): place for place, word in enumerate(line[1:].split(","))}
    places = [
        next((place for item, place in items.items() if item.partition("(")[0] == column), None) for column in COLUMNS
    ]
    if None in places:
        raise NanoBraggError(f"{name} does not say in its header which column is {COLUMNS[places.index(None)]}")
    return places


def _rows(name, lines, places):
    """The words of the columns in all rows; NanoBraggError for a line that lacks one of them or has no number there."""
    found = []
    for number, line in enumerate(lines, 1):
        if line.startswith("!") or not line.strip():
            continue
        words = line.split()
        try:
            found.append([float(words[place]) for place in places])
        except (IndexError, ValueError):
            raise NanoBraggError(
                f"{name}, line {number}: {line.strip()[:40]!r} is no row of h, k, l, IOBS and SIGMA; it may be cut off"
            ) from None
    return found
