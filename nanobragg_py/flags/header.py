"""What the headers of -mask and -img files set; the flags, which come later, override it."""

from ..vectors import DEGREES_PER_RADIAN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def apply_header(options: "Any", header: "Any", kind: "Any") -> "dict[str, str]":
    """Put what the header of an SMV file says into the options; returns which keys of it set which options.

    header: anything with `width`, `height` (pixels) and `header_value(key)`, which gives a float, or None for a key
    that the header lacks. kind: "mask" or "img"; they read BEAM_CENTER_Y from opposite edges. The reference reads
    TWOTHETA as well, without effect.
    """

    def value(key):
        number = header.header_value(key)
        return None if number is None or number != number else number

    taken = {"fpixels": "SIZE1", "spixels": "SIZE2"}
    options.fpixels = header.width
    options.spixels = header.height
    pixel = value("PIXEL_SIZE")
    if pixel is not None:
        options.pixel_size = pixel / 1000.0
        taken["pixel_size"] = "PIXEL_SIZE"
    options.detsize_f = options.pixel_size * options.fpixels
    options.detsize_s = options.pixel_size * options.spixels
    for key, name, divisor in (
        ("DISTANCE", "distance", 1000.0),
        ("CLOSE_DISTANCE", "close_distance", 1000.0),
        ("WAVELENGTH", "wavelength", 1e10),
        ("BEAM_CENTER_X", "Xbeam", 1000.0),
        ("BEAM_CENTER_Y", "Ybeam", 1000.0),
        ("ORGX", "ORGX", 1.0),
        ("ORGY", "ORGY", 1.0),
        ("PHI", "phi0", DEGREES_PER_RADIAN),
        ("OSC_RANGE", "osc", DEGREES_PER_RADIAN),
    ):
        number = value(key)
        if number is None:
            continue
        number = number / divisor
        if key == "BEAM_CENTER_Y" and kind == "mask":
            number = options.detsize_s - number
        setattr(options, name, number)
        taken[name] = key
    return taken
