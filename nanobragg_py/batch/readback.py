"""Reading a folder of images back: its manifest, and whether every image is as it was written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from ..files.heaps import check_heaps
from ..files.panels import panel_images
from ..files.reading import cannot_read, check_regular
from ..render.images import SATURATION
from .hdf5 import DATASET, PANELS
from .notes import ALL_IMAGES, JOB, MANIFEST, Damaged, entry_of
from .output import digest
from .zarrs import GROUP, IMAGES, read_group


def read_text(path: Any) -> str:
    """The text of a file of ours; one that is no text is not what was written."""
    check_regular(path)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise cannot_read(path, error) from None


def manifest(folder: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The lines of a folder's manifest as dicts, in the order of the images.

    index: of the image. file, at: where it is. dtype: of its pixels. sha256: of these in image order, little-endian.
    parameters, statistics: dicts. bytes: the size of the file. Raises NanoBraggError without a manifest, and for a line
    that no run has written.
    """
    path = os.path.join(folder, MANIFEST)
    check_regular(path)
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield entry_of(line)
                except Damaged as error:
                    raise NanoBraggError(
                        f"{path}, line {number} {error}; the command that made the folder mends it"
                    ) from None
    except OSError as error:
        raise cannot_read(path, error, "a run writes it when it is complete") from None


def opened(path: Any) -> Any:
    """An HDF5 file for reading; NanoBraggError for one that is cut short or none."""
    from ..files.extras import need

    check_regular(path)
    check_heaps(path)
    h5py = need("h5py", "batch", "HDF5 files")
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401 (reading some files needs that it is there)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if not os.path.exists(path):
            raise cannot_read(path, FileNotFoundError(2, os.strerror(2))) from None
        told = " ".join(str(error).partition("(")[2].rstrip(")").split())
        raise NanoBraggError(f"{path} is damaged or cut short: {told}") from None


def shows(folder: Any, count: int) -> bool:
    """Whether what shows a folder's `count` images as one data set (images.h5, or the group of Zarr) is as written."""
    path = os.path.join(folder, ALL_IMAGES)
    try:
        if os.path.isdir(os.path.join(folder, GROUP)):
            group = read_group(folder)
            return group[IMAGES].shape[0] == count and group["index"].shape == (count,)
        if not os.path.exists(path):
            return False
        with opened(path) as file:
            return file["index"].shape == (count,)
    except Exception:  # h5py and zarr raise many kinds for a damaged file
        return False


def verify(folder: str | os.PathLike[str]) -> int:
    """Read every image of a finished run and compare its pixels with the manifest's SHA-256; returns how many.

    Raises NanoBraggError that names the first file that is missing, cut short or changed, or the first line of the
    manifest that is. SMV images of floats, which are scaled, and CBF images of floats, which are rounded, are only
    read.
    """
    count, together = 0, False
    with Images(folder) as images:
        for entry in manifest(folder):
            together = entry["file"].endswith(".h5") or entry["file"].startswith(f"{GROUP}/")
            if entry["index"] != count:
                raise NanoBraggError(
                    f"{os.path.join(folder, MANIFEST)} has image {entry['index']} where image {count} belongs; the "
                    "command that made the folder mends it"
                )
            if images.digest(entry) not in (entry["sha256"], None):
                raise NanoBraggError(
                    f"{os.path.join(folder, entry['file'])}: the pixels of image {entry['index']} are not those that "
                    "were written; remove it and run again"
                )
            count += 1
    wanted = _images_of(folder)
    if wanted is not None and count != wanted:
        raise NanoBraggError(
            f"{os.path.join(folder, MANIFEST)} has {count} of {wanted} images; the command that made the folder "
            "mends it"
        )
    if together and not shows(folder, count):
        raise NanoBraggError(
            f"{os.path.join(folder, ALL_IMAGES)} (or {GROUP}) does not show the {count} images, which are as they were "
            "written; the command that made the folder mends it"
        )
    return count


def _images_of(folder):
    """How many images the folder's job has; None where that cannot be read."""
    try:
        images = json.loads(read_text(os.path.join(folder, JOB)))["images"]
    except (NanoBraggError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return images if type(images) is int else None


class Images:
    """The images of a folder, read one after the other; the HDF5 file of the last one stays open."""

    def __init__(self, folder: Any) -> None:
        self.folder: Any = folder
        self.name: Any = None
        self.file: Any = None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self.file is not None:
            self.file.close()

    def digest(self, entry: Any) -> Any:
        """The SHA-256 of an entry's pixels as they are now; None for pixels that are not kept as they were."""
        from ..files.image import read_image

        path = os.path.join(self.folder, entry["file"])
        check_regular(path)
        if entry["file"].startswith(f"{GROUP}/"):
            return self._zarr_digest(entry)
        if not entry["file"].endswith(".h5"):
            image = read_image(path)
            pixels = image.pixels
            if image.count > 1:  # of panels
                pixels = np.stack([read_image(f"{path}#{number}").pixels for number in range(image.count)])
            if entry["dtype"] in SATURATION:
                return digest(pixels.astype(entry["dtype"]))
            return digest(pixels) if pixels.dtype == np.float32 else None  # whole numbers were floats, and are rounded
        if entry["file"] != self.name:
            self.__exit__(None, None, None)
            self.name, self.file = None, None
            self.name, self.file = entry["file"], opened(path)
        return self._digest(path, entry, lambda: apart(self.file[DATASET][entry["at"]], self.file.get(PANELS)))

    def _zarr_digest(self, entry):
        path = os.path.join(self.folder, entry["file"])
        if not os.path.exists(path):  # where nothing is, an array has zeros
            raise cannot_read(path, FileNotFoundError(2, os.strerror(2)))

        def read():
            group = read_group(self.folder)
            return apart(group[IMAGES][entry["index"]], group.attrs.get(PANELS))

        return self._digest(path, entry, read)

    def _digest(self, path, entry, read):
        try:
            return digest(read())
        except NanoBraggError:
            raise
        except Exception as error:  # h5py, zarr and numpy raise many kinds for a damaged file
            told = " ".join(str(error).split())
            raise NanoBraggError(f"{path} is damaged or cut short, image {entry['index']}: {told}") from None


def apart(pixels: Any, places: Any) -> Any:
    """The images of the panels in a stored image, as the job gives them; places: None for a detector that is one."""
    return pixels if places is None else panel_images(pixels, np.asarray(places))
