"""The progress bar of terminals."""

from time import perf_counter

from .console import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Bar:
    """One line on standard error that grows, and is gone at the end."""

    WIDTH = 40

    def __init__(self, roi: "Any") -> None:
        fast_min, fast_max, slow_min, slow_max = roi
        self.pixels: Any = max(1, (fast_max - fast_min + 1) * (slow_max - slow_min + 1))
        self.begin: Any = perf_counter()
        self.shown: Any = 0.0

    def __call__(self, done: "Any") -> None:
        now = perf_counter()
        if now - self.shown < 0.1:
            return
        self.shown = now
        part = min(1.0, done / self.pixels)
        left = (now - self.begin) * (1.0 - part) / part if part else 0.0
        bar = "=" * int(part * self.WIDTH)
        write(2, f"\r[{bar:<{self.WIDTH}}] {part:4.0%}  {left:5.1f} s left".encode())

    def close(self) -> None:
        if self.shown:
            write(2, b"\r" + b" " * (self.WIDTH + 30) + b"\r")
