"""The drop-in program: reads the reference's command line, prints its lines, writes its files.

Everything is done elsewhere; this is the order in which it is done. Nothing here may import numpy, re, argparse and
their like: on a small image the interpreter's start is most of the run time (a test keeps the list).
"""

from ..flags.nanobragg import TABLE, parse, prescan, warning_sentences
from ..flags.options import Options
from .console import Clock, announce, answer, complain, guard, name_headers, say, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(argv: "Any") -> "Any":
    """Run the program with argv (the name first); returns the exit status."""
    return guard(run, TABLE, argv)


def run(argv: "Any") -> int:
    """Read the command line, render, write; raises NanoBraggError."""
    clock = Clock()
    options = Options()
    mask, opening = read_headers(argv, options)
    events = []
    parse(argv, options, events)
    if answer(options, TABLE):
        return 0
    for sentence in warning_sentences(argv, events):
        warn(sentence)

    # after the options, so that -help and a mistyped flag cost nothing
    from ..experiment.load import load
    from ..files import report
    from .meter import progress_meter

    loaded = load(options, opening, mask, say=say, complain=warn, prepare=prepare)
    experiment, table = loaded.experiment, loaded.table
    panels, experiment = whole(experiment, options)
    if options.trace_pixel is not None:
        from .pixels import check_trace

        check_trace(panels or experiment, options)
    if options.backend == "cpu":
        tell_of_time(panels or experiment, options)
    clock.mark("setup")

    meter = progress_meter(options, experiment.detector.roi)
    image, statistics, compute = render(panels or experiment, table, options, meter)
    clock.mark("render")
    if meter is not None:
        meter.close()
    lines = []
    if options.printout:
        from .pixels import printout_lines

        lines += printout_lines(experiment, table, options, image)
    if statistics.not_interpolated:
        lines += interpolation_warnings(statistics)
    else:
        lines.append("")
    lines.append(report.solid_angle_line(statistics.solid_angle, experiment.sampling.steps))
    say(lines)
    # what still has the image on a GPU
    device = None if compute.backend == "cpu" or panels or experiment.is_sum else compute.renderer
    write_outputs(experiment, options, image, statistics, loaded.random, loaded.setup.noise_seed, clock, device)
    if options.trace_pixel is not None:
        from .pixels import trace_lines

        say(trace_lines(panels or experiment, table, options, image, argv))
    if options.timing:
        report_timing(clock, statistics.seconds, statistics.pixels * experiment_steps(experiment))
    return 0


def whole(experiment: "Any", options: "Any") -> "tuple[Any, Any]":
    """The experiment with its panels, None without any; and that of the image that is written, with all of them."""
    if not experiment.panels:
        return None, experiment
    from ..render.panels import stored_experiment

    if len(experiment.panels) > 1:
        warn(
            f"{len(experiment.panels)} panels are written as one image, whose headers can tell of the first one alone; "
            f"keep {options.geometry_file} beside it"
        )
    roi = None
    if max(options.roi) >= 0:
        from ..experiment.resolve.detector import region

        roi = region(options, *experiment.stored_shape[::-1])
    return experiment, stored_experiment(experiment, roi)


def tell_of_time(experiment: "Any", options: "Any") -> None:
    """Say so before long times are spent."""
    from ..render.backends import expected_seconds, steps_of

    seconds = expected_seconds(experiment, options.threads, options.compat)
    announce("pixels, sub-pixels, sources, domains, phi steps, layers", steps_of(experiment), seconds)


def prepare(options: "Any") -> None:
    """What comes before the first file is read that may be large, or written."""
    check_outputs(options)
    from .warmup import import_loops

    import_loops(options.threads, "loops.render", "noise.poisson")


def read_headers(argv: "Any", options: "Any") -> "Any":
    """The first pass over the command line: the mask's pixels and the lines to print."""
    mask_file, img_file = prescan(argv)
    if mask_file is None and img_file is None:
        return None, ()
    from ..experiment.load import read_headers

    taken: dict[str, str] = {}
    found = read_headers(mask_file, img_file, options, warn, taken=taken)
    name_headers(options, taken)
    return found


def render(experiment: "Any", table: "Any", options: "Any", meter: "Any") -> "tuple[Any, Any, Any]":
    """The image, its statistics, and the `Compute` with the backend that rendered, also where "auto" took it."""
    from ..render.backends import Compute
    from ..render.simulate import simulate

    compute, sentence = Compute.of(options).chosen(experiment)
    if sentence is not None:
        complain(sentence)
    if experiment.panels:
        from ..render.panels import simulate_stored

        return *simulate_stored(experiment, table, compute, meter), compute
    image, statistics = simulate(experiment, table, None, compute, meter)
    return image, statistics, compute


def check_outputs(options: "Any") -> None:
    """Find out before the work whether its results can be written."""
    from ..files.atomic import check_writable

    check_writable(options.float_file, "give another name with -floatfile")
    check_writable(options.int_file, "give another name with -intfile")
    if options.write_pgm:
        check_writable(options.pgm_file, "give another name with -pgmfile, or -nopgm")
    if options.write_noise:
        check_writable(options.noise_file, "give another name with -noisefile, or -nonoise")


# ---- writing -------------------------------------------------------------------------------------------------------


def write_outputs(
    experiment: "Any",
    options: "Any",
    image: "Any",
    statistics: "Any",
    random: "Any",
    noise_seed: "Any",
    clock: "Any",
    device: "Any",
) -> None:
    """The four images in the reference's order, each with its lines before it."""
    from ..files import report
    from ..files.atomic import write_file
    from ..files.pgm import write_pgm
    from ..files.smv import integer_scale, write_scaled_smv
    from ..kernels.files.imagefile import smv_pixels
    from ..render.backends import team_size

    detector, threads = experiment.detector, team_size(options.threads)
    noise: Any = ()
    pixels = detector.fpixels * detector.spixels
    if options.write_noise:
        noise, ahead = begin_noise(experiment, options, image, random, noise_seed, device, threads)
        threads -= ahead
    say([report.writing_floats_line(options.float_file, pixels)])
    write_file(options.float_file, image)
    clock.mark("float image")

    scale = options.scale
    if scale <= 0.0:
        scale = integer_scale(statistics.maximum)
    say(
        [
            report.maximum_line(statistics.maximum, *statistics.maximum_at),
            report.spread_line(statistics.mean, statistics.rms, statistics.rmsd),
            report.integer_scale_line(scale),
            report.writing_integers_line(options.int_file, 2),
        ]
    )
    header, convert = report.smv_header(experiment), smv_pixels if device is None else device.smv_pixels
    roi = detector.roi
    write_scaled_smv(options.int_file, header, image, scale, options.adc_offset, roi, convert=convert, threads=threads)
    clock.mark("integer image")
    if options.write_pgm:
        pgm_scale = options.pgm_scale
        if pgm_scale <= 0.0:
            pgm_scale = 250.0 / (5.0 * statistics.rmsd) if statistics.rmsd > 0.0 else scale
        say([report.pgm_scale_line(pgm_scale), report.writing_integers_line(options.pgm_file, 1)])
        write_pgm(options.pgm_file, image, pgm_scale, roi, threads=threads)
        clock.mark("PGM")
    if options.write_noise:
        write_noise(experiment, options, *noise)
        clock.mark("noise image")


def begin_noise(
    experiment: "Any", options: "Any", image: "Any", random: "Any", seed: "Any", device: "Any", threads: int
) -> "Any":
    """The noise and its blocks, and whether a thread draws these from here on.

    The serial stream needs none but its own thread, while files without noise need the others.
    """
    from ..render.noise import noise_blocks, noise_maker

    noise = noise_maker(options.noise_rng, random, seed, options.threads)
    if device is not None and options.noise_rng == "philox":
        noise = device.noise(noise)
    adc, ahead = experiment.whole_offset(options.adc_offset), threads > 1 and options.noise_rng == "ran1"
    return (noise, noise_blocks(noise, image, experiment.detector.roi, adc, ahead)), ahead


def write_noise(experiment: "Any", options: "Any", noise: "Any", blocks: "Any") -> None:
    from ..files import report
    from ..files.atomic import OutputFile

    with OutputFile(options.noise_file) as file:
        file.write(report.smv_header(experiment, noise=True))
        for block in blocks:
            file.write(block)
        say(
            [
                report.photons_line(noise.photons, noise.overloads),
                report.writing_integers_line(options.noise_file, 2),
            ]
        )


# ---- what is printed -----------------------------------------------------------------------------------------------


def report_timing(clock: "Any", loop_seconds: float, steps: int) -> None:
    """Print milliseconds a part, and nanoseconds a step for the loop."""
    clock.report()
    each = loop_seconds / max(1, steps)
    complain(f"timing: loop {loop_seconds * 1e3:.3f} ms for {steps} steps, {each * 1e9:.3f} ns each")
    clock.report_total()


def interpolation_warnings(statistics: "Any") -> "list[Any]":
    return [
        f"WARNING: {statistics.not_interpolated} steps lie outside the range in which structure factors can be "
        "interpolated; the nearest index was used there.",
        "WARNING: a larger table (-hkl), or -nointerpolate, avoids the seam.",
    ]


def experiment_steps(experiment: "Any") -> "Any":
    """Contributions summed for one pixel."""
    return experiment.sampling.steps * experiment.detector.thicksteps
