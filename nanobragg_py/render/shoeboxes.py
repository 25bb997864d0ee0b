"""Images of lists of regions, such as spots' shoeboxes: nothing else of the detector is worked out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import FieldError, NanoBraggError, OptionError
from ..experiment.checks import region
from ..experiment.fields import in_fields
from ..memory import within_memory
from .backends import pixels_of, team_size, warn_of_time
from .images import caller_image, new_image
from .panels import panel_number
from .sums import amorphous_image, jobs_of
from .tables import kernel_table


@within_memory
def render_regions(
    experiment: Any, rois: Any, compute: Any, out: Any = None, progress: Any = None, dtype: Any = np.float32
) -> Any:
    """The image of an `Experiment`, or the stack or list of its panels' images, 0 outside the regions.

    rois: see `Experiment.render`. compute: a `Compute`. progress: called with the number of pixels that are done.
    """
    if compute.backend == "gpu":
        raise FieldError('rois need backend "cpu"; a GPU renders the one region of the detector')
    if compute.compat == "c":
        raise FieldError('rois need compat "spec"; the reference program renders one region')
    compute, resolved = compute.replace(backend="cpu", threads=team_size(compute.threads)), experiment.resolved
    lists = regions_of(rois, resolved)
    if len(set(experiment.shapes)) == 1:
        whole = new_image(experiment.shape, dtype) if out is None else caller_image(out, experiment.shape, dtype)
        images = list(whole) if resolved.panels else [whole]
    elif out is not None:
        raise FieldError("out is one array, and the panels differ in size; leave it out")
    else:
        whole = images = [new_image(shape, dtype) for shape in experiment.shapes]
    wanted = sum((roi[1] + 1 - roi[0]) * (roi[3] + 1 - roi[2]) for regions in lists for roi in regions)
    warn_of_time(resolved, compute, wanted / max(1, sum(pixels_of(panel.detector) for panel in resolved.single_panels)))
    table, jobs, done = kernel_table(experiment.structure_factors, resolved.beam), None, 0
    try:
        for single, image, regions in zip(resolved.single_panels, images, lists, strict=True):
            if not regions:
                continue
            jobs = jobs or jobs_of(single, table, compute.precision == "single")
            # the loops fill regions of whole images
            rounded, precise = new_image(image.shape), new_image(image.shape, np.float64)
            for roi in regions:
                part = slice(roi[2], roi[3] + 1), slice(roi[0], roi[1] + 1)
                own = single.detector.replace(roi=roi)
                total = np.zeros((roi[3] + 1 - roi[2], roi[1] + 1 - roi[0]))
                for job in jobs:
                    compute.renderer.render(
                        job.with_detector(own), rounded, compute.threads, None, None, precise=precise
                    )
                    total += precise[part]
                if resolved.amorphous is not None:
                    total += amorphous_image(single.replace(detector=own), image.shape, compute.threads)[part]
                image[part] = total
                done += total.size
                if progress is not None:
                    progress(done)
    except OptionError as error:
        raise NanoBraggError(in_fields(error.sentence)) from None
    return whole


def regions_of(rois: Any, resolved: Any) -> list[list[tuple[int, int, int, int]]]:
    """The regions of the detector, or of each of its panels, within those that these have anyway.

    Raises FieldError for what is no region, and for one that has no pixel of the detector.
    """
    if not resolved.panels:
        return [checked("rois", rois, resolved.detector)]
    if isinstance(rois, Mapping):
        given: list[Any] = [()] * len(resolved.panels)
        for name, some in rois.items():
            try:
                given[panel_number(resolved, str(name))] = some
            except NanoBraggError as error:
                raise FieldError(f"rois: {error}") from None
    else:
        try:
            given = list(rois)
        except TypeError:
            raise FieldError(f"rois are {rois!r}; give a list of regions for each panel") from None
    if len(given) != len(resolved.panels):
        raise FieldError(f"rois has {len(given)} lists, and there are {len(resolved.panels)} panels; give one for each")
    return [
        checked(f"rois[{number}]", some, panel)
        for number, (some, panel) in enumerate(zip(given, resolved.panels, strict=True))
    ]


def checked(name: str, rois: Any, detector: Any) -> list[tuple[int, int, int, int]]:
    """The regions of one detector, cut at its own; those of which nothing is left there are none."""
    try:
        given = list(rois)
    except TypeError:
        raise FieldError(f"{name} is {rois!r}; give a list of (fast min, fast max, slow min, slow max)") from None
    low, high = detector.roi[0::2], detector.roi[1::2]
    found = []
    for number, one in enumerate(given):
        bounds = region(f"{name}[{number}]", one)
        size = (detector.fpixels, detector.spixels)
        if any(bounds[2 * i] > bounds[2 * i + 1] or bounds[2 * i] >= size[i] for i in range(2)):
            raise FieldError(f"{name}[{number}] is {bounds}, which has none of the {size[0]} x {size[1]} pixels")
        begin = [max(bounds[2 * i], low[i]) for i in range(2)]
        end = [min(bounds[2 * i + 1], high[i], size[i] - 1) for i in range(2)]
        if begin[0] <= end[0] and begin[1] <= end[1]:
            found.append((begin[0], end[0], begin[1], end[1]))
    return found
