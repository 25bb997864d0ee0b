from typing_extensions import Buffer as AnyBuffer

from nanobragg_py.kernels.noise.random import Ran1

def choose(level: str) -> bool: ...
class PoissonNoise:
    def __init__(self, ran1: Ran1, seed: int) -> None: ...
    photons: float
    overloads: int
    def apply(self, image: AnyBuffer, out: AnyBuffer, adc: float, fast_min: int, fast_max: int) -> None: ...
