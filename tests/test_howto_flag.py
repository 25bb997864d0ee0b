"""docs/architecture.md, "Add a flag": five flags, one of every kind, with a line or two in four files each."""

import json
import math
import os
import subprocess
import sys

import pytest
from howto import Tree

LINE = ("-cell", "50", "60", "70", "90", "90", "90", "-default_F", "100", "-N", "3", "-detpixels", "12", "-pixel", "1")
QUIET = ("-fluence", "1e24", "-nonoise", "-nopgm", "-noprogress")
FOILS = ("-attenuator", "125", "-attenuators", "2", "-attenuator_material", "silicon", "-attenuator_label", "Al 13")
PASSED = math.exp(-250e-6 / 2.5e-4)
DROPIN = "import sys; from nanobragg_py.cli.dropin import main; sys.exit(main(['nanoBragg', *sys.argv[1:]]))"
LIBRARY = """
import json, sys
from nanobragg_py import Beam, Crystal, Experiment, FieldError, StructureFactors
from nanobragg_py.experiment.serialize import to_toml
import tomllib

stated = tomllib.loads('''
[beam]
attenuator = "0.125 mm"
attenuators = 2
attenuator_material = "silicon"
attenuator_label = "Al 13"
[crystal]
lengths = [50.0, 60.0, 70.0]
[structure_factors]
default_F = 100
''')
experiment = Experiment.from_dict(stated)
given = Experiment.from_args(sys.argv[1:])
said = []
for change in ({"attenuator": -1}, {"attenuator_material": "tin"}, {"attenuators": 0}, {"attenuator": 1.0}):
    try:
        experiment.replace(beam=experiment.beam.replace(**change))
    except FieldError as error:
        said.append([str(error), list(error.fields)])
out = experiment.replace(beam__attenuators_out=True)
print(json.dumps({
    "field": experiment.beam.attenuator,
    "same": given.beam.attenuator == experiment.beam.attenuator and given.beam.attenuator_label == "Al 13",
    "default": Beam().attenuator,
    "passed": experiment.resolved.beam.fluence / Beam().fluence,
    "out": out.resolved.beam.fluence / Beam().fluence,
    "args": experiment.to_args(), "args_out": out.to_args(),
    "dict": experiment.to_dict()["beam"], "said": said, "doc": Beam.__doc__,
}))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("howto"), "flag.patch").overlay()


def python(tree, code, *words, cwd):
    """Run code in the overlaid package: (exit status, standard output, standard error)."""
    environment = {**os.environ, "PYTHONPATH": str(tree.folder / "site"), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def library(tree, tmp_path_factory):
    status, out, said = python(tree, LIBRARY, *LINE, *FOILS, cwd=tmp_path_factory.mktemp("library"))
    assert status == 0, said
    return json.loads(out)


def test_four_files(tree):
    assert sorted(tree.touched) == [
        "nanobragg_py/experiment/beam.py",
        "nanobragg_py/experiment/resolve/setup.py",
        "nanobragg_py/flags/nanobragg.py",
        "nanobragg_py/flags/options.py",
    ]


def test_the_drop_in_takes_them(tree, tmp_path):
    images = []
    for number, more in enumerate(((), FOILS, (*FOILS, "-attenuators_out"))):
        status, _, said = python(tree, DROPIN, *LINE, *QUIET, *more, cwd=tmp_path)
        assert (status, said) == (0, ""), said
        images.append(memoryview((tmp_path / "floatimage.bin").read_bytes()).cast("f"))
        (tmp_path / "floatimage.bin").rename(tmp_path / f"{number}.bin")
    brightest = max(range(len(images[0])), key=images[0].__getitem__)
    assert images[1][brightest] == pytest.approx(PASSED * images[0][brightest], rel=1e-6)
    assert images[2].tolist() == images[0].tolist()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-attenuator", "thick"), "-attenuator does not take 'thick'; give it a finite number (UM)"),
        (("-attenuator", "inf"), "-attenuator does not take 'inf'; give it a finite number (UM)"),
        (("-attenuator", "1um"), "-attenuator does not take '1um'; give it a finite number (UM)"),
        (("-attenuator",), "-attenuator lacks a value; give it a finite number (UM)"),
        (("-attenuator_material", "tin"), "does not take 'tin'; give it aluminium or silicon"),
        (("-attenuators", "1.5"), "-attenuators does not take '1.5'; give it a whole number"),
        (("-attenuator", "1e6"), "-attenuator leaves no beam; give a thickness in um"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_flag(tree, words, says, tmp_path):
    status, _, said = python(tree, DROPIN, *LINE, *words, cwd=tmp_path)
    assert status == 9 and said.startswith("ERROR: ") and says in said and said.count("\n") == 1


def test_help_and_page_show_them(tree, tmp_path):
    _, out, _ = python(tree, DROPIN, "-help", cwd=tmp_path)
    assert "-attenuator UM " in out and "thickness of a foil in the beam (default 0)" in out
    assert "-attenuator_material aluminium|silicon" in out and "-attenuators_out" in out
    page = "from nanobragg_py.flags.page import renewed; import sys; print(renewed(open(sys.argv[1]).read()))"
    status, out, said = python(tree, page, str(tree.root / "docs" / "flags.md"), cwd=tmp_path)
    assert status == 0, said
    assert (
        "| `-attenuator UM` | only `-attenuator` | `attenuator` | thickness of a foil in the beam (default 0) |" in out
    )


def test_explain_speaks_of_them(tree, tmp_path):
    status, out, said = tree.tool("explain", "--", *LINE, *FOILS, cwd=tmp_path)
    assert status == 0, said
    assert "-attenuator: attenuator = 0.000125 m" in out
    lines = {" ".join(line.split()) for line in out.splitlines()}
    assert "attenuator 0.000125 m [-attenuator (token 16)]" in lines
    assert "attenuator material silicon [-attenuator_material (token 20)]" in lines
    assert "attenuators out no [default]" in lines


def test_the_library_has_the_fields(library):
    assert (library["default"], library["same"]) == (0.0, True)
    assert library["passed"] == pytest.approx(PASSED) and library["out"] == 1.0
    assert "attenuator: thickness of a foil in the beam (m)" in library["doc"]


def test_files_take_them_with_a_unit(library):
    assert library["field"] == pytest.approx(125e-6)
    assert library["dict"] == {
        "attenuator": library["field"],
        "attenuator_material": "silicon",
        "attenuators": 2,
        "attenuator_label": "Al 13",
    }


def test_a_command_line_states_them(library):
    line = " ".join(library["args"])
    for words in ("-attenuator 125 ", "-attenuators 2 ", "-attenuator_material silicon ", "-attenuator_label Al 13 "):
        assert words in line
    assert "-attenuators_out" in library["args_out"] and "-attenuators_out" not in library["args"]


def test_errors_name_the_fields(library):
    assert library["said"] == [
        ["beam.attenuator is -1; it cannot be below 0", ["beam.attenuator"]],
        ["beam.attenuator_material is 'tin'; it must be one of aluminium, silicon", ["beam.attenuator_material"]],
        ["beam.attenuators is 0; it must be at least 1", ["beam.attenuators"]],
        ["beam.attenuator leaves no beam; give a thickness in m", ["beam.attenuator"]],
    ]
