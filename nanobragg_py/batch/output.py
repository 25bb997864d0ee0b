"""How images become files: units of work, their names, and the writing of one.

A unit is one HDF5 file of several images, or a file of another format with one. Files are written in a folder of the
worker's own and take their place when they are complete, so that what has a unit's name is the whole unit.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import FieldError, NanoBraggError
from ..files.atomic import cannot_write
from ..files.extras import need
from ..files.fit import fit
from ..files.registry import Scene, nothing_lost, written_formats
from ..render.images import SATURATION
from .images import Made, Maker
from .jobs import Job

COMPRESSIONS = ("szip", "gzip", "bslz4", "none")
PER_FILE = 100
#: of Rice coding; images that have fewer pixels are not compressed
SZIP_BLOCK = 32
DATASET = "images"
#: the format with an NXmx master file
NEXUS = "nexus"


def output_formats() -> dict[str, Any]:
    """{name: ImageFormat} of what a job's images can be written as: what holds counts and can be read back alone.

    Two are HDF5: "hdf5" has the images alone, "nexus" has an NXmx file that shows them all, with beam and detector.
    """
    written = written_formats()
    found = {name: each for name, each in written.items() if not each.picture and each.magic is not None}
    return dict(sorted([*found.items(), (NEXUS, written["hdf5"])]))


@dataclass(frozen=True)
class Output:
    """Where and how a job's images are written.

    folder: of the files. format: of `output_formats`. per_file: images of an HDF5 file (1 with the other formats).
    compression: of HDF5 files: "szip" (Rice coding, quick, in most builds of HDF5), "gzip" (level 1 with the shuffle
    filter; slower, in every build), "bslz4" (as area detectors write; needs hdf5plugin to write and to read) or "none".
    stem: the first part of the files' names, for a job that is one sweep. Raises FieldError.
    """

    folder: str
    format: str = "hdf5"
    per_file: int = PER_FILE
    compression: str = "szip"
    stem: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", os.path.abspath(os.fspath(self.folder)))
        for name, allowed in (("format", output_formats()), ("compression", COMPRESSIONS)):
            if getattr(self, name) not in allowed:
                raise FieldError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}")
        if isinstance(self.per_file, bool) or not isinstance(self.per_file, int) or self.per_file < 1:
            raise FieldError(f"per_file is {self.per_file!r}; it must be a whole number of 1 or more")
        if not self.many:
            object.__setattr__(self, "per_file", 1)

    def require(self) -> None:
        """Raise NanoBraggError where a package that the format needs is missing."""
        if self.many:
            need("h5py", "batch", "HDF5 files")
            compression_options(self.compression)
        elif self.found.needs is not None:
            need(*self.found.needs)

    @property
    def many(self) -> bool:
        """Whether a file holds many images."""
        return self.format in ("hdf5", NEXUS)

    @property
    def found(self) -> Any:
        """The ImageFormat."""
        return output_formats()[self.format]

    def check_room(self, job: Job) -> None:
        """Raise NanoBraggError where the pixels of a job have no place in the format."""
        if self.format == "smv" and job.response is not None and job.response.get("bits") == 32:
            raise NanoBraggError(f"{job.name}: response.bits = 32 has no room in SMV files; use another --format")

    def lost(self, maker: Maker) -> list[str]:
        """Sentences about what the files have no room for."""
        if self.many or self.found.loses is nothing_lost:
            return []
        scene = scene_of(maker.experiment(0)[0], None)
        return [f"{self.found.title} files have no room for {clause}" for clause in self.found.loses(scene)]

    def settings(self) -> dict[str, Any]:
        """What decides the files' content, without their folder."""
        values = asdict(self)
        del values["folder"]
        return values

    def units(self, job: Job) -> int:
        """How many units a job has."""
        return -(-len(job) // self.per_file)

    def indices(self, job: Job, unit: int) -> range:
        """The images of a unit."""
        return range(unit * self.per_file, min((unit + 1) * self.per_file, len(job)))

    def file_name(self, job: Job, unit: int) -> str:
        """The name of a unit's file. The images of a sweep are numbered from 1, as programs import them."""
        ending = self.found.suffixes[0]
        if self.many:
            return f"{DATASET}_{unit:06d}{ending}"
        if self.stem is not None:
            return f"{self.stem}_{unit + 1:05d}{ending}"
        if job.sweep is None:
            return f"image_{unit + 1:06d}{ending}"
        sweep, position = divmod(unit, job.sweep_images)
        return f"sweep_{sweep + 1:05d}_{position + 1:05d}{ending}"


# ---- writing -------------------------------------------------------------------------------------------------------


def write_unit(
    output: Output, maker: Maker, unit: int, path: str, progress: Callable[[], Any] | None = None
) -> list[dict[str, Any]]:
    """Render a unit's images into the file `path`; returns their records. progress: called after every image."""
    name = output.file_name(maker.job, unit)
    records = []

    def images():
        buffer = None
        for index in output.indices(maker.job, unit):
            made = maker.make(index, buffer)
            if buffer is None:
                buffer = np.empty(made.pixels.shape, np.float32)
            yield made
            records.append(record(made, name, index - unit * output.per_file))
            if progress is not None:
                progress()

    try:
        if output.many:
            count = len(output.indices(maker.job, unit))
            write_hdf5(path, images(), count, output.compression, angles=output.format == NEXUS)
        else:
            for made in images():
                write_single(output.format, path, made)
    except OSError as error:
        raise cannot_write(path, error) from None
    return records


def record(made: Made, name: str, at: int) -> dict[str, Any]:
    """What the manifest says of an image: its number, file and place there, and what is known of its pixels."""
    pixels = made.pixels
    told = made.statistics
    statistics = {key: getattr(told, key) for key in ("pixels", "mean", "rms", "rmsd", "maximum")}
    statistics["maximum_pixel"] = None if told.maximum_pixel is None else list(told.maximum_pixel)
    if (top := SATURATION.get(pixels.dtype.name)) is not None:
        statistics["overloads"] = int(np.count_nonzero(pixels == top))
    return {
        "index": made.index,
        "file": name,
        "at": at,
        "dtype": pixels.dtype.name,
        "sha256": digest(pixels),
        "parameters": made.parameters,
        "statistics": statistics,
    }


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of pixels in image order, little-endian, in the type that the job gives them."""
    if sys.byteorder == "big":
        pixels = pixels.astype(pixels.dtype.newbyteorder("<"))
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


def compression_options(compression: str) -> dict[str, Any]:
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


def write_hdf5(path: Any, images: Any, count: int, compression: Any, angles: bool = False) -> None:
    """Images as /images, (count, slow, fast), one chunk each, and their numbers as /index. No times are stored.

    angles: with the spindle's, degrees, as /phi, for images that have all else of their geometry in common.
    """
    h5py = need("h5py", "batch", "HDF5 files")
    with h5py.File(path, "w", libver="v108") as file:
        data, numbers, geometries = None, [], []
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
            if made.pixels.shape != shape:
                raise NanoBraggError(
                    f"image {made.index} is {made.pixels.shape[1]} x {made.pixels.shape[0]} pixels and those before it "
                    f"{shape[1]} x {shape[0]}; an HDF5 file holds images of one size, so use --format smv or cbf"
                )
            data[place] = made.pixels
            numbers.append(made.index)
            if angles:
                geometries.append(scene_of(made.experiment, None).geometry)
                check_same(geometries[0], geometries[-1], made.index)
        file.create_dataset("index", data=np.array(numbers, np.int64), track_times=False)
        if angles:
            phi = np.degrees([geometry.phi0 for geometry in geometries])
            file.create_dataset("phi", data=phi, track_times=False)


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
    from ..files.geometry import experiment_geometry

    top = None if pixels is None else SATURATION.get(pixels.dtype.name)
    return Scene(geometry=experiment_geometry(experiment.resolved), saturated=top)


def write_single(format: Any, path: Any, made: Any) -> None:
    """One image in a file of its own; floats are scaled to 55000 in SMV, and rounded where there are whole numbers."""
    if format == "smv":
        made.experiment.to_smv(path, made.pixels)
        return
    found = output_formats()[format]
    pixels, _, _ = fit(found, f"image {made.index}", made.pixels)
    found.write(path, pixels, scene_of(made.experiment, made.pixels))


def write_virtual(path: str, names: list[str], counts: list[int], shape: tuple[int, int], dtype: Any) -> None:
    """An HDF5 file whose /images shows those of all the files beside it as one data set, and /index likewise."""
    h5py = need("h5py", "batch", "HDF5 files")
    with h5py.File(path, "w", libver="v110") as file:
        _show(h5py, file, DATASET, DATASET, names, counts, shape, dtype)
        _show(h5py, file, "index", "index", names, counts, (), np.int64)


def write_master(path: Any, names: Any, counts: Any, shape: Any, dtype: Any, geometries: Any) -> None:
    """An NXmx file that shows the images of all the files beside it, with the Geometry of each; /index as there."""
    from ..files.nexus import DETECTOR, nexus_structure

    h5py = need("h5py", "batch", "HDF5 files")
    with h5py.File(path, "w", libver="v110") as file:
        data = nexus_structure(file, geometries, SATURATION.get(np.dtype(dtype).name))
        _show(h5py, data, "data", DATASET, names, counts, shape, dtype)
        file[f"{DETECTOR}/data"] = data["data"]
        _show(h5py, file, "index", "index", names, counts, (), np.int64)


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
