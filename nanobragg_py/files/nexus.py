"""NeXus files after the NXmx definition: a sweep of images in one HDF5 file, with its geometry in the McStas frame.

NXmx as of NeXus 2022.07 and the "gold standard" of Bernstein et al., IUCrJ 7 (2020), 784. Files are the same for the
same images: the times that the definition asks for are those of no real experiment and never change.
"""

from math import degrees
from typing import Any

import numpy as np

from .. import __version__
from ..errors import NanoBraggError
from .beside import written_beside
from .extras import need

COMPRESSIONS = ("gzip", "lz4", "bslz4", "none")
NO_TIME = "1970-01-01T00:00:00Z"
DETECTOR = "/entry/instrument/detector"


def compression_options(name: str) -> dict[Any, Any]:
    """What h5py's create_dataset takes for a compression of COMPRESSIONS."""
    if name == "none":
        return {}
    if name == "gzip":
        return {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    plugin = need("hdf5plugin", "hdf5plugin", f"NeXus files with {name} compression")
    return dict(plugin.LZ4() if name == "lz4" else plugin.Bitshuffle(cname="lz4"))


def write_nexus(
    path: Any, images: Any, geometries: Any, dtype: Any, saturation: Any = None, compression: str = "gzip"
) -> None:
    """Write a sweep as one NXmx file.

    images: an iterable of arrays of shape (slow, fast), taken one at a time. geometries: the Geometry of each.
    dtype: of the pixels. saturation: the value from which pixels are overloads, or None.
    Raises NanoBraggError for a curved detector, without h5py, and where the file cannot be written.
    """
    first = geometries[0]
    if first.curved:
        raise NanoBraggError("NXmx cannot tell of a curved detector; convert to npy or tiff")
    h5py = need("h5py", "hdf5", "NeXus files")
    options = compression_options(compression)
    shape = (first.spixels, first.fpixels)
    with written_beside(path) as temporary, h5py.File(temporary, "w") as file:
        data = nexus_structure(file, geometries, saturation).create_dataset(
            "data", (len(geometries), *shape), dtype, chunks=(1, *shape), **options
        )
        for index, image in enumerate(images):
            data[index] = image
        file[f"{DETECTOR}/data"] = data


def _group(parent, group_name, kind, /, **fields):
    group = parent.create_group(group_name)
    group.attrs["NX_class"] = kind
    for field, value in fields.items():
        value, unit = value if isinstance(value, tuple) else (value, None)
        group[field] = value
        if unit:
            group[field].attrs["units"] = unit
    return group


def _axis(group, name, values, unit, kind, vector, depends_on):
    group[name] = np.asarray(values, float)
    group[name].attrs.update(
        units=unit,
        transformation_type=kind,
        vector=np.asarray(vector, float),
        offset=np.zeros(3),
        offset_units="mm",
        depends_on=depends_on,
    )


def nexus_structure(file: Any, geometries: Any, saturation: Any) -> Any:
    """Write all of an NXmx file but the pixels; returns the group that they belong in, under the name data."""
    first = geometries[0]
    rotation = first.frame("mcstas")
    fast, slow, spindle = (rotation @ np.asarray(v) for v in (first.fast, first.slow, first.spindle))
    distance = first.distance * 1000.0
    corner = rotation @ np.asarray(first.origin) * 1000.0 - (0.0, 0.0, distance)
    offset = float(np.linalg.norm(corner))
    centre = [x / first.pixel_size for x in first.beam_centre]

    file.attrs.update(NX_class="NXroot", default="entry", creator=f"nanobragg_py {__version__}")
    entry = _group(file, "entry", "NXentry", title="simulated diffraction", start_time=NO_TIME, end_time=NO_TIME)
    entry["end_time_estimated"] = NO_TIME
    entry["definition"] = "NXmx"
    entry["definition"].attrs["version"] = "1.0"
    entry.attrs["default"] = "data"
    _group(entry, "source", "NXsource", name="nanobragg_py")
    entry["source/name"].attrs["short_name"] = "nanobragg_py"

    sample = _group(entry, "sample", "NXsample", name="crystal", depends_on="/entry/sample/transformations/omega")
    moves = _group(sample, "transformations", "NXtransformations")
    start = [degrees(geometry.phi0) for geometry in geometries]
    step = degrees(first.osc)
    _axis(moves, "omega", start, "deg", "rotation", spindle, ".")
    moves["omega_end"] = np.asarray(start) + step
    moves["omega_end"].attrs["units"] = "deg"
    moves["omega_increment_set"] = step
    moves["omega_increment_set"].attrs["units"] = "deg"

    instrument = _group(entry, "instrument", "NXinstrument", name="simulation")
    instrument["name"].attrs["short_name"] = "simulation"
    _group(instrument, "beam", "NXbeam", incident_wavelength=(first.wavelength * 1e10, "angstrom"))
    detector = _group(
        instrument,
        "detector",
        "NXdetector",
        depends_on=f"{DETECTOR}/transformations/det_z",
        description="simulated",
        type="pixel",
        distance=(distance / 1000.0, "m"),
        beam_center_x=(centre[0], "pixel"),
        beam_center_y=(centre[1], "pixel"),
        x_pixel_size=(first.pixel_size, "m"),
        y_pixel_size=(first.pixel_size, "m"),
        sensor_material="Si",
        sensor_thickness=(first.sensor_thickness, "m"),
        count_time=(first.exposure, "s"),
        frame_time=(first.exposure, "s"),
        underload_value=0,
    )
    if saturation is not None:
        detector["saturation_value"] = saturation
    places = _group(detector, "transformations", "NXtransformations")
    _axis(places, "det_z", [distance], "mm", "translation", (0.0, 0.0, 1.0), ".")
    module = _group(
        detector,
        "module",
        "NXdetector_module",
        data_origin=np.array([0, 0]),
        data_size=np.array([first.spixels, first.fpixels]),
        data_stride=np.array([1, 1]),
    )
    direction = corner / offset if offset else (1.0, 0.0, 0.0)
    _axis(module, "module_offset", [offset], "mm", "translation", direction, f"{DETECTOR}/transformations/det_z")
    for name, vector in (("fast_pixel_direction", fast), ("slow_pixel_direction", slow)):
        _axis(
            module,
            name,
            [first.pixel_size * 1000.0],
            "mm",
            "translation",
            vector,
            f"{DETECTOR}/module/module_offset",
        )
    data = _group(entry, "data", "NXdata")
    data.attrs["signal"] = "data"
    return data
