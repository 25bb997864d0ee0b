"""Tables of structure factors as the kernels take them, kept beside what they are made of."""

from __future__ import annotations

from typing import Any

from ..experiment.structure_factors import source_tables
from ..files import hkl


def kernel_table(factors: Any, beam: Any = None) -> Any:
    """The table of structure factors in the kernels' layout, made once for every StructureFactors.

    beam: a ResolvedBeam; where there are tables of several wavelengths, those of its sources.
    """
    if factors.wavelengths:
        return _source_tables(factors, beam)
    table = factors.__dict__.get("_kernel_table")
    if table is None:
        table = hkl.kernel_table(factors)
        object.__setattr__(factors, "_kernel_table", table)
    return table


def _source_tables(factors, beam):
    """The tables of a beam's wavelengths, of which the last are kept."""
    wavelengths = tuple(dict.fromkeys(source[4] for source in beam.sources))
    kept = factors.__dict__.get("_source_tables")
    if kept is None or kept[0] != wavelengths:
        kept = wavelengths, source_tables(factors, wavelengths)
        object.__setattr__(factors, "_source_tables", kept)
    return kept[1]
