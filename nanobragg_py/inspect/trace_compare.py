"""Two traces of one pixel, quantity by quantity: where do they part?

Reads the lines of `nanobragg_py.inspect.trace` and those of other programs that trace in the same manner: any line that
begins with ``TRACE`` and perhaps more (``TRACE_C:``, ``TRACE_PY_PHI``), then a name and values, or ``name=value``
pairs.
"""

import re
import shlex
from math import inf, isfinite
from typing import Any

from ..errors import NanoBraggError
from ..files.reading import check_ends
from ..flags.nanobragg import OWN, RULES
from ..records import REQUIRED, Record
from .trace_quantities import QUANTITIES

#: from the best; with each the relative difference below which a pair has it ("pass" is up to the tolerance)
GRADES = {"pass": 0.0, "minor": 1e-4, "divergent": 1e-2, "critical": inf}
TOLERANCE = 1e-6

#: what a line belongs to, outermost first; a new value of one ends all that are further in
MARKERS = {
    "layer": "layer",
    "subpixel_slow": "sub-pixel",
    "subpixel_fast": "",
    "source": "source",
    "phi_step": "phi step",
    "mosaic_domain": "domain",
}
ALIASES = {"phi_tic": "phi_step"}
#: what is told of a phi step up to the lattice transform
LATTICE = frozenset(name for name in QUANTITIES["step"] if name.startswith(("rot_", "V_", "hkl_", "F_latt")))
#: what older programs tell of a vector, and the component it is
COMPONENTS = {"k_frac": ("hkl_frac", 1)}
#: how many times larger than in 1/A a quantity is that comes in 1/m, whatever its name says, and how exactly
PER_METER = 1e10
PER_METER_SLACK = 1e-3

# two blanks and more indent what is said to people
_LINE = re.compile(r"\s*TRACE\w*(?:: ?| )(\S.*)")
_PAIR = re.compile(r"([A-Za-z_]\w*)\s*=\s*(.*?)\s*(?=[A-Za-z_]\w*\s*=|$)")
_COMMENT = re.compile(r"# (\w+): (.*)")
_BETWEEN = re.compile(r"[\s,;()\[\]]+")


class Quantity(Record):
    """One quantity of a trace.

    name. values: tuple of floats and words. where: dict of marker -> index, those of MARKERS that are in force.
    line: its number in the file.
    """

    _fields = {"name": REQUIRED, "values": REQUIRED, "where": REQUIRED, "line": REQUIRED}


class TraceFile(Record):
    """A trace as read. comments: dict of its ``# key: value`` lines. quantities: list of Quantity, in order."""

    _fields = {"path": REQUIRED, "comments": REQUIRED, "quantities": REQUIRED}


class Pair(Record):
    """A quantity in both traces.

    a, b: the values. absolute: the largest difference of two components; inf where words or the number of values
    differ. relative: that over the largest component of either (a vector's small components are compared on the
    vector's scale). grade: a key of GRADES. remark: what was done to the values before, or nothing.
    """

    _fields = {
        "name": REQUIRED,
        "where": REQUIRED,
        "a": REQUIRED,
        "b": REQUIRED,
        "absolute": REQUIRED,
        "relative": REQUIRED,
        "grade": REQUIRED,
        "remark": "",
    }


class TraceComparison(Record):
    """Two traces compared: the pairs in the order of A, and the names that one of them alone has."""

    _fields = {"a": REQUIRED, "b": REQUIRED, "tolerance": REQUIRED, "pairs": REQUIRED, "only_a": (), "only_b": ()}

    @property
    def first_divergence(self) -> Any:
        """The first pair that does not pass, or None."""
        return next((pair for pair in self.pairs if pair.grade != "pass"), None)

    @property
    def grade(self) -> Any:
        """The worst grade of any pair."""
        return worst(self.pairs).grade

    def by_name(self) -> Any:
        """[(name, its pairs), ...] in order of appearance."""
        return grouped(self.pairs, lambda pair: pair.name)

    def by_step(self) -> Any:
        """[((phi step, domain), its pairs), ...], empty unless both traces have phi steps.

        The running sum is left out: it carries what differs in one step to all that follow.
        """
        steps = [pair for pair in self.pairs if "phi_step" in pair.where and pair.name != "I_running"]
        return grouped(steps, lambda pair: (pair.where["phi_step"], pair.where.get("mosaic_domain", 0)))


def grouped(pairs: Any, key: Any) -> list[Any]:
    """[(key, pairs), ...] in order of the keys' first appearance."""
    groups = {}
    for pair in pairs:
        groups.setdefault(key(pair), []).append(pair)
    return list(groups.items())


def worst(pairs: Any) -> Any:
    """The pair with the largest relative difference; the first of equals."""
    return max(pairs, key=lambda pair: pair.relative)


def read_trace(path: Any) -> "TraceFile":
    """The TraceFile of a text file; raises NanoBraggError when it cannot be read or has no TRACE lines."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            check_ends(file)
            lines = file.read().splitlines()
    except OSError as error:
        raise NanoBraggError(f"cannot read {path}: {error.strerror}") from None
    comments, quantities, where = {}, [], {}
    begun = 0  # of quantities, where a step begins that a line of pairs ends
    of_pixel = QUANTITIES["pixel"]
    for number, line in enumerate(lines, 1):
        comment = _COMMENT.match(line)
        if comment:
            comments.setdefault(comment[1], comment[2])
            continue
        found = _LINE.match(line)
        if not found:
            continue
        for name, text in named_values(found[1]):
            name = ALIASES.get(name, name)
            values = tuple(map(number_or_word, filter(None, _BETWEEN.split(text))))
            if is_prose(values):
                continue
            if name in MARKERS and len(values) == 1:
                if not isinstance(values[0], str) and not values[0].is_integer():
                    raise NanoBraggError(f"{path}, line {number}: {name} is {text}; it must be a whole number")
                if name == "phi_step" and "=" in found[1]:
                    if where.get(name) != values[0]:
                        where = enter(where, name, values[0])
                        quantities[begun:] = [of_step(quantity, where) for quantity in quantities[begun:]]
                    continue
                where = enter(where, name, values[0])
            else:
                if name in of_pixel:
                    where = {}
                quantities.append(Quantity(name=name, values=values, where=where, line=number))
        if "phi_step" in where and "=" in found[1]:
            begun = len(quantities)
    if not quantities:
        raise NanoBraggError(f"{path} has no TRACE lines; make a trace with nanobragg-py trace > FILE")
    return TraceFile(path=path, comments=comments, quantities=quantities)


def of_step(quantity: Any, where: Any) -> Any:
    """A quantity that came before the line of pairs of its phi step, as older programs have it: in that step."""
    return quantity.replace(where=where) if quantity.name in LATTICE else quantity


def named_values(text: Any) -> Any:
    """[(name, text of its values), ...] of what follows TRACE on a line."""
    if "=" in text:
        return _PAIR.findall(text) if _PAIR.match(text) else []
    name, _, values = text.partition(" ")
    return [(name.rstrip(":"), values)]


def is_prose(values: Any) -> Any:
    """Whether what follows a name is a sentence: nothing, or more than one thing with a word among them.

    ``Direct-space cell volume: V_cell = 1/V_star = 24682.3`` tells a person how a number came about.
    """
    words = [value for value in values if isinstance(value, str) and not any(map(str.isdigit, value))]
    return not values or (len(values) > 1 and bool(words))


def number_or_word(text: Any) -> Any:
    """A float where the text is a number."""
    try:
        return float(text)
    except ValueError:
        return text


def enter(where: Any, marker: Any, index: int) -> dict[Any, Any]:
    """The markers in force after this one."""
    order = list(MARKERS)
    kept = {name: where[name] for name in order[: order.index(marker)] if name in where}
    return {**kept, marker: int(index) if isinstance(index, float) else index}


def place(where: Any) -> Any:
    """In words: "layer 0, sub-pixel 1 0, source 0, ..."."""
    words = [f"{MARKERS[marker]} {where[marker]}" for marker in MARKERS if marker in where]
    return ", ".join(words).replace(",  ", " ")


def compare_traces(a: Any, b: Any, tolerance: float = TOLERANCE) -> "TraceComparison":
    """Compare two TraceFiles: a TraceComparison.

    Quantities are paired by name and place; of places, what both traces tell counts, and within one the first goes with
    the first, the second with the second. Raises NanoBraggError for traces of different flags or pixels, as far as they
    say, and for traces that have nothing in common.
    """
    check_same_experiment(a, b)
    a, b = with_components(a, b), with_components(b, a)
    common = markers_of(a) & markers_of(b)
    theirs = keyed(b, common)
    pairs, only_a = [], {}
    for key, quantity in keyed(a, common).items():
        other = theirs.pop(key, None)
        if other is None:
            only_a[quantity.name] = None
        else:
            where = {marker: index for marker, index in quantity.where.items() if marker in common}
            pairs.append(compared(quantity, other, where, tolerance))
    if not pairs:
        raise NanoBraggError(f"{a.path} and {b.path} have no quantity in common; compare traces of the same kind")
    only_b = {quantity.name: None for quantity in theirs.values()}
    return TraceComparison(a=a, b=b, tolerance=tolerance, pairs=pairs, only_a=tuple(only_a), only_b=tuple(only_b))


def with_components(trace: Any, other: Any) -> Any:
    """The trace with the components of its vectors that the other one tells alone."""
    names, theirs = ({quantity.name for quantity in each.quantities} for each in (trace, other))
    wanted = {
        vector: (name, index)
        for name, (vector, index) in COMPONENTS.items()
        if name in theirs and name not in names and vector in names
    }
    quantities = []
    for quantity in trace.quantities:
        quantities.append(quantity)
        name, index = wanted.get(quantity.name, (None, 0))
        if name is not None and index < len(quantity.values):
            quantities.append(quantity.replace(name=name, values=(quantity.values[index],)))
    return trace.replace(quantities=quantities)


def markers_of(trace: Any) -> set[Any]:
    """The markers that occur in a trace."""
    return {marker for quantity in trace.quantities for marker in quantity.where}


def keyed(trace: Any, markers: Any) -> Any:
    """(name, place, which of that name at that place) -> Quantity, in the order of the trace."""
    seen, result = {}, {}
    for quantity in trace.quantities:
        key = (quantity.name, tuple(sorted((m, i) for m, i in quantity.where.items() if m in markers)))
        seen[key] = seen.get(key, -1) + 1
        result[(*key, seen[key])] = quantity
    return result


def compared(a: Any, b: Any, where: Any, tolerance: float) -> "Pair":
    """The Pair of two quantities."""
    absolute, scale = 0.0, 0.0
    if len(a.values) != len(b.values):
        absolute = inf
    a, b, remark = in_one_unit(a, b)
    for x, y in zip(a.values, b.values, strict=False):
        if x == y or (x != x and y != y):
            difference = 0.0
        elif isinstance(x, str) or isinstance(y, str) or not abs(x - y) < inf:
            difference = inf
        else:
            difference = abs(x - y)
        absolute = max(absolute, difference)
        if isinstance(x, float) and isinstance(y, float):
            scale = max(scale, *(abs(value) for value in (x, y) if isfinite(value)), 0.0)
    relative = absolute / scale if 0.0 < absolute < inf else absolute
    return Pair(
        name=a.name,
        where=where,
        a=a.values,
        b=b.values,
        absolute=absolute,
        relative=relative,
        grade=grade(relative, tolerance),
        remark=remark,
    )


def in_one_unit(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Both quantities in 1/Angstrom where the name says so and one of them comes in 1/m, and a word about it."""
    if not a.name.endswith("_A_inv"):
        return a, b, ""
    sizes = [max((abs(x) for x in q.values if isinstance(x, float)), default=0.0) for q in (a, b)]
    if 0.0 in sizes:
        return a, b, ""
    for large, letter in ((0, "A"), (1, "B")):
        if abs(sizes[large] / sizes[1 - large] / PER_METER - 1.0) < PER_METER_SLACK:
            quantity = (a, b)[large]
            values = tuple(x / PER_METER if isinstance(x, float) else x for x in quantity.values)
            quantity = quantity.replace(values=values)
            return (quantity, b, f"{letter} in 1/m") if large == 0 else (a, quantity, f"{letter} in 1/m")
    return a, b, ""


def grade(relative: Any, tolerance: float) -> Any:
    """The grade of a relative difference."""
    if relative <= tolerance:
        return "pass"
    return next((name for name, limit in GRADES.items() if relative < limit), "critical")


def check_same_experiment(a: Any, b: Any) -> None:
    """Raise NanoBraggError when two traces say that they are of different pixels or flags."""
    pixels = a.comments.get("pixel"), b.comments.get("pixel")
    if None not in pixels and pixels[0] != pixels[1]:
        raise NanoBraggError(
            f"{a.path} traces pixel {pixels[0]} and {b.path} pixel {pixels[1]} (slow, fast); trace the same pixel"
        )
    flags = [physical_flags(trace) for trace in (a, b)]
    if None in flags or flags[0] == flags[1]:
        return
    first = next((i for i, (x, y) in enumerate(zip(*flags, strict=False)) if x != y), min(map(len, flags)))
    words = [repr(line[first]) if first < len(line) else "the end" for line in flags]
    raise NanoBraggError(
        f"{a.path} and {b.path} are traces of different flags: they part at {words[0]} and {words[1]}; only -compat "
        "and other flags that the reference does not know may differ"
    )


def physical_flags(trace: Any) -> Any:
    """The words of a trace's command line without the flags of our own, or None where the trace does not say."""
    if "flags" not in trace.comments:
        return None
    values = {name: rule.values for rule in RULES if rule.group == OWN for name in rule.names}
    try:
        words = shlex.split(trace.comments["flags"])
    except ValueError:
        return trace.comments["flags"].split()
    kept, i = [], 0
    while i < len(words):
        name = words[i][1:] if words[i].startswith("--") else words[i]
        if name in values:
            i += 1 + values[name]
        else:
            kept.append(words[i])
            i += 1
    return kept
