"""The sources of a -sourcefile, and weights that count."""

from math import isfinite

from ...errors import OptionError
from ...vectors import scale, unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def file_sources(rows: "Any", beam: "Any", distance: float) -> "Any":
    """`beam` with the sources of a -sourcefile: rows (X, Y, Z, weight, wavelength), nan where a value is missing.

    distance: m, from the sample to those without a position.
    """
    defaults = (*scale(beam.direction, -distance), 1.0, beam.wavelength)
    sources = []
    directions = []
    for number, row in enumerate(rows, 1):
        source = tuple(default if value != value else value for value, default in zip(row, defaults, strict=True))
        direction = unit(source[:3])
        if not all(isfinite(x) for x in (*source, *direction)):
            raise OptionError(f"source {number} of the {{source_file}} has a number that is not finite; correct it")
        if direction == (0.0, 0.0, 0.0):
            raise OptionError(
                f"source {number} of the {{source_file}} lies in the sample, as every line does that begins with no "
                "number; give it a position in m"
            )
        if source[4] == 0.0:
            raise OptionError(f"source {number} of the {{source_file}} has a wavelength of 0; give one in m")
        sources.append(source)
        directions.append(direction)
    return beam.replace(
        sources=tuple(sources),
        source_directions=tuple(directions),
        divergence_steps=-1,
        divergence_deviations=(),
        wavelength_steps=(),
    )


def relative_weights(sources: "Any") -> "tuple[Any, ...]":
    """The sources' weights over their mean, so that they add up to the number of sources; () where all are alike."""
    weights = [source[3] for source in sources]
    for number, weight in enumerate(weights, 1):
        if weight < 0.0:
            raise OptionError(
                f"source {number} of the {{source_file}} has a weight of {weight:g}; give weights of 0 or more"
            )
    total = sum(weights)
    if total <= 0.0:
        raise OptionError("the weights in the {source_file} are all 0; give at least one source a weight")
    if min(weights) == max(weights):
        return ()
    return tuple(weight * len(weights) / total for weight in weights)
