"""Groups of parameters that vary together: lists and ranges of a job file, and tables in CSV or JSON lines.

A group is a dict of columns; row r gives an image the value that each column has there. MISSING stands where a row
says nothing of a column.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
from collections.abc import Sequence
from math import isfinite
from typing import Any

from ..errors import FieldError, NanoBraggError
from ..files.reading import cannot_read, check_ends

MISSING = object()
LARGEST = 10**9
#: a number as it is written where commas are decimal, between blanks
DECIMAL_COMMA = re.compile(r"(?<!\S)([-+]?\d+),(\d+(?:[eE][-+]?\d+)?)(?!\S)")


class Span(Sequence):
    """The values of a range, each worked out when it is asked for, so that a billion of them take no memory.

    first, other: where it begins, and its end or its step or ratio. kind: "step", "ratio", "ends" or "log ends".
    """

    def __init__(self, kind: Any, first: Any, other: Any, count: int) -> None:
        self.kind, self.first, self.other, self.number = kind, first, other, count

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(self.number))]
        if not -self.number <= place < self.number:
            raise IndexError(place)
        place %= self.number
        first, other, last = self.first, self.other, max(1, self.number - 1)
        if self.kind == "step":
            return first + other * place
        if self.kind == "ratio":
            # whole numbers stay whole as long as anybody could mean them
            return first * (other if place < 1000 else float(other)) ** place
        if self.number == 1:
            return first
        if self.kind == "ends":
            return first + (other - first) * place / last
        return first * (other / first) ** (place / last)

    def told(self) -> list[Any]:
        """What tells it from other ranges."""
        return ["range", self.kind, self.first, self.other, self.number]


def group_length(columns: dict[str, list]) -> int:
    """How many rows a group has."""
    return len(next(iter(columns.values())))


def row(columns: dict[str, Any], number: int) -> dict[str, Any]:
    """What row `number` of a group says."""
    return {name: column[number] for name, column in columns.items() if column[number] is not MISSING}


def ends(column: Any) -> list[Any]:
    """The values of a column among which are its least and its largest; a range is monotonic."""
    if isinstance(column, Span):
        return [column[0], column[-1]]
    return [value for value in column if value is not MISSING]


def read_column(name: str, given: Any, number: Any) -> Sequence:
    """The values of a list or a range.

    given: a list; or a table of start, stop and count (both ends count), with log = true in equal ratios; or of start,
    step and count. number: called with a number or a word with a unit, gives the number. Raises FieldError.
    """
    if isinstance(given, list):
        if not given:
            raise FieldError(f"{name} is an empty list; give at least one value")
        return given
    if not isinstance(given, dict):
        raise FieldError(f"{name} is {given!r}; give a list, or a range such as {{ start = 0, stop = 1, count = 5 }}")
    for key in given:
        if key not in ("start", "stop", "step", "count", "log"):
            raise FieldError(f"{name} has {key!r}; a range has start, count, and stop or step, and log")
    if ("stop" in given) == ("step" in given) or not {"start", "count"} <= set(given):
        raise FieldError(f"{name}: a range has start, count, and either stop or step")
    count = given["count"]
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= LARGEST:
        raise FieldError(f"{name} has count = {count!r}; it must be a whole number of 1 or more")
    start, other = (number(given[key]) for key in ("start", "stop" if "stop" in given else "step"))
    for value in (start, other):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise FieldError(f"{name} has {value!r} in its range; it must be a number")
        if not abs(value) < float("inf"):
            raise FieldError(f"{name} has {value!r} in its range; it must be a finite number")
    log = given.get("log", False)
    if log not in (True, False):
        raise FieldError(f"{name} has log = {log!r} in its range; it must be true or false")
    if log and "stop" in given and count > 1 and not start * other > 0:
        raise FieldError(f"{name}: a range with log = true needs a start and a stop of one sign, neither of them 0")
    kind = ("ratio" if log else "step") if "step" in given else ("log ends" if log else "ends")
    values = Span(kind, start, other, count)
    try:
        ends_well = all(isfinite(values[place]) for place in (0, -1))
    except (OverflowError, ZeroDivisionError):
        ends_well = False
    if not ends_well:
        raise FieldError(f"{name}: the last value of its range is not a finite number")
    return values


# ---- files ---------------------------------------------------------------------------------------------------------


def read_table(path: str) -> dict[str, list]:
    """The columns of a .csv or .jsonl file, row by row what an image has of its own.

    CSV: the first line names the columns: ``flags``, flags such as ``-lambda``, or fields such as ``beam.wavelength``.
    Where it has no comma, semicolons or tabs may stand between columns, and numbers may have decimal commas.
    JSON lines: an object a line with such keys, or a text, which is the flags. Raises NanoBraggError that names the
    line.
    """
    read = {".csv": _csv_rows, ".jsonl": _json_rows}.get(os.path.splitext(path)[1].lower())
    if read is None:
        raise NanoBraggError(f"{path} is no table; give a file that ends in .csv or .jsonl")
    columns: dict[str, list] = {}
    count = 0
    try:
        with open(path, "rb") as raw:
            check_ends(raw)
            # UTF-8 with a byte order mark or without, or UTF-16 with one, as some programs write text
            code = "utf-16" if raw.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            file = io.TextIOWrapper(raw, encoding=code, newline="")
            for values in read(path, file):
                for name in values:
                    if name not in columns:
                        columns[name] = [MISSING] * count
                for name, column in columns.items():
                    column.append(values.get(name, MISSING))
                count += 1
    except OSError as error:
        raise cannot_read(path, error) from None
    except csv.Error as error:
        raise NanoBraggError(f"{path}, line {count + 2} or after it is no CSV: {error}") from None
    except UnicodeDecodeError:
        raise NanoBraggError(f"{path} is no text in UTF-8; write it as CSV or JSON lines") from None
    if not count or not columns:
        raise NanoBraggError(f"{path} has no rows; give one for every image")
    return columns


def _csv_rows(path, file):
    first = file.readline()
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        first = file.readline()
    mark = next((mark for mark in (";", "\t") if mark in first and "," not in first), ",")
    rows = csv.reader(itertools.chain([first], file), delimiter=mark)
    names = [name.strip() for name in next(rows, [])]
    if not names or not all(names) or len(set(names)) < len(names):
        raise NanoBraggError(f"{path}, line 1 must name the columns, each once, as in flags or -lambda,-misset")
    for cells in rows:
        if not cells:
            continue
        if len(cells) != len(names):
            raise NanoBraggError(f"{path}, line {rows.line_num} has {len(cells)} cells; line 1 names {len(names)}")
        if mark != ",":
            cells = [DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in cells]
        yield {name: _cell(name, cell) for name, cell in zip(names, cells, strict=True) if cell.strip()}


def _cell(name, cell):
    """A number, numbers in a row, what JSON makes of it, or a word."""
    if name == "flags":
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        pass
    try:
        numbers = [float(word) for word in cell.split()]
    except ValueError:
        return cell.strip()
    return numbers if len(numbers) > 1 else numbers[0]


def _json_rows(path, file):
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise NanoBraggError(f"{path}, line {number} is no JSON: {error}") from None
        if isinstance(values, str):
            values = {"flags": values}
        if not isinstance(values, dict):
            raise NanoBraggError(f"{path}, line {number} is neither an object nor a text; write one of them a line")
        yield values
