"""Structure factors in whatever columns of text people have them: the reader that bends, beside the reference's.

One reflection a line, and the line decides: indices written as floats, decimal commas, Fortran's D exponents, commas,
semicolons or tabs between columns, names above them, more columns than four, fixed columns that touch (SHELX), comment
lines, byte order marks. What cannot be read is named with its line.
"""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .reflections import AMPLITUDES, INTENSITIES, LARGEST_INDEX, Reflections, content, miller_indices

_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eEdDqQ][+-]?\d+)?|[+-]?inf(?:inity)?", re.I)
_MISSING = {"", "?", ".", "na", "n/a", "nan", "+nan", "-nan", "none", "null", "<na>"}
_COMMENTS = ("#", "!", "//")
_PLAIN = b"0123456789+-.eE \t\r\n"
_AMPLITUDE_NAMES = {name.lower() for name in (*AMPLITUDES, "fo", "fmeas", "f_obs", "amplitude", "fhkl", "|f|")}
_INTENSITY_NAMES = {
    name.lower()
    for name in (*INTENSITIES, "intensity", "i_obs", "f2", "fsq", "fo2", "f^2", "fsquared", "fo^2", "f_squared")
}
_SIGMA = re.compile(r"^(sig|sd|su$|esd|std|d[fi]$)", re.I)


def read_columns(path: Any, label: str | None = None, intensities: bool = False) -> Any:
    """The Reflections of a text.

    label: the column's name, where the first line, or a comment above the rows, gives names; None: a name that is
    known, or the fourth column. intensities: the column holds intensities.
    """
    name = os.fspath(path)
    data = content(path)
    rows = _plain_rows(data) if label is None else None
    if rows is not None:
        return Reflections(hkl=miller_indices(name, rows[:, :3]), values=rows[:, 3], intensities=intensities)
    text = _Text(name, data.decode("utf-8", "surrogateescape"))
    if not text.rows:
        raise NanoBraggError(f"not enough HKL indices in {name}; its rows should be h k l F")
    return text.reflections(label, intensities)


def _plain_rows(data):
    """The numbers of a text of four plain columns, (N, 4), or None for any other."""
    if data.translate(None, _PLAIN) or _fixed_fields(data.lstrip(b"\r\n")[:80].split(b"\n")[0].decode()):
        return None
    text = np.frombuffer(b" " + data.replace(b"\r", b"\n"), np.uint8)
    blank = np.isin(text, np.frombuffer(b" \t\n", np.uint8))
    starts = np.flatnonzero(blank[:-1] & ~blank[1:]) + 1
    # how many numbers there are on the lines that have one, and which number a point or exponent belongs to
    _, count = np.unique(np.cumsum(text == ord("\n"))[starts], return_counts=True)
    broken = np.flatnonzero(np.isin(text, np.frombuffer(b".eE", np.uint8)))
    column = (np.searchsorted(starts, broken, "right") - 1) % 4
    if not len(count) or (count != 4).any() or (column != 3).any():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            numbers = np.fromstring(data.decode(), sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    return numbers.reshape(-1, 4) if len(numbers) == len(starts) else None


def _number(word):
    word = word.strip("\"'")
    if word.lower() in _MISSING:
        return np.nan
    if not _NUMBER.fullmatch(word):
        raise ValueError(word)
    return float(word if word[-1].isalpha() else re.sub("[dDqQ]", "e", word.replace(",", ".")))


def _is_number(word):
    return _NUMBER.fullmatch(word.strip("\"'")) is not None


def _fixed_fields(line):
    """The fields of SHELX's fixed columns (three of 4 characters, two of 8), or None where they do not fit."""
    if len(line.rstrip()) < 20:
        return None
    fields = [line[0:4], line[4:8], line[8:12], line[12:20], line[20:28]]
    if not all(field[-1].isdigit() and field.strip().lstrip("+-").isdigit() for field in fields[:3]):
        return None
    for field in fields[3:] if fields[4].strip() else fields[3:4]:
        # the last digit, or the point behind it, is in the last column
        if field[-1:].isspace() or "." not in field or not re.fullmatch(r" *[+-]?\d*\.\d*", field):
            return None
    return [field.strip() for field in (fields if fields[4].strip() else fields[:4])]


def _splitter(line):
    """How the columns of a row are told apart."""
    words = line.split()
    if ";" in line:
        return ";"
    if "\t" in line and len(line.split("\t")) >= 4:
        return "\t"
    if len(words) >= 4 and all(map(_is_number, words[:4])):
        return None
    return "," if "," in line else None


def _split(line, mark):
    if mark is None:
        return line.split()
    return [word.strip().strip("\"'") for word in line.split(mark)]


class _Text:
    """Lines sorted into rows, names and comments. rows: list of (line number, text)."""

    def __init__(self, name, text):
        self.name, self.rows, self.names, self.skipped = name, [], None, []
        mark = None
        for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
            bare = line.strip()
            if not bare:
                continue
            if bare.startswith(_COMMENTS):
                words = bare.lstrip("#!/ ").lower().replace(",", " ").replace(";", " ").split()
                if not self.rows and {"h", "k", "l"} <= set(words):
                    self.names = bare.lstrip("#!/ ")
                continue
            if not self.rows:
                mark = _splitter(line)
                first = next((word for word in _split(line, mark) if word), "")
                if not _is_number(first) and not _fixed_fields(line):
                    self.names = bare
                    self.skipped.append(number)
                    continue
            self.rows.append((number, re.split(r"[#!]", line, maxsplit=1)[0].rstrip()))
        self.mark = mark

    def reflections(self, label, intensities):
        fixed = [_fixed_fields(line) for _, line in self.rows] if self.mark is None else [None]
        end = next((i for i, fields in enumerate(fixed) if fields is None), len(fixed))
        stop = next((i for i, fields in enumerate(fixed) if fields and _is_end(fields)), None)
        if stop is not None and any(fixed[stop + 1 :]):
            stop = None
        split = [_split(line, self.mark) for _, line in self.rows]
        notes, is_shelx = [], False
        if end and (end == len(fixed) or (stop is not None and stop < end)) and label is None:
            is_shelx = stop is not None or any(fields != words[:5] for fields, words in zip(fixed, split, strict=True))
        if is_shelx:
            split = fixed[:stop]
            notes.append("read in SHELX's fixed columns; its fourth field is taken as " + _what(intensities))
        elif (at := self._zero_row(split)) is not None:
            split = split[:at]
            notes.append(f"the row of zeros on line {self.rows[at][0]} ends the list, as SHELX's files have it")
        if not split:
            raise NanoBraggError(f"not enough HKL indices in {self.name}; its rows should be h k l F")
        columns, sigma_at = self._columns(split[0], label, intensities, is_shelx, notes)
        rows = np.empty((len(split), 4))
        sigma = np.full(len(split), np.nan)
        for i, words in enumerate(split):
            rows[i] = self._row(self.rows[i], words, columns)
            if sigma_at is not None and sigma_at < len(words):
                try:
                    sigma[i] = _number(words[sigma_at])
                except ValueError:
                    sigma[i] = np.nan
        if self.skipped:
            lines = ", ".join(map(str, self.skipped[:3])) + (" ..." if len(self.skipped) > 3 else "")
            notes.append(f"line {lines} taken for a heading")
        return Reflections(
            hkl=rows[:, :3].astype(np.int64),
            values=rows[:, 3],
            sigma=sigma if sigma_at is not None else None,
            intensities=intensities,
            notes=tuple(notes),
        )

    @staticmethod
    def _zero_row(split):
        """The row of zeros that no other row follows, or None."""
        at = next((at for at, words in enumerate(split) if _is_end(words)), None)
        if at is None or any(len(words) > 3 and all(map(_is_number, words[:4])) for words in split[at + 1 :]):
            return None
        return at

    def _row(self, row, words, columns):
        number, line = row
        if len(words) <= max(columns):
            raise NanoBraggError(
                f"{self.name}, line {number}: {line.strip()[:40]!r} has {len(words)} of the columns h k l F"
            )
        values = []
        for column, what in zip(columns, ("h", "k", "l", "F"), strict=True):
            word = words[column]
            try:
                value = _number(word)
            except ValueError:
                raise NanoBraggError(f"{self.name}, line {number}: {what} is {word[:30]!r}, no number") from None
            if what != "F" and not (value == np.rint(value) and abs(value) <= LARGEST_INDEX):
                raise NanoBraggError(f"{self.name}, line {number}: {what} is {word[:30]!r}, no Miller index")
            values.append(value)
        return values

    def _columns(self, first, label, intensities, is_shelx, notes):
        """Places of h, k, l, F and of the standard deviations, or None for the latter."""
        count = len(first)
        names = None if is_shelx or self.names is None else _split(self.names, _names_mark(self.names))
        if names is not None and len(names) != count:
            names = None
        if names is None:
            if label is not None:
                raise NanoBraggError(f"label has no meaning for {self.name}, whose columns have no names")
            if count > 4 and not is_shelx:
                notes.append(f"column 4 is taken as {_what(intensities)}, columns from the fifth on are left out")
            return (0, 1, 2, 3), 4 if is_shelx and count > 4 else None
        low = [re.sub(r"^.*index_", "", name.lower()) for name in names]
        indices = [low.index(axis) if axis in low else place for place, axis in enumerate("hkl")]
        rest = [place for place in range(count) if place not in indices]
        if not rest:
            raise NanoBraggError(f"{self.name} has no column besides its indices; its rows should be h k l F")
        value = self._named(names, rest, label, intensities)
        sigmas = [place for place in rest if place > value and _SIGMA.match(names[place])]
        others = [names[place] for place in rest if place != value and place not in sigmas[:1]]
        rest = f"; left out: {', '.join(others)}" if others else ""
        notes.append(f"{_what(intensities)} from column {names[value]}{rest}")
        return (*indices, value), sigmas[0] if sigmas else None

    def _named(self, names, rest, label, intensities):
        low = [name.lower() for name in names]
        if label is not None:
            if label not in names:
                offered = ", ".join(names[place] for place in rest)
                raise NanoBraggError(f"{self.name} has no such column as {label}; there are: {offered}")
            place = names.index(label)
            if place not in rest:
                raise NanoBraggError(f"column {label} of {self.name} holds indices")
        else:
            wanted = _INTENSITY_NAMES if intensities else _AMPLITUDE_NAMES
            place = next((place for place in rest if low[place] in wanted), None)
            if place is None:
                place = next((place for place in rest if not _SIGMA.match(names[place])), rest[0])
        if low[place] in _INTENSITY_NAMES and not intensities:
            raise NanoBraggError(f"column {names[place]} of {self.name} holds intensities; add --intensities")
        return place


def _is_end(fields):
    """Whether a row of more than four columns has nothing but zeros."""
    return len(fields) > 4 and all(word.strip("+-0.") == "" and "0" in word for word in fields)


def _what(intensities):
    return "intensities" if intensities else "amplitudes"


def _names_mark(names):
    return next((mark for mark in (";", "\t", ",") if mark in names), None)
