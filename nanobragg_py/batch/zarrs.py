"""Zarr arrays of a job's images: one group, of which every unit of work is a shard.

    images          (n, slow, fast): a chunk an image, a shard a unit
    index           the images' numbers
    labels/A ...    of `nanobragg_py.batch.labels`, with their units as attributes
    job             an attribute of the group: the job as it was stated
panels          of a detector that has several, another: where each is in the images, as rows of the first pixel's place
                along slow and fast and the numbers of pixels

A unit's shard and the chunks of its labels are files of their own, named by the unit, so that workers write them as
they write other files; what describes the arrays comes when all units are there.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import Any

import numpy as np

from ..files.extras import need
from .hdf5 import PANELS, check_shape
from .labels import LABELS, labels_of

GROUP = "images.zarr"
IMAGES = "images"
ZARR = ("zarr", "zarr", "Zarr arrays")
#: behind the name of a unit's file while it is being written: what else belongs to the unit
BESIDE = ".parts"


def shard_name(unit: int) -> str:
    """The file of a unit's images, below the run's folder."""
    return f"{GROUP}/{IMAGES}/c/{unit}/0/0"


def arrays(
    path: str, shape: Any, dtype: Any, per_file: int, compression: str, job: Any = None, places: Any = None
) -> Any:
    """A group at a path, with the arrays for images of shape (n, slow, fast); chunks that are there stay."""
    zarr = need(*ZARR)
    group = zarr.open_group(path, mode="a")
    if job is not None:
        group.attrs["job"] = job.values
    if places is not None:
        group.attrs[PANELS] = places.tolist()
    codecs = {
        "bslz4": zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
        "gzip": zarr.codecs.GzipCodec(level=1),
        "none": None,
    }
    group.create_array(
        IMAGES,
        shape=shape,
        dtype=dtype,
        chunks=(1, *shape[1:]),
        shards=(per_file, *shape[1:]),
        compressors=codecs[compression],
        config={"write_empty_chunks": True},
    )
    group.create_array("index", shape=shape[:1], dtype="int64", chunks=(per_file,), compressors=None)
    for name, (row, units) in LABELS.items():
        made = group.create_array(
            f"labels/{name}", shape=(shape[0], *row), dtype="float64", chunks=(per_file, *row), compressors=None
        )
        made.attrs["units"] = units
    return group


def write_zarr(path: str, images: Any, count: int, per_file: int, compression: Any) -> None:
    """A unit: its shard at `path`, the chunks of its labels in a folder of that name with `BESIDE` behind it."""
    beside = path + BESIDE
    shutil.rmtree(beside, ignore_errors=True)
    pixels: Any = None
    told = []
    for place, made in enumerate(images):
        stored = made.stored
        if pixels is None:
            pixels = np.empty((count, *stored.shape), stored.dtype)
        check_shape(made.index, stored, pixels.shape[1:])
        pixels[place] = stored
        told.append(labels_of(made.index, made.experiment.resolved))
    group = arrays(beside, pixels.shape, pixels.dtype, per_file, compression)
    group[IMAGES][:] = pixels
    group["index"][:] = np.array([each["index"] for each in told], np.int64)
    for name in LABELS:
        group[f"labels/{name}"][:] = np.array([each[name] for each in told])
    os.replace(os.path.join(beside, IMAGES, "c", "0", "0", "0"), path)


def place_zarr(path: str, folder: str, unit: int) -> None:
    """Put what `write_zarr` made into its place, the shard, by which a unit is known, last."""
    beside = path + BESIDE
    for name in ("index", *(f"labels/{label}" for label in LABELS)):
        row = () if name == "index" else LABELS[name.partition("/")[2]][0]
        ending = "/".join("0" for _ in row)
        target = os.path.join(folder, GROUP, name, "c", str(unit), ending).rstrip("/")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(os.path.join(beside, name, "c", "0", ending).rstrip("/"), target)
    target = os.path.join(folder, shard_name(unit))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.replace(path, target)
    shutil.rmtree(beside, ignore_errors=True)


def finish_zarr(
    folder: str,
    shape: Any,
    dtype: Any,
    per_file: int,
    compression: str,
    job: Any,
    places: Any = None,
    again: bool = False,
) -> None:
    """What describes the arrays of a finished run; another process may have been quicker. again: write it anew."""
    if again:
        for name in ("", IMAGES, "index", "labels", *(f"labels/{label}" for label in LABELS)):
            with suppress(OSError):
                os.unlink(os.path.join(folder, GROUP, name, "zarr.json"))
    if not os.path.exists(os.path.join(folder, GROUP, "labels", next(reversed(LABELS)), "zarr.json")):
        arrays(os.path.join(folder, GROUP), shape, dtype, per_file, compression, job, places)


def read_group(folder: str) -> Any:
    """The group of a run's folder, for reading."""
    return need(*ZARR).open_group(os.path.join(folder, GROUP), mode="r")
