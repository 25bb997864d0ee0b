"""Which physics: what the reference program does, or what is right. One table of choices, by their names.

Every choice is made while an experiment is resolved and is numbers from there on: cell vectors, widths of spots,
weights of sources, depths of layers. docs/differences.md tells people of them under the ids that stand here.
"""

from ..errors import OptionError
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: a choice's name: its id, and what it is about. What is not here is alike in both: round crystals (E3).
CHOICES = {
    "cell": ("E1", "cells of -cell that are not orthogonal"),
    "spots": ("E2", "the width of Gaussian and top-hat spots"),
    "weights": ("E4", "the weights of sources"),
    "layers": ("E5", "the layers of the sensor"),
    "corrections": ("E6", "solid angle and polarization of sub-pixels and sources"),
    "water": ("E7", "the scale of the water background"),
    "curve": ("E8", "what the curve of -stol scatters"),
    "misset": ("E9", "random orientations"),
    "domains": ("E10", "what turns with the spindle"),
    "factors": ("E11", "interpolation and dump files that nobody asked for"),
    "rounding": ("E12", "how photon counts become whole numbers"),
}
NAMES = ("reference", "exact")
#: what is said to those who want the exact physics and the reference's defects as well
NO_DEFECTS = "{compat} c is for the reference's defects, and {physics} exact for an image without any; give one of them"
#: options that only the exact physics has, with what they are when not given
EXACT_ONLY = {
    "spot_width": "exact",
    "mosaic_model": "cap",
    "mosaic_spreads": None,
    "domain_file": None,
    "spectrum_file": None,
}


class Physics(Record):
    """The choices by name, each True where it is the right one and False where it is the reference's."""

    _fields = dict.fromkeys(CHOICES, False)


REFERENCE = Physics()
EXACT = Physics(**dict.fromkeys(CHOICES, True))


def uses_dump(options: "Any") -> bool:
    """Whether a dump file of structure factors is read and written: if it is named, or as the reference does."""
    return options.dump_named or not physics_of(options).factors


def whole_cells(shape: str, physics: "Any") -> bool:
    """Whether numbers of cells can only be whole: the reference's, and those of a grating function."""
    return shape == "square" or not physics.spots


def physics_of(options: "Any") -> "Physics":
    """The `Physics` that options ask for: by its name, or as it is. OptionError for what does not go together."""
    physics = options.physics
    if isinstance(physics, Physics):
        return physics
    if physics == "exact":
        if options.compat == "c":
            raise OptionError(NO_DEFECTS)
        return EXACT
    for name, default in EXACT_ONLY.items():
        if getattr(options, name) != default:
            raise OptionError(f"{{{name}}} needs {{physics}} exact; the reference program has nothing like it")
    return REFERENCE
