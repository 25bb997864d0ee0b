"""Images as they are read: SMV, CBF, npy, and the bare floats of -floatfile."""

import os
import sys

import numpy as np

from ..errors import NanoBraggError
from ..records import REQUIRED, Record
from .cbf import read_cbf
from .reading import cannot_read
from .smv import read_smv

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


class Image(Record):
    """An image as read.

    name: the file. kind: smv, float, cbf or npy. shape: (slow, fast). pixels: numpy array of that shape, None if only
    the header was read. header: its text, "" if it has none. smv: the SMVImage without pixels, or None. saturated: the
    value from which pixels are overloads, or None.
    """

    _fields = {
        "name": REQUIRED,
        "kind": REQUIRED,
        "shape": REQUIRED,
        "pixels": None,
        "header": "",
        "smv": None,
        "saturated": None,
    }


def read_image(path, shape=None, header_only=False):
    """Read an image of any of the kinds, which its first bytes tell.

    shape: (slow, fast), which bare floats need. header_only: leave the pixels alone.
    Raises NanoBraggError for what cannot be read.
    """
    name = os.fsdecode(path)
    try:
        with open(path, "rb") as file:
            magic = file.read(16)
    except OSError as error:
        raise cannot_read(path, error, "give an image") from None
    if magic.startswith(b"{\nHEADER_BYT"):
        return _read_smv(name, header_only)
    if magic.startswith(b"###CBF"):
        shape, pixels, header = read_cbf(name, header_only)
        return Image(name=name, kind="cbf", shape=shape, pixels=pixels, header=header)
    if magic.startswith(b"\x93NUMPY"):
        return _read_npy(name, header_only)
    if magic.startswith(HDF5_MAGIC):
        raise NanoBraggError(f"{name} is an HDF5 file; give SMV, CBF, npy or float images")
    return _read_floats(name, shape, header_only)


def _read_smv(name, header_only):
    image = read_smv(name, header_only)
    header = image.header.partition(b"\x0c")[0].decode("latin-1")
    shape, pixels = (image.height, image.width), None
    if not header_only:
        pixels = np.frombuffer(image.data, np.uint16).reshape(shape)
        order = "big" if "BYTE_ORDER=big" in header.replace(" ", "") else "little"
        if order != sys.byteorder:
            pixels = pixels.byteswap()
        image.data = None
    return Image(name=name, kind="smv", shape=shape, pixels=pixels, header=header, smv=image, saturated=65535)


def _read_npy(name, header_only):
    try:
        pixels = np.load(name, mmap_mode="r" if header_only else None, allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python, and fails in as many ways
        raise NanoBraggError(f"{name} is no usable npy file: {error}") from None
    if pixels.ndim != 2 or pixels.dtype.kind not in "iuf":
        raise NanoBraggError(f"{name} is no image: it has the shape {pixels.shape} and the type {pixels.dtype}")
    return Image(name=name, kind="npy", shape=pixels.shape, pixels=None if header_only else pixels)


def _read_floats(name, shape, header_only):
    size = os.path.getsize(name)
    if shape is None:
        guess = round((size / 4) ** 0.5)
        hint = f", --shape {guess}x{guess} perhaps" if guess * guess * 4 == size else ""
        raise NanoBraggError(
            f"{name} has no header, so it is taken for bare floats; say how many pixels it has with --shape FASTxSLOW "
            f"or nanoBragg's flags after --{hint}"
        )
    slow, fast = shape
    if size != 4 * slow * fast:
        raise NanoBraggError(
            f"{name} has {size} bytes, and {fast} x {slow} floats take {4 * slow * fast}; correct the number of pixels"
        )
    pixels = None if header_only else np.fromfile(name, np.float32).reshape(shape)
    return Image(name=name, kind="float", shape=shape, pixels=pixels)
