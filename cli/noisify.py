"""noisify: reads the reference's command line, prints its lines, writes its files.

Everything is done elsewhere; this is the order in which it is done. As in cli/dropin.py, what is imported counts.
"""

from time import time

from ..errors import NanoBraggError
from ..flags.noisify import TABLE, NoisifyOptions
from .console import Clock, answer, complain, guard, say, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: electrons scatter so many photons a steradian after a fluence of one photon per square metre
THOMSON = 7.94079248018965e-30


def main(argv: "Any") -> "Any":
    """Run the program with argv (the name first); returns the exit status."""
    return guard(run, TABLE, argv)


def run(argv: "Any") -> int:
    """Read the command line and the image, make the detector's image of it, write; raises NanoBraggError."""
    clock = Clock()
    options, events = NoisifyOptions(), []
    TABLE.parse(argv, options, events)
    if answer(options, TABLE):
        return 0
    from ..experiment.noisify import load
    from ..files import report_noisify as report

    say([report.unknown_psf_line(event[3][0]) for event in events if event[4] == [("psf", None)]])
    for sentence in TABLE.warning_sentences(argv, events):
        warn(sentence)
    if options.seed is None:
        options.seed = -int(time())
    say([report.opening_line()])
    frame = load(options, say, warn)
    if not options.write_noise:
        options.flicker = options.calibration = options.readout = 0.0
    say(report.settings_lines(options, frame))
    clock.mark("input")

    photons = photons_of(options, frame)
    clock.mark("scale")
    if not options.write_noise and spreads(options):
        say([report.spreading_noiseless_line(width_of(options, frame))])
        photons = spread(options, frame, photons)
        clock.mark("point spread")
    negative = write_noiseless(options, frame, photons, clock)
    if options.write_noise:
        negative += write_noisy(options, frame, photons, clock)
    if negative and options.compat != "c":
        complain(f"{negative} pixels below 0, or no numbers, were written as 0; a larger -adc raises them")
    if options.timing:
        clock.report()
        clock.report_total()
    return 0


def photons_of(options: "Any", frame: "Any") -> "Any":
    """The input on the scale of photons a pixel, in place, with the lines about it."""
    from ..files import report_noisify as report
    from ..render.backends import level_module

    to_photons = level_module("noise.response")[0].to_photons
    maximum, negatives = to_photons(frame.image, options.fluence * THOMSON * options.scale)
    say([report.negative_line(frame.name, value) for value in negatives])
    say([report.maximum_line(maximum, maximum * options.scale * options.fluence * THOMSON)])
    return frame.image


def spreads(options: "Any") -> "Any":
    """Whether there is a point spread."""
    return options.psf is not None and options.psf_fwhm > 0.0


def width_of(options: "Any", frame: "Any") -> "Any":
    """The width of the point spread in pixels."""
    return options.psf_fwhm / frame.pixel_size if frame.pixel_size else float("inf")


def spread(options: "Any", frame: "Any", photons: "Any") -> "Any":
    """The photons after the point spread."""
    from ..files import report_noisify as report
    from ..render.detector import spread_photons

    side = max(frame.fast, frame.slow)
    if options.psf_radius > side:
        warn(f"-psf_radius {options.psf_radius} is more than the image has pixels a side, and was cut to {side}")
    found = spread_photons(
        photons,
        options.psf,
        width_of(options, frame),
        options.psf_radius,
        options.threads,
        options.psf_method,
    )
    say(report.spread_lines(found))
    return found.image


def write_noiseless(options: "Any", frame: "Any", photons: "Any", clock: "Any") -> "Any":
    """The integer image and the PGM; returns how many pixels were below 0."""
    from ..files import report_noisify as report
    from ..files.atomic import OutputFile
    from ..files.blocks import row_blocks
    from ..render.backends import level_module

    noise = level_module("noise.response")[0]
    pixels, wrap = noise.DetectorNoise(0, 0), options.compat == "c"
    if options.bits in (16, 32):
        say([report.writing_int_line(options.int_file, frame.fast * frame.slow, options.bits // 8)])
    with OutputFile(options.int_file, "give another name with -intfile") as file:
        file.write(report.smv_header(options, frame))
        for first, block in row_blocks(frame.slow, frame.fast, "i" if options.bits == 32 else "H"):
            pixels.pixels(photons, first, block, options.gain, options.adc_offset, 0.0, wrap, 65535.0)
            if options.bits in (16, 32):
                file.write(block)
    clock.mark("integer image")
    if options.write_pgm:
        say([report.writing_line(options.pgm_file, 1)])
        with OutputFile(options.pgm_file, "give another name with -pgmfile, or -nopgm") as file:
            file.write(f"P5\n{frame.fast} {frame.slow}\n# pixels scaled by 1\n255\n".encode())
            for first, block in row_blocks(frame.slow, frame.fast, "B"):
                noise.pgm_pixels(photons, first, block, options.gain, options.adc_offset, wrap)
                file.write(block)
        clock.mark("PGM")
    return pixels.negative


def write_noisy(options: "Any", frame: "Any", photons: "Any", clock: "Any") -> "Any":
    """The image with noise; returns how many pixels were below 0."""
    from ..files import report_noisify as report
    from ..files.atomic import write_file
    from ..kernels.memory.buffers import Buffer
    from ..render.detector import detector_noise

    try:
        noise = detector_noise(options.seed, options.calib_seed)
    except NanoBraggError as error:
        raise NanoBraggError(f"-seed or -calib_seed: {error}") from None
    counted = noise.count(photons, options.flicker, options.calibration)
    clock.mark("photon noise")
    if spreads(options):
        say(report.spreading_lines(counted, options.psf_fwhm))
        photons = spread(options, frame, photons)
        clock.mark("point spread")
    pixels = Buffer((frame.slow, frame.fast), "i" if options.bits == 32 else "H", zero=False)
    noise.pixels(photons, 0, pixels, options.gain, options.adc_offset, options.readout, options.compat == "c")
    clock.mark("read-out")
    written = options.bits in (16, 32)
    say([report.photons_line(noise.photons, noise.overloads if written else 0)])
    if written:
        say([report.writing_line(options.noise_file, options.bits // 8)])
    write_file(
        options.noise_file,
        report.smv_header(options, frame),
        *([pixels] if written else []),
        advice="give another name with -noisefile, or -nonoise",
    )
    clock.mark("noise image")
    return noise.negative
