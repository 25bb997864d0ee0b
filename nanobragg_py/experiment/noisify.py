"""What noisify works on: the float image, its size, and the geometry for the headers of what is made of it."""

import os
import stat
from math import ceil, isfinite, isqrt

from ..errors import NanoBraggError, UsageError
from ..files.failures import reason
from ..files.reading import cannot_read, fill, open_input
from ..files.report_noisify import guessing_line, header_lines, importing_line, taking_header_line
from ..kernels.memory.buffers import Buffer
from ..records import REQUIRED, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: where no count can be had at all, more pixels a side than this are a slip of the flags
_MOST = 2**31 - 1
#: first bytes of files that are something else than floats
_MAGIC = (
    (b"\x93NUMPY", "an npy file"),
    (b"{\nHEADER_BYT", "an SMV image"),
    (b"\x1f\x8b", "a gzip file"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x89PNG", "a PNG picture"),
    (b"###CBF", "a CBF image"),
)
_HEAD, _TEXT = 64, b"0123456789+-.eE, \t\r\n"


class Frame(Record):
    """A float image and its detector. Lengths are in metres.

    image: Buffer of float32, (slow, fast). name: its file. header: the bytes of the SMV header to copy, or None.
    detsize_x, detsize_y: edges along fast and slow. Xbeam, Ybeam: beam centre, from the edges that the reference counts
    them from.
    """

    _fields = {
        "image": REQUIRED,
        "name": REQUIRED,
        "header": None,
        "pixel_size": REQUIRED,
        "distance": REQUIRED,
        "detsize_x": REQUIRED,
        "detsize_y": REQUIRED,
        "Xbeam": REQUIRED,
        "Ybeam": REQUIRED,
    }

    @property
    def fast(self) -> "Any":
        """Pixels along the fast axis."""
        return self.image.shape[1]

    @property
    def slow(self) -> "Any":
        """Pixels along the slow axis."""
        return self.image.shape[0]


def load(options: "Any", say: "Any", complain: "Any") -> "Any":
    """Read what the options name: a `Frame`.

    say: called with lists of the lines that the reference prints meanwhile. complain: called with a sentence about what
    is odd and does no harm. Raises NanoBraggError for what cannot be read, UsageError without an input that can be
    opened.
    """
    if options.input_file is None:
        raise UsageError("there is no input; give a float image with -floatfile")
    try:
        file = open_input(options.input_file)
    except OSError as error:
        raise UsageError(
            f"cannot read {os.fsdecode(options.input_file)}: {reason(error)}; name another input"
        ) from None
    with file:
        return _load(options, file, say, complain)


def _load(options, file, say, complain):
    data = None
    status = os.fstat(file.fileno())
    length = status.st_size
    if not stat.S_ISREG(status.st_mode):  # a pipe tells its length when it has been read
        data = file.readall()
        length = len(data)
    kind = _kind_of(file if data is None else None, data)
    if kind is not None:
        name = os.fsdecode(options.input_file)
        complain(
            f"{name} begins as {kind} does, and all of it is read as 4-byte floats; "
            f"nanobragg-py convert {name} --out FLOATS.bin makes these of most images"
        )
    fast, slow, count = options.xpixels, options.ypixels, length // 4
    geometry = {
        "pixel_size": options.pixel_size,
        "distance": options.distance,
        "Xbeam": options.Xbeam,
        "Ybeam": options.Ybeam,
    }
    header = None
    if options.header_file is not None:
        say([taking_header_line(options.header_file)])
        header = _read_header(options.header_file, geometry)
        say(header_lines(options.header_file))
        fast, slow = header.width, header.height
        _check_header(header, options.bits, complain)
    if not fast and not slow:
        say([guessing_line()])
        fast, slow = guessed_sides(count)
    elif not slow:
        slow = _quotient(count, fast)
    elif not fast:
        fast = _quotient(count, slow)
    pixel = geometry["pixel_size"]
    detsize_x = pixel * fast if fast else options.detsize_x
    detsize_y = pixel * slow if slow else options.detsize_y
    fast, slow = fast or _pixels(detsize_x, pixel), slow or _pixels(detsize_y, pixel)
    say([importing_line(fast * slow, options.input_file)])
    image = _read_pixels(options, file, data, length, fast, slow, complain)
    if geometry["Xbeam"] <= -1e99:
        geometry["Xbeam"] = detsize_x / 2.0
    if geometry["Ybeam"] <= -1e99:
        geometry["Ybeam"] = detsize_y / 2.0
    return Frame(
        image=image,
        name=options.input_file,
        header=None if header is None else header.header,
        detsize_x=detsize_x,
        detsize_y=detsize_y,
        **geometry,
    )


def guessed_sides(count: int) -> "tuple[Any, Any]":
    """(fast, slow) of an image of `count` pixels: fast the largest divisor that is not above the square root."""
    if count == 0:
        return 0, 0
    fast = isqrt(count)
    while count % fast:
        fast -= 1
    return fast, count // fast


def _quotient(count, side):
    """count / side as C divides whole numbers."""
    return count // side if side > 0 else -(count // -side)


def _pixels(size, pixel):
    """Pixels along an edge of a length."""
    number = size / pixel - 0.5 if pixel else float("inf")
    if not isfinite(number) or abs(number) > _MOST:
        raise NanoBraggError("the input is empty and -detsize and -pixel tell no number of pixels; give -detpixels")
    return ceil(number)


def _read_header(name, geometry):
    """The SMVImage of a header, whose geometry replaces that of the flags."""
    from ..files.smv_read import read_smv

    header = read_smv(name, header_only=True)

    def value(key):
        number = header.header_value(key)
        return None if number is None or number != number else number

    for key, option in (("PIXEL_SIZE", "pixel_size"), ("DISTANCE", "distance"), ("BEAM_CENTER_X", "Xbeam")):
        number = value(key)
        if number is not None:
            geometry[option] = number / 1000.0
    number = value("BEAM_CENTER_Y")
    if number is not None:
        geometry["Ybeam"] = geometry["pixel_size"] * header.height - number / 1000.0
    return header


def _check_header(header, bits, complain):
    """Say where the header that is copied will lie about the pixels behind it."""
    from sys import byteorder

    text = header.header.partition(b"\0")[0]
    for key, word in (
        ("BYTE_ORDER", f"{byteorder}_endian"),
        ("TYPE", {16: "unsigned_short", 32: "long_integer"}.get(bits)),
    ):
        _, found, value = text.rpartition(f"{key}=".encode())
        value = value.partition(b";")[0].strip().decode("latin-1")
        if found and word is not None and value != word:
            complain(f"the header of {header.name} is copied as it is and says {key}={value}; the pixels are {word}")


def _kind_of(file, data):
    """What a file is that does not begin as floats do, or None. file: open at its beginning, where data is None."""
    head = data[:_HEAD] if file is None else os.pread(file.fileno(), _HEAD, 0)
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    return "text" if kind is None and len(head) == _HEAD and not head.strip(_TEXT) else kind


def _read_pixels(options, file, data, length, fast, slow, complain):
    """The image, of which a file that is too short leaves the end 0."""
    name, where = options.input_file, "-detpixels"
    if options.header_file is not None:
        where = f"SIZE1 and SIZE2 of {os.fsdecode(options.header_file)}"
    if fast < 0 or slow < 0:
        raise NanoBraggError(f"an image cannot have {fast} x {slow} pixels; correct {where}")
    pixels = fast * slow
    if length < pixels or pixels == 0:
        raise NanoBraggError(
            f"{os.fsdecode(name)} has {length} bytes, too few for {fast} x {slow} values of 4; correct {where}"
        )
    image = Buffer((slow, fast), "f")
    view = memoryview(image).cast("B")
    try:
        if data is not None:
            view[: len(data)] = data[: len(view)]
        elif fill(file, view) < min(length, 4 * pixels):
            raise NanoBraggError(f"{os.fsdecode(name)} became shorter while it was read")
    except OSError as error:
        raise cannot_read(name, error) from None
    by = "" if options.header_file is None else f" ({where})"
    if length < 4 * pixels:
        complain(f"{os.fsdecode(name)} has {length // 4} values for {fast} x {slow} pixels{by}; the others are 0")
    elif length > 4 * pixels:
        complain(f"{os.fsdecode(name)} has {length // 4} values; {fast} x {slow} pixels{by} take the first {pixels}")
    return image
