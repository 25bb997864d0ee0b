"""The fields that images can be differentiated by: one table, a row a field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import FieldError
from ..experiment.physics import whole_cells
from ..kernels.loops.job import SHAPES, derivatives_by
from .changes import stated
from .crystals import alone, check_number, crystals_of, owner_of


@dataclass(frozen=True)
class Parameter:
    """A field: its name, its value in an experiment, the parts of the model that it enters, and whether it applies.

    applies: None, or gives a reason why not for an experiment, else None.
    """

    name: str
    value: Callable[[Any], Any]
    parts: tuple[str, ...]
    applies: Callable[[Any], str | None] | None = None

    def shape(self, experiment: Any) -> tuple[int, ...]:
        """The shape of its derivative."""
        return np.shape(self.value(experiment))

    @property
    def field(self) -> str:
        """Its name where there is one crystal."""
        return owner_of(self.name)[1]

    def of_crystal(self, number: int) -> Parameter:
        """The same of another crystal, counted from 0."""
        value, applies = self.value, self.applies
        return replace(
            self,
            name=f"more_crystals.{number - 1}.{self.name.partition('.')[2]}",
            value=lambda experiment: value(alone(experiment, number)),
            applies=applies and (lambda experiment: applies(alone(experiment, number))),
        )


def _of(part: str, field: str) -> Callable[[Any], Any]:
    return lambda experiment: getattr(getattr(experiment, part), field)


def _resolved(part: str, field: str) -> Callable[[Any], Any]:
    return lambda experiment: getattr(getattr(experiment.resolved, part), field)


def _missing(part: str, field: str) -> Callable[[Any], str | None]:
    return lambda e: f"the experiment has no {part}.{field}" if getattr(getattr(e, part), field) is None else None


def _box(experiment: Any) -> Any:
    """The table as an array of its box."""
    factors = experiment.structure_factors
    if factors.bounds is None:
        return np.zeros((0, 0, 0))
    shape = [factors.bounds[2 * i + 1] - factors.bounds[2 * i] + 2 for i in range(3)]
    return np.asarray(factors.values).reshape(shape)[:-1, :-1, :-1]


def _origin(experiment: Any) -> Any:
    """Where the first pixel's corner is, or that of every panel, (panels, 3)."""
    panels = experiment.resolved.panels
    return [panel.origin for panel in panels] if panels else experiment.resolved.detector.origin


def _place(experiment: Any) -> str | None:
    """Whether the detector's own fields say where it is."""
    return None if experiment.detector.panels is None else "panels state their own place; take detector.origin"


def _close_distance(experiment: Any) -> str | None:
    return _place(experiment) or _missing("detector", "close_distance")(experiment)


def _distance(experiment: Any) -> str | None:
    if experiment.detector.panels is not None:
        return _place(experiment)
    if experiment.detector.close_distance is not None:
        return "detector.close_distance is given and overrides it; take that"
    return None


def _spread(experiment: Any) -> str | None:
    crystal = experiment.resolved.crystal
    if experiment.crystal.domains is not None:
        return "crystal.domains says how the domains are turned"
    if experiment.crystal.mosaic_spreads is not None:
        return "crystal.mosaic_spreads are given; take those"
    return None if crystal.mosaic_spread > 0.0 else "the crystal has no mosaic spread"


def _spreads(experiment: Any) -> str | None:
    spreads = experiment.crystal.mosaic_spreads
    if spreads is None:
        return "the experiment has no crystal.mosaic_spreads"
    return None if min(spreads) > 0.0 else "one of them is 0, and its domains are not known; give a small one"


def _osc(experiment: Any) -> str | None:
    sampling = experiment.sampling
    if sampling.osc is None or sampling.osc == 0.0:
        return "the experiment has no sampling.osc"
    return "sampling.phistep is given and decides the steps" if sampling.phistep is not None else None


def _direction(experiment: Any) -> str | None:
    custom = experiment.detector.convention == "CUSTOM"
    return None if custom else 'beam.direction counts only with detector.convention = "CUSTOM"'


def _fluence(experiment: Any) -> str | None:
    return "beam.flux is given and makes the fluence" if experiment.beam.flux != 0.0 else None


def _weights(experiment: Any) -> str | None:
    if experiment.resolved.physics.weights:
        return None
    return 'weights do not enter the image with physics "reference"'


def _wavelength(experiment: Any) -> Any:
    """Of the beam, or the mean of a spectrum."""
    beam = experiment.beam
    return beam.wavelength if beam.spectrum is None else experiment.resolved.beam.wavelength


def _spectrum(experiment: Any) -> str | None:
    spectrum = experiment.beam.spectrum
    if spectrum is None:
        return "the experiment has no beam.spectrum"
    if not all(weight > 0.0 for weight in spectrum[1]):
        return "it has wavelengths whose weight is 0; leave them out"
    return None


def _cells(experiment: Any) -> str | None:
    if experiment.crystal.block_sizes is not None or experiment.crystal.block_sigma > 0.0:
        return "the crystal has blocks of several sizes"
    given = any(experiment.crystal.sample_size)
    return "crystal.sample_size is given and makes the numbers of cells" if given else None


def _scale(experiment: Any) -> str | None:
    return None if experiment.physics == "exact" else 'it needs physics "exact"'


def _table(experiment: Any) -> str | None:
    return (
        None if experiment.structure_factors.bounds is not None else "the experiment has no table of structure factors"
    )


def whole_cells_of(experiment: Any) -> bool:
    """Whether an experiment's numbers of cells can only be whole."""
    return whole_cells(experiment.crystal.shape, experiment.resolved.physics)


ROWS = (
    Parameter("crystal.rotation", lambda e: (0.0, 0.0, 0.0), ("cell",)),
    Parameter("crystal.missets", lambda e: e.resolved.crystal.missets or (0.0, 0.0, 0.0), ("cell",)),
    Parameter("crystal.lengths", _of("crystal", "lengths"), ("cell",), _missing("crystal", "lengths")),
    Parameter("crystal.angles", _of("crystal", "angles"), ("cell",), _missing("crystal", "angles")),
    Parameter("crystal.matrix", _of("crystal", "matrix"), ("cell",), _missing("crystal", "matrix")),
    Parameter("crystal.cells", _resolved("crystal", "cells"), ("shape",), _cells),
    Parameter("crystal.mosaic_spread", _resolved("crystal", "mosaic_spread"), ("turns",), _spread),
    Parameter("crystal.mosaic_spreads", _of("crystal", "mosaic_spreads"), ("turns",), _spreads),
    Parameter("crystal.scale", _of("crystal", "scale"), ("factors",), _scale),
    Parameter("beam.wavelength", _wavelength, ("sources",)),
    Parameter("beam.spectrum", _of("beam", "spectrum"), ("sources",), _spectrum),
    Parameter("beam.fluence", _resolved("beam", "fluence"), ("factors",), _fluence),
    Parameter("beam.direction", _resolved("beam", "direction"), ("sources", "detector"), _direction),
    Parameter("beam.source_weights", lambda e: np.ones(len(e.resolved.beam.sources)), ("sources",), _weights),
    Parameter("detector.distance", _of("detector", "distance"), ("detector",), _distance),
    Parameter(
        "detector.close_distance",
        _of("detector", "close_distance"),
        ("detector",),
        _close_distance,
    ),
    Parameter("detector.origin", _origin, ("detector",)),
    Parameter("detector.rotations", _of("detector", "rotations"), ("detector",), _place),
    Parameter("detector.twotheta", _of("detector", "twotheta"), ("detector",), _place),
    Parameter("sampling.phi0", _of("sampling", "phi0"), ("turns",)),
    Parameter("sampling.osc", _of("sampling", "osc"), ("turns",), _osc),
    Parameter(
        "sampling.water",
        _of("sampling", "water"),
        ("factors",),
        lambda e: None if e.sampling.water > 0.0 else "the experiment has no water",
    ),
    Parameter("structure_factors.F", _box, ("table",), _table),
    Parameter("structure_factors.default_F", _of("structure_factors", "default_F"), ("factors",)),
)
PARAMETERS = {row.name: row for row in ROWS}


def parameters_of(experiment: Any, names: Iterable[str]) -> list[Parameter]:
    """The rows of names; FieldError for one that does not exist, stands twice or does not apply."""
    if isinstance(names, str):
        raise FieldError(f"parameters are {names!r}; give a list of names")
    own = [crystal.structure_factors for crystal in crystals_of(experiment) if crystal.structure_factors is not None]
    if any(factors.wavelengths for factors in (experiment.structure_factors, *own)):
        raise FieldError("structure_factors of several wavelengths have no derivatives; take one table, that of at()")
    found: list[Parameter] = []
    for name in names:
        row = parameter(experiment, name)
        if any(name == other.name for other in found):
            raise FieldError(f"{name} is given twice", fields=(name,))
        why = row.applies(experiment) if row.applies else None
        if own and name.startswith("structure_factors."):
            why = "a crystal has structure factors of its own"
        if why:
            raise stated(name, why)
        found.append(row)
    if not found:
        raise FieldError(f"no parameters are given; there are {', '.join(PARAMETERS)}")
    for crystal in experiment.resolved.crystals or (experiment.resolved.crystal,):
        if derivatives_by(crystal.shape) == "none":
            able = ", ".join(name for name in SHAPES if derivatives_by(name) != "none")
            raise FieldError(f'images of crystals of shape "{crystal.shape}" have no derivatives; those of {able} have')
    return found


def parameter(experiment: Any, name: Any) -> Parameter:
    """The row of a name; FieldError for one that does not exist, or is of a crystal that is not there."""
    number, field = owner_of(str(name))
    if field not in PARAMETERS:
        others = "" if not experiment.more_crystals else ", and by more_crystals.0.rotation and so on of other crystals"
        raise FieldError(
            f"images cannot be differentiated by {name!r}; by {', '.join(PARAMETERS)} they can{others}",
            fields=(str(name),),
        )
    check_number(experiment, name)
    return PARAMETERS[field].of_crystal(number) if number else PARAMETERS[field]
