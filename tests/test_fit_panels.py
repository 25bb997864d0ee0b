"""Fits to images of detectors of panels, alike and not, and of several crystals; the tool on files of them."""

import json

import numpy as np
import pytest
from images import tool
from test_gradients_panels import many

from nanobragg_py import Experiment, FieldError
from nanobragg_py.cli.tools.refine import SHOWN
from nanobragg_py.fit import NOT_FITTED, OWN, Fit, joined, refine
from nanobragg_py.gradients.parameters import PARAMETERS
from nanobragg_py.gradients.values import with_values

UNLIKE = ((12, 10), (7, 9))
NAMES = ["crystal.rotation", "beam.fluence"]


def bright(sizes):
    """The experiment, with photons to count."""
    return many(sizes).replace({"beam.fluence": 1e29})


def counts(e, seed=2):
    """Photons, float64, as `render` gives images."""
    random = np.random.default_rng(seed)
    images = e.render(threads=1)
    drawn = [random.poisson(image).astype(float) for image in images]
    return drawn if isinstance(images, list) else np.stack(drawn)


def test_panels_that_differ_in_size():
    """Residuals and derivatives are those of the panels, one after the other."""
    truth = bright(UNLIKE)
    observed, start = counts(truth), with_values(truth, {"crystal.rotation": (4e-4, -3e-4, 2e-4)})
    fit = Fit(start, observed, [*NAMES, "background"], threads=1)
    assert fit.photons.size == 12 * 10 + 7 * 9 and np.array_equal(fit.photons, joined(observed))
    x = fit.start + [1e-4, -1e-4, 2e-4, 1e26, 0.5]
    jacobian = fit.jacobian(x)
    for i, step in enumerate([1e-7] * 3 + [1e22, 1e-4]):
        unit = np.eye(5)[i] * step
        difference = (fit.residuals(x + unit) - fit.residuals(x - unit)) / (2.0 * step)
        assert np.abs(jacobian[:, i] - difference).max() < 1e-5 * np.abs(difference).max()
    found = refine(Fit(start, observed, NAMES, threads=1))
    assert found.converged
    assert np.abs((found.x[:3] + (4e-4, -3e-4, 2e-4)) / found.deviations[:3]).max() < 4.0
    masks = [np.ones(shape) for shape in truth.shapes]
    masks[1][:4] = 0
    assert Fit(start, observed, NAMES, mask=masks).photons.size == 12 * 10 + 7 * 5
    for wrong in (observed[:1], observed[::-1], np.zeros((2, 10, 12)), 3.0):
        with pytest.raises(FieldError, match=r"not the shapes of the panels; give a list of 2 arrays, \(\(10, 12\), "):
            Fit(start, wrong, NAMES)
    with pytest.raises(FieldError, match="the mask has not the shapes of the panels"):
        Fit(start, observed, NAMES, mask=masks[:1])


@pytest.mark.parametrize(
    ("sizes", "name"), [(UNLIKE, "shot.h5"), (UNLIKE[:1] * 3, "shot.h5"), (UNLIKE[:1] * 3, "shot.npy")]
)
def test_tool(sizes, name, tmp_path):
    """One image of all panels, as HDF5 files have it, and a stack."""
    if name.endswith(".h5"):
        pytest.importorskip("h5py", reason="needs h5py")
    truth = bright(sizes)
    truth.write(tmp_path / "truth.toml")
    status, _, said = tool("simulate", tmp_path / "truth.toml", "--seed", "3", "--out", tmp_path / name)
    assert status == 0, said
    start = with_values(truth, {"crystal.rotation": (4e-4, -3e-4, 2e-4)})
    start.write(tmp_path / "start.toml")
    out = tmp_path / "out"
    words = ("--start", tmp_path / "start.toml", "--outdir", out, "--parameters", "rotation,fluence", "--max", "1e9")
    status, _, said = tool("refine", tmp_path / name, *words)
    assert status == 0, said
    assert "no command.txt: no flag states panels but -geometry" in said
    made = {path.name for path in out.iterdir()}
    assert {"experiment.toml", "crystal.mat", "crystal.expt", "refined.json"} <= made and "command.txt" not in made
    assert json.loads((out / "crystal.expt").read_text())["detector"] == []
    summary = json.loads((out / "refined.json").read_text())
    assert summary["converged"] and summary["pixels"] == sum(f * s for f, s in sizes)
    again = Experiment.read(out / "experiment.toml")
    assert again.resolved.panels and again.crystal.missets != start.crystal.missets
    for index, moved in enumerate((4e-4, -3e-4, 2e-4)):
        number = summary["parameters"][f"crystal.rotation[{index}]"]
        assert abs(number["refined"] + moved) < 4.0 * number["deviation"]


def test_tool_with_another_detector(tmp_path, monkeypatch):
    pytest.importorskip("h5py", reason="needs h5py")
    monkeypatch.chdir(tmp_path)
    bright(UNLIKE).write("unlike.toml")
    bright(UNLIKE[:1] * 2).write("two.toml")
    assert tool("simulate", "two.toml", "--seed", "3", "--out", "two.h5")[0] == 0
    status, printed, said = tool("refine", "two.h5", "--start", "unlike.toml")
    assert status == 2 and printed == "" and said.count("\n") == 1
    assert "two.h5 has 12 x 20 pixels, and the start's panels together 12 x 19; they have to be the same" in said
    for ending in ("npy", "bin"):
        status, _, said = tool("simulate", "unlike.toml", "--out", f"shot.{ending}")
        assert status == 2 and "the panels differ in size" in said and said.count("\n") == 1
        assert not (tmp_path / f"shot.{ending}").exists()


def test_tool_with_several_crystals(tmp_path):
    """There is no command line of them, and all else."""
    truth = bright(UNLIKE[:1])
    truth = truth.replace(more_crystals=[truth.crystal.replace(missets=(0.11, 0.19, 0.31), scale=0.5)])
    truth.write(tmp_path / "truth.toml")
    assert tool("simulate", tmp_path / "truth.toml", "--seed", "3", "--out", tmp_path / "shot.npy")[0] == 0
    words = ("--start", tmp_path / "truth.toml", "--outdir", tmp_path / "out", "--max", "1e9", "--no-picture")
    names = "more_crystals.0.rotation,more_crystals.0.scale"
    status, printed, said = tool("refine", tmp_path / "shot.npy", *words, "--parameters", names)
    assert status == 0 and "more_crystals.0.rotation[2], deg" in printed, said
    assert "no command.txt" in said and (tmp_path / "out" / "refined.json").exists()


def test_units():
    """Every number that is fitted has one to be shown in."""
    known = [name for name in PARAMETERS if name not in NOT_FITTED]
    assert set(SHOWN) == {name.rpartition(".")[2] for name in (*known, *OWN)}


def test_no_command_line_of_panels():
    with pytest.raises(FieldError, match="keep the experiment as TOML or JSON"):
        bright(UNLIKE).to_args()
