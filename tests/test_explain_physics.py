"""What `nanobragg-py explain` says of the exact physics: which choices change an image, and by how much."""

import json
import shlex

import numpy as np
import pytest

from nanobragg_py.cli.main import main
from nanobragg_py.experiment.load import load_args
from nanobragg_py.inspect.explain import explain
from nanobragg_py.inspect.explain_physics import Effect
from nanobragg_py.inspect.explain_text import effect_text
from nanobragg_py.render.simulate import simulate

BASE = "-cell 50 60 70 90 90 90 -default_F 1 -N 5 -detpixels 24 -pixel 0.5 -misset 1 2 3 -seed 1 "
SOURCES = "0 0 10 1 1e-10\n0 0.01 10 3 1.1e-10\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sources.txt").write_text(SOURCES)
    (tmp_path / "flat.stol").write_text("0 4\n5 2\n")
    (tmp_path / "negative.txt").write_text("0 0 10 1 1e-10\n0 0 10 -3 1e-10\n")


def effects(line):
    return {effect.id: effect for effect in explain(shlex.split(line), physics=True).physics}


def image(line):
    loaded = load_args(shlex.split(line))
    return np.asarray(simulate(loaded.experiment, loaded.table)[0]).astype(float)


@pytest.mark.parametrize(("number", "line"), [
    ("E1", BASE + "-cell 50 60 70 80 95 100"),
    ("E2", BASE + "-gauss_xtal"),
    ("E4", BASE + "-sourcefile sources.txt"),
    ("E5", BASE + "-detector_thick 300 -detector_abs 200 -detector_thicksteps 3"),
    ("E6", BASE + "-oversample 4"),
    ("E7", BASE + "-water 3 -fluence 1e24"),
    ("E8", BASE + "-stol flat.stol -water 3"),
    ("E9", BASE + "-misset random"),
    ("E10", BASE + "-mosaic 1 -mosaic_domains 4 -phi 20"),
    ("E11", BASE + "-N 2 -hkl few.hkl"),
])  # fmt: skip
def test_a_choice_that_changes_an_image(tmp_path, number, line):
    rows = [f"{h} {k} {l} {100 + 7 * h + k}" for h in range(-9, 10) for k in range(-9, 10) for l in range(-9, 10)]
    (tmp_path / "few.hkl").write_text("\n".join(rows) + "\n")
    plain = f"{line} -oversample 1" if number != "E6" else line
    found = effects(plain)
    assert set(found) <= {number, "E6", "E7", "all"}
    assert number in found
    seeded = f"{plain} -misset_seed 1 -misset random" if number == "E9" else plain
    before, after = image(seeded), image(f"{seeded} -physics exact")
    if number == "E9":
        assert found["all"].changed > 0.1
        return
    assert found["all"].changed == pytest.approx(np.abs(after - before).sum() / before.sum(), rel=1e-5)
    assert found["all"].ratio == pytest.approx(after.sum() / before.sum(), rel=1e-5)
    assert not found["all"].coarse


def test_an_image_that_stays():
    assert effects(BASE + "-oversample 1 -nonoise") == {}


def test_an_offset_that_is_not_whole():
    assert effects(BASE + "-oversample 1 -adc 10.5")["E12"].changed is None
    assert "E12" not in effects(BASE + "-oversample 1 -adc 10.5 -nonoise")


def test_of_what_the_exact_physics_does_not_take():
    (effect,) = effects(BASE + "-sourcefile negative.txt").values()
    assert "weight of -3" in effect.note


def test_a_large_image_is_estimated():
    line = "-cell 50 60 70 90 90 90 -default_F 1 -N 5 -gauss_xtal -detpixels 500 -pixel 0.2 -distance 80 -mosaic 0.5 "
    line += "-mosaic_domains 20 -osc 3 -phisteps 5 -oversample 1 -misset 1 2 3 -seed 1"
    found = effects(line)["E2"]
    assert found.coarse
    before, after = image(line + " -oversample 1"), image(line + " -oversample 1 -physics exact")
    assert found.ratio == pytest.approx(after.sum() / before.sum(), rel=0.1)


def test_what_is_printed(capsys):
    line = shlex.split(BASE + "-gauss_xtal -oversample 1")
    assert main(["explain", "--", *line]) == 0
    lines = capsys.readouterr().out.splitlines()
    said = lines[lines.index("What -physics exact changes") + 1 :]
    assert said[0].startswith("  E2, the width of Gaussian and top-hat spots: pixels change by 0.")
    assert main(["explain", "--json", "--", *line]) == 0
    assert json.loads(capsys.readouterr().out)["physics"][0]["id"] == "E2"
    assert main(["explain", "--", *shlex.split(BASE + "-oversample 1")]) == 0
    assert capsys.readouterr().out.endswith("What -physics exact changes\n  nothing\n")


@pytest.mark.parametrize(("ratio", "said"), [(1.004, ""), (0.9996, ""), (1.02, ", which becomes 1.02 times as large")])
def test_no_sum_becomes_once_as_large(ratio, said):
    effect = Effect(id="E6", about="corrections", changed=0.01, ratio=ratio)
    assert effect_text(effect) == f"E6, corrections: pixels change by 0.01 of their sum{said}"
