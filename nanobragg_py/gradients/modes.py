"""vjp, jvp and derivative images of an `Experiment`; its methods of these names say what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import FieldError, NanoBraggError
from ..kernels.loops.job import Job
from ..render.backends import Compute
from ..render.images import kernel_table, render_precise, team_size
from .changes import Change, Differentiated, loops
from .parameters import Parameter, parameters_of


def check_image(experiment: Any, compat: str) -> None:
    """Derivatives are of the image without the reference's defects."""
    if experiment.detector.panels is not None:
        raise FieldError("detector.panels has no derivatives; state each panel as a detector of its own")
    if compat != "spec":
        raise FieldError(f'compat is {compat!r}; derivatives are of the image with compat "spec"')


def vjp(
    experiment: Any, names: Iterable[str], threads: int = 0, compat: str = "spec"
) -> tuple[np.ndarray, Callable[[Any], dict[str, np.ndarray]]]:
    """(image, pullback); see `Experiment.vjp`."""
    check_image(experiment, compat)
    parameters = parameters_of(experiment, names)
    differentiated = Differentiated(experiment)
    changes = {
        row.name: [differentiated.change(row, i) for i in range(int(np.prod(row.shape(experiment))))]
        for row in parameters
        if row.name != "structure_factors.F"
    }
    image = render_precise(experiment, Compute(threads=threads))

    def pullback(weights: Any) -> dict[str, np.ndarray]:
        """Derivatives of the sum of weights * image by every parameter, as arrays of their shapes."""
        weights = image_weights(weights, experiment.shape)
        return pulled_back(differentiated, parameters, changes, image, weights, threads)

    return image.copy(), pullback


def image_weights(weights: Any, shape: tuple[int, int]) -> np.ndarray:
    """Weights as a C-contiguous float64 array; FieldError unless they are finite and of the image's shape."""
    try:
        array = np.ascontiguousarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise FieldError(f"weights are {type(weights).__name__}; give an array of numbers of shape {shape}") from None
    if array.shape != shape:
        raise FieldError(f"weights have the shape {array.shape}; the image has {shape}")
    if not np.isfinite(array).all():
        slow, fast = np.argwhere(~np.isfinite(array))[0]
        raise FieldError(f"weights have {array[slow, fast]} at (slow, fast) = ({slow}, {fast}); give finite numbers")
    return array


def pulled_back(
    differentiated: Differentiated,
    parameters: list[Parameter],
    changes: dict[str, list[Change]],
    image: Any,
    weights: Any,
    threads: int,
) -> dict[str, np.ndarray]:
    """The inner products of the parameters' changes with what the loops give for the weights."""
    experiment = differentiated.experiment
    table = kernel_table(experiment.structure_factors)
    job = Job(experiment.resolved, table)
    each = [change for some in changes.values() for change in some]
    by_table = table is not None and any(row.name.startswith("structure_factors.") for row in parameters)
    numbers, turned, elements = loops().reverse(
        job, weights, image, any(c.geometry for c in each), any(c.part("shape").any() for c in each), by_table,
        team_size(threads),
    )  # fmt: skip
    sums = Change(np.asarray(numbers))
    orientations = np.asarray(turned).reshape(9, -1)[:, : len(differentiated.turns)]
    sums.part("cell")[:] = np.einsum("oij,aio->aj", differentiated.turns, orientations.reshape(3, 3, -1)).reshape(-1)
    box, outside = None, 0.0
    if by_table:
        every = np.asarray(elements)
        box = every[table.pad :].reshape(table_shape(experiment))[:-1, :-1, :-1]
        outside = float(every.sum() - box.sum())
    gradient = {}
    for row in parameters:
        if row.name == "structure_factors.F":
            gradient[row.name] = np.array(box)
            continue
        values = [inner(change, sums, orientations) for change in changes[row.name]]
        if row.name == "structure_factors.default_F" and by_table:
            values = [outside]
        gradient[row.name] = np.array(values).reshape(row.shape(experiment))
    return gradient


def inner(change: Change, sums: Change, orientations: Any) -> float:
    """The inner product of a change with the loops' sums."""
    value = change.numbers @ sums.numbers
    if change.orientations is not None:
        value += (change.orientations * orientations).sum()
    return value


def table_shape(experiment: Any) -> tuple[int, ...]:
    """Of the table in the kernels' layout, which has a layer more than the box."""
    bounds = experiment.structure_factors.bounds
    return tuple(bounds[2 * i + 1] - bounds[2 * i] + 2 for i in range(3))


def jvp(
    experiment: Any, tangents: Mapping[str, Any], threads: int = 0, compat: str = "spec"
) -> tuple[np.ndarray, np.ndarray]:
    """(image, change); see `Experiment.jvp`."""
    check_image(experiment, compat)
    if not isinstance(tangents, Mapping):
        raise FieldError(f"tangents are {type(tangents).__name__}; give a dict of parameters' names and changes")
    parameters = parameters_of(experiment, tangents)
    differentiated = Differentiated(experiment)
    if experiment.structure_factors.bounds is not None and "structure_factors.default_F" in tangents:
        raise FieldError("jvp knows no structure_factors.default_F beside a table; leave it out")
    whole = differentiated.along([(row, parameter_change(tangents[row.name], row, experiment)) for row in parameters])
    if whole.orientations is None:
        whole.orientations = np.zeros((9, len(differentiated.turns)))
    # all of the cell's change as one of the orientations': one image instead of nine
    cell = whole.part("cell").reshape(3, 3)
    whole.orientations += np.einsum("oij,aj->aio", differentiated.turns, cell).reshape(9, -1)
    cell[:] = 0.0
    image, changes = pushed_forward(differentiated, [whole], threads)
    return image, changes[0]


def parameter_change(value: Any, row: Parameter, experiment: Any) -> np.ndarray:
    """The change of a parameter as an array of its shape; FieldError where it has another or is not finite."""
    shape = row.shape(experiment)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise FieldError(f"the change of {row.name} is {value!r}; give numbers of shape {shape}") from None
    if array.shape != shape:
        raise FieldError(f"the change of {row.name} has the shape {array.shape}; the parameter has {shape}")
    if not np.isfinite(array).all():
        raise FieldError(f"the change of {row.name} has numbers that are not finite")
    return array


def derivative_images(
    experiment: Any, names: Iterable[str], threads: int = 0, compat: str = "spec"
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(image, {name: (*shape, slow, fast)}); see `Experiment.derivative_images`."""
    check_image(experiment, compat)
    parameters = parameters_of(experiment, names)
    for row in parameters:
        if row.name.startswith("structure_factors.") and experiment.structure_factors.bounds is not None:
            raise FieldError(f"{row.name} would make an image for every structure factor; take vjp or jvp")
    differentiated = Differentiated(experiment)
    counts = [int(np.prod(row.shape(experiment))) for row in parameters]
    changes = [
        differentiated.change(row, i) for row, count in zip(parameters, counts, strict=True) for i in range(count)
    ]
    image, images = pushed_forward(differentiated, changes, threads)
    ends = np.cumsum(counts)
    return image, {
        row.name: images[end - count : end].reshape(*row.shape(experiment), *experiment.shape)
        for row, count, end in zip(parameters, counts, ends, strict=True)
    }


def pushed_forward(
    differentiated: Differentiated, changes: list[Change], threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """(image, changes of the image (count, slow, fast))."""
    experiment = differentiated.experiment
    table = kernel_table(experiment.structure_factors)
    job = Job(experiment.resolved, table)
    count, stride = len(differentiated.turns), job.stride

    def padded(rows: Any) -> np.ndarray:
        out = np.zeros((*rows.shape[:-1], stride))
        out[..., :count] = rows
        return out

    own = np.full(len(changes), -1, dtype=np.intc)
    rows = []
    for i, change in enumerate(changes):
        if change.orientations is not None and change.orientations.any():
            own[i] = len(rows)
            rows.append(padded(change.orientations))
    turns = None
    if any(change.part("cell").any() for change in changes):
        turns = padded(differentiated.turns.transpose(1, 2, 0).reshape(9, -1))
    elements = None
    if changes[0].table is not None and table is not None:
        elements = np.zeros(table.nbytes // 8 + table.pad)
        elements[table.pad :].reshape(table_shape(experiment))[:-1, :-1, :-1] = changes[0].table
    try:
        image = np.zeros(experiment.shape)
        out = np.zeros((len(changes), *experiment.shape))
    except MemoryError:
        raise NanoBraggError(f"no memory for {len(changes)} derivative images") from None
    loops().forward(
        job, np.array([change.numbers for change in changes]), own, np.array(rows) if rows else None, turns, elements,
        out, image, any(c.geometry for c in changes), any(c.part("shape").any() for c in changes), team_size(threads),
    )  # fmt: skip
    return image, out
