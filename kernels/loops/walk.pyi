from collections.abc import Callable
from typing import Any

from nanobragg_py.kernels.loops.amorphous import BackgroundJob

class Walk:
    def __init__(self, background: Any, job: BackgroundJob) -> None: ...
    job: BackgroundJob
    stol: float
    F: float
    polar: float
    omega: float
    weight: float
    angle: float
    interval: int
    @property
    def position(self) -> tuple[float, float, float]: ...
    def pixel(self, slow: int, fast: int) -> float: ...

def render(
    walk: Walk, image: Any, progress: Callable[[int], Any] | None = None
) -> tuple[float, float, int, float, tuple[int, int] | None, float, float]: ...
def shifted_deviations(job: BackgroundJob, image: Any, mean: float) -> tuple[float, int]: ...
def structure_factors(
    walk: Walk, pixels: Any, ignored: set[int], adc: float, gain: float, follow: bool, outside: bool
) -> list[tuple[float, float, int]]: ...
