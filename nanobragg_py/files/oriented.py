"""A crystal in the laboratory, and how it looks from another laboratory's frame."""

from typing import Any

import numpy as np

from ..errors import NanoBraggError
from ..records import REQUIRED, Record
from .geometry import frame_rotation

#: a*, b*, c* span less than this part of the product of their lengths: they lie in a plane
FLAT = 1e-9


class OrientedCrystal(Record):
    """A crystal at spindle angle 0.

    A: numpy array of shape (3, 3) with the columns a*, b*, c*, 1/Angstrom, in the laboratory frame of `geometry`.
    geometry: a Geometry, whose detector may be unknown. space_group: its number in International Tables.
    """

    _fields = {"A": REQUIRED, "geometry": REQUIRED, "space_group": 1}

    def _validate(self):
        A = np.asarray(self.A, float)
        sizes = np.linalg.norm(A, axis=0)
        if A.shape != (3, 3) or not np.isfinite(A).all() or not abs(np.linalg.det(A)) > FLAT * sizes.prod():
            raise NanoBraggError("the crystal's reciprocal vectors span no volume; correct the orientation")
        self._set("A", A)

    @property
    def direct(self) -> Any:
        """The vectors a, b, c, Angstrom, as the rows of an array of shape (3, 3)."""
        return np.linalg.inv(self.A)

    def in_frame(self, name: str) -> Any:
        """A in one of the frames of `geometry` (mosflm, xds, imgcif, mcstas)."""
        return self.geometry.frame(name) @ self.A

    def moved(self, geometry: Any) -> Any:
        """The same crystal in the laboratory frame of another Geometry: the same to the beam and to the spindle."""
        back = frame_rotation("mosflm", geometry.beam, geometry.spindle).T
        return self.replace(A=back @ self.in_frame("mosflm"), geometry=geometry)

    @property
    def squint(self) -> Any:
        """Degrees by which the angle between spindle and beam misses 90."""
        beam, spindle = (np.asarray(v) / np.linalg.norm(v) for v in (self.geometry.beam, self.geometry.spindle))
        return abs(float(np.degrees(np.arcsin(np.clip(beam @ spindle, -1.0, 1.0)))))
