"""Structure factors by wavelength: anomalous scattering against sums over atoms, and tables of sources."""

import pickle

import numpy as np
import pytest

from nanobragg_py import Beam, Crystal, Detector, Experiment, FieldError, NanoBraggError, Sampling, StructureFactors

gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed")

CELL = gemmi.UnitCell(31, 37, 43, 90, 95, 90)
#: about the K edge of selenium, 12658 eV
EDGE = (0.96e-10, 0.985e-10)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Carbon, sulphur and selenium at random places in P 21, as a PDB file."""
    numbers = np.random.default_rng(3)
    structure = gemmi.Structure()
    structure.cell, structure.spacegroup_hm = CELL, "P 1 21 1"
    chain = gemmi.Chain("A")
    for number in range(12):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "MSE", gemmi.SeqId(str(number + 1))
        for name, element in (("CA", "C"), ("SD", "S"), ("SE", "Se")):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.occ = name, gemmi.Element(element), 0.8
            atom.b_iso = 15.0 + 10 * numbers.random()
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


def by_atoms(path, hkl, wavelength):
    """F from its definition: sum of (f0 + f' + i f'') exp(-B s^2/4) exp(2 pi i h x) over atoms and symmetry."""
    structure = gemmi.read_structure(str(path))
    energy = 12398.419843320025 / (wavelength * 1e10)
    inverse_d2 = structure.cell.calculate_1_d2_array(hkl.astype(np.int32))
    total = np.zeros(len(hkl), complex)
    for cra in structure[0].all():
        atom = cra.atom
        f0 = np.array([atom.element.it92.calculate_sf(stol2=each / 4) for each in inverse_d2])
        fp, fpp = gemmi.cromer_liberman(z=atom.element.atomic_number, energy=energy)
        place = structure.cell.fractionalize(atom.pos)
        for operation in structure.find_spacegroup().operations():
            x = np.array(operation.apply_to_xyz(place.tolist()))
            total += atom.occ * (f0 + fp + 1j * fpp) * np.exp(-atom.b_iso / 4 * inverse_d2 + 2j * np.pi * hkl @ x)
    return np.abs(total)


def lookup(factors, hkl):
    known, F = factors.amplitudes()
    low = known.min(axis=0)
    shape = known.max(axis=0) - low + 1
    return F.reshape(shape)[tuple((hkl - low).T)]


@pytest.mark.parametrize("wavelength", EDGE)
def test_f_prime_and_f_double_prime(model, wavelength):
    made = StructureFactors.from_model(model, 3.0, anomalous=True, wavelengths=wavelength, bulk_solvent=False)
    hkl = np.array([[1, 2, 3], [-1, -2, -3], [5, 1, -2], [-5, -1, 2], [0, 4, 0], [3, -7, 6], [-3, 7, -6], [2, 0, 5]])
    theirs = by_atoms(model, hkl, wavelength)
    assert lookup(made, hkl) == pytest.approx(theirs, rel=2e-3, abs=0.05)
    # mates differ by more than what that leaves open, and equivalents do not
    assert abs(theirs[0] - theirs[1]) > 0.5
    assert lookup(made, np.array([[-1, 2, -3]])) == pytest.approx(theirs[:1], rel=2e-3)


def test_an_edge_changes_them(model):
    hkl = np.array([[1, 2, 3], [5, 1, -2], [3, -7, 6]])
    tables = StructureFactors.from_model(model, 3.0, anomalous=True, wavelengths=EDGE)
    above, below = (lookup(tables.at(wavelength), hkl) for wavelength in EDGE)
    assert np.abs(above - below).max() > 5
    middle = tables.at((EDGE[0] + EDGE[1]) / 2)
    assert lookup(middle, hkl) == pytest.approx((above + below) / 2, rel=1e-12)
    assert tables.amplitudes()[1].shape == (2, len(tables.amplitudes()[0]))


def test_without_anomalous_scattering_mates_are_alike(model):
    made = StructureFactors.from_model(model, 3.0)
    hkl = np.array([[1, 2, 3], [5, 1, -2]])
    assert np.array_equal(lookup(made, hkl), lookup(made, -hkl))


# ---- images ---------------------------------------------------------------------------------------------------------

WAVELENGTHS, WEIGHTS = (0.97e-10, 0.98e-10, 1.0e-10, 1.02e-10), (1.0, 0.3, 2.5, 0.75)


def table(number, default_F=7.0):
    half = 5 if number % 2 else 6  # boxes that differ
    hkl = np.array([[h, k, l] for h in range(-half, 2) for k in range(-8, half) for l in range(-half, 9)])
    return StructureFactors.from_arrays(hkl, 20 + (hkl @ [7, 11, 13 + number]) % (31 + number), default_F)


TABLES = StructureFactors.at_wavelengths([table(n) for n in range(3)], [0.96e-10, 0.99e-10, 1.03e-10])


def still(factors=TABLES, crystal=(), sampling=(), detector=(), **beam):
    return Experiment(
        Crystal.from_cell(40, 45, 50, 80, 95, 100, **{"cells": (5, 6, 7), "missets": (0.1, 0.2, 0.3), **dict(crystal)}),
        Beam(**{"spectrum": (WAVELENGTHS, WEIGHTS), "polarization": 0.4, **beam}),
        Detector.flat(37, 1.3e-3, 0.05, **dict(detector)),
        Sampling(**{"oversample": 1, **dict(sampling)}),
        factors,
    )


KINDS = {
    "plain": {},
    "sub-pixels": {"sampling": {"oversample": 2}},
    "domains": {"crystal": {"mosaic_spread": 0.01, "mosaic_domains": 70}},
    "gauss": {"crystal": {"shape": "gauss", "cells": (20, 20, 20)}},
    "interpolated": {"sampling": {"interpolate": True}},
    "curved": {"detector": {"curved": True}},
    "directions": {"hdivrange": 0.01, "hdivsteps": 3},
    "a list": {
        "spectrum": None,
        "sources": [(None, None, None, *each) for each in zip(WEIGHTS, WAVELENGTHS, strict=True)],
    },
}


def by_hand(experiment):
    total = 0.0
    for wavelength, weight in zip(WAVELENGTHS, WEIGHTS, strict=True):
        beam = experiment.beam.replace(spectrum=None, sources=None, wavelength=wavelength)
        one = experiment.replace(beam=beam, structure_factors=TABLES.at(wavelength))
        total = total + weight * one.render(dtype="float64", threads=1)
    return total / sum(WEIGHTS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_has_its_table(kind):
    experiment = still(**KINDS[kind])
    found = experiment.render(dtype="float64", threads=1)
    np.testing.assert_allclose(found, by_hand(experiment), rtol=1e-12, atol=found.max() * 1e-15)


def test_in_single_precision():
    experiment = still()
    assert np.abs(experiment.render(precision="single") - by_hand(experiment)).max() < 2e-5 * by_hand(experiment).max()


def test_traces_have_the_source_s_table():
    experiment = still(**KINDS["sub-pixels"])
    image = experiment.render(threads=1)
    traced = experiment.trace(20, 31)
    assert traced.pixel["I_pixel_final"] == pytest.approx(image[20, 31], rel=1e-6)
    sources = traced.subpixels[0]["sources"]
    for source, wavelength in zip(sources, WAVELENGTHS, strict=True):
        step = source["steps"][0]
        index = np.array([step["hkl_rounded"]])
        bounds = np.reshape(TABLES.bounds, (3, 2))
        inside = ((index >= bounds[:, 0]) & (index <= bounds[:, 1])).all()
        wanted = lookup(TABLES.at(wavelength), index)[0] if inside else 7.0
        assert step["F_cell"] == pytest.approx(wanted, rel=1e-12)


def test_they_are_values(tmp_path):
    experiment = still()
    assert pickle.loads(pickle.dumps(experiment)) == experiment
    for name in ("e.toml", "e.json"):
        experiment.write(tmp_path / name)
        again = Experiment.read(tmp_path / name)
        assert again == experiment
        assert np.array_equal(again.render(), experiment.render())
    assert experiment != experiment.replace(structure_factors=TABLES.at(1e-10))
    assert "3 tables from 0.96 to 1.03 A" in repr(TABLES)


def test_a_file_states_them(model, tmp_path):
    (tmp_path / "e.toml").write_text(
        f'crystal.lengths = [31, 37, 43]\ncrystal.angles = "90 95 90 deg"\nbeam.wavelength = "0.97 A"\n'
        f'[structure_factors]\nmodel = "{model}"\nd_min = 4.0\nanomalous = true\nwavelengths = ["0.96 A", "12.6 keV"]\n'
    )
    factors = Experiment.read(tmp_path / "e.toml").structure_factors
    assert factors.wavelengths == pytest.approx([0.96e-10, 12398.42 / 12600 * 1e-10])


@pytest.mark.parametrize(("make", "said"), [
    (lambda: still(spectrum=([0.9e-10, 1e-10], [1, 1])), "from 0.96 to 1.03 A, and the beam a wavelength of 0.9 A"),
    (lambda: still(spectrum=None, wavelength=1.1e-10), "from 0.96 to 1.03 A, and the beam a wavelength of 1.1 A"),
    (lambda: TABLES.at(2e-10), "2 A is not among"),
    (lambda: StructureFactors.at_wavelengths([table(1)], [1e-10]), "give two tables or more"),
    (lambda: StructureFactors.at_wavelengths([table(1)], [1e-10, 2e-10]), "1 tables and 2 wavelengths"),
    (lambda: StructureFactors.at_wavelengths([table(1), table(2)], [2e-10, 1e-10]), "number 2: a wavelength of 1 A"),
    (lambda: StructureFactors.at_wavelengths([table(1), table(2, 8.0)], [1e-10, 2e-10]), "one default_F"),
    (lambda: StructureFactors.at_wavelengths([table(1), StructureFactors(default_F=7.0)], [1e-10, 2e-10]), "one table"),
    (lambda: StructureFactors.at_wavelengths([3, 4], [1e-10, 2e-10]), "must each be nanobragg_py.StructureFactors"),
    (lambda: still().vjp(["beam.fluence"]), "have no derivatives"),
    (lambda: still().to_args("somewhere"), "cannot be stated by flags"),
])  # fmt: skip
def test_what_cannot_be(make, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "somewhere").mkdir()
    with pytest.raises(FieldError) as error:
        make()
    assert said in str(error.value)


def test_models_that_are_none(model, tmp_path):
    with pytest.raises(FieldError, match="needs wavelengths"):
        StructureFactors.from_model(model, 4.0, anomalous=True)
    with pytest.raises(FieldError, match="anomalous scattering only"):
        StructureFactors.from_model(model, 4.0, wavelengths=[1e-10])
    with pytest.raises(FieldError, match="number 2"):
        StructureFactors.from_model(model, 4.0, anomalous=True, wavelengths=[1.1e-10, 1e-10])
    with pytest.raises(FieldError, match=r"d_min is 0\.001 Angstrom; a map so fine would need .* GiB, and"):
        StructureFactors.from_model(model, 0.001)
    with pytest.raises(FieldError, match="d_min is 'fine'; it must be a number"):
        StructureFactors.from_model(model, "fine")
    empty = tmp_path / "empty.pdb"
    empty.write_text("CRYST1   31.000   37.000   43.000  90.00  95.00  90.00 P 1 21 1\nEND\n")
    for more in ({}, {"anomalous": True, "wavelengths": 1e-10}):
        with pytest.raises(NanoBraggError, match=r"empty\.pdb has no unit cell, space group or atoms"):
            StructureFactors.from_model(empty, 4.0, **more)
    structure = gemmi.read_structure(str(model))
    for chain in structure[0]:
        del chain[:]
    structure.make_mmcif_document().write_file(str(tmp_path / "bare.cif"))
    with pytest.raises(NanoBraggError, match=r"bare\.cif has no unit cell, space group or atoms"):
        StructureFactors.from_model(tmp_path / "bare.cif", 4.0)
