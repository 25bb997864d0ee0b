"""-physics exact on the command line: what it refuses, what it reads and writes, traces, domains."""

import os
import re

import numpy as np
import pytest

from nanobragg_py import Crystal, Detector, Experiment, Sampling, StructureFactors
from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.hints import NanoBraggWarning
from nanobragg_py.inspect.trace import trace_pixel
from nanobragg_py.kernels.loops.job import Job
from nanobragg_py.render.simulate import simulate

LINE = "-cell 50 60 70 80 95 100 -misset 10 20 30 -N 4 -default_F 30 -detpixels 21 -pixel 0.5 -distance 30"
SOURCES = "-10 0 0 3 1e-10\n-10 0.1 0 1 1.02e-10\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("-physics exact -compat c", "-compat c is for the reference's defects, and -physics exact"),
        ("-spot_width simtbx", "-spot_width needs -physics exact"),
        ("-mosaic_model gauss", "-mosaic_model needs -physics exact"),
        ("-physics right", "-physics does not take 'right'"),
    ],
)
def test_what_does_not_go_together(runner, flags, said):
    done = runner(*f"{LINE} {flags}".split())
    assert done.returncode == 9 and done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not list(runner.folder.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        "-detector_thick 300 -detector_abs 400 -thicksteps 3 -oversample 2 -polar 0.7 -water 20",
        "-sourcefile weights.txt -water 10 -gauss_xtal -oversample 1",
        "-mosaic 1 -mosaic_domains 3 -mosaic_model gauss -phi 30 -osc 1 -phisteps 2 -dmin 2 -water 5 -oversample 1",
    ],
)
def test_traces_end_with_the_image(tmp_path, monkeypatch, words):
    """The sequential loop, step by step, comes to what the parallel ones render; trace_pixel raises where not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.txt").write_text(SOURCES)
    loaded = load_args(f"{LINE} -physics exact {words}".split())
    for slow, fast in ((3, 4), (10, 15)):
        trace = trace_pixel(loaded.experiment, loaded.table, slow, fast)
        assert trace.pixel["I_pixel_final"] == pytest.approx(trace.pixel["I_pixel_image"], rel=1e-6)
        told = trace.subpixels[0]["sources"][0]
        assert ("source_weight" in told) == ("weights" in words) and "diffuse" in told


def test_dump_files_are_read_if_they_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.hkl").write_text("0 0 1 5\n1 2 3 40\n")
    line = LINE.replace("-default_F 30 ", "")
    load_args(f"{line} -hkl a.hkl".split(), write_dump=True)
    assert os.path.exists("Fdump.bin")
    assert load_args(line.split()).experiment.structure_factors.bounds is not None
    with pytest.raises(NanoBraggError, match="no structure factors"):
        load_args(f"{line} -physics exact".split())
    named = load_args(f"{line} -physics exact -dump Fdump.bin".split())
    assert named.experiment.structure_factors.bounds is not None
    os.remove("Fdump.bin")
    load_args(f"{line} -physics exact -hkl a.hkl".split(), write_dump=True)
    assert not os.path.exists("Fdump.bin")


def test_interpolation_on_request_alone(tmp_path):
    (tmp_path / "a.hkl").write_text("0 0 1 5\n1 2 3 40\n")
    line = f"{LINE} -N 2 -hkl a.hkl".split()
    assert load_args(line, tmp_path).experiment.sampling.interpolate
    assert not load_args([*line, "-physics", "exact"], tmp_path).experiment.sampling.interpolate
    assert load_args([*line, "-physics", "exact", "-interpolate"], tmp_path).experiment.sampling.interpolate


def test_normal_domains_have_the_spread_about_each_axis():
    spread, count = 0.01, 4000
    crystal = Crystal.from_cell(50, mosaic_spread=spread, mosaic_domains=count, mosaic_model="gauss")
    made = Experiment(crystal, detector=Detector.flat(8, 1e-3, 0.1), structure_factors=StructureFactors(default_F=1.0))
    matrices = np.frombuffer(made.resolved.crystal.mosaic_rotations).reshape(-1, 3, 3)
    assert np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max() < 1e-14
    skew = (matrices - matrices.transpose(0, 2, 1)) / 2
    vectors = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], 1)
    assert vectors.std(0) == pytest.approx([spread] * 3, rel=0.06)
    assert np.abs(vectors.mean(0)).max() < 4 * spread / np.sqrt(count)
    assert np.abs(np.corrcoef(vectors.T) - np.eye(3)).max() < 0.08


def test_domains_turn_with_the_crystal():
    """Half a turn about the spindle turns each domain's own cell, not the cell within a domain that stands still."""
    crystal = Crystal.from_cell(50, 60, 70, mosaic_spread=0.03, mosaic_domains=2)
    given = {"detector": Detector.flat(8, 1e-3, 0.1), "structure_factors": StructureFactors(default_F=1.0)}
    sampling = Sampling(phi0=np.pi, osc=0.0, phisteps=1)
    for physics in ("exact", "reference"):
        made = Experiment(crystal, sampling=sampling, physics=physics, **given)
        job, resolved = Job(made.resolved), made.resolved.crystal
        cells = np.asarray(job.orientations)[:, :2].T.reshape(2, 3, 3)
        turn, domain = np.diag([-1.0, -1.0, 1.0]), np.frombuffer(resolved.mosaic_rotations).reshape(-1, 3, 3)[1]
        matrix = turn @ domain if physics == "exact" else domain @ turn
        assert cells[1] == pytest.approx(np.array([resolved.a, resolved.b, resolved.c]) @ matrix.T, abs=1e-23)


def test_offsets_are_rounded():
    """The noise image of an offset that is not whole: the nearest, where the reference cuts the sum."""
    crystal = Crystal.from_cell(50)
    given = {"detector": Detector.flat(8, 1e-3, 0.1), "structure_factors": StructureFactors(default_F=1.0)}
    image = np.full((8, 8), 20.0, np.float32)
    exact, reference = (Experiment(crystal, physics=physics, **given) for physics in ("exact", "reference"))
    counts = reference.add_noise(image, adc=0.0)
    assert np.array_equal(exact.add_noise(image, adc=9.6), counts + 10)
    assert np.array_equal(reference.add_noise(image, adc=9.6), counts + 9)


# ---- the curve of -stol ---------------------------------------------------------------------------------------------

FLAT = "0 2.57\n5 2.57\n"


def rendered(words):
    loaded = load_args(f"{LINE} -physics exact {words}".split())
    image, statistics = simulate(loaded.experiment, loaded.table)
    return np.asarray(image).astype(float), statistics


@pytest.mark.parametrize(
    "words",
    [
        "-oversample 1",
        "-oversample 3 -polar 0.7 -nointerpolate",
        "-detector_thick 300 -detector_abs 400 -thicksteps 3 -oversample 2",
        "-sourcefile weights.txt -oversample 1 -detector_thick 300 -detector_abs 400",
        "-curved_det -oversample 1 -mosaic 1 -mosaic_domains 3 -osc 1 -phisteps 2",
        "-domain_file domains.txt -oversample 1",
    ],
)
def test_a_flat_curve_is_water(tmp_path, monkeypatch, words):
    """What amorphous material scatters, by two ways that share no loop."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flat.stol").write_text(FLAT)
    (tmp_path / "weights.txt").write_text(SOURCES)
    (tmp_path / "domains.txt").write_text("1 0 0 0 1 0 0 0 1 2\n0 -1 0 1 0 0 0 0 1 1\n")
    water, said = rendered(f"{words} -water 20")
    curve, told = rendered(f"{words} -water 20 -stol flat.stol")
    assert (water - rendered(words)[0]).min() > 0
    assert curve == pytest.approx(water, rel=1e-6)
    assert told.pixels == said.pixels and told.mean == pytest.approx(said.mean, rel=1e-6)
    assert told.rmsd == pytest.approx(said.rmsd, rel=1e-4)


def test_how_many_molecules_the_curve_stands_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flat.stol").write_text(FLAT)
    dry = rendered("-oversample 1")[0]
    one = rendered("-oversample 1 -stol flat.stol -water 20")[0] - dry
    heavy = rendered("-oversample 1 -stol flat.stol -water 20 -density 1.5 -MW 36")[0] - dry
    assert heavy == pytest.approx(0.75 * one, rel=1e-5)
    edges = rendered("-oversample 1 -4stol flat.stol -beamsize 0.05")[0] - dry  # 0.1 mm x 50 um x 50 um
    assert edges == pytest.approx(one * (100 * 50 * 50) / 20**3, rel=1e-5)
    doubled = tmp_path / "more.stol"
    doubled.write_text("5 5.14\n0 5.14\n")  # sorted, and constant
    assert rendered("-oversample 1 -stol more.stol -water 20")[0] - dry == pytest.approx(4 * one, rel=1e-5)
    with pytest.raises(NanoBraggError, match="-MW must be above 0"):
        rendered("-stol flat.stol -MW 0")


def test_a_curve_of_the_reference_has_no_effect(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flat.stol").write_text(FLAT)
    assert load_args(f"{LINE} -stol flat.stol".split()).experiment.amorphous is None


@pytest.mark.parametrize("flags", ["-stol c.stol -water 100", "-4stol c.stol", "-Q c.stol -water 30 -density 2"])
def test_the_library_says_how_to_add_a_curve(flags, tmp_path, monkeypatch):
    """What the warning gives, put behind the experiment, makes the program's image."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.stol").write_text("0 3\n0.2 9\n0.4 5\n1 2\n3 1\n20 1\n")
    line = f"{LINE} {flags} -physics exact"
    loaded = load_args(line.split())
    with pytest.warns(NanoBraggWarning, match=r"does not hold the curve of c\.stol") as said:
        experiment = Experiment.from_args(line)
    (call,) = re.findall(r"add (experiment\.background\(.*\)) to its image", str(said[0].message))
    image = experiment.render() + eval(call)
    assert image == pytest.approx(np.asarray(simulate(loaded.experiment, loaded.table)[0]), rel=2e-6)
