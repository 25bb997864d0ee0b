"""The panels of a detector that has several, each as a detector of its own that the kernels understand."""

from copy import copy

from ...errors import OptionError
from ...vectors import cross, dot, length, scale
from .detector import placed_detector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..resolved import ResolvedDetector

#: cosine between beam and normal below which a panel has no distance along the beam
EDGE_ON = 1e-9
#: part of a pixel by which a panel's plane must miss the sample
THROUGH = 1e-6


def resolve_panels(options: "Any", frame: "Any", panels: "Any", sensor: "Any") -> "tuple[Any, ...]":
    """A `ResolvedDetector` for each of the panels.

    options: an Options, for what holds for all of them. frame: what `orient` gave. panels: Panels, or Planes of a file.
    sensor: called with an Options, gives (layers, thickness, layer thickness, mu).
    """
    common = sensor(options)
    return tuple(resolve_panel(options, frame, panel, _own_sensor(options, panel, sensor, common)) for panel in panels)


def placed_options() -> "tuple[str, ...]":
    """The options of size and place of one detector, which do not count where there are panels.

    Region and mask do: they are of the image that holds all panels, and each panel has its part of them.
    """
    from ..fields import rows_of
    from ..panels import SHARED
    from ..parts import Detector

    rows = (row for row in rows_of(Detector) if row.name not in (*SHARED, "roi", "mask"))
    return tuple(option for row in rows for option in row.options)


def panel_places(panels: "Any") -> "tuple[Any, Any, Any]":
    """Names, corners (slow, fast) and the shape (slow, fast) of one image that holds all panels."""
    from ...files.panels import place_panels

    shape, corners = place_panels(panels)
    return tuple(panel.name for panel in panels), tuple(corners), shape


def _own_sensor(options, panel, sensor, common):
    """The panel's sensor where it states one, else the one of all panels."""
    stated = (panel.thickness, panel.mu, getattr(panel, "thicksteps", None))
    if all(value is None for value in stated) or (not panel.thickness and panel.mu is None):
        return common
    own = copy(options)
    for name, value in zip(("detector_thick", "detector_mu", "detector_thicksteps"), stated, strict=True):
        if value is not None:
            setattr(own, name, value)
    return sensor(own)


def resolve_panel(options: "Any", frame: "Any", panel: "Any", sensor: "Any") -> "ResolvedDetector":
    """The `ResolvedDetector` of one panel. sensor: (layers, thickness, layer thickness, mu)."""
    fast, slow, origin = (tuple(getattr(panel, name)) for name in ("fast", "slow", "origin"))
    normal = cross(fast, slow)
    close_distance = dot(origin, normal)
    if close_distance < 0.0:
        normal, close_distance = scale(normal, -1.0), -close_distance
    pixel = panel.pixel_size
    if close_distance < THROUGH * pixel:
        raise OptionError(f"the plane of panel {panel.name} goes through the sample; move it")
    detsize_f, detsize_s = panel.fpixels * pixel, panel.spixels * pixel
    beam = frame.beam
    along = dot(beam, normal)
    if along > EDGE_ON:
        distance = close_distance / along
        spot = tuple(distance * beam[i] - origin[i] for i in range(3))
        Fbeam, Sbeam = dot(fast, spot), dot(slow, spot)
    else:
        # the beam never meets its plane: as far as its middle
        middle = tuple(origin[i] + detsize_f / 2.0 * fast[i] + detsize_s / 2.0 * slow[i] for i in range(3))
        distance, Fbeam, Sbeam = length(middle), 0.0, 0.0
    layers, thickness, thickstep, mu = sensor
    mask = getattr(panel, "mask", None)
    roi = getattr(panel, "roi", None)
    return placed_detector(
        options,
        beam,
        (fast, slow, normal),
        origin,
        (detsize_f, detsize_s, panel.fpixels, panel.spixels),
        pixel,
        (distance, close_distance),
        (Fbeam, Sbeam),
        thickness=thickness,
        thickstep=thickstep,
        thicksteps=layers,
        mu=mu,
        convention=options.convention,
        pivot="sample",
        Xbeam=Fbeam,
        Ybeam=Sbeam,
        Xclose=-dot(origin, fast),
        Yclose=-dot(origin, slow),
        roi=(0, panel.fpixels - 1, 0, panel.spixels - 1) if roi is None else roi,
        mask=None if mask is None else memoryview(mask.reshape(-1)),
    )
