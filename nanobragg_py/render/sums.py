"""Images that are sums: each crystal is rendered as one, and they are added before anything is rounded."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.loops.job import Job
from .backends import level_module, thread_count
from .tables import kernel_table


def jobs_of(experiment: Any, table: Any, single: bool) -> list[Any]:
    """A `Job` for each crystal, on the experiment's detector. table: of those that have no structure factors of their
    own, as of `simulate`."""
    parts = [(each.crystal.structure_factors, each) for each in experiment.single_crystals]
    tables = [table if own is None else kernel_table(own, each.beam) for own, each in parts]
    return [Job(each, one, single=single) for (_, each), one in zip(parts, tables, strict=True)]


def render_sum(
    experiment: Any, jobs: list[Any], compute: Any, image: Any, progress: Any = None, precise: Any = None
) -> tuple[Any, Any]:
    """Render a sum into a float32 buffer (slow, fast), and the pixels before they are rounded into precise, if given.

    Returns (what a renderer returns, sum of (pixel - mean)^2 and of how many pixels).

    jobs: of the experiment's crystals, on its detector. compute: a `Compute` that has chosen.
    """
    renderer, threads = compute.renderer, thread_count(compute.threads)
    shape = jobs[0].shape
    total = np.zeros(shape)
    sums = []
    exact = np.zeros(shape) if compute.backend == "cpu" else None
    for number, job in enumerate(jobs):
        one = np.zeros(shape, np.float32)
        tell = None if progress is None else _portion(progress, number, len(jobs))
        if exact is None:
            sums.append(renderer.render(job, one, threads, tell, None))
            total += one
        else:
            sums.append(renderer.render(job, one, threads, tell, None, precise=exact))
            total += exact
    if experiment.amorphous is not None:
        total += amorphous_image(experiment, shape, threads)
    out = np.asarray(image)
    out[...] = total
    if precise is not None:
        np.asarray(precise)[...] = total
    return sums_of(experiment.detector, out, sums)


def amorphous_image(experiment: Any, shape: Any, threads: int) -> Any:
    """What the curve scatters: float32, 0 where the mask leaves pixels out."""
    from ..experiment.background import curve_background
    from ..kernels.loops.amorphous import BackgroundJob

    pixels = np.zeros(shape, np.float32)
    background = curve_background(experiment)
    level_module("loops.background")[0].render(BackgroundJob(background), pixels, threads)
    darken(background, pixels)
    return pixels


def darken(background: Any, image: Any) -> None:
    """Set to 0 what the detector's mask leaves out; image: array (..., slow, fast)."""
    mask = background.detector.mask
    if background.sensor and mask is not None:
        image[..., np.asarray(memoryview(mask)).reshape(image.shape[-2:]) == 0] = 0.0


def _portion(progress, number, count):
    """Of pixels that are done in all of so many images."""
    return lambda pixels: progress(pixels // count if number < count - 1 else pixels)


def sums_of(detector: Any, image: Any, sums: list[Any]) -> tuple[Any, Any]:
    """As of `render_sum`, of its float32 image. sums: of its parts, alike in pixels and solid angles."""
    fast_min, fast_max, slow_min, slow_max = detector.roi
    region = image[max(slow_min, 0) : slow_max + 1, max(fast_min, 0) : fast_max + 1].astype(np.float64)
    count, total, top, where = int(sums[0][2]), float(region.sum()), float(region.max(initial=0.0)), None
    if top > 0.0:
        slow, fast = np.unravel_index(int(np.argmax(region)), region.shape)
        where = (int(slow) + max(slow_min, 0), int(fast) + max(fast_min, 0))
    outside, seconds = (sum(each[number] for each in sums) for number in (6, 7))
    squared = float(((region - total / max(count, 1)) ** 2).sum())
    found = total, float((region * region).sum()), count, top, where, sums[0][5], outside, seconds
    return found, (squared, region.size)


def simulate_sum(
    experiment: Any, table: Any, out: Any, compute: Any, progress: Any, on_device: bool, precise: Any
) -> tuple[Any, Any, Any]:
    """As `simulate`, of an experiment of several crystals: the image, and what `render_sum` returns of it."""
    jobs = jobs_of(experiment, table, compute.precision == "single")
    image = np.zeros(jobs[0].shape, np.float32) if out is None else out
    found = render_sum(experiment, jobs, compute, image, progress, precise)
    return compute.renderer.cupy.asarray(image) if on_device else image, *found
