"""``nanobragg-py hkl``: structure factors from files of other programs, for -hkl, or as a dump file."""

import sys
from typing import Any

from ...errors import NanoBraggError
from ..progress import waiting

DESCRIPTION = """\
Reads structure factors from MTZ, CIF, XDS_ASCII, SCALEPACK, hkl text or a dump file, or calculates
them from a model in PDB or mmCIF format, merges repeated ones, expands them by symmetry and
Friedel's law to P1, and says on standard error which column it took and what else there was. It
writes hkl text for -hkl, the dump file that nanoBragg reads back without -hkl, or a stol table: the
root mean square of F over bins of sin(theta)/lambda. All but text and dump files need gemmi.

With nanoBragg's flags after --, says whether all indices are there that reach the corners of
their detector with their crystal, and which are missing: those would have -default_F.
"""
EPILOG = """\
exit status: 0; 1 if structure factors that the detector needs are missing (all is written
nevertheless); 2 for input that gives no structure factors

examples:
  nanobragg-py hkl data.mtz --label FP --out data.hkl
  nanobragg-py hkl XDS_ASCII.HKL --out Fdump.bin --to dump
  nanobragg-py hkl model.pdb --dmin 1.8 --out model.hkl
  nanobragg-py hkl data.mtz --to stol --bin 0.001 --out data.stol
  nanobragg-py hkl data.hkl -- -cell 71 84 97 -distance 100 -detpixels 2048 -lambda 1
"""
#: stands in a table for an index that is not there: no amplitude, and no number that a file would have
MISSING = -1e-300
MODEL_SUFFIXES = tuple(f"{kind}{packed}" for kind in (".pdb", ".ent") for packed in ("", ".gz", ".bz2", ".xz"))


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("file", metavar="FILE", help="MTZ, CIF, XDS_ASCII, SCALEPACK, hkl text, dump file or model")
    parser.add_argument("--out", metavar="NAME", help="file to write")
    parser.add_argument("--to", choices=("hkl", "dump", "stol"), default="hkl", help="what to write (default: hkl)")
    parser.add_argument("--label", metavar="NAME", help="column of an MTZ or CIF file, or of text with names")
    parser.add_argument("--block", metavar="NAME", help="data block of a CIF file")
    parser.add_argument("--intensities", action="store_true", help="the column holds intensities: F = sqrt(I)")
    parser.add_argument("--anomalous", action="store_true", help="keep Friedel mates apart (not of text)")
    parser.add_argument("--F000", type=float, metavar="X", help="amplitude of the index 0 0 0")
    parser.add_argument("--dmin", type=float, metavar="D", help="resolution of a model's structure factors, A")
    parser.add_argument("--no-solvent", action="store_true", help="a model without bulk solvent")
    parser.add_argument("--bin", type=float, metavar="W", help="width of stol bins, 1/A (default: 0.001)")
    parser.add_argument("--cell", nargs=6, type=float, metavar=("A", "B", "C", "AL", "BE", "GA"), help="for stol")
    parser.add_argument("--default-F", type=float, default=0.0, metavar="X", help="of indices that a dump file lacks")


def run(args: Any) -> Any:
    if args.out is None and not args.flags:
        raise NanoBraggError("there is nothing to do; give --out NAME, or nanoBragg's flags after -- to check against")
    if args.out is not None:
        from ...files.atomic import check_writable

        check_writable(args.out)
    for name in ("bin", "cell"):
        if getattr(args, name) is not None and args.to != "stol":
            raise NanoBraggError(f"--{name} is for --to stol")
    if args.to == "stol":
        return write_stol(args)
    A = dmin = None
    if args.flags:
        A, dmin = needs(args.flags)
    said = []
    factors = factors_of(args, dmin, said.append)
    indices, values = rows_of(factors)
    if args.out is not None:
        write(args, factors, indices, values)
        print(f"{args.out}: {len(indices)} structure factors, {ranges(factors.bounds)}")
    tell(said)
    if not args.flags:
        return 0
    from ...inspect.completeness import completeness

    found = completeness(indices, A, dmin, factors.bounds)
    print("\n".join(report_lines(found)))
    return 0 if found.present == found.needed else 1


def tell(sentences: Any) -> None:
    for sentence in sentences:
        print(f"nanobragg-py hkl: {sentence}", file=sys.stderr)


def write_stol(args: Any) -> int:
    """Write the curve of -stol files: sin(theta)/lambda, 1/A, and the root mean square of F."""
    from ...experiment.models import cell_of_model
    from ...experiment.reflections import radial, radial_average
    from ...files.atomic import write_file

    width = 0.001 if args.bin is None else args.bin
    if not 0.0 < width < float("inf"):
        raise NanoBraggError(f"--bin does not take {width:g}; give the width of bins, 1/A")
    if args.out is None or args.flags:
        raise NanoBraggError("--to stol writes a curve; give --out NAME, and no flags of nanoBragg")
    said = []
    if is_model(args.file):
        indices, values = rows_of(factors_of(args, None, said.append))
        indices, values = indices[values != 0.0], values[values != 0.0]  # those that are absent
        stol, F = radial_average(indices, values, args.cell or cell_of_model(args.file), width)
    else:
        stol, F = radial(args.file, width, args.cell, complain=said.append, inform=said.append, **given(args))
    lines = (f"{x:.10g} {y:.10g}\n" for x, y in zip(stol.tolist(), F.tolist(), strict=True))
    write_file(args.out, "".join(lines).encode())
    print(f"{args.out}: {len(stol)} bins of {width:g} 1/A, {stol[0]:g} to {stol[-1]:g}")
    tell(said)
    return 0


def needs(flags: Any) -> tuple[Any, Any]:
    """The crystal's orientation matrix, 1/Angstrom, and the spacing, Angstrom, that the detector's corners reach."""
    import numpy as np

    from ...experiment.from_flags import flags_experiment
    from ...files.geometry import experiment_geometry
    from ...inspect.describe import corner_resolution

    experiment, _ = flags_experiment(flags, factors=False)
    crystal = experiment.crystal
    A = np.array([crystal.a_star, crystal.b_star, crystal.c_star]).T
    return A, max(corner_resolution(experiment_geometry(experiment)), experiment.sampling.dmin * 1e10)


def factors_of(args: Any, dmin: Any, say: Any) -> Any:
    """The StructureFactors of the file, MISSING where an index is not there."""
    if is_model(args.file):
        for name in ("label", "block", "intensities", "anomalous"):
            if getattr(args, name):
                raise NanoBraggError(f"--{name} is for reflections, and {args.file} is a model")
        finest = args.dmin or dmin
        if finest is None:
            raise NanoBraggError(f"{args.file} is a model; say with --dmin how far to calculate its structure factors")
        solvent = not args.no_solvent
        from ...experiment.models import from_model

        with waiting(f"calculating structure factors of {args.file}"):
            factors = from_model(args.file, finest, MISSING, bulk_solvent=solvent, F000=args.F000 is None)
        return factors if args.F000 is None else with_F000(factors, args.F000)
    from ...experiment.reflections import read

    return read(args.file, MISSING, F000=args.F000, complain=say, inform=say, **given(args))


def given(args: Any) -> dict[Any, Any]:
    """The arguments for readers of reflections that were given."""
    for name in ("dmin", "no_solvent"):
        if getattr(args, name):
            raise NanoBraggError(f"--{name.replace('_', '-')} is for models, and {args.file} is none")
    return {
        name: getattr(args, name)
        for name in ("label", "block", "intensities", "anomalous")
        if getattr(args, name) not in (None, False)
    }


def is_model(name: str) -> Any:
    """Whether a file is a model of a crystal: by what it has, its name if that says nothing."""
    from ...files.reflections import content

    head = content(name, 1 << 16)
    first = next((line for line in head.splitlines() if line.strip() and not line.lstrip().startswith(b"#")), b"")
    if first.lstrip().lower().startswith(b"data_"):
        return b"_atom_site." in (head if b"_refln" in head else content(name))
    return name.lower().endswith(MODEL_SUFFIXES)


def with_F000(factors: Any, amplitude: Any) -> Any:
    import numpy as np

    low = np.array(factors.bounds[::2])
    np.asarray(factors.values)[tuple(-low)] = amplitude
    return factors


def rows_of(factors: Any) -> tuple[Any, Any]:
    """Indices (n, 3) and amplitudes (n,) that are there."""
    import numpy as np

    box = np.asarray(factors.values)[:-1, :-1, :-1]
    there = np.nonzero(box != MISSING)
    return np.stack(there, axis=1) + np.array(factors.bounds[::2]), box[there]


def write(args: Any, factors: Any, indices: Any, values: Any) -> None:
    from ...files.atomic import write_file

    if args.to == "hkl":
        lines = (f"{h} {k} {l} {F!r}\n" for (h, k, l), F in zip(indices.tolist(), values.tolist(), strict=True))
        write_file(args.out, "".join(lines).encode())
        return
    import numpy as np

    from ...files.hkl import write_dump

    table = np.asarray(factors.values)
    table[table == MISSING] = args.default_F
    for axis in range(3):
        np.moveaxis(table, axis, 0)[-1] = 0.0
    write_dump(args.out, factors)


def ranges(bounds: Any) -> str:
    return ", ".join(f"{axis} {bounds[2 * i]} to {bounds[2 * i + 1]}" for i, axis in enumerate("hkl"))


def report_lines(found: Any) -> list[str]:
    """The shells and what is missing, as lines of text."""
    limits = ranges([sign * limit for limit in found.limits for sign in (-1, 1)])
    lines = [
        f"the detector's corners reach {found.dmin:.4g} A: {limits}",
        "   from       to A   needed  present        %",
    ]
    for coarse, fine, needed, present in found.shells:
        percent = 100.0 * present / needed if needed else 100.0
        coarse = "infinity" if coarse == float("inf") else f"{coarse:.3f}"
        lines.append(f"{coarse:>8} {fine:8.3f} {needed:8d} {present:8d} {percent:8.2f}")
    lost = found.needed - found.present
    if not lost:
        return [*lines, f"complete: all {found.needed} are there"]
    named = ", ".join(" ".join(str(x) for x in row) for row in found.missing.tolist())
    lines.append(f"{lost} of {found.needed} are missing and would have -default_F; the coarsest: {named}")
    return lines
