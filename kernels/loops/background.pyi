from collections.abc import Callable
from typing import Any

from nanobragg_py.kernels.loops.amorphous import BackgroundJob

def choose(level: str) -> bool: ...
def render(
    job: BackgroundJob, image: Any, threads: int = 1, progress: Callable[[int], Any] | None = None
) -> tuple[float, float, int, float, tuple[int, int] | None, float, float]: ...
def start_threads(threads: int) -> None: ...
