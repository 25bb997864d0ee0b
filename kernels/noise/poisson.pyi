# of poisson_base, poisson_v3 and poisson_v4, which nanobragg_py.render.backends chooses from
from typing_extensions import Buffer as AnyBuffer

from nanobragg_py.kernels.noise.random import Ran1

class PoissonNoise:
    def __init__(self, ran1: Ran1, seed: int) -> None: ...
    photons: float
    overloads: int
    def apply(self, image: AnyBuffer, out: AnyBuffer, adc: float, fast_min: int, fast_max: int) -> None: ...
