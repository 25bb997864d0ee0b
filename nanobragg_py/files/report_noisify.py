"""The lines that noisify prints and the header of its images, exactly as the reference has them.

As in nanobragg_py/files/report.py nothing here prints, and only what stands after ``WARNING:`` is ours.
"""

from sys import byteorder

from .. import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PSF_NAMES = {"gauss": "Gaussian", "fiber": "fiber"}


def c_line(text: "Any", *values: "Any") -> str:
    """`text % values` as C's printf writes it."""
    if any(value != value for value in values):  # nan
        from .report import c_format

        return c_format(text.replace("%%", "\0"), *values).replace("\0", "%")
    return text % values


def unknown_psf_line(word: str) -> str:
    """A -psf that is neither of the two; it comes while the command line is read."""
    return f"WARNING: there is no point spread of the kind {word}, and none is applied; give gauss or fiber"


def opening_line() -> str:
    """The program's name."""
    return f"nanobragg_py {__version__}: noisify, what a detector makes of a float image"


def taking_header_line(name: str) -> str:
    """An image's header is about to be read."""
    return f"taking header from {name}"


def header_lines(name: str) -> "list[str]":
    """It has been read."""
    return [f"reading {name}"]


def guessing_line() -> str:
    """Neither side was given."""
    return "WARNING: the numbers of pixels are guessed; give -detpixels_x and -detpixels_y"


def importing_line(pixels: "Any", name: str) -> str:
    """The input is about to be read."""
    return f"importing {pixels} pixel intensites: {name}"


def settings_lines(options: "Any", frame: "Any") -> "list[str]":
    """The detector and what is done to its photons. options: as given, with -nonoise taken into account."""
    lines = [
        c_line(
            "  distance=%g detsize=%gx%g  pixel=%g meters (%dx%d pixels)",
            *(frame.distance, frame.detsize_x, frame.detsize_y, frame.pixel_size, frame.fast, frame.slow),
        ),
        c_line("  Xbeam=%g Ybeam=%g", frame.Xbeam, frame.Ybeam),
    ]
    pending = ""  # a negative radius leaves the line open
    if options.psf is not None:
        pending = c_line(f"  {PSF_NAMES[options.psf]} PSF fwhm = %g um ", options.psf_fwhm * 1e6)
        if options.psf_radius == 0:
            lines.append(f"{pending}  with automatic rendering radius")
            pending = ""
        if options.psf_radius >= 0:
            lines.append(f"{pending}  with rendering radius: {options.psf_radius}")
            pending = ""
    return [
        *lines,
        f"{pending}  seed: {options.seed}",
        f"  calibration noise seed: {options.calib_seed}",
        c_line("  calibration_noise = %g %%", options.calibration * 100.0),
        c_line("  input file scale = %g", options.scale),
        c_line("  readout_noise = %g ADU", options.readout),
        c_line("  flicker_noise = %g %%", options.flicker * 100.0),
        c_line("  quantum_gain = %g ADU/photon", options.gain),
        c_line("  adc_offset = %g ADU", options.adc_offset),
        "",
    ]


def negative_line(name: str, intensity: "Any") -> str:
    """A value of the input that is less than nothing."""
    return c_line("WARNING: an intensity in %s is negative: %g", name, intensity)


def maximum_line(intensity: "Any", photons: "Any") -> str:
    """The largest value of the input."""
    return c_line("maximum value in input file: %g ( %g on photon scale)", intensity, photons)


def spreading_noiseless_line(width: int) -> str:
    """The point spread comes before any noise. width: in pixels."""
    return c_line("  applying PSF to noiseless image width = %g pixels", width)


def spreading_lines(photons: "Any", fwhm: float) -> "list[str]":
    """The point spread comes after the counting. photons: counted so far. fwhm: in metres."""
    return [
        c_line("%.0f photons on noise image before PSF", photons),
        c_line("  applying PSF width = %g um", fwhm * 1e6),
    ]


def spread_lines(spread: "Any") -> "list[str]":
    """What a point spread did, from its `Spread`."""
    if spread.skipped == "width":
        return ["WARNING: the width of the point spread is not above 0 pixels, and it is not applied"]
    lines = []
    if spread.automatic:
        lines.append(c_line("  maximum input photon/pixel: %g", spread.maximum))
        if spread.skipped == "photons":
            return [*lines, "WARNING: there are no photons to spread"]
        lines.append(f"  auto-selected psf_radius = {spread.radius} pixels")
    return [*lines, c_line("adding back %g lost photons", spread.lost)]


def writing_int_line(name: str, pixels: "Any", nbytes: int) -> str:
    """The image without noise is about to be written."""
    return f"writing {name} as {pixels} {nbytes}-byte integers"


def writing_line(name: str, nbytes: int) -> str:
    """Another image is about to be written."""
    return f"writing {name} as {nbytes}-byte integers"


def photons_line(photons: "Any", overloads: "Any") -> str:
    """What is on the image with noise."""
    return c_line("%.0f photons on noise image (%d overloads)", photons, overloads)


def smv_header(options: "Any", frame: "Any") -> "Any":
    """The header of either image: the one to copy, or one of 512 bytes; without its beginning for odd -bits."""
    if frame.header is not None:
        return frame.header
    kind = {16: "unsigned_short", 32: "long_integer"}.get(options.bits)
    lines = []
    if kind is not None:
        lines = ["{", "HEADER_BYTES=512;", "DIM=2;", f"BYTE_ORDER={byteorder}_endian;", f"TYPE={kind};"]
    lines += [
        f"SIZE1={frame.fast};",
        f"SIZE2={frame.slow};",
        c_line("PIXEL_SIZE=%g;", frame.pixel_size * 1000.0),
        c_line("DISTANCE=%g;", frame.distance * 1000.0),
        c_line("WAVELENGTH=%g;", options.wavelength),
        c_line("BEAM_CENTER_X=%g;", frame.Xbeam * 1000.0),
        c_line("BEAM_CENTER_Y=%g;", (frame.detsize_y - frame.Ybeam) * 1000.0),
        c_line("PHI=%g;", options.phi),
        c_line("OSC_START=%g;", options.phi),
        c_line("OSC_RANGE=%g;", options.osc),
        "DETECTOR_SN=000;",
        "BEAMLINE=fake;",
        "}\f",
    ]
    return "\n".join(lines).encode().ljust(512)
