"""The lines that the drop-in program prints and the header of its images, exactly as the reference has them.

Scripts read these lines, so labels, order and number formats are an interface, misspellings included; only the words
after ``WARNING:`` are ours. Nothing here prints: every function returns a line or a list of lines without line feeds,
in the order in which the program goes through its work::

    reading_line(mask or img file)                      for each header that is read
    opening_lines(setup)                                warnings that come before the program's name
    setup_lines(setup)                                  up to the molecular weight
    counting_line, filling_lines, dump_line, dump_read_line, reading_line(stol file)
    sweep_lines(setup), then source_lines(experiment)   the source file is read between the two
    summary_lines(experiment, noise_seed)
    pixel_lines(...) or progress_lines(roi)             while the image is rendered
    solid_angle_line ... photons_line                   statistics and files

`setup` is the Setup of `nanobragg_py.experiment.resolve`; where only an Experiment is at hand, what takes one is
complete.
"""

from math import atan2, copysign, pi, sin, sqrt
from sys import byteorder

from ..kernels.loops.job import SHAPES
from ..vectors import DEGREES_PER_RADIAN, cross

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def c_format(text: "Any", *values: "Any") -> "Any":
    """`text % values` as C's printf writes it: a nan shows its sign.

    Only the conversions that both languages share may be used, and no `%%` where a value may be nan.
    """
    line = text % values
    if "nan" not in line or not any(value != value and copysign(1.0, value) < 0 for value in values):
        return line
    head, *conversions = text.split("%")
    pieces = [head]
    for conversion, value in zip(conversions, values, strict=True):
        piece = f"%{conversion}" % value
        if value != value and copysign(1.0, value) < 0:
            piece = piece.replace(" nan" if piece.startswith(" ") else "nan", "-nan", 1)
        pieces.append(piece)
    return "".join(pieces)


def _warnings(setup, place):
    """The warnings that belong to a place in the report, with the lines of numbers that follow some of them."""
    lines = []
    for where, text, numbers in setup.warnings:
        if where == place:
            lines.append(f"WARNING: {text}")
            lines += numbers
    return lines


def _degrees(angles):
    return tuple(angle * DEGREES_PER_RADIAN for angle in angles)


def _columns(title, names, vectors):
    """Three vectors as the columns of a table."""
    lines = [title, c_format("     %-10s  %-10s  %-10s", *names)]
    for axis, components in zip("XYZ", zip(*vectors, strict=True), strict=True):
        lines.append(c_format(axis + ": %11.8f %11.8f %11.8f", *components))
    return lines


def reading_line(name: str) -> str:
    """A mask, header image, matrix or stol file that is being read."""
    return f"reading {name}"


def opening_lines(setup: "Any") -> "list[str]":
    """The warnings that precede the program's name."""
    return _warnings(setup, "options")


def setup_lines(setup: "Any") -> "list[str]":
    """Detector convention, cell and crystal size: everything between the program's name and the structure factors."""
    detector, crystal, sampling = setup.detector, setup.crystal, setup.sampling
    lines = _warnings(setup, "steps")
    lines.append(f"{detector.convention.lower()} convention selected.")
    lines.append("pivoting detector around " + ("sample" if detector.pivot == "sample" else "direct beam spot"))
    lines.append(c_format("XDS incident beam: %g %g %g", *detector.beam_in_detector_frame))
    if setup.auto_interpolation:
        lines.append(
            "auto-selected "
            + ("tricubic interpolation of structure factors" if sampling.interpolate else "no interpolation")
        )
    lines += _warnings(setup, "cell")
    if setup.matrix_file is not None:
        lines.append(reading_line(setup.matrix_file))
    if crystal.random_misset:
        lines.append(c_format("random orientation misset angles: %f %f %f deg", *_degrees(crystal.missets)))
    lines += _warnings(setup, "lattice")
    lines.append(c_format("Unit Cell: %g %g %g %g %g %g", *crystal.lengths, *_degrees(crystal.angles)))
    lines.append(
        c_format("Recp Cell: %g %g %g %g %g %g", *crystal.reciprocal_lengths, *_degrees(crystal.reciprocal_angles))
    )
    lines.append(c_format("volume = %g A^3", crystal.volume))
    lines += _columns("real-space cell vectors (Angstrom):", ("a", "b", "c"), setup.cell_vectors)
    stars = (crystal.a_star, crystal.b_star, crystal.c_star)
    lines += _columns("reciprocal-space cell vectors (Angstrom^-1):", ("a_star", "b_star", "c_star"), stars)
    lines.append(c_format("crystal is %g x %g x %g microns", *(edge * 1e6 for edge in crystal.size)))
    if sampling.auto_oversample:
        lines.append(f"auto-selected {sampling.oversample}-fold oversampling")
    lines += _warnings(setup, "sampling")
    lines.append(c_format("approximate MW = %g", crystal.molecular_weight))
    return lines


def counting_line(hkl_file: str) -> str:
    """A structure-factor file has been opened."""
    return f"counting entries in {hkl_file}"


def filling_lines(hkl_file: str, default_F: "Any") -> "list[str]":
    """The structure-factor file has been counted: its box is set to the default, and it is read again."""
    lines = []
    if default_F != 0.0:
        lines += [c_format("initializing to default_F = %g:", default_F), "done initializing:"]
    return [*lines, f"re-reading {hkl_file}"]


def dump_line(dump_file: str) -> str:
    """The structure factors are about to be written to the dump file."""
    return f"writing dump file for next time: {dump_file}"


def dump_read_line(dump_file: str) -> str:
    """A dump file has been opened for reading."""
    return f"reading Fs from {dump_file}"


def sweep_lines(setup: "Any") -> "list[str]":
    """The sensor layers and the phi steps, of a Setup or an Experiment."""
    detector, sampling = setup.detector, setup.sampling
    lines = [f"thick{i} = {detector.thickstep * i * 1e6:g} um" for i in range(detector.thicksteps)]
    for i in range(sampling.phisteps):
        lines.append(f"phi{i} = {(sampling.phi0 + sampling.phistep * i) * DEGREES_PER_RADIAN:g}")
    return lines


def source_lines(experiment: "Any") -> "list[str]":
    """The divergence and wavelength grids, the sources and the number of mosaic domains."""
    return [*beam_lines(experiment.beam), f"  created a total of {experiment.crystal.mosaic_domains} mosaic domains"]


def beam_lines(beam: "Any") -> "list[str]":
    """The divergence and wavelength grids, and the sources."""
    lines = [f"divergence deviation: {hdiv:g} {vdiv:g}" for hdiv, vdiv in beam.divergence_deviations]
    lines += [f"lambda{i} = {wavelength:.15g}" for i, wavelength in enumerate(beam.wavelength_steps)]
    lines.append(f"  created a total of {len(beam.sources)} sources:")
    lines += [f"{x:g} {y:g} {z:g}   {weight:g} {wavelength:g}" for x, y, z, weight, wavelength in beam.sources]
    return lines


def wave_lines(beam: "Any", detector: "Any") -> "list[str]":
    """Of the summary: wavelengths, polarization, and what of a pixel's place does not count."""
    lines = [
        c_format("  wave=%g meters +/- %g", beam.wavelength, beam.dispersion * 100)
        + f"% in {beam.dispersion_steps} steps"
    ]
    if beam.polarized:
        lines.append(c_format("  Kahn polarization factor: %f", beam.polarization))
    else:
        lines.append("  polarization effect disabled")
    if detector.curved:
        lines.append("  curved detector: all pixels same distance from origin")
    if detector.point_pixel:
        lines.append("  pixel obliquity effect disabled")
    return lines


def fluence_line(beam: "Any") -> str:
    """Of the summary."""
    return c_format("  incident fluence: %g photons/m^2", beam.fluence)


def size_line(detector: "Any") -> str:
    """Of the summary: the detector's distance and size."""
    return c_format(
        "  distance=%g detsize=%gx%g  pixel=%g meters (%dx%d pixels)",
        detector.distance,
        detector.detsize_f,
        detector.detsize_s,
        detector.pixel_size,
        detector.fpixels,
        detector.spixels,
    )


def grid_lines(beam: "Any", detector: "Any") -> "list[str]":
    """Of the summary: the region of interest, and the grid of directions."""
    return [
        c_format("  roi: %d < x < %d && %d < y < %d", *detector.roi),
        c_format("  hdivrange=%g hdivstep=%g  radians", beam.hdivrange, beam.hdivstep),
        c_format("  vdivrange=%g vdivstep=%g  radians", beam.vdivrange, beam.vdivstep),
        f"  {beam.divergence_steps} divergence steps",
        f"  {len(beam.sources)} sources",
    ]


def summary_lines(experiment: "Any", noise_seed: "Any" = None) -> "list[str]":
    """The list of what is about to be rendered. noise_seed: None without a noise image."""
    beam, detector = experiment.beam, experiment.detector
    crystal, sampling, factors = experiment.crystal, experiment.sampling, experiment.structure_factors
    number = "%.0f" if all(n == int(n) for n in crystal.cells) else "%g"
    lines = [
        c_format("  %d initialized hkls (all others =%g)", factors.count, factors.default_F),
        "  " + SHAPES[crystal.shape] + c_format(f" xtal: {number}x{number}x{number} cells", *crystal.cells),
        *wave_lines(beam, detector),
        fluence_line(beam),
        size_line(detector),
    ]
    lines.append(
        c_format(
            "  sensor is %g m thick in %d layers with mu= %g", detector.thickness, detector.thicksteps, detector.mu
        )
    )
    for first, second in (("Xbeam", "Ybeam"), ("Fbeam", "Sbeam"), ("Xclose", "Yclose"), ("Fclose", "Sclose")):
        lines.append(c_format(f"  {first}=%g {second}=%g", getattr(detector, first), getattr(detector, second)))
    for label, vector in (
        ("DIRECTION_OF_DETECTOR_X-AXIS=", detector.fast),
        ("DIRECTION_OF_DETECTOR_Y-AXIS=", detector.slow),
        ("DIRECTION_OF_DETECTOR_Z-AXIS=", detector.normal),
        ("INCIDENT_BEAM_DIRECTION=", beam.direction),
        ("spindle ROTATION_AXIS=", sampling.spindle),
        ("POLARIZATION_PLANE_NORMAL=", cross(beam.direction, beam.polarization_axis)),
        ("dials origin=", detector.dials_origin),
    ):
        lines.append(c_format(f"  {label} %g %g %g", *vector))
    lines += grid_lines(beam, detector)
    lines.append(
        c_format(
            "  %d mosaic domains over mosaic spread of %g degrees",
            crystal.mosaic_domains,
            crystal.mosaic_spread * DEGREES_PER_RADIAN,
        )
    )
    lines.append(
        c_format(
            "  %d phi steps from %g to %g degrees",
            sampling.phisteps,
            *_degrees((sampling.phi0, sampling.phi0 + sampling.osc)),
        )
    )
    weighted = [name for name in ("thick", "polar", "omega") if getattr(sampling, f"oversample_{name}")]
    lines.append(
        f"  {sampling.oversample}x{sampling.oversample} pixel oversample steps"
        + "".join(f" +{name}" for name in weighted)
    )
    if detector.mask is not None:
        lines.append(f"  skipping zero-flagged pixels in {detector.mask_name}")
    if noise_seed is not None:
        lines += [
            "",
            "  noise image paramters:",
            f"  seed: {noise_seed}",
            c_format("  water droplet size: %g m", sampling.water),
        ]
    return lines


def stol_line(fast: int, slow: int, pixel: "Any", wavelength: "Any") -> str:
    """Of one pixel: sin(theta)/lambda at its last step, and for the central wavelength."""
    x, y, z = pixel["position"]
    twotheta = atan2(sqrt(y * y + z * z), x)
    central = sin(twotheta / 2.0) / (wavelength * 1e10)
    return c_format("%4d %4d : stol = %g or %g", fast, slow, pixel["stol"], central)


def pixel_lines(fast: int, slow: int, pixel: "Any", wavelength: "Any") -> "list[str]":
    """What -printout says of one pixel: the values at the pixel's last step.

    fast, slow: the pixel's indices. wavelength: the beam's central one, m. pixel: a mapping with

    - stol: sin(theta)/lambda, 1/m; position: of the last sub-pixel, m (3 floats)
    - hkl: the fractional Miller indices (3 floats); hkl0: the integers next to them (3 ints); F_cell, F_latt
    - I: the sum before it is scaled; steps: how many it is divided by
    - polar, omega, capture_fraction: the corrections; value: of the float image
    - a, b, c: the cell vectors as last rotated, m (3 floats each)
    """
    lines = [
        stol_line(fast, slow, pixel, wavelength),
        c_format("at %g %g %g", *pixel["position"]),
        c_format("hkl= %f %f %f  hkl0= %d %d %d", *pixel["hkl"], *pixel["hkl0"]),
        c_format(" F_cell=%g  F_latt=%g   I = %g", pixel["F_cell"], pixel["F_latt"], pixel["I"]),
    ]
    for label, number in (
        ("I/steps", pixel["I"] / pixel["steps"]),
        ("polar  ", pixel["polar"]),
        ("omega  ", pixel["omega"]),
        ("capfrac", pixel["capture_fraction"]),
        ("pixel  ", pixel["value"]),
    ):
        lines.append(c_format(label + " %15.10g", number))
    in_angstrom = [tuple(component * 1e10 for component in pixel[name]) for name in "abc"]
    return lines + _columns("real-space cell vectors (Angstrom):", ("a", "b", "c"), in_angstrom)


def progress_lines(roi: "Any") -> "list[Any]":
    """The progress meter for a region of interest: (n, line) in order, the line being due once n + 1 pixels are done.

    Masked pixels, and what of the region lies beyond the detector, are never done, so the last lines may not come.
    """
    xmin, xmax, ymin, ymax = roi
    pixels = (xmax - xmin + 1) * (ymax - ymin + 1)
    twentieth, hundredth = pixels // 20, pixels // 100
    if hundredth < 1:
        return []
    due = set(range(0, pixels, twentieth))
    due.update(n for n in range(0, pixels, hundredth) if 10 * n < pixels or 10 * n > 9 * pixels)
    return [(n, f"{n * 100 // pixels}% done") for n in sorted(due)]


def solid_angle_line(omega_sum: "Any", steps: int) -> str:
    """omega_sum: of the solid angle over pixels, layers and sub-pixels, steradian; steps: of the whole sampling."""
    return (
        c_format(
            "solid angle subtended by detector = %g steradian ( %g",
            omega_sum / steps,
            100 * omega_sum / steps / 4 / pi,
        )
        + "% sphere)"
    )


def writing_floats_line(name: str, pixels: "Any") -> str:
    """The float image is about to be written."""
    return f"writing {name} as {pixels} 4-byte floats"


def writing_integers_line(name: str, size: "Any") -> str:
    """An image of integers, of `size` bytes each (2, or 1 for the PGM), is about to be written."""
    return f"writing {name} as {size}-byte integers"


def maximum_line(maximum: "Any", fast: int, slow: int) -> str:
    """The largest value and where it lies along the fast and slow axes, m."""
    return c_format("max_I = %g  at %g %g", maximum, fast, slow)


def spread_line(mean: float, rms: float, rmsd: float) -> str:
    """The mean, root mean square and root mean square deviation of the float image."""
    return c_format("mean= %g rms= %g rmsd= %g", mean, rms, rmsd)


def integer_scale_line(scale: float) -> str:
    """The scale of the integer image."""
    return c_format("intfile_scale = %g", scale)


def pgm_scale_line(scale: float) -> str:
    """The scale of the PGM."""
    return c_format("pgm_scale = %g", scale)


def photons_line(photons: "Any", overloads: "Any") -> str:
    """The photons of the noise image and the pixels that were clipped."""
    return c_format("%.0f photons on noise image (%d overloads)", photons, overloads)


def smv_header(experiment: "Any", noise: bool = False) -> "Any":
    """The 512-byte header of the integer image, or of the noise image, as bytes.

    Numbers with many digits can make it longer than 512 bytes, in which case it is not padded and the image that
    follows starts late: so it is with the reference, whose HEADER_BYTES is a constant.
    """
    beam, detector, sampling = experiment.beam, experiment.detector, experiment.sampling
    pixel = detector.pixel_size
    # the two images differ in the sign of a zero
    nothing = 0.0 * pixel if noise else -0.0 * pixel
    phi0, osc, twotheta = _degrees((sampling.phi0, sampling.osc, detector.twotheta))
    fields = [
        ("PIXEL_SIZE", pixel * 1000.0),
        ("DISTANCE", detector.distance * 1000.0),
        ("WAVELENGTH", beam.wavelength * 1e10),
        ("BEAM_CENTER_X", detector.Xbeam * 1000.0),
        ("BEAM_CENTER_Y", detector.Ybeam * 1000.0),
        ("ADXV_CENTER_X", detector.Fbeam * 1000.0),
        ("ADXV_CENTER_Y", (detector.detsize_s - detector.Sbeam) * 1000.0),
        ("MOSFLM_CENTER_X", (detector.Sbeam - 0.5 * pixel) * 1000.0),
        ("MOSFLM_CENTER_Y", (detector.Fbeam - 0.5 * pixel) * 1000.0),
        ("DENZO_X_BEAM", (detector.Sbeam + nothing) * 1000.0),
        ("DENZO_Y_BEAM", (detector.Fbeam + nothing) * 1000.0),
        (None, c_format("DIALS_ORIGIN=%g,%g,%g", *detector.dials_origin)),
        ("XDS_ORGX", detector.ORGX),
        ("XDS_ORGY", detector.ORGY),
        ("CLOSE_DISTANCE", detector.close_distance * 1000.0),
        ("PHI", phi0),
        ("OSC_START", phi0),
        ("OSC_RANGE", osc),
        ("TWOTHETA", twotheta),
    ]
    return smv_block(detector, fields)


def smv_block(detector: "Any", fields: "Any") -> bytes:
    """A header with these rows (key, number), or (None, line), after the size and type of the pixels."""
    lines = [
        "{",
        "HEADER_BYTES=512;",
        "DIM=2;",
        f"BYTE_ORDER={byteorder}_endian;",
        "TYPE=unsigned_short;",
        f"SIZE1={detector.fpixels};",
        f"SIZE2={detector.spixels};",
    ]
    lines += [value if key is None else c_format(f"{key}=%g;", value) for key, value in fields]
    lines += ["DETECTOR_SN=000;", "BEAMLINE=fake;", "}\f"]
    return "\n".join(lines).encode("ascii").ljust(512)
