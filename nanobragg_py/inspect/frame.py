"""What stands around the picture of an image: pixel numbers along two sides, and the scale of the greys."""

from math import ceil, floor, log10
from typing import Any

import numpy as np

from ..files.extras import need

INK = (0, 0, 0)
PAPER = (255, 255, 255)
TICK = 4
COUNT = 6
#: widths of the margins, in heights of a letter
LEFT, RIGHT, TOP, BOTTOM = 4, 8, 1, 2
#: the bar of the scale: its distance from the picture and its width, in heights of a letter
GAP, BAR = 1, 1
#: part of the bar that ticks are apart, at least
APART = 0.09


def letter(size: Any) -> Any:
    """The height of letters in a picture of `size` pixels."""
    return max(8, min(14, size // 50))


def inner_size(shape: Any, size: Any) -> Any:
    """The longer side of an image of shape (slow, fast), pixels, that has a picture of `size` pixels around it."""
    height = letter(size)
    width, up = size - (LEFT + RIGHT) * height, size - (TOP + BOTTOM) * height
    zoom = min(width / shape[1], up / shape[0])
    return round(max(shape) * zoom)


def round_steps(length: Any, count: int = COUNT) -> list[Any]:
    """Multiples of 1, 2 or 5 times a power of ten from 0 to `length`, at most about `count`."""
    raw = length / count
    power = 10.0 ** floor(log10(raw))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= raw)
    step = max(1, round(step))
    return [step * number for number in range(floor(length / step) + 1)]


def scale_values(scale: Any) -> Any:
    """Values to write beside the bar of a GreyScale, with their places from 0 (white) to 1 (black)."""
    top = scale.low + scale.black
    values = [scale.low]
    if scale.near is None:
        values += [scale.low + scale.black * number / 4 for number in (1, 2, 3)]
    else:
        first = floor(log10(scale.near)) - 1
        for power in range(first, ceil(log10(scale.black)) + 1):
            values += [digit * 10.0**power for digit in (1, 2, 5) if scale.low < digit * 10.0**power < top]
    places = []
    for value in [*values, top]:
        part = float(scale.part(value))
        if not places or part - places[-1][1] >= APART:
            places.append((value, part))
    return places


def framed(picture: Any, shape: Any, scale: Any, size: Any) -> Any:
    """A pillow picture with axes in detector pixels and the bar of a GreyScale.

    shape: of the image, (slow, fast). size: the longer side of what is returned; see `inner_size`.
    """
    pillow, drawing = need("PIL.Image", "images", "pictures"), need("PIL.ImageDraw", "images", "pictures")
    width, up = picture.size
    height = letter(size)
    left, top = LEFT * height, TOP * height
    canvas = pillow.new("RGB", (width + (LEFT + RIGHT) * height, up + (TOP + BOTTOM) * height), PAPER)
    canvas.paste(picture, (left, top))
    pen = drawing.Draw(canvas)
    font = need("PIL.ImageFont", "images", "pictures").load_default(height)
    pen.rectangle((left - 1, top - 1, left + width, top + up), outline=INK)
    for value in round_steps(shape[1]):
        x = left + value * width / shape[1]
        pen.line((x, top + up, x, top + up + TICK), fill=INK)
        pen.text((x, top + up + TICK), f"{value}", fill=INK, font=font, anchor="ma")
    for value in round_steps(shape[0]):
        y = top + value * up / shape[0]
        pen.line((left - TICK, y, left, y), fill=INK)
        pen.text((left - TICK - 2, y), f"{value}", fill=INK, font=font, anchor="rm")
    start = left + width + GAP * height
    bar = np.linspace(255.0, 0.0, up).round().astype(np.uint8)[::-1, None].repeat(BAR * height, axis=1)
    canvas.paste(pillow.fromarray(bar).convert("RGB"), (start, top))
    end = start + BAR * height
    pen.rectangle((start - 1, top - 1, end, top + up), outline=INK)
    for value, part in scale_values(scale):
        y = top + (1.0 - part) * up
        pen.line((end, y, end + TICK, y), fill=INK)
        pen.text((end + TICK + 2, y), f"{value:.4g}", fill=INK, font=font, anchor="lm")
    return canvas
