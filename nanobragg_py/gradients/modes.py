"""vjp, jvp and derivative images of an `Experiment`; its methods of these names say what they are.

A detector of panels is taken a panel at a time. What panels share adds up over them; where a panel is, is its own.
Several crystals in one image, and blocks of several sizes, are taken one at a time, too (`sums`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from ..errors import FieldError, NanoBraggError
from ..kernels.loops.job import Job
from ..memory import shortage, within_memory
from ..render.backends import Compute, team_size, warn_of_time
from ..render.images import new_image, render_precise
from ..render.tables import kernel_table
from .changes import Change, Differentiated, loops, number_count
from .parameters import Parameter, parameters_of
from .sums import derivative_images_of_sum, jvp_of_sum, vjp_of_sum

#: times of an image that derivatives take, about (docs/gradients.md)
PULLBACK, FORWARD = 3.0, 3.5


def check_compat(compat: str) -> None:
    """Derivatives are of the image without the reference's defects."""
    if compat != "spec":
        raise FieldError(f'compat is {compat!r}; derivatives are of the image with compat "spec"')


def check_memory(experiment: Any, parameters: list[Parameter], images: int = 0) -> None:
    """NanoBraggError for derivatives that this process may not take the memory for. images: of float64 together."""
    if said := shortage(8 * images * sum(prod(shape) for shape in experiment.shapes)):
        raise NanoBraggError(f"no memory for {images} images of float64: they need {said}, or name fewer parameters")
    sampling, crystal = experiment.resolved.sampling, experiment.resolved.crystal
    count = sum(prod(row.shape(experiment)) for row in parameters if "turns" in row.parts)
    # a matrix for each, complex ones on the way to it, and its change by each component
    orientations = sampling.phisteps * max(1, crystal.mosaic_domains)
    if said := shortage(72 * orientations * (5 + count)):
        raise NanoBraggError(
            f"the derivatives of {orientations} orientations (phi steps and mosaic domains) need {said}, or reduce "
            "sampling.phisteps or crystal.mosaic_domains"
        )


def is_local(row: Parameter, experiment: Any) -> bool:
    """Whether every panel has components of its own of a parameter."""
    return row.name == "detector.origin" and bool(experiment.resolved.panels)


def places(differentiated: Differentiated, table: Any) -> Iterator[tuple[Differentiated, Job]]:
    """Each detector with what the loops are to know of it: one, or every panel."""
    resolved = differentiated.experiment.resolved
    first = resolved.single_panels[0]
    job = Job(first, table)
    if not resolved.panels:
        yield differentiated, job
    for number, panel in enumerate(resolved.panels):
        yield differentiated.on_panel(number), job if number == 0 else job.with_detector(panel)


def of_panels(images: Any, experiment: Any) -> list[Any]:
    """The images of panels, or the one image, in a list."""
    return list(images) if experiment.resolved.panels else [images]


@within_memory
def vjp(
    experiment: Any,
    names: Iterable[str],
    threads: int = 0,
    compat: str = "spec",
    backend: str = "cpu",
    device: int = 0,
) -> tuple[Any, Callable[[Any], dict[str, np.ndarray]]]:
    """(image, pullback); see `Experiment.vjp`."""
    check_compat(compat)
    parameters = parameters_of(experiment, names)
    on_device = device_loops(experiment, parameters, backend, device)
    if experiment.resolved.crystals:
        return vjp_of_sum(vjp, experiment, [row.name for row in parameters], threads, backend, device)
    check_memory(experiment, parameters)
    differentiated = Differentiated(experiment)
    changes = {
        row.name: [differentiated.change(row, i) for i in range(int(np.prod(row.shape(experiment))))]
        for row in parameters
        if row.name != "structure_factors.F" and not is_local(row, experiment)
    }
    if on_device is None:
        image = render_precise(experiment, Compute(threads=threads))
    else:
        image = together(device_images(differentiated, on_device), experiment)
    own = [np.array(each) for each in of_panels(image, experiment)]

    @within_memory
    def pullback(weights: Any) -> dict[str, np.ndarray]:
        """Derivatives of the sum of weights * image by every parameter, as arrays of their shapes."""
        checked = panel_weights(weights, experiment)
        if on_device is None:
            warn_of_time(experiment.resolved, Compute(threads=threads), PULLBACK, "the derivatives' ")
        return pulled_back(differentiated, parameters, changes, own, checked, threads, on_device)

    return image, pullback


def device_loops(experiment: Any, parameters: list[Parameter], backend: str, device: int) -> Any:
    """The loops of a GPU, or None for those of the CPU; FieldError for what a GPU does not give."""
    if backend == "cpu":
        return None
    if backend != "gpu":
        raise FieldError(f'backend is {backend!r}; derivatives are of "cpu" or "gpu"')
    for row in parameters:
        if row.name.startswith("structure_factors.") and experiment.structure_factors.bounds is not None:
            raise FieldError(f'{row.name} of a table needs backend "cpu"', fields=(row.name,))
    from .gpu import DeviceLoops

    return DeviceLoops(device)


def device_images(differentiated: Differentiated, on_device: Any) -> list[Any]:
    """The float64 image of every panel, or the one image, from a GPU."""
    images = []
    for _, job in places(differentiated, kernel_table(differentiated.experiment.structure_factors)):
        images.append(new_image(job.shape, np.float64))
        on_device.image(job, images[-1])
    return images


def panel_weights(weights: Any, experiment: Any) -> list[np.ndarray]:
    """The weights of every panel's image, or of the one image, in a list; FieldError as of `image_weights`."""
    if not experiment.resolved.panels:
        return [image_weights(weights, experiment.shape)]
    shapes = experiment.shapes
    if len(set(shapes)) == 1:
        return list(image_weights(weights, experiment.shape))
    if not isinstance(weights, (list, tuple)) or len(weights) != len(shapes):
        raise FieldError(f"weights are to be a list of {len(shapes)} arrays, one for each panel")
    return [image_weights(each, shape) for each, shape in zip(weights, shapes, strict=True)]


def image_weights(weights: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Weights as a C-contiguous float64 array; FieldError unless they are finite and of the image's shape."""
    try:
        array = np.ascontiguousarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise FieldError(f"weights are {type(weights).__name__}; give an array of numbers of shape {shape}") from None
    if array.shape != shape:
        raise FieldError(f"weights have the shape {array.shape}; the image has {shape}")
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        axes = "(slow, fast)" if len(at) == 2 else "(panel, slow, fast)"
        raise FieldError(f"weights have {array[at]} at {axes} = {at}; give finite numbers")
    return array


def pulled_back(
    differentiated: Differentiated,
    parameters: list[Parameter],
    changes: dict[str, list[Change]],
    images: list[Any],
    weights: list[Any],
    threads: int,
    on_device: Any = None,
) -> dict[str, np.ndarray]:
    """The inner products of the parameters' changes with what the loops give for the weights."""
    experiment = differentiated.experiment
    table = kernel_table(experiment.structure_factors)
    each = [change for some in changes.values() for change in some]
    local = [row for row in parameters if is_local(row, experiment)]
    by_table = table is not None and any(row.name.startswith("structure_factors.") for row in parameters)
    geometry = bool(local) or any(c.geometry for c in each)
    shape = any(c.part("shape").any() for c in each)
    gradient = {row.name: np.zeros(row.shape(experiment)) for row in parameters}
    for panel, (place, job) in enumerate(places(differentiated, table)):
        given = job, weights[panel], images[panel], geometry, shape
        if on_device is None:
            numbers, turned, elements = loops().reverse(*given, by_table, team_size(threads))
        else:
            numbers, turned = on_device.reverse(*given, number_count(experiment))
        sums = Change(np.asarray(numbers))
        orientations = np.asarray(turned).reshape(9, -1)[:, : len(place.turns)]
        cell = np.einsum("oij,aio->aj", place.turns, orientations.reshape(3, 3, -1))
        sums.part("cell")[:] = cell.reshape(-1)
        outside = 0.0
        if by_table:
            every = np.asarray(elements)
            box = every[table.pad :].reshape(table_shape(experiment))[:-1, :-1, :-1]
            outside = float(every.sum() - box.sum())
            if "structure_factors.F" in gradient:
                gradient["structure_factors.F"] += box
        for row in local:
            gradient[row.name][panel] = [inner(place.change(row, 3 * panel + i), sums, orientations) for i in range(3)]
        for name, some in changes.items():
            values = [inner(change, sums, orientations) for change in some]
            if name == "structure_factors.default_F" and by_table:
                values = [outside]
            gradient[name] += np.reshape(values, gradient[name].shape)
    return gradient


def inner(change: Change, sums: Change, orientations: Any) -> float:
    """The inner product of a change with the loops' sums."""
    value = change.numbers @ sums.numbers
    if change.orientations is not None:
        value += (change.orientations * orientations).sum()
    return float(value)


def table_shape(experiment: Any) -> tuple[int, ...]:
    """Of the table in the kernels' layout, which has a layer more than the box."""
    bounds = experiment.structure_factors.bounds
    return tuple(bounds[2 * i + 1] - bounds[2 * i] + 2 for i in range(3))


@within_memory
def jvp(
    experiment: Any, tangents: Mapping[str, Any], threads: int = 0, compat: str = "spec"
) -> tuple[np.ndarray, np.ndarray]:
    """(image, change); see `Experiment.jvp`."""
    check_compat(compat)
    if not isinstance(tangents, Mapping):
        raise FieldError(f"tangents are {type(tangents).__name__}; give a dict of parameters' names and changes")
    parameters = parameters_of(experiment, tangents)
    if experiment.resolved.crystals:
        return jvp_of_sum(jvp, experiment, tangents, threads)
    check_memory(experiment, parameters, 2)
    warn_of_time(experiment.resolved, Compute(threads=threads), FORWARD, "the derivatives' ")
    differentiated = Differentiated(experiment)
    if experiment.structure_factors.bounds is not None and "structure_factors.default_F" in tangents:
        raise FieldError("jvp knows no structure_factors.default_F beside a table; leave it out")
    given = [(row, parameter_change(tangents[row.name], row, experiment)) for row in parameters]
    table, found = kernel_table(experiment.structure_factors), []
    for place, job in places(differentiated, table):
        whole = place.along(given)
        if whole.orientations is None:
            whole.orientations = np.zeros((9, len(place.turns)))
        # all of the cell's change as one of the orientations': one image instead of nine
        cell = whole.part("cell").reshape(3, 3)
        whole.orientations += np.einsum("oij,aj->aio", place.turns, cell).reshape(9, -1)
        cell[:] = 0.0
        image, changes = pushed_forward(place, job, [whole], threads)
        found.append((image, changes[0]))
    image, change = ([pair[i] for pair in found] for i in range(2))
    return together(image, experiment), together(change, experiment)


def together(images: list[Any], experiment: Any) -> Any:
    """Images of panels as `Experiment.render` gives them: a stack where they are alike, or a list; or the one image."""
    if not experiment.resolved.panels:
        return images[0]
    return np.stack(images) if len(set(experiment.shapes)) == 1 else images


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


@within_memory
def derivative_images(
    experiment: Any, names: Iterable[str], threads: int = 0, compat: str = "spec"
) -> tuple[Any, dict[str, Any]]:
    """(image, {name: (*shape, slow, fast)}); see `Experiment.derivative_images`."""
    check_compat(compat)
    parameters = parameters_of(experiment, names)
    for row in parameters:
        if row.name.startswith("structure_factors.") and experiment.structure_factors.bounds is not None:
            raise FieldError(f"{row.name} would make an image for every structure factor; take vjp or jvp")
    check_memory(experiment, parameters, 1 + sum(prod(row.shape(experiment)) for row in parameters))
    if experiment.resolved.crystals:
        return derivative_images_of_sum(derivative_images, experiment, [row.name for row in parameters], threads)
    warn_of_time(experiment.resolved, Compute(threads=threads), FORWARD, "the derivatives' ")
    differentiated = Differentiated(experiment)
    local = [row for row in parameters if is_local(row, experiment)]
    shared = [row for row in parameters if row not in local]
    counts = [int(np.prod(row.shape(experiment))) for row in shared]
    changes = [differentiated.change(row, i) for row, count in zip(shared, counts, strict=True) for i in range(count)]
    ends = np.cumsum(counts)
    images: dict[str, Any] = {row.name: [] for row in parameters}
    if experiment.resolved.panels and len(set(experiment.shapes)) == 1:
        images = {row.name: new_image((*row.shape(experiment), *experiment.shape), np.float64) for row in parameters}
    found = []
    table = kernel_table(experiment.structure_factors)
    for panel, (place, job) in enumerate(places(differentiated, table)):
        own = [place.change(row, 3 * panel + i) for row in local for i in range(3)]
        image, stack = pushed_forward(place, job, [*changes, *own], threads)
        found.append(image)
        made = {
            row.name: stack[end - count : end].reshape(*row.shape(experiment), *job.shape)
            for row, count, end in zip(shared, counts, ends, strict=True)
        }
        for row, number in zip(local, range(len(changes), len(stack), 3), strict=True):
            made[row.name] = new_image((*row.shape(experiment), *job.shape), np.float64)
            made[row.name][panel] = stack[number : number + 3]
        for name, each in made.items():
            if not experiment.resolved.panels:
                images[name] = each
            elif isinstance(images[name], list):
                images[name].append(each)
            else:
                images[name][..., panel, :, :] = each
    return together(found, experiment), images


def pushed_forward(place: Differentiated, job: Job, changes: list[Change], threads: int) -> tuple[Any, Any]:
    """(image, changes of the image (count, slow, fast))."""
    experiment = place.experiment
    table = kernel_table(experiment.structure_factors)
    count, stride = len(place.turns), job.stride

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
        turns = padded(place.turns.transpose(1, 2, 0).reshape(9, -1))
    elements = None
    if changes[0].table is not None and table is not None:
        elements = np.zeros(table.nbytes // 8 + table.pad)
        elements[table.pad :].reshape(table_shape(experiment))[:-1, :-1, :-1] = changes[0].table
    try:
        image = np.zeros(job.shape)
        out = np.zeros((len(changes), *job.shape))
    except MemoryError:
        raise NanoBraggError(f"no memory for {len(changes)} derivative images") from None
    loops().forward(
        job, np.array([change.numbers for change in changes]), own, np.array(rows) if rows else None, turns, elements,
        out, image, any(c.geometry for c in changes), any(c.part("shape").any() for c in changes), team_size(threads),
    )  # fmt: skip
    return image, out
