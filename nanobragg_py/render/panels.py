"""Images of a detector of several panels: what panels share is worked out once, and each is rendered as an image."""

from math import sqrt

from ..errors import NanoBraggError, OptionError
from ..kernels.loops.job import Job
from .backends import Compute, needs_cpu, team_size
from .simulate import Statistics, statistics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def simulate_panels(
    experiment: "Any",
    table: "Any",
    images: "Any",
    compute: "Any" = None,
    progress: "Any" = None,
    precise: "Any" = None,
) -> "list[Statistics]":
    """Render every panel of a resolved experiment into its own zeroed float32 buffer (slow, fast).

    images: the buffers, in the order of the panels. progress: as of `simulate`, with pixels of all panels together.
    precise: None, or float64 buffers besides, as of `simulate`.
    Returns the Statistics of each. Raises NanoBraggError.
    """
    compute, _ = (Compute() if compute is None else compute).chosen(experiment)
    if compute.compat == "c" or needs_cpu(experiment, compute.compat):
        raise OptionError("{compat} c is the reference's, which knows no panels; leave it out, or render one panel")
    renderer, threads = compute.renderer, team_size(compute.threads)
    single = compute.precision == "single"
    if experiment.is_sum:
        return _sums(experiment, table, images, compute, progress, precise)
    job, done, found = None, 0, []
    for number, (panel, image) in enumerate(zip(experiment.panels or [experiment.detector], images, strict=True)):
        if job is None:
            job = Job(experiment.replace(detector=panel, panels=()), table, single=single)
        else:
            job = job.with_detector(panel)
        tell = None if progress is None else _further(progress, done)
        given = {} if precise is None else {"precise": precise[number]}
        sums = renderer.render(job, image, threads, tell, None, **given)
        found.append(statistics(experiment, renderer, job, image, sums, pixel_size=panel.pixel_size))
        done += found[-1].pixels
    return found


def _sums(experiment, table, images, compute, progress, precise=None):
    """As `simulate_panels`, of an experiment of several crystals."""
    from .sums import jobs_of, render_sum

    first, done, found = None, 0, []
    unrounded = [None] * len(images) if precise is None else precise
    for each, image, unrounded_image in zip(experiment.single_panels, images, unrounded, strict=True):
        first = first or jobs_of(each, table, compute.precision == "single")
        jobs = [job.with_detector(each.detector) for job in first]
        tell = None if progress is None else _further(progress, done)
        found.append(Statistics(**render_sum(each, jobs, compute, image, tell, unrounded_image)))
        done += found[-1].pixels
    return found


def _further(progress, done):
    return lambda pixels: progress(done + pixels)


def together(found: "list[Statistics]") -> "Statistics":
    """The Statistics of all panels taken as one image; maximum_pixel is (panel, slow, fast)."""
    pixels = sum(each.pixels for each in found)
    mean = sum(each.mean * each.pixels for each in found) / max(pixels, 1)
    squares = sum(each.rms**2 * (max(each.pixels, 2) - 1) for each in found)
    deviations = sum(each.rmsd**2 * (max(each.pixels, 2) - 1) + each.pixels * (each.mean - mean) ** 2 for each in found)
    best = max(range(len(found)), key=lambda number: found[number].maximum)
    where = found[best].maximum_pixel
    return Statistics(
        pixels=pixels,
        mean=mean,
        rms=sqrt(squares / (max(pixels, 2) - 1)),
        rmsd=sqrt(deviations / (max(pixels, 2) - 1)),
        maximum=found[best].maximum,
        maximum_pixel=None if where is None else (best, *where),
        maximum_at=found[best].maximum_at,
        solid_angle=sum(each.solid_angle for each in found),
        not_interpolated=sum(each.not_interpolated for each in found),
        seconds=sum(each.seconds for each in found),
    )


def stored_experiment(experiment: "Any", roi: "Any" = None) -> "Any":
    """The experiment of the one image that holds all panels: the first panel's place, and the size of the whole.

    roi: the region of interest in that image, or None for all of it.
    """
    spixels, fpixels = experiment.stored_shape
    first = experiment.detector
    whole = first.replace(
        fpixels=fpixels,
        spixels=spixels,
        detsize_f=fpixels * first.pixel_size,
        detsize_s=spixels * first.pixel_size,
        roi=(0, fpixels - 1, 0, spixels - 1) if roi is None else roi,
        mask=None,
        mask_name=None,
    )
    return experiment.replace(detector=whole, panels=(), panel_names=(), panel_corners=(), stored_shape=None)


def simulate_stored(
    experiment: "Any", table: "Any", compute: "Any" = None, progress: "Any" = None
) -> "tuple[Any, Statistics]":
    """All panels in one float32 image (slow, fast), 0 between them, and its Statistics."""
    import numpy as np

    try:
        stored = np.zeros(experiment.stored_shape, np.float32)
    except MemoryError:
        raise NanoBraggError(f"no memory for an image of {experiment.stored_shape} pixels; use fewer panels") from None
    places = [
        stored[s : s + panel.spixels, f : f + panel.fpixels]
        for panel, (s, f) in zip(experiment.panels, experiment.panel_corners, strict=True)
    ]
    images = [place if place.flags.c_contiguous else np.zeros(place.shape, np.float32) for place in places]
    found = simulate_panels(experiment, table, images, compute, progress)
    for place, image in zip(places, images, strict=True):
        if image is not place:
            place[...] = image
    statistics = together(found)
    if statistics.maximum_pixel is None:
        return stored, statistics
    panel, slow, fast = statistics.maximum_pixel
    corner, pixel = experiment.panel_corners[panel], experiment.panels[panel].pixel_size
    at = statistics.maximum_at
    return stored, statistics.replace(
        maximum_pixel=(corner[0] + slow, corner[1] + fast),
        maximum_at=(at[0] + corner[1] * pixel, at[1] + corner[0] * pixel),
    )


def panel_at(experiment: "Any", slow: int, fast: int) -> "tuple[int, int, int]":
    """Which panel a pixel of the image that holds all panels is on, and where: (panel, slow, fast)."""
    for number, (panel, (s, f)) in enumerate(zip(experiment.panels, experiment.panel_corners, strict=True)):
        if s <= slow < s + panel.spixels and f <= fast < f + panel.fpixels:
            return number, slow - s, fast - f
    raise NanoBraggError(f"pixel slow {slow}, fast {fast} is on no panel; give one that is")


def panel_number(experiment: "Any", name: str) -> int:
    """The number of a panel from its name or number; NanoBraggError for one that is not there."""
    names = experiment.panel_names
    if name in names:
        return int(names.index(name))
    if name.isdigit() and int(name) < len(names):
        return int(name)
    some = ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
    raise NanoBraggError(f"there is no panel {name!r}; there are {len(names)}: {some}")
