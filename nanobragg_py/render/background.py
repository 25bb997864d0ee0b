"""Amorphous scattering: from a resolved background to the float image, with its statistics."""

from math import sqrt

from ..kernels.loops.amorphous import BackgroundJob
from ..records import REQUIRED, Record
from .backends import level_module, pixels_of, team_size, thread_count
from .simulate import Statistics, new_image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


#: seconds a sub-pixel and source, roughly (docs/nonbragg.md)
STEP = 1.0e-8


class Rendered(Record):
    """A rendered background: the BackgroundJob, the image, and the sums that statistics are made of."""

    _fields = {"job": REQUIRED, "image": REQUIRED, "sums": REQUIRED}


def render_background(background: "Any", out: "Any" = None, threads: int = 0, progress: "Any" = None) -> "Rendered":
    """Render a `ResolvedBackground`: a `Rendered`.

    out: a zeroed C-contiguous float32 buffer (slow, fast) to render into; None makes one. threads: 0 lets
    `thread_count` decide; the result does not depend on it. progress: called now and then with the number of pixels
    that are done. A curve whose rows do not ascend is walked through as the reference does, in image order.
    """
    job = BackgroundJob(background, threads=team_size(threads))
    if out is None:
        out = new_image(job.shape)
    if background.curve.ascending:
        sums = level_module("loops.background")[0].render(job, out, team_size(threads), progress)
    else:
        from ..kernels.loops import walk

        sums = walk.render(walk.Walk(background, job), out, progress)
    return Rendered(job=job, image=out, sums=sums)


def steps_of(background: "Any") -> "Any":
    """Contributions to all pixels of an image together."""
    return pixels_of(background.detector) * background.steps


def expected_seconds(background: "Any", threads: int = 0) -> "Any":
    """About how long an image takes, with `thread_count` of `threads`."""
    return steps_of(background) * STEP / thread_count(threads)


def structure_factors(
    background: "Any", job: "Any", pixels: "Any", ignored: "Any", adc: float, gain: float, outside: "Any"
) -> "Any":
    """F that the pixels of an image stand for: (mean, rms deviation, pixels) of each row of the curve.

    pixels: buffer of uint16 in the detector's order. ignored: values that are left out. adc, gain: pixel value of zero
    photons, and per photon. outside: let the pixels outside the region of interest spill into the bins (N5).
    """
    from ..kernels.loops import walk

    follow = not background.curve.ascending
    skipped = {value % 65536 for value in ignored}
    return walk.structure_factors(walk.Walk(background, job), pixels, skipped, adc, gain, follow, outside)


def statistics(background: "Any", rendered: "Any", pixels: "Any" = None) -> "Any":
    """`Statistics` of a `Rendered`; `rmsd` is the reference's, which is shifted by one pixel.

    pixels: the number to divide by, if it is not that of the pixels.
    """
    from ..kernels.loops.walk import shifted_deviations

    total, squares, count, maximum, where, angle, seconds = rendered.sums
    counted = count if pixels is None else pixels
    mean = total / (counted if counted > 0 else 1)
    deviations, in_region = shifted_deviations(rendered.job, rendered.image, mean)
    subpixel = background.detector.pixel_size / background.oversample
    at = (0.0, 0.0)
    if where is not None:
        at = tuple(
            subpixel * (pixel * background.oversample + background.oversample - 1) + subpixel / 2.0
            for pixel in (where[1], where[0])
        )
    return Statistics(
        pixels=count,
        mean=mean,
        rms=sqrt(squares / ((counted if counted > 1 else 2) - 1)),
        rmsd=sqrt(deviations / (max(in_region, 2) - 1)),
        maximum=maximum,
        maximum_pixel=where,
        maximum_at=at,
        solid_angle=angle,
        seconds=seconds,
    )
