"""What the values of a resolved experiment come from, as `resolve` and `load` note it while they work.

They tell an `Origins` at every branch they take; those who do not ask pass none, and the notes cost them nothing
(`nanobragg_py.experiment.resolved.UNASKED`). Names without a point are options (nanobragg_py/flags/options.py), names
with one are quantities: fields of the resolved records, such as ``detector.distance``, and what lies between those
and the options. A quantity that follows from another comes from all that the other comes from.
"""

from typing import Any

from ..errors import Sentence
from ..records import REQUIRED, Record
from .fields import find

#: where the parts of a tuple stand, by their names in quantities
PLACES = {"0": 0, "1": 1, "2": 2, "steps": 0, "range": 1, "step": 2}


class Origin(Record):
    """What one quantity comes from.

    options: in the order in which they count. how: ``given``, as the first of them says (the file of an orientation
    matrix counts for that), or ``derived`` from all. note: what is to be said besides, or None.
    """

    _fields = {"options": REQUIRED, "how": "derived", "note": None}


class Void(Record):
    """Options that do not enter the image here. name: of the rule; why: a `Sentence`, the end of one."""

    _fields = {"name": REQUIRED, "why": REQUIRED, "options": REQUIRED}


def nearly_equal(value: Any, other: Any) -> bool:
    """Equal, or equal but for rounding: what was divided by a cosine and multiplied by it again."""
    if isinstance(value, tuple):
        return isinstance(other, tuple) and all(nearly_equal(*pair) for pair in zip(value, other, strict=True))
    if isinstance(value, float):
        return bool(value == other or abs(value - other) <= 1e-12 * abs(other))
    return bool(value == other)


class Origins:
    """A record of what `resolve` did with options.

    options: an Options. voids: `Void` records, in the order of the notes. values: those of quantities that are in no
    record, by name.
    """

    def __init__(self, options: Any) -> None:
        self.options: Any = options
        self.voids: list[Void] = []
        self.values: dict[str, Any] = {}
        self._notes: dict[str, list[tuple[Any, ...]]] = {}
        self._roots: dict[str, Any] = {}
        # what was asked since the last note: most quantities follow from the same few
        self._found: dict[tuple[str, int], Origin] = {}

    # ---- what resolve calls ----------------------------------------------------------------------------------------

    def taken(self, quantity: str, option: str, *others: str, note: str | None = None, **value: Any) -> None:
        """The quantity is as the option says; others that decided so. value: the quantity, if no record has it."""
        self._note(quantity, "taken", (option, *others), (), note)
        if value:
            self.values[quantity] = value["value"]

    def filled(self, quantity: str, own: str, *others: str, when: Any = ()) -> None:
        """The quantity is as its own option says, or, where it comes out otherwise, follows from all.

        when: options that decide that its own counts.
        """
        self._note(quantity, "filled", (own, *others), tuple(when), None)

    def steps(self, prefix: str, **owns: str) -> None:
        """Quantities that fill one another in: a number of steps, their range and their size, each with its option."""
        for name, own in owns.items():
            self.filled(f"{prefix}.{name}", own, *(other for other in owns.values() if other != own))

    def follows(self, quantity: str, *names: str, note: str | None = None) -> None:
        """The quantity follows from options and quantities; from one quantity alone: has the same origin."""
        self._note(quantity, "follows", names, (), note)

    def void(self, name: str, why: str, *options: str) -> None:
        """The options do not enter the image. why: the template of a `Sentence`; name: of the rule."""
        self.voids.append(Void(name, Sentence(why), options))

    def _note(self, quantity, kind, names, when, note):
        self._notes.setdefault(quantity, []).append((kind, names, when, note))
        self._found.clear()

    # ---- what is asked ---------------------------------------------------------------------------------------------

    def void_options(self) -> set[str]:
        """The options that do not enter the image."""
        return {option for void in self.voids for option in void.options}

    def settle(self, setup: Any, experiment: Any) -> None:
        """What the notes came to: a `Setup` and a `ResolvedExperiment`."""
        self._roots = {"setup": setup, "grid": setup.grid, "options": self.options, **experiment._asdict()}
        self._found.clear()

    def value(self, quantity: str) -> Any:
        """What a quantity came to; None for what lies between the records."""
        if quantity in self.values:
            return self.values[quantity]
        root, *path = quantity.split(".")
        value: Any = self._roots.get(root)
        for name in path:
            place = PLACES.get(name) if isinstance(value, tuple) else None
            value = getattr(value, name, None) if place is None else value[place]
        return value

    def of(self, quantity: str) -> Origin:
        """The `Origin` of a quantity; where nothing was noted, it is as the options of its field say."""
        return self._origin(quantity, len(self._notes.get(quantity, ())) - 1)

    def _origin(self, quantity, at):
        """The Origin by the note with the number `at`; -1: before the first."""
        found = self._found.get((quantity, at))
        if found is None:
            found = self._found[quantity, at] = self._follow(quantity, at)
        return found

    def _follow(self, quantity, at):
        if at < 0:
            part, _, name = quantity.partition(".")
            row = find(part, name)
            return Origin((name,) if part == "options" else () if row is None else row.options, "given")
        kind, names, when, note = self._notes[quantity][at]
        own = names[0]
        if kind == "taken":
            return Origin(names, "given", note)
        if kind == "filled" and nearly_equal(self.value(quantity), getattr(self.options, own)):
            return Origin((own, *when), "given", note)
        found = []
        for name in (*names, *when):
            if "." not in name:
                found.append(name)
                continue
            # a quantity that follows from itself had an origin before
            origin = self._origin(name, at - 1) if name == quantity else self.of(name)
            if len(names) == 1:
                return origin.replace(note=note or origin.note)
            found += origin.options
        return Origin(tuple(dict.fromkeys(found)), "derived", note)
