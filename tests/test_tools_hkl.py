"""`nanobragg-py hkl`; the reading is tested in test_api_structure_factors.py."""

import shlex

import gemmi
import numpy as np
import pytest
from images import tool

from nanobragg_py.experiment.structure_factors import amplitudes
from nanobragg_py.files.hkl import read_dump, read_hkl
from nanobragg_py.inspect.completeness import completeness
from nanobragg_py.orientation import b_matrix

CELL = (30.0, 30.0, 40.0)
#: a detector whose corners reach 4.07 A
DETECTOR = shlex.split("-cell 30 30 40 -distance 100 -detpixels_f 70 -detpixels_s 70 -pixel 0.5 -lambda 1")


@pytest.fixture
def mtz(tmp_path):
    """Amplitudes of space group P 43 21 2 to 3 A, and their squares."""
    data = gemmi.Mtz(with_base=True)
    data.spacegroup = gemmi.SpaceGroup("P 43 21 2")
    data.set_cell_for_all(gemmi.UnitCell(*CELL, 90, 90, 90))
    data.add_dataset("made")
    data.add_column("FP", "F")
    data.add_column("IMEAN", "J")
    hkl = gemmi.make_miller_array(data.cell, data.spacegroup, 3.0)
    F = np.random.default_rng(8).random(len(hkl)) * 100 + 1
    data.set_data(np.column_stack([hkl, F, F**2]).astype(np.float32))
    data.write_to_file(str(tmp_path / "data.mtz"))
    return tmp_path / "data.mtz"


def rows(path):
    return {tuple(map(int, words[:3])): float(words[3]) for words in map(str.split, path.read_text().splitlines())}


def test_mtz_to_text_and_dump(mtz, tmp_path):
    status, out, err = tool("hkl", mtz, "--out", tmp_path / "a.hkl")
    table = rows(tmp_path / "a.hkl")
    assert status == 0 and out.startswith(f"{tmp_path}/a.hkl: {len(table)} structure factors, h -10 to 10")
    assert "amplitudes from column FP (type F)" in err and "left out: IMEAN (intensities)" in err
    assert table[1, 2, 3] == table[2, 1, 3] == table[-1, -2, -3] == table[-2, 1, 3]
    for name, source in (("a.bin", mtz), ("b.bin", tmp_path / "a.hkl")):
        assert tool("hkl", source, "--to", "dump", "--out", tmp_path / name, "--default-F", 2.5)[0] == 0
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()
    dump, text = read_dump(tmp_path / "a.bin"), read_hkl(tmp_path / "a.hkl", 2.5)
    assert dump.bounds == text.bounds
    assert np.array_equal(amplitudes(dump)[1], amplitudes(text)[1])
    assert (amplitudes(dump)[1] == 2.5).any()


def test_intensities(mtz, tmp_path):
    assert tool("hkl", mtz, "--label", "IMEAN", "--intensities", "--out", tmp_path / "i.hkl")[0] == 0
    assert tool("hkl", mtz, "--out", tmp_path / "f.hkl")[0] == 0
    assert rows(tmp_path / "i.hkl") == pytest.approx(rows(tmp_path / "f.hkl"), rel=1e-5)


def test_model(tmp_path):
    structure = gemmi.Structure()
    structure.cell, structure.spacegroup_hm = gemmi.UnitCell(12, 13, 14, 90, 90, 90), "P 1"
    model, chain, residue = gemmi.Model(1), gemmi.Chain("A"), gemmi.Residue()
    residue.name, residue.seqid = "ALA", gemmi.SeqId("1")
    atom = gemmi.Atom()
    atom.name, atom.element, atom.pos, atom.b_iso = "CA", gemmi.Element("C"), gemmi.Position(1, 2, 3), 5.0
    residue.add_atom(atom)
    chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    structure.write_pdb(str(tmp_path / "a.pdb"))
    structure.make_mmcif_document().write_file(str(tmp_path / "a.cif"))
    for name in ("a.pdb", "a.cif"):
        words = ["hkl", tmp_path / name, "--dmin", 3, "--no-solvent", "--F000", 123, "--out", tmp_path / "a.hkl"]
        assert tool(*words)[0] == 0
        table = rows(tmp_path / "a.hkl")
        assert table[0, 0, 0] == 123 and 2 < table[2, 1, 1] < 6
    # the detector says how far, where --dmin does not
    assert (
        tool("hkl", tmp_path / "a.pdb", "--out", tmp_path / "b.hkl", "--", *DETECTOR, "-cell", "12", "13", "14")[0] == 0
    )


def test_complete_for_a_detector(mtz):
    status, out, _ = tool("hkl", mtz, "--", *DETECTOR)
    assert status == 0 and "complete: all" in out and "the detector's corners reach 4.0" in out


def test_incomplete_for_a_detector(mtz, tmp_path):
    closer = [*DETECTOR, "-distance", "60"]
    status, out, _ = tool("hkl", mtz, "--out", tmp_path / "a.hkl", "--", *closer)
    assert status == 1 and "are missing and would have -default_F" in out and (tmp_path / "a.hkl").exists()
    table = rows(tmp_path / "a.hkl")
    first = tuple(int(x) for x in out.splitlines()[-1].partition("coarsest: ")[2].split(", ")[0].split())
    d = 1.0 / np.linalg.norm(np.array(first) / CELL)
    assert first not in table and 2.9 < d <= 3.0
    assert tool("hkl", mtz, "--", *closer, "-dmin", "3.1")[0] == 0


def test_counting():
    B = b_matrix(10, 12, 14, 80, 95, 100)
    grid = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3, indexing="ij"), -1).reshape(-1, 3)
    lengths = np.linalg.norm(grid @ B.T, axis=1)
    wanted = grid[(lengths > 0) & (lengths <= 1 / 3.0)]
    gone = np.array([[1, 0, 0], [2, -1, 1]])
    there = wanted[~(wanted[:, None] == gone).all(axis=2).any(axis=1)]
    found = completeness(there, B, 3.0, (0, 0, 0, 0, 0, 0))
    assert (found.needed, found.present) == (len(wanted), len(wanted) - 2)
    assert found.missing.tolist() == gone.tolist()
    assert np.ptp([shell[2] for shell in found.shells]) < len(wanted) / 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.mtz"], "there is nothing to do"),
        (["none.mtz", "--out", "a.hkl"], "cannot read none.mtz: no such file"),
        (["data.mtz", "--label", "FOO", "--out", "a.hkl"], "has no such column as FOO; those of this type are: FP"),
        (["data.mtz", "--block", "x", "--out", "a.hkl"], "block has no meaning for data.mtz"),
        (["data.mtz", "--dmin", "2", "--out", "a.hkl"], "--dmin is for models"),
        (["text.hkl", "--label", "F", "--out", "a.hkl"], "label has no meaning for text.hkl"),
        (["empty.hkl", "--out", "a.hkl"], "not enough HKL indices"),
        (["model.pdb", "--out", "a.hkl"], "say with --dmin how far"),
        (["model.pdb", "--dmin", "2", "--label", "F", "--out", "a.hkl"], "--label is for reflections"),
        (["model.pdb", "--dmin", "2", "--out", "a.hkl"], "no unit cell, space group or atoms"),
        (["data.mtz", "--out", "none/a.hkl"], "its directory does not exist"),
        (["data.mtz", "--", "-distance", "100"], "there is no crystal"),
    ],
)
def test_bad_input(mtz, tmp_path, words, message):
    (tmp_path / "text.hkl").write_text("1 2 3 4.5\n")
    (tmp_path / "empty.hkl").write_text("nothing\n")
    (tmp_path / "model.pdb").write_text("END\n")
    before = sorted(tmp_path.iterdir())
    status, _, err = tool("hkl", *words, folder=tmp_path)
    assert status == 2 and message in err and err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
