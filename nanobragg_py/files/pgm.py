"""Greyscale pictures: binary PGM with one byte a pixel."""

import os

from ..errors import NanoBraggError
from ..kernels.files.imagefile import pgm_pixels
from ..kernels.memory.buffers import Buffer
from .atomic import OutputFile
from .blocks import row_blocks
from .reading import cannot_read, open_input, read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def write_pgm(path: "Any", image: "Any", scale: float, roi: "Any", advice: str = "", threads: int = 1) -> None:
    """Write I*scale, at most 255, as the file `path`; pixels outside `roi` are 0.

    image: float32 of shape (slow, fast). roi: (fast min, fast max, slow min, slow max), inclusive. advice: a clause for
    the error message. threads: at most. Raises NanoBraggError when the file cannot be written.
    """
    view: Any = memoryview(image)
    slow, fast = view.shape
    with OutputFile(path, advice) as file:
        file.write(f"P5\n{fast} {slow}\n# pixels scaled by {scale:g}\n255\n".encode())
        for first, block in row_blocks(slow, fast, "B", threads):
            pgm_pixels(image, first, block, roi, scale, threads)
            file.write(block)


def read_pgm(path: "Any") -> "Any":
    """Read a binary PGM picture of one byte a pixel.

    Returns a Buffer of uint8 of shape (slow, fast). Raises NanoBraggError for what is none, or is cut off.
    """
    name = os.fsdecode(path)
    try:
        with open_input(path) as file:
            text, length = read_whole(file)
    except OSError as error:
        raise cannot_read(path, error, "give a PGM picture") from None
    data = memoryview(text)[:length]
    words, position = [], 0
    while len(words) < 4 and position < length:
        end = position
        while end < length and not data[end : end + 1].tobytes().isspace():
            end += 1
        word = data[position:end].tobytes()
        if word.startswith(b"#"):
            while end < length and data[end] != 10:
                end += 1
        elif word:
            words.append(word)
        position = end + 1
    if len(words) < 4 or words[0] != b"P5" or not all(word.isdigit() for word in words[1:]) or int(words[3]) > 255:
        raise NanoBraggError(f"{name} is no PGM picture of one byte a pixel")
    fast, slow = int(words[1]), int(words[2])
    if length - position < fast * slow:
        raise NanoBraggError(f"{name} is cut off: {fast} x {slow} pixels, and {length - position} bytes of them")
    pixels = Buffer((slow, fast), "B", zero=False)
    memoryview(pixels).cast("B")[:] = data[position : position + fast * slow]
    return pixels
