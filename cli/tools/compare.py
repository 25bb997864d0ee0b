"""``nanobragg-py compare`` (``nb-compare``): run two programs on one command line and compare all that they write."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import NanoBraggError
from ..progress import waiting

DESCRIPTION = """\
Runs a reference program and ours on one nanoBragg command line, each in a folder of its own with
the same input files, and compares what they wrote: the float images by several measures, the other
files byte for byte, and the printed lines. Leaves in the output folder: ours/ and reference/ with
all files, their logs, summary.json, and compare.png (which needs the extra [plot]).

With --images, compares two float images and runs nothing.
"""
EPILOG = """\
Input files named by the flags are copied into both folders. A dump file (Fdump.bin) that lies in the
current directory is not, unless -dump names it.

exit status: 0 if the limits are met, 1 if not, 2 if there is nothing to compare

examples:
  NANOBRAGG_C=./nanoBragg_c nanobragg-py compare -- -mat A.mat -hkl P1.hkl -N 5 -seed 1
  nanobragg-py compare --reference ./nanoBragg_c --exact -- -cell 50 60 70 90 90 90 -default_F 1 -seed 1
  nanobragg-py compare --images a.bin b.bin --shape 1024 1024
"""
SUMMARY = "summary.json"
PICTURE = "compare.png"
DIFFERENCE = "difference.bin"


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "--reference",
        "--c-bin",
        metavar="EXE",
        help="the reference program (default: the environment's NANOBRAGG_C, or NB_C_BIN)",
    )
    parser.add_argument(
        "--ours",
        "--py-bin",
        metavar="EXE",
        help="our program (default: the environment's NB_PY_BIN, or the nanoBragg beside this Python)",
    )
    parser.add_argument(
        "--roi", nargs=4, type=int, metavar=("FMIN", "FMAX", "SMIN", "SMAX"), help="add this -roi to the flags of both"
    )
    parser.add_argument(
        "--outdir", metavar="DIR", help="where all files go (default: nb-compare; with --images: nowhere)"
    )
    parser.add_argument(
        "--min-correlation",
        "--threshold",
        type=float,
        default=0.9995,
        metavar="R",
        help="least correlation (default: 0.9995)",
    )
    parser.add_argument(
        "--sum-ratio", nargs=2, type=float, default=(0.99, 1.01), metavar=("LOW", "HIGH"),
        help="bounds of our image's sum over the reference's (default: 0.99 1.01)",
    )  # fmt: skip
    parser.add_argument(
        "--exact",
        action="store_true",
        help="besides, every file the same byte for byte, and the printed lines the same",
    )
    parser.add_argument("--spots", type=int, default=50, metavar="N", help="follow the brightest N spots (default: 50)")
    parser.add_argument(
        "--save-diff", action="store_true", help=f"write ours minus reference as {DIFFERENCE}, float32, as well"
    )
    parser.add_argument("--no-picture", action="store_true", help="do not make compare.png")
    parser.add_argument("--images", nargs=2, metavar=("A", "B"), help="compare these, B being the reference")
    parser.add_argument("--shape", nargs=2, type=int, metavar=("S", "F"), help="pixels of bare floats, slow and fast")


def run(args: Any) -> Any:
    from ...inspect.compare import Limits

    if args.spots < 0:
        raise NanoBraggError("--spots does not take a negative number; give how many spots to follow")
    if args.sum_ratio[0] > args.sum_ratio[1]:
        raise NanoBraggError("--sum-ratio takes the lower bound first")
    limits = Limits(min_correlation=args.min_correlation, sum_ratio=tuple(args.sum_ratio), exact=args.exact)
    if args.images is not None:
        return compare_images(args, limits)
    if not args.flags:
        raise NanoBraggError("there is nothing to compare; give nanoBragg's flags after --, or two files with --images")
    if args.shape is not None:
        raise NanoBraggError("--shape belongs to --images; a command line says itself how large its image is")
    return compare_programs(args, limits)


def compare_images(args: Any, limits: Any) -> Any:
    """Two images, nothing run."""
    from ...inspect.compare import image_metrics, read_pixels, shortcomings

    if args.flags:
        raise NanoBraggError("--images compares two files and runs nothing; leave out either it or what follows --")
    images = [read_pixels(name, args.shape) for name in args.images]
    metrics = image_metrics(images[0], images[1], region=args.roi, spots=args.spots)
    failures = shortcomings(metrics, limits)
    print("\n".join(metrics_lines(metrics)))
    summary = {"images": [os.path.abspath(name) for name in args.images]}
    if args.outdir is not None:
        folder = prepare(args.outdir, args.images)
        summary = finish(folder, args, summary, metrics, failures, images)
    return verdict(failures)


def compare_programs(args: Any, limits: Any) -> Any:
    """Two programs on one command line."""
    from ...inspect.compare_runs import compare_results, plan_run, run_program

    beside = os.path.join(os.path.dirname(sys.executable), "nanoBragg")
    ours = find_program(*named_program((args.ours, "--ours"), "NB_PY_BIN") or (beside, "--ours"))
    named = named_program((args.reference, "--reference"), "NANOBRAGG_C", "NB_C_BIN")
    if named is None:
        raise NanoBraggError("there is no reference program; give --reference EXE, or set NANOBRAGG_C")
    reference = find_program(*named)
    plan = plan_run(args.flags, args.roi)
    folder = prepare(args.outdir or "nb-compare", [source for _, source in plan.inputs])
    for remark in plan.remarks:
        print(f"note: {remark}", file=sys.stderr)
    results = []
    for name, program in (("reference", reference), ("ours", ours)):
        with waiting(f"{name:9}  {program}: running"):
            result = run_program(program, plan, folder / name)
        (folder / f"{name}.stdout").write_bytes(os.fsencode(result.output))
        (folder / f"{name}.stderr").write_bytes(os.fsencode(result.errors))
        print(f"{name:9}  {program}: exit status {result.exit_status}")
        if name == "reference" and result.exit_status != 0:
            said = [line for line in result.output.splitlines() if line.startswith("ERROR")][:1]
            said = result.errors.strip().splitlines()[-1:] or said
            raise NanoBraggError(
                f"the reference {program} ended with exit status {result.exit_status}"
                + (f" ({said[0]})" if said else "")
                + "; correct the flags, or give another --reference"
            )
        results.append(result)
    outcome = compare_results(results[1], results[0], plan, limits, args.spots)

    if outcome.metrics is not None:
        print("\n".join([f"float image {plan.float_file}", *metrics_lines(outcome.metrics)]))
    print("files")
    for name, difference in outcome.files.items():
        print(f"  {name}: {difference or 'identical'}")
    print("printed lines")
    for sentence in outcome.lines or ["identical"]:
        print(f"  {sentence}")
    summary = {
        "flags": list(plan.flags),
        "ours": program_summary(ours, outcome.ours),
        "reference": program_summary(reference, outcome.reference),
        "files": {name: difference or "identical" for name, difference in outcome.files.items()},
        "printed_lines": list(outcome.lines),
        "remarks": list(plan.remarks),
    }
    finish(folder, args, summary, outcome.metrics, outcome.failures, outcome.images)
    return verdict(outcome.failures)


def named_program(given: Any, *variables: Any) -> Any:
    """(path, what names it) of the argument, given as such a pair, or of the first variable that is set; or None."""
    pairs = [given, *((os.environ.get(name), name) for name in variables)]
    return next((pair for pair in pairs if pair[0]), None)


def find_program(name: str, flag: Any) -> Any:
    """The path of an executable, looked for on the PATH if it is a bare name."""
    found = shutil.which(name)
    if found is None:
        raise NanoBraggError(f"{flag} {name} is no program that can be run; give the path of one")
    return os.path.abspath(found)


def prepare(name: str, inputs: Any) -> Any:
    """An output folder without anything of an earlier comparison; a folder that is something else is left alone.

    inputs: the files that are going to be read, none of which may be among those that are removed.
    """
    folder = Path(name)
    inside = [source for source in inputs if Path(source).resolve().is_relative_to(folder.resolve())]
    if inside:
        raise NanoBraggError(f"{inside[0]} lies in {name}, which is emptied for the output; give another --outdir")
    mine = (
        "ours",
        "reference",
        SUMMARY,
        PICTURE,
        DIFFERENCE,
        *(f"{n}.{s}" for n in ("ours", "reference") for s in ("stdout", "stderr")),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = {path.name for path in folder.iterdir()}
        if not present <= {*mine}:
            raise NanoBraggError(
                f"{name} holds files that no comparison made ({sorted(present - {*mine})[0]}); give another --outdir"
            )
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError as error:
        raise NanoBraggError(f"cannot use {name} for the output: {error.strerror}; give another --outdir") from None
    return folder


def program_summary(program: Any, result: Any) -> dict[Any, Any]:
    """What summary.json says of a run."""
    return {"program": program, "exit_status": result.exit_status, "seconds": round(result.seconds, 3)}


def finish(folder: Any, args: Any, summary: Any, metrics: Any, failures: Any, images: Any) -> Any:
    """Write summary.json and the picture."""
    picture = None
    if metrics is not None and not args.no_picture:
        try:
            from ...inspect.compare_picture import write_picture

            write_picture(folder / PICTURE, images[0], images[1], metrics)
            picture = PICTURE
        except ImportError as error:
            print(f"note: no {PICTURE} ({error}); pip install 'nanobragg-py[plot]' for pictures", file=sys.stderr)
    if args.save_diff and metrics is not None:
        ours, reference = images
        (folder / DIFFERENCE).write_bytes((ours - reference).astype("float32").tobytes())
    summary = {
        "nanobragg_py": __version__,
        **summary,
        "limits": {
            "min_correlation": args.min_correlation,
            "sum_ratio": list(args.sum_ratio),
            "exact": args.exact,
        },
        "image": metrics_dict(metrics),
        "picture": picture,
        "failures": list(failures),
        "agrees": not failures,
    }
    (folder / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8", errors="replace")
    print(f"{folder / SUMMARY}{f', {folder / PICTURE}' if picture else ''} written")
    return summary


def metrics_dict(metrics: Any) -> dict[Any, Any] | None:
    """The measures for summary.json; docs/compare.md describes the keys."""
    if metrics is None:
        return None
    worst = {
        name: dict(zip(("difference", "slow", "fast", "ours", "reference"), getattr(metrics, name), strict=True))
        for name in ("worst_absolute", "worst_relative")
    }
    return {
        "shape": list(metrics.shape),
        "region": list(metrics.region),
        "correlation": metrics.correlation,
        "sum_ratio": metrics.sum_ratio,
        "rmsd": metrics.rmsd,
        **worst,
        "identical": metrics.identical,
        "not_finite": metrics.not_finite,
        "spots": metrics.spots._asdict(),
    }


def metrics_lines(metrics: Any) -> list[str]:
    """The measures as lines of text."""

    def number(value):
        return "none" if value is None else f"{value:.9f}"

    def worst(found):
        difference, slow, fast, ours, reference = found
        where = f" at slow {slow}, fast {fast}: {ours:.9g}, reference {reference:.9g}" if difference else ""
        return f"{difference:.3g}{where}"

    lines = [
        f"pixels            {metrics.shape[0]} x {metrics.shape[1]} (slow x fast)",
        f"correlation       {number(metrics.correlation)}",
        f"sum ratio         {number(metrics.sum_ratio)}",
        f"RMSD              {metrics.rmsd:.3g}",
        f"worst difference  {worst(metrics.worst_absolute)}",
        f"worst relative    {worst(metrics.worst_relative)}",
        f"identical pixels  {metrics.identical:.4%}",
        f"spots             {spots_text(metrics.spots)}",
    ]
    if metrics.region != (0, metrics.shape[1] - 1, 0, metrics.shape[0] - 1):
        region = "fast {} to {}, slow {} to {}".format(*metrics.region)
        lines.insert(1, f"region            {region}")
    if metrics.not_finite:
        lines.append(f"not finite        {metrics.not_finite} pixels in one image only")
    return [f"  {line}" for line in lines]


def spots_text(spots: Any) -> str:
    if not spots.count:
        return "there are none"
    if not spots.found:
        return f"{spots.count} brightest, none of them found in the other image"
    lost = f", {spots.count - spots.found} not found" if spots.found < spots.count else ""
    return (
        f"{spots.count} brightest, displaced by {spots.mean:.4f} pixels on average, {spots.largest:.4f} at most{lost}"
    )


def verdict(failures: Any) -> int:
    """Say whether all is well: the exit status."""
    if not failures:
        print("result: they agree")
        return 0
    print("result: they differ")
    for sentence in failures:
        print(f"  {sentence}")
    return 1
