from typing_extensions import Buffer as AnyBuffer

from nanobragg_py.kernels.memory.buffers import Buffer

def choose(level: str) -> bool: ...
def to_photons(image: AnyBuffer, factor: float) -> tuple[float, list[float]]: ...
def pgm_pixels(image: AnyBuffer, first: int, block: Buffer, gain: float, adc: float, wrap: bool) -> None: ...

class DetectorNoise:
    def __init__(self, seed: int, calib_seed: int) -> None: ...
    photons: float
    overloads: int
    negative: int
    def count(self, image: AnyBuffer, flicker: float, calibration: float) -> float: ...
    def pixels(
        self,
        image: AnyBuffer,
        first: int,
        block: Buffer,
        gain: float,
        adc: float,
        readout: float,
        wrap: bool,
        top: float = ...,
    ) -> None: ...
