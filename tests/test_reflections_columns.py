"""Columns of MTZ, CIF and XDS files: what is taken for what, what is merged, and what gemmi reads in the same files."""

import gzip
import shutil
from functools import partial

import numpy as np
import pytest
from reflections import HKL, SIGMA, F, expanded, gemmi, mtz, run_hkl


@pytest.fixture
def told(tmp_path):
    return partial(run_hkl, tmp_path)


# ---- MTZ -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [(), ("FOBS",), ("FOBS", "SIGFOBS"), ("FREE",)])
def test_indices_stand_anywhere(tmp_path, told, first):
    columns = [("FOBS", "F", F), ("SIGFOBS", "Q", SIGMA), ("FREE", "I", F * 0)]
    mtz(tmp_path / "a.mtz", columns, first=first)
    status, rows, err = told("a.mtz")
    assert status == 0 and "amplitudes from column FOBS (type F)" in err
    assert {i: v for i, v in rows.items() if v} == expanded(HKL, F)


def test_numbers_that_stand_for_none(tmp_path, told):
    values = F.copy()
    values[5] = values[9] = -999.0
    mtz(tmp_path / "a.mtz", [("F", "F", values)], valm=-999.0)
    status, rows, err = told("a.mtz")
    assert status == 0 and "2 rows without a number are left out" in err
    kept = values > 0
    assert {i: v for i, v in rows.items() if v} == expanded(HKL[kept], F[kept])


@pytest.mark.parametrize(
    ("kind", "labels"), [("G", ("F(+)", "F(-)")), ("G", ("Fplus", "Fminus")), ("K", ("I(+)", "I(-)"))]
)
def test_pairs(tmp_path, told, kind, labels):
    general = np.all(HKL != 0, axis=1)
    hkl, plus = HKL[general], F[general]
    minus = plus + np.float32(3)
    squared = kind == "K"
    columns = [(label, kind, v**2 if squared else v) for label, v in zip(labels, (plus, minus), strict=True)]
    mtz(tmp_path / "a.mtz", columns, hkl)
    more = ["--intensities"] if squared else []
    for words in ([], ["--label", labels[0]], ["--label", labels[1]]):
        status, rows, err = told("a.mtz", "--anomalous", *more, *words)
        assert status == 0 and f"from {labels[0]} and {labels[1]}" in err
        assert {i: v for i, v in rows.items() if v} == pytest.approx(expanded(hkl, plus, minus), rel=1e-6)
    assert f"--anomalous takes its mates from {labels[1]}" in told("a.mtz", *more, "--label", labels[0])[2]
    status, rows, err = told("a.mtz", *more)
    mean = np.sqrt((plus**2 + minus**2) / 2) if squared else (plus + minus) / 2
    assert "--anomalous keeps them apart" in err
    assert {i: v for i, v in rows.items() if v} == pytest.approx(expanded(hkl, mean), rel=1e-5)


def test_mean_and_difference(tmp_path, told):
    general = np.all(HKL != 0, axis=1)
    hkl, mean = HKL[general], F[general]
    difference = np.float32(np.linspace(-5, 5, len(mean)))
    difference[4] = np.nan
    columns = [("FP", "F", mean), ("SIGFP", "Q", mean / 10), ("DANO", "D", difference), ("SIGDANO", "Q", mean / 10)]
    mtz(tmp_path / "a.mtz", columns, hkl)
    status, rows, err = told("a.mtz", "--anomalous")
    half = np.nan_to_num(difference).astype(float) / 2
    assert status == 0 and "amplitudes from FP and half the difference DANO" in err
    wanted = expanded(hkl, mean + half, mean - half)
    assert {i: v for i, v in rows.items() if v} == pytest.approx(wanted)
    status, _, err = told("a.mtz", "--label", "DANO")
    assert status == 2 and "holds anomalous differences" in err and "add --anomalous" in err


@pytest.mark.parametrize(
    ("columns", "words", "says"),
    [
        ([("IMEAN", "J")], [], "has no amplitudes; add --intensities to make them from its intensities: IMEAN"),
        ([("IMEAN", "J")], ["--label", "IMEAN"], "holds intensities (type J); add --intensities"),
        ([("IMEAN", "J")], ["--label", "I"], "no such column as I; those of this type are: none (add --intensities"),
        ([("FP", "F")], ["--intensities"], "has no intensities; leave out --intensities for its amplitudes: FP"),
        ([("FP", "F")], ["--label", "FP", "--intensities"], "holds amplitudes (type F); leave out --intensities"),
        ([("FP", "F"), ("PHI", "P")], ["--label", "PHI"], "column PHI of a.mtz holds phases (type P)"),
        ([("FP", "F"), ("E", "E")], ["--label", "E"], "holds normalised amplitudes"),
        ([("FP", "F")], ["--anomalous"], "name a column that ends in (+), or leave out --anomalous"),
        ([("a", "F"), ("b", "F")], [], "does not say which column to use; give label, one of: a, b"),
    ],
)
def test_columns_that_are_something_else(tmp_path, told, columns, words, says):
    mtz(tmp_path / "a.mtz", [(label, kind, F) for label, kind in columns])
    status, _, err = told("a.mtz", *words)
    assert status == 2 and says in err and err.count("\n") == 1


@pytest.mark.parametrize("kind", ["R", "D"])
def test_amplitudes_in_columns_of_other_types(tmp_path, told, kind):
    mtz(tmp_path / "a.mtz", [("FC", kind, F), ("PHIC", "P", F * 0)])
    status, rows, err = told("a.mtz", "--label", "FC")
    assert status == 0 and f"(type {kind})" in err and {i: v for i, v in rows.items() if v} == expanded(HKL, F)


def test_repeated_rows_are_merged(tmp_path, told):
    hkl, values, sigma = np.concatenate([HKL, HKL[:3]]), np.append(F, F[:3] + 10), np.append(SIGMA, 2 * SIGMA[:3])
    mtz(tmp_path / "a.mtz", [("FP", "F", values), ("SIGFP", "Q", sigma)], hkl)
    status, rows, err = told("a.mtz")
    assert status == 0 and f"{len(hkl)} rows, {len(HKL)} of them unique" in err and "1/sigma^2" in err
    for index, single in zip(HKL[:3].tolist(), F[:3].tolist(), strict=True):
        assert rows[tuple(index)] == pytest.approx((single + (single + 10) / 4) / 1.25, rel=1e-6)
    for index, single in zip(HKL[3:].tolist(), F[3:].tolist(), strict=True):
        assert rows[tuple(index)] == single


def unmerged(tmp_path, name="u.mtz", headers=True, asu=True):
    """Observations of every equivalent, with noise: an unmerged MTZ as gemmi writes it, and the observations."""
    numbers = np.random.default_rng(3)
    hkl = np.concatenate([HKL[:, :] * sign for sign in ((1, 1, 1), (-1, -1, 1), (-1, -1, -1), (1, -1, -1), (1, -1, 1))])
    intensity = np.tile(F**2, 5) + numbers.normal(0, 20, len(hkl))
    sigma = numbers.uniform(5, 30, len(hkl))
    columns = [
        ("M/ISYM", "Y", hkl[:, 0] * 0),
        ("BATCH", "B", hkl[:, 0] * 0 + 1),
        ("I", "J", intensity),
        ("SIGI", "Q", sigma),
    ]
    mtz(tmp_path / name, columns, hkl, batches=3)
    data = gemmi.read_mtz_file(str(tmp_path / name))
    data.switch_to_original_hkl()  # gemmi goes from there only
    assert not asu or data.switch_to_asu_hkl()
    if not headers:
        data.batches = type(data.batches)()
    data.write_to_file(str(tmp_path / name))
    return tmp_path / name


@pytest.mark.parametrize("headers", [True, False])
def test_unmerged_mtz_is_gemmis_mean(tmp_path, told, headers):
    unmerged(tmp_path, headers=headers)
    assert told("u.mtz")[0] == 2 and "add --intensities" in told("u.mtz")[2]
    status, rows, err = told("u.mtz", "--intensities")
    assert status == 0 and "1/sigma^2" in err and "not merged yet" in err
    theirs = gemmi.Intensities()
    theirs.import_mtz(gemmi.read_mtz_file(str(unmerged(tmp_path))), gemmi.DataType.Unmerged)
    theirs.merge_in_place(gemmi.DataType.Mean)
    assert len(theirs.miller_array) == len(HKL)
    for index, value in zip(theirs.miller_array.tolist(), theirs.value_array.tolist(), strict=True):
        assert rows[tuple(index)] == pytest.approx(max(value, 0) ** 0.5, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("asu", [True, False])
def test_unmerged_mtz_with_mates_apart(tmp_path, told, asu):
    path = unmerged(tmp_path, asu=asu)
    status, rows, _ = told("u.mtz", "--intensities", "--anomalous")
    assert status == 0
    theirs = gemmi.Intensities()
    theirs.import_mtz(gemmi.read_mtz_file(str(path)), gemmi.DataType.Unmerged)
    theirs.merge_in_place(gemmi.DataType.Anomalous)
    seen = 0
    for index, sign, value in zip(theirs.miller_array, theirs.isign_array, theirs.value_array, strict=True):
        mate = tuple((index if sign >= 0 else -index).tolist())
        assert rows[mate] == pytest.approx(max(value, 0) ** 0.5, rel=1e-5, abs=1e-3)
        seen += sign < 0
    assert seen > 50


def test_gzip_of_binary_files(tmp_path, told):
    mtz(tmp_path / "a.mtz", [("FP", "F", F)])
    with open(tmp_path / "a.mtz", "rb") as plain, gzip.open(tmp_path / "b.mtz.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    assert told("a.mtz")[1] == told("b.mtz.gz")[1] == told("a.mtz")[1] != {}
