"""Derivatives of images: against central differences of the float64 image, and the modes against one another."""

import numpy as np
import pytest

from nanobragg_py import Beam, Crystal, Detector, Experiment, Sampling, StructureFactors
from nanobragg_py.gradients.model import scaled_rotations
from nanobragg_py.gradients.parameters import PARAMETERS
from nanobragg_py.gradients.values import with_values
from nanobragg_py.orientation import axis_rotation
from nanobragg_py.render.simulate import simulate
from nanobragg_py.render.tables import kernel_table

SHAPES = {
    "square 5": {"cells": (5, 5, 5)},
    "square small": {"cells": (2, 3, 6)},
    "square": {"cells": (8, 9, 20)},
    "gauss": {"cells": (3, 4, 5), "shape": "gauss", "fudge": 0.4},
    "round": {"cells": (4, 6, 7), "shape": "round"},
}
TABLES = ("constant", "nearest", "tricubic")
FRAME = {
    "convention": "CUSTOM",
    "pivot": "sample",
    "fast": (0.0, 1.0, 0.0),
    "slow": (0.0, 0.0, -1.0),
    "normal": (-1.0, 0.0, 0.0),
    "twotheta_axis": (0.0, 0.6, 0.8),
    "Xbeam": 0.003,
    "Ybeam": 0.002,
}
MASK = (np.arange(120).reshape(10, 12) % 7 > 0).astype(np.uint16)
#: name: fields by dotted names, beside those of `experiment`
SETTINGS = {
    "still": {},
    "rotation": {
        "sampling.phi0": 0.02, "sampling.osc": 0.01, "sampling.phisteps": 3, "crystal.mosaic_spread": 0.01,
        "crystal.mosaic_domains": 4,
    },
    "three spreads": {
        "crystal.mosaic_spreads": (0.02, 0.005, 0.01), "crystal.mosaic_domains": 5, "sampling.phi0": 0.3,
        "sampling.osc": 0.01, "sampling.phisteps": 2,
    },
    "sources": {
        "beam.dispersion": 0.01, "beam.dispersion_steps": 2, "beam.hdivrange": 2e-3, "beam.hdivsteps": 2,
        "beam.vdivrange": 1e-3, "beam.vdivsteps": 2, "beam.polarization": 0.8,
    },
    "sub-pixels": {"sampling.oversample": 2},
    "weighted sub-pixels": {
        "sampling.oversample": 2, "sampling.oversample_omega": True, "sampling.oversample_polar": True,
        "beam.dispersion": 0.01, "beam.dispersion_steps": 2, "beam.polarization": 0.5,
    },
    "layers": {"detector.thickness": 4e-4, "detector.thicksteps": 3, "detector.mu": 3000.0},
    "weighted layers": {
        "detector.thickness": 4e-4, "detector.thicksteps": 2, "detector.mu": 3000.0, "sampling.oversample_thick": True,
        "detector.rotations": (0.1, 0.2, -0.3),
    },
    "polarized": {"beam.polarization": 0.95},
    "unpolarized": {"beam.polarized": False, "detector.point_pixel": True},
    "tilted": {"detector.rotations": (0.1, -0.2, 0.3), "detector.twotheta": 0.2, "beam.polarization": 0.7},
    "close": {"detector.close_distance": 0.05, "detector.rotations": (0.1, -0.2, 0.3), "detector.convention": "XDS"},
    "custom": {
        **{f"detector.{name}": value for name, value in FRAME.items()}, "beam.direction": (-0.99, 0.05, 0.1),
        "beam.polarization_axis": (0.1, 0.2, 0.9), "sampling.spindle": (0.1, 0.9, 0.3), "sampling.phi0": 0.1,
        "beam.polarization": 0.6, "detector.twotheta": 0.1, "beam.hdivrange": 2e-3, "beam.hdivsteps": 2,
    },
    "curved": {"detector.curved": True, "detector.rotations": (0.05, 0.1, -0.1), "beam.polarization": 0.7},
    "mask": {"detector.mask": MASK, "detector.roi": (1, 10, 2, 9)},
    "dmin": {"sampling.dmin": 2.5e-10, "beam.dispersion": 0.05, "beam.dispersion_steps": 3, "sampling.oversample": 2},
    "water": {"sampling.water": 3e-7, "detector.thickness": 4e-4, "detector.thicksteps": 2, "detector.mu": 3000.0},
    "dmin and water": {
        "sampling.dmin": 2.5e-10, "sampling.water": 3e-7, "beam.dispersion": 0.05, "beam.dispersion_steps": 3,
        "beam.polarization": 0.5,
    },
    "weights": {
        "beam.sources": [(-10.0, 0.1 * i, -0.05 * i, 1.0 + i, None) for i in range(3)],
        "beam.polarization": 0.5,
    },
    "spectrum": {
        "beam.spectrum": ((0.99e-10, 1.0e-10, 1.02e-10), (1.0, 3.0, 2.0)), "beam.hdivrange": 2e-3, "beam.hdivsteps": 2,
        "beam.polarization": 0.5,
    },
    "matrix": {"crystal.lengths": None, "crystal.angles": None, "crystal.missets": None},
}  # fmt: skip

#: settings that the reference's physics has not
EXACT = ("spectrum", "three spreads")


def table(kind):
    if kind == "constant":
        return StructureFactors(default_F=100.0)
    random = np.random.default_rng(3)
    span = np.arange(-20, 21)
    hkl = np.stack(np.meshgrid(span, span, span, indexing="ij"), -1).reshape(-1, 3)
    return StructureFactors.from_arrays(hkl, random.uniform(50, 150, len(hkl)), default_F=10.0)


def experiment(shape="square 5", factors="constant", setting="still", physics="exact"):
    fields = dict(SETTINGS[setting])
    if setting == "matrix":
        fields["crystal.matrix"] = np.array([[0.02, 0.003, 0.001], [0.002, 0.019, 0.002], [-0.001, 0.001, 0.021]])
    return Experiment(
        Crystal.from_cell(40.0, 45.0, 52.0, 80.0, 95.0, 103.0, missets=(0.1, 0.2, 0.3), **SHAPES[shape]),
        Beam(wavelength=1e-10, fluence=1e26),
        Detector.flat((12, 10), 1.2e-3, 0.05),
        Sampling(oversample=1, interpolate=factors == "tricubic"),
        table(factors),
        physics,
    ).replace(fields)


# ---- central differences -------------------------------------------------------------------------------------------

#: how far fields are moved for the differences
STEPS = {
    "crystal.rotation": 2e-6, "crystal.missets": 2e-6, "crystal.lengths": 1e-4, "crystal.angles": 2e-6,
    "crystal.matrix": 4e-8, "crystal.cells": 1e-3, "crystal.mosaic_spread": 2e-6, "crystal.scale": 1e-3,
    "crystal.mosaic_spreads": 2e-6, "beam.wavelength": 2e-16,
    "beam.fluence": 1e23, "beam.spectrum": None, "beam.direction": 2e-6, "detector.distance": 1e-7,
    "detector.close_distance": 1e-7,
    "detector.origin": 1e-7, "detector.rotations": 3e-6, "detector.twotheta": 3e-6, "sampling.phi0": 2e-6,
    "sampling.osc": 2e-6, "sampling.water": 1e-9, "structure_factors.default_F": 0.1, "beam.source_weights": 1e-3,
}  # fmt: skip


def resolved_image(e, **parts):
    """The float64 image of what is resolved, with fields of its parts changed."""
    changed = e.resolved
    for part, fields in parts.items():
        changed = changed.replace(**{part: getattr(changed, part).replace(**fields)})
    image = np.zeros(e.shape)
    simulate(changed, kernel_table(e.structure_factors), threads=1, precise=image)
    return image


def moved_image(e, name, number, step):
    """The image when component `number` of a field is moved."""
    part, _, field = name.partition(".")
    value = np.array(PARAMETERS[name].value(e), dtype=float)
    value.reshape(-1)[number] += step
    if name == "crystal.rotation":
        return e.replace(crystal=e.crystal.rotated(axis_rotation(np.eye(3)[number], step))).render(
            dtype="float64", threads=1
        )
    if name == "crystal.cells":
        spots = {"spot_axes": tuple(map(tuple, np.diag(value)))}
        if e.physics == "reference":
            spots = {"spot_scale": float(np.prod(value)) ** 2}
        return resolved_image(e, crystal={"cells": tuple(value), **spots})
    if name == "crystal.mosaic_spread":
        rotations = np.frombuffer(e.resolved.crystal.mosaic_rotations).reshape(-1, 3, 3)
        factor = float(value) / e.resolved.crystal.mosaic_spread
        return resolved_image(
            e, crystal={"mosaic_rotations": np.ascontiguousarray(scaled_rotations(rotations, factor))}
        )
    if name == "detector.origin":
        detector = e.resolved.detector
        close = float(value @ detector.normal)
        distance = close * detector.distance / detector.close_distance
        return resolved_image(e, detector={"origin": tuple(value), "close_distance": close, "distance": distance})
    if name == "structure_factors.default_F":
        factors = StructureFactors(e.structure_factors.bounds, e.structure_factors.values, 0, float(value))
        return e.replace(structure_factors=factors).render(dtype="float64", threads=1)
    if name == "beam.source_weights":
        rows = [(*row[:3], row[3] * share, row[4]) for row, share in zip(e.beam.sources, value.tolist(), strict=True)]
        return e.replace({"beam.sources": rows}).render(dtype="float64", threads=1)
    if name in ("beam.spectrum", "beam.wavelength"):
        return with_values(e, {name: value}).render(dtype="float64", threads=1)
    value = value.tolist() if value.ndim != 2 else value
    value = tuple(value) if isinstance(value, list) else value
    return e.replace({f"{part}.{field}": value}).render(dtype="float64", threads=1)


def central_difference(e, name, number):
    """Of fourth order, and where it counts: where a jump (of the nearest index, of spots' ends) or a kink (of
    interpolation) lies between the images it does not, which a second one of half the step tells."""
    found = []
    largest = STEPS[name]
    if largest is None:  # wavelengths and weights
        largest = 2e-16 if number < 3 else 1e-3
    for step in (largest, largest / 2.0):
        images = [moved_image(e, name, number, times * step) for times in (-2, -1, 1, 2)]
        found.append((8.0 * (images[2] - images[1]) - (images[3] - images[0])) / (12.0 * step))
    smooth = np.abs(found[0] - found[1]) <= 1e-7 * np.abs(found[1]).max()
    assert smooth.mean() > 0.9
    return np.where(smooth, found[1], np.nan)


def applying(e):
    """The names that apply to an experiment, but for the table's."""
    names = [name for name, row in PARAMETERS.items() if not (row.applies and row.applies(e))]
    if "beam.source_weights" in names and e.beam.sources is None:
        names.remove("beam.source_weights")  # they can be stated for a list of sources only
    if e.structure_factors.bounds is not None:
        names.remove("structure_factors.default_F")
        names.remove("structure_factors.F")
    return names


def check(e, names=None):
    """Derivative images against differences, vjp against them, and jvp."""
    names = applying(e) if names is None else names
    images = e.derivative_images(names, threads=1)
    random = np.random.default_rng(5)
    weights = random.normal(size=e.shape)
    image, pullback = e.vjp(names, threads=1)
    assert np.array_equal(image, e.render(dtype="float64", threads=1))
    gradient = pullback(weights)
    for name in names:
        count = int(np.prod(np.shape(gradient[name])))
        assert gradient[name].shape == PARAMETERS[name].shape(e)
        assert images[name].shape == (*gradient[name].shape, *e.shape)
        stack = images[name].reshape(count, *e.shape)
        differences = np.array([central_difference(e, name, number) for number in range(count)])
        largest = np.nanmax(np.abs(differences))
        assert np.nanmax(np.abs(stack - differences)) <= 1e-7 * largest, name
        products = np.tensordot(stack, weights)
        sizes = np.abs(stack * weights).sum(axis=(1, 2)).max()
        assert np.abs(products - gradient[name].reshape(-1)).max() <= 1e-11 * sizes, name
    changes = {name: random.normal(size=gradient[name].shape) * (STEPS[name] or 1e-13) for name in names}
    image, change = e.jvp(changes, threads=1)
    product = sum((changes[name] * gradient[name]).sum() for name in names)
    assert abs((change * weights).sum() - product) <= 1e-11 * np.abs(change * weights).sum()
    assert np.allclose(image, e.render(dtype="float64", threads=1), rtol=1e-9, atol=1e-12 * image.max())


@pytest.mark.parametrize("physics", ["exact", "reference"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_settings(setting, physics):
    if physics == "reference" and setting in EXACT:
        pytest.skip("of the exact physics alone")
    e = experiment(setting=setting, physics=physics)
    names = applying(e)
    names.remove("crystal.cells")  # at whole numbers only, with this shape
    check(e, names)


@pytest.mark.parametrize("physics", ["exact", "reference"])
@pytest.mark.parametrize("factors", TABLES)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_tables(shape, factors, physics):
    e = experiment(shape, factors, "rotation", physics).replace({"beam.polarization": 0.4})
    names = applying(e)
    if shape in ("square 5", "square small"):  # real numbers of cells are for the quotient of sines, below
        names.remove("crystal.cells")
    check(e, names)


def product():
    """Every shape with every table, setting and kind of physics. Those that are always run are a Latin square of them;
    the others take minutes."""
    for i, setting in enumerate(SETTINGS):
        for j, shape in enumerate(SHAPES):
            for k, factors in enumerate(TABLES):
                for physics in ("exact", "reference"):
                    if physics == "reference" and setting in EXACT:
                        continue
                    some = (i + j) % len(SHAPES) == 0 and (i + k) % len(TABLES) == 0 and (physics == "exact") == i % 2
                    marks = () if some else pytest.mark.gradients_full
                    yield pytest.param(setting, shape, factors, physics, marks=marks)


@pytest.mark.parametrize(("setting", "shape", "factors", "physics"), list(product()))
def test_product(setting, shape, factors, physics):
    e = experiment(shape, factors, setting, physics)
    names = applying(e)
    if shape in ("square 5", "square small"):
        names.remove("crystal.cells")
    check(e, names)


@pytest.mark.parametrize("factors", TABLES)
@pytest.mark.parametrize("setting", ["still", "rotation", "sources", "weighted sub-pixels", "layers", "curved", "mask"])
def test_settings_with_tables(factors, setting):
    e = experiment("gauss", factors, setting)
    names = ["crystal.rotation", "crystal.lengths", "crystal.cells", "beam.wavelength", "detector.distance"]
    check(e, names)


@pytest.mark.parametrize("factors", ["nearest", "tricubic"])
@pytest.mark.parametrize("setting", ["still", "rotation", "sub-pixels", "curved", "mask"])
def test_structure_factors(setting, factors):
    """The derivative by the table's box, against a step in a random direction, and jvp; and by what lies outside."""
    e = experiment("square 5", factors, setting)
    # a box smaller than what the detector sees
    span = np.arange(-3, 4)
    hkl = np.stack(np.meshgrid(span, span, span, indexing="ij"), -1).reshape(-1, 3)
    random = np.random.default_rng(7)
    F = random.uniform(50, 150, len(hkl))
    e = e.replace({"structure_factors": StructureFactors.from_arrays(hkl, F, default_F=20.0)})
    weights, direction = random.normal(size=e.shape), random.normal(size=(7, 7, 7))
    gradient = e.vjp(["structure_factors.F", "structure_factors.default_F"], threads=1)[1](weights)
    assert gradient["structure_factors.F"].shape == (7, 7, 7)

    def along(step, default_F=20.0):
        factors = StructureFactors.from_arrays(hkl, F + step * direction.reshape(-1), default_F=default_F)
        image = e.replace({"structure_factors": factors}).render(dtype="float64", threads=1)
        return (weights * image).sum()

    # photons are a square of F: two points are exact
    assert (gradient["structure_factors.F"] * direction).sum() == pytest.approx(
        (along(1.0) - along(-1.0)) / 2.0, rel=1e-9
    )
    outside = (along(0.0, 21.0) - along(0.0, 19.0)) / 2.0
    assert gradient["structure_factors.default_F"] == pytest.approx(outside, rel=1e-9)
    _, change = e.jvp({"structure_factors.F": direction}, threads=1)
    assert (change * weights).sum() == pytest.approx((gradient["structure_factors.F"] * direction).sum(), rel=1e-11)


@pytest.mark.parametrize("factors", ["nearest", "tricubic"])
def test_threads(factors):
    """The same bits for any number of threads, in every mode."""
    e = experiment("square", factors, "rotation")
    names = [*applying(e), "structure_factors.F"]
    weights = np.random.default_rng(1).normal(size=e.shape)
    some = {name: e.vjp(names, threads=1)[1](weights)[name].tobytes() for name in names}
    for threads in (2, 3, 7):
        gradient = e.vjp(names, threads=threads)[1](weights)
        assert {name: value.tobytes() for name, value in gradient.items()} == some
    changes = {"crystal.rotation": (1.0, 2.0, 3.0), "detector.distance": 0.1}
    assert e.jvp(changes, threads=1)[1].tobytes() == e.jvp(changes, threads=3)[1].tobytes()


def test_large_image_threads():
    """With more rows than parts, and several tiles a row."""
    e = experiment().replace({"detector": Detector.flat((600, 150), 1e-4, 0.05)})
    weights = np.random.default_rng(1).normal(size=e.shape)
    one, two = (e.vjp(["crystal.rotation", "detector.origin"], threads=n)[1](weights) for n in (1, 2))
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)
