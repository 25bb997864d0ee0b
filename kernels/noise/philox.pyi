# of philox_base, philox_v3 and philox_v4, which nanobragg_py.render.backends chooses from
from collections.abc import Sequence

from typing_extensions import Buffer as AnyBuffer

def draw_rows(
    image: AnyBuffer, out: AnyBuffer, first: int, adc: float, fast_min: int, fast_max: int, seed: int, threads: int
) -> tuple[float, int]: ...
def poisson(mean: float, pixel: int, seed: int) -> int: ...
def philox(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]: ...
