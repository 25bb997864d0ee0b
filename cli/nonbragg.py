"""nonBragg: reads the reference's command line, prints its lines, writes its files.

Everything is done elsewhere; this is the order in which it is done. As in cli/dropin.py, what is imported counts.
"""

from ..errors import Sentence
from ..flags.nonbragg import TABLE, NonBraggOptions, flag_name
from .console import Clock, announce, answer, complain, guard, name_headers, say, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(argv: "Any") -> "Any":
    """Run the program with argv (the name first); returns the exit status."""
    Sentence.flag_name = staticmethod(flag_name)
    return guard(run, TABLE, argv)


def run(argv: "Any") -> int:
    """Read the command line, render, write; raises NanoBraggError."""
    clock = Clock()
    options, events = NonBraggOptions(), []
    name = TABLE.prescan(argv)["img_file"]
    image, opening = None, []
    if name is not None:
        from ..experiment.load_background import read_image

        taken: dict[str, str] = {}
        image, opening = read_image(name, options, warn, taken)
        name_headers(options, taken)
    TABLE.parse(argv, options, events)
    if answer(options, TABLE):
        return 0
    for sentence in TABLE.warning_sentences(argv, events):
        warn(sentence)

    # after the options, so that -help and a mistyped flag cost nothing
    from ..experiment.load_background import load
    from ..files import report_nonbragg as report
    from ..render.background import expected_seconds, render_background, statistics, steps_of
    from .meter import progress_meter
    from .warmup import import_loops

    import_loops(options.threads, "loops.background")
    loaded = load(options, image, opening, say, warn)
    background = loaded.background
    clock.mark("setup")

    announce("pixels, sub-pixels, sources", steps_of(background), expected_seconds(background, options.threads))
    meter = progress_meter(options, background.detector.roi)
    rendered = render_background(background, threads=options.threads, progress=meter)
    clock.mark("render")
    if meter is not None:
        meter.close()
    lines = printout_lines(background, options, rendered) if options.printout else []
    say([*lines, "", report.solid_angle_line(rendered.sums[5])])
    counted = None
    if image is not None:
        counted = write_curve(background, options, rendered.job, image)
        clock.mark("F from the image")
    found = statistics(background, rendered, counted)
    clock.mark("statistics")
    write_outputs(background, options, rendered.image, found, loaded.setup.noise_seed, clock)
    if options.timing:
        clock.report()
        steps = found.pixels * background.steps
        complain(f"timing: loop {found.seconds * 1e3:.3f} ms for {steps} steps")
        clock.report_total()
    return 0


def write_curve(background: "Any", options: "Any", job: "Any", image: "Any") -> "Any":
    """The curve that the -img file stands for; returns what the reference then divides the image's sums by."""
    from ..files import report_nonbragg as report
    from ..files.atomic import OutputFile
    from ..render.background import structure_factors

    with OutputFile(options.stolout_file, "give another name with -stolout") as file:
        found = structure_factors(
            background, job, image.data, options.ignore, options.adc_offset, options.gain, options.compat == "c"
        )
        abscissae = memoryview(background.curve.x)[2:-2].tolist()
        lines, few = [], []
        for x, (mean, deviation, pixels) in zip(abscissae, found, strict=True):
            abscissa = x / options.stol_mult
            if pixels > 100:
                lines.append(report.stol_line(abscissa, mean, deviation, pixels))
            else:
                few.append(report.few_pixels_line(abscissa, pixels))
        file.write("".join([f"{line}\n" for line in lines]).encode())
    say([*few, report.wrote_line(options.stolout_file, len(lines))])
    return found[-1][2]


def write_outputs(
    background: "Any", options: "Any", image: "Any", statistics: "Any", noise_seed: "Any", clock: "Any"
) -> None:
    """The four images in the reference's order, each with its lines before it."""
    from ..files import report
    from ..files import report_nonbragg as ours
    from ..files.atomic import write_file
    from ..files.pgm import write_pgm
    from ..files.smv import write_scaled_smv
    from ..render.backends import team_size

    threads = team_size(options.threads)
    noise: Any = ()
    detector, header = background.detector, ours.smv_header(background)
    if options.write_noise:
        noise, ahead = begin_noise(options, image, detector.roi, noise_seed, threads)
        threads -= ahead
    say([report.writing_floats_line(options.float_file, detector.fpixels * detector.spixels)])
    write_file(options.float_file, image, advice="give another name with -floatfile")
    clock.mark("float image")

    scale = options.scale
    if scale <= 0.0:
        scale = 55000.0 / statistics.maximum if statistics.maximum > 0.0 else 1.0
    say(
        [
            report.maximum_line(statistics.maximum, *statistics.maximum_at),
            report.spread_line(statistics.mean, statistics.rms, statistics.rmsd),
            report.integer_scale_line(scale),
            report.writing_integers_line(options.int_file, 2),
        ]
    )
    advice = "give another name with -intfile"
    write_scaled_smv(
        options.int_file, header, image, scale, options.adc_offset, detector.roi, advice, threads=threads
    )
    clock.mark("integer image")

    pgm_scale = options.pgm_scale
    if pgm_scale <= 0.0:
        pgm_scale = 250.0 / (5.0 * statistics.rmsd) if statistics.rmsd > 0.0 else scale
    say([report.pgm_scale_line(pgm_scale), report.writing_integers_line(options.pgm_file, 1)])
    write_pgm(options.pgm_file, image, pgm_scale, detector.roi, "give another name with -pgmfile", threads)
    clock.mark("PGM")
    if options.write_noise:
        write_noise(options, header, *noise)
        clock.mark("noise image")


def begin_noise(options: "Any", image: "Any", roi: "Any", seed: "Any", threads: int) -> "Any":
    """The noise and its blocks, and whether a thread draws these from here on: see nanoBragg's."""
    from ..kernels.noise.random import Ran1
    from ..render.noise import noise_blocks, noise_maker

    noise = noise_maker(options.noise_rng, Ran1(), seed, options.threads)
    ahead = threads > 1 and options.noise_rng == "ran1"
    return (noise, noise_blocks(noise, image, roi, options.adc_offset, ahead)), ahead


def write_noise(options: "Any", header: "Any", noise: "Any", blocks: "Any") -> None:
    """The image with photon noise."""
    from ..files import report
    from ..files.atomic import OutputFile

    with OutputFile(options.noise_file, "give another name with -noisefile, or -nonoise") as file:
        file.write(header)
        for block in blocks:
            file.write(block)
        say(
            [
                report.photons_line(noise.photons, noise.overloads),
                report.writing_integers_line(options.noise_file, 2),
            ]
        )


def printout_lines(background: "Any", options: "Any", rendered: "Any") -> "list[str]":
    """What -printout says of pixels: the values at each one's last step, in image order."""
    from ..files import report_nonbragg as report
    from ..kernels.loops.walk import Walk

    walk, view = Walk(background, rendered.job), memoryview(rendered.image)
    fast_min, fast_max, slow_min, slow_max = rendered.job.roi
    lines = []
    for slow in range(slow_min, slow_max + 1):
        for fast in range(fast_min, fast_max + 1):
            if options.printout_pixel[0] >= 0 and options.printout_pixel != (fast, slow):
                continue
            walk.pixel(slow, fast)
            pixel = {
                "stol": walk.stol,
                "position": walk.position,
                "weight": walk.weight,
                "steps": background.steps,
                "polar": walk.polar,
                "omega": walk.omega,
                "value": view[slow, fast],
            }
            lines += report.pixel_lines(fast, slow, pixel, background.beam.wavelength)
    return lines
