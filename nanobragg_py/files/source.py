"""Files as they lie there: plain or compressed, and which of their images is meant."""

import io
import os
import re
import stat

from ..errors import NanoBraggError
from .reading import cannot_read, open_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: bytes that a compressed file may unfold to
UNFOLDED = 4 * 2**30
#: pixels that one image may have
MOST_PIXELS = 2**30
#: first bytes and the module whose open() reads them
WRAPPINGS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ\0", "lzma"))
WRAPPED = (".gz", ".bz2", ".xz")
#: bytes that tell a format
START = 512
STEP = 2**20
#: what a folder that is a Zarr group has for first bytes
ZARR_GROUP = b"a Zarr group"


def split_index(path: "Any") -> "tuple[Any, Any]":
    """(path, number) of ``x.h5#12``; the number is None without one, and where a file has the whole name."""
    name = os.fsdecode(path)
    match = re.fullmatch(r"(.+)#(\d{1,9})", name, re.DOTALL)
    if match is None or os.path.lexists(name):
        return name, None
    return match[1], int(match[2])


class Source:
    """A file to read an image from.

    path: its name, without a number. name: how sentences call it. index: the number of the image that is asked for,
    None for the only or first one. shape: (slow, fast) as given by the user, or None. header_only: leave the pixels
    alone. start: its first bytes. size: bytes, uncompressed. data: its content, if it was compressed, else None.
    Raises NanoBraggError for what is no file, cannot be read, or unfolds to more than UNFOLDED bytes.
    """

    def __init__(self, path: "Any", shape: "Any" = None, header_only: bool = False) -> None:
        self.path, self.index = split_index(path)
        self.name: Any = os.fsdecode(path)
        self.shape: Any = shape
        self.header_only: bool = header_only
        self.data: Any = None
        if os.path.exists(os.path.join(self.path, "zarr.json")):
            self.start, self.size = ZARR_GROUP, 0
            return
        if os.path.isdir(self.path):
            raise NanoBraggError(f"cannot read {self.path}: {_of_folder(self.path)}")
        try:
            # opening a pipe that nobody writes to would wait for ever
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                raise NanoBraggError(f"cannot read {self.path}: it is a pipe or a device; give a file")
            with open_input(self.path) as file:
                self.start = file.read(START)
                self.size = os.fstat(file.fileno()).st_size
        except (OSError, ValueError) as error:
            if not isinstance(error, OSError):
                error = OSError(22, str(error))
            raise cannot_read(self.path, error, "give an image") from None
        for magic, module in WRAPPINGS:
            if self.start.startswith(magic):
                self._unfold(module)

    def _unfold(self, module):
        from importlib import import_module

        content = bytearray()
        try:
            with import_module(module).open(self.path) as file:
                while piece := file.read(STEP):
                    content += piece
                    if len(content) > UNFOLDED:
                        raise NanoBraggError(f"{self.path} unfolds to more than {UNFOLDED >> 30} GiB; uncompress it")
        except MemoryError:
            raise NanoBraggError(f"{self.path} does not fit into memory when it is uncompressed") from None
        except NanoBraggError:
            raise
        except Exception as error:  # each of the three libraries has errors of its own
            raise NanoBraggError(f"{self.path} cannot be uncompressed ({error}); get it again") from None
        self.data, self.start, self.size = bytes(content), bytes(content[:START]), len(content)

    def open(self) -> "Any":
        """The content as a binary file, to be read from its start."""
        return open_input(self.path) if self.data is None else io.BytesIO(self.data)

    def read(self) -> "Any":
        """The whole content."""
        if self.data is not None:
            return self.data
        with open(self.path, "rb") as file:
            return file.read()

    def pick(self, count: int) -> "Any":
        """The number of the image to read of `count`; NanoBraggError where it has none of the number asked for."""
        if self.index is not None and self.index >= count:
            raise NanoBraggError(
                f"{self.path} has {count} {'image' if count == 1 else 'images'}, counted from 0; there is none of "
                f"number {self.index}"
            )
        return self.index or 0

    def check_pixels(self, slow: int, fast: int) -> None:
        """Raise NanoBraggError for an image without pixels or with more than can be meant."""
        if slow < 1 or fast < 1 or slow * fast > MOST_PIXELS:
            raise NanoBraggError(
                f"{self.name} has {fast} x {slow} pixels by its header; between 1 and {MOST_PIXELS} are read"
            )


def _of_folder(path):
    """What is to be said of a folder that is no image."""
    there = {name for name in ("images", "images.h5", "images.zarr", "job.json") if os.path.exists(f"{path}/{name}")}
    for name in ("images.h5", "images.zarr"):
        if name in there:
            return f"it is a folder of nanobragg-py batch; give {os.path.join(path, name)}"
    if "job.json" in there:
        return "it is a folder of nanobragg-py batch; give one of the images in it"
    if "images" in there or path.rstrip("/").endswith(".zarr"):
        return (
            "it is a Zarr group without its zarr.json, which nanobragg-py batch writes when all images are there; run "
            "that to its end"
        )
    return "it is a directory; give an image"


def told(function: "Any", *args: "Any") -> "tuple[Any, Any]":
    """(Geometry, "") as a function works it out, or (None, why not)."""
    try:
        return function(*args), ""
    except NanoBraggError as error:
        return None, str(error)
    except (ValueError, OverflowError, ZeroDivisionError, KeyError, IndexError, TypeError):
        return None, "what it says of beam and detector makes no sense"
