"""The detector as users state it; `nanobragg_py.experiment.parts` says what the fields of all parts have in common."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from ..constants import CONVENTIONS
from .checks import choice, count, finite, flag, mask_pixels, nonnegative, numbers, positive, region, vector
from .fields import NEGATIVE, NOT_A_NUMBER, NOT_POSITIVE, ZERO, Field, field, rows_of
from .panels import Panel, check_alone, panel_list, panels_of
from .part import Part, Vector
from .units import DEGREES, MICRONS, MILLIMETRES, in_unit


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Detector(Part):
    """A flat (or cylindrically curved) detector; `Detector.flat` states the common case in fewer words."""

    fpixels: int | None = field("fpixels", count, "", "pixels along fast; None: as many as detsize_f holds", unset=ZERO)
    spixels: int | None = field("spixels", count, "", "pixels along slow; None: as many as detsize_s holds", unset=ZERO)
    pixel_size: float = field("pixel_size", positive, "m", "edge of a pixel", usual=MICRONS)
    detsize_f: float = field("detsize_f", positive, "m", "edge along fast, where fpixels is None", usual=MILLIMETRES)
    detsize_s: float = field("detsize_s", positive, "m", "edge along slow, where spixels is None", usual=MILLIMETRES)
    distance: float = field("distance", positive, "m", "from the sample, along the beam", usual=MILLIMETRES)
    close_distance: float | None = field(
        "close_distance",
        positive,
        "m",
        "the same along the normal; overrides it",
        unset=NOT_A_NUMBER,
        usual=MILLIMETRES,
    )
    convention: str = field(
        "convention",
        choice(*CONVENTIONS, "CUSTOM"),
        "",
        f"the program whose laboratory axes and beam centre count: {', '.join(CONVENTIONS)} or CUSTOM",
    )
    pivot: str | None = field(
        "pivot", choice("beam", "sample"), "", "what rotations leave in place: beam or sample", custom=True
    )
    fast: Vector | None = field("fdet_vector", vector, "", "direction of the fast axis; None: 0 0 1", custom=True)
    slow: Vector | None = field("sdet_vector", vector, "", "direction of the slow axis; None: 0 -1 0", custom=True)
    normal: Vector | None = field("odet_vector", vector, "", "pointing away from the sample; None: 1 0 0", custom=True)
    twotheta_axis: Vector | None = field("twotheta_axis", vector, "", "axis of twotheta; None: 0 1 0", custom=True)
    rotations: Vector = field(
        "detector_rotx detector_roty detector_rotz",
        numbers(3),
        "rad",
        "about the laboratory's x, y and z",
        usual=DEGREES,
    )
    twotheta: float = field("twotheta", finite, "rad", "swing about its axis", usual=DEGREES)
    Xbeam: float | None = field(
        "Xbeam",
        finite,
        "m",
        "beam centre, X of the convention; None: the middle, as the convention has it",
        unset=NOT_A_NUMBER,
        usual=MILLIMETRES,
    )
    Ybeam: float | None = field(
        "Ybeam", finite, "m", "beam centre, Y of the convention", unset=NOT_A_NUMBER, usual=MILLIMETRES
    )
    Xclose: float | None = field(
        "Xclose", finite, "m", "X of the point nearest the sample", unset=NOT_A_NUMBER, usual=MILLIMETRES
    )
    Yclose: float | None = field(
        "Yclose", finite, "m", "Y of the point nearest the sample", unset=NOT_A_NUMBER, usual=MILLIMETRES
    )
    ORGX: float | None = field("ORGX", finite, "pixels", "that point along fast, as XDS has it", unset=NOT_A_NUMBER)
    ORGY: float | None = field("ORGY", finite, "pixels", "that point along slow, as XDS has it", unset=NOT_A_NUMBER)
    thickness: float = field("detector_thick", nonnegative, "m", "thickness of the sensor", usual=MICRONS)
    thicksteps: int | None = field(
        "detector_thicksteps", count, "", "number of its layers; None: as the reference has it", unset=NOT_POSITIVE
    )
    mu: float | None = field(
        "detector_mu", nonnegative, "1/m", "attenuation coefficient; None: as the reference has it", unset=NEGATIVE
    )
    curved: bool = field("curved_det", flag, "", "every pixel at the same distance")
    point_pixel: bool = field("point_pixel", flag, "", "solid angle without the obliquity of the pixel")
    roi: tuple[int, int, int, int] | None = field(
        "roi", region, "", "(fast min, fast max, slow min, slow max), inclusive; None: the whole detector", way=None
    )
    mask: Any = field(
        "mask_file", mask_pixels, "", "None, or uint16 of shape (slow, fast), 0 = leave the pixel out", way=None
    )
    panels: tuple[Panel, ...] | None = field(
        "geometry_file",
        panel_list,
        "",
        "None, or a list of `nanobragg_py.Panel`, in place of what the other fields say of size and place",
        way=None,
    )

    def _complete(self):
        if self.panels is not None:
            check_alone(self, rows_of(type(self)))
        if self.mask is not None:
            # the size of a mask image is the detector's, as on the command line
            for name, extent in zip(("spixels", "fpixels"), self.mask.shape, strict=True):
                if getattr(self, name) is None:
                    object.__setattr__(self, name, extent)

    @classmethod
    def read(cls, path: str | os.PathLike[str], **more: Any) -> Detector:
        """A detector from a file that states its panels: DIALS .expt, CrystFEL .geom, or NXmx.

        Its frame is that of the MOSFLM convention: beam along x, spindle along z. more: further fields. What the file
        says of the wavelength is in `nanobragg_py.read_panels`. Raises NanoBraggError.
        """
        from ..files.detectors.read import read_panels

        return cls(panels=panels_of(read_panels(os.fspath(path))), **more)

    @classmethod
    def flat(
        cls,
        pixels: int | tuple[int, int],
        pixel_size: float,
        distance: float,
        beam_centre: tuple[float, float] | None = None,
        convention: str = "MOSFLM",
        **more: Any,
    ) -> Detector:
        """A detector that faces the beam.

        pixels: along (fast, slow), or one number for both. pixel_size, distance: m. beam_centre: where the beam meets
        the detector, m along fast and slow from the outer corner of the first pixel; None: the middle as the convention
        has it. more: further fields.
        """
        fast, slow = (pixels, pixels) if isinstance(pixels, int) else pixels
        made = cls(fpixels=fast, spixels=slow, pixel_size=pixel_size, distance=distance, convention=convention, **more)
        if beam_centre is None:
            return made
        centre = Field((), numbers(2), "m", "", part="detector", name="beam_centre")
        f, s = centre.check(centre.full_name, in_unit(centre, beam_centre))
        if made.convention == "ADXV":
            return made.replace(Xbeam=f, Ybeam=made.pixel_size * slow - s)
        if made.convention == "MOSFLM":
            return made.replace(Xbeam=s - made.pixel_size / 2.0, Ybeam=f - made.pixel_size / 2.0)
        if made.convention == "DENZO":
            return made.replace(Xbeam=s, Ybeam=f)
        if made.convention == "CUSTOM":
            return made.replace(Xbeam=f, Ybeam=s)
        return made.replace(ORGX=f / made.pixel_size + 0.5, ORGY=s / made.pixel_size + 0.5)
