"""The lines that nonBragg prints and the header of its images, exactly as the reference has them.

See nanobragg_py/files/report.py, whose lines it shares where the two programs say the same.
"""

from ..vectors import DEGREES_PER_RADIAN
from . import report
from .report import c_format, fluence_line, grid_lines, size_line, smv_block, wave_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def opening_lines(version: "Any", setup: "Any") -> "list[str]":
    """The first line, which is ours, and what follows from the options alone. setup: a `BackgroundSetup`."""
    lines = [f"nanobragg_py {version}: scattering of amorphous material, after nonBragg"]
    lines += [f"WARNING: {text}" for text in setup.warnings]
    pivot = "sample" if setup.detector.pivot == "sample" else "direct beam spot"
    lines.append(f"pivoting detector around {pivot}")
    return lines


def summary_lines(setup: "Any", background: "Any", molecular_weight: "Any", noise_seed: "Any" = None) -> "list[str]":
    """The list of what is about to be rendered. noise_seed: None without a noise image."""
    beam, detector = background.beam, background.detector
    lines = [
        f"  {background.curve.rows + 4} initialized F points (will cubic-spline interpolate between them)",
        *wave_lines(beam, detector),
    ]
    if background.map:
        lines.append("  Fmap mode: plotting structure factor at every pixel")
    lines += [
        fluence_line(beam),
        c_format(
            "  sample is %g m thick x %g m high x %g m wide, %g g/cm^3 and %g g/mol (%g molecules)",
            *setup.sample,
            setup.density / 1e6,
            molecular_weight,
            setup.molecules,
        ),
        size_line(detector),
        c_format("  Xbeam=%g Ybeam=%g", detector.Fbeam, detector.Sbeam),
    ]
    for label, vector in (
        ("detector origin:", detector.origin),
        ("DIRECTION_OF_DETECTOR_X-AXIS=", detector.fast),
        ("DIRECTION_OF_DETECTOR_Y-AXIS=", detector.slow),
        ("INCIDENT_BEAM_DIRECTION=", beam.direction),
        ("POLARIZATION_PLANE_NORMAL=", beam.polarization_axis),
    ):
        lines.append(c_format(f"  {label} %g %g %g", *vector))
    lines += [
        *grid_lines(beam, detector),
        f"  {background.oversample} pixel oversample steps",
    ]
    if noise_seed is not None:
        lines += ["", "  noise image paramters:", f"  seed: {noise_seed}"]
    return lines


def pixel_lines(fast: int, slow: int, pixel: "Any", wavelength: "Any") -> "list[str]":
    """What -printout says of one pixel: the values at its last step.

    pixel: a mapping with stol (1/m), position (m), weight (of the last source), steps, polar, omega and value.
    wavelength: the beam's central one, m.
    """
    return [
        report.stol_line(fast, slow, pixel, wavelength),
        c_format(" F=%g    I = %g", 0.0, pixel["weight"]),
        c_format("I/steps %15.10g", pixel["weight"] / pixel["steps"]),
        c_format("polar   %15.10g", pixel["polar"]),
        c_format("omega   %15.10g", pixel["omega"]),
        c_format("pixel   %15.10g", pixel["value"]),
    ]


def solid_angle_line(angle: float) -> str:
    """angle: sum of the solid angle over pixels and sub-pixels, steradian."""
    return report.solid_angle_line(angle, 1)


def stol_line(abscissa: "Any", mean: float, deviation: "Any", pixels: "Any") -> str:
    """One row of the curve that an image stands for; its fourth and fifth columns were never in use."""
    return c_format("%g %g %g   %g %g  %d", abscissa, mean, deviation, 0.0, 0.0, pixels)


def few_pixels_line(abscissa: "Any", pixels: "Any") -> str:
    """A row of the curve has too few pixels near it."""
    return f"WARNING: no F at {abscissa:g}: {pixels} pixels are too few, it takes more than 100"


def wrote_line(name: str, lines: "Any") -> str:
    """The curve that an image stands for was written."""
    return f"wrote {name} as {lines} lines of text"


def smv_header(background: "Any") -> "Any":
    """The 512-byte header of the integer image and of the noise image, as bytes."""
    detector = background.detector
    pixel = detector.pixel_size
    fields = (
        ("PIXEL_SIZE", pixel * 1000.0),
        ("DISTANCE", detector.distance * 1000.0),
        ("WAVELENGTH", background.beam.wavelength * 1e10),
        ("BEAM_CENTER_X", detector.Fbeam * 1000.0),
        ("BEAM_CENTER_Y", (detector.detsize_s - detector.Sbeam) * 1000),
        ("ORGX", detector.Fclose / pixel),
        ("ORGY", detector.Sclose / pixel),
        ("CLOSE_DISTANCE", detector.close_distance * 1000.0),
        ("PHI", background.phi0 * DEGREES_PER_RADIAN),
        ("OSC_START", background.phi0 * DEGREES_PER_RADIAN),
        ("OSC_RANGE", background.osc * DEGREES_PER_RADIAN),
        ("TWOTHETA", detector.twotheta * DEGREES_PER_RADIAN),
    )
    return smv_block(detector, fields)
