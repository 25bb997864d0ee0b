"""Experiments with other values of the fields that images are differentiated by, and how those of turns are counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import FieldError
from ..orientation import axis_rotation
from .changes import STEP, imaginary
from .crystals import alone, check_number, owner_of
from .model import Model, turn, turn_xyz
from .parameters import PARAMETERS, parameter, whole_cells_of

#: why a number of cells stays
WHOLE = "square crystals, and those of the reference's physics, have whole numbers of cells"

def with_values(experiment: Any, values: Mapping[str, Any]) -> Any:
    """The experiment with other fields, {name: array of its shape}; FieldError for values that make none.

    crystal.rotation is the vector of a turn about the crystal as it stands, after the other fields have changed;
    detector.origin shifts the detector by as much as it differs from where it is, after them, too;
    beam.source_weights multiply the weights that sources have; structure_factors.F is the table's box.
    """
    return _with_values(experiment, values)[1]


def _with_values(experiment, values):
    """What `with_values` gives, and before it the same without a shift of the detector."""
    changes, rotation, shift, weights, wavelength = {}, None, None, None, None
    others: dict[int, dict[str, Any]] = {}
    for name, given in values.items():
        number, field = owner_of(name)
        if number:
            check_number(experiment, name)
            others.setdefault(number, {})[field] = given
            continue
        if name == "crystal.cells" and whole_cells_of(experiment):
            raise FieldError(f"{name} cannot be given another value: {WHOLE}", fields=(name,))
        value = np.asarray(given, dtype=np.float64)
        if name == "crystal.rotation":
            rotation = value
        elif name == "detector.origin":
            shift = value - np.asarray(PARAMETERS[name].value(experiment))
        elif name == "beam.source_weights":
            weights = value
        elif name == "beam.wavelength":
            wavelength = value
        elif name == "beam.spectrum":
            changes[name] = tuple(map(tuple, value.tolist()))
        elif name == "structure_factors.F":
            changes["structure_factors"] = with_table(experiment.structure_factors, value)
        else:
            changes[name] = value if value.ndim == 2 else tuple(value.tolist()) if value.ndim else float(value)
    if weights is not None:
        changes["beam.sources"] = with_weights(experiment.beam.sources, weights)
    if wavelength is not None:
        changes.update(with_wavelength(experiment, float(wavelength), changes))
    if others:
        crystals = list(experiment.more_crystals)
        for number, fields in others.items():
            crystals[number - 1] = with_values(alone(experiment, number), fields).crystal
        changes["more_crystals"] = tuple(crystals)
    moved = experiment.replace(changes)
    if rotation is not None and rotation.any():
        turn = axis_rotation(rotation.tolist(), float(np.linalg.norm(rotation)))
        moved = moved.replace(crystal=moved.crystal.rotated(turn))
    return moved, moved if shift is None or not shift.any() else shifted(moved, shift)


def with_wavelength(experiment: Any, wavelength: float, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a beam all of whose wavelengths are another in proportion; changes: fields that are another."""
    beam = experiment.beam
    factor = wavelength / PARAMETERS["beam.wavelength"].value(experiment)
    made: dict[str, Any] = {}
    if beam.spectrum is not None:
        lengths, weights = changes.get("beam.spectrum", beam.spectrum)
        return {"beam.spectrum": (tuple(factor * length for length in lengths), weights)}
    if beam.sources is not None:
        rows = changes.get("beam.sources", beam.sources)
        made["beam.sources"] = [(*row[:4], None if row[4] is None else factor * row[4]) for row in rows]
    return {**made, "beam.wavelength": wavelength}


def with_weights(rows: Any, shares: Any) -> list[Any]:
    """The rows of an experiment's sources with other weights, those they have times shares."""
    if rows is None:
        raise FieldError(
            "beam.source_weights can be changed of a list of sources only; state beam.sources",
            fields=("beam.source_weights",),
        )
    return [
        (*row[:3], (1.0 if row[3] is None else row[3]) * share, row[4])
        for row, share in zip(rows, shares.tolist(), strict=True)
    ]


def shifted(experiment: Any, shift: Any) -> Any:
    """The experiment with its detector, or each of its panels, shifted by so many metres in the laboratory."""
    detector = experiment.detector
    if detector.panels is not None:
        panels = [
            panel.replace(origin=tuple((panel.origin + by).tolist()))
            for panel, by in zip(detector.panels, shift, strict=True)
        ]
        return experiment.replace({"detector.panels": panels})
    model, resolved = Model(experiment), experiment.resolved.detector
    options, frame = model.options, model.frame
    origin = np.asarray(resolved.origin) + shift
    placed = turn_xyz(detector.rotations)
    turned = turn(np.asarray(frame.twotheta_axis), detector.twotheta) @ placed
    axes, beam = np.array([frame.fast, frame.slow, frame.normal]), np.asarray(frame.beam)
    ratio = beam @ (placed @ axes[2])
    if frame.pivot == "sample":  # origin = turned (-F fast - S slow + close normal)
        f, s, close = np.linalg.solve(axes.T, np.linalg.solve(turned, origin)) * (-1.0, -1.0, 1.0)
    else:  # origin = -F fast - S slow + distance beam, axes turned
        f, s, along = np.linalg.solve(np.array([*(axes @ turned.T)[:2], beam]).T, origin) * (-1.0, -1.0, 1.0)
        close = along * ratio
    changes = centre_fields(options, resolved, frame.pivot, f, s)
    if detector.close_distance is None:
        changes["distance"] = close / abs(ratio)
    else:
        changes["close_distance"] = close
    return experiment.replace({f"detector.{name}": float(value) for name, value in changes.items()})


def centre_fields(options: Any, resolved: Any, pivot: str, f: float, s: float) -> dict[str, float]:
    """The fields for a beam spot (pivot beam), or point nearest the sample, so many metres along fast and slow."""
    convention, pixel = options.convention, options.pixel_size
    if convention == "CUSTOM":
        return {"Xbeam": f, "Ybeam": s}
    if pivot == "sample":
        return {"ORGX": f / pixel + 0.5, "ORGY": s / pixel + 0.5}
    if convention == "ADXV":
        return {"Xbeam": f, "Ybeam": resolved.detsize_s - s}
    if convention in ("MOSFLM", "DENZO"):
        half = 0.5 * pixel if convention == "MOSFLM" else 0.0
        return {"Xbeam": s - half, "Ybeam": f - half}
    return {"Xbeam": f, "Ybeam": s}


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


class Moved:
    """An experiment with other values of fields, and how derivatives there are ones by the values.

    experiment: of `with_values`. by_values: what derivatives by the experiment's own fields, {name: array with the
    field's components first}, become.
    """

    def __init__(self, start: Any, values: Mapping[str, Any]) -> None:
        self.start, self.values = start, values
        self.base, self.experiment = _with_values(start, values)

    def by_values(self, derivatives: Mapping[str, Any]) -> dict[str, Any]:
        """Derivatives by the values; several images, or sums over them, stand behind the components."""
        made = dict(derivatives)
        for name in made:
            if owner_of(name)[1] == "crystal.rotation":
                turned = left_jacobian(np.asarray(self.values[name], dtype=np.float64))
                made[name] = np.tensordot(turned.T, made[name], 1)
            elif name == "beam.source_weights":  # relative to what they are
                shares = np.asarray(self.values[name], dtype=np.float64)
                made[name] = (made[name].T / np.where(shares == 0.0, 1.0, shares)).T
            elif self.base is not self.experiment and "detector" in parameter(self.start, name).parts:
                made[name] = self._without_shift(name, made[name], derivatives["detector.origin"])
        return made

    def _without_shift(self, name, derivative, by_origin):
        """Where the detector is shifted, other fields move what it is shifted from, not what it is shifted to."""
        if name == "detector.origin" or self.start.detector.panels is not None:
            return derivative
        shape = PARAMETERS[name].shape(self.start)
        made = np.array(derivative)
        for index in np.ndindex(shape):
            step = np.zeros(shape)
            step[index] = STEP
            moves = [
                imaginary(Model(e).detector({name: np.asarray(PARAMETERS[name].value(e)) + 1j * step})["origin"])
                for e in (self.base, self.experiment)
            ]
            made[index] += np.tensordot(moves[0] - moves[1], by_origin, 1)
        return made


def image_and_pullback(experiment: Any, values: Mapping[str, Any], threads: int = 0) -> tuple[Any, Any]:
    """(image, pullback) of the experiment with other values of fields, derivatives being by those values."""
    moved = Moved(experiment, values)
    image, pullback = moved.experiment.vjp(list(values), threads)
    return image, lambda weights: moved.by_values(pullback(weights))
