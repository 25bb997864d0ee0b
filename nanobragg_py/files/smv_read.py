"""SMV detector images as -img and -mask read them; what writes them is in smv.py, which programs begin with."""

import os

from ..errors import NanoBraggError
from ..kernels.memory.buffers import Buffer
from .failures import reason
from .reading import cannot_read, fill, open_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEAD = 512
_MAGIC = b"{\nHEADER_BYT"


class NotSMVError(NanoBraggError):
    """A file that cannot be opened or is no SMV image; the reference says so and goes on as if it was not given."""


class SMVImage:
    """An SMV image as read.

    name: the file. header: its bytes. width, height: pixels along fast and slow. data: Buffer of uint16 of shape
    (height, width) in the file's byte order, which is taken for the machine's; None if only the header was asked for.
    """

    __slots__ = ("data", "header", "height", "name", "width")

    def __init__(self, name: str, header: "Any", width: int, height: int, data: "Any" = None) -> None:
        self.name: str = name
        self.header: Any = header
        self.width: int = width
        self.height: int = height
        self.data: Any = data

    def header_value(self, key: "Any") -> "Any":
        """The number that the header gives for `key`, or None if it lacks the key; see `header_value`."""
        return header_value(self.header, key)


def header_value(header: "Any", key: "Any") -> "Any":
    """The number behind the first ``=`` after the last occurrence of `key` in the bytes `header`; None without one.

    A key is found wherever its letters are: DISTANCE in CLOSE_DISTANCE, ORGX in XDS_ORGX (the reference's ValueOf).
    What is no number is 0.
    """
    header, _, _ = header.partition(b"\0")
    _, found, after = header.rpartition(key.encode())
    if not found:
        return None
    _, _, number = after.partition(b"=")
    from .scan import scan_number  # for reading alone

    return scan_number(number)[0]


def read_smv(path: "Any", header_only: bool = False) -> "Any":
    """Read an SMV image; header_only: leave the pixels, which may then be missing, alone.

    Returns SMVImage. Raises NotSMVError where the reference goes on without the file; NanoBraggError for a file shorter
    than its header says, a directory, or a header without sensible sizes.
    """
    name = os.fsdecode(path)
    try:
        file = open_input(path)
    except IsADirectoryError as error:
        raise cannot_read(path, error, "give an SMV image") from None
    except OSError as error:
        raise NotSMVError(f"cannot read {name}: {reason(error)}") from None
    try:
        with file:
            return _read(name, file, header_only)
    except OSError as error:
        raise cannot_read(path, error) from None
    except MemoryError:
        raise NanoBraggError(f"cannot read {name}: it does not fit into memory") from None


def _read(name, file, header_only):
    if file.read(2) == b"\x1f\x8b":
        raise NotSMVError(f"{name} is gzip, and no SMV image; unpack it")
    file.seek(0)
    header = _read_bytes(name, file, _HEAD)
    if not header.startswith(_MAGIC):
        raise NotSMVError(f"{name} is no SMV image, its header does not begin with HEADER_BYTES")
    size = _integer(name, header, "HEADER_BYTES")
    if size < len(_MAGIC):
        raise NanoBraggError(f"{name} has HEADER_BYTES={size} in its header, which cannot be; correct it")
    if size > _HEAD:
        header += _read_bytes(name, file, size - _HEAD)
    header = header[:size]
    width, height = _integer(name, header, "SIZE1"), _integer(name, header, "SIZE2", default=0)
    if width == 0:
        width = height = _integer(name, header, "DETECTOR_DIMENSIONS")
    if width <= 0 or height <= 0:
        raise NanoBraggError(f"{name} has {width} x {height} pixels by its header; correct SIZE1 and SIZE2")
    if header_only:
        return SMVImage(name, header, width, height)
    # the pixels begin at a whole number of 16-bit words, even where the header does not end at one
    start = size // 2 * 2
    file.seek(start)
    wanted = 2 * width * height
    present = os.fstat(file.fileno()).st_size - start
    if present < wanted:
        raise NanoBraggError(
            f"{name} is cut off: {width} x {height} pixels take {wanted} bytes after the header, and it has {present}"
        )
    data = Buffer((height, width), "H", zero=False)
    if fill(file, memoryview(data).cast("B")) < wanted:
        raise NanoBraggError(f"{name} became shorter while it was read")
    return SMVImage(name, header, width, height, data)


def pixel_remark(image: "SMVImage") -> "str | None":
    """A sentence about a header of other pixels than unsigned 16-bit ones of the machine's order, or None."""
    from sys import byteorder

    text = image.header.partition(b"\0")[0].lower()
    said = text.rpartition(b"\ntype=")[2].partition(b";")[0] if b"\ntype=" in text else b""
    order = text.rpartition(b"byte_order=")[2] if b"byte_order=" in text else b""
    other = b"little" if byteorder == "big" else b"big"
    words = (b"int", b"long", b"char", b"float", b"real", b"double")
    long = b"short" not in said and any(word in said for word in words)
    if not long and not order.startswith(other):
        return None
    claimed = (said if long else order.partition(b";")[0]).decode("latin-1")
    return (
        f"{image.name} says that its pixels are {claimed}, and they are read as unsigned 16-bit ones of this machine's "
        f"byte order, as the C program does; to make such a file: nanobragg-py convert {image.name} --out FIXED.img"
    )


def off_remark(image: "SMVImage") -> "str | None":
    """A sentence about a header whose beam centre is far off the detector, or None."""
    x, y, pixel = (image.header_value(key) for key in ("BEAM_CENTER_X", "BEAM_CENTER_Y", "PIXEL_SIZE"))
    if x is None or y is None or pixel is None or not pixel > 0.0:
        return None
    edges = sorted((image.width * pixel, image.height * pixel))
    # which is along which edge, nobody knows
    if -0.5 * edges[1] <= min(x, y) and max(x, y) <= 1.5 * edges[1]:
        return None
    return (
        f"{image.name} has its beam centre at {x:g} {y:g} mm, far off its detector of {image.width * pixel:g} x "
        f"{image.height * pixel:g} mm; its header may give it in pixels, where millimetres are wanted"
    )


def _read_bytes(name, file, size):
    present = os.fstat(file.fileno()).st_size - file.tell()
    if present < size:
        raise NanoBraggError(f"{name} is cut off: its header needs {size - present} bytes more")
    data = bytearray(size)
    fill(file, memoryview(data))
    return bytes(data)


def _integer(name, header, key, default=None):
    value = header_value(header, key)
    if value is None:
        value = default
    if value is None or not abs(value) < 2**31:
        raise NanoBraggError(f"{name} has no usable {key} in its header; add it")
    return int(value)
