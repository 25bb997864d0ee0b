"""How far a tool is, on a terminal: a bar of tqdm, or a plain one where that is not installed. Elsewhere nothing."""

import contextlib
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any


class Progress:
    """Called with the number of what is done.

    total: how many there are. tool: whose sentences it passes on. unit: what is counted, in the singular.
    """

    #: of the plain bar, and seconds between two looks of it
    WIDTH, EVERY = 30, 0.1

    def __init__(self, total: Any, tool: str, unit: str = "image") -> None:
        self.total, self.tool, self.unit = total, tool, unit
        self.bar: Any = None
        self.line: Any = None
        if not sys.stderr.isatty():
            return
        try:
            from tqdm import tqdm
        except ImportError:
            self.line, self.begin, self.shown = "", perf_counter(), float("-inf")
        else:
            self.bar = tqdm(total=total, unit=unit, leave=False, unit_scale=unit == "pixel")

    def __enter__(self) -> Any:
        return self

    def __call__(self, done: Any) -> None:
        if self.bar is not None:
            self.bar.update(done - self.bar.n)
        elif self.line is not None and perf_counter() - self.shown >= self.EVERY:
            self.clear()
            self.shown = perf_counter()
            self.line = self._plain(done)
            print(self.line, end="\r", file=sys.stderr, flush=True)

    def _plain(self, done):
        part = done / max(self.total, 1)
        bar = "=" * int(part * self.WIDTH)
        left = f", {duration(round((self.shown - self.begin) * (1.0 - part) / part, 1))} left" if part else ""
        return f"[{bar:<{self.WIDTH}}] {part:4.0%}  {done} of {self.total} {self.unit}s{left}"

    def clear(self) -> None:
        """Make room for a sentence."""
        if self.bar is not None:
            self.bar.clear()
        elif self.line:
            print(" " * len(self.line), end="\r", file=sys.stderr)

    def complain(self, sentence: str) -> None:
        """A sentence of the tool on standard error."""
        self.clear()
        print(f"nanobragg-py {self.tool}: {sentence}", file=sys.stderr)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.clear()
        if self.bar is not None:
            self.bar.close()


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says on a terminal what is going on for as long as it does, where nobody knows how long that is."""
    shown = sys.stderr.isatty()
    if shown:
        print(f"{what} ...", end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print(" " * (len(what) + 4), end="\r", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """A time in words: 12 s, 3.5 minutes."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "minutes"), (172800, 3600, "hours")):
        if seconds < limit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds / 86400:.3g} days"
