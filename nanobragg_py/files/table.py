"""Text files of numbers in columns: the source lists of -sourcefile and the tables of -stol.

Reference: read_text_file. Blanks, tabs, commas, semicolons, colons and exclamation marks separate the columns; what is
no number counts as 0; empty lines are skipped. Where the reference takes a carriage return, or a last line without a
line feed, for further columns of zeros, those columns are missing here.
"""

import os

from ..errors import NanoBraggError
from .reading import BYTE_ORDER_MARK, cannot_read, check_ends
from .scan import scan_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DELIMITERS = b" \t,;:!"
_NAN = float("nan")
#: what a table of plain numbers is made of
_PLAIN = b"0123456789+-.eEgG \t\r\n:;!"
#: bytes that are looked through for numbers that are not read as they are meant
_LOOKED_AT = 2**20
#: m; what X-rays have
_WAVELENGTHS = (1e-13, 1e-7)


def _parse_row(line, columns):
    """The numbers of a line, nan where one is missing; None for an empty line."""
    line = line.rstrip(b"\r\n").strip(_DELIMITERS)
    if not line:
        return None
    row = []
    position = 0
    while position < len(line) and len(row) < columns:
        row.append(scan_number(line, position)[0])
        while position < len(line) and line[position] not in _DELIMITERS:
            position += 1
        while position < len(line) and line[position] in _DELIMITERS:
            position += 1
    return (*row, *[_NAN] * (columns - len(row)))


def read_table(path: "Any", columns: "Any") -> "Any":
    """The rows of a text file as tuples of `columns` floats, nan for a missing value; further columns are ignored.

    Raises NanoBraggError when the file cannot be read or has no row.
    """
    try:
        with open(path, "rb") as file:
            check_ends(file)
            if file.peek(len(BYTE_ORDER_MARK)).startswith(BYTE_ORDER_MARK):
                # the reference takes the mark for a word, and the first number for 0
                raise NanoBraggError(f"{path} begins with a byte order mark; save it as UTF-8 without one")
            rows = [row for row in (_parse_row(line, columns) for line in file) if row is not None]
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from None
    if not rows:
        raise NanoBraggError(f"{path} is empty; it needs rows of {columns} numbers")
    return rows


def read_sources(path: "Any") -> "Any":
    """The rows (X, Y, Z, weight, wavelength) of a source list, m, nan for a missing value; errors as `read_table`."""
    return read_table(path, 5)


def read_columns(path: "Any", columns: "Any", numbers_only: bool = False) -> "Any":
    """The rows of a text file by all of the reference's rules, those for carriage returns and last lines included.

    numbers_only: leave out rows that do not begin with a number, which the reference takes for rows of zeros. Returns a
    memoryview of float64 of shape (columns, rows), nan for a missing value. Errors as `read_table`.
    """
    from ..kernels.files.columns import read_columns as columns_of
    from .reading import open_input, read_whole

    try:
        with open_input(path) as file:
            text, length = read_whole(file)
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from None
    data = memoryview(text)
    if numbers_only and bytes(data[: len(BYTE_ORDER_MARK)]) == BYTE_ORDER_MARK:
        # the reference takes the mark for a word, and its row for prose
        data, length = data[len(BYTE_ORDER_MARK) :], length - len(BYTE_ORDER_MARK)
    table, rows = columns_of(data, length, columns, numbers_only)
    if not rows:
        raise NanoBraggError(f"{path} has no row of numbers; it needs rows of {columns}")
    return memoryview(table)


def odd_wavelength(rows: "Any", path: "Any") -> "str | None":
    """A sentence about the first source whose wavelength is none of X-rays, or None. rows: of a source list."""
    for number, row in enumerate(rows, 1):
        if row[4] == row[4] and row[4] != 0.0 and not _WAVELENGTHS[0] <= abs(row[4]) <= _WAVELENGTHS[1]:
            return (
                f"source {number} of {path} has a wavelength of {row[4]:g} m, which is none of X-rays; the fifth "
                "column is in metres, 1e-10 for one Angstrom"
            )
    return None


def odd_numbers(path: "Any") -> "str | None":
    """A sentence about the first line of a table whose numbers are not read as they are meant, or None.

    Those are Fortran's exponents, decimal commas, and lines that end in carriage returns alone.
    """
    try:
        if not os.path.isfile(path):
            return None  # what comes through a pipe comes once
        with open(path, "rb") as file:
            text = file.read(_LOOKED_AT)
    except (OSError, ValueError):
        return None
    if b"\r" in text and b"\n" not in text:
        return f"the lines of {path} end in carriage returns alone, and count as one; save it with line feeds"
    if not text.translate(None, _PLAIN):
        return None
    from re import match

    for number, line in enumerate(text.splitlines(), 1):
        words = line.decode("latin-1")
        if found := match(r"\s*(?:[-+.\d]+[eE]?[-+\d]*[\s,;:!]+)?([-+]?(?:\d+\.?\d*|\.\d+)[dDqQ][-+]?\d+)", words):
            return f"line {number} of {path} has {found[1]}, of which what stands before the letter counts; write e"
        if match(r"\s*[-+]?\d+,\d+[ \t;]+[-+]?\d+,?\d*\s*$", words):
            said = words.strip()[:40]
            return f"line {number} of {path} is {said!r}, where a comma separates columns; write decimal points"
    return None
