"""What follows from the parts of an experiment, and what it followed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import FieldError
from .fields import naming_fields
from .options_map import to_options

if TYPE_CHECKING:
    from .beam import Beam
    from .crystal import Crystal
    from .detector import Detector
    from .part import Vector
    from .resolved import ResolvedExperiment, StructureFactors
    from .sampling import Sampling


@dataclasses.dataclass(frozen=True)
class Followed:
    """The kernels' experiment, with the options, the matrix (of a file) and the Setup that it was made from."""

    options: Any
    matrix: Any
    setup: Any
    resolved: ResolvedExperiment

    @property
    def said(self) -> tuple[Any, ...]:
        """Sentences to tell of, which name options."""
        return (*[warning[1] for warning in self.setup.warnings], *self.setup.remarks)


def follow(
    beam: Beam,
    detector: Detector,
    crystal: Crystal,
    sampling: Sampling,
    factors: StructureFactors,
    physics: str,
    recorder: Callable[[Any], Any] | None = None,
) -> Followed:
    """What follows from the parts. Raises FieldError for what makes no image.

    recorder: makes an `Origins`, which notes what values come from, of the options.
    """
    from ..kernels.noise.random import Ran1
    from .resolve import resolve_experiment, resolve_setup
    from .resolved import UNASKED

    options = to_options(beam, detector, crystal, sampling, factors.default_F, physics)
    matrix, mask, sources = crystal.matrix, detector.mask, None
    if matrix is not None:
        from .to_args import file_matrix

        options.matrix_file = "crystal.matrix"
        matrix = file_matrix(matrix, beam.wavelength)
    if beam.sources is not None:
        sources = [tuple(float("nan") if x is None else x for x in row) for row in beam.sources]
    random = Ran1()
    origins = UNASKED if recorder is None else recorder(options)
    with naming_fields():
        setup = resolve_setup(
            options,
            random,
            matrix=matrix,
            mask=None if mask is None else memoryview(mask.reshape(-1)),
            dump_available=factors.bounds is not None,
            panels=detector.panels,
            spectrum=beam.spectrum,
            origins=origins,
        )
        shape = (setup.detector.spixels, setup.detector.fpixels)
        if mask is not None and mask.shape != shape:
            raise FieldError(f"detector.mask has the shape {mask.shape}; the detector has {shape}")
        resolved = resolve_experiment(setup, random, factors, source_rows=sources, origins=origins)
    return Followed(options, matrix, setup, resolved)


def turn(followed: Followed, missets: Vector | str | None, fluence: float) -> Followed | None:
    """What follows with other missets and another fluence, sooner; None where more than these would change."""
    from .resolve.turned import resolve_turned

    options, matrix = followed.options, followed.matrix
    with naming_fields():
        found = resolve_turned(options, matrix, followed.setup, followed.resolved, missets, fluence)
    return None if found is None else Followed(options, matrix, *found)
