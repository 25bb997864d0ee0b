"""``nanobragg-py refine``: crystal, beam and detector fitted to an observed image."""

import os
import shlex
import sys
from math import degrees
from pathlib import Path
from typing import Any

from ...errors import NanoBraggError

DESCRIPTION = """\
Fits an experiment to an observed image: the photons of the model to those of the pixels, weighted as
photon counting has it, by the image's exact derivatives. The start is a file of an experiment
(--start) or nanoBragg's flags after --, and has to be near enough that its spots lie on the observed
ones in part: some tenths of a degree, some parts in a thousand of the cell.

Pixels outside the experiment's region of interest, under its mask or --mask, below --min, from --max on
and overloads that the file states are left out.

Leaves in the output folder: experiment.toml (to go on from, or to render), crystal.mat, crystal.expt,
command.txt (the flags of nanoBragg), refined.json and, with the extra [plot], refine.png: observed
image, model and what is left.
"""
EPILOG = """\
exit status: 0; 1 if it did not converge, and it says why it thinks so; 2 for bad input

examples:
  nanobragg-py refine shot.img --start start.toml --parameters rotation,lengths,fluence
  nanobragg-py refine shot.cbf --adc 0 --parameters rotation,distance -- -hkl P1.hkl -mat A.mat -N 20
"""
#: pixels from nanoBragg's own integer images have this added
ADC = 40.0
#: what numbers are shown in: of a name's last word, the unit and how many of it are one of the field's
SHOWN = {
    "rotation": ("deg", degrees(1.0)), "missets": ("deg", degrees(1.0)), "angles": ("deg", degrees(1.0)),
    "lengths": ("A", 1.0), "matrix": ("1/A", 1.0), "mosaic_spread": ("deg", degrees(1.0)),
    "mosaic_spreads": ("deg", degrees(1.0)), "cells": ("", 1.0), "wavelength": ("A", 1e10),
    "fluence": ("/m^2", 1.0), "distance": ("mm", 1e3), "close_distance": ("mm", 1e3), "twotheta": ("deg", degrees(1.0)),
    "origin": ("mm", 1e3), "source_weights": ("", 1.0), "spectrum": ("m", 1.0),
    "rotations": ("deg", degrees(1.0)), "phi0": ("deg", degrees(1.0)), "osc": ("deg", degrees(1.0)),
    "water": ("um", 1e6), "background": ("photons", 1.0), "amorphous": ("of stated", 1.0),
}  # fmt: skip


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("observed", metavar="OBSERVED", help="the image, of any format that is read")
    parser.add_argument("--start", metavar="EXPERIMENT", help="where to start: TOML or JSON, or flags after --")
    parser.add_argument(
        "--parameters", default="rotation,lengths,fluence", metavar="NAMES",
        help="what to fit, with commas (default: %(default)s); background is photons in every pixel",
    )  # fmt: skip
    parser.add_argument(
        "--amorphous", metavar="CURVE",
        help="amorphous material beside the crystal, 0.1 mm of it: water, air or a file of F against "
        "sin(theta)/lambda; the parameter amorphous is its amount, as a part of that",
    )  # fmt: skip
    parser.add_argument(
        "--adc", type=float, metavar="X", help=f"offset of pixels (default: {ADC:g} of SMV files, else 0)"
    )
    parser.add_argument("--gain", type=float, default=1.0, metavar="X", help="pixel units a photon (default: 1)")
    parser.add_argument("--readout", type=float, default=0.0, metavar="X", help="its noise, photons (default: 0)")
    parser.add_argument("--min", type=float, metavar="X", help="leave out pixels below (default: 0 for whole numbers)")
    parser.add_argument("--max", type=float, metavar="X", help="leave out pixels from here on (default: overloads)")
    parser.add_argument("--mask", metavar="FILE", help="an image; where it is 0 pixels are left out")
    parser.add_argument("--shape", nargs=2, type=int, metavar=("S", "F"), help="pixels of bare floats, slow and fast")
    parser.add_argument("--evaluations", type=int, default=30, metavar="N", help="at most so many (default: 30)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads (default: every processor)")
    parser.add_argument("--outdir", default="refined", metavar="DIR", help="where files go (default: refined)")
    parser.add_argument("--no-picture", action="store_true", help="do not make refine.png")


def run(args: Any) -> int:
    from ...files.panels import panel_images, panel_places, place_panels
    from ...fit import Fit, check_fitted, refine
    from ...render.amorphous import Background

    if (args.start is None) == (not args.flags):
        raise NanoBraggError("give where to start: --start with a file, or nanoBragg's flags after --, and not both")
    if not args.gain > 0.0:
        raise NanoBraggError(f"--gain does not take {args.gain:g}; give pixel units a photon")
    if not 0.0 <= args.readout < 1e100:
        raise NanoBraggError(f"--readout does not take {args.readout:g}; give photons")
    if args.evaluations < 1 or args.threads < 0:
        raise NanoBraggError("--evaluations takes 1 or more, and --threads 0 or more")
    names = check_fitted([name for name in args.parameters.split(",") if name])
    start = start_of(args)
    panels = start.detector.panels
    if panels is not None and len(set(start.shapes)) > 1:
        raise NanoBraggError("refine takes panels of one size; leave out those that differ, or refine each by itself")
    photons = photons_of(args, start.shape if panels is None else place_panels(panels)[0])
    mask = mask_of(args, photons.shape)
    if panels is not None:
        places = panel_places(panels)
        photons, mask = panel_images(photons, places), None if mask is None else panel_images(mask, places)
    amorphous = None if args.amorphous is None else Background(args.amorphous)
    fit = Fit(start, photons, names, args.readout**2, mask, args.threads, amorphous)
    folder = Path(args.outdir)
    if folder.exists() and not folder.is_dir():
        raise NanoBraggError(f"--outdir {args.outdir} is a file; give a folder")
    print(f"{fit.photons.size} pixels, {fit.photons.sum():.6g} photons, {len(fit.names)} numbers", file=sys.stderr)

    def progress(count: int, deviance: float, x: Any) -> None:
        print(f"evaluation {count:2}: deviance {deviance:.6g}", file=sys.stderr)

    found = refine(fit, args.evaluations, progress)
    print("\n".join(lines_of(fit, found)))
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder, fit, found, photons)
    if not args.no_picture:
        write_picture(folder, fit, found)
    for reason in found.reasons:
        print(f"nanobragg-py refine: {reason}", file=sys.stderr)
    return 0 if found.converged else 1


def start_of(args: Any) -> Any:
    """The experiment to start from, its orientation a number: what was drawn once is not drawn again."""
    from ...api import Experiment

    start = Experiment.read(args.start) if args.start else Experiment.from_args(args.flags)
    if start.crystal.missets == "random":
        start = start.replace({"crystal.missets": start.resolved.crystal.missets, "crystal.misset_seed": None})
    return start


def photons_of(args: Any, shape: Any) -> Any:
    """The observed photons, nan where a pixel does not count."""
    import numpy as np

    from ...files.image import read_image

    image = read_image(args.observed, None if args.shape is None else tuple(args.shape))
    for remark in image.remarks:
        print(f"nanobragg-py refine: {remark}", file=sys.stderr)
    if image.shape != shape:
        raise NanoBraggError(
            f"{args.observed} has {image.shape[1]} x {image.shape[0]} pixels, and the start {shape[1]} x {shape[0]}; "
            "they have to be the same detector"
        )
    whole = np.issubdtype(image.pixels.dtype, np.integer)
    pixels = image.pixels.astype(np.float64)
    least = args.min if args.min is not None else (0.0 if whole else -np.inf)
    full = np.iinfo(image.pixels.dtype).max if whole else np.inf
    most = args.max if args.max is not None else (image.saturated if image.saturated is not None else full)
    adc = args.adc if args.adc is not None else (ADC if image.kind == "smv" and whole else 0.0)
    pixels[(pixels < least) | (pixels >= most)] = np.nan
    return (pixels - adc) / args.gain


def mask_of(args: Any, shape: Any) -> Any:
    """The pixels of --mask, or None."""
    if args.mask is None:
        return None
    from ...files.image import read_image

    mask = read_image(args.mask)
    if mask.shape != shape:
        raise NanoBraggError(
            f"--mask {args.mask} has {mask.shape[1]} x {mask.shape[0]} pixels, and the image {shape[1]} x {shape[0]}"
        )
    return mask.pixels


def unit_of(name: str) -> Any:
    """The unit in which a number of the fit is shown, and how many of it are one of the field's."""
    return SHOWN[name.partition("[")[0].rpartition(".")[2]]


def values_of(fit: Any) -> Any:
    """The numbers of the fit at its start, in the fields' units."""
    import numpy as np

    values = [np.ravel(row.value(fit.experiment)).astype(float) for row in fit.rows]
    # the amount of amorphous material is told from 0, as the background is
    return np.concatenate([*values, np.ones(int(fit.material)), np.zeros(int(fit.background))])


def lines_of(fit: Any, found: Any) -> Any:
    """The table of what was found, and what else is to be said."""
    start = values_of(fit)
    yield f"{'':28} {'start':>14} {'refined':>14} {'deviation':>12}"
    for i, name in enumerate(found.names):
        unit, factor = unit_of(name)
        first, last = (start[i] + fit.start[i]) * factor, (start[i] + found.x[i]) * factor
        yield f"{name + ', ' + unit:28} {first:14.7g} {last:14.7g} {found.deviations[i] * factor:12.2g}"
    yield "correlation (percent)"
    for i, name in enumerate(found.names):
        yield f"{name:28}" + "".join(f"{100.0 * value:5.0f}" for value in found.correlation[i, : i + 1])
    first, last = found.deviance
    verdict = "converged" if found.converged else "did not converge"
    yield f"deviance {first:.6g} -> {last:.6g}, {found.per_pixel:.3f} of what noise makes"
    yield f"{verdict} after {found.evaluations} evaluations"


def write_results(folder: Path, fit: Any, found: Any, photons: Any) -> None:
    """The files of a refinement, but for the picture."""
    import json

    import numpy as np

    from ...files.atomic import write_file
    from ...files.geometry import experiment_geometry
    from ...files.oriented import OrientedCrystal
    from ...files.registry import Request, orientation_formats

    experiment = found.experiment
    experiment.write(folder / "experiment.toml")
    resolved = experiment.resolved
    A = np.array([resolved.crystal.a_star, resolved.crystal.b_star, resolved.crystal.c_star]).T
    geometry = experiment_geometry(resolved)
    crystal = OrientedCrystal(A=A, geometry=geometry)
    request = Request(wavelength=resolved.beam.wavelength, frame=geometry)
    for name, kind in (("crystal.mat", "mat"), ("crystal.expt", "dials")):
        write_file(str(folder / name), orientation_formats()[kind].text(crystal, request).encode())
    if experiment.detector.panels is None:
        words = experiment.to_args(folder)
        write_file(str(folder / "command.txt"), f"nanoBragg {shlex.join(words)}\n".encode())
    start = values_of(fit)
    summary = {
        "converged": found.converged,
        "reasons": found.reasons,
        "evaluations": found.evaluations,
        "deviance": found.deviance,
        "deviance_of_noise": found.per_pixel,
        "pixels": int(fit.photons.size),
        "background": found.background,
        "parameters": {
            name: {"start": start[i] + fit.start[i], "refined": start[i] + found.x[i], "deviation": found.deviations[i]}
            for i, name in enumerate(found.names)
        },
        "correlation": found.correlation.tolist(),
    }
    write_file(str(folder / "refined.json"), (json.dumps(summary, indent=1, default=float) + "\n").encode())


def write_picture(folder: Path, fit: Any, found: Any) -> None:
    """refine.png, or a sentence where there is no matplotlib."""
    import numpy as np

    from ...files.panels import stored_image

    try:
        from ...inspect.refine_picture import draw
    except ImportError:
        print(
            "nanobragg-py refine: no refine.png without matplotlib; pip install 'nanobragg-py[plot]'", file=sys.stderr
        )
        return
    observed, model = (np.full(fit.used.shape, np.nan) for _ in range(2))
    observed[fit.used], model[fit.used] = fit.photons, found.model
    panels = fit.experiment.detector.panels
    if panels is not None:
        observed, model = stored_image(panels, observed), stored_image(panels, model)
    draw(os.fspath(folder / "refine.png"), observed, model, fit.variance)
