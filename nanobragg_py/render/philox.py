"""Photon noise from the counter-based stream, whose pixels any thread draws; noise.py has the reference's stream."""

from ..files.blocks import rows_inside
from .backends import level_module, team_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Philox:
    """Noise from the counter-based stream: a pixel's count depends on its mean, its index and the seed alone."""

    def __init__(self, seed: "Any", threads: int) -> None:
        self._draw_rows = level_module("noise.philox")[0].draw_rows
        self.seed: int = abs(seed) & 0xFFFFFFFFFFFFFFFF
        self._threads = team_size(threads)
        self.photons: float = 0.0
        self.overloads: int = 0

    def apply(self, image: "Any", first: int, block: "Any", roi: "Any", adc: "Any") -> None:
        """As of the reference's stream; the blocks' order does not matter."""
        found = rows_inside(image, first, block, roi)
        if found is None:
            return
        pixels, out, low = found
        photons, overloads = self._draw_rows(pixels, out, low, adc, roi[0], roi[1], self.seed, self._threads)
        self.photons += photons
        self.overloads += overloads
