"""vjp, jvp and derivative images of sums: those of the crystals, one by one, and added.

mode: the function of `modes` that does it for one crystal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..render.backends import Compute
from ..render.images import render_precise
from .crystals import named


def added(total: Any, more: Any) -> Any:
    """The sum of two images, or of two lists of panels' images; None is nothing. The first may be changed."""
    if total is None:
        return [np.array(each) for each in more] if isinstance(more, list) else np.array(more)
    if isinstance(total, list):
        for each, other in zip(total, more, strict=True):
            each += other
        return total
    total += more
    return total


def vjp_of_sum(
    mode: Any, experiment: Any, names: list[str], threads: int, backend: str, device: int
) -> tuple[Any, Callable[[Any], dict[str, np.ndarray]]]:
    """(image, pullback); see `Experiment.vjp`."""
    image, pulls = None, []
    for one, own in named(experiment, names):
        if own:
            part, pull = mode(one, list(own.values()), threads, backend=backend, device=device)
            pulls.append((pull, own))
        else:
            part = render_precise(one, Compute(threads=threads))
        image = added(image, part)

    def pullback(weights: Any) -> dict[str, np.ndarray]:
        """Derivatives of the sum of weights * image by every parameter, as arrays of their shapes."""
        gradient: dict[str, np.ndarray] = {}
        for pull, own in pulls:
            found = pull(weights)
            for name, field in own.items():
                gradient[name] = found[field] + gradient.get(name, 0.0)
        return {name: np.asarray(gradient[name]) for name in names}

    return image, pullback


def jvp_of_sum(mode: Any, experiment: Any, tangents: Mapping[str, Any], threads: int) -> tuple[Any, Any]:
    """(image, change); see `Experiment.jvp`."""
    image = change = None
    for one, own in named(experiment, tangents):
        if own:
            part, changed = mode(one, {field: tangents[name] for name, field in own.items()}, threads)
            image, change = added(image, part), added(change, changed)
        else:
            image = added(image, render_precise(one, Compute(threads=threads)))
    return image, change


def derivative_images_of_sum(mode: Any, experiment: Any, names: list[str], threads: int) -> tuple[Any, dict[str, Any]]:
    """(image, {name: (*shape, slow, fast)}); see `Experiment.derivative_images`."""
    image, images = None, dict.fromkeys(names)
    for one, own in named(experiment, names):
        if own:
            part, found = mode(one, list(own.values()), threads)
            for name, field in own.items():
                images[name] = added(images[name], found.pop(field))
        else:
            part = render_precise(one, Compute(threads=threads))
        image = added(image, part)
    return image, images
