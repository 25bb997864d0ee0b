"""A panel of a detector that has several, as users state it, and the check of a list of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..errors import FieldError, NanoBraggError
from ..files.panels import check_panels
from .checks import count, mask_pixels, nonnegative, numbers, positive, region, vector
from .units import metres

Vector = tuple[float, float, float]

#: the detector's fields that hold for every panel
SHARED = ("panels", "convention", "thickness", "thicksteps", "mu", "point_pixel")


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """One flat panel; vectors are in the laboratory frame of the detector's convention.

    Lengths may be words with a unit, "0.1 mm".

    Fields:
        origin: outer corner of the first pixel (m)
        fast, slow: directions of its axes, at right angles; made unit vectors
        pixel_size: edge of a pixel (m)
        fpixels, spixels: pixels along fast and slow
        name: what messages call it; "": its number
        thickness: of the sensor (m); None: the detector's
        thicksteps: number of its layers; None: the detector's
        mu: attenuation coefficient (1/m); None: the detector's
        mask: None, or uint16 of shape (slow, fast), 0 = leave the pixel out
        roi: (fast min, fast max, slow min, slow max), inclusive; None: the whole panel
        corner: (slow, fast) of its first pixel within an image that holds all panels; None: one below the other
    """

    origin: Vector
    fast: Vector
    slow: Vector
    pixel_size: float
    fpixels: int
    spixels: int
    name: str = ""
    thickness: float | None = None
    thicksteps: int | None = None
    mu: float | None = None
    mask: Any = None
    roi: tuple[int, int, int, int] | None = None
    corner: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name, check in CHECKS.items():
            value = getattr(self, name)
            if name in LENGTHS:
                value = metres(f"panel.{name}", value)
            if value is not None:
                object.__setattr__(self, name, check(f"panel.{name}", value))
        if not isinstance(self.name, str):
            raise FieldError(f"panel.name is {self.name!r}; it must be a word")
        if self.mask is not None and self.mask.shape != (self.spixels, self.fpixels):
            raise FieldError(
                f"panel.mask has the shape {self.mask.shape}; the panel has {(self.spixels, self.fpixels)}"
            )

    @property
    def size(self) -> tuple[float, float]:
        """Edges along fast and slow, m."""
        return self.fpixels * self.pixel_size, self.spixels * self.pixel_size

    @property
    def shape(self) -> tuple[int, int]:
        """(slow, fast) pixels."""
        return self.spixels, self.fpixels

    def replace(self, **changes: Any) -> Panel:
        """A copy with some fields changed; raises FieldError for a name that is no field."""
        return dataclasses.replace(self, **_known(changes))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and _plain(self) == _plain(other)

    def __hash__(self) -> int:
        return hash((self.origin, self.fast, self.slow, self.fpixels, self.spixels))


def _unit(name, value):
    values = vector(name, value)
    length = sum(x * x for x in values) ** 0.5
    return values if abs(length - 1.0) < 1e-15 else tuple(x / length for x in values)


def _corner(name, value):
    if len(tuple(value)) != 2 or any(x != int(x) or x < 0 for x in value):
        raise FieldError(f"{name} is {value!r}; it must be two whole numbers of 0 or more, slow and fast")
    return tuple(int(x) for x in value)


#: fields that may be words with a unit
LENGTHS = ("origin", "pixel_size", "thickness")
#: the check of each field that has one
CHECKS = {
    "origin": numbers(3),
    "fast": _unit,
    "slow": _unit,
    "pixel_size": positive,
    "fpixels": count,
    "spixels": count,
    "thickness": nonnegative,
    "thicksteps": count,
    "mu": nonnegative,
    "mask": mask_pixels,
    "roi": region,
    "corner": _corner,
}


def _plain(panel):
    values = {field.name: getattr(panel, field.name) for field in dataclasses.fields(panel)}
    mask = values.pop("mask")
    return values, None if mask is None else (mask.shape, mask.tobytes())


def _known(values):
    names = [field.name for field in dataclasses.fields(Panel)]
    for name in values:
        if name not in names:
            raise FieldError(f"a panel has no field {name!r}; its fields are {', '.join(names)}")
    return values


def panel_list(name: str, value: Any) -> tuple[Panel, ...]:
    """The check of Detector.panels: one or more Panels, or dicts of their fields, that do not overlap."""
    if isinstance(value, str):
        raise FieldError(f"{name} is {value!r}; it must be a list of Panels: read a file with Detector.read")
    try:
        given = list(value)
    except TypeError:
        raise FieldError(f"{name} is {value!r}; it must be a list of Panels") from None
    made = []
    for number, panel in enumerate(given):
        if isinstance(panel, dict):
            try:
                panel = Panel(**_known(panel))
            except TypeError as error:
                raise FieldError(f"{name}[{number}]: {str(error).partition(') ')[2] or error}") from None
            except FieldError as error:
                raise FieldError(f"{name}[{number}]: {error}") from None
        if not isinstance(panel, Panel):
            raise FieldError(f"{name}[{number}] is {panel!r}; it must be a nanobragg_py.Panel")
        made.append(panel if panel.name else dataclasses.replace(panel, name=f"{number}"))
    try:
        check_panels(made)
    except NanoBraggError as error:
        raise FieldError(f"{name}: {error}") from None
    return tuple(made)


def panels_of(geometry: Any) -> tuple[Panel, ...]:
    """The Panels of a `nanobragg_py.files.panels.PanelGeometry`."""
    return tuple(
        Panel(
            origin=plane.origin,
            fast=plane.fast,
            slow=plane.slow,
            pixel_size=plane.pixel_size,
            fpixels=plane.fpixels,
            spixels=plane.spixels,
            name=plane.name,
            thickness=plane.thickness if plane.mu else None,
            mu=plane.mu,
            mask=plane.mask,
            corner=plane.corner,
        )
        for plane in geometry.panels
    )


def check_alone(detector: Any, rows: Any) -> None:
    """Raise FieldError for a field beside the panels of a detector that says where a single one is."""
    for row in rows:
        if row.name not in SHARED and getattr(detector, row.name) != row.default:
            raise FieldError(
                f"{row.full_name} cannot be given with detector.panels, which state their own place; leave it out",
                fields=(row.full_name,),
            )
