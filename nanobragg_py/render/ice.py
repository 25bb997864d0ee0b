"""Ice as a curve F(sin(theta)/lambda): the powder rings of hexagonal ice, resolved on an even grid.

A crystal of N cells scatters, averaged over its orientations, N/V sum |F_h|^2 p(s - s_h) / (4 pi s_h^2) around its
reciprocal lattice points, where s = 2 sin(theta)/lambda, V is the cell's volume and p a peak whose integral is 1. Per
molecule that is the square of a curve; what vibrations and disorder take from the rings lies between them.
"""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Any

import numpy as np

from ..constants import AVOGADRO
from ..errors import FieldError
from ..experiment.units import metres
from ..files.reflections import gemmi_module
from ..orientation import b_matrix

#: of one molecule, g/mol
MOLECULAR_WEIGHT = 18.015
#: molecules a cell
MOLECULES = 4
#: space group, and the asymmetric unit: element, x, y, z, occupancy. Hydrogen is disordered: half of it at each place
#: that the ice rules allow
GROUP = "P 63/m m c"
ATOMS = (
    ("O", 1 / 3, 2 / 3, 0.0622, 1.0),
    ("H", 1 / 3, 2 / 3, 0.1989, 0.5),
    ("H", 0.4551, 0.9102, 0.0176, 0.5),
)
#: as far as the curve goes, 1/Angstrom
LARGEST = 1.0
#: grid points a full width at half maximum: the cubic between them follows a Gaussian to 1e-3 of its height
POINTS = 8
#: widths of a peak that are worked out on either side
REACH = 4.0
#: nothing else is ice, Angstrom
EDGES = (3.0, 20.0)


def ice_curve(
    grain: float = 20e-9, a: float = 4.497e-10, c: float = 7.322e-10, B: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (sin(theta)/lambda in 1/Angstrom, F in electrons a molecule) of hexagonal ice.

    grain: size of its crystallites, m, which makes the rings' width (Scherrer: 0.9/grain, full width at half maximum in
    1/d). a, c: of the hexagonal cell, m; by default those of about 100 K. B: displacement factor, Angstrom^2.
    Needs gemmi, for form factors and symmetry.
    """
    grain, a, c, B = check_ice(grain, a, c, B)
    width, step, points = _grid(grain)
    x = step * np.arange(points)
    squares = diffuse(x, B)
    for stol, weight in zip(*rings(a * 1e10, c * 1e10, B), strict=True):
        first = max(0, int((stol - REACH * width) / step))
        near = slice(first, int((stol + REACH * width) / step) + 2)
        # in 1/d, a peak is twice as wide and so half as high
        squares[near] += weight * np.exp(-4.0 * log(2.0) * ((x[near] - stol) / width) ** 2) * _HEIGHT / (2.0 * width)
    return x, np.sqrt(squares)


def check_ice(
    grain: Any = 20e-9, a: Any = 4.497e-10, c: Any = 7.322e-10, B: Any = 1.0
) -> tuple[float, float, float, float]:
    """The arguments of `ice_curve` as numbers; raises FieldError for those that are not of ice."""
    grain, a, c = (_number(name, metres(name, value)) for name, value in (("grain", grain), ("a", a), ("c", c)))
    B = _number("B", B)
    for name, value in (("grain", grain), ("a", a), ("c", c)):
        if not 0.0 < value < 1e-3:
            raise FieldError(f"{name} is {value:g}; it must be a length in metres")
    if not 0.0 <= B < 100.0:
        raise FieldError(f"B is {B:g}; it must be a displacement factor in Angstrom^2")
    if not all(EDGES[0] < 1e10 * edge < EDGES[1] for edge in (a, c)):
        raise FieldError(f"a and c are {a:g} and {c:g}; ice has a cell of about 4.5e-10 and 7.32e-10 m")
    if _grid(grain)[2] > 1_000_000:
        raise FieldError(f"grain is {grain:g}; rings so narrow need no powder but a crystal")
    return grain, a, c, B


def _grid(grain):
    """Of sin(theta)/lambda, 1/Angstrom: a ring's width, the grid's step, and the number of points."""
    width = 0.45e-10 / grain
    step = width / POINTS
    return width, step, int(LARGEST / step) + 1


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise FieldError(f"{name} is {value!r}; it must be a number") from None


#: of a Gaussian whose width and integral are 1
_HEIGHT = 2.0 * sqrt(log(2.0) / pi)


def rings(a: float, c: float, B: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each reflection sin(theta)/lambda, 1/Angstrom, and the integral over 1/d of the square of F a molecule.

    a, c: Angstrom. B: Angstrom^2.
    """
    gemmi = gemmi_module()
    cell = gemmi.UnitCell(a, a, c, 90.0, 90.0, 120.0)
    top = 2.0 * LARGEST
    limits = [int(top * edge) for edge in (a, a, c)]
    hkl = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in limits), indexing="ij"), axis=-1).reshape(-1, 3)
    inverse_d = np.linalg.norm(hkl @ b_matrix(a, a, c, 90.0, 90.0, 120.0).T, axis=1)
    kept = (inverse_d > 0.0) & (inverse_d <= top)
    hkl, inverse_d = hkl[kept], inverse_d[kept]
    F, atoms = np.zeros(len(hkl)), positions()
    for element in sorted({atom[0] for atom in atoms}):
        # the cell has a centre of symmetry at its origin
        waves = sum(occ * np.cos(2.0 * pi * (hkl @ place)) for each, place, occ in atoms if each == element)
        F += form_factor(element, inverse_d / 2.0) * waves
    F *= np.exp(-B * (inverse_d / 2.0) ** 2)
    return inverse_d / 2.0, F**2 / (MOLECULES * cell.volume * 4.0 * pi * inverse_d**2)


def positions() -> list[Any]:
    """All atoms of the cell: (element, fractional coordinates, occupancy)."""
    group = gemmi_module().SpaceGroup(GROUP)
    found = {}
    for element, x, y, z, occupancy in ATOMS:
        for operation in group.operations():
            place = np.array(operation.apply_to_xyz([x, y, z]))
            found[element, *(np.round(place % 1.0, 5) % 1.0).tolist()] = element, place, occupancy
    return list(found.values())


def form_factor(element: str, stol: np.ndarray) -> np.ndarray:
    """The form factor of an element, electrons (International Tables C)."""
    table = gemmi_module().Element(element).it92
    return np.array([table.calculate_sf(square) for square in np.asarray(stol) ** 2])


def diffuse(stol: np.ndarray, B: float) -> np.ndarray:
    """What lies between the rings, electrons^2 a molecule: of atoms that vibrate and are disordered on their own."""
    factor = np.exp(-2.0 * B * stol**2)
    total, atoms = np.zeros(len(stol)), positions()
    for element in sorted({atom[0] for atom in atoms}):
        spread = sum(occ * (1.0 - occ * factor) for each, _, occ in atoms if each == element)
        total += form_factor(element, stol) ** 2 * spread
    return total / MOLECULES


def density(a: float, c: float) -> float:
    """Of ice with a cell of these edges, m: g/cm^3."""
    volume = a * a * c * sqrt(0.75) * 1e6  # cm^3
    return MOLECULES * MOLECULAR_WEIGHT / AVOGADRO / volume
