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
from .foreign import foreign_kind
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
#: names of what is neither an amplitude nor an intensity
_OTHER = re.compile(
    r"^(ph(ase|i|w?t)?[a-z_]*|fom|d|d[_-]?spac.*|d ?\(.*|res(olution)?|m|mult.*|n|nmeas|redundancy|free.*|r-?free.*|"
    r"flags?|status|batch|2 ?theta|two.?theta|tth|stol|s|q|id|index|no\.?)$",
    re.I,
)
#: what ends a list of CrystFEL's
_END = "end of reflections"
#: so many rows that count themselves are no accident
_COUNTED = 20


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
    kind = foreign_kind(data[:512])
    if kind is not None:
        raise NanoBraggError(f"{name} is {kind}, which is not read here; give a file of structure factors")
    return columns_of_text(name, data.decode("utf-8", "surrogateescape"), label, intensities)


def columns_of_text(name: str, text: str, label: str | None = None, intensities: bool = False) -> Any:
    """The Reflections of a text. name: of its file. The rest as of `read_columns`."""
    found = _Text(name, text)
    if not found.rows:
        first = next((line.strip() for line in text.splitlines() if line.strip()), "")
        line = f", and the first line is {first[:40]!r}" if first else ""
        raise NanoBraggError(f"not enough HKL indices in {name}; its rows should be h k l F{line}")
    return found.reflections(label, intensities)


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
    if mark is None:  # R's write.table quotes the names of columns and rows
        return [word[1:-1] if len(word) > 1 and word[0] == word[-1] == '"' else word for word in line.split()]
    return [word.strip().strip("\"'") for word in line.split(mark)]


class _Text:
    """Lines sorted into rows, names and comments. rows: list of (line number, text)."""

    def __init__(self, name, text):
        self.name, self.rows, self.names, self.skipped, self.warnings = name, [], None, [], []
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
            if self.rows and bare.lower() == _END:
                break
            if not self.rows:
                mark = _splitter(line)
                first = next((word for word in _split(line, mark) if word), "")
                if not _is_number(first) and not _fixed_fields(line):
                    self._heading(number, bare)
                    continue
            self.rows.append((number, re.split(r"[#!]", line, maxsplit=1)[0].rstrip()))
        self.mark = mark

    def _heading(self, number, line):
        """A line above the rows: names of columns, or prose."""
        self.skipped.append(number)
        words = [word.lower().rpartition("index_")[2] for word in _split(line, _names_mark(line))]
        if {"h", "k", "l"} <= set(words):
            self.names = line
        symmetry = re.fullmatch(r"symmetry:\s*(\S+)", line, re.I)
        if symmetry and symmetry[1] not in ("1", "P1"):
            self.warnings.append(
                f"its symmetry {symmetry[1]} is not applied, and reflections that it would give are missing"
            )

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
        self._check_first(split)
        if self.names is None and not is_shelx and (several := _several_a_line(split)) is not None:
            notes.append(f"{len(split[0]) // 4} reflections on a line")
            self.rows = [row for row, words in zip(self.rows, split, strict=False) for _ in range(len(words) // 4)]
            split = several
        columns, sigma_at = self._columns(split, label, intensities, is_shelx, notes)
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
            warnings=tuple(self.warnings),
        )

    def _check_first(self, split):
        """Raise where the first row has not the columns of those that follow, and so is none."""
        counts = [len(words) for words in split[:6]]
        if len(counts) > 2 and counts[0] != counts[1] and len(set(counts[1:])) == 1 and counts[0] > 4:
            number, line = self.rows[0]
            raise NanoBraggError(
                f"{self.name}, line {number}: {line.strip()[:40]!r} has {counts[0]} columns, and the rows below it "
                f"{counts[1]}; put a # before it if it is no reflection"
            )

    @staticmethod
    def _zero_row(split):
        """The row of zeros that no other row follows, or None."""
        at = next((at for at, words in enumerate(split) if _is_end(words)), None)
        if at is None and len(split) > 1 and len(split[0]) > 4 and [*map(_plain_zero, split[-1])] == [True] * 3:
            return len(split) - 1
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

    def _columns(self, split, label, intensities, is_shelx, notes):
        """Places of h, k, l, F and of the standard deviations, or None for the latter."""
        count = len(split[0])
        names = None if is_shelx else self._column_names(split, notes)
        if names is None:
            if label is not None:
                raise NanoBraggError(f"label has no meaning for {self.name}, whose columns have no names")
            first = 0
            if not is_shelx and count == 5 and len(split) >= _COUNTED and _counts(split) and _whole_columns(split, 4):
                first = 1
                notes.append("the first column counts the rows, and is left out")
            elif count > 4 and not is_shelx:
                notes.append(f"column 4 is taken as {_what(intensities)}, columns from the fifth on are left out")
            return tuple(range(first, first + 4)), 4 if is_shelx and count > 4 else None
        low = [re.sub(r"^.*index_", "", name.lower()) for name in names]
        indices = [low.index(axis) for axis in "hkl"]
        rest = [place for place in range(len(names)) if place not in indices]
        if not rest:
            raise NanoBraggError(f"{self.name} has no column besides its indices; its rows should be h k l F")
        value = self._named(names, rest, label, intensities)
        sigmas = [place for place in rest if place > value and _SIGMA.match(names[place])]
        others = [
            names[place] for place in rest if place != value and place not in sigmas[:1] and names[place].strip('"')
        ]
        rest = f"; left out: {', '.join(others)}" if others else ""
        notes.append(f"{_what(intensities)} from column {names[value]}{rest}")
        return (*indices, value), sigmas[0] if sigmas else None

    def _column_names(self, split, notes):
        """A name for every column, or None where there are none that can be told."""
        if self.names is None:
            return None
        names, count = _split(self.names, _names_mark(self.names)), len(split[0])
        low = [re.sub(r"^.*index_", "", name.lower()) for name in names]
        if not {"h", "k", "l"} <= set(low):
            return None
        if len(names) == count:
            return names
        if len(names) > 3 and len(names) == count - 1 and _distinct(split) and _whole_columns(split, 4):
            # pandas gives the column that counts rows no name
            notes.append("the first column has no name, and is left out")
            return ["", *names]
        known = _AMPLITUDE_NAMES | _INTENSITY_NAMES
        if low[:3] == ["h", "k", "l"] and (len(names) == 3 or low[3] in known):
            if len(names) == 3:
                return None if count > 3 else names
            # a first row that lacks columns is told of with its line
            return [*names, *(f"column {place}" for place in range(len(names) + 1, count + 1))]
        raise NanoBraggError(
            f"{self.name} has names for {len(names)} columns, {self.names[:60]!r}, and {count} columns; "
            "give each of them one word"
        )

    def _named(self, names, rest, label, intensities):
        low = [name.lower() for name in names]
        wanted, other = _AMPLITUDE_NAMES, _INTENSITY_NAMES
        if intensities:
            wanted, other = other, wanted
        if label is not None:
            if label not in names:
                offered = ", ".join(names[place] for place in rest)
                raise NanoBraggError(f"{self.name} has no such column as {label}; there are: {offered}")
            place = names.index(label)
            if place not in rest:
                raise NanoBraggError(f"column {label} of {self.name} holds indices")
        else:
            place = next((place for place in rest if low[place] in wanted), None)
            if place is None:
                place = next((place for place in rest if low[place] in other), None)
            if place is None:
                place = self._only(names, rest)
        if low[place] in other:
            advice = "leave out --intensities" if intensities else "add --intensities"
            raise NanoBraggError(f"column {names[place]} of {self.name} holds {_what(not intensities)}; {advice}")
        return place

    def _only(self, names, rest):
        """The place of the one column that may hold what is wanted, where none has a name that is known."""
        places = [place for place in rest if not _SIGMA.match(names[place]) and not _OTHER.match(names[place])]
        if len(places) == 1:
            return places[0]
        offered = ", ".join(names[place] for place in places or rest)
        if not places:
            raise NanoBraggError(f"{self.name} has no amplitudes; its columns are: {offered}")
        raise NanoBraggError(f"{self.name} does not say which column to use; give label, one of: {offered}")


def _several_a_line(split):
    """The rows of lines that hold several each, four words a row, or None where they do not."""
    counts = [len(words) for words in split]
    if counts[0] < 8 or counts[0] % 4 or any(count != counts[0] for count in counts[:-1]) or counts[-1] % 4:
        return None
    rows = [words[at : at + 4] for words in split for at in range(0, len(words), 4)]
    indices = {tuple(row[:3]) for row in rows}
    # columns of other things repeat themselves, or have a point
    whole = all(word.lstrip("+-").isdigit() for index in indices for word in index)
    return rows if whole and len(indices) == len(rows) else None


def _counts(split):
    """Whether the first column is 0, 1, 2 ..., or 1, 2, 3 ..."""
    first = [words[0] for words in split]
    return any(first == [str(number) for number in range(start, start + len(split))] for start in (0, 1))


def _distinct(split):
    """Whether the first column has another whole number in every row."""
    first = [words[0].strip("\"'") for words in split]
    return len(set(first)) == len(first) and all(word.isdigit() for word in first)


def _whole_columns(split, end):
    """Whether the columns from the second to `end` hold whole numbers."""
    try:
        return all(_number(word).is_integer() for words in split for word in words[1:end])
    except ValueError:
        return False


def _plain_zero(word):
    return word in ("0", "+0", "-0")


def _is_end(fields):
    """Whether a row of more than four columns has nothing but zeros."""
    return len(fields) > 4 and all(word.strip("+-0.") == "" and "0" in word for word in fields)


def _what(intensities):
    return "intensities" if intensities else "amplitudes"


def _names_mark(names):
    return next((mark for mark in (";", "\t", ",") if mark in names), None)
