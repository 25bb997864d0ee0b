"""Sentences about options: every front end calls them by its own names, and every one that is named has such names."""

import ast
import pickle
from pathlib import Path
from string import Formatter

import pytest

import nanobragg_py
from nanobragg_py.errors import OptionError, Sentence
from nanobragg_py.experiment.fields import field_error, field_name, in_fields
from nanobragg_py.experiment.parts import FIELDS
from nanobragg_py.experiment.resolve import checks
from nanobragg_py.flags.nanobragg import RULES, flag_name
from nanobragg_py.flags.nonbragg import TABLE as NONBRAGG
from nanobragg_py.flags.options import DEFAULTS

PACKAGE = Path(nanobragg_py.__file__).parent
#: what sentences may speak of: the options of both programs
OPTIONS = {*DEFAULTS, *(name for rule in NONBRAGG.rules for name in rule.dests)}
KINDS = ("OptionError", "Sentence", "NothingToRender")


@pytest.mark.parametrize(
    ("template", "flags", "fields"),
    [
        ("{distance} in {distance.unit}", "-distance in mm", "detector.distance in m"),
        ("{wavelength}", "-lambda (or -energy)", "beam.wavelength"),
        ("{detsize_f+detsize_s}", "-detsize", "detector.detsize_f (or detsize_s)"),
        ("{fpixels+spixels}", "-detpixels", "detector.fpixels (or spixels)"),
        ("{cell_lengths+cell_angles}", "-cell", "crystal.lengths (or angles)"),
        ("{sample_x+sample_y+sample_z}", "-xtalsize", "crystal.sample_size"),
        ("{detector_rotx+detector_roty}", "-detector_rotx, -detector_roty", "detector.rotations"),
        ("{round_div=False}", "-square_div", "beam.round_divergence = False"),
        ("{matrix_file} or {hkl_file}", "-mat or -hkl", "crystal.matrix or structure_factors"),
        ("{backend} cpu, {compat} c", "-backend cpu, -compat c", "backend cpu, compat c"),
        ("{molecules}", "molecules", "molecules"),
        ("{mu:g} {{}} {name}", "0.5 {} {brace}", "0.5 {} {brace}"),
    ],
)
def test_names(template, flags, fields):
    sentence = Sentence(template, mu=0.5, name="{brace}")
    assert sentence == flags and str(OptionError(template, mu=0.5, name="{brace}")) == flags
    assert in_fields(sentence) == fields


def test_an_error_carries_its_fields():
    error = pickle.loads(pickle.dumps(OptionError("{distance} is {value:g}", value=3)))
    assert str(error) == "-distance is 3" and error.sentence.options == ("distance",)
    made = field_error(error)
    assert str(made) == "detector.distance is 3" and made.fields == ("detector.distance",)
    assert pickle.loads(pickle.dumps(error.sentence)) == "-distance is 3"


def templates():
    """The (place, braces, names of values) of every sentence whose template is written where it is made."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text()
        if not any(f"{kind}(" in source for kind in KINDS):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in KINDS and node.args:
                template = node.args[0]
                if isinstance(template, ast.JoinedStr):
                    text = "".join(part.value for part in template.values if isinstance(part, ast.Constant))
                elif isinstance(template, ast.Constant):
                    text = template.value
                else:
                    continue
                try:
                    braces = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
                except ValueError:
                    continue
                values = [keyword.arg for keyword in node.keywords if keyword.arg]
                # what an f-string puts in leaves no name, or none but of an attribute
                braces = [brace for brace in braces if brace and not brace.startswith(".")]
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", braces, values


FOUND = list(templates())


def test_there_are_sentences():
    assert len(FOUND) > 40


@pytest.mark.parametrize(("place", "braces", "values"), FOUND, ids=[found[0] for found in FOUND])
def test_braces_are_options_or_values(place, braces, values):
    for brace in braces:
        options = brace.removesuffix(".unit").partition("=")[0].split("+")
        assert brace in values or set(options) <= OPTIONS, brace
    assert not set(values) & OPTIONS


@pytest.mark.parametrize("option", [*checks.FINITE, *checks.FINITE_OR_UNSET])
def test_numbers_have_a_flag_and_a_field(option):
    flag, _ = flag_name((option,))
    assert flag.startswith("-")
    assert "." in field_name((option,))[0] or option in ("scale", "pgm_scale", "adc_offset")


def test_every_row_stands_for_options_that_flags_set():
    set_by_flags = {name for rule in RULES for name in (*rule.dests, *(name for name, _ in rule.sets))}
    for row in FIELDS:
        assert set(row.options) <= set_by_flags and row.meaning
        if row.unset is not None:
            assert row.default is None and row.unset.test(DEFAULTS[row.options[0]]), row.name
