"""Images in blocks of rows, so that writing a large one needs no second image in memory."""

from ..kernels.memory.buffers import Buffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# a block stays in the second-level cache between its conversion and the system call that copies it
_BLOCK_PIXELS = 65536


def block_rows(slow: int, fast: int, threads: int = 1) -> int:
    """Rows of a block, of an image of slow x fast pixels that so many threads share."""
    return max(1, min(slow, threads * _BLOCK_PIXELS // max(1, fast)))


def row_blocks(slow: int, fast: int, format: "Any", threads: int = 1) -> "Iterator[Any]":
    """Yield (first row, Buffer of shape (rows, fast)) until `slow` rows are covered; the Buffer is used again.

    threads: how many share a block.
    """
    rows = block_rows(slow, fast, threads)
    block = Buffer((rows, fast), format, zero=False)
    first = 0
    while first < slow:
        if slow - first < rows:
            block = Buffer((slow - first, fast), format, zero=False)
        yield first, block
        first += rows


def rows_inside(image: "Any", first: int, block: "Any", roi: "Any") -> "Any":
    """The rows of a float32 image and of a uint16 block that the ROI touches, and the number of the first of them.

    None if it touches none. first: the number of the block's first row. The block's other rows are cleared.
    """
    rows, fast = block.shape
    low, high = max(first, roi[2]), min(first + rows - 1, roi[3])
    view = memoryview(block).cast("B")
    if low > first or high < first + rows - 1:
        view[:] = bytes(len(view))
    if low > high:
        return None
    pixels = memoryview(image).cast("B")[low * fast * 4 : (high + 1) * fast * 4].cast("f", (high - low + 1, fast))
    out = view[(low - first) * fast * 2 : (high - first + 1) * fast * 2].cast("H", (high - low + 1, fast))
    return pixels, out, low
