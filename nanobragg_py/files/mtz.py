"""MTZ files of CCP4, merged and unmerged: columns by their types, read with gemmi."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .reflections import (
    AMPLITUDES,
    INTENSITIES,
    Reflections,
    gemmi_module,
    in_one_sentence,
    listed,
    miller_indices,
    plain_file,
)

#: types of columns: what they hold, for those who take them for something else
KINDS = {
    "F": "amplitudes",
    "G": "amplitudes",
    "J": "intensities",
    "K": "intensities",
    "D": "anomalous differences",
    "Q": "standard deviations",
    "L": "standard deviations",
    "M": "standard deviations",
    "P": "phases",
    "A": "phase coefficients",
    "E": "normalised amplitudes",
    "W": "weights",
    "H": "indices",
    "I": "whole numbers",
    "B": "batch numbers",
    "Y": "symmetry flags",
}
_PLUS = re.compile(r"\(\+\)|\+|plus", re.I)


def read_mtz(path: Any, label: str | None = None, intensities: bool = False, anomalous: bool = False) -> Any:
    """The Reflections of an MTZ file.

    label: the column; None: one of `AMPLITUDES` or `INTENSITIES`, or the only one of its type (F and G, or J and K).
    intensities: the column holds intensities. anomalous: with the mates, from the (-) column of a pair, or from an
    anomalous difference (type D) beside the column. Numbers that the VALM record calls missing are nan. The rows of an
    unmerged file are those of the asymmetric unit, the mates' with the opposite sign.
    """
    gemmi = gemmi_module()
    name = os.fspath(path)
    with plain_file(path, ".mtz") as plain, in_one_sentence(name, plain):
        _check(name, plain)
        mtz = gemmi.read_mtz_file(plain)
        if mtz.spacegroup is None:
            raise NanoBraggError(f"{name} names no space group that gemmi knows; correct its SYMINF record")
        columns = _Columns(name, mtz)
        if columns.isym is not None:
            return _unmerged(columns, label, intensities)
        return _merged(columns, label, intensities, anomalous)


def _check(name, plain):
    """Raise for an MTZ file whose header would lie beyond its end, for which gemmi asks for all memory there is.

    Words 2 and 3 hold the header's place, counted in words from 1, and the machine stamp; -1 means that the place, too
    large for a word, follows as eight bytes.
    """
    with open(plain, "rb") as file:
        head = file.read(20)
        size = file.seek(0, os.SEEK_END)
    order = "big" if len(head) > 8 and head[8] >> 4 == 1 else "little"
    place = int.from_bytes(head[4:8], order, signed=True)
    if place == -1:
        place = int.from_bytes(head[12:20], order, signed=True)
    if not 20 < place < size / 4 + 1:
        raise NanoBraggError(f"{name} is cut off, or no MTZ file: its header is not where it should be")


class _Columns:
    """The columns of a file by their labels, and their numbers."""

    def __init__(self, name, mtz):
        self.name, self.mtz = name, mtz
        self.labels = [column.label for column in mtz.columns]
        self.types = {column.label: column.type for column in reversed(mtz.columns)}
        self.table = np.array(mtz.array, dtype=float).reshape(-1, len(self.labels))
        self.notes = []
        symmetry = [label for label, kind in self.types.items() if kind == "Y"]
        # merged files of CTRUNCATE have a column of that type, too
        observed = len(mtz.batches) or "B" in self.types.values()
        observed = observed or any(re.fullmatch("M.?ISYM", label, re.I) for label in symmetry)
        self.isym = symmetry[0] if symmetry and observed else None
        if self.isym is None and len(mtz.batches):
            raise NanoBraggError(f"{name} is not merged and has no column M/ISYM; merge it with the program it is from")

    def of(self, kinds):
        return [label for label in self.labels if self.types[label] in kinds]

    def numbers(self, label):
        """The numbers of a column, nan where there is none."""
        values = self.table[:, self.labels.index(label)].copy()
        if np.isfinite(self.mtz.valm):
            values[values == np.float32(self.mtz.valm)] = np.nan
        return values

    def hkl(self):
        """The indices, from the columns H, K and L wherever they stand, or else the first three of their type."""
        indices = self.of("H")
        if len(indices) < 3:
            raise NanoBraggError(f"{self.name} has no three columns of indices (type H)")
        named = {label.upper(): label for label in reversed(indices)}
        labels = [named[axis] for axis in "HKL"] if all(axis in named for axis in "HKL") else indices[:3]
        return np.stack([self.table[:, self.labels.index(label)] for label in labels], axis=1)

    def sigma(self, label):
        """The standard deviations of a column: by name, or of the right type behind it; None if there are none."""
        sigmas = self.of("QLM")
        named = [found for found in sigmas if found.upper() in (f"SIG{label}".upper(), f"SIG_{label}".upper())]
        behind = self.labels[self.labels.index(label) + 1 :][:1]
        found = named or [other for other in behind if other in sigmas]
        return self.numbers(found[0]) if found else None

    def minus(self, label):
        """The column of the mates that belongs to a (+) column, or None."""
        for match in reversed(list(_PLUS.finditer(label))):
            sign = {"(+)": "(-)", "+": "-"}.get(match[0], "minus" if match[0].islower() else "MINUS")
            other = next(
                (
                    found
                    for found in self.labels
                    if found.lower() == (label[: match.start()] + sign + label[match.end() :]).lower()
                ),
                None,
            )
            if other is not None:
                return other
        return None

    def pairs(self, kinds):
        """{(+) label: (-) label} of the columns of some types."""
        found = {label: self.minus(label) for label in self.of(kinds)}
        return {plus: minus for plus, minus in found.items() if minus is not None}

    def filled(self, labels):
        """Those of the columns that have a number at all, or all where none has."""
        return [label for label in labels if np.isfinite(self.numbers(label)).any()] or labels

    def mates_in_rows(self):
        """Whether there are rows of h k l and of -h -k -l."""
        indices = {tuple(row) for row in self.hkl().tolist()}
        return any(tuple(-x for x in row) in indices for row in indices if any(row))

    def held(self):
        """What the columns hold, for those who find nothing in them."""
        names = [
            f"{label} ({kind_of(self.types[label])})" for label in self.labels if self.types[label] not in "HQLMBY"
        ]
        return f"its columns are {listed(names)}" if names else "it has no columns of data"

    def reflections(self, values, label, others=(), **more):
        if self.labels.count(label) > 1:
            self.notes.append(f"of several columns {label} the first is taken")
        rest = [other for other in self.of("FGJKDR") if other not in (label, *others)]
        if rest:
            self.notes.append(f"left out: {', '.join(f'{other} ({kind_of(self.types[other])})' for other in rest)}")
        cell = tuple(getattr(self.mtz.cell, axis) for axis in ("a", "b", "c", "alpha", "beta", "gamma"))
        return Reflections(
            hkl=miller_indices(self.name, more.pop("hkl") if "hkl" in more else self.hkl()),
            values=values,
            group=self.mtz.spacegroup,
            cell=cell,
            notes=tuple(self.notes),
            **more,
        )


def kind_of(kind: Any) -> Any:
    """What columns of a type hold, in words."""
    return KINDS.get(kind, "numbers")


def _chosen(columns, label, intensities):
    """The label asked for, or the first of the preferred ones, or the only one there is."""
    wanted, other = ("JK", "FG") if intensities else ("FG", "JK")
    candidates = columns.of(wanted)
    if label is not None:
        return _asked_for(columns, label, intensities, candidates, columns.of(other))
    candidates = columns.filled(candidates)
    for preferred in INTENSITIES if intensities else AMPLITUDES:
        if preferred in candidates:
            return preferred
    single = [found for found in candidates if columns.types[found] == wanted[0]] or candidates
    if len(single) == 1:
        return single[0]
    pairs = columns.pairs(wanted)
    if single and len(pairs) == 1 and set(single) == {*pairs, *pairs.values()}:
        return next(iter(pairs))
    if not candidates and not intensities:
        real = [found for found in columns.of("R") if found in AMPLITUDES]
        if real:
            return real[0]
    if not candidates and columns.of(other):
        raise NanoBraggError(
            f"{columns.name} has no {'intensities' if intensities else 'amplitudes'}; "
            + _other_kind(intensities, columns.of(other))
        )
    offered = single or columns.of("R")
    if not offered:
        what = "intensities" if intensities else "amplitudes"
        raise NanoBraggError(f"{columns.name} has no {what}: {columns.held()}; give a file that has some")
    raise NanoBraggError(f"{columns.name} does not say which column to use; give label, one of: {listed(offered)}")


def _other_kind(intensities, labels):
    """The advice for those who look for amplitudes where there are intensities, or the other way round."""
    if intensities:
        return f"leave out --intensities for its amplitudes: {listed(labels)}"
    return f"add --intensities to make them from its intensities: {listed(labels)}"


def _asked_for(columns, label, intensities, candidates, others):
    if label not in columns.types:
        hint = f" ({_other_kind(intensities, others)})" if others and not candidates else ""
        raise NanoBraggError(
            f"{columns.name} has no such column as {label}; those of this type are: {listed(candidates)}{hint}"
        )
    kind = columns.types[label]
    if label in candidates or kind == "R":
        return label
    if kind == "D":
        # some programs write amplitudes as that; differences have either sign
        if np.nanmin(columns.numbers(label), initial=0.0) >= 0.0:
            return label
        raise NanoBraggError(
            f"column {label} of {columns.name} holds anomalous differences; name its amplitudes, and add --anomalous"
        )
    if label in others:
        advice = "leave out --intensities" if intensities else "add --intensities"
        raise NanoBraggError(f"column {label} of {columns.name} holds {kind_of(kind)} (type {kind}); {advice}")
    raise NanoBraggError(
        f"column {label} of {columns.name} holds {kind_of(kind)} (type {kind}); give another: {listed(candidates)}"
    )


def _merged(columns, label, intensities, anomalous):
    kinds, what = ("JK", "intensities") if intensities else ("FG", "amplitudes")
    pairs = columns.pairs(kinds + "R")
    back = {minus: plus for plus, minus in pairs.items()}
    if label is None and anomalous and pairs:
        if len(pairs) > 1:
            raise NanoBraggError(f"{columns.name} does not say which pair to use; give label, one of: {listed(pairs)}")
        column = next(iter(pairs))
    else:
        column = _chosen(columns, label, intensities)
    if anomalous:
        column = back.get(column, column)
    if column in pairs and (anomalous or label is None):
        minus = pairs[column]
        alike = "" if anomalous else ", merged; --anomalous keeps them apart"
        columns.notes.append(f"{what} from {column} and {minus}{alike}")
        return columns.reflections(
            columns.numbers(column),
            column,
            (minus,),
            sigma=columns.sigma(column),
            mates=(columns.numbers(minus), columns.sigma(minus)),
            intensities=intensities,
        )
    values, others = columns.numbers(column), []
    more = {"sigma": columns.sigma(column), "intensities": intensities}
    if anomalous and (difference := _difference(columns, column, intensities)) is not None:
        half = np.nan_to_num(columns.numbers(difference)) / 2.0
        others.append(difference)
        columns.notes.append(f"{what} from {column} and half the difference {difference}")
        more["mates"] = (values - half, more["sigma"])
        values = values + half
    else:
        mates = f"; --anomalous takes its mates from {pairs[column]}" if column in pairs else ""
        mates = "; mates have rows of their own" if anomalous else mates
        columns.notes.append(f"{what} from column {column} (type {columns.types[column]}){mates}")
    return columns.reflections(values, column, others, **more)


def _difference(columns, column, intensities):
    """The column of anomalous differences that belongs to one of mean amplitudes; None where mates have rows."""
    found = [] if intensities else columns.of("D")
    named = [label for label in found if label.upper() in ("DANO", f"DANO_{column}".upper(), f"D{column}".upper())]
    behind = [label for label in columns.labels[columns.labels.index(column) + 1 :] if label in found]
    chosen = named or behind or found
    if not chosen and columns.mates_in_rows():
        return None
    if not chosen:
        raise NanoBraggError(
            f"{columns.name} has no mate of column {column}; name a column that ends in (+), or leave out --anomalous"
        )
    return chosen[0]


def _unmerged(columns, label, intensities):
    column = _chosen(columns, label, intensities)
    flags = columns.table[:, columns.labels.index(columns.isym)]
    if not (np.isfinite(flags).all() and np.abs(flags).max(initial=0.0) < 2**24):
        raise NanoBraggError(f"column {columns.isym} of {columns.name} has a flag that is none")
    flags = flags.astype(np.int64)
    whole = flags < 256
    # even numbers are those of mates; 0 says that the indices are those that were measured
    mates = (flags % 256 > 0) & (flags % 2 == 0)
    hkl = np.where(mates[:, None], -1.0, 1.0) * columns.hkl()
    warnings = ()
    if not whole.all():
        if not whole.any():
            raise NanoBraggError(f"{columns.name} has partial observations only; add them up and scale them first")
        warnings = (f"{np.count_nonzero(~whole)} partial observations are left out",)
    sigma = columns.sigma(column)
    what = "intensities" if intensities else "amplitudes"
    columns.notes.append(f"not merged yet: {what} from column {column} (type {columns.types[column]})")
    return columns.reflections(
        columns.numbers(column)[whole],
        column,
        hkl=hkl[whole],
        sigma=None if sigma is None else sigma[whole],
        intensities=intensities,
        unmerged=True,
        warnings=warnings,
    )
