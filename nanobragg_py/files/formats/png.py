"""PNG pictures of images: dark spots on a light ground."""

import re
from io import BytesIO
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..atomic import write_file
from ..extras import need
from ..grey import greyscale
from ..registry import Image, ImageFormat, only_pixels, picture_remarks

PILLOW = ("PIL.Image", "images", "PNG files")


def read(source: Any) -> Any:
    pillow = need(*PILLOW)
    with pillow.open(BytesIO(source.read()), formats=("PNG",)) as picture:
        source.check_pixels(picture.height, picture.width)
        source.pick(1)
        if picture.mode not in ("L", "I;16", "I;16B", "I"):
            raise NanoBraggError(f"{source.name} is a picture in colours; pixels are read from grey ones only")
        pixels = None if source.header_only else np.array(picture)
        shape = (picture.height, picture.width)
    if pixels is not None and pixels.dtype.kind == "i":
        pixels = pixels.astype(np.uint16)
    return Image(name=source.name, kind="png", shape=shape, pixels=pixels, remarks=picture_remarks(source))


def write_png(path: Any, picture: Any) -> None:
    """Write a picture as a PNG. picture: uint8 of shape (slow, fast) or (slow, fast, 3), or a pillow image."""
    write_file(path, png_bytes(picture))


def png_bytes(picture: Any) -> Any:
    """The bytes of a PNG."""
    pillow = need(*PILLOW)
    memory = BytesIO()
    (picture if hasattr(picture, "save") else pillow.fromarray(np.ascontiguousarray(picture))).save(memory, "PNG")
    return memory.getvalue()


FORMAT = ImageFormat(
    needs=PILLOW,
    name="png",
    title="PNG",
    suffixes=(".png",),
    magic=re.compile(rb"\x89PNG\r\n\x1a\n"),
    read=read,
    write=lambda path, pixels, scene: write_png(path, greyscale(pixels)),
    picture=True,
    loses=only_pixels,
)
