from typing_extensions import Buffer as AnyBuffer

from nanobragg_py.kernels.loops.job import Job
from nanobragg_py.kernels.memory.buffers import Buffer

LAYOUT: dict[str, tuple[int, int]]
SOURCES_BEGIN: int
SOURCE_NUMBERS: int

def choose(level: str) -> bool: ...
def reverse(
    job: Job, weights: AnyBuffer, image: AnyBuffer, geometry: bool, shape: bool, table: bool, threads: int = 1
) -> tuple[Buffer, Buffer, Buffer | None]: ...
def forward(
    job: Job,
    changes: AnyBuffer,
    own: AnyBuffer,
    orientations: AnyBuffer | None,
    turns: AnyBuffer | None,
    table: AnyBuffer | None,
    out: AnyBuffer,
    image: AnyBuffer,
    geometry: bool,
    shape: bool,
    threads: int = 1,
) -> None: ...
