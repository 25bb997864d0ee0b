"""Photon noise for an image, block of rows by block of rows, from one of two random streams."""


def noise_maker(stream, random, seed, threads):
    """What turns mean counts into noisy integers.

    stream: "ran1" for the reference's own (serial) one, "philox" for the counter-based one. random: the Ran1 whose table
    earlier streams may have loaded. seed: the negated -seed. threads: for philox; the result does not depend on it.
    """
    if stream == "philox":
        return _Philox(seed, threads)
    return _Ran1(random, seed)


class _Ran1:
    """The reference's noise, byte for byte. photons, overloads: of the rows so far."""

    def __init__(self, random, seed):
        from .kernels.noise import PoissonNoise

        self._stream = PoissonNoise(random, seed)

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
        rows, fast = block.shape
        low, high = max(first, roi[2]), min(first + rows - 1, roi[3])
        view = memoryview(block).cast("B")
        if low > first or high < first + rows - 1:
            view[:] = bytes(len(view))
        if low > high:
            return
        pixels = memoryview(image).cast("B")[low * fast * 4 : (high + 1) * fast * 4].cast("f", (high - low + 1, fast))
        out = view[(low - first) * fast * 2 : (high - first + 1) * fast * 2].cast("H", (high - low + 1, fast))
        self._stream.apply(pixels, out, adc, roi[0], roi[1])
