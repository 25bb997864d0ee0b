"""`Response`: the program's bytes from the library, streams that do not depend on threads, a calibration that stays."""

import doctest
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import plain_random
import pytest

from nanobragg_py import FieldError, Response
from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.kernels.memory.buffers import Buffer
from nanobragg_py.render.backends import LEVELS, level_module

AVAILABLE = LEVELS[: LEVELS.index(processor_level()) + 1]


@pytest.fixture(scope="module")
def image():
    random = np.random.default_rng(4)
    return random.gamma(0.5, 60.0, (40, 56)).astype(np.float32)


def program(noisify, folder, image, flags):
    """(pixels of intimage.img, of noiseimage.img or None) that noisify makes of an image."""
    image.tofile(folder / "in.bin")
    slow, fast = image.shape
    words = shlex.split(f"-floatfile in.bin -detpixels_x {fast} -detpixels_y {slow} {flags}")
    subprocess.run([*noisify, *words], cwd=folder, check=True, capture_output=True)
    kind = np.uint32 if "-bits 32" in flags else np.uint16
    found = []
    for name in ("intimage.img", "noiseimage.img"):
        path = folder / name
        data = path.read_bytes()[512:] if path.exists() else None
        found.append(None if data is None else np.frombuffer(data, kind).reshape(image.shape))
    return found


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        ("-calibration 0", {}),
        ("", {"calibration": 0.03}),
        ("-calib_seed 9 -flicker 0.1 -readout 3", {"calibration": 0.03, "calib_seed": 9, "flicker": 0.1, "readout": 3}),
        ("-calibration 0 -gain 1.8 -adc 10.5 -bits 32", {"gain": 1.8, "offset": 10.5, "bits": 32}),
        ("-calibration 0 -psf fiber -psf_fwhm 150", {"psf": "fiber", "fwhm": 150e-6}),
        (
            "-psf gauss -psf_radius 4 -pixel 0.05",
            {"calibration": 0.03, "psf": "gauss", "radius": 4, "pixel_size": 5e-5},
        ),
    ],
)
def test_same_bytes_as_the_program(flags, fields, noisify, image, tmp_path):
    _, noisy = program(noisify, tmp_path, image, f"-seed 5 {flags}")
    np.testing.assert_array_equal(Response(**fields).apply(image, seed=5), noisy)


def test_without_noise(noisify, image, tmp_path):
    flags = "-nonoise -psf gauss -psf_radius 3 -psf_fwhm 200 -gain 2"
    pixels, _ = program(noisify, tmp_path, image, flags)
    response = Response(psf="gauss", radius=3, fwhm=200e-6, gain=2.0, readout=3.0, flicker=0.1)
    np.testing.assert_array_equal(response.apply(image), pixels)


@pytest.mark.parametrize("stream", ["ran1", "philox"])
def test_threads_change_nothing(stream, image):
    response = Response(
        stream=stream, psf="fiber", calibration=0.03, static_calibration=True, flicker=0.02, readout=2.0
    )
    one, many = (response.replace(threads=threads).apply(image, 7) for threads in (1, 5))
    np.testing.assert_array_equal(one, many)


def test_photons_come_with_the_pixels(image):
    pixels, photons = Response(offset=10.0).apply(image, 3, return_photons=True)
    assert photons.dtype == np.float32
    np.testing.assert_array_equal(pixels, photons + 10.0)


@pytest.mark.parametrize("level", AVAILABLE)
@pytest.mark.parametrize("mean", [0.3, 3e6, 3e15])
def test_counts_are_summed_in_image_order(mean, level):
    """Some counts are whole, those of means above 1e6 not all, and sums above 4e15 are rounded."""
    photons = np.full((40, 300), mean, np.float32)
    photons[20:, :100] = 5.0
    photons[30, 7] = np.nan if mean < 1.0 else 9.0
    noise = level_module("noise.response", level)[0].DetectorNoise(7, -123456789)
    total = np.array(noise.count(photons, 0.0, 0.0))
    np.testing.assert_array_equal(total, np.cumsum(photons.ravel(), dtype=np.float64)[-1])
    block = Buffer(photons.shape, "i")
    noise.pixels(photons, 0, block, 1.0, 0.0, 0.0, False)
    np.testing.assert_array_equal(noise.photons, total)


#: where means are worked out roughly first, where they are not, and what lies between
MEANS = {
    "all": 10.0 ** np.random.default_rng(1).uniform(-3.0, 4.0, 1500),
    "faint": np.random.default_rng(2).gamma(0.5, 6.0, 1500),
    "borders": np.random.default_rng(3).choice([10.4, 11.99, 12.0, 12.01, 14.2, 3000.0], 1500),
    "odd": np.random.default_rng(4).choice([-1.0, 0.0, -0.0, np.nan, 1e-40, 2e6, 1e6, -3.0, 2.0], 1500),
    "the first of -1": np.r_[-1.0, 3.0, -1.0, 20.0, -1.0, np.full(50, -1.0)],
}


@pytest.mark.parametrize("level", AVAILABLE)
@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("errors", [(0.0, 0.03), (0.02, 0.0), (0.02, 0.03), (0.4, 3.0)])
def test_counts_are_the_references(name, errors, level):
    means = MEANS[name].astype(np.float32)
    counts = means.copy()
    noise = level_module("noise.response", level)[0].DetectorNoise(-5, 123456789)
    noise.count(counts[:700], *errors)  # two pixels may share a pair of normal deviates over a break
    noise.count(counts[700:], *errors)
    np.testing.assert_array_equal(counts, plain_random.detector_counts(means, (-5, 123456789), errors))


@pytest.mark.parametrize("stream", ["ran1", "philox"])
@pytest.mark.parametrize("static", [True, False])
def test_static_calibration_is_the_same_from_shot_to_shot(stream, static):
    response = Response(stream=stream, calibration=0.1, static_calibration=static, calib_seed=3, bits=32)
    flat = np.full((60, 60), 1e5, np.float32)
    one, two, other = (
        each.apply(flat, seed).ravel().astype(float)
        for each, seed in ((response, 1), (response, 2), (response.replace(calib_seed=4), 1))
    )
    assert one.std() / one.mean() == pytest.approx(0.1, rel=0.05)
    # 1e5 photons leave 0.3 % of their own: 0.1^2/(0.1^2 + 0.003^2)
    assert np.corrcoef(one, two)[0, 1] == pytest.approx(0.999 if static else 0.0, abs=0.001 if static else 0.07)
    if static:
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.07


def test_philox_noise_has_the_right_size():
    flat = np.full((200, 200), 50.0, np.float32)
    response = Response(stream="philox", flicker=0.1, readout=5.0, gain=2.0, bits=32, offset=1000.0)
    pixels = response.apply(flat, 1).astype(float)
    variance = 4.0 * (50.0 + 25.0) + 25.0
    # read-out noise is no whole number, and pixels are cut to one
    assert pixels.mean() == pytest.approx(1099.5, abs=5 * (variance / flat.size) ** 0.5)
    assert pixels.var() == pytest.approx(variance, rel=0.05)
    # a pixel's noise does not depend on the others
    np.testing.assert_array_equal(response.apply(flat[:50], 1), pixels[:50])


@pytest.mark.parametrize("psf", ["gauss", "fiber"])
def test_fourier_is_the_same_but_for_rounding(psf, image):
    response = Response(psf=psf, fwhm=200e-6, radius=6)
    exact, fast = (response.replace(method=method).apply(image, return_photons=True)[1] for method in ("exact", "fft"))
    np.testing.assert_allclose(fast, exact, rtol=2e-6)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"psf": "lorentz"}, "psf is 'lorentz'; it must be one of None, gauss, fiber"),
        ({"fwhm": 0}, "fwhm is 0; it must be above 0"),
        ({"gain": "much"}, "gain is 'much'; it must be a number"),
        ({"readout": -1}, "readout is -1; it must not be negative"),
        ({"flicker": float("nan")}, "flicker is nan; it must be finite"),
        ({"bits": 8}, "bits is 8; it must be one of 16, 32"),
        ({"radius": -1}, "radius is -1; it must be a whole number from 0 to 2147483647"),
        ({"calib_seed": 2.5}, "calib_seed is 2.5; it must be a whole number from 0 to 2147483647"),
        ({"calib_seed": "a"}, "calib_seed is 'a'; it must be a whole number from 0 to 2147483647"),
        ({"radius": float("inf")}, "radius is inf; it must be a whole number from 0 to 2147483647"),
    ],
)
def test_bad_values(fields, said):
    with pytest.raises(FieldError) as caught:
        Response(**fields)
    assert str(caught.value) == said


def test_lengths_may_be_words():
    made = Response(psf="gauss", fwhm="60 um", pixel_size="0.1mm")
    assert (made.fwhm, made.pixel_size) == pytest.approx((6e-5, 1e-4), rel=1e-15)


def test_bad_images():
    for image in (np.zeros(5), np.zeros((0, 3))):
        with pytest.raises(FieldError, match="it must be"):
            Response().apply(image)
    with pytest.raises(FieldError, match="image holds what is no number"):
        Response().apply("photons")
    with pytest.raises(FieldError, match="seed is 'one'; it must be a whole number"):
        Response().apply(np.ones((3, 3)), seed="one")


def test_the_image_stays_as_it_is(image):
    before = image.copy()
    Response(calibration=0.03, psf="gauss").apply(image, 1)
    np.testing.assert_array_equal(image, before)


def test_the_page():
    page = Path(__file__).parent.parent / "docs" / "noisify.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 3 and found.failed == 0


def test_a_fork_of_a_process_that_has_used_several_threads():
    """GNU's OpenMP would wait for ever in the child, for threads that a fork does not copy."""
    code = """if True:
        import os, signal
        import numpy as np
        from nanobragg_py import Response
        response = Response(psf="gauss", fwhm=1e-4, pixel_size=1e-4, threads=2)
        image = np.ones((300, 300), np.float32)
        expected = response.apply(image, seed=1)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            os._exit(0 if (response.apply(image, seed=1) == expected).all() else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
