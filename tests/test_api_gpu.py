"""The library on a GPU: what it says without one, and, on the emulated device, that it gives the CPU's image."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py import Crystal, Detector, Experiment, NanoBraggError, StructureFactors

EMULATION = Path(__file__).parent / "gpu"


def small():
    detector = Detector.flat((24, 20), 1e-3, 0.1)
    return Experiment(Crystal.from_cell(100), detector=detector, structure_factors=StructureFactors(default_F=10.0))


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(NanoBraggError, match=r"needs CuPy.*use backend cpu"):
        small().render("gpu", device=97)
    assert np.array_equal(small().render("auto"), small().render())


def test_emulated_device():
    code = f"""if True:
        import sys
        sys.path[:0] = [{str(EMULATION)!r}, {str(EMULATION.parent)!r}]
        import emulated_cupy
        emulated_cupy.install()
        import numpy as np
        from test_api_gpu import small
        cpu, gpu = small().render(), small().render("gpu")
        assert np.allclose(cpu, gpu, rtol=1e-6) and cpu.any()
        out = np.empty_like(cpu)
        assert np.shares_memory(small().render("gpu", out=out), out) and np.array_equal(out, gpu)
        there = small().render("gpu", on_device=True)
        assert isinstance(there, emulated_cupy.ndarray) and np.array_equal(there.get(), gpu)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
