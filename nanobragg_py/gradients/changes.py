"""What a field's change is for the loops: one map, differentiated by complex steps, that all modes share.

A `Change` is the derivative of every number of the loops by one component of a field. Derivatives of images by fields
are inner products with it, one way (vjp) or the other (jvp, derivative_images).
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FieldError
from ..render.backends import level_module
from .model import Model

#: of the complex steps: far below what a sum of float64 would notice
STEP = 1e-60


def loops() -> Any:
    """The compiled loops, of the level that the processor has."""
    return level_module("loops.gradient")[0]


@dataclass
class Change:
    """numbers: as the loops' LAYOUT has them, then (sources, SOURCE_NUMBERS), flat. orientations: None, or (9,
    orientations), changes of the cell vectors beyond those of the unrotated cell. table: None, or of structure factors
    in their box."""

    numbers: Any
    orientations: Any = None
    table: Any = None

    @property
    def geometry(self) -> bool:
        """Whether it moves sources or detector."""
        module = loops()
        first, count = module.LAYOUT["close_distance"]
        return bool(np.any(self.numbers[: first + count]) or np.any(self.numbers[module.SOURCES_BEGIN :]))

    def part(self, name: str) -> Any:
        """The numbers of one name."""
        first, count = loops().LAYOUT[name]
        return self.numbers[first : first + count]


def number_count(experiment: Any) -> int:
    """How many numbers a `Change` has."""
    module = loops()
    return module.SOURCES_BEGIN + module.SOURCE_NUMBERS * len(experiment.resolved.beam.sources)


def no_change(experiment: Any) -> Change:
    """A change of nothing."""
    return Change(np.zeros(number_count(experiment)))


def imaginary(values: Any) -> Any:
    """The derivative that a complex step has left."""
    return np.imag(values) / STEP


class Differentiated:
    """The changes that an experiment's fields make, by the parts of the model that each enters."""

    def __init__(self, experiment: Any) -> None:
        self.experiment = experiment
        self.model = Model(experiment)
        #: (orientations, 3, 3), and the unrotated cell (rows, m)
        self.turns = self.model.turns({})
        self.cell = self.model.cell({})

    def on_panel(self, number: int) -> Differentiated:
        """The same on another panel."""
        other = copy(self)
        other.model = self.model.on_panel(number)
        return other

    def change(self, parameter: Any, number: int) -> Change:
        """By component `number` of a field."""
        one = np.zeros(parameter.shape(self.experiment))
        one.reshape(-1)[number] = 1.0
        return self.along([(parameter, one)])

    def along(self, changes: Any) -> Change:
        """By changes of several fields at once, (parameter, array of its shape) pairs."""
        values: dict[str, dict[str, Any]] = {}
        for parameter, amount in changes:
            at = np.asarray(parameter.value(self.experiment)) + 1j * STEP * np.asarray(amount)
            for part in parameter.parts:
                values.setdefault(part, {})[parameter.name] = at if at.ndim else at[()]
        change = no_change(self.experiment)
        # the shape hangs on the cell, too, in its own metric
        if "cell" in values:
            values["shape"] = {**values.get("shape", {}), **values["cell"]}
            if self.experiment.crystal.mosaic_spreads is not None:  # about the crystal's own axes
                values["turns"] = {**values.get("turns", {}), **values["cell"]}
        for part, given in values.items():
            getattr(self, f"_{part}")(given, change)
        return change

    def _cell(self, values, change):
        change.part("cell")[:] = imaginary(self.model.cell(values)).reshape(-1)

    def _shape(self, values, change):
        shape = imaginary(self.model.shape(values))
        change.part("shape")[: len(shape)] = shape

    def _turns(self, values, change):
        turns = imaginary(self.model.turns(values))
        change.orientations = np.einsum("oij,aj->aio", turns, self.cell).reshape(9, -1)

    def _sources(self, values, change):
        change.numbers[loops().SOURCES_BEGIN :] = imaginary(self.model.sources(values)).reshape(-1)

    def _detector(self, values, change):
        for name, value in self.model.detector(values).items():
            change.part(name)[:] = imaginary(value)

    def _factors(self, values, change):
        """Scale and background, which are powers of what they follow from."""
        resolved = self.experiment.resolved
        for name, value in values.items():
            relative = np.imag(value) / STEP / np.real(value)
            part, field = name.split(".")
            if name == "crystal.scale":  # of what the crystal scatters, and nothing else
                change.part("scale")[0] += self._scale() * relative
                change.part("diffuse")[0] -= self._diffuse() * relative
                continue
            old = resolved.water_background
            doubled = getattr(resolved, part).replace(**{field: 2.0 * float(np.real(value))})
            if old != 0.0:
                power = np.log2(resolved.replace(**{part: doubled}).water_background / old)
                change.part("background")[0] += power * old * relative
            if resolved.diffuse != 0.0:
                power = np.log2(resolved.replace(**{part: doubled}).diffuse / resolved.diffuse)
                change.part("diffuse")[0] += power * self._diffuse() * relative
            if name == "beam.fluence":
                change.part("scale")[0] += self._scale() * relative
            if name == "structure_factors.default_F":
                change.part("factor")[0] += 2.0 * np.real(value) * np.imag(value) / STEP
                if self._constant():
                    change.part("diffuse")[0] -= 2.0 * self._diffuse() * relative

    def _constant(self):
        """Whether one structure factor stands for all, and is left out of the loops' sums."""
        return self.experiment.structure_factors.bounds is None

    def _diffuse(self):
        """What joins each source's sum over orientations there."""
        resolved = self.experiment.resolved
        factor = self.experiment.structure_factors.default_F**2 if self._constant() else 1.0
        return resolved.diffuse * len(self.turns) / factor / resolved.crystal.share

    def _scale(self):
        from ..constants import R_E_SQR

        resolved = self.experiment.resolved
        return R_E_SQR * resolved.beam.fluence * resolved.crystal.share / resolved.sampling.steps

    def _table(self, values, change):
        (value,) = values.values()
        change.table = imaginary(value)


def stated(name: str, why: str) -> FieldError:
    """The error for a parameter that does not apply."""
    return FieldError(f"{name} does not apply: {why}", fields=(name,))
