"""The generator behind mosaic rotations, random orientations and noise."""

import math

import numpy as np
import plain_random
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.kernels.noise.random import Ran1

# The sign is that of the generator's variable: what a user gives, negated. 2^31-1 gives zeros once and then starts as
# seed 1 does; -2^31 does not fit into a C int, and its negative is itself there.
SEEDS = [0, -1, -2, -12345678, 1 - 2**31, -(2**31), 1, 7, 2**31 - 1, 2**31]


def plain_deviates(count, *seeds):
    """The deviates of streams that follow each other with one table."""
    stream = plain_random.Shuffled()
    result = []
    for seed in seeds:
        stream.seed = seed
        result.append([stream.deviate() for _ in range(count)])
    return result


def test_oracle():
    """Park and Miller (1988): the generator is right if the 10000th number from seed 1 is 1043618065."""
    x = 1
    for _ in range(10000):
        x = plain_random.minimal_standard(x)
    assert x == 1043618065


@pytest.mark.parametrize("seed", SEEDS)
def test_deviates(seed):
    deviates = np.asarray(Ran1().deviates(5000, seed))
    assert deviates.dtype == np.float32
    assert deviates.tolist() == plain_deviates(5000, seed)[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_streams_share_the_table(seed):
    """A positive variable goes on with the table as the stream before left it; another one loads it anew."""
    generator = Ran1()
    first = np.asarray(generator.deviates(100, -3))
    second = np.asarray(generator.deviates(100, seed))
    assert [first.tolist(), second.tolist()] == plain_deviates(100, -3, seed)
    alone = np.asarray(Ran1().deviates(100, seed))
    assert (second.tolist() == alone.tolist()) == (seed <= 0)


def test_largest_deviate():
    """1 itself must not come out: the number drawn is at most 2^31-2, which float32 would round to 1."""
    deviates = np.asarray(Ran1().deviates(2_000_000, -1))
    assert deviates.min() > 0 and deviates.max() <= 1 - 2**-23


@pytest.mark.parametrize("seed", [-12345678, -1, 5])
@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0, 90.0])
def test_mosaic_rotations(spread, seed):
    stream = plain_random.Shuffled()
    stream.seed = seed
    expected = [stream.rotation(spread) for _ in range(40)]
    expected[0] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    rotations = np.asarray(Ran1().mosaic_rotations(spread, 40, seed))
    assert rotations.dtype == np.float64
    assert rotations.reshape(40, 9).tolist() == [list(matrix) for matrix in expected]


def test_rotations_are_rotations_within_the_spread():
    spread = math.radians(1.5)
    rotations = np.asarray(Ran1().mosaic_rotations(spread, 500, -9)).reshape(500, 3, 3)
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), rtol=0, atol=1e-14)
    angles = np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert angles[0] == 0 and angles.max() <= spread * (1 + 1e-6) and angles.max() > 0.95 * spread


def test_random_rotation():
    stream = plain_random.Shuffled()
    stream.seed = -77
    assert Ran1().random_rotation(90.0, -77) == stream.rotation(90.0)


def test_no_domains():
    assert len(Ran1().mosaic_rotations(0.1, 0, -1)) == 0


@pytest.mark.parametrize("seed", [2**31 + 1, -(2**31) - 1, 10**30])
def test_seed_out_of_range(seed):
    with pytest.raises(NanoBraggError, match=f"the seed {-seed} is out of range"):
        Ran1().deviates(1, seed)
