"""The detector of a DIALS experiment list (.expt), hierarchical ones too, in the imgcif frame.

Every panel, and every group of them, states its axes and its origin in the frame of the group that it is in.
"""

import json
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..panels import PanelGeometry, Plane
from ..reading import cannot_read, check_ends

#: groups within groups that are believed
DEEPEST = 50


def content_of(path: Any) -> Any:
    """What a DIALS experiment list says, as JSON has it; NanoBraggError for what cannot be read, or is no JSON."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            check_ends(file)
            return json.load(file)
    except OSError as error:
        raise cannot_read(path, error, "give a DIALS .expt file") from None
    except (ValueError, RecursionError) as error:
        raise NanoBraggError(f"{path} is no DIALS experiment list: {error}") from None


def read(path: Any) -> PanelGeometry:
    """The PanelGeometry of the first experiment that has a detector; NanoBraggError for what is no such list."""
    content = content_of(path)
    try:
        experiments = content["experiment"]
        first = next((each for each in experiments if each.get("detector", -1) >= 0), None)
        if first is None:
            raise NanoBraggError(f"{path} has no experiment with a detector; dials.import writes them")
        detector = content["detector"][first["detector"]]
        beam: Any = content["beam"][first["beam"]] if first.get("beam", -1) >= 0 else {"direction": (0.0, 0.0, 1.0)}
        goniometer = content["goniometer"][first["goniometer"]] if first.get("goniometer", -1) >= 0 else None
        wavelength = beam.get("wavelength")
        return PanelGeometry(
            beam=tuple((-unit(beam["direction"], "the beam's direction")).tolist()),
            spindle=tuple(unit(spindle(goniometer), "the goniometer's axis").tolist()),
            panels=tuple(planes(detector)),
            wavelength=None if not wavelength else float(wavelength) * 1e-10,
        )
    except NanoBraggError as error:
        raise NanoBraggError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError, StopIteration) as error:
        what = f"no {error.args[0]}" if isinstance(error, KeyError) else f"a value that makes no sense ({error})"
        raise NanoBraggError(f"{path} states no usable detector: it has {what}") from None


def spindle(goniometer: Any) -> Any:
    """The axis of rotation; that of most beamlines where there is none."""
    if goniometer is None:
        return (1.0, 0.0, 0.0)
    if "axes" in goniometer:
        return goniometer["axes"][goniometer["scan_axis"]]
    return goniometer["rotation_axis"]


def vector(values: Any, what: str) -> Any:
    found = np.array(values, float)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise NanoBraggError(f"{what} is {str(values)[:60]}; it must be three numbers")
    return found


def unit(values: Any, what: str) -> Any:
    found = vector(values, what)
    length = np.linalg.norm(found)
    if not length > 0.0:
        raise NanoBraggError(f"{what} is 0 0 0; it must be a direction")
    return found / length


def frame_of(node: Any, what: str) -> tuple[Any, Any]:
    """A node's rotation (columns: fast, slow, normal) and origin, mm, in the frame of the one above it."""
    fast = unit(node.get("fast_axis", (1.0, 0.0, 0.0)), f"the fast axis of {what}")
    slow = unit(node.get("slow_axis", (0.0, 1.0, 0.0)), f"the slow axis of {what}")
    return np.array([fast, slow, np.cross(fast, slow)]).T, vector(node.get("origin", (0.0, 0.0, 0.0)), what)


def planes(detector: Any) -> list[Plane]:
    """The Planes of a detector model, in its own order."""
    panels = detector["panels"]
    placed: dict[int, tuple[Any, Any]] = {}
    _descend(detector.get("hierarchy") or {"children": []}, np.eye(3), np.zeros(3), placed, len(panels), 0)
    made = []
    for number, panel in enumerate(panels):
        name = panel.get("name") or f"{number}"
        rotation, origin = placed.get(number, (np.eye(3), np.zeros(3)))
        own, shift = frame_of(panel, f"panel {name}")
        width, height = (float(x) for x in panel["pixel_size"])
        if abs(width - height) > 1e-6 * abs(width):
            raise NanoBraggError(f"panel {name} has pixels of {width:g} x {height:g} mm; they must be square")
        turned = rotation @ own
        fpixels, spixels = (int(x) for x in panel["image_size"])
        offset = [int(x) for x in panel.get("raw_image_offset", (0, 0))]
        thickness, mu = float(panel.get("thickness") or 0.0) * 1e-3, float(panel.get("mu") or 0.0) * 1e3
        made.append(
            Plane(
                name=name,
                origin=tuple(((rotation @ shift + origin) * 1e-3).tolist()),
                fast=tuple(turned[:, 0].tolist()),
                slow=tuple(turned[:, 1].tolist()),
                pixel_size=width * 1e-3,
                fpixels=fpixels,
                spixels=spixels,
                thickness=thickness if mu > 0.0 else 0.0,
                mu=mu if mu > 0.0 and thickness > 0.0 else None,
                corner=(offset[1], offset[0]),
            )
        )
    if len(made) > 1 and not any(any(plane.corner) for plane in made):
        made = [plane.replace(corner=None) for plane in made]
    names = [plane.name for plane in made]
    if len(set(names)) < len(names):
        made = [plane.replace(name=f"{plane.name}#{number}") for number, plane in enumerate(made)]
    return made


def _descend(node, rotation, origin, placed, count, depth):
    """Put the frame in which each panel below a node is stated into `placed`."""
    if depth > DEEPEST:
        raise NanoBraggError(f"its detector has groups {DEEPEST} deep within one another")
    own, shift = frame_of(node, f"group {node.get('name') or depth}")
    rotation, origin = rotation @ own, rotation @ shift + origin
    for child in node.get("children", ()):
        if "panel" in child:
            if not 0 <= child["panel"] < count:
                raise NanoBraggError(f"a group of its detector holds panel {child['panel']}, and there are {count}")
            placed[child["panel"]] = rotation, origin
        else:
            _descend(child, rotation, origin, placed, count, depth + 1)
