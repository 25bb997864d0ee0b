"""Detectors of several panels, as files state them: a plane a panel, with its place in the stored image."""

import itertools

import numpy as np

from ..errors import NanoBraggError
from ..records import REQUIRED, Record
from .geometry import frame_rotation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: pixels by which panels may run into one another, as refined and rounded geometries do
TOUCHING = 1.0


class Plane(Record):
    """One panel. name: as the file has it. origin: outer corner of the first pixel, m. fast, slow: unit vectors.
    pixel_size: m. fpixels, spixels: pixels along fast and slow. thickness: of the sensor, m, 0 where unknown. mu: its
    attenuation coefficient, 1/m, or None. corner: (slow, fast) of the first pixel within the stored image, or None.
    mask: uint16 array (slow, fast), 0 for bad pixels, or None.
    """

    _fields = {
        "name": REQUIRED,
        "origin": REQUIRED,
        "fast": REQUIRED,
        "slow": REQUIRED,
        "pixel_size": REQUIRED,
        "fpixels": REQUIRED,
        "spixels": REQUIRED,
        "thickness": 0.0,
        "mu": None,
        "corner": None,
        "mask": None,
    }

    @property
    def size(self) -> "tuple[float, float]":
        """Edges along fast and slow, m."""
        return self.fpixels * self.pixel_size, self.spixels * self.pixel_size


class PanelGeometry(Record):
    """The panels of a detector, with beam and spindle in the same frame.

    beam: unit vector along which it travels. spindle: unit vector. panels: Planes. wavelength: m, or None where the
    file does not say. remarks: sentences about what was odd in the file. took_distance: whether the distance that was
    given stands in for one that the file only refers to.
    """

    _fields = {
        "beam": REQUIRED,
        "spindle": REQUIRED,
        "panels": REQUIRED,
        "wavelength": None,
        "remarks": (),
        "took_distance": False,
    }

    def in_frame(self, beam: "Any" = (1.0, 0.0, 0.0), spindle: "Any" = (0.0, 0.0, 1.0)) -> "Any":
        """The same in the frame where beam and spindle have these directions, of the MOSFLM convention unless given."""
        turn = frame_rotation("mosflm", beam, spindle).T @ frame_rotation("mosflm", self.beam, self.spindle)

        def turned(vector):
            return tuple((np.round(turn @ np.asarray(vector, float), 15) + 0.0).tolist())

        panels = tuple(
            plane.replace(**{name: turned(getattr(plane, name)) for name in ("origin", "fast", "slow")})
            for plane in self.panels
        )
        return self.replace(beam=tuple(beam), spindle=tuple(spindle), panels=panels)


def check_panels(panels: "Any") -> None:
    """Raise NanoBraggError, naming them, for panels without pixels, of axes that are not square, or that overlap."""
    if not panels:
        raise NanoBraggError("there are no panels; give at least one")
    for plane in panels:
        if plane.fpixels < 1 or plane.spixels < 1:
            raise NanoBraggError(f"panel {plane.name} has no pixels; it is {plane.fpixels} x {plane.spixels}")
        if not plane.pixel_size > 0.0 or not np.isfinite([*plane.origin, *plane.fast, *plane.slow]).all():
            raise NanoBraggError(f"panel {plane.name} has a number that makes no sense; give a place and a pixel size")
        if abs(np.dot(plane.fast, plane.slow)) > 1e-4:
            raise NanoBraggError(f"panel {plane.name} has fast and slow axes that are not at right angles")
    pair = overlapping(panels)
    if pair:
        raise NanoBraggError(f"panels {pair[0].name} and {pair[1].name} overlap; move one of them")
    place_panels(panels)


def overlapping(panels: "Any") -> "Any":
    """The first two panels that share more than their edges in space, or None.

    Two planes count as one within half a pixel: panels that lie behind one another are no error.
    """
    fast, slow = (np.array([getattr(plane, name) for plane in panels]) for name in ("fast", "slow"))
    normal = np.cross(fast, slow)
    edge = np.array([plane.size for plane in panels])
    pixel = np.array([plane.pixel_size for plane in panels])
    origin = np.array([plane.origin for plane in panels])
    middle = origin + fast * edge[:, :1] / 2 + slow * edge[:, 1:] / 2
    radius = np.hypot(*edge.T) / 2
    for i in range(len(panels) - 1):
        apart = middle[i + 1 :] - middle[i]
        near = np.nonzero(np.einsum("ij,ij->i", apart, apart) < (radius[i] + radius[i + 1 :]) ** 2)[0] + i + 1
        for j in near:
            corners = [origin[j] + f * edge[j, 0] * fast[j] + s * edge[j, 1] * slow[j] for f in (0, 1) for s in (0, 1)]
            if max(abs(np.dot(corner - origin[i], normal[i])) for corner in corners) > pixel[i] / 2:
                continue
            # two rectangles of one plane are apart where they are along one of their four edges
            own = [origin[i] + f * edge[i, 0] * fast[i] + s * edge[i, 1] * slow[i] for f in (0, 1) for s in (0, 1)]
            depth = np.inf
            for axis in (fast[i], slow[i], fast[j], slow[j]):
                one, other = np.dot(own, axis), np.dot(corners, axis)
                depth = min(depth, min(one.max(), other.max()) - max(one.min(), other.min()))
            if depth > TOUCHING * max(pixel[i], pixel[j]):
                return panels[i], panels[j]
    return None


def place_panels(panels: "Any") -> "tuple[tuple[int, int], list[tuple[int, int]]]":
    """Where the panels are in one stored image: its shape (slow, fast), and the first pixel of each.

    Their own corners, where all have one; else one below the other. Raises NanoBraggError where they overlap there.
    """
    if any(plane.corner is None for plane in panels):
        rows = [0, *itertools.accumulate(plane.spixels for plane in panels)]
        return (rows[-1], max(plane.fpixels for plane in panels)), [(row, 0) for row in rows[:-1]]
    corners = [tuple(plane.corner) for plane in panels]
    if min(min(corner) for corner in corners) < 0:
        raise NanoBraggError("a panel begins outside the stored image; count its first pixel from 0")
    ends = [(s + plane.spixels, f + plane.fpixels) for (s, f), plane in zip(corners, panels, strict=True)]
    order = sorted(range(len(panels)), key=corners.__getitem__)
    for at, i in enumerate(order):
        for j in order[at + 1 :]:
            if corners[j][0] >= ends[i][0]:
                break
            if corners[j][1] < ends[i][1] and corners[i][1] < ends[j][1]:
                raise NanoBraggError(
                    f"panels {panels[i].name} and {panels[j].name} overlap in the stored image; move one of them"
                )
    return (max(end[0] for end in ends), max(end[1] for end in ends)), corners


def stored_image(panels: "Any", images: "Any") -> "Any":
    """The one image that holds the images of all panels, each where `place_panels` has it; elsewhere it is 0.

    images: a stack or a list of arrays (slow, fast), one a panel.
    """
    shape, corners = place_panels(panels)
    whole = np.zeros(shape, np.result_type(*images))
    for (slow, fast), image in zip(corners, images, strict=True):
        whole[slow : slow + image.shape[0], fast : fast + image.shape[1]] = image
    return whole


def panel_images(whole: "Any", places: "Any") -> "Any":
    """The images of the panels in one that holds all: a stack where they are alike, else a list.

    places: rows (first slow, first fast, slow, fast) of `panel_places`.
    """
    images = [whole[slow : slow + height, fast : fast + width] for slow, fast, height, width in places]
    return np.stack(images) if len({image.shape for image in images}) == 1 else images


def panel_places(panels: "Any") -> "Any":
    """Where the panels are in the image that holds all: rows (first slow, first fast, slow, fast), int64."""
    corners = place_panels(panels)[1]
    return np.array([(*corner, plane.spixels, plane.fpixels) for corner, plane in zip(corners, panels, strict=True)])
