"""What the parts of an experiment have in common: fields that are checked, comparison by value, a short repr."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING, Any

from ..errors import FieldError
from ..hints import meant, warn_caller
from .fields import FIELDS, rows_named, rows_of
from .units import in_unit, suspicion

if TYPE_CHECKING:
    from typing import Self

Vector = tuple[float, float, float]
_FLOATS = {float}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Part:
    """Base of the parts: checks fields on construction, compares by value."""

    def __init_subclass__(cls) -> None:
        """Name the rows of the class's body, list them in its docstring, and put them into the table."""
        own = [(name, value) for name, value in vars(cls).items() if isinstance(value, dataclasses.Field)]
        lines = []
        for name, value in own:
            row = value.metadata["row"]
            row.part, row.name = cls.__name__.lower(), name
            FIELDS.append(row)
            text = f"{name}: {row.meaning}" + (f" ({row.unit})" if row.unit else "")
            lines += textwrap.wrap(text, 112, initial_indent="    ", subsequent_indent="        ")
        cls.__doc__ = "\n".join([(cls.__doc__ or "").rstrip(), "", "    Fields:", *lines, "    "])

    def __post_init__(self) -> None:
        self._check(rows_of(type(self)))
        self._complete()

    def _check(self, rows):
        """Put values into their plain types; raises FieldError for those that fields do not take."""
        odd = dict(self.__dict__.get("_odd", ()))
        for row in rows:
            value = getattr(self, row.name)
            odd.pop(row.name, None)
            if value is None and row.default is None:
                continue
            try:
                if type(value) is not float and not (type(value) in (tuple, list) and {*map(type, value)} == _FLOATS):
                    value = in_unit(row, value)
                value = row.check(row.full_name, value)
            except FieldError as error:
                error.fields = (row.full_name,)
                raise
            self.__dict__[row.name] = value
            if row.usual is not None and (sentence := suspicion(row, value)) is not None:
                odd[row.name] = sentence
                warn_caller(sentence)
        self.__dict__["_odd"] = odd

    @property
    def oddities(self) -> tuple[str, ...]:
        """Sentences about values that would be usual in another unit."""
        return tuple(self.__dict__["_odd"].values())

    def _complete(self):
        """What depends on several fields; raises FieldError where they do not go together."""

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; raises FieldError for a name that is no field."""
        check_names(self, changes)
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.__dict__.update(changes)
        rows = rows_named(type(self))
        made._check([rows[name] for name in changes])
        made._complete()
        return made

    def __repr__(self) -> str:
        """The fields that are not at their defaults."""
        shown = (row.name for row in rows_of(type(self)) if not equal(getattr(self, row.name), row.default))
        return f"{type(self).__name__}({', '.join(f'{name}={_short(getattr(self, name))}' for name in shown)})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(equal(getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))

    def __hash__(self) -> int:
        return hash(tuple(v for f in dataclasses.fields(self) if not hasattr(v := getattr(self, f.name), "shape")))


def check_names(part: Any, changes: Any) -> None:
    """Raise FieldError for a change that names no field."""
    for name in changes:
        if name not in type(part).__dataclass_fields__:
            names = [row.name for row in rows_of(type(part))]
            elsewhere = {row.name: row.full_name for row in FIELDS}
            hint = meant(name, names, "its fields are", elsewhere)
            raise FieldError(f"{type(part).__name__} has no field {name!r}; {hint}")


def equal(one: Any, other: Any) -> Any:
    """Equality that takes arrays as well."""
    if hasattr(one, "shape") or hasattr(other, "shape"):
        return (
            getattr(one, "shape", None) == getattr(other, "shape", None)
            and memoryview(one).tobytes() == memoryview(other).tobytes()
        )
    return one == other


def _short(value):
    """A value for a repr: large arrays and long tables by what they are."""
    if hasattr(value, "shape"):
        return f"<{value.dtype} {' x '.join(map(str, value.shape))}>"
    if isinstance(value, tuple) and len(value) > 9:
        return f"<{len(value)} rows>"
    return repr(value)
