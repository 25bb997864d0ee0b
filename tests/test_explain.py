"""What `nanobragg-py explain` says of a command line: rules, overrides, oddities, and where every value comes from."""

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from random_lines import Lines, write_inputs
from transcripts import replay

from nanobragg_py.cli.main import main
from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load, load_args
from nanobragg_py.experiment.origins import Origins
from nanobragg_py.flags.nanobragg import parse
from nanobragg_py.flags.options import DEFAULTS
from nanobragg_py.inspect.explain import explain
from nanobragg_py.inspect.explain_text import text_lines
from nanobragg_py.render.simulate import simulate

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = json.loads((GOLDEN / "cases.json").read_text())
BASE = "-cell 50 60 70 90 90 90 -default_F 1 -N 5 -detpixels 16 -seed 1 "


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the goldens' input files."""
    for source in (GOLDEN / "inputs").iterdir():
        shutil.copy(source, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(line):
    return explain(shlex.split(line))


def quantity(explanation, name):
    (found,) = (q for q in explanation.quantities if q.name == name)
    return found


def token(explanation, text):
    return next(t for t in explanation.tokens if t.text == text)


def rules(explanation, text):
    return {firing.rule: firing.outcome for firing in token(explanation, text).firings}


def ids(line):
    return [name for name, _ in explained(line).oddities]


# ---- every golden case ---------------------------------------------------------------------------------------------


def test_every_golden_case(folder):
    before = sorted(os.listdir())
    for case in CASES:
        line = shlex.split(case["args"])
        explanation = explain(line)
        assert [t.text for t in explanation.tokens] == line
        assert (explanation.error is not None) == (case["id"].startswith("error") or "before" in case), case["id"]
        # what the last setting of each option says is what the parser says
        options = parse(line)
        for name, setting in {s.option: s for s in explanation.history}.items():
            if setting.origin.kind == "flag":
                assert repr(setting.value) == repr(getattr(options, name)), case["id"]
        for found in explanation.quantities:
            assert found.source in ("default", "flag", "header", "matrix", "derived")
            kinds = {origin.kind for _, origin in found.origins}
            assert found.source in ("derived", "matrix") or found.source in kinds, (case["id"], found)
        json.dumps(explanation.as_dict())
        assert text_lines(explanation)
    assert sorted(os.listdir()) == before


def test_quantities_are_those_of_the_experiment(folder):
    line = shlex.split(
        "-mat A.mat -hkl full8.hkl -N 5 -flux 1e12 -mosaic 0.5 -osc 2 -phisteps 4 -twotheta 5 -mask mask.img"
    )
    explanation = explain(line)
    experiment = load_args(line).experiment
    for name, value in (
        ("wavelength", experiment.beam.wavelength),
        ("fluence", experiment.beam.fluence),
        ("origin (pix0)", experiment.detector.origin),
        ("pixels along fast", experiment.detector.fpixels),
        ("a*", experiment.crystal.a_star),
        ("c", experiment.crystal.c),
        ("mosaic domains", experiment.crystal.mosaic_domains),
        ("phi step", experiment.sampling.phistep),
        ("steps per pixel and layer", experiment.sampling.steps),
        ("reflections read", experiment.structure_factors.count),
    ):
        assert quantity(explanation, name).value == value


# ---- tokens --------------------------------------------------------------------------------------------------------


def test_what_becomes_of_tokens():
    explanation = explained("-oversample_thick -misset 3 -25 1e1 -foo stray -oversampel 2 -misset rand -Na 3 -roi 1 2")
    assert rules(explanation, "-oversample_thick") == {"-oversample_thick": "fired", "-oversample": "stopped"}
    assert token(explanation, "-25").outcome == "value"
    assert token(explanation, "-foo").outcome == token(explanation, "stray").outcome == "ignored"
    assert token(explanation, "-oversampel").nearest == "-oversample"
    assert rules(explanation, "-misset") == {"-misset": "fired"}
    assert rules(explanation, "-roi") == {"-roi": "short"}
    assert token(explanation, "-roi").firings[0].needed == 4


def test_several_rules_of_one_token():
    explanation = explained("-misset_seed 5 6 7")
    assert rules(explanation, "-misset_seed") == {"-misset": "fired", "-misset_seed": "fired"}
    (angles,) = (s for s in explanation.history if s.option == "misset")
    assert [round(angle * 57.29577951308232, 9) for angle in angles.value] == [5, 6, 7]
    assert "lacks" not in " ".join(text_lines(explanation))


def test_overriding(folder):
    explanation = explained(BASE + "-mask mask.img -distance 90 -N 3 -distance 95")
    first, second = (s for s in explanation.history if s.option == "distance" and s.origin.kind == "flag")
    assert explanation.overrides(first).origin.kind == "header"
    assert explanation.overridden_by(first) is second
    assert explanation.overrides(second) is first
    assert explanation.overridden_by(second) is None
    text = "\n".join(text_lines(explanation))
    assert "distance = 0.09 m, overrides 0.095 of header of mask.img, OVERRIDDEN by -distance (token 22)" in text
    assert "distance = 0.095 m, overrides 0.09 of -distance (token 18)" in text


def test_inert_flags_say_so(folder):
    text = "\n".join(text_lines(explained(BASE + "-density 1.2 -hdiv 3")))
    assert "density = 1200000 g/m^3 (without effect on the image)" in text
    assert "-hdiv is a flag of older documents" in text


# ---- sources of values ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name", "source", "said"),
    [
        (BASE, "wavelength", "default", "default"),
        (BASE + "-lambda 1.5", "wavelength", "flag", "-lambda (token 16)"),
        (BASE + "-energy 12000 -wave 2", "wavelength", "flag", "-wave (token 18)"),
        ("-mask mask.img " + BASE, "pixel size", "header", "header of mask.img"),
        ("-img header.img " + BASE, "wavelength", "header", "header of header.img"),
        (BASE + "-flux 1e9 -beamsize 0.2", "fluence", "derived", "derived from -flux (token 16), -beamsize (token 18)"),
        (BASE, "flux", "derived", "derived from defaults"),
        ("-mat A.mat -default_F 1", "a*", "matrix", "matrix of -mat (token 1)"),
        ("-mat A.mat -default_F 1 -misset 1 2 3", "a*", "derived", "derived from -mat (token 1), -misset (token 5)"),
        (BASE, "cell lengths", "flag", "-cell (token 1)"),
        (BASE, "pixels along fast", "flag", "-detpixels (token 12)"),
        (BASE + "-xds", "beam direction", "flag", "-xds (token 16); convention XDS"),
        (BASE, "beam direction", "default", "default; convention MOSFLM"),
        (BASE + "-beam_vector 0 0 1", "beam direction", "flag", "-beam_vector (token 16)"),
        (BASE + "-beam_vector 0 0 1", "slow axis", "default", "default"),
        (BASE + "-beam_vector 0 0 2", "beam direction", "derived", "derived from -beam_vector (token 16)"),
        (BASE + "-close_distance 80 -distance 90", "distance", "derived", "derived from -close_distance (token 16)"),
        (BASE + "-close_distance 80", "close distance", "flag", "-close_distance (token 16)"),
        (BASE + "-osc 1 -phisteps 10", "phi step", "derived", "derived from -phisteps (token 18), -osc (token 16)"),
        (BASE + "-xtal_x 1e-4", "cells along a", "derived", "derived from -xtal_x (token 16), -cell (token 1)"),
        (BASE + "-xtal_x 1e-4", "cells along b", "flag", "-N (token 10)"),
        (BASE + "-oversample 3", "oversample", "flag", "-oversample (token 16)"),
        (BASE + "-interpolate", "interpolate", "derived", None),
    ],
)
def test_source(line, name, source, said, folder):
    found = quantity(explained(line), name)
    assert found.source == source
    assert said is None or found.source_text == said


def near(value, other):
    """Equal but for rounding."""
    if isinstance(value, tuple) and isinstance(other, tuple):
        return len(value) == len(other) and all(map(near, value, other))
    if isinstance(value, float) and isinstance(other, float):
        return abs(value - other) <= 1e-9 * max(abs(value), abs(other), 1e-9)
    return value == other


def removable(explanation):
    """(position, number of tokens) of each flag that can be taken off a line without breaking up another's values."""
    for token in explanation.tokens:
        values = max((len(firing.words) for firing in token.firings), default=0)
        words = explanation.argv[token.position + 1 : token.position + 1 + values]
        # without a header file everything may change
        if token.text in ("-mask", "-img"):
            continue
        if token.outcome == "fired" and not any(word.startswith("-") and not word[1:2].isdigit() for word in words):
            yield token.position, 1 + values


def test_what_is_not_named_as_a_source_has_no_influence(folder):
    """Take flags off random lines: a value that changes was said to follow from that flag."""
    write_inputs(folder)
    lines = Lines(3)
    removed = 0
    for _ in range(40):
        line = lines.line()
        explanation = explain(line)
        for position, count in removable(explanation):
            shorter = explain([*line[:position], *line[position + count :]])
            if shorter.error is not None:
                continue
            removed += 1
            values = {found.name: found.value for found in shorter.quantities}
            for found in explanation.quantities:
                # what is as a flag or header says, or is what it is by default, may depend on others to stay so
                direct = found.source in ("flag", "header") or (found.source, found.name[-8:]) == (
                    "default",
                    "distance",
                )
                named = any(origin.position == position for _, origin in found.origins)
                if found.name in values and not direct and not named:
                    assert near(values[found.name], found.value), (found, line[position], line)
    assert removed > 400


MINIMAL = "-cell 50 60 70 90 90 90 -default_F 100 -N 3 -detpixels 8 -pixel 1 -seed 1 -nonoise"
LINES = [
    MINIMAL,
    MINIMAL + " -xds -mosaic 1 -mosaic_domains 3 -osc 1 -phisteps 2",
    MINIMAL + " -beam_vector 1 0.1 0 -twotheta 5 -close_distance 80 -misset random -misset_seed 3",
    MINIMAL + " -mat A.mat -sourcefile sources.txt -flux 1e20 -xtal_x 1e-4 -detector_thick 50",
]
#: another value for each kind of option
OTHERS = {float: 3.5e-2, int: 3, bool: True, str: "other", tuple: (0.3, 0.7, 0.2), type(None): 7}
OTHER = {
    "convention": "ADXV", "pivot": "neither", "shape": "gauss", "misset_mode": "angles", "compat": "c",
    "backend": "auto", "precision": "single", "noise_rng": "philox", "progress": False, "round_div": False,
    "stol_file": "ice.stol", "user_cell": False, "trace_pixel": (1, 1), "printout_pixel": (1, 1), "density": 1e6,
}  # fmt: skip


def rendered(options):
    """The float image of options, as bytes."""
    loaded = load(options, write_dump=False)
    return bytes(simulate(loaded.experiment, loaded.table, threads=1)[0])


@pytest.mark.parametrize("line", LINES)
def test_every_option_is_named_or_does_not_enter_the_image(line, folder):
    """Each is what a value follows from, or has no influence: shown by giving it another value."""
    explanation = explained(line)
    assert explanation.error is None
    named = {option for found in explanation.quantities for option, _ in found.origins}
    unused = {option: why for options, why in explanation.unused for option in options}
    assert all(unused.values())
    assert sorted(set(DEFAULTS) - named - set(unused)) == []
    before = rendered(parse(shlex.split(line)))
    for name in unused:
        options = parse(shlex.split(line))
        value = getattr(options, name)
        other = OTHER.get(name, OTHERS[type(value)])
        setattr(options, name, not value if isinstance(value, bool) else other)
        assert getattr(options, name) != value
        assert rendered(options) == before, name


def test_values_are_noted_once_and_cost_nothing_otherwise():
    """What resolve notes is the same with and without somebody who asks; the values are bit for bit those."""
    line = shlex.split(MINIMAL + " -twotheta 5 -mosaic 1 -xtal_x 1e-4")
    options = parse(line)
    origins = Origins(options)
    asked, unasked = load(options, write_dump=False, origins=origins), load(parse(line), write_dump=False)
    assert asked.experiment.detector == unasked.experiment.detector
    origins.settle(asked.setup, asked.experiment)
    assert origins.of("detector.origin").how == "derived"
    assert origins.of("crystal.cells.1") == origins.of("crystal.cells.1").replace(options=("Nb",), how="given")
    assert "Na" in origins.void_options()


# ---- oddities ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("oddity", "line", "plain"),
    [
        ("misset_seed-fires-misset", "-misset_seed 5 6 7", "-misset 1 2 3"),
        ("twotheta_axis-fires-twotheta", "-twotheta_axis 0 1 0", "-twotheta 0"),
        ("convention-overrides-pivot", "-pivot sample", "-pivot beam"),
        ("convention-overrides-pivot", "-xds -pivot beam", "-beam_vector 1 0 0 -pivot sample"),
        ("convention-overrides-vectors", "-fdet_vector 0 0 1 -mosflm", "-mosflm -fdet_vector 0 0 1"),
        ("vector-selects-custom", "-spindle_axis 1 0 0", "-spindle_axis 1 0 0 -mosflm"),
        ("pix0_vector-unused", "-pix0_vector 1 2 3", ""),
        ("centre-unused", "-xds -Xbeam 3", "-Xbeam 3"),
        ("centre-unused", "-ORGX 3", "-xds -ORGX 3"),
        ("close_distance-overrides-distance", "-close_distance 80 -distance 90", "-distance 90"),
        ("detpixels-overrides-detsize", "-detsize 100", ""),
        ("flux-overrides-fluence", "-fluence 1e20 -flux 1e9", "-fluence 1e20"),
        ("size-overrides-cells", "-xtal_x 1e-4", ""),
        ("stol-unused", "-stol ice.stol", ""),
        ("dump-overwritten", "-hkl full8.hkl -dump mine.bin", "-hkl full8.hkl"),
        ("dump-reused", "-dump kept.bin", "-dump absent.bin"),
        ("cell-distorted", "-cell 50 60 70 80 90 100", "-cell 50 60 70 90 90 90"),
        ("random-misset-cap", "-misset random -misset_seed 3", "-misset 1 2 3"),
        ("misset_seed-from-clock", "-misset random", "-misset random -misset_seed 3"),
        ("misset_seed-unused", "-misset_seed 3", "-misset random -misset_seed 3"),
        ("mosaic_seed-fixed", "-mosaic 1", "-mosaic 1 -mosaic_seed 3"),
        ("interpolation-judged-early", "-xtalsize 1e-4", "-xtalsize 1e-4 -nointerpolate"),
        ("width-by-product", "-gauss_xtal", "-round_xtal"),
        ("photons-of-the-shape", "-gauss_xtal", "-round_xtal"),
        ("photons-of-the-shape", "-tophat_spots", "-square_xtal"),
        ("thicker-sensor", "-detector_thick 50 -thicksteps 3", "-detector_thick 50 -detector_thickstep 25"),
        ("polarization-on", "-nopolar -oversample_polar", "-nopolar"),
        ("water-scaled-twice", "-water 10", ""),
        ("weights-unused", "-sourcefile sources.txt", ""),
        ("no-sensor", "-oversample_thick", "-oversample_thick -detector_thick 50 -detector_abs 100"),
        (
            "last-layer",
            "-detector_thick 50 -detector_abs 100 -thicksteps 3",
            "-detector_thick 50 -detector_abs 100 -thicksteps 3 -oversample_thick",
        ),
        ("roi-beyond", "-roi 0 16 0 15", "-roi 0 15 0 15"),
        ("compat-c-phi", "-compat c -osc 1 -phisteps 3", "-osc 1 -phisteps 3"),
        ("compat-c-phi", "-compat c -phi -1 -osc 2 -phistep 1", "-compat c -phi 0.5 -osc 1 -phisteps 3"),
        ("compat-c-running-sum", "-compat c -oversample_omega", "-compat c"),
        ("compat-c-interpolation", "-compat c -interpolate -hkl full8.hkl", "-compat c -interpolate"),
    ],
)
def test_oddity(oddity, line, plain, folder):
    shutil.copy(dump(folder), "kept.bin")
    assert oddity in ids(BASE + line)
    assert oddity not in ids(BASE + plain)


@pytest.mark.parametrize("shape", ["-gauss_xtal", "-tophat_spots"])
def test_the_fudge_that_restores_the_photons(shape, folder):
    """With it the squared transform sums to Na Nb Nc over a cell of indices, as every crystal's does."""
    line = "-cell 30 40 50 80 95 100 -Na 3 -Nb 4 -Nc 5 -default_F 1 -detpixels 16 " + shape
    (sentence,) = (text for name, text in explained(line).oddities if name == "photons-of-the-shape")
    fudge = re.search(r"-fudge (\S+) restores", sentence)[1]
    assert "photons-of-the-shape" not in ids(f"{line} -fudge {fudge}")
    case = load_args(shlex.split(f"{line} -fudge {fudge}"))
    crystal = case.experiment.crystal
    star = np.array([crystal.a_star, crystal.b_star, crystal.c_star])
    # the definitions (docs/flags.md): q in 1/A from the nearest lattice point, N the product of the numbers of cells
    steps = (np.arange(-60, 60) + 0.5) / 120
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    g = ((grid @ star) ** 2).sum(axis=1) * 60.0**2 * float(fudge)
    squared = 60.0**2 * (np.exp(-2 * g / 0.63) if shape == "-gauss_xtal" else (g < 0.3969))
    assert squared.mean() == pytest.approx(60.0, rel=0.01)


def dump(folder):
    """A structure-factor dump file, left by a load that may write."""
    load_args(shlex.split(BASE + "-hkl full8.hkl -dump made.bin"), write_dump=True)
    return "made.bin"


def test_the_dump_file_of_an_earlier_run(folder):
    line = BASE.replace("-default_F 1", "")
    assert explained(line).error is not None
    shutil.copy(dump(folder), "Fdump.bin")
    explanation = explained(line)
    assert explanation.error is None
    (sentence,) = (text for name, text in explanation.oddities if name == "dump-reused")
    assert "Fdump.bin" in sentence and "earlier run" in sentence


def test_a_plain_line_has_no_oddities(folder):
    assert ids(BASE + "-hkl full8.hkl -nonoise") == []


# ---- the tool ------------------------------------------------------------------------------------------------------


def test_json(folder, capsys):
    assert main(["explain", "--json", "--", *shlex.split(BASE + "-mask mask.img -misset_seed 5 6 7 -Xbeam inf")]) == 2
    assert main(["explain", "--json", "--", *shlex.split(BASE + "-mask mask.img -misset_seed 5 6 7")]) == 0
    first, second = capsys.readouterr().out.split("\n}\n{")
    assert "-Xbeam does not take inf" in json.loads(first + "}", parse_constant=pytest.fail)["error"]
    data = json.loads("{" + second, parse_constant=pytest.fail)
    assert [t["token"] for t in data["tokens"]] == data["flags"]
    assert {q["section"] for q in data["experiment"]} == {
        "beam", "detector", "crystal", "structure factors", "sampling", "output",
    }  # fmt: skip
    assert any(h["file"] == "mask.img" and h["option"] == "fpixels" for h in data["headers"])
    fired = next(t for t in data["tokens"] if t["token"] == "-misset_seed")["rules"]
    assert [rule["rule"] for rule in fired] == ["-misset", "-misset_seed"]
    assert fired[0]["words"] == ["5", "6", "7"]
    assert data["error"] is None


def test_no_experiment(folder, capsys):
    assert main(["explain", "--", "-cell", "50", "-osc", "3"]) == 2
    said = capsys.readouterr()
    assert "-osc: osc = 0.0523598775598 rad" in said.out
    assert "nothing would be rendered: there are no structure factors" in said.err


def test_a_file_that_is_missing(folder, capsys):
    assert main(["explain", "--", *shlex.split(BASE), "-hkl", "absent.hkl"]) == 2
    assert "absent.hkl" in capsys.readouterr().err


def test_nothing_to_explain(capsys):
    assert main(["explain"]) == 2
    assert "after --" in capsys.readouterr().err


def test_bad_value_of_an_own_flag():
    with pytest.raises(NanoBraggError, match="-compat does not take"):
        explained("-compat yes")


def test_names_that_are_no_text(folder, capfd):
    name = os.fsdecode(b"\xff.hkl")
    shutil.copy("full8.hkl", name)
    assert main(["explain", "--json", "--", *shlex.split(BASE), "-hkl", name]) == 0
    assert json.loads(capfd.readouterr().out)["error"] is None


def test_every_option_is_known_by_its_unit():
    from nanobragg_py.inspect.explain_text import OPTION_UNITS

    assert set(OPTION_UNITS) <= set(DEFAULTS)


def test_documented_transcript(tmp_path):
    replay("docs/explain.md", tmp_path)
