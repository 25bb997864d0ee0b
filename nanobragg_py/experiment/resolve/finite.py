"""The last look at an experiment: every number that the kernels will see is finite, and none is beyond what they hold.

Numbers that are finite one by one can make others that are not: squares of positions, indices, attenuations. What is
checked are bounds of those, from magnitudes alone, so that it costs nothing; what passes gives finite numbers in every
pixel but one that lies in the sample itself. The sentences name the flag whose number is the largest of those that
enter.
"""

from math import isfinite

from ...constants import R_E_SQR
from ...errors import OptionError
from ...kernels.loops.job import by_product
from ...vectors import length
from .steps import INT_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: positions are squared, m
FARTHEST = 1e150
#: from here on a float64 has no place for what is behind the point of an index
LARGEST_INDEX = 2.0**52
#: contributions to one pixel, a week of work
MOST_STEPS = 10**15
DISTANCES = "{distance} (or {close_distance})"
CENTRES = "the beam centre ({Xbeam}, {Ybeam}, {Xclose}, {Yclose}, {ORGX} or {ORGY})"
SIZES = "{pixel_size} (or {detsize_f+detsize_s})"
THICKNESS = "{detector_thick}"
FLUENCES = "{fluence} (or {flux}, {exposure} and {beamsize})"
DIRECTIONS = "a vector ({twotheta_axis}, {fdet_vector}, {sdet_vector} or {odet_vector})"


def check_finite(experiment: "Any", reach: "Any" = None) -> None:
    """Raise OptionError where a number of a resolved experiment is not finite, or too large to compute with.

    reach: what `check_reach` gave of its detector, where that was asked before.
    """
    if reach is None:
        reach = check_reach(experiment.detector)
    check_beam(experiment.beam, experiment.crystal, reach)
    check_orientations(experiment.crystal, experiment.sampling)
    check_intensity(experiment)


def out_of_reach(sizes: "Any") -> "Any":
    """The error for a detector that lies too far away. sizes: (magnitude in m, what makes it) pairs."""
    size, what = max(sizes, key=lambda pair: pair[0] if pair[0] == pair[0] else float("inf"))
    return OptionError(f"{what} puts the detector out of reach, {size:.3g} m from the beam; give a smaller number")


def check_reach(detector: "Any") -> "Any":
    """The farthest that a point of the detector can be from the sample, m."""
    axes = [length(axis) for axis in (detector.fast, detector.slow, detector.normal)]
    sizes = (
        (max(abs(detector.distance), abs(detector.close_distance)), DISTANCES),
        (max(abs(detector.Fclose), abs(detector.Sclose), abs(detector.Fbeam), abs(detector.Sbeam)), CENTRES),
        (max(detector.detsize_f, detector.detsize_s), SIZES),
        (max(abs(detector.thickness), abs(detector.thickstep) * detector.thicksteps), THICKNESS),
    )
    largest = max(1.0, *axes)
    reach = length(detector.origin) + sum(largest * size for size, _ in sizes)
    if not reach < FARTHEST:
        raise out_of_reach((*sizes, (largest, DIRECTIONS)))
    attenuation = detector.thickstep * detector.mu * detector.thicksteps
    if not isfinite(attenuation) or not isfinite(attenuation * reach):
        raise OptionError(
            "{detector_thick} and {detector_mu} make a sensor that cannot be computed with; "
            "give thicknesses in {detector_thick.unit}"
        )
    if detector.curved and detector.distance == 0.0:
        raise OptionError("{curved_det} needs a distance along the beam; rotate the detector less, or leave it flat")
    return reach


def check_beam(beam: "Any", crystal: "Any", reach: "Any") -> None:
    """Wavelengths, source directions, and with them the largest Miller index."""
    wavelengths = [source[4] for source in beam.sources]
    smallest = min(abs(wavelength) for wavelength in wavelengths)
    what = "{wavelength}" if beam.dispersion == 0.0 else "{wavelength} and {dispersion}"
    if beam.divergence_steps < 0:
        what = "the {source_file}"
    if not all(isfinite(wavelength) for wavelength in wavelengths) or smallest == 0.0:
        raise OptionError(f"{what} makes a wavelength that is 0 or infinite; give others")
    if not all(isfinite(sum(direction)) for direction in beam.source_directions):
        raise OptionError("{hdivrange}, {vdivrange} or {source_file} make directions that are not finite; correct them")
    longest = max(length(axis) for axis in (crystal.a, crystal.b, crystal.c))
    index = 2.0 * longest / smallest
    if index > LARGEST_INDEX or not isfinite(longest * reach / smallest):
        what = "{cell_lengths+cell_angles} (or {matrix_file})" if longest > 1e-3 else what
        raise OptionError(
            f"{what} makes Miller indices of up to {index:.3g}, of which no fraction can be told; give a cell and a "
            "wavelength in Angstrom"
        )


def check_orientations(crystal: "Any", sampling: "Any") -> None:
    """Angles, and the crystal's shape."""
    last = sampling.phi0 + sampling.phistep * sampling.phisteps
    if not isfinite(last):
        raise OptionError("{phi0}, {osc} or {phistep} make angles that are not finite; give {phi0.unit}")
    if not isfinite(sum(sampling.spindle)):
        raise OptionError("{spindle_axis} makes no direction; give one")
    cells = crystal.cells[0] * crystal.cells[1] * crystal.cells[2]
    shortest = max(crystal.reciprocal_lengths) if by_product(crystal.shape) else 1.0
    if not isfinite(crystal.fudge * 4.0 * (cells * shortest) * (cells * shortest)):
        raise OptionError("{fudge} makes a crystal that cannot be computed with; give a number around 1")


def check_intensity(experiment: "Any") -> None:
    """What multiplies the sum of a pixel, and how many contributions it has."""
    sampling, detector = experiment.sampling, experiment.detector
    if not isfinite(R_E_SQR * experiment.beam.fluence):
        raise OptionError(f"{FLUENCES} makes {experiment.beam.fluence:g} photons/m^2; give a smaller number")
    if not isfinite(experiment.water_background + experiment.diffuse * R_E_SQR * experiment.beam.fluence):
        raise OptionError(
            "{water} and the fluence make a background that is not finite; give a thickness in {water.unit}"
        )
    if max(detector.fpixels, detector.spixels) * sampling.oversample > INT_MAX:
        raise OptionError(
            f"{{oversample}} {sampling.oversample} makes more sub-pixels a side than {INT_MAX}; reduce it"
        )
    if sampling.steps * detector.thicksteps > MOST_STEPS:
        raise OptionError(
            f"{sampling.steps * detector.thicksteps:.3g} contributions to each pixel would take years; reduce "
            "{oversample}, {phisteps}, {mosaic_domains}, {detector_thicksteps} or the number of sources"
        )
