"""What the tools that render take for an experiment: a file, or the program's flags."""

import sys
from typing import Any

from ..errors import NanoBraggError


def stated_experiment(name: Any, flags: Any, what: Any) -> Any:
    """The experiment of the file `name` or of the tokens `flags`; what: the sentence where both are given, or none."""
    from ..api import Experiment

    if (name is None) == (not flags):
        raise NanoBraggError(what)
    return Experiment.from_args(flags) if name is None else Experiment.read(name)


def tell_warnings(tool: Any, experiment: Any) -> None:
    """What the experiment warns of, mistyped flags above all, on standard error, as `tool`'s."""
    for sentence in experiment.warnings:
        print(f"nanobragg-py {tool}: warning: {sentence}", file=sys.stderr)
