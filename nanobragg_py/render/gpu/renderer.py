"""The image on a CUDA device: what is copied there, what is launched, what comes back."""

from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np

from ...errors import OptionError
from ...kernels.files.imagefile import smv_pixels
from .arrays import Lasting, Staging, allocate, band_arrays, image_arrays, levels, nbytes, pack, padded
from .bands import MOST_ROWS, SECONDS, Cut, cut_work
from .device import clear_errors, open_device
from .hardware import hardware_of
from .images import DeviceImage, DeviceNoise, draw
from .modules import Modules
from .structs import STATISTICS
from .variants import REDUCE_THREADS, STRUCTURES, THREADS, Variant

#: a pointer to nothing, as CuPy passes it
NULL = np.uint64(0)
#: pieces of a pixel's work: all that there are
ALL = 2**62
#: bytes of the images of a launch, if they are several
STILLS = 1 << 26
#: part of the free memory that is taken where an image does not fit
MEMORY_PART = 0.8

#: the statistics of no pixels; on the device, where CuPy knows no structs, they are bytes
EMPTY = np.array((0, 0, 0, 0, 0, 0, -1, 0, 0), STATISTICS)


def variant_of(job: Any) -> Any:
    """Which kernel a Job needs."""
    kind, structure, curved = job.choices
    return Variant(kind=kind, structure=structure, curved=curved, single=job.single)


def shrinking(rows: int) -> Iterator[int]:
    """`rows`, its half, the half of that and so on, down to 1."""
    while rows > 0:
        yield rows
        rows //= 2


class Renderer:
    """Renders jobs on one device; `render` and `squared_deviations` are those of the CPU's renderers.

    device: its number. precision: of the jobs that it is for, "double", or "single" for lattice transforms in float32
    (Miller indices and sums stay in double). Raises NanoBraggError when CuPy or the device is missing.
    """

    def __init__(self, device: Any = 0, precision: str = "double") -> None:
        self.cupy: Any = open_device(device)
        self.device, self.precision = device, precision
        with clear_errors(self.cupy), self.cupy.cuda.Device(device):
            self.hardware: Any = hardware_of(self.cupy, device)
            self._staging = Staging(self.cupy)
        self.name: Any = self.hardware.name
        self.modules: Any = Modules(self.cupy, self.cupy.cuda.Device(device).compute_capability)
        self.seconds: Any = dict.fromkeys(("in", "kernels", "out"), 0.0)  # of the last image: copies and computation
        self._lasting = Lasting(self.cupy)
        self._total = EMPTY
        self._kept = None  # the last image and what is known of it, where all of it stayed on the device
        self._there: Any = None

    def render(self, job: Any, image: Any, threads: int = 1, progress: Any = None, override: Any = None) -> Any:
        """Render into `image` (slow, fast), float32, zeroed outside the region of interest; see loops/render.pyx.

        threads: ignored. image: None leaves it on the device, see `take`. Raises NanoBraggError for what goes wrong.
        """
        with clear_errors(self.cupy), self.cupy.cuda.Device(self.device):
            return self._render(job, image, progress, override)

    def _render(self, job, image, progress, override):
        fast_min, fast_max, slow_min, slow_max = job.roi
        self._total, self._kept, self._there = EMPTY, None, None
        if image is not None and np.asarray(image).shape != job.shape:
            raise ValueError(f"the image has the shape {np.asarray(image).shape}, the detector {job.shape}")
        if fast_min > fast_max or slow_min > slow_max:
            if image is None:
                self._there = self.cupy.zeros(job.shape, "f4")
            return 0.0, 0.0, 0, 0.0, None, 0.0, 0, 0.0
        self.seconds = dict.fromkeys(("in", "kernels", "out"), 0.0)
        begin = perf_counter()
        variant = variant_of(job)
        cut, arrays = self._prepare(job, variant, image is None, override)
        self._spent("in", begin)
        self._run(job, variant, cut, arrays, image, progress)
        whole = arrays["image"]
        if image is None:
            self._there = whole
        elif len(whole) == slow_max - slow_min + 1:
            self._kept = DeviceImage(self.cupy, self.modules, image, whole, job.roi)
        return sums_of(self._total, job.shape[1], self.seconds["kernels"])

    def take(self) -> Any:
        """The image that the last `render` left on the device, a CuPy array (slow, fast); it is the caller's then."""
        image, self._there = self._there, None
        return image

    def _run(self, job, variant, cut, arrays, image, progress):
        """Render band after band; the rows of one are copied back while the next is being rendered."""
        slow_min = job.roi[2]
        synchronize = self.cupy.cuda.get_current_stream().synchronize
        rows_held = len(arrays["image"])
        if image is None:  # all rows of the detector
            offset, host = slow_min, None
        else:
            offset, host = 0, np.asarray(image)
        done, waiting = 0, None
        for number, (first, end) in enumerate(cut.bands):
            at = offset + first if rows_held >= cut.bands[-1][1] else (number % 2) * cut.rows
            band = arrays["image"][at : at + end - first]
            lit = self._lit(job, slow_min + first, slow_min + end) if progress is not None else 0
            for piece, (one, next_one) in enumerate(cut.slices, 1):
                begin = perf_counter()
                self._launch(job, variant, arrays, slow_min + first, band, (one, next_one))
                if piece == len(cut.slices):
                    self._reduce(arrays, len(band) * self._segments(job, variant), number > 0)
                if waiting is not None:
                    self._fetch(*waiting)
                    waiting = None
                synchronize()
                self._spent("kernels", begin)
                if progress is not None:
                    progress(done + lit * piece // len(cut.slices))
            done += lit
            if host is not None:
                waiting = band, host[slow_min + first : slow_min + end]
        if waiting is not None:
            self._fetch(*waiting)
        total = np.empty(arrays["total"].shape, "u1")
        self._fetch(arrays["total"], total)
        self._total = total.view(STATISTICS)[0, 0]

    def _fetch(self, array, out):
        begin = perf_counter()
        self._staging.fetch(array, out)
        self._spent("out", begin)

    def _spent(self, what, begin):
        """The time since `begin` went into copies or kernels."""
        self.seconds[what] += perf_counter() - begin

    def _lit(self, job, first, end):
        """How many pixels of some rows are rendered."""
        fast_min, fast_max = job.roi[:2]
        if job.mask is None:
            return (end - first) * (fast_max - fast_min + 1)
        return int(np.count_nonzero(np.asarray(job.mask).reshape(job.shape)[first:end, fast_min : fast_max + 1]))

    @staticmethod
    def _segments(job, variant):
        """Blocks that a row needs."""
        fast_min, fast_max = job.roi[:2]
        return -(-(fast_max - fast_min + 1) // variant.segment)

    # ---- memory ----------------------------------------------------------------------------------------------------

    def inputs(self, jobs: Any, overrides: Any = None) -> dict[str, Any]:
        """What jobs of one table and mask need on the device, with the cell vectors of every orientation."""
        packed = pack(jobs, overrides)
        data = self.cupy.asarray(packed.data)
        arrays = {"shots": data[: packed.inputs], "inputs": data[packed.inputs :]}
        arrays["cells"] = self.cupy.empty((packed.cells,), "f8")
        self.modules.function("rotation", "nb_rotation")(
            (-(-packed.orientations // THREADS), len(jobs)), (THREADS,), tuple(arrays.values())
        )
        table = self._lasting.array("table", jobs[0].table, padded)
        arrays["table"] = None if table is None else table[jobs[0].table.pad :]
        arrays["mask"] = self._lasting.array("mask", jobs[0].mask, np.asarray)
        return arrays

    def _rate(self, variant):
        """Steps a second."""
        tricubic = STRUCTURES[variant.structure] == "tricubic"
        return self.hardware.rate("single" if variant.single else "double", tricubic)

    def _prepare(self, job, variant, stays, override):
        """The launches, and the arrays by name, with what goes in; stays: the whole image, on the device."""
        fast_min, fast_max, slow_min, slow_max = job.roi
        arrays = self.inputs([job], [override])
        height, width, segments = slow_max - slow_min + 1, job.shape[1], self._segments(job, variant)
        rate = self._rate(variant)
        cut = cut_work(height, segments, job, self.hardware, rate)
        held, partly = (job.shape[0], True) if stays else (height, fast_max - fast_min + 1 < width)
        wanted = [*image_arrays(held, width, partly), *band_arrays(cut, segments, variant)]
        try:
            return cut, arrays | allocate(self.cupy, wanted)
        except self.cupy.cuda.memory.OutOfMemoryError:
            if stays:
                raise
        # CuPy keeps what was freed: give it back, and see how many rows fit, two bands of them
        self.cupy.get_default_memory_pool().free_all_blocks()
        free = self.cupy.cuda.Device(self.device).mem_info[0] * MEMORY_PART
        for rows in shrinking(min(cut.rows, height)):
            cut = cut_work(height, segments, job, self.hardware, rate, rows)
            wanted = [*image_arrays(2 * cut.rows, width, partly), *band_arrays(cut, segments, variant)]
            if nbytes(wanted) <= free:
                return cut, arrays | allocate(self.cupy, wanted)
        raise OptionError(f"the GPU has no memory left for a row of {width} pixels; free some, or use {{backend}} cpu")

    # ---- launches --------------------------------------------------------------------------------------------------

    def _launch(self, job, variant, arrays, first, band, pieces, images=1):
        """Add some pieces of the work to a band that begins with row `first`; of several images, all of each."""
        rows = len(band) // images
        self.modules.function("intensity", "nb_intensity", variant.macros)(
            (self._segments(job, variant), rows, images),
            (variant.threads,),
            (
                arrays["shots"],
                arrays["inputs"],
                arrays["cells"],
                NULL if arrays["table"] is None else arrays["table"],
                NULL if arrays["mask"] is None else arrays["mask"],
                np.int32(first),
                *map(np.int64, pieces),
                arrays.get("carried", NULL),
                band,
                arrays["partials"],
            ),
        )

    def _reduce(self, arrays, blocks, joins, images=1):
        """The statistics of a band's blocks become the total, or join it."""
        reduce = self.modules.function("statistics", "nb_reduce")
        given, count = arrays["partials"], blocks
        for depth, level in enumerate(levels(blocks)):
            made = arrays[f"level{depth}"]
            reduce((level, images), (REDUCE_THREADS,), (given, np.int64(count), NULL, made))
            given, count = made, level
        total = arrays["total"]
        reduce((1, images), (REDUCE_THREADS,), (given, np.int64(count), total if joins else NULL, total))

    # ---- many images -----------------------------------------------------------------------------------------------

    def render_many(self, jobs: Any, images: Any) -> list[Any]:
        """Render each job into its image, as `render` does, those that allow it in one launch; a `Found` of each."""
        found: list[Any] = []
        for batch, variant in self._batches(jobs):
            some = images[len(found) : len(found) + len(batch)]
            if variant is None:
                found.append(Found(self.render(batch[0], some[0]), self._total))
            else:
                with clear_errors(self.cupy), self.cupy.cuda.Device(self.device):
                    found += self._render_stills(batch, variant, some)
        return found

    def _batches(self, jobs):
        """Runs of jobs for a launch with their variant; a job with None where it takes several launches, or none."""
        batch, kept, steps, held = [], None, 0.0, 0
        for job in jobs:
            variant, (fast_min, fast_max, slow_min, slow_max) = variant_of(job), job.roi
            height = slow_max - slow_min + 1
            more = float(job.steps_per_pixel) * height * (fast_max - fast_min + 1)
            most = SECONDS * self._rate(variant)
            alone = min(height, fast_max - fast_min + 1) < 1 or more > most or height > MOST_ROWS
            size = 4 * height * job.shape[1]
            # of a table and a mask there is one for all
            key = None if alone else (variant, job.shape, job.roi, id(job.table), id(job.mask))
            if batch and (key is None or key != kept or steps + more > most or held + size > STILLS):
                yield batch, kept and kept[0]
                batch, steps, held = [], 0.0, 0
            batch, kept, steps, held = [*batch, job] if batch else [job], key, steps + more, held + size
        if batch:
            yield batch, kept and kept[0]

    def _render_stills(self, jobs, variant, images):
        """One launch."""
        self._kept = self._there = None
        fast_min, fast_max, slow_min, slow_max = jobs[0].roi
        height, width, count = slow_max - slow_min + 1, jobs[0].shape[1], len(jobs)
        segments = self._segments(jobs[0], variant)
        cut = Cut(bands=[(0, height)], slices=[(0, ALL)])
        arrays = self.inputs(jobs)
        partly = fast_max - fast_min + 1 < width
        wanted = [*image_arrays(count * height, width, partly), *band_arrays(cut, segments, variant, count)]
        arrays |= allocate(self.cupy, wanted)
        begin = perf_counter()
        self._launch(jobs[0], variant, arrays, slow_min, arrays["image"], (0, ALL), count)
        self._reduce(arrays, height * segments, False, count)
        self.cupy.cuda.get_current_stream().synchronize()
        seconds = (perf_counter() - begin) / count
        rendered = self._staging.view(arrays["image"]).reshape(count, height, width)
        for image, rows in zip(images, rendered, strict=True):
            np.asarray(image)[slow_min : slow_max + 1] = rows
        totals = self._staging.view(arrays["total"]).view(STATISTICS)[:, 0].copy()
        return [Found(sums_of(total, width, seconds), total) for total in totals]

    def noise_many(self, images: Any, roi: Any, how: Any) -> Any:
        """Noise of the counter-based stream: uint16 (images, rows, fast).

        images: float32 of that shape on the host, the rows of the region of interest. how: (adc, seed) of each.
        """
        with clear_errors(self.cupy), self.cupy.cuda.Device(self.device):
            return draw(self.cupy, self.modules, self.cupy.asarray(images), roi, how)[0]

    def squared_deviations(self, job: Any, image: Any, mean: float, threads: int = 1) -> tuple[Any, Any]:
        """Sum of (pixel - mean)^2 over the region of interest of the last image, and its number of pixels."""
        return deviations_of(self._total, mean)

    def smv_pixels(
        self, image: Any, first: Any, block: Any, roi: Any, scale: float, adc: float, threads: int = 1
    ) -> None:
        """`kernels.files.imagefile.smv_pixels`, by the device if the image is the last one and still there."""
        if self.kept(image) is None:
            smv_pixels(image, first, block, roi, scale, adc, threads)
        else:
            with clear_errors(self.cupy), self.cupy.cuda.Device(self.device):
                self.kept(image).smv_pixels(first, block, scale, adc)

    def kept(self, image: Any) -> Any:
        """The `DeviceImage` of an image, if it is the last one and all of it is still on the device; else None."""
        return self._kept if self._kept is not None and self._kept.image is image else None

    def noise(self, cpu: Any) -> Any:
        """A noise maker like `cpu`, one of the counter-based stream (render/noise.py), that lets the device work."""
        return DeviceNoise(self, cpu)


def sums_of(total: Any, width: int, seconds: float) -> tuple[Any, ...]:
    """What `render` returns, from the statistics of an image of some width."""
    count, average, _, squares, angle, top, where, rendered, outside = total.item()
    place = divmod(where, width) if where >= 0 else None
    return count * average, squares, rendered, top, place, angle, outside, seconds


def deviations_of(total: Any, mean: float) -> tuple[float, int]:
    """Sum of (pixel - mean)^2 over the region of interest, and its number of pixels."""
    return float(total["deviations"] + total["count"] * (total["mean"] - mean) ** 2), int(total["count"])


class Found:
    """What is known of one of many images. sums: what `Renderer.render` returns."""

    def __init__(self, sums: Any, total: Any) -> None:
        self.sums, self._total = sums, total

    def squared_deviations(self, job: Any, image: Any, mean: float, threads: int = 1) -> tuple[float, int]:
        """As of a `Renderer`."""
        return deviations_of(self._total, mean)
