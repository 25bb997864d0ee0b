"""Experiments with other values of the fields that images are differentiated by, and how those of turns are counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import FieldError
from ..orientation import axis_rotation

#: fields that an experiment cannot be given another value of: whole numbers, and what follows from others
FIXED = ("crystal.cells", "detector.origin", "beam.source_weights")


def with_values(experiment: Any, values: Mapping[str, Any]) -> Any:
    """The experiment with other fields, {name: array of its shape}; FieldError for values that make none.

    crystal.rotation is the vector of a turn about the crystal as it stands, after the other fields have changed;
    structure_factors.F is the table's box.
    """
    changes, rotation = {}, None
    for name, given in values.items():
        if name in FIXED:
            raise FieldError(
                f"{name} cannot be given another value; its derivatives are those of `vjp`", fields=(name,)
            )
        value = np.asarray(given, dtype=np.float64)
        if name == "crystal.rotation":
            rotation = value
        elif name == "structure_factors.F":
            changes["structure_factors"] = with_table(experiment.structure_factors, value)
        else:
            changes[name] = value if value.ndim == 2 else tuple(value.tolist()) if value.ndim else float(value)
    moved = experiment.replace(changes)
    if rotation is not None and rotation.any():
        turn = axis_rotation(rotation.tolist(), float(np.linalg.norm(rotation)))
        moved = moved.replace(crystal=moved.crystal.rotated(turn))
    return moved


def with_table(factors: Any, box: Any) -> Any:
    """Structure factors with other amplitudes in the same box."""
    from ..experiment.structure_factors import padded

    values = np.zeros([n + 1 for n in box.shape])
    values[:-1, :-1, :-1] = box
    return factors.replace(values=padded(values, factors.bounds))


def left_jacobian(v: Any) -> np.ndarray:
    """The matrix from changes of a rotation vector to the small turns, in the laboratory, that they make."""
    angle = float(np.linalg.norm(v))
    x, y, z = v
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    if angle < 1e-4:
        return np.eye(3) + skew / 2.0 + skew @ skew / 6.0
    return np.eye(3) + (1.0 - np.cos(angle)) / angle**2 * skew + (angle - np.sin(angle)) / angle**3 * skew @ skew


def image_and_pullback(experiment: Any, values: Mapping[str, Any], threads: int = 0) -> tuple[Any, Any]:
    """(image, pullback) of the experiment with other values of fields, derivatives being by those values."""
    image, pullback = with_values(experiment, values).vjp(list(values), threads)

    def by_values(weights: Any) -> dict[str, np.ndarray]:
        gradient = pullback(weights)
        if "crystal.rotation" in gradient:
            turned = left_jacobian(np.asarray(values["crystal.rotation"], dtype=np.float64))
            gradient["crystal.rotation"] = turned.T @ gradient["crystal.rotation"]
        return gradient

    return image, by_values
