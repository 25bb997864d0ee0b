"""Derivatives of what amorphous material scatters by where the detector is, and by the beam.

Its formula in numpy, as kernels/loops/nb_background.h has it, for complex numbers too: an imaginary step of a field
gives the derivative to the last bits, as in `model`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from ..constants import R_E_SQR
from ..errors import FieldError
from ..render.sums import darken
from .changes import STEP, imaginary
from .model import Model, length, turn
from .parameters import PARAMETERS, stated

#: fields that move the detector, the beam or the wavelengths
FIELDS = (
    *("detector.origin", "detector.distance", "detector.close_distance", "detector.rotations", "detector.twotheta"),
    *("beam.wavelength", "beam.direction"),
)
#: sub-pixels that are worked out together
TOGETHER = 1 << 18


def derivative(background: Any, experiment: Any, name: str) -> Any:
    """By a field of `FIELDS`: (*shape, slow, fast) float64, of panels (*shape, panels, slow, fast) or a list of them.

    Raises FieldError for a field that does not apply.
    """
    row = PARAMETERS[name]
    why = row.applies(experiment) if row.applies else None
    if why:
        raise stated(name, why)
    value = np.asarray(row.value(experiment), dtype=np.float64)
    made = []
    for resolved, model in places(background, experiment):
        images = np.zeros((value.size, resolved.detector.spixels, resolved.detector.fpixels))
        for number, image in enumerate(images):
            step = np.zeros(value.size)
            step[number] = STEP
            stepped = value + 1j * step.reshape(value.shape)
            fill(resolved, model, {name: stepped if stepped.ndim else stepped[()]}, image)
            darken(resolved, image)
        made.append(images.reshape(*value.shape, *images.shape[1:]))
    if not experiment.resolved.panels:
        return made[0]
    return np.stack(made, axis=value.ndim) if len(set(experiment.shapes)) == 1 else made


def places(background: Any, experiment: Any) -> Iterator[tuple[Any, Model]]:
    """What scatters onto each detector, and the model of that: of one, or of every panel."""
    model = Model(experiment)
    if not experiment.resolved.panels:
        yield background.resolved(experiment), model
    for number, panel in enumerate(experiment.resolved.panels):
        yield background.resolved(experiment, panel), model.on_panel(number)


def fill(resolved: Any, model: Model, values: dict[str, Any], image: Any) -> None:
    """The imaginary part of the image for complex fields, over the step, into a float64 image of zeros."""
    detector = resolved.detector
    fast_min, fast_max, slow_min, slow_max = detector.roi
    columns = np.arange(max(fast_min, 0), min(fast_max + 1, detector.fpixels))
    rows = np.arange(max(slow_min, 0), min(slow_max + 1, detector.spixels))
    if not columns.size or not rows.size:
        return
    place, sources = model.detector(values), model.sources(values)
    height = max(1, TOGETHER // columns.size)
    for begin in range(0, rows.size, height):
        some = rows[begin : begin + height]
        image[some[0] : some[-1] + 1, columns[0] : columns[-1] + 1] = imaginary(
            photons(resolved, place, sources, some[:, None], columns)
        )


def photons(resolved: Any, place: dict[str, Any], sources: Any, slow: Any, fast: Any) -> Any:
    """The pixels of rows `slow`, (n, 1), and columns `fast`.

    place: as `Model.detector` gives it. sources: as `Model.sources` does, but for the weights.
    """
    beam, detector, count = resolved.beam, resolved.detector, resolved.oversample
    sensor = resolved.sensor and detector.thickness != 0.0
    layers = range(detector.thicksteps if sensor else 1)
    sub = detector.pixel_size / count
    total = 0.0
    for layer, sub_slow, sub_fast in product(layers, range(count), range(count)):
        depth = detector.first_depth + layer * detector.thickstep if sensor else 0.0
        f = sub * (fast * count + sub_fast + 0.5)
        s = sub * (slow * count + sub_slow + 0.5)
        at = place["origin"] + f[..., None] * place["fast"] + s[..., None] * place["slow"] + depth * place["normal"]
        if detector.curved:
            at = bent(at, place)
        inverse = 1.0 / length(at)
        ray = at * inverse[..., None]
        omega = inverse * inverse
        if not detector.point_pixel:
            close = place["close_distance"] + detector.deepening * depth
            omega = omega * detector.pixel_size**2 * close * inverse
        if sensor:
            path = detector.thickstep * detector.mu / (ray @ place["normal"])
            omega = omega * (np.exp(-layer * path) - np.exp(-(layer + 1) * path))
        for source, (*_, weight, _wavelength) in zip(sources, beam.sources, strict=True):
            difference = ray - source[:3]
            square = (difference * difference).sum(axis=-1)
            # in the direct beam the root has no slope, and the pixel's derivative is left at 0
            square = np.where(square.real > 1e-20, square, 1e-20)
            F = curve_values(resolved.curve, 0.5 * np.sqrt(square) * source[3])
            total = total + weight * F * F * np.sign(F.real) * polarization(beam, source, ray) * omega
    return total * (R_E_SQR * beam.fluence * resolved.molecules / resolved.steps)


def polarization(beam: Any, source: Any, ray: Any) -> Any:
    """Kahn's factor for directions (..., 3)."""
    if not beam.polarized:
        return 1.0
    c = ray @ source[:3]
    if beam.polarization == 0.0 or not np.any(source[7:10]):
        across = 1.0 - c * c
    else:
        across = (ray @ source[4:7]) ** 2 - (ray @ source[7:10]) ** 2
    return 0.5 * (1.0 + c * c - beam.polarization * across)


def bent(at: Any, place: dict[str, Any]) -> Any:
    """Points of a curved detector: the beam's, turned about slow and then fast axis by lengths on the flat one."""
    distance, start = place["distance"], place["beam"] * place["distance"]
    about_slow = turn(place["slow"], at[..., 1] / distance)
    about_fast = turn(place["fast"], at[..., 2] / distance)
    return np.einsum("...ij,...jk,k->...i", about_fast, about_slow, start)


def curve_values(curve: Any, x: Any) -> Any:
    """F of a `Curve` at abscissae, 1/m: the cubic through the two rows on either side, by Newton's formula."""
    if not curve.ascending:
        raise FieldError("curve has rows that do not ascend, and no derivatives; sort it")
    rows, F = (np.asarray(memoryview(each))[2:-2] for each in (curve.x, curve.F))
    count = rows.size
    interval = np.searchsorted(rows, x.real, side="right")
    value = np.zeros_like(x)
    for number in np.unique(interval):
        points = [i for i in range(number - 2, number + 2) if 0 <= i < count]
        coefficients = F[points].copy()
        for order in range(1, len(points)):
            for i in range(len(points) - 1, order - 1, -1):
                coefficients[i] = (coefficients[i] - coefficients[i - 1]) / (
                    rows[points[i]] - rows[points[i - order]]
                )
        here = interval == number
        t, part = x[here], 0.0
        for i in range(len(points) - 1, -1, -1):
            part = coefficients[i] + (t - rows[points[i]]) * part
        value[here] = part
    return value
