"""Images of several crystals, or of blocks of several sizes, as the images of one each that they are the sum of."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from ..errors import FieldError

#: a field of a crystal that is not the first
OTHER = re.compile(r"more_crystals\.(\d+)\.(\w+)", re.ASCII)


def owner_of(name: str) -> tuple[int | None, str]:
    """Which crystal a parameter is of, counted from 0, None where it is of no crystal, and its name if it is alone."""
    found = OTHER.fullmatch(name)
    if found:
        return int(found[1]) + 1, f"crystal.{found[2]}"
    return (0 if name.startswith("crystal.") else None), name


def crystals_of(experiment: Any) -> tuple[Any, ...]:
    """The crystals of an experiment, `Crystal` each."""
    return (experiment.crystal, *experiment.more_crystals)


def parts_of(experiment: Any) -> list[tuple[int, Any]]:
    """The images that make the sum, in its order: which crystal each is of, and an `Experiment` of that alone.

    A crystal makes several where its domains, or its blocks, do not count alike.
    """
    followed = experiment._followed
    counts = [len(other.resolved.crystals) or 1 for other in followed.others]
    single = experiment.resolved.single_crystals
    owners = [0] * (len(single) - sum(counts))
    for number, count in enumerate(counts, 1):
        owners += [number] * count
    return [(owner, _alone(experiment, owner, resolved)) for owner, resolved in zip(owners, single, strict=True)]


def alone(experiment: Any, number: int) -> Any:
    """The experiment with one of its crystals, or with the first part of that; itself where it has one."""
    if not experiment.resolved.crystals:
        return experiment
    return next(one for owner, one in parts_of(experiment) if owner == number)


def _alone(experiment, number, resolved):
    followed = (experiment._followed, *experiment._followed.others)[number]
    made = object.__new__(type(experiment))
    made.__dict__.update(experiment.__dict__)
    made.__dict__.update(crystal=crystals_of(experiment)[number], more_crystals=(), resolved=resolved)
    made.__dict__["structure_factors"] = resolved.structure_factors
    made.__dict__["_followed"] = dataclasses.replace(followed, resolved=resolved, others=(), quick=[])
    made.__dict__.pop("warnings", None)
    return made


def named(experiment: Any, names: Iterable[str]) -> list[tuple[Any, dict[str, str]]]:
    """The images that make the sum, as experiments, and of the parameters those that each depends on: {the name in the
    sum: that in the one}."""
    found = []
    for number, one in parts_of(experiment):
        own = {name: owner_of(name) for name in names}
        found.append((one, {name: field for name, (owner, field) in own.items() if owner in (None, number)}))
    return found


def check_number(experiment: Any, name: str) -> None:
    """FieldError for a parameter of a crystal that the experiment does not have."""
    number, count = owner_of(name)[0], len(experiment.more_crystals)
    if number is not None and number > count:
        has = "one crystal, whose fields are crystal.*" if not count else f"more_crystals.0 to {count - 1}"
        raise FieldError(f"{name} does not apply: the experiment has {has}", fields=(name,))
