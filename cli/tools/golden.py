"""``nanobragg-py golden make|check``: sets of reference results of one's own command lines."""

import os
import sys
from pathlib import Path
from typing import Any

from ...errors import NanoBraggError
from ..progress import waiting
from .compare import find_program, metrics_lines

DESCRIPTION = """\
Keeps what a program makes of a list of nanoBragg command lines, and finds out later whether a program
still makes the same of them.

  make   runs every case and stores all files, the printed lines and a manifest with sha256 sums
  check  runs every case again and compares with what was stored

CASES.json is a list of objects: "id", "args" (a command line), and, if needed, "inputs" (files; default:
those that the flags name), "mode" ("c" adds -compat c), "before" (command lines to run first).
"""
EPILOG = """\
exit status: 0 if all is well, 1 if a case differs, 2 if something is missing or wrong

examples:
  nanobragg-py golden make cases.json references
  nanobragg-py golden make --program ./nanoBragg_c cases.json references
  nanobragg-py golden check cases.json references
"""


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("action", choices=("make", "check"), metavar="make|check", help="what to do")
    parser.add_argument("cases", metavar="CASES.json", help="the command lines")
    parser.add_argument("folder", metavar="DIR", help="where the results are kept")
    parser.add_argument(
        "--program",
        metavar="EXE",
        help="what to run (default: the nanoBragg beside this Python); -compat c is given to that one only",
    )
    parser.add_argument(
        "--inputs", metavar="DIR", help="where input files are (default: inputs/ beside CASES.json, or its folder)"
    )
    parser.add_argument("--only", nargs="+", metavar="ID", help="only these cases")
    parser.add_argument("--exact", action="store_true", help="check: float pixels have to be the same to the bit")
    parser.add_argument(
        "--allow-outside",
        action="store_true",
        help="let command lines read and write files outside of the folder that they are run in",
    )
    parser.add_argument("--force", action="store_true", help="make: replace a set that is there")


def run(args: Any) -> Any:
    from ...inspect.golden_set import inputs_folder, read_cases

    if args.flags is not None:
        raise NanoBraggError("golden takes no flags after --; they stand in CASES.json")
    cases = read_cases(args.cases, args.allow_outside)
    if args.only:
        unknown = set(args.only) - {case["id"] for case in cases}
        if unknown:
            raise NanoBraggError(f"{args.cases} has no case {', '.join(sorted(unknown))}; correct --only")
        cases = [case for case in cases if case["id"] in args.only]
    inputs = inputs_folder(args.cases, args.inputs)
    beside = os.path.join(os.path.dirname(sys.executable), "nanoBragg")
    program = find_program(args.program or beside, "--program")
    own = args.program is None or os.path.realpath(program) == os.path.realpath(beside)
    return {"make": make, "check": check}[args.action](args, cases, inputs, program, own)


def make(args: Any, cases: Any, inputs: Any, program: Any, own: Any) -> int:
    """Run every case and store what it did."""
    from ...inspect.golden import save
    from ...inspect.golden_set import MANIFEST, entry, run_case, write_manifest

    if args.exact:
        raise NanoBraggError("--exact belongs to check; make stores what it gets")
    folder = Path(args.folder)
    if (folder / MANIFEST).exists() and not args.force:
        raise NanoBraggError(f"{args.folder} holds a set already; give --force to replace it, or another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        entries = {}
        for case in cases:
            with waiting(f"{case['id']}: running"):
                result = run_case(program, case, inputs, own)
            save(result, folder / f"{case['id']}.npz")
            entries[case["id"]] = entry(case, result)
            print(f"{case['id']}: exit status {result.exit_status}, {len(result.files)} files", flush=True)
        write_manifest(folder, program, entries, inputs, {name for case in cases for name in case["inputs"]})
    except OSError as error:
        raise NanoBraggError(f"cannot write {error.filename or args.folder}: {error.strerror}") from None
    print(f"{len(cases)} cases in {args.folder}")
    return 0


def check(args: Any, cases: Any, inputs: Any, program: Any, own: Any) -> int:
    """Run every case and compare with what is stored."""
    from ...inspect.golden import IDENTICAL, case_arguments, compare
    from ...inspect.golden_set import float_metrics, manifest_faults, read_manifest, read_reference, run_case

    if args.force:
        raise NanoBraggError("--force belongs to make")
    if not Path(args.folder).is_dir():
        raise NanoBraggError(f"there is no folder {args.folder}; make the set first")
    manifest = read_manifest(args.folder)
    if manifest is None:
        print(f"note: {args.folder} has no manifest; sha256 sums are not checked", file=sys.stderr)
    failed = 0
    for case in cases:
        reference = read_reference(args.folder, case)
        faults = manifest_faults(case, manifest, reference, inputs)
        with waiting(f"{case['id']}: running"):
            result = run_case(program, case, inputs, own)
        found = compare(result, reference, case_arguments(case, own), 1.0 if args.exact else IDENTICAL)
        sentences = [*faults, *found.differences]
        failed += bool(sentences)
        print(f"{case['id']}: {'DIFFERS' if sentences else 'agrees'}", flush=True)
        for sentence in sentences:
            print(f"  {sentence}")
        if found.differing:
            metrics = float_metrics(case, result, reference, inputs)
            if metrics is not None:
                print("\n".join(metrics_lines(metrics)))
    print(f"{len(cases) - failed} of {len(cases)} cases agree")
    return 1 if failed else 0
