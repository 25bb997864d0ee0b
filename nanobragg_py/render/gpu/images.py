"""What is made of an image while it is on the device: pixels of the integer image, noise."""

from typing import Any

import numpy as np

from .device import clear_errors
from .structs import NOISE_HOW, NOISE_ROW
from .variants import THREADS


class DeviceImage:
    """A rendered image of which all rows of the region of interest are on the device.

    image: the caller's. array: float32 (rows, fast) on the device. roi: (fast min, fast max, slow min, slow max).
    """

    def __init__(self, cupy: Any, modules: Any, image: Any, array: Any, roi: Any) -> None:
        self.image: Any = image
        self._cupy, self._modules, self._array, self._roi = cupy, modules, array, roi
        self._made = {}

    def smv_pixels(self, first: Any, block: Any, scale: float, adc: float) -> None:
        """Fill `block`, the image's rows from `first` on, as `nanobragg_py.kernels.files.imagefile.smv_pixels` does."""
        self._copy_rows(first, block, self._once("smv", self._convert, scale, adc))

    def noise(self, first: Any, block: Any, adc: float, seed: Any) -> tuple[Any, Any]:
        """Fill `block` with noisy pixels; returns the (photons, overloads) of its rows."""
        pixels, found = self._once("noise", self._draw, adc, seed)
        low, high = self._copy_rows(first, block, pixels)
        return float(found["photons"][low:high].sum()), int(found["overloads"][low:high].sum())

    def _once(self, what, make, *arguments):
        """What `make` gives, made once for the whole image and these arguments."""
        known, made = self._made.get(what, (None, None))
        if known != arguments:
            made = make(*arguments)
            self._made[what] = arguments, made
        return made

    def _copy_rows(self, first, block, pixels):
        """Rows of `pixels`, which begin with the region of interest, into `block`; returns which, begin and end."""
        _, _, slow_min, slow_max = self._roi
        out = np.asarray(block)
        low, high = max(first, slow_min), min(first + len(out), slow_max + 1)
        if low >= high:
            out[...] = 0
            return 0, 0
        out[: low - first] = 0
        out[low - first : high - first] = pixels[low - slow_min : high - slow_min]
        out[high - first :] = 0
        return low - slow_min, high - slow_min

    def _convert(self, scale, adc):
        fast_min, fast_max, _, _ = self._roi
        rows, width = self._array.shape
        pixels = self._cupy.empty((rows, width), "u2")
        self._modules.function("pixels", "nb_smv_pixels", exact=True)(
            (-(-rows * width // THREADS),),
            (THREADS,),
            (
                self._array,
                np.int64(rows),
                np.int32(width),
                np.int32(fast_min),
                np.int32(fast_max),
                np.float64(scale),
                np.float64(adc),
                pixels,
            ),
        )
        return pixels.get()

    def _draw(self, adc, seed):
        pixels, found = draw(self._cupy, self._modules, self._array[None], self._roi, [(adc, seed)])
        return pixels[0], found


def draw(cupy: Any, modules: Any, images: Any, roi: Any, how: Any) -> tuple[Any, Any]:
    """Noise of the counter-based stream on many images: (uint16 pixels of their shape, what is known of each row).

    images: float32 (images, rows, fast) on the device, rows from the region of interest's first on. how: (adc, seed) of
    each.
    """
    fast_min, fast_max, slow_min, _ = roi
    count, rows, width = images.shape
    pixels = cupy.empty(images.shape, "u2")
    found = cupy.empty((count * rows, NOISE_ROW.itemsize), "u1")
    modules.function("pixels", "nb_noise", exact=True)(
        (rows, count),
        (THREADS,),
        (
            images,
            np.int32(slow_min),
            np.int32(width),
            np.int32(fast_min),
            np.int32(fast_max),
            cupy.asarray(np.array(how, NOISE_HOW).view("u1")),
            pixels,
            found,
        ),
    )
    return pixels.get(), found.get().view(NOISE_ROW).ravel()


class DeviceNoise:
    """Noise of the counter-based stream: the CPU's counts, made by the device for an image that is still there.

    renderer: a `Renderer`. cpu: the CPU's noise maker, which has the seed, and serves every other image.
    """

    def __init__(self, renderer: Any, cpu: Any) -> None:
        self._renderer, self._cpu = renderer, cpu
        self._photons, self._overloads = 0.0, 0

    @property
    def photons(self) -> Any:
        """Photons of the blocks so far."""
        return self._photons + self._cpu.photons

    @property
    def overloads(self) -> Any:
        """Clipped pixels of the blocks so far."""
        return self._overloads + self._cpu.overloads

    def apply(self, image: Any, first: Any, block: Any, roi: Any, adc: float) -> None:
        """Fill `block` (rows, fast) with the noisy pixels of the image's rows from `first` on; 0 outside the ROI."""
        kept = self._renderer.kept(image)
        if kept is None:
            self._cpu.apply(image, first, block, roi, adc)
            return
        cupy = self._renderer.cupy
        with clear_errors(cupy), cupy.cuda.Device(self._renderer.device):
            photons, overloads = kept.noise(first, block, adc, self._cpu.seed)
        self._photons += photons
        self._overloads += overloads
