"""Derivatives of images, as they are asked for: the float64 image, what the page shows, and what is refused."""

import math
from pathlib import Path

import numpy as np
import pytest
from test_gradients import SETTINGS, SHAPES, TABLES, experiment

from nanobragg_py import FieldError
from nanobragg_py.orientation import axis_rotation

# ---- the float64 image ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS)
def test_float64_rounds_to_the_image(setting):
    for shape in SHAPES:
        e = experiment(shape, TABLES[len(shape) % 3], setting)
        precise = e.render(dtype=np.float64, threads=1)
        assert precise.dtype == np.float64
        assert precise.astype(np.float32).tobytes() == e.render(threads=1).tobytes()


def test_float64_into_an_array():
    e = experiment()
    out = np.ones(e.shape)
    assert np.shares_memory(e.render(out=out, dtype="float64"), out)
    assert np.array_equal(out, e.render(dtype="float64"))
    with pytest.raises(FieldError, match="out is float32"):
        e.render(out=np.zeros(e.shape, np.float32), dtype="float64")
    with pytest.raises(FieldError, match="dtype is 'float16'; it must be float32 or float64"):
        e.render(dtype="float16")
    for how in ({"backend": "gpu"}, {"compat": "c"}):
        with pytest.raises(FieldError, match="dtype float64 needs"):
            e.render(dtype="float64", **how)


# ---- the interface -------------------------------------------------------------------------------------------------


def test_page():
    """What the page shows first, as it stands there: programs call it so."""
    page = (Path(__file__).parents[1] / "docs" / "gradients.md").read_text()
    block = page.partition("```python\n")[2].partition("```")[0]
    e = experiment()
    observed = np.zeros(e.shape)
    names = {"experiment": e, "observed": observed, "numpy": np}
    exec(block, names)
    gradient, change, images, image = (names[name] for name in ("gradient", "change", "images", "image"))
    assert {name: value.shape for name, value in gradient.items()} == {
        "crystal.rotation": (3,), "crystal.lengths": (3,), "beam.wavelength": ()
    }  # fmt: skip
    assert all(value.dtype == np.float64 for value in (*gradient.values(), *images.values(), image, change))
    assert images["crystal.rotation"].shape == (3, *e.shape) and change.shape == e.shape
    assert image.astype(np.float32).tobytes() == e.render().tobytes()
    # the same numbers all the way
    assert np.allclose(change, 1e-3 * images["crystal.rotation"][0], rtol=1e-9, atol=1e-9 * np.abs(change).max())
    products = np.tensordot(images["crystal.lengths"], image - observed)
    assert np.allclose(products, gradient["crystal.lengths"], rtol=1e-9)


# ---- what is bad ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["crystal.colour"], "images cannot be differentiated by 'crystal.colour'; by crystal.rotation, "),
        ("crystal.rotation", "give a list of names"),
        ([], "no parameters are given"),
        (["crystal.rotation", "crystal.rotation"], "crystal.rotation is given twice"),
        (["crystal.matrix"], "crystal.matrix does not apply: the experiment has no crystal.matrix"),
        (["crystal.mosaic_spread"], "crystal.mosaic_spread does not apply: the crystal has no mosaic spread"),
        (["structure_factors.F"], "does not apply: the experiment has no table"),
        (["beam.direction"], 'beam.direction does not apply: .* "CUSTOM"'),
        (["beam.spectrum"], r"the experiment has no beam\.spectrum"),
        (["sampling.osc"], "sampling.osc does not apply"),
        (["beam.source_weights"], 'weights do not enter the image with physics "reference"'),
        (["detector.close_distance"], "the experiment has no detector.close_distance"),
    ],
)
def test_names(names, sentence):
    for mode in ("vjp", "derivative_images"):
        with pytest.raises(FieldError, match=sentence):
            getattr(experiment(physics="reference"), mode)(names)


def test_what_has_no_derivatives():
    e = experiment()
    tophat = e.replace({"crystal.shape": "tophat"})
    for mode, given in (
        ("vjp", ["beam.fluence"]),
        ("derivative_images", ["beam.fluence"]),
        ("jvp", {"beam.fluence": 1}),
    ):
        with pytest.raises(FieldError, match="tophat"):
            getattr(tophat, mode)(given)
        with pytest.raises(FieldError, match="compat is 'c'; derivatives are of the image with compat \"spec\""):
            getattr(e, mode)(given, compat="c")


def test_weights_and_changes():
    e = experiment()
    _, pullback = e.vjp(["beam.fluence"])
    with pytest.raises(FieldError, match=r"weights have the shape \(3, 4\); the image has \(10, 12\)"):
        pullback(np.zeros((3, 4)))
    weights = np.zeros(e.shape)
    weights[2, 3] = np.nan
    with pytest.raises(FieldError, match=r"weights have nan at \(slow, fast\) = \(2, 3\); give finite numbers"):
        pullback(weights)
    with pytest.raises(FieldError, match="give an array of numbers"):
        pullback("photons")
    with pytest.raises(FieldError, match=r"the change of crystal.rotation has the shape \(2,\)"):
        e.jvp({"crystal.rotation": (1, 2)})
    with pytest.raises(FieldError, match="not finite"):
        e.jvp({"beam.fluence": math.inf})
    with pytest.raises(FieldError, match="give a dict"):
        e.jvp(["crystal.rotation"])


def test_rotated_keeps_missets():
    """A crystal is turned as it stands."""
    turn = axis_rotation((1, 2, 3), 0.3)
    e = experiment()
    before, after = e.resolved.crystal, e.replace(crystal=e.crystal.rotated(turn)).resolved.crystal
    for name in ("a", "b", "c", "a_star"):
        assert np.allclose(getattr(after, name), turn @ getattr(before, name), rtol=1e-13, atol=1e-24)
    with pytest.raises(FieldError, match=r'crystal.missets is "random"'):
        e.crystal.replace(missets="random", misset_seed=1).rotated(turn)
