"""Orientation matrices of MOSFLM.

They begin with the nine numbers of nanoBragg's -mat, and are read as those are (mat.py): rows x, y, z, columns a*, b*,
c*, times the wavelength in Angstrom. There follow missetting angles, U, the cell and missetting angles again.
"""

from typing import Any

from ...orientation import cell_of, split_UB
from ..registry import OrientationFormat
from .mat import read


def mosflm_text(crystal: Any, wavelength: Any) -> str:
    """A MOSFLM matrix file, in its fixed columns and its frame. wavelength: m."""
    A = crystal.in_frame("mosflm")
    U, _ = split_UB(A)
    cell = cell_of(A)

    def columns(rows, width, digits):
        return ["".join(f"{x + 0.0:{width}.{digits}f}" for x in row) for row in rows]

    nothing = columns([(0.0, 0.0, 0.0)], 12, 3)
    lines = columns((A * wavelength * 1e10).tolist(), 12, 8) + nothing + columns(U.tolist(), 12, 7)
    return "\n".join([*lines, *columns([cell], 12, 4), *nothing]) + "\n"


FORMAT = OrientationFormat(
    name="mosflm",
    title="MOSFLM .mat",
    recognise=lambda text: False,
    read=read,
    text=lambda crystal, request: mosflm_text(crystal, request.wavelength),
)
