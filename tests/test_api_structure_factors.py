"""Structure factors from arrays, from files of other programs (written here by gemmi), and from models."""

import numpy as np
import pytest

from nanobragg_py import FieldError, NanoBraggError, StructureFactors
from nanobragg_py.experiment import reflections as sf

gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed")

CELL = gemmi.UnitCell(31.0, 37.0, 43.0, 90.0, 101.0, 90.0)
CELLS = {
    "P 1 21 1": CELL,
    "P 21 21 21": gemmi.UnitCell(31, 37, 43, 90, 90, 90),
    "P 31 2 1": gemmi.UnitCell(40, 40, 57, 90, 90, 120),
    "C 1 2 1": CELL,
    "I 2 3": gemmi.UnitCell(50, 50, 50, 90, 90, 90),
}


def lookup(factors):
    """A dict from index to amplitude."""
    hkl, F = factors.amplitudes()
    return dict(zip(map(tuple, hkl.tolist()), F.tolist(), strict=True))


def asymmetric_unit(symbol, d_min=5.0):
    """Indices of the asymmetric unit that are not absent, with an amplitude each."""
    group = gemmi.SpaceGroup(symbol)
    hkl = gemmi.make_miller_array(CELLS[symbol], group, d_min)
    return hkl, np.random.default_rng(1).uniform(1.0, 100.0, len(hkl)).astype(np.float32)


def mtz_file(path, symbol, columns):
    """An MTZ file; columns: (label, type, values) besides H K L."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(symbol)
    mtz.set_cell_for_all(CELLS[symbol])
    mtz.add_dataset("d")
    for label, kind, _ in columns:
        mtz.add_column(label, kind)
    hkl = asymmetric_unit(symbol)[0]
    mtz.set_data(np.column_stack([hkl, *[values for _, _, values in columns]]).astype(np.float32))
    mtz.write_to_file(str(path))
    return path


def expanded(symbol, hkl, F):
    """The expansion by gemmi's own operations, index by index."""
    found = {}
    operations = gemmi.SpaceGroup(symbol).operations()
    for index, value in zip(hkl.tolist(), F.tolist(), strict=True):
        for operation in operations:
            turned = operation.apply_to_hkl(index)
            found[tuple(turned)] = value
            found[tuple(-x for x in turned)] = value
    return found


# ---- arrays --------------------------------------------------------------------------------------------------------


def test_arrays_fill_the_box():
    made = StructureFactors.from_arrays([[1, -2, 3], [4, 0, 3], [1, -2, 3]], [10, 20, 30], default_F=5.0)
    assert made.bounds == (1, 4, -2, 0, 3, 3)
    found = lookup(made)
    assert found[1, -2, 3] == 30.0 and found[4, 0, 3] == 20.0  # later rows win
    assert {value for index, value in found.items() if index not in ((1, -2, 3), (4, 0, 3))} == {5.0}
    box = np.asarray(made.values)
    assert box.shape == (5, 4, 2) and not box[-1].any() and not box[:, -1].any() and not box[:, :, -1].any()


def test_monoclinic_by_hand():
    """P 21: (h k l) goes to (-h k -l), and with Friedel's law to (-h -k -l) and (h -k l)."""
    made = StructureFactors.from_arrays([[1, 2, 3]], [7.0], space_group="P 1 21 1", friedel=True)
    lit = {index for index, value in lookup(made).items() if value}
    assert lit == {(1, 2, 3), (-1, 2, -3), (-1, -2, -3), (1, -2, 3)}


def test_absences_are_zero_and_not_the_default():
    made = StructureFactors.from_arrays([[0, 2, 0], [1, 3, 1]], [7.0, 8.0], 50.0, space_group="P 1 21 1", friedel=True)
    found = lookup(made)
    assert found[0, 1, 0] == found[0, -3, 0] == 0.0
    assert found[1, 1, 0] == 50.0


def test_without_friedel_mates_stay_apart():
    made = StructureFactors.from_arrays([[1, 2, 3], [-1, -2, -3]], [7.0, 8.0], space_group=4)
    found = lookup(made)
    assert found[-1, 2, -3] == 7.0 and found[1, -2, 3] == 8.0


def test_F000_and_missing_amplitudes():
    made = StructureFactors.from_arrays([[1, 0, 0], [2, 0, 0]], [3.0, np.nan], F000=1000.0)
    assert lookup(made) == {(0, 0, 0): 1000.0, (1, 0, 0): 3.0}


@pytest.mark.parametrize(
    ("hkl", "F", "says"),
    [
        ([1, 2, 3], [1.0], "(N, 3)"),
        ([[1, 2, 3]], [1.0, 2.0], "F has the shape"),
        ([[1, 2, 0.5]], [1.0], "not a whole number"),
        ([[1, 2, 3]], [np.nan], "no row"),
        ([[0, 0, 0], [10**8, 10**8, 10**8]], [1.0, 1.0], "too large"),
    ],
)
def test_bad_arrays(hkl, F, says):
    with pytest.raises(NanoBraggError, match=says.replace("(", r"\(").replace(")", r"\)")):
        StructureFactors.from_arrays(hkl, F)


def test_unknown_space_group():
    with pytest.raises(FieldError, match="space_group is 'P 7'"):
        StructureFactors.from_arrays([[1, 2, 3]], [1.0], space_group="P 7")


# ---- MTZ -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", CELLS)
def test_mtz_is_expanded(symbol, tmp_path):
    hkl, F = asymmetric_unit(symbol)
    path = mtz_file(tmp_path / "a.mtz", symbol, [("FP", "F", F), ("SIGFP", "Q", F / 10)])
    found = lookup(StructureFactors.read(path))
    wanted = expanded(symbol, hkl, F)
    assert {index: value for index, value in found.items() if value} == pytest.approx(wanted)


def test_mtz_expansion_is_gemmis(tmp_path):
    hkl, F = asymmetric_unit("P 31 2 1")
    path = mtz_file(tmp_path / "a.mtz", "P 31 2 1", [("FP", "F", F), ("PHI", "P", F * 0)])
    theirs = gemmi.read_mtz_file(str(path))
    theirs.expand_to_p1()
    found = lookup(StructureFactors.read(path))
    rows = np.array(theirs.array)
    assert len(rows) > 3 * len(hkl)
    for h, k, l, value, _ in rows:
        assert found[h, k, l] == found[-h, -k, -l] == pytest.approx(value)


def test_mtz_label_is_chosen_or_asked_for(tmp_path):
    _, F = asymmetric_unit("P 1 21 1")
    path = mtz_file(tmp_path / "a.mtz", "P 1 21 1", [("one", "F", F), ("two", "F", 2 * F)])
    with pytest.raises(NanoBraggError, match=r"a\.mtz does not say which column.*one, two"):
        StructureFactors.read(path)
    with pytest.raises(NanoBraggError, match=r"no such column as FOBS.*one, two"):
        StructureFactors.read(path, label="FOBS")
    one, two = (StructureFactors.read(path, label=label) for label in ("one", "two"))
    assert np.array_equal(2 * one.amplitudes()[1], two.amplitudes()[1])


def test_mtz_intensities(tmp_path):
    _, F = asymmetric_unit("P 1 21 1")
    intensities = F**2
    intensities[0] = -5.0
    path = mtz_file(tmp_path / "a.mtz", "P 1 21 1", [("IMEAN", "J", intensities)])
    with pytest.raises(NanoBraggError, match=r"a\.mtz has no amplitudes; add --intensities .* its intensities: IMEAN"):
        StructureFactors.read(path)
    found = lookup(StructureFactors.read(path, intensities=True))
    hkl = asymmetric_unit("P 1 21 1")[0]
    assert found[tuple(hkl[5])] == pytest.approx(F[5], rel=1e-6)
    assert found[tuple(hkl[0])] == 0.0


def test_mtz_anomalous_pairs(tmp_path):
    hkl, F = asymmetric_unit("P 1 21 1")
    minus = F + 5
    minus[3] = np.nan
    path = mtz_file(tmp_path / "a.mtz", "P 1 21 1", [("F(+)", "G", F), ("F(-)", "G", minus)])
    found = lookup(StructureFactors.read(path, label="F(+)", anomalous=True))
    h, k, l = next(index for index in hkl.tolist() if all(index) and index != hkl[3].tolist())
    value = dict(zip(map(tuple, hkl.tolist()), F.tolist(), strict=True))[h, k, l]
    assert found[h, k, l] == found[-h, k, -l] == pytest.approx(value)
    assert found[-h, -k, -l] == found[h, -k, l] == pytest.approx(value + 5)
    assert found[tuple(-hkl[3])] == pytest.approx(F[3])  # a mate that was not measured takes the other's


def test_default_F_fills_what_is_not_measured(tmp_path):
    hkl, F = asymmetric_unit("P 1 21 1")
    F[7] = np.nan
    found = lookup(StructureFactors.read(mtz_file(tmp_path / "a.mtz", "P 1 21 1", [("FP", "F", F)]), 12.5))
    assert found[tuple(hkl[7])] == 12.5


# ---- mmCIF, XDS ----------------------------------------------------------------------------------------------------


def mmcif_file(path, hkl, F, item="F_meas_au"):
    rows = "\n".join(f"{h} {k} {l} {value!r}" for (h, k, l), value in zip(hkl.tolist(), F.tolist(), strict=True))
    path.write_text(
        "data_r1xyzsf\n_symmetry.space_group_name_H-M 'P 21 21 21'\n_cell.length_a 31\n_cell.length_b 37\n"
        "_cell.length_c 43\n_cell.angle_alpha 90\n_cell.angle_beta 90\n_cell.angle_gamma 90\n"
        f"loop_\n_refln.index_h\n_refln.index_k\n_refln.index_l\n_refln.{item}\n{rows}\n"
    )
    return path


def test_mmcif(tmp_path):
    hkl, F = asymmetric_unit("P 21 21 21")
    found = lookup(StructureFactors.read(mmcif_file(tmp_path / "1xyz-sf.cif", hkl, F)))
    assert {i: v for i, v in found.items() if v} == pytest.approx(expanded("P 21 21 21", hkl, F))
    squares = mmcif_file(tmp_path / "i-sf.cif", hkl, F**2, "intensity_meas")
    assert lookup(StructureFactors.read(squares, intensities=True)) == pytest.approx(found, rel=1e-5)


def test_mmcif_without_reflections(tmp_path):
    (tmp_path / "a.cif").write_text("data_x\n_cell.length_a 31\n")
    with pytest.raises(NanoBraggError, match=r"a\.cif has no reflections"):
        StructureFactors.read(tmp_path / "a.cif")


def xds_file(path, rows):
    lines = [f"{h:6d}{k:6d}{l:6d} {i:.4E} {s:.4E} 100.0 200.0 0.5 0.1 90 90 30.0" for h, k, l, i, s in rows]
    header = """!FORMAT=XDS_ASCII    MERGE=FALSE    FRIEDEL'S_LAW=TRUE
!OUTPUT_FILE=XDS_ASCII.HKL        DATE= 1-Jan-2020
!Generated by CORRECT
!SPACE_GROUP_NUMBER=    4
!UNIT_CELL_CONSTANTS=    31.000    37.000    43.000  90.000 101.000  90.000
!X-RAY_WAVELENGTH=  1.000000
!NUMBER_OF_ITEMS_IN_EACH_DATA_RECORD=12
!ITEM_H=1
!ITEM_K=2
!ITEM_L=3
!ITEM_IOBS=4
!ITEM_SIGMA(IOBS)=5
!ITEM_XD=6
!ITEM_YD=7
!ITEM_ZD=8
!ITEM_RLP=9
!ITEM_PEAK=10
!ITEM_CORR=11
!ITEM_PSI=12
!END_OF_HEADER
"""
    path.write_text(header + "\n".join(lines) + "\n!END_OF_DATA\n")
    return path


def test_xds_is_merged_and_expanded(tmp_path):
    rows = [
        (1, 2, 3, 100.0, 1.0),
        (-1, 2, -3, 400.0, 2.0),  # its equivalent, of a quarter of the weight
        (1, -2, 3, 900.0, -1.0),  # a misfit
        (2, 0, 1, -5.0, 1.0),
    ]
    path = xds_file(tmp_path / "XDS_ASCII.HKL", rows)
    found = lookup(StructureFactors.read(path, F000=99.0))
    merged = np.sqrt((100.0 + 400.0 / 4) / 1.25)
    lit = {index: value for index, value in found.items() if value}
    wanted = dict.fromkeys([(1, 2, 3), (-1, 2, -3), (-1, -2, -3), (1, -2, 3)], merged)
    assert lit == pytest.approx({**wanted, (0, 0, 0): 99.0})
    assert found[2, 0, 1] == 0.0


def test_xds_anomalous(tmp_path):
    rows = [(1, 2, 3, 100.0, 1.0), (-1, -2, -3, 400.0, 1.0), (3, 1, 1, 25.0, 1.0)]
    found = lookup(StructureFactors.read(xds_file(tmp_path / "a.HKL", rows), anomalous=True))
    assert found[1, 2, 3] == found[-1, 2, -3] == pytest.approx(10.0)
    assert found[-1, -2, -3] == found[1, -2, 3] == pytest.approx(20.0)
    assert found[-3, -1, -1] == found[3, 1, 1] == pytest.approx(5.0)  # the mate that was not measured


# ---- the program's own files ---------------------------------------------------------------------------------------


def test_text_and_dump_are_told_apart(tmp_path):
    from nanobragg_py.files.hkl import write_dump

    (tmp_path / "a.hkl").write_text("1 2 3 10\n-1 0 2 5.5\n")
    text = StructureFactors.read(tmp_path / "a.hkl", 2.0)
    write_dump(tmp_path / "a.bin", text)
    dump = StructureFactors.read(tmp_path / "a.bin", 2.0)
    assert sf.kind_of(str(tmp_path / "a.bin")) == "dump"
    assert text == dump and lookup(text)[1, 2, 3] == 10.0
    with pytest.raises(NanoBraggError, match=r"label has no meaning for .*a\.hkl"):
        StructureFactors.read(tmp_path / "a.hkl", label="FP")


@pytest.mark.parametrize("content", [b"MTZ nothing of the kind", b"data_x\nloop_\n", b"!FORMAT=XDS_ASCII\nnothing\n"])
def test_broken_files_are_named(content, tmp_path):
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(NanoBraggError, match="broken"):
        StructureFactors.read(tmp_path / "broken")
    with pytest.raises(NanoBraggError, match="absent"):
        StructureFactors.read(tmp_path / "absent")


# ---- models --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Twenty residues of atoms at random places in P 21, as a PDB file."""
    numbers = np.random.default_rng(0)
    structure = gemmi.Structure()
    structure.cell = CELL
    structure.spacegroup_hm = "P 1 21 1"
    chain = gemmi.Chain("A")
    for number in range(20):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "ALA", gemmi.SeqId(str(number + 1))
        for name in ("N", "CA", "C", "O"):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.b_iso, atom.occ = name, gemmi.Element(name[0]), 20.0, 1.0
            atom.pos = gemmi.Position(*(numbers.random(3) * (25, 30, 40)))
            residue.add_atom(atom)
        chain.add_residue(residue)
    made = gemmi.Model(1)
    made.add_chain(chain)
    structure.add_model(made)
    structure.setup_entities()
    path = tmp_path_factory.mktemp("model") / "model.pdb"
    structure.write_pdb(str(path))
    return path


def test_model_agrees_with_direct_summation(model):
    made = StructureFactors.from_model(model, 3.0, bulk_solvent=False, F000=True)
    structure = gemmi.read_structure(str(model))
    direct = gemmi.StructureFactorCalculatorX(structure.cell)
    hkl, F = made.amplitudes()
    lit = np.flatnonzero(F > 0)
    chosen = np.random.default_rng(2).choice(lit, 200, replace=False)
    theirs = np.array([abs(direct.calculate_sf_from_model(structure[0], hkl[i].tolist())) for i in chosen])
    assert np.abs(F[chosen] - theirs).sum() < 1e-3 * theirs.sum()
    spacing = structure.cell.calculate_1_d2_array(hkl[lit])
    assert 3.0 <= 1 / np.sqrt(spacing.max()) < 3.05
    at_zero = abs(direct.calculate_sf_from_model(structure[0], [0, 0, 0]))
    assert lookup(made)[0, 0, 0] == pytest.approx(at_zero, rel=1e-3)


def test_bulk_solvent_is_a_flat_mask(model):
    """F^2 is quadratic in its density, and the mask alone falls off with its B factor."""

    def squares(density, B=46.0):
        return StructureFactors.from_model(model, 3.0, solvent_density=density, solvent_B=B).amplitudes()[1] ** 2

    hkl, bare = StructureFactors.from_model(model, 3.0, bulk_solvent=False).amplitudes()
    zero, one, two, three = (squares(0.35 * n) for n in range(4))
    assert zero == pytest.approx(bare**2, rel=1e-5)
    assert np.abs(three - 3 * two + 3 * one - zero).max() < 1e-4 * three.max()
    mask, sharp_mask = squares(1e5), squares(1e5, B=0.0)
    strong = sharp_mask > 1e-4 * sharp_mask.max()
    fall = np.exp(-46.0 / 2.0 * CELL.calculate_1_d2_array(hkl[strong]))
    assert mask[strong] == pytest.approx(sharp_mask[strong] * fall, rel=1e-2)
    low = CELL.calculate_1_d2_array(hkl) < 1 / 64.0
    assert np.abs(np.sqrt(one) - np.sqrt(zero))[low].sum() > 0.2 * np.sqrt(zero)[low].sum()


def test_model_as_mmcif(model, tmp_path):
    gemmi.read_structure(str(model)).make_mmcif_document().write_file(str(tmp_path / "model.cif"))
    theirs = StructureFactors.from_model(tmp_path / "model.cif", 4.0)
    ours = StructureFactors.from_model(model, 4.0)
    assert theirs.amplitudes()[1] == pytest.approx(ours.amplitudes()[1], rel=1e-4, abs=1e-2)


def test_model_without_a_crystal(tmp_path):
    (tmp_path / "nmr.pdb").write_text(
        "ATOM      1  N   ALA A   1      11.000  12.000  13.000  1.00 20.00           N\nEND\n"
    )
    with pytest.raises(NanoBraggError, match=r"nmr\.pdb has no unit cell"):
        StructureFactors.from_model(tmp_path / "nmr.pdb", 3.0)
