"""Chains of axes, as imgCIF and NeXus tell where something is: each axis moves what depends on it."""

from math import radians
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from ..orientation import axis_rotation
from ..records import REQUIRED, Record


class Axis(Record):
    """One axis. rotation: whether it turns or shifts. vector: direction, shape (3,). offset: where it is in the frame
    of the axis that it depends on, m. value: its setting, degrees or m. depends_on: a name, "." at the end."""

    _fields = {"rotation": REQUIRED, "vector": REQUIRED, "offset": (0.0, 0.0, 0.0), "value": 0.0, "depends_on": "."}

    @property
    def direction(self) -> Any:
        """The vector, of length 1; NanoBraggError where it has no direction."""
        vector = np.asarray(self.vector, float)
        length = np.linalg.norm(vector)
        if not (np.isfinite(length) and length > 0):
            raise NanoBraggError("one of its axes has no direction")
        return vector / length


def chain(axes: Any, name: str) -> Any:
    """The names from `name` up to the end of what it depends on; NanoBraggError for a circle or a missing axis."""
    names = []
    while name != ".":
        if name in names:
            raise NanoBraggError(f"its axis {name} depends on itself")
        if name not in axes:
            raise NanoBraggError(f"its axis {name} is not described")
        names.append(name)
        name = axes[name].depends_on
    return names


def placed(axes: Any, name: str) -> tuple[Any, Any]:
    """The rotation, shape (3, 3), and the shift, m, that axis `name` and all that it depends on make in the laboratory.

    axes: {name: Axis}. "." is the laboratory itself.
    """
    rotation, shift = np.eye(3), np.zeros(3)
    for each in chain(axes, name):
        axis = axes[each]
        if axis.rotation:
            turn = axis_rotation(axis.direction, radians(axis.value))
            rotation, shift = turn @ rotation, turn @ shift
        else:
            shift = shift + axis.value * axis.direction
        shift = shift + np.asarray(axis.offset, float)
    return rotation, shift
