"""Arrays of numpy: pixels alone, one image (slow, fast) or a stack (image, slow, fast)."""

import re
from io import BytesIO
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..atomic import write_file
from ..registry import Image, ImageFormat, only_pixels


def read(source: Any) -> Any:
    with source.open() as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, column_major, kind = header(file)
        start = file.tell()
        if len(shape) not in (2, 3) or kind.kind not in "iufb":
            raise NanoBraggError(f"{source.name} is no image: it has the shape {shape} and the type {kind}")
        slow, fast = shape[-2:]
        source.check_pixels(slow, fast)
        count = shape[0] if len(shape) == 3 else 1
        number = source.pick(count)
        wanted = kind.itemsize * slow * fast * count
        if source.size - start < wanted:
            raise NanoBraggError(
                f"{source.name} is cut off: its pixels take {wanted} bytes, and it has {source.size - start}"
            )
        pixels = None
        if not source.header_only:
            if column_major:
                pixels = (
                    np.frombuffer(file.read(wanted), kind).reshape(shape, order="F").reshape(count, slow, fast)[number]
                )
            else:
                file.seek(start + number * wanted // count)
                pixels = np.frombuffer(file.read(wanted // count), kind).reshape(slow, fast)
            pixels = np.ascontiguousarray(pixels, np.uint8 if kind.kind == "b" else kind.newbyteorder("="))
    return Image(name=source.name, kind="npy", shape=(slow, fast), pixels=pixels, count=count)


def write_npy(path: Any, pixels: Any) -> None:
    """Write an array as an npy file; NanoBraggError where that cannot be done."""
    memory = BytesIO()
    np.save(memory, pixels, allow_pickle=False)
    write_file(path, memory.getbuffer())


FORMAT = ImageFormat(
    name="npy",
    title="npy",
    suffixes=(".npy",),
    magic=re.compile(rb"\x93NUMPY"),
    read=read,
    write=lambda path, pixels, scene: write_npy(path, pixels),
    loses=only_pixels,
)
