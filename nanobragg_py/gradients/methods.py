"""The methods of an `Experiment` that differentiate its image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike


class Differentiable:
    """What `nanobragg_py.Experiment` inherits."""

    def vjp(
        self,
        parameters: Sequence[str],
        threads: int = 0,
        compat: str = "spec",
        *,
        backend: str = "cpu",
        device: int = 0,
    ) -> tuple[np.ndarray, Callable[[ArrayLike], dict[str, np.ndarray]]]:
        """The image, and a function that gives derivatives of any weighted sum of its pixels.

        parameters: names of fields, such as "crystal.rotation" (see docs/gradients.md for all), of crystals beside the
        first "more_crystals.0.rotation". threads: as of `render`; results do not depend on it. Returns (image,
        pullback): the image as of ``render(dtype="float64")``; ``pullback(weights)``, weights of shape (slow, fast),
        gives {name: float64 array of the parameter's shape}, the derivatives of the sum of weights * image, for the
        price of two to three images, whatever the parameters are. Of panels weights are a stack or a list as the image
        is. backend, device: "cpu" or "gpu", and its number; a GPU has no derivatives by a table of structure factors.

        Raises FieldError for a name that does not exist or does not apply, for a shape without derivatives (tophat),
        for compat "c", and for weights of another shape or with numbers that are not finite.
        """
        from .modes import vjp

        return vjp(self, parameters, threads, compat, backend, device)

    def jvp(
        self, changes: dict[str, ArrayLike], threads: int = 0, compat: str = "spec"
    ) -> tuple[np.ndarray, np.ndarray]:
        """The image and its change, (slow, fast) float64 each, for changes of parameters, {name: array of its shape}.

        To first order; the rest as of `vjp`.
        """
        from .modes import jvp

        return jvp(self, changes, threads, compat)

    def derivative_images(
        self, parameters: Sequence[str], threads: int = 0, compat: str = "spec"
    ) -> dict[str, np.ndarray]:
        """The image's derivatives by every component of the parameters: {name: float64 (*shape, slow, fast)}.

        What Gauss-Newton methods need; the rest as of `vjp`.
        """
        from .modes import derivative_images

        return derivative_images(self, parameters, threads, compat)[1]

    def background_derivatives(
        self, curve: Any, parameters: Sequence[str], threads: int = 0, **more: Any
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """What amorphous material scatters, and its derivatives: (image, {name: image}), float64 as of `background`.

        parameters: "scale" of the photons and "curve" for one of F, which are 1; "molecules" where they are given,
        else "thickness", "density", "molecular_weight" and "width"; "beam.fluence"; and what moves
        detector and beam: "detector.origin", "distance", "close_distance", "rotations", "twotheta" (its images are
        (*shape, slow, fast)), "beam.wavelength" and "direction". curve, more: of a `Background`.
        Raises FieldError for a name that does not exist or does not apply.
        """
        from ..render.amorphous import material
        from .amorphous import derivatives

        return derivatives(material(curve, **more), self, parameters, threads)
