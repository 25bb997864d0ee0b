"""The point spread against sums as the reference makes them, tap by tap: every way of the kernels, level and team."""

from math import ceil, sqrt

import numpy as np
import pytest

from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.render.backends import LEVELS, level_module

AVAILABLE = LEVELS[: LEVELS.index(processor_level()) + 1]
WIDTH = 0.7
G = WIDTH * 0.652383013252053


def images():
    random = np.random.default_rng(3)
    few = np.where(random.random((23, 41)) < 0.05, random.random((23, 41)) * 40.0, 0.0)
    few[0, -1] = few[-1, -1] = few[7, -2] = 37.0  # they leak into the first column, one row below
    return {
        "one radius": np.full((19, 70), 3.7),
        "similar radii": random.uniform(9.0, 12.0, (23, 41)),
        "all radii": random.gamma(0.3, 5.0, (37, 52)),
        "few sources": few,
        "wider than high": random.gamma(0.3, 9.0, (3, 90)),
        "no wider than a radius": random.gamma(0.3, 9.0, (40, 5)),
        "infinite": np.where(few > 30.0, np.inf, few),
    }


def plainly(image, taps):
    """Sources in image order, and of each its columns, one after the other; float32 after every tap."""
    slow, fast = image.shape
    out = np.zeros(slow * fast, np.float32)
    reach = len(taps) // 2
    for source in np.flatnonzero(image > 0):
        photons = float(image.flat[source])
        steps = G * photons / (sqrt(photons) / 10.0) if photons < np.inf else np.inf
        radius = min(1 + ceil(steps), reach) if steps < np.inf else reach
        y0, x0 = divmod(int(source), fast)
        for dx in range(-min(radius, x0), min(radius, fast - x0) + 1):
            half = int(sqrt(radius * radius - dx * dx))
            for dy in range(-min(half, y0), min(half, slow - 1 - y0) + 1):
                at, tap = (y0 + dy) * fast + x0 + dx, taps[reach + dy, reach + dx]
                if tap != 0.0 and at < out.size:
                    out[at] = np.float32(float(out[at]) + photons * tap)
    return out.reshape(image.shape)


@pytest.mark.parametrize("level", AVAILABLE)
@pytest.mark.parametrize("name", images())
def test_every_way_is_the_reference(name, level):
    kernels = level_module("loops.spread", level)[0]
    image = images()[name].astype(np.float32)
    limit = max(image.shape)
    reach = kernels.automatic_radius(kernels.maximum(image), True, WIDTH, limit)
    expected = plainly(image, np.asarray(kernels.kernel(True, WIDTH, min(reach, limit))[0]))
    for threads in (1, 2, 5, 16):
        out = np.zeros_like(image)
        lost = kernels.spread(image, out, True, WIDTH, 0, min(reach, limit), threads)
        with np.errstate(invalid="ignore"):
            assert out.tobytes() == (expected.astype(float) + lost / image.size).astype(np.float32).tobytes()


@pytest.mark.parametrize("level", AVAILABLE)
def test_the_largest_value_leaves_out_what_is_no_number(level):
    maximum = level_module("loops.spread", level)[0].maximum
    image = np.full((3, 67), -2.0, np.float32)
    assert maximum(image) == 0.0
    image[1, 3] = np.nan
    for at in ((0, 0), (1, 4), (2, 66)):
        one = image.copy()
        one[at] = 5.0
        assert maximum(one) == 5.0
