"""``nanobragg-py batch``: render the images of a job file."""

import argparse
import sys
from typing import Any

from ...errors import NanoBraggError
from ..progress import Progress, duration

DESCRIPTION = """\
Renders the images of a job file: an experiment and what varies from image to image (docs/batch.md).
Image i depends on the job file and on i alone. A run that was stopped is continued by the same
command, which renders what is missing; the files are the same as if it had not been stopped.
"""
EPILOG = """\
exit status: 0; 2 for a job that cannot be rendered or files that are damaged

examples:
  nanobragg-py batch jobs.toml --dry-run
  nanobragg-py batch jobs.toml --out images
  nanobragg-py batch jobs.toml --out images --dask tcp://head:8786
  srun nanobragg-py batch jobs.toml --out images --rank env
  nanobragg-py batch --verify images
"""


def add_arguments(parser: Any) -> None:
    from ...batch.output import COMPRESSIONS, PER_FILE, output_formats

    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("job", nargs="?", metavar="JOB", help="a job file: .toml or .json, or a table .csv or .jsonl")
    parser.add_argument("--out", metavar="DIR", help="folder of the images; made if it is not there")
    parser.add_argument("--dry-run", action="store_true", help="say how many images and bytes and about how long")
    parser.add_argument("--verify", metavar="DIR", help="compare the images of a finished run with its manifest")
    files = parser.add_argument_group("files")
    files.add_argument("--format", choices=tuple(output_formats()), default="hdf5", help="(default: hdf5)")
    files.add_argument(
        "--per-file",
        type=positive,
        default=PER_FILE,
        metavar="N",
        help=f"images of an HDF5 file or a Zarr shard (default: {PER_FILE})",
    )
    files.add_argument(
        "--compression", choices=COMPRESSIONS, help="of HDF5 files (default: szip) and of Zarr (default: bslz4)"
    )
    files.add_argument("--spots", action="store_true", help="keep every image's spots with its labels, in HDF5 files")
    who = parser.add_argument_group("who renders")
    who.add_argument("--workers", type=positive, default=0, metavar="N", help="processes (default: one a processor)")
    who.add_argument(
        "--threads", type=positive, default=0, metavar="N", help="of each worker (default: what fills the processors)"
    )
    who.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler, or local for a cluster on this machine")
    who.add_argument(
        "--dask-security",
        nargs=3,
        metavar=("CA", "CERT", "KEY"),
        help="connect by TLS: certificates of the authority, own certificate and key, PEM files",
    )
    who.add_argument(
        "--rank",
        metavar="K/N",
        help="render part K, from 0, of N; env: as srun, mpirun or a Slurm array tell in the environment",
    )


def positive(text: Any) -> Any:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number of 1 or more")
    return number


def run(args: Any) -> int:
    check_arguments(args)
    if args.verify is not None:
        from ...batch.readback import verify

        print(f"{verify(args.verify)} images are as they were written")
        return 0
    from ...batch.jobs import read_job
    from ...batch.output import Output

    job = read_job(args.job)
    output = Output(args.out or ".", args.format, args.per_file, args.compression, spots=args.spots)
    if args.dry_run:
        tell_estimate(job, output)
        return 0
    with Progress(len(job), "batch") as meter:
        missing = render(args, job, output, meter)
    if missing:
        print(f"{missing} of {output.units(job)} files are not there yet; other ranks render them, or the same command")
    else:
        print(f"{len(job)} images in {args.out}, described in {args.out}/manifest.jsonl")
    return 0


def check_arguments(args: Any) -> None:
    if args.flags is not None:
        raise NanoBraggError("flags behind -- have no meaning here; put them into the job file")
    if (args.verify is None) == (args.job is None):
        raise NanoBraggError("give a job file, or --verify and a folder of images")
    if args.verify is None and args.out is None and not args.dry_run:
        raise NanoBraggError("give the folder of the images with --out, or --dry-run")
    if args.dask_security is not None and args.dask is None:
        raise NanoBraggError("--dask-security is of connections to --dask; give that as well")
    if args.dask is not None and (args.rank is not None or args.workers):
        raise NanoBraggError("--dask has its own workers; leave out --rank and --workers")


def render(args: Any, job: Any, output: Any, meter: Any) -> Any:
    """Render with whoever the arguments name; returns the number of files that are missing afterwards."""
    if args.dask is not None:
        import logging

        from ...batch.engines import run_dask

        # what matters of it is said in a sentence
        logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
        return run_dask(
            job,
            output,
            args.dask,
            threads=args.threads,
            security=args.dask_security,
            progress=meter,
            complain=meter.complain,
        )
    from ...batch.local import run

    rank = wanted_rank(args.rank)
    return run(
        job, output, workers=args.workers, threads=args.threads, rank=rank, progress=meter, complain=meter.complain
    )


def wanted_rank(text: Any) -> Any:
    """(rank, number of ranks) of --rank."""
    if text is None:
        return 0, 1
    from ...batch.engines import check_rank, rank_of_environment

    if text == "env":
        return rank_of_environment()
    rank, _, size = text.partition("/")
    if not (rank.isdecimal() and size.isdecimal()):
        raise NanoBraggError(f"--rank is {text}; give env, or a part such as 0/4")
    return check_rank(int(rank), int(size))


def tell_estimate(job: Any, output: Any) -> None:
    from ...batch.local import estimate

    told = estimate(job, output, lambda sentence: print(f"nanobragg-py batch: {sentence}", file=sys.stderr))
    many = f" of {min(output.per_file, told['images'])} images" if output.many else ""
    print(f"images  {told['images']} of {told['fast']} x {told['slow']} pixels, {told['dtype']}")
    print(f"files   {told['files']} {output.found.title}{many}, about {size_text(told['bytes'])} together")
    print(
        f"time    about {duration(told['seconds'])} with {told['workers']} workers of {told['threads']} threads "
        f"({told['seconds_per_image'] * 1e3:.3g} ms an image and thread)"
    )


def size_text(size: Any) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
