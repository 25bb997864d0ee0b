"""Geometry files of CrystFEL (.geom): places of panels in pixels of their own, in the frame of the McStas axes.

As the manual page crystfel_geometry(5) has it: a line states ``name/key = value`` of a panel, or ``key = value`` for
all panels that come after it; ; begins a comment. Regions called bad... are left out of the image.
"""

import re
from typing import Any

import numpy as np

from ...constants import EV_ANGSTROM
from ...errors import NanoBraggError
from ..panels import PanelGeometry, Plane
from ..reading import cannot_read, check_ends

#: a term of an axis: +0.99x, -y, x
TERM = re.compile(r"\s*([+-]?)\s*((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)?\s*\*?\s*([xyz])")
LENGTHS = {"": 1.0, "m": 1.0, "mm": 1e-3, "um": 1e-6, "A": 1e-10}
ENERGIES = {"": 1.0, "eV": 1.0, "keV": 1e3, "MeV": 1e6}
GROUP = re.compile(r"(?:rigid_)?group_(?!collection_)(\w+)")
COLLECTION = re.compile(r"rigid_group_collection_(\w+)")
#: keys whose values are used; the others of the manual concern data files and corrections
BOUNDS = ("min_fs", "max_fs", "min_ss", "max_ss")


class Line:
    """A value with the place that it was read from."""

    def __init__(self, path: Any, number: int, key: str, text: str) -> None:
        self.place: str = f"{path}, line {number}"
        self.key, self.text = key, text

    def fail(self, wanted: str) -> NanoBraggError:
        return NanoBraggError(f"{self.place}: {self.key} is {self.text!r}; it must be {wanted}")

    def number(self) -> float:
        try:
            value = float(self.text.split()[0])
        except (ValueError, IndexError):
            raise self.fail("a number") from None
        if not np.isfinite(value):
            raise self.fail("a finite number")
        return value

    def whole(self) -> int:
        value = self.number()
        if value != int(value) or abs(value) > 2**31:
            raise self.fail("a whole number")
        return int(value)

    def in_unit(self, units: dict[str, float]) -> float | None:
        """The number in the first unit of a table; None for what names a place in data files."""
        if self.text.startswith("/") or not re.match(r"[-+.\d]", self.text):
            return None
        value, unit = self.number(), "".join(self.text.split()[1:2])
        if unit not in units:
            raise self.fail(f"a number with one of the units {', '.join(filter(None, units))}")
        return value * units[unit]

    def axis(self) -> Any:
        """A sum of terms in x, y and z."""
        found, at = np.zeros(3), 0
        while at < len(self.text):
            term = TERM.match(self.text, at)
            if term is None:
                raise self.fail("a sum such as -0.01x +0.99y")
            sign, size, letter = term.groups()
            found["xyz".index(letter)] += (-1.0 if sign == "-" else 1.0) * float(size or 1.0)
            at = term.end()
        return found


class Geom:
    """A file's lines: of all panels, of each of them, of bad regions and of groups."""

    def __init__(self, path: Any) -> None:
        self.path = path
        self.top: dict[str, Line] = {}
        self.panels: dict[str, dict[str, Line]] = {}
        self.bad: dict[str, dict[str, Line]] = {}
        self.groups: dict[str, Line] = {}
        try:
            with open(path, encoding="utf-8-sig", errors="replace") as file:
                check_ends(file)
                lines = file.read().splitlines()
        except OSError as error:
            raise cannot_read(path, error, "give a CrystFEL .geom file") from None
        for number, text in enumerate(lines, 1):
            text = text.partition(";")[0].strip()
            if text:
                self._take(number, text)

    def _take(self, number, text):
        left, equals, right = (part.strip() for part in text.partition("="))
        if not equals or not left or not right:
            raise NanoBraggError(
                f"{self.path}, line {number}: {text[:60]!r} is no line of a geometry file; give key = value"
            )
        name, slash, key = left.rpartition("/")
        line = Line(self.path, number, left, right)
        if slash and name.startswith("bad"):
            self.bad.setdefault(name, {})[key] = line
        elif slash:
            if name not in self.panels:
                # what was said of all panels before the first line of this one holds for it
                self.panels[name] = dict(self.top)
            self.panels[name][key] = line
        else:
            self.top[key] = line
            if GROUP.fullmatch(key) or COLLECTION.fullmatch(key):
                self.groups[key] = line

    def check_groups(self) -> None:
        """Raise for groups of panels, and collections of groups, that name what does not exist."""
        names = {found.group(1) for key in self.groups if (found := GROUP.fullmatch(key))}
        for key, line in self.groups.items():
            known = names if COLLECTION.fullmatch(key) else names | set(self.panels)
            for member in re.split(r"[\s,]+", line.text.strip(", ")):
                if member and member not in known:
                    what = "group" if COLLECTION.fullmatch(key) else "panel or group"
                    raise NanoBraggError(f"{line.place}: {key} names {member}, and there is no {what} of that name")


def read(path: Any, distance: Any = None) -> PanelGeometry:
    """The PanelGeometry of a file. distance: m; the camera length where the file refers to its images for it."""
    geom = Geom(path)
    if not geom.panels:
        raise NanoBraggError(f"{path} states no panels; give a CrystFEL .geom, DIALS .expt or NXmx file")
    geom.check_groups()
    remarks: list[str] = []
    planes = [_plane(path, name, lines, distance, remarks) for name, lines in geom.panels.items()]
    masks = _masks(geom, planes)
    wavelength = None
    if "wavelength" in geom.top:
        wavelength = geom.top["wavelength"].in_unit({"m": 1.0, "A": 1e-10, "": 1e-10})
    elif "photon_energy" in geom.top:
        energy = geom.top["photon_energy"].in_unit(ENERGIES)
        if energy is not None and not energy > 0.0:
            raise geom.top["photon_energy"].fail("above 0")
        wavelength = None if energy is None else EV_ANGSTROM / energy * 1e-10
    if wavelength is not None and not wavelength > 0.0:
        raise geom.top["wavelength"].fail("above 0")
    return PanelGeometry(
        beam=(0.0, 0.0, 1.0),
        spindle=(-1.0, 0.0, 0.0),
        panels=tuple(plane.replace(mask=masks.get(plane.name)) for plane in planes),
        wavelength=wavelength,
        remarks=tuple(dict.fromkeys(remarks)),
        took_distance=any("distance" in sentence for sentence in remarks),
    )


def _plane(path, name, lines, distance, remarks):
    """The Plane of one panel."""
    missing = [key for key in (*BOUNDS, "corner_x", "corner_y", "res") if key not in lines]
    if missing:
        raise NanoBraggError(
            f"{path}: panel {name} has no {missing[0]}; every panel needs {', '.join(BOUNDS)}, "
            "corner_x, corner_y and res"
        )
    bounds = [lines[key].whole() for key in BOUNDS]
    resolution = lines["res"].number()
    if not resolution > 0.0:
        raise lines["res"].fail("above 0, in pixels per metre")
    pixel = 1.0 / resolution
    camera = lines["clen"].in_unit(LENGTHS) if "clen" in lines else None
    if camera is None:
        if distance is None:
            raise NanoBraggError(f"{path}: panel {name} has no camera length in m (clen); state one")
        camera = distance
        remarks.append(f"{path} keeps its camera length elsewhere, so the distance of {distance * 1e3:g} mm is taken")
    camera += lines["coffset"].in_unit(LENGTHS) or 0.0 if "coffset" in lines else 0.0
    axes = {}
    for key, default in (("fs", (1.0, 0.0, 0.0)), ("ss", (0.0, 1.0, 0.0))):
        axis = lines[key].axis() if key in lines else np.array(default)
        length = np.linalg.norm(axis)
        if not length > 0.0:
            raise lines[key].fail("a direction")
        if abs(length - 1.0) > 0.01:
            remarks.append(f"{path}: {key} of panel {name} has the length {length:.4g}, and is taken for a direction")
        axes[key] = tuple((axis / length).tolist())
    if abs(np.dot(axes["fs"], axes["ss"])) > 1e-4:
        # refined geometries are square to a few digits
        if abs(np.dot(axes["fs"], axes["ss"])) > 0.02:
            raise NanoBraggError(f"{path}: panel {name} has fs and ss that are not at right angles")
        axes["ss"] = _squared(axes["fs"], axes["ss"])
    return Plane(
        name=name,
        origin=(lines["corner_x"].number() * pixel, lines["corner_y"].number() * pixel, camera),
        fast=axes["fs"],
        slow=axes["ss"],
        pixel_size=pixel,
        fpixels=bounds[1] - bounds[0] + 1,
        spixels=bounds[3] - bounds[2] + 1,
        corner=_corner(lines, bounds),
    )


def _squared(fast, slow):
    slow = np.asarray(slow) - np.dot(fast, slow) * np.asarray(fast)
    return tuple((slow / np.linalg.norm(slow)).tolist())


def _corner(lines, bounds):
    """Where a panel begins in the stored image; None where that has more dimensions, of which one counts panels."""
    stacked = any(re.fullmatch(r"dim\d+", key) and re.fullmatch(r"\d+", line.text) for key, line in lines.items())
    return None if stacked else (bounds[2], bounds[0])


def _masks(geom, planes):
    """{panel: mask} of the bad regions."""
    masks: dict[str, Any] = {}
    by_name = {plane.name: plane for plane in planes}
    for name, lines in geom.bad.items():
        if "panel" in lines and lines["panel"].text not in by_name:
            raise NanoBraggError(f"{lines['panel'].place}: {name} is of panel {lines['panel'].text}, and there is none")
        laboratory = "min_x" in lines
        keys = ("min_x", "max_x", "min_y", "max_y") if laboratory else BOUNDS
        missing = [key for key in keys if key not in lines]
        if missing:
            place = next(iter(lines.values())).place
            raise NanoBraggError(f"{place}: {name} has no {missing[0]}; a region needs {', '.join(keys)}")
        low_f, high_f, low_s, high_s = (lines[key].number() for key in keys)
        wanted = [by_name[lines["panel"].text]] if "panel" in lines else planes
        for plane in wanted:
            s, f = np.ogrid[: plane.spixels, : plane.fpixels]
            if laboratory:
                x, y = (
                    (plane.origin[i] + plane.pixel_size * ((f + 0.5) * plane.fast[i] + (s + 0.5) * plane.slow[i]))
                    / plane.pixel_size
                    for i in (0, 1)
                )
                inside = (x >= low_f) & (x <= high_f) & (y >= low_s) & (y <= high_s)
            else:
                first = [geom.panels[plane.name][key].whole() for key in ("min_ss", "min_fs")]
                f, s = f + first[1], s + first[0]
                inside = (f >= low_f) & (f <= high_f) & (s >= low_s) & (s <= high_s)
            if inside.any():
                mask = masks.setdefault(plane.name, np.ones((plane.spixels, plane.fpixels), np.uint16))
                mask[inside] = 0
    return masks
