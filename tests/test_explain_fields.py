"""`Experiment.explain`: a command line as the tool explains it, anything else by the library's fields."""

import dataclasses
import doctest
import json
import math
import shlex

import numpy as np
import pytest
from random_experiments import Experiments
from transcripts import ROOT

from nanobragg_py import Beam, Crystal, Detector, Experiment, StructureFactors
from nanobragg_py.cli.main import main
from nanobragg_py.experiment.fields import FIELDS

LINE = "-cell 50 60 70 90 90 90 -N 5 -detpixels 16 -seed 1 -default_F 3 -misset_seed 5 6 7"


def test_a_command_line_is_explained_as_the_tool_does(tmp_path, monkeypatch, capsys):
    (tmp_path / "rows.hkl").write_text("1 0 0 10\n0 1 0 20\n")
    line = shlex.split(LINE + " -hkl rows.hkl")
    monkeypatch.chdir(tmp_path)
    made = Experiment.from_args(line)
    assert main(["explain", "--", *line]) == 0
    assert f"{made.explain(physics=True)}\n" == capsys.readouterr().out
    assert json.loads(json.dumps(made.explain().as_dict()))["flags"] == line
    # a name that is relative is so to where it was said
    monkeypatch.chdir("/")
    assert made.explain().tokens == Experiment.from_args(line, folder=tmp_path).explain().tokens != ()
    assert made.replace(crystal__missets=(0.0, 0.0, 1.0)).explain().tokens == ()
    (tmp_path / "rows.hkl").unlink()
    assert made.explain().tokens == () and made.explain().error is None


def quantity(experiment, name):
    (found,) = (q for q in experiment.explain().quantities if q.name == name)
    return found


def test_values_name_the_fields_they_come_from():
    experiment = Experiment(
        Crystal.from_cell(50, 60, 70, alpha="80 deg", gamma="100 deg", missets=(0.1, 0.2, 0.3)),
        Beam(wavelength=1.2e-10, flux=1e12, size=1e-5),
        Detector.flat(64, 4e-4, 0.15),
        structure_factors=StructureFactors(default_F=3.0),
    )
    assert quantity(experiment, "wavelength").source_text == "beam.wavelength"
    assert quantity(experiment, "fluence").source_text == "derived from beam.flux, beam.size"
    assert quantity(experiment, "a*").source_text == "derived from crystal.lengths, crystal.angles, crystal.missets"
    assert quantity(experiment, "Kahn factor").source_text == "default"
    assert quantity(experiment, "physics").source_text == "default"
    unused = [name for names, _ in experiment.explain().unused for name in names]
    assert "beam.fluence" in unused and "beam.flux" not in unused
    assert not any("-" in reason.split()[0] for _, reason in experiment.explain().unused)
    assert experiment.explain().oddities == ()
    # the reference makes another cell of it
    reference = experiment.replace(physics="reference")
    assert "cell-distorted" in [name for name, _ in reference.explain().oddities]
    assert quantity(reference, "physics").source_text == "physics"


def test_tables_are_named():
    table = StructureFactors.from_arrays([[1, 0, 0], [0, 1, 2]], [10.0, 20.0])
    mask = np.ones((16, 16), np.uint16)
    experiment = Experiment(
        Crystal.from_cell(50, 60, 70),
        Beam(sources=[(1.0, 0.0, 0.0, 1.0, 1e-10)]),
        Detector.flat(16, 4e-4, 0.15).replace(mask=mask),
        structure_factors=table,
    )
    text = str(experiment.explain())
    assert text.startswith("Beam")
    assert quantity(experiment, "table").source_text == "structure_factors"
    assert quantity(experiment, "mask").source_text == "detector.mask"
    assert quantity(experiment, "sources").source_text == "derived from beam.sources"
    matrix = experiment.replace(crystal=Crystal(matrix=np.diag([0.02, 0.02, 0.01])))
    assert quantity(matrix, "a*").source_text == "matrix of crystal.matrix"


@pytest.mark.parametrize("seed", range(12))
def test_every_field_that_is_given_is_named(seed):
    """Each is what a value comes from, or is said not to enter the image."""
    made = Experiments(seed).experiment()
    explanation = made.explain()
    named = {origin.name for q in explanation.quantities for _, origin in q.origins if origin.kind == "field"}
    named |= {name for names, _ in explanation.unused for name in names}
    for row in FIELDS:
        value = getattr(getattr(made, row.part), row.name) if row.name else None
        if value is None or (np.shape(value) == np.shape(row.default) and np.all(value == row.default)):
            continue
        assert row.full_name in named, (row.full_name, value)
    beam = next(q for q in explanation.quantities if q.name == "wavelength")
    assert math.isclose(beam.value, made.resolved.beam.wavelength)
    assert dataclasses.replace(made).explain() == explanation


def test_the_page():
    failed, tried = doctest.testfile(str(ROOT / "docs/explain.md"), module_relative=False, encoding="utf-8")
    assert tried > 2 and not failed
