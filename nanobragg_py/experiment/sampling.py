"""The steps as users state them; `nanobragg_py.experiment.parts` says what the fields of all parts have in common."""

from __future__ import annotations

import dataclasses

from .checks import count, finite, flag, nonnegative, vector
from .fields import AT_LEAST_ONE, AUTOMATIC, NEGATIVE, NOT_POSITIVE, SWITCHED, field
from .part import Part, Vector
from .units import ANGSTROM, DEGREES, TURN


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Sampling(Part):
    """How the continuous things are cut into steps, and what else decides the sum."""

    oversample: int | None = field(
        "oversample", count, "", "sub-pixels a side; None: as the crystal's size asks for", unset=NOT_POSITIVE
    )
    oversample_thick: bool = field("oversample_thick", flag, "", "absorption of every sub-step")
    oversample_polar: bool = field("oversample_polar", flag, "", "polarization of every sub-step")
    oversample_omega: bool = field("oversample_omega", flag, "", "solid angle of every sub-step")
    phi0: float = field("phi0", finite, "rad", "spindle angle at the start", usual=DEGREES)
    osc: float | None = field(
        "osc", nonnegative, "rad", "spindle rotation during the image", unset=NEGATIVE, usual=TURN
    )
    phistep: float | None = field("phistep", nonnegative, "rad", "step of the spindle", unset=NEGATIVE, usual=TURN)
    phisteps: int | None = field("phisteps", count, "", "number of steps", unset=NEGATIVE, way=AT_LEAST_ONE)
    spindle: Vector | None = field("spindle_axis", vector, "", "axis of the phi rotation; None: 0 0 1", custom=True)
    dmin: float = field(
        "dmin", nonnegative, "m", "leaves out what diffracts beyond this resolution; 0: nothing", usual=ANGSTROM
    )
    interpolate: bool | None = field(
        "interpolate",
        flag,
        "",
        "tricubic interpolation of structure factors; None: where the crystal has 2 cells or fewer along an axis",
        unset=AUTOMATIC,
        way=SWITCHED,
    )
    water: float = field("water", nonnegative, "m", "background of so much water")
