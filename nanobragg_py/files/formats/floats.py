"""Bare floats without a header, as -floatfile writes them: pixels alone, of which only the user knows how many."""

from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..atomic import write_file
from ..registry import Image, ImageFormat, only_pixels


def read(source: Any) -> Any:
    size = source.size
    if not size:
        raise NanoBraggError(f"{source.name} is empty; give an image")
    if source.shape is None:
        guess = round((size / 4) ** 0.5)
        hint = f", --shape {guess}x{guess} perhaps" if guess and guess * guess * 4 == size else ""
        raise NanoBraggError(
            f"{source.name} has no header, so it is taken for bare floats; say how many pixels it has "
            f"with --shape FASTxSLOW or nanoBragg's flags after --{hint}"
        )
    slow, fast = source.shape
    count = source.size // (4 * slow * fast)
    if size != 4 * slow * fast:
        raise NanoBraggError(
            f"{source.name} has {size} bytes, and {fast} x {slow} floats take {4 * slow * fast}; correct the number of "
            "pixels"
        )
    source.pick(count)
    pixels = None if source.header_only else np.frombuffer(source.read(), np.float32).reshape(source.shape)
    return Image(name=source.name, kind="float", shape=(slow, fast), pixels=pixels)


FORMAT = ImageFormat(
    name="float",
    title="bare floats",
    suffixes=(".bin",),
    magic=None,
    read=read,
    write=lambda path, pixels, scene: write_file(path, np.ascontiguousarray(pixels)),
    kinds=("float32",),
    loses=only_pixels,
)
