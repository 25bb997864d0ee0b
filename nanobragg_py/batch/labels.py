"""What is true of an image, as numbers that a program can learn from."""

from __future__ import annotations

from collections.abc import Iterable
from math import acos, degrees, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ..orientation import split_UB
from ..vectors import cross, dot, length, scale, unit

if TYPE_CHECKING:
    from ..experiment.resolved import ResolvedExperiment

#: what `labels_of` gives of every image beside its number: {name: (shape, units)}
LABELS = {
    "A": ((3, 3), "1/angstrom"),
    "quaternion": ((4,), ""),
    "cell": ((6,), "angstrom angstrom angstrom degree degree degree"),
    "wavelength": ((), "m"),
    "fluence": ((), "photons/m^2"),
}
#: and of every spot: {name: (shape, type, units)}
SPOTS = {
    "hkl": ((3,), np.int32, ""),
    "position": ((2,), np.float64, "pixel"),
    "amplitude": ((), np.float64, "electron"),
    "intensity": ((), np.float64, "photon"),
}
#: of panels also
PANEL = ((), np.int32, "")
#: pixels about a spot's that count for its intensity, along each direction
REACH = 2


def quaternion_of(rotation: Iterable[Iterable[float]]) -> np.ndarray:
    """The unit quaternion (w, x, y, z), w >= 0, of a rotation matrix, given as its rows.

    The component of the largest size comes first, so that nothing small is divided by.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    squares = 1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz
    largest = squares.index(max(squares))
    products = (
        (squares[0], zy - yz, xz - zx, yx - xy),
        (zy - yz, squares[1], xy + yx, xz + zx),
        (xz - zx, xy + yx, squares[2], yz + zy),
        (yx - xy, xz + zx, yz + zy, squares[3]),
    )[largest]
    size = 2.0 * sqrt(squares[largest])
    return np.array(products) / (-size if products[0] < 0 else size)


def labels_of(index: int, experiment: ResolvedExperiment) -> dict[str, Any]:
    """What is true of an image, at phi = 0 and before mosaic rotation, as arrays of float64.

    index: its number. A: (3, 3), columns a*, b*, c*, 1/Angstrom, laboratory frame. quaternion: (4,), w x y z, of the
    rotation U in A = UB with B as `nanobragg_py.b_matrix` has it. cell: (6,), Angstrom and degrees. wavelength: m, of
    the central beam. fluence: photons/m^2.
    """
    # three vectors, with which numpy takes its time, image after image
    a, b, c = stars = experiment.crystal.a_star, experiment.crystal.b_star, experiment.crystal.c_star
    A = np.array(stars).T
    across = unit(cross(a, b))
    if not dot(across, c) > 0.0:
        split_UB(A)  # which says what is wrong
    first = unit(a)
    volume = dot(a, cross(b, c))
    u, v, w = direct = [scale(cross(*pair), 1.0 / volume) for pair in ((b, c), (c, a), (a, b))]
    sides = [length(edge) for edge in direct]
    cosines = dot(v, w) / sides[1] / sides[2], dot(u, w) / sides[0] / sides[2], dot(u, v) / sides[0] / sides[1]
    angles = [degrees(acos(cosine if -1.0 <= cosine <= 1.0 else round(cosine))) for cosine in cosines]
    return {
        "index": index,
        "A": A,
        "quaternion": quaternion_of(zip(first, cross(across, first), across, strict=True)),
        "cell": np.array((*sides, *angles)),
        "wavelength": np.float64(experiment.beam.wavelength),
        "fluence": np.float64(experiment.beam.fluence),
    }


def spots_of(experiment: ResolvedExperiment, image: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The spots that the crystal puts on the detector, as `nanobragg-py view --spots` marks them.

    hkl: (n, 3) int. position: (n, 2), fast and slow in pixels, 0 at the first pixel's corner. amplitude: (n,),
    electrons, structure factors of the table; nan where a crystal has its own. With an image without noise also
    intensity: (n,), the photons in it within `REACH` pixels of the spot's own; spots that are nearer share them. n
    differs from image to image.

    Of a detector of panels also panel: (n,) int, from 0; position is in the panel's pixels, and the image is a stack or
    a list.
    """
    from ..inspect.predictions import predict, predict_panels

    panel = None
    if experiment.panels:
        panel, hkl, fast, slow = predict_panels(experiment)
    else:
        hkl, fast, slow = predict(experiment)
    found = {} if panel is None else {"panel": panel.astype(np.int32)}
    found |= {
        "hkl": hkl.astype(np.int32),
        "position": np.stack((fast, slow), axis=-1),
        "amplitude": _amplitudes(experiment, hkl),
    }
    if image is not None and panel is not None:
        found["intensity"] = np.zeros(len(hkl))
        for number, pixels in enumerate(image):
            here = panel == number
            found["intensity"][here] = photons_near(pixels, fast[here], slow[here])
    elif image is not None:
        found["intensity"] = photons_near(image, fast, slow)
    return found


def _amplitudes(experiment, hkl):
    """Of spots; nan where crystals of several materials make them."""
    from ..inspect.predictions import amplitudes

    if any(crystal.structure_factors is not None for crystal in experiment.crystals):
        return np.full(len(hkl), np.nan)
    return amplitudes(experiment.structure_factors.at(experiment.beam.wavelength), hkl)


def spot_fields(found: Any) -> dict[str, Any]:
    """{name: (shape, type, units)} of what is known of spots, as of `spots_of`."""
    return {**({"panel": PANEL} if "panel" in found else {}), **SPOTS}


def photons_near(image: np.ndarray, fast: np.ndarray, slow: np.ndarray) -> np.ndarray:
    """The photons within `REACH` pixels of those at positions."""
    # sums over rectangles from the integral of the image
    total = np.zeros((image.shape[0] + 1, image.shape[1] + 1))
    total[1:, 1:] = image.cumsum(0, np.float64).cumsum(1)
    (top, bottom), (left, right) = (
        ((at.astype(int) - REACH).clip(0, size), (at.astype(int) + REACH + 1).clip(0, size))
        for at, size in zip((slow, fast), image.shape, strict=True)
    )
    return total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
