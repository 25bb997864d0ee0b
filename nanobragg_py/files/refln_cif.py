"""Reflections in CIF: mmCIF as the PDB has it (_refln., _diffrn_refln.), and core CIF (_refln_), read with gemmi."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .hkl_columns import columns_of_text
from .reflections import AMPLITUDES, INTENSITIES, Reflections, content, gemmi_module, in_one_sentence, miller_indices
from .reflections import listed as in_words

_SIGMA = re.compile(r"_(sigma|su|esd)(_|$)")
_PHASE = re.compile(r"phase|^pdbx_HL_|(^|_)fom|PHWT|PHIC?$|^(A|B)_(calc|meas)", re.I)
_INTENSITY = re.compile(r"^intensity_|^F_squared|^pdbx_I_|^I_")
_AMPLITUDE = re.compile(r"^(pdbx_)?F_|^pdbx_(FWT|DELFWT)$")
_HOLDS = {"sigma": "standard deviations", "phase": "phases", "difference": "anomalous differences"}
_DIFFERENCE = "pdbx_anom_difference"
_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_SYMMETRY = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz", "_space_group_symop.operation_xyz")
_GROUPS = (
    "_symmetry.space_group_name_H-M",
    "_space_group.name_H-M_alt",
    "_symmetry.Int_Tables_number",
    "_space_group.IT_number",
    "_space_group_name_H-M_alt",
    "_symmetry_space_group_name_H-M",
    "_space_group_name_Hall",
    "_symmetry_space_group_name_Hall",
    "_space_group_IT_number",
    "_symmetry_Int_Tables_number",
)


def item_kind(item: Any) -> str:
    """What an item of the category holds: "sigma", "phase", "intensity", "amplitude", "difference" or "other"."""
    if item.startswith("index_"):
        return "other"
    if _SIGMA.search(item):
        return "sigma"
    if item.startswith(_DIFFERENCE):
        return "difference"
    if _PHASE.search(item):
        return "phase"
    if _INTENSITY.search(item):
        return "intensity"
    return "amplitude" if _AMPLITUDE.search(item) else "other"


def read_cif(
    path: Any, label: str | None = None, intensities: bool = False, anomalous: bool = False, block: Any = None
) -> Any:
    """The Reflections of a CIF file.

    label: the item, such as F_meas_au or pdbx_I_plus; None: one of `AMPLITUDES` or `INTENSITIES`, or the only one of
    its kind. intensities: the item holds intensities. anomalous: with the mates, from the ..._minus item of a pair or
    from pdbx_anom_difference. block: the data block; None: the first that has reflections.
    """
    gemmi = gemmi_module()
    name = os.fspath(path)
    data = content(path)
    with in_one_sentence(name, "string"):
        document = gemmi.cif.read_string(data)
        tables = [table for table in map(_table_of, document) if table is not None]
        chosen = next((table for table in tables if block in (None, table.block.name)), None)
        if chosen is None and block is None and (hidden := _shelx(name, document)) is not None:
            if not intensities:
                raise NanoBraggError(f"{name} holds intensities, in SHELX's format; add --intensities")
            return hidden
        if chosen is None:
            what = "no reflections" if block is None else f"no block {block} with reflections"
            raise NanoBraggError(f"{name} has {what}; give an mmCIF file with a _refln loop")
        notes = []
        if len(tables) > 1:
            others = [table.block.name for table in tables if table is not chosen]
            notes.append(f"block {chosen.block.name}; --block takes others that have reflections: {in_words(others)}")
        return _reflections(name, chosen, label, intensities, anomalous, notes)


class _Table:
    """The loop of reflections in a block. items: their names without the category's."""

    def __init__(self, block, prefix):
        self.block, self.prefix = block, prefix
        tags = block.find_loop(f"{prefix}index_h").get_loop().tags
        self.items = [tag[len(prefix) :] for tag in tags if tag.lower().startswith(prefix)]

    def strings(self, item):
        return self.block.find_loop(self.prefix + item)

    def numbers(self, item):
        """The numbers of an item, nan where there is none."""
        cif = gemmi_module().cif
        # some programs quote them
        words = (cif.as_string(word) if word[:1] in "'\"" else word for word in self.strings(item))
        return np.array([cif.as_number(word) for word in words], dtype=float)

    def filled(self, items):
        """Those of the items that have a value at all."""
        return [item for item in items if any(word not in ("?", ".") for word in self.strings(item))]

    def mates_in_rows(self, name):
        """Whether there are rows of h k l and of -h -k -l."""
        indices = {tuple(row) for row in self.hkl(name).tolist()}
        return any(tuple(-x for x in row) in indices for row in indices if any(row))

    def hkl(self, name):
        return miller_indices(name, np.stack([self.numbers(f"index_{axis}") for axis in "hkl"], axis=1))

    def sigma(self, item):
        """The standard deviations of an item, or None."""
        stem = item.removesuffix("_au")
        head = re.sub(r"_(meas|net)$", "", stem)
        tail = "_au" if stem != item else ""
        for name in (f"{stem}_sigma{tail}", f"{head}_sigma{tail}", f"{head}_sigma", f"{stem}_su"):
            if name in self.items and name != item:
                return self.numbers(name)
        return None


def _shelx(name, document):
    """The Reflections of an HKLF 4 file that stands as a text in a CIF, as SHELXL writes it, or None."""
    for block in document:
        text = _value(block, "_shelx_hkl_file")
        if text is not None:
            found = columns_of_text(name, text.strip("\r\n"), None, True)
            notes = (*found.notes, "intensities from the text _shelx_hkl_file")
            return found.replace(group=_group(name, block), cell=_cell(block), notes=notes, unmerged=True)
    return None


def _table_of(block):
    for prefix in ("_refln.", "_refln_", "_diffrn_refln."):
        if all(block.find_loop(f"{prefix}index_{axis}").get_loop() is not None for axis in "hkl"):
            return _Table(block, prefix)
    return None


def _reflections(name, table, label, intensities, anomalous, notes):
    group = _group(name, table.block)
    what = "intensities" if intensities else "amplitudes"
    item, mate = _chosen(name, table, label, intensities, anomalous)
    values, sigma, mates = table.numbers(item), table.sigma(item), None
    if mate == _DIFFERENCE:
        half = np.nan_to_num(table.numbers(mate)) / 2.0
        mates, values = (values - half, sigma), values + half
        notes.append(f"{what} from {item} and half the difference {mate}")
    elif mate is not None:
        mates = table.numbers(mate), table.sigma(mate)
        alike = "" if anomalous else ", merged; --anomalous keeps them apart"
        notes.append(f"{what} from {item} and {mate}{alike}")
    else:
        minus = _minus(table, item)
        notes.append(f"{what} from item {item}" + (f"; --anomalous takes its mates from {minus}" if minus else ""))
    rest = [other for other in table.items if item_kind(other) in ("amplitude", "intensity", "difference")]
    rest = [other for other in rest if other not in (item, mate)]
    if rest:
        notes.append(f"left out: {in_words(rest)}")
    return Reflections(
        hkl=table.hkl(name),
        values=values,
        sigma=sigma,
        mates=mates,
        intensities=intensities,
        unmerged=table.prefix == "_diffrn_refln.",
        group=group,
        cell=_cell(table.block),
        notes=tuple(notes),
    )


def _minus(table, item):
    mate = re.sub("plus", "minus", item)
    return mate if mate != item and mate in table.items else None


def _chosen(name, table, label, intensities, anomalous):
    """The item and that of its mates, or None for the latter."""
    wanted, other = ("intensity", "amplitude") if intensities else ("amplitude", "intensity")
    stated = [item for item in table.items if item_kind(item) == wanted]
    candidates = table.filled(stated) if label is None else stated
    others = table.filled(item for item in table.items if item_kind(item) == other)
    pairs = {item: _minus(table, item) for item in candidates if _minus(table, item)}
    if label is not None:
        item = _asked_for(name, table, label, wanted, candidates)
        if anomalous:
            item = next((plus for plus, minus in pairs.items() if minus == item), item)
    elif anomalous and pairs:
        item = next(iter(pairs))
    else:
        item = next((x for x in (INTENSITIES if intensities else AMPLITUDES) if x in candidates), None)
        single = [x for x in candidates if x not in pairs.values()]
        if item is None and len(single) == 1:
            item = single[0]
        if item is None and not candidates and others:
            advice = (
                f"leave out --intensities for its amplitudes: {in_words(others)}"
                if intensities
                else f"add --intensities to make them from its intensities: {in_words(others)}"
            )
            raise NanoBraggError(f"{name} has no {'intensities' if intensities else 'amplitudes'}; {advice}")
        if item is None and not candidates:
            what = "intensities" if intensities else "amplitudes"
            raise NanoBraggError(f"{name} has no {what}: {_held(table, stated)}; give a file that has some")
        if item is None:
            raise NanoBraggError(f"{name} does not say which column to use; give label, one of: {in_words(candidates)}")
    if item in pairs and (anomalous or label is None):
        return item, pairs[item]
    if not anomalous:
        return item, None
    if _DIFFERENCE in table.items and not intensities:
        return item, _DIFFERENCE
    if table.prefix == "_diffrn_refln." or table.mates_in_rows(name):
        return item, None  # mates have rows of their own
    raise NanoBraggError(f"{name} has no mates of {item}; name an item with plus, or leave out --anomalous")


def _held(table, empty):
    """What a loop holds, for those who find nothing in it."""
    if empty:
        return f"{in_words(empty)} {'has' if len(empty) == 1 else 'have'} no number"
    items = [item for item in table.items if not item.startswith("index_")]
    return f"its items are {in_words(items)}"


def _asked_for(name, table, label, wanted, candidates):
    label = label.removeprefix(table.prefix)
    if label not in table.items:
        raise NanoBraggError(
            f"{name} has no such column as {label}; those of this type are: {in_words(candidates)}"
            + ("" if candidates or wanted == "intensity" else "; add --intensities where it holds intensities")
        )
    kind = item_kind(label)
    if kind in (wanted, "other") and not label.startswith("index_"):
        if kind == "other" and not np.isfinite(table.numbers(label)).any():
            raise NanoBraggError(f"{label} of {name} has no numbers; give label, one of: {in_words(candidates)}")
        return label
    if kind in ("amplitude", "intensity"):
        advice = "add --intensities" if kind == "intensity" else "leave out --intensities"
        holds = "intensities" if kind == "intensity" else "amplitudes"
        raise NanoBraggError(f"{label} of {name} holds {holds}; {advice}")
    what = _HOLDS.get(kind, "indices")
    raise NanoBraggError(f"{label} of {name} holds {what}; give label, one of: {in_words(candidates)}")


def _value(block, tag):
    word = block.find_value(tag)
    return None if word in (None, "?", ".") else gemmi_module().cif.as_string(word)


def _cell(block):
    number = gemmi_module().cif.as_number
    for prefix in ("_cell.", "_cell_"):
        words = [block.find_value(prefix + part) for part in _CELL]
        if all(word is not None for word in words):
            cell = tuple(number(word) for word in words)
            return cell if np.isfinite(cell).all() else None
    return None


def _group(name, block):
    """The space group of a block: by its operations, or by what it is called."""
    gemmi = gemmi_module()
    for tag in _SYMMETRY:
        words = [gemmi.cif.as_string(word) for word in block.find_loop(tag)]
        group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps([gemmi.Op(word) for word in words])) if words else None
        if group is not None:
            return group
    # of the symbols that stand for two settings, the cell's angles say which it is
    cell = _cell(block)
    alpha, gamma = (cell[3], cell[5]) if cell is not None else (0.0, 0.0)
    for tag in _GROUPS:
        word = _value(block, tag)
        group = None if word is None else gemmi.find_spacegroup_by_name(word, alpha, gamma)
        if group is not None:
            return group
    raise NanoBraggError(f"{name} names no space group that gemmi knows; add _symmetry.space_group_name_H-M")
