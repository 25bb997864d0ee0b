"""The library on a GPU: what it says without one, and, on the emulated device, that it gives the CPU's image."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py import Crystal, Detector, Experiment, NanoBraggError, StructureFactors

EMULATION = Path(__file__).parent / "gpu"
sys.path.insert(0, str(EMULATION))


def small():
    detector = Detector.flat((24, 20), 1e-3, 0.1)
    return Experiment(Crystal.from_cell(100), detector=detector, structure_factors=StructureFactors(default_F=10.0))


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(NanoBraggError, match=r"needs CuPy.*use backend cpu"):
        small().render("gpu", device=97)
    assert np.array_equal(small().render("auto"), small().render())


@pytest.mark.compiler
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
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.compiler
@pytest.mark.parametrize("words", [{}, {"detector.roi": (3, 15, 4, 21)}, {"detector.roi": (0, 19, 4, 21)}])
@pytest.mark.parametrize("device", [0, 1])
def test_an_image_that_stays_on_its_device(monkeypatch, device, words):
    """What was made there is handed out: on that device, of the caller's stream, and never copied to the host."""
    import emulated_cupy

    from nanobragg_py.render import backends

    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(backends, "_gpu_renderers", {})
    monkeypatch.setattr(emulated_cupy, "DEVICES", 2)
    emulated_cupy.install()
    experiment = small().replace(words)
    expected = experiment.render("gpu")
    emulated_cupy.COPIED.update({"in": 0, "out": 0})
    with emulated_cupy.Stream() as stream:
        there = experiment.render("gpu", on_device=True, device=device)
    # what the kernels are told of the image and its statistics, and not the image
    assert emulated_cupy.COPIED["out"] < 100 and emulated_cupy.COPIED["in"] < expected.nbytes
    assert isinstance(there, emulated_cupy.ndarray)
    assert there.device.id == device and there.stream is stream
    assert there.shape == expected.shape and np.array_equal(there.get(), expected)
    again = experiment.render("gpu", on_device=True, device=device)
    assert not np.shares_memory(again._host, there._host)
