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
from ..files.atomic import cannot_write, url_refusal
from ..files.extras import need
from ..files.fit import fit
from ..files.registry import image_formats, nothing_lost, written_formats
from ..render.images import SATURATION
from .hdf5 import DATASET, compression_options, scene_of, write_hdf5
from .images import Made, Maker
from .jobs import Job
from .zarrs import place_zarr, shard_name, write_zarr

COMPRESSIONS = ("szip", "gzip", "bslz4", "none")
PER_FILE = 100
#: the format with an NXmx master file, and the other one that is not of image files
NEXUS, ZARR = "nexus", "zarr"
#: formats with room for the images of several panels: in one image, or as a stack of such that are alike
OF_PANELS, STACKED = ("hdf5", NEXUS, ZARR), "npy"


def output_formats() -> dict[str, Any]:
    """{name: ImageFormat} of what a job's images can be written as: what holds counts and can be read back alone.

    Two are HDF5: "hdf5" has images and labels, "nexus" an NXmx file besides that shows them all, with beam and
    detector. "zarr" is a folder of one array.
    """
    written = written_formats()
    found = {name: each for name, each in written.items() if not each.picture and each.magic is not None}
    return dict(sorted([*found.items(), (NEXUS, written["hdf5"]), (ZARR, image_formats()["zarr"])]))


@dataclass(frozen=True)
class Output:
    """Where and how a job's images are written.

    folder: of the files. format: of `output_formats`. per_file: images of an HDF5 file or a Zarr shard (1 with the
    other formats). compression: of HDF5 files: "szip" (Rice coding, quick, in most builds of HDF5), "gzip" (level 1
    with the shuffle filter; slower, in every build), "bslz4" (as area detectors write; needs hdf5plugin to write and to
    read) or "none"; of Zarr the last three; None: szip, and bslz4 of Zarr. stem: the first part of the files' names,
    for a job that is one sweep. spots: keep the spots of every image with its labels, in HDF5. Raises FieldError, and
    NanoBraggError for a folder that is a URL.
    """

    folder: str
    format: str = "hdf5"
    per_file: int = PER_FILE
    compression: str | None = None
    stem: str | None = None
    spots: bool = False

    def __post_init__(self) -> None:
        if (refusal := url_refusal(self.folder)) is not None:
            raise refusal
        if self.compression is None:
            object.__setattr__(self, "compression", "bslz4" if self.format == ZARR else "szip")
        object.__setattr__(self, "folder", os.path.abspath(os.fspath(self.folder)))
        for name, allowed in (("format", output_formats()), ("compression", COMPRESSIONS)):
            if getattr(self, name) not in allowed:
                raise FieldError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}")
        if isinstance(self.per_file, bool) or not isinstance(self.per_file, int) or self.per_file < 1:
            raise FieldError(f"per_file is {self.per_file!r}; it must be a whole number of 1 or more")
        if self.format == ZARR and self.compression == "szip":
            raise FieldError("compression szip is of HDF5 files; Zarr has bslz4, gzip and none")
        if self.spots and self.format not in ("hdf5", NEXUS):
            raise FieldError(f"spots are kept in HDF5 files; with format {self.format} there is no room for them")
        if not self.many:
            object.__setattr__(self, "per_file", 1)

    def require(self) -> None:
        """Raise NanoBraggError where a package that the format needs is missing."""
        if self.hdf5:
            need("h5py", "batch", "HDF5 files")
            compression_options(self.compression)
        elif self.found.needs is not None:
            need(*self.found.needs)

    @property
    def many(self) -> bool:
        """Whether a file holds many images."""
        return self.hdf5 or self.format == ZARR

    @property
    def hdf5(self) -> bool:
        """Whether files are HDF5."""
        return self.format in ("hdf5", NEXUS)

    @property
    def found(self) -> Any:
        """The ImageFormat."""
        return output_formats()[self.format]

    def check_room(self, maker: Maker) -> None:
        """Raise NanoBraggError where the pixels of a job have no place in the format."""
        job = maker.job
        first = maker.experiment(0)[0]
        panels = first.detector.panels
        if panels is not None and self.format not in OF_PANELS and (
            self.format != STACKED or len(set(first.shapes)) > 1
        ):
            which = "panels of several sizes" if self.format == STACKED else f"{len(panels)} panels"
            raise NanoBraggError(
                f"{job.name}: the detector has {which}, for which {self.format} files have no room; use --format "
                f"{', '.join(OF_PANELS[:-1])} or {OF_PANELS[-1]}"
            )
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
        if self.format == ZARR:
            return shard_name(unit)
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
        for made in maker.make_many(output.indices(maker.job, unit), output.spots, reuse=True):
            yield made
            records.append(record(made, name, made.index - unit * output.per_file))
            if progress is not None:
                progress()

    try:
        count = len(output.indices(maker.job, unit))
        if output.hdf5:
            angles = output.format == NEXUS
            write_hdf5(path, images(), count, output.compression, maker.job, angles, output.spots)
        elif output.many:
            write_zarr(path, images(), count, output.per_file, output.compression)
        else:
            for made in images():
                write_single(output.format, path, made)
    except OSError as error:
        raise cannot_write(path, error) from None
    return records


def place_unit(output: Output, job: Job, unit: int, path: str) -> None:
    """Give what `write_unit` made its name."""
    if output.format == ZARR:
        place_zarr(path, output.folder, unit)
    else:
        os.replace(path, os.path.join(output.folder, output.file_name(job, unit)))


def record(made: Made, name: str, at: int) -> dict[str, Any]:
    """What the manifest says of an image: its number, file and place there, and what is known of its pixels."""
    images = panels_of(made.pixels)
    told = made.statistics
    statistics = {key: getattr(told, key) for key in ("pixels", "mean", "rms", "rmsd", "maximum")}
    statistics["maximum_pixel"] = None if told.maximum_pixel is None else list(told.maximum_pixel)
    dtype = images[0].dtype.name
    if (top := SATURATION.get(dtype)) is not None:
        statistics["overloads"] = sum(int(np.count_nonzero(pixels == top)) for pixels in images)
    return {
        "index": made.index,
        "file": name,
        "at": at,
        "dtype": dtype,
        "sha256": digest(made.pixels),
        "parameters": made.parameters,
        "statistics": statistics,
    }


def panels_of(pixels: Any) -> Any:
    """The images of a list, one a panel; an array is the only one."""
    return pixels if isinstance(pixels, list) else [pixels]


def digest(pixels: Any) -> str:
    """SHA-256 of pixels in image order, panel by panel, little-endian, in the type that the job gives them."""
    found = hashlib.sha256()
    for image in panels_of(pixels):
        little = image.astype(image.dtype.newbyteorder("<")) if sys.byteorder == "big" else image
        found.update(np.ascontiguousarray(little).data)
    return found.hexdigest()


def write_single(format: Any, path: Any, made: Any) -> None:
    """One image in a file of its own; floats are scaled to 55000 in SMV, and rounded where there are whole numbers."""
    if format == "smv":
        made.experiment.to_smv(path, made.pixels)
        return
    found = output_formats()[format]
    pixels, _, _ = fit(found, f"image {made.index}", made.pixels)
    found.write(path, pixels, scene_of(made.experiment, made.pixels))
