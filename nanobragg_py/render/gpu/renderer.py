"""The image on a CUDA device: what is copied there, what is launched, what comes back."""

from time import perf_counter
from typing import Any

import numpy as np

from ...errors import OptionError
from ...kernels.files.imagefile import smv_pixels
from ...records import REQUIRED, Record
from .device import clear_errors, device_name, open_device
from .images import DeviceImage, DeviceNoise
from .modules import REDUCE_THREADS, THREADS, Modules, Variant
from .structs import OVERRIDE, SETTING, STATISTICS, job_struct

#: a pointer to nothing, as CuPy passes it
NULL = np.uint64(0)
#: rows of blocks that a launch can have
MOST_ROWS = 65535
#: part of the free memory that is taken, and seconds of work between two looks at the keyboard
MEMORY_PART = 0.8
BAND_SECONDS = 0.25
#: steps per second of a slow device, to cut the work into bands
SLOW_RATE = 5e9

#: the statistics of no pixels; on the device, where CuPy knows no structs, they are bytes
EMPTY = np.array((0, 0, 0, 0, 0, 0, -1, 0, 0), STATISTICS)


class DeviceArray(Record):
    """An array on the device: its name, dtype, shape, whether it goes in, comes out or stays, and what goes in."""

    _fields = {"name": REQUIRED, "dtype": REQUIRED, "shape": REQUIRED, "direction": REQUIRED, "values": None}

    @property
    def nbytes(self) -> Any:
        size = np.dtype(self.dtype).itemsize
        for extent in self.shape:
            size *= extent
        return size


def job_arrays(job: Any) -> Any:
    """What a job needs on the device whatever rows are rendered: a list of DeviceArray."""
    _, _, phis, rotations = job.rotation
    arrays = [
        given("sources", job.sources),
        given("phis", np.array(phis)),
        DeviceArray(name="real", dtype="f8", shape=(9, job.stride), direction="stays"),
        DeviceArray(name="dual", dtype="f8", shape=(9, job.stride), direction="stays"),
        DeviceArray(name="total", dtype="u1", shape=(STATISTICS.itemsize,), direction="out"),
    ]
    if rotations is not None:
        arrays.append(given("rotations", rotations))
    if job.table is not None:
        arrays.append(given("table", padded(job.table)))
    if job.mask is not None:
        arrays.append(given("mask", job.mask))
    return arrays


def band_arrays(held: Any, rows: Any, width: int, segments: Any) -> list[Any]:
    """What the image needs: `held` rows of it on the device, and the statistics of `rows` rows at a time."""
    return [
        DeviceArray(name="image", dtype="f4", shape=(held, width), direction="out"),
        DeviceArray(name="partials", dtype="u1", shape=(rows * segments, STATISTICS.itemsize), direction="stays"),
    ]


def nbytes(arrays: Any) -> Any:
    """Bytes of a list of DeviceArray."""
    return sum(array.nbytes for array in arrays)


def given(name: str, values: Any) -> "DeviceArray":
    """A DeviceArray that goes in, of a buffer or array."""
    values = np.asarray(values)
    return DeviceArray(name=name, dtype=values.dtype, shape=values.shape, direction="in", values=values)


def padded(table: Any) -> Any:
    """The table with the slab before its first element, which the kernels read for an index below every axis' range."""
    values = np.asarray(table).ravel()
    first = values.ctypes.data - 8 * table.pad
    pad = np.frombuffer((np.ctypeslib.ctypes.c_char * (8 * table.pad)).from_address(first), "f8")
    return np.concatenate([pad, values])


def allocate(cupy: Any, arrays: Any) -> Any:
    """The arrays on the device, by name, with what goes in copied."""
    made = {}
    for array in arrays:
        if array.direction == "in":
            made[array.name] = cupy.asarray(array.values)
        else:
            made[array.name] = cupy.zeros(array.shape, array.dtype)
    return made


def variant_of(job: Any, precision: str) -> Any:
    """Which kernel a job needs; job: a Job, precision: double or single."""
    kind, structure, curved = job.choices
    return Variant(kind=kind, structure=structure, curved=curved, single=precision == "single" and job.has_single)


class Renderer:
    """Renders jobs on one device; `render` and `squared_deviations` are those of the CPU's renderers.

    device: its number. precision: "double", or "single" for lattice transforms in float32 (Miller indices and sums stay
    in double). Raises NanoBraggError when CuPy or the device is missing.
    """

    def __init__(self, device: Any = 0, precision: str = "double") -> None:
        self.cupy: Any = open_device(device)
        self.device, self.precision = device, precision
        self.name: Any = device_name(self.cupy, device)
        self.modules: Any = Modules(self.cupy)
        self.seconds: Any = dict.fromkeys(("in", "kernels", "out"), 0.0)  # of the last image: copies and computation
        self._total = EMPTY
        self._kept = None  # the last image and what is known of it, where all of it stayed on the device

    def render(self, job: Any, image: Any, threads: int = 1, progress: Any = None, override: Any = None) -> Any:
        """Render into `image` (slow, fast), float32, zeroed outside the region of interest; see loops/render.pyx.

        threads: ignored. Raises NanoBraggError for what goes wrong on the device.
        """
        with clear_errors(self.cupy), self.cupy.cuda.Device(self.device):
            return self._render(job, image, progress, override)

    def _render(self, job, image, progress, override):
        fast_min, fast_max, slow_min, slow_max = job.roi
        host = np.asarray(image)
        self._total, self._kept = EMPTY, None
        if host.shape != job.shape:
            raise ValueError(f"the image has the shape {host.shape}, the detector {job.shape}")
        if fast_min > fast_max or slow_min > slow_max:
            return 0.0, 0.0, 0, 0.0, None, 0.0, 0, 0.0
        self.seconds = dict.fromkeys(("in", "kernels", "out"), 0.0)
        device = self.cupy.cuda.Device(self.device)
        variant = variant_of(job, self.precision)
        width, segments = job.shape[1], -(-(fast_max - fast_min + 1) // variant.segment)
        intensity = self.modules.function("intensity", "nb_intensity", variant.macros)
        reduce = self.modules.function("statistics", "nb_reduce")
        begin = perf_counter()
        arrays = allocate(self.cupy, job_arrays(job))
        held, rows = self._rows(job, width, segments)
        arrays |= allocate(self.cupy, band_arrays(held, rows, width, segments))
        arrays["total"].set(np.frombuffer(EMPTY.tobytes(), "u1"))
        device.synchronize()
        begin = self._spent("in", begin)
        self.rotate(job, arrays)
        replaced = np.array((-1, -1, 0.0) if override is None else tuple(override), OVERRIDE)
        table = arrays["table"][job.table.pad :] if "table" in arrays else NULL
        for first in range(slow_min, slow_max + 1, rows):
            count = min(rows, slow_max + 1 - first)
            at = first - slow_min if held > rows else 0
            band = arrays["image"][at : at + count]
            intensity(
                (segments, count),
                (THREADS,),
                (
                    job_struct(job),
                    replaced,
                    arrays["sources"],
                    arrays["real"],
                    np.int64(job.stride),
                    table,
                    arrays.get("mask", NULL),
                    np.int32(first),
                    band,
                    arrays["partials"],
                ),
            )
            reduce((1,), (REDUCE_THREADS,), (arrays["partials"], np.int64(count * segments), arrays["total"]))
            device.synchronize()
            begin = self._spent("kernels", begin)
            band.get(out=host[first : first + count])
            self._total = arrays["total"].get().view(STATISTICS)[0]
            begin = self._spent("out", begin)
            if progress is not None:
                progress(int(self._total["rendered"]))
        if held == slow_max - slow_min + 1:
            self._kept = DeviceImage(self.cupy, self.modules, image, arrays["image"], job.roi)
        return self._sums(width, self.seconds["kernels"])

    def _spent(self, what, begin):
        """The time since `begin` went into copies or kernels; returns the time now."""
        now = perf_counter()
        self.seconds[what] += now - begin
        return now

    def rotate(self, job: Any, arrays: Any) -> None:
        """Cell vectors of every orientation, and their reciprocal ones: the arrays `real` and `dual`."""
        cell, spindle, phis, rotations = job.rotation
        self.modules.function("rotation", "nb_rotation")(
            (-(-len(phis) * job.domains // THREADS),),
            (THREADS,),
            (
                np.array((cell, spindle), SETTING),
                arrays["phis"],
                NULL if rotations is None else arrays["rotations"],
                np.int32(len(phis)),
                np.int32(job.domains),
                np.int64(job.stride),
                arrays["real"],
                arrays["dual"],
            ),
        )

    def _rows(self, job, width, segments):
        """Rows of the image that stay on the device, and rows of a band.

        All rows of the region of interest stay if the free memory allows; a band takes no longer than one wants to wait
        for an interrupt.
        """
        fast_min, fast_max, slow_min, slow_max = job.roi
        height = slow_max - slow_min + 1
        self.cupy.get_default_memory_pool().free_all_blocks()
        free = self.cupy.cuda.Device(self.device).mem_info[0] * MEMORY_PART
        row = nbytes(band_arrays(1, 1, width, segments))
        if row > free:
            raise OptionError(
                f"the GPU has no memory left for a row of {width} pixels; free some, or use {{backend}} cpu"
            )
        in_time = BAND_SECONDS * SLOW_RATE / (job.steps_per_pixel * (fast_max - fast_min + 1))
        rows = max(1, min(height, MOST_ROWS, int(in_time)))
        if nbytes(band_arrays(height, rows, width, segments)) <= free:
            return height, rows
        rows = min(rows, int(free / row))
        return rows, rows

    def _sums(self, width, seconds):
        total = self._total
        where = int(total["where"])
        return (
            float(total["count"] * total["mean"]),
            float(total["squares"]),
            int(total["rendered"]),
            float(total["top"]),
            divmod(where, width) if where >= 0 else None,
            float(total["angle"]),
            int(total["outside"]),
            seconds,
        )

    def squared_deviations(self, job: Any, image: Any, mean: float) -> tuple[Any, Any]:
        """Sum of (pixel - mean)^2 over the region of interest of the last image, and its number of pixels."""
        total = self._total
        return float(total["deviations"] + total["count"] * (total["mean"] - mean) ** 2), int(total["count"])

    def smv_pixels(self, image: Any, first: Any, block: Any, roi: Any, scale: float, adc: float) -> None:
        """`kernels.files.imagefile.smv_pixels`, by the device if the image is the last one and still there."""
        if self.kept(image) is None:
            smv_pixels(image, first, block, roi, scale, adc)
        else:
            with clear_errors(self.cupy), self.cupy.cuda.Device(self.device):
                self.kept(image).smv_pixels(first, block, scale, adc)

    def kept(self, image: Any) -> Any:
        """The `DeviceImage` of an image, if it is the last one and all of it is still on the device; else None."""
        return self._kept if self._kept is not None and self._kept.image is image else None

    def noise(self, cpu: Any) -> Any:
        """A noise maker like `cpu`, one of the counter-based stream (render/noise.py), that lets the device work."""
        return DeviceNoise(self, cpu)
