"""From an experiment back to a command line, of this program and of the reference.

The flags and their units come from the flag table of the command line; what is written is what, read again, gives the
same option.
"""

from __future__ import annotations

import os
from math import copysign, inf, nextafter, pi
from sys import byteorder
from typing import Any

from ..errors import FieldError
from ..flags.names import rule_of
from ..flags.nanobragg import RULES
from ..flags.options import DEFAULTS
from ..flags.parser import UNITS
from .options_map import to_options
from .parts import VECTOR_OPTIONS

#: options that need more than their rule of the table
_SPECIAL = {
    *("convention", "pivot", "twotheta", "cell_lengths", "cell_angles", "user_cell"),
    *("misset", "misset_mode", "misset_seed", "detector_mu", "spectrum_file", "domain_file"),
    *VECTOR_OPTIONS,
}
_NAMED = {"MOSFLM": "-mosflm", "XDS": "-xds", "ADXV": "-adxv", "DENZO": "-denzo", "DIALS": "-dials"}


def inverse(forward: Any, value: Any, guess: Any) -> Any:
    """The float whose `forward` is `value`, or comes next to it, looked for about `guess`; short if that will do."""
    short = float(f"{guess:.14g}")
    if forward(short) == value:
        return short
    below = above = guess
    best = guess
    for _ in range(4):
        for candidate in (below, above):
            result = forward(candidate)
            if result == value:
                return candidate
            if abs(result - value) < abs(forward(best) - value):
                best = candidate
        below, above = nextafter(below, -inf), nextafter(above, inf)
    return best


def file_matrix(matrix: Any, wavelength: Any) -> Any:
    """The nine numbers of an orientation matrix file, row-major, for columns in 1/Angstrom and a wavelength in m."""
    factor = 1e-10 / wavelength
    return tuple(inverse(lambda x: x * factor, value, value / factor) for row in matrix for value in row)


def text(value: Any) -> str:
    """A number as a token: whole numbers without a point, others (and -0.0) with all their digits."""
    whole = abs(value) < 1e15 and value == int(value)
    return str(int(value)) if whole and (value or copysign(1.0, value) > 0.0) else repr(float(value))


def token(rule: Any, value: Any) -> Any:
    """The token that a rule of the table reads as `value`."""
    if rule.convert in ("word", "choice"):
        return value
    if rule.convert in ("int", "cells", "count"):
        return str(int(value))
    if rule.convert == "seed":
        return str(-int(value))
    factor, divisor = UNITS[rule.convert]
    return text(inverse(lambda x: x * factor / divisor, value, value * divisor / factor))


def to_args(experiment: Any, folder: Any = None) -> Any:
    """The tokens; see `Experiment.to_args`."""
    crystal = experiment.crystal
    if experiment.more_crystals:
        raise FieldError("a command line states one crystal; write each of several to its own, and add the images")
    if experiment.detector.panels is not None:
        raise FieldError("no flag states panels but -geometry with their file; keep the experiment as TOML or JSON")
    beyond = [name for name in crystal.beyond_flags if name != "domain_weights"]
    if beyond:
        raise FieldError(f"no flag states crystal.{beyond[0]}; keep the experiment as TOML or JSON")
    options = to_options(
        experiment.beam,
        experiment.detector,
        crystal,
        experiment.sampling,
        experiment.structure_factors.default_F,
        experiment.physics,
    )
    args = _frame(options) + _sensor(options.detector_mu)
    for name, default in DEFAULTS.items():
        value = getattr(options, name)
        if name in _SPECIAL or value == default or value != value:
            continue
        rule = rule_of(RULES, (name,))
        if rule.convert is None:
            args.append(rule_of(RULES, (name,), str(value)).name)
        else:
            values = value if isinstance(value, tuple) else (value,)
            args += [rule.name, *(token(rule, number) for number in values)]
    if options.convention == "CUSTOM":
        # several flags set the pivot on the way
        args += ["-pivot", options.pivot]
    # last, since the reference ignores -curved_det at the end of the line
    return args + _files(experiment, folder) + _crystal(options, crystal)


def _degrees(angles):
    factor, divisor = UNITS["deg"]
    return [text(inverse(lambda x: x * factor / divisor, angle, angle * divisor / factor)) for angle in angles]


def _crystal(options, crystal):
    """Cell and misset angles."""
    args = []
    if crystal.lengths is not None:
        args += ["-cell", *(text(x) for x in crystal.lengths)]
        if crystal.angles != (pi / 2, pi / 2, pi / 2):
            args += _degrees(crystal.angles)
    if options.misset_mode == "random":
        # -misset_seed fires -misset as well, which the second flag takes back
        args += ["-misset_seed", str(crystal.misset_seed), "-misset", "random"]
    elif options.misset_mode == "angles":
        args += ["-misset", *_degrees(options.misset)]
    return args


def _frame(options):
    """The convention, or the vectors in its place, and the swing, which follows since -twotheta_axis fires it."""
    if options.convention != "CUSTOM":
        args = [] if options.convention == DEFAULTS["convention"] else [_NAMED[options.convention]]
        return args + (["-twotheta", *_degrees([options.twotheta])] if options.twotheta else [])
    args = []
    for option in VECTOR_OPTIONS:
        args += [f"-{option}", *(text(x) for x in getattr(options, option))]
    return [*args, "-twotheta", *_degrees([options.twotheta])]


def _sensor(mu):
    """-detector_abs, which goes before the thickness that it may set to 0."""
    if mu < 0.0:
        return []
    if mu == 0.0:
        return ["-detector_abs", "inf"]
    return ["-detector_abs", text(inverse(lambda depth: 1.0 / (depth * 1e-6), mu, 1e6 / mu))]


def _files(experiment, folder):
    """The files that are needed, written into the folder, and the flags that name them."""
    from ..files.atomic import write_file

    beam, detector, crystal = experiment.beam, experiment.detector, experiment.crystal
    factors = experiment.structure_factors
    args = []

    def put(flag, name, what, *blocks):
        if folder is None:
            raise FieldError(f"{what} can only be stated by a file; give to_args a folder to write it to")
        path = os.path.join(os.fspath(folder), name)
        write_file(path, *blocks)
        args.extend((flag, path))

    if detector.mask is not None:
        slow, fast = detector.mask.shape
        put("-mask", "mask.img", "detector.mask", _mask_header(fast, slow), detector.mask)
    if beam.spectrum is not None:
        put("-spectrum", "spectrum.txt", "beam.spectrum", _spectrum_lines(*beam.spectrum))
    if beam.sources is not None:
        put("-sourcefile", "sources.txt", "beam.sources", _source_lines(experiment.resolved.beam.sources))
    if crystal.matrix is not None:
        rows = file_matrix(crystal.matrix, beam.wavelength)
        lines = [" ".join(repr(x) for x in rows[i : i + 3]) + "\n" for i in (0, 3, 6)]
        put("-mat", "matrix.mat", "crystal.matrix", "".join(lines).encode())
    if crystal.domains is not None:
        weights = crystal.domain_weights or [1.0] * len(crystal.domains)
        pairs = zip(crystal.domains, weights, strict=True)
        lines = [" ".join(repr(x) for x in (*a, *b, *c, weight)) + "\n" for (a, b, c), weight in pairs]
        put("-domain_file", "domains.txt", "crystal.domains", "".join(lines).encode())
    if factors.bounds is None:
        # without a table the program would take whatever Fdump.bin it finds
        args += ["-dump", "no_such_Fdump.bin"]
    elif factors.wavelengths:
        raise FieldError("structure_factors of several wavelengths cannot be stated by flags; take one table, of .at()")
    else:
        put("-hkl", "structure_factors.hkl", "structure_factors", *_hkl_blocks(factors))
    return args


def _mask_header(fast, slow):
    """The header of the mask image: its size alone, so that nothing else is set by it."""
    header = f"{{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER={byteorder}_endian;\nTYPE=unsigned_short;\n"
    return f"{header}SIZE1={fast};\nSIZE2={slow};\n}}\f".encode().ljust(512)


def _source_lines(sources):
    return "".join(" ".join(repr(x) for x in row) + "\n" for row in sources).encode()


def _spectrum_lines(wavelengths, weights):
    angstrom = [inverse(lambda x: x * 1e-10, wavelength, wavelength * 1e10) for wavelength in wavelengths]
    rows = zip(angstrom, weights, strict=True)
    return "".join(f"{wavelength!r} {weight!r}\n" for wavelength, weight in rows).encode()


def _hkl_blocks(factors):
    """The rows h k l F that differ from default_F, and those of the box's corners, so that the box is the same."""
    hkl, F = factors.amplitudes()
    keep = factors.default_F != F
    keep[[0, -1]] = True
    rows = zip(hkl[keep].tolist(), F[keep].tolist(), strict=True)
    yield "".join(f"{index[0]} {index[1]} {index[2]} {value!r}\n" for index, value in rows).encode()
