"""Spectra of free-electron lasers and the like, drawn from a seed: wavelengths and weights for `Beam.spectrum`.

Every width is a full width at half maximum and a part of the wavelength, so that 0.002 at 1 Angstrom is 2 mA, or 25 eV.
A seed gives the same spectrum everywhere: deviates are made of Python's `random.random`, whose sequence is settled.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from math import ceil, cos, log, pi, sqrt
from random import Random
from typing import Any

from ..errors import FieldError
from .checks import count, nonnegative, positive

Spectrum = tuple[tuple[float, ...], tuple[float, ...]]

#: the logarithm of a Gaussian's value at half its full width, negative, over the squared width
HALF = 4.0 * log(2.0)
#: points to a spike, and how far, in spikes, the noise of one is felt
FINE, REACH = 4, 2
#: no spectrum needs more
MOST_POINTS = 10**6


def _normals(random: Random, number: int) -> Any:
    """Standard normal deviates (Box and Muller), as an array."""
    import numpy as np

    u = np.array([(1.0 - random.random(), random.random()) for _ in range((number + 1) // 2)]).reshape(-1, 2)
    radius = np.sqrt(-2.0 * np.log(u[:, 0]))
    return np.concatenate([radius * np.cos(2 * pi * u[:, 1]), radius * np.sin(2 * pi * u[:, 1])])[:number]


def _normal(random: Random) -> float:
    """One of them."""
    return sqrt(-2.0 * log(1.0 - random.random())) * cos(2 * pi * random.random())


def _steps(span: float, number: int) -> list[float]:
    """The middles of `number` equal parts of a range about 0."""
    return [((i + 0.5) / number - 0.5) * span for i in range(number)]


def gauss_spectrum(
    wavelength: float, bandwidth: float, wavelengths: int = 50, span: float = 3.0, jitter: float = 0.0, seed: int = 1
) -> Spectrum:
    """A Gaussian spectrum: (wavelengths, m, weights).

    wavelength: of its middle, m. bandwidth: its full width at half maximum, as a part of the wavelength. wavelengths:
    how many. span: the range that they cover, in bandwidths. jitter: standard deviation of its middle from shot to
    shot, as a part of the wavelength. seed: of that. Raises FieldError.
    """
    wavelength, bandwidth = positive("wavelength", wavelength), positive("bandwidth", bandwidth)
    number, span = count("wavelengths", wavelengths), positive("span", span)
    centre = wavelength * (1.0 + nonnegative("jitter", jitter) * _normal(Random(seed)))
    steps = _steps(span * bandwidth, number)
    return _made([centre * (1.0 + d) for d in steps], [2.0 ** (-4.0 * (d / bandwidth) ** 2) for d in steps])


def sase_spectrum(
    wavelength: float,
    bandwidth: float = 0.002,
    spike: float = 2e-4,
    wavelengths: int = 50,
    span: float = 3.0,
    jitter: float = 0.0,
    seed: int = 1,
) -> Spectrum:
    """A shot of self-amplified spontaneous emission: (wavelengths, m, weights).

    The field is complex Gaussian noise that is correlated over the width of a spike, times a Gaussian of the bandwidth,
    and the spectrum is its square, so that the mean of many shots is that Gaussian and each has spikes of its own (the
    partial-coherence model of Pfeifer et al., Opt. Lett. 35, 3441, 2010). A weight is the mean over its part of the
    range, so few wavelengths lose no photons.

    wavelength: of the mean spectrum's middle, m. bandwidth: full width at half maximum of the mean, spike: of a spike,
    which is 0.44 wavelength/(c duration) for a pulse of that duration; parts of the wavelength. wavelengths: how many.
    span: the range that they cover, in bandwidths. jitter: standard deviation of the middle from shot to shot, as a
    part of the wavelength. seed: of the shot. Raises FieldError.
    """
    import numpy as np

    wavelength, bandwidth = positive("wavelength", wavelength), positive("bandwidth", bandwidth)
    spike, number, span = positive("spike", spike), count("wavelengths", wavelengths), positive("span", span)
    width = span * bandwidth
    each = max(1, ceil(width / number / spike * FINE))
    if each * number > MOST_POINTS or spike * number > MOST_POINTS * width:
        raise FieldError(f"spike is {spike:g}, and the range of wavelengths is {width:g}; give one nearer to that")
    step = width / number / each
    reach = ceil(REACH * spike / step)
    random = Random(seed)
    centre = wavelength * (1.0 + nonnegative("jitter", jitter) * _normal(random))
    noise = _normals(random, 2 * (each * number + 2 * reach)).reshape(2, -1)
    kernel = np.exp(-HALF / 2.0 * (np.arange(-reach, reach + 1) * step / spike) ** 2)
    field = [np.convolve(part, kernel, "valid") for part in noise]
    envelope = np.exp(-HALF * (np.array(_steps(width, each * number)) / bandwidth) ** 2)
    weights = ((field[0] ** 2 + field[1] ** 2) * envelope).reshape(number, each).mean(axis=1)
    return _made([centre * (1.0 + d) for d in _steps(width, number)], weights.tolist())


def two_colour_spectrum(
    wavelength: float,
    separation: float,
    bandwidth: float = 0.002,
    ratio: float = 1.0,
    wavelengths: int = 50,
    span: float = 3.0,
    jitter: float = 0.0,
    ratio_jitter: float = 0.0,
    seed: int = 1,
) -> Spectrum:
    """Two Gaussian colours: (wavelengths, m, weights).

    wavelength: half way between them, m. separation, bandwidth: between their middles, and of each (full width at half
    maximum), parts of the wavelength. ratio: photons of the longer wavelength to those of the shorter. wavelengths: how
    many in all. span: the range that each covers, in bandwidths. jitter: standard deviation of each one's middle, as a
    part of the wavelength; ratio_jitter: of the ratio's logarithm. seed: of both. Raises FieldError.
    """
    separation, ratio = positive("separation", separation), positive("ratio", ratio)
    number = count("wavelengths", wavelengths)
    if number < 2:
        raise FieldError("wavelengths is 1; two colours need 2 or more")
    if separation >= 2.0:
        raise FieldError(f"separation is {separation:g}; it is a part of the wavelength, and has to be below 2")
    random = Random(seed)
    ratio *= 2.718281828459045 ** (nonnegative("ratio_jitter", ratio_jitter) * _normal(random))
    found: dict[float, float] = {}
    for side, how_many, photons in ((-0.5, (number + 1) // 2, 1.0), (0.5, number // 2, ratio)):
        middle = positive("wavelength", wavelength) * (1.0 + side * separation)
        x, y = gauss_spectrum(middle, bandwidth, how_many, span, jitter, random.getrandbits(64))
        for at, weight in zip(x, y, strict=True):
            found[at] = found.get(at, 0.0) + weight * photons
    return _made(sorted(found), [found[at] for at in sorted(found)])


def _made(wavelengths, weights):
    """A spectrum whose weights add up to 1."""
    if wavelengths[0] <= 0.0:
        raise FieldError("the spectrum reaches to wavelengths below 0; give a smaller bandwidth, span or jitter")
    total = sum(weights)
    return tuple(wavelengths), tuple(weight / total for weight in weights)


#: what batch jobs call them
GENERATORS: dict[str, Callable[..., Spectrum]] = {
    "gauss": gauss_spectrum,
    "sase": sase_spectrum,
    "two_colour": two_colour_spectrum,
}


def arguments(kind: str) -> tuple[list[str], list[str]]:
    """The arguments of a generator but for its wavelength and seed: (all of them, those that must be given)."""
    given = [p for p in inspect.signature(GENERATORS[kind]).parameters.values() if p.name not in ("wavelength", "seed")]
    return [p.name for p in given], [p.name for p in given if p.default is inspect.Parameter.empty]
