"""CBF images with the byte-offset compression: the short header of Pilatus detectors, and full imgCIF where it fails.

The short header (a miniCBF) supposes a detector across the beam, its fast axis along the spindle. Everything else is
written with the axes of imgCIF (Hammersley, Bernstein & Westbrook, International Tables G, chapter 2.3), which have
room for any direction. Compression: differences to the pixel before as 1, 2, 4 or 8 bytes, each size announced by the
most negative number of the one before (chapter 5.6).
"""

import base64
import hashlib
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..atomic import write_file
from ..imgcif import imgcif_header
from ..imgcif_read import imgcif_geometry
from ..minicbf import NO_CUTOFF, is_plain, mini_geometry, mini_items, mini_lines, mini_saturation
from ..registry import Image, ImageFormat, mask_lost
from ..source import Source, told

BINARY_START = b"\x0c\x1a\x04\xd5"
SECTION = b"--CIF-BINARY-FORMAT-SECTION--"
#: number of bytes, its type, and what announces the next size
SIZES = ((1, "<i1", -(2**7)), (2, "<i2", -(2**15)), (4, "<i4", -(2**31)), (8, "<i8", None))
#: types of pixels that are not compressed
PLAIN_TYPES = {
    "signed 8-bit integer": "i1",
    "unsigned 8-bit integer": "u1",
    "signed 16-bit integer": "i2",
    "unsigned 16-bit integer": "u2",
    "signed 32-bit integer": "i4",
    "unsigned 32-bit integer": "u4",
    "signed 32-bit real ieee": "f4",
    "signed 64-bit real ieee": "f8",
}
#: of them, those whose steps may be written modulo their size
WRAPPED = {"signed 32-bit integer": "i4", "unsigned 32-bit integer": "u4"}
ELEMENT_TYPE = re.compile(r'X-Binary-Element-Type:\s*"([^"]+)"')


def compress(pixels: Any) -> Any:
    """The bytes of integers, one after the other, in byte-offset compression."""
    values = np.ascontiguousarray(pixels).ravel().astype(np.int64)
    steps = np.diff(values, prepend=0)
    # how often each step has to announce a larger size
    level = np.zeros(len(steps), np.int8)
    for number, (_, _, least) in enumerate(SIZES[:-1]):
        level[(steps <= least) | (steps >= -least)] = number + 1
    lengths = np.array([1, 3, 7, 15])[level]
    start = np.cumsum(lengths) - lengths
    packed = np.empty(int(lengths.sum()), np.uint8)
    offset = 0
    for number, (size, kind, mark) in enumerate(SIZES):
        here = level == number
        _put(packed, start[here] + offset, steps[here].astype(kind), size)
        above = level > number
        if above.any():
            _put(packed, start[above] + offset, np.full(above.sum(), mark, kind), size)
        offset += size
    return packed.tobytes()


def _put(packed, start, numbers, size):
    for byte, column in enumerate(numbers.view(np.uint8).reshape(-1, size).T):
        packed[start + byte] = column


def uncompress(data: Any, count: int) -> Any:
    """`count` integers (int64) from the bytes of byte-offset compression; ValueError when they do not suffice."""
    raw = np.frombuffer(data, np.int8)
    marks = np.flatnonzero(raw == -128)
    lengths, values = _long_steps(data, marks)
    # what looks like a mark inside a longer step is none: each true one tells where the next may be
    follows = np.searchsorted(marks, marks + lengths).tolist()
    true, place = [], 0
    while place < len(follows):
        true.append(place)
        place = follows[place]
    marks, lengths, values = marks[true], lengths[true], values[true]
    begins = np.ones(len(raw), bool)
    for size in range(1, 15):
        inside = marks[lengths > size] + size
        begins[inside[inside < len(raw)]] = False
    if marks.size and marks[-1] + lengths[-1] > len(raw):
        begins[marks[-1] :] = False  # the last step is not complete
        marks, values = marks[:-1], values[:-1]
    starts = np.flatnonzero(begins)
    if len(starts) < count:
        raise ValueError(f"{len(starts)} of {count} pixels are there")
    steps = raw[starts].astype(np.int64)
    steps[np.searchsorted(starts, marks)] = values
    return np.cumsum(steps[:count])


def _long_steps(data, marks):
    """Of each mark the bytes that its step takes with all marks, and the step, should it be a true one."""
    padded = np.frombuffer(bytes(data) + bytes(16), np.uint8)
    lengths = np.ones(len(marks), np.int64)
    values = np.full(len(marks), -128, np.int64)
    larger = np.arange(len(marks))
    for size, kind, mark in SIZES[1:]:
        at = marks[larger] + lengths[larger]
        columns = [padded[np.minimum(at + byte, len(padded) - 1)] for byte in range(size)]
        values[larger] = np.stack(columns, axis=-1).reshape(-1, size).copy().view(kind).ravel()
        lengths[larger] += size
        larger = larger[values[larger] == mark] if mark is not None else larger[:0]
    return lengths, values


def _short_header(geometry, saturation, details):
    """The header of a miniCBF, as text; dxtbx knows the convention GENERIC_MINI as that of simulated images."""
    text = "\r\n".join(mini_lines(geometry, saturation, details))
    return f'_array_data.header_convention "GENERIC_MINI"\r\n_array_data.header_contents\r\n;\r\n{text}\r\n;\r\n\r\n'


def write_cbf(
    path: Any, pixels: Any, geometry: Any, saturation: Any = NO_CUTOFF, details: Any = None, full: bool = False
) -> None:
    """Write an image as a CBF.

    pixels: int32 of shape (slow, fast). geometry: a Geometry. saturation: the first value that is no count any more.
    details: a Details of beam and pixels, or None. full: a full imgCIF header even where a short one would do.
    Raises NanoBraggError for a detector that is curved, and where the file cannot be written.
    """
    if geometry.curved:
        raise NanoBraggError("a CBF header cannot tell of a curved detector; convert to npy or tiff")
    name = re.sub(r"[^0-9A-Za-z_]", "_", os.path.splitext(os.path.basename(os.fsdecode(path)))[0]) or "image"
    plain = is_plain(geometry) and not full
    write_header = _short_header if plain else imgcif_header
    header = write_header(geometry, saturation, details)
    slow, fast = pixels.shape
    data = compress(pixels)
    digest = base64.b64encode(hashlib.md5(data).digest()).decode()
    section = "\r\n".join(
        (
            ";",
            SECTION.decode(),
            "Content-Type: application/octet-stream;",
            '     conversions="x-CBF_BYTE_OFFSET"',
            "Content-Transfer-Encoding: BINARY",
            f"X-Binary-Size: {len(data)}",
            "X-Binary-ID: 1",
            'X-Binary-Element-Type: "signed 32-bit integer"',
            "X-Binary-Element-Byte-Order: LITTLE_ENDIAN",
            f"Content-MD5: {digest}",
            f"X-Binary-Number-of-Elements: {fast * slow}",
            f"X-Binary-Size-Fastest-Dimension: {fast}",
            f"X-Binary-Size-Second-Dimension: {slow}",
            "X-Binary-Size-Padding: 4095",
            "",
            "",
        )
    )
    start = f"###CBF: VERSION 1.5, nanobragg_py\r\n\r\ndata_{name}\r\n\r\n"
    # fabio does not look for an image in a loop
    item = "" if plain else "_array_data.array_id image\r\n_array_data.binary_id 1\r\n"
    item += "_array_data.data\r\n"
    write_file(
        path,
        (start + header + item + section).encode("ascii"),
        BINARY_START,
        data,
        bytes(4095) + b"\r\n" + SECTION + b"--\r\n;\r\n",
    )


def read_cbf(path: Any, header_only: bool = False) -> tuple[Any, Any, Any]:
    """Read a CBF: (shape, pixels, header text).

    The pixels are int32, or int64 where they do not fit, and None with header_only. Raises NanoBraggError for what is
    none, is compressed otherwise than with byte offsets, or is cut off.
    """
    image = read(Source(path, header_only=header_only))
    return image.shape, image.pixels, image.header


def read(source: Any) -> Any:
    content = source.read()
    header, found, data = content.partition(BINARY_START)
    text = header.decode("latin-1")
    if not found:
        raise NanoBraggError(f"{source.name} is no CBF image: it has no binary section")
    header, _, section = text.partition(SECTION.decode())
    section = section or text
    count, slow, fast = _sizes(source, section)
    number = source.pick(count)
    mini = "_diffrn.id" not in header
    geometry, why = told(mini_geometry if mini else imgcif_geometry, source.name, header, (slow, fast))
    pixels, remarks = None, []
    if not source.header_only:
        size = re.search(r"X-Binary-Size:\s*(\d+)", section)
        if size and int(size[1]) <= len(data):
            digest = re.search(r"Content-MD5:\s*(\S+)", section)
            data = data[: int(size[1])]
            if digest and digest[1] != _md5(data):
                remarks.append(f"{source.name} is damaged: its pixels do not have the checksum that the header gives")
        if content.count(SECTION + b"\r\nContent-Type") > 1:
            remarks.append(f"{source.name} holds several blocks of binary data, of which the first is read")
        pixels = _pixels(source, section, data, count * slow * fast)
        pixels = pixels.reshape(count, slow, fast)[number]
    return Image(
        name=source.name,
        kind="cbf",
        shape=(slow, fast),
        pixels=pixels,
        header=header,
        items=mini_items(header),
        saturated=mini_saturation(header),
        geometry=geometry,
        no_geometry=why,
        count=count,
        remarks=tuple(remarks),
    )


def _md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def _sizes(source, section):
    """(images, slow, fast)."""
    sizes = [re.search(rf"X-Binary-Size-{which}-Dimension:\s*(\d+)", section) for which in ("Second", "Fastest")]
    if None in sizes:
        raise NanoBraggError(f"{source.name} does not say how many pixels it has")
    slow, fast = (int(match[1]) for match in sizes)
    source.check_pixels(slow, fast)
    third = re.search(r"X-Binary-Size-Third-Dimension:\s*(\d+)", section)
    return max(1, int(third[1]) if third else 1), slow, fast


def _pixels(source, section, data, count):
    """The pixels, one after the other."""
    packed = re.search(r"(x-CBF_\w+)", section)
    if packed is None or packed[1] == "x-CBF_NONE":
        said = ELEMENT_TYPE.search(section)
        kind = PLAIN_TYPES.get(said[1].lower() if said else "")
        if kind is None:
            raise NanoBraggError(f"{source.name} does not say which type its pixels have")
        order = ">" if "X-Binary-Element-Byte-Order: BIG_ENDIAN" in section else "<"
        kind = np.dtype(order + kind)
        if len(data) < count * kind.itemsize:
            raise NanoBraggError(f"{source.name} is cut off: {len(data) // kind.itemsize} of {count} pixels are there")
        return np.frombuffer(data, kind, count).astype(kind.newbyteorder("="))
    if packed[1] != "x-CBF_BYTE_OFFSET":
        raise NanoBraggError(
            f"{source.name} is compressed by {packed[1][6:].lower()}, and is a CBF image without byte-offset "
            "compression; only that one and none are read"
        )
    try:
        # a pixel takes at least a byte: what the header promises beyond that takes no memory
        if count > len(data):
            raise ValueError(f"at most {len(data)} of {count} pixels are there")
        pixels = uncompress(data, count)
    except ValueError as error:
        raise NanoBraggError(f"{source.name} is cut off: {error}") from None
    # steps are written modulo the size of the type, by some programs at least
    said = ELEMENT_TYPE.search(section)
    kind = None if said is None else WRAPPED.get(said[1].lower())
    if kind is not None:
        return pixels.astype(kind)
    fits = pixels.size == 0 or (pixels.min() >= -(2**31) and pixels.max() < 2**31)
    return pixels.astype(np.int32) if fits else pixels


def write(path: Any, pixels: Any, scene: Any) -> None:
    write_cbf(path, pixels, scene.geometry, scene.saturated or NO_CUTOFF, scene.details, scene.full)


def loses(scene: Any) -> Iterator[Any]:
    if scene.details is None or scene.geometry is None or scene.geometry.curved:
        return
    short = is_plain(scene.geometry) and not scene.full
    if scene.details.spectrum and short:
        yield "the spectrum, of which their short header has the mean"
    if scene.geometry.thick and not short:
        yield "the sensor's thickness in their full header"
    yield from mask_lost(scene)


FORMAT = ImageFormat(
    name="cbf",
    title="CBF",
    suffixes=(".cbf",),
    magic=re.compile(rb"###CBF"),
    read=read,
    write=write,
    kinds=("int32",),
    needs_geometry=True,
    numbered=True,
    loses=loses,
)
