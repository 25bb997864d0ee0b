"""XPARM.XDS and GXPARM.XDS: geometry and crystal as XDS has them, in whatever frame its input file set up."""

from math import degrees, radians
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ...orientation import cell_of
from ..geometry import Geometry
from ..oriented import OrientedCrystal
from ..reading import cannot_read
from ..registry import OrientationFormat

#: how many numbers there are on the second line and those after it
COUNTS = (6, 4, 7, 3, 3, 3, 5, 3, 3, 3, 3)
#: the same of XDS before 2010, from the first line on: the detector first, then the crystal
OLD_COUNTS = (6, 4, 4, 3, 3, 3, 3, 7, 3, 3, 3)
_NAMES = ("XPARM.XDS", "GXPARM.XDS")


def is_xparm(text: Any) -> Any:
    """Whether a text begins as an XPARM.XDS or GXPARM.XDS file: by name, or, of old, by the numbers on its lines."""
    lines = [line.split() for line in text.splitlines()[:2]]
    return text.split(None, 1)[:1] in ([name] for name in _NAMES) or _is_old(lines)


def _is_old(lines):
    """Whether lines of words begin as an XPARM.XDS file did before 2010; no other kind of orientation does."""
    if tuple(map(len, lines[:2])) != OLD_COUNTS[:2]:
        return False
    try:
        return all(float(word) is not None for line in lines[:2] for word in line)
    except ValueError:
        return False


def read_xparm(path: Any) -> Any:
    """The OrientedCrystal of an XPARM.XDS or GXPARM.XDS file, with its detector; NanoBraggError for what is none."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            lines = [line.split() for line in file.read(65536).lstrip().splitlines()]
    except (OSError, ValueError) as error:
        raise cannot_read(path, error, "give an XPARM.XDS file") from None
    if _is_old(lines):
        (_, phi, osc, *axis), (wavelength, *beam), size, place, fast, slow, _, cell, *axes = _rows(
            path, lines, OLD_COUNTS, 1
        )
        nx, ny, qx, qy = size
        distance, orgx, orgy = place
    elif lines and lines[0] and lines[0][0] in _NAMES:
        (_, phi, osc, *axis), (wavelength, *beam), cell, *axes, segment, place, fast, slow, _ = _rows(
            path, lines[1:], COUNTS, 2
        )
        _, nx, ny, qx, qy = segment
        orgx, orgy, distance = place
    else:
        raise NanoBraggError(f"{path} is no XPARM.XDS file: neither its name nor its numbers are on its first lines")
    group = cell[0]
    if qx != qy:
        raise NanoBraggError(f"{path} has pixels of {qx:g} x {qy:g} mm; nanoBragg's are square")
    vectors = any(beam) and any(axis) and np.cross(fast, slow).any()
    whole = all(1 <= count < 2**31 for count in (nx, ny)) and 1 <= group <= 230
    if not (vectors and whole and wavelength > 0 and qx > 0 and np.linalg.det(axes) != 0):
        raise NanoBraggError(f"{path} has no usable wavelength, directions, pixels, space group or cell axes")
    fast, slow = (np.asarray(v) / np.linalg.norm(v) for v in (fast, slow))
    origin = distance * np.cross(fast, slow) - (orgx - 0.5) * qx * fast - (orgy - 0.5) * qx * slow
    # XDS counts phi from the first image's start; crystal axes are those at phi 0
    geometry = Geometry(
        wavelength=wavelength * 1e-10,
        beam=_unit(beam),
        spindle=_unit(axis),
        phi0=radians(phi),
        osc=radians(osc),
        fast=tuple(fast.tolist()),
        slow=tuple(slow.tolist()),
        origin=tuple((origin / 1000.0).tolist()),
        pixel_size=qx / 1000.0,
        fpixels=int(nx),
        spixels=int(ny),
    )
    return OrientedCrystal(A=np.linalg.inv(axes), geometry=geometry, space_group=int(group))


def _rows(path, lines, counts, first):
    """The finite numbers of lines of words. first: the number of the first line in the file."""
    rows = []
    for number, count in enumerate(counts):
        try:
            row = [float(word) for word in lines[number]]
        except (IndexError, ValueError):
            row = []
        if len(row) != count or not np.isfinite(row).all():
            raise NanoBraggError(
                f"line {number + first} of {path} does not have the {count} numbers of an XPARM.XDS file"
            )
        rows.append(row)
    return rows


def _unit(vector):
    return tuple((np.asarray(vector) / np.linalg.norm(vector)).tolist())


def xds_inp(geometry: Any, template: Any, images: Any, kahn: float = 0.0, e_vector: Any = None) -> str:
    """The text of an XDS.INP for a sweep of nanoBragg images.

    geometry: the `Geometry` of the first image. template: the files' names with ? for the digits of the number, which
    begins with 1. images: how many. kahn: the polarization factor, -1 to 1. e_vector: direction of the electric field
    where that is 1, laboratory frame; None: along the spindle. Directions are in the frame in which the beam is along z
    and the spindle along x.
    """
    turn = geometry.frame("xds")
    beam, spindle, fast, slow, origin = (
        turn @ np.asarray(v) for v in (geometry.beam, geometry.spindle, geometry.fast, geometry.slow, geometry.origin)
    )
    across = np.cross(beam, spindle if e_vector is None else turn @ np.asarray(e_vector))
    pixel = geometry.pixel_size
    orgx, orgy = 0.5 - origin @ fast / pixel, 0.5 - origin @ slow / pixel

    def words(vector):
        return " ".join(f"{x:.9f}" for x in vector)

    keys = (
        ("JOB", "XYCORR INIT COLSPOT IDXREF DEFPIX INTEGRATE CORRECT"),
        ("NAME_TEMPLATE_OF_DATA_FRAMES", template),
        ("DATA_RANGE", f"1 {images}"),
        ("SPOT_RANGE", f"1 {images}"),
        ("BACKGROUND_RANGE", f"1 {min(images, 10)}"),
        ("DETECTOR", "PILATUS" if template.endswith(".cbf") else "ADSC"),
        ("MINIMUM_VALID_PIXEL_VALUE", "0"),
        ("OVERLOAD", "65535"),
        ("NX", f"{geometry.fpixels}"),
        ("NY", f"{geometry.spixels}"),
        ("QX", f"{pixel * 1000:.9g}"),
        ("QY", f"{pixel * 1000:.9g}"),
        ("ORGX", f"{orgx:.6f}"),
        ("ORGY", f"{orgy:.6f}"),
        ("DETECTOR_DISTANCE", f"{origin @ np.cross(fast, slow) * 1000:.9g}"),
        ("DIRECTION_OF_DETECTOR_X-AXIS", words(fast)),
        ("DIRECTION_OF_DETECTOR_Y-AXIS", words(slow)),
        ("ROTATION_AXIS", words(spindle)),
        ("INCIDENT_BEAM_DIRECTION", words(beam)),
        ("X-RAY_WAVELENGTH", f"{geometry.wavelength * 1e10:.9g}"),
        ("STARTING_ANGLE", f"{degrees(geometry.phi0):.9g}"),
        ("OSCILLATION_RANGE", f"{degrees(geometry.osc):.9g}"),
        ("FRACTION_OF_POLARIZATION", f"{(1.0 + kahn) / 2.0:.9g}"),
        ("POLARIZATION_PLANE_NORMAL", words(across)),
        ("SENSOR_THICKNESS", f"{geometry.thickness * 1000:.9g}"),
        ("SPACE_GROUP_NUMBER", "0"),
    )
    return "".join(f"{name}= {value}\n" for name, value in keys)


def xparm_text(crystal: Any) -> str:
    """An XPARM.XDS file in the xds frame (beam along z, spindle along x); NanoBraggError without a detector."""
    geometry = crystal.geometry
    if geometry.origin is None:
        raise NanoBraggError("XPARM.XDS describes a detector; give one with nanoBragg's flags after --")
    if geometry.curved:
        raise NanoBraggError("XPARM.XDS cannot tell of a curved detector")
    rotation = geometry.frame("xds")
    axis, beam, fast, slow = (
        rotation @ np.asarray(v) for v in (geometry.spindle, geometry.beam, geometry.fast, geometry.slow)
    )
    origin = rotation @ np.asarray(geometry.origin) * 1000.0
    pixel = geometry.pixel_size * 1000.0
    normal = np.cross(fast, slow)
    wavelength = geometry.wavelength * 1e10
    direct = crystal.direct @ rotation.T

    def numbers(values, width, digits):
        return "".join(f"{float(x) + 0.0:{width}.{digits}f}" for x in values)

    start = (degrees(geometry.phi0), degrees(geometry.osc))
    size = (geometry.fpixels, geometry.spixels)
    lines = [
        " XPARM.XDS    VERSION nanobragg_py",
        f"{1:6d}" + numbers(start, 14, 4) + numbers(axis, 10, 6),
        numbers([wavelength, *(beam / wavelength)], 15, 6),
        f"{crystal.space_group:6d}" + numbers(cell_of(crystal.A)[:3], 12, 4) + numbers(cell_of(crystal.A)[3:], 8, 3),
        *(numbers(row, 15, 6) for row in direct),
        f"{1:10d}{size[0]:10d}{size[1]:10d}" + numbers((pixel, pixel), 12, 6),
        numbers((0.5 - fast @ origin / pixel, 0.5 - slow @ origin / pixel, normal @ origin), 15, 6),
        *(numbers(row, 15, 6) for row in (fast, slow, normal)),
        f"{1:10d}{1:10d}{size[0]:10d}{1:10d}{size[1]:10d}",
        numbers((0, 0, 0), 8, 2) + numbers((1, 0, 0, 0, 1, 0), 9, 5),
    ]
    return "\n".join(lines) + "\n"


FORMAT = OrientationFormat(
    name="xds",
    title="XPARM.XDS",
    recognise=is_xparm,
    read=lambda path, request: read_xparm(path),
    text=lambda crystal, request: xparm_text(request.in_beam(crystal)),
)
