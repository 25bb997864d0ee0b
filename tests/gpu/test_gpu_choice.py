"""Choosing the backend: what is missing, what is refused, and what `-backend auto` takes."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.kernels.files.imagefile import smv_pixels
from nanobragg_py.kernels.memory.buffers import Buffer
from nanobragg_py.render import backends
from nanobragg_py.render.noise import noise_maker
from nanobragg_py.render.simulate import simulate

CRYSTAL = "-default_F 100 -cell 90 90 90 90 90 90 -lambda 1 -distance 100 -N 5 -oversample 1"
EMULATED = [sys.executable, str(Path(__file__).parent / "run_emulated.py")]
LARGE = f"{CRYSTAL} -detpixels 3000 -mosaic_spread 1 -mosaic_domains 1000000"


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(backends, "_gpu_renderers", {})


def experiment(words):
    return load_args(words.split()).experiment


def small(words=""):
    return experiment(f"{CRYSTAL} -detpixels 8 {words}")


def test_without_cupy(no_cupy):
    with pytest.raises(NanoBraggError, match=r"CuPy.*nanobragg-py\[gpu12\].*nanobragg-py\[gpu13\]"):
        simulate(small(), backend="gpu")


def test_the_program_without_cupy(program, tmp_path):
    """A module of that name that cannot be imported stands in for one that is not there."""
    (tmp_path / "cupy.py").write_text("raise ImportError('No module named cupy')\n")
    done = subprocess.run(
        [*program, *CRYSTAL.split(), "-detpixels", "8", "-backend", "gpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 9
    assert done.stderr.startswith("ERROR: the GPU backend needs CuPy")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "floatimage.bin").exists()


def test_no_such_device(emulated):
    with pytest.raises(NanoBraggError, match="-device 1 does not exist: there are 1 CUDA devices"):
        simulate(small(), backend="gpu", device=1)


@pytest.mark.emulation
def test_no_device(emulated, monkeypatch):
    def fail():
        raise emulated.cuda.runtime.CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    monkeypatch.setattr(emulated.cuda.runtime, "getDeviceCount", fail)
    with pytest.raises(NanoBraggError, match=r"no CUDA device can be used \(cudaErrorNoDevice.*-backend cpu"):
        simulate(small(), backend="gpu")


def without_nvrtc(emulated, monkeypatch):
    def fail():  # CuPy 14 finds NVRTC by cuda.pathfinder, whose error is a RuntimeError
        raise RuntimeError('Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file')

    monkeypatch.setattr(emulated.cuda.nvrtc, "getVersion", fail)
    monkeypatch.setattr(emulated, "RawModule", lambda **_: fail())


@pytest.mark.emulation
def test_no_compiler(emulated, monkeypatch):
    without_nvrtc(emulated, monkeypatch)
    with pytest.raises(NanoBraggError, match=r"NVRTC.*libnvrtc\.so.*nanobragg-py\[gpu12\].*or use -backend cpu"):
        simulate(small(), backend="gpu")


@pytest.mark.emulation
def test_auto_without_a_compiler(emulated, monkeypatch):
    without_nvrtc(emulated, monkeypatch)
    chosen, sentence = backends.choose_backend(experiment(LARGE))
    assert chosen == "cpu"
    assert "takes the CPU" in sentence and "needs NVRTC" in sentence


def test_extras_bring_the_compiler():
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for major in (12, 13):
        assert extras["optional-dependencies"][f"gpu{major}"] == [f"cupy-cuda{major}x[ctk]"]


@pytest.mark.emulation
def test_a_compiler_that_fails(emulated, monkeypatch):
    def fail(**_):
        raise emulated.cuda.nvrtc.NVRTCError("NVRTC_ERROR_BUILTIN_OPERATION_FAILURE (7)")

    monkeypatch.setattr(emulated, "RawModule", fail)
    with pytest.raises(NanoBraggError, match=r"do not compile for this GPU \(NVRTC_ERROR_BUILTIN"):
        simulate(small(), backend="gpu")


@pytest.mark.emulation
@pytest.mark.parametrize(("status", "anew"), [(700, True), (719, True), (2, False), (9, False)])
@pytest.mark.parametrize("kind", ["CUDARuntimeError", "CUDADriverError"])
def test_errors_that_stay(emulated, monkeypatch, status, anew, kind):
    """After an illegal address every call of the process fails: no sense in trying again."""
    from nanobragg_py.render.gpu.device import clear_errors

    raised = getattr(emulated.cuda.runtime, kind, None) or emulated.cuda.driver.CUDADriverError
    with pytest.raises(NanoBraggError) as found, clear_errors(emulated):
        raise raised("cudaErrorSomething: what happened", status)
    assert ("start the program anew" in str(found.value)) == anew
    assert ("try again" in str(found.value)) != anew


@pytest.mark.emulation
def test_kernels_that_do_not_compile(emulated, monkeypatch):
    from nanobragg_py.render.gpu import modules

    text = modules.source
    monkeypatch.setattr(modules, "source", lambda name: text(name) + "\n#error no such thing\n")
    with pytest.raises(NanoBraggError, match=r"the kernels do not compile for this GPU.*no such thing"):
        simulate(small(), backend="gpu")


def test_a_launch_that_fails(emulated, monkeypatch):
    from nanobragg_py.render.gpu import renderer

    monkeypatch.setattr(renderer, "REDUCE_THREADS", 2048)
    with pytest.raises(NanoBraggError, match=r"the GPU failed \(CUDA_ERROR_INVALID_VALUE"):
        simulate(small(), backend="gpu")


@pytest.mark.parametrize("flag", ["-interpolate", "-oversample_thick", "-oversample_polar", "-oversample_omega"])
def test_sequential_modes_are_refused(emulated, flag, tmp_path):
    hkl = tmp_path / "a.hkl"
    indices = range(-3, 4)
    hkl.write_text("".join(f"{h} {k} {l} 10\n" for h in indices for k in indices for l in indices))
    asked = small(f"-hkl {hkl} {flag}")
    with pytest.raises(NanoBraggError, match=r"-compat c makes pixels depend on those before them.*use -backend cpu"):
        simulate(asked, Buffer((8, 8, 8), "d", True, 100), backend="gpu", compat="c")
    assert backends.choose_backend(asked, compat="c")[0] == "cpu"


def test_auto_leaves_small_images_to_the_cpu(emulated):
    chosen, sentence = backends.choose_backend(small())
    assert chosen == "cpu"
    assert sentence.startswith("-backend auto takes the CPU: 64 steps are expected to take")


#: compute capability, multiprocessors, kHz, and what the driver says of the ratio of lanes
H100, RTX_5090, NEWER = ("90", 132, 1_980_000, 2), ("120", 170, 2_410_000, 64), ("999", 170, 2_410_000, 64)


def pretend(monkeypatch, device, threads=8):
    """A device of some kind beside a processor with AVX-512."""
    import emulated_cupy

    capability, multiprocessors, clock, ratio = device
    monkeypatch.setattr(emulated_cupy.Device, "compute_capability", capability)
    for name, value in (
        ("MultiProcessorCount", multiprocessors),
        ("ClockRate", clock),
        ("SingleToDoublePrecisionPerfRatio", ratio),
    ):
        monkeypatch.setitem(emulated_cupy.ATTRIBUTES, name, value)
    monkeypatch.setattr(backends, "_gpu_renderers", {})
    monkeypatch.setattr(backends, "cpu_renderer", lambda: (None, "v4"))
    monkeypatch.setattr(backends, "thread_count", lambda wanted=0: wanted or threads)


@pytest.mark.emulation
def test_auto_takes_the_gpu_for_large_ones(emulated, monkeypatch):
    pretend(monkeypatch, H100)
    chosen, sentence = backends.choose_backend(experiment(LARGE))
    assert chosen == "gpu"
    assert sentence.startswith("-backend auto takes the GPU (emulated by g++): 9e+12 steps")


@pytest.mark.emulation
@pytest.mark.parametrize(
    ("device", "threads", "precision", "taken"),
    [
        (H100, 8, "double", "gpu"),
        (H100, 64, "double", "gpu"),
        (RTX_5090, 8, "double", "gpu"),  # 10 Gstep/s against 8
        (RTX_5090, 64, "double", "cpu"),
        (NEWER, 64, "double", "cpu"),  # by what the driver says
        (RTX_5090, 64, "single", "gpu"),
    ],
)
def test_auto_weighs_the_device_and_the_cores(emulated, monkeypatch, device, threads, precision, taken):
    """A GeForce does one number in double for 64 in single: many cores are quicker, unless single is asked for."""
    pretend(monkeypatch, device, threads)
    chosen, sentence = backends.choose_backend(experiment(LARGE), precision=precision)
    assert chosen == taken, sentence
    assert f"({threads} threads)" in sentence and f"on the GPU in {precision}" in sentence


@pytest.mark.emulation
def test_ratios_of_devices(emulated, monkeypatch):
    """What is known by compute capability goes before what the driver says, which some have wrong."""
    from nanobragg_py.render.gpu.hardware import hardware_of

    for capability, told, lanes, ratio in (("90", 64, 128, 2), ("86", 32, 128, 64), ("75", 0, 64, 32)):
        pretend(monkeypatch, (capability, 10, 1_000_000, told))
        hardware = hardware_of(emulated, 0)
        assert (hardware.lanes, hardware.ratio) == (lanes, ratio)


def test_auto_without_a_gpu(no_cupy):
    chosen, sentence = backends.choose_backend(experiment(LARGE))
    assert chosen == "cpu"
    assert "takes the CPU" in sentence and "needs CuPy" in sentence


def test_auto_says_what_it_took(tmp_path):
    words = [*EMULATED, "-backend", "auto", *CRYSTAL.split(), "-detpixels", "8"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.startswith("-backend auto takes the CPU: ")
    assert "backend" not in done.stdout


def test_integer_pixels_are_the_cpus(emulated):
    """Made on the device while it has the image, on the CPU when it does not."""
    loaded = load_args(f"{CRYSTAL} -detpixels 50 -roi 3 44 5 39".split())
    image, _ = simulate(loaded.experiment, backend="gpu")
    renderer = backends.renderer_of("gpu")
    other = Buffer((50, 50), "f")
    np.asarray(other)[...] = np.linspace(-70, 70000, 2500, dtype=np.float32).reshape(50, 50)
    for source, kept in ((image, True), (other, False)):
        assert (renderer.kept(source) is not None) == kept
        for scale, adc in ((20.0, 40.0), (1e6, 0.0), (1.0, -10.5)):
            for first, rows in ((0, 50), (0, 7), (3, 5), (38, 12), (40, 10)):
                ours, theirs = Buffer((rows, 50), "H"), Buffer((rows, 50), "H")
                np.asarray(ours)[...] = 7
                renderer.smv_pixels(source, first, ours, (3, 44, 5, 39), scale, adc)
                smv_pixels(source, first, theirs, (3, 44, 5, 39), scale, adc)
                assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("roi", ["0 49 0 49", "3 44 5 39"])
def test_noise_is_the_cpus(emulated, roi):
    """Counts from below one to far beyond 16 bits, the same by both; the sums of whole numbers as well."""
    loaded = load_args(f"{CRYSTAL} -detpixels 50 -roi {roi} -water 100 -fluence 1e27".split())
    image, _ = simulate(loaded.experiment, backend="gpu")
    renderer = backends.renderer_of("gpu")
    values = np.asarray(image)
    low, high = loaded.experiment.detector.roi[2], min(loaded.experiment.detector.roi[3], 49) + 1
    for factor in (0.01, 1.0, 1e4):
        means = (values * np.float32(factor / values.mean())).astype(np.float32)
        means[20, 20], means[21, 21], means[22, 22] = np.nan, -3.0, 3e9
        values[...] = means
        kept = renderer.kept(image)
        kept._array.set(means[low:high].copy())
        kept._made.clear()
        cpu = noise_maker("philox", None, -123456789012, 1)
        gpu = renderer.noise(noise_maker("philox", None, -123456789012, 1))
        for first, rows in ((0, 20), (20, 30)):
            ours, theirs = Buffer((rows, 50), "H"), Buffer((rows, 50), "H")
            np.asarray(ours)[...] = 7
            gpu.apply(image, first, ours, loaded.experiment.detector.roi, 40.0)
            cpu.apply(image, first, theirs, loaded.experiment.detector.roi, 40.0)
            assert np.array_equal(np.asarray(ours), np.asarray(theirs))
        assert (gpu.photons, gpu.overloads) == (cpu.photons, cpu.overloads)
        assert gpu.overloads > 0


@pytest.mark.emulation
def test_the_program_with_philox_noise(program, tmp_path):
    """The same noise image from both backends, where the float images are the same."""
    words = f"{CRYSTAL} -detpixels 60 -noise_rng philox -seed 5 -fluence 1e31".split()
    images = {}
    for name, command in (("cpu", program), ("gpu", [*EMULATED, "-backend", "gpu"])):
        folder = tmp_path / name
        folder.mkdir()
        done = subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        images[name] = {file.name: file.read_bytes() for file in folder.iterdir()} | {
            "photons": [line for line in done.stdout.splitlines() if "photons on noise" in line]
        }
    assert images["cpu"]["floatimage.bin"] == images["gpu"]["floatimage.bin"]
    assert images["cpu"] == images["gpu"]
