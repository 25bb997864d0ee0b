"""The crystal: cell, matrix and misset to dual lattices, sizes, oversampling and interpolation."""

import math
from math import cos, pi, radians

import numpy as np
import pytest
from resolving import Ran1, setup, texts

from nanobragg_py.experiment.resolve import resolve_experiment
from nanobragg_py.experiment.resolve.crystal import misset_angles
from nanobragg_py.experiment.resolved import StructureFactors


def lattice(crystal):
    direct = np.array([crystal.a, crystal.b, crystal.c]) * 1e10
    return direct, np.array([crystal.a_star, crystal.b_star, crystal.c_star])


def cell(*constants, **values):
    angles = tuple(radians(angle) for angle in constants[3:])
    return setup(cell_lengths=constants[:3], cell_angles=angles, **values)


@pytest.mark.parametrize(
    "constants",
    [(40, 50, 60, 90, 90, 90), (40, 50, 60, 90, 107, 90), (40, 50, 60, 90, 90, 75), (20, 20, 90, 90, 90, 120)],
)
@pytest.mark.parametrize("misset", [None, (0.2, -0.4, 0.7)])
def test_lattices_are_dual(constants, misset):
    missets = {} if misset is None else {"misset_mode": "angles", "misset": misset}
    crystal = cell(*constants, **missets).crystal
    direct, reciprocal = lattice(crystal)
    assert direct @ reciprocal.T == pytest.approx(np.eye(3), abs=1e-12)
    assert crystal.volume == pytest.approx(np.linalg.det(direct), rel=1e-12)
    assert crystal.lengths == pytest.approx(constants[:3], rel=1e-12)
    assert np.degrees(crystal.angles) == pytest.approx(constants[3:], rel=1e-12)
    assert crystal.reciprocal_lengths == pytest.approx(np.linalg.norm(reciprocal, axis=1), rel=1e-12)


def test_a_triclinic_cell_is_distorted():
    """As by the reference: the lengths are kept, the angles and the duality are not quite."""
    crystal = cell(36, 47, 62, 71, 84, 97).crystal
    direct, reciprocal = lattice(crystal)
    assert crystal.lengths == pytest.approx((36, 47, 62), rel=1e-12)
    assert np.degrees(crystal.angles) == pytest.approx((71.1135, 84.0383, 97.0305), abs=5e-5)
    cosines = [cos(radians(angle)) for angle in (71, 84, 97)]
    true_volume = 36 * 47 * 62 * math.sqrt(1 + 2 * math.prod(cosines) - sum(c * c for c in cosines))
    assert crystal.volume == pytest.approx(true_volume, rel=1e-12)
    assert direct @ reciprocal.T == pytest.approx(np.eye(3) * np.linalg.det(direct) / true_volume, abs=1e-12)


def test_missing_cell_constants():
    crystal = setup(cell_lengths=(45.0, 0.0, 0.0)).crystal
    assert crystal.lengths == pytest.approx((45, 45, 45), rel=1e-14)
    assert np.degrees(crystal.angles) == pytest.approx((90, 90, 90), rel=1e-14)


@pytest.mark.parametrize("angles", [(0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5), (0.3, -1.2, 2.9)])
def test_misset_rotates_about_x_then_y_then_z(angles):
    plain, _ = lattice(cell(40, 50, 60, 90, 100, 90).crystal)
    turned, _ = lattice(cell(40, 50, 60, 90, 100, 90, misset_mode="angles", misset=angles).crystal)
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    assert turned == pytest.approx(plain @ (about_z @ about_y @ about_x).T, abs=1e-12)


@pytest.mark.parametrize("seed", [-1, -7, -12345])
def test_random_misset(seed):
    rotation = np.array(Ran1().random_rotation(90.0, seed)).reshape(3, 3)
    plain, _ = lattice(cell(40, 50, 60, 90, 100, 90).crystal)
    made = cell(40, 50, 60, 90, 100, 90, misset_mode="random", misset_seed=seed)
    turned, _ = lattice(made.crystal)
    assert made.crystal.random_misset
    assert turned == pytest.approx(plain @ rotation.T, abs=1e-10)


def test_misset_angles_at_the_pole():
    assert misset_angles((0.0, 0.5, 0.5, 0.0, 0.5, -0.5, -1.0, 0.0, 0.0))[:2] == (pi, pi / 2)


MATRIX = (-0.01783, 0.00912, 0.01127, 0.01345, 0.02051, -0.00481, -0.01921, 0.00377, -0.01689)


def test_matrix():
    crystal = setup(matrix=MATRIX, user_cell=False, matrix_file="A.mat", wavelength=1.3e-10).crystal
    direct, reciprocal = lattice(crystal)
    # columns are a*, b*, c* in units of 1/wavelength
    assert reciprocal == pytest.approx(np.array(MATRIX).reshape(3, 3).T / 1.3, rel=1e-12)
    assert direct @ reciprocal.T == pytest.approx(np.eye(3), abs=1e-12)


def test_a_left_handed_matrix_has_a_negative_volume():
    swapped = tuple(np.array(MATRIX).reshape(3, 3)[:, [1, 0, 2]].ravel())
    right = setup(matrix=MATRIX, user_cell=False, matrix_file="A.mat").crystal
    left = setup(matrix=swapped, user_cell=False, matrix_file="A.mat").crystal
    assert left.volume == pytest.approx(-right.volume)
    assert left.a == pytest.approx(right.b)


def test_matrix_gives_directions_and_cell_gives_lengths():
    both = setup(matrix=MATRIX, matrix_file="A.mat", cell_lengths=(45.0, 46.0, 44.0))
    alone = setup(matrix=MATRIX, matrix_file="A.mat", user_cell=False)
    assert both.crystal.lengths == pytest.approx((45, 46, 44), rel=1e-12)
    for name in "abc":
        one, other = (np.array(getattr(made.crystal, name)) for made in (both, alone))
        assert one / np.linalg.norm(one) == pytest.approx(other / np.linalg.norm(other), abs=1e-14)
    assert both.matrix_file == "A.mat"


def test_a_missing_matrix_leaves_the_cell():
    made = setup(matrix_file="absent.mat")
    assert made.crystal.lengths == pytest.approx((100, 100, 100))
    assert made.matrix_file is None
    assert "absent.mat" in made.remarks[0]


@pytest.mark.parametrize("angles", [(30, 30, 90), (170, 170, 170), (120.05, 60, 60)])
def test_an_impossible_cell_is_reported_with_its_sines(angles):
    made = cell(50, 50, 50, *angles)
    reported = [(place, [line.split(" = ")[0] for line in lines]) for place, _, lines in made.warnings if lines]
    labels = ["sin(alpha_star)", "cos(alpha_star)", "sin(beta_star) ", "cos(beta_star) ", "sin(gamma_star)"]
    # one label is misspelt in the reference
    assert reported[0] == ("cell", [*labels, "cos9gamma_star)"])
    assert all(line.count(".") == 1 for _, _, lines in made.warnings for line in lines)


@pytest.mark.parametrize("angles", [(90, 90, 90), (119.9, 60, 60)])
def test_a_possible_cell_is_not(angles):
    assert not cell(50, 50, 50, *angles).warnings


def test_crystal_size():
    crystal = setup(cell_lengths=(40.0, 50.0, 60.0), Na=3.0, Nb=0.0, sample_z=31e-9).crystal
    assert crystal.cells == (3.0, 1.0, 6.0)
    assert crystal.size == pytest.approx((12e-9, 5e-9, 36e-9))
    # 1.2 g/cm^3 of a 120 nm^3 cell
    assert crystal.molecular_weight == pytest.approx(120e-27 * 1.2e6 * 6.02214179e23, rel=1e-12)


@pytest.mark.parametrize("given", [-1, 0, 1, 4])
def test_oversampling(given):
    # three times 50 nm over a reciprocal pixel of 1e-10 * 0.1 / 1e-4 m
    made = setup(Na=5.0, oversample=given, cell_lengths=(100.0, 90.0, 80.0))
    recommended = math.ceil(3 * 50e-9 / 1e-7)
    assert made.sampling.recommended_oversample == recommended == 2
    assert made.sampling.oversample == (given if given > 0 else recommended)
    assert made.sampling.auto_oversample is (given <= 0)
    assert len(texts(made, "sampling")) == (given == 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"Na": 3.0, "Nb": 3.0, "Nc": 3.0}, False),
        ({"Na": 3.0, "Nb": 2.0, "Nc": 3.0}, True),
        ({"sample_x": 1e-6, "sample_y": 1e-6, "sample_z": 1e-6}, True),
        ({"interpolate": 0}, False),
        ({"Na": 9.0, "Nb": 9.0, "Nc": 9.0, "interpolate": 1}, True),
    ],
)
def test_interpolation(given, expected):
    made = setup(**given)
    assert made.sampling.interpolate is expected
    assert made.auto_interpolation is ("interpolate" not in given)
    table = StructureFactors(count=5)
    assert resolve_experiment(made, Ran1(), table).sampling.interpolate is expected
    assert resolve_experiment(made, Ran1(), StructureFactors()).sampling.interpolate is False
