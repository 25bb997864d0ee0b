"""The real CuPy, on a machine without a GPU: it takes our arguments, and says what we expect of it."""

import os
import subprocess
import sys

import cuda_tools
import numpy as np
import pytest

from nanobragg_py.render.gpu import variants
from nanobragg_py.render.gpu.renderer import NULL

cupy = pytest.importorskip("cupy", reason="the real CuPy is not installed (pip install 'nanobragg-py[test]')")

WORDS = "-default_F 100 -cell 90 90 90 90 90 90 -N 3 -detpixels 4"


class NoStream:
    """A stream's handle, so that CuPy looks at the arguments before it looks for a device."""

    ptr = 0


def marshal(argument):
    """What a launch makes of an argument: raises TypeError where CuPy does not take it."""
    kernel = cupy.cuda.function.Function.__new__(cupy.cuda.function.Function)
    failures = (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError)
    with pytest.raises(failures):  # there is no kernel, and no device
        kernel((1,), (1,), (argument,), 0, NoStream())


def test_arguments_are_taken():
    for argument in (
        np.int32(1),
        np.uint32(1),
        np.int64(1),
        np.float64(1.0),
        NULL,
    ):
        marshal(argument)


def test_other_arguments_are_not():
    for argument in (np.zeros(3), b"bytes", [1]):
        with pytest.raises(TypeError):
            marshal(argument)


def test_names_that_the_host_module_uses():
    assert issubclass(cupy.cuda.memory.OutOfMemoryError, MemoryError)
    assert issubclass(cupy.cuda.compiler.CompileException, Exception)
    assert issubclass(cupy.cuda.runtime.CUDARuntimeError, Exception)
    assert issubclass(cupy.cuda.driver.CUDADriverError, Exception)
    assert issubclass(cupy.cuda.nvrtc.NVRTCError, Exception)
    for name in ("load", "get_function"):
        assert callable(getattr(cupy.cuda.function.Module, name))
    for name in ("asarray", "empty", "zeros", "RawModule"):
        assert callable(getattr(cupy, name))
    assert callable(cupy.get_default_memory_pool().free_all_blocks)
    for name in ("mem_info", "use", "synchronize", "__enter__"):
        assert hasattr(cupy.cuda.Device, name)
    for name in ("get", "set", "fill"):
        assert callable(getattr(cupy.ndarray, name))
    assert callable(cupy.cuda.runtime.getDeviceProperties) and callable(cupy.cuda.runtime.deviceGetAttribute)
    for name in ("MultiProcessorCount", "ClockRate", "SingleToDoublePrecisionPerfRatio"):
        assert isinstance(getattr(cupy.cuda.runtime, f"cudaDevAttr{name}"), int)
    assert hasattr(cupy.cuda.Device, "compute_capability")
    assert callable(cupy.cuda.Stream) and callable(cupy.cuda.get_current_stream)
    assert callable(cupy.cuda.alloc_pinned_memory)


def test_options_are_those_of_the_budgets(monkeypatch):
    """CuPy adds options of its own; cuda_tools compiles with the same ones."""
    compiler = cupy.cuda.compiler

    class Enough(Exception):
        pass

    class Program:
        def __init__(self, *_, **__):
            pass

        def compile(self, words, log_stream=None):
            raise Enough(words)

    monkeypatch.setattr(compiler, "_get_nvrtc_version", lambda: (12, 9))
    monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", lambda arch=None: (f"-arch=sm_{arch}", "cubin"))
    monkeypatch.setattr(compiler, "_preprocess", lambda *_: b"")
    monkeypatch.setattr(compiler.function, "Module", lambda: None)
    monkeypatch.setattr(compiler, "_NVRTCProgram", Program)
    given = variants.options(("-DNB_KIND=0",))
    with pytest.raises(Enough) as found:
        compiler._compile_with_cache_cuda(variants.source("statistics"), given, "90", cache_in_memory=True)
    assert sorted(found.value.args[0]) == sorted(cuda_tools.cupys(given, 90))


def test_without_a_device(tmp_path, program):
    """The program with the real CuPy: one sentence, and no image half done."""
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        assert error.status in (35, 100)  # the number of "insufficient driver" or "no device"
    else:
        pytest.skip("there is a device; tests marked gpu cover that")
    words = [*WORDS.split(), "-backend", "gpu"]
    code = "import sys; from nanobragg_py.cli.dropin import main; sys.exit(main(sys.argv))"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 9
    assert done.stderr.startswith("ERROR: no CUDA device can be used (") and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.emulation
def test_without_nvrtc(tmp_path):
    """CuPy's own error where its packages have brought no NVRTC, on a machine whose driver is there."""
    code = """if True:
        import sys
        import nvidia
        nvidia.__path__ = []
        import cupy
        cupy.cuda.runtime.getDeviceCount = lambda: 1
        from nanobragg_py.cli.dropin import main
        sys.exit(main(sys.argv))
    """
    hidden = {name: value for name, value in os.environ.items() if name not in ("CUDA_PATH", "LD_LIBRARY_PATH")}
    words = [sys.executable, "-c", code, *WORDS.split(), "-backend", "gpu"]
    done = subprocess.run(words, env=hidden, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 9
    if "needs NVRTC" not in done.stderr:
        pytest.skip("this machine has an NVRTC of its own")
    assert done.stderr.startswith("ERROR: the GPU backend needs NVRTC, CUDA's run-time compiler (")
    assert "nanobragg-py[gpu12]" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
