"""Two traces compared: reading, pairing, grades, the first divergence, exit statuses, and what is refused."""

import json
import math
import shlex
from pathlib import Path

import pytest

from nanobragg_py.cli.main import main
from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.inspect.trace import trace_pixel
from nanobragg_py.inspect.trace_compare import compare_traces, read_trace

INPUTS = Path(__file__).parent.parent / "golden" / "inputs"
FLAGS = shlex.split(
    "-cell 36 47 62 71 84 97 -misset 12 -25 40 -hkl full8.hkl -default_F 20 -N 4 -oversample 2 -fluence 1e26 -lambda 1 "
    "-distance 100 -pixel 1 -detpixels 24 -phi 0 -osc 2 -phisteps 3 -mosaic 1 -mosaic_domains 2 -dispersion 1 "
    "-dispsteps 2"
)


@pytest.fixture(scope="module")
def lines():
    """(compat, slow, fast, more flags) -> the lines of a trace."""
    made = {}

    def make(compat="spec", slow=12, fast=7, *more):
        key = compat, slow, fast, more
        if key not in made:
            flags = [*FLAGS, *more, "-compat", compat]
            case = load_args(flags, str(INPUTS))
            made[key] = trace_pixel(case.experiment, case.table, slow, fast, compat).lines(flags)
        return made[key]

    return make


@pytest.fixture
def file(tmp_path, monkeypatch):
    """(name, lines) -> the name of a file with them, in the current directory."""
    monkeypatch.chdir(tmp_path)

    def write(name, lines):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return name

    return write


def compared(a, b, **options):
    return compare_traces(read_trace(a), read_trace(b), **options)


def changed(lines, name, factor, which=0):
    """The lines with the numbers of the which-th quantity of that name multiplied."""
    result, seen = [], -1
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[1] == name:
            seen += 1
            if seen == which:
                line = " ".join(words[:2] + [repr(float(word) * factor) for word in words[2:]])
        result.append(line)
    assert seen >= which
    return result


# ---- grades and the first divergence -------------------------------------------------------------------------------


def test_a_trace_does_not_differ_from_itself(file, lines):
    a = file("a", lines())
    found = compared(a, a)
    assert found.first_divergence is None
    assert found.grade == "pass"
    assert {(pair.absolute, pair.relative) for pair in found.pairs} == {(0.0, 0.0)}
    assert (found.only_a, found.only_b) == ((), ())


def test_the_defect_parts_at_phi_step_0(file, lines):
    found = compared(file("c", lines("c")), file("spec", lines("spec")))
    first = found.first_divergence
    assert first.name == "rot_a_angstroms"
    assert first.where == {
        "layer": 0,
        "subpixel_slow": 0,
        "subpixel_fast": 0,
        "source": 0,
        "phi_step": 0,
        "mosaic_domain": 0,
    }
    steps = {key: {pair.grade for pair in pairs} == {"pass"} for key, pairs in found.by_step()}
    assert steps == {(phi, domain): phi != 0 for phi in range(3) for domain in range(2)}


@pytest.mark.parametrize(
    ("difference", "grade"),
    [(0.0, "pass"), (9e-7, "pass"), (2e-6, "minor"), (9e-5, "minor"), (2e-4, "divergent"), (9e-3, "divergent"),
     (2e-2, "critical"), (-2.0, "critical")],
)  # fmt: skip
def test_grades(file, lines, difference, grade):
    a, b = file("a", lines()), file("b", changed(lines(), "F_latt", 1.0 + difference, 5))
    found = compared(a, b)
    assert found.grade == grade
    if grade == "pass":
        assert found.first_divergence is None
        return
    first = found.first_divergence
    assert (first.name, first.grade) == ("F_latt", grade)
    assert (first.where["phi_step"], first.where["mosaic_domain"]) == (2, 1)
    assert first.relative == pytest.approx(abs(difference) / max(1.0, abs(1.0 + difference)), rel=1e-6)
    assert first.absolute == pytest.approx(abs(first.a[0] - first.b[0]), rel=1e-12)
    assert [name for name, pairs in found.by_name() if any(p.grade != "pass" for p in pairs)] == ["F_latt"]


def test_tolerance(file, lines):
    a, b = file("a", lines()), file("b", changed(lines(), "polar", 1.0 + 1e-3))
    assert compared(a, b, tolerance=2e-3).first_divergence is None
    assert compared(a, b, tolerance=0.0).first_divergence.name == "polar"
    assert compared(a, a, tolerance=0.0).first_divergence is None


def test_the_first_is_first_in_the_order_of_computation(file, lines):
    both = changed(changed(lines(), "I_pixel_final", 2.0), "omega_in_use", 1.001, 2)
    first = compared(file("a", lines()), file("b", both)).first_divergence
    assert first.name == "omega_in_use"
    assert first.where == {"layer": 0, "subpixel_slow": 1, "subpixel_fast": 0}


def test_vectors_are_compared_on_their_own_scale(file):
    a, b = file("a", ["TRACE: v 1 0 1e-9"]), file("b", ["TRACE: v 1 1e-8 2e-9"])
    (pair,) = compared(a, b).pairs
    assert (pair.absolute, pair.relative, pair.grade) == (1e-8, 1e-8, "pass")


@pytest.mark.parametrize(
    ("a", "b", "relative"),
    [
        ("nan", "nan", 0.0),
        ("inf", "inf", 0.0),
        ("nan", "1", math.inf),
        ("inf", "-inf", math.inf),
        ("0", "-0", 0.0),
        ("0", "1e-300", 1.0),
        ("word", "word", 0.0),
        ("word", "other", math.inf),
        ("word", "1", math.inf),
        ("1 2", "1 2 3", math.inf),
    ],
)
def test_odd_values(file, a, b, relative):
    (pair,) = compared(file("a", [f"TRACE: x {a}"]), file("b", [f"TRACE: x {b}"])).pairs
    assert pair.relative == relative
    assert pair.grade == ("pass" if relative == 0 else "critical")


# ---- reading -------------------------------------------------------------------------------------------------------


def test_lines_of_other_programs(file):
    a = file(
        "a",
        [
            "nanoBragg prints this",
            "TRACE_C: pix0_vector_meters -0.216 0.215 -0.230",
            "  TRACE_C:beam_center_m=X:0.1 Y:0.2",
            "TRACE_C: hkl_frac 1.5, 2.5, 3.5",
            "TRACE_C_PHI phi_tic=0 phi_deg=0.25 k_frac=-0.589 F_latt=1.38",
            "TRACE_C_PHI phi_tic=1 phi_deg=0.35 k_frac=-0.599 F_latt=1.09",
            "TRACE_C: I_before_scaling = 807189.7",
        ],
    )
    b = file(
        "b",
        [
            "TRACE_PY: pix0_vector_meters [-0.216, 0.215, -0.230]",
            "TRACE_PY: hkl_frac (1.5 2.5 3.5)",
            "TRACE_PY_PHI: phi_tic=0 phi_deg=0.25 k_frac=-0.589 F_latt=1.38",
            "TRACE_PY_PHI: phi_tic=1 phi_deg=0.35 k_frac=-0.599 F_latt=1.07",
            "TRACE_PY: I_before_scaling 807189.7",
        ],
    )
    found = compared(a, b)
    assert [(p.name, p.a) for p in found.pairs[:2]] == [
        ("pix0_vector_meters", (-0.216, 0.215, -0.23)),
        ("hkl_frac", (1.5, 2.5, 3.5)),
    ]
    assert found.only_a == ("beam_center_m",)
    assert [key for key, _ in found.by_step()] == [(0, 0), (1, 0)]
    assert (found.first_divergence.name, found.first_divergence.where) == ("F_latt", {"phi_step": 1})
    assert found.pairs[-1].where == {}


def test_prose_is_no_quantity(file):
    """Older programs tell people how a number comes about, in lines of their own kind."""
    theirs = file("theirs", [
        "TRACE: Direct-space cell volume: V_cell = 1/V_star = 24682.3",
        "TRACE:   V_cell = 24682.3, V_star = 4.05e-05",
        "TRACE:   Before conversion: a = [100, 0, 0] |a| = 100 Angstroms",
        "TRACE_C: V_cell 24682.2566301",
    ])  # fmt: skip
    (only,) = read_trace(theirs).quantities
    assert (only.name, only.values) == ("V_cell", (24682.2566301,))


def test_inverse_metres_under_a_name_in_inverse_angstroms(file, capfd):
    theirs = file("theirs", ["TRACE_C: scattering_vec_A_inv -1556230686.07047 3933478972.39855 913944567.685604"])
    ours = file("ours", ["TRACE: scattering_vec_A_inv -0.155623068607047 0.393347897239855 0.0913944567685604"])
    for pair in ((theirs, ours), (ours, theirs)):
        comparison = compare_traces(*map(read_trace, pair))
        assert comparison.first_divergence is None and comparison.pairs[0].remark
    assert main(["compare-traces", str(theirs), str(ours)]) == 0
    assert "taken for 1/A, as the names say: scattering_vec_A_inv (A in 1/m)" in capfd.readouterr().out
    other = file("other", ["TRACE: scattering_vec_A_inv -0.15 0.393347897239855 0.09"])
    assert compare_traces(read_trace(theirs), read_trace(other)).grade == "critical"


def test_a_line_of_pairs_ends_its_phi_step(file):
    """k_frac is the second of hkl_frac, and what stands before the line belongs to its step."""
    theirs = file("theirs", [
        "TRACE_C: rot_a_angstroms 10 0 0",
        "TRACE_C: hkl_frac 1 2.5 3",
        "TRACE_C: F_latt 7",
        "TRACE_C_PHI phi_tic=0 phi_deg=0 k_frac=2.5 F_latt_b=2 F_latt=7",
        "TRACE_C: F_cell 190",
        "TRACE_C_PHI phi_tic=1 phi_deg=0.1 k_frac=2.75 F_latt_b=3 F_latt=8",
    ])  # fmt: skip
    ours = file("ours", [
        "TRACE_PHI: phi_step 0",
        "TRACE_PHI: rot_a_angstroms 10 0 0",
        "TRACE_PHI: hkl_frac 1 2.5 3",
        "TRACE_PHI: F_latt 7",
        "TRACE_PHI: F_cell 190",
        "TRACE_PHI: phi_step 1",
        "TRACE_PHI: hkl_frac 1 2.5 3",
        "TRACE_PHI: F_latt 8",
    ])  # fmt: skip
    pairs = compare_traces(read_trace(theirs), read_trace(ours)).pairs
    grades = {(pair.name, pair.where["phi_step"]): pair.grade for pair in pairs}
    assert grades == {
        ("rot_a_angstroms", 0): "pass",
        ("hkl_frac", 0): "pass",
        ("F_latt", 0): "pass",
        ("k_frac", 0): "pass",
        ("F_cell", 0): "pass",
        ("k_frac", 1): "critical",
        ("F_latt", 1): "pass",
    }


def test_ours_against_a_trace_without_places(file, lines):
    """Without markers the first of a name is paired with the first, the second with the second."""
    ours = [line for line in lines() if " F_latt " in line or " I_before_scaling " in line]
    theirs = [line.replace("TRACE_PHI:", "TRACE_C:").replace("TRACE:", "TRACE_C:") for line in ours]
    found = compared(file("a", lines()), file("b", theirs))
    assert found.first_divergence is None
    assert len(found.pairs) == len(ours)
    assert "polar" in found.only_a
    broken = changed(theirs, "F_latt", 1.5, 7)
    first = compared(file("a", lines()), file("c", broken)).first_divergence
    assert first.a[0] == float([line for line in lines() if " F_latt " in line][7].split()[2])


def test_steps_that_only_one_trace_has(file, lines):
    """A missing step must not shift the pairs of those after it."""
    short, inside = [], False
    for line in lines():
        if line.startswith("TRACE_PHI: phi_step "):
            inside = line.endswith(" 1") and not any("phi_step 2" in done for done in short)
        elif not line.startswith("TRACE_PHI"):
            inside = False
        if not inside:
            short.append(line)
    assert len(short) < len(lines())
    found = compared(file("a", lines()), file("b", short))
    assert found.first_divergence is None
    assert "F_latt" in found.only_a


# ---- the command ---------------------------------------------------------------------------------------------------


def test_exit_status_0_and_text(file, lines, capfd):
    assert main(["compare-traces", file("a", lines()), file("b", lines())]) == 0
    printed = capfd.readouterr().out.splitlines()
    assert printed[-1] == "first divergence: None"
    assert printed[0].startswith("A: a (nanobragg_py ")
    assert any(line.split()[:5] == ["F_latt", "48", "0", "0", "pass"] for line in printed)


def test_exit_status_1_json_and_markdown(file, lines, capfd, tmp_path):
    words = ["compare-traces", file("c", lines("c")), file("s", lines()), "--json", "m.json", "--markdown", "m.md"]
    assert main(words) == 1
    printed = capfd.readouterr().out
    told = "first divergence: rot_a_angstroms at layer 0, sub-pixel 0 0, source 0, phi step 0, domain 0"
    assert told in printed
    assert told in (tmp_path / "m.md").read_text()
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert metrics["schema"] == "nanobragg-compare-traces/1"
    assert (metrics["a"]["file"], metrics["a"]["compat"], metrics["b"]["compat"]) == ("c", "c", "spec")
    assert metrics["first_divergence"] == metrics["divergences"][0]
    assert metrics["first_divergence"]["name"] == "rot_a_angstroms"
    assert metrics["first_divergence"]["where"]["phi_step"] == 0
    assert sum(metrics["grades"].values()) == metrics["pairs"]
    assert len(metrics["divergences"]) == metrics["pairs"] - metrics["grades"]["pass"]
    by_step = {(step["phi_step"], step["mosaic_domain"]): step["grade"] for step in metrics["phi_steps"]}
    assert {key for key, grade in by_step.items() if grade != "pass"} == {(0, 0), (0, 1)}
    names = [quantity["name"] for quantity in metrics["quantities"]]
    assert names.index("rot_a_angstroms") < names.index("F_latt") < names.index("I_pixel_final")


def test_all_pairs(file, lines, capfd):
    assert main(["compare-traces", "--all", file("a", lines()), file("b", lines())]) == 0
    printed = capfd.readouterr().out
    assert sum(line.startswith("F_latt ") for line in printed.splitlines()) == 48


def test_many_phi_steps_are_shortened(file, capfd):
    many = [line for i in range(100) for line in (f"TRACE_PHI: phi_step {i}", f"TRACE_PHI: F_latt {i + 1}")]
    main(["compare-traces", file("a", many), file("b", changed(many, "F_latt", 1.5, 73))])
    rows = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert [row[0] for row in rows if row and row[-1] == "F_latt"] == ["73"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("a another_pixel", "a traces pixel 12 7 and another_pixel pixel 12 8"),
        ("a other_flags", "different flags: they part at the end and '-N'"),
        ("a none", "cannot read none: No such file"),
        ("a .", "cannot read .: Is a directory"),
        ("a no_trace", "no_trace has no TRACE lines"),
        ("a other_names", "no quantity in common"),
        ("a a --tolerance -1", "--tolerance"),
        ("a a --tolerance nan", "--tolerance"),
        ("a a --json none/x", "none/x"),
        ("a a --markdown none/x", "none/x"),
        ("a a -- -N 5", "drop --"),
    ],
)
def test_bad_input(file, lines, capfd, words, said):
    file("a", lines())
    file("another_pixel", lines("spec", 12, 8))
    file("other_flags", lines("spec", 12, 7, "-N", "5"))
    file("no_trace", ["F_latt 5", "# TRACE: F_latt 5"])
    file("other_names", ["TRACE: other 5"])
    assert main(["compare-traces", *words.split()]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("more", [("-threads", "2"), ("--threads", "3"), ("-trace_pixel", "1", "2"), ("-timing",)])
def test_flags_of_our_own_may_differ(file, lines, more):
    assert compared(file("a", lines()), file("b", lines("spec", 12, 7, *more))).first_divergence is None


def test_flags_are_not_checked_where_a_trace_does_not_tell(file, lines, capfd):
    silent = [line for line in lines() if not line.startswith("#")]
    assert main(["compare-traces", file("a", lines()), file("b", silent)]) == 0
    assert "was not checked" in capfd.readouterr().out


def test_a_file_that_is_not_text(file, lines, tmp_path):
    a = file("a", lines())
    (tmp_path / "b").write_bytes(bytes(range(256)) * 100)
    with pytest.raises(NanoBraggError, match="no TRACE lines"):
        compared(a, "b")
