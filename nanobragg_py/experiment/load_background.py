"""From a command line of nonBragg to a resolved background: options, the header of -img, files."""

from ..files import report, report_nonbragg
from ..files.table import odd_numbers, odd_wavelength
from ..records import REQUIRED, Record
from .background import complete, curve_remark, make_curve, reach_remark, resolve_background, with_sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LoadedBackground(Record):
    """What a command line came to.

    options, setup: as in `load`. background: a `ResolvedBackground`. image: the SMVImage of -img, or None.
    """

    _fields = {"options": REQUIRED, "setup": REQUIRED, "background": REQUIRED, "image": None}


def ignore(message: str) -> None:
    """The listener of those who do not listen."""


def read_image(name: str, options: "Any", complain: "Any" = ignore, taken: "Any" = None) -> "tuple[Any, Any]":
    """Put the header of the -img file into the options, before any flag: its SMVImage and the lines to print.

    A file that is missing or no SMV image is complained about and left out. taken: a dict for what the options' values
    are called in the header.
    """
    from ..files.smv_read import NotSMVError, off_remark, pixel_remark, read_smv
    from ..flags.header import apply_header

    if name is None:
        return None, []
    try:
        image = read_smv(name)
    except NotSMVError as error:
        complain(f"{error}; -img is ignored")
        return None, []
    found = apply_header(options, image, "mask")  # its beam centre is counted from the same edges
    if taken is not None:
        taken.update((option, f"{key} of {name}") for option, key in found.items())
    for sentence in (off_remark(image), pixel_remark(image)):
        if sentence is not None:
            complain(sentence)
    return image, [report.reading_line(name)]


def load(
    options: "Any", image: "Any" = None, opening: "Any" = (), say: "Any" = ignore, complain: "Any" = ignore
) -> "LoadedBackground":
    """Read the files that the options name and resolve the background: a `LoadedBackground`.

    image, opening: what `read_image` gave. say: called with lists of the reference's lines, in its order. complain:
    called with sentences it does not say. Raises UsageError without a curve, NanoBraggError for what is wrong.
    """
    from .. import __version__

    say(list(opening))
    setup = resolve_background(options, image)
    for sentence in setup.remarks:
        complain(sentence)
    say([*report_nonbragg.opening_lines(__version__, setup), report.reading_line(options.stol_file)])
    curve = read_curve(options.stol_file, options.stol_mult, options.compat != "c")
    rows = read_sources(options.source_file)
    beam = with_sources(setup, rows, options.source_distance)
    background = complete(setup, beam, curve, options.map)
    shortest = min(abs(source[4]) for source in beam.sources)
    for remark in (
        odd_numbers(options.stol_file),
        curve_remark(curve, options.stol_file),
        reach_remark(curve, options.stol_file, shortest),
        None if rows is None else odd_wavelength(rows, options.source_file),
    ):
        if remark is not None:
            complain(remark)
    seed = setup.noise_seed if options.write_noise else None
    lines = report.beam_lines(beam)
    lines += report_nonbragg.summary_lines(setup, background, options.molecular_weight, seed)
    say(lines)
    return LoadedBackground(options=options, setup=setup, background=background, image=image)


def read_curve(name: str, factor: float = 1e10, ordered: bool = True) -> "Any":
    """The `Curve` of a file. factor: makes 1/m of its abscissae. ordered: see `make_curve`; and leave out prose."""
    from ..files.table import read_columns

    table = read_columns(name, 2, numbers_only=ordered)
    x, F = table.tolist()
    return make_curve(x, F, name, factor, ordered)


def read_sources(name: str) -> "list[Any] | None":
    """The rows of a -sourcefile, or None."""
    if name is None:
        return None
    from ..files.table import read_columns

    return list(zip(*read_columns(name, 5).tolist(), strict=True))
