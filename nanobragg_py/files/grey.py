"""Images as grey levels: dark spots on a light ground, and smaller pictures of large images."""

from typing import Any

import numpy as np

from ..records import Record


def reduce_to(grey: Any, size: Any) -> tuple[Any, Any]:
    """A grey picture made smaller by a whole number, so that neither side exceeds `size`: (picture, factor).

    Each new pixel is half way between the mean and the darkest of those it stands for: spots do not get lost, and noise
    does not darken the picture much.
    """
    factor = max(1, -(-max(grey.shape) // size))
    if factor == 1:
        return grey, 1
    slow, fast = (-(-n // factor) for n in grey.shape)
    padded = np.pad(grey, ((0, slow * factor - grey.shape[0]), (0, fast * factor - grey.shape[1])), mode="edge")
    cells = padded.reshape(slow, factor, fast, factor)
    return ((cells.mean(axis=(1, 3)) + cells.min(axis=(1, 3))) / 2.0).astype(np.uint8), factor


class GreyScale(Record):
    """How values become grey: `low` is white, low + `black` is black, and between them arsinh of what is above low.

    near: up to where above low the scale is linear, about; None for a scale that is linear all the way.
    """

    _fields = {"low": 0.0, "black": 1.0, "near": None}

    def part(self, values: Any) -> Any:
        """Where values are on the scale, 0 for white and 1 for black, not clipped; what is no number is white."""
        above = np.nan_to_num(np.asarray(values, float), nan=self.low, posinf=np.inf, neginf=self.low) - self.low
        if self.near is None:
            return above / self.black
        return np.arcsinh(above / self.near) / np.arcsinh(self.black / self.near)

    def value(self, parts: Any) -> Any:
        """The values that have places on the scale."""
        if self.near is None:
            return self.low + np.asarray(parts, float) * self.black
        return self.low + self.near * np.sinh(np.asarray(parts, float) * np.arcsinh(self.black / self.near))

    def grey(self, values: Any) -> Any:
        """Values as uint8, dark on light."""
        return (255.0 - 255.0 * np.clip(self.part(values), 0.0, 1.0) + 0.5).astype(np.uint8)


def grey_scale_of(pixels: Any, white: Any = None) -> "GreyScale":
    """The GreyScale of an image.

    white: the value that is drawn black, on a linear scale from the background (the median). Without it the scale is
    the inverse hyperbolic sine, linear near the background and logarithmic for strong spots. Of the pixels above the
    background, five times the median counts as near; black is a geometric mean of what one in 500 exceeds, taken
    twice, and of the strongest, which often is the direct beam's.
    """
    values = pixels.astype(np.float64)
    finite = values[np.isfinite(values)]
    low = float(np.median(finite)) if finite.size else 0.0
    above = finite[finite > low] - low
    if white is not None:
        return GreyScale(low=low, black=white - low if white > low else 1.0)
    if not above.size:
        return GreyScale(low=low)
    median, strong, strongest = (float(x) for x in np.percentile(above, (50.0, 99.8, 100.0)))
    return GreyScale(low=low, black=float(np.cbrt(strong * strong * strongest)), near=5.0 * median)


def greyscale(pixels: Any, white: Any = None) -> Any:
    """An image as uint8, dark spots on a light ground, on the scale of `grey_scale_of`."""
    return grey_scale_of(pixels, white).grey(pixels)
