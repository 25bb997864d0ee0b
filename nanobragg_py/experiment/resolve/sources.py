"""The last step: sources, mosaic domains, and what depends on the structure factors."""

from math import isfinite

from ...errors import OptionError
from ...vectors import cross, rotate_axis, scale, unit
from ..resolved import UNASKED, ResolvedExperiment
from .finite import check_finite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: metres from the sample to sources that are made up; only the direction matters
SOURCE_DISTANCE = 10.0


class Grid:
    """The grid of sources that divergence and dispersion ask for.

    hdiv, vdiv: (steps, range, step), radians. dispersion: (steps, range, step), parts of the wavelength.
    round: cut the divergence to an ellipse. spectrum: (wavelengths, m, weights), which stand in for the dispersion, or
    None.
    """

    __slots__ = ("dispersion", "hdiv", "round", "spectrum", "vdiv")

    def __init__(self, hdiv: "Any", vdiv: "Any", dispersion: "Any", round: "Any", spectrum: "Any" = None) -> None:
        self.hdiv: Any = hdiv
        self.vdiv: Any = vdiv
        self.dispersion: Any = dispersion
        self.round: Any = round
        self.spectrum: Any = spectrum

    @property
    def points(self) -> "Any":
        """How many sources there are before the grid is cut to an ellipse."""
        return self.hdiv[0] * self.vdiv[0] * self.dispersion[0]


def _radius_sqr(deviation, steps, span, step):
    """A deviation's share in the squared radius of the divergence ellipse; nan, which never cuts, without a range."""
    if span == 0.0:
        return float("nan")
    return (deviation * deviation - step * step / 4.0 * (1 - steps % 2)) / span / span


def divergence_deviations(grid: "Any") -> "Any":
    """The (horizontal, vertical) deviations in radians of the grid's points, the vertical ones innermost."""
    hsteps, hspan, hstep = grid.hdiv
    vsteps, vspan, vstep = grid.vdiv
    deviations = []
    for i in range(hsteps):
        hdiv = hstep * i - hspan / 2.0
        hradius = _radius_sqr(hdiv, hsteps, hspan, hstep)
        for j in range(vsteps):
            vdiv = vstep * j - vspan / 2.0
            if grid.round and (hradius + _radius_sqr(vdiv, vsteps, vspan, vstep)) * 4.0 > 1.1:
                continue
            deviations.append((hdiv, vdiv))
    return tuple(deviations)


def wavelength_steps(grid: "Any", wavelength: "Any") -> "Any":
    """The wavelengths, m, of the spectrum, or of the dispersion grid about a central one."""
    if grid.spectrum is not None:
        return tuple(grid.spectrum[0])
    steps, span, step = grid.dispersion
    return tuple(wavelength * (1.0 + step * i - span / 2.0) for i in range(steps))


def grid_sources(grid: "Any", beam: "Any", distance: "Any" = SOURCE_DISTANCE, weight: "Any" = None) -> "Any":
    """`beam` (a Beam) with the grid's sources, one a direction and wavelength, wavelengths innermost.

    distance: of the sources, m. weight: of each; None: their share.
    """
    deviations = divergence_deviations(grid)
    wavelengths = wavelength_steps(grid, beam.wavelength)
    if not deviations:
        raise OptionError(
            "no source is left of the divergence grid, whose steps are larger than its ranges; "
            "change {hdivrange}, {hdivstep}, {vdivrange} or {vdivstep}, or give {round_div=False}"
        )
    if not all(isfinite(x) for pair in deviations for x in pair):
        raise OptionError(
            "{hdivrange}, {hdivstep}, {vdivrange} or {vdivstep} make infinite angles; give {hdivrange.unit}"
        )
    vertical = unit(cross(beam.direction, beam.polarization_axis))
    if grid.spectrum is not None:
        weights = shares(grid.spectrum[1])
        weights = tuple(share / len(deviations) for share in weights)
    else:
        share = 1.0 / (len(deviations) * len(wavelengths)) if weight is None else weight
        weights = (share,) * len(wavelengths)
    sources = []
    directions = []
    for hdiv, vdiv in deviations:
        position = scale(beam.direction, -distance)
        position = rotate_axis(position, beam.polarization_axis, vdiv)
        position = rotate_axis(position, vertical, hdiv)
        for wavelength, share in zip(wavelengths, weights, strict=True):
            sources.append((*position, share, wavelength))
            directions.append(unit(position))
    return beam.replace(
        sources=tuple(sources),
        source_directions=tuple(directions),
        divergence_steps=len(deviations),
        divergence_deviations=deviations,
        wavelength_steps=wavelengths,
    )


def shares(weights: "Any") -> "tuple[float, ...]":
    """The weights of a spectrum over their sum."""
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def central_wavelength(spectrum: "Any") -> float:
    """The mean wavelength, m, of a spectrum (wavelengths, weights)."""
    return sum(wavelength * share for wavelength, share in zip(spectrum[0], shares(spectrum[1]), strict=True))


def check_tables(beam: "Any", structure_factors: "Any") -> None:
    """Raise where structure factors are of several wavelengths, and the beam has one that is not among them."""
    if not structure_factors.wavelengths:
        return
    from ..structure_factors import within

    for source in beam.sources:
        if not within(structure_factors.wavelengths, source[4]):
            low, high = (structure_factors.wavelengths[at] * 1e10 for at in (0, -1))
            raise OptionError(
                "{hkl_file} has tables from {low:.9g} to {high:.9g} A, and the beam a wavelength of {wanted:.9g} "
                "A; give tables that reach it",
                low=low,
                high=high,
                wanted=source[4] * 1e10,
            )


def corrections(physics: "Any", beam: "Any", detectors: "Any", sampling: "Any") -> "dict[str, bool]":
    """Which corrections are worked out for every contribution, as fields of a `ResolvedSampling`.

    Those that are the same for all contributions to a pixel need not be.
    """
    given = {name: getattr(sampling, f"oversample_{name}") for name in ("thick", "polar", "omega")}
    if physics.layers:
        given["thick"] = any(detector.thickness > 0.0 for detector in detectors)
    if physics.corrections:
        places = sampling.oversample > 1 or any(each.thicksteps > 1 and each.deepening for each in detectors)
        # what is diffuse is not cut off by dmin
        cut = sampling.dmin > 0.0 and sampling.water > 0.0
        given["omega"] = places
        given["polar"] = beam.polarized and (places or cut or len(set(beam.source_directions)) > 1)
    return {f"oversample_{name}": value for name, value in given.items()}


#: the options of the grid of sources
GRID = (
    *("hdivsteps", "hdivrange", "hdivstep", "vdivsteps", "vdivrange", "vdivstep", "round_div"),
    *("dispsteps", "dispersion", "dispstep"),
)


def _note_origins(setup, structure_factors, of_grid, origins):
    """What the sources and the steps of the sum come from."""
    if of_grid:
        divergence = [f"grid.{axis}.{what}" for axis in ("hdiv", "vdiv") for what in ("steps", "range", "step")]
        dispersion = [f"grid.dispersion.{what}" for what in ("steps", "range", "step")]
        origins.follows("beam.divergence_steps", *divergence, "round_div")
        spectrum = () if setup.grid.spectrum is None else ("spectrum_file",)
        origins.follows("beam.sources", *spectrum, "source_file", *divergence, "round_div", *dispersion)
    else:
        origins.follows("beam.sources", "source_file")
        origins.void("grid-unused", "the sources are those of {source_file}", *GRID)
    if setup.sampling.interpolate and (setup.auto_interpolation or not structure_factors.count):
        note = None if structure_factors.count else "there is no table to interpolate in"
        origins.follows("sampling.interpolate", "sampling.interpolate", "structure_factors.count", note=note)
    phi = ("sampling.phisteps", "sampling.osc", "sampling.phistep")
    domains = ("crystal.mosaic_domains", "mosaic_spread")
    origins.follows("sampling.steps", "sampling.oversample", *phi, *domains, "beam.sources")


def resolve_experiment(
    setup: "Any", random: "Any", structure_factors: "Any", source_rows: "Any" = None, origins: "Any" = UNASKED
) -> "Any":
    """The `Experiment`: the setup with its sources, mosaic domains and structure factors.

    setup: what `resolve_setup` gave. random: the generator it was given (`mosaic_rotations` is called once).
    structure_factors: a StructureFactors. source_rows: the rows of the -sourcefile, or None for the grid that
    divergence and dispersion ask for. origins: as in `resolve_setup`. Raises NanoBraggError where a number is not one
    to compute with.
    """
    if setup.grid.spectrum is not None and source_rows is not None:
        raise OptionError("{spectrum_file} and {source_file} both state wavelengths; give one of the two")
    _note_origins(setup, structure_factors, source_rows is None, origins)
    if source_rows is None:
        beam = grid_sources(setup.grid, setup.beam)
    else:
        from .file_sources import file_sources

        beam = file_sources(source_rows, setup.beam, SOURCE_DISTANCE)
    check_tables(beam, structure_factors)
    crystal = setup.crystal
    if setup.domains is not None:
        rotations = setup.domains.rotations
        origins.void("domains-of-file", "{domain_file} has the domains", "mosaic_seed")
    elif setup.domain_axes is None:
        rotations = random.mosaic_rotations(crystal.mosaic_spread, crystal.mosaic_domains, setup.mosaic_seed)
    else:
        rotations = random.normal_rotations(setup.domain_axes, crystal.mosaic_domains, setup.mosaic_seed)
    sampling, physics = setup.sampling, setup.physics
    if physics.weights:
        from .file_sources import relative_weights

        beam = beam.replace(relative_weights=relative_weights(beam.sources))
    experiment = ResolvedExperiment(
        beam=beam,
        detector=setup.detector,
        crystal=crystal.replace(mosaic_rotations=rotations),
        sampling=sampling.replace(
            interpolate=sampling.interpolate and structure_factors.count != 0,
            **corrections(physics, beam, setup.panels or (setup.detector,), sampling),
            steps=len(beam.sources) * crystal.mosaic_domains * sampling.phisteps * sampling.oversample**2,
        ),
        structure_factors=structure_factors,
        physics=physics,
        panels=setup.panels,
        **dict(zip(("panel_names", "panel_corners", "stored_shape"), setup.panel_places, strict=True)),
    )
    for single in experiment.single_panels if setup.panels else (experiment,):
        check_finite(single)
    if setup.domains is not None and setup.domains.weights is not None:
        from ..mixture import mixed

        return mixed(experiment, weights=setup.domains.weights)
    return experiment
