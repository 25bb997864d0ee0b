"""What an HDF5 file of images tells of beam, rotation and detector: NXmx, and the fields of Eiger detectors."""

from math import radians
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .axes import Axis, placed
from .geometry import Details, Geometry
from .minicbf import thickness_of

#: lengths in m, angles in degrees
LENGTHS = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "micron": 1e-6, "nm": 1e-9, "angstrom": 1e-10, "a": 1e-10}
ANGLES = {"deg": 1.0, "degree": 1.0, "degrees": 1.0, "rad": 57.29577951308232, "radian": 57.29577951308232}


def text_of(value: Any) -> Any:
    """An attribute or a field as text."""
    value = value[()] if hasattr(value, "shape") and hasattr(value, "id") else value
    value = np.asarray(value).ravel()[0] if np.asarray(value).size else b""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def number_of(field, number=0):
    """A field's value, or that of its own image where it has one for each."""
    values = np.asarray(field[()], float).ravel()
    if values.size == 0 or not np.isfinite(values[0]):
        raise NanoBraggError(f"its {field.name} is no number")
    return float(values[min(number, values.size - 1)])


def unit_of(field, units, default=""):
    """A field's unit in the first one of a table."""
    unit = text_of(field.attrs.get("units", default)).lower().strip()
    if unit not in units:
        raise NanoBraggError(f"its {field.name} has the unit '{unit}', which is none of {', '.join(units)}")
    return units[unit]


def in_unit(field, units, number=0):
    """A field's value in the first unit of a table."""
    return number_of(field, number) * unit_of(field, units)


def nexus_geometry(entry: Any, number: Any, shape: Any) -> Any:
    """The Geometry of image `number` of an NXentry, in the MOSFLM frame; NanoBraggError where it tells too little.

    entry: an h5py group. shape: (slow, fast).
    """
    beam = entry.get("instrument/beam")
    if beam is None or "incident_wavelength" not in beam:
        beam = entry.get("sample/beam", {})
    detector = entry.get("instrument/detector")
    if "incident_wavelength" not in beam or detector is None:
        raise NanoBraggError("it says nothing of the wavelength, or nothing of the detector")
    wavelength = wavelength_of(beam, number)
    modules = [
        group
        for group in detector.values()
        if text_of(group.attrs.get("NX_class", "")) == "NXdetector_module" and "fast_pixel_direction" in group
    ]
    plane = one_plane([(group, module_plane(entry, group)) for group in modules]) if modules else _across(detector)
    spindle, phi0, osc = rotation_of(entry, number)
    thickness = in_unit(detector["sensor_thickness"], LENGTHS) if "sensor_thickness" in detector else 0.0
    exposure = number_of(detector["count_time"], number) if "count_time" in detector else 1.0
    if not (wavelength > 0 and plane["pixel_size"] > 0):
        raise NanoBraggError("it has no sensible wavelength and pixel size")
    return Geometry(
        wavelength=wavelength,
        beam=(0.0, 0.0, 1.0),
        spindle=tuple(spindle),
        phi0=radians(phi0),
        osc=radians(osc),
        exposure=exposure,
        thickness=thickness_of(thickness),
        fpixels=shape[1],
        spixels=shape[0],
        **plane,
    ).in_mosflm()


def nexus_details(entry: Any, number: Any, geometry: Any) -> Details:
    """The Details of image `number` of an NXentry, as far as it states them. geometry: of `nexus_geometry`."""
    beam = entry.get("instrument/beam", {})
    data, detector = entry.get("data", {}), entry.get("instrument/detector", {})
    found: dict[str, Any] = {}
    if "incident_polarization_stokes" in beam:
        stokes = np.asarray(beam["incident_polarization_stokes"][()], float).reshape(-1, 4)
        intensity, q, u, _ = stokes[min(number, len(stokes) - 1)]
        if not (np.isfinite((q, u)).all() and intensity > 0.0):
            raise NanoBraggError("its incident_polarization_stokes are of no beam")
        angle = np.arctan2(u, q) / 2.0
        across = geometry.frame("mcstas").T @ (np.cos(angle), np.sin(angle), 0.0)
        found |= {"polarization": float(np.hypot(q, u) / intensity), "polarization_axis": tuple(across.tolist())}
    if name := spectrum_field(beam):
        values, weights = (np.asarray(beam[key][()], float) for key in (name, f"{name}_weights"))
        values, weights = (each[min(number, len(each) - 1)] if each.ndim == 2 else each for each in (values, weights))
        if values.shape != weights.shape or not 0.0 < weights.sum() < np.inf:
            raise NanoBraggError(f"its {name} and their weights do not go together")
        unit = unit_of(beam[name], LENGTHS, "angstrom")
        found["spectrum"] = tuple((values * unit).tolist()), tuple((weights / weights.sum()).tolist())
    if "sensor_material" in detector:
        found["material"] = text_of(detector["sensor_material"])
    if "scaling_factor" in data:
        found["gain"] = 1.0 / number_of(data["scaling_factor"])
    if "offset" in data:
        found["offset"] = -number_of(data["offset"])
    return Details(**found)


def spectrum_field(beam):
    """The name of the field of wavelengths that has weights, which variants lead to; "" where none has."""
    name, passed = "incident_wavelength", set()
    while name in beam and name not in passed:  # a damaged file may lead back
        if f"{name}_weights" in beam:
            return name
        passed.add(name)
        name = text_of(beam[name].attrs.get("variant", ""))
    return ""


def wavelength_of(beam, number):
    """The wavelength of an image, m; the mean where a spectrum is stated in its place."""
    field, weights = beam["incident_wavelength"], beam.get("incident_wavelength_weights")
    unit = unit_of(field, LENGTHS, "angstrom")
    if weights is None:
        return number_of(field, number) * unit
    values, parts = (np.asarray(each[()], float) for each in (field, weights))
    values, parts = (each[min(number, len(each) - 1)] if each.ndim == 2 else each for each in (values, parts))
    if values.shape != parts.shape or not parts.sum() > 0:
        raise NanoBraggError(f"its {field.name} and {weights.name} do not go together")
    return float(values @ parts / parts.sum()) * unit


def _collect(entry, path, axes):
    """Read an axis and all that it depends on into `axes`, under absolute names."""
    while path not in axes and path != ".":
        field = entry.file.get(path)
        if field is None:
            raise NanoBraggError(f"its axis {path} is not there")
        turns = text_of(field.attrs.get("transformation_type", "translation")) == "rotation"
        offset = np.zeros(3)
        if "offset" in field.attrs:
            unit = text_of(field.attrs.get("offset_units", field.attrs.get("units", "m"))).lower()
            offset = np.asarray(field.attrs["offset"], float) * LENGTHS.get(unit, 1.0)
        depends = text_of(field.attrs.get("depends_on", "."))
        depends = depends if depends.startswith("/") or depends == "." else f"{field.parent.name}/{depends}"
        axes[path] = Axis(
            rotation=turns,
            vector=tuple(np.asarray(field.attrs["vector"], float).tolist()),
            offset=tuple(offset.tolist()),
            value=in_unit(field, ANGLES if turns else LENGTHS),
            depends_on=depends,
        )
        path = depends
    return axes


def one_plane(modules):
    """The plane of the stored image that modules, pairs (group, plane), make up; NanoBraggError where they do not.

    Modules are one plane where each lies as far from the others as its pixels do in the image, to a tenth of a pixel.
    """
    starts = [
        np.asarray(group["data_origin"]).ravel()[-2:] if "data_origin" in group else (0, 0) for group, _ in modules
    ]
    first = modules[0][1]
    fast, slow, size = np.asarray(first["fast"]), np.asarray(first["slow"]), first["pixel_size"]
    origin = np.asarray(first["origin"]) - size * (starts[0][1] * fast + starts[0][0] * slow)
    for (group, plane), start in zip(modules, starts, strict=True):
        pixels = np.asarray(group["data_size"]).ravel()[-2:] if "data_size" in group else np.ones(2)
        for f in (0, pixels[1]):
            for s in (0, pixels[0]):
                here = np.asarray(plane["origin"]) + plane["pixel_size"] * (
                    f * np.asarray(plane["fast"]) + s * np.asarray(plane["slow"])
                )
                there = origin + size * ((start[1] + f) * fast + (start[0] + s) * slow)
                if not np.linalg.norm(here - there) < 0.1 * size:
                    raise NanoBraggError(
                        f"it has a detector of {len(modules)} panels that are no one plane; give it to nanoBragg with "
                        "-geometry"
                    )
    return {**first, "origin": tuple(origin.tolist())} if len(modules) > 1 else first


def module_plane(entry, module):
    """The detector of an NXdetector_module."""
    found, axes = {}, {}
    for key in ("fast", "slow"):
        name = f"{module.name}/{key}_pixel_direction"
        _collect(entry, name, axes)
        rotation, shift = placed(axes, axes[name].depends_on)
        found[key] = rotation @ axes[name].direction
        corner = shift + rotation @ np.asarray(axes[name].offset)
        found[f"{key}_corner"], found[f"{key}_size"] = corner, axes[name].value
    if abs(found["fast_size"] - found["slow_size"]) > 1e-6 * abs(found["fast_size"]):
        raise NanoBraggError("its pixels are not square, as nanoBragg's are")
    return {
        "fast": tuple(found["fast"]),
        "slow": tuple(found["slow"]),
        "origin": tuple(found["fast_corner"]),
        "pixel_size": found["fast_size"],
    }


def _across(detector):
    """A detector that tells its distance and the beam centre: across the beam, as Eigers are mounted."""
    distance = next((detector[key] for key in ("detector_distance", "distance") if key in detector), None)
    names = ("x_pixel_size", "y_pixel_size", "beam_center_x", "beam_center_y")
    if distance is None or any(name not in detector for name in names):
        raise NanoBraggError("it says too little of the detector")
    width, height = (in_unit(detector[name], LENGTHS) for name in names[:2])
    if abs(width - height) > 1e-6 * abs(width):
        raise NanoBraggError("its pixels are not square, as nanoBragg's are")
    fast, slow = (number_of(detector[name]) for name in names[2:])
    return {
        "fast": (-1.0, 0.0, 0.0),
        "slow": (0.0, -1.0, 0.0),
        "origin": (fast * width, slow * width, in_unit(distance, LENGTHS)),
        "pixel_size": width,
    }


def rotation_of(entry, number):
    """The spindle, and the start and the width of the image's rotation, degrees."""
    name = text_of(entry["sample/depends_on"]) if "sample/depends_on" in entry else "."
    if name != "." and not name.startswith("/"):
        name = f"{entry.name}/sample/{name}"
    # ours of stills that depend on nothing
    field = entry.file.get(name) if name != "." else entry.get("sample/transformations/omega")
    # of several goniometer axes, the one that turns from image to image
    passed = set()
    while field is not None and "vector" in field.attrs:
        if field.name in passed:
            raise NanoBraggError(f"its axis {field.name} depends on itself")
        passed.add(field.name)
        widths = [x for x in (f"{field.name}_increment_set", f"{field.name}_range_average") if x in entry.file]
        values = np.asarray(field[()], float).ravel()
        step = number_of(entry.file[widths[0]]) if widths else float(values[1] - values[0]) if values.size > 1 else 0.0
        below = text_of(field.attrs.get("depends_on", "."))
        if step or below == ".":
            axes = _collect(entry, field.name, {})
            rotation, _ = placed(axes, axes[field.name].depends_on)
            return rotation @ axes[field.name].direction, in_unit(field, ANGLES, number), step
        field = entry.file.get(below if below.startswith("/") else f"{field.parent.name}/{below}")
    omega = entry.get("sample/goniometer/omega")
    if omega is None:
        return (-1.0, 0.0, 0.0), 0.0, 0.0
    values = np.asarray(omega[()], float).ravel()
    step = float(values[1] - values[0]) if values.size > 1 else 0.0
    return (-1.0, 0.0, 0.0), number_of(omega, number), step
