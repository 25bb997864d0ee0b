"""Each formula of the kernels' headers against an independent one: by definition, by matrices, in long double.

The headers are compiled here, by the compiler that Python was built with, for every instruction-set level that this
processor has; tests/formulas.c makes arrays of the scalars.
"""

import ctypes
import math
import shlex
import subprocess
import sysconfig
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py import kernels
from nanobragg_py.kernels.loops.job import SHAPES, TRANSFORMS, processor_level
from nanobragg_py.render.backends import LEVELS

KERNELS = Path(kernels.__file__).parent
FLAGS = {"base": [], "v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4"]}
AVAILABLE = LEVELS[: LEVELS.index(processor_level()) + 1]
LONG = np.longdouble
PI = LONG("3.14159265358979323846264338327950288")
DOUBLE = np.finfo(float).eps

#: distances from a lattice point, with the ends and the middle
NEAR = np.unique(np.concatenate([np.linspace(-0.5, 0.5, 4001), [0.0, 0.25, 1 / 3, 1e-9, -1e-9, 1e-17, 0.2, 0.4]]))


class Formulas:
    """The compiled headers; arrays go in and come out as float64."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        for name in ("solid_angle", "capture", "polarization", "volume", "box_interpolate"):
            getattr(self.library, name).restype = ctypes.c_double

    def __call__(self, name, *arguments):
        return getattr(self.library, name)(*(self.converted(value) for value in arguments))

    @staticmethod
    def converted(value):
        if isinstance(value, np.ndarray):
            assert value.dtype == np.float64 and value.flags.c_contiguous
            return value.ctypes.data_as(ctypes.c_void_p)
        if isinstance(value, float):
            return ctypes.c_double(value)
        return value

    def map(self, name, x, *more):
        x = np.ascontiguousarray(x, float)
        out = np.empty_like(x)
        self(name, x.size, x, *more, out)
        return out


@pytest.fixture(scope="module", params=AVAILABLE)
def formulas(request, tmp_path_factory):
    target = tmp_path_factory.mktemp("formulas") / f"{request.param}.so"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    source = Path(__file__).parent / "formulas.c"
    flags = ["-O3", "-fno-math-errno", "-fno-trapping-math", *FLAGS[request.param], "-shared", "-fPIC"]
    flags += [f"-I{KERNELS}/formulas", f"-I{KERNELS}/noise"]
    subprocess.run([*compiler, *flags, str(source), "-o", str(target), "-lm"], check=True)
    return Formulas(target)


def vector(*numbers):
    return np.array(numbers, float)


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
    """The numbers of tests/formulas.c."""
    return vector(*cells, fudge, *RECIPROCAL.ravel())


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
