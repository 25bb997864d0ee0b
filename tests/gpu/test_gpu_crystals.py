"""Crystals of several materials, and panels side by side in one image, on the emulated device: the CPU's image."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from panel_files import side_by_side
from test_crystals import MOSAIC, made
from test_mixtures import ONE, PHASES, TWO

from nanobragg_py import Detector, Sampling, StructureFactors
from nanobragg_py.render.backends import Compute
from nanobragg_py.render.panels import simulate_stored


def assert_same(experiment):
    wanted, found = (
        np.concatenate([np.ravel(image) for image in experiment.render(backend)]) for backend in ("cpu", "gpu")
    )
    assert wanted.any()
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9 * wanted.max())


@pytest.mark.parametrize("more", [{}, {"sampling": Sampling(oversample=1, interpolate=True)}], ids=["", "interpolated"])
@pytest.mark.parametrize("factors", [(ONE, TWO), (None, TWO), (TWO, StructureFactors(default_F=7.0))])
def test_mixtures(emulated, factors, more):
    """Each crystal finds a table of its own, or that of the experiment."""
    crystals = [phase.replace(structure_factors=own) for phase, own in zip(PHASES, factors, strict=True)]
    both = made(crystals, **more, structure_factors=ONE if factors[0] is None else TWO)
    assert_same(both)
    own = both.render("gpu")
    same = made(PHASES, **more, structure_factors=ONE).render("gpu")
    assert not np.allclose(own, same, rtol=1e-3)


def test_one_crystal_with_a_table_of_its_own(emulated):
    assert_same(made(MOSAIC.replace(structure_factors=TWO), structure_factors=ONE))


def test_mixture_on_panels(emulated):
    crystals = [phase.replace(structure_factors=own) for phase, own in zip(PHASES, (ONE, TWO), strict=True)]
    assert_same(made(crystals, detector=Detector(panels=side_by_side())))


@pytest.mark.parametrize("crystal", [MOSAIC, [MOSAIC, PHASES[1]]], ids=["one crystal", "two crystals"])
def test_panels_of_one_image(emulated, crystal):
    """Their rows lie apart there, which those on a device do not."""
    experiment = made(crystal, detector=Detector(panels=side_by_side()))
    (wanted, known), (found, said) = (
        simulate_stored(experiment.resolved, None, Compute(backend=backend)) for backend in ("cpu", "gpu")
    )
    assert wanted.any() and wanted.shape == (26, 31)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9 * wanted.max())
    assert said.maximum_pixel == known.maximum_pixel and said.pixels == known.pixels
