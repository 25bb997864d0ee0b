"""``nanobragg-py sweep``: a rotation series, ready for DIALS or XDS."""

import os
import shlex
from typing import Any

from ...errors import NanoBraggError
from ..progress import Progress
from .batch import positive, wanted_rank

DESCRIPTION = """\
Renders a rotation series: image after image, each from where the one before it ended, with nanoBragg's
flags behind --. The files are numbered from 1 as DIALS and XDS expect them, and the commands that
process them are printed at the end. A run that was stopped is continued by the same command.
"""
EPILOG = """\
exit status: 0; 2 for flags that cannot be rendered or a folder that cannot be written

example:
  nanobragg-py sweep --images 90 --osc 1 --xds -- -hkl P1.hkl -cell 34.8 39.2 48.3 90 90 90 -N 10 \\
      -distance 100 -detpixels 1024 -phisteps 5 -mosaic 0.2 -mosaic_domains 10 -seed 1
"""
#: what the programs that process images read
READERS = {"cbf": ("DIALS", "XDS"), "smv": ("DIALS", "XDS"), "nexus": ("DIALS",)}


def add_arguments(parser: Any) -> None:
    from ...batch.output import output_formats

    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("--images", type=positive, required=True, metavar="N", help="how many")
    parser.add_argument("--osc", type=float, required=True, metavar="DEG", help="rotation of each")
    parser.add_argument("--start", type=float, default=0.0, metavar="DEG", help="phi of the first (default: 0)")
    parser.add_argument("--out", default="sweep", metavar="DIR", help="folder of the images (default: sweep)")
    parser.add_argument("--name", default="image", help="of the files: NAME_00001.cbf and so on (default: image)")
    parser.add_argument("--format", choices=output_formats(), default="cbf", help="(default: cbf)")
    parser.add_argument("--xds", action="store_true", help="write XDS.INP beside the images")
    parser.add_argument("--dials", action="store_true", help="write dials.phil, with the cell, beside the images")
    parser.add_argument("--workers", type=positive, default=0, metavar="N", help="processes (default: one a processor)")
    parser.add_argument("--rank", metavar="K/N", help="render part K, from 0, of N, as of nanobragg-py batch")


def run(args: Any) -> int:
    from ...batch.jobs import Job
    from ...batch.local import run as render
    from ...batch.output import Output

    check(args)
    step = {"images": args.images, "start": f"{args.start!r} deg", "step": f"{args.osc!r} deg"}
    job = Job({"experiment": {"flags": shlex.join(args.flags)}, "sweep": step}, os.getcwd(), "sweep")
    output = Output(args.out, args.format, stem=args.name)
    with Progress(len(job), "sweep") as meter:
        missing = render(
            job, output, workers=args.workers, rank=wanted_rank(args.rank), progress=meter, complain=meter.complain
        )
    if missing:
        print(f"{missing} of {output.units(job)} files are not there yet; other ranks render them, or the same command")
        return 0
    beside(args, job, output)
    print("\n".join(told(args, job, output)))
    return 0


def check(args: Any) -> None:
    if not args.flags:
        raise NanoBraggError("there is nothing to render; give nanoBragg's flags after --")
    if not 0.0 < args.osc <= 360.0 or args.start - args.start != 0.0:
        raise NanoBraggError("--osc takes degrees, more than 0 and at most 360, and --start a number of degrees")
    if args.name in ("", ".", "..") or "/" in args.name or "?" in args.name:
        raise NanoBraggError(f"--name is {args.name!r}; it must be a file name without / and ?")
    if args.xds and "XDS" not in READERS.get(args.format, ()):
        raise NanoBraggError(f"XDS does not read {args.format} files; use --format cbf or smv")
    if "-phi" in args.flags or "-osc" in args.flags:
        raise NanoBraggError("-phi and -osc follow from --start and --osc; take them out of nanoBragg's flags")


def beside(args: Any, job: Any, output: Any) -> None:
    """The input files of the programs that process the images."""
    if not (args.xds or args.dials):
        return
    from ...batch.images import Maker
    from ...files.atomic import write_file
    from ...files.geometry import experiment_geometry
    from ...files.orientations.xds import xds_inp

    experiment = Maker(job).experiment(0)[0].resolved
    if args.xds:
        template = f"{args.name}_?????{os.path.splitext(output.file_name(job, 0))[1]}"
        beam = experiment.beam
        kahn = beam.polarization if beam.polarized else 0.0
        text = xds_inp(experiment_geometry(experiment), template, len(job), kahn, beam.polarization_axis)
        write_file(os.path.join(output.folder, "XDS.INP"), text.encode())
    if args.dials:
        from math import degrees

        cell = (*experiment.crystal.lengths, *map(degrees, experiment.crystal.angles))
        numbers = ",".join(f"{x:.6g}" for x in cell)
        text = f"indexing.known_symmetry {{\n  space_group = P1\n  unit_cell = {numbers}\n}}\n"
        write_file(os.path.join(output.folder, "dials.phil"), text.encode())


def told(args: Any, job: Any, output: Any) -> Any:
    """What was made, and what to type next."""
    from ...batch.notes import ALL_IMAGES

    names = [output.file_name(job, unit) for unit in (0, output.units(job) - 1)]
    lines = [f"{len(job)} images in {args.out}: {names[0]}" + (f" to {names[1]}" if names[1] != names[0] else "")]
    if args.format in READERS:
        files = shlex.quote(os.path.join(args.out, args.name)) + "_*" + os.path.splitext(names[0])[1]
        if output.many:
            files = shlex.quote(os.path.join(args.out, ALL_IMAGES))
        phil = f" {shlex.quote(os.path.join(args.out, 'dials.phil'))}" if args.dials else ""
        lines.append(f"dials.import {files} && dials.find_spots imported.expt && \\")
        lines.append(f"    dials.index imported.expt strong.refl{phil} && dials.integrate indexed.expt indexed.refl")
    if args.xds:
        lines.append(f"(cd {shlex.quote(args.out)} && xds)")
    return lines
