"""The kernels' parameter structs; tests compare sizes and offsets with the compilers'."""

from typing import Any

import numpy as np


def struct(*fields: Any) -> Any:
    """A dtype laid out as C lays out a struct."""
    return np.dtype(list(fields), align=True)


#: nb_setting of kernels/loops/rotation.cu
SETTING = struct(("cell", "f8", 9), ("spindle", "f8", 3), ("inside", "i4"))
#: nb_override of kernels/loops/intensity.cu
OVERRIDE = struct(("slow", "i4"), ("fast", "i4"), ("value", "f4"))
#: nb_carried of kernels/loops/intensity.cu
CARRIED = struct(*[(name, "f8") for name in ("sum", "omega", "capture", "polar", "angle")], ("outside", "i8"))
#: nb_statistics of kernels/formulas/nb_statistics.h
STATISTICS = struct(
    *[(name, "f8") for name in ("count", "mean", "deviations", "squares", "angle", "top")],
    *[(name, "i8") for name in ("where", "rendered", "outside")],
)
#: nb_noise_row of kernels/loops/pixels.cu
NOISE_ROW = struct(("photons", "f8"), ("overloads", "i8"))


def job_struct(job: Any) -> Any:
    """The job's nb_job (formulas/nb_job.h), whole, as an array without dimensions: what CuPy passes by value."""
    return np.frombuffer(job.params, f"V{len(job.params)}").reshape(())
