"""``nanobragg-py simulate``: spots, background and detector in one process."""

import os
import sys
from typing import Any

from ...errors import FieldError, NanoBraggError
from ..console import announce
from ..progress import Progress
from ..stated import stated_experiment, tell_warnings

DESCRIPTION = """\
Renders an experiment, adds what amorphous material around the crystal scatters, and makes of the sum
what a detector records: nanoBragg, nonBragg and noisify in one process, with one geometry for all.

The experiment is a file (docs/library.md), or nanoBragg's flags after --.

--background takes a curve, which is a file or one of water, air, ice and unity, and what else
nanobragg_py.Background has: --background water,thickness=1e-4,density=1 (metres, g/cm^3). Ice has
grain=2e-8, the size of its crystals, as well. It may be given again: materials add up.

--response takes what nanobragg_py.Response has: --response psf=fiber,fwhm=60e-6,readout=3,gain=1.8.
Without it the image stays what it is in photons, as float32 or, with --seed, as Poisson counts.
"""
EPILOG = """\
exit status: 0; 2 for input that makes no image, and then nothing half-written is left

examples:
  nanobragg-py simulate cell.toml --background water --response readout=3 --seed 7 --out image.cbf
  nanobragg-py simulate --background water --out sum.npy -- -hkl P1.hkl -mat A.mat -lambda 1 -detpixels 512
"""


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("experiment", nargs="?", metavar="EXPERIMENT", help="file of an experiment, TOML or JSON")
    parser.add_argument(
        "--background", action="append", default=[], metavar="CURVE[,KEY=VALUE...]", help="material around the crystal"
    )
    parser.add_argument("--response", metavar="KEY=VALUE,...", help="the detector")
    parser.add_argument("--seed", type=int, metavar="N", help="of the noise (default: no noise)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads (default: every processor)")
    parser.add_argument("--out", required=True, metavar="NAME", help="file to write; its ending says the format")


def run(args: Any) -> int:
    from ...files.registry import format_of_name
    from ...render.backends import expected_seconds, steps_of
    from ...render.images import added

    found = format_of_name(args.out)
    if found is None:
        raise NanoBraggError(f"--out {args.out} has the ending of no format; give .img, .cbf, .nxs, .npy ...")
    if args.threads < 0:
        raise NanoBraggError(f"--threads {args.threads} cannot be; give 0 or more")
    sentence = "give a file of an experiment, or nanoBragg's flags after --, and not both"
    experiment = stated_experiment(args.experiment, args.flags, sentence)
    backgrounds = [background_of(text) for text in args.background]
    response = None if args.response is None else response_of(args.response, experiment)
    if response is not None and response.bits == 32 and found.name == "smv":
        raise NanoBraggError("--response bits=32 has no room in SMV files; write another format, CBF perhaps")
    if experiment.detector.panels is not None and not found.write_series and found.name not in ("npy", "float"):
        raise NanoBraggError(
            f"{found.title} files are written of one panel, and the detector has {len(experiment.detector.panels)}; "
            "write HDF5, with --out NAME.h5"
        )
    if experiment.detector.panels is not None and not found.write_series and len(set(experiment.shapes)) > 1:
        raise NanoBraggError(
            f"the panels differ in size, and {found.title} files hold one array; write HDF5, with --out NAME.h5"
        )
    tell_warnings("simulate", experiment)
    seconds = expected_seconds(experiment.resolved, args.threads)
    announce("pixels, sub-pixels, sources, domains, phi steps, layers", steps_of(experiment.resolved), seconds)
    with Progress(sum(slow * fast for slow, fast in experiment.shapes), "simulate", "pixel") as progress:
        image = experiment.render(threads=args.threads, progress=progress)
    for background in backgrounds:
        image = added(image, background.render(experiment, threads=args.threads))
    if response is not None:
        pixels = response.apply(image, args.seed)
    elif args.seed is not None:
        pixels = experiment.add_noise(image, args.seed, adc=0.0, threads=args.threads)
    else:
        pixels = image
    write(found, args.out, experiment, pixels)
    return 0


def settings(text: Any, what: Any) -> Any:
    """The {key: value} of ``key=value,...``."""
    values = {}
    for item in text.split(",") if text else []:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise NanoBraggError(f"{what} takes KEY=VALUE, and {item!r} is none")
        values[key.strip()] = value_of(value.strip())
    return values


def value_of(text: Any) -> Any:
    """A number, a truth value, or the text."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def background_of(text: Any) -> Any:
    """The Background of an argument of --background."""
    from ...render.amorphous import material

    curve, _, more = text.partition(",")
    try:
        return material(curve, **settings(more, "--background"))
    except (TypeError, FieldError) as error:
        raise NanoBraggError(f"--background {text}: {error}") from None


def response_of(text: Any, experiment: Any) -> Any:
    """The Response of the argument of --response, with the experiment's pixels."""
    from ...render.response import Response

    values = {"pixel_size": experiment.resolved.detector.pixel_size, **settings(text, "--response")}
    try:
        return Response(**values)
    except (TypeError, FieldError) as error:
        raise NanoBraggError(f"--response {text}: {error}") from None


def write(found: Any, name: str, experiment: Any, pixels: Any) -> None:
    """The image in a format, with the experiment's beam and detector where there is room."""
    import numpy as np

    from ...files.fit import fit
    from ...files.geometry import experiment_details, experiment_geometry
    from ...files.registry import Scene

    if experiment.detector.panels is not None and found.write_series:
        experiment.to_nexus(name, pixels)
        return
    if found.name == "smv" and pixels.dtype in (np.uint16, np.float32):
        experiment.to_smv(name, pixels)
        return
    scene = Scene(
        geometry=experiment_geometry(experiment.resolved),
        details=experiment_details(experiment.resolved),
        saturated=None if pixels.dtype == np.float32 else int(np.iinfo(pixels.dtype).max),
    )
    pixels, said, lost = fit(found, os.path.basename(name), pixels)
    for sentence in [
        *said,
        *(f"{found.title} files have no room for {clause}" for clause in (*lost, *found.loses(scene))),
    ]:
        print(f"nanobragg-py simulate: {sentence}", file=sys.stderr)
    if found.write is not None:
        found.write(name, pixels, scene)
    else:
        found.write_series(name, [pixels], [scene], pixels.dtype)
