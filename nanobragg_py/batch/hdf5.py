"""HDF5 files of a job's images: what a worker writes, and the file that shows those of all of them as one.

images          (n, slow, fast)
index           the images' numbers
phi             degrees, in files that an NXmx file shows
labels/A ...    of `nanobragg_py.batch.labels`, with their units as attributes; spots/ where they were asked for
job             an attribute of the root: the job as JSON
"""

from __future__ import annotations

import json
import os
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from ..files.extras import need
from ..files.registry import Scene
from ..render.images import SATURATION
from .labels import LABELS, SPOTS, labels_of

#: of Rice coding; images that have fewer pixels are not compressed
SZIP_BLOCK = 32
DATASET = "images"
#: the places of a file's images among its spots: those of image i are first[i] to first[i + 1] - 1
FIRST = "labels/spots/first"


def compression_options(compression: str | None) -> dict[str, Any]:
    """What h5py's create_dataset takes for a compression of COMPRESSIONS; NanoBraggError where it is not to be had."""
    if compression == "szip":
        filters = need("h5py", "batch", "HDF5 files").h5z
        available = filters.filter_avail(filters.FILTER_SZIP)
        if not (available and filters.get_filter_info(filters.FILTER_SZIP) & filters.FILTER_CONFIG_ENCODE_ENABLED):
            raise NanoBraggError("this build of HDF5 writes no szip compression; use --compression gzip")
        return {"compression": "szip", "compression_opts": ("nn", SZIP_BLOCK)}
    if compression == "gzip":
        return {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    if compression == "bslz4":
        plugin = need("hdf5plugin", "hdf5plugin", "HDF5 files with bslz4 compression")
        return dict(plugin.Bitshuffle(cname="lz4"))
    return {}


def write_hdf5(
    path: Any, images: Any, count: int, compression: Any, job: Any, angles: bool = False, spots: bool = False
) -> None:
    """The images, one chunk each, with their numbers and labels. No times are stored.

    images: of Made. job: the Job, which is kept with them. angles: with the spindle's, degrees, as /phi, for images
    that have all else of their geometry in common. spots: with the spots of each.
    """
    h5py = need("h5py", "batch", "HDF5 files")
    with h5py.File(path, "w", libver="v108") as file:
        data, numbers, geometries, told, found = None, [], [], [], []
        for place, made in enumerate(images):
            if data is None:
                shape = made.pixels.shape
                data = file.create_dataset(
                    DATASET,
                    (count, *shape),
                    made.pixels.dtype,
                    chunks=(1, *shape),
                    track_times=False,
                    **(compression_options(compression) if made.pixels.size >= SZIP_BLOCK else {}),
                )
            check_shape(made, shape)
            data[place] = made.pixels
            numbers.append(made.index)
            told.append(labels_of(made.index, made.experiment.resolved))
            if spots:
                found.append(made.spots)
            if angles:
                geometries.append(scene_of(made.experiment, None).geometry)
                check_same(geometries[0], geometries[-1], made.index)
        file.create_dataset("index", data=np.array(numbers, np.int64), track_times=False)
        file.create_dataset("job", data=job_text(job), track_times=False)
        for name, (_, units) in LABELS.items():
            values = np.array([each[name] for each in told], np.float64)
            _tell(file.create_dataset(f"labels/{name}", data=values, track_times=False), units)
        if spots:
            for name, (_, _, units) in SPOTS.items():
                values = np.concatenate([each[name] for each in found])
                _tell(file.create_dataset(f"labels/spots/{name}", data=values, track_times=False), units)
            first = np.cumsum([0, *(len(each["hkl"]) for each in found)])
            file.create_dataset(FIRST, data=first, track_times=False)
        if angles:
            phi = np.degrees([geometry.phi0 for geometry in geometries])
            file.create_dataset("phi", data=phi, track_times=False)


def _tell(data, units):
    if units:
        data.attrs["units"] = units


def job_text(job: Any) -> bytes:
    """A job as JSON, as it was stated."""
    return np.bytes_(json.dumps(job.values, default=str))


def check_shape(made: Any, shape: Any) -> None:
    """Raise NanoBraggError unless an image has the shape of those before it."""
    if made.pixels.shape != shape:
        raise NanoBraggError(
            f"image {made.index} is {made.pixels.shape[1]} x {made.pixels.shape[0]} pixels and those before it "
            f"{shape[1]} x {shape[0]}; one file holds images of one size, so use --format smv or cbf"
        )


def check_same(first: Any, geometry: Any, index: int) -> None:
    """Raise NanoBraggError unless NXmx can hold two geometries together: the same but for the spindle's angle."""
    if geometry.curved:
        raise NanoBraggError("NXmx cannot tell of a curved detector; use --format hdf5")
    if geometry.replace(phi0=first.phi0) != first:
        raise NanoBraggError(
            f"image {index} has another beam or detector than those before it, and NXmx holds one for all; use "
            "--format hdf5, or one of a file an image"
        )


def scene_of(experiment: Any, pixels: np.ndarray | None) -> Scene:
    """What is known beside the pixels of an image of an experiment."""
    from ..files.geometry import experiment_details, experiment_geometry

    resolved = experiment.resolved
    top = None if pixels is None else SATURATION.get(pixels.dtype.name)
    return Scene(geometry=experiment_geometry(resolved), saturated=top, details=experiment_details(resolved))


def write_virtual(path: str, names: list[str], counts: list[int], shape: tuple[int, int], dtype: Any, job: Any) -> None:
    """An HDF5 file whose /images shows those of all the files beside it as one data set, and so all else of them."""
    h5py = need("h5py", "batch", "HDF5 files")
    with h5py.File(path, "w", libver="v110") as file:
        _show(h5py, file, DATASET, DATASET, names, counts, shape, dtype)
        _show_labels(h5py, file, path, names, counts, job)


def write_master(
    path: Any, names: Any, counts: Any, shape: Any, dtype: Any, geometries: Any, job: Any, details: Any = None
) -> None:
    """An NXmx file that shows the images of all the files beside it, with the Geometry of each; labels as there.

    details: a Details of beam, sensor and pixels, or None.
    """
    from ..files.nexus import DETECTOR, nexus_structure

    h5py = need("h5py", "batch", "HDF5 files")
    with h5py.File(path, "w", libver="v110") as file:
        data = nexus_structure(file, geometries, SATURATION.get(np.dtype(dtype).name), None, details)
        _show(h5py, data, "data", DATASET, names, counts, shape, dtype)
        file[f"{DETECTOR}/data"] = data["data"]
        _show_labels(h5py, file, path, names, counts, job)


def _show_labels(h5py, file, path, names, counts, job):
    """The images' numbers, labels and spots of all the files, and the job. path: of the file, which they are beside."""
    _show(h5py, file, "index", "index", names, counts, (), np.int64)
    file.create_dataset("job", data=job_text(job), track_times=False)
    group = file.create_group("labels")
    for name, (row, units) in LABELS.items():
        _show(h5py, group, name, f"labels/{name}", names, counts, row, np.float64)
        _tell(group[name], units)
    # files are written elsewhere and get their names afterwards
    folder = os.path.dirname(os.path.dirname(os.path.dirname(path)))
    with h5py.File(os.path.join(folder, names[0]), "r") as one:
        if FIRST not in one:
            return
    first = [np.zeros(1, np.int64)]
    for name in names:
        with h5py.File(os.path.join(folder, name), "r") as one:
            first.append(first[-1][-1] + one[FIRST][1:])
    spots = group.create_group("spots")
    for name, (row, dtype, units) in SPOTS.items():
        lengths = [int(here[-1] - before[-1]) for before, here in pairwise(first)]
        _show(h5py, spots, name, f"labels/spots/{name}", names, lengths, row, dtype)
        _tell(spots[name], units)
    spots.create_dataset("first", data=np.concatenate(first), track_times=False)


def _show(h5py, group, name, dataset, names, counts, row, dtype):
    """A data set of a group that shows those called `dataset` of several files, one after the other."""
    # not by h5py's VirtualLayout, which stores the time
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    whole = h5py.h5s.create_simple((sum(counts), *row))
    start = 0
    for file, count in zip(names, counts, strict=True):
        whole.select_hyperslab((start, *(0 for _ in row)), (count, *row))
        part = h5py.h5s.create_simple((count, *row))
        properties.set_virtual(whole, os.fsencode(file), dataset.encode(), part)
        start += count
    whole.select_all()
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype)), whole, properties)
