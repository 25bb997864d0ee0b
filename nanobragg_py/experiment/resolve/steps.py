"""How the number of steps, their range and their size fill one another in, and the reference's integers."""

from math import ceil, isfinite

from ...vectors import DEGREES_PER_RADIAN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INT_MIN = -(2**31)
INT_MAX = 2**31 - 1


def ceil_to_int(value: "Any") -> "Any":
    """(int) ceil(value) as C does it on x86: what does not fit into 32 bits becomes the smallest integer."""
    if not isfinite(value):
        return INT_MIN
    whole = ceil(value)
    return whole if INT_MIN <= whole <= INT_MAX else INT_MIN


def fill_steps(
    count: int, span: "Any", step: "Any", lone_span: float = 1.0, halve: bool = False
) -> "tuple[Any, Any, Any]":
    """The number of steps, range and step size of a divergence, of the dispersion or of the sensor's layers.

    count <= 0, span < 0 and step <= 0 mean "not given". lone_span: the range when only a count is given. halve: a
    range alone is cut into two steps of half its size rather than of its full size. Returns (count, span, step);
    (1, 0, 0) when nothing is left to step over.
    """
    if count <= 0:
        if span < 0.0:
            if step > 0.0:
                count, span = 2, step
        elif step <= 0.0:
            count = 2
            step = span / 2 if halve else span
        else:
            count = ceil_to_int(span / step)
    elif span < 0.0:
        if step <= 0.0:
            span = lone_span
            step = span / count
        else:
            count, span = 2, step
    elif step <= 0.0:
        count = max(count, 2)
        step = span / (count - 1)
    if span <= 0.0 or step <= 0.0 or count <= 0:
        return 1, 0.0, 0.0
    return count, span, step


def fill_phi(count: int, osc: "Any", step: "Any") -> "tuple[Any, Any, Any]":
    """The number of phi steps, the oscillation range and the step, radians; here a count < 0 means "not given".

    Unlike the others, phi may keep a range or step of zero, and the end of its range is not a step.
    """
    if count < 0:
        if osc < 0.0:
            return (1, 0.0, 0.0) if step <= 0.0 else (2, step, step)
        if step <= 0.0:
            return 2, osc, osc / 2.0
        return ceil_to_int(osc / step), osc, step
    count = max(count, 1)
    if osc < 0.0:
        if step > 0.0:
            return 2, step, step
        osc = 1.0 / DEGREES_PER_RADIAN
        return count, osc, osc / count
    return count, osc, osc / count if step < 0.0 else step
