"""The comment lines in which Pilatus and Eiger detectors tell of the measurement: in CBF headers and in TIFF."""

import re
from math import degrees, radians
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .geometry import THIN, Geometry

#: directions are "along" an axis when they differ by less than this
ALONG = 1e-9
PATTERNS = {
    "pixel_size": r"Pixel_size\s+(\S+)\s*m\s*x\s*(\S+)\s*m",
    "wavelength": r"Wavelength\s+(\S+)",
    "distance": r"Detector_distance\s+(\S+)",
    "beam": r"Beam_xy\s+\(([^,]+),\s*([^)]+)\)",
    "phi0": r"Start_angle\s+(\S+)",
    "osc": r"Angle_increment\s+(\S+)",
    "exposure": r"Exposure_time\s+(\S+)",
    "thickness": r"sensor,\s+thickness\s+(\S+)",
    "twotheta": r"Detector_2theta\s+(\S+)",
    "cutoff": r"Count_cutoff\s+(\S+)",
}
NEEDED = ("pixel_size", "wavelength", "distance", "beam")
#: the default where nothing is known of overloads, which is the largest number
NO_CUTOFF = 2**31 - 1


def is_plain(geometry: Any) -> bool:
    """Whether these lines can tell the geometry: across the beam, fast along the spindle, slow as MOSFLM's."""
    if geometry.curved:
        return False
    rotation = geometry.frame("imgcif")
    across = abs(np.dot(geometry.beam, geometry.spindle)) < ALONG
    return bool(
        across
        and np.allclose(rotation @ np.asarray(geometry.fast), (1, 0, 0), rtol=0, atol=ALONG)
        and np.allclose(rotation @ np.asarray(geometry.slow), (0, -1, 0), rtol=0, atol=ALONG)
    )


def mini_lines(geometry: Any, saturation: Any, details: Any = None) -> list[str]:
    """The comment lines of a plain geometry, as a list. details: a Details, or None."""
    known = details is not None and details.polarization is not None
    fast, slow = (x / geometry.pixel_size for x in geometry.beam_centre)
    return [
        "# Detector: nanobragg_py, simulated",
        f"# Pixel_size {geometry.pixel_size:.9g} m x {geometry.pixel_size:.9g} m",
        f"# Silicon sensor, thickness {geometry.sensor_thickness:.9f} m",
        f"# Exposure_time {geometry.exposure:.9g} s",
        f"# Exposure_period {geometry.exposure:.9g} s",
        f"# Count_cutoff {saturation} counts",
        f"# Wavelength {geometry.wavelength * 1e10:.9g} A",
        f"# Detector_distance {geometry.distance:.9g} m",
        f"# Beam_xy ({fast:.5f}, {slow:.5f}) pixels",
        f"# Start_angle {degrees(geometry.phi0):.9g} deg.",
        f"# Angle_increment {degrees(geometry.osc):.9g} deg.",
        "# Detector_2theta 0.0000 deg.",
        f"# Phi {degrees(geometry.phi0):.9g} deg.",
        "# Oscillation_axis X.CW",
        *([f"# Polarization {details.fraction:.6g}"] if known else []),
    ]


def mini_items(text: Any) -> Any:
    """The comment lines of a header as rows (key, value)."""
    rows = [line[1:].strip() for line in text.splitlines() if line.startswith("#") and not line.startswith("##")]
    return tuple(
        (*re.split(r"[:\s]+", row, maxsplit=1), "")[:2] if re.search(r"[:\s]", row) else (row, "") for row in rows
    )


def mini_saturation(text: Any) -> Any:
    """The value from which pixels are overloads; None where there is none."""
    match = re.search(PATTERNS["cutoff"], text)
    try:
        cutoff = int(float(match[1])) if match else NO_CUTOFF
    except (ValueError, OverflowError):
        return None
    return cutoff if 0 < cutoff < NO_CUTOFF else None


def mini_geometry(name: str, text: Any, shape: Any) -> Any:
    """The Geometry that the comment lines tell: the detector across the beam, fast along the spindle.

    name: of the file. shape: (slow, fast). Raises NanoBraggError where they tell too little or what cannot be.
    """
    found: Any = {key: re.search(pattern, text) for key, pattern in PATTERNS.items()}
    try:
        if None in [found[key] for key in NEEDED]:
            raise ValueError
        value = {key: float(match[1]) for key, match in found.items() if match is not None}
        pixel, other = (float(found["pixel_size"][group]) for group in (1, 2))
        fast, slow = (float(found["beam"][group]) for group in (1, 2))
        if not np.isfinite([*value.values(), slow, other]).all():
            raise ValueError
    except ValueError:
        raise NanoBraggError(f"the header of {name} says too little of beam and detector") from None
    if not (pixel > 0 and value["wavelength"] > 0 and value["distance"] > 0):
        raise NanoBraggError(f"the header of {name} has no sensible pixel size, wavelength and distance")
    if abs(pixel - other) > 1e-6 * pixel:
        raise NanoBraggError(f"{name} has pixels of {pixel:g} x {other:g} m; nanoBragg's are square")
    if value.get("twotheta"):
        raise NanoBraggError(f"the header of {name} has a Detector_2theta, and nothing says about which axis")
    return Geometry(
        wavelength=value["wavelength"] * 1e-10,
        beam=(1.0, 0.0, 0.0),
        spindle=(0.0, 0.0, 1.0),
        phi0=radians(value.get("phi0", 0.0)),
        osc=radians(value.get("osc", 0.0)),
        exposure=value.get("exposure", 1.0),
        thickness=thickness_of(value.get("thickness", 0.0)),
        fast=(0.0, 0.0, 1.0),
        slow=(0.0, -1.0, 0.0),
        origin=(value["distance"], slow * pixel, -fast * pixel),
        pixel_size=pixel,
        fpixels=shape[1],
        spixels=shape[0],
        convention="MOSFLM",
    )


def thickness_of(told: Any) -> Any:
    """A sensor's thickness, m, as told in a file; 0 for that of which none had to be told."""
    return told if told > 1.5 * THIN else 0.0
