"""Columns of MTZ, CIF and XDS files: what is taken for what, what is merged, and what gemmi reads in the same files."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from images import tool

from nanobragg_py import NanoBraggError, StructureFactors

gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed")

REAL = np.loadtxt(Path(__file__).parent.parent / "golden" / "inputs" / "cro_1orc_2A.hkl")
CELL = (34.77, 39.17, 48.31, 90.0, 90.0, 90.0)
GROUP = gemmi.SpaceGroup("P 21 21 21")


def asymmetric_unit(d_min=4.0):
    """Indices of the asymmetric unit and real amplitudes."""
    hkl = gemmi.make_miller_array(gemmi.UnitCell(*CELL), GROUP, d_min)
    real = {tuple(map(int, row[:3])): row[3] for row in REAL}
    there = [index for index in map(tuple, hkl.tolist()) if index in real]
    return np.array(there), np.float32([real[index] for index in there])


HKL, F = asymmetric_unit()
SIGMA = np.float32(F / 10 + 1)


def mtz(path, columns, hkl=HKL, batches=0, first=(), valm=None):
    """An MTZ file. columns: (label, type, values); first: those of them that stand before H K L."""
    data = gemmi.Mtz()
    data.spacegroup = GROUP
    data.add_dataset("HKL_base")
    ordered = [column for column in columns if column[0] in first]
    ordered += [(axis, "H", hkl[:, i]) for i, axis in enumerate("HKL")]
    ordered += [column for column in columns if column[0] not in first]
    for label, kind, _ in ordered:
        data.add_column(label, kind)
    data.set_cell_for_all(gemmi.UnitCell(*CELL))
    for number in range(batches):
        batch = gemmi.Mtz.Batch()
        batch.number = number + 1
        data.batches.append(batch)
    if valm is not None:
        data.valm = valm
    data.set_data(np.column_stack([values for _, _, values in ordered]).astype(np.float32))
    data.write_to_file(str(path))
    return path


def lookup(factors):
    hkl, values = factors.amplitudes()
    return dict(zip(map(tuple, hkl.tolist()), values.tolist(), strict=True))


def expanded(hkl, plus, minus=None):
    """{index: F} by gemmi's own operations, index by index."""
    found = {}
    for index, value, mate in zip(hkl.tolist(), plus, plus if minus is None else minus, strict=True):
        for operation in GROUP.operations():
            turned = operation.apply_to_hkl(index)
            found[tuple(-x for x in turned)] = float(mate)
            found.setdefault(tuple(turned), float(value))
    for index, value in zip(hkl.tolist(), plus, strict=True):
        for operation in GROUP.operations():
            found[tuple(operation.apply_to_hkl(index))] = float(value)
    return found


def lit(factors):
    return {index: value for index, value in lookup(factors).items() if value}


@pytest.fixture
def told(tmp_path):
    """Run the tool on a file of the folder: (status, {index: F}, standard error)."""

    def run(name, *words):
        status, _, err = tool("hkl", name, *words, "--out", "o.hkl", folder=tmp_path)
        text = (tmp_path / "o.hkl").read_text() if status == 0 else ""
        rows = {tuple(map(int, line.split()[:3])): float(line.split()[3]) for line in text.splitlines()}
        return status, rows, err

    return run


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


# ---- CIF -----------------------------------------------------------------------------------------------------------

HEADER = "".join(
    f"_cell.{name} {value}\n"
    for name, value in zip(
        ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"), CELL, strict=True
    )
)
SYMBOL = "_symmetry.space_group_name_H-M 'P 21 21 21'\n"


def cif(path, items, prefix="_refln.", header=HEADER + SYMBOL, hkl=HKL, block="r1orcsf"):
    """items: {name: values}."""
    rows = "\n".join(" ".join(map(str, row)) for row in zip(*hkl.T.tolist(), *items.values(), strict=True))
    names = "".join(f"{prefix}{name}\n" for name in ("index_h", "index_k", "index_l", *items))
    text = f"data_{block}\n{header}loop_\n{names}{rows}\n"
    path.write_text(text)
    return text


@pytest.mark.parametrize("name", ["r1orcsf.ent", "1orc-sf.cif", "data.txt", "r1orcsf.ent.gz"])
def test_cif_under_every_name(tmp_path, told, name):
    text = "# comes first\n" + cif(tmp_path / name, {"F_meas_au": F, "F_meas_sigma_au": SIGMA, "phase_calc": F})
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode("utf-8-sig"))
    status, rows, err = told(name)
    assert status == 0 and "amplitudes from item F_meas_au" in err
    block = gemmi.as_refln_blocks(gemmi.cif.read_string(text))[0]
    theirs = block.make_float_array("F_meas_au")
    for index, value in zip(block.make_miller_array().tolist(), theirs.tolist(), strict=True):
        assert rows[tuple(index)] == rows[tuple(-x for x in index)] == value


@pytest.mark.parametrize("what", ["I", "F"])
def test_pairs_of_cif(tmp_path, told, what):
    general = np.all(HKL != 0, axis=1)
    hkl, plus = HKL[general], F[general].astype(float)
    minus = plus + 2.5
    values = {"F": (plus, minus), "I": (plus**2, minus**2)}[what]
    items = {}
    for sign, numbers in zip(("plus", "minus"), values, strict=True):
        items[f"pdbx_{what}_{sign}"] = list(numbers)
        items[f"pdbx_{what}_{sign}_sigma"] = [1.0] * len(hkl)
    items[f"pdbx_{what}_minus"][3] = items[f"pdbx_{what}_plus"][6] = "?"
    cif(tmp_path / "a.cif", items, hkl=hkl)
    more = ["--intensities"] if what == "I" else []
    minus[3], plus[6] = plus[3], minus[6]
    for words in ([], ["--label", f"pdbx_{what}_plus"], ["--label", f"pdbx_{what}_minus"]):
        status, rows, err = told("a.cif", "--anomalous", *more, *words)
        assert status == 0, err
        assert {i: v for i, v in rows.items() if v} == pytest.approx(expanded(hkl, plus, minus))
    if what == "I":
        status, _, err = told("a.cif", "--anomalous")
        assert status == 2 and "add --intensities" in err


def test_difference_of_cif(tmp_path, told):
    general = np.all(HKL != 0, axis=1)
    hkl, mean = HKL[general], F[general].astype(float)
    cif(tmp_path / "a.cif", {"F_meas_au": mean, "pdbx_anom_difference": mean * 0 + 4}, hkl=hkl)
    status, rows, err = told("a.cif", "--anomalous")
    assert status == 0 and "half the difference" in err
    assert {i: v for i, v in rows.items() if v} == pytest.approx(expanded(hkl, mean + 2, mean - 2))


@pytest.mark.parametrize(
    ("item", "words", "says"),
    [
        ("intensity_meas", [], "has no amplitudes; add --intensities"),
        (
            "intensity_meas",
            ["--label", "intensity_meas"],
            "intensity_meas of a.cif holds intensities; add --intensities",
        ),
        ("F_squared_meas", ["--label", "F_squared_meas"], "holds intensities; add --intensities"),
        ("F_meas_au", ["--label", "phase_calc"], "phase_calc of a.cif holds phases"),
        ("F_meas_au", ["--label", "F_meas_sigma_au"], "holds standard deviations"),
        ("F_meas_au", ["--label", "status"], "status of a.cif has no numbers"),
        ("F_meas_au", ["--label", "index_h"], "holds indices"),
        ("F_meas_au", ["--label", "nothing"], "has no such column as nothing; those of this type are: F_meas_au"),
        ("F_meas_au", ["--intensities"], "leave out --intensities for its amplitudes: F_meas_au"),
        ("F_meas_au", ["--anomalous"], "has no mates of F_meas_au; name an item with plus, or leave out --anomalous"),
        ("F_meas_au", ["--block", "other"], "no block other with reflections"),
    ],
)
def test_items_that_are_something_else(tmp_path, told, item, words, says):
    cif(tmp_path / "a.cif", {"status": ["o"] * len(F), item: F, "F_meas_sigma_au": SIGMA, "phase_calc": F})
    status, _, err = told("a.cif", *words)
    assert status == 2 and says in err and err.count("\n") == 1


def test_unmerged_cif(tmp_path, told):
    hkl = np.concatenate([HKL, HKL * (-1, -1, 1), HKL * (1, -1, -1)])
    values, sigma = np.tile(F**2, 3) * np.repeat((0.9, 1.0, 1.3), len(F)), np.repeat((1.0, 2.0, 4.0), len(F))
    items = {"intensity_net": values, "intensity_sigma": sigma}
    cif(tmp_path / "a.cif", items, "_diffrn_refln.", hkl=hkl)
    status, rows, err = told("a.cif", "--intensities")
    assert status == 0 and f"{len(hkl)} rows, {len(HKL)} of them unique" in err
    apart = told("a.cif", "--intensities", "--anomalous")[1]
    factor = ((0.9 + 1.0 / 4 + 1.3 / 16) / (1 + 1 / 4 + 1 / 16)) ** 0.5
    assert {i: v for i, v in rows.items() if v} == pytest.approx(expanded(HKL, F * factor), rel=1e-5)
    # rows of h k l and -h -k l on one side, those of h -k -l, which is their equivalent, too: no mates were observed
    assert apart == pytest.approx({index: F for index, F in rows.items() if F})
    index = next(index for index in HKL.tolist() if all(index))
    cif(tmp_path / "b.cif", {"intensity_net": [100, 400]}, "_diffrn_refln.", hkl=np.array([index, [-x for x in index]]))
    apart = told("b.cif", "--intensities", "--anomalous")[1]
    assert (apart[tuple(index)], apart[tuple(-x for x in index)]) == (10.0, 20.0)


CORE = (
    "".join(f"_{line[1:]}\n" for line in HEADER.replace("_cell.", "_cell_").splitlines()),
    "loop_\n_space_group_symop_operation_xyz\n'x,y,z'\n'-x+1/2,-y,z+1/2'\n'x+1/2,-y+1/2,-z'\n'-x,y+1/2,-z+1/2'\n",
    "_symmetry_space_group_name_H-M 'P 21 21 21'\n",
)


@pytest.mark.parametrize("symmetry", [1, 2])
def test_core_cif(tmp_path, told, symmetry):
    items = {"F_squared_calc": F, "F_squared_meas": F.astype(float) ** 2, "F_squared_sigma": SIGMA}
    items["observed_status"] = ["o"] * len(F)
    cif(tmp_path / "a.fcf", items, "_refln_", CORE[0] + CORE[symmetry])
    status, rows, err = told("a.fcf", "--intensities")
    assert status == 0 and "left out: F_squared_calc" in err
    assert {i: v for i, v in rows.items() if v} == pytest.approx(expanded(HKL, F), rel=1e-6)
    cif(tmp_path / "a.fcf", {"F_meas": F, "F_calc": F, "A_calc": F}, "_refln_", CORE[0] + CORE[symmetry])
    assert {i: v for i, v in told("a.fcf")[1].items() if v} == pytest.approx(expanded(HKL, F), rel=1e-6)


@pytest.mark.parametrize("word", ["1.5", "?", "-", "1e9", "1000000", "x", "99999999999999999999"])
def test_indices_that_are_none_are_named(tmp_path, told, word):
    text = cif(tmp_path / "a.cif", {"F_meas_au": F})
    lines = text.splitlines()
    at = lines.index("_refln.F_meas_au") + 3
    lines[at] = " ".join([word, *lines[at].split()[1:]])
    (tmp_path / "a.cif").write_text("\n".join(lines))
    status, _, err = told("a.cif")
    assert status == 2 and "a.cif, reflection 3: " in err and "no Miller indices" in err and err.count("\n") == 1


def test_several_blocks(tmp_path, told):
    first = cif(tmp_path / "a.cif", {"F_meas_au": F}, block="one")
    second = cif(tmp_path / "a.cif", {"F_meas_au": 2 * F}, block="two")
    (tmp_path / "a.cif").write_text(first + second)
    status, one, err = told("a.cif")
    assert status == 0 and "block one; --block takes others that have reflections: two" in err
    assert told("a.cif", "--block", "two")[1] == {index: 2 * value for index, value in one.items()}


# ---- XDS -----------------------------------------------------------------------------------------------------------


def xds(path, first, rows, group=19, columns=13):
    cell = " ".join(f"{x:9.3f}" for x in CELL)
    names = ["H", "K", "L", "IOBS", "SIGMA(IOBS)", "XD", "YD", "ZD", "RLP", "PEAK", "CORR", "MAXC", "PSI"][:columns]
    items = "".join(f"!ITEM_{name}={number}\n" for number, name in enumerate(names, 1))
    text = f"{first}\n!SPACE_GROUP_NUMBER= {group}\n!UNIT_CELL_CONSTANTS= {cell}\n!X-RAY_WAVELENGTH= 1.0\n"
    text += f"!NUMBER_OF_ITEMS_IN_EACH_DATA_RECORD={columns}\n{items}!END_OF_HEADER\n"
    rest = [1.0, 2.0, 3.0, 0.5, 100, 30, 10, 1.0][: columns - 5]
    lines = (" ".join(map(str, [*row, *rest])) for row in rows)
    path.write_text(text + "\n".join(lines) + "\n!END_OF_DATA\n")


OBSERVED = [
    (*index, *pair)
    for sign in (1, -1)
    for index, pair in zip(
        (HKL * sign).tolist(), zip(F.astype(float) ** 2, SIGMA.astype(float), strict=True), strict=True
    )
]


@pytest.mark.parametrize(
    ("name", "first", "columns"),
    [
        ("XDS_ASCII.HKL", "!FORMAT=XDS_ASCII    MERGE=FALSE    FRIEDEL'S_LAW=FALSE", 13),
        ("merged.HKL", "!FORMAT=XDS_ASCII    MERGE=TRUE    FRIEDEL'S_LAW=TRUE", 5),
        ("other.name", "!FORMAT=XDS_ASCII    MERGE=FALSE    FRIEDEL'S_LAW=TRUE", 13),
    ],
)
def test_xds_ascii(tmp_path, told, name, first, columns):
    rows = OBSERVED if columns == 13 else OBSERVED[: len(HKL)]
    xds(tmp_path / name, first, [*rows, (*HKL[0].tolist(), 1e6, -5.0)], columns=columns)
    status, found, err = told(name)
    assert status == 0 and "1 misfits (negative sigma) are left out" in err
    assert ("1/sigma^2" in err) == (columns == 13)
    assert {i: v for i, v in found.items() if v} == pytest.approx(expanded(HKL, F), rel=1e-6)
    theirs = gemmi.read_xds_ascii(str(tmp_path / name))
    assert len(theirs.miller_array) == len(rows) + 1
    status, _, err = told(name, "--label", "IOBS")
    assert status == 2 and "label has no meaning" in err


def integrate(path, rows):
    cell = " ".join(f"{x:9.3f}" for x in CELL)
    names = "H,K,L,IOBS,SIGMA,XCAL,YCAL,ZCAL,RLP,PEAK,CORR,MAXC,XOBS,YOBS,ZOBS,ALF0,BET0,ALF1,BET1,PSI,ISEG"
    text = "!OUTPUT_FILE=INTEGRATE.HKL    DATE= 1-Jan-2020\n!Generated by INTEGRATE    (VERSION Jan 1, 2020)\n"
    text += f"!SPACE_GROUP_NUMBER= 19\n!UNIT_CELL_CONSTANTS= {cell}\n!X-RAY_WAVELENGTH= 1.0\n"
    text += "!NUMBER_OF_ITEMS_IN_EACH_DATA_RECORD=21\n" + f"!{names}\n!END_OF_HEADER\n"
    rest = " ".join(map(str, [100.0, 100.0, 1.5, 0.5, 100, 30, 50, 100.0, 100.0, 1.5, 0, 0, 0, 0, 10.0, 1]))
    path.write_text(text + "".join(f"{' '.join(map(str, row))} {rest}\n" for row in rows) + "!END_OF_DATA\n")


def test_integrate(tmp_path, told):
    integrate(tmp_path / "INTEGRATE.HKL", OBSERVED)
    status, found, err = told("INTEGRATE.HKL")
    assert status == 0 and "not scaled" in err
    assert {i: v for i, v in found.items() if v} == pytest.approx(expanded(HKL, F), rel=1e-6)


def test_the_library_warns_of_what_it_merged(tmp_path):
    mtz(tmp_path / "a.mtz", [("FP", "F", np.append(F, 1))], np.concatenate([HKL, HKL[:1]]))
    with pytest.warns(UserWarning, match="plain means, as there are no sigmas"):
        StructureFactors.read(tmp_path / "a.mtz")
    with pytest.raises(NanoBraggError, match="block has no meaning"):
        StructureFactors.read(tmp_path / "a.mtz", block="x")


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
