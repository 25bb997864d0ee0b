"""The table of fields: for each one the options it stands for, its default, unit, check and meaning, in one row.

The rows stand in the bodies of the parts' classes (`nanobragg_py.experiment.parts`), a line a field, and are what
everything else that knows fields goes by: the checks and defaults of the parts, their way to `Options` and back, units
in TOML, names in messages, the pages of the documentation. Defaults are those of `nanobragg_py.flags.options`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import FieldError, NanoBraggError, OptionError, Sentence
from ..flags.names import flag_name, rule_of
from ..flags.nanobragg import RULES
from ..flags.options import DEFAULTS
from ..flags.parser import OWN
from .checks import finite

NAN = float("nan")


class Unset:
    """How an option says "not given": test tells whether a value means that, value is what to write for it."""

    def __init__(self, value: Any, test: Callable[[Any], bool]) -> None:
        self.value: Any = value
        self.test: Callable[[Any], bool] = test


NONE = Unset(None, lambda x: x is None)
NEGATIVE = Unset(-1, lambda x: x < 0)
NOT_POSITIVE = Unset(-1, lambda x: x <= 0)
ZERO = Unset(0, lambda x: x == 0)
NOT_A_NUMBER = Unset(NAN, lambda x: x != x)
AUTOMATIC = Unset(2, lambda x: x == 2)


class Way:
    """Between a field's value and its option's: two functions. With several options, those are of each of them."""

    def __init__(self, to_option: Callable[[Any], Any], to_field: Callable[[Any], Any]) -> None:
        self.to_option: Callable[[Any], Any] = to_option
        self.to_field: Callable[[Any], Any] = to_field


AS_IT_IS = Way(lambda x: x, lambda x: x)
NEGATED = Way(lambda x: -x, lambda x: -x)
INVERTED = Way(lambda x: not x, lambda x: not x)
SWITCHED = Way(int, bool)
CELLS = Way(float, lambda n: max(1, int(n) if n == int(n) else n))
EDGES = Way(lambda x: x, lambda x: max(0.0, x))
AT_LEAST_ONE = Way(lambda x: x, lambda x: x or 1)


@dataclasses.dataclass
class Field:
    """One row of the table.

    part, name: the field is ``part.name``. options: what it stands for. check: from its name and a value to the value
    in its plain type. unit: of its numbers, a key of `UNITS` where words in files may have other units. meaning: for
    people. unset: how its option says "not given", which is None here. way: from its value to its options' and back;
    None: `nanobragg_py.experiment.options_map` states how. custom: it counts only with the convention CUSTOM. energy:
    words may state it by an energy. usual: None, or (unit, least, largest): the unit that people state it in and, in
    its own, the sizes that are not odd; see `units.suspicion`. default: None for what is not given, else what follows
    from the options'.
    """

    options: tuple[str, ...]
    check: Callable[[str, Any], Any]
    unit: str
    meaning: str
    unset: Unset | None = None
    way: Way | None = AS_IT_IS
    custom: bool = False
    energy: bool = False
    usual: tuple[str, float, float] | None = None
    part: str = ""
    name: str = ""
    default: Any = None

    @property
    def full_name(self) -> str:
        """What messages call it."""
        return f"{self.part}.{self.name}" if self.name else self.part

    def from_options(self, values: Any) -> Any:
        """The field's value for its options', in the attributes of values."""
        found = tuple(getattr(values, option) for option in self.options)
        if self.unset is not None and self.unset.test(found[0]):
            return None
        assert self.way is not None  # rows without are mapped by hand
        found = tuple(self.way.to_field(value) for value in found)
        return found[0] if len(found) == 1 else found

    def to_options(self, value: Any) -> dict[str, Any]:
        """The options that state a value, by name."""
        assert self.way is not None
        if value is None:
            assert self.unset is not None
            return dict.fromkeys(self.options, self.unset.value)
        if len(self.options) == 1:
            return {self.options[0]: self.way.to_option(value)}
        return {option: self.way.to_option(x) for option, x in zip(self.options, value, strict=True)}


class _Defaults:
    """The options' defaults as attributes."""

    def __getattr__(self, name):
        return DEFAULTS[name]


#: every row: those of structure factors, whose record is no part, and of the parts, which `Part`
#: (nanobragg_py.experiment.part) puts here
FIELDS: list[Field] = [
    Field(
        ("hkl_file", "dump_file"),
        finite,
        "",
        "None, or a table of amplitudes; see `nanobragg_py.StructureFactors`",
        way=None,
        part="structure_factors",
    ),
    Field(
        ("default_F",),
        finite,
        "",
        "amplitude of every index that is not in the table",
        part="structure_factors",
        name="default_F",
        default=DEFAULTS["default_F"],
    ),
]


def field(options: str, check: Any, unit: str, meaning: str, **more: Any) -> Any:
    """A row, for the body of a part's class: the options' names, separated by blanks, and so on as in `Field`."""
    row = Field(tuple(options.split()), check, unit, meaning, **more)
    if row.way is not None and row.unset is None and not row.custom:
        row.default = row.from_options(_Defaults())
    return dataclasses.field(default=row.default, metadata={"row": row})


@functools.cache
def _rows_of(cls: type) -> tuple[Field, ...]:
    return tuple(each.metadata["row"] for each in dataclasses.fields(cls))


def rows_of(cls: Any) -> tuple[Field, ...]:
    """The rows of a part's class."""
    return _rows_of(cls)


@functools.cache
def _rows_named(cls: type) -> dict[str, Field]:
    return {row.name: row for row in _rows_of(cls)}


def rows_named(cls: Any) -> dict[str, Field]:
    """The rows of a part's class by their names."""
    return _rows_named(cls)


@functools.cache
def _by_place():
    return {(row.part, row.name): row for row in FIELDS}


def find(part: str, name: str) -> Field | None:
    """The row of a field, or None."""
    return _by_place().get((part, name))


@functools.cache
def _rows_for(options):
    """The rows of options; asked for again with every image that is warned of."""
    return [row for row in FIELDS if set(row.options) & set(options)]


def field_name(options: tuple[str, ...], value: str | None = None) -> tuple[str, str]:
    """What options, or a value of one, are called in the library, and their unit there."""
    rows = _rows_for(options)
    if not rows:
        # flags of our own, such as -backend, are keyword arguments of functions; others are the program's alone
        rule = rule_of(RULES, options, value)
        return (options[0], "") if rule is not None and rule.group == OWN else flag_name(RULES, options, value)
    first, *others = rows
    text = first.full_name + "".join(f" (or {row.name})" for row in others)
    if value is not None:
        text = f"{text} = {_field_value(first, value)}"
    return text, first.unit


def _field_value(row, value):
    """A field's value for the one of an option that is written in a sentence."""
    constants = {str(constant): constant for constant in (True, False)}
    return row.way.to_field(constants.get(value, value))


def in_fields(said: str | Sentence) -> str:
    """A sentence, with the fields' names for the options it speaks of."""
    return said.named(field_name) if isinstance(said, Sentence) else said


def field_error(error: OptionError) -> FieldError:
    """The library's error for one of the resolver's."""
    rows = [row for row in FIELDS if set(row.options) & set(error.sentence.options)]
    return FieldError(in_fields(error.sentence), fields=tuple(row.full_name for row in rows))


@contextlib.contextmanager
def naming_fields() -> Iterator[None]:
    """Has what the resolver raises name the library's fields."""
    try:
        yield
    except OptionError as error:
        raise field_error(error) from None
    except FieldError:
        raise
    except NanoBraggError as error:
        raise FieldError(str(error)) from None
