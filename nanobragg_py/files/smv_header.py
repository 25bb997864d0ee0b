"""SMV headers for geometries that no nanoBragg command line stands behind."""

from math import atan2
from types import SimpleNamespace

import numpy as np

from ..constants import CONVENTIONS
from ..errors import NanoBraggError
from .geometry import frame_rotation
from .report import smv_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: conventions that an SMV header is tried against; DENZO is MOSFLM, and DIALS differs from XDS in its spindle only
HEADER_CONVENTIONS = ("MOSFLM", "XDS", "ADXV", "DIALS")
#: how far directions may be off
SAME = 1e-6


def header_place(geometry: "Any") -> "tuple[Any, Any, Any] | None":
    """(convention, two-theta angle in radians, rotation into its frame) by which a header can tell the geometry.

    None where the detector is turned otherwise than by -twotheta in any of the conventions.
    """
    ours = geometry.frame("mosflm")
    for convention in HEADER_CONVENTIONS:
        beam, fast, slow, normal, axis, _, spindle = (np.asarray(v, float) for v in CONVENTIONS[convention][:-1])
        rotation = frame_rotation("mosflm", beam, spindle).T @ ours
        plane = np.array([geometry.fast, geometry.slow]) @ rotation.T
        facing = np.dot(np.cross(fast, slow), normal) * np.cross(*plane)
        angle = atan2(np.dot(np.cross(axis, normal), facing), np.dot(normal, facing))
        turn = _about(axis, angle)
        if np.allclose(plane, np.array([fast, slow]) @ turn.T, rtol=0, atol=SAME):
            return convention, angle, rotation
    return None


def _about(axis, angle):
    """The matrix of a right-handed rotation about a unit axis."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


def smv_header_of(geometry: "Any") -> "Any":
    """The 512-byte header of an image of a Geometry; NanoBraggError where it cannot be told in one."""
    place = None if geometry.curved else header_place(geometry)
    if place is None:
        raise NanoBraggError(
            "an SMV header cannot tell of a detector that is curved or turned otherwise than by -twotheta; convert to "
            "CBF or NeXus"
        )
    convention, twotheta, rotation = place
    pixel = geometry.pixel_size
    height = geometry.spixels * pixel
    fast, slow = geometry.beam_centre
    centre = {
        "MOSFLM": (slow - 0.5 * pixel, fast - 0.5 * pixel),
        "ADXV": (fast, height - slow),
    }.get(convention, (fast, slow))
    origin = np.asarray(geometry.origin)
    x, y, z = (rotation @ origin * 1000.0).tolist()
    detector = SimpleNamespace(
        pixel_size=pixel,
        fpixels=geometry.fpixels,
        spixels=geometry.spixels,
        detsize_s=height,
        distance=geometry.distance,
        close_distance=geometry.close_distance,
        twotheta=twotheta if abs(twotheta) > SAME else 0.0,
        Xbeam=centre[0],
        Ybeam=centre[1],
        Fbeam=fast,
        Sbeam=slow,
        ORGX=0.5 - float(np.dot(geometry.fast, origin)) / pixel,
        ORGY=0.5 - float(np.dot(geometry.slow, origin)) / pixel,
        dials_origin=(z, y, -x),
    )
    return smv_header(
        SimpleNamespace(
            beam=SimpleNamespace(wavelength=geometry.wavelength),
            detector=detector,
            sampling=SimpleNamespace(phi0=geometry.phi0, osc=geometry.osc),
        )
    )


def with_offset(header: bytes, offset: "Any") -> bytes:
    """An SMV header that tells the counts of no photon as well; as it is where offset is None.

    header: as `smv_header` of files/report.py makes it, 512 bytes. ADC_OFFSET is what dxtbx reads in such headers.
    """
    if offset is None:
        return header
    body = header[: header.rindex(b"}")].partition(b";\n")[2] + f"ADC_OFFSET={offset:g};\n".encode() + b"}\f"
    first = b"{\nHEADER_BYTES=%d;\n"
    size = 512 * -(-(len(first % 1024) + len(body)) // 512)
    return (first % size + body).ljust(size)
