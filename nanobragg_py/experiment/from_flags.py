"""What a tool takes from nanoBragg's flags after ``--``."""

import os
from typing import Any

from ..files.geometry import experiment_geometry
from ..flags.options import Options
from .load import load, read_headers
from .physics import uses_dump

#: of a crystal that only stands in where none was given
ANY_CELL = (100.0, 100.0, 100.0)


def ignore(message: str) -> None:
    """The listener of those who do not listen."""


def flags_experiment(flags: Any, crystal: bool = True, factors: bool = True, complain: Any = ignore) -> tuple[Any, Any]:
    """The Experiment, and its structure factors as the kernels have them, of a nanoBragg command line.

    crystal: False where only beam, detector and rotation are wanted: a command line without -cell and -mat will do.
    factors: False where structure factors are not wanted: those that are given are not read. Where they are wanted and
    there are none, all are 1. Raises NanoBraggError.
    """
    from ..flags.nanobragg import parse, prescan

    options = Options()
    mask, opening = read_headers(*prescan(flags), options, complain)
    parse(flags, options)
    options.stol_file = None
    if not factors:
        options.hkl_file, options.dump_file = None, ""
    if options.hkl_file is None and options.default_F == 0.0 and not (
        uses_dump(options) and os.access(options.dump_file, os.R_OK)
    ):
        options.default_F = 1.0
    if not crystal:
        if options.matrix_file is not None and not os.path.exists(options.matrix_file):
            options.matrix_file = None
        if options.matrix_file is None and options.cell_lengths[0] == 0.0:
            options.cell_lengths, options.user_cell = ANY_CELL, True
    loaded = load(options, opening, mask, complain=complain, write_dump=False)
    return loaded.experiment, loaded.table


def flags_geometry(flags: Any, complain: Any = ignore) -> tuple[Any, Any]:
    """The Geometry that nanoBragg's flags describe, and the Experiment it is of."""
    experiment, _ = flags_experiment(flags, crystal=False, factors=False, complain=complain)
    return experiment_geometry(experiment), experiment
