"""The parts of an experiment as users state them: beam, detector, crystal and sampling.

These records say what is wanted; what follows from them (reciprocal vectors, the place of the first pixel, numbers of
steps) is worked out by `nanobragg_py.experiment.resolve`, the same code that serves the command line, and is found in
`Experiment.resolved`. Every field therefore stands for one option of the program, `None` meaning "not given".

SI units: metres, seconds, radians; photons/m^2 for the fluence. Cell lengths are in Angstrom and orientation matrices
in 1/Angstrom, as the field (and the reference program) has them. Vectors are in the laboratory frame of the detector's
convention, in which every axis is a coordinate axis (`nanobragg_py.constants.CONVENTIONS`).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from math import pi, radians
from typing import TYPE_CHECKING, Any

from ..constants import CONVENTIONS
from ..errors import FieldError, warn_caller
from ..flags.options import DEFAULTS
from ..kernels.loops.job import SHAPES
from ..orientation import b_matrix, missets_to_rotation, rotation_to_missets
from .checks import (
    choice,
    count,
    finite,
    flag,
    mask_pixels,
    matrix,
    nonnegative,
    numbers,
    positive,
    region,
    seed,
    source_rows,
    vector,
)
from .fields import (
    AT_LEAST_ONE,
    AUTOMATIC,
    CELLS,
    EDGES,
    FIELDS,
    INVERTED,
    NEGATED,
    NEGATIVE,
    NOT_A_NUMBER,
    NOT_POSITIVE,
    SWITCHED,
    ZERO,
    Field,
    field,
    rows_of,
)
from .panels import Panel, check_alone, panel_list, panels_of
from .part import Part
from .units import energy_wavelength, in_unit, suspicion, wavelength_energy

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

Vector = tuple[float, float, float]

#: what is usual, and the unit it is stated in: see `units.suspicion`
ANGSTROM, MILLIMETRES, MICRONS = ("A", 1e-12, 5e-9), ("mm", 1e-4, 50.0), ("mm", 1e-7, 5e-3)
DEGREES, SMALL_DEGREES, TURN = ("deg", 0.0, 2 * pi), ("deg", 0.0, 0.17), ("deg", 0.0, 0.7)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Beam(Part):
    """The incident beam.

    energy: of the photons, eV, or words such as "12.4 keV": another way to state the wavelength, here and in `replace`;
    as an attribute it is what the wavelength comes to. A flux other than 0 replaces the fluence by
    flux * exposure / size^2. Of each three of range, step and number of steps, one or two may be None and follow from
    the rest as the reference has it.
    """

    wavelength: float = field("wavelength", positive, "m", "wavelength", energy=True, usual=ANGSTROM)
    fluence: float = field("fluence", nonnegative, "photons/m^2", "photons through a square metre")
    flux: float = field("flux", nonnegative, "photons/s", "instead of the fluence; 0: not given")
    exposure: float = field("exposure", nonnegative, "s", "exposure time")
    size: float = field("beamsize", nonnegative, "m", "edge of the square beam", usual=MICRONS)
    polarization: float = field("polarization", finite, "", "Kahn factor, -1 to 1")
    polarized: bool = field("nopolar", flag, "", "False switches the polarization factor off", way=INVERTED)
    direction: Vector | None = field("beam_vector", vector, "", "direction of the beam; None: 1 0 0", custom=True)
    polarization_axis: Vector | None = field(
        "polar_vector", vector, "", "direction of the E-vector; None: 0 0 1", custom=True
    )
    dispersion: float = field("dispersion", nonnegative, "", "full range of wavelengths as a part of the wavelength")
    dispersion_steps: int | None = field("dispsteps", count, "", "wavelengths in that range", unset=NOT_POSITIVE)
    hdivrange: float | None = field(
        "hdivrange", nonnegative, "rad", "full range of directions", unset=NEGATIVE, usual=SMALL_DEGREES
    )
    hdivstep: float | None = field("hdivstep", positive, "rad", "step between them", unset=NOT_POSITIVE)
    hdivsteps: int | None = field("hdivsteps", count, "", "number of them", unset=NOT_POSITIVE)
    vdivrange: float | None = field(
        "vdivrange", nonnegative, "rad", "the same, vertically", unset=NEGATIVE, usual=SMALL_DEGREES
    )
    vdivstep: float | None = field("vdivstep", positive, "rad", "the same, vertically", unset=NOT_POSITIVE)
    vdivsteps: int | None = field("vdivsteps", count, "", "the same, vertically", unset=NOT_POSITIVE)
    round_divergence: bool = field("round_div", flag, "", "cut the grid of directions to an ellipse")
    sources: tuple | None = field(
        "source_file",
        source_rows,
        "",
        "None, or rows (X, Y, Z, weight, wavelength) of explicit sources, positions and wavelengths in m as seen from "
        "the sample, None for a default (10 m up the beam, 1, wavelength); as in the reference, weights do not enter "
        "the image",
        way=None,
    )
    energy: dataclasses.InitVar[Any] = None

    def __post_init__(self, energy: Any) -> None:
        if energy is not None:
            if self.wavelength != DEFAULTS["wavelength"]:
                raise FieldError("beam.wavelength and beam.energy state the same; give one of them")
            self.__dict__["wavelength"] = _wavelength_of(energy)
        super().__post_init__()

    def replace(self, **changes: Any) -> Self:
        """As of other parts; energy: instead of the wavelength."""
        if "energy" in changes:
            if "wavelength" in changes:
                raise FieldError("beam.wavelength and beam.energy state the same; give one of them")
            changes["wavelength"] = _wavelength_of(changes.pop("energy"))
        return super().replace(**changes)


#: eV, which follows from the wavelength: once the class has its __init__, which takes it as well
Beam.energy = property(lambda self: wavelength_energy(self.wavelength))  # type: ignore[attr-defined]


def _wavelength_of(energy):
    """The wavelength, m, of an energy as `Beam` takes it."""
    row = Field((), positive, "eV", "", part="beam", name="energy", usual=("keV", 100.0, 1e7))
    number = positive(row.full_name, in_unit(row, energy))
    if (sentence := suspicion(row, number)) is not None:
        warn_caller(sentence)
    return energy_wavelength(number)


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


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Crystal(Part):
    """The crystal; made with `from_cell`, `from_matrix`, `from_vectors` or `from_UB`.

    One of lengths and matrix is needed; with both, the matrix gives directions and the cell the lengths. With lengths
    alone the orientation is the reference's: a* along x, b* in the x-y plane, slightly distorted for cells that are
    not orthogonal, as there.
    """

    lengths: Vector | None = field("cell_lengths", numbers(3, positive), "A", "a, b, c of the unit cell", way=None)
    angles: Vector | None = field(
        "cell_angles", numbers(3, positive), "rad", "alpha, beta, gamma", way=None, usual=DEGREES
    )
    matrix: ArrayLike | None = field("matrix_file", matrix, "1/A", "3 x 3, columns a*, b*, c* at phi = 0", way=None)
    missets: Vector | str | None = field(
        "misset",
        lambda name, x: x if x == "random" else numbers(3)(name, x),
        "rad",
        'rotations about the laboratory\'s x, then y, then z, applied to cell or matrix; or "random", drawn as -misset '
        "random does, which is not uniform (see `nanobragg_py.random_rotations`)",
        way=None,
        usual=DEGREES,
    )
    misset_seed: int | None = field("misset_seed", seed, "", 'of missets = "random"', way=None)
    cells: tuple[int, int, int] = field("Na Nb Nc", numbers(3, count), "", "unit cells along a, b and c", way=CELLS)
    sample_size: Vector = field(
        "sample_x sample_y sample_z",
        numbers(3, nonnegative),
        "m",
        "edges along a, b and c, which override cells where they are not 0, clipped by the beam's size",
        way=EDGES,
        usual=MICRONS,
    )
    shape: str = field("shape", choice(*SHAPES), "", f"one of {', '.join(SHAPES)}")
    fudge: float = field("fudge", finite, "", "width of the spots")
    spot_width: str = field(
        "spot_width",
        choice("exact", "simtbx"),
        "",
        "of gauss and tophat: exact, so that they scatter what a crystal of their cells does, or as in simtbx",
    )
    mosaic_spread: float | None = field(
        "mosaic_spread", nonnegative, "rad", "mosaic spread, isotropic; None: 0", unset=NEGATIVE, usual=SMALL_DEGREES
    )
    mosaic_domains: int | None = field(
        "mosaic_domains", count, "", "mosaic domains; None: 10 with a spread", unset=NOT_POSITIVE
    )
    mosaic_seed: int = field("mosaic_seed", seed, "", "of the domains' rotations", way=NEGATED)
    mosaic_model: str = field(
        "mosaic_model",
        choice("cap", "gauss"),
        "",
        "cap: rotations up to the spread, as in the reference; gauss: normal, the spread being the standard deviation "
        "about each axis",
    )

    def _complete(self):
        if self.lengths is None and self.matrix is None:
            raise FieldError("crystal.lengths is missing; give a unit cell or crystal.matrix")
        if self.lengths is not None and self.angles is None:
            object.__setattr__(self, "angles", (pi / 2, pi / 2, pi / 2))
        if self.lengths is None and self.angles is not None:
            raise FieldError("crystal.angles needs crystal.lengths beside it")
        if self.missets == "random" and self.misset_seed is None:
            raise FieldError('crystal.misset_seed is needed with crystal.missets = "random"')

    @classmethod
    def from_cell(
        cls,
        a: float,
        b: float | None = None,
        c: float | None = None,
        alpha: float = 90.0,
        beta: float = 90.0,
        gamma: float = 90.0,
        *,
        rotation: ArrayLike | None = None,
        **more: Any,
    ) -> Crystal:
        """A crystal from its unit cell as -cell takes it: Angstrom and degrees; b and c default to a.

        rotation: a 3 x 3 rotation matrix that turns the crystal from its standard setting. more: further fields.
        """
        if rotation is not None:
            more["missets"] = rotation_to_missets(rotation)
        lengths = (a, a if b is None else b, a if c is None else c)
        # numbers are degrees here, and words say what they are
        angles: Any = tuple(
            x if isinstance(x, str) else pi / 2 if x == 90.0 else radians(x) for x in (alpha, beta, gamma)
        )
        return cls(lengths=lengths, angles=angles, **more)

    @classmethod
    def from_matrix(cls, A: ArrayLike, **more: Any) -> Crystal:
        """A crystal from its matrix A = UB: 3 x 3, columns a*, b*, c* in 1/Angstrom. more: further fields."""
        return cls(matrix=A, **more)

    @classmethod
    def from_vectors(cls, a: ArrayLike, b: ArrayLike, c: ArrayLike, **more: Any) -> Crystal:
        """A crystal from its real-space cell vectors, Angstrom, in the laboratory frame. more: further fields."""
        import numpy as np

        rows = np.array([vector(f"crystal.{name}", v) for name, v in (("a", a), ("b", b), ("c", c))])
        try:
            return cls(matrix=np.linalg.inv(rows), **more)
        except np.linalg.LinAlgError:
            raise FieldError(
                "crystal.a, crystal.b and crystal.c span no volume; give three different directions"
            ) from None

    @classmethod
    def from_UB(cls, U: ArrayLike, cell: Sequence[float], **more: Any) -> Crystal:
        """A crystal from a rotation U, 3 x 3, and its cell (a, b, c, alpha, beta, gamma), Angstrom and degrees.

        B is that of `nanobragg_py.b_matrix` (Busing & Levy, Acta Cryst. 22, 457, 1967; a* along x). more: further
        fields.
        """
        import numpy as np

        return cls(matrix=np.asarray(U, float) @ b_matrix(*cell), **more)

    def rotated(self, rotation: ArrayLike) -> Crystal:
        """The crystal turned, as it stands, by a 3 x 3 rotation matrix in the laboratory.

        Raises FieldError for missets that are drawn.
        """
        if self.missets == "random":
            raise FieldError(
                'crystal.missets is "random"; give the angles to turn the crystal from', fields=("crystal.missets",)
            )
        if self.missets is not None:
            import numpy as np

            rotation_to_missets(rotation)  # it is one
            missets: Any = self.missets
            rotation = np.asarray(rotation, dtype=float) @ missets_to_rotation(missets)
        return self.replace(missets=rotation_to_missets(rotation), misset_seed=None)


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


#: the parts by the names that experiments, files and messages give them
PARTS = {"beam": Beam, "detector": Detector, "crystal": Crystal, "sampling": Sampling}
#: the options of the vectors that count under CUSTOM
VECTOR_OPTIONS = tuple(row.options[0] for row in FIELDS if row.custom and row.check is vector)
