"""What can be said of an image: its header, its geometry, its statistics."""

import re
from math import degrees

import numpy as np

from ..errors import NanoBraggError
from ..experiment.header_geometry import header_fields, header_geometry
from ..files.geometry import Geometry

#: of the short CBF header: field and its pattern
SHORT_HEADER = {
    "pixel_size": r"Pixel_size\s+(\S+)\s*m",
    "wavelength": r"Wavelength\s+(\S+)",
    "distance": r"Detector_distance\s+(\S+)",
    "beam": r"Beam_xy\s+\(([^,]+),\s*([^)]+)\)",
    "phi0": r"Start_angle\s+(\S+)",
    "osc": r"Angle_increment\s+(\S+)",
}


def statistics(image):
    """Counts and moments of the pixels, as a dict; minimum to rms are of the finite ones."""
    pixels = image.pixels
    finite = pixels[np.isfinite(pixels)]
    values = finite.astype(np.float64)
    some = values.size > 0
    where = (
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


def header_items(image):
    """The header as rows (key, value), in its order."""
    if image.kind == "smv":
        return list(header_fields(image.smv.header).items())
    rows = [
        line[1:].strip() for line in image.header.splitlines() if line.startswith("#") and not line.startswith("##")
    ]
    return [tuple(re.split(r"[:\s]+", row, maxsplit=1)) if " " in row else (row, "") for row in rows]


def image_geometry(image):
    """The Geometry that an image's own header tells; NanoBraggError where it tells none."""
    if image.kind == "smv":
        return header_geometry(image.smv)
    if image.kind == "cbf" and "_diffrn.id" not in image.header:
        return _short_geometry(image)
    raise NanoBraggError(f"{image.name} says nothing of beam and detector that is understood here")


def _short_geometry(image):
    """The Geometry of a miniCBF: the detector across the beam, fast along the spindle."""
    found = {name: re.search(pattern, image.header) for name, pattern in SHORT_HEADER.items()}
    missing = [name for name in ("pixel_size", "wavelength", "distance", "beam") if found[name] is None]
    try:
        if missing:
            raise ValueError
        value = {name: float(match[1]) for name, match in found.items() if match is not None}
        pixel, fast, slow = value["pixel_size"], value["beam"], float(found["beam"][2])
    except ValueError:
        raise NanoBraggError(f"the header of {image.name} says too little of beam and detector") from None
    return Geometry(
        wavelength=value["wavelength"] * 1e-10,
        beam=(1.0, 0.0, 0.0),
        spindle=(0.0, 0.0, 1.0),
        phi0=float(np.radians(value.get("phi0", 0.0))),
        osc=float(np.radians(value.get("osc", 0.0))),
        fast=(0.0, 0.0, 1.0),
        slow=(0.0, -1.0, 0.0),
        origin=(value["distance"], slow * pixel, -fast * pixel),
        pixel_size=pixel,
        fpixels=image.shape[1],
        spixels=image.shape[0],
        convention="MOSFLM",
    )


def geometry_items(geometry):
    """Beam, detector and rotation as rows (name, value, unit)."""
    normal = geometry.normal
    tilt = degrees(float(np.arccos(np.clip(np.dot(geometry.beam, normal), -1.0, 1.0))))
    rows = [
        ("wavelength", geometry.wavelength * 1e10, "A"),
        ("energy", 12398.42 / (geometry.wavelength * 1e10), "eV"),
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


def spacing(geometry, fast, slow):
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


def edge_resolution(geometry):
    """The smallest spacing, Angstrom, at the four points of the edges straight up, down, left and right of the beam."""
    width, height, fast, slow = _edges(geometry)
    return float(spacing(geometry, [0.0, width, fast, fast], [slow, slow, 0.0, height]).min())


def corner_resolution(geometry):
    """The smallest spacing, Angstrom, that reaches a corner of the detector."""
    width, height, _, _ = _edges(geometry)
    return float(spacing(geometry, [0.0, width, 0.0, width], [0.0, 0.0, height, height]).min())
