"""Beams of many wavelengths on the emulated device, with structure factors of their own: the CPU's image."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from test_spectra_tables import KINDS, TABLES, still

from nanobragg_py.render.backends import Compute
from nanobragg_py.render.images import render_many


@pytest.mark.parametrize("kind", ["plain", "interpolated", "curved", "directions", "one table"])
def test_spectra(emulated, kind):
    experiment = still(TABLES.at(1e-10)) if kind == "one table" else still(**KINDS[kind])
    wanted = experiment.render(threads=1)
    found = experiment.render("gpu")
    assert wanted.any()
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9 * wanted.max())


def test_stills_of_one_launch(launched):
    """Each finds the tables of its sources, to the bit as alone."""
    experiments = [still(**KINDS["plain"]).replace({"crystal.missets": (0.1 * i, 0.2, 0.3)}) for i in range(3)]
    alone = [experiment.render("gpu") for experiment in experiments]
    launched.clear()
    together = [image for image, _ in render_many(experiments, Compute(backend="gpu"))]
    assert [grid[2] for name, grid in launched if name == "nb_intensity"] == [3]
    for image, expected in zip(together, alone, strict=True):
        assert image.any() and np.array_equal(image, expected)
