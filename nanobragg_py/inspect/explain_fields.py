"""What an experiment of the library means: where every value comes from, in the library's names.

An experiment that is as a command line made it is explained as that line, by explain.py; any other by its fields.
"""

import os
from typing import Any

from ..experiment.fields import FIELDS, field_name
from ..experiment.following import follow
from ..experiment.origins import Origins
from ..records import REQUIRED, Record
from .explain import Explanation, Origin, Setting, explain
from .explain_oddities import oddities_of_physics
from .explain_quantities import SECTIONS, Row, quantities

#: what is shown: all but files that only a program writes or reads
SHOWN = {
    **{section: rows for section, rows in SECTIONS.items() if section != "output"},
    "physics": [Row("options.physics", "physics")],
}
#: options that the library has in another way
ELSEWHERE = {"img_file", "geometry_file"}


class _Resolved(Record):
    """What the oddities ask for: a `Loaded` without files."""

    _fields = {"experiment": REQUIRED}


def explain_experiment(experiment: Any, physics: bool = False) -> Explanation:
    """The `Explanation` of an Experiment of the library. physics: as of `explain`, where a command line stated it."""
    line = experiment.__dict__.get("_line")
    if line is not None:
        tokens, folder, place = line
        if os.getcwd() != place:
            folder = os.path.join(place, os.fspath(folder or ""))
        explanation = explain(tokens, physics, folder)
        # files may have gone since
        if explanation.error is None:
            return explanation
    return _explain_fields(experiment)


def _explain_fields(experiment):
    factors, mask = experiment.structure_factors, experiment.detector.mask
    recorders = []

    def recorder(options):
        recorders.append(Origins(options))
        return recorders[0]

    parts = (experiment.beam, experiment.detector, experiment.crystal, experiment.sampling)
    followed = follow(*parts, factors, experiment.physics, experiment.more_crystals, recorder)
    (origins,), options = recorders, followed.options
    if factors.bounds is not None:
        low, high = factors.bounds[::2], factors.bounds[1::2]
        box = " x ".join(str(last - first + 1) for first, last in zip(low, high, strict=True))
        origins.taken("structure_factors.table", "hkl_file", value=f"{box} amplitudes")
        origins.follows("structure_factors.bounds", "hkl_file")
    if mask is not None:
        origins.taken("options.mask_file", "mask_file", value="of the pixels' number")
    origins.settle(followed.setup, followed.resolved)
    said = _given(experiment)
    history = tuple(Setting(option, getattr(options, option), Origin("field", name)) for option, name in said.items())

    def set_by(option):
        return Origin("field", said[option]) if option in said else Origin()

    found = [
        quantity
        for quantity in quantities(origins, set_by, SHOWN)
        if not {option for option, _ in quantity.origins} & ELSEWHERE
    ]
    voids = []
    for void in origins.voids:
        names = dict.fromkeys(row.full_name for option in void.options for row in FIELDS if option in row.options)
        if names:
            voids.append((tuple(names), void.why.named(field_name)))
    return Explanation(
        argv=(),
        tokens=(),
        history=history,
        warnings=experiment.warnings,
        oddities=tuple(oddities_of_physics(options, history, _Resolved(experiment=followed.resolved))),
        quantities=tuple(found),
        unused=tuple(voids),
    )


def _given(experiment):
    """{option: field} of the fields that are not at their defaults."""
    given = {}
    for row in FIELDS:
        if not row.name:
            table = experiment.structure_factors.bounds is not None
            given |= dict.fromkeys(row.options, row.full_name) if table else {}
            continue
        value = getattr(getattr(experiment, row.part), row.name)
        if value is not None and not _same(value, row.default):
            given |= dict.fromkeys(row.options, row.full_name)
    if experiment.physics != "exact":
        given["physics"] = "physics"
    if "cell_lengths" in given:
        given["user_cell"] = given["cell_lengths"]
    if "misset" in given:
        given["misset_mode"] = given["misset"]
    return given


def _same(value, default):
    """Whether a field is as it is when nothing is said; arrays never are."""
    return type(value) is type(default) and not hasattr(value, "shape") and bool(value == default)
