"""Many images from one job file: every image is a function of the job and its own number.

`read_job` reads a job file, `iter_images` yields its images as arrays, `run` and `run_dask` render them into files,
`verify` reads the files back. docs/batch.md says how job files are written.
"""

from typing import Any

#: public names and the modules they come from
_PUBLIC = {
    "Job": "jobs",
    "read_job": "jobs",
    "Made": "images",
    "Maker": "images",
    "iter_images": "images",
    "Output": "output",
    "manifest": "readback",
    "verify": "readback",
    "run": "local",
    "estimate": "local",
    "run_dask": "engines",
    "rank_of_environment": "engines",
}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
