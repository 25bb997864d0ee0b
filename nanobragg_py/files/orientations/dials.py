"""Experiment lists of DIALS (.expt, JSON): beam, goniometer, detector, scan and crystal, in the imgcif frame."""

import json
from math import degrees, radians
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ...orientation import axis_rotation
from ..detectors.dials import content_of, planes
from ..geometry import Geometry
from ..oriented import OrientedCrystal
from ..registry import OrientationFormat

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def read_expt(path: Any, index: int = 0) -> Any:
    """The OrientedCrystal of experiment `index` of a DIALS experiment list, at spindle angle 0.

    The detector is left out where it has several panels. Raises NanoBraggError for what is no such list, lacks a
    crystal or a beam, or has no experiment of that number.
    """
    content = content_of(path)
    experiments = content.get("experiment") if isinstance(content, dict) else None
    if not isinstance(experiments, list) or not experiments:
        raise NanoBraggError(f"{path} is no DIALS experiment list: it has no experiments")
    if not 0 <= index < len(experiments):
        raise NanoBraggError(
            f"{path} has {len(experiments)} experiments, counted from 0; there is none of number {index}"
        )
    try:
        for kind, origin in (("crystal", "dials.index writes them"), ("beam", "dials.import writes them")):
            if _model(content, experiments[index], kind) is None:
                raise NanoBraggError(
                    f"experiment {index} of {path} lacks a usable crystal or beam: it has no {kind}; {origin}"
                )
        return _crystal(content, experiments[index], path)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError) as error:
        what = f"no {error.args[0]}" if isinstance(error, KeyError) else "a value that makes no sense"
        raise NanoBraggError(
            f"experiment {index} of {path} lacks a usable crystal or beam: it has {what} ({error})"
        ) from None


def _model(content, experiment, kind):
    """The model that an experiment refers to, or None."""
    number = experiment.get(kind)
    return content[kind][number] if number is not None and number >= 0 and content.get(kind) else None


def expt_remarks(path: Any, index: int = 0) -> list[str]:
    """Sentences on what of an experiment list is left out; it has been read before."""
    content = content_of(path)
    experiments, said = content["experiment"], []
    if len(experiments) > 1 and index == 0:
        said.append(f"{path} has {len(experiments)} experiments, of which number 0 is taken; --index takes another")
    if (_model(content, experiments[index], "crystal") or {}).get("A_at_scan_points"):
        said.append(f"the crystal of {path} varies over its scan, and the one of the whole scan is taken")
    return said


def _crystal(content, experiment, path):
    beam, crystal = _model(content, experiment, "beam"), _model(content, experiment, "crystal")
    axis, fixed, setting = _goniometer(_model(content, experiment, "goniometer"))
    scan = _model(content, experiment, "scan") or {}
    oscillation = scan.get("oscillation") or _rotation(scan)
    direct = np.array([_vector(crystal[f"real_space_{name}"], f"real_space_{name}") for name in "abc"])
    geometry = Geometry(
        wavelength=float(beam["wavelength"]) * 1e-10,
        beam=tuple(_unit(-_vector(beam["direction"], "direction")).tolist()),
        spindle=tuple(_unit(setting @ axis).tolist()),
        phi0=radians(_finite(oscillation[0], "oscillation")),
        osc=radians(_finite(oscillation[1], "oscillation")),
        **_panel(_model(content, experiment, "detector"), path),
    )
    if not (np.isfinite(geometry.wavelength) and geometry.wavelength > 0):
        raise ValueError(f"wavelength {beam['wavelength']}")
    A = setting @ fixed @ np.linalg.inv(direct)
    return OrientedCrystal(
        A=A, geometry=geometry, space_group=space_group_number(crystal.get("space_group_hall_symbol"))
    )


def _finite(value, what):
    value = float(value)
    if not np.isfinite(value):
        raise ValueError(f"{what} {value}")
    return value


def _vector(values, what):
    """Three finite numbers as an array."""
    vector = np.array(values, float)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise ValueError(f"{what} {str(values)[:60]}")
    return vector


def _unit(vector):
    length = np.linalg.norm(vector)
    if not (np.isfinite(length) and length > 0):
        raise ValueError("a direction of length 0")
    return vector / length


def _rotation(scan):
    """Start and width of the rotation in the newer form of a scan, which lists every image's angle."""
    angles = scan.get("properties", {}).get("oscillation", ())
    if not angles:
        return 0.0, 0.0
    return angles[0], angles[1] - angles[0] if len(angles) > 1 else 0.0


def _goniometer(model):
    """Rotation axis, fixed rotation and setting rotation: the crystal is setting * R(axis, phi) * fixed * A."""
    if model is None:
        return np.array([1.0, 0.0, 0.0]), np.eye(3), np.eye(3)
    if "axes" not in model:
        fixed, setting = (
            np.array(model.get(name, IDENTITY), float).reshape(3, 3) for name in ("fixed_rotation", "setting_rotation")
        )
        return _vector(model["rotation_axis"], "rotation_axis"), fixed, setting
    fixed, setting = np.eye(3), np.eye(3)
    scanned = model["scan_axis"]
    for number, (axis, angle) in enumerate(zip(model["axes"], model["angles"], strict=True)):
        turn = axis_rotation(axis, radians(angle))
        if number < scanned:
            fixed = turn @ fixed
        elif number > scanned:
            setting = turn @ setting
    return _vector(model["axes"][scanned], "axes"), fixed, setting


def _panel(model, path):
    """The detector's fields of a Geometry; none for a detector of several panels."""
    if model is None or len(model["panels"]) != 1:
        return {}
    try:
        (plane,) = planes(model)
    except NanoBraggError as error:
        raise NanoBraggError(f"{path}: {error}") from None
    fast, slow = (_unit(_vector(getattr(plane, name), name)) for name in ("fast", "slow"))
    return {
        "fast": tuple(fast.tolist()),
        "slow": tuple(slow.tolist()),
        "origin": tuple(_vector(plane.origin, "origin").tolist()),
        "pixel_size": _finite(plane.pixel_size, "pixel_size"),
        "fpixels": plane.fpixels,
        "spixels": plane.spixels,
    }


def space_group_number(hall: Any) -> Any:
    """The number of a space group from its Hall symbol, 1 if that is unknown or gemmi is not installed."""
    try:
        import gemmi
    except ImportError:
        return 1
    try:
        group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall or "P 1"))
    except (RuntimeError, ValueError):
        return 1
    return group.number if group else 1


def hall_symbol(number: Any) -> Any:
    """The Hall symbol of a space group, "P 1" if gemmi is not installed."""
    try:
        import gemmi
    except ImportError:
        return "P 1"
    group = gemmi.find_spacegroup_by_number(number)
    return group.hall if group else "P 1"


def expt_text(crystal: Any) -> str:
    """A DIALS experiment list of one experiment; the detector is left out where it is unknown."""
    geometry = crystal.geometry
    if geometry.curved:
        raise NanoBraggError("a DIALS experiment cannot tell of a curved detector")
    rotation = geometry.frame("imgcif")
    direct = crystal.direct @ rotation.T
    axis, beam = (rotation @ np.asarray(v) + 0.0 for v in (geometry.spindle, geometry.beam))
    experiment = {"__id__": "Experiment", "identifier": "", "beam": 0, "goniometer": 0, "scan": 0, "crystal": 0}
    content = {
        "__id__": "ExperimentList",
        "experiment": [experiment],
        "imageset": [],
        "beam": [
            {
                "__id__": "monochromatic",
                "direction": (0.0 - beam).tolist(),
                "wavelength": geometry.wavelength * 1e10,
                "divergence": 0.0,
                "sigma_divergence": 0.0,
                "polarization_normal": [0.0, 1.0, 0.0],
                "polarization_fraction": 0.5,
                "flux": 0.0,
                "transmission": 1.0,
            }
        ],
        "detector": [],
        "goniometer": [
            {"rotation_axis": axis.tolist(), "fixed_rotation": list(IDENTITY), "setting_rotation": list(IDENTITY)}
        ],
        "scan": [
            {
                "image_range": [1, 1],
                "batch_offset": 0,
                "oscillation": [degrees(geometry.phi0), degrees(geometry.osc)],
                "exposure_time": [geometry.exposure],
                "epochs": [0.0],
                "valid_image_ranges": {},
            }
        ],
        "crystal": [
            {
                "__id__": "crystal",
                **{f"real_space_{name}": row for name, row in zip("abc", direct.tolist(), strict=True)},
                "space_group_hall_symbol": hall_symbol(crystal.space_group),
            }
        ],
        "profile": [],
        "scaling_model": [],
    }
    if geometry.origin is not None:
        experiment["detector"] = 0
        content["detector"] = [_detector(geometry, rotation)]
    return json.dumps(content, indent=2) + "\n"


def _detector(geometry, rotation):
    fast, slow = ((rotation @ np.asarray(v) + 0.0).tolist() for v in (geometry.fast, geometry.slow))
    panel = _node("Panel", (fast, slow, (rotation @ np.asarray(geometry.origin) * 1000.0).tolist()))
    panel |= {
        "type": "SENSOR_PAD",
        "image_size": [geometry.fpixels, geometry.spixels],
        "pixel_size": [geometry.pixel_size * 1000.0] * 2,
        "trusted_range": [-1.0, 2147483647.0],
        "thickness": geometry.thickness * 1000.0,
        "identifier": "",
        "mask": [],
    }
    root = {**_node("", ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0])), "children": [{"panel": 0}]}
    return {"panels": [panel], "hierarchy": root}


def _node(name, frame):
    """A panel, or a group of them, with nothing but its frame: fast axis, slow axis, and origin in mm."""
    fast, slow, origin = frame
    return {
        "name": name,
        "type": "",
        "fast_axis": fast,
        "slow_axis": slow,
        "origin": origin,
        "raw_image_offset": [0, 0],
        "image_size": [0, 0],
        "pixel_size": [0.0, 0.0],
        "trusted_range": [0.0, 0.0],
        "thickness": 0.0,
        "material": "",
        "mu": 0.0,
        "gain": 1.0,
        "pedestal": 0.0,
        "px_mm_strategy": {"type": "SimplePxMmStrategy"},
    }


def read(path: Any, request: Any) -> Any:
    crystal = read_expt(path, request.index)
    if request.complain is not None:
        for sentence in expt_remarks(path, request.index):
            request.complain(sentence)
    return crystal


FORMAT = OrientationFormat(
    name="dials",
    title="DIALS .expt",
    recognise=lambda text: text.startswith("{"),
    read=read,
    text=lambda crystal, request: expt_text(request.in_beam(crystal)),
)
