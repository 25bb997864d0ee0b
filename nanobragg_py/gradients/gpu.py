"""The sums that derivatives are made of, on a GPU: what kernels/loops/gradient.pyx gives in reverse, but for tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NanoBraggError, OptionError
from ..experiment.fields import in_fields
from ..render.backends import Compute
from ..render.gpu.device import clear_errors
from ..render.gpu.renderer import NULL
from ..render.gpu.structs import job_struct
from ..render.gpu.variants import STRUCTURES, THREADS, Variant

#: parts that the pixels are divided into for the derivatives of orientations, and bytes of sums that these may take
PARTS = 256
SUMS = 1 << 28
#: seconds of work between two looks at the keyboard
SECONDS = 0.25


class DeviceLoops:
    """The loops on one device, for one job at a time.

    device: its number. Raises NanoBraggError where there is none, or no CuPy.
    """

    def __init__(self, device: int = 0) -> None:
        try:
            self.renderer: Any = Compute("gpu", device).renderer
        except OptionError as error:
            raise NanoBraggError(in_fields(error.sentence)) from None

    def image(self, job: Any, image: Any) -> None:
        """Fill a zeroed float64 image (slow, fast)."""
        self._guarded(self._image, job, image)

    def reverse(self, job: Any, weights: Any, image: Any, geometry: bool, shape: bool, size: int) -> Any:
        """(numbers, turned) as `gradient.reverse` gives them, without a table's. size: how many numbers there are."""
        return self._guarded(self._reverse, job, weights, image, geometry, shape, size)

    def _guarded(self, what, *given):
        cupy = self.renderer.cupy
        try:
            with clear_errors(cupy), cupy.cuda.Device(self.renderer.device):
                return what(*given)
        except OptionError as error:
            raise NanoBraggError(in_fields(error.sentence)) from None

    def _arrays(self, job):
        """What is the same for both kernels, in the order of their arguments, and the compile-time choices."""
        renderer = self.renderer
        kind, structure, curved = job.choices
        variant = Variant(kind=kind, structure=structure, curved=curved)
        arrays = renderer.inputs([job])
        table, mask = arrays["table"], arrays["mask"]
        tricubic = STRUCTURES[structure] == "tricubic"
        given = (
            job_struct(job), arrays["inputs"], arrays["cells"], np.int64(job.stride), NULL if table is None else table,
            NULL if mask is None else mask,
        )  # fmt: skip
        return given, variant.macros, renderer.hardware.rate("double", tricubic) / 3.0

    def _function(self, name, macros):
        return self.renderer.modules.function("gradient", name, macros)

    def _derive(self, job, given, macros, rate, weights, flags, image, adjoint, size, sums):
        """All rows, bands of them at a time."""
        fast_min, fast_max, slow_min, slow_max = job.roi
        if fast_min > fast_max:
            return
        segments = -(-(fast_max - fast_min + 1) // THREADS)
        rows = min(65535, max(1, int(SECONDS * rate / (job.steps_per_pixel * segments * THREADS))))
        derive = self._function("nb_derive", macros)
        for slow in range(slow_min, slow_max + 1, rows):
            band = min(rows, slow_max + 1 - slow)
            at = (slow - slow_min) * segments
            derive(
                (segments, band),
                (THREADS,),
                (
                    *given, np.int32(slow), weights, *map(np.int32, flags), image, adjoint, np.int64(size),
                    NULL if sums is NULL else sums[at:],
                ),
            )  # fmt: skip
            self.renderer.cupy.cuda.get_current_stream().synchronize()

    def _image(self, job, image):
        cupy = self.renderer.cupy
        given, macros, rate = self._arrays(job)
        there = cupy.zeros(image.shape, "f8")
        self._derive(job, given, macros, rate, NULL, (0, 0), there, NULL, 0, NULL)
        there.get(out=image)

    def _reverse(self, job, weights, image, geometry, shape, size):
        cupy = self.renderer.cupy
        fast_min, fast_max, slow_min, slow_max = job.roi
        if fast_min > fast_max or slow_min > slow_max:
            return np.zeros(size), np.zeros(9 * job.stride)
        given, macros, rate = self._arrays(job)
        height, segments = slow_max - slow_min + 1, -(-(fast_max - fast_min + 1) // THREADS)
        sums = cupy.zeros((height * segments, size), "f8")
        adjoint = cupy.zeros(job.shape, "f8")
        self._derive(
            job, given, macros, rate, cupy.asarray(weights), (geometry, shape), cupy.asarray(image), adjoint, size, sums
        )
        numbers = self._added(macros, sums, height * segments, size)
        del sums
        orientations = job.domains * len(job.rotation[2])
        lanes = 1
        while lanes < min(orientations, THREADS):
            lanes *= 2
        parts = max(1, min(PARTS, height * segments, SUMS // (72 * job.stride)))
        turned = cupy.zeros((parts, 9 * job.stride), "f8")
        each = max(1, int(SECONDS * rate / (job.steps_per_pixel * height * segments * THREADS / parts)))
        for first in range(0, parts, each):
            self._function("nb_turned", macros)(
                (-(-orientations // lanes), min(each, parts - first)),
                (THREADS,),
                (*given, adjoint, np.int32(lanes), np.int32(first), np.int32(parts), turned),
            )
            cupy.cuda.get_current_stream().synchronize()
        return numbers, self._added(macros, turned, parts, 9 * job.stride)

    def _added(self, macros, given, parts, size):
        """The sum of `parts` arrays of `size` numbers, on the host. macros: of a module that is there."""
        out = self.renderer.cupy.empty((size,), "f8")
        add = self._function("nb_add_parts", macros)
        add((-(-size // THREADS),), (THREADS,), (given, np.int64(parts), np.int64(size), out))
        return out.get()
