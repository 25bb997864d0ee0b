"""What the header of a full imgCIF image tells of beam, goniometer and detector."""

import re
from math import radians
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .axes import Axis, chain, placed
from .geometry import Geometry

#: text fields between semicolons, quoted words, comments, words
TOKEN = re.compile(
    r"""^;(?P<field>.*?)^;|(?P<quote>['"])(?P<quoted>[^\r\n]*?)(?P=quote)(?=\s|$)|\#[^\r\n]*|(?P<word>[^\s'"#]\S*)""",
    re.MULTILINE | re.DOTALL,
)
MM = 1e-3


def cif_items(text: Any) -> Any:
    """{name without underscore, in lower case: list of its values} of a CIF's items and loops."""
    items, names, loop, values = {}, [], False, []

    def close():
        if loop and names:
            for place, name in enumerate(names):
                items[name] = values[place :: len(names)]

    for match in TOKEN.finditer(text):
        if match.lastgroup is None:
            continue
        word = match["word"]
        value = word if word is not None else match["field"] if match["field"] is not None else match["quoted"]
        lower = (word or "").lower()
        if lower == "loop_" or lower.startswith("data_"):
            close()
            names, values, loop = [], [], lower == "loop_"
        elif lower.startswith("_"):
            if not loop or values:
                close()
                names, values, loop = [], [], False
            names = [*names, lower[1:]] if loop else [lower[1:]]
        elif loop:
            values.append(value)
        elif names:
            items[names[0]] = [value]
            names = []
    close()
    return items


class _Tables:
    """The categories of a header, read by rows."""

    def __init__(self, name, text):
        self.name = name
        self.items = cif_items(text)

    def rows(self, category, *columns, defaults=()):
        """Rows of a category; a missing column gives its default, or NanoBraggError where there is none."""
        found = []
        for column in columns:
            values = self.items.get(f"{category}.{column}")
            if values is None and column not in dict(defaults):
                raise NanoBraggError(f"the header of {self.name} has no _{category}.{column}")
            found.append(values)
        count = max((len(values) for values in found if values is not None), default=0)
        defaults = dict(defaults)
        return [
            tuple(
                defaults[column] if values is None or place >= len(values) else values[place]
                for column, values in zip(columns, found, strict=True)
            )
            for place in range(count)
        ]


def _number(text):
    return 0.0 if text in (".", "?") else float(re.sub(r"\(\d+\)$", "", text))


def imgcif_geometry(name: str, text: Any, shape: Any) -> Any:
    """The Geometry that an imgCIF header tells, in the MOSFLM frame; NanoBraggError where it tells too little.

    name: of the file. shape: (slow, fast). The first pixel's displacement is its corner's, as DIALS takes it.
    """
    tables = _Tables(name, text)
    axes, equipment = _axes(tables)
    fast, slow, pixel, start = _pixel_axes(tables)
    axes = {**axes, **{each: axes[each].replace(value=start[each]) for each in (fast, slow)}}
    outer = slow if fast in chain(axes, slow) else fast
    _, origin = placed(axes, outer)
    if slow not in chain(axes, outer) or fast not in chain(axes, outer):
        rotation, _ = placed(axes, axes[slow].depends_on)
        origin = origin + start[slow] * rotation @ axes[slow].direction
    directions = [placed(axes, axes[each].depends_on)[0] @ axes[each].direction for each in (fast, slow)]
    sources = [each for each, kind in equipment.items() if kind == "source"]
    beam = -axes[sources[0]].direction if sources else np.array([0.0, 0.0, -1.0])
    spindle, phi0, osc = _scan(tables, axes, equipment)
    (wavelength,) = tables.rows("diffrn_radiation_wavelength", "wavelength")[0]
    exposure = tables.rows("diffrn_scan_frame", "integration_time", defaults={"integration_time": "1"})
    geometry = Geometry(
        wavelength=_number(wavelength) * 1e-10,
        beam=tuple(beam),
        spindle=tuple(spindle),
        phi0=radians(phi0),
        osc=radians(osc),
        exposure=(_number(exposure[0][0]) if exposure else 0.0) or 1.0,
        fast=tuple(directions[0]),
        slow=tuple(directions[1]),
        origin=tuple(origin),
        pixel_size=pixel,
        fpixels=shape[1],
        spixels=shape[0],
    )
    return geometry.in_mosflm()


def _axes(tables):
    """{name: Axis} at the settings of the frame, and {name: equipment}."""
    settings = {}
    shifts = ("angle", "displacement")
    for category, names in (("diffrn_scan_axis", [f"{x}_start" for x in shifts]), ("diffrn_scan_frame_axis", shifts)):
        for axis, angle, shift in tables.rows(
            category, "axis_id", *names, defaults=dict.fromkeys(("axis_id", *names), ".")
        ):
            settings[axis] = (angle, shift)
    vector = [f"vector[{i}]" for i in (1, 2, 3)]
    offset = [f"offset[{i}]" for i in (1, 2, 3)]
    axes, equipment = {}, {}
    for name, kind, where, depends, *numbers in tables.rows(
        "axis",
        *("id", "type", "equipment", "depends_on", *vector, *offset),
        defaults={"equipment": ".", "depends_on": ".", **dict.fromkeys(offset, "0")},
    ):
        numbers = [_number(number) for number in numbers]
        angle, shift = (_number(value) for value in settings.get(name, (".", ".")))
        axes[name] = Axis(
            rotation=kind == "rotation",
            vector=numbers[:3],
            offset=[x * MM for x in numbers[3:]],
            value=angle if kind == "rotation" else shift * MM,
            depends_on="." if depends in (".", "?") else depends,
        )
        equipment[name] = where
    return axes, equipment


def _pixel_axes(tables):
    """The names of the axes along fast and slow, the pixel size in m, and {axis: the first pixel's displacement, m}."""
    rows = tables.rows("array_structure_list", "axis_set_id", "precedence")
    order = [name for name, _ in sorted(rows, key=lambda row: int(row[1]))]
    steps = {
        group: (axis, _number(start) * MM, _number(step) * MM)
        for group, axis, start, step in tables.rows(
            "array_structure_list_axis",
            *("axis_set_id", "axis_id", "displacement", "displacement_increment"),
            defaults={"displacement": "0"},
        )
    }
    if len(order) != 2 or any(name not in steps for name in order):
        raise NanoBraggError(f"{tables.name} has several detector elements, or says nothing of their axes")
    (fast, first, width), (slow, second, height) = (steps[name] for name in order)
    if not width > 0 or abs(width - height) > 1e-6 * width:
        raise NanoBraggError(f"{tables.name} has pixels of {width / MM:g} x {height / MM:g} mm; nanoBragg's are square")
    return fast, slow, width, {fast: first, slow: second}


def _scan(tables, axes, equipment):
    """The spindle, the starting angle and the width of the rotation, degrees."""
    turning = [each for each, kind in equipment.items() if kind == "goniometer" and axes[each].rotation]
    steps = {
        axis: _number(step) or _number(width)
        for axis, step, width in tables.rows(
            "diffrn_scan_axis",
            *("axis_id", "angle_increment", "angle_range"),
            defaults=dict.fromkeys(("axis_id", "angle_increment", "angle_range"), "."),
        )
    }
    if not turning:
        raise NanoBraggError(f"the header of {tables.name} has no axis of a goniometer")
    axis = next((each for each in turning if steps.get(each)), turning[0])
    rotation, _ = placed(axes, axes[axis].depends_on)
    return rotation @ axes[axis].direction, axes[axis].value, steps.get(axis, 0.0)
