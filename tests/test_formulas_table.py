"""Structure factors: look-up, interpolation, and indices that lead nowhere."""

import ctypes
import math
from itertools import product

import numpy as np
import pytest
from formula_library import AVAILABLE, compiled, vector


@pytest.fixture(scope="module", params=AVAILABLE)
def formulas(request):
    return compiled(request.param)


# ---- structure factors ---------------------------------------------------------------------------------------------

BOUNDS = vector(-3, 4, -2, 2, 1, 9)
SHAPE = (9, 6, 10)  # each axis one longer than its range
DEFAULT_F = 7.5


@pytest.fixture(scope="module")
def padded():
    """A table with its pad in front, made by the package, of amplitudes that tell their index."""
    from nanobragg_py.experiment.resolved import StructureFactors
    from nanobragg_py.files.hkl import kernel_table

    values = np.zeros(SHAPE)
    h, k, l = np.meshgrid(np.arange(-3, 5), np.arange(-2, 3), np.arange(1, 10), indexing="ij")
    values[:-1, :-1, :-1] = amplitude(h, k, l)
    factors = StructureFactors(bounds=tuple(int(x) for x in BOUNDS), values=values, count=h.size, default_F=DEFAULT_F)
    return np.array(kernel_table(factors))


def amplitude(h, k, l):
    return 1000.0 + 100 * h + 10 * k + l


def test_table_element_inside_and_outside(formulas, padded):
    flat = padded.ravel()
    far = (-1e9, -100.0, -5.0, -4.0, -3.0, 0.0, 4.0, 5.0, 6.0, 100.0, 1e9)
    for h in far:
        for k in (-1e9, -4.0, -3.0, -2.0, 2.0, 3.0, 77.0):
            for l in (-50.0, -1.0, 0.0, 1.0, 9.0, 10.0, 11.0, 1e7):
                at = formulas("box_element", BOUNDS, h, k, l)
                inside = -3 <= h <= 4 and -2 <= k <= 2 and 1 <= l <= 9
                if inside:
                    assert flat[at] == amplitude(h, k, l)
                else:
                    # before the first element lies the pad, which np.array does not see
                    assert at < flat.size
                    assert at < 0 or flat[at] == DEFAULT_F


def test_nothing_outside_is_read_from_the_table_in_an_image(padded):
    """The pad in front of the table, where an array cannot look: an image whose every index lies outside the table."""
    from nanobragg_py.experiment.load import load_args
    from nanobragg_py.render.simulate import simulate

    line = (
        "-cell 50 50 50 90 90 90 -N 3 -oversample 1 -detpixels 20 -pixel 3 -distance 50 -default_F 7.5 -nointerpolate"
    )
    loaded = load_args(line.split())
    plain = np.array(simulate(loaded.experiment)[0])
    from nanobragg_py.experiment.resolved import StructureFactors
    from nanobragg_py.files.hkl import kernel_table

    for bounds in ((90, 91, 90, 91, 90, 91), (-91, -90, 90, 91, -91, -90), (-90, -90, -90, -90, -90, -90)):
        shape = tuple(bounds[2 * i + 1] - bounds[2 * i] + 2 for i in range(3))
        factors = StructureFactors(bounds=bounds, values=np.full(shape, 1e9), count=1, default_F=7.5)
        experiment = loaded.experiment.replace(structure_factors=factors)
        image = np.array(simulate(experiment, kernel_table(factors))[0])
        assert np.allclose(image, plain, rtol=1e-6, atol=0)


@pytest.mark.parametrize("flags", ["", "-N 30", "-round_xtal", "-mosaic 2 -mosaic_domains 5", "-oversample 2"])
def test_an_image_does_not_depend_on_how_far_the_table_goes(flags):
    """Where a row of pixels cannot leave the table, indices are not clamped; the others of one table are clamped, and
    none of the other's, which has the same values and default_F around them."""
    from nanobragg_py.experiment.load import load_args
    from nanobragg_py.experiment.resolved import StructureFactors
    from nanobragg_py.files.hkl import kernel_table
    from nanobragg_py.render.simulate import simulate

    line = "-cell 50 60 70 80 95 110 -misset 10 20 30 -N 3 -oversample 1 -detpixels_x 640 -detpixels_y 40 -pixel 0.2 "
    line += f"-distance 40 -default_F 7.5 -nointerpolate {flags}"
    experiment = load_args(line.split()).experiment
    values = np.random.default_rng(3).uniform(1.0, 100.0, (14, 21, 25))
    images = []
    for margin in (0, 60):
        bounds = (-12 - margin, 1 + margin, -10 - margin, 10 + margin, -12 - margin, 12 + margin)
        table = np.full([n + 2 * margin + 1 for n in values.shape], 7.5)
        table[tuple(slice(margin, margin + n) for n in values.shape)] = values
        factors = StructureFactors(bounds=bounds, values=table, count=values.size, default_F=7.5)
        rendered = simulate(experiment.replace(structure_factors=factors), kernel_table(factors))[0]
        images.append(np.array(rendered))
    assert len(np.unique(images[0])) > 1000
    assert np.array_equal(*images)


def test_where_interpolation_is_safe(formulas):
    """h - 2 >= hmin and h - hmin + 3 <= range, with the fractional index."""
    inside = (0.5, 0.0, 4.5)
    for axis, (low, high) in enumerate(((-3, 4), (-2, 2), (1, 9))):
        for x in np.arange(low - 1, high + 1, 0.25):
            place = [float(v) for v in inside]
            place[axis] = float(x)
            expected = x - 2 >= low and x - low + 3 <= high - low + 1
            assert bool(formulas("box_safe", BOUNDS, *place)) == expected


def test_cubic_weights_are_lagranges(formulas):
    t = np.linspace(0, 1, 101)
    found = np.empty((t.size, 4))
    formulas("map_weights", t.size, t, found)
    nodes = (-1, 0, 1, 2)
    for at, node in enumerate(nodes):
        exact = np.prod([(t - other) / (node - other) for other in nodes if other != node], axis=0)
        assert np.abs(found[:, at] - exact).max() < 1e-15


def test_interpolation_of_a_cubic_polynomial_is_exact(formulas):
    bounds = vector(-4, 5, -3, 6, 0, 8)
    h, k, l = np.meshgrid(np.arange(-4, 7), np.arange(-3, 8), np.arange(0, 10), indexing="ij")

    def polynomial(x, y, z):
        return 3 + x - 2 * y + z + x * y * z + 0.5 * x**3 - 0.25 * y**3 * z + 0.125 * z**3 - x**2 * y**2

    table = np.ascontiguousarray(polynomial(h, k, l), float)
    numbers = np.random.default_rng(8)
    for _ in range(100):
        place = [float(numbers.uniform(low + 2, high - 2)) for low, high in ((-4, 5), (-3, 6), (0, 8))]
        assert formulas("box_interpolate", bounds, table, *place) == pytest.approx(
            polynomial(*place), rel=1e-12, abs=1e-11
        )


ABSURD = (math.nan, -math.nan, math.inf, -math.inf, 1e308, -1e308, 2.0**53, -(2.0**63), 2.0**31, -0.5, 0.0, 3.0, 1e-310)


@pytest.mark.parametrize("bounds", [(-3, 4, -2, 2, 0, 5), (0, 0, 0, 0, 0, 0), (-9, -7, 100, 103, -1, 1)])
def test_no_index_leads_out_of_the_table(formulas, bounds):
    """Not even one that is no number: the table is followed by nothing, and what lies before it is known."""
    extents = [high - low + 2 for low, high in zip(bounds[::2], bounds[1::2], strict=True)]
    pad = extents[1] * extents[2] + extents[2] + 1
    h, k, l = (np.ascontiguousarray(x) for x in np.array(list(product(ABSURD, repeat=3))).T)
    element = np.empty(h.size, np.int32)
    for function in ("map_box_element", "map_box_corner"):
        formulas(function, h.size, vector(*bounds), h, k, l, element.ctypes.data_as(ctypes.c_void_p))
        assert -pad <= element.min() and element.max() < math.prod(extents)
    corners = element[element >= 0]  # the last is a neighbourhood of 4 x 4 x 4
    assert (corners + 3 * (extents[1] * extents[2] + extents[2] + 1) < math.prod(extents)).all()
    for place in product((math.nan, math.inf, -1e308), repeat=3):
        assert not formulas("box_safe", vector(*bounds), *place)
