"""``nanobragg-py view``: a picture of an image, with resolution rings, beam centre and predicted spots."""

import os
import sys
from typing import Any

from ...errors import NanoBraggError

DESCRIPTION = """\
Draws an image, dark spots on a light ground, with resolution rings, the beam centre, pixel numbers
and the scale of its greys, and with --spots a circle where each spot of the crystal that the flags
after -- describe should be.
Writes a PNG, or shows it in a terminal that speaks the picture protocol of kitty or iTerm2, or
sixels. Large images are made smaller by taking the strongest of neighbouring pixels.
"""
EPILOG = """\
exit status: 0; 2 for input of which there is no picture

examples:
  nanobragg-py view noiseimage.img --out noise.png
  nanobragg-py view noiseimage.img --rings 4 3 2.5 --show
  nanobragg-py view floatimage.bin --spots --out spots.png -- -cell 71 84 97 -N 20 -default_F 1 -distance 100
"""
#: pixels that a picture has at least along its longer side, and at most
SMALLEST, LARGEST = 16, 16384
PROTOCOLS = ("kitty", "iterm", "sixel")


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("image", metavar="IMAGE", help="image (of x.h5#12 number 12), or bare floats")
    parser.add_argument("--out", metavar="NAME", help="PNG file to write (default: show it in the terminal)")
    parser.add_argument(
        "--show", nargs="?", const="auto", choices=("auto", *PROTOCOLS), help="show it in the terminal, in this way"
    )
    parser.add_argument("--shape", metavar="FASTxSLOW", help="pixels of bare floats (default: as the flags say)")
    parser.add_argument("--header", metavar="FILE", help="image whose header describes this one")
    parser.add_argument("--rings", nargs="+", type=float, metavar="D", help="spacings of the rings, A (default: some)")
    parser.add_argument("--no-rings", action="store_true", help="draw no rings")
    parser.add_argument("--no-axes", action="store_true", help="no pixel numbers and no scale of the greys around it")
    parser.add_argument("--no-centre", action="store_true", help="do not mark the beam centre")
    parser.add_argument("--spots", action="store_true", help="circle where the crystal's spots should be")
    parser.add_argument("--dmin", type=float, default=0.0, metavar="D", help="no spots of finer spacing, A")
    parser.add_argument(
        "--white",
        type=float,
        metavar="X",
        help="pixel value drawn black, on a linear scale (default: arsinh up to the strong spots)",
    )
    parser.add_argument("--size", type=int, default=1000, metavar="N", help="pixels of its longer side (default: 1000)")


def run(args: Any) -> int:
    protocol = protocol_of(args)
    picture = picture_of(args)
    if args.out:
        from ...files.formats.png import write_png

        write_png(args.out, picture)
    if protocol:
        from ...inspect.terminal import terminal_bytes

        sys.stdout.buffer.write(terminal_bytes(picture, protocol))
        sys.stdout.buffer.flush()
    return 0


def protocol_of(args: Any) -> Any:
    """How to show the picture; None when it is only written."""
    from ...inspect.terminal import detect

    if args.show is None and args.out:
        return None
    if args.show in PROTOCOLS:
        return args.show
    protocol = detect(os.environ)
    if protocol is None or not (sys.stdout.isatty() or args.show):
        raise NanoBraggError(
            "this terminal does not say that it can show pictures; write one with --out NAME, or name the protocol "
            f"with --show {', '.join(PROTOCOLS)}"
        )
    return protocol


def picture_of(args: Any) -> Any:
    from ...experiment.from_flags import flags_experiment, flags_geometry
    from ...files.geometry import experiment_geometry
    from ...files.grey import grey_scale_of
    from ...files.image import read_image
    from ...inspect.describe import image_geometry, odd_geometry
    from ...inspect.frame import framed, inner_size
    from ...inspect.picture import draw
    from ...inspect.rings import round_spacings
    from .convert import read_header, wanted_shape

    if args.size < SMALLEST:
        raise NanoBraggError(f"--size does not take {args.size}; give at least {SMALLEST} pixels")
    if args.size > LARGEST:
        raise NanoBraggError(f"--size does not take {args.size}; a picture has at most {LARGEST} pixels a side")
    if args.spots and not args.flags:
        raise NanoBraggError("--spots needs to know the crystal; give nanoBragg's flags after --")
    experiment = geometry = None
    if args.spots:
        experiment, _ = flags_experiment(args.flags)
        geometry = experiment_geometry(experiment)
    elif args.flags:
        geometry, _ = flags_geometry(args.flags)
    elif args.header:
        _, geometry = read_header(args.header)
    shape = wanted_shape(args) or (None if geometry is None else (geometry.spixels, geometry.fpixels))
    image = read_image(args.image, shape)
    for remark in image.remarks:
        print(f"nanobragg-py view: {remark}", file=sys.stderr)
    if geometry is None:
        try:
            geometry = image_geometry(image)
            for remark in odd_geometry(geometry):
                print(f"nanobragg-py view: {remark}", file=sys.stderr)
        except NanoBraggError as error:
            if args.rings:
                raise
            print(f"nanobragg-py view: no rings and no beam centre: {error}", file=sys.stderr)
    elif image.shape != (geometry.spixels, geometry.fpixels):
        raise NanoBraggError(
            f"{args.image} has {image.shape[1]} x {image.shape[0]} pixels, and the detector described "
            f"{geometry.fpixels} x {geometry.spixels}; correct one of them"
        )
    spots = None
    if experiment is not None:
        from ...inspect.predictions import predict

        _, *spots = predict(experiment, args.dmin)
    spacings = ()
    if geometry is not None and not args.no_rings:
        spacings = args.rings or round_spacings(geometry)
    size = args.size if args.no_axes else inner_size(image.shape, args.size)
    if size < SMALLEST:
        raise NanoBraggError(f"--size {args.size} leaves no room for axes; give a larger one, or --no-axes")
    picture = draw(image, size, args.white, geometry, spacings, not args.no_centre, spots)
    return picture if args.no_axes else framed(picture, image.shape, grey_scale_of(image.pixels, args.white), args.size)
