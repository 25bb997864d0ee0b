"""``nanobragg-py matrix``: orientation matrices from and to files of other programs."""

import sys
from typing import Any

from ...constants import CONVENTIONS
from ...errors import NanoBraggError, OptionError

DESCRIPTION = """\
Makes an orientation matrix from a cell and an orientation, or takes it from a file: nanoBragg's
-mat, MOSFLM's .mat, DIALS' .expt, XDS' XPARM.XDS and GXPARM.XDS; and writes it as any of these.
With nanoBragg's flags after --, the beam, the spindle and the detector are theirs, and so is the
crystal if none is given otherwise.

A crystal keeps its orientation to beam and spindle on the way; docs/formats.md says in which frame
each file is. A -mat file is for one wavelength (give the same with -lambda) and one convention.
"""
EPILOG = """\
exit status: 0; 2 for input that makes no orientation

examples:
  nanobragg-py matrix --cell 71 84 97 90 90 90 --missets 10 20 30 --out A.mat
  nanobragg-py matrix --cell 71 84 97 90 90 90 --random 7
  nanobragg-py matrix indexed.expt --convention XDS --out A.mat
  nanobragg-py matrix GXPARM.XDS --to mosflm --out xds.mat
  nanobragg-py matrix A.mat --to dials --out A.expt -- -lambda 1 -distance 100 -detpixels 1024
"""
#: degrees by which a spindle may miss the right angle to the beam without a word
SQUARE = 0.01


def add_arguments(parser: Any) -> None:
    from ...files.registry import orientation_formats

    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("file", nargs="?", metavar="FILE", help="matrix, .expt or XPARM.XDS file to read")
    parser.add_argument("--cell", nargs=6, type=float, metavar=("A", "B", "C", "AL", "BE", "GA"), help="A and degrees")
    parser.add_argument("--missets", nargs=3, type=float, metavar=("X", "Y", "Z"), help="rotate the cell by, degrees")
    parser.add_argument("--U", nargs=9, type=float, metavar="U", help="rotate the cell by a matrix, given row by row")
    parser.add_argument("--random", type=int, metavar="SEED", help="rotate the cell at random; the seed decides")
    parser.add_argument("--index", type=int, default=0, metavar="N", help="experiment in a .expt file (default: 0)")
    parser.add_argument(
        "--wavelength", type=float, metavar="A", help="Angstrom, of matrices read and written (default: known, or 1)"
    )
    parser.add_argument(
        "--convention",
        choices=tuple(CONVENTIONS),
        default="MOSFLM",
        help="whose frame -mat files are in (default: MOSFLM)",
    )
    formats = tuple(orientation_formats())
    parser.add_argument("--to", choices=formats, default="mat", help="what to write (default: mat, nine numbers)")
    parser.add_argument("--out", metavar="NAME", help="file to write (default: standard output)")


def run(args: Any) -> int:
    crystal = crystal_of(args)
    text = text_of(args, crystal)
    if args.out is None:
        sys.stdout.write(text)
    else:
        from ...files.atomic import write_file

        write_file(args.out, text.encode())
    return 0


def complain(text: Any) -> None:
    print(f"nanobragg-py matrix: {text}", file=sys.stderr)


def crystal_of(args: Any) -> Any:
    """The OrientedCrystal that is asked for, in the frame of the flags if there are any."""
    if args.file and args.cell:
        raise NanoBraggError("--cell and a file both describe the crystal; give one of them")
    turns = [name for name in ("missets", "U", "random") if getattr(args, name) is not None]
    if len(turns) > 1:
        raise NanoBraggError(f"--{turns[0]} and --{turns[1]} both orient the cell; give one of them")
    if turns and not args.cell:
        raise NanoBraggError(f"--{turns[0]} orients a --cell; give one")
    if args.wavelength is not None and not 0 < args.wavelength < float("inf"):
        raise NanoBraggError(f"--wavelength does not take {args.wavelength:g}; give Angstrom")
    if not (args.file or args.cell or args.flags):
        raise NanoBraggError("there is no crystal; give a file, --cell, or nanoBragg's flags after --")
    geometry = experiment = None
    if args.flags:
        from ...experiment.from_flags import flags_experiment, flags_geometry
        from ...files.geometry import experiment_geometry

        if args.file or args.cell:
            geometry, experiment = flags_geometry(args.flags, complain)
        else:
            experiment, _ = flags_experiment(args.flags, factors=False, complain=complain)
            geometry = experiment_geometry(experiment)
    if args.file:
        crystal = read_crystal(args, geometry)
    elif args.cell:
        crystal = cell_crystal(args, geometry)
    else:
        crystal = flags_crystal(experiment, geometry)
    if crystal.squint > SQUARE:
        complain(
            f"the spindle is {crystal.squint:.3g} degrees off the right angle to the beam; nanoBragg's is at 90 "
            "degrees unless -spindle_axis says otherwise"
        )
    return crystal if geometry is None else crystal.moved(geometry)


def metres(args: Any, geometry: Any) -> Any:
    """The wavelength of matrices, m."""
    if args.wavelength is not None:
        return args.wavelength * 1e-10
    return 1e-10 if geometry is None else geometry.wavelength


def request_of(args: Any, geometry: Any) -> Any:
    """What is asked of files; geometry: that of the flags, for reading, or of the crystal, for writing."""
    from ...files.registry import Request

    return Request(
        wavelength=metres(args, geometry),
        fixed=args.wavelength is not None,
        convention=args.convention,
        frame=geometry if args.flags else None,
        index=args.index,
        complain=complain,
    )


def read_crystal(args: Any, geometry: Any) -> Any:
    from ...files.registry import orientation_format_of

    try:
        with open(args.file, "rb") as file:
            head = file.read(4096)
    except OSError as error:
        from ...files.reading import cannot_read

        raise cannot_read(args.file, error, "give an orientation") from None
    start = head.decode("utf-8-sig", "replace").lstrip()
    found = orientation_format_of(start)
    try:
        return found.read(args.file, request_of(args, geometry))
    except OptionError as error:
        said = str(error).replace(f"-mat {args.file} ", "it ", 1)
        raise NanoBraggError(f"{args.file} {_no_orientation(head)}: {said}") from None


def _no_orientation(head: bytes) -> str:
    """What a file is that begins with some bytes and is no orientation."""
    from ...files.foreign import foreign_kind
    from ...files.source import WRAPPINGS

    if head.startswith(tuple(magic for magic, _ in WRAPPINGS)):
        return "is compressed; unpack it"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is text in UTF-16; save it as UTF-8"
    kind = foreign_kind(head)
    return f"is {kind}" if kind else "is no DIALS .expt, no XPARM.XDS and no matrix"


def cell_crystal(args: Any, geometry: Any) -> Any:
    """The crystal of --cell, turned from its standard orientation (a* along x, b* in the x-y plane)."""
    from math import radians

    import numpy as np

    from ...files.geometry import convention_geometry
    from ...files.oriented import OrientedCrystal
    from ...orientation import b_matrix, missets_to_rotation, random_rotations, rotation_to_missets

    rotation = np.eye(3)
    if args.missets:
        rotation = missets_to_rotation([radians(angle) for angle in args.missets])
    elif args.U:
        rotation = np.array(args.U).reshape(3, 3)
        rotation_to_missets(rotation)  # refuses what is no rotation
    elif args.random is not None:
        rotation = random_rotations(1, args.random)[0]
    frame = geometry or convention_geometry(args.convention, metres(args, None))
    return OrientedCrystal(A=rotation @ b_matrix(*args.cell), geometry=frame)


def flags_crystal(experiment: Any, geometry: Any) -> Any:
    """The crystal as the flags make it, with nanoBragg's own idea of a cell that is not orthogonal."""
    import numpy as np

    from ...files.oriented import OrientedCrystal

    crystal = experiment.crystal
    return OrientedCrystal(A=np.array([crystal.a_star, crystal.b_star, crystal.c_star]).T, geometry=geometry)


def text_of(args: Any, crystal: Any) -> Any:
    from ...files.registry import orientation_formats

    return orientation_formats()[args.to].text(crystal, request_of(args, crystal.geometry))
