"""Poisson noise from the reference's stream: byte for byte what its algorithms give."""

import copy
import json
from pathlib import Path

import numpy as np
import plain_random
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.flags.nanobragg import parse
from nanobragg_py.inspect import golden
from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.kernels.noise.random import Ran1
from nanobragg_py.render.backends import LEVELS
from nanobragg_py.render.noise import noise_maker

FOLDER = Path(__file__).parent.parent / "golden"
NOISY = [case for case in json.loads((FOLDER / "cases.json").read_text()) if "noise" in case["tags"]]

rng = np.random.default_rng(20)


def logarithmic(low, high, count):
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


SPECIAL = [
    *(0.0, -0.0, 1e-45, 1e-38, 1e-10, 2**-25, 2**-24, 6e-8, 1.2e-7),
    *(0.1, 0.125, 0.35, 0.36, 1, 2, 3, 5, 11, 11.999999, 12, 12.000001, 13, 20, 50, 100, 999.5, 1e3),
    *(3499, 3500, 3500.0002, 4095, 4096, 4097, 1e4, 65535, 1e5, 999999, 999999.94, 1e6, 1000000.06, 1e7, 1e15),
    *(1e30, 3.4e38, np.inf, -np.inf, np.nan, -1, -1e-3, -5, -1e30),
]

#: means by what they try; each takes another way through the code
MEANS = {
    "nothing": np.zeros(3000),
    "dark": rng.uniform(0, 0.05, 3000),
    "about the end of the dark": rng.uniform(0.15, 0.3, 3000),
    "faint": rng.uniform(0, 5, 3000),
    "below 12": rng.uniform(5, 12, 2000),
    "about 12": rng.uniform(11.5, 13, 1500),
    "middle": logarithmic(12, 1000, 1500),
    "about the end of the table": rng.uniform(3000, 4500, 1500),
    "bright": logarithmic(4000, 1e6, 1500),
    "about 1e6": rng.uniform(9e5, 1.1e6, 1500),
    "huge": logarithmic(1e6, 1e30, 1500),
    "everything": logarithmic(1e-6, 1e8, 3000),
    "spots": np.exp(rng.normal(0, 3, 3000)) * np.where(rng.random(3000) < 0.03, 1000, 0.05),
    "whole numbers": rng.integers(0, 5000, 1500),
    "one mean": np.full(1500, 30.25),
    "patches": np.repeat(logarithmic(1e-3, 3e6, 40), 50),
    "special": rng.choice(SPECIAL, 3000),
    # the reference's static variables start as if the mean -1 had been seen, with an exponential of 0
    "minus one first": np.r_[np.full(300, -1.0), 2e6, -1.0, 3.0, -1.0, np.full(20, -1.0)],
    "minus one only": np.full(100, -1.0),
}


def float_image(means, shape=(1, -1)):
    with np.errstate(over="ignore"):
        return np.asarray(means).astype(np.float32).reshape(shape)


@pytest.fixture(autouse=True, params=LEVELS[: LEVELS.index(processor_level()) + 1])
def level(request, monkeypatch):
    monkeypatch.setenv("NANOBRAGG_ISA", request.param)


def maker(seed, generator=None):
    return noise_maker("ran1", generator or Ran1(), seed, 1)


def draw(image, seed, adc=40.0, blocks=(), roi=None, generator=None):
    """The noise image, photons and overloads; blocks: numbers of rows to go by, then the rest."""
    slow, fast = image.shape
    out = np.full(image.shape, 7, np.uint16)
    noise = maker(seed, generator)
    row = 0
    for rows in (*blocks, slow - sum(blocks)):
        noise.apply(image, row, out[row : row + rows], roi or (0, fast, 0, slow), adc)
        row += rows
    return out, noise.photons, noise.overloads


def assert_same(found, expected):
    pixels, photons, overloads = expected
    assert np.array_equal(found[0].ravel(), pixels)
    assert found[1] == photons or (found[1] != found[1] and photons != photons)
    assert found[2] == overloads


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("seed", [-1, -20051])
def test_means(name, seed):
    image = float_image(MEANS[name])
    assert_same(draw(image, seed), plain_random.noise(image[0], seed, 40.0))


def close_limits(poisson, count):
    """Means for which a product of the next deviates is about exp(-mean), a unit in the last place more or less."""
    for i in range(count):
        ahead = copy.deepcopy(poisson.stream)
        product = np.prod([ahead.deviate() for _ in range(1 + i % 12)], dtype=np.float32)
        mean = np.float32(min(-np.log(np.float64(product)), 11.9))
        for _ in range(i % 3):
            mean = np.nextafter(mean, np.float32(12 * (i % 2)))
        yield mean


def close_trials(low, high):
    def means(poisson, count):
        """Means for which the next trial is accepted while a neighbouring float32 is not, or the other way round."""
        yield np.float32(low)  # the stream needs a deviate before one can look ahead
        while count:
            ahead = copy.deepcopy(poisson.stream)
            y = np.float32(np.tan(np.pi * float(ahead.deviate())))
            deviate = ahead.deviate()
            a, b = logarithmic(low, high, 2).astype(np.float32)
            first = plain_random.accepted(a, y, deviate)
            if first == plain_random.accepted(b, y, deviate):
                yield b
                continue
            while True:
                middle = (a + b) / np.float32(2)
                if middle in (a, b):
                    break
                if plain_random.accepted(middle, y, deviate) == first:
                    a = middle
                else:
                    b = middle
            count -= 1
            yield a if count % 2 else b

    return means


@pytest.mark.parametrize(
    "means", [close_limits, close_trials(12, 3000), close_trials(4000, 9e5)], ids=["limits", "trials", "large trials"]
)
def test_close_decisions(means):
    """Where nothing but the last bit of a float32 decides."""
    poisson = plain_random.Poisson(plain_random.Shuffled())
    poisson.stream.seed = -31
    image = []
    for mean in means(poisson, 700):
        image.append(mean)
        poisson.count(mean)
    image = float_image(image)
    assert_same(draw(image, -31), plain_random.noise(image[0], -31, 40.0))


@pytest.mark.parametrize("seed", [0, 1, 5, 1 - 2**31, -(2**31), 2**31 - 1, 2**31])
def test_seeds(seed):
    image = float_image(MEANS["everything"][:600])
    assert_same(draw(image, seed), plain_random.noise(image[0], seed, 40.0))


@pytest.mark.parametrize("seed", [5, 2**31 - 1, -5])
def test_table_of_earlier_streams(seed):
    """A positive variable (the user gave a negative seed) goes on with the table that the mosaic domains left."""
    generator, stream = Ran1(), plain_random.Shuffled()
    generator.mosaic_rotations(0.1, 10, -12345678)
    stream.seed = -12345678
    for _ in range(30):
        stream.deviate()
    image = float_image(MEANS["everything"][:600])
    expected = plain_random.noise(image[0], seed, 40.0, stream)
    assert_same(draw(image, seed, generator=generator), expected)


@pytest.mark.parametrize(
    "adc", [0.0, 40.0, 0.1, 20.75, 65534.0, 65534.5, 65535.0, 65536.0, 1e10, -3.5, -100.0, -70000.0]
)
def test_pedestals(adc):
    image = float_image(MEANS["spots"][:800])
    assert_same(draw(image, -3, adc), plain_random.noise(image[0], -3, adc))


def test_overloads_at_the_edge():
    """Just below and just above what 16 bits hold."""
    image = float_image(rng.uniform(65000, 66000, 1000))
    found = draw(image, -8, 40.0)
    assert_same(found, plain_random.noise(image[0], -8, 40.0))
    assert 100 < found[2] < 900


def test_blocks_of_rows():
    image = float_image(MEANS["everything"][:2970], (-1, 99))
    whole = draw(image, -6)
    for blocks in ((1, 2, 3), (29,), (1,) * 29):
        out, photons, overloads = draw(image, -6, blocks=blocks)
        assert np.array_equal(out, whole[0])
        assert (photons, overloads) == whole[1:]


@pytest.mark.parametrize("low, high", [(0, 98), (0, 99), (7, 60), (-5, 10), (90, 200), (50, 50), (30, 20), (-9, -2)])
@pytest.mark.parametrize("slow", [(0, 10), (2, 7), (9, 9)])
def test_region_of_interest(low, high, slow):
    """Pixels outside draw nothing and are 0, whatever the block held before."""
    image = float_image(MEANS["everything"][:990], (-1, 99))
    inside = slice(slow[0], slow[1] + 1), slice(max(low, 0), max(high + 1, 0))
    out, photons, overloads = draw(image, -6, roi=(low, high, *slow), blocks=(3, 3))
    expected = plain_random.noise(image[inside].ravel(), -6, 40.0)
    assert_same((out[inside], photons, overloads), expected)
    out[inside] = 0
    assert not out.any()


def test_starts_afresh():
    """Nothing is left over from one noise image to the next, such as the second of a pair of normal deviates."""
    image = float_image(np.linspace(2e6, 3e6, 11))
    photons = [draw(image, seed)[1] for seed in (-4, -4, -5)]
    assert photons[0] == photons[1] != photons[2]


@pytest.mark.parametrize("case", NOISY, ids=lambda case: case["id"])
def test_reference_images(case, tmp_path):
    """From the reference's own float image to its own noise image."""
    result = golden.load(FOLDER / f"{case['id']}.npz")
    options = parse(golden.case_arguments(case))
    pixels = np.frombuffer(result.files["noiseimage.img"][512:], "<u2").astype(np.uint16)
    side = int(len(pixels) ** 0.5)
    image = np.frombuffer(result.files["floatimage.bin"], "<f4").astype(np.float32).reshape(side, side)
    generator = Ran1()
    generator.mosaic_rotations(0.0, 1, options.mosaic_seed)
    noise = maker(options.seed, generator)
    out = np.empty_like(image, np.uint16)
    noise.apply(image, 0, out, options.roi if options.roi[0] >= 0 else (0, side, 0, side), options.adc_offset)
    assert np.array_equal(out.ravel(), pixels)
    line = f"{noise.photons:.0f} photons on noise image ({noise.overloads} overloads)"
    assert line in result.lines


def test_shapes_must_match():
    stream = maker(-1)._stream
    with pytest.raises(ValueError, match="same shape"):
        stream.apply(np.zeros((2, 3), np.float32), np.zeros((3, 2), np.uint16), 40.0, 0, 3)


def test_seed_out_of_range():
    with pytest.raises(NanoBraggError, match="out of range"):
        maker(-(2**40))
