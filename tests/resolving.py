"""What the tests of experiment.resolve share: a crystal that needs no more options, and an independent generator."""

import math
import struct
from math import cos, pi, sin

import numpy as np

from nanobragg_py.experiment.resolve import resolve, resolve_setup
from nanobragg_py.flags.options import Options


def single(x):
    """Rounded to float32."""
    return struct.unpack("f", struct.pack("f", x))[0]


class Ran1:
    """`ran1` of Numerical Recipes in plain Python, written from its description: the check on the compiled one."""

    def __init__(self):
        self.table = [0] * 32
        self.last = 0

    @staticmethod
    def advance(seed):
        return 16807 * seed % 2147483647

    def draw(self, seed):
        """A deviate and the stream's next seed."""
        if seed <= 0 or not self.last:
            seed = max(-seed, 1)
            for slot in reversed(range(40)):
                seed = self.advance(seed)
                if slot < 32:
                    self.table[slot] = seed
            self.last = self.table[0]
        seed = self.advance(seed)
        slot = self.last // 67108864
        self.last, self.table[slot] = self.table[slot], seed
        return min(single(self.last / 2147483647), single(1 - 1.2e-7)), seed

    def rotation(self, spread, seed):
        deviates = []
        for _ in range(3):
            deviate, seed = self.draw(seed)
            deviates.append(2.0 * deviate - 1.0)
        around, up, far = deviates
        angle = single(single(spread) * single(single(1 - far * far) ** single(1 / 3)))
        across = math.sqrt(1 - up * up)
        x, y, z = axis = np.array([across * sin(pi * around), across * cos(pi * around), up])
        k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        return cos(angle) * np.eye(3) + sin(angle) * k + (1 - cos(angle)) * np.outer(axis, axis), seed

    def random_rotation(self, spread, seed):
        return tuple(float(x) for x in self.rotation(spread, seed)[0].flat)

    def mosaic_rotations(self, spread, domains, seed):
        matrices = []
        for _ in range(domains):
            matrix, seed = self.rotation(spread, seed)
            matrices.append(matrix)
        matrices[0] = np.eye(3)
        return np.array(matrices).ravel()


def options(**values):
    """Options for a cubic crystal that does not need anything else."""
    given = {"user_cell": True, "cell_lengths": (100.0, 100.0, 100.0), "default_F": 100.0, "fpixels": 64, "spixels": 64}
    return Options(**{**given, **values})


def setup(matrix=None, mask=None, **values):
    return resolve_setup(options(**values), Ran1(), matrix=matrix, mask=mask, now=1000)


def experiment(source_rows=None, **values):
    return resolve(options(**values), Ran1(), source_rows=source_rows)[0]


def texts(made, place):
    return [text for where, text, _ in made.warnings if where == place]
