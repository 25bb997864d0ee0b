"""The header of a full imgCIF image: one source, one goniometer axis, one detector of any orientation."""

from math import atan2, degrees
from typing import Any

import numpy as np

from .geometry import Details


def _loop(category, names, rows):
    lines = ["loop_", *(f"_{category}.{name}" for name in names)]
    lines += [" ".join(value if isinstance(value, str) else f"{value:.12g}" for value in row) for row in rows]
    return [*lines, ""]


def _polarization(geometry, details):
    """The lines of the beam's polarization.

    The ratio is what DIALS, which reads it, takes it for: the part of the photons that is polarized in the plane, 0.5
    of a beam that is not polarized; the dictionary has (Ip - In)/(Ip + In). The angle is that of the plane's normal
    with Y, towards X.
    """
    if details.polarization is None:
        return []
    x, y, _ = details.e_vector(geometry, "imgcif")
    angle = degrees(atan2(-y, x)) if (x, y) != (0.0, 0.0) else 0.0
    angle = (angle + 90.0) % 180.0 - 90.0  # a plane has two normals
    return [
        f"_diffrn_radiation.polarizn_source_ratio {details.fraction:.12g}",
        f"_diffrn_radiation.polarizn_source_norm {angle + 0.0:.12g}",
    ]


def _wavelengths(geometry, details):
    """The loop of wavelengths and weights, their mean first."""
    rows = [("wavelength", geometry.wavelength * 1e10, 1.0)]
    if details.spectrum:
        most = max(details.spectrum[1])
        pairs = zip(*details.spectrum, strict=True)
        rows += [(f"wavelength_{n}", x * 1e10, weight / most) for n, (x, weight) in enumerate(pairs, 1)]
    return _loop("diffrn_radiation_wavelength", ("id", "wavelength", "wt"), rows)


def imgcif_header(geometry: Any, saturation: Any, details: Any = None) -> str:
    """The categories of the imgCIF dictionary that describe `geometry`, as text, without the image itself.

    details: a Details of beam and pixels, or None.

    The displacement of the first pixel is 0, its corner: so do DIALS and the beamlines it reads, although the
    dictionary can be read as meaning the pixel's centre.
    """
    details = Details() if details is None else details
    rotation = geometry.frame("imgcif")
    beam, spindle, fast, slow = (
        tuple(float(x) + 0.0 for x in np.round(rotation @ np.asarray(v), 15))
        for v in (geometry.beam, geometry.spindle, geometry.fast, geometry.slow)
    )
    origin = tuple(float(x) * 1000.0 for x in rotation @ np.asarray(geometry.origin))
    source = tuple(-x + 0.0 for x in beam)
    nothing = (0.0, 0.0, 0.0)
    pixel = geometry.pixel_size * 1000.0
    start, step = degrees(geometry.phi0), degrees(geometry.osc)
    vector = [f"vector[{i}]" for i in (1, 2, 3)]
    offset = [f"offset[{i}]" for i in (1, 2, 3)]
    axes = [
        ("SOURCE", "general", "source", ".", *source, *nothing),
        ("GRAVITY", "general", "gravity", ".", 0.0, -1.0, 0.0, *nothing),
        ("GONIOMETER_PHI", "rotation", "goniometer", ".", *spindle, *nothing),
        ("DETECTOR_X", "translation", "detector", ".", 1.0, 0.0, 0.0, *nothing),
        ("DETECTOR_Y", "translation", "detector", "DETECTOR_X", 0.0, 1.0, 0.0, *nothing),
        ("DETECTOR_Z", "translation", "detector", "DETECTOR_Y", 0.0, 0.0, 1.0, *nothing),
        ("ELEMENT_X", "translation", "detector", "DETECTOR_Z", *fast, *nothing),
        ("ELEMENT_Y", "translation", "detector", "ELEMENT_X", *slow, *nothing),
    ]
    if details.spectrum:
        wavelengths = _wavelengths(geometry, details)
    else:
        wavelengths = [
            "_diffrn_radiation_wavelength.id wavelength",
            f"_diffrn_radiation_wavelength.wavelength {geometry.wavelength * 1e10:.12g}",
            "_diffrn_radiation_wavelength.wt 1.0",
            "",
        ]
    places = list(zip(("DETECTOR_X", "DETECTOR_Y", "DETECTOR_Z"), origin, strict=True))
    lines = [
        "_diffrn.id diffraction",
        "_diffrn.crystal_id crystal",
        "",
        "_diffrn_source.diffrn_id diffraction",
        "_diffrn_source.source simulation",
        "",
        "_diffrn_radiation.diffrn_id diffraction",
        "_diffrn_radiation.wavelength_id wavelength",
        "_diffrn_radiation.probe x-ray",
        *_polarization(geometry, details),
        "",
        *wavelengths,
        "_diffrn_detector.diffrn_id diffraction",
        "_diffrn_detector.id detector",
        "_diffrn_detector.number_of_axes 3",
        "",
        *_loop("diffrn_detector_axis", ("detector_id", "axis_id"), [("detector", name) for name, _ in places]),
        "_diffrn_detector_element.id element",
        "_diffrn_detector_element.detector_id detector",
        "",
        *_loop(
            "diffrn_data_frame",
            ("id", "detector_element_id", "array_id", "binary_id"),
            [("frame", "element", "image", "1")],
        ),
        "_diffrn_measurement.diffrn_id diffraction",
        "_diffrn_measurement.id goniometer",
        "_diffrn_measurement.number_of_axes 1",
        "",
        *_loop("diffrn_measurement_axis", ("measurement_id", "axis_id"), [("goniometer", "GONIOMETER_PHI")]),
        "_diffrn_scan.id scan",
        "_diffrn_scan.frame_id_start frame",
        "_diffrn_scan.frame_id_end frame",
        "_diffrn_scan.frames 1",
        "",
        *_loop(
            "diffrn_scan_axis",
            (
                "scan_id",
                "axis_id",
                *(f"angle_{x}" for x in ("start", "range", "increment")),
                *(f"displacement_{x}" for x in ("start", "range", "increment")),
            ),
            [("scan", "GONIOMETER_PHI", start, step, step, *nothing)]
            + [("scan", name, *nothing, value, 0.0, 0.0) for name, value in places],
        ),
        "_diffrn_scan_frame.frame_id frame",
        "_diffrn_scan_frame.frame_number 1",
        f"_diffrn_scan_frame.integration_time {geometry.exposure:.12g}",
        "_diffrn_scan_frame.scan_id scan",
        "_diffrn_scan_frame.date 1970-01-01T00:00:00",
        "",
        *_loop(
            "diffrn_scan_frame_axis",
            ("frame_id", "axis_id", "angle", "displacement"),
            [("frame", "GONIOMETER_PHI", start, 0.0)] + [("frame", name, 0.0, value) for name, value in places],
        ),
        *_loop("axis", ("id", "type", "equipment", "depends_on", *vector, *offset), axes),
        *_loop(
            "array_structure_list",
            ("array_id", "index", "dimension", "precedence", "direction", "axis_set_id"),
            [
                ("image", "1", geometry.fpixels, "1", "increasing", "ELEMENT_X"),
                ("image", "2", geometry.spixels, "2", "increasing", "ELEMENT_Y"),
            ],
        ),
        *_loop(
            "array_structure_list_axis",
            ("axis_set_id", "axis_id", "displacement", "displacement_increment"),
            [("ELEMENT_X", "ELEMENT_X", 0.0, pixel), ("ELEMENT_Y", "ELEMENT_Y", 0.0, pixel)],
        ),
        *_loop(
            "array_element_size",
            ("array_id", "index", "size"),
            [("image", "1", geometry.pixel_size), ("image", "2", geometry.pixel_size)],
        ),
        *_loop(
            "array_intensities",
            ("array_id", "binary_id", "linearity", "gain", "gain_esd", "offset", "overload", "undefined_value"),
            [("image", "1", "linear", details.gain, 0.0, details.offset, saturation, -1)],
        ),
        *_loop(
            "array_structure",
            ("id", "encoding_type", "compression_type", "byte_order"),
            [("image", '"signed 32-bit integer"', "byte_offset", "little_endian")],
        ),
    ]
    return "\r\n".join(lines) + "\r\n"
