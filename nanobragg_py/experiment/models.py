"""Structure factors calculated from a model of the crystal, with gemmi."""

from __future__ import annotations

import os

import numpy as np

from ..errors import FieldError, NanoBraggError
from ..files.hkl import HklTable
from ..files.reflections import gemmi_module, in_one_sentence, plain_file
from .structure_factors import from_arrays

#: scattering density of bulk solvent, e/A^3, and its B factor, A^2: the mean values of Fokine & Urzhumtsev, Acta
#: Cryst. D58 (2002), 1387
SOLVENT_DENSITY, SOLVENT_B = 0.35, 46.0


def cell_of_model(path: str | os.PathLike[str]) -> tuple[float, ...]:
    """The cell of a model: lengths in Angstrom and angles in degrees."""
    cell = _structure(os.fspath(path)).cell
    return cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma


def from_model(
    path: str | os.PathLike[str],
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
    structure = _structure(os.fspath(path))
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
    group = structure.find_spacegroup()
    return from_arrays(hkl[kept], np.abs(F[kept]), default_F, F000=at_zero, space_group=group, friedel=True)


def _structure(name):
    with plain_file(name, ".cif" if ".cif" in name.lower() else ".pdb") as plain, in_one_sentence(name, plain):
        structure = gemmi_module().read_structure(plain)
    if not structure.cell.is_crystal() or structure.find_spacegroup() is None or not len(structure):
        raise NanoBraggError(f"{name} has no unit cell, space group or atoms; give a model of a crystal")
    return structure


def _in_sphere(transform, d_min, blur):
    data = transform.prepare_asu_data(dmin=d_min, unblur=blur, with_000=True)
    return np.array(data.miller_array), np.array(data.value_array)
