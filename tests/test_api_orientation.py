"""Rotations: misset angles there and back, U and B, and that random ones are uniform."""

from math import pi

import numpy as np
import pytest

from nanobragg_py import (
    Crystal,
    Experiment,
    FieldError,
    StructureFactors,
    axis_rotation,
    b_matrix,
    cell_of,
    missets_to_rotation,
    random_rotations,
    rotation_to_missets,
    split_UB,
)


def turn(axis, angle):
    """A rotation about a coordinate axis, written out."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    made = np.eye(3)
    made[i, i] = made[j, j] = c
    made[i, j], made[j, i] = -s, s
    return made


def test_missets_turn_about_x_then_y_then_z():
    made = missets_to_rotation((0.1, 0.2, 0.3))
    assert np.allclose(made, turn("z", 0.3) @ turn("y", 0.2) @ turn("x", 0.1), atol=1e-15)


@pytest.mark.parametrize("about_y", [0.3, pi / 2, -pi / 2, pi / 2 - 1e-9, -pi / 2 + 1e-7, 2.0])
def test_missets_there_and_back(about_y):
    """Also where two of the angles do the same."""
    for about_x, about_z in ((0.0, 0.0), (0.4, -2.0), (pi, 1.0), (-3.0, 3.0)):
        rotation = missets_to_rotation((about_x, about_y, about_z))
        assert np.allclose(missets_to_rotation(rotation_to_missets(rotation)), rotation, atol=2e-15)


def test_missets_of_random_rotations():
    for rotation in random_rotations(200, seed=5):
        assert np.allclose(missets_to_rotation(rotation_to_missets(rotation)), rotation, atol=1e-14)


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (np.ones((3, 3)), "orthogonal"),
        (np.eye(4), "3 x 3"),
        (np.diag([1, 1, -1.0]), "reflection"),
        (2 * np.eye(3), "unit vectors"),
    ],
)
def test_what_is_no_rotation(matrix, says):
    with pytest.raises(FieldError, match=says):
        rotation_to_missets(matrix)


def test_axis_rotation():
    assert np.allclose(axis_rotation((0, 0, 5), 0.3), turn("z", 0.3), atol=1e-15)
    assert np.allclose(axis_rotation((-1, 0, 0), 0.3), turn("x", -0.3), atol=1e-15)


def test_random_rotations_are_proper_and_split():
    made = random_rotations(50, seed=11)
    assert made.shape == (50, 3, 3)
    assert np.allclose(made @ made.transpose(0, 2, 1), np.eye(3), atol=1e-14)
    assert np.allclose(np.linalg.det(made), 1.0)
    parts = [random_rotations(20, 11), random_rotations(29, 11, start=20), random_rotations(1, 11, start=49)]
    assert np.array_equal(np.concatenate(parts), made)
    assert not np.allclose(random_rotations(1, seed=12), made[0])


def test_random_rotations_do_not_change_from_release_to_release():
    wanted = [
        [0.11016370643141005, -0.9393952664470662, -0.324654418054244],
        [-0.3781388558244683, -0.3416922086649694, 0.8603821478002767],
        [-0.9191708021369348, 0.027981563832294665, -0.3928639313864828],
    ]
    assert np.allclose(random_rotations(1, seed=1)[0], wanted, atol=1e-14)


def test_random_rotations_are_uniform():
    """Of uniform rotations, every vector's image is uniform on the sphere, and the angle has density (1 - cos) / pi."""
    count = 20000
    made = random_rotations(count, seed=2)
    for axis in range(3):
        for component in range(3):
            image = made[:, component, axis]
            # uniform between -1 and 1: compare the sorted sample with it (Kolmogorov-Smirnov, five in ten thousand)
            apart = np.abs((np.sort(image) + 1) / 2 - (np.arange(count) + 0.5) / count).max()
            assert apart < 2.0 / np.sqrt(count)
    angle = np.sort(np.arccos(np.clip((np.trace(made, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert np.abs((angle - np.sin(angle)) / pi - (np.arange(count) + 0.5) / count).max() < 2.0 / np.sqrt(count)


@pytest.mark.parametrize("arguments", [(-1, 0), (1, -1), (1, 2**64), (1, 0, -1)])
def test_bad_random_rotations(arguments):
    with pytest.raises(FieldError, match="count and start"):
        random_rotations(*arguments)


CELL = (50.0, 60.0, 70.0, 80.0, 95.0, 104.0)


def test_B_is_the_reciprocal_cell():
    """Its metric is the inverse of the cell's; a* lies along x and b* in the x-y plane."""
    B = b_matrix(*CELL)
    a, b, c = CELL[:3]
    ca, cb, cg = np.cos(np.radians(CELL[3:]))
    metric = np.array(
        [[a * a, a * b * cg, a * c * cb], [a * b * cg, b * b, b * c * ca], [a * c * cb, b * c * ca, c * c]]
    )
    assert np.allclose(B.T @ B @ metric, np.eye(3), atol=1e-13)
    assert B[1, 0] == B[2, 0] == B[2, 1] == 0.0
    assert (np.diag(B) > 0).all()
    assert cell_of(B) == pytest.approx(CELL)


def test_B_of_a_right_angled_cell_is_the_programs():
    made = Experiment(Crystal.from_cell(50, 60, 70), structure_factors=StructureFactors(default_F=1)).resolved.crystal
    assert np.allclose(b_matrix(50, 60, 70), np.transpose([made.a_star, made.b_star, made.c_star]), atol=1e-16)


def test_U_and_B_of_a_matrix():
    U = random_rotations(1, seed=4)[0]
    found, B = split_UB(U @ b_matrix(*CELL))
    assert np.allclose(found, U, atol=1e-13) and np.allclose(B, b_matrix(*CELL), atol=1e-15)


def test_what_is_no_cell():
    with pytest.raises(FieldError, match="cell 10 10 10 10 10 90 is no unit cell"):
        b_matrix(10, 10, 10, 10, 10, 90)
    with pytest.raises(FieldError, match="right-handed"):
        split_UB(-np.eye(3))
