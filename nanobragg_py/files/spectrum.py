"""Spectra of a beam, and the files that state them: lines of a wavelength in Angstrom and a weight."""

from math import isfinite

from ..errors import NanoBraggError
from .reading import BYTE_ORDER_MARK, cannot_read, open_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: wavelengths beyond these, m, were meant in another unit
SHORTEST, LONGEST = 1e-14, 1e-6


def fault(wavelengths: "Sequence[float]", weights: "Sequence[float]") -> "tuple[int, str] | None":
    """(place, what is wrong there) of wavelengths, m, and weights that are no spectrum; None for a spectrum.

    The place counts from 0; -1: all of it.
    """
    before = 0.0
    for at, (wavelength, weight) in enumerate(zip(wavelengths, weights, strict=True)):
        if not isfinite(wavelength) or not isfinite(weight):
            return at, "a number that is not finite; give finite ones"
        if not SHORTEST <= wavelength <= LONGEST:
            return at, f"a wavelength of {wavelength * 1e10:g} A; give that of X-rays"
        if wavelength <= before:
            return at, (
                f"a wavelength of {wavelength * 1e10:.9g} A after one of {before * 1e10:.9g} A; give each once, in "
                "increasing order"
            )
        if weight < 0.0:
            return at, f"a weight of {weight:g}; give weights of 0 or more"
        before = wavelength
    if sum(weights) == 0.0:
        return -1, "weights whose sum is 0; give at least one wavelength a weight"
    if not isfinite(sum(weights)):
        return -1, "weights whose sum is not finite; give smaller ones, of which the ratios count"
    return None


def read_spectrum(path: "str") -> "tuple[tuple[float, ...], tuple[float, ...]]":
    """(wavelengths, m; weights) of a file with a line for each wavelength, Angstrom and weight, in increasing order.

    Columns are separated by blanks, tabs or commas; further columns, empty lines and those that begin with # are left
    out. Raises NanoBraggError that names file and line.
    """
    lines: list[int] = []
    wavelengths: list[float] = []
    weights: list[float] = []
    try:
        with open_input(path) as file:
            text = file.readall().removeprefix(BYTE_ORDER_MARK).decode(errors="replace")
    except OSError as error:
        raise cannot_read(path, error) from None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            wavelength, weight = float(words[0]) * 1e-10, float(words[1])
        except (ValueError, IndexError):
            raise NanoBraggError(
                f"line {number} of {path} is {line.strip()[:40]!r}; give a wavelength in Angstrom and a weight"
            ) from None
        lines.append(number)
        wavelengths.append(wavelength)
        weights.append(weight)
    if not lines:
        raise NanoBraggError(f"{path} has no line of a wavelength and a weight; give at least one")
    if (found := fault(wavelengths, weights)) is not None:
        at, what = found
        where = path if at < 0 else f"line {lines[at]} of {path}"
        raise NanoBraggError(f"{where} has {what}")
    return tuple(wavelengths), tuple(weights)
