"""An experiment that differs from one that is known in orientation, cell and fluence alone, as the images of a job do.

What does not follow from these is taken over as it is, the detector, the mosaic domains and the sources among it;
the rest goes through the functions that `resolve_setup` and `resolve_experiment` call. A third of the time of a still
of 256 x 256 pixels would go into the setting up of what is the same. Nothing is said of it: what there is to say is
worked out, the long way, when somebody asks.
"""

from .crystal import resolve_crystal
from .finite import check_finite
from .setup import finest_oversampling, resolve_fluence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Stated:
    """Options as a namespace, of which copies with other values are quickly made."""

    def __init__(self, options: "Any") -> None:
        self.__dict__.update((name, getattr(options, name)) for name in options.defaults)

    def but(self, **values: "Any") -> "Any":
        """A copy with some values changed."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.__dict__.update(values)
        return made


def _unsaid(*sentence):
    """Nobody listens."""


def resolve_turned(
    stated: "Any",
    matrix: "Any",
    setup: "Any",
    experiment: "Any",
    reach: "Any",
    missets: "Any",
    fluence: "Any",
    cell: "Any" = None,
) -> "Any":
    """The Experiment for other missets, cell and fluence; None where more than these would change.

    stated: a `Stated` of the options, and matrix: what `resolve_setup` was given; missets must not be drawn by the
    reference's generator, nor have been. setup, experiment: what came of them, reach: of its detector, as of
    `check_reach`. missets: three angles, or None. fluence: photons/m^2. cell: lengths (Angstrom) and angles, in place
    of those of the options; None: those. Raises OptionError for what makes no image.
    """
    lengths, angles = (stated.cell_lengths, stated.cell_angles) if cell is None else cell
    mode = "none" if missets is None else "angles"
    options = stated.but(
        misset_mode=mode, misset=missets, fluence=fluence, cell_lengths=lengths, cell_angles=angles
    )
    fluence, flux, samples = resolve_fluence(options, _unsaid)
    mosaic = setup.crystal.mosaic_spread, setup.crystal.mosaic_domains
    crystal, _ = resolve_crystal(options, setup.physics, samples, None, None, matrix, mosaic, _unsaid)
    recommended, _ = finest_oversampling(crystal, setup.beam.wavelength, setup.panels or (setup.detector,))
    sampling = experiment.sampling
    if (options.oversample if options.oversample > 0 else recommended) != sampling.oversample:
        return None
    if recommended != sampling.recommended_oversample:
        sampling = sampling.replace(recommended_oversample=recommended)
    old = experiment.crystal
    experiment = experiment.replace(
        beam=experiment.beam.replace(fluence=fluence, flux=flux),
        sampling=sampling,
        crystal=crystal.replace(mosaic_rotations=old.mosaic_rotations, share=old.share),
    )
    check_finite(experiment, reach)
    return experiment
