"""Derivatives of detectors of panels, fields that are given other values, and sums over symmetry's mates."""

import numpy as np
import pytest
from test_gradients import FRAME, STEPS, experiment

from nanobragg_py import Beam, Crystal, Detector, Experiment, FieldError, Panel, Sampling, StructureFactors
from nanobragg_py.fit import Fit, refine
from nanobragg_py.gradients.parameters import PARAMETERS
from nanobragg_py.gradients.values import Moved, image_and_pullback, with_values
from nanobragg_py.orientation import axis_rotation


def panels(sizes=((12, 10),) * 3):
    """Panels beside one another, none square to the beam, one facing away from the sample."""
    made = []
    for number, (fast, slow) in enumerate(sizes):
        turn = axis_rotation((0.2, 1.0, 0.1 * number), 0.2 * number)
        axes = turn @ (0.0, 0.0, -1.0 if number == 1 else 1.0), turn @ (0.0, -1.0, 0.0)
        corner = (0.06, 0.005 - 0.016 * (number - 1), 0.006 if number == 1 else -0.006)
        made.append(Panel(corner, *map(tuple, axes), 1e-3, fast, slow, thickness=3e-4 if number else 0.0, mu=2000.0))
    return made


def many(sizes=((12, 10),) * 3, physics="exact", **detector):
    return Experiment(
        Crystal.from_cell(40.0, 45.0, 52.0, 80.0, 95.0, 103.0, missets=(0.1, 0.2, 0.3), cells=(5, 5, 5)),
        Beam(wavelength=1e-10, fluence=1e26, polarization=0.6),
        Detector(panels=panels(sizes), thicksteps=2, **detector),
        Sampling(oversample=1),
        StructureFactors(default_F=100.0),
        physics,
    )


NAMES = ["detector.origin", "crystal.rotation", "crystal.lengths", "beam.wavelength", "beam.fluence"]


def joined(images):
    """Images of panels as one vector, with what stands before their two axes."""
    if isinstance(images, list):
        return np.concatenate([image.reshape(*image.shape[:-2], -1) for image in images], axis=-1)
    return images.reshape(*images.shape[:-3], -1)


@pytest.mark.parametrize("physics", ["exact", "reference"])
@pytest.mark.parametrize("sizes", [((12, 10),) * 3, ((12, 10), (7, 9))])
def test_panels(sizes, physics):
    """All modes, of stacks and of lists, against central differences."""
    e = many(sizes, physics)
    image, pullback = e.vjp(NAMES, threads=1)
    precise = e.render(dtype="float64", threads=1)
    for panel, rounded in zip(precise, e.render(threads=1), strict=True):
        assert panel.astype(np.float32).tobytes() == rounded.tobytes()
    assert np.array_equal(joined(image), joined(precise))
    random = np.random.default_rng(3)
    weights = [random.normal(size=shape) for shape in e.shapes]
    weights = np.stack(weights) if len(set(sizes)) == 1 else weights
    gradient, images = pullback(weights), e.derivative_images(NAMES, threads=1)
    assert gradient["detector.origin"].shape == (len(sizes), 3)
    for name in NAMES:
        shape, step = gradient[name].shape, STEPS[name]
        stack = joined(images[name])
        assert stack.shape == (*shape, sum(f * s for f, s in sizes))
        sizes_of_sums = np.abs(stack * joined(weights)).sum(axis=-1)
        assert np.abs(stack @ joined(weights) - gradient[name]).max() <= 1e-11 * sizes_of_sums.max()
        for index in np.ndindex(shape):
            moved = []
            for times in (-2, -1, 1, 2):
                value = np.array(PARAMETERS[name].value(e), dtype=float)
                value[index] += times * step
                moved.append(joined(with_values(e, {name: value}).render(dtype="float64", threads=1)))
            difference = (8.0 * (moved[2] - moved[1]) - (moved[3] - moved[0])) / (12.0 * step)
            assert np.abs(stack[index] - difference).max() <= 1e-7 * np.abs(stack).max(), (name, index)
    changes = {name: random.normal(size=gradient[name].shape) * STEPS[name] for name in NAMES}
    _, change = e.jvp(changes, threads=1)
    product = sum((changes[name] * gradient[name]).sum() for name in NAMES)
    assert joined(change) @ joined(weights) == pytest.approx(product, rel=1e-10)


def test_panels_threads_and_mistakes():
    e = many()
    weights = np.random.default_rng(1).normal(size=e.shape)
    one, two = (e.vjp(NAMES, threads=n)[1](weights) for n in (1, 3))
    assert all(one[name].tobytes() == two[name].tobytes() for name in NAMES)
    for name in ("detector.distance", "detector.close_distance", "detector.rotations", "detector.twotheta"):
        with pytest.raises(FieldError, match=r"panels state their own place; take detector\.origin"):
            e.vjp([name])
    with pytest.raises(FieldError, match=r"weights have the shape \(10, 12\); the image has \(3, 10, 12\)"):
        e.vjp(NAMES)[1](np.zeros((10, 12)))
    weights[1, 2, 3] = np.inf
    with pytest.raises(FieldError, match=r"inf at \(panel, slow, fast\) = \(1, 2, 3\)"):
        e.vjp(NAMES)[1](weights)
    with pytest.raises(FieldError, match="a list of 2 arrays"):
        many(((12, 10), (7, 9))).vjp(NAMES)[1](np.zeros((2, 10, 12)))


def test_panels_are_refined():
    """Each panel finds its own place."""
    truth = many().replace({"beam.fluence": 1e29})
    observed = np.random.default_rng(2).poisson(truth.render(threads=1)).astype(float)
    off = np.array([[1.0, 2.0, -1.0], [-2.0, 1.0, 1.0], [1.0, -1.0, 2.0]]) * 5e-5
    start = with_values(truth, {"detector.origin": np.array(PARAMETERS["detector.origin"].value(truth)) + off})
    fit = Fit(start, observed, ["detector.origin"], threads=1)
    assert fit.names[4] == "detector.origin[1, 1]"
    found = refine(fit)
    assert found.converged and found.per_pixel == pytest.approx(1.0, abs=0.15)
    left = np.array(PARAMETERS["detector.origin"].value(found.experiment)) - PARAMETERS["detector.origin"].value(truth)
    assert np.abs(left.reshape(-1) / found.deviations).max() < 4.0
    mask = np.ones((10, 12), np.uint16)
    mask[:5] = 0
    some = [panel.replace(mask=mask, roi=(2, 11, 0, 9)) for panel in truth.detector.panels]
    assert Fit(truth.replace({"detector.panels": some}), observed, ["beam.fluence"]).photons.size == 3 * 5 * 10


# ---- other values --------------------------------------------------------------------------------------------------

PLACED = {
    "MOSFLM": {}, "ADXV": {}, "DENZO": {}, "XDS": {"detector.close_distance": 0.05}, "DIALS": {},
    "CUSTOM": {f"detector.{name}": value for name, value in FRAME.items()},
    "beam": {**{f"detector.{name}": value for name, value in FRAME.items()}, "detector.pivot": "beam"},
}  # fmt: skip


@pytest.mark.parametrize("convention", PLACED)
def test_origin_is_given(convention):
    """A detector is shifted by fields of its own, and the rest of it stays; derivatives are by the values."""
    e = experiment().replace(
        {"detector.rotations": (0.1, -0.2, 0.3), "detector.twotheta": 0.1, **PLACED[convention],
         "detector.convention": PLACED[convention].get("detector.convention", convention)}
    )  # fmt: skip
    before = e.resolved.detector
    origin = np.array(before.origin) + (1e-3, -2e-3, 0.5e-3)
    moved = with_values(e, {"detector.origin": origin})
    after = moved.resolved.detector
    assert np.abs(np.array(after.origin) - origin).max() < 1e-14
    for name in ("fast", "slow", "normal"):
        assert getattr(after, name) == getattr(before, name)
    assert (moved.detector.close_distance is None) == (e.detector.close_distance is None)
    # with others beside it, at another place
    weights = np.random.default_rng(4).normal(size=e.shape)
    distance = "detector.distance" if e.detector.close_distance is None else "detector.close_distance"
    values = {"detector.origin": origin, "detector.rotations": np.array([0.11, -0.21, 0.33]), distance: 0.051}
    gradient = image_and_pullback(e, values, 1)[1](weights)
    for name, step in (("detector.origin", 1e-7), ("detector.rotations", 3e-6), (distance, 1e-7)):
        for index in np.ndindex(gradient[name].shape):
            sums = []
            for times in (-2, -1, 1, 2):
                value = np.array(values[name], dtype=float)
                value[index] += times * step
                image = with_values(e, {**values, name: value}).render(dtype="float64", threads=1)
                sums.append((weights * image).sum())
            difference = (8.0 * (sums[2] - sums[1]) - (sums[3] - sums[0])) / (12.0 * step)
            assert gradient[name][index] == pytest.approx(difference, rel=2e-7, abs=2e-7 * np.abs(gradient[name]).max())


def test_source_weights_are_given():
    e = experiment(setting="weights")
    values = {"beam.source_weights": np.array([1.5, 0.5, 2.0])}
    weights = np.random.default_rng(4).normal(size=e.shape)
    moved = Moved(e, values)
    assert [row[3] for row in moved.experiment.beam.sources] == [1.5, 1.0, 6.0]
    gradient = image_and_pullback(e, values, 1)[1](weights)["beam.source_weights"]
    for i in range(3):
        sums = []
        for step in (-1e-4, 1e-4):
            value = values["beam.source_weights"] + step * np.eye(3)[i]
            image = with_values(e, {"beam.source_weights": value}).render(dtype="float64", threads=1)
            sums.append((weights * image).sum())
        assert gradient[i] == pytest.approx((sums[1] - sums[0]) / 2e-4, rel=1e-6)
    with pytest.raises(FieldError, match="can be changed of a list of sources only"):
        with_values(experiment(), {"beam.source_weights": np.ones(1)})


# ---- symmetry ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("friedel", [True, False])
def test_sums_over_mates(friedel):
    """By an amplitude that mates share, against a table whose amplitude is another."""
    pytest.importorskip("gemmi", reason="needs gemmi")
    group = "P 43 21 2"
    random = np.random.default_rng(7)
    span = np.arange(-4, 5)
    grid = np.stack(np.meshgrid(span, span, span, indexing="ij"), -1).reshape(-1, 3)
    full = StructureFactors.from_arrays(grid, np.ones(len(grid)))
    hkl, mates = full.sum_over_mates(np.ones((9, 9, 9)), group, friedel)
    assert set(mates) <= ({1, 2, 4, 8, 16} if friedel else {1, 2, 4, 8}) and mates.max() == (16 if friedel else 8)
    F = random.uniform(50.0, 150.0, len(hkl))

    def image(F):
        table = StructureFactors.from_arrays(hkl, F, space_group=group, friedel=friedel)
        assert table.bounds == full.bounds
        return e.replace({"structure_factors": table}).render(dtype="float64", threads=1)

    e = experiment("gauss").replace({"crystal.fudge": 0.05})
    e = e.replace({"structure_factors": StructureFactors.from_arrays(hkl, F, space_group=group, friedel=friedel)})
    weights = random.normal(size=e.shape)
    box = e.vjp(["structure_factors.F"], threads=1)[1](weights)["structure_factors.F"]
    found, by_F = e.structure_factors.sum_over_mates(box, group, friedel)
    assert np.array_equal(found, hkl)
    for i in np.argsort(-np.abs(by_F))[:5]:
        step = np.zeros(len(F))
        step[i] = 1.0
        difference = (weights * (image(F + step) - image(F - step))).sum() / 2.0
        assert by_F[i] == pytest.approx(difference, rel=1e-9)
    with pytest.raises(FieldError, match=r"values have the shape \(3,\); the box of structure factors has \(9, 9, 9\)"):
        full.sum_over_mates(np.ones(3), group)
    with pytest.raises(FieldError, match="no table"):
        StructureFactors(default_F=1.0).sum_over_mates(np.ones(3), group)
