"""SMV as every detector writes it: any type of pixel, either byte order, headers of ADSC, d*TREK and others.

The drop-in reads what -img and -mask name by rules of its own (files/smv_read.py): all pixels are unsigned 16-bit.
Here a file is what it says it is. Keys may be in lower case, lines may end in CR LF, and a file of DIM=3 is a stack.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..registry import Image, ImageFormat, mask_lost
from ..scan import scan_number
from ..smv import write_smv
from ..smv_header import header_place, smv_header_of
from ..smv_read import SMVImage

#: HEADER_BYTES is the first key, but not everybody's
MAGIC = re.compile(rb"\s*\{[^{}\0]{0,400}?HEADER_BYT", re.IGNORECASE)
FIRST_KEY = re.compile(rb"\s*\{[^{}\0]{0,400}?HEADER_BYTES\s*=\s*(\d+)", re.IGNORECASE)
KEY_VALUE = re.compile(r"^[ \t{]*(\w[\w .]*?)[ \t]*=[ \t]*([^;\r\n]*)", re.MULTILINE)
#: TYPE of ADSC and Data_type of d*TREK, with blanks for _ and without the words int and integer
TYPES = {
    "unsigned short": "u2",
    "ushort": "u2",
    "uint16": "u2",
    "signed short": "i2",
    "short": "i2",
    "int16": "i2",
    "unsigned long": "u4",
    "ulong": "u4",
    "unsigned": "u4",
    "uint32": "u4",
    "signed long": "i4",
    "long": "i4",
    "signed": "i4",
    "": "i4",
    "int32": "i4",
    "long long": "i8",
    "unsigned long long": "u8",
    "unsigned char": "u1",
    "byte": "u1",
    "uint8": "u1",
    "signed char": "i1",
    "char": "i1",
    "int8": "i1",
    "float": "f4",
    "float ieee": "f4",
    "real": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
#: longest header that is believed
HEADER_LIMIT = 2**20
#: where detectors say from which value on a pixel is an overload
#: bytes by which a header may be longer than it says
LONGER = 512
SATURATION = ("SATURATED_VALUE", "CCD_IMAGE_SATURATION")


def header_fields(header: Any) -> dict[Any, Any]:
    """The keys and values of an SMV header, as text; of a key that occurs twice the last counts."""
    text = header.decode("latin-1").partition("\f")[0]
    return {key: value.rstrip() for key, value in KEY_VALUE.findall(text)}


def read(source: Any) -> Any:
    with source.open() as file:
        header, size = _header(source, file)
        fields = {key.upper(): value for key, value in header_fields(header).items()}
        kind, remarks = _pixel_type(source, fields, size)
        fast, slow, count = _shape(source, fields)
        source.check_pixels(slow, fast)
        number = source.pick(count)
        image = SMVImage(source.path, _plain_header(header), fast, slow)
        pixels = None
        if not source.header_only:
            wanted, present = kind.itemsize * slow * fast * count, source.size - size
            if present < wanted:
                raise NanoBraggError(
                    f"{source.name} is cut off: {fast} x {slow} pixels of {kind.itemsize} bytes take {wanted} bytes "
                    f"after the header, and it has {present}"
                )
            if present > wanted:
                remarks.append(f"{source.name} has {present - wanted} bytes behind its pixels, which are ignored")
            file.seek(size + number * wanted // count)
            raw = file.read(wanted // count)
            pixels = np.frombuffer(raw, kind).reshape(slow, fast).astype(kind.newbyteorder("="), copy=False)
            _check_raxis(source, fields, pixels)
    said = next((int(scan_number(fields[key].encode())[0]) for key in SATURATION if key in fields), None)
    return Image(
        name=source.name,
        kind="smv",
        shape=(slow, fast),
        pixels=pixels,
        header=header.partition(b"\x0c")[0].decode("latin-1"),
        items=tuple(header_fields(header).items()),
        smv=image,
        saturated=said or (65535 if kind.str[1:] == "u2" else None),
        count=count,
        remarks=tuple(remarks),
    )


def _header(source, file):
    """The header's bytes, and how many there are before the pixels."""
    match = FIRST_KEY.match(source.start)
    if match is None:
        raise NanoBraggError(f"{source.name} has no usable HEADER_BYTES in its header; add it")
    size = int(match[1])
    if not match.end() <= size <= HEADER_LIMIT:
        raise NanoBraggError(f"{source.name} has HEADER_BYTES={size} in its header, which cannot be; correct it")
    if source.size < size:
        raise NanoBraggError(f"{source.name} is cut off: its header needs {size - source.size} bytes more")
    header = file.read(size)
    if b"}" not in header:
        # nanoBragg's header of numbers with many digits, which is longer than it says and ends where the pixels begin
        more = file.read(LONGER)
        closed = more.find(b"}\f") + 2
        if closed > 1:
            return header + more[:closed], size + closed
    return header, size


def _whole(source, fields, key, default=None):
    value = scan_number(fields[key].encode())[0] if key in fields else default
    if value is None or not abs(value) < 2**31:
        raise NanoBraggError(f"{source.name} has no usable {key} in its header; add it")
    return int(value)


def _shape(source, fields):
    """Pixels along fast and slow, and the number of images."""
    fast, slow = _whole(source, fields, "SIZE1"), _whole(source, fields, "SIZE2", 0)
    if fast == 0:
        fast = slow = _whole(source, fields, "DETECTOR_DIMENSIONS")
    count = _whole(source, fields, "SIZE3", 1) if _whole(source, fields, "DIM", 2) > 2 else 1
    if fast < 1 or slow < 1 or count < 1:
        raise NanoBraggError(f"{source.name} has {fast} x {slow} pixels by its header; correct SIZE1 and SIZE2")
    return fast, slow, count


def _pixel_type(source, fields, size):
    """The numpy type of the pixels, and remarks."""
    packed = next((fields[key] for key in ("COMPRESSION", "COMPRESSED") if key in fields), "none").lower()
    if packed not in ("", "none", "no", "0"):
        raise NanoBraggError(f"{source.name} has COMPRESSION={packed} in its header; only uncompressed pixels are read")
    key = "DATA_TYPE" if "DATA_TYPE" in fields else "TYPE"
    said = fields.get(key, "unsigned_short")
    words = said.lower().replace("_", " ").split()
    kind = TYPES.get(" ".join(word for word in words if word not in ("int", "integer"))) if words else "u2"
    remarks = []
    if kind is None:
        # headers of old ADSC programs tell there what the measurement was for
        fast, slow, count = _shape(source, fields)
        if source.size - size != 2 * fast * slow * count:
            raise NanoBraggError(
                f"{source.name} has pixels of the type {said}, which is not known here; known are "
                f"{', '.join(name.replace(' ', '_') for name in TYPES if name)}"
            )
        remarks.append(f"{source.name} has {key}={said}, and as many bytes as unsigned 16-bit pixels, which are read")
        kind = "u2"
    stated = fields.get("BYTE_ORDER", "")
    order = ">" if stated.lower().startswith("big") else "<"
    if stated and not stated.lower().startswith(("big", "little")) and np.dtype(kind).itemsize > 1:
        raise NanoBraggError(
            f"{source.name} has BYTE_ORDER={stated} in its header; correct it to little_endian or big_endian"
        )
    return np.dtype(order + kind), remarks


def _check_raxis(source, fields, pixels):
    """Refuse the image plates' way to squeeze large counts into 16 bits, where there are such counts."""
    ratio = scan_number(fields.get("RAXIS_COMPRESSION_RATIO", "1").encode())[0]
    if (
        ratio not in (0.0, 1.0)
        and pixels.dtype.kind in "iu"
        and pixels.itemsize == 2
        and (pixels.view("u2") >> 15).any()
    ):
        raise NanoBraggError(
            f"{source.name} has counts above 32767 squeezed by RAXIS_COMPRESSION_RATIO={ratio:g}, which is not read"
        )


def _plain_header(header):
    """The header with the keys and line ends of nanoBragg, byte for byte as it was if it has them."""
    if (
        header.startswith(b"{\nHEADER_BYT")
        and b"\r" not in header
        and not re.search(rb"^[ \t]*\w*[a-z]\w*\s*=", header, re.M)
    ):
        return header
    lines = [f"{key.upper()}={value};" for key, value in header_fields(header).items()]
    return "\n".join(["{", *lines, "}", ""]).encode("latin-1")


def written_header(header: Any, fast: int, slow: int) -> Any:
    """An SMV header as bytes that says what we write: unsigned 16-bit pixels in our byte order.

    Headers of nanoBragg keep every other byte; others are written anew with the same keys.
    """
    fields = {key.upper(): value for key, value in header_fields(header).items()}
    order = f"{sys.byteorder}_endian"
    plain = header.startswith(b"{\nHEADER_BYT") and len(header) >= 512 and fields.get("TYPE") == "unsigned_short"
    if plain and not fields.keys() & {"DATA_TYPE", "COMPRESSION", "COMPRESSED", "SIZE3"}:
        other = b"BYTE_ORDER=" + {"little": b"big_endian", "big": b"little_endian"}[sys.byteorder]
        if other not in header:
            return header
        changed = header.replace(other, f"BYTE_ORDER={order}".encode(), 1)
        return changed[: len(header)] if len(changed) >= len(header) else changed.ljust(len(header))
    for key in ("HEADER_BYTES", "DATA_TYPE", "COMPRESSION", "COMPRESSED", "SIZE3", *SATURATION):
        fields.pop(key, None)
    fields |= {"DIM": "2", "BYTE_ORDER": order, "TYPE": "unsigned_short", "SIZE1": str(fast), "SIZE2": str(slow)}
    body = "".join(f"{key}={value};\n" for key, value in fields.items()) + "}\f"
    first = "{\nHEADER_BYTES=%5d;\n"
    size = 512 * -(-(len(first % 0) + len(body.encode("latin-1"))) // 512)
    return ((first % size) + body).encode("latin-1").ljust(size)


def write(path: Any, pixels: Any, scene: Any) -> None:
    slow, fast = pixels.shape
    header = smv_header_of(scene.geometry) if scene.header is None else written_header(scene.header, fast, slow)
    write_smv(path, header, np.ascontiguousarray(pixels))


def loses(scene: Any) -> Iterator[Any]:
    geometry = scene.geometry
    if geometry is None:
        return
    if geometry.curved:
        yield "the curve of the detector"
    elif header_place(geometry) is None:
        yield "the way the detector is turned"
    if geometry.thick:
        yield "the sensor's thickness"
    if geometry.oblique:
        yield "a spindle that is not at a right angle to the beam"
    if scene.details is not None and scene.details.spectrum:
        yield "the spectrum, of which they have the mean"
    yield from mask_lost(scene)


FORMAT = ImageFormat(
    name="smv",
    title="SMV",
    suffixes=(".img", ".smv"),
    magic=MAGIC,
    read=read,
    write=write,
    kinds=("uint16",),
    needs_geometry=True,
    loses=loses,
)
