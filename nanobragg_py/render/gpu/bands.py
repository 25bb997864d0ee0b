"""How an image is cut into launches: enough blocks in each to fill the device, and none longer than one waits."""

from itertools import pairwise
from typing import Any

from ...records import REQUIRED, Record

#: blocks for each multiprocessor that a launch has at least, if the image has as many
BLOCKS = 8
#: rows of blocks that a launch can have
MOST_ROWS = 65535
#: seconds of work between two looks at the keyboard
SECONDS = 0.25


class Cut(Record):
    """Launches: every slice of the pieces of a pixel's work (nb_cut in kernels/formulas/nb_job.h), for every band.

    bands: (first, end) of the rows of each. slices: (begin, end) of the pieces of each.
    """

    _fields = {"bands": REQUIRED, "slices": REQUIRED}

    @property
    def rows(self) -> int:
        """Of the largest band."""
        return max(end - first for first, end in self.bands)


def cut_work(height: int, segments: int, job: Any, hardware: Any, rate: float, most_rows: int = MOST_ROWS) -> Cut:
    """The launches for `height` rows of `segments` blocks each.

    job: has `pieces` and `steps_per_pixel` of a pixel and the region of interest. hardware: a `Hardware`. rate: steps
    a second. most_rows: of a band; MOST_ROWS, or fewer where memory is short.

    Bands are as high as time allows, but not so low that a launch has too few blocks; where it would take too long all
    the same, each adds only some of the pieces.
    """
    fast_min, fast_max = job.roi[:2]
    row = job.steps_per_pixel * (fast_max - fast_min + 1) / rate
    most_rows = min(most_rows, MOST_ROWS)
    least = min(height, most_rows, -(-BLOCKS * hardware.multiprocessors // segments))
    wanted = max(1, int(SECONDS / row))
    bands = max(-(-height // most_rows), min(-(-height // wanted), height // least))
    rows = -(-height // bands)
    slices = min(job.pieces, max(1, -(-rows * row // SECONDS)))
    return Cut(bands=parts(height, bands), slices=parts(job.pieces, int(slices)))


def parts(whole: int, count: int) -> list[tuple[int, int]]:
    """(begin, end) of `count` parts of nearly the same size."""
    ends = [whole * i // count for i in range(count + 1)]
    return list(pairwise(ends))
