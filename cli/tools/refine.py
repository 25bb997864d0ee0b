"""``nanobragg-py refine``: crystal, beam and detector fitted to an observed image."""

import os
import shlex
import sys
from math import degrees
from pathlib import Path
from typing import Any

from ...errors import FieldError, NanoBraggError
from ..stated import stated_experiment, tell_warnings

DESCRIPTION = """\
Fits an experiment to an observed image: the photons of the model to those of the pixels, weighted as
photon counting has it, by the image's exact derivatives. The start is a file of an experiment
(--start) or nanoBragg's flags after --, and has to be near enough that its spots lie on the observed
ones in part: some tenths of a degree, some parts in a thousand of the cell.

Pixels outside the experiment's region of interest, under its mask or --mask, below --min, from --max on
and overloads that the file states are left out. Of a detector of panels the image holds all of them, as
simulate and nanoBragg -geometry write it; or it is a file of an image for each, panels that are alike.

Leaves in the output folder: experiment.toml (to go on from, or to render), crystal.mat, crystal.expt,
command.txt (the flags of nanoBragg, where they can state it), refined.json and, with the extra [plot],
refine.png: observed image, model and what is left.
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
    "water": ("um", 1e6), "scale": ("", 1.0), "default_F": ("electrons", 1.0), "direction": ("", 1.0),
    "background": ("photons", 1.0), "amorphous": ("of stated", 1.0),
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
    from ...fit import Fit, check_fitted, refine
    from ...render.amorphous import Background

    if not 1e-100 < args.gain < 1e100:
        raise NanoBraggError(f"--gain does not take {args.gain:g}; give pixel units a photon")
    if not 0.0 <= args.readout < 1e100:
        raise NanoBraggError(f"--readout does not take {args.readout:g}; give photons")
    if args.evaluations < 1 or args.threads < 0:
        raise NanoBraggError("--evaluations takes 1 or more, and --threads 0 or more")
    names = check_fitted([name for name in args.parameters.split(",") if name])
    start = start_of(args)
    photons = photons_of(args, start)
    amorphous = None if args.amorphous is None else Background(args.amorphous)
    fit = Fit(start, photons, names, args.readout**2, mask_of(args, start), args.threads, amorphous)
    folder = Path(args.outdir)
    if folder.exists() and not folder.is_dir():
        raise NanoBraggError(f"--outdir {args.outdir} is a file; give a folder")
    tell_warnings("refine", start)
    print(f"{fit.photons.size} pixels, {fit.photons.sum():.6g} photons, {len(fit.names)} numbers", file=sys.stderr)

    def progress(count: int, deviance: float, x: Any) -> None:
        print(f"evaluation {count:2}: deviance {deviance:.6g}", file=sys.stderr)

    found = refine(fit, args.evaluations, progress)
    print("\n".join(lines_of(fit, found)))
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder, fit, found)
    if not args.no_picture:
        write_picture(folder, fit, found)
    for reason in found.reasons:
        print(f"nanobragg-py refine: {reason}", file=sys.stderr)
    return 0 if found.converged else 1


def start_of(args: Any) -> Any:
    """The experiment to start from, its orientation a number: what was drawn once is not drawn again."""
    sentence = "give where to start: --start with a file, or nanoBragg's flags after --, and not both"
    start = stated_experiment(args.start, args.flags, sentence)
    if start.crystal.missets == "random":
        start = start.replace({"crystal.missets": start.resolved.crystal.missets, "crystal.misset_seed": None})
    return start


def photons_of(args: Any, start: Any) -> Any:
    """The observed photons, nan where a pixel does not count: (slow, fast), or of panels a stack or a list."""
    import numpy as np

    found = []
    for image in images_of(args, start):
        whole = np.issubdtype(image.pixels.dtype, np.integer)
        pixels = image.pixels.astype(np.float64)
        least = args.min if args.min is not None else (0.0 if whole else -np.inf)
        full = np.iinfo(image.pixels.dtype).max if whole else np.inf
        most = args.max if args.max is not None else (image.saturated if image.saturated is not None else full)
        adc = args.adc if args.adc is not None else (ADC if image.kind == "smv" and whole else 0.0)
        pixels[(pixels < least) | (pixels >= most)] = np.nan
        found.append((pixels - adc) / args.gain)
    return of_panels(found, start)


def images_of(args: Any, start: Any) -> Any:
    """The observed image, in a list. Of panels it holds all of them, each in its place; or its file has an image for
    each, and all are in the list."""
    from ...files.image import read_image

    name, shape, sizes = args.observed, None if args.shape is None else tuple(args.shape), start.shapes
    image = read_image(name, shape)
    for remark in image.remarks:
        print(f"nanobragg-py refine: {remark}", file=sys.stderr)
    if len(sizes) > 1 and len(set(sizes)) == 1 and image.shape == sizes[0] and "#" not in name:
        return [image, *(read_image(f"{name}#{number}", shape) for number in range(1, len(sizes)))]
    expected = stored_shape(start)
    if image.shape != expected:
        held = "the start's panels together" if start.resolved.panels else "the start"
        raise NanoBraggError(
            f"{name} has {image.shape[1]} x {image.shape[0]} pixels, and {held} {expected[1]} x {expected[0]}; "
            "they have to be the same detector"
        )
    return [image]


def stored_shape(start: Any) -> Any:
    """The shape (slow, fast) of the image, or of that which holds all panels."""
    from ...files.panels import place_panels

    panels = start.detector.panels
    return start.shape if panels is None else place_panels(panels)[0]


def of_panels(found: Any, start: Any) -> Any:
    """Arrays of `images_of` as a `Fit` takes them: an image, or a stack or a list of those of the panels."""
    import numpy as np

    from ...files.panels import panel_images, panel_places

    panels = start.detector.panels
    if len(found) > 1:
        return np.stack(found)
    return found[0] if panels is None else panel_images(found[0], panel_places(panels))


def mask_of(args: Any, start: Any) -> Any:
    """The pixels of --mask, or None."""
    if args.mask is None:
        return None
    from ...files.image import read_image

    mask, shape = read_image(args.mask), stored_shape(start)
    if mask.shape != shape:
        raise NanoBraggError(
            f"--mask {args.mask} has {mask.shape[1]} x {mask.shape[0]} pixels, and the image {shape[1]} x {shape[0]}"
        )
    return of_panels([mask.pixels], start)


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


def write_results(folder: Path, fit: Any, found: Any) -> None:
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
    if resolved.panels:  # of which a Geometry holds one; experiment.toml has them
        geometry = geometry.replace(origin=None)
    crystal = OrientedCrystal(A=A, geometry=geometry)
    request = Request(wavelength=resolved.beam.wavelength, frame=geometry)
    for name, kind in (("crystal.mat", "mat"), ("crystal.expt", "dials")):
        write_file(str(folder / name), orientation_formats()[kind].text(crystal, request).encode())
    try:
        words = experiment.to_args(folder)
    except FieldError as error:
        print(f"nanobragg-py refine: no command.txt: {error}", file=sys.stderr)
    else:
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
    try:
        from ...inspect.refine_picture import draw
    except ImportError:
        print(
            "nanobragg-py refine: no refine.png without matplotlib; pip install 'nanobragg-py[plot]'", file=sys.stderr
        )
        return
    observed, model = (whole_image(fit, values) for values in (fit.photons, found.model))
    draw(os.fspath(folder / "refine.png"), observed, model, fit.variance)


def whole_image(fit: Any, values: Any) -> Any:
    """Values of the pixels that count as one image, of panels in the places where files have them."""
    import numpy as np

    from ...files.panels import stored_image

    pixels = np.full(fit.used.shape, np.nan)
    pixels[fit.used] = values
    panels = fit.experiment.detector.panels
    if panels is None:
        return pixels
    ends = np.cumsum([rows * width for rows, width in fit.experiment.shapes])
    parts = np.split(pixels.reshape(-1), ends[:-1])
    return stored_image(panels, [part.reshape(size) for part, size in zip(parts, fit.experiment.shapes, strict=True)])
