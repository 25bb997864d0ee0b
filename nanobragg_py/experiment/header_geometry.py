"""What the header of an SMV image tells of beam, spindle and detector."""

from math import radians
from typing import Any

import numpy as np

from ..constants import CONVENTIONS
from ..errors import NanoBraggError
from ..files.formats.smv import header_fields
from ..files.geometry import Geometry, detector_plane
from ..files.smv_header import HEADER_CONVENTIONS
from ..files.smv_read import header_value
from ..flags.header import apply_header
from ..flags.options import Options
from ..vectors import rotate_axis
from .resolve.detector import orient, place_detector

#: header values have six digits; this much of a pixel, and of the distance, may be lost
PIXEL_TOLERANCE = 0.05
DISTANCE_TOLERANCE = 2e-5


def header_geometry(image: Any) -> Any:
    """The Geometry that the header of an SMVImage tells, or NanoBraggError when it does not tell enough.

    Headers of nanoBragg list what their convention made of the beam centre, so the convention can be found again. What
    they lack is a detector's tilt other than -twotheta, and vectors that are nobody's convention. Headers of other
    programs are read as -img reads them, and as if they came from an untilted detector in the MOSFLM convention.
    """
    fields = header_fields(image.header)
    missing = [key for key in ("PIXEL_SIZE", "DISTANCE", "WAVELENGTH") if key not in fields]
    if missing:
        raise NanoBraggError(f"the header of {image.name} has no {missing[0]}; give nanoBragg's flags after --")
    for key in ("PIXEL_SIZE", "DISTANCE", "WAVELENGTH"):
        value = header_value(image.header, key)
        if value is None or not 0 < abs(value) < float("inf") or (value < 0 and key != "DISTANCE"):
            raise NanoBraggError(
                f"the header of {image.name} has {key}={fields[key]}, which cannot be; give nanoBragg's flags after --"
            )
    if "DIALS_ORIGIN" in fields and "XDS_ORGX" in fields:
        return _nanobragg_geometry(image, fields)
    if header_value(image.header, "TWOTHETA"):
        raise NanoBraggError(
            f"the header of {image.name} has a TWOTHETA, and nothing says about which axis; give nanoBragg's flags "
            "after --"
        )
    options = Options()
    apply_header(options, image, "img")
    options.osc = max(options.osc, 0.0)
    frame = orient(options, _ignore)
    detector = place_detector(options, frame, (1, 0.0, 0.0, -1.0), None, _ignore)
    return Geometry(
        wavelength=options.wavelength,
        beam=frame.beam,
        spindle=frame.spindle,
        phi0=options.phi0,
        osc=options.osc,
        **detector_plane(detector),
    )


def _ignore(text):
    """The listener of those who do not listen."""


def _nanobragg_geometry(image, fields):
    """The Geometry of a nanoBragg header: that of the convention in which its DIALS_ORIGIN comes out."""
    try:
        pixel, close, wavelength = (float(fields[key]) for key in ("PIXEL_SIZE", "CLOSE_DISTANCE", "WAVELENGTH"))
        orgx, orgy = float(fields["XDS_ORGX"]), float(fields["XDS_ORGY"])
        twotheta, phi, osc = (float(fields.get(key, 0.0)) for key in ("TWOTHETA", "PHI", "OSC_RANGE"))
        expected = np.array([float(value) for value in fields["DIALS_ORIGIN"].split(",")])
        if not np.isfinite([pixel, close, wavelength, orgx, orgy, twotheta, phi, osc, *expected]).all():
            raise ValueError("not finite")
    except (KeyError, ValueError):
        raise NanoBraggError(
            f"the header of {image.name} lacks numbers, or has words in their place; give nanoBragg's flags after --"
        ) from None
    tolerance = PIXEL_TOLERANCE * pixel + DISTANCE_TOLERANCE * abs(close)
    for convention in HEADER_CONVENTIONS:
        beam, *plane, axis, _, spindle, _ = CONVENTIONS[convention]
        fast, slow, normal = (rotate_axis(vector, axis, radians(twotheta)) for vector in plane)
        origin = [
            (0.5 - orgx) * pixel * f + (0.5 - orgy) * pixel * s + close * n
            for f, s, n in zip(fast, slow, normal, strict=True)
        ]
        if expected.shape == (3,) and np.allclose((origin[2], origin[1], -origin[0]), expected, rtol=0, atol=tolerance):
            break
    else:
        raise NanoBraggError(
            f"the detector of {image.name} is tilted or turned in a way that its header does not tell; give "
            "nanoBragg's flags after --"
        )
    return Geometry(
        wavelength=wavelength * 1e-10,
        beam=tuple(map(float, beam)),
        spindle=tuple(map(float, spindle)),
        phi0=radians(phi),
        osc=radians(osc),
        fast=fast,
        slow=slow,
        origin=tuple(x / 1000.0 for x in origin),
        pixel_size=pixel / 1000.0,
        fpixels=image.width,
        spixels=image.height,
        convention=convention,
    )
