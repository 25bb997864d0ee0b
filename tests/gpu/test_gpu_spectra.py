"""Beams of many wavelengths on the emulated device, with structure factors of their own: the CPU's image."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from test_spectra_tables import KINDS, TABLES, still


@pytest.mark.parametrize("kind", ["plain", "interpolated", "curved", "directions", "one table"])
def test_spectra(emulated, kind):
    experiment = still(TABLES.at(1e-10)) if kind == "one table" else still(**KINDS[kind])
    wanted = experiment.render(threads=1)
    found = experiment.render("gpu")
    assert wanted.any()
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9 * wanted.max())
