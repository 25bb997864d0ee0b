"""TIFF images: one channel, with the geometry as text in the description; and what Pilatus and others write."""

import re
import warnings
from collections.abc import Iterator
from io import BytesIO
from math import degrees
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..atomic import write_file
from ..extras import need
from ..minicbf import NO_CUTOFF, is_plain, mini_geometry, mini_items, mini_lines, mini_saturation
from ..registry import Image, ImageFormat, mask_lost
from ..source import told

PILLOW = ("PIL.Image", "images", "TIFF files")
#: of tags
BITS, DESCRIPTION, CHANNELS, SAMPLE_FORMAT = 258, 270, 277, 339
#: TIFF's numbers for the kinds of samples
KINDS = {1: "u", 2: "i", 3: "f"}


def read(source: Any) -> Any:
    pillow = need(*PILLOW)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pillow warns of tags that it does not know
        with pillow.open(
            BytesIO(source.data) if source.data is not None else source.path, formats=("TIFF",)
        ) as picture:
            count = getattr(picture, "n_frames", 1)
            picture.seek(source.pick(count))
            return _image(source, picture, count)


def _image(source, picture, count):
    tags = picture.tag_v2
    slow, fast = picture.height, picture.width
    source.check_pixels(slow, fast)
    bits, channels = (tags.get(BITS) or (1,)), tags.get(CHANNELS, 1)
    form = tags.get(SAMPLE_FORMAT, (1,))
    kind = f"{KINDS.get(form[0] if isinstance(form, tuple) else form, '?')}{bits[0] // 8}"
    if channels != 1 or kind not in ("u1", "i1", "u2", "i2", "u4", "i4", "f4"):
        raise NanoBraggError(
            f"{source.name} has {channels} channels of {bits[0]} bits; one channel of 8, 16 or 32 bits is read"
        )
    text = str(tags.get(DESCRIPTION, ""))
    geometry, why = (None, "") if "Pixel_size" not in text else told(mini_geometry, source.name, text, (slow, fast))
    pixels = None
    if not source.header_only:
        pixels = np.array(picture)
        if pixels.dtype.itemsize == int(kind[1]) and pixels.dtype.kind in "iu":
            pixels = pixels.view(kind)  # pillow has no modes for some types, and takes their bits for another's
        pixels = pixels.astype(kind, copy=False)
    return Image(
        name=source.name,
        kind="tiff",
        shape=(slow, fast),
        pixels=pixels,
        header=text,
        items=mini_items(text) if "#" in text else (("description", text),) if text else (),
        saturated=mini_saturation(text),
        geometry=geometry,
        no_geometry=why,
        count=count,
    )


def write_tiff(path: Any, pixels: Any, description: str = "") -> None:
    """Write an image as a TIFF.

    pixels: float32, int32, uint16 or uint8 of shape (slow, fast). description: text that programs show beside the
    image.
    """
    pillow = need(*PILLOW)
    memory = BytesIO()
    pillow.fromarray(np.ascontiguousarray(pixels)).save(
        memory, format="TIFF", tiffinfo={DESCRIPTION: description} if description else {}
    )
    write_file(path, memory.getbuffer())


def description(geometry: Any, saturation: Any = NO_CUTOFF) -> Any:
    """What the description says of a geometry: a line for people, and the lines of Pilatus detectors if they can."""
    fast, slow = (x / geometry.pixel_size for x in geometry.beam_centre)
    line = (
        f"wavelength {geometry.wavelength * 1e10:.9g} A, distance {geometry.distance * 1000:.9g} mm, "
        f"pixel {geometry.pixel_size * 1000:.9g} mm, beam centre {fast:.6g} {slow:.6g} pixels (fast, slow), "
        f"phi {degrees(geometry.phi0):.9g} + {degrees(geometry.osc):.9g} degrees"
    )
    return "\n".join([line, *mini_lines(geometry, saturation)]) if is_plain(geometry) else line


def write(path: Any, pixels: Any, scene: Any) -> None:
    geometry = scene.geometry
    write_tiff(path, pixels, "" if geometry is None else description(geometry, scene.saturated or NO_CUTOFF))


def loses(scene: Any) -> Iterator[Any]:
    if scene.geometry is not None and not is_plain(scene.geometry):
        yield "the directions of the detector"
    yield from mask_lost(scene)


FORMAT = ImageFormat(
    needs=PILLOW,
    name="tiff",
    title="TIFF",
    suffixes=(".tif", ".tiff"),
    magic=re.compile(rb"II[*+]\0|MM\0[*+]"),
    read=read,
    write=write,
    kinds=("uint8", "uint16", "int32", "float32"),
    loses=loses,
)
