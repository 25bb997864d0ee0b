"""`nanobragg-py matrix`; what it writes is tested in test_formats_orientation.py."""

import numpy as np
import pytest
from images import FLAGS, tool

from nanobragg_py.experiment.load import load_args
from nanobragg_py.files.orientations.dials import read_expt
from nanobragg_py.orientation import axis_rotation, b_matrix, random_rotations

CELL = ["--cell", 40, 50, 60, 80, 95, 110]
B = b_matrix(40, 50, 60, 80, 95, 110)


def matrix(*words, folder=None):
    status, out, err = tool("matrix", *words, folder=folder)
    assert (status, err) == (0, "")
    return np.array(out.split(), float).reshape(3, 3)


def test_cells():
    assert matrix(*CELL) == pytest.approx(B)
    assert matrix(*CELL, "--wavelength", 1.5) == pytest.approx(1.5 * B)
    assert matrix(*CELL, "--random", 9) == pytest.approx(random_rotations(1, 9)[0] @ B)
    turn = axis_rotation((1, 2, 3), 0.4)
    assert matrix(*CELL, "--U", *turn.ravel()) == pytest.approx(turn @ B)
    missets = (
        axis_rotation((0, 0, 1), np.radians(30))
        @ axis_rotation((0, 1, 0), np.radians(20))
        @ axis_rotation((1, 0, 0), np.radians(10))
    )
    assert matrix(*CELL, "--missets", 10, 20, 30) == pytest.approx(missets @ B)


def test_flags():
    crystal = load_args(FLAGS).experiment.crystal
    assert matrix("--", *FLAGS) == pytest.approx(1.1 * np.array([crystal.a_star, crystal.b_star, crystal.c_star]).T)


def test_conventions(tmp_path):
    x, y, z = matrix(*CELL, "--random", 9)
    np.savetxt(tmp_path / "a.mat", [x, y, z])
    assert tool("matrix", tmp_path / "a.mat", "--to", "dials", "--out", tmp_path / "a.expt")[0] == 0
    # the beam from x to z, the spindle from z to x
    assert matrix(tmp_path / "a.expt", "--convention", "XDS") == pytest.approx(np.array([z, -y, x]))


def test_experiments_of_a_list(tmp_path):
    import json

    for seed in (1, 2):
        assert tool("matrix", *CELL, "--random", seed, "--to", "dials", "--out", tmp_path / f"{seed}.expt")[0] == 0
    one, two = (json.loads((tmp_path / f"{seed}.expt").read_text()) for seed in (1, 2))
    one["crystal"] += two["crystal"]
    one["experiment"] += [{**one["experiment"][0], "crystal": 1}]
    (tmp_path / "both.expt").write_text(json.dumps(one))
    assert matrix(tmp_path / "both.expt", "--index", 1) == pytest.approx(random_rotations(1, 2)[0] @ B)


def test_flags_give_the_detector(tmp_path):
    path = tmp_path / "a.expt"
    assert tool("matrix", *CELL, "--to", "dials", "--out", path, "--", *FLAGS)[0] == 0
    geometry = read_expt(path).geometry
    assert (geometry.fpixels, geometry.spixels, geometry.wavelength) == pytest.approx((90, 70, 1.1e-10))
    assert np.degrees([geometry.phi0, geometry.osc]) == pytest.approx((30, 0.5))


def test_spindle_that_is_not_square_to_the_beam(tmp_path):
    import json

    path = tmp_path / "a.expt"
    assert tool("matrix", *CELL, "--to", "dials", "--out", path)[0] == 0
    content = json.loads(path.read_text())
    content["goniometer"][0]["rotation_axis"] = [1.0, 0.0, 0.01]
    path.write_text(json.dumps(content))
    status, _, err = tool("matrix", path)
    assert status == 0 and "the spindle is 0.573 degrees off" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there is no crystal"),
        (["none.mat"], "cannot read none.mat: no such file"),
        (["none.mat", *CELL], "both describe the crystal"),
        (["none.mat", "--random", 1], "--random orients a --cell"),
        ([*CELL, "--random", 1, "--missets", 1, 2, 3], "--missets and --random both orient"),
        ([*CELL, "--U", 1, 0, 0, 0, 1, 0, 0, 0, 2], "rotation must be"),
        (["--cell", 40, 50, 60, 10, 20, 90], "is no unit cell"),
        ([*CELL, "--wavelength", 0], "--wavelength does not take 0"),
        ([*CELL, "--to", "xds"], "describes a detector"),
        ([*CELL, "--out", "none/a.mat"], "its directory does not exist"),
        (["bad.mat"], "begins with 2 numbers"),
        ([*CELL, "--random", -1], "seed must be"),
    ],
)
def test_bad_input(tmp_path, words, message):
    (tmp_path / "bad.mat").write_text("1 2 three")
    status, out, err = tool("matrix", *words, folder=tmp_path)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.mat"]
