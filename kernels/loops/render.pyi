from collections.abc import Callable, Sequence

from typing_extensions import Buffer as AnyBuffer

from nanobragg_py.kernels.loops.job import Job

PARALLEL: bool

def choose(level: str) -> bool: ...
def render(
    job: Job,
    image: AnyBuffer,
    threads: int = 1,
    progress: Callable[[int], object] | None = None,
    override: tuple[int, int, float] | None = None,
    exact: Callable[[int, int], float] | None = None,
    precise: AnyBuffer | None = None,
) -> tuple[float, float, int, float, tuple[int, int] | None, float, int, float]: ...
def render_panels(
    jobs: list[Job],
    images: Sequence[AnyBuffer],
    threads: int = 1,
    progress: Callable[[int], object] | None = None,
    precise: Sequence[AnyBuffer] | None = None,
    override: tuple[int, int, float] | None = None,
    exact: Callable[[int, int], float] | None = None,
) -> list[tuple[float, float, int, float, tuple[int, int] | None, float, int, float]]: ...
def start_threads(threads: int) -> None: ...
def squared_deviations(job: Job, image: AnyBuffer, mean: float, threads: int = 1) -> tuple[float, int]: ...
