"""What a device can do, by the numbers that it tells."""

from typing import Any

from ...records import REQUIRED, Record

#: float32 lanes of a multiprocessor, by compute capability, where they are not 128 (CUDA C++ Programming Guide)
LANES = {"70": 64, "72": 64, "75": 64, "80": 64}
#: instructions in double, and all that are issued, of a step of the dearest kernel without interpolation (docs/gpu.md)
STEP = {"double": (80, 150), "single": (12, 110)}
#: steps without interpolation that one with it takes as long as
TRICUBIC = 10


class Hardware(Record):
    """A device: name, multiprocessors, clock (Hz), lanes (of float32, of each), ratio (of those to float64's)."""

    _fields = {"name": REQUIRED, "multiprocessors": REQUIRED, "clock": REQUIRED, "lanes": REQUIRED, "ratio": REQUIRED}

    def rate(self, precision: str, tricubic: bool = False) -> float:
        """Steps a second that it does at least, about, when it is full."""
        double, issued = STEP[precision]
        each = max(double * self.ratio / self.lanes, issued / 128)
        return self.multiprocessors * self.clock / each / (TRICUBIC if tricubic else 1)


def hardware_of(cupy: Any, number: int) -> Hardware:
    """What device `number` says of itself."""
    runtime = cupy.cuda.runtime
    name = runtime.getDeviceProperties(number)["name"]

    def attribute(what):
        return runtime.deviceGetAttribute(getattr(runtime, f"cudaDevAttr{what}"), number)

    return Hardware(
        name=name.decode(errors="replace") if isinstance(name, bytes) else name,
        multiprocessors=attribute("MultiProcessorCount"),
        clock=1e3 * attribute("ClockRate"),
        lanes=LANES.get(cupy.cuda.Device(number).compute_capability, 128),
        ratio=attribute("SingleToDoublePrecisionPerfRatio"),
    )
