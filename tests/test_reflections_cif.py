"""Structure factors from CIF and from XDS."""

import gzip
from functools import partial

import numpy as np
import pytest
from reflections import CELL, HKL, SIGMA, F, expanded, gemmi, mtz, run_hkl

from nanobragg_py import NanoBraggError, StructureFactors


@pytest.fixture
def told(tmp_path):
    return partial(run_hkl, tmp_path)


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
