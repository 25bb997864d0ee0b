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
from collections.abc import Sequence
from math import pi, radians
from typing import TYPE_CHECKING, Any

from ..constants import CONVENTIONS
from ..errors import FieldError
from ..kernels.loops.job import SHAPES
from ..orientation import b_matrix, rotation_to_missets
from .fields import (
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

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

Vector = tuple[float, float, float]

NAN = float("nan")


class Unset:
    """How an option says "not given": test tells whether a value means that, value is what to write for it."""

    def __init__(self, value, test):
        self.value = value
        self.test = test


NEGATIVE = Unset(-1, lambda x: x < 0)
NOT_POSITIVE = Unset(-1, lambda x: x <= 0)
ZERO = Unset(0, lambda x: x == 0)
NOT_A_NUMBER = Unset(NAN, lambda x: x != x)


def option(default, check, name=None, unset=None) -> Any:
    """A field: its default, its check, the option it stands for (None: see `nanobragg_py.experiment.options_map`)."""
    return dataclasses.field(default=default, metadata={"check": check, "option": name, "unset": unset})


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Base of the parts: checks fields on construction, compares by value."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            name = f"{type(self).__name__.lower()}.{field.name}"
            object.__setattr__(self, field.name, field.metadata["check"](name, value))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; raises FieldError for a name that is no field."""
        check_names(self, changes)
        return dataclasses.replace(self, **changes)

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return all(same(getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))

    def __hash__(self):
        return hash(tuple(v for f in dataclasses.fields(self) if not hasattr(v := getattr(self, f.name), "shape")))


def check_names(part, changes):
    """Raise FieldError for a change that names no field."""
    names = [field.name for field in dataclasses.fields(part)]
    for name in changes:
        if name not in names:
            what = type(part).__name__
            raise FieldError(f"{what} has no field {name!r}; its fields are {', '.join(names)}")


def same(one, other):
    """Equality that takes arrays as well."""
    if hasattr(one, "shape") or hasattr(other, "shape"):
        return (
            getattr(one, "shape", None) == getattr(other, "shape", None)
            and memoryview(one).tobytes() == memoryview(other).tobytes()
        )
    return one == other


@dataclasses.dataclass(frozen=True, eq=False)
class Beam(Part):
    """The incident beam.

    wavelength: m. fluence: photons/m^2; a flux (photons/s) other than 0 replaces it by flux * exposure / size^2, with
    exposure in s and size (of the square beam) in m. polarization: Kahn factor, -1 to 1; polarized: False switches the
    polarization factor off. direction, polarization_axis (the E-vector): unit vectors, only with the detector
    convention CUSTOM; None: (1 0 0) and (0 0 1).

    dispersion: full range of wavelengths as a part of the wavelength, in dispersion_steps. hdivrange, vdivrange: full
    ranges of directions, radians, cut in hdivsteps, vdivsteps of hdivstep, vdivstep; of each three, one or two may be
    None and follow from the rest as the reference has it. round_divergence: cut the grid to an ellipse.

    sources: None, or rows (X, Y, Z, weight, wavelength) of explicit sources, positions and wavelengths in m as seen
    from the sample, None for a default (10 m up the beam, 1, wavelength); as in the reference, weights do not enter
    the image.
    """

    wavelength: float = option(1e-10, positive, "wavelength")
    fluence: float = option(125932015286227086360700780544.0, nonnegative, "fluence")
    flux: float = option(0.0, nonnegative, "flux")
    exposure: float = option(1.0, nonnegative, "exposure")
    size: float = option(1e-4, nonnegative, "beamsize")
    polarization: float = option(0.0, finite, "polarization")
    polarized: bool = option(True, flag)
    direction: Vector | None = option(None, vector)
    polarization_axis: Vector | None = option(None, vector)
    dispersion: float = option(0.0, nonnegative, "dispersion")
    dispersion_steps: int | None = option(None, count, "dispsteps", NOT_POSITIVE)
    hdivrange: float | None = option(None, nonnegative, "hdivrange", NEGATIVE)
    hdivstep: float | None = option(None, positive, "hdivstep", NOT_POSITIVE)
    hdivsteps: int | None = option(None, count, "hdivsteps", NOT_POSITIVE)
    vdivrange: float | None = option(None, nonnegative, "vdivrange", NEGATIVE)
    vdivstep: float | None = option(None, positive, "vdivstep", NOT_POSITIVE)
    vdivsteps: int | None = option(None, count, "vdivsteps", NOT_POSITIVE)
    round_divergence: bool = option(True, flag, "round_div")
    sources: tuple | None = option(None, source_rows)


@dataclasses.dataclass(frozen=True, eq=False)
class Detector(Part):
    """A flat (or cylindrically curved) detector; `Detector.flat` states the common case in fewer words.

    fpixels, spixels: pixels along fast and slow; None: as many as detsize_f, detsize_s (m) hold. pixel_size: m.
    distance: along the beam, m; close_distance: along the normal, overrides it. convention: the program whose
    laboratory axes and beam centre count; pivot ("beam" or "sample") and the vectors fast, slow, normal, twotheta_axis
    only with CUSTOM. rotations: of the detector about the laboratory's x, y, z, radians; twotheta: swing about its
    axis, radians. Xbeam, Ybeam: beam centre, m, in the convention's axes; Xclose, Yclose: near point, m; ORGX, ORGY:
    the near point in XDS's pixels; None: the middle, as the convention has it.

    thickness: of the sensor, m; thicksteps: number of its layers; mu: 1/m; None: as the reference fills them in.
    curved: every pixel at the same distance. point_pixel: solid angle without obliquity.
    roi: (fast min, fast max, slow min, slow max), inclusive; None: the whole detector.
    mask: None, or uint16 of shape (slow, fast), 0 = leave the pixel out.
    """

    fpixels: int | None = option(None, count, "fpixels", ZERO)
    spixels: int | None = option(None, count, "spixels", ZERO)
    pixel_size: float = option(1e-4, positive, "pixel_size")
    detsize_f: float = option(102.4e-3, positive, "detsize_f")
    detsize_s: float = option(102.4e-3, positive, "detsize_s")
    distance: float = option(0.1, positive, "distance")
    close_distance: float | None = option(None, positive, "close_distance", NOT_A_NUMBER)
    convention: str = option("MOSFLM", choice(*CONVENTIONS, "CUSTOM"), "convention")
    pivot: str | None = option(None, choice("beam", "sample"))
    fast: Vector | None = option(None, vector)
    slow: Vector | None = option(None, vector)
    normal: Vector | None = option(None, vector)
    twotheta_axis: Vector | None = option(None, vector)
    rotations: Vector = option((0.0, 0.0, 0.0), numbers(3))
    twotheta: float = option(0.0, finite, "twotheta")
    Xbeam: float | None = option(None, finite, "Xbeam", NOT_A_NUMBER)
    Ybeam: float | None = option(None, finite, "Ybeam", NOT_A_NUMBER)
    Xclose: float | None = option(None, finite, "Xclose", NOT_A_NUMBER)
    Yclose: float | None = option(None, finite, "Yclose", NOT_A_NUMBER)
    ORGX: float | None = option(None, finite, "ORGX", NOT_A_NUMBER)
    ORGY: float | None = option(None, finite, "ORGY", NOT_A_NUMBER)
    thickness: float = option(0.0, nonnegative, "detector_thick")
    thicksteps: int | None = option(None, count, "detector_thicksteps", NOT_POSITIVE)
    mu: float | None = option(None, nonnegative, "detector_mu", NEGATIVE)
    curved: bool = option(False, flag, "curved_det")
    point_pixel: bool = option(False, flag, "point_pixel")
    roi: tuple[int, int, int, int] | None = option(None, region)
    mask: Any = option(None, mask_pixels)

    def __post_init__(self):
        super().__post_init__()
        if self.mask is not None:
            # the size of a mask image is the detector's, as on the command line
            for name, extent in zip(("spixels", "fpixels"), self.mask.shape, strict=True):
                if getattr(self, name) is None:
                    object.__setattr__(self, name, extent)

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
        f, s = numbers(2)("detector.beam_centre", beam_centre)
        if made.convention == "ADXV":
            return made.replace(Xbeam=f, Ybeam=made.pixel_size * slow - s)
        if made.convention == "MOSFLM":
            return made.replace(Xbeam=s - made.pixel_size / 2.0, Ybeam=f - made.pixel_size / 2.0)
        if made.convention == "DENZO":
            return made.replace(Xbeam=s, Ybeam=f)
        if made.convention == "CUSTOM":
            return made.replace(Xbeam=f, Ybeam=s)
        return made.replace(ORGX=f / made.pixel_size + 0.5, ORGY=s / made.pixel_size + 0.5)


@dataclasses.dataclass(frozen=True, eq=False)
class Crystal(Part):
    """The crystal; made with `from_cell`, `from_matrix`, `from_vectors` or `from_UB`.

    lengths, angles: unit cell, Angstrom and radians. matrix: 3 x 3, columns a*, b*, c* in 1/Angstrom at phi = 0; one of
    the two is needed, and with both, the matrix gives directions and the cell the lengths. missets: rotations about the
    laboratory's x, then y, then z, radians, applied to either; or "random", drawn with misset_seed as -misset random
    does (which is not uniform; see `nanobragg_py.random_rotations`).

    cells: unit cells along a, b, c; sample_size: the crystal's edges along them, m, which override cells where they are
    not 0, clipped by the beam's size. shape: square, round, gauss or tophat; fudge: its width.
    mosaic_spread: radians, of mosaic_domains rotations drawn with mosaic_seed; None: 0, and 10 domains with a spread.

    With lengths alone the orientation is the reference's: a* along x, b* in the x-y plane, slightly distorted for cells
    that are not orthogonal, as there.
    """

    lengths: Vector | None = option(None, numbers(3, positive))
    angles: Vector | None = option(None, numbers(3, positive))
    matrix: ArrayLike | None = option(None, matrix)
    missets: Vector | str | None = option(None, lambda name, x: x if x == "random" else numbers(3)(name, x))
    misset_seed: int | None = option(None, seed)
    cells: tuple[int, int, int] = option((1, 1, 1), numbers(3, count))
    sample_size: Vector = option((0.0, 0.0, 0.0), numbers(3, nonnegative))
    shape: str = option("square", choice(*SHAPES), "shape")
    fudge: float = option(1.0, finite, "fudge")
    mosaic_spread: float | None = option(None, nonnegative, "mosaic_spread", NEGATIVE)
    mosaic_domains: int | None = option(None, count, "mosaic_domains", NOT_POSITIVE)
    mosaic_seed: int = option(12345678, seed)

    def __post_init__(self):
        super().__post_init__()
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
        al, be, ga = (pi / 2 if angle == 90.0 else radians(angle) for angle in (alpha, beta, gamma))
        return cls(lengths=lengths, angles=(al, be, ga), **more)

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
        """The crystal turned by a 3 x 3 rotation matrix from the setting that its cell or matrix states."""
        return self.replace(missets=rotation_to_missets(rotation), misset_seed=None)


@dataclasses.dataclass(frozen=True, eq=False)
class Sampling(Part):
    """How the continuous things are cut into steps, and what else decides the sum.

    oversample: sub-pixels a side; None: as many as the crystal's size asks for. oversample_thick, _polar, _omega:
    weight every contribution rather than the pixel. phi0: spindle angle at the start, osc: range, phistep: step,
    radians, phisteps: number; those left out follow from the others. spindle: its axis, only with the detector
    convention CUSTOM; None: (0 0 1). dmin: m, leaves out what diffracts beyond this resolution. interpolate: tricubic
    interpolation of structure factors; None: where the crystal has 2 cells or fewer along an axis. water: thickness,
    m.
    """

    oversample: int | None = option(None, count, "oversample", NOT_POSITIVE)
    oversample_thick: bool = option(False, flag, "oversample_thick")
    oversample_polar: bool = option(False, flag, "oversample_polar")
    oversample_omega: bool = option(False, flag, "oversample_omega")
    phi0: float = option(0.0, finite, "phi0")
    osc: float | None = option(None, nonnegative, "osc", NEGATIVE)
    phistep: float | None = option(None, nonnegative, "phistep", NEGATIVE)
    phisteps: int | None = option(None, count, "phisteps", NEGATIVE)
    spindle: Vector | None = option(None, vector)
    dmin: float = option(0.0, nonnegative, "dmin")
    interpolate: bool | None = option(None, flag)
    water: float = option(0.0, nonnegative, "water")
