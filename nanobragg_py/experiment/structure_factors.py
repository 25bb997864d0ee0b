"""Tables of structure factors from arrays of indices and amplitudes, and what symmetry makes of those.

The kernels know space group P1 only: a dense box of amplitudes. Whatever states less (an asymmetric unit, one of two
Friedel mates) is expanded here, with gemmi: |F(hR)| = |F(h)| for every rotation R of the space group, and, where the
data are not anomalous, |F(-h)| = |F(h)|.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FieldError, NanoBraggError
from ..files import hkl as hkl_files
from ..files.hkl import HklTable
from ..files.reflections import gemmi_module
from ..kernels.files.hkltext import fill_outside
from ..kernels.memory.buffers import Buffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .resolved import StructureFactors


# ---- tables --------------------------------------------------------------------------------------------------------


def from_arrays(
    hkl: ArrayLike,
    F: ArrayLike,
    default_F: float = 0.0,
    *,
    F000: float | None = None,
    space_group: str | int | None = None,
    friedel: bool = False,
    name: str = "the list of structure factors",
) -> HklTable:
    """A table from Miller indices and amplitudes, electrons; rows with an amplitude of nan are left out.

    hkl: (N, 3) whole numbers. F: (N,) amplitudes; later rows win. default_F: of the indices that are missing. F000: of
    the index 0 0 0. space_group: symbol or number, to expand by its rotations (needs gemmi); None: the rows as they
    are. friedel: state the mates -h -k -l as well. Where an expansion meets an index that is among the rows, the row
    wins. With a space group, indices of the box that are systematically absent are 0 and not default_F. name: what
    messages call the rows.

    Raises FieldError for arrays of other shapes, indices that are not whole, or no row at all.
    """
    indices = np.asarray(hkl)
    amplitudes = np.asarray(F, dtype=float)
    if indices.ndim != 2 or indices.shape[1] != 3:
        raise FieldError(f"hkl has the shape {indices.shape}; it must be (N, 3)")
    if amplitudes.shape != (len(indices),):
        raise FieldError(f"F has the shape {amplitudes.shape}; it must be ({len(indices)},), one for each index")
    if indices.dtype.kind not in "iu":
        rounded = np.rint(indices.astype(float))
        if not np.array_equal(rounded, indices) or np.abs(rounded).max(initial=0.0) >= 2**31:
            raise FieldError("hkl has an index that is not a whole number")
        indices = rounded
    kept = np.isfinite(amplitudes)
    indices, amplitudes = indices[kept].astype(np.int64), amplitudes[kept]
    if not len(indices):
        raise FieldError("hkl and F have no row with a finite amplitude")
    if space_group is not None or friedel:
        indices, amplitudes = expand(indices, amplitudes, space_group, friedel)
    if F000 is not None:
        indices = np.concatenate((indices, np.zeros((1, 3), np.int64)))
        amplitudes = np.append(amplitudes, float(F000))
    factors = _table(indices, amplitudes, float(default_F), name)
    if space_group is not None and default_F != 0.0:
        _clear_absences(factors, space_group)
    return factors


def _clear_absences(factors, space_group):
    """Set the systematically absent indices of a new table to 0."""
    operations = _group(space_group).operations()
    box = np.asarray(factors.values)[:-1, :-1, :-1]
    h_min, h_max, k_min, k_max, l_min, l_max = factors.bounds
    k, l = np.meshgrid(np.arange(k_min, k_max + 1), np.arange(l_min, l_max + 1), indexing="ij")
    for h in range(h_min, h_max + 1):
        layer = np.column_stack([np.full(k.size, h), k.ravel(), l.ravel()]).astype(np.int32)
        absent = np.asarray(operations.systematic_absences(layer), dtype=bool)
        box[h - h_min][absent.reshape(k.shape)] = 0.0


def _table(indices, amplitudes, default_F, name):
    low, high = indices.min(axis=0), indices.max(axis=0)
    bounds = tuple(int(x) for pair in zip(low, high, strict=True) for x in pair)
    values = hkl_files.new_table(name, bounds, rows=len(indices))
    box = np.asarray(values)
    if default_F != 0.0:
        box[:-1, :-1, :-1] = default_F
    box[tuple((indices - low).T)] = amplitudes
    return HklTable(bounds=bounds, values=values, count=len(indices), default_F=default_F)


def expand(
    hkl: np.ndarray, F: np.ndarray, space_group: str | int | None, friedel: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and amplitudes with all that symmetry makes of them, those given last so that they win.

    hkl: (N, 3). F: (N,). space_group: symbol or number, or None for P1. friedel: with the mates -h -k -l.
    Returns ((M, 3), (M,)), every index once or more.
    """
    rotations = [np.eye(3, dtype=np.int64)]
    if space_group is not None:
        rotations = symmetry_rotations(space_group)
    signs = (-1, 1) if friedel else (1,)
    parts = [sign * (hkl @ rotation) for sign in signs for rotation in rotations]
    parts.append(hkl)
    return np.concatenate(parts), np.tile(F, len(parts))


def sum_over_mates(
    values: ArrayLike, bounds: tuple, space_group: str | int | None, friedel: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the indices of a box, summed over those that symmetry makes of one another.

    values: (hmax-hmin+1, kmax-kmin+1, lmax-lmin+1), such as derivatives by structure factors, whose sums are those by
    an amplitude that all mates share. bounds: of the box. space_group: symbol or number (needs gemmi), or None.
    friedel: h and -h are mates as well. Returns (hkl (N, 3), sums (N,)): one row for each set of mates, its index the
    one that comes last in order of h, k, l; those that are systematically absent are left out.
    Raises FieldError for values of another shape.
    """
    shape = tuple(n - 1 for n in hkl_files.table_shape(bounds))
    numbers = np.asarray(values, dtype=float)
    if numbers.shape != shape:
        raise FieldError(f"values have the shape {numbers.shape}; the box of structure factors has {shape}")
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3) + bounds[::2]
    rotations = [np.eye(3, dtype=np.int64)] if space_group is None else symmetry_rotations(space_group)
    signs = (1, -1) if friedel else (1,)
    mates = np.stack([sign * (grid @ rotation) for sign in signs for rotation in rotations])
    # one number for each index, in order of h, k, l
    size = 2 * int(np.abs(mates).max(initial=0)) + 1
    codes = ((mates + size // 2) @ (size * size, size, 1)).max(axis=0)
    found, where = np.unique(codes, return_inverse=True)
    hkl = np.stack([found // (size * size), found // size % size, found % size], axis=1) - size // 2
    sums = np.bincount(where, numbers.reshape(-1), len(found))
    if space_group is not None and len(hkl):
        operations = _group(space_group).operations()
        present = ~np.asarray(operations.systematic_absences(hkl.astype(np.int32)), dtype=bool)
        hkl, sums = hkl[present], sums[present]
    return hkl.astype(np.int32), sums


def symmetry_rotations(space_group: str | int) -> list[np.ndarray]:
    """The rotation parts R of a space group's operations, (3, 3) integers: indices, as rows, go to hR."""
    gemmi = gemmi_module()
    unique = {tuple(map(tuple, operation.rot)) for operation in _group(space_group).operations().sym_ops}
    return [np.array(rotation, dtype=np.int64) // gemmi.Op.DEN for rotation in sorted(unique)]


def _group(space_group):
    """gemmi's SpaceGroup of a symbol or number, or itself."""
    gemmi = gemmi_module()
    if isinstance(space_group, gemmi.SpaceGroup):
        return space_group
    find = gemmi.find_spacegroup_by_number if isinstance(space_group, int) else gemmi.find_spacegroup_by_name
    group = find(space_group)
    if group is None:
        raise FieldError(f"space_group is {space_group!r}; give a Hermann-Mauguin symbol or a number from 1 to 230")
    return group


def amplitudes(factors: Any) -> tuple[np.ndarray, np.ndarray]:
    """All indices of the box, (N, 3) int32, and their amplitudes, (N,) float64, h outermost."""
    if factors.bounds is None:
        return np.empty((0, 3), np.int32), np.empty(0)
    h0, h1, k0, k1, l0, l1 = factors.bounds
    axes = (np.arange(h0, h1 + 1), np.arange(k0, k1 + 1), np.arange(l0, l1 + 1))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int32)
    several = (len(factors.wavelengths),) if factors.wavelengths else ()
    values = np.asarray(factors.values).reshape(*several, *hkl_files.table_shape(factors.bounds))
    return grid, values[..., :-1, :-1, :-1].reshape(*several, -1)


def padded(values: ArrayLike, bounds: tuple, tables: int = 0) -> Any:
    """A copy of a table of `hkl_files.table_shape(bounds)` with the room in front that the kernels need; of several
    tables, (tables, ...), an array."""
    shape = hkl_files.table_shape(bounds)
    array = np.asarray(values, dtype=float)
    if tables:
        return np.array(array.reshape(tables, *shape))
    if array.shape != shape:
        raise FieldError(f"structure_factors.values has the shape {array.shape}; its bounds ask for {shape}")
    table = Buffer(shape, "d", False, hkl_files.table_pad(shape))
    np.asarray(table)[...] = array
    return table


# ---- several, for beams of many wavelengths ------------------------------------------------------------------------

#: parts of a wavelength by which one may lie beyond the tables'
ROUNDING = 1e-9


def check_wavelengths(wavelengths: Any, bounds: Any) -> tuple[float, ...]:
    """The wavelengths, m, of several tables; FieldError where they are none."""
    from ..files.spectrum import fault
    from .checks import positive

    found = tuple(positive("structure_factors.wavelengths", wavelength) for wavelength in wavelengths)
    if bounds is None or len(found) < 2:
        raise FieldError("structure_factors.wavelengths are those of several tables; give two tables or more")
    if (wrong := fault(found, (1.0,) * len(found))) is not None:
        raise FieldError(f"structure_factors.wavelengths, number {wrong[0] + 1}: {wrong[1]}")
    return found


def given_wavelengths(wavelengths: Any) -> list[float]:
    """One wavelength or several, m, as numbers or with words for their units; FieldError for none."""
    from .checks import positive
    from .fields import Field
    from .units import in_unit

    if wavelengths is None:
        raise FieldError("anomalous scattering needs wavelengths; give one, or those that the beam's are between")
    row = Field((), positive, "m", "", part="structure_factors", name="wavelengths", energy=True)
    several = wavelengths if isinstance(wavelengths, (list, tuple, np.ndarray)) else [wavelengths]
    given = [positive(row.full_name, in_unit(row, each)) for each in several]
    if len(given) != 1:
        check_wavelengths(given, ())
    return given


def at_wavelengths(tables: Sequence[StructureFactors], wavelengths: Sequence[float]) -> StructureFactors:
    """As `StructureFactors.at_wavelengths`."""
    given = list(tables)
    if not all(hasattr(each, "amplitudes") for each in given):
        raise FieldError("tables must each be nanobragg_py.StructureFactors")
    if not given or len(given) != len(wavelengths):
        raise FieldError(f"there are {len(given)} tables and {len(wavelengths)} wavelengths; give as many of each")
    if any(each.bounds is None or each.wavelengths for each in given):
        raise FieldError("tables of several wavelengths must each be one table of amplitudes")
    if len({each.default_F for each in given}) > 1:
        raise FieldError("tables of several wavelengths must have one default_F")
    boxes = np.array([each.bounds for each in given]).reshape(-1, 3, 2)
    low, high = boxes[:, :, 0].min(axis=0), boxes[:, :, 1].max(axis=0)
    bounds: Any = tuple(int(x) for pair in zip(low, high, strict=True) for x in pair)
    values = np.zeros((len(given), *hkl_files.table_shape(bounds)))
    values[:, :-1, :-1, :-1] = given[0].default_F
    for one, each, (begin, end) in zip(values, given, boxes.transpose(0, 2, 1), strict=True):
        place = tuple(slice(b - l, e - l + 1) for b, e, l in zip(begin, end, low, strict=True))
        _, amplitude = each.amplitudes()
        one[place] = amplitude.reshape(end - begin + 1)
    return type(given[0])(bounds, values, max(each.count for each in given), given[0].default_F, tuple(wavelengths))


def at_wavelength(factors: StructureFactors, wavelength: float) -> StructureFactors:
    """As `StructureFactors.at`."""
    if not factors.wavelengths:
        return factors
    if not within(factors.wavelengths, wavelength):
        low, high = (factors.wavelengths[at] * 1e10 for at in (0, -1))
        raise FieldError(f"the tables are from {low:g} to {high:g} A, and {wavelength * 1e10:g} A is not among that")
    bounds: Any = factors.bounds
    return type(factors)(bounds, padded(_between(factors, wavelength), bounds), factors.count, factors.default_F)


def within(wavelengths: tuple[float, ...], wavelength: float) -> bool:
    """Whether tables of these wavelengths reach one."""
    return wavelengths[0] * (1.0 - ROUNDING) <= wavelength <= wavelengths[-1] * (1.0 + ROUNDING)


def _between(factors, wavelength):
    """The amplitudes of a wavelength, linear between two tables."""
    known = factors.wavelengths
    at = min(max(int(np.searchsorted(known, wavelength, "right")) - 1, 0), len(known) - 2)
    share = min(max((wavelength - known[at]) / (known[at + 1] - known[at]), 0.0), 1.0)
    return (1.0 - share) * factors.values[at] + share * factors.values[at + 1]


def source_tables(factors: StructureFactors, wavelengths: Sequence[float]) -> Buffer:
    """Tables in the kernels' layout, one after the other for the wavelengths that sources have: what
    `nanobragg_py.files.hkl.kernel_table` is for one. Raises NanoBraggError where there is no memory."""
    shape = hkl_files.table_shape(factors.bounds)
    pad = hkl_files.table_pad(shape)
    try:
        made = Buffer((len(wavelengths) * shape[0], *shape[1:]), "d", False, pad)
    except MemoryError:
        gib = 8.0 * len(wavelengths) * np.prod(shape, dtype=float) / 2**30
        raise NanoBraggError(
            f"no memory for {len(wavelengths)} tables of structure factors ({gib:.3g} GiB), one for each wavelength; "
            "give the beam fewer"
        ) from None
    tables = np.asarray(made).reshape(-1, *shape)
    for table, wavelength in zip(tables, wavelengths, strict=True):
        table[...] = _between(factors, wavelength)
    tables[:, -1] = factors.default_F
    fill_outside(made, factors.default_F)
    return made
