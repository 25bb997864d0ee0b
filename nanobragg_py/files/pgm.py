"""Greyscale pictures as the programs write them, binary PGM with one byte a pixel; formats/pgm.py reads them."""

from ..kernels.files.imagefile import pgm_pixels
from .atomic import OutputFile
from .blocks import row_blocks

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
