"""Derivatives of what amorphous material scatters: by how much there is, by its curve's scale, by where it falls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import FieldError
from ..memory import within_memory
from .haze import FIELDS, derivative

#: photons are these powers of what a `Background` states, and of a scale of them and of the curve's F, both 1
POWERS = {"scale": 1, "curve": 2, "molecules": 1, "thickness": 1, "density": 1, "molecular_weight": -1, "width": 2}


@within_memory
def derivatives(background: Any, experiment: Any, names: Iterable[str], threads: int = 0) -> tuple[Any, dict[str, Any]]:
    """(image, {name: its derivative}); see `Experiment.background_derivatives`."""
    if isinstance(names, str):
        raise FieldError(f"parameters are {names!r}; give a list of names")
    names = list(names)
    moving = [name for name in names if name in FIELDS]
    factors = {name: factor(background, experiment, name) for name in names if name not in moving}
    images = {name: derivative(background, experiment, name) for name in moving}
    rendered = background.render(experiment, threads=threads)
    if isinstance(rendered, list):
        image: Any = [each.astype(np.float64) for each in rendered]
        return image, images | {name: [each * by for each in image] for name, by in factors.items()}
    image = rendered.astype(np.float64)
    return image, images | {name: image * by for name, by in factors.items()}


def factor(background: Any, experiment: Any, name: str) -> float:
    """What the image is to be multiplied by to be its derivative; FieldError for what it does not follow from."""
    why = None
    if name == "beam.fluence":
        value, power = experiment.resolved.beam.fluence, 1
        why = "beam.flux is given and makes the fluence" if experiment.beam.flux != 0.0 else None
    elif name in POWERS:
        value, power = getattr(background, name, 1.0) if name not in ("scale", "curve") else 1.0, POWERS[name]
        given = background.molecules is not None
        if name == "molecules" and not given:
            why = "the number of molecules follows from thickness, density and width"
        elif name not in ("scale", "curve", "molecules") and given:
            why = "the number of molecules is given"
        elif name == "width" and (value is None or value >= experiment.resolved.beam.size):
            why = "the material is as wide as the beam"
    else:
        known = ", ".join((*POWERS, "beam.fluence", *FIELDS))
        raise FieldError(f"a background cannot be differentiated by {name!r}; by {known} it can", fields=(str(name),))
    if why is None and value == 0.0:
        why = "it is 0"
    if why is not None:
        raise FieldError(f"{name} does not apply: {why}", fields=(name,))
    return power / value
