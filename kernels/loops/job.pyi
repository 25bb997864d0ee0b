from typing import Any

from nanobragg_py.kernels.memory.buffers import Buffer

SHAPES: dict[str, str]
TRANSFORMS: tuple[str, ...]

class Job:
    def __init__(
        self, experiment: Any, table: Buffer | None = None, defects: bool = False, single: bool = False
    ) -> None: ...
    sources: Buffer
    wavelengths: Buffer
    orientations: Buffer
    first_orientations: Buffer | None
    stride: int
    table: Buffer | None
    rotation: tuple[Any, ...]
    mask: Any
    def with_detector(self, detector: Any) -> Job: ...
    @property
    def params(self) -> bytes: ...
    @property
    def choices(self) -> tuple[int, int, bool]: ...
    @property
    def has_single(self) -> bool: ...
    @property
    def domains(self) -> int: ...
    @property
    def steps_per_pixel(self) -> int: ...
    @property
    def pieces(self) -> int: ...
    @property
    def roi(self) -> tuple[int, int, int, int]: ...
    @property
    def shape(self) -> tuple[int, int]: ...

def processor_level() -> str: ...
