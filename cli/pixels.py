"""What -printout and -trace_pixel say of pixels."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def place_of(experiment: "Any", pixel: "Any") -> "tuple[Any, int, int]":
    """The experiment of the panel that a pixel (slow, fast) is on, and where it is there."""
    if not experiment.panels:
        return (experiment, *pixel)
    from ..render.panels import panel_at

    number, slow, fast = panel_at(experiment, *pixel)
    return experiment.single_panels[number], slow, fast


def check_trace(experiment: "Any", options: "Any") -> None:
    """Raise NanoBraggError, before the image is rendered, where the pixel of -trace_pixel cannot be traced."""
    from ..inspect.trace import check_traceable

    traced, slow, fast = place_of(experiment, options.trace_pixel)
    check_traceable(traced, slow, fast)


def printout_lines(experiment: "Any", table: "Any", options: "Any", image: "Any") -> "list[str]":
    """What -printout says of pixels: the values at each one's last step, in image order."""
    from ..files import report
    from ..kernels.loops.job import Job
    from ..kernels.loops.sequential import Sequential

    defects = options.compat == "c"
    loop = Sequential(Job(experiment, table, defects=defects), defects=defects)
    view = memoryview(image)
    fast_min, fast_max, slow_min, slow_max = loop.roi
    lines = []
    for slow in range(slow_min, slow_max + 1):
        for fast in range(fast_min, fast_max + 1):
            if loop.skipped(slow, fast):
                continue
            wanted = options.printout_pixel[0] < 0 or options.printout_pixel == (fast, slow)
            if wanted or defects:  # with the defects, a pixel depends on those before it
                loop.pixel(slow, fast)
            if not wanted:
                continue
            cell = loop.cell_vectors
            pixel = {
                "stol": loop.stol,
                "position": loop.position,
                "hkl": (loop.h, loop.k, loop.l),
                "hkl0": (int(loop.h0), int(loop.k0), int(loop.l0)),
                "F_cell": loop.F_cell,
                "F_latt": loop.F_latt,
                "I": loop.intensity,
                "steps": experiment.sampling.steps,
                "polar": loop.polar,
                "omega": loop.omega,
                "capture_fraction": loop.capture,
                "value": view[slow, fast],
                "a": cell[0:3],
                "b": cell[3:6],
                "c": cell[6:9],
            }
            lines += report.pixel_lines(fast, slow, pixel, experiment.beam.wavelength)
    return lines


def trace_lines(experiment: "Any", table: "Any", options: "Any", image: "Any", argv: "Any") -> "list[str]":
    """What -trace_pixel says, after everything else: the text of `nanobragg-py trace`."""
    from ..inspect.trace import trace_pixel

    traced, slow, fast = place_of(experiment, options.trace_pixel)
    if options.backend != "cpu" or options.precision != "double":
        image = None  # the trace is in double precision, and so is the pixel that it is compared with
    if experiment.panels:
        image = None  # which has other pixels than the panel
    return trace_pixel(traced, table, slow, fast, options.compat, image).lines(argv)
