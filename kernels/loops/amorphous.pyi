from typing import Any

from nanobragg_py.kernels.memory.buffers import Buffer

class Curve:
    def __init__(self, x: Any, F: Any, first: float, last: float) -> None: ...
    x: Buffer
    F: Buffer
    rows: int
    ascending: bool
    overshoot: float
    def value(self, x: float) -> float: ...

class BackgroundJob:
    def __init__(self, background: Any, merge: int = -1, threads: int = 1) -> None: ...
    curve: Curve
    sources: Buffer
    @property
    def roi(self) -> tuple[int, int, int, int]: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def merged(self) -> int: ...
