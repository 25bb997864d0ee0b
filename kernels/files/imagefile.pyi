from typing_extensions import Buffer as AnyBuffer

from nanobragg_py.kernels.memory.buffers import Buffer

def smv_pixels(
    image: AnyBuffer,
    first: int,
    block: Buffer,
    roi: tuple[int, int, int, int],
    scale: float,
    adc: float,
    threads: int = 1,
    wide: bool = True,
) -> None: ...
def pgm_pixels(
    image: AnyBuffer,
    first: int,
    block: Buffer,
    roi: tuple[int, int, int, int],
    scale: float,
    threads: int = 1,
    wide: bool = True,
) -> None: ...
def exchange(one: bytes, other: bytes) -> bool: ...
def lock(descriptor: int) -> bool | None: ...
