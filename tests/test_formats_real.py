"""Images of real detectors: run where NANOBRAGG_REAL_IMAGES names a folder of them.

Every file below it is read, and every pixel compared with what fabio reads where it knows the file; what is not read
here has to be refused in one sentence. fabio's own test images, those of dxtbx (dials-data) and a beamline's archive
will do:
``NANOBRAGG_REAL_IMAGES=~/images pytest tests/test_formats_real.py``.
"""

import os
from pathlib import Path

import fabio
import numpy as np
import pytest
from images import tool

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.image import read_image
from nanobragg_py.inspect.describe import image_geometry

FOLDER = os.environ.get("NANOBRAGG_REAL_IMAGES")
FILES = sorted(path for path in Path(FOLDER).rglob("*") if path.is_file()) if FOLDER else []
pytestmark = pytest.mark.skipif(not FOLDER, reason="NANOBRAGG_REAL_IMAGES does not name a folder of images")


@pytest.mark.parametrize("path", FILES or [None], ids=lambda path: path and path.name)
def test_pixels_are_those_of_fabio(path):
    assert path is not None, f"there are no files in {FOLDER}"
    try:
        image = read_image(path)
    except NanoBraggError as error:
        assert "\n" not in str(error)
        status, _, said = tool("info", path)
        assert status == 2 and said.count("\n") == 1
        pytest.skip(f"not read: {error}")
    try:
        with fabio.open(str(path)) as other:
            expected = other.data
            name = type(other).__name__
    except Exception as error:
        pytest.skip(f"fabio does not read it: {error}")
    if name == "DtrekImage" and "Data_type" not in dict(image.items) and image.pixels.dtype != np.uint16:
        pytest.skip("fabio takes the pixels of every TYPE for unsigned 16-bit")
    assert image.shape == expected.shape and np.array_equal(image.pixels, expected)
    try:
        found = image_geometry(image)
        assert (found.spixels, found.fpixels) == image.shape
    except NanoBraggError as error:
        assert "\n" not in str(error)
    assert tool("info", path)[0] == 0
