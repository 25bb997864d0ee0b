"""What a device can do, by the numbers that it tells."""

from typing import Any

from ...records import REQUIRED, Record

#: float32 lanes of a multiprocessor, and how many there are for one of float64, by compute capability (CUDA C++
#: Programming Guide, arithmetic throughput): devices of computing centres 2, others, GeForce among them, 32 or 64
LANES = {
    "70": (64, 2),
    "72": (64, 32),
    "75": (64, 32),
    "80": (64, 2),
    "86": (128, 64),
    "87": (128, 64),
    "89": (128, 64),
    "90": (128, 2),
    "100": (128, 2),
    "103": (128, 64),
    "110": (128, 64),
    "120": (128, 64),
    "121": (128, 64),
}
#: of a step of the dearest kernel without interpolation (docs/gpu.md): instructions in double, and all that could have
#: been issued in the time that an H100 takes
STEP = {"double": (80, 240), "single": (12, 184)}
#: steps without interpolation that one with it takes as long as
TRICUBIC = 2


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

    lanes, ratio = LANES.get(cupy.cuda.Device(number).compute_capability, (128, 0))
    return Hardware(
        name=name.decode(errors="replace") if isinstance(name, bytes) else name,
        multiprocessors=attribute("MultiProcessorCount"),
        clock=1e3 * attribute("ClockRate"),
        lanes=lanes,
        ratio=ratio or attribute("SingleToDoublePrecisionPerfRatio"),  # of a device that is newer than this table
    )
