"""Images as grey levels: dark spots on a light ground, and smaller pictures of large images."""

import numpy as np


def reduce_to(grey, size):
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


def greyscale(pixels, white=None):
    """An image as uint8, dark spots on a light ground.

    white: the value that is drawn black, on a linear scale from the background (the median). Without it the scale is
    the inverse hyperbolic sine, linear near the background and logarithmic for strong spots. Of the pixels above the
    background, five times the median counts as near; black is a geometric mean of what one in 500 exceeds, taken
    twice, and of the strongest, which often is the direct beam's.
    """
    values = pixels.astype(np.float64)
    finite = values[np.isfinite(values)]
    low = float(np.median(finite)) if finite.size else 0.0
    above = finite[finite > low] - low
    part = np.nan_to_num(values, nan=low, posinf=np.inf, neginf=low) - low
    if white is not None:
        part = part / (white - low if white > low else 1.0)
    elif above.size:
        median, strong, strongest = (float(x) for x in np.percentile(above, (50.0, 99.8, 100.0)))
        near = 5.0 * median
        part = np.arcsinh(part / near) / np.arcsinh(np.cbrt(strong * strong * strongest) / near)
    return (255.0 - 255.0 * np.clip(part, 0.0, 1.0) + 0.5).astype(np.uint8)
