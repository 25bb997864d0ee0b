"""The emulated device for tests in this process; with NANOBRAGG_GPU, a real one of that number in its place."""

import os
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent.parent / "benchmarks")]


#: modules whose tests ask a device, CuPy or NVRTC; those of the others run kernels that g++ compiles
WITHOUT_EMULATION = ("test_gpu_compile", "test_gpu_cupy", "test_gpu_device")


#: number of a real device, on which tests that render and compare do so
REAL = os.environ.get("NANOBRAGG_GPU")


def pytest_itemcollected(item):
    if REAL is None and item.path.stem not in WITHOUT_EMULATION:
        item.add_marker("compiler")
    if REAL is not None and item.get_closest_marker("emulation"):
        item.add_marker(pytest.mark.skip(reason="it asks what is not on a real device"))


@pytest.fixture
def emulated(monkeypatch):
    """CuPy's stand-in, in the place of CuPy and without renderers from before."""
    from nanobragg_py.render import backends

    if REAL is not None:
        monkeypatch.setattr(backends, "_gpu_renderers", {})
        return pytest.importorskip("cupy", reason="CuPy is not installed")
    import emulated_cupy

    monkeypatch.setitem(sys.modules, "cupy", None)  # so that the undo takes the stand-in away
    monkeypatch.setattr(backends, "_gpu_renderers", {})
    return emulated_cupy.install()


@pytest.fixture
def launched(emulated, monkeypatch):
    """What has been launched since: (kernel, grid) of each."""
    from nanobragg_py.render.gpu.modules import Modules

    found, function = [], Modules.function

    def spied(self, file, name, *choices, **more):
        kernel = function(self, file, name, *choices, **more)

        def launch(grid, *rest):
            found.append((name, grid))
            return kernel(grid, *rest)

        return launch

    monkeypatch.setattr(Modules, "function", spied)
    return found
