"""Images in blocks of rows, so that writing a large one needs no second image in memory."""

from ..kernels.memory.buffers import Buffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# a block stays in the second-level cache between its conversion and the system call that copies it
_BLOCK_PIXELS = 65536


def row_blocks(slow: int, fast: int, format: "Any", threads: int = 1) -> "Iterator[Any]":
    """Yield (first row, Buffer of shape (rows, fast)) until `slow` rows are covered; the Buffer is used again.

    threads: how many share a block.
    """
    rows = max(1, min(slow, threads * _BLOCK_PIXELS // max(1, fast)))
    block = Buffer((rows, fast), format, zero=False)
    first = 0
    while first < slow:
        if slow - first < rows:
            block = Buffer((slow - first, fast), format, zero=False)
        yield first, block
        first += rows
