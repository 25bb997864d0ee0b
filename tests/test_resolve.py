"""Steps, beam, sources and random streams: how options fill one another in."""

import math

import numpy as np
import pytest
from resolving import Ran1, experiment, options, setup, texts

from nanobragg_py.experiment.resolve import resolve
from nanobragg_py.experiment.resolve.steps import ceil_to_int, fill_phi, fill_steps
from nanobragg_py.flags.options import Options

DEGREE = 1 / (180.0 * 0.31830988618379067154)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((-1, -1.0, -1.0), (1, 0.0, 0.0)),
        ((0, -1.0, 0.5), (2, 0.5, 0.5)),
        ((-1, 3.0, -1.0), (2, 3.0, 3.0)),
        ((-1, 3.0, 0.8), (4, 3.0, 0.8)),
        ((5, -1.0, -1.0), (5, 1.0, 0.2)),
        ((5, -1.0, 0.3), (2, 0.3, 0.3)),
        ((5, 3.0, -1.0), (5, 3.0, 0.75)),
        ((1, 3.0, 0.0), (2, 3.0, 3.0)),
        ((5, 3.0, 0.1), (5, 3.0, 0.1)),
        ((5, 0.0, -1.0), (1, 0.0, 0.0)),
        ((-1, 0.0, 0.5), (1, 0.0, 0.0)),
        ((-1, 1.0, 1e-300), (1, 0.0, 0.0)),
    ],
)
def test_steps_of_divergence_and_dispersion(given, expected):
    assert fill_steps(*given) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((-1, 0.0, -1.0), (1, 0.0, 0.0)),
        ((3, 0.0, -1.0), (1, 0.0, 0.0)),
        ((-1, 3e-4, -1.0), (2, 3e-4, 1.5e-4)),
        ((1, 3e-4, -1.0), (2, 3e-4, 3e-4)),
        ((3, 3e-4, -1.0), (3, 3e-4, 1.5e-4)),
        ((4, -3e-4, -1.0), (4, 5e-7, 1.25e-7)),
        ((-1, -3e-4, -1.0), (1, 0.0, 0.0)),
    ],
)
def test_layers_of_the_sensor(given, expected):
    layers, thickness, step = given
    d = setup(detector_thicksteps=layers, detector_thick=thickness, detector_thickstep=step, detector_mu=1.0).detector
    assert (d.thicksteps, d.thickness, d.thickstep) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((-1, -1.0, -1.0), (1, 0.0, 0.0)),
        ((-1, -1.0, 0.3), (2, 0.3, 0.3)),
        ((-1, 2.0, -1.0), (2, 2.0, 1.0)),
        ((-1, 2.0, 0.3), (7, 2.0, 0.3)),
        ((-1, 0.0, -1.0), (2, 0.0, 0.0)),
        ((0, 2.0, -1.0), (1, 2.0, 2.0)),
        ((4, -1.0, -1.0), (4, DEGREE, DEGREE / 4)),
        ((4, -1.0, 0.3), (2, 0.3, 0.3)),
        ((4, 2.0, -1.0), (4, 2.0, 0.5)),
        ((4, 2.0, 0.0), (4, 2.0, 0.0)),
        ((4, 2.0, 0.3), (4, 2.0, 0.3)),
    ],
)
def test_phi_steps(given, expected):
    assert fill_phi(*given) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "expected"), [(2.0, 2), (2.1, 3), (-0.5, 0), (1e10, -(2**31)), (math.inf, -(2**31)), (math.nan, -(2**31))]
)
def test_integers_that_do_not_fit(value, expected):
    assert ceil_to_int(value) == expected


def test_absorption_defaults_to_the_thickness():
    made = setup(detector_thick=3e-4)
    assert made.detector.mu == 1 / 3e-4
    assert len(texts(made, "steps")) == 1
    assert not setup(detector_thick=3e-4, detector_mu=0.0).warnings
    assert setup().detector.mu == -1.0


@pytest.mark.parametrize(
    ("spread", "domains", "expected", "warnings"),
    [
        (-1.0, -1, (0.0, 1), 0),
        (0.0, -1, (0.0, 1), 0),
        (0.1, 0, (0.1, 10), 1),
        (-1.0, 5, (0.0, 1), 1),
        (0.0, 5, (0.0, 1), 1),
        (0.1, 5, (0.1, 5), 0),
    ],
)
def test_mosaic_defaults(spread, domains, expected, warnings):
    made = setup(mosaic_spread=spread, mosaic_domains=domains)
    assert (made.crystal.mosaic_spread, made.crystal.mosaic_domains) == expected
    assert len(texts(made, "steps")) == warnings


def test_fluence_from_flux():
    beam = setup(flux=1e12, exposure=0.5, beamsize=2e-5).beam
    assert beam.fluence == 1e12 * 0.5 / 2e-5 / 2e-5
    assert beam.flux == pytest.approx(1e12)
    for ignored in ({"exposure": 0.0}, {"beamsize": -1.0}, {"flux": 0.0}):
        assert setup(**{"flux": 1e12, **ignored}).beam.fluence == Options().fluence


def test_the_beam_clips_the_sample():
    made = setup(sample_x=1e-6, sample_y=1e-6, sample_z=0.5e-6, beamsize=0.2e-6)
    assert made.crystal.cells == (100.0, 20.0, 20.0)
    assert len(texts(made, "options")) == 2


def test_one_source_by_default():
    beam = experiment().beam
    assert beam.sources == ((-10.0, 0.0, 0.0, 1.0, 1e-10),)
    assert beam.source_directions == ((-1.0, 0.0, 0.0),)
    assert beam.divergence_deviations == ((0.0, 0.0),)
    assert beam.wavelength_steps == (1e-10,)


@pytest.mark.parametrize("round_div", [True, False])
@pytest.mark.parametrize(("hsteps", "vsteps"), [(5, 5), (4, 4), (6, 5), (1, 7), (2, 2), (9, 9)])
def test_divergence_grid(hsteps, vsteps, round_div):
    hrange, vrange = 0.0 if hsteps == 1 else 6e-3, 3e-3
    made = experiment(hdivsteps=hsteps, hdivrange=hrange, vdivsteps=vsteps, vdivrange=vrange, round_div=round_div)
    expected = []
    for h in np.linspace(-hrange / 2, hrange / 2, hsteps):
        for v in np.linspace(-vrange / 2, vrange / 2, vsteps):
            radius = 0.0
            if hrange:
                hstep = hrange / (hsteps - 1)
                vstep = vrange / (vsteps - 1)
                radius += (h * h - hstep**2 / 4 * (hsteps % 2 == 0)) / hrange**2
                radius += (v * v - vstep**2 / 4 * (vsteps % 2 == 0)) / vrange**2
            if not round_div or 4 * radius <= 1.1:
                expected.append((h, v))
    assert np.array(made.beam.divergence_deviations) == pytest.approx(np.array(expected), abs=1e-15)
    assert made.beam.divergence_steps == len(expected) == len(made.beam.sources)
    # small angles: the first deviation is along the E-vector (z), the second perpendicular to it
    for (h, v), direction in zip(expected, made.beam.source_directions, strict=True):
        assert direction == pytest.approx((-1.0, -v, -h), abs=1e-5)
        assert np.linalg.norm(direction) == pytest.approx(1.0, rel=1e-15)


def test_the_round_grid_drops_its_corners():
    grid = {"hdivsteps": 5, "vdivsteps": 5, "hdivrange": 8e-3, "vdivrange": 8e-3}
    assert experiment(**grid).beam.divergence_steps == 13
    assert experiment(**grid, round_div=False).beam.divergence_steps == 25


def test_wavelengths_are_innermost():
    beam = experiment(hdivsteps=2, hdivrange=1e-3, dispersion=0.02, dispsteps=3).beam
    assert beam.wavelength_steps == pytest.approx((0.99e-10, 1e-10, 1.01e-10), rel=1e-14)
    assert [source[4] for source in beam.sources] == list(beam.wavelength_steps) * 2
    assert {source[3] for source in beam.sources} == {1 / 6}
    assert beam.sources[0][:3] == beam.sources[2][:3] != beam.sources[3][:3]


def test_sources_from_a_file():
    nan = math.nan
    beam = experiment([(-2.0, 0.0, 0.0, 0.5, 1.1e-10), (nan, nan, nan, nan, nan), (0.0, 3.0, 4.0, nan, nan)]).beam
    assert beam.sources == (
        (-2.0, 0.0, 0.0, 0.5, 1.1e-10),
        (-10.0, -0.0, -0.0, 1.0, 1e-10),
        (0.0, 3.0, 4.0, 1.0, 1e-10),
    )
    assert beam.source_directions == ((-1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.6, 0.8))
    assert beam.divergence_steps == -1
    assert beam.divergence_deviations == beam.wavelength_steps == ()


def test_steps_are_counted():
    made = experiment(
        hdivsteps=2, hdivrange=1e-3, dispersion=0.01, dispsteps=3, mosaic_spread=0.1, mosaic_domains=4, phisteps=5,
        osc=0.1, oversample=2, detector_thick=1e-4, detector_thicksteps=7,
    )  # fmt: skip
    assert made.sampling.steps == 6 * 4 * 5 * 4


def test_random_streams_share_a_table_in_order():
    """Positive seeds do not reload the table: they show who drew before."""
    made = experiment(
        misset_mode="random", misset_seed=-5, mosaic_seed=33, mosaic_spread=0.2, mosaic_domains=3, seed=-1
    )
    order = Ran1()
    order.random_rotation(90.0, -5)
    assert list(made.crystal.mosaic_rotations) == list(order.mosaic_rotations(0.2, 3, 33))
    assert list(made.crystal.mosaic_rotations[:9]) == [1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_seeds_default_to_the_clock():
    assert setup().noise_seed == -1000
    assert setup(seed=-4).noise_seed == -4
    by_clock = setup(misset_mode="random", seed=-4).crystal.missets
    assert by_clock == setup(misset_mode="random", misset_seed=-1000).crystal.missets


def test_the_compiled_generator_agrees():
    from nanobragg_py.kernels.noise.random import Ran1 as Compiled

    given = options(misset_mode="random", misset_seed=-7, mosaic_spread=0.3, mosaic_domains=20)
    (one, _), (other, _) = (resolve(given, generator()) for generator in (Ran1, Compiled))
    assert one.crystal.missets == pytest.approx(other.crystal.missets, abs=1e-13)
    assert one.crystal.mosaic_rotations == pytest.approx(np.asarray(other.crystal.mosaic_rotations), abs=1e-13)
