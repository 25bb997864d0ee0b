"""The panels that a file states, whatever its format."""

import re

from ...errors import NanoBraggError
from ..panels import PanelGeometry, check_panels
from ..reading import cannot_read
from . import crystfel, dials, nexus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = "a DIALS .expt, CrystFEL .geom or NXmx file"
#: what no text has
BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")


def read_panels(path: "Any", distance: "Any" = None) -> "PanelGeometry":
    """The panels that a file states, in the MOSFLM frame: DIALS .expt, CrystFEL .geom, or NXmx.

    distance: m; stands in where a CrystFEL file refers to its images for the camera length.
    Raises NanoBraggError, with the file and what is wrong in it.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise cannot_read(path, error, f"give {KINDS}") from None
    try:
        if start.startswith(nexus.MAGIC):
            found = nexus.read(path)
        elif start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            found = dials.read(path)
        elif BINARY.search(start):
            raise NanoBraggError(f"{path} is no known kind of geometry file; give {KINDS}")
        else:
            found = crystfel.read(path, distance)
    except MemoryError:
        raise _too_large(path) from None
    try:
        check_panels(found.panels)
    except NanoBraggError as error:
        raise NanoBraggError(f"{path}: {error}") from None
    except MemoryError:
        raise _too_large(path) from None
    return found.in_frame()


def _too_large(path):
    return NanoBraggError(f"{path} states more pixels than this machine has memory for; correct the panels' sizes")
