"""Photon noise for an image, block of rows by block of rows, from one of two random streams."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def noise_maker(stream: "Any", random: "Any", seed: "Any", threads: int) -> "Any":
    """What turns mean counts into noisy integers.

    stream: "ran1" for the reference's own (serial) one, "philox" for the counter-based one. random: the Ran1 whose
    table earlier streams may have loaded. seed: the negated -seed. threads: for philox; the result does not depend on
    them.
    """
    if stream == "philox":
        return _Philox(seed, threads)
    return _Ran1(random, seed)


class _Ran1:
    """The reference's noise, byte for byte. photons, overloads: of the rows so far."""

    def __init__(self, random, seed):
        from .backends import level_module

        self._stream = level_module("noise.poisson")[0].PoissonNoise(random, seed)

    @property
    def photons(self):
        return self._stream.photons

    @property
    def overloads(self):
        return self._stream.overloads

    def apply(self, image, first, block, roi, adc):
        """Fill `block` (rows, fast) with the noisy pixels of the image's rows from `first` on; 0 outside the ROI.

        Blocks must come in image order.
        """
        found = _inside(image, first, block, roi)
        if found is not None:
            pixels, out, _ = found
            self._stream.apply(pixels, out, adc, roi[0], roi[1])


class _Philox:
    """Noise from the counter-based stream: a pixel's count depends on its mean, its index and the seed alone."""

    def __init__(self, seed, threads):
        from .backends import level_module, team_size

        self._draw_rows = level_module("noise.philox")[0].draw_rows
        self.seed = abs(seed) & 0xFFFFFFFFFFFFFFFF
        self._threads = team_size(threads)
        self.photons = 0.0
        self.overloads = 0

    def apply(self, image, first, block, roi, adc):
        """As of _Ran1; the blocks' order does not matter."""
        found = _inside(image, first, block, roi)
        if found is None:
            return
        pixels, out, low = found
        photons, overloads = self._draw_rows(pixels, out, low, adc, roi[0], roi[1], self.seed, self._threads)
        self.photons += photons
        self.overloads += overloads


def _inside(image, first, block, roi):
    """The rows of the image and of `block` that the ROI touches, and the first one's number; None if it touches none.

    The block's other rows are cleared.
    """
    rows, fast = block.shape
    low, high = max(first, roi[2]), min(first + rows - 1, roi[3])
    view = memoryview(block).cast("B")
    if low > first or high < first + rows - 1:
        view[:] = bytes(len(view))
    if low > high:
        return None
    pixels = memoryview(image).cast("B")[low * fast * 4 : (high + 1) * fast * 4].cast("f", (high - low + 1, fast))
    out = view[(low - first) * fast * 2 : (high - first + 1) * fast * 2].cast("H", (high - low + 1, fast))
    return pixels, out, low
