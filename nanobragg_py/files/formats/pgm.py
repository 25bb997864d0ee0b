"""PGM pictures: grey levels of 8 or 16 bits. What the drop-in writes of them is in files/pgm.py."""

import re
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..atomic import write_file
from ..grey import greyscale
from ..registry import Image, ImageFormat, only_pixels, picture_remarks

HEADER = re.compile(rb"P5(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)*?\s(?:#[^\n]*\n|\s)*(\d+)\s")


def read(source: Any) -> Any:
    content = source.read()
    match = HEADER.match(content[:4096])
    if match is None:
        raise NanoBraggError(f"{source.name} is no PGM picture: its header lacks the sizes and the largest value")
    fast, slow, largest = (int(match[group]) for group in (1, 2, 3))
    source.check_pixels(slow, fast)
    source.pick(1)
    if not 0 < largest < 65536:
        raise NanoBraggError(f"{source.name} is no PGM picture: its largest value is {largest}")
    kind = np.dtype(">u2" if largest > 255 else "u1")
    if len(content) - match.end() < kind.itemsize * slow * fast:
        raise NanoBraggError(
            f"{source.name} is cut off: {fast} x {slow} pixels, and {len(content) - match.end()} bytes of them"
        )
    pixels = None
    if not source.header_only:
        pixels = np.frombuffer(content, kind, slow * fast, match.end()).reshape(slow, fast)
        pixels = pixels.astype(kind.newbyteorder("="))
    return Image(name=source.name, kind="pgm", shape=(slow, fast), pixels=pixels, remarks=picture_remarks(source))


def write(path: Any, pixels: Any, scene: Any) -> None:
    grey = np.ascontiguousarray(greyscale(pixels))
    write_file(path, f"P5\n{grey.shape[1]} {grey.shape[0]}\n255\n".encode(), grey)


FORMAT = ImageFormat(
    name="pgm",
    title="PGM",
    suffixes=(".pgm",),
    magic=re.compile(rb"P5[\s#]"),
    read=read,
    write=write,
    picture=True,
    loses=only_pixels,
)
