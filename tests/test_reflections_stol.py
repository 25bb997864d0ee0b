"""Radial averages of structure factors."""

from pathlib import Path

import numpy as np
import pytest
from images import tool
from reflections import CELL, HKL, REAL, F, expanded, gemmi, mtz

# ---- radial averages -----------------------------------------------------------------------------------------------


def curve(path):
    return np.loadtxt(path, ndmin=2).T


def averages(hkl, amplitudes, width):
    """Centres and root mean squares, one reflection after the other."""
    sums = {}
    cell = gemmi.UnitCell(*CELL)
    for index, value in zip(hkl, amplitudes, strict=True):
        number = round(cell.calculate_1_d2(index) ** 0.5 / 2 / width)
        total, count = sums.get(number, (0.0, 0))
        sums[number] = total + float(value) ** 2, count + 1
    return [(number * width, (total / count) ** 0.5) for number, (total, count) in sorted(sums.items())]


@pytest.mark.parametrize("width", [0.001, 0.01])
def test_stol_of_text(tmp_path, width):
    source = Path(__file__).parent.parent / "golden" / "inputs" / "cro_1orc_2A.hkl"
    words = ["--to", "stol", "--bin", width, "--cell", *CELL, "--out", "a.stol"]
    status, out, err = tool("hkl", source, *words, folder=tmp_path)
    assert (status, err) == (0, "") and out.startswith("a.stol: ")
    rows = REAL[(REAL[:, :3] != 0).any(axis=1) & (REAL[:, 3] != 0)]
    wanted = averages(rows[:, :3].astype(int).tolist(), rows[:, 3], width)
    assert pytest.approx(np.array(wanted), rel=1e-9) == curve(tmp_path / "a.stol").T


def test_stol_counts_multiplicity(tmp_path):
    mtz(tmp_path / "a.mtz", [("FP", "F", F)])
    words = ["--to", "stol", "--bin", 0.005, "--out", "a.stol"]
    assert tool("hkl", "a.mtz", *words, folder=tmp_path)[0] == 0
    rows = expanded(HKL, F)
    wanted = averages(list(rows), rows.values(), 0.005)
    assert pytest.approx(np.array(wanted), rel=1e-8) == curve(tmp_path / "a.stol").T
    unweighted = averages(HKL.tolist(), F, 0.005)
    assert max(abs(a[1] - b[1]) for a, b in zip(wanted, unweighted, strict=True)) > 1.0
    # the same from what the tool makes of it
    assert tool("hkl", "a.mtz", "--out", "a.hkl", folder=tmp_path)[0] == 0
    for name, to in (("b.hkl", "hkl"), ("b.bin", "dump")):
        assert tool("hkl", "a.hkl", "--to", to, "--out", name, folder=tmp_path)[0] == 0
        assert tool("hkl", name, *words, "--cell", *CELL, folder=tmp_path)[0] == 0
        assert pytest.approx(np.array(wanted), rel=1e-8) == curve(tmp_path / "a.stol").T


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x.hkl", "--to", "stol", "--out", "o"], "x.hkl does not say what its cell is; give it with --cell"),
        (["a.mtz", "--to", "stol", "--bin", "0", "--out", "o"], "--bin does not take 0"),
        (["a.mtz", "--to", "stol", "--bin", "nan", "--out", "o"], "--bin does not take nan"),
        (["a.mtz", "--to", "stol", "--bin", "1e-9", "--out", "o"], "too narrow"),
        (["a.mtz", "--bin", "0.1", "--out", "o"], "--bin is for --to stol"),
        (["a.mtz", "--to", "stol"], "give --out NAME"),
        (["x.hkl", "--to", "stol", "--cell", 1, 2, 3, 10, 10, 170, "--out", "o"], "is no unit cell"),
        (["x.hkl", "--to", "stol", "--cell", "inf", 2, 3, 90, 90, 90, "--out", "o"], "not finite"),
        (["zero.hkl", "--to", "stol", "--cell", *CELL, "--out", "o"], "nothing to average"),
    ],
)
def test_stol_that_cannot_be(tmp_path, words, says):
    mtz(tmp_path / "a.mtz", [("FP", "F", F)])
    (tmp_path / "x.hkl").write_text("1 2 3 4\n")
    (tmp_path / "zero.hkl").write_text("0 0 0 4\n1 0 0 0\n")
    status, _, err = tool("hkl", *words, folder=tmp_path)
    assert status == 2 and says in err and err.count("\n") == 1 and not (tmp_path / "o").exists()
