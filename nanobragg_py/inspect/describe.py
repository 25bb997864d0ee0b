"""What can be said of an image: its header, its geometry, its statistics."""

from math import degrees
from typing import Any

import numpy as np

from ..constants import EV_ANGSTROM
from ..errors import NanoBraggError
from ..experiment.header_geometry import header_geometry

#: m; nothing of a detector is as far away or as large
FAR = 1e6
#: what is usual: Angstrom, and mm
WAVELENGTHS, PIXELS, DISTANCES = (0.05, 20.0), (1e-3, 5.0), (1.0, 5e4)


def statistics(image: Any) -> dict[Any, Any]:
    """Counts and moments of the pixels, as a dict; minimum to rms are of the finite ones."""
    pixels = image.pixels
    finite = pixels[np.isfinite(pixels)]
    values = finite.astype(np.float64)
    some = values.size > 0
    where: Any = (
        np.unravel_index(int(np.argmax(np.where(np.isfinite(pixels), pixels, -np.inf))), pixels.shape) if some else None
    )
    return {
        "pixels": int(pixels.size),
        "minimum": float(values.min()) if some else None,
        "maximum": float(values.max()) if some else None,
        "maximum_at": [int(where[1]), int(where[0])] if some else None,
        "mean": float(values.mean()) if some else None,
        "rmsd": float(values.std()) if some else None,
        "sum": float(values.sum()) if some else None,
        "zero": int(np.count_nonzero(pixels == 0)),
        "negative": int(np.count_nonzero(values < 0)),
        "overloads": None if image.saturated is None else int(np.count_nonzero(pixels >= image.saturated)),
        "not_finite": int(pixels.size - finite.size),
    }


def image_geometry(image: Any) -> Any:
    """The Geometry that an image's own header tells; NanoBraggError where it tells none."""
    geometry = image.geometry
    if geometry is None and image.smv is not None:
        geometry = header_geometry(image.smv)
    if geometry is None:
        raise NanoBraggError(
            image.no_geometry or f"{image.name} says nothing of beam and detector that is understood here"
        )
    with np.errstate(all="ignore"):
        possible = _possible(geometry)
    if not possible:
        raise NanoBraggError(f"{image.name} tells of a beam and a detector that cannot be")
    return geometry


def _possible(geometry):
    """Whether all numbers of a geometry are finite and its directions what directions are."""
    vectors = [geometry.beam, geometry.spindle, geometry.fast, geometry.slow, geometry.origin]
    finite = np.isfinite([*np.ravel(vectors), geometry.phi0, geometry.osc, geometry.thickness]).all()
    square = finite and np.allclose(np.linalg.norm(vectors[:4], axis=1), 1.0) and abs(np.dot(*vectors[2:4])) < 1e-3
    sizes = (geometry.wavelength, geometry.pixel_size, float(np.linalg.norm(geometry.origin)))
    return bool(square) and all(0 < size < FAR for size in sizes)


def odd_geometry(geometry: Any) -> list[Any]:
    """Sentences about a geometry that may be, and mostly is not meant."""
    numbers = (
        ("wavelength", geometry.wavelength * 1e10, "A", WAVELENGTHS),
        ("pixel size", geometry.pixel_size * 1e3, "mm", PIXELS),
        ("distance", float(np.linalg.norm(geometry.origin)) * 1e3, "mm", DISTANCES),
    )
    odd = [
        f"the {name} is {value:.6g} {unit}, which is unusual; the header may give it in another unit"
        for name, value, unit, (low, high) in numbers
        if not low <= value <= high
    ]
    return [*odd, *_odd_centre(geometry)]


def _odd_centre(geometry):
    try:
        fast, slow = geometry.beam_centre
    except NanoBraggError as error:
        return [str(error)]
    width, height = geometry.fpixels * geometry.pixel_size, geometry.spixels * geometry.pixel_size
    if 0 <= fast <= width and 0 <= slow <= height:
        return []
    pixels = fast * 1e3 < geometry.fpixels and slow * 1e3 < geometry.spixels and fast > 0 and slow > 0
    return [
        f"the beam centre ({fast * 1e3:.4g} {slow * 1e3:.4g} mm along fast and slow) lies off the detector of "
        f"{width * 1e3:.4g} x {height * 1e3:.4g} mm"
        + ("; the header may give it in pixels, where millimetres are wanted" if pixels else "")
    ]


def geometry_items(geometry: Any) -> list[Any]:
    """Beam, detector and rotation as rows (name, value, unit)."""
    normal = geometry.normal
    tilt = degrees(float(np.arccos(np.clip(np.dot(geometry.beam, normal), -1.0, 1.0))))
    rows = [
        ("wavelength", geometry.wavelength * 1e10, "A"),
        ("energy", EV_ANGSTROM / (geometry.wavelength * 1e10), "eV"),
        ("distance", geometry.distance * 1e3, "mm"),
        ("close distance", geometry.close_distance * 1e3, "mm"),
        ("tilt of the detector", tilt, "deg"),
        ("pixel size", geometry.pixel_size * 1e3, "mm"),
        ("phi", degrees(geometry.phi0), "deg"),
        ("oscillation", degrees(geometry.osc), "deg"),
        ("resolution at the edges", edge_resolution(geometry), "A"),
        ("resolution in the corners", corner_resolution(geometry), "A"),
    ]
    return [(name, 0.0 if abs(value) < 1e-9 else value, unit) for name, value, unit in rows]


def spacing(geometry: Any, fast: Any, slow: Any) -> Any:
    """The lattice spacing, Angstrom, that diffracts to points of the detector (m along fast and slow)."""
    points = geometry.positions(fast, slow)
    directions = points / np.linalg.norm(points, axis=-1, keepdims=True)
    change = np.linalg.norm(directions - np.asarray(geometry.beam), axis=-1)
    with np.errstate(divide="ignore"):
        return geometry.wavelength * 1e10 / change


def _edges(geometry):
    width, height = geometry.fpixels * geometry.pixel_size, geometry.spixels * geometry.pixel_size
    fast, slow = geometry.beam_centre
    return width, height, min(max(fast, 0.0), width), min(max(slow, 0.0), height)


def edge_resolution(geometry: Any) -> float:
    """The smallest spacing, Angstrom, at the four points of the edges straight up, down, left and right of the beam."""
    width, height, fast, slow = _edges(geometry)
    return float(spacing(geometry, [0.0, width, fast, fast], [slow, slow, 0.0, height]).min())


def corner_resolution(geometry: Any) -> float:
    """The smallest spacing, Angstrom, that reaches a corner of the detector."""
    width, height, _, _ = _edges(geometry)
    return float(spacing(geometry, [0.0, width, 0.0, width], [0.0, 0.0, height, height]).min())
