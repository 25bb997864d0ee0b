"""Fitting experiments to observed images: a least-squares problem with its Jacobian, and a refinement of its own.

``Fit`` states the problem. ``refine`` solves it by Levenberg and Marquardt's method with Fisher's information, which
for photons is maximum likelihood; for scipy, ``least_squares(fit.residuals, fit.start, fit.jacobian, x_scale="jac")``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .api import Experiment
from .errors import FieldError, NanoBraggError
from .gradients.amorphous import derivatives
from .gradients.crystals import OTHER, alone, owner_of
from .gradients.haze import FIELDS as MOVING
from .gradients.modes import derivative_images
from .gradients.parameters import PARAMETERS, parameters_of, whole_cells_of
from .gradients.values import WHOLE, Moved, with_values

#: a parameter of the fit alone: photons that are added to every pixel,
BACKGROUND = "background"
#: and another: the amount of amorphous material, relative to what is stated
AMORPHOUS = "amorphous"
OWN = (BACKGROUND, AMORPHOUS)
#: what has too many numbers for a normal matrix
NOT_FITTED = ("structure_factors.F",)
#: least variance of a pixel, photons^2: what keeps pixels without photons from infinite weights
FLOOR = 1e-3
#: a step of so many standard deviations is the last
SMALL_STEP = 0.01
#: and one of so many that makes nothing better is as good as none: what is left is rounding
ROUNDING = 0.3
#: parts of a bright pixel that are added to every variance, so that far-off starts are not ruled by faint pixels
EASING = (0.1, 1e-3, 0.0)


class Fit:
    """How an experiment's image differs from an observed one, as a function of some of its fields.

    experiment: where to start. observed: (slow, fast), or a stack of panels, a list where they differ in size, photons;
    nan where there is none, as for overloads. parameters: names as of `Experiment.vjp`, and "background", photons in
    every pixel. variance: of a pixel beside that of its photons, photons^2 (the read-out noise squared). mask: None, or
    of the same shapes, 0 where pixels are left out. threads: as of `render`. amorphous: None, or a `Background` that
    joins the image, as it is with `experiment`; the parameter "amorphous" is its amount, relative to what it states.

    The vector x has what is added to the fields, "crystal.rotation" being the rotation vector of a turn about the
    crystal as it stands in `experiment`; `start` is its beginning, 0 but for the background. `names` names its numbers.
    Raises FieldError for an image of another shape, and for parameters that are none or cannot be fitted.
    """

    def __init__(
        self,
        experiment: Experiment,
        observed: Any,
        parameters: Sequence[str],
        variance: float = 0.0,
        mask: Any = None,
        threads: int = 0,
        amorphous: Any = None,
    ) -> None:
        self.experiment = experiment
        self.threads = threads
        self.background = BACKGROUND in parameters
        self.material = AMORPHOUS in parameters
        if self.material and amorphous is None:
            raise FieldError(f"there is no {AMORPHOUS} material to be fitted; give it", fields=(AMORPHOUS,))
        self.rows = parameters_of(experiment, [name for name in parameters if name not in OWN])
        for row in self.rows:
            if row.name in NOT_FITTED:
                raise FieldError(f"{row.name} cannot be fitted; its derivatives are those of `vjp`", fields=(row.name,))
            number, name = owner_of(row.name)
            if name == "crystal.cells" and whole_cells_of(alone(experiment, number or 0)):
                raise FieldError(f"{row.name} cannot be fitted: {WHOLE}", fields=(row.name,))
        observed = in_shape(observed, experiment, "the observed image has", "the experiment's is", np.float64)
        used = np.isfinite(observed)
        used &= seen(experiment)
        if mask is not None:
            used &= in_shape(mask, experiment, "the mask has", "the image has") != 0
        #: which pixels count, as `joined` images, and their photons
        self.used, self.photons = used, observed[used]
        if not self.photons.size:
            raise FieldError("no pixel of the observed image is left to fit")
        if not variance >= 0.0:
            raise FieldError(f"variance is {variance}; it cannot be below 0")
        self.amorphous = amorphous
        #: photons of amorphous material in the pixels that count
        self.haze = 0.0 if amorphous is None else joined(amorphous.render(experiment, threads=threads))[used]
        self.variance = max(float(variance), FLOOR)
        self.names = [
            row.name if not row.shape(experiment) else f"{row.name}[{', '.join(map(str, index))}]"
            for row in self.rows
            for index in np.ndindex(row.shape(experiment))
        ] + [AMORPHOUS] * self.material + [BACKGROUND] * self.background
        self.start = np.zeros(len(self.names))
        if self.background:
            self.start[-1] = max(float(np.median(self.photons - self.haze)), 0.01)

    def experiment_at(self, x: Any) -> Experiment:
        """The experiment of a vector x; FieldError where there is none."""
        return with_values(self.experiment, self._values_at(x))

    def _values_at(self, x):
        values, at = {}, 0
        for row in self.rows:
            shape = row.shape(self.experiment)
            count = int(np.prod(shape))
            values[row.name] = np.asarray(row.value(self.experiment)) + np.reshape(x[at : at + count], shape)
            at += count
        return values

    def evaluate(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """Photons of the model in the pixels that count, and their derivatives, (numbers, pixels)."""
        x = np.asarray(x, dtype=np.float64)
        moved = Moved(self.experiment, self._values_at(x))
        image, images = derivative_images(moved.experiment, [row.name for row in self.rows], self.threads)
        # the images are by the fields of the crystal and the detector as they stand at x
        used = {name: joined(each)[..., self.used] for name, each in images.items()}
        model = joined(image)[self.used]
        haze = self.haze
        if self.amorphous is not None and (moving := [name for name in images if name in MOVING]):
            # the material's photons fall elsewhere, too
            amount = 1.0 + (x[len(x) - 1 - self.background] if self.material else 0.0)
            rendered, slopes = derivatives(self.amorphous, moved.experiment, moving, self.threads)
            haze = joined(rendered)[self.used]
            for name in moving:
                used[name] = used[name] + amount * joined(slopes[name])[..., self.used]
        columns = [each.reshape(-1, len(model)) for each in moved.by_values(used).values()]
        model = model + haze
        if self.material:
            model = model + x[len(x) - 1 - self.background] * haze
            columns.append(np.reshape(haze, (1, -1)))
        if self.background:
            model = model + x[-1]
            columns.append(np.ones((1, len(model))))
        return model, np.concatenate(columns)

    def deviance(self, model: Any, easing: float = 0.0) -> float:
        """Twice the logarithm of the likelihood's ratio to that of a perfect model, for Poisson counts of photons plus
        the pixels' variance; easing: what is added to that."""
        return float((self._residuals(model, easing)[0] ** 2).sum())

    def _residuals(self, model, easing):
        """The deviance's signed roots, and observed and model with variance."""
        o = np.maximum(self.photons + self.variance + easing, 0.0)
        m = np.maximum(model + self.variance + easing, 1e-300)
        ratio = o / m
        with np.errstate(divide="ignore", invalid="ignore"):
            each = m * (1.0 - ratio + np.where(ratio > 0.0, ratio * np.log(ratio), 0.0))
        return np.copysign(np.sqrt(2.0 * np.maximum(each, 0.0)), m - o), o, m

    def residuals(self, x: Any) -> np.ndarray:
        """What least squares makes small: signed roots of the deviance of every pixel."""
        return self._residuals(self._last(x)[0], 0.0)[0]

    def jacobian(self, x: Any) -> np.ndarray:
        """Derivatives of `residuals`, (pixels, numbers)."""
        model, columns = self._last(x)
        residuals, o, m = self._residuals(model, 0.0)
        near = np.abs(m - o) < 1e-6 * m
        slope = np.where(near, 1.0 / np.sqrt(m), (1.0 - o / m) / np.where(near, 1.0, residuals))
        return (columns * slope).T

    def _last(self, x):
        """`evaluate`, which scipy asks for twice at every x."""
        key = np.asarray(x, dtype=np.float64).tobytes()
        if getattr(self, "_key", None) != key:
            self._value, self._key = self.evaluate(x), key
        return self._value


def joined(images: Any) -> np.ndarray:
    """An image, or a stack of panels, as it is; a list of panels that differ in size with their pixels in one row.

    Images may have other axes before their own.
    """
    if not isinstance(images, (list, tuple)):
        return np.asarray(images)
    return np.concatenate([each.reshape(*each.shape[:-2], -1) for each in map(np.asarray, images)], axis=-1)


def in_shape(images: Any, experiment: Experiment, has: str, other: str, dtype: Any = None) -> np.ndarray:
    """The `joined` images; FieldError, of such words, unless their shapes are the experiment's."""
    shapes = experiment.shapes
    if experiment.detector.panels is None or len(set(shapes)) == 1:
        array = np.asarray(images, dtype=dtype)
        if array.shape != experiment.shape:
            raise FieldError(f"{has} the shape {array.shape}; {other} {experiment.shape}")
        return array
    found = [np.asarray(each, dtype=dtype) for each in images] if isinstance(images, (list, tuple)) else []
    if [each.shape for each in found] != list(shapes):
        raise FieldError(f"{has} not the shapes of the panels; give a list of {len(shapes)} arrays, {shapes}")
    return joined(found)


def seen(experiment: Experiment) -> np.ndarray:
    """Which pixels of an experiment's images, `joined`, are rendered: of the regions of interest, where masks let."""
    parts = []
    for detector in experiment.resolved.panels or [experiment.resolved.detector]:
        part = np.zeros((detector.spixels, detector.fpixels), dtype=bool)
        fast_min, fast_max, slow_min, slow_max = detector.roi
        part[slow_min : slow_max + 1, fast_min : fast_max + 1] = True
        if detector.mask is not None:
            part &= np.frombuffer(detector.mask, dtype=np.uint16).reshape(part.shape) != 0
        parts.append(part)
    if experiment.detector.panels is None:
        return parts[0]
    return np.stack(parts) if len(set(experiment.shapes)) == 1 else joined(parts)


@dataclass
class Refined:
    """What `refine` found.

    x, names: numbers of the fit; deviations: their standard deviations; correlation: (numbers, numbers). experiment:
    the refined one. background: photons in every pixel. model: photons of the pixels that count. deviance: at the start
    and at the end; per_pixel: the latter over what noise makes of a model that is right, near 1 for one. evaluations:
    how many images with derivatives it took. converged; reasons: sentences why not, or what to be wary of.
    """

    x: np.ndarray
    names: list[str]
    deviations: np.ndarray
    correlation: np.ndarray
    experiment: Experiment
    background: float
    model: np.ndarray
    deviance: tuple[float, float]
    per_pixel: float
    evaluations: int
    converged: bool
    reasons: list[str] = field(default_factory=list)


def refine(fit: Fit, evaluations: int = 30, progress: Callable[[int, float, Any], Any] | None = None) -> Refined:
    """Make the deviance small, in at most that many evaluations of the image and its derivatives.

    progress: called after each with its number, the deviance, and x.
    """
    x = fit.start.copy()
    model, columns = fit.evaluate(x)
    count, first, settled = 1, fit.deviance(model), False
    # a bright pixel, but not the direct beam's
    few = min(max(10, fit.photons.size // 10_000), fit.photons.size)
    top = max(float(np.partition(fit.photons, -few)[-few]), 1.0)
    damping = 1e-3
    for easing in EASING:
        ease = easing * top
        settled = False
        while not settled and count < evaluations:
            now = fit.deviance(model, ease)
            weights = 1.0 / np.maximum(model + fit.variance + ease, 1e-300)
            score = columns @ ((np.maximum(fit.photons, -fit.variance) - model) * weights)
            information = (columns * weights) @ columns.T
            free = np.ones(len(x), dtype=bool)
            free[-1] = not (fit.background and x[-1] <= 0.0 and score[-1] < 0.0)
            step = np.zeros(len(x))
            step[free] = damped_step(information[np.ix_(free, free)], score[free], damping)
            if fit.background:  # of which there cannot be less than none
                step[-1] = max(step[-1], -x[-1])
            size = float(np.sqrt(max(step @ information @ step, 0.0)))
            if size < (SMALL_STEP if easing == 0.0 else 1.0):
                settled = True
                if easing:  # near enough for the next weights
                    break
            try:
                new_model, new_columns = fit.evaluate(x + step)
                new = fit.deviance(new_model, ease)
            except FieldError:  # a step out of what makes an image
                new = np.inf
            count += 1
            if new <= now:
                gained = now - new
                x, model, columns = x + step, new_model, new_columns
                damping = max(damping / 10.0, 1e-9)
                settled = settled or gained < 1e-9 * now
            elif size < ROUNDING:
                settled = True
            elif not settled:
                damping *= 10.0
                if damping > 1e9:
                    break
            if progress is not None:
                progress(count, fit.deviance(model), x)
    return conclude(fit, x, model, columns, first, count, settled, evaluations)


def damped_step(information: Any, score: Any, damping: float) -> np.ndarray:
    """The step that Levenberg and Marquardt's method takes, in units in which every parameter is alike.

    Raises FieldError where numbers are too large for it.
    """
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    with np.errstate(all="ignore"):
        matrix, wanted = information / np.outer(scale, scale) + damping * np.eye(len(scale)), score / scale
    if not (np.isfinite(matrix).all() and np.isfinite(wanted).all()):
        raise FieldError(
            "the derivatives by the parameters are not finite, or too large to be squared; look for a value of the "
            "start, or of the observed image, that is out of all proportion"
        )
    return np.linalg.lstsq(matrix, wanted, rcond=1e-13)[0] / scale


def conclude(
    fit: Fit, x: Any, model: Any, columns: Any, first: float, count: int, settled: bool, evaluations: int
) -> Refined:
    """The `Refined` of where a refinement has come to, with what it says of itself."""
    information = (columns / np.maximum(model + fit.variance, 1e-300)) @ columns.T
    scale = np.sqrt(np.diag(information))
    dead = scale == 0.0
    scale = np.where(dead, 1.0, scale)
    inverse = np.linalg.pinv(information / np.outer(scale, scale), rcond=1e-14, hermitian=True)
    sizes = np.sqrt(np.maximum(np.diag(inverse), 1e-300))
    correlation = inverse / np.outer(sizes, sizes)
    last = fit.deviance(model)
    per_pixel = last / max(expected_deviance(model) - len(x), 1e-300)
    reasons = [f"{fit.names[i]} changes no pixel; leave it out" for i in np.flatnonzero(dead)]
    for i in range(len(x)):
        reasons += [
            f"{fit.names[i]} and {fit.names[j]} do the same to the image (correlation {correlation[i, j]:.4f}); fix one"
            for j in range(i)
            if abs(correlation[i, j]) > 0.9999
        ]
    if not settled and count >= evaluations:
        reasons.insert(0, f"it was still moving after {count} evaluations; allow more, or start nearer")
    elif not settled:
        reasons.insert(0, "no step makes the image fit better, and the slope is not 0: it is stuck")
    if per_pixel > 3.0:
        overlap = np.corrcoef(model, fit.photons)[0, 1] if model.std() and fit.photons.std() else 0.0
        reasons.append(
            f"the model explains the photons badly ({per_pixel:.3g} times the deviance that noise makes, correlation "
            f"{overlap:.3f}): {'spots do not overlap, so start nearer' if overlap < 0.5 else 'something else differs'}"
        )
    return Refined(
        x=x,
        names=list(fit.names),
        deviations=np.where(dead, np.inf, sizes / scale),
        correlation=correlation,
        experiment=fit.experiment_at(x),
        background=float(x[-1]) if fit.background else 0.0,
        model=model,
        deviance=(first, last),
        per_pixel=per_pixel,
        evaluations=count,
        converged=settled,
        reasons=reasons,
    )


def expected_deviance(means: Any) -> float:
    """The deviance that Poisson counts of these means have on average, all pixels together.

    It is 1 a pixel for large means and less where there are few photons; below 20 it is summed, once for each of a grid
    of means, between which it is interpolated.
    """
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 20.0, 60)])
    counts = np.arange(100)
    logs = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    values = [0.0]
    for mean in grid[1:]:
        chance = np.exp(counts * np.log(mean) - mean - logs)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(counts > 0, counts * np.log(counts / mean), 0.0) - (counts - mean)
        values.append(float((chance * 2.0 * each).sum()))
    return float(np.interp(means, grid, values, right=1.0).sum())


def check_fitted(names: Sequence[str]) -> list[str]:
    """Full names of parameters from short ones ("rotation" for "crystal.rotation"); NanoBraggError for others."""
    known = [name for name in PARAMETERS if name not in NOT_FITTED]
    found = []
    for name in names:
        full = [one for one in (*known, *OWN) if name in (one, one.partition(".")[2])]
        if OTHER.fullmatch(name) and owner_of(name)[1] in known:
            full = [name]
        if not full:
            raise NanoBraggError(
                f"{name!r} is no parameter; there are {', '.join(one.partition('.')[2] or one for one in known)} "
                f"{AMORPHOUS} and {BACKGROUND}"
            )
        found.append(full[0])
    return found
