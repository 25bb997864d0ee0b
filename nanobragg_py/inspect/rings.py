"""Resolution rings: where on a detector of any shape a lattice spacing diffracts to."""

from math import floor, log10
from typing import Any

import numpy as np

from .describe import edge_resolution, spacing

COUNT = 4


def round_spacings(geometry: Any, count: int = COUNT) -> Any:
    """Spacings, Angstrom, of two digits, about evenly spread in 1/d up to the detector's edges, largest first."""
    finest = edge_resolution(geometry)
    chosen = []
    for number in range(1, count + 1):
        wanted = finest * count / number
        digits = 1 - floor(log10(wanted))
        rounded = round(wanted, digits)
        if rounded < finest and number == count:
            rounded = round(rounded + 10.0**-digits, digits)
        if rounded not in chosen:
            chosen.append(rounded)
    return chosen


def spacing_map(geometry: Any, shape: Any, pixels_each: int) -> Any:
    """The spacing, Angstrom, at the middle of each of a grid of cells that are `pixels_each` detector pixels wide."""
    step = pixels_each * geometry.pixel_size
    slow, fast = ((np.arange(count) + 0.5) * step for count in shape)
    return spacing(geometry, fast[None, :], slow[:, None])


def ring_mask(spacings: Any, d: Any) -> Any:
    """Where a map of spacings crosses `d`: bool array of the map's shape, one cell wide."""
    inside = spacings > d
    mask = np.zeros(inside.shape, bool)
    mask[:, 1:] |= inside[:, 1:] != inside[:, :-1]
    mask[1:, :] |= inside[1:, :] != inside[:-1, :]
    return mask
