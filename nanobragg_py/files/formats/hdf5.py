"""HDF5: NXmx as we write it and as detectors do, with images in the file or in files beside it; and batch's own files.

Written is NXmx (files/nexus.py). Where images are looked for: the data of an NXentry, its data_000001 and so on
(Eiger), /images of nanobragg-py batch, and else the one data set that can be images.
"""

import os
import re
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..extras import need
from ..heaps import check_heaps, check_heaps_in
from ..nexus import write_nexus
from ..nexus_read import nexus_details, nexus_geometry, text_of
from ..registry import Image, ImageFormat
from ..source import told

H5PY = ("h5py", "hdf5", "HDF5 files")
#: what nanobragg-py batch calls its data set
BATCH = "images"
#: bytes that have to be read together
LARGEST_PIECE = 2**30
EIGER = re.compile(r"data_\d+")
#: where the value is told from which on pixels are overloads: NXmx, Eiger
SATURATION = (
    "instrument/detector/saturation_value",
    "instrument/detector/detectorSpecific/countrate_correction_count_cutoff",
)
#: where pixels are told that are no good, by bits of which any will do: NXmx, Eiger
MASKS = ("instrument/detector/pixel_mask", "instrument/detector/detectorSpecific/pixel_mask")
#: the mask that was read last
_latest: dict[Any, Any] = {}
#: fields that `info --header` shows
SHOWN = (
    "definition",
    "instrument/name",
    "instrument/detector/description",
    "instrument/detector/detector_number",
    "instrument/detector/count_time",
    "instrument/detector/saturation_value",
    "sample/name",
)


def read(source: Any) -> Any:
    h5py = need(*H5PY)
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401 (reading some files needs that it is there)
    if source.data is None:
        check_heaps(source.path)
    else:
        check_heaps_in(source.name, source.data)
    with h5py.File(BytesIO(source.data) if source.data is not None else source.path, "r") as file:
        entry = _entry(h5py, file)
        stacks = _stacks(h5py, source, file, entry)
        counts = [data.shape[0] if data.ndim == 3 else 1 for data in stacks]
        number = at = source.pick(sum(counts))
        place = 0
        while at >= counts[place]:
            at -= counts[place]
            place += 1
        data = stacks[place]
        slow, fast = data.shape[-2:]
        source.check_pixels(slow, fast)
        if data.dtype.kind not in "iufb":
            raise NanoBraggError(f"{source.name} has pixels of the type {data.dtype}, which are no numbers")
        geometry, why = (None, "") if entry is None else told(nexus_geometry, entry, number, (slow, fast))
        details, _ = (None, "") if geometry is None else told(nexus_details, entry, number, geometry)
        if details is not None:
            details = details.replace(mask=_mask(source, entry, (slow, fast)))
        return Image(
            name=source.name,
            kind="hdf5",
            details=details,
            shape=(slow, fast),
            pixels=None if source.header_only else _pixels(source, data, at),
            items=_items(file, entry, data, at),
            saturated=_saturation(entry),
            geometry=geometry,
            no_geometry=why and f"{source.name}: {why}",
            count=sum(counts),
        )


def _entry(h5py, file):
    """The NXentry, or None."""
    groups = [group for group in file.values() if isinstance(group, h5py.Group)]
    return next((group for group in groups if text_of(group.attrs.get("NX_class", "")) == "NXentry"), None)


def _is_stack(h5py, data):
    return isinstance(data, h5py.Dataset) and data.ndim in (2, 3) and data.size > 0 and data.dtype.kind in "iufb"


def _stacks(h5py, source, file, entry):
    """The data sets that hold the images, in order; NanoBraggError where there are none."""
    group = None if entry is None else entry.get("data")
    if isinstance(group, h5py.Group):
        if _is_stack(h5py, group.get("data")):
            return [group["data"]]
        parts = sorted(name for name in group if EIGER.fullmatch(name))
        found = []
        for name in parts:
            link = group.get(name, getlink=True)
            try:
                found.append(group[name])
            except (KeyError, OSError):
                where = getattr(link, "filename", "another file")
                if found:
                    break
                raise NanoBraggError(
                    f"{source.name} keeps its images in {where}, which is not there; put it beside {source.name}"
                ) from None
        if found:
            return found
    if _is_stack(h5py, file.get(BATCH)):
        return [file[BATCH]]
    candidates = []
    file.visititems(lambda name, data: candidates.append(data) if _is_stack(h5py, data) else None)
    if len(candidates) == 1:
        return candidates
    names = ", ".join(data.name for data in candidates[:5])
    raise NanoBraggError(
        f"{source.name} is an HDF5 file "
        + (f"with several data sets that may be images: {names}" if names else "without images")
        + "; give NXmx, or files of nanobragg-py batch"
    )


def _pixels(source, data, at):
    chunk = int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize if data.chunks else 0
    if chunk > LARGEST_PIECE:
        raise NanoBraggError(f"{source.name} has its pixels in pieces of {chunk} bytes, which are too large to read")
    try:
        pixels = data[at] if data.ndim == 3 else data[()]
    except OSError as error:
        text = str(error)
        if "filter" in text or "plugin" in text:
            raise NanoBraggError(
                f"{source.name} is compressed in a way that this HDF5 does not know; pip install "
                "'nanobragg-py[hdf5plugin]'"
            ) from None
        raise
    kind = np.uint8 if pixels.dtype.kind == "b" else pixels.dtype.newbyteorder("=")
    return np.ascontiguousarray(pixels, kind)


def _mask(source, entry, shape):
    """The detector's mask, 0 for pixels that are no good, as Details has it; None where every pixel is good.

    The images of a file, of which there may be thousands, share one array.
    """
    found = next((entry[name] for name in MASKS if name in entry), None)
    if found is None or getattr(found, "shape", None) != shape or found.dtype.kind not in "iub":
        return None
    state = os.stat(source.path)
    key = (os.path.realpath(source.path), found.name, state.st_mtime_ns, state.st_size)
    known = _latest.get(key)
    if known is None:
        known = (_pixels(source, found, 0) == 0).astype(np.uint16)
        _latest.clear()
        _latest[key] = known
    return None if known.all() else known


def _items(file, entry, data, at):
    rows = [("data set", f"{data.name} of shape {' x '.join(map(str, data.shape))}")]
    if data.name == f"/{BATCH}" and "index" in file:
        rows.append(("image of the job", str(int(np.asarray(file["index"][()]).ravel()[at]))))
    if entry is not None:
        rows += [(name, text_of(entry[name])) for name in SHOWN if name in entry]
    return tuple(rows)


def _saturation(entry):
    found = [] if entry is None else [entry[name] for name in SATURATION if name in entry]
    if not found:
        return None
    field = found[0]
    value = np.asarray(field[()]).ravel()
    return int(value[0]) if value.size and np.isfinite(value[0]) and value[0] > 0 else None


def write_series(path: Any, images: Any, scenes: Any, dtype: Any) -> None:
    first = scenes[0]
    geometries = [scene.geometry for scene in scenes]
    write_nexus(path, images, geometries, dtype, first.saturated, first.compression, None, first.details)


FORMAT = ImageFormat(
    name="hdf5",
    title="HDF5",
    suffixes=(".h5", ".hdf5", ".nxs"),
    magic=re.compile(rb"\x89HDF\r\n\x1a\n"),
    read=read,
    write=lambda path, pixels, scene: write_series(path, [pixels], [scene], pixels.dtype),
    write_series=write_series,
    needs_geometry=True,
    needs=H5PY,
    numbered=True,
)
