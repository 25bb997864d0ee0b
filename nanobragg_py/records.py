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
        # images of a batch make records by the thousand: what is usual takes a few operations on dicts
        values = self.__dict__
        values.update(self._fields)
        if args:
            names = list(self._fields)
            if len(args) > len(names):
                raise TypeError(f"{type(self).__name__} takes at most {len(names)} values, got {len(args)}")
            values.update(zip(names, args, strict=False))
        values.update(kwargs)
        if len(values) > len(self._fields):
            self._refuse(kwargs)
        for name, default in self._fields.items():
            if default is REQUIRED and values[name] is REQUIRED:
                raise TypeError(f"{type(self).__name__} needs a value for {name!r}")
        self._validate()

    def _refuse(self, given):
        """Raise TypeError for a name that is not a field."""
        for name in given:
            if name not in self._fields:
                fields = ", ".join(self._fields)
                raise TypeError(f"{type(self).__name__} has no field {name!r}; its fields are {fields}")

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
        made = object.__new__(type(self))
        values = made.__dict__
        values.update(self.__dict__)
        values.update(changes)
        if len(values) > len(self._fields):
            self._refuse(changes)
            # without what others have put beside the fields
            made = object.__new__(type(self))
            made.__dict__.update((name, values[name]) for name in self._fields)
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
