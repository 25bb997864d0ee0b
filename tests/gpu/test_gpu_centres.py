"""At lattice points, where formulas cancel, the GPU gives what the CPU gives."""

import numpy as np
import pytest
from test_spot_centres import LINES, ROUND, image_of

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.kernels.loops.job import SHAPES


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gpu(shape, emulated):
    for words in [line for line in LINES if f"-{shape}_" in line][:4]:
        double = image_of(words)
        for precision in ("double", "single"):
            image = image_of(words, backend="gpu", precision=precision)
            assert np.abs(image - double).max() <= (1e-6 if precision == "double" else 1e-5) * double.max()


def test_a_gpu_cannot(emulated):
    with pytest.raises(NanoBraggError, match="spots' centres of round crystals worked out one by one"):
        image_of(ROUND, compat="c", backend="gpu")
