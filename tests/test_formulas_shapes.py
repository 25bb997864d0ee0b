"""The lattice transforms of kernels/formulas against sums, and against high precision."""

import math

import numpy as np
import pytest
from formula_library import AVAILABLE, LONG, compiled, vector

from nanobragg_py.kernels.loops.job import SHAPES, TRANSFORMS

PI = LONG("3.14159265358979323846264338327950288")
#: distances from a lattice point, with the ends and the middle
NEAR = np.unique(np.concatenate([np.linspace(-0.5, 0.5, 4001), [0.0, 0.25, 1 / 3, 1e-9, -1e-9, 1e-17, 0.2, 0.4]]))


@pytest.fixture(scope="module", params=AVAILABLE)
def formulas(request):
    return compiled(request.param)


# ---- lattice transforms --------------------------------------------------------------------------------------------


def grating(h, cells):
    """sin(N pi h)/sin(pi h) in long double, by its limit N (with the sign) at whole h."""
    h = np.asarray(h).astype(LONG)
    near = h - np.rint(h)
    sign = np.where((np.rint(h) % 2 != 0) & (cells % 2 == 0), -1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sin(PI * (cells * near)) / np.sin(PI * near)
    return sign * np.where(near == 0, LONG(cells), ratio)


RECIPROCAL = np.array([[0.02, 0.003, -0.001], [0.0, 0.017, 0.004], [0.001, -0.002, 0.025]])


def crystal(cells, fudge=1.0):
    """The numbers of tests/formulas.c, as the physics of the reference has them."""
    return vector(*cells, fudge, *RECIPROCAL.ravel(), np.prod(cells) ** 2.0, 0.63, 0.3969)


def kind_of(formulas, name):
    number = formulas("kind", name.encode())
    assert TRANSFORMS[number] == name
    return number


def mapped(formulas, function, kind, numbers, h, k, l):
    """A function of a transform over distances from a lattice point, with the constants of its shape."""
    h, k, l = (np.ascontiguousarray(x, float) for x in np.broadcast_arrays(h, k, l))
    out = np.empty_like(h)
    shape = next(shape for shape in SHAPES if kind.startswith(shape)).encode()
    formulas(function, shape, kind_of(formulas, kind), numbers, h.size, h, k, l, out)
    return out


def lattice_sqr(formulas, kind, numbers, h, k, l):
    return mapped(formulas, "map_lattice_sqr", kind, numbers, h, k, l)


SMALL = [
    (n, m, o) for n, m, o in ((1, 1, 1), (2, 1, 3), (3, 2, 1), (4, 6, 5), (5, 4, 2), (6, 6, 6), (2, 2, 2), (5, 5, 5))
]


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("square_555", (5, 5, 5)),
        *(("square_small", cells) for cells in SMALL),
        *(("square_general", cells) for cells in [*SMALL, (7, 20, 100), (100, 1, 2), (8, 9, 11), (1000, 3, 3)]),
    ],
)
def test_square_crystal(formulas, kind, cells):
    numbers = crystal(cells)
    for axis in range(3):
        others = [0.1312, -0.3071, 0.0713]
        place = [NEAR if other == axis else others[other] for other in range(3)]
        exact = math.prod(grating(x, n) for x, n in zip(place, cells, strict=True)) ** 2
        found = lattice_sqr(formulas, kind, numbers, *place)
        top = np.abs(exact).max()
        # an error of the amplitude in proportion to its top: the square is right to more digits near the zeros
        assert (np.abs(found - exact) <= 1e-11 * np.sqrt(exact * top) + 1e-22 * top).all()


@pytest.mark.parametrize(
    ("kind", "cells"), [("square_555", (5, 5, 5)), ("square_small", (4, 3, 6)), ("square_general", (7, 20, 12))]
)
def test_square_crystal_at_a_lattice_point_and_half_way(formulas, kind, cells):
    numbers = crystal(cells)
    assert lattice_sqr(formulas, kind, numbers, 0.0, 0.0, 0.0) == pytest.approx(np.prod(cells) ** 2, rel=1e-11)
    half = [np.sin(n * np.pi / 2) ** 2 if n % 2 else 0.0 for n in cells]
    for at in ((0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, -0.5), (-0.5, 0.5, 0.5)):
        exact = np.prod([half[i] if at[i] else cells[i] ** 2 for i in range(3)])
        assert lattice_sqr(formulas, kind, numbers, *at) == pytest.approx(
            exact, rel=1e-11, abs=1e-12 * np.prod(cells) ** 2
        )


@pytest.mark.parametrize("cells", [1, 2, 3, 4, 5, 6, 7, 20, 100])
def test_amplitude_of_a_grating(formulas, cells):
    h = np.concatenate([NEAR, NEAR + 17, NEAR - 230, [0.0, 0.5, -0.5, 3.5]])
    found = formulas.map("map_grating", h, float(cells))
    # pi h loses digits as h grows; at whole h the quotient of two roundings is taken, as the reference does
    away = np.abs(h - np.rint(h)) > 1e-6
    assert np.abs(found - grating(h, cells))[away].max() < 4e-13 * cells**2 * np.abs(h).max()
    assert formulas.map("map_grating", [0.0], float(cells))[0] == cells


@pytest.mark.parametrize("cells", [(5, 5, 5), (2, 4, 6), (7, 20, 3)])
def test_amplitude_squared_is_the_loops_value(formulas, cells):
    numbers = crystal(cells)
    place = NEAR[(np.abs(NEAR) > 1e-6) & (np.abs(NEAR) < 0.4999)]
    h, k, l = place, place[::-1].copy(), np.roll(place, 77)
    amplitude = mapped(formulas, "map_amplitude", "square_general", numbers, h + 3.0, k - 4.0, l + 1.0)
    found = lattice_sqr(formulas, "square_general", numbers, h, k, l)
    assert np.abs(amplitude**2 - found).max() < 1e-11 * np.prod(cells) ** 2


def sphere(x):
    """3 (sin x/x - cos x)/x^2 in long double; its series where that cancels."""
    x = np.asarray(x).astype(LONG)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = 3 * (np.sin(x) / x - np.cos(x)) / (x * x)
    square = x * x
    series = 1 - square / 10 * (1 - square / 28 * (1 - square / 54 * (1 - square / 88 * (1 - square / 130))))
    return np.where(np.abs(x) < LONG("0.05"), series, value)


@pytest.mark.parametrize("cells", [(1, 1, 1), (5, 5, 5), (3, 8, 20), (60, 2, 9)])
@pytest.mark.parametrize("fudge", [1.0, 0.4, 3.0])
def test_round_crystal(formulas, cells, fudge):
    height = (np.prod(cells) * 0.723601254558268) ** 2
    numbers = crystal(cells, fudge)
    for place in ((NEAR, 0.0, 0.0), (0.02, NEAR, -0.01), (0.0, 0.0, NEAR), (NEAR, NEAR, NEAR / 3)):
        radius = np.sqrt(
            sum(n * n * fudge * np.asarray(x).astype(LONG) ** 2 for n, x in zip(cells, place, strict=True))
        )
        exact = height * sphere(PI * radius) ** 2
        found = lattice_sqr(formulas, "round", numbers, *place)
        assert np.abs(found - exact).max() < 6e-12 * height


def test_sphere(formulas):
    x = np.linspace(0.05, 300, 20011)
    assert np.abs(formulas.map("map_sphere", x) - sphere(x)).max() < 1e-12
    assert formulas.map("map_sphere", [0.0])[0] == 1.0


def squared_lengths(h, k, l):
    place = np.stack(np.broadcast_arrays(h, k, l), axis=-1) @ RECIPROCAL
    return (place**2).sum(axis=-1)


@pytest.mark.parametrize("fudge", [1.0, 0.3])
def test_gaussian_and_top_hat(formulas, fudge):
    volume = 4 * 3 * 2
    numbers = crystal((4, 3, 2), fudge)
    for place in ((NEAR, 0.1, -0.2), (0.3, NEAR, 0.0), (NEAR, -NEAR, NEAR)):
        g = squared_lengths(*place) * volume**2
        exact = (volume * np.exp(-g / 0.63 * fudge)) ** 2
        assert lattice_sqr(formulas, "gauss", numbers, *place) == pytest.approx(exact, rel=3e-12, abs=1e-290)
        clear = np.abs(g * fudge - 0.3969) > 1e-9
        exact = np.where(g * fudge < 0.3969, volume**2, 0)
        assert np.array_equal(lattice_sqr(formulas, "tophat", numbers, *place)[clear], exact[clear])


@pytest.mark.parametrize(
    ("cells", "kind"), [((5, 5, 5), "square_555"), ((1, 6, 5), "square_small"), ((5, 5, 7), "square_general")]
)
def test_the_quickest_transform_is_chosen(formulas, cells, kind):
    assert formulas("chosen", b"square", crystal(cells)) == kind_of(formulas, kind)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_form_of_a_shape_is_the_same_function(formulas, shape):
    """What the loops sum, in double and in float32, is the square of what is shown to people."""
    for cells in ((5, 5, 5), (2, 3, 6), (7, 4, 9)):
        numbers = crystal(cells, 0.3)
        kind = TRANSFORMS[formulas("chosen", shape.encode(), numbers)]
        place = np.random.default_rng(3).uniform(-0.49, 0.49, (3, 5000)) * np.geomspace(0.03, 1, 5000)
        exact = mapped(formulas, "map_amplitude", kind, numbers, *place) ** 2
        top = exact.max()
        assert top > 0.5 * mapped(formulas, "map_amplitude", kind, numbers, 0.0, 0.0, 0.0).item() ** 2
        apart = np.abs(lattice_sqr(formulas, kind, numbers, *place) - exact)
        assert apart.max() < 1e-10 * top
        single = np.abs(mapped(formulas, "map_single_sqr", kind, numbers, *place) - exact)
        assert np.sort(single)[-3] < 1e-5 * top  # less two points that may lie next to the edge of a top hat


@pytest.mark.parametrize("function", ["map_lattice_sqr", "map_single_sqr", "map_amplitude"])
def test_a_number_that_is_no_transform_gives_no_number(formulas, function):
    zero, out = np.zeros(1), np.zeros(1)
    for number in (-1, len(TRANSFORMS)):
        formulas(function, b"square", number, crystal((2, 2, 2)), 1, zero, zero, zero, out)
        assert np.isnan(out[0])
    assert formulas("chosen", b"cube", crystal((2, 2, 2))) == -1
