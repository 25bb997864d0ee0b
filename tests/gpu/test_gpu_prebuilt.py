"""Kernels that came with the wheel: found, loaded without a compiler, and passed over where they do not fit."""

import importlib.util
from pathlib import Path

import cuda_tools
import numpy as np
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.render import backends
from nanobragg_py.render.gpu import prebuilt, variants
from nanobragg_py.render.gpu.prebuilt import Prebuilt
from nanobragg_py.render.simulate import simulate

WORDS = "-default_F 100 -cell 90 90 90 90 90 90 -lambda 1 -distance 100 -N 5 -oversample 1 -detpixels 8"
SQUARE = variants.Variant(kind=variants.TRANSFORMS.index("square_555"), structure=0)
SCRIPT = Path(__file__).parents[2] / "packaging" / "gpu_kernels.py"


@pytest.fixture(scope="module")
def packaging():
    spec = importlib.util.spec_from_file_location("gpu_kernels", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def archive(emulated, packaging, tmp_path, monkeypatch):
    """A file of kernels for the emulated device of capability 8.0, whose machine code is g++'s."""
    import emulated_cupy

    chosen = [*((file, (), exact) for file, exact in packaging.PLAIN.items()), ("intensity", SQUARE.macros, False)]

    def make(kernel, architecture):
        file, macros, exact = kernel
        return Path(emulated_cupy.build(variants.source(file), variants.options(macros, exact))).read_bytes()

    path = tmp_path / "kernels.zip"
    packaging.write(path, make, chosen, (80,))
    monkeypatch.setattr(prebuilt, "FILE", str(path))
    return path


def no_nvrtc(emulated, monkeypatch):
    def fail(**_):
        raise RuntimeError("NVRTC was called")

    monkeypatch.setattr(emulated, "RawModule", fail)
    monkeypatch.setattr(emulated.cuda.nvrtc, "getVersion", fail)


def image(words=WORDS):
    return np.asarray(simulate(load_args(words.split()).experiment, backend="gpu")[0])


@pytest.mark.emulation
def test_no_compiler_is_called(emulated, archive, monkeypatch):
    expected = image()
    no_nvrtc(emulated, monkeypatch)
    monkeypatch.setattr(backends, "_gpu_renderers", {})
    assert np.array_equal(image(), expected) and expected.any()
    with pytest.raises(NanoBraggError, match="needs NVRTC"):
        image(WORDS + " -curved_det")  # which is not among them


@pytest.mark.emulation
@pytest.mark.parametrize("capability", ["86", "80"])
def test_what_fits(emulated, archive, monkeypatch, capability):
    assert Prebuilt(capability).code("statistics", (), False)
    assert Prebuilt(capability).code("statistics", ("-DNB_OTHER=1",), False) is None


@pytest.mark.emulation
@pytest.mark.parametrize("capability", ["90", "75", "120", "unknown"])
def test_what_does_not(emulated, archive, monkeypatch, capability):
    """Code of another generation: the compiler is wanted, and missed when the device is opened."""
    import emulated_cupy

    assert not Prebuilt(capability).any
    no_nvrtc(emulated, monkeypatch)
    monkeypatch.setattr(emulated_cupy.Device, "compute_capability", capability)
    with pytest.raises(NanoBraggError, match="needs NVRTC"):
        image()


@pytest.mark.emulation
def test_code_of_another_text_is_passed_over(emulated, archive, monkeypatch):
    text = variants.source
    monkeypatch.setattr(prebuilt, "source", lambda name: text(name) + "/* changed */")
    assert Prebuilt("80").code("statistics", (), False) is None
    assert image().any()  # compiled


@pytest.mark.emulation
def test_code_that_the_driver_refuses(emulated, archive, packaging, monkeypatch):
    damaged = archive.read_bytes()[:-200] + archive.read_bytes()[-100:]
    kernels = [("intensity", SQUARE.macros, False)]
    packaging.write(archive, lambda *_: b"no machine code", kernels, (80,))
    assert Prebuilt("80").code(*kernels[0]) == b"no machine code"
    assert image().any()  # compiled
    for useless in (b"no archive", damaged):
        archive.write_bytes(useless)
        monkeypatch.setattr(backends, "_gpu_renderers", {})
        assert not Prebuilt("80").any and image().any()


@pytest.mark.emulation
def test_a_damaged_member(emulated, archive):
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 255
    archive.write_bytes(data)
    assert not Prebuilt("80").any


@pytest.mark.emulation
def test_machine_code_is_made(packaging, tmp_path, monkeypatch):
    """By NVRTC, and the same from what was kept."""
    monkeypatch.setattr(packaging, "KEPT", tmp_path / "kept")
    kernel = ("statistics", (), False)
    path = tmp_path / "kernels.zip"
    make = packaging.machine_code
    packaging.write(path, lambda *job: make(cuda_tools.Nvrtc(12), *job), [kernel], (80, 90))
    code = Prebuilt("90", str(path)).code(*kernel)
    assert cuda_tools.disassemble(code)[0] and b"nb_reduce" in code
    packaging.write(tmp_path / "again.zip", lambda *job: make(None, *job), [kernel], (80, 90))
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_what_is_built(packaging):
    """What most images ask for; what is rare, or no GPU ever has, is left to the compiler."""
    names = {macros for file, macros, _ in packaging.kernels() if file == "intensity"}
    assert len(names) == 6 * 5
    square = variants.TRANSFORMS.index("square_555")
    assert variants.Variant(kind=square, structure=1, single=True).macros in names
    assert variants.Variant(kind=square, structure=1, curved=True).macros not in names
