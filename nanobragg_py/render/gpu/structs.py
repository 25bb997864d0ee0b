"""The kernels' parameter structs; tests compare sizes and offsets with the compilers'."""

import struct as c_struct
from typing import Any

import numpy as np


def struct(*fields: Any) -> Any:
    """A dtype laid out as C lays out a struct."""
    return np.dtype(list(fields), align=True)


#: what follows the job in an nb_shot (kernels/formulas/nb_job.h)
SHOT = struct(
    ("cell", "f8", 9),
    ("spindle", "f8", 3),
    *[(name, "i8") for name in ("sources", "tables", "phis", "domains", "cells", "stride")],
    ("inside", "i4"),
    ("slow", "i4"),
    ("fast", "i4"),
    ("value", "f4"),
)
_SHOT = c_struct.Struct("=12d6q3if")
#: of an image without a pixel that was worked out elsewhere
NO_OVERRIDE = (-1, -1, 0.0)
#: nb_carried of kernels/loops/intensity.cu
CARRIED = struct(*[(name, "f8") for name in ("sum", "omega", "capture", "polar", "angle")], ("outside", "i8"))
#: nb_statistics of kernels/formulas/nb_statistics.h
STATISTICS = struct(
    *[(name, "f8") for name in ("count", "mean", "deviations", "squares", "angle", "top")],
    *[(name, "i8") for name in ("where", "rendered", "outside")],
)
#: nb_noise_row of kernels/loops/pixels.cu
NOISE_ROW = struct(("photons", "f8"), ("overloads", "i8"))

#: nb_noise_how of the same
NOISE_HOW = struct(("adc", "f8"), ("key", "u8"))


def shot_bytes(job: Any, places: Any, override: Any = None) -> bytes:
    """An nb_shot. job: a Job. places: as in SHOT, from sources to cells. override: (slow, fast, value)."""
    cell, spindle, _, _, inside = job.rotation
    return job.params + _SHOT.pack(*cell, *spindle, *places, job.stride, inside, *(override or NO_OVERRIDE))


def job_struct(job: Any) -> Any:
    """The job's nb_job (formulas/nb_job.h), whole, as an array without dimensions: what CuPy passes by value."""
    return np.frombuffer(job.params, f"V{len(job.params)}").reshape(())
