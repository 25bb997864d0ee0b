"""``nanobragg-py convert``: images to the formats of other programs."""

import os
import sys

from ...errors import NanoBraggError

DESCRIPTION = """\
Writes SMV, CBF, npy or bare float images as SMV, CBF, NeXus (NXmx, HDF5), TIFF, npy or PNG.

Beam, detector and rotation come from nanoBragg's flags after --, else from the --header file,
else from the SMV image's own header. With flags, the second and later images of a series begin
where the one before it ended (-phi plus -osc for each).

Pixels become scale * I + offset. SMV (16 bits) and CBF (32 bits) take whole numbers: values are
rounded and clipped, and how many were clipped is said. The other formats keep the type of the
image unless --integer, --scale or --offset change it.

One image is written to the name given. Several become a series, NAME_00001.cbf and so on, which
DIALS and XDS take for one sweep, except in NeXus, where they become one file. A row of # in the
name says where the number goes and how many digits it has.
"""
EPILOG = """\
exit status: 0; 2 for input that cannot be converted, and then nothing half-written is left

examples:
  nanobragg-py convert noiseimage.img --out image.cbf
  nanobragg-py convert floatimage.bin --out image.h5 --integer -- -lambda 1 -distance 100 -detpixels 512
  nanobragg-py convert sweep_*.img --out sweep_#####.cbf
"""
FORMATS = ("smv", "cbf", "hdf5", "tiff", "npy", "png")
SUFFIXES = {
    ".img": "smv",
    ".smv": "smv",
    ".cbf": "cbf",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".nxs": "hdf5",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".npy": "npy",
    ".png": "png",
}
OWN_SUFFIX = {"smv": ".img", "cbf": ".cbf", "hdf5": ".h5", "tiff": ".tif", "npy": ".npy", "png": ".png"}
#: largest value of what holds whole numbers; of 65535 and 2^31-1, detectors mean "too many to count"
WHOLE = {"smv": (0, 65535), "cbf": (-(2**31), 2**31 - 1)}
DIGITS = 5


def add_arguments(parser):
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="SMV, CBF, npy, or bare floats as of -floatfile")
    parser.add_argument("--out", metavar="NAME", help="file to write (default: the image's name with a new ending)")
    parser.add_argument("--to", choices=FORMATS, help="format to write (default: what the ending of --out says)")
    parser.add_argument("--header", metavar="FILE", help="SMV image whose header describes the images")
    parser.add_argument("--shape", metavar="FASTxSLOW", help="pixels of bare floats (default: as flags or header say)")
    parser.add_argument("--scale", type=float, metavar="X", help="factor for the pixels (default: 1)")
    parser.add_argument("--offset", type=float, metavar="X", help="added to the scaled pixels (default: 0)")
    parser.add_argument("--integer", action="store_true", help="round pixels to 32-bit whole numbers")
    parser.add_argument(
        "--compression",
        choices=("gzip", "lz4", "bslz4", "none"),
        default="gzip",
        help="of NeXus files (default: gzip; lz4 and bslz4 need hdf5plugin)",
    )
    parser.add_argument("--first", type=int, default=1, metavar="N", help="number of the first image (default: 1)")


def run(args):
    from ...files.geometry import check_series

    target = target_format(args)
    names = output_names(args, target)
    shape = wanted_shape(args)
    source = Described(args)
    # all headers before the first file is written: a series that does not fit together leaves nothing behind
    geometries = []
    for index, name in enumerate(args.images):
        image = source.read(name, shape, header_only=True)
        geometries.append(source.geometry(image, index, needed=target in ("smv", "cbf", "hdf5")))
    if target in ("cbf", "hdf5"):
        check_series(geometries, args.images)
    inputs = progress_of(args.images)
    if target == "hdf5":
        write_sweep(args, names[0], inputs, source, shape, geometries)
        return 0
    for index, (name, out) in enumerate(zip(inputs, names, strict=True)):
        image = source.read(name, shape)
        write_one(target, out, pixels_for(target, image, args), image, geometries[index], source, index)
    return 0


def target_format(args):
    if args.to:
        return args.to
    suffix = os.path.splitext(args.out or "")[1].lower()
    if suffix not in SUFFIXES:
        raise NanoBraggError(
            f"say what to write, with --to {', '.join(FORMATS)}, or with an --out that ends in .cbf, .h5 ..."
        )
    return SUFFIXES[suffix]


def output_names(args, target):
    """The file for each image; for NeXus one file for all."""
    inputs = [os.path.realpath(name) for name in args.images]
    out = args.out
    if out is None:
        if len(args.images) > 1:
            raise NanoBraggError("several images become a series, which needs a name; give --out NAME")
        out = os.path.splitext(args.images[0])[0] + OWN_SUFFIX[target]
    names = [out] if len(inputs) == 1 or target == "hdf5" else numbered(out, args.first, len(inputs))
    if len(inputs) == 1 and "#" in out and target != "hdf5":
        names = numbered(out, args.first, 1)
    for name in names:
        if os.path.realpath(name) in inputs:
            raise NanoBraggError(f"{name} is one of the images to convert; give another name with --out")
    return names


def numbered(name, first, count):
    """Names of a series: the row of # in the name replaced by numbers, _##### before its ending if there is none."""
    folder, base = os.path.split(name)
    if "#" not in base:
        stem, suffix = os.path.splitext(base)
        base = f"{stem}_{'#' * DIGITS}{suffix}"
    head, _, tail = base.rpartition("#")
    stem = head.rstrip("#")
    digits = len(head) - len(stem) + 1
    if first < 0 or first + count - 1 >= 10**digits:
        raise NanoBraggError(f"numbers from {first} on do not fit into the {digits} digits of {name}; use more #")
    return [os.path.join(folder, f"{stem}{number:0{digits}d}{tail}") for number in range(first, first + count)]


def wanted_shape(args):
    if args.shape is None:
        return None
    fast, _, slow = args.shape.lower().partition("x")
    if not (fast.isdigit() and slow.isdigit() and int(fast) and int(slow)):
        raise NanoBraggError(f"--shape does not take {args.shape}; give the pixels along fast and slow, as 1024x1024")
    return int(slow), int(fast)


def progress_of(names):
    """The names, with a bar on a terminal if there are many and tqdm is there."""
    if len(names) < 3 or not sys.stderr.isatty():
        return names
    try:
        from tqdm import tqdm
    except ImportError:
        return names
    return tqdm(names, unit="image")


class Described:
    """Where the description of the images comes from: flags, the header of one file, or each image's own header."""

    def __init__(self, args):
        from ...experiment.from_flags import flags_geometry
        from ...experiment.header_geometry import header_geometry

        self.first = self.experiment = self.header = None
        if args.flags and args.header:
            raise NanoBraggError("--header and nanoBragg's flags both describe the images; give one of them")
        if args.flags:
            self.first, self.experiment = flags_geometry(args.flags, complain)
        elif args.header:
            self.header = read_header(args.header)
            self.first = header_geometry(self.header)

    def read(self, name, shape, header_only=False):
        from ...files.image import read_image

        if shape is None and self.first is not None:
            shape = (self.first.spixels, self.first.fpixels)
        return read_image(name, shape, header_only)

    def geometry(self, image, index, needed):
        """The Geometry of an image; None where there is none and none is needed."""
        from ...experiment.header_geometry import header_geometry

        if self.first is not None:
            geometry = self.first.next(index)
        elif image.smv is not None:
            try:
                geometry = header_geometry(image.smv)
            except NanoBraggError:
                if needed:
                    raise
                return None
        elif needed:
            raise NanoBraggError(
                f"nothing is known of beam and detector of {image.name}; give --header FILE, or nanoBragg's flags "
                "after --"
            )
        else:
            return None
        if image.shape != (geometry.spixels, geometry.fpixels):
            slow, fast = image.shape
            raise NanoBraggError(
                f"{image.name} has {fast} x {slow} pixels and its description {geometry.fpixels} x {geometry.spixels}; "
                "correct one of them"
            )
        return geometry

    def smv_header(self, image, index):
        """The header for an SMV file of the image, as bytes."""
        if self.experiment is not None:
            from ...files.report import smv_header

            sampling = self.experiment.sampling
            turned = sampling.replace(phi0=sampling.phi0 + index * sampling.osc)
            return smv_header(self.experiment.replace(sampling=turned))
        return native_header((self.header or image.smv).header)


def read_header(name):
    from ...files.smv import read_smv

    return read_smv(name, header_only=True)


def native_header(header):
    """An SMV header that says the byte order in which we write."""
    other = {"little": b"BYTE_ORDER=big_endian", "big": b"BYTE_ORDER=little_endian"}[sys.byteorder]
    mine = f"BYTE_ORDER={sys.byteorder}_endian".encode()
    at = header.find(other)
    if at < 0:
        return header
    rest = header[at + len(other) :]
    changed = header[:at] + mine + rest
    return changed[: len(header)] if len(changed) >= len(header) else changed.ljust(len(header))


def complain(text):
    print(f"nanobragg-py convert: {text}", file=sys.stderr)


def pixels_for(target, image, args):
    """The pixels in the type that the format takes, scaled, offset, rounded and clipped as asked."""
    import numpy as np

    pixels = image.pixels
    whole = target in WHOLE or args.integer
    low, high = WHOLE.get(target, WHOLE["cbf"])
    if args.scale is not None or args.offset is not None:
        pixels = pixels * np.float64(1.0 if args.scale is None else args.scale) + (args.offset or 0.0)
    if not whole:
        return pixels if pixels.dtype in (np.uint16, np.int32) else pixels.astype(np.float32)
    if pixels.dtype.kind == "f":
        wrong = int(np.count_nonzero(~np.isfinite(pixels)))
        if wrong:
            complain(f"{wrong} pixels of {image.name} are no numbers and become 0")
        pixels = np.floor(np.where(np.isfinite(pixels), pixels, 0.0) + 0.5)
    clipped = int(np.count_nonzero((pixels < low) | (pixels > high)))
    if clipped:
        complain(f"{clipped} pixels of {image.name} do not fit between {low} and {high} and are clipped")
    result = np.clip(pixels, low, high).astype(np.uint16 if target == "smv" else np.int32)
    if image.pixels.any() and not result.any():
        complain(f"all pixels of {image.name} become 0; give a larger --scale")
    return result


def write_one(target, out, pixels, image, geometry, source, index):
    import numpy as np

    if target == "smv":
        from ...files.smv import write_smv

        write_smv(out, source.smv_header(image, index), np.ascontiguousarray(pixels))
    elif target == "cbf":
        from ...files.cbf import write_cbf

        write_cbf(out, pixels, geometry, image.saturated or 2**31 - 1)
    elif target == "tiff":
        from ...files.tiff import write_tiff

        write_tiff(out, pixels, "" if geometry is None else description(geometry))
    elif target == "npy":
        from ...files.npy import write_npy

        write_npy(out, pixels)
    else:
        from ...files.png import greyscale, write_png

        write_png(out, greyscale(pixels))


def description(geometry):
    """A line about the geometry for formats that have room for a line."""
    from math import degrees

    fast, slow = (x / geometry.pixel_size for x in geometry.beam_centre)
    return (
        f"wavelength {geometry.wavelength * 1e10:.9g} A, distance {geometry.distance * 1000:.9g} mm, "
        f"pixel {geometry.pixel_size * 1000:.9g} mm, beam centre {fast:.6g} {slow:.6g} pixels (fast, slow), "
        f"phi {degrees(geometry.phi0):.9g} + {degrees(geometry.osc):.9g} degrees"
    )


def write_sweep(args, out, inputs, source, shape, geometries):
    """All images into one NeXus file; one at a time is in memory."""
    from ...files.nexus import write_nexus

    first = source.read(args.images[0], shape)
    dtype = pixels_for("hdf5", first, args).dtype
    images = (pixels_for("hdf5", source.read(name, shape), args) for name in inputs)
    write_nexus(out, images, geometries, dtype, first.saturated, args.compression)
