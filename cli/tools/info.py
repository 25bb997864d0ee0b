"""``nanobragg-py info``: header, statistics and beam centre of an image."""

import json
import sys
from typing import Any

from ...errors import NanoBraggError
from ...files.source import split_index

DESCRIPTION = """\
Says what an image is, where its beam centre lies in every convention, and what its pixels hold.
Read are {read}, compressed by
gzip, bzip2 or xz or not; bare floats need --shape or nanoBragg's flags after --. Of a file that
holds many images the first is described, and x.h5#12 is the one of number 12, counted from 0. The
beam centre is where the direct beam meets the detector.
"""
EPILOG = """\
exit status: 0; 2 for a file that is no image

examples:
  nanobragg-py info noiseimage.img
  nanobragg-py info floatimage.bin -- -detpixels 512 -distance 100 -lambda 1
"""
STATISTICS = (
    ("minimum", "minimum"),
    ("maximum", "maximum"),
    ("mean", "mean"),
    ("rmsd", "rms deviation"),
    ("sum", "sum"),
    ("zero", "zero pixels"),
    ("negative", "negative pixels"),
    ("overloads", "overloads"),
    ("not_finite", "not finite"),
)


def add_arguments(parser: Any) -> None:
    from ...files.registry import titles

    parser.description = DESCRIPTION.format(read=titles())
    parser.epilog = EPILOG
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image, or bare floats as of -floatfile")
    parser.add_argument("--shape", metavar="FASTxSLOW", help="pixels of bare floats")
    parser.add_argument("--header", action="store_true", help="print the header, too")
    parser.add_argument("--json", action="store_true", help="print a JSON list with one object an image")


def run(args: Any) -> int:
    from ...experiment.from_flags import flags_geometry
    from ...files.image import read_image
    from .convert import wanted_shape

    geometry = flags_geometry(args.flags)[0] if args.flags else None
    shape = wanted_shape(args) or (None if geometry is None else (geometry.spixels, geometry.fpixels))
    described = []
    for number, name in enumerate(args.images):
        about = describe(read_image(name, shape), geometry)
        if args.json:
            described.append(about)
            continue
        for remark in about["remarks"]:
            print(f"nanobragg-py info: {remark}", file=sys.stderr)
        if number:
            print()
        print("\n".join(text_lines(about, args.header)))
    if args.json:
        print(json.dumps(described, indent=1))
    return 0


def describe(image: Any, given: Any) -> Any:
    """Everything about an image as plain values."""
    from ...inspect.describe import geometry_items, image_geometry, odd_geometry, statistics

    about = {
        "name": image.name,
        "kind": image.kind,
        "images": image.count,
        "fast": image.shape[1],
        "slow": image.shape[0],
        "type": str(image.pixels.dtype),
        "header": dict(image.items),
        "statistics": statistics(image),
        "remarks": list(image.remarks),
    }
    try:
        geometry = given or image_geometry(image)
        about["geometry"] = [list(row) for row in geometry_items(geometry)]
        about["remarks"] += odd_geometry(geometry)
        about["convention"] = geometry.convention
        about["beam_centres"] = [[name, what, list(xy), unit] for name, what, xy, unit in geometry.centres()]
    except NanoBraggError as error:
        about["no_geometry"] = str(error)
    return about


def text_lines(about: Any, with_header: bool) -> list[str]:
    from ...files.registry import image_formats

    title = image_formats()[about["kind"]].title
    lines = [f"{about['name']}: {title}, {about['fast']} x {about['slow']} pixels (fast x slow), {about['type']}"]
    if about["images"] > 1:
        last = f"{split_index(about['name'])[0]}#{about['images'] - 1}"
        lines.append(f"one of {about['images']} images in the file; the last is {last}")
    if with_header:
        lines += ["", "Header", *(f"  {key} = {value}" for key, value in about["header"].items())]
    lines += ["", "Pixels"]
    numbers = about["statistics"]
    for key, label in STATISTICS:
        if numbers[key] is None or (key in ("negative", "not_finite") and not numbers[key]):
            continue
        where = " at fast {}, slow {}".format(*numbers["maximum_at"]) if key == "maximum" else ""
        lines.append(f"  {label:<26}{numbers[key]:.9g}{where}")
    if "no_geometry" in about:
        return [*lines, "", f"No geometry: {about['no_geometry']}"]
    lines += ["", f"Geometry ({about['convention']} convention)"]
    lines += [f"  {name:<26}{value:.6g} {unit}" for name, value, unit in about["geometry"]]
    lines += ["", "Beam centre"]
    for name, what, xy, unit in about["beam_centres"]:
        lines.append(f"  {name:<14}{' '.join(f'{x + 0.0:.6g}' for x in xy):<26}{unit:<7} {what}")
    return lines
