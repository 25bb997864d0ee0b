"""What follows from the parts of an experiment, and what it followed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import FieldError
from ..memory import within_memory
from .domains import domains_of
from .fields import naming_fields
from .mixture import blocks_of, mixed
from .options_map import to_options
from .physics import whole_cells

if TYPE_CHECKING:
    from .beam import Beam
    from .crystal import Crystal
    from .detector import Detector
    from .resolved import ResolvedExperiment, StructureFactors
    from .sampling import Sampling


@dataclasses.dataclass(frozen=True)
class Followed:
    """The kernels' experiment, with the options, the matrix (of a file) and the Setup that it was made from.

    others: what follows for more crystals in the same image, each as if it were alone. quick: what `turn` has worked
    out of the options and the detector, once for all that are turned from it; options and setup are those of the
    first of these.
    """

    options: Any
    matrix: Any
    setup: Any
    resolved: ResolvedExperiment
    others: tuple[Followed, ...] = ()
    quick: list[Any] = dataclasses.field(default_factory=list)

    @property
    def said(self) -> tuple[Any, ...]:
        """Sentences to tell of, which name options."""
        own = (*[warning[1] for warning in self.setup.warnings], *self.setup.remarks, *self._cut)
        return tuple(dict.fromkeys((*own, *(text for other in self.others for text in other.said))))

    @property
    def _cut(self):
        """What to say of numbers of cells that are not whole, where the crystal's shape has whole ones."""
        options = self.options
        cells = (options.Na, options.Nb, options.Nc)
        sized = (options.sample_x, options.sample_y, options.sample_z)
        fractions = [n for n, size in zip(cells, sized, strict=True) if size <= 0.0 and n % 1.0]
        if not fractions or not whole_cells(options.shape, self.resolved.physics):
            return ()
        whole = "it is cut to a whole one: a shape of gauss, tophat or round in the exact physics takes it as it is"
        return (f"crystal.cells has a number of {fractions[0]:g}, and {whole}",)


@within_memory
def follow(
    beam: Beam,
    detector: Detector,
    crystal: Crystal,
    sampling: Sampling,
    factors: StructureFactors,
    physics: str,
    more_crystals: tuple[Crystal, ...] = (),
    recorder: Callable[[Any], Any] | None = None,
) -> Followed:
    """What follows from the parts. Raises FieldError for what makes no image.

    recorder: makes an `Origins`, which notes what values come from, of the options; of the first of several crystals.
    """
    found = _follow(beam, detector, crystal, sampling, factors, physics, recorder)
    if not more_crystals:
        parts = _owned(crystal, found.resolved)
        return found if parts is None else _joined(found, (), parts, factors)
    if physics != "exact":
        raise FieldError('several crystals need physics = "exact"; the reference program has one')
    others = []
    for number, other in enumerate(more_crystals, 2):
        try:
            others.append(_follow(beam, detector, other, sampling, factors, physics))
        except FieldError as error:
            raise FieldError(f"crystal number {number}: {error}", fields=error.fields) from None
    finest = max(each.resolved.sampling.oversample for each in (found, *others))
    if finest > found.resolved.sampling.oversample:
        # as many sub-pixels as the largest of them asks for
        finer = sampling.replace(oversample=finest)
        return follow(beam, detector, crystal, finer, factors, physics, more_crystals, recorder)
    parts = []
    for one, each in zip((crystal, *more_crystals), (found, *others), strict=True):
        parts += _owned(one, each.resolved) or each.resolved.crystals or (each.resolved.crystal,)
    return _joined(found, tuple(others), parts, factors)


def _owned(crystal, resolved):
    """The parts of a crystal that has structure factors of its own, with those; else None."""
    own = crystal.structure_factors
    if own is None:
        return None
    return [part.replace(structure_factors=own) for part in resolved.crystals or (resolved.crystal,)]


def _joined(found, others, parts, factors):
    """What follows for an image that is the sum of parts."""
    sampling = found.resolved.sampling
    if any(each.resolved.sampling.interpolate for each in others):
        sampling = sampling.replace(interpolate=True)
    resolved = found.resolved.replace(crystals=tuple(parts), structure_factors=factors, sampling=sampling)
    return dataclasses.replace(found, resolved=resolved, others=others)


def _follow(beam, detector, crystal, sampling, factors, physics, recorder=None):
    """`follow` for one crystal."""
    from ..kernels.noise.random import Ran1
    from .resolve import resolve_experiment, resolve_setup
    from .resolved import UNASKED

    factors = factors if crystal.structure_factors is None else crystal.structure_factors
    options = to_options(beam, detector, crystal, sampling, factors.default_F, physics)
    matrix, mask, sources = crystal.matrix, detector.mask, None
    if matrix is not None:
        from .to_args import file_matrix

        options.matrix_file = "crystal.matrix"
        matrix = file_matrix(matrix, beam.wavelength)
    if beam.sources is not None:
        sources = [tuple(float("nan") if x is None else x for x in row) for row in beam.sources]
    if physics != "exact" and crystal.beyond_flags:
        name = f"crystal.{crystal.beyond_flags[0]}"
        raise FieldError(f'{name} needs physics = "exact"; the reference program has nothing like it', fields=(name,))
    domains = None
    if crystal.domains is not None:
        domains = domains_of([[x for row in one for x in row] for one in crystal.domains], crystal.domain_weights)
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
            domains=domains,
        )
        shape = (setup.detector.spixels, setup.detector.fpixels)
        if mask is not None and mask.shape != shape:
            raise FieldError(f"detector.mask has the shape {mask.shape}; the detector has {shape}")
        resolved = resolve_experiment(setup, random, factors, source_rows=sources, origins=origins)
    blocks = blocks_of(crystal, resolved)
    if blocks is not None:
        resolved = mixed(resolved, None if domains is None else domains.weights, blocks)
    if crystal.scale != 1.0:
        parts = (part.replace(share=part.share * crystal.scale) for part in resolved.crystals)
        own = resolved.crystal.replace(share=crystal.scale)
        resolved = resolved.replace(crystal=own, crystals=tuple(parts))
    return Followed(options, matrix, setup, resolved)


def turn(followed: Followed, crystal: Crystal, fluence: float) -> Followed | None:
    """What follows with another orientation, cell and fluence, sooner; None where more than these would change.

    crystal: the other one, the same but for these.
    """
    from .resolve.finite import check_reach
    from .resolve.turned import Stated, resolve_turned

    options, matrix = followed.options, followed.matrix
    if followed.resolved.crystals or options.mosaic_spreads is not None:
        return None
    if (crystal.lengths is not None) != options.user_cell:
        return None
    cell = (crystal.lengths, crystal.angles) if options.user_cell else None
    if not followed.quick:
        followed.quick[:] = Stated(options), check_reach(followed.resolved.detector)
    stated, reach = followed.quick
    with naming_fields():
        found = resolve_turned(
            stated, matrix, followed.setup, followed.resolved, reach, crystal.missets, fluence, cell
        )
    return None if found is None else Followed(options, matrix, followed.setup, found, (), followed.quick)
