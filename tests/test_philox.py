"""The counter-based noise stream: its words, its distribution, and that nothing but mean, place and seed matters."""

import itertools
import math
import shlex

import numpy as np
import pytest

from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.render.backends import LEVELS, level_module
from nanobragg_py.render.noise import noise_maker

MODULE = level_module("noise.philox")[0]
AVAILABLE = LEVELS[: LEVELS.index(processor_level()) + 1]
ADC = 40.0


def counts(mean, shape, seed=1, first=0):
    """Counts, free of the 16-bit limit, of pixels that share a mean."""
    slow, fast = shape
    place = range(first, first + slow * fast)
    return np.array([MODULE.poisson(float(np.float32(mean)), p, seed) for p in place]).reshape(shape)


def noisy(image, seed=1, threads=1, first=0, roi=None, adc=ADC, module=MODULE):
    """Pixels, photons and overloads of some rows of an image."""
    image = np.ascontiguousarray(image, np.float32)
    out = np.full(image.shape, 12345, np.uint16)
    low, high = (0, image.shape[1] - 1) if roi is None else roi
    photons, overloads = module.draw_rows(image, out, first, adc, low, high, seed, threads)
    return out, photons, overloads


def mixed_image(slow=61, fast=203):
    """Means of every kind side by side, those that have none included."""
    image = 10.0 ** np.random.default_rng(5).uniform(-8.0, 9.0, (slow, fast))
    image[:, ::3] = np.random.default_rng(6).uniform(0.0, 12.0, image[:, ::3].shape)
    image[:, ::7] = 0.0
    below = np.nextafter(np.float32(10.0), np.float32(0.0))
    image[5, :9] = [0.0, -0.0, -1.0, np.nan, np.inf, -np.inf, 10.0, below, 3e38]
    image[-8:] = np.random.default_rng(7).uniform(0.0, 0.02, (8, fast))
    return image.astype(np.float32)


# ---- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "counter, key, words",
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_known_answers(counter, key, words):
    """The vectors that come with Random123, the authors' library."""
    found = MODULE.philox([int(w, 16) for w in counter.split()], [int(w, 16) for w in key.split()])
    assert " ".join(f"{word:08x}" for word in found) == words


# ---- the distribution ----------------------------------------------------------------------------------------------


def log_pmf(k, mean):
    return k * math.log(mean) - mean - math.lgamma(k + 1.0)


def chi_square_bound(degrees, sigmas=4.0):
    """What chi-square exceeds about as rarely as a normal deviate exceeds `sigmas` (Wilson and Hilferty's formula)."""
    return degrees * (1.0 - 2.0 / (9.0 * degrees) + sigmas * math.sqrt(2.0 / (9.0 * degrees))) ** 3


def chi_square(found, mean):
    """Chi-square of counts against the exact probabilities, and its degrees of freedom; a bin expects 20 at least."""
    total = found.size
    width = math.sqrt(mean)
    low, high = max(0, math.floor(mean - 6.0 * width - 2.0)), math.ceil(mean + 7.0 * width + 10.0)
    if high - low <= 4000:
        edges = np.arange(low, high + 2)
        pmf = np.exp([log_pmf(float(k), mean) for k in edges[:-1]])
    else:  # bins of many counts, each summed at its middle: the distribution is smooth on that scale
        step = max(1, int(width / 40.0)) | 1
        edges = np.arange(low, high + 2 * step, step)
        pmf = step * np.exp([log_pmf(float(k + step // 2), mean) for k in edges[:-1]])
    seen = np.histogram(found, edges)[0].astype(float)
    assert seen.sum() == total, "counts that lie many standard deviations away"
    observed, expected, gathered, hoped = [], [], 0.0, 0.0
    for count, p in zip(seen, pmf * total, strict=True):
        gathered, hoped = gathered + count, hoped + p
        if hoped >= 20.0:
            observed.append(gathered)
            expected.append(hoped)
            gathered = hoped = 0.0
    observed[-1] += gathered
    expected[-1] += hoped
    observed, expected = np.array(observed), np.array(expected)
    return ((observed - expected) ** 2 / expected).sum(), len(observed) - 1


MEANS = [0.01, 0.1, 0.5, 1.0, 2.0, 3.7, 6.0, 9.0, 9.999, 10.0, 10.5, 12.0, 15.0, 20.0, 33.3, 60.0, 100.0, 300.0, 1e3]
LARGE = [1e4, 1e5, 1e6, 1e7, 5e7, 9.99e7, 1e8, 1e9]


@pytest.mark.parametrize("mean", MEANS + LARGE)
def test_distribution(mean):
    found = counts(mean, (1, 60000), seed=2026)
    value, degrees = chi_square(found, float(np.float32(mean)))
    assert degrees > 0 and value < chi_square_bound(degrees)


@pytest.mark.parametrize("mean", [1e-6, 1e-4, *MEANS, *LARGE, 1e12])
def test_mean_and_variance(mean):
    """Within four standard errors; the counts of the vector loops where they fit in a pixel."""
    mean = float(np.float32(mean))
    if mean < 50000.0:
        found = noisy(np.full((1000, 1000), mean), seed=3, adc=0.0)[0].astype(float)
    else:
        found = counts(mean, (1, 60000), seed=3)
    n = found.size
    assert abs(found.mean() - mean) < 4.0 * math.sqrt(mean / n)
    variance = ((found - mean) ** 2).mean()
    assert abs(variance - mean) < 4.0 * math.sqrt((mean + 2.0 * mean**2) / n)


def test_far_below_the_first_word():
    """Probabilities smaller than one 32-bit word can express are still right: 1e-9 in 1e9 pixels would be 1; here the
    words that leave the count open are followed."""
    mean, hits = 1e-3, 0
    image = np.full((2000, 2000), mean, np.float32)
    for seed in range(1, 6):
        hits += noisy(image, seed=seed, adc=0.0)[1]
    assert abs(hits - 20000.0) < 4.0 * math.sqrt(20000.0)


@pytest.mark.parametrize("mean", [0.5, 5.0, 200.0])
def test_pixels_are_independent(mean):
    """Correlation with the neighbours, those that share a block of random words and those below."""
    found = noisy(np.full((600, 601), mean), seed=11, adc=0.0)[0] - float(np.float32(mean))
    for slow, fast in [(0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (4, 0)]:
        here = found[: 600 - slow, : 601 - fast]
        there = found[slow:, fast:]
        assert abs((here * there).mean()) / mean < 4.0 / math.sqrt(here.size)


def test_seeds_are_independent():
    image = np.full((300, 300), 4.0)
    drawn = [noisy(image, seed=seed, adc=0.0)[0] - 4.0 for seed in (0, 1, 2, 1 << 32, 1 << 63)]
    for a, b in itertools.combinations(drawn, 2):
        assert abs((a * b).mean()) / 4.0 < 4.0 / 300.0


# ---- nothing else matters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", AVAILABLE)
@pytest.mark.parametrize("first, seed", [(0, 1), (3, 0), (1 << 32, 98765432109876)])
def test_vector_loops_and_scalar_functions_agree(level, first, seed):
    image = mixed_image()
    fast = image.shape[1]
    expected = np.array([MODULE.poisson(float(m), first * fast + i, seed) for i, m in enumerate(image.ravel())])
    out, photons, overloads = noisy(image, seed=seed, first=first, module=level_module("noise.philox", level)[0])
    pixels = np.minimum(expected + ADC, 65535.0).astype(np.uint16).reshape(image.shape)
    assert np.array_equal(out, pixels)
    assert overloads == np.count_nonzero(expected + ADC > 65535.0)
    assert photons == math.inf  # of the pixel with an infinite mean


def test_words_in_doubt():
    """A word that lies next to a sum of probabilities is drawn out: such pixels are found, and agree as well."""
    # mean such that exp(-mean) falls inside the interval of the pixel's word
    words = [MODULE.philox([0, p // 4, 0, 1], [9, 0])[p % 4] >> 1 for p in range(64)]
    image = np.array([[-math.log((word + 0.5) / 2.0**31) for word in words]], np.float32)
    scalar = [MODULE.poisson(float(m), p, 9) for p, m in enumerate(image[0])]
    assert noisy(image, seed=9, adc=0.0)[0][0].tolist() == scalar


def test_threads_and_blocks():
    image = mixed_image()
    image[5, 4] = 1.0
    slow, fast = image.shape
    expected = noisy(image)
    assert expected[1] < math.inf
    for threads in (2, 3, 8):
        found = noisy(image, threads=threads)
        assert np.array_equal(found[0], expected[0]) and found[1:] == expected[1:]
    for rows in (1, 2, 7, 60):
        noise = noise_maker("philox", None, -1, 2)
        out = np.full(image.shape, 12345, np.uint16)
        for first in range(0, slow, rows):
            noise.apply(image, first, out[first : first + rows], (0, fast - 1, 0, slow - 1), ADC)
        assert np.array_equal(out, expected[0])
        assert (noise.photons, noise.overloads) == expected[1:]


def test_a_pixel_alone():
    """Neighbours do not matter: not what they hold, nor whether they are drawn."""
    image = mixed_image()
    expected = noisy(image)[0]
    for roi in [(0, 0), (1, 1), (2, 130), (101, 202), (202, 202)]:
        out = noisy(image, roi=roi)[0]
        assert np.array_equal(out[:, roi[0] : roi[1] + 1], expected[:, roi[0] : roi[1] + 1])
        assert not out[:, : roi[0]].any() and not out[:, roi[1] + 1 :].any()
    dark = image.copy()
    dark[:, 1::2] = 0.0
    assert np.array_equal(noisy(dark)[0][:, ::2], expected[:, ::2])


@pytest.mark.parametrize(
    "roi", [(3, 11, 2, 6), (0, 99, 0, 99), (5, 4, 0, 9), (0, 9, 7, 6), (20, 30, 0, 9), (-5, 3, -2, 1)]
)
def test_roi(roi):
    image = mixed_image(10, 20)
    everything = noisy(image)[0]
    expected = np.zeros_like(everything)
    rows, columns = slice(max(roi[2], 0), max(roi[3] + 1, 0)), slice(max(roi[0], 0), max(roi[1] + 1, 0))
    expected[rows, columns] = everything[rows, columns]
    noise = noise_maker("philox", None, -1, 1)
    out = np.full(image.shape, 12345, np.uint16)
    for first in range(0, 10, 3):
        noise.apply(image, first, out[first : first + 3], roi, ADC)
    assert np.array_equal(out, expected)


def test_pixels_without_photons():
    """Masked pixels, means below zero and not-a-number count nothing; an infinite one is an overload."""
    image = np.array([[0.0, -0.0, -3.0, -math.inf, math.nan, math.inf, 3e38]])
    out, photons, overloads = noisy(image)
    assert out.tolist() == [[40, 40, 40, 40, 40, 65535, 65535]]
    assert (photons, overloads) == (math.inf, 2)


@pytest.mark.parametrize("adc, pixel", [(0.0, 0), (40.9, 40), (65534.0, 65534), (65535.0, 65535), (65536.0, 65535)])
def test_pedestal(adc, pixel):
    out, photons, overloads = noisy(np.zeros((1, 3)), adc=adc)
    assert out.tolist() == [[pixel] * 3]
    assert (photons, overloads) == (0.0, 3 if adc > 65535.0 else 0)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="same shape"):
        MODULE.draw_rows(np.zeros((2, 3), np.float32), np.zeros((3, 2), np.uint16), 0, ADC, 0, 2, 1, 1)


# ---- through the program -------------------------------------------------------------------------------------------

LINE = "-cell 40 50 60 90 90 90 -default_F 80 -N 5 -lambda 1 -distance 100 -pixel 0.5 -detpixels 101 -roi 3 90 5 99"


def test_program(runner):
    """-noise_rng philox: the same file whatever -threads is, another than ran1's; header and photons line in order."""
    words = shlex.split(LINE)
    results = {}
    for threads in ("1", "2", "3"):
        done = runner(*words, "-seed", "7", "-noise_rng", "philox", "-threads", threads)
        assert (done.returncode, done.stderr) == (0, "")
        data = (runner.folder / "noiseimage.img").read_bytes()
        (said,) = [line for line in done.stdout.splitlines() if "photons on noise image" in line]
        results[threads] = data, said
    assert results["1"] == results["2"] == results["3"]
    data, said = results["1"]
    image = np.fromfile(runner.folder / "floatimage.bin", np.float32).reshape(101, 101)
    pixels = np.frombuffer(data[512:], "<u2").reshape(101, 101)
    expected, _, overloads = noisy(image, seed=7, roi=(3, 90))
    assert np.array_equal(pixels[5:100], expected[5:100])
    assert not pixels[:5].any() and not pixels[100:].any()
    inside = pixels[5:100, 3:91].astype(float) - ADC
    assert overloads == 0 and said == f"{inside.sum():.0f} photons on noise image (0 overloads)"
    runner(*words, "-seed", "7")
    ran1 = (runner.folder / "noiseimage.img").read_bytes()
    assert ran1[:512] == data[:512] and ran1[512:] != data[512:]
    runner(*words, "-seed", "8", "-noise_rng", "philox")
    assert (runner.folder / "noiseimage.img").read_bytes()[512:] != data[512:]
