"""Photon noise for an image, block of rows by block of rows, from one of two random streams."""

from ..files.blocks import rows_inside

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
        from .philox import Philox

        return Philox(seed, threads)
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
        found = rows_inside(image, first, block, roi)
        if found is not None:
            pixels, out, _ = found
            self._stream.apply(pixels, out, adc, roi[0], roi[1])
