"""An experiment that differs from one that is known in orientation, cell and fluence alone, as the images of a job do.

What does not follow from these is taken over as it is, the detector, the mosaic domains and the sources among it;
the rest goes through the functions that `resolve_setup` and `resolve_experiment` call. A third of the time of a still
of 256 x 256 pixels would go into the setting up of what is the same.
"""

from .crystal import resolve_crystal
from .finite import check_finite
from .setup import resolve_fluence, resolve_oversample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: where warnings come from that do not depend on them
SAME = ("options", "steps")


class _Changed:
    """Options with some values in place of their own, without a copy of the others."""

    def __init__(self, base, **values):
        self.__dict__.update(values, _base=base)

    def __getattr__(self, name):
        return getattr(self._base, name)


def resolve_turned(
    options: "Any", matrix: "Any", setup: "Any", experiment: "Any", missets: "Any", fluence: "Any", cell: "Any" = None
) -> "Any":
    """The Setup and the Experiment for other missets, cell and fluence; None where more than these would change.

    options, matrix: what `resolve_setup` was given; missets must not be drawn by the reference's generator, nor have
    been. setup, experiment: what came of them. missets: three angles, or None. fluence: photons/m^2.
    cell: lengths (Angstrom) and angles, in place of those of the options; None: those.
    Raises OptionError for what makes no image.
    """
    mode = "none" if missets is None else "angles"
    lengths, angles = (options.cell_lengths, options.cell_angles) if cell is None else cell
    options = _Changed(
        options, misset_mode=mode, misset=missets, fluence=fluence, cell_lengths=lengths, cell_angles=angles
    )
    warnings = [each for each in setup.warnings if each[0] in SAME]

    def warn(place, text, lines=()):
        warnings.append((place, text, tuple(lines)))

    fluence, flux, samples = resolve_fluence(options, lambda place, text: None)  # its warnings are those there are
    mosaic = setup.crystal.mosaic_spread, setup.crystal.mosaic_domains
    crystal, cell_vectors = resolve_crystal(options, setup.physics, samples, None, None, matrix, mosaic, warn)
    oversampling = resolve_oversample(
        options, crystal, setup.beam.wavelength, setup.panels or (setup.detector,), warn
    )
    sampling = experiment.sampling
    if oversampling[0] != sampling.oversample:
        return None
    if oversampling[1] != sampling.recommended_oversample:
        sampling = sampling.replace(recommended_oversample=oversampling[1])
        setup = setup.replace(sampling=setup.sampling.replace(recommended_oversample=oversampling[1]))
    setup = setup.replace(
        beam=setup.beam.replace(fluence=fluence, flux=flux),
        crystal=crystal,
        cell_vectors=cell_vectors,
        warnings=tuple(warnings),
    )
    experiment = experiment.replace(
        beam=experiment.beam.replace(fluence=fluence, flux=flux),
        sampling=sampling,
        crystal=crystal.replace(
            mosaic_rotations=experiment.crystal.mosaic_rotations, share=experiment.crystal.share
        ),
    )
    check_finite(experiment)
    return setup, experiment
