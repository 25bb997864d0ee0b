"""What a detector makes of photons, step by step: point spread, noise, integers. Nothing here prints.

`Response` (nanobragg_py/render/response.py) is the library's way to all of it, noisify the program's.
"""

from math import isfinite

from ..errors import NanoBraggError
from ..kernels.memory.buffers import Buffer
from ..records import REQUIRED, Record
from .backends import level_module, team_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

METHODS = ("exact", "fft")


class Spread(Record):
    """What a point spread did.

    image: float32 of the same shape; the image that was given where nothing could be done. skipped: None, or what was
    lacking: "width" or "photons" (the image is then empty). automatic: whether the radius follows from the photons.
    maximum: the largest pixel before, if so. radius: of the kernel before it was cut to the image's size. lost: photons
    that fell beyond the radii and were added back to all pixels evenly.
    """

    _fields = {
        "image": REQUIRED,
        "skipped": None,
        "automatic": False,
        "maximum": 0.0,
        "radius": 0,
        "lost": 0.0,
    }


def spread_photons(
    image: "Any", psf: "Any", width: int, radius: "Any" = 0, threads: int = 0, method: str = "exact"
) -> "Spread":
    """Spread the photons of every pixel over its neighbours, as the reference's `apply_psf` does: a `Spread`.

    image: C-contiguous float32 buffer (slow, fast); it stays as it is. psf: "gauss" or "fiber". width: full width at
    half maximum, pixels. radius: pixels; 0: for every pixel that beyond which a tenth of its Poisson error falls;
    negative: none, only what would be lost is spread. threads: 0 lets `thread_count` decide; the result does not depend
    on it. method: "fft" for one radius and float64 sums instead of the reference's order of float32 sums.
    """
    kernels = level_module("loops.spread")[0]
    view: Any = memoryview(image)
    slow, fast = view.shape
    limit = max(slow, fast)
    if not (width > 0.0 and isfinite(width)):
        return Spread(image=image, skipped="width")
    maximum, reach, automatic = 0.0, radius, radius <= 0
    if automatic:
        maximum = kernels.maximum(image)
        if maximum <= 0.0:
            return Spread(image=Buffer((slow, fast), "f"), skipped="photons", automatic=True)
        reach = kernels.automatic_radius(maximum, psf == "fiber", width, limit)
    out = Buffer((slow, fast), "f")
    size = min(reach, limit)
    if method == "fft" and radius >= 0:
        from .fourier import spread_by_fourier

        lost = spread_by_fourier(image, out, *kernels.kernel(psf == "fiber", width, size))
    else:
        lost = kernels.spread(image, out, psf == "fiber", width, radius, size, team_size(threads))
    return Spread(image=out, automatic=automatic, maximum=maximum, radius=reach, lost=lost)


def detector_noise(seed: "Any", calib_seed: int) -> "Any":
    """The reference's random numbers for one image, a `DetectorNoise` of kernels/noise/response.pyx.

    seed, calib_seed: the negated values that users give.
    """
    return level_module("noise.response")[0].DetectorNoise(seed, calib_seed)


def check_bits(bits: int) -> str:
    """The format of a Buffer for pixels of so many bits; raises NanoBraggError for any but 16 and 32."""
    if bits not in (16, 32):
        raise NanoBraggError(f"a pixel has 16 or 32 bits, not {bits}")
    return "H" if bits == 16 else "i"
