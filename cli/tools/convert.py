"""``nanobragg-py convert``: images to the formats of other programs."""

import os
import sys
from typing import Any

from ...errors import NanoBraggError
from ...files.source import WRAPPED, split_index
from ..progress import Progress

DESCRIPTION = """\
Writes images of any format that is read, compressed by gzip, bzip2 or xz or not, in another.
Read are {read}.

Beam, detector and rotation come from nanoBragg's flags after --, else from the --header file,
else from the image's own header. With flags, the second and later images of a series begin where
the one before it ended (-phi plus -osc for each).

Pixels become scale * I + offset. SMV (16 bits) and CBF (32 bits) take whole numbers: values are
rounded and clipped, and how many were clipped is said. PNG and PGM are pictures. The other formats
keep the type of the image unless --integer, --scale or --offset change it. What a file has no room
for is said, too.

One image is written to the name given. Several become a series, NAME_00001.cbf and so on, which
DIALS and XDS take for one sweep, except in HDF5 (NeXus, NXmx), where they become one file. A row
of # in the name says where the number goes and how many digits it has. Of a file that holds many
images all are converted; x.h5#12 is the one of number 12, counted from 0.
"""
EPILOG = """\
exit status: 0; 2 for input that cannot be converted, and then nothing half-written is left

examples:
  nanobragg-py convert noiseimage.img --out image.cbf
  nanobragg-py convert floatimage.bin --out image.h5 --integer -- -lambda 1 -distance 100 -detpixels 512
  nanobragg-py convert sweep_*.img --out sweep_#####.cbf
"""
DIGITS = 5
#: that a file may hold
MOST_IMAGES = 99999


def add_arguments(parser: Any) -> None:
    from ...files.registry import titles, written_formats

    written = written_formats()
    parser.description = DESCRIPTION.format(read=titles())
    parser.epilog = EPILOG
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image, or bare floats as of -floatfile")
    parser.add_argument("--out", metavar="NAME", help="file to write (default: the image's name with a new ending)")
    parser.add_argument("--to", choices=tuple(written), help="format to write (default: what the ending of --out says)")
    parser.add_argument("--header", metavar="FILE", help="image whose header describes the images")
    parser.add_argument("--shape", metavar="FASTxSLOW", help="pixels of bare floats (default: as flags or header say)")
    parser.add_argument("--scale", type=float, metavar="X", help="factor for the pixels (default: 1)")
    parser.add_argument("--offset", type=float, metavar="X", help="added to the scaled pixels (default: 0)")
    parser.add_argument("--integer", action="store_true", help="round pixels to 32-bit whole numbers")
    parser.add_argument(
        "--compression",
        choices=("gzip", "lz4", "bslz4", "none"),
        default="gzip",
        help="of HDF5 files (default: gzip; lz4 and bslz4 need hdf5plugin)",
    )
    parser.add_argument("--first", type=int, default=1, metavar="N", help="number of the first image (default: 1)")


def run(args: Any) -> int:
    from ...files.geometry import check_series

    found = target_format(args)
    shape = wanted_shape(args)
    source = Described(args)
    images = every_image(args, source, shape)
    names = output_names(args, found, images)
    # all headers before the first file is written: a series that does not fit together leaves nothing behind
    scenes = [source.scene(image, index, found) for index, image in enumerate(images)]
    if found.numbered:
        check_series([scene.geometry for scene in scenes], [image.name for image in images])
    with Progress(len(images), "convert") as progress:
        speak = Once(progress.complain)
        for scene in scenes:
            speak.all(source.odd(scene.geometry))
            speak.lost(found, found.loses(scene))
        inputs = counted([image.name for image in images], progress)
        if found.write_series:
            first = source.read(images[0].name, shape)
            dtype = pixels_for(found, first, args, Once(None)).dtype
            pixels = (pixels_for(found, source.read(name, shape), args, speak) for name in inputs)
            found.write_series(names[0], pixels, scenes, dtype)
            return 0
        for name, out, scene in zip(inputs, names, scenes, strict=True):
            image = source.read(name, shape)
            speak.all(image.remarks)
            found.write(out, pixels_for(found, image, args, speak), scene)
    return 0


def counted(names: Any, progress: Any) -> Any:
    """The names, one after the other, each counted when it is done with."""
    for done, name in enumerate(names):
        progress(done)
        yield name
    progress(len(names))


class Once:
    """Sentences, each said once. say: called with them, or None for silence."""

    def __init__(self, say: Any) -> None:
        self.said: set[Any] = set()
        self.say: Any = say

    def all(self, sentences: Any) -> None:
        for sentence in sentences:
            if sentence not in self.said and self.say is not None:
                self.said.add(sentence)
                self.say(sentence)

    def lost(self, found: Any, clauses: Any) -> None:
        """What files of a format have no room for."""
        self.all(f"{found.title} files have no room for {clause}" for clause in clauses)


def target_format(args: Any) -> Any:
    from ...files.registry import format_of_name, written_formats

    found = written_formats()[args.to] if args.to else format_of_name(args.out or "")
    if found is None:
        raise NanoBraggError(
            f"say what to write, with --to {', '.join(written_formats())}, or with an --out that ends in .cbf, .h5 ..."
        )
    return found


def every_image(args: Any, source: Any, shape: Any) -> Any:
    """The images, without pixels; those of a file that holds many, one by one."""
    images = []
    for name in args.images:
        image = source.read(name, shape, header_only=True)
        if image.count == 1 or split_index(name)[1] is not None:
            images.append(image)
            continue
        if image.count > MOST_IMAGES:
            raise NanoBraggError(
                f"{name} has {image.count} images, of which {MOST_IMAGES} are converted at a time; name one with "
                f"{name}#NUMBER"
            )
        images += [source.read(f"{name}#{number}", shape, header_only=True) for number in range(image.count)]
    return images


def output_names(args: Any, found: Any, images: Any) -> Any:
    """The file for each image; one file for all where the format has room for them."""
    inputs = {os.path.realpath(split_index(name)[0]) for name in args.images}
    out = args.out
    if out is None:
        if len(args.images) > 1:
            raise NanoBraggError("several images become a series, which needs a name; give --out NAME")
        out = os.path.splitext(unwrapped(split_index(args.images[0])[0]))[0] + found.suffixes[0]
    if found.write_series or (len(images) == 1 and "#" not in os.path.basename(out)):
        names = [out]
    else:
        names = numbered(out, args.first, len(images))
    for name in names:
        if os.path.realpath(name) in inputs:
            raise NanoBraggError(f"{name} is one of the images to convert; give another name with --out")
    return names


def unwrapped(name: str) -> Any:
    """A file's name without the ending of a compressed file."""
    return next((name[: -len(ending)] for ending in WRAPPED if name.lower().endswith(ending)), name)


def numbered(name: str, first: Any, count: int) -> list[Any]:
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


def wanted_shape(args: Any) -> tuple[Any, Any] | None:
    if args.shape is None:
        return None
    fast, _, slow = args.shape.lower().partition("x")
    if not (fast.isdigit() and slow.isdigit() and int(fast) and int(slow)):
        raise NanoBraggError(f"--shape does not take {args.shape}; give the pixels along fast and slow, as 1024x1024")
    return int(slow), int(fast)


class Described:
    """Where the description of the images comes from: flags, the header of one file, or each image's own header."""

    def __init__(self, args: Any) -> None:
        from ...experiment.from_flags import flags_geometry

        self.first = self.experiment = self.header = None
        self.compression: Any = args.compression
        if args.flags and args.header:
            raise NanoBraggError("--header and nanoBragg's flags both describe the images; give one of them")
        if args.flags:
            self.first, self.experiment = flags_geometry(args.flags, complain)
        elif args.header:
            self.header, self.first = read_header(args.header)

    def read(self, name: str, shape: Any, header_only: bool = False) -> Any:
        from ...files.image import read_image

        if shape is None and self.first is not None:
            shape = (self.first.spixels, self.first.fpixels)
        return read_image(name, shape, header_only)

    def scene(self, image: Any, index: int, found: Any) -> Any:
        """The Scene of an image to be written in a format."""
        from ...files.registry import Scene

        geometry = self.geometry(image, index, found.needs_geometry)
        return Scene(
            geometry=geometry,
            header=self.smv_header(image, index),
            saturated=image.saturated,
            compression=self.compression,
            details=self.details(image),
        )

    def details(self, image: Any) -> Any:
        """The Details of an image, or None."""
        from ...files.geometry import experiment_details

        if self.experiment is not None:
            return experiment_details(self.experiment)
        return (image if self.header is None else self.header).details

    def geometry(self, image: Any, index: int, needed: Any) -> Any:
        """The Geometry of an image; None where there is none and none is needed."""
        from ...inspect.describe import image_geometry

        if self.first is not None:
            geometry = self.first.next(index)
        else:
            try:
                geometry = image_geometry(image)
            except NanoBraggError as error:
                if not needed:
                    return None
                if image.smv is not None or image.no_geometry:
                    raise
                raise NanoBraggError(
                    f"nothing is known of beam and detector of {image.name} ({error}); give --header FILE, or "
                    "nanoBragg's flags after --"
                ) from None
        if image.shape != (geometry.spixels, geometry.fpixels):
            slow, fast = image.shape
            raise NanoBraggError(
                f"{image.name} has {fast} x {slow} pixels and its description {geometry.fpixels} x {geometry.spixels}; "
                "correct one of them"
            )
        return geometry

    def odd(self, geometry: Any) -> Any:
        """Sentences about a geometry that a header states, and that may be and mostly is not meant."""
        from ...inspect.describe import odd_geometry

        return [] if geometry is None or self.experiment is not None else odd_geometry(geometry)

    def smv_header(self, image: Any, index: int) -> Any:
        """The header for an SMV file of the image, as bytes; None where it is to be made of the geometry."""
        if self.experiment is not None:
            from ...files.report import smv_header

            sampling = self.experiment.sampling
            turned = sampling.replace(phi0=sampling.phi0 + index * sampling.osc)
            return smv_header(self.experiment.replace(sampling=turned))
        described = image if self.header is None else self.header
        return None if described.smv is None else described.smv.header


def read_header(name: str) -> tuple[Any, Any]:
    """The image of a name, without its pixels, and the Geometry that its header tells."""
    from ...files.image import read_image
    from ...inspect.describe import image_geometry

    image = read_image(name, header_only=True)
    return image, image_geometry(image)


def complain(text: Any) -> None:
    print(f"nanobragg-py convert: {text}", file=sys.stderr)


def pixels_for(found: Any, image: Any, args: Any, speak: Any) -> Any:
    """The pixels in a type that the format takes, scaled, offset, rounded and clipped as asked."""
    from ...files.fit import fit

    pixels, said, lost = fit(found, image.name, image.pixels, args.scale, args.offset, args.integer)
    speak.all(said)
    speak.lost(found, lost)
    return pixels
