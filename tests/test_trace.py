"""The pixel tracer: it says what the renderers do, names it as documented, and refuses what it cannot trace."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transcripts import replay

from nanobragg_py.cli.main import main
from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.inspect.trace import MAX_STEPS, SCHEMA, trace_pixel
from nanobragg_py.inspect.trace_compare import compare_traces, read_trace
from nanobragg_py.inspect.trace_quantities import QUANTITIES
from nanobragg_py.render.simulate import simulate

ROOT = Path(__file__).parent.parent
INPUTS = ROOT / "golden" / "inputs"
BASE = "-cell 36 47 62 71 84 97 -misset 12 -25 40 -hkl full8.hkl -default_F 20 -N 4 -oversample 1 -fluence 1e26"
BASE += " -lambda 1 -distance 100 -pixel 1 -detpixels 24 -Xbeam 14 -Ybeam 9"
WIDE = "-cell 60 60 60 90 90 90 -hkl holes6.hkl -N 2 -oversample 1 -lambda 1 -distance 100 -pixel 1.5 -detpixels 40"
CASES = {
    "still": BASE,
    "unequal": f"{BASE} -Na 3 -Nb 7 -Nc 20",
    "five": f"{BASE} -N 5",
    "large": f"{BASE} -N 300",
    "rotation": f"{BASE} -phi 0 -osc 2 -phisteps 3 -mosaic 1 -mosaic_domains 2",
    "round": f"{BASE} -round_xtal",
    "gauss": f"{BASE} -gauss_xtal -N 2 -nointerpolate",
    "tophat": f"{BASE} -tophat_spots",
    "tophat_water": f"{BASE} -tophat_spots -water 0.01",
    "curved": f"{BASE} -curved_det",
    "point": f"{BASE} -point_pixel",
    "sources": f"{BASE} -sourcefile sources.txt -dmin 4",
    "divergence": f"{BASE} -divergence 8 -divsteps 2 -dispersion 1 -dispsteps 2 -dmin 6 -polar 0.9",
    "thick": f"{BASE} -detector_thick 300 -detector_abs 200 -thicksteps 2 -oversample 2",
    "weighted": f"{BASE} -detector_thick 300 -detector_abs 200 -thicksteps 2 -oversample 2 -oversample_omega "
    "-oversample_polar -oversample_thick -phi 0 -osc 1 -phisteps 2",
    "nopolar": f"{BASE} -nopolar",
    "water": f"{BASE} -water 2",
    "no_table": "-cell 36 47 62 -default_F 20 -N 4 -detpixels 24 -pixel 1",
    "no_sensor_thick": f"{BASE} -oversample_thick",
    "interpolated": "-cell 25 25 25 90 90 90 -hkl full8.hkl -N 1 -oversample 1 -lambda 2.5 -distance 100 -pixel 1 "
    "-detpixels 24 -fluence 1e28",
    "partly_interpolated": WIDE,
    "roi": f"{BASE} -roi 3 20 5 22 -phi -1 -osc 2 -phistep 1",
    "conventions": f"{BASE} -dials -detector_rotx 3 -detector_roty 4 -twotheta 5",
}


def loaded(flags):
    return load_args(shlex.split(flags), str(INPUTS))


def run_tool(*words):
    """The exit status of nanobragg-py in this process."""
    return main(list(words))


@pytest.mark.parametrize("compat", ["spec", "c"])
@pytest.mark.parametrize("name", CASES)
def test_the_trace_ends_with_the_rendered_pixel(name, compat):
    case = loaded(CASES[name])
    image, _ = simulate(case.experiment, case.table, compat=compat)
    pixels = np.asarray(image)
    fast_min, fast_max, slow_min, slow_max = case.experiment.detector.roi
    places = [(slow_min, fast_min), (slow_min, fast_min + 1), (12, 7), (slow_max - 1, fast_max - 1)]
    places.append(tuple(map(int, np.unravel_index(pixels.argmax(), pixels.shape))))
    for slow, fast in places:
        trace = trace_pixel(case.experiment, case.table, slow, fast, compat)
        final = trace.pixel["I_pixel_final"]
        assert np.float32(trace.pixel["I_pixel_image"]) == pytest.approx(pixels[slow, fast], rel=1e-6, abs=0)
        assert final == pytest.approx(float(pixels[slow, fast]), rel=1e-6, abs=1e-12 * float(pixels.max()))
        assert trace_pixel(case.experiment, case.table, slow, fast, compat, image).pixel["I_pixel_final"] == final


@pytest.mark.parametrize("name", ["still", "rotation", "divergence", "thick", "partly_interpolated", "roi"])
@pytest.mark.parametrize("compat", ["spec", "c"])
def test_float32_of_the_trace_is_the_pixel(name, compat):
    """Two orders of summation: the share of pixels that are the same to the last bit of a float32."""
    case = loaded(CASES[name])
    pixels = np.asarray(simulate(case.experiment, case.table, compat=compat)[0])
    fast_min, fast_max, slow_min, slow_max = case.experiment.detector.roi
    same = [
        np.float32(trace_pixel(case.experiment, case.table, slow, fast, compat).pixel["I_pixel_final"])
        == pixels[slow, fast]
        for slow in range(slow_min, slow_max, 3)
        for fast in range(fast_min, fast_max, 5)
    ]
    assert len(same) >= 16
    assert np.mean(same) > 0.96


def checked_sum(trace, sampling):
    """I_before_scaling from the contributions, and the checks that every step has to pass."""
    total = trace.pixel["I_background"]
    for subpixel in trace.subpixels:
        for source in subpixel["sources"]:
            assert bool(source["steps"]) == bool(source["passes_dmin"])
            for step in source["steps"]:
                weight = subpixel["capture_in_use"] if sampling.oversample_thick else 1.0
                weight *= source["polar_in_use"] if sampling.oversample_polar else 1.0
                weight *= subpixel["omega_in_use"] if sampling.oversample_omega else 1.0
                total += step["contribution"] * (1.0 if trace.compat == "spec" else weight)
                assert step["I_running"] == pytest.approx(total, rel=1e-12)
                check_step(step, source, trace.setup)
    return total


def check_step(step, source, setup):
    q = np.array(source["scattering_vec_A_inv"])
    for name, index in zip("abc", step["hkl_frac"], strict=True):
        assert index == pytest.approx(np.dot(step[f"rot_{name}_angstroms"], q), rel=1e-12, abs=1e-12)
    assert all(abs(x - n) <= 0.5 for x, n in zip(step["hkl_frac"], step["hkl_rounded"], strict=True))
    axes = step["F_latt_a"], step["F_latt_b"], step["F_latt_c"]
    if setup["shape"] == "square":
        assert step["F_latt"] == pytest.approx(np.prod(axes), rel=1e-14)
    else:
        assert axes == (1.0, 1.0, 1.0)
    top = np.prod(setup["Na_Nb_Nc"])
    assert step["F_latt_sqr"] == pytest.approx(step["F_latt"] ** 2, rel=1e-7, abs=1e-13 * top**2)


@pytest.mark.parametrize("name", CASES)
def test_the_parts_add_up(name):
    case = loaded(CASES[name])
    sampling = case.experiment.sampling
    trace = trace_pixel(case.experiment, case.table, 12, 7)
    pixel = trace.pixel
    weighted_sum = pixel["I_background"]
    if not (sampling.oversample_thick or sampling.oversample_polar or sampling.oversample_omega):
        weighted_sum = checked_sum(trace, sampling)
    else:
        weighted_sum = list(trace.steps())[-1]["I_running"] if list(trace.steps()) else weighted_sum
    assert pixel["I_before_scaling"] == pytest.approx(weighted_sum, rel=1e-14)
    assert pixel["I_before_scaling_loops"] == pytest.approx(pixel["I_before_scaling"], rel=1e-7)
    value = pixel["r_e_sqr"] * pixel["fluence_photons_per_m2"] * pixel["I_before_scaling"] / pixel["steps"]
    value *= 1.0 if sampling.oversample_thick else pixel["capture_fraction"]
    value *= 1.0 if sampling.oversample_polar else pixel["polar"]
    value *= 1.0 if sampling.oversample_omega else pixel["omega_pixel"]
    assert pixel["I_pixel_final"] == pytest.approx(value, rel=1e-14, abs=0)
    counts = trace.setup
    assert len(trace.subpixels) == counts["layers"] * counts["oversample"] ** 2
    assert {len(subpixel["sources"]) for subpixel in trace.subpixels} == {counts["sources"]}
    assert all(
        len(source["steps"]) in (0, counts["phisteps"] * counts["mosaic_domains"])
        for subpixel in trace.subpixels
        for source in subpixel["sources"]
    )


def test_weights_of_every_step():
    case = loaded(CASES["weighted"])
    trace = trace_pixel(case.experiment, case.table, 12, 7)
    total = 0.0
    for subpixel in trace.subpixels:
        for source in subpixel["sources"]:
            for step in source["steps"]:
                total += (
                    step["contribution"]
                    * subpixel["capture_in_use"]
                    * source["polar_in_use"]
                    * subpixel["omega_in_use"]
                )
                assert step["I_running"] == pytest.approx(total, rel=1e-13)
    assert trace.pixel["I_before_scaling"] == pytest.approx(total, rel=1e-13)


def test_interpolation_is_shown():
    case = loaded(CASES["interpolated"])
    factors = {}
    for line in (INPUTS / "full8.hkl").read_text().splitlines():
        h, k, l, f = line.split()[:4]
        factors[int(h), int(k), int(l)] = float(f)
    (step,) = trace_pixel(case.experiment, case.table, 12, 7).steps()
    weights = [np.array(step[f"interpolation_weights_{axis}"]) for axis in "hkl"]
    assert [weight.sum() for weight in weights] == pytest.approx([1.0, 1.0, 1.0], abs=1e-14)
    total = 0.0
    for row, (h, k, first_l, *values) in enumerate(step["F_neighbours"]):
        assert values == [factors[h, k, first_l + i] for i in range(4)]
        total += weights[0][row // 4] * weights[1][row % 4] * np.dot(weights[2], values)
    low = step["F_neighbours"][0][:3]
    assert [np.floor(x) - 1 for x in step["hkl_frac"]] == list(low)
    assert step["F_cell"] == pytest.approx(total, rel=1e-13)


def test_each_step_decides_on_interpolation_and_the_defect_does_not():
    case = loaded(WIDE)
    interpolated = {"spec": [], "c": []}
    for compat, found in interpolated.items():
        for slow, fast in [(0, 0), (19, 19), (19, 22), (39, 39)]:
            (step,) = trace_pixel(case.experiment, case.table, slow, fast, compat).steps()
            found.append("F_neighbours" in step)
    assert interpolated == {"spec": [False, True, True, False], "c": [False, False, False, False]}


def test_steps_without_lattice_have_no_structure_factor():
    case = loaded(CASES["tophat"])
    steps = [step for fast in range(24) for step in trace_pixel(case.experiment, case.table, 12, fast).steps()]
    assert {"F_cell" in step for step in steps} == {True, False}
    assert all(step["contribution"] == 0 for step in steps if "F_cell" not in step)


@pytest.mark.skipif("NANOBRAGG_C" not in os.environ, reason="NANOBRAGG_C does not name the reference program")
@pytest.mark.parametrize("name", ["still", "round", "gauss", "curved", "conventions", "interpolated", "nopolar"])
@pytest.mark.parametrize("more", ["", "-phi 0 -osc 2 -phisteps 3 -mosaic 1 -mosaic_domains 2"])
def test_the_last_step_is_what_the_reference_prints(name, more, tmp_path):
    """A region of interest of one pixel, whose only sweep is right with the defect too."""
    flags = f"{CASES[name]} {more} -roi 7 7 12 12"
    for source in INPUTS.iterdir():
        (tmp_path / source.name).symlink_to(source)
    done = subprocess.run(
        [os.environ["NANOBRAGG_C"], *shlex.split(flags), "-printout", "-nonoise", "-nopgm", "-noprogress"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    number = r"(-?[\d.]+(?:e[-+]?\d+)?)"
    patterns = {
        "hkl_frac": rf"hkl= {number} {number} {number}",
        "hkl_rounded": rf"hkl0= {number} {number} {number}",
        "F_cell": rf"F_cell={number}",
        "F_latt": rf"F_latt={number}",
        "I_before_scaling": rf" I = {number}",
        "polar": rf"^polar +{number}",
        "omega_pixel": rf"^omega +{number}",
        "capture_fraction": rf"^capfrac +{number}",
        "I_pixel_final": rf"^pixel +{number}",
    }
    case = loaded(flags)
    trace = trace_pixel(case.experiment, case.table, 12, 7)
    told = {**list(trace.steps())[-1], **trace.pixel}
    for quantity, pattern in patterns.items():
        printed = [float(x) for x in re.search(pattern, done.stdout, re.MULTILINE).groups()]
        traced = told[quantity] if isinstance(told[quantity], tuple) else (told[quantity],)
        assert traced == pytest.approx(printed, rel=1e-5, abs=1e-6 if quantity == "hkl_frac" else 0), quantity


# ---- names, text and JSON ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["interpolated", "weighted", "divergence", "rotation"])
def test_names_are_the_documented_ones(name):
    case = loaded(CASES[name])
    trace = trace_pixel(case.experiment, case.table, 12, 7)
    subpixel = trace.subpixels[-1]
    source = subpixel["sources"][-1]
    parts = {"setup": trace.setup, "subpixel": subpixel, "source": source, "pixel": trace.pixel}
    for part, found in parts.items():
        assert [key for key in found if not isinstance(found[key], list)] == [
            key for key in QUANTITIES[part] if key not in ("source_weight", "diffuse")
        ]
    for step in trace.steps():
        assert list(step) == [key for key in QUANTITIES["step"] if key in step]
        missing = set(QUANTITIES["step"]) - set(step)
        assert all(key.startswith(("interpolation_", "F_neighbours")) for key in missing)


def test_the_page_lists_the_quantities():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", (ROOT / "docs" / "trace.md").read_text(), re.MULTILINE)
    assert rows == [(name, *told) for part in QUANTITIES.values() for name, told in part.items()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the inputs, as the current directory."""
    for source in INPUTS.iterdir():
        (tmp_path / source.name).symlink_to(source)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_text_json_and_phi_log(folder, capfd):
    flags = [*shlex.split(CASES["rotation"]), "-compat", "c"]
    assert run_tool("trace", "--pixel", "12", "7", "--json", "t.json", "--phi-log", "p.log", "--", *flags) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[1:4] == ["# compat: c", "# pixel: 12 7", f"# flags: {shlex.join(flags)}"]
    body = lines[4:]
    assert all(re.fullmatch(r"TRACE(_PHI)?: \w+( \S+)+", line) for line in body)
    assert (folder / "p.log").read_text().splitlines() == lines[:4] + [x for x in body if x.startswith("TRACE_PHI: ")]

    trace = json.loads((folder / "t.json").read_text())
    assert (trace["schema"], trace["compat"], trace["flags"]) == (SCHEMA, "c", flags)
    assert (trace["slow"], trace["fast"], trace["host"]) == (12, 7, os.uname().nodename)
    assert lines[0] == f"# program: {trace['program']} {trace['version']}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", trace["time"])

    told = [trace["setup"]]
    for subpixel in trace["subpixels"]:
        sources = subpixel.pop("sources")
        told.append(subpixel)
        for source in sources:
            steps = source.pop("steps")
            told += [source, *steps]
    told.append(trace["pixel"])
    values = [(name, value if isinstance(value, list) else [value]) for part in told for name, value in part.items()]
    assert [line.split()[1] for line in body] == [name for name, _ in values]
    for line, (_, expected) in zip(body, values, strict=True):
        shown = line.split()[2:]
        if isinstance(expected[0], str):
            assert shown == expected
        else:
            assert [float(word) for word in shown] == pytest.approx(expected, rel=1e-14, abs=0)


def test_lines_of_older_programs(folder, capfd):
    """Their comparison scripts cut the lines at blanks and look for these names at these places."""
    flags = ["--", *shlex.split(CASES["rotation"])]
    words = ["trace", "--pixel", "12", "7", "--prefix", "TRACE_C", "--emit-rot-stars", "--dtype", "float32"]
    outputs = ["--out", "t.log", "--json", "t.json", "--phi-log", "phi.log"]
    assert main([*words, *outputs, *flags]) == 0
    said = capfd.readouterr()
    assert said.out == "" and "float64" in said.err
    text = Path("t.log").read_text().splitlines()
    assert {line.split()[0] for line in text if not line.startswith("#")} == {"TRACE_C:", "TRACE_C_PHI"}
    log = [line.split() for line in Path("phi.log").read_text().splitlines() if not line.startswith("#")]
    entries = json.loads(Path("t.json").read_text())["per_phi_entries"]
    assert len(log) == len(entries) > 1
    for (word, *pairs), entry in zip(log, entries, strict=True):
        assert word == "TRACE_C_PHI"
        assert [pair.split("=")[0] for pair in pairs] == ["phi_tic", "phi_deg", "k_frac", "F_latt_b", "F_latt"]
        assert [float(pair.split("=")[1]) for pair in pairs] == pytest.approx(list(entry.values()), rel=1e-14)
    # read back, they are the trace that has no prefix
    assert main(["trace", "--pixel", "12", "7", "--out", "plain.log", *flags]) == 0
    comparison = compare_traces(read_trace("t.log"), read_trace("plain.log"), 0.0)
    assert comparison.first_divergence is None
    assert {"rot_a_angstroms", "hkl_frac", "F_latt", "k_frac"} <= {pair.name for pair in comparison.pairs}


def test_phi_mode_is_compat(folder, capfd):
    flags = ["--", *shlex.split(CASES["rotation"])]
    for mode, compat in (("c-parity", "c"), ("spec", "spec")):
        assert main(["trace", "--pixel", "12", "7", "--phi-mode", mode, *flags]) == 0
        assert f"# compat: {compat}\n" in capfd.readouterr().out


def test_nothing_but_the_asked_files_is_written(folder):
    before = set(os.listdir(folder))
    assert run_tool("trace", "--pixel", "1", "2", "--", *shlex.split(BASE)) == 0
    assert set(os.listdir(folder)) == before


@pytest.mark.parametrize("compat", ["spec", "c"])
def test_the_drop_in_prints_the_same_text_last(runner, compat, capfd):
    for source in INPUTS.iterdir():
        (runner.folder / source.name).symlink_to(source)
    flags = [*shlex.split(CASES["roi"]), "-seed", "1", "-compat", compat]
    plain = runner(*flags)
    traced = runner(*flags, "-trace_pixel", "12", "7")
    assert (plain.returncode, traced.returncode) == (0, 0)
    assert traced.stdout.startswith(plain.stdout)
    tool = subprocess.run(
        [sys.executable, "-c", "import sys; from nanobragg_py.cli.main import main; sys.exit(main())"]
        + ["trace", "--pixel", "12", "7", "--", *flags, "-trace_pixel", "12", "7"],
        cwd=runner.folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert traced.stdout[len(plain.stdout) :] == tool.stdout


# ---- what cannot be traced -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slow", "fast", "flags", "said"),
    [
        (24, 0, BASE, "not on the detector"),
        (0, 24, BASE, "not on the detector"),
        (-1, 3, BASE, "not on the detector"),
        (3, 12, f"{BASE} -roi 2 11 4 23", "slow 4 to 23 and fast 2 to 11"),
        (5, 12, f"{BASE} -roi 2 11 4 23", "outside the region of interest"),
        (0, 0, f"{BASE} -mosaic 1 -mosaic_domains {MAX_STEPS + 1}", f"{MAX_STEPS + 1} steps"),
        (0, 0, f"{BASE} -oversample 100 -thicksteps 20 -detector_thick 100", "too many"),
    ],
)
def test_pixels_that_cannot_be_traced(slow, fast, flags, said):
    case = loaded(flags)
    with pytest.raises(NanoBraggError, match=said):
        trace_pixel(case.experiment, case.table, slow, fast)


def test_a_masked_pixel():
    case = loaded("-cell 40 50 60 -default_F 10 -mask mask.img")
    detector = case.experiment.detector
    mask = np.asarray(detector.mask).reshape(detector.spixels, detector.fpixels)
    slow, fast = map(int, np.argwhere(mask == 0)[0])
    with pytest.raises(NanoBraggError, match=r"masked by mask\.img"):
        trace_pixel(case.experiment, case.table, slow, fast)
    slow, fast = map(int, np.argwhere(mask != 0)[0])
    assert trace_pixel(case.experiment, case.table, slow, fast).pixel["I_pixel_final"] > 0


@pytest.mark.parametrize("factor", [1.0 + 3e-6, 0.0, 2.0, float("nan")])
def test_another_value_in_the_image_is_a_defect(factor):
    case = loaded(BASE)
    image = np.array(simulate(case.experiment, case.table)[0])
    image[12, 7] *= np.float32(factor)
    with pytest.raises(NanoBraggError, match="defect of nanobragg_py"):
        trace_pixel(case.experiment, case.table, 12, 7, image=image)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pixel", "1", "2"], "give nanoBragg's flags after --"),
        (["--pixel", "1", "2", "--"], "give nanoBragg's flags after --"),
        (["--pixel", "99", "2", "--", *shlex.split(BASE)], "not on the detector"),
        (["--pixel", "1", "2", "--", "-default_F", "10"], "no crystal"),
        (["--pixel", "1", "2", "--json", "none/t.json", "--", *shlex.split(BASE)], "none/t.json"),
        (["--pixel", "1", "2", "--phi-log", "none/p", "--", *shlex.split(BASE)], "none/p"),
    ],
)
def test_bad_input_of_the_tool(folder, capfd, words, said):
    assert run_tool("trace", *words) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("words", [["24", "0"], ["0", "24"]])
def test_the_drop_in_refuses_before_it_renders(runner, words):
    done = runner("-cell", "40", "50", "60", "-default_F", "10", "-detpixels", "24", "-trace_pixel", *words)
    assert done.returncode == 9
    assert "not on the detector" in done.stderr
    assert not os.listdir(runner.folder)


def test_transcripts_of_the_page(tmp_path):
    replay("docs/trace.md", tmp_path)
