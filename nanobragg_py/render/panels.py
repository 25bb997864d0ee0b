"""Images of a detector of several panels: what panels share is worked out once, and each is rendered as an image."""

from ..errors import NanoBraggError, OptionError
from ..kernels.loops.job import Job
from .backends import Compute, needs_cpu, team_size
from .simulate import deviations_of, new_image, statistics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .simulate import Statistics


def simulate_panels(
    experiment: "Any",
    table: "Any",
    images: "Any",
    compute: "Any" = None,
    progress: "Any" = None,
    precise: "Any" = None,
) -> "Statistics":
    """Render every panel of a resolved experiment into its own zeroed float32 buffer (slow, fast).

    images: the buffers, in the order of the panels; where they are numpy's, rows may lie apart. progress: as of
    `simulate`, with pixels of all panels together.
    precise: None, or float64 buffers besides, as of `simulate`.
    Returns the Statistics of all panels taken as one image; maximum_pixel is (panel, slow, fast). Raises
    NanoBraggError.
    """
    compute, _ = (Compute() if compute is None else compute).chosen(experiment)
    if compute.compat == "c" or needs_cpu(experiment, compute.compat):
        raise OptionError("{compat} c is the reference's, which knows no panels; leave it out, or render one panel")
    if experiment.is_sum:
        return together(experiment, *zip(*_sums(experiment, table, images, compute, progress, precise), strict=True))
    renderer, threads = compute.renderer, team_size(compute.threads)
    panels = experiment.panels or (experiment.detector,)
    first = Job(experiment.replace(detector=panels[0], panels=()), table, single=compute.precision == "single")
    jobs = [first, *(first.with_detector(panel) for panel in panels[1:])]
    if compute.backend == "cpu":
        sums = renderer.render_panels(jobs, images, threads, progress, precise)
        parts = zip(jobs, images, sums, strict=True)
        return together(experiment, sums, [deviations_of(renderer, *part, threads) for part in parts])
    sums, deviations, done = [], [], 0
    for job, place in zip(jobs, images, strict=True):
        image = in_one_piece(place)
        sums.append(renderer.render(job, image, threads, None if progress is None else _further(progress, done)))
        deviations.append(deviations_of(renderer, job, image, sums[-1]))
        if image is not place:
            place[...] = image
        done += sums[-1][2]
    return together(experiment, sums, deviations)


def in_one_piece(image: "Any") -> "Any":
    """An image, or where its rows lie apart a zeroed one of its shape, for a device that copies images as a whole."""
    if memoryview(image).c_contiguous:
        return image
    import numpy as np

    return np.zeros(image.shape, np.float32)


def _sums(experiment, table, images, compute, progress, precise=None):
    """Of every panel of an experiment of several crystals what `render_sum` returns."""
    from .sums import jobs_of, render_sum

    first, done = None, 0
    unrounded = [None] * len(images) if precise is None else precise
    for each, image, unrounded_image in zip(experiment.single_panels, images, unrounded, strict=True):
        first = first or jobs_of(each, table, compute.precision == "single")
        jobs = [job.with_detector(each.detector) for job in first]
        tell = None if progress is None else _further(progress, done)
        found = render_sum(each, jobs, compute, image, tell, unrounded_image)
        yield found
        done += found[0][2]


def _further(progress, done):
    return lambda pixels: progress(done + pixels)


def together(experiment: "Any", sums: "Any", deviations: "Any") -> "Statistics":
    """The Statistics of all panels, from what a renderer returned of each and `deviations_of` that."""
    totals, squares, pixels, tops, _, angles, outside, seconds = zip(*sums, strict=True)
    best = max(range(len(tops)), key=tops.__getitem__)
    where, count = sums[best][4], sum(pixels)
    mean, squared, in_region = sum(totals) / max(count, 1), 0.0, 0
    for total, lit, (about, size) in zip(totals, pixels, deviations, strict=True):
        # about the mean of all, not the panel's own; pixels that are masked, and 0, count
        own = total / max(lit, 1)
        squared += about + (own - mean) * (2.0 * total - size * (own + mean))
        in_region += size
    found = sum(totals), sum(squares), count, tops[best], None if where is None else (best, *where)
    panel = experiment.panels[best] if experiment.panels else experiment.detector
    whole = (*found, sum(angles), sum(outside), sum(seconds))
    return statistics(experiment, whole, (max(squared, 0.0), in_region), panel.pixel_size)


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

    stored = np.asarray(new_image(experiment.stored_shape))
    images = [
        stored[s : s + panel.spixels, f : f + panel.fpixels]
        for panel, (s, f) in zip(experiment.panels, experiment.panel_corners, strict=True)
    ]
    found = simulate_panels(experiment, table, images, compute, progress)
    if found.maximum_pixel is None:
        return stored, found
    panel, slow, fast = found.maximum_pixel
    corner, pixel = experiment.panel_corners[panel], experiment.panels[panel].pixel_size
    at = found.maximum_at
    return stored, found.replace(
        maximum_pixel=(corner[0] + slow, corner[1] + fast),
        maximum_at=(at[0] + corner[1] * pixel, at[1] + corner[0] * pixel),
    )


def panel_at(experiment: "Any", slow: int, fast: int) -> "tuple[int, int, int]":
    """Which panel a pixel of the image that holds all panels is on, and where: (panel, slow, fast)."""
    for number, (panel, (s, f)) in enumerate(zip(experiment.panels, experiment.panel_corners, strict=True)):
        if s <= slow < s + panel.spixels and f <= fast < f + panel.fpixels:
            return number, slow - s, fast - f
    raise NanoBraggError(f"pixel slow {slow}, fast {fast} is on no panel; give one that is")


def on_panel(experiment: "Any", slow: int, fast: int, name: "str | None" = None) -> "tuple[Any, int, int]":
    """The resolved experiment of the panel that a pixel is on, and where it is there.

    name: that of the panel, or its number, on which the pixel is counted; None: it is counted in the image that holds
    all panels, if there are several.
    """
    if not experiment.panels:
        if name is not None:
            raise NanoBraggError(f"there is no panel {name!r}: the detector is one, and has none")
        return experiment, slow, fast
    number, slow, fast = (
        panel_at(experiment, slow, fast) if name is None else (panel_number(experiment, name), slow, fast)
    )
    return experiment.single_panels[number], slow, fast


def panel_number(experiment: "Any", name: str) -> int:
    """The number of a panel from its name or number; NanoBraggError for one that is not there."""
    names = experiment.panel_names
    if name in names:
        return int(names.index(name))
    if name.isdigit() and int(name) < len(names):
        return int(name)
    some = ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
    raise NanoBraggError(f"there is no panel {name!r}; there are {len(names)}: {some}")
