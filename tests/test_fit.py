"""Fits of experiments to observed images: the least-squares problem, recovery of what is known, and the tool."""

import functools
import json
import time
from pathlib import Path

import numpy as np
import pytest
from images import tool

from nanobragg_py import (
    Background,
    Beam,
    Crystal,
    Detector,
    Experiment,
    FieldError,
    NanoBraggError,
    Sampling,
    StructureFactors,
)
from nanobragg_py.fit import Fit, check_fitted, damped_step, expected_deviance, refine
from nanobragg_py.gradients.values import left_jacobian
from nanobragg_py.orientation import axis_rotation, missets_to_rotation

#: of cro, the small protein whose structure factors are here
CELL = (34.77, 39.17, 48.31)
FACTORS = Path(__file__).parents[1] / "golden" / "inputs" / "cro_1orc_2A.hkl"


@functools.cache
def factors():
    return StructureFactors.read(FACTORS)


def still(pixels=512, **crystal):
    """A still of a small crystal of it."""
    return Experiment(
        Crystal.from_cell(*CELL, missets=(0.3, 0.5, 0.7), **{"cells": (12, 12, 12), **crystal}),
        Beam(wavelength=1e-10, fluence=1e24),
        Detector.flat(pixels, 0.2e-3 * 512 / pixels, 0.075),
        Sampling(oversample=1, interpolate=False),
        factors(),
    )


def exposed(e, photons):
    """The experiment with so many photons in its fortieth spot, the brightest pixels' neighbourhoods counted."""
    image = e.render(threads=1)
    left, spots = image.copy(), []
    for _ in range(40):
        slow, fast = np.unravel_index(left.argmax(), left.shape)
        window = (slice(max(0, slow - 4), slow + 5), slice(max(0, fast - 4), fast + 5))
        spots.append(left[window].sum())
        left[window] = 0.0
    return e.replace({"beam.fluence": e.beam.fluence * photons / spots[-1]})


def moved(e, turn=0.2, cell=0.003):
    """The experiment with its crystal turned by degrees, and other axes."""
    lengths = tuple(x * (1.0 + cell * sign) for x, sign in zip(e.crystal.lengths, (1, -1, 1), strict=True))
    e = e.replace({"crystal.lengths": lengths})
    return e.replace(crystal=e.crystal.rotated(axis_rotation((1.0, -2.0, 1.5), np.radians(turn))))


def misorientation(one, other):
    """Degrees between two crystals with missets."""
    a, b = (missets_to_rotation(e.crystal.missets) for e in (one, other))
    skew = a @ b.T
    return np.degrees(np.linalg.norm([skew[2, 1] - skew[1, 2], skew[0, 2] - skew[2, 0], skew[1, 0] - skew[0, 1]]) / 2)


@pytest.mark.parametrize("photons", [1e4, 1e2])
def test_orientation_and_cell(photons):
    """0.2 degree and 0.3 % of the cell away: back to 0.002 degree (2.5 deviations at 100 photons) and 0.01 %."""
    truth = exposed(still(cells=(20, 20, 20)), photons)
    observed = np.random.default_rng(4).poisson(truth.render(threads=1))
    begin = time.process_time()
    found = refine(Fit(moved(truth), observed, ["crystal.rotation", "crystal.lengths", "beam.fluence"], threads=1))
    assert time.process_time() - begin < 10.0
    assert found.converged and found.evaluations <= 30 and not found.reasons
    assert misorientation(found.experiment, truth) < 0.002
    assert np.abs(np.array(found.experiment.crystal.lengths) / CELL - 1.0).max() < 1e-4
    # the deviations are what they say
    off = (np.array(found.experiment.crystal.lengths) - CELL) / found.deviations[3:6]
    assert np.abs(off).max() < 4.0
    assert found.per_pixel == pytest.approx(1.0, abs=0.1)


def test_distance_and_wavelength():
    truth = exposed(still(), 1e4)
    observed = np.random.default_rng(5).poisson(truth.render(threads=1))
    start = truth.replace({"detector.distance": 0.0752, "beam.wavelength": 1.002e-10})
    found = refine(Fit(start, observed, ["detector.distance", "beam.wavelength", "beam.fluence"], threads=1))
    assert found.converged and found.evaluations <= 30
    assert found.experiment.detector.distance == pytest.approx(0.075, rel=1e-4)
    assert found.experiment.beam.wavelength == pytest.approx(1e-10, rel=1e-4)


def test_mosaic_spread():
    truth = exposed(still(256, mosaic_spread=np.radians(0.5), mosaic_domains=40, cells=(8, 8, 8)), 1e4)
    observed = np.random.default_rng(6).poisson(truth.render(threads=1))
    start = truth.replace({"crystal.mosaic_spread": np.radians(0.35)})
    found = refine(Fit(start, observed, ["crystal.mosaic_spread", "crystal.rotation", "background"], threads=1))
    assert found.converged
    assert found.experiment.crystal.mosaic_spread == pytest.approx(np.radians(0.5), rel=0.01)
    assert abs(found.background) < 0.01


def test_three_spreads_and_cells():
    """Both widen spots; cells all alike, spreads the more the farther out."""
    crystal = {"shape": "gauss", "cells": (14, 17, 12), "mosaic_domains": 60}
    truth = exposed(still(256, mosaic_spreads=np.radians((0.5, 0.2, 0.35)), **crystal), 1e5)
    observed = np.random.default_rng(6).poisson(truth.render(threads=1))
    start = truth.replace({"crystal.mosaic_spreads": np.radians((0.4, 0.3, 0.3)), "crystal.cells": (13, 15, 13.5)})
    names = ["crystal.mosaic_spreads", "crystal.cells", "crystal.rotation", "beam.fluence"]
    found = refine(Fit(start, observed, names, threads=1))
    assert found.converged and found.evaluations <= 30
    expected = np.concatenate([truth.crystal.mosaic_spreads, truth.crystal.cells])
    refined = np.concatenate([found.experiment.crystal.mosaic_spreads, found.experiment.crystal.cells])
    assert np.abs((refined - expected) / found.deviations[:6]).max() < 4.0
    assert np.abs(refined / expected - 1.0).max() < 0.02


def test_background_and_mask():
    """A flat background is told from spots; what is masked, outside or nan has no say."""
    truth = exposed(still(256), 1e3)
    observed = np.random.default_rng(7).poisson(truth.render(threads=1) + 3.0).astype(float)
    mask = np.ones(truth.shape, dtype=int)
    mask[:20], observed[:20] = 0, 1e6
    observed[40, 50:60] = np.nan
    names = ["crystal.rotation", "background", "beam.fluence"]
    fit = Fit(moved(truth, cell=0.0), observed, names, mask=mask, threads=1)
    assert fit.photons.size == 256 * 236 - 10
    found = refine(fit)
    assert found.converged and found.background == pytest.approx(3.0, rel=0.02)
    assert found.per_pixel == pytest.approx(1.0, abs=0.05)


def test_what_does_not_converge():
    """It says so, and why."""
    truth = exposed(still(128), 1e4)
    observed = np.random.default_rng(8).poisson(truth.render(threads=1))
    far = refine(Fit(moved(truth, turn=8.0), observed, ["crystal.rotation"], threads=1))
    assert any("explains the photons badly" in reason for reason in far.reasons)
    few = refine(Fit(moved(truth), observed, ["crystal.rotation", "crystal.lengths"], threads=1), evaluations=3)
    assert not few.converged and few.reasons[0].startswith("it was still moving after 3 evaluations")
    alike = refine(Fit(moved(truth), observed, ["crystal.rotation", "crystal.missets"], threads=1))
    assert any("do the same to the image" in reason for reason in alike.reasons)


def test_residuals_and_jacobian():
    """Those for scipy: the Jacobian against differences, away from the start as well."""
    truth = exposed(still(64), 1e3)
    observed = np.random.default_rng(9).poisson(truth.render(threads=1))
    names = ["crystal.rotation", "crystal.lengths", "detector.distance", "background"]
    fit = Fit(moved(truth), observed, names, variance=1.0, threads=1)
    assert fit.names == [
        *(f"crystal.rotation[{i}]" for i in range(3)), *(f"crystal.lengths[{i}]" for i in range(3)),
        "detector.distance", "background",
    ]  # fmt: skip
    x = fit.start + [0.02, -0.3, 0.05, 0.1, 0.2, -0.1, 1e-4, 0.5]
    jacobian = fit.jacobian(x)
    assert jacobian.shape == (64 * 64, 8)
    for i, step in enumerate([1e-7] * 3 + [1e-6] * 3 + [1e-9, 1e-4]):
        unit = np.eye(8)[i] * step
        difference = (fit.residuals(x + unit) - fit.residuals(x - unit)) / (2.0 * step)
        assert np.abs(jacobian[:, i] - difference).max() < 1e-5 * np.abs(difference).max()
    assert (fit.residuals(x) ** 2).sum() == pytest.approx(fit.deviance(fit.evaluate(x)[0]))


def test_scipy():
    least_squares = pytest.importorskip("scipy.optimize", reason="needs scipy").least_squares
    truth = exposed(still(256), 1e2)
    observed = np.random.default_rng(4).poisson(truth.render(threads=1))
    fit = Fit(moved(truth, 0.05, 0.0005), observed, ["crystal.rotation", "crystal.lengths"], variance=1.0, threads=1)
    solved = least_squares(fit.residuals, fit.start, fit.jacobian, x_scale="jac", max_nfev=30)
    own = refine(fit)
    assert np.abs(solved.x - own.x).max() < 0.2 * own.deviations.max()


def test_left_jacobian():
    for v in ((0.3, -0.2, 0.9), (1e-6, 2e-6, 0.0), (0.0, 0.0, 0.0)):
        for e in np.eye(3):
            step = 1e-6
            before, after = (
                axis_rotation(w, np.linalg.norm(w)) if np.any(w) else np.eye(3)
                for w in (np.array(v) - step * e, np.array(v) + step * e)
            )
            skew = (after @ before.T - np.eye(3)) / (2 * step)
            assert np.allclose([skew[2, 1], skew[0, 2], skew[1, 0]], left_jacobian(v) @ e, atol=1e-5)


def test_expected_deviance():
    """Against drawn counts."""
    random = np.random.default_rng(1)
    for mean in (0.0, 0.01, 0.3, 2.0, 50.0):
        counts = random.poisson(mean, 200_000)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = 2.0 * (np.where(counts > 0, counts * np.log(counts / mean), 0.0) - (counts - mean))
        assert expected_deviance(np.full(1000, mean)) / 1000 == pytest.approx(each.mean(), rel=0.02, abs=1e-6)


def test_what_cannot_be_fitted():
    e = still(64)
    with pytest.raises(FieldError, match=r"the observed image has the shape \(3, 3\); the experiment's is \(64, 64\)"):
        Fit(e, np.zeros((3, 3)), ["crystal.rotation"])
    with pytest.raises(FieldError, match=r"crystal\.cells cannot be fitted"):
        Fit(e, np.zeros(e.shape), ["crystal.cells"])
    with pytest.raises(FieldError, match="no pixel of the observed image is left"):
        Fit(e, np.full(e.shape, np.nan), ["crystal.rotation"])
    with pytest.raises(FieldError, match="variance is -1"):
        Fit(e, np.zeros(e.shape), ["crystal.rotation"], variance=-1)
    with pytest.raises(FieldError, match="the mask has the shape"):
        Fit(e, np.zeros(e.shape), ["crystal.rotation"], mask=np.zeros(3))
    assert check_fitted(["rotation", "background"]) == ["crystal.rotation", "background"]
    with pytest.raises(NanoBraggError, match="'turn' is no parameter; there are rotation, "):
        check_fitted(["turn"])


# ---- the tool ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shot(tmp_path):
    """A noisy image, what it is of, and a start beside it."""
    truth = exposed(still(256), 1e2)
    image = truth.render(threads=1)
    truth.to_smv(tmp_path / "shot.img", truth.add_noise(image, 3))
    moved(truth).write(tmp_path / "start.toml")
    return truth, tmp_path


def test_tool(shot):
    truth, folder = shot
    out = folder / "out"
    words = ("--start", folder / "start.toml", "--outdir", out, "--parameters", "rotation,lengths,fluence,background")
    status, printed, said = tool("refine", folder / "shot.img", *words)
    assert status == 0, said
    assert "converged after" in printed and "crystal.lengths[2], A" in printed and "evaluation  2: deviance" in said
    assert sorted(path.name for path in out.iterdir()) == [
        "command.txt", "crystal.expt", "crystal.mat", "experiment.structure_factors.npy", "experiment.toml",
        "refine.png", "refined.json", "structure_factors.hkl",
    ]  # fmt: skip
    summary = json.loads((out / "refined.json").read_text())
    assert summary["converged"] and summary["evaluations"] <= 30
    refined = summary["parameters"]["crystal.lengths[2]"]
    assert abs(refined["refined"] - CELL[2]) < 4.0 * refined["deviation"]
    again = Experiment.read(out / "experiment.toml")
    assert misorientation(again, truth) < 0.02
    command = (out / "command.txt").read_text().split()
    rendered = Experiment.from_args(command[1:]).render(threads=1)
    assert np.allclose(rendered, again.render(threads=1), rtol=1e-4, atol=1e-5)


def test_tool_without_convergence(shot):
    _, folder = shot
    words = ("--start", folder / "start.toml", "--outdir", folder / "out", "--evaluations", "2", "--no-picture")
    status, printed, said = tool("refine", folder / "shot.img", *words)
    assert status == 1 and "did not converge after 2 evaluations" in printed
    assert "nanobragg-py refine: it was still moving after 2 evaluations" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "give where to start"),
        (("--start", "start.toml", "--parameters", "colour"), "'colour' is no parameter"),
        (("--start", "start.toml", "--gain", "0"), "--gain does not take 0"),
        (("--start", "start.toml", "--gain", "1e-160"), "--gain does not take 1e-160"),
        (("--start", "start.toml", "--readout", "-1"), "--readout does not take -1"),
        (("--start", "start.toml", "--readout", "1e308"), "--readout does not take 1e+308"),
        (("--start", "start.toml", "--evaluations", "0"), "--evaluations takes 1 or more"),
        (("--start", "missing.toml"), "missing.toml"),
        (("--start", "small.toml"), "has 256 x 256 pixels, and the start 64 x 64"),
        (("--start", "start.toml", "--outdir", "shot.img"), "--outdir shot.img is a file"),
        (("--start", "start.toml", "--max", "0"), "no pixel of the observed image is left"),
    ],
)
def test_tool_with_bad_input(shot, monkeypatch, words, sentence):
    _, folder = shot
    monkeypatch.chdir(folder)
    still(64).write("small.toml")
    status, printed, said = tool("refine", "shot.img", *words)
    assert status == 2 and sentence in said and said.count("\n") == 1 and printed == ""
    assert not (folder / "refined").exists()


@pytest.mark.parametrize("much", [0.0, np.inf, np.nan])
def test_derivatives_out_of_all_proportion(much):
    with pytest.raises(FieldError, match="are not finite, or too large to be squared"):
        damped_step(np.diag([1.0, much]), np.array([1.0, 1e300]), 1e-3)
    assert np.allclose(damped_step(np.diag([1.0, 4.0]), np.array([1.0, 2.0]), 0.0), (1.0, 0.5))


def test_amorphous_material():
    """How much of it there is, beside a crystal; its derivatives are those of a straight line and a square."""
    truth = exposed(still(128), 1e3)
    haze = Background("water", thickness=2e-4)
    observed = np.random.default_rng(3).poisson(truth.render(threads=1) + haze.render(truth)).astype(float)
    start = moved(truth, cell=0.0)
    fit = Fit(start, observed, ["crystal.rotation", "amorphous"], amorphous=Background("water"), threads=1)
    found = refine(fit)
    assert fit.names[-1] == "amorphous" and found.converged
    assert abs(found.x[-1] - 1.0) < 4.0 * found.deviations[-1] < 0.1
    assert found.per_pixel == pytest.approx(1.0, abs=0.05)
    with pytest.raises(FieldError, match="there is no amorphous material"):
        Fit(start, observed, ["amorphous"])


@pytest.mark.parametrize(
    ("name", "more", "changed"),
    [
        ("scale", {}, None),
        ("curve", {}, None),
        ("thickness", {}, {"thickness": 2e-4}),
        ("density", {}, {"density": 2.0}),
        ("molecular_weight", {}, {"molecular_weight": 36.0}),
        ("width", {"width": 5e-5}, {"width": 1e-4}),
        ("molecules", {"molecules": 1e10}, {"molecules": 2e10}),
        ("beam.fluence", {}, "beam.fluence"),
    ],
)
def test_background_derivatives(name, more, changed):
    """Powers: doubled, the image is as many times as bright."""
    x = np.linspace(0.0, 0.7, 20)
    F = 3.0 + np.cos(5.0 * x)
    e = still(64)
    image, images = e.background_derivatives((x, F), [name], threads=1, **more)
    assert np.array_equal(image, e.background((x, F), threads=1, **more)) and image.max() > 0.0
    if name in ("scale", "curve"):
        value, twice = 1.0, 2.0 * image if name == "scale" else e.background((x, 2.0 * F), threads=1)
    elif name == "beam.fluence":
        value, twice = e.beam.fluence, e.replace({name: 2.0 * e.beam.fluence}).background((x, F), threads=1)
    else:
        value = changed[name] / 2.0
        twice = e.background((x, F), threads=1, **{**more, **changed})
    power = np.log2(twice.max() / image.max())
    assert images[name] * value == pytest.approx(power * image, rel=1e-6)


def test_background_derivatives_that_do_not_apply():
    e = still(16)
    for name, more, sentence in (
        ("molecules", {}, "the number of molecules follows"),
        ("density", {"molecules": 1.0}, "the number of molecules is given"),
        ("width", {}, "as wide as the beam"),
        ("thickness", {"thickness": 0.0}, "it is 0"),
        ("colour", {}, "cannot be differentiated by 'colour'"),
    ):
        with pytest.raises(FieldError, match=sentence):
            e.background_derivatives("water", [name], **more)
    with pytest.raises(FieldError, match="give a list of names"):
        e.background_derivatives("water", "scale")
