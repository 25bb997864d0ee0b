"""On a real CUDA device: everything that the emulation proves elsewhere, once more. Skipped where there is none."""

import json
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.experiment.load import load_args
from nanobragg_py.inspect import golden
from nanobragg_py.render.simulate import simulate

pytestmark = pytest.mark.gpu
cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
try:
    cupy.cuda.runtime.getDeviceCount()
except cupy.cuda.runtime.CUDARuntimeError as error:
    pytest.skip(f"no CUDA device: {error}", allow_module_level=True)

FOLDER = Path(__file__).parent
GOLDEN = FOLDER.parent.parent / "golden"
CASES = json.loads((GOLDEN / "cases.json").read_text())


@pytest.fixture(scope="module")
def one_process():
    """The program, all runs of which are in one process."""
    from one_process import started, stop

    words, process = started()
    yield words
    stop(words[-2])
    process.wait(20)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case, one_process):
    from test_gpu_golden import check

    check(case, golden.run_case([*one_process, "-backend", "gpu"], case, GOLDEN / "inputs"))


SHAPES = ["-N 5", "-N 4", "-Na 5 -Nb 7 -Nc 12", "-N 5 -round_xtal", "-N 5 -gauss_xtal", "-N 5 -tophat_spots"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("detector", ["-detpixels 257", "-detpixels 100 -curved_det"])
@pytest.mark.parametrize("precision", ["double", "single"])
def test_against_the_cpu(shape, detector, precision):
    words = f"-default_F 100 -cell 90 100 110 80 95 100 -lambda 1 -distance 100 -pixel 0.3 {shape} {detector}"
    words += " -mosaic_spread 1 -mosaic_domains 70"
    loaded = load_args(words.split())
    expected, cpu = simulate(loaded.experiment)
    image, gpu = simulate(loaded.experiment, backend="gpu", precision=precision)
    expected, image = np.asarray(expected, np.float64), np.asarray(image, np.float64)
    bound = 1e-9 if precision == "double" else 1e-5
    assert np.linalg.norm(image - expected) < bound * np.linalg.norm(expected) + 1e-7 * expected.max()
    assert gpu.mean == pytest.approx(cpu.mean, rel=1e-5)


def test_the_same_on_every_run():
    words = "-default_F 100 -cell 90 90 90 90 90 90 -N 5 -detpixels 500 -water 10"
    loaded = load_args(words.split())
    first, second = (simulate(loaded.experiment, backend="gpu") for _ in range(2))
    assert np.array_equal(np.asarray(first[0]), np.asarray(second[0]))
    assert first[1].replace(seconds=0.0) == second[1].replace(seconds=0.0)
