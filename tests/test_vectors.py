"""Vectors: rotations against matrices, and the reference's treatment of zeros."""

from math import copysign, cos, pi, sin

import numpy as np
import pytest

from nanobragg_py.vectors import (
    DEGREES_PER_RADIAN,
    cross,
    dot,
    length,
    rotate_axis,
    rotate_xyz,
    scale,
    unit,
    with_length,
)

VECTORS = [(1.0, 0.0, 0.0), (0.3, -1.7, 2.2), (-5.0, 0.01, 1e-3)]
ROTATIONS = [(0.3, 0.0, 0.0), (0.0, -1.1, 0.0), (0.0, 0.0, 2.5), (0.4, 0.7, -1.3), (-3.0, 2.0, 1.0)]


def matrix_about(axis, angle):
    """The rotation matrix of Rodrigues' formula."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + sin(angle) * k + (1 - cos(angle)) * (k @ k)


@pytest.mark.parametrize("u", VECTORS)
@pytest.mark.parametrize("v", VECTORS)
def test_products(u, v):
    assert dot(u, v) == pytest.approx(np.dot(u, v), rel=1e-15)
    assert cross(u, v) == pytest.approx(tuple(np.cross(u, v)), rel=1e-15)


@pytest.mark.parametrize("v", VECTORS)
def test_lengths(v):
    assert length(v) == pytest.approx(np.linalg.norm(v), rel=1e-15)
    assert length(unit(v)) == pytest.approx(1.0, rel=1e-15)
    assert cross(unit(v), v) == pytest.approx((0.0, 0.0, 0.0), abs=1e-15)
    assert with_length(v, 7.0) == pytest.approx(scale(unit(v), 7.0), rel=1e-15)


def test_the_zero_vector_has_no_direction():
    assert unit((0.0, 0.0, 0.0)) == (0.0, 0.0, 0.0)
    assert with_length((0.0, 0.0, 0.0), 3.0) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("v", VECTORS)
@pytest.mark.parametrize("angle", [0.0, 0.1, -2.0, pi])
def test_rotation_about_an_axis(v, angle):
    axis = unit((1.0, 2.0, -0.5))
    assert rotate_axis(v, axis, angle) == pytest.approx(tuple(matrix_about(axis, angle) @ v), abs=1e-14)


def test_rotations_are_right_handed():
    quarter = pi / 2
    assert rotate_axis((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), quarter) == pytest.approx((0.0, 1.0, 0.0), abs=1e-15)
    assert rotate_xyz((0.0, 1.0, 0.0), quarter, 0.0, 0.0) == pytest.approx((0.0, 0.0, 1.0), abs=1e-15)
    assert rotate_xyz((0.0, 0.0, 1.0), 0.0, quarter, 0.0) == pytest.approx((1.0, 0.0, 0.0), abs=1e-15)
    assert rotate_xyz((1.0, 0.0, 0.0), 0.0, 0.0, quarter) == pytest.approx((0.0, 1.0, 0.0), abs=1e-15)


@pytest.mark.parametrize("v", VECTORS)
@pytest.mark.parametrize("angles", ROTATIONS)
def test_rotation_about_x_then_y_then_z(v, angles):
    x, y, z = (matrix_about(axis, angle) for axis, angle in zip(np.eye(3), angles, strict=True))
    assert rotate_xyz(v, *angles) == pytest.approx(tuple(z @ y @ x @ v), abs=1e-14)


def test_no_rotation_keeps_the_sign_of_zero():
    assert [copysign(1.0, x) for x in rotate_xyz((0.0, -0.0, -0.0), 0.0, 0.0, 0.0)] == [1.0, -1.0, -1.0]


def test_rotation_about_y_adds_the_zero_product():
    # -0*cos + 0*0 is +0: the printed lines of the reference show which
    assert copysign(1.0, rotate_xyz((-0.0, 1.0, -0.0), 0.0, 0.5, 0.0)[0]) == 1.0


def test_degrees():
    assert pi * DEGREES_PER_RADIAN == 180.0
