"""What nonBragg renders: from its options to a resolved background, and the curve that scatters.

Most of what follows from options is as in nanoBragg (nanobragg_py/experiment/resolve/); what is not stands here.
"""

from math import isfinite, isnan, pi

from ..constants import AVOGADRO
from ..errors import NanoBraggError, OptionError, UsageError
from ..kernels.loops.amorphous import Curve
from ..kernels.memory.buffers import Buffer
from ..records import REQUIRED, Record
from ..vectors import unit
from .resolve.checks import FINITE, check_memory, check_numbers, remark_on_signs
from .resolve.detector import Frame, check_directions, detector_size, normal_of, swing_detector
from .resolve.finite import FARTHEST, FLUENCES, MOST_STEPS, check_reach
from .resolve.setup import beam_of, resolve_fluence, resolve_grid, resolve_phi, seeds_of
from .resolve.sources import grid_sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: what makes 1/m of each abscissa that a curve may have
FACTORS = {"stol": 1e10, "4stol": 1e10 / 4, "Q": 1e10 / pi / 4}
#: a curve that leaves the range of its rows by more than this part of the range is no curve any more
OVERSHOOT = 1.0
#: so many rows, and less than this part of them at angles that exist, are no curve of sin(theta)/lambda
SOME_ROWS, REACHED = 10, 0.2


class ResolvedBackground(Record):
    """The scattering of amorphous material on a detector: everything that the kernels need to know, in SI units.

    beam, detector: as in a `ResolvedExperiment`, but the sources' weights count. oversample: sub-pixels a side.
    steps: sources * oversample^2. curve: a `nanobragg_py.kernels.loops.amorphous.Curve`. molecules: number in the beam.
    map: pixels are F rather than photons. sensor: the detector's layers catch their part, else all is
    caught. phi0, osc: radians, for headers.
    """

    _fields = {
        "beam": REQUIRED,
        "detector": REQUIRED,
        "oversample": 1,
        "steps": 1,
        "curve": REQUIRED,
        "molecules": REQUIRED,
        "map": False,
        "sensor": False,
        "phi0": 0.0,
        "osc": 0.0,
    }


class BackgroundSetup(Record):
    """What follows from nonBragg's options before its files are read.

    beam: without sources. detector, molecules, oversample, phi0, osc: as in the `ResolvedBackground`. grid: of sources.
    sample: (x, y, z), m. density: g/m^3. noise_seed: negated. warnings: sentences that belong on standard output.
    remarks: sentences for standard error.
    """

    _fields = {
        "beam": REQUIRED,
        "detector": REQUIRED,
        "grid": REQUIRED,
        "sample": REQUIRED,
        "density": REQUIRED,
        "molecules": REQUIRED,
        "oversample": 1,
        "phi0": 0.0,
        "osc": 0.0,
        "noise_seed": -1,
        "warnings": (),
        "remarks": (),
    }


#: m; sin(theta)/lambda lies within the curve, which ends at 1e98 for whatever is beyond its rows
SHORTEST = 1e-90
#: nonBragg's options that must be finite numbers, besides those that are nanoBragg's
FINITE_HERE = (
    "density",
    "molecular_weight",
    "molecules",
    "source_distance",
    "gain",
    "sample_x",
    "sample_y",
    "sample_z",
)


def resolve_background(options: "Any", image: "Any" = None, now: "Any" = None) -> "BackgroundSetup":
    """Beam, detector and sample as far as the options alone decide: a `BackgroundSetup`.

    options: of nanobragg_py/flags/nonbragg.py. image: the SMVImage of -img, or None. now: seconds since 1970, which
    seed noise without a seed; default the clock. Raises UsageError without a curve, NanoBraggError for options without
    sense.
    """
    if options.stol_file is None:
        raise UsageError("there is no curve; give one with -stol, -4stol or -Q")
    check_numbers(options, [name for name in (*FINITE, *FINITE_HERE) if options.defaults.get(name) is not None])
    warnings, remarks = [], []
    remark_on_signs(options, remarks.append)
    size = image_size(options, image) if image is not None else detector_size(options, 0.0)
    fluence, _, sample = resolve_fluence(options, lambda _, text: warnings.append(text))
    density, molecules = count_molecules(options, sample)
    frame = orient(options)
    _, osc, _ = resolve_phi(options)
    grid = resolve_grid(options)
    check_memory(grid.points, 1, 1, 1)
    return BackgroundSetup(
        beam=beam_of(options, frame, grid, fluence),
        detector=place(options, frame, size),
        grid=grid,
        sample=sample,
        density=density,
        molecules=molecules,
        oversample=max(options.oversample, 1),
        phi0=options.phi0,
        osc=osc,
        noise_seed=seeds_of(now, options.seed)[0],
        warnings=tuple(warnings),
        remarks=tuple(remarks),
    )


def image_size(options: "Any", image: "Any") -> "Any":
    """`detector_size` with an -img file, which has no more pixels than it has (N7)."""
    fast, slow = options.fpixels, options.spixels
    if (fast, slow) == (image.width, image.height):
        return options.pixel_size * fast, options.pixel_size * slow, fast, slow
    size = detector_size(options, 0.0)
    if size[2] * size[3] > image.width * image.height:
        raise OptionError(
            "a detector of {fast} x {slow} pixels is larger than {name}, which has {width} x {height}; "
            "leave out {fpixels+spixels}",
            fast=size[2],
            slow=size[3],
            name=image.name,
            width=image.width,
            height=image.height,
        )
    return size


def count_molecules(options: "Any", sample: "Any") -> "tuple[Any, Any]":
    """Density, g/m^3, and number of molecules, one of which follows from the other."""
    x, y, z = sample
    volume = x * y * z
    density = options.density
    if options.molecular_weight == 0.0:
        raise OptionError("{molecular_weight} does not take 0; give the molecular weight in g/mol")
    if options.molecules != 0.0:
        if volume == 0.0:
            raise OptionError("{molecules} need a sample with a volume; give its edges, or a larger {beamsize}")
        density = options.molecules / volume / AVOGADRO * options.molecular_weight
    molecules = volume * density * AVOGADRO / options.molecular_weight
    if not isfinite(molecules):
        text = "the sample has {number:g} molecules; correct its edges, {density}, {molecules} or {molecular_weight}"
        raise OptionError(text, number=molecules)
    return density, molecules


def orient(options: "Any") -> "Any":
    """The `Frame` of the vectors that the flags give."""
    beam, fast, slow = options.beam_vector, options.fdet_vector, options.sdet_vector
    polar = options.polar_vector
    check_directions(
        (("beam_vector", beam), ("fdet_vector", fast), ("sdet_vector", slow), ("polar_vector", polar)),
    )
    frame = Frame()
    frame.beam, frame.fast, frame.slow, frame.polar = map(unit, (beam, fast, slow, polar))
    frame.normal = normal_of(frame.fast, frame.slow)
    frame.twotheta_axis = options.twotheta_axis
    frame.pivot = options.pivot
    return frame


def place(options: "Any", frame: "Any", size: "Any") -> "Any":
    """The `ResolvedDetector`: all points are counted along fast and slow."""
    pixel = options.pixel_size
    Xclose = options.Xclose if isnan(options.ORGX) else options.ORGX * pixel
    Yclose = options.Yclose if isnan(options.ORGY) else options.ORGY * pixel
    Xclose = (size[0] - pixel) / 2.0 if isnan(Xclose) else Xclose
    Yclose = (size[1] + pixel) / 2.0 if isnan(Yclose) else Yclose
    Xbeam = Xclose if isnan(options.Xbeam) else options.Xbeam
    Ybeam = Yclose if isnan(options.Ybeam) else options.Ybeam
    detector = swing_detector(
        options, frame, size, (Xclose, Yclose), (Xbeam, Ybeam), (Xclose, Yclose, Xbeam, Ybeam), signed=True
    )
    check_reach(detector)
    return detector


def with_sources(setup: "Any", rows: "Any" = None, distance: float = 10.0) -> "Any":
    """The setup's beam with its sources. rows: of a -sourcefile, or None; distance: of those that are made up, m."""
    if rows is None:
        beam = grid_sources(setup.grid, setup.beam, distance, 1.0)
    else:
        from .resolve.file_sources import file_sources

        beam = file_sources(rows, setup.beam, distance)
    if any(not SHORTEST < abs(source[4]) < FARTHEST for source in beam.sources):
        raise OptionError("{wavelength} and {dispersion} make a wavelength of nearly 0 or infinity; give others")
    if any(direction == (0.0, 0.0, 0.0) for direction in beam.source_directions):
        raise OptionError("{source_distance} does not take 0, where the sample is; give a distance in mm")
    return beam


def complete(setup: "Any", beam: "Any", curve: "Any", map: bool = False) -> "ResolvedBackground":
    """The `ResolvedBackground` of a setup, its beam with sources, and a curve."""
    steps = len(beam.sources) * setup.oversample**2
    if steps > MOST_STEPS:
        raise OptionError(
            f"{steps:.3g} contributions to each pixel would take years; reduce {{oversample}} or the number of sources"
        )
    if not isfinite(beam.fluence * setup.molecules):
        raise OptionError(f"{FLUENCES} and the sample make intensities that are not finite; give smaller numbers")
    return ResolvedBackground(
        beam=beam,
        detector=setup.detector,
        oversample=setup.oversample,
        steps=steps,
        curve=curve,
        molecules=setup.molecules,
        map=map,
        phi0=setup.phi0,
        osc=setup.osc,
    )


def curve_background(experiment: "Any") -> "ResolvedBackground":
    """What the curve of an experiment scatters, with its sources, sub-pixels and sensor."""
    curve, molecules = experiment.amorphous
    beam, oversample = experiment.beam, experiment.sampling.oversample
    # divided by their number there, and by the sum of their weights here
    weights = beam.relative_weights or (1.0,) * len(beam.sources)
    sources = tuple((*source[:3], weight, source[4]) for source, weight in zip(beam.sources, weights, strict=True))
    return ResolvedBackground(
        beam=beam.replace(sources=sources),
        detector=experiment.detector,
        oversample=oversample,
        steps=len(sources) * oversample**2,
        curve=curve,
        molecules=molecules,
        sensor=True,
        phi0=experiment.sampling.phi0,
        osc=experiment.sampling.osc,
    )


def molecules_of(options: "Any") -> float:
    """How many molecules the curve of -stol stands for: of so much -water, or of the sample as nonBragg counts it.

    They are 1 g/cm^3 of 18 g/mol, unless -density and -MW say otherwise. An edge that is not given has 0.1 mm.
    """
    density = 1e6 if options.density is None else options.density
    weight = 18.0 if options.molecular_weight is None else options.molecular_weight
    if not density > 0.0 or not weight > 0.0 or not isfinite(density + weight):
        raise OptionError("{density} and {molecular_weight} must be above 0 for a curve that scatters")
    if options.water > 0.0:
        volume = options.water**3
    else:
        x, y, z = (edge if edge > 0.0 else 1e-4 for edge in (options.sample_x, options.sample_y, options.sample_z))
        if options.beamsize >= 0.0:
            y, z = min(y, options.beamsize), min(z, options.beamsize)
        volume = x * y * z
    return float(volume * density * AVOGADRO / weight)


def make_curve(x: "Any", F: "Any", name: str, factor: float = 1.0, ordered: bool = True) -> "Any":
    """The `Curve` through rows (x, F), two sequences of floats.

    factor: makes 1/m of the abscissae. ordered: by abscissa, and of equal ones the last row (N2, N3); otherwise as they
    are. A missing F (nan) is 0. name: of the curve, for messages. Raises NanoBraggError for a curve without any F, and
    for numbers that are not finite (N9).
    """
    rows = [(a * factor, f) for a, f in zip(x, F, strict=True)]
    for number, (a, f) in enumerate(rows, 1):
        if not isfinite(a) or f in (float("inf"), float("-inf")):
            raise NanoBraggError(f"row {number} of {name} is {a / factor:g} {f:g}; correct what is not finite")
    if ordered and any(rows[i][0] >= rows[i + 1][0] for i in range(len(rows) - 1)):
        rows = sorted(dict(rows).items())
    present = [f for _, f in rows if f == f]
    if not present:
        raise NanoBraggError(f"{name} has no F; it needs rows of sin(theta)/lambda and F")
    abscissae, values = Buffer(len(rows), "d", zero=False), Buffer(len(rows), "d", zero=False)
    columns: tuple[Any, Any] = memoryview(abscissae), memoryview(values)
    for i, (a, f) in enumerate(rows):
        columns[0][i] = a
        columns[1][i] = f if f == f else 0.0
    return Curve(abscissae, values, present[0], present[-1])


def curve_remark(curve: "Any", name: str) -> "str | None":
    """A sentence about a curve that swings far beyond its rows between them, or None."""
    if not curve.ascending or not curve.overshoot > OVERSHOOT:
        return None
    return (
        f"between the rows of {name} the curve leaves their range by {curve.overshoot:.3g} times that range; rows at "
        "even distances would help"
    )


def reach_remark(curve: "Any", name: str, wavelength: float) -> "str | None":
    """A sentence about a curve most of whose rows no angle reaches, or None. wavelength: the shortest, m."""
    x = memoryview(curve.x)[2:-2].tolist()
    reached = sum(abs(value) <= 1.0 / wavelength for value in x)
    if len(x) < SOME_ROWS or reached > REACHED * len(x):
        return None
    return (
        f"{reached} of the {len(x)} rows of {name} lie within sin(theta)/lambda up to {1e-10 / wavelength:.3g} 1/A, "
        "where angles end; its first column may be another abscissa, in another unit, or count the rows"
    )
