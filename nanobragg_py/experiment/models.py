"""Structure factors calculated from a model of the crystal, with gemmi."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..errors import FieldError, NanoBraggError
from ..files.hkl import HklTable
from ..files.reflections import gemmi_module, in_one_sentence, plain_file
from ..memory import shortage
from .checks import positive
from .structure_factors import from_arrays
from .units import wavelength_energy

#: scattering density of bulk solvent, e/A^3, and its B factor, A^2: the mean values of Fokine & Urzhumtsev, Acta
#: Cryst. D58 (2002), 1387
SOLVENT_DENSITY, SOLVENT_B = 0.35, 46.0
#: of a point of the map, which has three along d_min, and of its Fourier transform
BYTES = 12


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
    model = _Model(path, d_min, bulk_solvent, solvent_density, solvent_B)
    return model.table(np.abs(model.F), default_F, F000, friedel=True)


def anomalous_from_model(
    path: str | os.PathLike[str],
    d_min: float,
    wavelengths: Sequence[float],
    default_F: float = 0.0,
    *,
    bulk_solvent: bool = True,
    solvent_density: float = SOLVENT_DENSITY,
    solvent_B: float = SOLVENT_B,
    F000: bool = False,
) -> list[HklTable]:
    """The same with anomalous scattering, a table for each of some wavelengths, m, in which Friedel mates differ.

    f' and f'' of every element are those of Cromer and Liberman (gemmi's); F = F_atoms + sum over elements of
    (f' + i f'') G, where G is the sum over an element's atoms of their occupancies, displacements and phases.
    """
    model = _Model(path, d_min, bulk_solvent, solvent_density, solvent_B)
    elements = model.elements()
    tables = []
    for wavelength in wavelengths:
        energy = wavelength_energy(wavelength)
        # of h, and of -h, whose G are the conjugates
        F, mate = model.F.copy(), model.F.conj()
        for element, G in elements.items():
            fp, fpp = gemmi_module().cromer_liberman(z=gemmi_module().Element(element).atomic_number, energy=energy)
            F += (fp + 1j * fpp) * G
            mate += (fp + 1j * fpp) * G.conj()
        tables.append(model.table(np.abs(F), default_F, F000, mates=np.abs(mate)))
    return tables


class _Model:
    """Structure factors of an asymmetric unit of reflections: hkl, (N, 3); F, (N,) complex, of atoms and solvent."""

    def __init__(self, path, d_min, bulk_solvent, solvent_density, solvent_B):
        gemmi = gemmi_module()
        d_min = positive("d_min", d_min)
        self.structure, self.d_min = _structure(os.fspath(path)), d_min
        lack = shortage(BYTES * self.structure.cell.volume * (3.0 / d_min) ** 3)
        if lack:
            raise FieldError(f"d_min is {d_min:g} Angstrom; a map so fine would need {lack}")
        self.structure.setup_entities()
        density = self.density = gemmi.DensityCalculatorX()
        density.d_min = d_min
        density.grid.setup_from(self.structure)
        density.set_refmac_compatible_blur(self.structure[0])
        self.hkl, self.atoms = self._transformed()
        self.F = self.atoms
        if bulk_solvent:
            masker = gemmi.SolventMasker(gemmi.AtomicRadiiSet.Refmac)
            grid = gemmi.FloatGrid()
            grid.copy_metadata_from(density.grid)
            masker.put_mask_on_float_grid(grid, self.structure[0])
            _, mask = _in_sphere(gemmi.transform_map_to_f_phi(grid, half_l=True), d_min, 0.0)
            inverse_d2 = self.structure.cell.calculate_1_d2_array(self.hkl)
            self.F = self.atoms + solvent_density * np.exp(-solvent_B / 4.0 * inverse_d2) * mask

    def _transformed(self):
        self.density.put_model_density_on_grid(self.structure[0])
        transform = gemmi_module().transform_map_to_f_phi(self.density.grid, half_l=True)
        return _in_sphere(transform, self.d_min, self.density.blur)

    def elements(self):
        """G by the names of the elements: what a form factor of one electron more adds."""
        names = {atom.element.name for each in self.structure[0].all() for atom in (each.atom,)}
        found = {}
        for name in sorted(names):
            self.density.addends.clear()
            self.density.addends.set(gemmi_module().Element(name), 1.0)
            found[name] = self._transformed()[1] - self.atoms
        self.density.addends.clear()
        return found

    def table(self, F, default_F, F000, friedel=False, mates=None):
        """The HklTable of amplitudes; mates: None, or those of -h."""
        kept = np.any(self.hkl != 0, axis=1)
        at_zero = float(F[~kept][0]) if F000 else None
        hkl, F, group = self.hkl[kept], F[kept], self.structure.find_spacegroup()
        if mates is not None:
            # centric reflections are their own mates by symmetry, with the same amplitude
            hkl, F = np.concatenate((-hkl, hkl)), np.concatenate((mates[kept], F))
        return from_arrays(hkl, F, default_F, F000=at_zero, space_group=group, friedel=friedel)


def _structure(name):
    with plain_file(name, ".cif" if ".cif" in name.lower() else ".pdb") as plain, in_one_sentence(name, plain):
        structure = gemmi_module().read_structure(plain)
    atoms = len(structure) and structure[0].count_atom_sites()
    if not structure.cell.is_crystal() or structure.find_spacegroup() is None or not atoms:
        raise NanoBraggError(f"{name} has no unit cell, space group or atoms; give a model of a crystal")
    return structure


def _in_sphere(transform, d_min, blur):
    data = transform.prepare_asu_data(dmin=d_min, unblur=blur, with_000=True)
    return np.array(data.miller_array), np.array(data.value_array)
