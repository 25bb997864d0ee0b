"""The panels that a command line names: what of its flags goes with them, and the frame that they are wanted in."""

from ..constants import CONVENTIONS
from ..errors import OptionError, Sentence
from ..files.detectors import read as files
from ..flags.options import DEFAULTS
from .panels import panels_of
from .resolve.panels import placed_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: parts of a wavelength by which a geometry file may differ from the flags without a word
CLOSE = 1e-4


def read_panels(options: "Any", complain: "Any") -> "Any":
    """The Panels of the {geometry_file}, in the frame of the convention in use. complain: called with sentences.

    Raises NanoBraggError for a file that states none, and OptionError for flags that concern one flat detector.
    """
    if max(options.roi) >= 0:
        raise OptionError("{roi} is of one detector, and {geometry_file} may state many panels; give one of the two")
    if options.mask_file is not None:
        raise OptionError("{mask_file} is of one detector; state bad regions in the {geometry_file}")
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
    return panels_of(found.in_frame(tuple(map(float, beam)), tuple(map(float, spindle))))
