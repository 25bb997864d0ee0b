"""Images of spots at known places."""

import numpy as np


def spots(centres, shape=(60, 80), width=1.2, height=100.0, dtype=np.float32):
    """An image of Gaussian spots."""
    slow, fast = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for number, (y, x) in enumerate(centres):
        image += height / (1 + number) * np.exp(-((slow - y) ** 2 + (fast - x) ** 2) / (2 * width**2))
    return image.astype(dtype)


CENTRES = [(10, 12), (30, 50), (45, 20), (20, 70), (50, 60)]
