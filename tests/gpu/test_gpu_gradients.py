"""Derivatives on the emulated device: the CPU's, of every kind of kernel."""

import re
from pathlib import Path

import cuda_tools
import numpy as np
import pytest
import test_gradients
import test_gradients_panels

from nanobragg_py import FieldError
from nanobragg_py.gradients.changes import loops
from nanobragg_py.render.gpu.variants import all_variants, options, source

SOURCE = Path(__file__).parents[2] / "kernels" / "loops" / "gradient.cu"


def check(e, names):
    image, pullback = e.vjp(names, threads=1)
    device_image, device_pullback = e.vjp(names, backend="gpu")
    assert np.abs(np.asarray(device_image) - image).max() <= 1e-12 * np.abs(image).max()
    weights = np.random.default_rng(2).normal(size=e.shape)
    expected, found = pullback(weights), device_pullback(weights)
    for name in names:
        # sums of both signs: the largest that they may come to
        largest = np.abs(pullback(np.abs(weights))[name]).max() + np.abs(expected[name]).max()
        assert np.abs(found[name] - expected[name]).max() <= 1e-9 * largest, name
    assert {name: value.tobytes() for name, value in device_pullback(weights).items()} == {
        name: value.tobytes() for name, value in found.items()
    }


@pytest.mark.parametrize(
    ("setting", "shape", "factors", "physics"),
    [
        ("rotation", "square 5", "constant", "exact"),
        ("sources", "gauss", "constant", "reference"),
        ("weighted sub-pixels", "gauss", "nearest", "exact"),
        ("weighted layers", "gauss", "constant", "exact"),
        ("layers", "gauss", "constant", "reference"),
        ("custom", "gauss", "constant", "exact"),
        ("curved", "gauss", "constant", "exact"),
        ("mask", "square", "tricubic", "reference"),
        ("dmin and water", "gauss", "constant", "exact"),
        ("dmin", "gauss", "constant", "reference"),
        ("unpolarized", "gauss", "constant", "exact"),
    ],
)
def test_device(emulated, setting, shape, factors, physics):
    e = test_gradients.experiment(shape, factors, setting, physics)
    check(e, [name for name in test_gradients.applying(e) if name != "crystal.cells" or shape != "square 5"])


def test_panels(emulated):
    check(test_gradients_panels.many(), test_gradients_panels.NAMES)


def test_many_orientations(emulated, monkeypatch):
    """More than a block has, in several launches, with several segments a row."""
    from nanobragg_py.gradients import gpu

    monkeypatch.setattr(gpu, "SECONDS", 1e-4)
    e = test_gradients.experiment("gauss").replace(
        {"detector.fpixels": 150, "detector.spixels": 3, "detector.pixel_size": 1e-4, "crystal.mosaic_spread": 0.01,
         "crystal.mosaic_domains": 140}
    )  # fmt: skip
    check(e, ["crystal.rotation", "crystal.mosaic_spread", "detector.distance"])


@pytest.mark.emulation
@pytest.mark.parametrize("name", ["square_555-constant", "gauss-tricubic-curved"])
def test_compiles_for_a_device(name):
    """By NVRTC, into the shared memory that every device has."""
    variant = next(each for each in all_variants() if each.name == name)
    code, used = cuda_tools.Nvrtc(12).compile(source("gradient"), options(variant.macros), 90)
    assert code and used["shared"] <= 48 * 1024


def test_numbers():
    """The kernel's list of numbers is the CPU's."""
    given = {name: int(value) for name, value in re.findall(r"#define NB_(\w+) (\d+)\n", SOURCE.read_text())}
    module = loops()
    for name, (first, _) in module.LAYOUT.items():
        assert given[{"close_distance": "CLOSE"}.get(name, name.upper())] == first
    assert (given["HEAD"], given["PER_SOURCE"]) == (module.SOURCES_BEGIN, module.SOURCE_NUMBERS)


def test_what_a_device_does_not_give(emulated):
    e = test_gradients.experiment(factors="nearest")
    for name in ("structure_factors.F", "structure_factors.default_F"):
        with pytest.raises(FieldError, match=f'{name} of a table needs backend "cpu"'):
            e.vjp([name], backend="gpu")
    with pytest.raises(FieldError, match="backend is 'tpu'"):
        e.vjp(["beam.fluence"], backend="tpu")
