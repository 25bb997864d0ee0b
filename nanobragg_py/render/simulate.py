"""Experiment -> float image, with its statistics. Every front end renders through `simulate`."""

from math import sqrt

from ..errors import OptionError
from ..experiment.physics import NO_DEFECTS, REFERENCE
from ..experiment.resolve.checks import LARGE
from ..kernels.loops.job import Job
from ..kernels.memory.buffers import Buffer
from ..records import REQUIRED, Record
from .backends import Compute, needs_cpu, team_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: sub-pixels a side, whose square is a 32-bit number on a GPU
GPU_OVERSAMPLE = 46340
#: pixels of a huge page, which the system clears as a whole
HUGE_PIXELS = (2 << 20) // 4


class Statistics(Record):
    """What is known of an image.

    pixels: how many were rendered. mean, rms: over those. rmsd: about the mean, over the whole region of interest.
    maximum: the largest value (0 if none is positive). maximum_pixel: its (slow, fast), or None. maximum_at: the
    position (fast, slow), m, of that pixel's last sub-pixel. solid_angle: sum of the solid angle over all sub-steps,
    steradian.
    not_interpolated: steps outside the range where structure factors can be interpolated. seconds: spent in the loop.
    """

    _fields = {
        "pixels": REQUIRED,
        "mean": REQUIRED,
        "rms": REQUIRED,
        "rmsd": REQUIRED,
        "maximum": REQUIRED,
        "maximum_pixel": None,
        "maximum_at": (0.0, 0.0),
        "solid_angle": 0.0,
        "not_interpolated": 0,
        "seconds": 0.0,
    }


def simulate(
    experiment: "Any",
    table: "Any" = None,
    out: "Any" = None,
    compute: "Any" = None,
    progress: "Any" = None,
    on_device: bool = False,
    precise: "Any" = None,
    **how: "Any",
) -> "tuple[Any, Any]":
    """Render the image of an experiment.

    table: the structure factors in the kernels' layout (`nanobragg_py.files.hkl.kernel_table`), or None without a
    table. out: a zeroed C-contiguous float32 buffer (slow, fast) to render into; None makes one. compute: a `Compute`;
    None: one of the values in how (``threads=2``). progress: called now and then with the number of pixels that are
    done, masked ones left out. on_device: leave the image of a GPU where it is, a CuPy array; out must be None then.
    precise: None, or a zeroed float64 buffer of the same shape for the pixels before they are rounded; only for the
    parallel loops of the CPU.

    Returns (image, Statistics). Raises NanoBraggError when there is no memory for the image, or the GPU cannot be used.
    """
    compute, _ = (Compute(**how) if compute is None else compute).chosen(experiment)
    if compute.compat == "c" and experiment.physics != REFERENCE:
        raise OptionError(NO_DEFECTS)
    sequential = compute.is_sequential(experiment.sampling)
    if compute.backend == "gpu":
        check_gpu(experiment, compute.compat)
    if experiment.is_sum:
        from .sums import simulate_sum

        summed, sums, deviations = simulate_sum(experiment, table, out, compute, progress, on_device, precise)
        return summed, statistics(experiment, sums, deviations)
    renderer = compute.renderer
    job = Job(experiment, table, defects=compute.compat == "c", single=compute.precision == "single")
    if out is None and not on_device:
        out = new_image(job.shape, job.roi)
    threads = team_size(compute.threads)
    if sequential:
        from ..kernels.loops.sequential import Sequential, render_sequential

        sums = render_sequential(Sequential(job, defects=True), out, progress)
    else:
        override, given = None, {}
        if compute.compat == "c":
            loop, override = first_pixel(job)
            if compute.backend == "cpu":
                given["exact"] = loop.pixel
        if precise is not None:
            given["precise"] = precise
        sums = renderer.render(job, out, threads, progress, override, **given)
    found = statistics(experiment, sums, deviations_of(renderer, job, out, sums, threads))
    return renderer.take() if on_device else out, found


def check_gpu(experiment: "Any", compat: str) -> None:
    """Raise an OptionError for what a GPU does not do."""
    if needs_cpu(experiment, compat):
        raise OptionError(
            "{compat} c makes pixels depend on those before them where structure factors are interpolated or "
            "{oversample_thick}, _polar or _omega is given, and has spots' centres of round crystals worked out one by "
            "one, which a GPU cannot do; use {backend} cpu, or no {compat} c"
        )
    if experiment.sampling.oversample > GPU_OVERSAMPLE:
        raise OptionError(
            f"a GPU counts no more than {GPU_OVERSAMPLE} sub-pixels a side ({{oversample}}); "
            "use fewer, or {backend} cpu"
        )


def new_image(shape: "Any", roi: "Any" = None) -> "Any":
    """A zeroed float32 image of shape (slow, fast); raises NanoBraggError when it does not fit into memory.

    roi: (fast_min, fast_max, slow_min, slow_max), inclusive, of the pixels that will be written, or None for all. Where
    they fit into one huge page they do not lie across the border of two, each of which takes a tenth of a millisecond.
    """
    needed, what = shape[0] * shape[1] * 4, f"no memory for an image of {shape[1]} x {shape[0]} pixels"
    if needed > LARGE:
        from ..memory import shortage

        if said := shortage(needed):
            raise OptionError(f"{what}: it needs {said}, or use fewer with {{fpixels+spixels}}")
    try:
        return Buffer(shape, "f", pad=0 if roi is None else _pixels_before(shape[1], roi))
    except MemoryError:
        raise OptionError(f"{what} ({needed / 2**30:.3g} GiB); use fewer with {{fpixels+spixels}}") from None


def _pixels_before(width, roi):
    """How many pixels an image begins behind a huge page's border."""
    fast_min, fast_max, slow_min, slow_max = roi
    first, last = slow_min * width + fast_min, slow_max * width + fast_max
    fits = 0 <= last - first < HUGE_PIXELS - 16  # a Buffer begins at a cache line
    return -first % HUGE_PIXELS if fits and first // HUGE_PIXELS != last // HUGE_PIXELS else 0


def first_pixel(job: "Any") -> "tuple[Any, Any]":
    """The first pixel with a contribution, whose first phi sweep starts from the unrotated cell (D1).

    Returns a loop that is past that pixel, and (slow, fast, value), or None where no pixel is an exception.
    """
    from ..kernels.loops.sequential import Sequential

    loop = Sequential(job, defects=True)
    if job.first_orientations is None:
        return loop, None
    fast_min, fast_max, slow_min, slow_max = job.roi
    for slow in range(slow_min, slow_max + 1):
        for fast in range(fast_min, fast_max + 1):
            if not loop.skipped(slow, fast):
                value = loop.pixel(slow, fast)
                if loop.executed:
                    return loop, (slow, fast, value)
    return loop, None


def deviations_of(renderer: "Any", job: "Any", image: "Any", sums: "Any", threads: int = 1) -> "Any":
    """Sum of (pixel - mean)^2 of an image, and of how many pixels, from what a renderer returned of it."""
    return renderer.squared_deviations(job, image, sums[0] / max(sums[2], 1), threads)


def statistics(experiment: "Any", sums: "Any", deviations: "Any", pixel_size: "float | None" = None) -> "Statistics":
    """Statistics from what a renderer returned, and `deviations_of` that.

    pixel_size: of the panel with the maximum; None: that of the detector.
    """
    total, squares, pixels, maximum, where, solid_angle, not_interpolated, seconds = sums
    squared, in_region = deviations
    at = (0.0, 0.0)
    if where is not None:
        oversample = experiment.sampling.oversample
        subpixel = (pixel_size or experiment.detector.pixel_size) / oversample
        last = (subpixel * (pixel * oversample + oversample - 1) for pixel in (where[-1], where[-2]))
        at = tuple(position + subpixel / 2.0 for position in last)
    return Statistics(
        pixels=pixels,
        mean=total / max(pixels, 1),
        rms=sqrt(squares / (max(pixels, 2) - 1)),
        rmsd=sqrt(squared / (max(in_region, 2) - 1)),
        maximum=maximum,
        maximum_pixel=where,
        maximum_at=at,
        solid_angle=solid_angle,
        not_interpolated=not_interpolated,
        seconds=seconds,
    )
