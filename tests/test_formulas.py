"""Each formula of the kernels' headers against an independent one: by definition, by matrices, in long double.

tests/compiled_formulas.py compiles the headers, for every instruction-set level that this processor has.
"""

from itertools import pairwise

import numpy as np
import pytest
from formula_library import AVAILABLE, LONG, compiled, vector


@pytest.fixture(scope="module", params=AVAILABLE)
def formulas(request):
    return compiled(request.param)


# ---- rounding ------------------------------------------------------------------------------------------------------


def test_nearest_index_is_the_ceiling_of_x_less_a_half(formulas):
    x = np.concatenate(
        [np.arange(-9, 9, 0.25), np.linspace(-40.3, 40.3, 999), [1e6 + 0.5, -1e6 - 0.5, 0.49999999999999994]]
    )
    assert np.array_equal(formulas.map("map_nearest", x), np.ceil(x - 0.5))


def test_rint_and_floor(formulas):
    x = np.concatenate([np.arange(-9, 9, 0.25), np.linspace(-40.3, 40.3, 999), [1e6 + 0.5, -1e9 - 0.25]])
    assert np.array_equal(formulas.map("map_rint", x), np.rint(x))
    assert np.array_equal(formulas.map("map_floor", x), np.floor(x))


# ---- elementary functions: the errors that their comments claim ----------------------------------------------------


def test_sincos(formulas):
    x = np.linspace(-3.14, 3.14, 20001)
    sine, cosine = np.empty_like(x), np.empty_like(x)
    formulas("map_sincos", x.size, x, sine, cosine)
    assert np.abs(sine - np.sin(x.astype(LONG))).max() < 1.3e-15
    assert np.abs(cosine - np.cos(x.astype(LONG))).max() < 1.3e-15


def test_exp2(formulas):
    x = np.concatenate([np.linspace(-1000, 10, 30011), np.arange(-50.0, 10.0)])
    assert (np.abs(formulas.map("map_exp2", x) / np.exp2(x.astype(LONG)) - 1)).max() < 1.2e-12
    assert 0 < formulas.map("map_exp2", [-5000.0])[0] < 1e-300


def test_exp(formulas):
    x = np.linspace(-699, 699, 30011)
    assert (np.abs(formulas.map("map_exp", x) / np.exp(x.astype(LONG)) - 1)).max() < 4e-16


def test_log(formulas):
    x = np.concatenate([np.geomspace(1e-307, 1e307, 20011), np.linspace(0.5, 2, 20001), [1.0]])
    exact = np.log(x.astype(LONG))
    assert (np.abs(formulas.map("map_log", x) - exact) <= 2 * np.spacing(np.abs(exact).astype(float))).all()


def test_tan_pi(formulas):
    u = np.linspace(1e-6, 1 - 1e-6, 20011)
    product = (np.pi * u).astype(LONG)  # of the float64 product, as the reference takes it
    error = np.abs(formulas.map("map_tan_pi", u) / np.tan(product) - 1)
    assert (error < 2.5e-13 + 2e-16 / np.abs(np.cos(product))).all()  # its argument's rounding shows at the pole


# ---- the pixel's geometry ------------------------------------------------------------------------------------------


def test_solid_angle(formulas):
    airpath, pixel, close = 0.123, 1e-4, 0.101
    assert formulas("solid_angle", 1 / airpath, pixel**2, close, 0) == pytest.approx(
        pixel**2 / airpath**2 * (close / airpath), rel=1e-14
    )
    assert formulas("solid_angle", 1 / airpath, pixel**2, close, 1) == pytest.approx(1 / airpath**2, rel=1e-14)


def test_solid_angles_of_a_plane_add_up_to_half_a_sphere(formulas):
    """A detector so large that it covers one side."""
    edge, pixel, close = 40.0, 0.2, 1.0
    places = np.arange(-edge + pixel / 2, edge, pixel)
    total = sum(
        formulas("solid_angle", float(1 / np.sqrt(x * x + y * y + close * close)), pixel**2, close, 0)
        for x in places
        for y in places
    )
    # what a square of half-edge R leaves out of 2 pi is 4 asin(...) by elementary geometry
    covered = 4 * np.arctan(edge * edge / (close * np.sqrt(2 * edge**2 + close**2)))
    assert total == pytest.approx(covered, rel=3e-3)


def test_capture_of_all_layers_is_that_of_the_sensor(formulas):
    mu, layer, cosine = 1 / 234e-6, 90e-6, 0.83
    parts = [formulas("capture", i, layer * mu, cosine) for i in range(5)]
    assert sum(parts) == pytest.approx(1 - np.exp(-5 * layer * mu / cosine), rel=1e-13)
    for part, following in pairwise(parts):
        assert following / part == pytest.approx(np.exp(-layer * mu / cosine), rel=1e-13)


def turned(axis, angle):
    """Rodrigues' rotation matrix."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def unit(v):
    return np.asarray(v, float) / np.linalg.norm(v)


def test_polarization_against_the_angle(formulas):
    """With psi from atan2, as the reference has it."""
    numbers = np.random.default_rng(5)
    for _ in range(300):
        axis, incident, diffracted = (unit(numbers.normal(size=3)) for _ in range(3))
        kahn = numbers.uniform(-1, 1)
        b = unit(np.cross(axis, incident))
        e = unit(np.cross(incident, b))
        psi = -np.arctan2(diffracted @ b, diffracted @ e)
        c = incident @ diffracted
        exact = (1 + c * c - kahn * np.cos(2 * psi) * (1 - c * c)) / 2
        assert formulas("polarization", kahn, c, diffracted @ e, diffracted @ b) == pytest.approx(exact, rel=1e-12)


def test_polarization_of_an_axis_along_the_beam(formulas):
    """B and E are zero vectors then; atan2(0, 0) is 0."""
    kahn, c = 0.6, 0.9
    assert formulas("polarization", kahn, c, 0.0, 0.0) == pytest.approx((1 + c * c - kahn * (1 - c * c)) / 2, rel=1e-14)


@pytest.mark.parametrize("dmin", [0.0, 1e-10, 2e-10])
def test_dmin(formulas, dmin):
    for d in (0.99e-10, 1.01e-10, 1.99e-10, 2.01e-10):
        assert formulas("passes_dmin", dmin, unit([1, 2, -3]) / d) == (d > dmin)
    assert formulas("passes_dmin", dmin, vector(0, 0, 0)) == 1


def test_curved_detector(formulas):
    numbers = np.random.default_rng(6)
    for _ in range(50):
        beam, fast = unit(numbers.normal(size=3)), unit(numbers.normal(size=3))
        slow = unit(np.cross(numbers.normal(size=3), fast))
        distance = numbers.uniform(0.05, 0.4)
        position = numbers.uniform(-0.2, 0.2, size=3)
        exact = turned(fast, position[2] / distance) @ turned(slow, position[1] / distance) @ (distance * beam)
        formulas("curve", beam, fast, slow, distance, position)
        assert np.abs(position - exact).max() < 2e-15


# ---- the cell ------------------------------------------------------------------------------------------------------


CELL = np.array([[36.0, 1.0, -2.0], [3.0, 47.0, 5.0], [-6.0, 2.0, 62.0]]) * 1e-10


def test_rotation_about_an_axis(formulas):
    numbers = np.random.default_rng(7)
    for _ in range(50):
        axis, v, angle = unit(numbers.normal(size=3)), numbers.normal(size=3), numbers.uniform(-7, 7)
        out = np.empty(3)
        formulas("rotate_axis", v, axis, angle, out)
        assert np.abs(out - turned(axis, angle) @ v).max() < 2e-15


@pytest.mark.parametrize("phi", [0.0, 0.3, -2.0])
@pytest.mark.parametrize("with_domain", [False, True])
def test_rotation_of_the_cell(formulas, phi, with_domain):
    spindle = unit([1.0, 2.0, -0.5])
    domain = turned(unit([3.0, 1.0, 1.0]), 0.02)
    out = np.empty((3, 3))
    formulas("rotate_cell", CELL, spindle, phi, np.ascontiguousarray(domain) if with_domain else None, out)
    exact = CELL @ turned(spindle, phi).T
    if with_domain:
        exact = exact @ domain.T
    assert np.abs(out - exact).max() < 1e-15 * np.abs(CELL).max()
    if phi == 0.0 and not with_domain:
        assert np.array_equal(out, CELL)


def test_duality_and_volume(formulas):
    volume = formulas("volume", CELL)
    assert volume == pytest.approx(np.linalg.det(CELL), rel=1e-14)
    dual = np.empty((3, 3))
    formulas("dual", CELL, volume, dual)
    assert np.abs(CELL @ dual.T - np.eye(3)).max() < 1e-12
    assert np.abs(dual / np.linalg.inv(CELL).T - 1).max() < 1e-10
    assert formulas("volume", dual) * volume == pytest.approx(1.0, rel=1e-12)
