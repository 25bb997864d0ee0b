"""Photon noise for an image, block of rows by block of rows, from one of two random streams."""

from _thread import allocate_lock, start_new_thread

from ..files.blocks import block_rows, row_blocks, rows_inside
from ..kernels.memory.buffers import Buffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: pixels from which a thread that draws beside another is worth its start
AHEAD_FROM = 1 << 17
#: bytes of noise that wait to be used, at most
AHEAD_BYTES = 1 << 26


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


def noise_blocks(noise: "Any", image: "Any", roi: "Any", adc: "Any", ahead: bool = False) -> "Any":
    """What yields the image's noise, in image order, as blocks of rows, each of them good until the next one.

    noise: of `noise_maker`. image: float32 of shape (slow, fast). ahead: let a thread begin at once, where the image is
    large enough for that; its noise is the same.
    """
    view: Any = memoryview(image)
    if ahead and view.shape[0] * view.shape[1] >= AHEAD_FROM:
        try:
            return _Ahead(noise, image, roi, adc).blocks()
        except (MemoryError, RuntimeError):  # no room for it, or no more threads
            pass
    return _drawn(noise, image, roi, adc)


def _drawn(noise, image, roi, adc):
    slow, fast = memoryview(image).shape
    for first, block in row_blocks(slow, fast, "H"):
        noise.apply(image, first, block, roi, adc)
        yield block


class _Ahead:
    """Blocks that a thread draws while the caller does something else, into places that it goes round."""

    def __init__(self, noise, image, roi, adc):
        self._given = noise, image, roi, adc
        slow, fast = memoryview(image).shape
        self._rows = rows = block_rows(slow, fast)
        places = max(1, min((slow - 1) // rows + 1, AHEAD_BYTES // (2 * rows * fast)))
        self._memory = memoryview(Buffer((places * rows, fast), "H", zero=False)).cast("B")
        self._free = [allocate_lock() for _ in range(places)]
        self._full = [allocate_lock() for _ in range(places)]
        for lock in self._full:
            lock.acquire()
        self._error = None
        start_new_thread(self._draw, ())

    def _each(self):
        """(number of the place, first row, block) in image order."""
        slow, fast = memoryview(self._given[1]).shape
        size = 2 * self._rows * fast
        for number, first in enumerate(range(0, slow, self._rows)):
            place = number % len(self._free)
            rows = min(self._rows, slow - first)
            yield place, first, self._memory[place * size :][: 2 * rows * fast].cast("H", (rows, fast))

    def _draw(self):
        noise, image, roi, adc = self._given
        try:
            for place, first, block in self._each():
                self._free[place].acquire()
                noise.apply(image, first, block, roi, adc)
                self._full[place].release()
        except BaseException as error:
            self._error = error
            for lock in self._full:  # whoever waits is to hear of it
                if lock.locked():
                    lock.release()

    def blocks(self):
        for place, _, block in self._each():
            self._full[place].acquire()
            if self._error is not None:
                raise self._error
            yield block
            self._free[place].release()
