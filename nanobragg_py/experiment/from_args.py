"""The library's experiment of a nanoBragg command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..hints import warn_caller
from ..memory import within_memory
from .load import load_args, read_domains, read_matrix, read_sources, read_spectrum
from .options_map import from_options


@within_memory
def from_args(cls: Any, args: str | Sequence[str], folder: str | os.PathLike[str] | None = None) -> Any:
    """The `Experiment`, which is cls, as its method of this name."""
    if isinstance(args, str):
        import shlex

        args = shlex.split(args)
    said: list[str] = []
    tokens = [str(token) for token in args]
    loaded = load_args(tokens, None if folder is None else os.fspath(folder), complain=said.append)
    options, resolved = loaded.options, loaded.experiment
    detector = resolved.detector
    beam, detector, crystal, sampling = from_options(
        options,
        matrix=read_matrix(options),
        sources=read_sources(options),
        mask=None if loaded.panels is not None or detector.mask is None else _image_of(detector.mask, detector),
        roi=detector.roi,
        missets=resolved.crystal.missets,
        panels=loaded.panels,
        spectrum=read_spectrum(options),
        domains=read_domains(options),
    )
    if resolved.amorphous is not None:
        sampling = sampling.replace(water=0.0)  # in whose place the curve scatters
        said.append(_where_curves_are(options, resolved.amorphous[1]))
    made = cls(crystal, beam, detector, sampling, resolved.structure_factors, options.physics)
    # remarks are among the experiment's own, in the library's words
    said = [sentence for sentence in said if sentence not in loaded.setup.remarks]
    for sentence in said:
        warn_caller(sentence)
    # the line, for `explain`
    made.__dict__.update(warnings=(*said, *made.warnings), _line=(tokens, folder, os.getcwd()))
    return made


def _where_curves_are(options, molecules):
    """What to do about the curve of a command line, which is not the experiment's."""
    from .background import FACTORS

    abscissa = min(FACTORS, key=lambda name: abs(FACTORS[name] - options.stol_mult))
    more = "" if abscissa == "stol" else f", abscissa={abscissa!r}"
    call = f"experiment.background({options.stol_file!r}, molecules={molecules!r}{more})"
    return f"an Experiment does not hold the curve of {options.stol_file}; add {call} to its image"


def _image_of(mask, detector):
    """A mask as read-only uint16 of shape (slow, fast)."""
    import numpy as np

    return np.frombuffer(mask, dtype=np.uint16).reshape(detector.spixels, detector.fpixels)
