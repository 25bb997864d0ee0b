from typing import Any

from nanobragg_py.kernels.memory.buffers import Buffer

def read_columns(text: Any, length: int, columns: int, numbers_only: bool = False) -> tuple[Buffer, int]: ...
