"""The first step: beam, detector, crystal and sampling, as far as they follow from the options alone."""

import time
from math import isfinite

from ...errors import NothingToRender, OptionError, Sentence
from ...records import REQUIRED, Record
from ..physics import REFERENCE, physics_of
from ..resolved import UNASKED, ResolvedBeam, ResolvedSampling
from .checks import check_memory, check_numbers, remark_on_signs
from .crystal import CLOCK, domain_axes, recommended_oversampling, resolve_crystal, resolve_mosaic
from .detector import orient, place_detector
from .sources import Grid, central_wavelength
from .steps import INT_MAX, fill_phi, fill_steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Setup(Record):
    """What follows from the options before structure factors and sources are known.

    beam: a Beam without sources. detector, crystal (without mosaic rotations), sampling (its `interpolate` as the
    options alone decide, its `steps` not yet counted): as in the Experiment. grid: the `Grid` of sources to make.
    panels: a Detector for each panel of one that has several, of which `detector` is the first; else ().
    panel_places: names, corners and stored shape, as the Experiment has them.
    physics: the `Physics`. domain_axes: of normal rotations of mosaic domains, as long as their standard deviations,
    radians; None for the reference's rotations. domains: a `Domains` in their place, or None. cell_vectors: a, b, c in
    Angstrom, for printing; the Crystal has m.
    auto_interpolation: whether the report says what was decided about interpolation. matrix_file: its name if it was
    read, else None. mosaic_seed,
    noise_seed: negated, as the generator wants them.
    warnings: (place, text, lines) in the order of occurrence; `report` knows the places: options, steps, cell,
    lattice, sampling. remarks: sentences for standard error, about which the reference is silent. Texts are str, or
    a `Sentence` where they speak of options.
    """

    _fields = {
        "beam": REQUIRED,
        "detector": REQUIRED,
        "crystal": REQUIRED,
        "sampling": REQUIRED,
        "grid": REQUIRED,
        "cell_vectors": REQUIRED,
        "panels": (),
        "panel_places": ((), (), None),
        "physics": REFERENCE,
        "domain_axes": None,
        "domains": None,
        "auto_interpolation": False,
        "matrix_file": None,
        "mosaic_seed": -12345678,
        "noise_seed": -1,
        "warnings": (),
        "remarks": (),
    }


def resolve_fluence(options: "Any", warn: "Any", origins: "Any" = UNASKED) -> "tuple[Any, Any, Any]":
    """Fluence, flux and the sample's sizes as the beam clips them: (fluence, flux, (x, y, z))."""
    beamsize = options.beamsize
    fluence, flux = options.fluence, options.flux
    if flux != 0.0 and options.exposure > 0.0 and beamsize >= 0:
        if beamsize == 0.0:
            raise OptionError("{beamsize} 0 leaves no beam for {flux}; give its size in {beamsize.unit}")
        fluence = flux * options.exposure / beamsize / beamsize
        origins.void("flux-overrides-fluence", "{flux}, the exposure and the beam size decide the fluence", "fluence")
        if not isfinite(fluence):
            raise OptionError("{flux}, {exposure} and {beamsize} make an infinite fluence; correct one of them")
    sample_y, sample_z = options.sample_y, options.sample_z
    if beamsize >= 0:
        if beamsize < sample_y:
            warn("options", f"the sample is {sample_y:g} m high, and only {beamsize:g} m of it are in the beam")
            sample_y = beamsize
        if beamsize < sample_z:
            warn("options", f"the sample is {sample_z:g} m wide, and only {beamsize:g} m of it are in the beam")
            sample_z = beamsize
    if options.exposure > 0.0:
        flux = fluence / options.exposure * beamsize * beamsize
        origins.filled("beam.flux", "flux", "beam.fluence", "exposure", "beamsize")
    else:
        origins.taken("beam.flux", "flux", "exposure")
    if options.flux != 0.0:
        origins.follows("beam.fluence", "flux", "exposure", "beamsize", "fluence")
    return fluence, flux, (options.sample_x, sample_y, sample_z)


def resolve_phi(options: "Any", origins: "Any" = UNASKED) -> "tuple[Any, Any, Any]":
    """Number of phi steps, range and step, radians."""
    phisteps, osc, phistep = fill_phi(options.phisteps, options.osc, options.phistep)
    origins.steps("sampling", phisteps="phisteps", osc="osc", phistep="phistep")
    if phisteps < 1:
        raise OptionError("{osc} and {phistep} make no phi step; give {phisteps}, or a larger {osc}")
    return phisteps, osc, phistep


def in_depth(physics, detector):
    """The detector with its layers where they are in its sensor, and solid angles that follow them."""
    return detector.replace(first_depth=detector.thickstep / 2.0, deepening=1.0) if physics.layers else detector


def _unsaid(place, text):
    """The listener of what has been said before."""


def _resolve_thickness(options, physics, warn, origins):
    """The sensor: (layers, thickness, layer thickness, mu)."""
    mu = options.detector_mu
    layers, thickness, thickstep = fill_steps(
        options.detector_thicksteps, options.detector_thick, options.detector_thickstep, lone_span=0.5e-6, halve=True
    )
    origins.steps(
        "detector", thicksteps="detector_thicksteps", thickness="detector_thick", thickstep="detector_thickstep"
    )
    origins.filled("detector.mu", "detector_mu", "detector.thickness")
    if physics.layers and thickness > 0.0:
        layers = options.detector_thicksteps if options.detector_thicksteps > 0 else layers
        thickstep = thickness / layers
    if thickness > 0.0 and mu < 0.0:
        mu = 1.0 / thickness
        if not isfinite(mu):
            raise OptionError(
                "{detector_thick} makes a sensor of {metres:g} m, which is none; it is in {detector_thick.unit}",
                metres=thickness,
            )
        text = "without {detector_mu} the attenuation depth is the sensor's thickness (mu = {mu:g} /m)"
        warn("steps", Sentence(text, mu=mu))
    return layers, thickness, thickstep, mu


def resolve_grid(options: "Any", origins: "Any" = UNASKED, spectrum: "Any" = None) -> "Any":
    """The grid of sources that divergence and dispersion, or a spectrum (wavelengths, m, weights), ask for."""
    dispersion = fill_steps(options.dispsteps, options.dispersion, options.dispstep)
    if spectrum is not None:
        for name in ("dispersion", "dispsteps"):
            if getattr(options, name) != options.defaults[name]:
                raise OptionError(f"{{spectrum_file}} and {{{name}}} both state wavelengths; give one of the two")
        wavelengths, centre = spectrum[0], central_wavelength(spectrum)
        span = (wavelengths[-1] - wavelengths[0]) / centre
        origins.follows("beam.wavelength", "spectrum_file", note="the mean of its wavelengths")
        if options.matrix_file is None:
            origins.void("spectrum", "{spectrum_file} states the wavelengths", "wavelength")
        dispersion = len(wavelengths), span, span / max(len(wavelengths) - 1, 1)
    origins.steps("grid.hdiv", steps="hdivsteps", range="hdivrange", step="hdivstep")
    origins.steps("grid.vdiv", steps="vdivsteps", range="vdivrange", step="vdivstep")
    origins.steps("grid.dispersion", steps="dispsteps", range="dispersion", step="dispstep")
    return Grid(
        hdiv=fill_steps(options.hdivsteps, options.hdivrange, options.hdivstep),
        vdiv=fill_steps(options.vdivsteps, options.vdivrange, options.vdivstep),
        dispersion=dispersion,
        round=bool(options.round_div),
        spectrum=spectrum,
    )


def beam_of(options: "Any", frame: "Any", grid: "Any", fluence: "Any", flux: "Any" = 0.0) -> "Any":
    """The `ResolvedBeam` but for its sources. frame: what `orient` gave; grid: what `resolve_grid` did."""
    return ResolvedBeam(
        direction=frame.beam,
        wavelength=options.wavelength if grid.spectrum is None else central_wavelength(grid.spectrum),
        sources=(),
        source_directions=(),
        fluence=fluence,
        flux=flux,
        exposure=options.exposure,
        size=options.beamsize,
        polarization=options.polarization,
        polarized=not options.nopolar,
        polarization_axis=frame.polar,
        dispersion=grid.dispersion[1],
        dispersion_steps=grid.dispersion[0],
        hdivrange=grid.hdiv[1],
        hdivstep=grid.hdiv[2],
        vdivrange=grid.vdiv[1],
        vdivstep=grid.vdiv[2],
    )


def seeds_of(now: "Any", *seeds: "Any") -> "Any":
    """Seeds, negated as the generator wants them; those that nobody gave are the clock's. now: seconds since 1970."""
    clock = -int(time.time() if now is None else now)
    return tuple(clock if seed is None else seed for seed in seeds)


def finest_oversampling(crystal: "Any", wavelength: "Any", detectors: "Any") -> "tuple[Any, Any]":
    """What `recommended_oversampling` gives for that of some panels which asks for most."""
    return max(
        recommended_oversampling(crystal.size, wavelength, detector.distance, detector.pixel_size)
        for detector in detectors
    )


def resolve_oversample(
    options: "Any", crystal: "Any", wavelength: "Any", detectors: "Any", warn: "Any", origins: "Any" = UNASKED
) -> "tuple[Any, Any]":
    """Sub-pixels a side: (used, recommended), the same for all panels. wavelength: the central one, m."""
    if options.oversample > 0:
        origins.taken("sampling.oversample", "oversample")
    else:
        sizes = [f"crystal.size.{axis}" for axis in range(3)]
        origins.follows(
            *("sampling.oversample", "oversample", *sizes, "beam.wavelength", "detector.distance", "pixel_size"),
            note="automatic: three sub-pixels a peak of the largest crystal edge",
        )
    recommended, reciprocal_pixel = finest_oversampling(crystal, wavelength, detectors)
    oversample = options.oversample if options.oversample > 0 else recommended
    if oversample < recommended:
        text = (
            "the crystal is up to {width:g} A wide and a pixel is {pixel:g} A in reciprocal space, so intensity may "
            "vary across a pixel; {oversample} {recommended} would resolve it"
        )
        values = {"width": max(crystal.size) * 1e10, "pixel": reciprocal_pixel * 1e10}
        warn("sampling", Sentence(text, **values, recommended=recommended))
    return oversample, recommended


def resolve_setup(
    options: "Any",
    random: "Any",
    matrix: "Any" = None,
    mask: "Any" = None,
    dump_available: bool = False,
    now: "Any" = None,
    origins: "Any" = UNASKED,
    panels: "Any" = None,
    spectrum: "Any" = None,
    domains: "Any" = None,
) -> "Setup":
    """Beam, detector, crystal and sampling as far as the options alone decide: a `Setup`.

    options: an Options. random: the generator; `random_rotation` is called for a random misset. matrix: the nine
    numbers of the -mat file (`nanobragg_py.files.matrix.read_matrix`), or None when it does not exist. mask: the buffer
    of the -mask image's uint16 pixels, or None. dump_available: whether a structure-factor dump file can be opened,
    which matters without -hkl. now: seconds since 1970, which seeds what has no seed; default the clock. origins: an
    `Origins`, which notes what values come from. panels: those of a detector that has several, in place of what the
    options say of it, or None. spectrum: wavelengths, m, and weights (`nanobragg_py.files.spectrum`), or None. domains:
    a `Domains` with rotations of the mosaic domains, or None to draw them.

    Raises UsageError when there are neither structure factors nor a cell, NanoBraggError for options without sense.
    """
    warnings = []
    remarks = []

    def warn(place, text, lines=()):
        warnings.append((place, text, tuple(lines)))

    if options.hkl_file is None and not dump_available and options.default_F == 0.0:
        raise NothingToRender("there are no structure factors; give {hkl_file} or {default_F}")
    if options.matrix_file is None and options.cell_lengths[0] == 0.0:
        raise NothingToRender("there is no crystal; give {cell_lengths+cell_angles} or {matrix_file}")
    check_numbers(options)
    remark_on_signs(options, remarks.append)

    physics = physics_of(options)
    # the order of these decides that of the warnings
    fluence, flux, samples = resolve_fluence(options, warn, origins)
    frame = orient(options, lambda text: warn("options", text), origins)
    phisteps, osc, phistep = resolve_phi(options, origins)
    grid = resolve_grid(options, origins, spectrum)
    beam = beam_of(options, frame, grid, fluence, flux)
    thickness = _resolve_thickness(options, physics, warn, origins)
    mosaic = resolve_mosaic(options, lambda text: warn("steps", text), origins, domains)
    check_memory(grid.points, phisteps, mosaic[1], thickness[0])
    if panels is None:
        detector = in_depth(physics, place_detector(options, frame, thickness, mask, remarks.append, origins))
        detectors: tuple[Any, ...] = ()
        places: tuple[Any, ...] = (), (), None
    else:
        from .panels import panel_places, placed_options, resolve_panels

        def sensor(own):
            return _resolve_thickness(own, physics, _unsaid, UNASKED)

        detectors = resolve_panels(options, frame, panels, sensor)
        origins.void("panels", "{geometry_file} says where the panels are", *placed_options())
        detectors, places = tuple(in_depth(physics, each) for each in detectors), panel_places(panels)
        detector = detectors[0]

    interpolate = options.interpolate
    origins.taken("sampling.interpolate", "interpolate")
    if interpolate > 1:
        # judged before sample sizes are turned into numbers of cells
        interpolate = not physics.factors and int(min(options.Na, options.Nb, options.Nc)) <= 2
        origins.follows("sampling.interpolate", "interpolate", "Na", "Nb", "Nc")
    noise_seed, misset_seed = seeds_of(now, options.seed, options.misset_seed)
    origins.taken("setup.noise_seed", "seed", note=None if options.seed is not None else CLOCK)
    if matrix is None and options.matrix_file is not None:
        text = "the orientation matrix {file} cannot be read; {cell_lengths+cell_angles} is used alone"
        remarks.append(Sentence(text, file=options.matrix_file))
    crystal, cell_vectors = resolve_crystal(
        options, physics, samples, random, misset_seed, matrix, mosaic, warn, origins
    )
    oversample, recommended = resolve_oversample(
        options, crystal, beam.wavelength, detectors or (detector,), warn, origins
    )
    if grid.points * mosaic[1] * phisteps * oversample**2 > INT_MAX:
        remarks.append("the reference cannot count this many steps, so its image would differ from this one")

    sampling = ResolvedSampling(
        oversample=oversample,
        oversample_thick=bool(options.oversample_thick),
        oversample_polar=bool(options.oversample_polar),
        oversample_omega=bool(options.oversample_omega),
        recommended_oversample=recommended,
        auto_oversample=options.oversample <= 0,
        phi0=options.phi0,
        osc=osc,
        phistep=phistep,
        phisteps=phisteps,
        spindle=frame.spindle,
        dmin=options.dmin,
        interpolate=bool(interpolate),
        water=options.water,
    )
    return Setup(
        beam=beam,
        detector=detector,
        crystal=crystal,
        sampling=sampling,
        grid=grid,
        cell_vectors=cell_vectors,
        panels=detectors,
        panel_places=places,
        physics=physics,
        domain_axes=domain_axes(options, mosaic, crystal),
        domains=domains,
        auto_interpolation=options.interpolate > 1,
        matrix_file=options.matrix_file if matrix is not None else None,
        mosaic_seed=options.mosaic_seed,
        noise_seed=noise_seed,
        warnings=tuple(warnings),
        remarks=tuple(remarks),
    )
