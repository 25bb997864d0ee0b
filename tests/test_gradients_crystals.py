"""Derivatives of images of several crystals, and of blocks of several sizes: of sums of what one crystal makes."""

import numpy as np
import pytest
from test_gradients import STEPS, experiment
from test_gradients_panels import joined, panels

from nanobragg_py import Crystal, Detector, FieldError
from nanobragg_py.fit import Fit, check_fitted, refine
from nanobragg_py.gradients.parameters import parameter
from nanobragg_py.gradients.values import image_and_pullback, with_values

OTHERS = [
    Crystal.from_cell(
        38.0, 44.0, 53.0, 82.0, 94.0, 101.0, missets=(0.15, 0.22, 0.3), cells=(7, 8, 9), scale=0.4, mosaic_spread=0.01,
        mosaic_domains=3, mosaic_seed=-5,
    ),
    Crystal.from_cell(60.0, 61.0, 62.0, cells=(4, 4.5, 5), shape="gauss", scale=1.7),
]  # fmt: skip
NAMES = [
    "crystal.rotation", "crystal.lengths", "crystal.scale", "more_crystals.0.rotation", "more_crystals.0.angles",
    "more_crystals.0.scale", "more_crystals.1.lengths", "more_crystals.1.cells",
    "beam.wavelength", "beam.fluence", "detector.distance", "detector.origin",
]  # fmt: skip


def several(factors="constant", **fields):
    """Three crystals, on a tilted detector with layers, in polarized light."""
    e = experiment(factors=factors).replace(more_crystals=OTHERS)
    return e.replace(
        {
            "beam.polarization": 0.6, "detector.rotations": (0.1, -0.2, 0.3), "detector.thickness": 4e-4,
            "detector.thicksteps": 2, "detector.mu": 3000.0, "sampling.water": 3e-7, "sampling.osc": 0.01,
            "sampling.phisteps": 2, **fields,
        }
    )  # fmt: skip


def difference(e, name, index):
    """The central difference of fourth order."""
    step = {"scale": 1e-3}.get(name.rpartition(".")[2], STEPS.get(parameter(e, name).field, 1e-6))
    moved = []
    for times in (-2, -1, 1, 2):
        value = np.array(parameter(e, name).value(e), dtype=float)
        value[index] += times * step
        moved.append(joined_one(with_values(e, {name: value}).render(dtype="float64", threads=1)))
    return (8.0 * (moved[2] - moved[1]) - (moved[3] - moved[0])) / (12.0 * step)


def joined_one(image):
    return np.ravel(image) if isinstance(image, np.ndarray) else joined(image)


def check(e, names):
    """Derivative images against differences, vjp against them, and jvp."""
    image, pullback = e.vjp(names, threads=1)
    precise = e.render(dtype="float64", threads=1)
    assert np.array_equal(joined_one(image), joined_one(precise))
    random = np.random.default_rng(3)
    weights = random.normal(size=e.shape)
    gradient, images = pullback(weights), e.derivative_images(names, threads=1)
    assert list(gradient) == list(images) == list(names)
    for name in names:
        shape = gradient[name].shape
        assert shape == parameter(e, name).shape(e) and images[name].shape == (*shape, *e.shape)
        stack = images[name].reshape(*shape, -1)
        sizes = np.abs(stack * weights.ravel()).sum(axis=-1)
        assert np.abs(stack @ weights.ravel() - gradient[name]).max() <= 1e-11 * sizes.max(), name
        for index in np.ndindex(shape):
            apart = np.abs(stack[index] - difference(e, name, index))
            assert apart.max() <= 1e-7 * np.abs(stack).max(), (name, index)
    changes = {name: random.normal(size=gradient[name].shape) * 1e-6 for name in names}
    image, change = e.jvp(changes, threads=1)
    product = sum((changes[name] * gradient[name]).sum() for name in names)
    assert abs((change * weights).sum() - product) <= 1e-11 * np.abs(change * weights).sum()
    assert np.allclose(image, precise, rtol=1e-9, atol=1e-12 * image.max())


def test_several_crystals():
    check(several(), NAMES)


def test_each_is_what_it_is_alone():
    e = several(**{"sampling.water": 0.0})
    for number, crystal in enumerate(OTHERS):
        names = [f"crystal.{name}" for name in ("rotation", "lengths", "scale", "mosaic_spread")[: 4 - number]]
        own = [name.replace("crystal", f"more_crystals.{number}") for name in names]
        one = e.replace(crystal=crystal, more_crystals=()).derivative_images(names, threads=1)
        found = e.derivative_images(own, threads=1)
        for name, other in zip(names, own, strict=True):
            assert np.allclose(one[name], found[other], rtol=1e-13, atol=1e-13 * np.abs(one[name]).max())


def test_several_crystals_with_a_table():
    """What all share adds up over them: structure factors, too."""
    e = several("tricubic", **{"sampling.water": 0.0, "sampling.phisteps": 1, "sampling.osc": None})
    weights = np.random.default_rng(4).normal(size=e.shape)
    gradient = e.vjp(["structure_factors.F", "more_crystals.1.rotation"], threads=1)[1](weights)
    box = gradient["structure_factors.F"]
    index = np.unravel_index(np.abs(box).argmax(), box.shape)
    moved = []
    for times in (-1, 1):
        value = np.array(parameter(e, "structure_factors.F").value(e))
        value[index] += times * 1e-2
        moved.append((with_values(e, {"structure_factors.F": value}).render(dtype="float64") * weights).sum())
    assert (moved[1] - moved[0]) / 2e-2 == pytest.approx(box[index], rel=1e-7)
    change = np.zeros(box.shape)
    change[index] = 1.0
    _, image = e.jvp({"structure_factors.F": change}, threads=1)
    assert (image * weights).sum() == pytest.approx(box[index], rel=1e-10)


def test_on_panels():
    """Each crystal on each panel."""
    e = several(**{"sampling.water": 0.0}).replace(detector=Detector(panels=panels(), thicksteps=2))
    check(e, ["detector.origin", "more_crystals.0.rotation", "crystal.scale", "beam.wavelength"])


@pytest.mark.parametrize(
    "fields",
    [
        {"block_sigma": 0.3, "shape": "gauss"},
        {"block_sizes": ((3, 4, 5), (6, 5, 8)), "block_weights": (1.0, 2.0)},
        {"mosaic_spread": 0.01, "mosaic_domains": 6, "block_sizes": ((3, 4, 5), (6, 5, 8)), "block_drawn": True},
    ],
)
def test_blocks(fields):
    e = experiment()
    e = e.replace(crystal=e.crystal.replace(**fields))
    names = ["crystal.rotation", "crystal.lengths", "crystal.angles", "crystal.scale", "detector.distance"]
    check(e, names)
    with pytest.raises(FieldError, match=r"crystal\.cells does not apply: the crystal has blocks of several sizes"):
        e.vjp(["crystal.cells"])


def test_threads():
    e = several()
    weights = np.random.default_rng(1).normal(size=e.shape)
    one, two = (e.vjp(NAMES, threads=n)[1](weights) for n in (1, 3))
    assert all(one[name].tobytes() == two[name].tobytes() for name in NAMES)


def test_values_of_others():
    """Fields by the names that derivatives have, and derivatives by a turn that is not small."""
    e = several()
    assert e.replace({"more_crystals.1.scale": 2.0, "crystal.scale": 3.0}).more_crystals[1].scale == 2.0
    assert e.replace(more_crystals__0__cells=(9, 9, 9)).more_crystals[0].cells == (9, 9, 9)
    for name in ("more_crystals.2.scale", "more_crystals.x.scale", "more_crystals.0", "more_crystals.-1.scale"):
        with pytest.raises(FieldError, match="is no field of a crystal beside the first; numbers 0 to 1 are there"):
            e.replace({name: 2.0})
    with pytest.raises(FieldError, match="colour"):
        e.replace({"more_crystals.0.colour": 2.0})
    name, at = "more_crystals.0.rotation", np.array([0.02, -0.01, 0.03])
    weights = np.random.default_rng(2).normal(size=e.shape)
    gradient = image_and_pullback(e, {name: at}, threads=1)[1](weights)[name]
    for axis in range(3):
        sums = [
            (with_values(e, {name: at + times * 2e-6 * np.eye(3)[axis]}).render(dtype="float64") * weights).sum()
            for times in (-2, -1, 1, 2)
        ]
        assert (8.0 * (sums[2] - sums[1]) - (sums[3] - sums[0])) / 24e-6 == pytest.approx(gradient[axis], rel=1e-6)


def test_names_that_are_none():
    e = several()
    with pytest.raises(FieldError, match=r"more_crystals\.2\.rotation does not apply: .* more_crystals\.0 to 1"):
        e.vjp(["more_crystals.2.rotation"])
    with pytest.raises(FieldError, match=r"more_crystals\.0\.rotation does not apply: .* one crystal"):
        experiment().vjp(["more_crystals.0.rotation"])
    with pytest.raises(FieldError, match=r"cannot be differentiated by 'more_crystals\.0\.colour'"):
        e.vjp(["more_crystals.0.colour"])
    with pytest.raises(FieldError, match=r"more_crystals\.1\.mosaic_spread does not apply: the crystal has no mosaic"):
        e.vjp(["more_crystals.1.mosaic_spread"])
    with pytest.raises(FieldError, match=r"more_crystals\.0\.scale is given twice"):
        e.vjp(["more_crystals.0.scale", "more_crystals.0.scale"])
    with pytest.raises(FieldError, match="tophat"):
        e.replace({"more_crystals.0.shape": "tophat"}).vjp(["beam.fluence"])
    with pytest.raises(FieldError, match=r"more_crystals\.0\.cells cannot be fitted: square crystals"):
        Fit(e, np.zeros(e.shape), ["more_crystals.0.cells"])
    assert check_fitted(["rotation", "more_crystals.0.rotation"]) == ["crystal.rotation", "more_crystals.0.rotation"]


def test_a_split_crystal_is_refined():
    """How the second lattice lies and how much of it there is."""
    e = experiment(shape="square").replace({"beam.fluence": 1e28})
    e = e.replace(more_crystals=[e.crystal.replace(missets=(0.11, 0.19, 0.31), scale=0.5)])
    observed = np.random.default_rng(2).poisson(e.render(threads=1)).astype(float)
    start = with_values(e, {"more_crystals.0.rotation": (4e-4, -3e-4, 2e-4), "more_crystals.0.scale": 0.6})
    found = refine(Fit(start, observed, ["more_crystals.0.rotation", "more_crystals.0.scale"], threads=1))
    assert found.converged and found.per_pixel == pytest.approx(1.0, abs=0.3)
    assert abs(found.experiment.more_crystals[0].scale - 0.5) < 4.0 * found.deviations[3]
    left = found.x[:3] + (4e-4, -3e-4, 2e-4)
    assert np.abs(left / found.deviations[:3]).max() < 4.0
