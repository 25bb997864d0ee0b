"""``nanobragg-py add``: the sum of float images."""

import math
from typing import Any

from ...errors import NanoBraggError

DESCRIPTION = """\
Adds float images: what nanoBragg and nonBragg write as floatimage.bin, or under the name that -floatfile
gives, 4-byte floats, photons a pixel. The sum is one again, for noisify or more of this.

They are added in the order in which they are given, and rounded to 4-byte floats after each. Images must
have as many pixels; whether those lie in the same places is not in the files (docs/chain.md).
"""
EPILOG = """\
exit status: 0; 2 for what cannot be added, and then the output is left as it was

examples:
  nanobragg-py add spots.bin water.bin --out sum.bin
  nanobragg-py add spots.bin water.bin air.bin --scale 1,0.5,1 --out sum.bin
  nanobragg-py add empty.bin shot.bin --scale=-1,1 --out difference.bin
"""


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="float images")
    parser.add_argument(
        "--scale",
        metavar="S,S,...",
        help="a factor for each of them (default: 1); --scale=-1,1 if the first is negative",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the float image to write")


def run(args: Any) -> int:
    from ...files.summing import add_float_images

    if args.flags is not None:
        raise NanoBraggError("flags behind -- have no meaning here; give the names of float images")
    count = add_float_images(args.images, scales_of(args.scale, args.images), args.out)
    print(f"{count} values in {args.out}")
    return 0


def scales_of(text: Any, images: Any) -> list[float]:
    """The factors of --scale, one an image."""
    if text is None:
        return [1.0] * len(images)
    scales = []
    for word in text.split(","):
        try:
            scales.append(float(word))
        except ValueError:
            raise NanoBraggError(f"--scale {text}: {word!r} is no number") from None
        if not math.isfinite(scales[-1]):
            raise NanoBraggError(f"--scale {text}: {word} is not finite")
    if len(scales) != len(images):
        raise NanoBraggError(f"--scale has {len(scales)} numbers and there are {len(images)} images; give one for each")
    return scales
