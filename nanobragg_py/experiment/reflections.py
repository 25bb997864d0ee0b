"""Reflections as other programs write them, and those of a model: structure factors in P1, read with gemmi."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..errors import FieldError, NanoBraggError
from ..files import hkl as hkl_files
from ..files.hkl import HklTable
from ..files.reading import cannot_read
from .structure_factors import expand, from_arrays, gemmi_module, symmetry_rotations

#: amplitude columns in the order in which they are looked for when no label is given; then any other of type F
AMPLITUDES = ("FP", "F", "FOBS", "F-obs", "F-obs-filtered", "F_meas_au", "FC", "F-model", "FMODEL")
INTENSITIES = ("IMEAN", "I", "IOBS", "I-obs", "intensity_meas")
#: scattering density of bulk solvent, e/A^3, and its B factor, A^2: the mean values of Fokine & Urzhumtsev, Acta
#: Cryst. D58 (2002), 1387
SOLVENT_DENSITY, SOLVENT_B = 0.35, 46.0


def from_mtz(
    path: str | os.PathLike,
    default_F: float = 0.0,
    *,
    label: str | None = None,
    intensities: bool = False,
    anomalous: bool = False,
    F000: float | None = None,
) -> HklTable:
    """A table from an MTZ file, expanded to P1.

    label: the column of amplitudes; None: one of `AMPLITUDES`, or the only one of its type. intensities: the column
    (label, or one of `INTENSITIES`) holds intensities, and F = sqrt(max(I, 0)). anomalous: the column named by label is
    the first, F(+), of a pair whose other member ends in (-); the mates get the other. F000: amplitude of 0 0 0.
    """
    gemmi = gemmi_module()
    name = os.fspath(path)
    _check_mtz(name)
    mtz = _opened(name, gemmi.read_mtz_file)
    if len(mtz.batches):
        raise NanoBraggError(f"{name} is not merged; give an MTZ file with one row an index")
    if mtz.spacegroup is None:
        raise NanoBraggError(f"{name} names no space group that gemmi knows; correct its SYMINF record")
    wanted = "JK" if intensities else "FG"
    columns = {column.label: column for column in mtz.columns if column.type in wanted}
    column = _chosen(name, label, columns, INTENSITIES if intensities else AMPLITUDES)
    hkl = mtz.make_miller_array()
    series = [np.array(mtz.column_with_label(column), dtype=float)]
    if anomalous:
        other = column.replace("(+)", "(-)")
        if other == column or other not in columns:
            raise NanoBraggError(f"{name} has no mate of column {column}; name a column that ends in (+)")
        series.append(np.array(mtz.column_with_label(other), dtype=float))
    return _expanded(hkl, series, mtz.spacegroup, intensities, F000, default_F)


def _check_mtz(name):
    """Raise for an MTZ file whose header would lie beyond its end, for which gemmi asks for all memory there is.

    Words 2 and 3 hold the header's place, counted in words from 1, and the machine stamp; -1 means that the place, too
    large for a word, follows as eight bytes.
    """
    with open(name, "rb") as file:
        head = file.read(20)
        size = file.seek(0, os.SEEK_END)
    order = "big" if len(head) > 8 and head[8] >> 4 == 1 else "little"
    place = int.from_bytes(head[4:8], order, signed=True)
    if place == -1:
        place = int.from_bytes(head[12:20], order, signed=True)
    if not 20 < place < size / 4 + 1:
        raise NanoBraggError(f"{name} is cut off, or no MTZ file: its header is not where it should be")


def from_mmcif(
    path: str | os.PathLike,
    default_F: float = 0.0,
    *,
    label: str | None = None,
    intensities: bool = False,
    block: str | None = None,
    F000: float | None = None,
) -> HklTable:
    """A table from an mmCIF file of structure factors (_refln), expanded to P1 with Friedel's law.

    label: the item of category _refln, such as F_meas_au; None: one of `AMPLITUDES` or `INTENSITIES`. block: the data
    block; None: the first that has reflections. The rest as `from_mtz`.
    """
    gemmi = gemmi_module()
    name = os.fspath(path)
    blocks = gemmi.as_refln_blocks(_opened(name, gemmi.cif.read))
    blocks = [b for b in blocks if block is None or b.block.name == block]
    chosen = next((b for b in blocks if b.default_loop is not None), None)
    if chosen is None:
        what = "no reflections" if block is None else f"no block {block} with reflections"
        raise NanoBraggError(f"{name} has {what}; give an mmCIF file with a _refln loop")
    if chosen.spacegroup is None:
        raise NanoBraggError(f"{name} names no space group that gemmi knows; add _symmetry.space_group_name_H-M")
    columns = {column: column for column in chosen.column_labels() if not column.startswith("index_")}
    column = _chosen(name, label, columns, INTENSITIES if intensities else (*AMPLITUDES, "F_meas", "F_calc"))
    hkl = chosen.make_miller_array()
    values = np.array(chosen.make_float_array(column, np.nan), dtype=float)
    return _expanded(hkl, [values], chosen.spacegroup, intensities, F000, default_F)


def from_xds(
    path: str | os.PathLike, default_F: float = 0.0, *, anomalous: bool = False, F000: float | None = None
) -> HklTable:
    """A table from an XDS_ASCII file (of XDS or XSCALE): amplitudes sqrt(max(I, 0)) of merged intensities, in P1.

    Observations are merged by their weights 1/sigma^2, misfits (negative sigma) left out. anomalous: Friedel mates are
    merged separately. F000: amplitude of 0 0 0.
    """
    gemmi = gemmi_module()
    name = os.fspath(path)
    xds = _opened(name, gemmi.read_xds_ascii)
    group = gemmi.find_spacegroup_by_number(xds.spacegroup_number)
    if group is None:
        raise NanoBraggError(f"{name} has no SPACE_GROUP_NUMBER from 1 to 230; correct its header")
    hkl = xds.make_miller_array() if hasattr(xds, "make_miller_array") else np.array(xds.miller_array)
    intensity, sigma = np.array(xds.iobs_array, dtype=float), np.array(xds.sigma_array, dtype=float)
    good = sigma > 0.0
    if not good.any():
        raise NanoBraggError(f"{name} has no observation with a positive sigma; give one with reflections")
    hkl, intensity, weight = hkl[good], intensity[good], sigma[good] ** -2.0
    unique, merged = merge(hkl, intensity, weight, symmetry_rotations(group), friedel=not anomalous)
    if anomalous:
        rotated, values = expand(unique, np.sqrt(np.maximum(merged, 0.0)), group, False)
        # a mate that was not observed takes the other's amplitude
        rotated, values = np.concatenate((-rotated, rotated)), np.tile(values, 2)
        return from_arrays(rotated, values, default_F, F000=F000)
    return _expanded(unique, [merged], group, True, F000, default_F)


def merge(
    hkl: np.ndarray, values: np.ndarray, weights: np.ndarray, rotations: list[np.ndarray], friedel: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means of symmetry-equivalent observations: (unique indices (M, 3), means (M,)).

    The representative of an orbit is its largest index in lexical order.
    """
    orbit = np.stack([sign * (hkl @ r) for r in rotations for sign in ((1, -1) if friedel else (1,))])
    span = 2 * int(np.abs(orbit).max(initial=0)) + 1
    codes = (orbit[..., 0] * span + orbit[..., 1]) * span + orbit[..., 2]
    _, first, group = np.unique(codes.max(axis=0), return_index=True, return_inverse=True)
    best = np.argmax(codes[:, first], axis=0)
    total = np.bincount(group, weights)
    return orbit[best, first], np.bincount(group, weights * values) / total


def from_model(
    path: str | os.PathLike,
    d_min: float,
    default_F: float = 0.0,
    *,
    bulk_solvent: bool = True,
    solvent_density: float = SOLVENT_DENSITY,
    solvent_B: float = SOLVENT_B,
    F000: bool = False,
) -> HklTable:
    """Amplitudes calculated from a model in PDB or mmCIF format, in P1, to a resolution of d_min (Angstrom).

    Atoms: X-ray form factors of International Tables C, electron density on a grid and its Fourier transform (gemmi).
    bulk_solvent: adds the flat solvent outside the molecules, F = F_atoms + k exp(-B s^2/4) F_mask, with
    solvent_density k (e/Angstrom^3) and solvent_B (Angstrom^2). F000: also state the index 0 0 0, with what the sum
    gives there; otherwise it is default_F. Raises NanoBraggError for a model without a cell or atoms.
    """
    gemmi = gemmi_module()
    if not d_min > 0.0:
        raise FieldError(f"d_min is {d_min}; it must be above 0 Angstrom")
    name = os.fspath(path)
    structure = _opened(name, gemmi.read_structure)
    if not structure.cell.is_crystal() or structure.find_spacegroup() is None or not len(structure):
        raise NanoBraggError(f"{name} has no unit cell, space group or atoms; give a model of a crystal")
    structure.setup_entities()
    density = gemmi.DensityCalculatorX()
    density.d_min = d_min
    density.grid.setup_from(structure)
    density.set_refmac_compatible_blur(structure[0])
    density.put_model_density_on_grid(structure[0])
    atoms = gemmi.transform_map_to_f_phi(density.grid, half_l=True)
    hkl, F = _in_sphere(atoms, d_min, density.blur)
    if bulk_solvent:
        masker = gemmi.SolventMasker(gemmi.AtomicRadiiSet.Refmac)
        grid = gemmi.FloatGrid()
        grid.copy_metadata_from(density.grid)
        masker.put_mask_on_float_grid(grid, structure[0])
        _, mask = _in_sphere(gemmi.transform_map_to_f_phi(grid, half_l=True), d_min, 0.0)
        inverse_d2 = structure.cell.calculate_1_d2_array(hkl)
        F = F + solvent_density * np.exp(-solvent_B / 4.0 * inverse_d2) * mask
    kept = np.any(hkl != 0, axis=1)
    at_zero = float(np.abs(F[~kept][0])) if F000 else None
    return _expanded(hkl[kept], [np.abs(F[kept])], structure.find_spacegroup(), False, at_zero, default_F)


def _in_sphere(transform, d_min, blur):
    data = transform.prepare_asu_data(dmin=d_min, unblur=blur, with_000=True)
    return np.array(data.miller_array), np.array(data.value_array)


def _opened(name, reader):
    """What a gemmi function reads from a file, its errors in one sentence."""
    try:
        return reader(name)
    except (OSError, RuntimeError, ValueError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise NanoBraggError(f"cannot read {name}: {reason or 'it is not what it should be'}") from None


def _chosen(name, label, columns, preferred):
    """The label asked for, or the first of the preferred ones, or the only one there is."""
    listed = ", ".join(columns) or "none"
    if label is not None:
        if label not in columns:
            raise NanoBraggError(f"{name} has no such column as {label}; those of this type are: {listed}")
        return label
    found = next((choice for choice in preferred if choice in columns), None)
    if found is None and len(columns) == 1:
        found = next(iter(columns))
    if found is None:
        raise NanoBraggError(f"{name} does not say which column to use; give label, one of: {listed}")
    return found


def _expanded(hkl, series, group, intensities, F000, default_F):
    """The table of data of an asymmetric unit: series holds one array, or those of F(+) and F(-)."""
    hkl = np.asarray(hkl, dtype=np.int64)
    if intensities:
        series = [np.sqrt(np.maximum(values, 0.0)) for values in series]
    if len(series) == 1:
        return from_arrays(hkl, series[0], default_F, F000=F000, space_group=group, friedel=True)
    plus, minus = series
    plus, minus = np.where(np.isnan(plus), minus, plus), np.where(np.isnan(minus), plus, minus)
    kept = ~np.isnan(plus)
    both = [expand(sign * hkl[kept], values[kept], group, False) for sign, values in ((-1, minus), (1, plus))]
    indices, values = (np.concatenate(arrays) for arrays in zip(*both, strict=True))
    return from_arrays(indices, values, default_F, F000=F000)


#: what reads the kinds of file that are more than a table
READERS = {"mtz": from_mtz, "mmcif": from_mmcif, "xds": from_xds}


def read(path: str | os.PathLike, default_F: float = 0.0, **how: Any) -> HklTable:
    """A table from a file whose kind is told by its content: hkl text, dump file, MTZ, mmCIF, XDS_ASCII.

    default_F: amplitude of the indices that the file lacks. how: the arguments of `from_mtz`,
    `from_mmcif` and `from_xds`.
    Raises NanoBraggError, naming the file, for one that cannot be read or lacks what is asked for.
    """
    name = os.fspath(path)
    kind = kind_of(name)
    if kind in READERS:
        return READERS[kind](name, default_F, **how)
    if how:
        raise FieldError(f"{next(iter(how))} has no meaning for {name}, which is no MTZ, mmCIF or XDS_ASCII file")
    return hkl_files.read_dump(name, default_F) if kind == "dump" else hkl_files.read_hkl(name, default_F)


def kind_of(path: str) -> str:
    """What a file of structure factors is: "mtz", "mmcif", "xds", "dump" or "hkl"."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except (OSError, ValueError) as error:
        raise cannot_read(path, error, "give a file of structure factors") from None
    if head.startswith(b"MTZ "):
        return "mtz"
    if head.lstrip().startswith(b"!FORMAT=XDS_ASCII"):
        return "xds"
    first = next((line for line in head.splitlines() if line.strip() and not line.startswith(b"#")), b"")
    if first.startswith(b"data_") or path.endswith((".cif", ".cif.gz", ".ent.gz")):
        return "mmcif"
    line, newline, rest = head.partition(b"\n")
    if newline and rest.startswith(b"\f") and len(line.split()) == 6:
        return "dump"
    return "hkl"
