"""The emulated device for tests in this process."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent.parent / "benchmarks")]


#: modules whose tests ask a device, CuPy or NVRTC; those of the others run kernels that g++ compiles
WITHOUT_EMULATION = ("test_gpu_compile", "test_gpu_cupy", "test_gpu_device")


def pytest_itemcollected(item):
    if item.path.stem not in WITHOUT_EMULATION:
        item.add_marker("compiler")


@pytest.fixture
def emulated(monkeypatch):
    """CuPy's stand-in, in the place of CuPy and without renderers from before."""
    import emulated_cupy

    from nanobragg_py.render import backends

    monkeypatch.setitem(sys.modules, "cupy", None)  # so that the undo takes the stand-in away
    monkeypatch.setattr(backends, "_gpu_renderers", {})
    return emulated_cupy.install()
