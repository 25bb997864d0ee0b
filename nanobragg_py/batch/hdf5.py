"""HDF5 files of a job's images: what a worker writes, and the file that shows those of all of them as one.

images          (n, slow, fast)
index           the images' numbers
phi             degrees, in files that an NXmx file shows
panels          of a detector that has several: where each is in the images, rows (first slow, first fast, slow, fast)
spectrum/       wavelength (Angstrom) and weight of every image, (n, m), where a beam has several wavelengths
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
from ..files.geometry import spectrum_of
from ..files.panels import panel_places
from ..files.registry import Scene
from ..render.images import SATURATION
from .labels import LABELS, labels_of, spot_fields

#: of Rice coding; images that have fewer pixels are not compressed
SZIP_BLOCK = 32
DATASET = "images"
PANELS = "panels"
SPECTRUM = ("spectrum/wavelength", "spectrum/weight")
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
        data, numbers, geometries, told, found, spectra = None, [], [], [], [], []
        for place, made in enumerate(images):
            stored, panels = made.stored, made.experiment.detector.panels
            if data is None:
                shape = stored.shape
                data = file.create_dataset(
                    DATASET,
                    (count, *shape),
                    stored.dtype,
                    chunks=(1, *shape),
                    track_times=False,
                    **(compression_options(compression) if stored.size >= SZIP_BLOCK else {}),
                )
                first, places = panels, None if panels is None else panel_places(panels)
                if places is not None:
                    file.create_dataset(PANELS, data=places, track_times=False)
            check_shape(made.index, stored, shape)
            if panels is not first:
                check_places(made.index, places, panels)
            data[place] = stored
            numbers.append(made.index)
            told.append(labels_of(made.index, made.experiment.resolved))
            if spots:
                found.append(made.spots)
            beam = made.experiment.resolved.beam
            spectra.append(spectrum_of(beam) or ((beam.wavelength,), (1.0,)))
            if angles:
                geometries.append((scene_of(made.experiment, None).geometry, panels))
                check_same(*geometries[0], *geometries[-1], made.index)
        file.create_dataset("index", data=np.array(numbers, np.int64), track_times=False)
        file.create_dataset("job", data=job_text(job), track_times=False)
        for name, (_, units) in LABELS.items():
            values = np.array([each[name] for each in told], np.float64)
            _tell(file.create_dataset(f"labels/{name}", data=values, track_times=False), units)
        if spots:
            for name, (_, _, units) in spot_fields(found[0]).items():
                values = np.concatenate([each[name] for each in found])
                _tell(file.create_dataset(f"labels/spots/{name}", data=values, track_times=False), units)
            first = np.cumsum([0, *(len(each["hkl"]) for each in found)])
            file.create_dataset(FIRST, data=first, track_times=False)
        if angles:
            phi = np.degrees([geometry.phi0 for geometry, _ in geometries])
            file.create_dataset("phi", data=phi, track_times=False)
        if max(len(wavelengths) for wavelengths, _ in spectra) > 1:
            for name, values in zip(SPECTRUM, spectrum_tables(spectra), strict=True):
                file.create_dataset(name, data=values, track_times=False)
            _tell(file[SPECTRUM[0]], "angstrom")


def _tell(data, units):
    if units:
        data.attrs["units"] = units


def job_text(job: Any) -> bytes:
    """A job as JSON, as it was stated."""
    return np.bytes_(json.dumps(job.values, default=str))


def spectrum_tables(spectra: Any) -> tuple[np.ndarray, np.ndarray]:
    """(wavelengths, Angstrom, weights), both (images, m), of pairs (wavelengths, m, weights) of several lengths.

    Shorter ones end in repetitions of their last wavelength, of weight 0.
    """
    longest = max(len(wavelengths) for wavelengths, _ in spectra)
    wavelengths, weights = np.empty((len(spectra), longest)), np.zeros((len(spectra), longest))
    for row, (each, weight) in enumerate(spectra):
        wavelengths[row, : len(each)] = each
        wavelengths[row, len(each) :] = each[-1]
        weights[row, : len(each)] = weight
    return wavelengths * 1e10, weights


def check_shape(index: int, pixels: Any, shape: Any) -> None:
    """Raise NanoBraggError unless an image has the shape of those before it."""
    if pixels.shape != shape:
        raise NanoBraggError(
            f"image {index} is {pixels.shape[1]} x {pixels.shape[0]} pixels and those before it "
            f"{shape[1]} x {shape[0]}; one file holds images of one size, so use --format smv or cbf"
        )


def check_places(index: int, places: Any, panels: Any) -> None:
    """Raise NanoBraggError unless an image's panels are in it where those of the images before it are."""
    other: Any = None if panels is None else panel_places(panels)
    if not np.array_equal(places, other):
        raise NanoBraggError(f"image {index} has other panels than those before it; use a job for each detector")


def check_same(first: Any, its_panels: Any, geometry: Any, panels: Any, index: int) -> None:
    """Raise NanoBraggError unless NXmx can hold two geometries together: the same but for the spindle's angle.

    Stills may have wavelengths of their own; a rotation is taken to have one.
    """
    if geometry.curved:
        raise NanoBraggError("NXmx cannot tell of a curved detector; use --format hdf5")
    wavelength = geometry.wavelength if geometry.osc else first.wavelength
    if geometry.replace(phi0=first.phi0, wavelength=wavelength) != first or panels != its_panels:
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
    path: Any, names: Any, counts: Any, shape: Any, dtype: Any, geometries: Any, job: Any, experiment: Any
) -> None:
    """An NXmx file that shows the images of all the files beside it, with the Geometry of each; labels as there.

    experiment: of the first image, whose panels and Details are those of all but for the spectrum.
    """
    from ..files.nexus import DETECTOR, nexus_structure, write_pixel_mask

    h5py = need("h5py", "batch", "HDF5 files")
    details, panels = scene_of(experiment, None).details, experiment.detector.panels
    spectra = _spectra(h5py, _folder(path), names)
    with h5py.File(path, "w", libver="v110") as file:
        data = nexus_structure(file, geometries, SATURATION.get(np.dtype(dtype).name), panels, details, spectra)
        _show(h5py, data, "data", DATASET, names, counts, shape, dtype)
        file[f"{DETECTOR}/data"] = data["data"]
        write_pixel_mask(file, shape, panels, details.mask)
        _show_labels(h5py, file, path, names, counts, job)


def _folder(path):
    """The folder of the files that a file shows: it is written elsewhere, and gets its name afterwards."""
    return os.path.dirname(os.path.dirname(os.path.dirname(path)))


def _spectra(h5py, folder, names):
    """(wavelengths, Angstrom, weights) of all images of the files, or None where none has several wavelengths."""
    found = []
    for name in names:
        with h5py.File(os.path.join(folder, name), "r") as one:
            if SPECTRUM[0] in one:
                found.append((np.asarray(one[SPECTRUM[0]]), np.asarray(one[SPECTRUM[1]])))
            else:
                wavelengths = np.asarray(one["labels/wavelength"])[:, None] * 1e10
                found.append((wavelengths, np.ones_like(wavelengths)))
    rows = [(each / 1e10, weight) for tables in found for each, weight in zip(*tables, strict=True)]
    return None if all(len(each) == 1 for each, _ in rows) else spectrum_tables(rows)


def _show_labels(h5py, file, path, names, counts, job):
    """The images' numbers, labels and spots of all the files, and the job. path: of the file, which they are beside."""
    _show(h5py, file, "index", "index", names, counts, (), np.int64)
    file.create_dataset("job", data=job_text(job), track_times=False)
    group = file.create_group("labels")
    for name, (row, units) in LABELS.items():
        _show(h5py, group, name, f"labels/{name}", names, counts, row, np.float64)
        _tell(group[name], units)
    folder = _folder(path)
    with h5py.File(os.path.join(folder, names[0]), "r") as one:
        if PANELS in one:
            file.create_dataset(PANELS, data=one[PANELS][()], track_times=False)
        if FIRST not in one:
            return
        fields = spot_fields(one["labels/spots"])
    first = [np.zeros(1, np.int64)]
    for name in names:
        with h5py.File(os.path.join(folder, name), "r") as one:
            first.append(first[-1][-1] + one[FIRST][1:])
    spots = group.create_group("spots")
    for name, (row, dtype, units) in fields.items():
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
