"""From a command line to an experiment: options, headers, files, and what follows from them.

The drop-in prints on the way; the library and the tools use the same function and listen to nothing.
"""

import os

from ..errors import NanoBraggError, OptionError
from ..files import report
from ..flags.options import Options
from ..kernels.noise.random import Ran1
from ..records import REQUIRED, Record
from .physics import uses_dump
from .resolve import resolve_experiment, resolve_setup
from .resolved import UNASKED, StructureFactors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: options that name images whose headers are read before anything else, and other files that are read
HEADERS = ("mask_file", "img_file")
INPUTS = (
    *("matrix_file", "hkl_file", "stol_file", "source_file", "dump_file", "geometry_file", "spectrum_file"),
    "domain_file",
)


class Loaded(Record):
    """What a command line came to.

    options: Options. setup: the `Setup` with its warnings and remarks. experiment: Experiment. table: its structure
    factors in the kernels' layout, or None. random: the generator, left ready for the noise. panels: the Panels of the
    -geometry file with their parts of -roi and -mask, or None.
    """

    _fields = {
        "options": REQUIRED,
        "setup": REQUIRED,
        "experiment": REQUIRED,
        "table": None,
        "random": REQUIRED,
        "panels": None,
    }


def ignore(message: str) -> None:
    """The listener of those who do not listen."""


def load(
    options: "Any",
    opening: "Any" = (),
    mask: "Any" = None,
    say: "Any" = ignore,
    complain: "Any" = ignore,
    prepare: "Any" = ignore,
    write_dump: bool = True,
    folder: "Any" = None,
    origins: "Any" = UNASKED,
) -> "Loaded":
    """Read the files that the options name and resolve the experiment: a `Loaded`.

    options: an Options; those of `read_options`. opening, mask: what `read_headers` gave. say: called with lists of the
    reference's lines, in its order. complain: called with sentences it does not say. prepare: called with the options
    before structure factors are read or a dump file is written. write_dump: leave the dump file the reference leaves.
    folder: what relative input names are relative to; None: the working directory.
    origins: an `Origins` that notes what values come from.

    Raises UsageError when there is nothing to render, NanoBraggError for everything else that is wrong.
    """
    if folder is not None:
        for name in INPUTS:
            if getattr(options, name) is not None:
                setattr(options, name, os.path.join(folder, getattr(options, name)))
    random = Ran1()
    matrix = read_matrix(options, complain)
    dump_available = uses_dump(options) and options.hkl_file is None and os.access(options.dump_file, os.R_OK)
    panels = read_panels(options, complain, mask)
    setup = resolve_setup(
        options,
        random,
        matrix=matrix,
        mask=mask,
        dump_available=dump_available,
        panels=panels,
        spectrum=read_spectrum(options),
        domains=read_domains(options),
        origins=origins,
    )
    for sentence in setup.remarks:
        complain(sentence)
    say([*opening, *report.opening_lines(setup), *program_lines(), *report.setup_lines(setup)])
    sources = read_sources(options, complain)
    check_stol(options, complain)
    prepare(options)
    factors = read_structure_factors(options, dump_available, say, complain, write_dump and uses_dump(options), origins)
    experiment = resolve_experiment(setup, random, factors, source_rows=sources, origins=origins)
    if options.stol_file is not None and setup.physics.curve:
        experiment = experiment.replace(amorphous=read_amorphous(options))
    lines = [] if options.stol_file is None else [report.reading_line(options.stol_file)]
    lines += report.sweep_lines(setup) + report.source_lines(experiment)
    lines += report.summary_lines(experiment, setup.noise_seed if options.write_noise else None)
    say(lines)
    return Loaded(
        options=options,
        setup=setup,
        experiment=experiment,
        table=None if factors.bounds is None else kernel_table(factors, write_dump),
        random=random,
        panels=panels,
    )


def kernel_table(factors: "Any", in_place: bool) -> "Any":
    """`io.hkl.kernel_table`, which many runs have no use for."""
    from ..files.hkl import kernel_table

    return kernel_table(factors, in_place)


def program_lines() -> "list[str]":
    """The first line: who is speaking. It is ours; the reference's has its authors."""
    from .. import __version__

    return [f"nanobragg_py {__version__}: diffraction images of nanocrystals, after nanoBragg"]


def read_headers(
    mask_file: "Any",
    img_file: "Any",
    options: "Any",
    complain: "Any" = ignore,
    folder: "Any" = None,
    taken: "Any" = None,
) -> "tuple[Any, Any]":
    """Put the headers of -mask and -img, in this order, into the options, before any flag.

    Returns the mask's pixels (uint16 buffer, or None) and the lines to print. A file that is missing or no SMV image
    is complained about and left out, as the reference does. taken: a dict for what the options' values are called in
    the headers.
    """
    from ..files.smv_read import NotSMVError, off_remark, pixel_remark, read_smv
    from ..flags.header import apply_header

    mask, lines = None, []
    for kind, name in (("mask", mask_file), ("img", img_file)):
        if name is None:
            continue
        try:
            image = read_smv(name if folder is None else os.path.join(folder, name), header_only=kind == "img")
        except NotSMVError as error:
            complain(f"{error}; -{kind} is ignored")
            continue
        lines.append(report.reading_line(name))
        found = apply_header(options, image, kind)
        if taken is not None:
            taken.update((option, f"{key} of {name}") for option, key in found.items())
        for sentence in (off_remark(image), pixel_remark(image) if kind == "mask" else None):
            if sentence is not None:
                complain(sentence)
        if kind == "mask":
            mask = image.data
    return mask, lines


def load_args(
    argv: "Any", folder: "Any" = None, write_dump: bool = False, say: "Any" = ignore, complain: "Any" = ignore
) -> "Any":
    """`load` for a command line (the tokens without the program's name), quietly and without leaving a dump file."""
    from ..flags.nanobragg import parse, prescan, warning_sentences

    options, events = Options(), []
    mask, opening = read_headers(*prescan(argv), options, complain, folder)
    parse(argv, options, events)
    for sentence in warning_sentences(argv, events):
        complain(sentence)
    return load(options, opening, mask, say=say, complain=complain, write_dump=write_dump, folder=folder)


def read_matrix(options: "Any", complain: "Any" = None) -> "Any":
    """The nine numbers of the -mat file; None without one, or when it cannot be read and -cell can stand in."""
    if options.matrix_file is None:
        return None
    from ..files.matrix import read_matrix

    # a cell that is given makes lengths of the matrix's directions, whatever they are
    wavelength = options.wavelength * 1e10 if options.cell_lengths[0] == 0.0 else None
    matrix = read_matrix(options.matrix_file, complain, wavelength)
    if matrix is None and options.cell_lengths[0] == 0.0:
        raise OptionError(
            "cannot read {matrix_file} {file}; give a matrix file that exists, or {cell_lengths+cell_angles}",
            file=options.matrix_file,
        )
    return matrix


def read_panels(options: "Any", complain: "Any", mask: "Any" = None) -> "Any":
    """The Panels of the -geometry file in the frame of the convention, or None without one. mask: of -mask."""
    if options.geometry_file is None:
        return None
    from .load_panels import read_panels

    return read_panels(options, complain, mask)


def read_domains(options: "Any") -> "Any":
    """The Domains of the -domain_file, or None."""
    if options.domain_file is None:
        return None
    from .domains import read_domains

    return read_domains(options.domain_file)


def read_sources(options: "Any", complain: "Any" = ignore) -> "Any":
    """The rows of the -sourcefile, or None. complain: called with a sentence on wavelengths that are none of X-rays."""
    if options.source_file is None:
        return None
    from ..files.table import odd_wavelength, read_sources

    rows = read_sources(options.source_file)
    sentence = odd_wavelength(rows, options.source_file)
    if sentence is not None:
        complain(sentence)
    return rows


def read_spectrum(options: "Any") -> "Any":
    """Wavelengths, m, and weights of the -spectrum file, or None."""
    if options.spectrum_file is None:
        return None
    from ..files.spectrum import read_spectrum

    return read_spectrum(options.spectrum_file)


def read_amorphous(options: "Any") -> "tuple[Any, float]":
    """The curve of -stol, and the number of molecules that scatter it."""
    from .background import molecules_of
    from .load_background import read_curve

    return read_curve(options.stol_file, options.stol_mult), molecules_of(options)


def check_stol(options: "Any", complain: "Any" = ignore) -> None:
    """The amorphous structure factors are read and then not used; a file without any is an error all the same."""
    if options.stol_file is not None:
        from ..files.table import odd_numbers, read_table

        read_table(options.stol_file, 2)
        sentence = odd_numbers(options.stol_file)
        if sentence is not None:
            complain(sentence)


def read_structure_factors(
    options: "Any", dump_available: bool, say: "Any", complain: "Any", write_dump: bool, origins: "Any" = UNASKED
) -> "Any":
    """From text (leaving a dump file behind), from a dump file, or none at all."""
    if options.hkl_file is None:
        if not dump_available:
            origins.taken("structure_factors.table", "hkl_file", "dump_file", value=None)
            return StructureFactors(default_F=options.default_F)
        from ..files.hkl import read_dump

        note = "it exists and there is no -hkl"
        origins.taken("structure_factors.table", "dump_file", "hkl_file", note=note, value=options.dump_file)
        origins.follows("structure_factors.bounds", "dump_file")
        say([report.dump_read_line(options.dump_file)])
        return StructureFactors.of(read_dump(options.dump_file, options.default_F))
    from ..files import hkl

    origins.taken("structure_factors.table", "hkl_file", value=options.hkl_file)
    origins.follows("structure_factors.count", "hkl_file")
    origins.follows("structure_factors.bounds", "hkl_file")
    lines = [report.counting_line(options.hkl_file)]
    said = hkl.HklReport()
    try:
        factors = StructureFactors.of(hkl.read_hkl(options.hkl_file, options.default_F, said))
    except hkl.NotEnoughIndices as error:
        say([*lines, *error.report_lines])
        raise
    for sentence in said.sentences(options.hkl_file):
        complain(sentence)
    lines += [
        f"WARNING: {axis} is {value:g} in row {row + 1} of {options.hkl_file}; a Miller index should be a whole number"
        for axis, value, row in said.non_integer
    ]
    lines += report.filling_lines(options.hkl_file, options.default_F)
    if write_dump and said.scattered:
        older = "; the one that lies there is of another run" if os.path.exists(options.dump_file) else ""
        complain(
            f"{options.hkl_file} has {said.rows} rows so far apart that {options.dump_file} would have "
            f"{said.scattered / 2**30:.3g} GiB, and it is not written; NANOBRAGG_TABLE_LIMIT=GiB raises the limit"
            + older
        )
    elif write_dump:
        try:
            hkl.write_dump(options.dump_file, factors)
        except NanoBraggError as error:
            lines.append(f"WARNING: {error}; the structure factors will have to be read again next time")
        else:
            lines.append(report.dump_line(options.dump_file))
    say(lines)
    return factors
