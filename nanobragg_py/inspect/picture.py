"""The picture of an image: grey pixels, resolution rings, beam centre, predicted spots."""

from typing import Any

import numpy as np

from ..files.extras import need
from ..files.grey import greyscale, reduce_to
from .rings import ring_mask, spacing_map

RING = (40, 90, 200)
CENTRE = (210, 30, 30)
SPOT = (0, 140, 60)
PAPER = (255, 255, 255)
#: pixels of the picture
LABEL = 16
CROSS = 8
CIRCLE = 5


def draw(
    image: Any,
    size: Any,
    white: Any = None,
    geometry: Any = None,
    spacings: Any = (),
    centre: bool = False,
    spots: Any = None,
) -> Any:
    """A pillow picture of an Image, whose longer side has `size` pixels.

    white: the pixel value drawn black; see `greyscale`. geometry: a Geometry for rings and centre.
    spacings: of the rings, Angstrom. spots: (fast, slow) in pixels, or None.
    """
    pillow = need("PIL.Image", "images", "pictures")
    drawing = need("PIL.ImageDraw", "images", "pictures")
    grey, factor = reduce_to(greyscale(image.pixels, white), size)
    pixels_each = max(image.shape) / size
    wanted = tuple(max(1, round(count / pixels_each)) for count in (image.shape[1], image.shape[0]))
    # pixels of the image stay squares where they are enlarged, and cells of several are smoothed
    how = pillow.Resampling.NEAREST if factor == 1 else pillow.Resampling.BILINEAR
    resized = pillow.fromarray(grey).resize(wanted, how)
    if spots is None and (geometry is None or not (centre or len(spacings))):
        return resized  # a third of the size of one in colours
    grey = np.asarray(resized)
    colours = np.repeat(grey[:, :, None], 3, axis=2)
    labels = []
    if geometry is not None and len(spacings):
        spacing = spacing_map(geometry, grey.shape, pixels_each)
        for d in spacings:
            mask = ring_mask(spacing, d)
            colours[mask] = RING
            if mask.any():
                labels.append((label_place(mask, geometry, pixels_each), f"{d:g} A"))
    picture = pillow.fromarray(colours)
    pen = drawing.Draw(picture)
    font = need("PIL.ImageFont", "images", "pictures").load_default(max(9, min(LABEL, size // 40)))
    if spots is not None:
        for x, y in zip(spots[0] / pixels_each, spots[1] / pixels_each, strict=True):
            pen.ellipse((x - CIRCLE, y - CIRCLE, x + CIRCLE, y + CIRCLE), outline=SPOT)
    for (x, y), text in labels:
        _, _, right, bottom = pen.textbbox((x, y), text, font=font)
        x, y = x + min(0, grey.shape[1] - 4 - right), y + min(0, grey.shape[0] - 4 - bottom)
        left, top, right, bottom = pen.textbbox((x, y), text, font=font)
        ring = max(1, (bottom - top) // 6)
        pen.rectangle((left - 2, top - 2 * ring - 3, right + 2, bottom + 2), fill=PAPER)
        pen.text((x, y), text, fill=RING, font=font)
        # the font has no Angstrom sign: an A and its ring
        middle = right - pen.textlength("A", font=font) / 2.0
        pen.ellipse((middle - ring, top - 2 * ring - 1, middle + ring, top - 1), outline=RING)
    if centre and geometry is not None:
        x, y = (value / geometry.pixel_size / pixels_each for value in geometry.beam_centre)
        pen.line((x - CROSS, y, x + CROSS, y), fill=CENTRE, width=2)
        pen.line((x, y - CROSS, x, y + CROSS), fill=CENTRE, width=2)
    return picture


def label_place(mask: Any, geometry: Any, pixels_each: int) -> tuple[Any, Any]:
    """Where a ring's label goes: at the point of the ring that is nearest to straight above the beam's right."""
    x, y = (value / geometry.pixel_size / pixels_each for value in geometry.beam_centre)
    slow, fast = np.nonzero(mask)
    across, up = fast - x, y - slow
    best = int(np.argmax((across + 2.0 * up) / np.hypot(across, up).clip(1.0)))
    return int(fast[best]) + 3, int(slow[best])
