"""NeXus files after the NXmx definition: a sweep of images in one HDF5 file, with its geometry in the McStas frame.

NXmx as of NeXus 2022.07 and the "gold standard" of Bernstein et al., IUCrJ 7 (2020), 784. Files are the same for the
same images: the times that the definition asks for are those of no real experiment and never change.
"""

import re
from math import degrees
from typing import Any

import numpy as np

from .. import __version__
from ..errors import NanoBraggError
from .beside import written_beside
from .extras import need
from .geometry import Details
from .panels import place_panels

COMPRESSIONS = ("gzip", "lz4", "bslz4", "none")
NO_TIME = "1970-01-01T00:00:00Z"
DETECTOR = "/entry/instrument/detector"
#: names that a module cannot have, because the detector has groups or fields of these
RESERVED = ("data", "distance", "description", "type", "transformations", "pixel_mask")


def compression_options(name: str) -> dict[Any, Any]:
    """What h5py's create_dataset takes for a compression of COMPRESSIONS."""
    if name == "none":
        return {}
    if name == "gzip":
        return {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    plugin = need("hdf5plugin", "hdf5plugin", f"NeXus files with {name} compression")
    return dict(plugin.LZ4() if name == "lz4" else plugin.Bitshuffle(cname="lz4"))


def write_nexus(
    path: Any,
    images: Any,
    geometries: Any,
    dtype: Any,
    saturation: Any = None,
    compression: str = "gzip",
    panels: Any = None,
    details: Any = None,
) -> None:
    """Write a sweep as one NXmx file.

    images: an iterable of arrays of shape (slow, fast), taken one at a time. geometries: the Geometry of each.
    dtype: of the pixels. saturation: the value from which pixels are overloads, or None. panels: None, or those of a
    detector that has several (Panels, or Planes of a file): each image is then a sequence of arrays, one a panel. Every
    panel is a module with a data set of its own, and /entry/data/data shows them as one image.
    details: a Details of beam, sensor and pixels, or None.
    Raises NanoBraggError for a curved detector, without h5py, and where the file cannot be written.
    """
    first = geometries[0]
    if first.curved:
        raise NanoBraggError("NXmx cannot tell of a curved detector; convert to npy or tiff")
    h5py = need("h5py", "hdf5", "NeXus files")
    options = compression_options(compression)
    if panels is not None:
        _write_modules(h5py, path, images, geometries, dtype, saturation, options, panels, details)
        return
    shape = (first.spixels, first.fpixels)
    with written_beside(path) as temporary, h5py.File(temporary, "w") as file:
        data = nexus_structure(file, geometries, saturation, details=details).create_dataset(
            "data", (len(geometries), *shape), dtype, chunks=(1, *shape), **options
        )
        for index, image in enumerate(images):
            data[index] = image
        file[f"{DETECTOR}/data"] = data
        write_pixel_mask(file, shape, None, None if details is None else details.mask)


def _write_modules(h5py, path, images, geometries, dtype, saturation, options, panels, details):
    """`write_nexus` of a detector of several panels."""
    (spixels, fpixels), corners = place_panels(panels)
    count = len(geometries)
    whole = h5py.VirtualLayout((count, spixels, fpixels), dtype)
    with written_beside(path) as temporary, h5py.File(temporary, "w") as file:
        group = nexus_structure(file, geometries, saturation, panels, details)
        modules = []
        for name, panel, (slow, fast) in zip(module_names(panels), panels, corners, strict=True):
            shape = (panel.spixels, panel.fpixels)
            place = f"{DETECTOR}/{name}/data"
            modules.append(file.create_dataset(place, (count, *shape), dtype, chunks=(1, *shape), **options))
            source = h5py.VirtualSource(".", place, shape=(count, *shape))
            whole[:, slow : slow + shape[0], fast : fast + shape[1]] = source
        for index, image in enumerate(images):
            for module, pixels in zip(modules, image, strict=True):
                module[index] = pixels
        group.create_virtual_dataset("data", whole, fillvalue=0)
        file[f"{DETECTOR}/data"] = group["data"]
        write_pixel_mask(file, (spixels, fpixels), panels)


def write_pixel_mask(file: Any, shape: Any, panels: Any, mask: Any = None) -> None:
    """Write which pixels of the stored image hold nothing, if any: those that are masked, and between panels.

    shape: (slow, fast) of that. panels: None, or the detector's. mask: None, or that of all, 0 = bad.
    """
    bad = np.zeros(shape, np.uint32) if panels is None else np.ones(shape, np.uint32)
    if panels is not None:
        for panel, (slow, fast) in zip(panels, place_panels(panels)[1], strict=True):
            good = True if panel.mask is None else np.asarray(panel.mask) != 0
            bad[slow : slow + panel.spixels, fast : fast + panel.fpixels] = np.where(good, 0, 1)
    if mask is not None:
        bad[np.asarray(mask) == 0] = 1
    if bad.any():
        file.create_dataset(f"{DETECTOR}/pixel_mask", data=bad, compression="gzip", track_times=False)


def module_names(panels: Any) -> list[str]:
    """A group's name for each panel: its own, as far as HDF5 and NeXus take it, and never one twice."""
    made: list[str] = []
    for number, panel in enumerate(panels):
        name = re.sub(r"\W", "_", panel.name) or "module"
        name = f"module_{name}" if not name[0].isalpha() else name
        made.append(f"{name}_{number}" if name in made or name in RESERVED else name)
    return made


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


def nexus_structure(
    file: Any, geometries: Any, saturation: Any, panels: Any = None, details: Any = None, spectra: Any = None
) -> Any:
    """Write all of an NXmx file but the pixels; returns the group that they belong in, under the name data.

    panels, details: as of `write_nexus`. spectra: None, or (wavelengths, Angstrom, weights), (images, m) each, of beams
    that have several wavelengths; else the spectrum of details is that of all.
    """
    first = geometries[0]
    details = Details() if details is None else details
    rotation = first.frame("mcstas")
    spindle = rotation @ np.asarray(first.spindle)
    if panels is None:
        planes, names, corners = [first], ["module"], [(0, 0)]
        distance = first.distance * 1000.0
        centre = [x / first.pixel_size for x in first.beam_centre]
    else:
        planes, names, corners = panels, module_names(panels), place_panels(panels)[1]
        distance, centre = _middle(first, panels, corners)

    file.attrs.update(NX_class="NXroot", default="entry", creator=f"nanobragg_py {__version__}")
    entry = _group(file, "entry", "NXentry", title="simulated diffraction", start_time=NO_TIME, end_time=NO_TIME)
    entry["end_time_estimated"] = NO_TIME
    entry["definition"] = "NXmx"
    entry["definition"].attrs["version"] = "1.0"
    entry.attrs["default"] = "data"
    _group(entry, "source", "NXsource", name="nanobragg_py")
    entry["source/name"].attrs["short_name"] = "nanobragg_py"

    # stills of several wavelengths are no rotation about omega, of which dxtbx would give all images the first beam
    several = any(geometry.wavelength != first.wavelength for geometry in geometries)
    axis = "." if several else "/entry/sample/transformations/omega"
    sample = _group(entry, "sample", "NXsample", name="crystal", depends_on=axis)
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
    _beam(instrument, geometries, details, spectra)
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
        sensor_material=details.material,
        sensor_thickness=(first.sensor_thickness, "m"),
        count_time=(first.exposure, "s"),
        frame_time=(first.exposure, "s"),
        underload_value=0,
    )
    if saturation is not None:
        detector["saturation_value"] = saturation
    places = _group(detector, "transformations", "NXtransformations")
    _axis(places, "det_z", [distance], "mm", "translation", (0.0, 0.0, 1.0), ".")
    for name, plane, corner in zip(names, planes, corners, strict=True):
        _module(detector, name, plane, corner, rotation, distance)
    data = _group(entry, "data", "NXdata")
    data.attrs["signal"] = "data"
    if (details.gain, details.offset) != (1.0, 0.0):
        # photons = (data + offset) * scaling_factor
        data["scaling_factor"], data["offset"] = 1.0 / details.gain, -float(details.offset)
    return data


def _beam(instrument, geometries, details, spectra):
    """The group of the beam: wavelengths, and the Stokes vector in the frame's x and y."""
    first, means = geometries[0], np.array([geometry.wavelength for geometry in geometries]) * 1e10
    mean = means[0] if (means == means[0]).all() else means
    beam = _group(instrument, "beam", "NXbeam", incident_wavelength=(mean, "angstrom"))
    if spectra is None and details.spectrum:
        wavelengths, weights = (np.asarray(each, float) for each in details.spectrum)
        spectra = wavelengths * 1e10, weights
    if spectra is not None:
        # the mean, for those who want one wavelength, and the spectrum as its variant; dxtbx leaves out the last s
        wavelengths, weights = (each[0] if each.ndim == 2 and (each == each[0]).all() else each for each in spectra)
        beam["incident_wavelength"].attrs["variant"] = "incident_wavelength_spectrum"
        beam["incident_wavelength_spectrum"] = wavelengths
        beam["incident_wavelength_spectrum"].attrs["units"] = "angstrom"
        for name in ("weights", "weight"):
            beam[f"incident_wavelength_spectrum_{name}"] = weights
    if details.polarization is not None:
        x, y, _ = details.e_vector(first, "mcstas")
        stokes = (1.0, details.polarization * (x * x - y * y), details.polarization * 2.0 * x * y, 0.0)
        beam["incident_polarization_stokes"] = np.asarray(stokes)


def _module(detector, name, plane, start, rotation, distance):
    """The group of one module: its part of the stored image, and its place behind the detector's own axis.

    start: (slow, fast) of its first pixel in the stored image. rotation: into the McStas frame. distance: mm.
    """
    corner = rotation @ np.asarray(plane.origin) * 1000.0 - (0.0, 0.0, distance)
    offset = float(np.linalg.norm(corner))
    module = _group(
        detector,
        name,
        "NXdetector_module",
        data_origin=np.array(start),
        data_size=np.array([plane.spixels, plane.fpixels]),
        data_stride=np.array([1, 1]),
    )
    direction = corner / offset if offset else (1.0, 0.0, 0.0)
    _axis(module, "module_offset", [offset], "mm", "translation", direction, f"{DETECTOR}/transformations/det_z")
    for axis, vector in (("fast_pixel_direction", plane.fast), ("slow_pixel_direction", plane.slow)):
        turned = rotation @ np.asarray(vector)
        size = [plane.pixel_size * 1000.0]
        _axis(module, axis, size, "mm", "translation", turned, f"{DETECTOR}/{name}/module_offset")


def _middle(first, panels, corners):
    """The distance of the panels' middle along the beam, mm, and where the beam meets the first panel's plane, pixels
    of the stored image."""
    beam = np.asarray(first.beam, float)
    middles = [
        np.asarray(p.origin) + p.pixel_size / 2 * (p.fpixels * np.asarray(p.fast) + p.spixels * np.asarray(p.slow))
        for p in panels
    ]
    panel = panels[0]
    normal = np.cross(panel.fast, panel.slow)
    along = float(beam @ normal)
    spot = beam * (np.dot(panel.origin, normal) / along) - panel.origin if abs(along) > 1e-9 else np.zeros(3)
    centre = [
        float(spot @ np.asarray(axis)) / panel.pixel_size + start
        for axis, start in ((panel.fast, corners[0][1]), (panel.slow, corners[0][0]))
    ]
    return float(np.mean(middles, axis=0) @ beam) * 1000.0, centre
