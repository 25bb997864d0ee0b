"""The resolved experiment as a list of quantities, each with its unit and where its value comes from."""

from math import isnan
from typing import Any

from ..constants import BRIGHTEST
from ..experiment.parts import FIELDS
from ..flags.names import rule_of
from ..flags.nanobragg import RULES
from ..flags.parser import OWN
from ..records import REQUIRED, Record

SECTIONS = ("beam", "detector", "crystal", "structure factors", "sampling", "output")

ROTATIONS = ("detector_rotx", "detector_roty", "detector_rotz", "twotheta")
AXES = ("beam_vector", "fdet_vector", "sdet_vector", "odet_vector")
DIVERGENCE = ("hdivsteps", "hdivrange", "hdivstep", "vdivsteps", "vdivrange", "vdivstep", "round_div")
DISPERSION = ("dispsteps", "dispersion", "dispstep")
SIZES = ("detsize_f", "detsize_s", "fpixels", "spixels", "pixel_size")


class Quantity(Record):
    """One value of the resolved experiment.

    section: one of `SECTIONS`. name, value, unit: in SI, but for what crystallographers have in Angstrom. source:
    default, flag, header, matrix (the file of -mat) or derived. origins: (option, Origin) of the options that it is or
    follows from, the one that it is in front. note: what is to be said besides, or None.
    """

    _fields = {
        "section": REQUIRED,
        "name": REQUIRED,
        "value": REQUIRED,
        "unit": "",
        "source": "derived",
        "origins": (),
        "note": None,
    }

    @property
    def source_text(self) -> str:
        """The source in words."""
        if self.source == "matrix":
            text = "matrix of " + ", ".join(str(o) for name, o in self.origins if name == "matrix_file")
        elif self.source != "derived":
            text = ", ".join(dict.fromkeys(str(origin) for _, origin in self.origins if origin.kind == self.source))
        else:
            given = dict.fromkeys(str(origin) for _, origin in self.origins if origin.kind != "default")
            text = "derived from " + (", ".join(given) or "defaults")
        return f"{text}; {self.note}" if self.note else text


def nearly_equal(value: Any, other: Any) -> Any:
    """Equal, or equal but for rounding: what was divided by a cosine and multiplied by it again."""
    if isinstance(value, tuple):
        return isinstance(other, tuple) and all(nearly_equal(*pair) for pair in zip(value, other, strict=True))
    if isinstance(value, float):
        return value == other or abs(value - other) <= 1e-12 * abs(other)
    return value == other


class Ledger:
    """Collects quantities. origin_of: a function from an option's name to its Origin."""

    def __init__(self, options: Any, origin_of: Any) -> None:
        self.options: Any = options
        self.origin_of: Any = origin_of
        self.found: list[Any] = []
        self.section: Any = None

    def direct(self, name: str, value: Any, unit: str = "", option: Any = None, note: str | None = None) -> None:
        """A value that an option may hold as it is; derived from it where it does not."""
        option = option or name
        given = nearly_equal(value, getattr(self.options, option))
        self.add(name, value, unit, (option,), None if given else "derived", note)

    def derived(self, name: str, value: Any, unit: str, *options: Any, note: str | None = None) -> None:
        """A value that follows from several options."""
        self.add(name, value, unit, options, "derived", note)

    def add(self, name: str, value: Any, unit: str, options: Any, source: Any = None, note: str | None = None) -> None:
        """Any value; source None: what its option's origin says."""
        origins = tuple((option, self.origin_of(option)) for option in options)
        if source is None:
            source = origins[0][1].kind
        self.found.append(Quantity(self.section, name, value, unit, source, origins, note))


def quantities(loaded: Any, origin_of: Any) -> Any:
    """The list of `Quantity` of a `Loaded` experiment. origin_of: gives the Origin of an option."""
    ledger = Ledger(loaded.options, origin_of)
    for section, describe in zip(SECTIONS, (_beam, _detector, _crystal, _factors, _sampling, _output), strict=True):
        ledger.section = section
        describe(ledger, loaded, loaded.options, loaded.experiment)
        _own_fields(ledger)
    return ledger.found


def _own_fields(ledger):
    """The fields of the section that flags of our own set, which none of the reference's numbers stands for."""
    part = ledger.section.replace(" ", "_")
    for row in FIELDS:
        rule = rule_of(RULES, row.options)
        if row.part == part and rule is not None and rule.group == OWN:
            ledger.add(row.name.replace("_", " "), row.from_options(ledger.options), row.unit, row.options)


def _frame(ledger, name, value, option):
    """A vector that the convention gives, or a flag under CUSTOM."""
    if ledger.options.convention == "CUSTOM":
        given = nearly_equal(value, tuple(float(x) for x in getattr(ledger.options, option)))
        ledger.add(name, value, "", (option, "convention"), None if given else "derived")
    else:
        ledger.add(name, value, "", ("convention",), note=f"convention {ledger.options.convention}")


def _steps(ledger, what, count, span, step, unit, options):
    """A number of steps, their range and their size, which fill one another in."""
    for name, value, in_unit, option in zip(
        (f"{what} steps", f"{what} range", f"{what} step"), (count, span, step), ("", unit, unit), options, strict=True
    ):
        given = nearly_equal(value, getattr(ledger.options, option))
        ledger.add(name, value, in_unit, (option,) if given else options, None if given else "derived")


def _beam(ledger, loaded, options, experiment):
    beam = experiment.beam
    grid = loaded.setup.grid
    _frame(ledger, "beam direction", beam.direction, "beam_vector")
    ledger.direct("wavelength", beam.wavelength, "m")
    if options.flux == 0.0:
        ledger.direct("fluence", beam.fluence, "photons/m^2")
    else:
        ledger.derived("fluence", beam.fluence, "photons/m^2", "flux", "exposure", "beamsize", "fluence")
    if options.flux != 0.0 and nearly_equal(beam.flux, options.flux):
        ledger.direct("flux", beam.flux, "photons/s")
    else:
        ledger.derived("flux", beam.flux, "photons/s", "fluence", "flux", "exposure", "beamsize")
    ledger.direct("exposure", beam.exposure, "s")
    ledger.direct("beam size", beam.size, "m", "beamsize")
    ledger.add("polarized", beam.polarized, "", ("nopolar",))
    ledger.direct("Kahn factor", beam.polarization, "", "polarization")
    _frame(ledger, "E-vector", beam.polarization_axis, "polar_vector")
    if options.source_file is not None:
        ledger.derived("sources", len(beam.sources), "", "source_file")
    else:
        for what, letter in (("horizontal divergence", "h"), ("vertical divergence", "v")):
            steps = (f"{letter}divsteps", f"{letter}divrange", f"{letter}divstep")
            _steps(ledger, what, *getattr(grid, f"{letter}div"), "rad", steps)
        _steps(ledger, "dispersion", *grid.dispersion, "of the wavelength", ("dispsteps", "dispersion", "dispstep"))
        ledger.derived("divergence steps", beam.divergence_steps, "", *DIVERGENCE)
        ledger.derived("sources", len(beam.sources), "", *DIVERGENCE, *DISPERSION)


def _detector(ledger, loaded, options, experiment):
    detector = experiment.detector
    custom = options.convention == "CUSTOM"
    ledger.direct("convention", detector.convention)
    if custom:
        ledger.add("pivot", detector.pivot, "", ("pivot", "convention"))
    else:
        ledger.add("pivot", detector.pivot, "", ("convention",), note=f"convention {options.convention}")
    for axis, edge, count in (("fast", "detsize_f", "fpixels"), ("slow", "detsize_s", "spixels")):
        if getattr(options, count):
            ledger.direct(f"pixels along {axis}", getattr(detector, count), "", count)
            ledger.derived(f"size along {axis}", getattr(detector, edge), "m", count, "pixel_size")
        else:
            ledger.derived(f"pixels along {axis}", getattr(detector, count), "", edge, "pixel_size")
            ledger.direct(f"size along {axis}", getattr(detector, edge), "m", edge)
    ledger.direct("pixel size", detector.pixel_size, "m", "pixel_size")

    orientation, distances, placed = _placement(options, detector)
    for name in ("distance", "close_distance"):
        value = getattr(detector, name)
        if nearly_equal(value, getattr(options, name)):
            ledger.direct(name.replace("_", " "), value, "m", name)
        else:
            ledger.derived(name.replace("_", " "), value, "m", *distances)
    for axis, vector, option in (
        ("fast axis", detector.fast, "fdet_vector"),
        ("slow axis", detector.slow, "sdet_vector"),
        ("normal", detector.normal, "odet_vector"),
    ):
        if any(getattr(options, name) for name in ROTATIONS):
            ledger.derived(axis, vector, "", *orientation)
        else:
            _frame(ledger, axis, vector, option)
    ledger.derived("origin (pix0)", detector.origin, "m", *placed)
    for name in ROTATIONS:
        if getattr(options, name):
            ledger.direct(name.replace("_", " "), getattr(options, name), "rad", name)
    for name in ("Xbeam", "Ybeam", "Xclose", "Yclose"):
        value = getattr(detector, name)
        if nearly_equal(value, getattr(options, name)):
            ledger.direct(name, value, "m")
        else:
            ledger.derived(name, value, "m", *_default_centre(options, name))
    for name, unit in (
        ("Fbeam", "m"), ("Sbeam", "m"), ("Fclose", "m"), ("Sclose", "m"), ("ORGX", "pixels"), ("ORGY", "pixels"),
    ):  # fmt: skip
        ledger.derived(name, getattr(detector, name), unit, *placed)
    ledger.direct("curved", detector.curved, "", "curved_det")
    ledger.direct("point pixel", detector.point_pixel, "", "point_pixel")
    _steps(ledger, "sensor layer", detector.thicksteps, detector.thickness, detector.thickstep, "m",
           ("detector_thicksteps", "detector_thick", "detector_thickstep"))  # fmt: skip
    if nearly_equal(detector.mu, options.detector_mu):
        ledger.direct("attenuation coefficient", detector.mu, "1/m", "detector_mu")
    else:
        ledger.derived("attenuation coefficient", detector.mu, "1/m", "detector_thick")
    if detector.roi == tuple(options.roi):
        ledger.direct("roi (fast, slow)", detector.roi, "", "roi")
    else:
        ledger.derived("roi (fast, slow)", detector.roi, "", "roi", *SIZES)
    if detector.mask is not None:
        ledger.direct("mask", detector.mask_name, "", "mask_file")


def _placement(options, detector):
    """The options that the detector's orientation, its distances, and its place follow from."""
    custom = options.convention == "CUSTOM"
    orientation = ("convention", *(AXES if custom else ()), *ROTATIONS)
    if custom and options.twotheta:
        orientation += ("twotheta_axis",)
    distance = ("distance",) if isnan(options.close_distance) else ("close_distance",)
    centre = (*_centre(options, detector), *(("pivot",) if custom else ()), *SIZES)
    # the near point of a detector that is not square to the beam follows from the beam centre
    askew = custom or any(getattr(options, name) for name in ROTATIONS)
    return orientation, (*distance, *orientation, *(centre if askew else ())), (*centre, *distance, *orientation)


def _centre(options, detector):
    """The options that place the beam centre, or the near point, on the detector."""
    if options.convention == "CUSTOM" or detector.pivot == "beam":
        return tuple(
            dict.fromkeys(("Xbeam", "Ybeam", *_default_centre(options, "Xbeam"), *_default_centre(options, "Ybeam")))
        )
    return "ORGX", "ORGY"


def _default_centre(options, name):
    """What a coordinate of the beam centre or the near point follows from where its own flag is missing."""
    if name in ("Xbeam", "Ybeam") and options.convention in ("ADXV", "MOSFLM", "DENZO"):
        return ("convention", *SIZES)
    near = ("ORGX", "Xclose") if name.startswith("X") else ("ORGY", "Yclose")
    return ("convention", *near, *SIZES)


def _crystal(ledger, loaded, options, experiment):
    crystal = experiment.crystal
    matrix = loaded.setup.matrix_file is not None
    lattice = []
    if options.user_cell:
        lattice += ["cell_lengths", "cell_angles"]
    if matrix:
        lattice += ["matrix_file", "wavelength"]
    source = "matrix" if matrix and not options.user_cell else "derived"
    turned = [*lattice, "misset"] if options.misset_mode == "angles" else lattice
    turned = [*lattice, "misset_mode", "misset_seed"] if crystal.random_misset else turned
    turned_source = "derived" if len(turned) > len(lattice) else source
    for name, values, unit, option in (
        ("lengths", crystal.lengths, "A", "cell_lengths"),
        ("angles", crystal.angles, "rad", "cell_angles"),
    ):
        given = options.user_cell and nearly_equal(values, getattr(options, option))
        ledger.add(f"cell {name}", values, unit, [option] if given else lattice, None if given else source)
    ledger.add("cell volume", crystal.volume, "A^3", lattice, "derived")
    for name in ("a", "b", "c"):
        ledger.add(name, getattr(crystal, name), "m", turned, turned_source)
    for name in ("a_star", "b_star", "c_star"):
        ledger.add(name.replace("_star", "*"), getattr(crystal, name), "1/A", turned, turned_source)
    if crystal.missets is None:
        ledger.add("misset", None, "", ("misset_mode",))
    elif crystal.random_misset:
        ledger.derived("misset", crystal.missets, "rad", "misset_mode", "misset_seed", note=_clock(options.misset_seed))
    else:
        ledger.direct("misset", crystal.missets, "rad")
    for axis, edge, count, letter in zip("abc", crystal.size, crystal.cells, "xyz", strict=True):
        sample = f"sample_{letter}"
        if getattr(options, sample) > 0:
            ledger.derived(f"cells along {axis}", count, "", sample, *lattice, "beamsize")
            ledger.derived(f"size along {axis}", edge, "m", sample, *lattice, "beamsize")
        else:
            ledger.direct(f"cells along {axis}", count, "", f"N{axis}")
            ledger.derived(f"size along {axis}", edge, "m", f"N{axis}", *lattice)
    ledger.direct("shape", crystal.shape)
    ledger.direct("fudge", crystal.fudge)
    for name, value, unit in (
        ("mosaic_spread", crystal.mosaic_spread, "rad"),
        ("mosaic_domains", crystal.mosaic_domains, ""),
    ):
        if nearly_equal(value, getattr(options, name)):
            ledger.direct(name.replace("_", " "), value, unit, name)
        else:
            ledger.derived(name.replace("_", " "), value, unit, "mosaic_spread", "mosaic_domains")
    if crystal.mosaic_domains > 1:
        ledger.direct("mosaic seed", options.mosaic_seed, "", "mosaic_seed")


def _factors(ledger, loaded, options, experiment):
    factors = experiment.structure_factors
    if options.hkl_file is not None:
        ledger.direct("table", options.hkl_file, "", "hkl_file")
        ledger.derived("reflections read", factors.count, "", "hkl_file")
        ledger.derived("bounds of h, k, l", factors.bounds, "", "hkl_file")
    elif factors.bounds is not None:
        ledger.direct("table", options.dump_file, "", "dump_file", note="it exists and there is no -hkl")
        ledger.derived("bounds of h, k, l", factors.bounds, "", "dump_file")
    else:
        ledger.direct("table", None, "", "hkl_file")
    ledger.direct("default F", factors.default_F, "", "default_F")


def _sampling(ledger, loaded, options, experiment):
    sampling = experiment.sampling
    automatic = ("Na", "Nb", "Nc", "sample_x", "sample_y", "sample_z", "cell_lengths", "matrix_file", "wavelength",
                 "distance", "close_distance", "pixel_size")  # fmt: skip
    if options.convention == "CUSTOM" or not nearly_equal(experiment.detector.distance, options.distance):
        automatic += _placement(options, experiment.detector)[1]
    if sampling.auto_oversample:
        note = "automatic: three sub-pixels a peak of the largest crystal edge"
        ledger.derived("oversample", sampling.oversample, "", *automatic, note=note)
    else:
        ledger.direct("oversample", sampling.oversample)
    for name in ("oversample_thick", "oversample_polar", "oversample_omega"):
        ledger.direct(name.replace("_", " "), getattr(sampling, name), "", name)
    ledger.direct("phi start", sampling.phi0, "rad", "phi0")
    _steps(ledger, "phi", sampling.phisteps, sampling.osc, sampling.phistep, "rad", ("phisteps", "osc", "phistep"))
    _frame(ledger, "spindle axis", sampling.spindle, "spindle_axis")
    ledger.direct("dmin", sampling.dmin, "m")
    if options.interpolate > 1:
        ledger.derived("interpolate", sampling.interpolate, "", "Na", "Nb", "Nc", "hkl_file")
    elif sampling.interpolate == bool(options.interpolate):
        ledger.add("interpolate", sampling.interpolate, "", ("interpolate",))
    else:
        ledger.derived("interpolate", False, "", "hkl_file", note="there is no table to interpolate in")
    ledger.direct("water", sampling.water, "m")
    sources = ("source_file",) if options.source_file is not None else (*DIVERGENCE, *DISPERSION)
    subpixels = automatic if sampling.auto_oversample else ("oversample",)
    ledger.derived("steps per pixel and layer", sampling.steps, "", *subpixels, "phisteps", "osc", "phistep",
                   "mosaic_domains", "mosaic_spread", *sources)  # fmt: skip


def _clock(seed):
    return "seeded by the clock: another one every second" if seed is None else None


def _output(ledger, loaded, options, experiment):
    ledger.direct("float image", options.float_file, "", "float_file")
    ledger.direct("integer image", options.int_file, "", "int_file")
    ledger.add("integer scale", options.scale if options.scale > 0 else None, "", ("scale",),
               note=None if options.scale > 0 else f"{BRIGHTEST:g} over the maximum")  # fmt: skip
    if options.write_pgm:
        ledger.add("PGM", options.pgm_file, "", ("pgm_file", "write_pgm"))
    else:
        ledger.add("PGM", None, "", ("write_pgm",))
    if options.write_noise:
        ledger.add("noise image", options.noise_file, "", ("noise_file", "write_noise"))
        ledger.add("noise seed", loaded.setup.noise_seed, "", ("seed",), note=_clock(options.seed))
    else:
        ledger.add("noise image", None, "", ("write_noise",))
    ledger.direct("zero-photon level", options.adc_offset, "", "adc_offset")
    ledger.direct("defects of the reference (compat)", options.compat, "", "compat")
    ledger.direct(
        "threads", options.threads, "", "threads", note="as many as may be used" if options.threads == 0 else None
    )
    ledger.direct("backend", options.backend)
    if options.backend != "cpu":
        ledger.direct("device", options.device)
    ledger.direct("precision", options.precision)
    if options.write_noise:
        ledger.direct("random numbers of the noise", options.noise_rng, "", "noise_rng")
