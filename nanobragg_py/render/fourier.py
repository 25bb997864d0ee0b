"""Point spread by Fourier transform: for wide kernels, and for those who need not have the reference's bytes."""

from typing import Any

from ..errors import NanoBraggError


def spread_by_fourier(image: Any, out: Any, kernel: Any, share: float) -> Any:
    """Fill `out` with the image, spread by a kernel; returns the photons that fell beyond its radius.

    image, out: float32 of shape (slow, fast). kernel: float64 of shape (dy, dx), odd in both. share: the part of a
    pixel's photons that falls outside, which is added back to all pixels evenly.

    Sums are float64 and rounded once, and every pixel is spread over the same radius; as in the reference, what lands
    one step beyond the right edge counts in the first column of the row below, and pixels that are not above 0 do not
    count.
    """
    try:
        import numpy as np
    except ImportError:
        raise NanoBraggError("-psf_method fft needs numpy; pip install 'nanobragg-py[numpy]' brings it") from None
    photons = np.asarray(image, dtype=np.float64)
    photons = np.where(photons > 0.0, photons, 0.0)
    if not np.isfinite(photons).all():
        raise NanoBraggError("-psf_method fft cannot spread infinite intensities; use -psf_method exact")
    taps = np.asarray(kernel)
    (slow, fast), reach = photons.shape, taps.shape[0] // 2
    size = [_smooth(extent + 2 * reach + 1) for extent in photons.shape]
    product = np.fft.rfft2(photons, size) * np.fft.rfft2(taps, size)
    full = np.fft.irfft2(product, size)[reach : reach + slow]
    spread = full[:, reach : reach + fast].copy()
    if reach:
        spread[1:, 0] += full[:-1, reach + fast]
    lost = float(photons.sum()) * share
    np.asarray(out)[...] = spread + lost / spread.size
    return lost


def _smooth(least):
    """The least number from `least` on that is a product of 2, 3 and 5, which transforms are quick at."""
    number = least
    while True:
        rest = number
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 1
