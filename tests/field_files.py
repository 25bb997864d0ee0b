"""What tests of image files from elsewhere share."""

from pathlib import Path

import numpy as np
from images import tool

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
DRAW = np.random.default_rng(5)


def pixels_of(kind, shape=(20, 30)):
    """Counts with the least and the largest number of the type among them."""
    pixels = DRAW.poisson(50.0, shape).astype(kind)
    if pixels.dtype.kind in "iu":
        pixels[1, 1], pixels[3, 2] = np.iinfo(kind).min, np.iinfo(kind).max
    else:
        pixels += np.float32(0.25)
    return pixels


def refused(*words, folder=None):
    """What a tool says that ends in one sentence with status 2."""
    status, out, said = tool(*words, folder=folder)
    assert (status, out) == (2, "") and said.count("\n") == 1, said
    return said
