"""The formats of images and of orientations: each module of formats/ and orientations/ states one.

A format is a module with an ``ImageFormat`` or an ``OrientationFormat`` called FORMAT. Nothing else knows of it: the
tools, their help and the batch runner ask here. The drop-in does not, and has SMV, PGM and bare floats to itself.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from ..errors import NanoBraggError
from ..records import REQUIRED, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Image(Record):
    """An image as read.

    name: the file, with the image's number (``x.h5#3``) where it was asked for. kind: the name of its ImageFormat.
    shape: (slow, fast). pixels: numpy array of that shape, None if only the header was read. header: its text, "" if it
    has none. items: the header as rows (key, value). smv: the SMVImage without pixels, or None. saturated: the value
    from which pixels are overloads, or None. geometry: the Geometry that the file states in so many vectors, or None;
    no_geometry: why not, where there is a reason to tell. details: the Details that it states, or None. count: images
    in the file. remarks: sentences about what was odd in the file.
    """

    _fields = {
        "name": REQUIRED,
        "kind": REQUIRED,
        "shape": REQUIRED,
        "pixels": None,
        "header": "",
        "items": (),
        "smv": None,
        "saturated": None,
        "geometry": None,
        "no_geometry": "",
        "details": None,
        "count": 1,
        "remarks": (),
    }


class Scene(Record):
    """What is known beside the pixels of an image that is to be written.

    geometry: a Geometry, or None. header: the bytes of an SMV header made for the image, or None; without it an SMV
    header is made of the geometry. saturated: the value from which pixels are overloads, or None. compression: as
    asked for, where a format has a choice. details: a Details of beam, sensor and pixels, or None. full: the longer of
    two headers, where a format has a choice.
    """

    _fields = {
        "geometry": None,
        "header": None,
        "saturated": None,
        "compression": "gzip",
        "details": None,
        "full": False,
    }


def nothing_lost(scene: "Any") -> "Any":
    """Of formats with room for everything."""
    return ()


def mask_lost(scene: "Any") -> "Any":
    """Of formats that cannot say which pixels are left out."""
    return () if scene.details is None or scene.details.mask is None else ("the mask",)


def only_pixels(scene: "Any") -> "Any":
    """Of formats that hold pixels and nothing else."""
    return (*(() if scene.geometry is None else ("beam, detector and rotation",)), *mask_lost(scene))


def picture_remarks(source: "Any") -> "tuple[Any]":
    """What is to be said of pixels that come out of a picture."""
    return (f"{source.name} is a picture: its pixels are grey levels, not photons",)


class ImageFormat(Record):
    """A format of image files.

    name: of --to and --format. title: in sentences. suffixes: of file names, the first for new files. magic: a compiled
    pattern for a file's first bytes, None for files that only their size tells of. read: ``read(source)`` gives an
    Image of a Source (files/source.py), and may fail in any way. write: ``write(path, pixels, scene)``, None where
    files are only read. write_series: ``write_series(path, images, scenes, dtype)`` for formats whose one file holds
    many, `images` being an iterable of arrays; None for the others. kinds: names of the numpy types that it takes,
    widest last; () takes all numbers. needs_geometry: whether there is no file without beam and detector. picture: grey
    levels rather than counts are written. numbered: whether the images of a series belong to one rotation, whose steps
    must fit. needs: (module, extra, purpose) of the package that it needs, as `need` takes them, or None. loses:
    ``loses(scene)`` gives clauses for what of the scene has no room in the file.
    """

    _fields = {
        "name": REQUIRED,
        "title": REQUIRED,
        "suffixes": REQUIRED,
        "magic": REQUIRED,
        "read": REQUIRED,
        "write": None,
        "write_series": None,
        "kinds": (),
        "needs_geometry": False,
        "picture": False,
        "numbered": False,
        "needs": None,
        "loses": nothing_lost,
    }


class OrientationFormat(Record):
    """A format of files that hold a crystal's orientation.

    name: of --to. title: in sentences. recognise: ``recognise(text)`` tells from a file's first 4096 characters whether
    it is one, None for the format that whatever is nobody else's is taken for. read: ``read(path, request)`` gives an
    OrientedCrystal. text: ``text(crystal, request)`` gives what to write. The request has what the files do not: the
    wavelength (m), the convention and frame (a Geometry) of bare matrices, the index in a list, and complain, which is
    called with sentences.
    """

    _fields = {"name": REQUIRED, "title": REQUIRED, "recognise": REQUIRED, "read": REQUIRED, "text": REQUIRED}


class Request(Record):
    """What is asked of an orientation's file; see OrientationFormat. fixed: whether the wavelength was asked for."""

    _fields = {
        "wavelength": 1e-10,
        "fixed": False,
        "convention": "MOSFLM",
        "frame": None,
        "index": 0,
        "complain": None,
    }

    def in_beam(self, crystal: "Any") -> "Any":
        """The crystal in a beam of the wavelength that was asked for."""
        if not self.fixed:
            return crystal
        return crystal.replace(geometry=crystal.geometry.replace(wavelength=self.wavelength))


@cache
def listed(package: "Any") -> "dict[Any, Any]":
    """{name: FORMAT} of a package's modules, by name."""
    folder = import_module(f".{package}", __package__)
    modules = (import_module(f"{folder.__name__}.{found.name}") for found in iter_modules(folder.__path__))
    return {found.name: found for found in sorted((module.FORMAT for module in modules), key=lambda one: one.name)}


def image_formats() -> "Any":
    """{name: ImageFormat} of all formats, by name."""
    return listed("formats")


def orientation_formats() -> "Any":
    """{name: OrientationFormat} of all formats, by name."""
    return listed("orientations")


def written_formats() -> "dict[Any, Any]":
    """{name: ImageFormat} of those that can be written."""
    return {name: found for name, found in image_formats().items() if found.write or found.write_series}


def titles() -> str:
    """The formats that are read, for a sentence."""
    *most, last = (found.title for found in image_formats().values())
    return f"{', '.join(most)} and {last}"


def format_of_name(name: str) -> "Any":
    """The ImageFormat to write for a file's name, by its ending; None where no format has that."""
    lower = name.lower()
    return next((found for found in written_formats().values() if lower.endswith(found.suffixes)), None)


def format_of_bytes(name: str, start: "Any") -> "Any":
    """The ImageFormat of a file that begins with the bytes `start`; NanoBraggError for formats known to be foreign."""
    bare = None
    for found in image_formats().values():
        if found.magic is None:
            bare = found
        elif found.magic.match(start):
            return found
    from .foreign import foreign_kind

    kind = foreign_kind(start)
    if kind:
        raise NanoBraggError(f"{name} is {kind}, which is not read here; give one of {titles()}")
    return bare


def orientation_format_of(text: "Any") -> "Any":
    """The OrientationFormat of a file that begins with `text`."""
    formats = orientation_formats().values()
    own = (found for found in formats if found.recognise is not None and found.recognise(text))
    return next(own, None) or next(found for found in formats if found.recognise is None)
