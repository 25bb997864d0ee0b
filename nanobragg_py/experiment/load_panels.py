"""The panels that a command line names: what of its flags goes with them, and the frame that they are wanted in."""

import dataclasses

from ..constants import CONVENTIONS
from ..errors import OptionError, Sentence
from ..files.detectors import read as files
from ..files.panels import place_panels
from ..flags.options import DEFAULTS
from .panels import panels_of
from .resolve.panels import placed_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: no pixel is counted by a larger number
INT_MAX = 2**31 - 1
#: parts of a wavelength by which a geometry file may differ from the flags without a word
CLOSE = 1e-4


def read_panels(options: "Any", complain: "Any", mask: "Any" = None) -> "Any":
    """The Panels of the {geometry_file}, in the frame of the convention in use. complain: called with sentences.

    Region of interest and mask are of the image that holds all panels; each has its part. mask: the pixels of the
    {mask_file}, uint16, or None.

    Raises NanoBraggError for a file that states none, and OptionError for flags that concern one flat detector.
    """
    if options.curved_det:
        raise OptionError("{curved_det} bends one detector, and the panels of {geometry_file} are flat; leave it out")
    if options.printout:
        raise OptionError("{printout} knows one detector; use {trace_pixel} with {geometry_file}")
    found = files.read_panels(options.geometry_file, options.distance)
    moved = [name for name in placed_options() if repr(getattr(options, name)) != repr(DEFAULTS[name])]
    if found.took_distance and "distance" in moved:
        moved.remove("distance")
    if moved:
        names = ", ".join(f"{{{name}}}" for name in moved)
        text = f"{{geometry_file}} {{file}} states where its panels are; no effect of {names}"
        complain(Sentence(text, file=options.geometry_file))
    for sentence in found.remarks:
        complain(sentence)
    single = options.spectrum_file is None
    if single and found.wavelength is not None and abs(found.wavelength / options.wavelength - 1.0) > CLOSE:
        text = "{file} states a wavelength of {stated:.6g} A, and {used:.6g} A is used; give {wavelength} {stated:.6g}"
        numbers = {"stated": found.wavelength * 1e10, "used": options.wavelength * 1e10}
        complain(Sentence(text, file=options.geometry_file, **numbers))
    if options.convention == "CUSTOM":
        beam, spindle = options.beam_vector, options.spindle_axis
    else:
        beam, spindle = CONVENTIONS[options.convention][0], CONVENTIONS[options.convention][6]
    panels = panels_of(found.in_frame(tuple(map(float, beam)), tuple(map(float, spindle))))
    if mask is not None:
        panels = masked(panels, mask, options)
    return within(panels, options.roi) if max(options.roi) >= 0 else panels


def masked(panels: "Any", mask: "Any", options: "Any") -> "Any":
    """The panels without the pixels where the mask of the image that holds all of them is 0."""
    import numpy as np

    shape, corners = place_panels(panels)
    pixels = np.asarray(memoryview(mask))
    if pixels.shape != shape:
        size = " x ".join(map(str, pixels.shape[::-1]))
        text = f"{{mask_file}} {{file}} has {size} pixels; the image of all panels has {shape[1]} x {shape[0]}"
        raise OptionError(text, file=options.mask_file)
    made = []
    for panel, (s, f) in zip(panels, corners, strict=True):
        own = pixels[s : s + panel.spixels, f : f + panel.fpixels]
        if panel.mask is not None:
            own = np.where(np.asarray(panel.mask) == 0, 0, own)
        made.append(dataclasses.replace(panel, mask=own.astype(np.uint16)))
    return tuple(made)


def within(panels: "Any", roi: "Any") -> "Any":
    """The panels with what a region of the image that holds all of them (negative: no bound) leaves of each.

    Where nothing is left, the region begins beyond the panel's last pixel.
    """
    low, high = ([max(bound, 0) for bound in roi[0::2]], [INT_MAX if bound < 0 else bound for bound in roi[1::2]])
    made = []
    for panel, (s, f) in zip(panels, place_panels(panels)[1], strict=True):
        bounds = []
        for corner, count, first, last in ((f, panel.fpixels, low[0], high[0]), (s, panel.spixels, low[1], high[1])):
            begin, end = max(first - corner, 0), min(last - corner, count - 1)
            bounds += [begin, end] if begin <= end else [count, count]
        made.append(dataclasses.replace(panel, roi=tuple(bounds)))
    return tuple(made)
