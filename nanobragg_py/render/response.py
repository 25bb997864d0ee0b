"""What a detector makes of mean photon counts, as a value: point spread, noise, gain, integers."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from ..errors import FieldError
from ..experiment.units import metres
from ..records import Record
from .detector import METHODS, check_bits, detector_noise, spread_photons

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike

STREAMS = ("ran1", "philox")
#: the seed variable of the reference's calibration errors, where nobody gives a seed
_CALIB_SEED = 123456789


class Response(Record):
    """A detector. Lengths are in metres, or words with a unit ("60 um").

    psf: None, "gauss" or "fiber"; fwhm: its full width at half maximum; radius: pixels around a pixel that get some of
    its photons, 0 for an automatic one; method: "exact" (the reference's, byte for byte) or "fft" (one radius for all,
    float64). pixel_size: edge of a pixel, which only the point spread needs.
    gain: pixel value per photon; offset: pixel value of zero photons; bits: 16 or 32.
    readout: read-out noise in pixel values, root mean square. flicker: relative error of the source, pixel by pixel.
    calibration: relative error of each pixel, drawn anew for every image, as the reference does, or, if
    static_calibration, the same for all images with the same calib_seed.
    stream: "ran1" for the reference's random numbers (with noisify's flags, its bytes), "philox" for counter-based
    ones, of which a pixel's depend on its place and the seeds only. threads: 0 decides; results do not depend on it.

    Raises FieldError for values that make no sense.
    """

    _fields = {
        "psf": None,
        "fwhm": 46e-6,
        "radius": 0,
        "method": "exact",
        "pixel_size": 1e-4,
        "gain": 1.0,
        "offset": 40.0,
        "bits": 16,
        "readout": 0.0,
        "flicker": 0.0,
        "calibration": 0.0,
        "static_calibration": False,
        "calib_seed": None,
        "stream": "ran1",
        "threads": 0,
    }

    def _validate(self):
        for name, choices in (
            ("psf", (None, "gauss", "fiber")),
            ("method", METHODS),
            ("bits", (16, 32)),
            ("stream", STREAMS),
            ("static_calibration", (False, True)),
        ):
            if getattr(self, name) not in choices:
                raise FieldError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(map(str, choices))}")
        for name in ("fwhm", "pixel_size"):
            self._set(name, metres(name, getattr(self, name)))
        for name in ("fwhm", "pixel_size", "gain", "offset", "readout", "flicker", "calibration"):
            try:
                self._set(name, float(getattr(self, name)))
            except (TypeError, ValueError):
                raise FieldError(f"{name} is {getattr(self, name)!r}; it must be a number") from None
            if not isfinite(getattr(self, name)):
                raise FieldError(f"{name} is {getattr(self, name)}; it must be finite")
        for name in ("fwhm", "pixel_size"):
            if getattr(self, name) <= 0.0:
                raise FieldError(f"{name} is {getattr(self, name):g}; it must be above 0")
        for name in ("readout", "flicker", "calibration"):
            if getattr(self, name) < 0.0:
                raise FieldError(f"{name} is {getattr(self, name):g}; it must not be negative")
        for name in ("radius", "threads"):
            self._set(name, _whole(name, getattr(self, name)))
        if self.calib_seed is not None:
            self._set("calib_seed", _whole("calib_seed", self.calib_seed))

    def apply(self, image: ArrayLike, seed: int | None = None, return_photons: bool = False) -> Any:
        """The detector's image of mean photon counts: uint16 or uint32 of the same shape.

        image: (slow, fast), mean photons a pixel. seed: 0 or more; None leaves all noise out. return_photons: return
        (pixels, photons), the latter float32, after counting and point spread and before gain and offset.
        Values below 0 and nan become 0, values that are too large the largest. A stack or list of such images is one of
        panels, each with the seed of the one before plus 1; a stack or list is returned.
        """
        from .backends import team_size
        from .images import is_panels

        if is_panels(image):
            return self._apply_panels(image, seed, return_photons)
        try:
            photons = np.array(image, dtype=np.float32, order="C")
        except (TypeError, ValueError):
            raise FieldError("image holds what is no number; it must be an array of photons a pixel") from None
        if photons.ndim != 2 or photons.size == 0:
            raise FieldError(f"image has the shape {photons.shape}; it must be (slow, fast)")
        threads = team_size(self.threads)
        reference = None
        if seed is not None:
            seed = _whole("seed", seed)
            reference = self._count(photons, seed, threads)
        if self.psf is not None:
            width = float(np.float32(self.fwhm)) / self.pixel_size
            spread = spread_photons(photons, self.psf, width, self.radius, threads, self.method)
            photons = np.asarray(spread.image)
        pixels = self._pixels(photons, seed, reference, threads)
        return (pixels, photons) if return_photons else pixels

    def _apply_panels(self, images, seed, return_photons):
        """`apply` to each image of several."""
        seeds = [None if seed is None else seed + number for number in range(len(images))]
        made = [self.apply(image, own, True) for image, own in zip(images, seeds, strict=True)]
        alike = len({pixels.shape for pixels, _ in made}) == 1
        pixels, photons = (np.stack(each) if alike else list(each) for each in zip(*made, strict=True))
        return (pixels, photons) if return_photons else pixels

    def _count(self, photons, seed, threads):
        """Make counts of the photons, in place; returns what draws the read-out noise with the reference's numbers."""
        from ..kernels.noise import detector

        calibration = self.calibration
        if calibration > 0.0 and (self.static_calibration or self.stream == "philox"):
            own = self.calib_seed if self.calib_seed is not None else _CALIB_SEED
            detector.calibrate(photons, calibration, own if self.static_calibration else seed, threads)
            calibration = 0.0
        if self.stream == "philox":
            detector.count(photons, self.flicker, seed, threads)
            return None
        noise = detector_noise(-seed, _CALIB_SEED if self.calib_seed is None else -self.calib_seed)
        noise.count(photons, self.flicker, calibration)
        return noise

    def _pixels(self, photons, seed, noise, threads):
        from ..kernels.memory.buffers import Buffer
        from ..kernels.noise import detector

        format = check_bits(self.bits)
        kind = np.uint16 if self.bits == 16 else np.uint32
        if noise is None and seed is not None and self.readout > 0.0:
            adu = photons * self.gain + np.float64(self.offset)
            adu = np.ascontiguousarray(adu, dtype=np.float64)
            detector.add_readout(adu, self.readout, seed, threads)
            top = 65535.0 if self.bits == 16 else 2147483647.0
            return np.where(adu > 0.0, np.minimum(adu, top), 0.0).astype(kind)
        pixels = Buffer(photons.shape, format, zero=False)
        noise = noise or detector_noise(0, 0)
        readout = self.readout if seed is not None else 0.0
        noise.pixels(photons, 0, pixels, self.gain, self.offset, readout, False)
        return np.asarray(pixels).view(kind)


def _whole(name, value):
    """A whole number from 0 to 2^31 - 1."""
    try:
        number = None if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or number != value or not 0 <= number < 2**31:
        raise FieldError(f"{name} is {value!r}; it must be a whole number from 0 to {2**31 - 1}")
    return number
