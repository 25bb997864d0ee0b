"""What amorphous material scatters, differentiated by where the detector and the beam are."""

import numpy as np
import pytest
from test_gradients_panels import many

from nanobragg_py import Background, Beam, Crystal, Detector, Experiment, FieldError, Sampling, StructureFactors
from nanobragg_py.fit import Fit, refine
from nanobragg_py.gradients.haze import FIELDS, photons, places
from nanobragg_py.gradients.parameters import PARAMETERS
from nanobragg_py.gradients.values import with_values

#: so many rows that the jumps of its slope there are small
X = np.linspace(0.0, 0.9, 400)
#: a curve with a ring, of one sign and of both
CURVES = {"ring": (X, 3.0 + 2.0 * np.cos(9.0 * X)), "signs": (X, np.cos(9.0 * X) + 0.3)}
STEPS = {"beam.wavelength": 3e-13, "beam.direction": 2e-3, "detector.rotations": 2e-3, "detector.twotheta": 2e-3}


def still(**changes):
    return Experiment(
        Crystal.from_cell(40.0, 45.0, 52.0, 80.0, 95.0, 103.0, cells=(5, 5, 5)),
        Beam(wavelength=1e-10, fluence=1e28, polarization=0.6),
        Detector.flat((20, 16), 3e-3, 0.06, beam_centre=(0.028, 0.021), rotations=(0.1, -0.2, 0.05), twotheta=0.1),
        Sampling(oversample=2),
        StructureFactors(default_F=10.0),
    ).replace(changes)


CASES = {
    "plain": {},
    "unpolarized": {"beam.polarized": False, "detector.point_pixel": True},
    "curved": {"detector.curved": True, "detector.rotations": (0.0, 0.0, 0.0), "detector.twotheta": 0.0},
    "close": {"detector.close_distance": 0.05, "detector.convention": "XDS"},
    "sources": {"beam.dispersion": 0.2, "beam.dispersion_steps": 3, "beam.hdivrange": 0.02, "beam.hdivsteps": 2},
    "custom": {"detector.convention": "CUSTOM", "detector.Xbeam": 0.028, "detector.Ybeam": 0.021},
    "sensor": {"detector.thickness": 5e-4, "detector.mu": 1.5e3, "detector.thicksteps": 3},
    "reference": {"physics": "reference"},
}


def named(e):
    return [name for name in FIELDS if not (PARAMETERS[name].applies and PARAMETERS[name].applies(e))]


def joined(images):
    return images if isinstance(images, np.ndarray) else np.concatenate([each.ravel() for each in images])


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("case", [*CASES, "panels"])
def test_against_differences(case, curve):
    """Of the float32 image: its rounding, and a jump of the second derivative where F changes its sign, allow that."""
    e = many().replace({"beam.fluence": 1e28}) if case == "panels" else still(**CASES[case])
    names = named(e)
    assert "detector.origin" in names and "beam.wavelength" in names
    image, images = e.background_derivatives(CURVES[curve], [*names, "scale"], threads=1)
    assert np.array_equal(images["scale"], image)
    # in the direct beam the curve has a kink, about which differences say nothing
    squares = e.background((X, X), threads=1)
    away = squares > 2e-3 * squares.max()
    assert away.mean() > 0.9
    for name in names:
        value = np.asarray(PARAMETERS[name].value(e), dtype=float)
        assert images[name].shape == (*value.shape, *e.shape)
        step = STEPS.get(name, 5e-5)
        for index in np.ndindex(value.shape):
            moved = []
            for times in (-2, -1, 1, 2):
                other = value.copy()
                other[index] += times * step
                moved.append(with_values(e, {name: other}).background(CURVES[curve], threads=1).astype(float))
            difference = (8.0 * (moved[2] - moved[1]) - (moved[3] - moved[0])) / (12.0 * step)
            off = np.abs(images[name][index] - difference)[away].max()
            assert off <= 1e-3 * np.abs(images[name]).max(), (name, index)


@pytest.mark.parametrize("case", CASES)
def test_formula(case):
    """The one that is differentiated is the one that is rendered."""
    e = still(**CASES[case])
    background = Background(CURVES["ring"])
    ((resolved, model),) = places(background, e)
    rows, columns = np.arange(16)[:, None], np.arange(20)
    image = photons(resolved, model.detector({}), model.sources({}), rows, columns)
    assert image == pytest.approx(background.render(e, threads=1), rel=1e-6)


def test_does_not_apply():
    with pytest.raises(FieldError, match=r"panels state their own place; take detector\.origin"):
        many().background_derivatives("water", ["detector.distance"])
    with pytest.raises(FieldError, match=r"beam\.direction counts only with"):
        still().background_derivatives("water", ["beam.direction"])


def test_material_moves_with_the_detector():
    """The distance and the amount of material, beside a crystal, found together; on panels, their places."""
    truth = still(**{"detector.fpixels": 60, "detector.spixels": 60, "detector.pixel_size": 8e-4})
    haze = Background(CURVES["ring"], thickness=5e-4)
    bright = truth.replace({"beam.fluence": 1e29})
    photons_seen = np.random.default_rng(3).poisson(bright.render(threads=1) + haze.render(bright)).astype(float)
    start = bright.replace({"detector.distance": 0.0602})
    fit = Fit(start, photons_seen, ["detector.distance", "amorphous"], amorphous=Background(CURVES["ring"]), threads=1)
    x = fit.start + [1e-4, 0.5]
    slopes = fit.evaluate(x)[1]
    for i, step in enumerate((1e-6, 1e-2)):
        up, down = (fit.evaluate(x + sign * step * np.eye(2)[i])[0] for sign in (1, -1))
        assert np.abs(slopes[i] - (up - down) / (2 * step)).max() <= 5e-3 * np.abs(slopes[i]).max()
    found = refine(fit)
    assert found.converged
    assert abs(found.experiment.detector.distance - 0.06) < 4.0 * found.deviations[0] < 1e-4
    assert abs(found.x[-1] - 4.0) < 4.0 * found.deviations[-1]
    on_panels = many().replace({"beam.fluence": 1e24})
    seen = np.random.default_rng(4).poisson(on_panels.render(threads=1) + haze.render(on_panels)).astype(float)
    fit = Fit(on_panels, seen, ["detector.origin", "amorphous"], amorphous=Background(CURVES["ring"]), threads=1)
    found = refine(fit)
    assert found.converged and np.abs(found.x[:-1] / found.deviations[:-1]).max() < 4.5
    assert abs(found.x[-1] - 4.0) < 4.0 * found.deviations[-1]
