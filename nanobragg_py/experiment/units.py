"""Words that state a number with its unit, and numbers that look as if they were meant in another one."""

from __future__ import annotations

import re
from math import pi
from typing import Any

from ..constants import EV_ANGSTROM
from ..errors import FieldError

#: words that stand for units, by the unit that a field is kept in
UNITS = {
    "m": {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "A": 1e-10, "pm": 1e-12},
    "rad": {"rad": 1.0, "mrad": 1e-3, "deg": pi / 180.0},
    "A": {"A": 1.0, "nm": 10.0, "m": 1e10},
    "s": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15},
    "eV": {"eV": 1.0, "keV": 1e3, "MeV": 1e6},
}
#: other words for some of them, as they are written and pasted
ALIASES = {
    **dict.fromkeys(("\N{LATIN CAPITAL LETTER A WITH RING ABOVE}", "\N{ANGSTROM SIGN}", "angstrom", "Angstrom"), "A"),
    **dict.fromkeys(("\N{MICRO SIGN}m", "\N{GREEK SMALL LETTER MU}m", "micron"), "um"),
    **dict.fromkeys(("\N{DEGREE SIGN}", "degree", "degrees"), "deg"),
    "radians": "rad",
}
#: what is usual of a field, and the unit it is stated in: see `suspicion`
ANGSTROM, MILLIMETRES, MICRONS = ("A", 1e-12, 5e-9), ("mm", 1e-4, 50.0), ("mm", 1e-7, 5e-3)
DEGREES, SMALL_DEGREES, TURN = ("deg", 0.0, 2 * pi), ("deg", 0.0, 0.17), ("deg", 0.0, 0.7)
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
STATED = re.compile(rf"\s*({NUMBER}(?:[\s,]+{NUMBER})*)\s*([^\s\d.,+-]*)\s*")


def energy_wavelength(energy: float) -> float:
    """The wavelength, m, of photons of an energy in eV."""
    return (EV_ANGSTROM / energy) / 1e10


def wavelength_energy(wavelength: float) -> float:
    """The energy, eV, of photons of a wavelength in m."""
    return EV_ANGSTROM / (wavelength * 1e10)


def in_unit(row: Any, value: Any) -> Any:
    """A value of a field with its words turned into numbers: "0.1 deg" is 0.0017..., "10 20 30 deg" three of them.

    row: the Field. Lists are gone through; words that begin with no number are left to the field's own check. Raises
    FieldError, naming the field, for a unit that does not belong there.
    """
    if isinstance(value, (list, tuple)):
        return type(value)(in_unit(row, entry) for entry in value)
    units = UNITS.get(row.unit, {})
    if not isinstance(value, str) or not units or (stated := STATED.fullmatch(value)) is None:
        return value
    numbers = [float(text) for text in re.findall(NUMBER, stated[1])]
    unit = ALIASES.get(stated[2], stated[2])
    if row.energy and unit in UNITS["eV"] and min(numbers) > 0.0:
        numbers = [energy_wavelength(number * UNITS["eV"][unit]) for number in numbers]
    elif unit not in units:
        raise FieldError(
            f"{row.full_name} is {value!r}; its unit must be one of {', '.join(units)}", fields=(row.full_name,)
        )
    else:
        numbers = [number * units[unit] for number in numbers]
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def metres(name: str, value: Any) -> Any:
    """A length that may be words, "0.3 mm", or a list of such; other words are left to the field's own check.

    Raises FieldError, naming `name`, for a unit that is none of length.
    """
    if isinstance(value, (list, tuple)):
        return tuple(metres(name, each) for each in value)
    if not isinstance(value, str) or (stated := STATED.fullmatch(value)) is None or not stated[2]:
        return value
    units, numbers = UNITS["m"], re.findall(NUMBER, stated[1])
    unit = ALIASES.get(stated[2], stated[2])
    if unit not in units or len(numbers) != 1:
        raise FieldError(f"{name} is {value!r}; it must be one number, and its unit one of {', '.join(units)}")
    return float(numbers[0]) * units[unit]


def suspicion(row: Any, value: Any) -> str | None:
    """A sentence for a value that is not usual in the field's unit and would be in the one that people use, or None.

    row: the Field, whose `usual` is (unit, least, largest), of sizes other than 0, in the field's own unit.
    """
    unit, least, largest = row.usual
    factor = UNITS[row.unit][unit]
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, float) and number and not least <= abs(number) <= largest:
            if least <= abs(number * factor) <= largest:
                return f'{row.full_name} is {number:g} {row.unit}, which is unusual; did you mean "{number:g} {unit}"?'
            return None
    return None
