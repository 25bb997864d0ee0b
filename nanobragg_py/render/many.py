"""Many experiments on a GPU at once."""

from ..kernels.loops.job import Job
from .simulate import Statistics, check_gpu, deviations_of, simulate, statistics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def simulate_many(experiments: "Any", tables: "Any", images: "Any", compute: "Any") -> "list[Statistics]":
    """Render many experiments on a GPU, those that are small and alike in one launch; their Statistics.

    tables: of each, the same object where they have the same. images: a zeroed float32 buffer (slow, fast) for each.
    compute: a Compute of backend "gpu". Every image is as of `simulate`. Raises NanoBraggError.
    """
    if compute.compat == "c" or any(experiment.is_sum for experiment in experiments):
        return [
            simulate(experiment, table, image, compute)[1]
            for experiment, table, image in zip(experiments, tables, images, strict=True)
        ]
    for experiment in experiments:
        check_gpu(experiment, compute.compat)
    single = compute.precision == "single"
    jobs = [Job(experiment, table, single=single) for experiment, table in zip(experiments, tables, strict=True)]
    found = compute.renderer.render_many(jobs, images)
    return [
        statistics(experiment, one.sums, deviations_of(one, job, image, one.sums))
        for experiment, job, image, one in zip(experiments, jobs, images, found, strict=True)
    ]
