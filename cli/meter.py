"""The progress meter of the programs that render."""

import os

from .console import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def progress_meter(options: "Any", roi: "Any") -> "Any":
    """The reference's lines when standard output is no terminal, a bar on standard error when it is; None: no meter.

    roi: (fast min, fast max, slow min, slow max) as the report gives it.
    """
    if not options.progress or options.printout:
        return None
    if os.isatty(1):
        if not os.isatty(2):
            return None
        from .bar import Bar

        return Bar(roi)
    return Lines(roi)


class Lines:
    """The reference's progress lines, each printed when its pixel is done."""

    def __init__(self, roi: "Any") -> None:
        from ..files.report import progress_lines

        self.due: Any = progress_lines(roi)
        self.next: Any = 0

    def __call__(self, done: "Any") -> None:
        first = self.next
        while self.next < len(self.due) and self.due[self.next][0] < done:
            self.next += 1
        say([line for _, line in self.due[first : self.next]])

    def close(self) -> None:
        """Nothing to tidy up."""
