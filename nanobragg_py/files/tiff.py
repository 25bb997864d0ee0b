"""TIFF images: one channel of float32, int32 or uint16, uncompressed, with the geometry as text in the description."""

from io import BytesIO

import numpy as np

from .atomic import write_file
from .extras import need

IMAGE_DESCRIPTION = 270


def write_tiff(path, pixels, description=""):
    """Write an image as a TIFF.

    pixels: float32, int32 or uint16 of shape (slow, fast). description: text that programs show beside the image.
    """
    pillow = need("PIL.Image", "images", "TIFF files")
    memory = BytesIO()
    pillow.fromarray(np.ascontiguousarray(pixels)).save(
        memory, format="TIFF", tiffinfo={IMAGE_DESCRIPTION: description} if description else {}
    )
    write_file(path, memory.getbuffer())
