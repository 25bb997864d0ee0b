"""SMV detector images: a text header and unsigned 16-bit pixels, as the program writes them; see smv_read.py."""

from ..constants import BRIGHTEST
from ..kernels.files.imagefile import smv_pixels
from .atomic import OutputFile, write_file
from .blocks import row_blocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def write_smv(path: "Any", header: "Any", image: "Any", advice: str = "") -> None:
    """Write the bytes `header` and the uint16 pixels `image` as the file `path`.

    advice: a clause for the error message. Raises NanoBraggError when the file cannot be written.
    """
    write_file(path, header, image, advice=advice)


def integer_scale(maximum: "Any") -> "Any":
    """The scale that makes an image's largest value `BRIGHTEST`, as the program chooses it; 1 where there is none."""
    return BRIGHTEST / maximum if maximum > 0.0 else 1.0


def write_scaled_smv(
    path: "Any",
    header: "Any",
    image: "Any",
    scale: float,
    adc: float,
    roi: "Any",
    advice: str = "",
    convert: "Any" = smv_pixels,
    threads: int = 1,
) -> None:
    """Write the bytes `header` and I*scale + adc, clipped and rounded, as the file `path`; 0 outside `roi`.

    image: float32 of shape (slow, fast). roi: (fast min, fast max, slow min, slow max), inclusive. advice: a clause for
    the error message. convert: what makes the pixels, if not the CPU. threads: of the CPU, at most. Raises
    NanoBraggError when the file cannot be written.
    """
    view: Any = memoryview(image)
    slow, fast = view.shape
    with OutputFile(path, advice) as file:
        file.write(header)
        for first, block in row_blocks(slow, fast, "H", threads):
            convert(image, first, block, roi, scale, adc, threads)
            file.write(block)
