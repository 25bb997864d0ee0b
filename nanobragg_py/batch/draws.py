"""Random draws that depend on a seed, the image's number and the parameter's name, and on nothing else.

The deviates are bits of SHA-256 digests of the three, so that no generator has a state that an order of work could
change, and every program that has SHA-256 can repeat them.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from dataclasses import dataclass
from math import exp, log
from statistics import NormalDist
from sys import float_info
from typing import Any

from ..errors import FieldError
from ..experiment.spectra import GENERATORS, arguments
from ..hints import meant

_NORMAL = NormalDist()
ORIENTATION = "crystal.orientation"
#: orientations that are drawn together
ROTATIONS = 64
#: kinds of distribution with what their numbers are
KINDS = {
    "uniform": "two numbers, from and to",
    "normal": "two numbers, mean and standard deviation",
    "lognormal": "two numbers above 0, median and standard deviation of the logarithm",
    "integers": "two whole numbers, first and last",
    "choice": "a list of values",
    "jitter": "the relative standard deviation about the experiment's own value",
    "shift": "the standard deviation about the experiment's own value",
}
#: the field that is drawn as a whole, by the kinds of `nanobragg_py.experiment.spectra`
SPECTRUM = "beam.spectrum"
#: kinds that change the value that is there
ABOUT_THE_VALUE = ("jitter", "shift")


def words(seed: int, index: int, name: str, count: int) -> list[int]:
    """`count` random 64-bit whole numbers for a parameter of image `index`: SHA-256 of "seed index block name"."""
    made: tuple[int, ...] = ()
    for block in range((count + 3) // 4):
        made += struct.unpack("<4Q", hashlib.sha256(f"{seed} {index} {block} {name}".encode()).digest())
    return list(made[:count])


def fractions(seed: int, index: int, name: str, count: int) -> list[float]:
    """`count` uniform deviates between 0 and 1, both excluded."""
    return [((word >> 11) + 0.5) * 2.0**-53 for word in words(seed, index, name, count)]


@functools.lru_cache(maxsize=4)
def rotations_about(key: int, block: int) -> Any:
    """The rotations of the images of a block of `ROTATIONS`; numpy is as long at one as at many."""
    from ..orientation import random_rotations

    rotations = random_rotations(ROTATIONS, key, block * ROTATIONS)
    rotations.flags.writeable = False
    return rotations


@functools.lru_cache(maxsize=16)
def orientation_key(seed: int, name: str) -> int:
    """What all rotations of a job are drawn with."""
    return words(seed, 0, name, 1)[0]


def noise_seed(seed: int, index: int) -> int:
    """The seed of image `index`'s photon noise: 31 bits."""
    return words(seed, index, "noise", 1)[0] >> 33


@dataclass(frozen=True)
class Draw:
    """How a parameter is drawn. name: of the parameter. kind: one of KINDS, or "orientation". numbers: as KINDS says.

    each: "image", or "sweep" for one value that all images of a sweep share. Of a spectrum, numbers are the arguments
    of its generator by name, and the experiment's own value is the wavelength.
    """

    name: str
    kind: str
    numbers: Any
    each: str = "image"

    def value(self, seed: int, index: int, base: Any = None) -> Any:
        """The value of image (or sweep) `index`. base: the experiment's own, which jitter and shift go about.

        Raises FieldError for a value that is not to be had.
        """
        try:
            return self._value(seed, index, base)
        except OverflowError:
            raise FieldError(f"{self.name} has a {self.kind} distribution whose values are too large") from None

    def _value(self, seed, index, base):
        if self.kind == "orientation":
            return rotations_about(orientation_key(seed, self.name), index // ROTATIONS)[index % ROTATIONS]
        if self.name == SPECTRUM and self.kind in GENERATORS:
            given = {"wavelength": base, **dict(self.numbers), "seed": words(seed, index, self.name, 1)[0]}
            return _generated(self.kind, given)
        if self.kind == "choice":
            return self.numbers[words(seed, index, self.name, 1)[0] % len(self.numbers)]
        if self.kind == "integers":
            low, high = self.numbers
            return low + words(seed, index, self.name, 1)[0] % (high - low + 1)
        if self.kind in ABOUT_THE_VALUE:
            return self._about(seed, index, base)
        (u,) = fractions(seed, index, self.name, 1)
        low, high = self.numbers
        if self.kind == "uniform":
            return low + (high - low) * u
        deviate = _NORMAL.inv_cdf(u)
        return low + high * deviate if self.kind == "normal" else exp(log(low) + high * deviate)

    def _about(self, seed, index, base):
        components = list(base) if isinstance(base, (tuple, list)) else [base]
        for component in components:
            if isinstance(component, bool) or not isinstance(component, (int, float)):
                raise FieldError(f"{self.name} is {base!r} in the experiment; {self.kind} needs a number to go about")
        deviates = [_NORMAL.inv_cdf(u) for u in fractions(seed, index, self.name, len(components))]
        if self.kind == "jitter":
            made = [x * (1.0 + self.numbers * z) for x, z in zip(components, deviates, strict=True)]
        else:
            made = [x + self.numbers * z for x, z in zip(components, deviates, strict=True)]
        return made if isinstance(base, (tuple, list)) else made[0]

    def extremes(self) -> list[Any]:
        """The values at the ends of its range, to be tried before any work is done."""
        if self.kind in ("uniform", "integers"):
            return list(self.numbers)
        return list(self.numbers) if self.kind == "choice" else []


def read_draw(name: str, given: Any, number: Any, default_each: str) -> Draw:
    """The Draw that a job file states.

    given: "uniform" for an orientation, else a table of one of KINDS. number: called with a number, or a word with a
    unit, gives the number. default_each: "image" or "sweep". Raises FieldError for what makes no sense.
    """
    if name == ORIENTATION:
        if isinstance(given, dict) and set(given) <= {"uniform", "each"} and given.get("uniform") is True:
            return Draw(name, "orientation", None, _each(name, given.get("each", default_each)))
        if given != "uniform":
            raise FieldError(f'{name} is {given!r}; it can be "uniform", which is over all orientations')
        return Draw(name, "orientation", None, default_each)
    if not isinstance(given, dict):
        raise FieldError(f"{name} is {given!r}; give a table such as {{ uniform = [1, 2] }}, of {', '.join(KINDS)}")
    rest = dict(given)
    if name == SPECTRUM and not {"choice"} & set(rest):
        return _spectrum(rest, number, default_each)
    each = _each(name, rest.pop("each", default_each))
    if len(rest) != 1 or next(iter(rest)) not in KINDS:
        wrong = next((key for key in rest if key not in KINDS), None)
        what = f"has {wrong!r}" if wrong else f"has {' and '.join(rest) or 'nothing'}"
        raise FieldError(f"{name} {what}; give one of {', '.join(KINDS)}, and each")
    ((kind, stated),) = rest.items()
    return Draw(name, kind, _numbers(name, kind, stated, number), each)


def _spectrum(given, number, default_each):
    """The Draw of a beam's spectrum."""
    each = _each(SPECTRUM, given.pop("each", default_each))
    if len(given) != 1 or next(iter(given)) not in GENERATORS:
        had = " and ".join(given) or "nothing"
        raise FieldError(f"{SPECTRUM} has {had}; give one of {', '.join(GENERATORS)}, choice")
    ((kind, stated),) = given.items()
    names, needed = arguments(kind)
    if not isinstance(stated, dict):
        raise FieldError(f"{SPECTRUM} has {kind} = {stated!r:.80}; it must be a table of {', '.join(names)}")
    for key in stated:
        if key not in (*names, "wavelength"):
            raise FieldError(f"{SPECTRUM}: {kind} has no {key!r}; {meant(key, ('wavelength', *names), 'it has')}")
    for key in needed:
        if key not in stated:
            raise FieldError(f"{SPECTRUM}: {kind} needs {key}; give it")
    made = {key: number(value) if key == "wavelength" else value for key, value in stated.items()}
    _generated(kind, {"wavelength": 1e-10, **made})
    return Draw(SPECTRUM, kind, tuple(made.items()), each)


def _generated(kind, given):
    """A spectrum; FieldError that names the field for arguments that make none."""
    try:
        return GENERATORS[kind](**given)
    except FieldError as error:
        raise FieldError(f"{SPECTRUM}, {kind}: {error}") from None


def _each(name, value):
    if value not in ("image", "sweep"):
        raise FieldError(f'{name} has each = {value!r}; it must be "image" or "sweep"')
    return value


def _numbers(name, kind, stated, number):
    wrong = FieldError(f"{name} has {kind} = {stated!r:.80}; it must be {KINDS[kind]}")
    if kind == "choice":
        if not isinstance(stated, list) or not stated:
            raise wrong
        return tuple(number(value) for value in stated)
    values = [number(value) for value in (stated if isinstance(stated, list) else [stated])]
    if any(isinstance(x, bool) or not isinstance(x, (int, float)) or not abs(x) <= float_info.max for x in values):
        raise wrong
    if kind in ABOUT_THE_VALUE:
        if isinstance(stated, list) or values[0] < 0:
            raise wrong
        return float(values[0])
    if len(values) != 2:
        raise wrong
    low, high = values
    if kind == "integers" and (low != int(low) or high != int(high) or not 0 <= high - low < 2**53):
        raise wrong
    if kind == "integers":
        return int(low), int(high)
    if (low > high) if kind == "uniform" else (high < 0 or (kind == "lognormal" and low <= 0)):
        raise wrong
    return float(low), float(high)
