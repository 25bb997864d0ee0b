"""Orientation matrices of nanoBragg's -mat and of MOSFLM.

Both begin with the same nine numbers: rows x, y, z, columns a*, b*, c*, times the wavelength in Angstrom. In a MOSFLM
file there follow missetting angles, U, the cell and missetting angles again; nanoBragg leaves those unread.
"""

import numpy as np

from ..errors import NanoBraggError
from ..orientation import cell_of, split_UB
from .geometry import convention_geometry
from .matrix import read_matrix
from .oriented import OrientedCrystal
from .scan import scan_number


def read_mat(path, wavelength, convention="MOSFLM", complain=None):
    """The OrientedCrystal of a -mat or MOSFLM matrix file.

    wavelength: m, which the matrix was made for. convention: the nanoBragg convention in whose frame it is. complain:
    called with a sentence when the file's missetting angles are not 0, since nanoBragg does not apply them.
    """
    numbers = read_matrix(path)
    if numbers is None:
        raise NanoBraggError(f"cannot read {path}; give an orientation matrix file that exists")
    A = np.array(numbers).reshape(3, 3) / (wavelength * 1e10)
    if complain is not None:
        with open(path, "rb") as file:
            text, position = file.read(65536), 0
        for _ in range(9):
            _, position = scan_number(text, position)
        missets = []
        for _ in range(3):
            angle, position = scan_number(text, position)
            missets.append(angle)
        if any(missets):
            complain("the missetting angles {:g} {:g} {:g} of the matrix file are not applied".format(*missets))
    return OrientedCrystal(A=A, geometry=convention_geometry(convention, wavelength))


def mat_text(crystal, wavelength):
    """The nine numbers of -mat, all digits, for the frame of the crystal's geometry. wavelength: m."""
    rows = crystal.A * (wavelength * 1e10)
    return "".join(" ".join(f"{x + 0.0:.17g}" for x in row) + "\n" for row in rows.tolist())


def mosflm_text(crystal, wavelength):
    """A MOSFLM matrix file, in its fixed columns and its frame. wavelength: m."""
    A = crystal.in_frame("mosflm")
    U, _ = split_UB(A)
    cell = cell_of(A)

    def columns(rows, width, digits):
        return ["".join(f"{x + 0.0:{width}.{digits}f}" for x in row) for row in rows]

    nothing = columns([(0.0, 0.0, 0.0)], 12, 3)
    lines = columns((A * wavelength * 1e10).tolist(), 12, 8) + nothing + columns(U.tolist(), 12, 7)
    return "\n".join([*lines, *columns([cell], 12, 4), *nothing]) + "\n"
