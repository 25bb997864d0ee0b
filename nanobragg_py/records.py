"""A frozen record type that costs nothing to import.

``dataclasses`` pulls in ``inspect`` and ``re``, ten milliseconds on the drop-in's path; this does what the project
needs of it in thirty lines: fields with defaults, immutability, equality, ``replace`` and pickling.
"""

REQUIRED = object()
#: for type checkers, which take it for true, without the cost of the module typing
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self


class Record:
    """Base of frozen records. A subclass lists its fields, in order, in ``_fields``: a dict of name to default.

    A default of ``REQUIRED`` makes the field mandatory. Values are taken as they are; a subclass that must check or
    convert them overrides ``_validate``, which may call ``_set``.
    """

    __slots__ = ()
    _fields = {}

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *args: "Any", **kwargs: "Any") -> None:
        names = list(self._fields)
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__} takes at most {len(names)} values, got {len(args)}")
        values = dict(self._fields)
        values.update(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in self._fields:
                raise TypeError(f"{type(self).__name__} has no field {name!r}; its fields are {', '.join(names)}")
            values[name] = value
        for name, value in values.items():
            if value is REQUIRED:
                raise TypeError(f"{type(self).__name__} needs a value for {name!r}")
        self.__dict__.update(values)
        self._validate()

    def _validate(self):
        """Check the fields; raise ValueError with a message that names the field."""

    def _set(self, name, value):
        """Store a converted value while validating."""
        object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: "Any") -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use .replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def _asdict(self):
        """The fields as a dict, nested records included as they are."""
        held = self.__dict__
        return {name: held[name] for name in self._fields}

    def replace(self, **changes: "Any") -> "Self":
        """A copy with some fields changed; raises TypeError for a name that is not a field."""
        values = self._asdict()
        for name in changes:
            if name not in values:
                raise TypeError(f"{type(self).__name__} has no field {name!r}; its fields are {', '.join(values)}")
        values.update(changes)
        made = object.__new__(type(self))
        made.__dict__.update(values)
        made._validate()
        return made

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._asdict() == other._asdict()

    def __hash__(self) -> int:
        return hash((type(self), tuple(self._asdict().items())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._asdict().items())})"

    def __reduce__(self) -> "tuple[Any, ...]":
        return _rebuild, (type(self), self._asdict())


def _rebuild(cls, values):
    return cls(**values)
