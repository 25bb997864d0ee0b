"""``nanobragg-py bundle``: the evidence of a run in one folder, and its verification."""

import os
import sys
from typing import Any

from ...errors import NanoBraggError
from ..progress import waiting
from .compare import find_program, named_program

DESCRIPTION = """\
Runs a nanoBragg command line and keeps the evidence in a new folder: the images and what was
printed, a trace of the brightest pixel (or of --pixel) with its phi steps, the comparison of those
with the reference's, and, where a reference program is given, of both programs' files; summary.md,
metrics.json, run_metadata.json, env.json, commands.txt, git_sha.txt, and sha256.txt with a checksum
of every file. --check verifies such a folder.
"""
EPILOG = """\
exit status: 0; 1 if --check finds a change, or the programs differ; 2 for what cannot be run

examples:
  nanobragg-py bundle evidence -- -mat A.mat -hkl P1.hkl -N 5 -seed 1
  nanobragg-py bundle evidence --reference ./nanoBragg_c -- -mat A.mat -hkl P1.hkl -N 5 -seed 1
  nanobragg-py bundle --check evidence
"""


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("folder", metavar="OUT", help="the folder, which must be new")
    parser.add_argument("--check", action="store_true", help="verify the folder instead of making it")
    parser.add_argument(
        "--pixel", nargs=2, type=int, metavar=("SLOW", "FAST"), help="the pixel to trace (default: the brightest)"
    )
    parser.add_argument(
        "--reference", metavar="EXE", help="run this program too (default: the environment's NANOBRAGG_C or NB_C_BIN)"
    )


def run(args: Any) -> int:
    from ...inspect.bundle import check_bundle, make_bundle

    if args.check:
        if args.flags is not None or args.pixel is not None or args.reference is not None:
            raise NanoBraggError("--check runs nothing; give the folder alone")
        faults = check_bundle(args.folder)
        print("\n".join(faults) if faults else f"{args.folder}: every file is as it was")
        return 1 if faults else 0
    if not args.flags:
        raise NanoBraggError("there is nothing to run; give nanoBragg's flags after --")
    program = find_program(os.path.join(os.path.dirname(sys.executable), "nanoBragg"), "nanoBragg")
    named = named_program((args.reference, "--reference"), "NANOBRAGG_C", "NB_C_BIN")
    reference = None if named is None else find_program(*named)
    with waiting("running the programs and tracing"):
        bundle = make_bundle(args.folder, args.flags, program, reference, args.pixel)
    print((bundle.folder / "summary.md").read_text(encoding="utf-8", errors="surrogateescape"), end="")
    return 1 if bundle.failures else 0
