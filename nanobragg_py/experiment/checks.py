"""Checks of the values that fields of the library's records take.

Each check is called with the field's name and a value that is not None, and returns the value in its plain Python type;
it raises FieldError with one sentence that names the field.
"""

from math import isfinite
from numbers import Integral, Real
from typing import Any

from ..errors import FieldError
from .domains import is_rotation

LARGEST = 2**31 - 1


def _number(name, value):
    # most are plain floats, and asking an abstract class takes a while
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, Real)):
        raise FieldError(f"{name} is {value!r}; it must be a number")
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        number = float("inf")
    if not isfinite(number):
        raise FieldError(f"{name} is {number}; it must be a finite number")
    return number


def finite(name: str, value: Any) -> Any:
    """Any finite number."""
    return _number(name, value)


def positive(name: str, value: Any) -> Any:
    """A finite number above 0."""
    number = _number(name, value)
    if not number > 0.0:
        raise FieldError(f"{name} is {number:g}; it must be above 0")
    return number


def nonnegative(name: str, value: Any) -> Any:
    """A finite number of 0 or more."""
    number = _number(name, value)
    if number < 0.0:
        raise FieldError(f"{name} is {number:g}; it cannot be below 0")
    return number


def _integer(name, value):
    whole = isinstance(value, Integral) or (isinstance(value, Real) and value == value // 1)
    if isinstance(value, bool) or not whole:
        raise FieldError(f"{name} is {value!r}; it must be a whole number")
    number = int(value)
    if abs(number) > LARGEST:
        raise FieldError(f"{name} is {number}; it cannot be beyond {LARGEST}")
    return number


def count(name: str, value: Any) -> Any:
    """A whole number of 1 or more."""
    number = _integer(name, value)
    if number < 1:
        raise FieldError(f"{name} is {number}; it must be at least 1")
    return number


def seed(name: str, value: Any) -> Any:
    """A whole number that the reference's generator takes as a seed."""
    return _integer(name, value)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if value not in (True, False):
        raise FieldError(f"{name} is {value!r}; it must be true or false")
    return bool(value)


def choice(*allowed: Any) -> Any:
    """The check for one of a few words."""

    def check(name, value):
        if not isinstance(value, str) or value not in allowed:
            raise FieldError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
        return value

    return check


def _sequence(name, value, length):
    try:
        values = tuple(value)
    except TypeError:
        values = ()
    if isinstance(value, str) or len(values) != length:
        raise FieldError(f"{name} is {value!r}; it must be {length} numbers")
    return values


def numbers(length: Any, each: Any = finite) -> Any:
    """The check for `length` values that each pass a check of their own."""

    def check(name, value):
        return tuple(each(name, number) for number in _sequence(name, value, length))

    return check


def vector(name: str, value: Any) -> Any:
    """Three finite numbers that are not all 0."""
    values = numbers(3)(name, value)
    if not any(values):
        raise FieldError(f"{name} is 0 0 0; it must be a direction")
    return values


def matrix(name: str, value: Any) -> Any:
    """3 x 3 finite numbers, as a tuple of rows."""
    try:
        rows = [tuple(row) for row in value]
    except TypeError:
        rows = []
    if len(rows) != 3 or any(len(row) != 3 for row in rows):
        raise FieldError(f"{name} must be a 3 x 3 matrix")
    return tuple(numbers(3)(name, row) for row in rows)


def rotations(name: str, value: Any) -> Any:
    """One or more rotation matrices, an array of shape (n, 3, 3) or one of those, as tuples of rows."""
    found = []
    try:
        given = [[tuple(row) for row in one] for one in value]
    except TypeError:
        given = []
    for number, one in enumerate(given):
        rows = matrix(f"{name}[{number}]", one)
        if not is_rotation((*rows[0], *rows[1], *rows[2])):
            raise FieldError(f"{name}[{number}] is no rotation: its rows must be at right angles, of length 1")
        found.append(rows)
    if not found:
        raise FieldError(f"{name} must be one or more 3 x 3 rotation matrices, of shape (n, 3, 3)")
    return tuple(found)


def weight_list(name: str, value: Any) -> Any:
    """One or more numbers of 0 or more, which are not all 0."""
    try:
        values = tuple(value)
    except TypeError:
        values = ()
    found = tuple(nonnegative(f"{name}[{number}]", x) for number, x in enumerate(values))
    if not found or not max(found) > 0.0:
        raise FieldError(f"{name} must be one or more numbers that are not all 0")
    return found


def cell_counts(name: str, value: Any) -> Any:
    """Three numbers of unit cells, 1 or more each; whole ones are integers."""
    found = []
    for number in _sequence(name, value, 3):
        x = _number(name, number)
        if x < 1.0:
            raise FieldError(f"{name} is {x:g}; it must be at least 1")
        if x > LARGEST:
            raise FieldError(f"{name} is {x:g}; it cannot be beyond {LARGEST}")
        found.append(int(x) if x == int(x) else x)
    return tuple(found)


def size_list(name: str, value: Any) -> Any:
    """One or more sizes of blocks: three numbers of unit cells, or one for all three axes."""
    try:
        given = list(value)
    except TypeError:
        given = []
    if not given:
        raise FieldError(f"{name} must be one or more sizes, each of three numbers of unit cells")
    sizes = ((one, one, one) if isinstance(one, Real) else one for one in given)
    return tuple(cell_counts(f"{name}[{number}]", one) for number, one in enumerate(sizes))


def region(name: str, value: Any) -> Any:
    """Four whole numbers: inclusive bounds along fast and slow, none of them below 0."""
    bounds = tuple(_integer(name, number) for number in _sequence(name, value, 4))
    if min(bounds) < 0:
        raise FieldError(f"{name} is {bounds}; its bounds cannot be below 0")
    return bounds


def source_rows(name: str, value: Any) -> Any:
    """One or more rows of five numbers, None (or nan) where a default stands in."""
    rows = []
    try:
        given = list(value)
    except TypeError:
        given = []
    for number, row in enumerate(given):
        values = _sequence(f"{name}[{number}]", row, 5)
        rows.append(tuple(None if x is None or x != x else finite(f"{name}[{number}]", x) for x in values))
    if not rows:
        raise FieldError(f"{name} must be rows of X, Y, Z, weight and wavelength")
    return tuple(rows)


def spectrum(name: str, value: Any) -> Any:
    """Wavelengths, m, and as many weights, as two tuples; or the name of a file that states them."""
    import os

    from ..files.spectrum import fault, read_spectrum

    if isinstance(value, (str, bytes, os.PathLike)):
        return read_spectrum(os.fsdecode(value))
    if isinstance(value, dict):
        drawn = "what is drawn, sase and the like, stands under [random] of a job"
        raise FieldError(f"{name} must be wavelengths and weights, two lists, or the name of a file; {drawn}")
    try:
        wavelengths, weights = (tuple(_number(name, x) for x in each) for each in value)
    except (TypeError, ValueError) as error:
        if isinstance(error, FieldError):
            raise
        raise FieldError(f"{name} must be wavelengths and weights, two lists, or the name of a file") from None
    if not wavelengths or len(wavelengths) != len(weights):
        raise FieldError(f"{name} has {len(wavelengths)} wavelengths and {len(weights)} weights; give as many of each")
    if (found := fault(wavelengths, weights)) is not None:
        at, what = found
        raise FieldError(f"{name} has {what}" if at < 0 else f"{name}, number {at + 1}: {what}")
    return wavelengths, weights


def mask_pixels(name: str, value: Any) -> Any:
    """An array of shape (slow, fast) that is 0 where pixels are left out: read-only uint16."""
    import numpy as np

    pixels = np.asarray(value)
    if pixels.ndim != 2 or pixels.dtype.kind not in "bui":
        raise FieldError(f"{name} must be an array of whole numbers of shape (slow, fast)")
    if pixels.dtype != np.uint16:
        pixels = (pixels != 0).astype(np.uint16)
    pixels = np.ascontiguousarray(pixels)
    if pixels.flags.writeable:
        pixels = pixels.copy()
        pixels.flags.writeable = False
    return pixels
