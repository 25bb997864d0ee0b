"""Reflections as other programs write them: merged, expanded by symmetry to P1, and put into a table."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import FieldError, NanoBraggError
from ..files import hkl as hkl_files
from ..files.hkl import HklTable
from ..files.hkl_columns import read_columns
from ..files.mtz import read_mtz
from ..files.reflections import LARGEST_INDEX, Reflections, content
from ..files.refln_cif import read_cif
from ..files.scalepack import is_scalepack, read_scalepack
from ..files.xds_ascii import STARTS, read_xds_ascii
from ..orientation import b_matrix
from .structure_factors import amplitudes, expand, from_arrays, symmetry_rotations

#: what reads the kinds of file that are more than a table, and which arguments mean something there
READERS = {
    "mtz": (read_mtz, ("label", "intensities", "anomalous")),
    "mmcif": (read_cif, ("label", "intensities", "anomalous", "block")),
    "xds": (read_xds_ascii, ("intensities", "anomalous")),
    "scalepack": (read_scalepack, ("intensities", "anomalous")),
    "hkl": (read_columns, ("label", "intensities")),
}
_NAMES = {
    "mtz": "an MTZ",
    "mmcif": "a CIF",
    "xds": "an XDS_ASCII",
    "scalepack": "a SCALEPACK",
    "hkl": "a text",
    "dump": "a dump",
}
#: more than the equivalents of an index may differ by: those of hexagonal groups have sums of two
_SPAN = 4 * LARGEST_INDEX + 3
#: bins of a curve, at most
_BINS = 1_000_000


def warn(sentence: str) -> None:
    """What says that a file is not as it should be, where nobody else listens."""
    warnings.warn(sentence, stacklevel=4)


def read(
    path: str | os.PathLike[str],
    default_F: float = 0.0,
    *,
    F000: float | None = None,
    complain: Callable[[str], Any] = warn,
    inform: Callable[[str], Any] = lambda sentence: None,
    **how: Any,
) -> HklTable:
    """A table from a file whose kind is told by its content: text, dump file, MTZ, CIF, XDS_ASCII, SCALEPACK.

    default_F: amplitude of the indices that the file lacks. F000: amplitude of 0 0 0. how: what of the following the
    kind of file has a use for. label: the column; None: one that is known, or the only one of its type. intensities:
    the column holds intensities, and F = sqrt(max(I, 0)). anomalous: Friedel mates apart; one that was not measured
    takes the other's amplitude. block: the data block of a CIF file. complain, inform: called with sentences on what
    was not as it should be (by default Python warnings), and on what was taken and what else there was.

    Repeated and equivalent observations are merged with weights 1/sigma^2, or as plain means where sigmas are missing.
    Raises NanoBraggError, naming the file, for one that cannot be read or lacks what is asked for.
    """
    name = os.fspath(path)
    kind = kind_of(name)
    if kind == "dump":
        _arguments(name, kind, {**how, "F000": F000})
        return hkl_files.read_dump(name, default_F)
    reflections, hkl, F = _merged_file(name, kind, complain, inform, how)
    group = reflections.group
    if not how.get("anomalous"):
        return from_arrays(hkl, F, default_F, F000=F000, space_group=group, friedel=group is not None, name=name)
    indices, values = expand(hkl, F, group, False)
    # a mate that was not observed takes the other's amplitude
    return from_arrays(np.concatenate((-indices, indices)), np.tile(values, 2), default_F, F000=F000, name=name)


def radial(
    path: str | os.PathLike[str],
    width: float,
    cell: tuple[float, ...] | None = None,
    *,
    complain: Callable[[str], Any] = warn,
    inform: Callable[[str], Any] = lambda sentence: None,
    **how: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """The root mean square of |F| over bins of sin(theta)/lambda: (their centres, 1/Angstrom, amplitudes).

    width: of the bins, which are centred on its multiples, 1/Angstrom. cell: lengths in Angstrom and angles in degrees;
    None: the file's. Every index counts that symmetry and Friedel's law make of the file's, except 0 0 0, so that
    reflections enter with their multiplicity; bins without any are left out, and so are, in a file without symmetry,
    amplitudes of 0, which stand for absences. The rest as `read`.
    """
    name = os.fspath(path)
    kind = kind_of(name)
    if kind == "dump":
        _arguments(name, kind, how)
        hkl, F = amplitudes(hkl_files.read_dump(name))
        hkl, F = hkl[F != 0.0], F[F != 0.0]
    else:
        reflections, hkl, F = _merged_file(name, kind, complain, inform, how)
        cell = cell or reflections.cell
        if reflections.group is not None:
            hkl, F = expand(hkl, F, reflections.group, not how.get("anomalous"))
            hkl, first = np.unique(hkl, axis=0, return_index=True)
            F = F[first]
        else:
            hkl, F = hkl[F != 0.0], F[F != 0.0]
    if cell is None:
        raise NanoBraggError(f"{name} does not say what its cell is; give it with --cell")
    return radial_average(hkl, F, cell, width)


def radial_average(
    hkl: np.ndarray, F: np.ndarray, cell: tuple[float, ...], width: float
) -> tuple[np.ndarray, np.ndarray]:
    """What `radial` does to rows in P1. hkl: (N, 3). F: (N,)."""
    if not np.isfinite(cell).all():
        raise FieldError("the cell has a number that is not finite")
    B = b_matrix(*cell)
    counted = np.any(hkl != 0, axis=1)
    stol = np.linalg.norm(hkl[counted] @ B.T, axis=1) / 2.0
    if not len(stol):
        raise NanoBraggError("there is no reflection besides 0 0 0, and so nothing to average")
    if not stol.max() < _BINS * width:
        raise NanoBraggError(f"bins of {width:g} 1/A are too narrow for reflections that reach {stol.max():.3g} 1/A")
    number = np.rint(stol / width).astype(np.int64)
    count = np.bincount(number)
    total = np.bincount(number, F[counted] ** 2)
    there = np.flatnonzero(count)
    return there * width, np.sqrt(total[there] / count[there])


def _arguments(name, kind, how):
    """Those of the arguments that were given; FieldError for one that the kind of file has no use for."""
    given = {key: value for key, value in how.items() if value not in (None, False)}
    for key in given:
        if key not in READERS.get(kind, (None, ()))[1]:
            raise FieldError(f"{key} has no meaning for {name}, which is {_NAMES[kind]} file")
    return given


def _merged_file(name, kind, complain, inform, how):
    """The Reflections of a file, and what merging makes of them: indices and amplitudes."""
    given = _arguments(name, kind, how)
    anomalous = bool(given.get("anomalous"))
    if kind in ("xds", "scalepack"):
        given = {}
    reflections = READERS[kind][0](name, **given)
    if not np.isfinite(reflections.values).any():
        raise NanoBraggError(f"{name} has no reflection with a number; give another column, or another file")
    hkl, F, notes, repeats = merged(reflections, anomalous)
    for sentence in (*reflections.notes, *notes):
        inform(f"{name}: {sentence}")
    for sentence in (*reflections.warnings, *repeats):
        (inform if reflections.unmerged else complain)(f"{name}: {sentence}")
    return reflections, hkl, F


def merged(reflections: Reflections, anomalous: bool) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Amplitudes of unique indices: (indices (M, 3), amplitudes (M,), sentences of no concern, and of some).

    anomalous: mates stay apart.
    """
    hkl, values, sigma = reflections.hkl, reflections.values, reflections.sigma
    pairs = reflections.mates is not None
    if pairs:
        minus, minus_sigma = reflections.mates
        hkl, values = np.concatenate((hkl, -hkl)), np.concatenate((values, minus))
        sigma = None if sigma is None or minus_sigma is None else np.concatenate((sigma, minus_sigma))
    there = np.isfinite(values)
    notes, sentences = [], []
    lost = np.count_nonzero(~there) if not pairs else 0
    if lost:
        notes.append(f"{lost} rows without a number are left out")
    hkl, values, sigma = hkl[there], values[there], None if sigma is None else sigma[there]
    rotations = [np.eye(3, dtype=np.int64)] if reflections.group is None else symmetry_rotations(reflections.group)
    friedel = reflections.group is not None and not anomalous
    unique, means = merge(hkl, values, sigma, rotations, friedel)
    # the two of a pair are one row
    rows = reflections.hkl if pairs else hkl
    _, first, counts = np.unique(_orbits(rows, rotations, friedel or pairs), return_index=True, return_counts=True)
    several = np.flatnonzero(counts > 1)
    if len(several):
        example = " ".join(map(str, rows[first[several[0]]].tolist()))
        how = "by 1/sigma^2" if sigma is not None else "to plain means, as there are no sigmas"
        alike = "of one index" if reflections.group is None else "that are equivalent"
        sentences.append(
            f"{len(rows)} rows, {len(counts)} of them unique; those {alike} are merged {how}, "
            f"{counts[several[0]]} of {example} for one"
        )
    if reflections.intensities:
        negative = np.count_nonzero(means < 0.0)
        if negative:
            notes.append(f"{negative} intensities are negative, and their amplitudes are 0")
        means = np.sqrt(np.maximum(means, 0.0))
    return unique, means, notes, sentences


def merge(
    hkl: np.ndarray, values: np.ndarray, sigma: np.ndarray | None, rotations: list[np.ndarray], friedel: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Means of symmetry-equivalent observations: (unique indices (M, 3), means (M,)).

    sigma: the weights are 1/sigma^2; None, or one of an index that is not above 0: plain means. A single observation
    keeps its value to the last bit. The representative of an orbit is its largest index in lexical order.
    """
    codes, first, group, counts = np.unique(
        _orbits(hkl, rotations, friedel), return_index=True, return_inverse=True, return_counts=True
    )
    weights = np.ones(len(values))
    if sigma is not None:
        with np.errstate(invalid="ignore"):
            bad = ~((sigma > 0.0) & np.isfinite(sigma))
        # relative to the first of an orbit, so that no weight overflows
        scale = np.where(bad, 1.0, sigma)
        weights = (scale[first][group] / scale) ** 2
        weights[np.bincount(group, bad)[group] > 0] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.bincount(group, weights * values) / np.bincount(group, weights)
    means = np.where(counts == 1, values[first], means)
    # digits from -half to half
    half = _SPAN // 2
    l = (codes + half) % _SPAN - half
    codes = (codes - l) // _SPAN
    k = (codes + half) % _SPAN - half
    return np.stack([(codes - k) // _SPAN, k, l], axis=1), means


def _orbits(hkl, rotations, friedel):
    """A number for every index that its equivalents have as well, and their largest is to be read from."""
    best = None
    for rotation in rotations:
        turned = hkl @ rotation
        code = (turned[:, 0] * _SPAN + turned[:, 1]) * _SPAN + turned[:, 2]
        if friedel:
            code = np.abs(code)
        best = code if best is None else np.maximum(best, code)
    return best


def kind_of(path: str) -> str:
    """What a file of structure factors is: "mtz", "mmcif", "xds", "scalepack", "dump" or "hkl"."""
    head = content(path, 4096)
    if head.startswith(b"MTZ "):
        return "mtz"
    if head.lstrip().startswith(STARTS):
        return "xds"
    if is_scalepack(head):
        return "scalepack"
    first = next((line for line in head.splitlines() if line.strip() and not line.lstrip().startswith(b"#")), b"")
    if first.lstrip().lower().startswith(b"data_") or re.search(r"\.cif(\.gz|\.bz2|\.xz)?$", path, re.IGNORECASE):
        return "mmcif"
    line, newline, rest = head.partition(b"\n")
    if newline and rest.startswith(b"\f") and len(line.split()) == 6:
        return "dump"
    return "hkl"
