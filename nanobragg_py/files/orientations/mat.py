"""Orientation matrices of nanoBragg's -mat: nine numbers. What follows them, as in MOSFLM's files, is left unread."""

from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..geometry import convention_geometry
from ..matrix import read_matrix
from ..oriented import OrientedCrystal
from ..registry import OrientationFormat


def read_mat(path: Any, wavelength: Any, convention: str = "MOSFLM", complain: Any = None) -> Any:
    """The OrientedCrystal of a -mat or MOSFLM matrix file.

    wavelength: m, which the matrix was made for. convention: the nanoBragg convention in whose frame it is. complain:
    as of `read_matrix`.
    """
    numbers = read_matrix(path, complain, wavelength * 1e10)
    if numbers is None:
        raise NanoBraggError(f"cannot read {path}; give an orientation matrix file that exists")
    A = np.array(numbers).reshape(3, 3) / (wavelength * 1e10)
    return OrientedCrystal(A=A, geometry=convention_geometry(convention, wavelength))


def mat_text(crystal: Any, wavelength: Any) -> str:
    """The nine numbers of -mat, all digits, for the frame of the crystal's geometry. wavelength: m."""
    rows = crystal.A * (wavelength * 1e10)
    return "".join(" ".join(f"{x + 0.0:.17g}" for x in row) + "\n" for row in rows.tolist())


def read(path: Any, request: Any) -> Any:
    return read_mat(path, request.wavelength, request.convention, request.complain)


def text(crystal: Any, request: Any) -> Any:
    """In the frame of the flags where there are any, since that is where the matrix will be used."""
    frame = request.frame or convention_geometry(request.convention, request.wavelength)
    return mat_text(crystal.moved(frame), request.wavelength)


FORMAT = OrientationFormat(name="mat", title="nanoBragg's -mat", recognise=None, read=read, text=text)
