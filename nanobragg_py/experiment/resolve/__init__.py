"""From options to the experiment: what follows from what a command line and its headers said.

Nothing here reads a file or prints. The steps, in the reference's order, with what the caller does between them::

    apply_header(options, header, "mask")           # before the flags are parsed: mask first, then img
    setup = resolve_setup(options, random, matrix=..., dump_available=...)
    ...                                             # report.setup_lines(setup); structure factors and stol are read
    experiment = resolve_experiment(setup, random, structure_factors, source_rows=...)

`resolve` does both steps at once for callers that have everything at hand. `random` is the generator whose shuffle
table all streams share (`nanobragg_py.kernels.noise.random.Ran1`); it serves, in this order, the random orientation (in
`resolve_setup`) and the mosaic domains (in `resolve_experiment`), and is left ready for the noise.

All of them raise `NanoBraggError` for options that make no image; `resolve_setup` raises `UsageError` when there is
nothing to render. What a user should know and the reference does not say is in `Setup.remarks`.
"""

from ..resolved import StructureFactors
from .setup import Setup, resolve_setup
from .sources import resolve_experiment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Setup", "resolve", "resolve_experiment", "resolve_setup"]


def resolve(
    options: "Any",
    random: "Any",
    structure_factors: "Any" = None,
    matrix: "Any" = None,
    source_rows: "Any" = None,
    dump_available: bool = False,
) -> "tuple[Any, Any]":
    """The experiment that the options describe, and its `Setup` (for the report): (Experiment, Setup).

    The arguments are those of `resolve_setup` and `resolve_experiment`.
    """
    setup = resolve_setup(options, random, matrix=matrix, dump_available=dump_available)
    factors = StructureFactors(default_F=options.default_F) if structure_factors is None else structure_factors
    return resolve_experiment(setup, random, factors, source_rows=source_rows), setup
