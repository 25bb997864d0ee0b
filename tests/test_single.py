"""-precision single: the bounds that docs/speed.md states."""

import numpy as np
import pytest

from nanobragg_py.experiment.load import load_args
from nanobragg_py.render.simulate import simulate

CASES = {
    "five cells": "-N 5",
    "few cells": "-Na 2 -Nb 3 -Nc 6",
    "many cells": "-N 40",
    "round": "-N 8 -round_xtal",
    "gauss": "-N 4 -gauss_xtal",
    "tophat": "-N 4 -tophat_spots",
    "table": "-N 5 -hkl {inputs}/full8.hkl -nointerpolate",
    "tricubic": "-N 5 -hkl {inputs}/full8.hkl -interpolate",
    "curved": "-N 5 -curved_det",
    "long cell": "-N 5 -cell 3e5 47 62 80 95 100",
}
SAME = ("tricubic", "curved", "tophat", "long cell")  # these have no float32 loops


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sampling", ["", "-mosaic 1 -mosaic_domains 70 -phi 3 -osc 1 -phisteps 3"])
def test_single_is_close_to_double(case, sampling, request):
    inputs = request.config.rootpath / "golden" / "inputs"
    flags = (
        f"-cell 36 47 62 80 95 100 -misset 12 25 40 -default_F 20 -oversample 1 -detpixels_x 300 -detpixels_y 20 "
        f"-pixel 0.4 {CASES[case].format(inputs=inputs)} {sampling}"
    )
    loaded = load_args(flags.split())
    double, single = (
        np.asarray(simulate(loaded.experiment, loaded.table, precision=precision)[0]).astype(float)
        for precision in ("double", "single")
    )
    assert np.array_equal(double, single) == (case in SAME)
    cells = max(loaded.experiment.crystal.cells)
    apart = np.abs(single - double)
    assert apart.max() <= 1e-5 * double.max()
    relative = apart[double > 0] / double[double > 0]
    assert np.median(relative) <= 2e-7 * cells
    assert np.quantile(relative, 0.99) <= 2e-5 * cells
