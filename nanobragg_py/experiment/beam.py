"""The beam as users state it; `nanobragg_py.experiment.parts` says what the fields of all parts have in common."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..errors import FieldError
from ..flags.options import DEFAULTS
from ..hints import warn_caller
from .checks import count, finite, flag, nonnegative, positive, source_rows, spectrum, vector
from .fields import INVERTED, NEGATIVE, NOT_POSITIVE, Field, field
from .part import Part, Vector
from .units import ANGSTROM, MICRONS, SMALL_DEGREES, energy_wavelength, in_unit, suspicion, wavelength_energy

if TYPE_CHECKING:
    from typing import Self


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
    spectrum: tuple[tuple[float, ...], tuple[float, ...]] | None = field(
        "spectrum_file",
        spectrum,
        "m",
        "None, or (wavelengths, weights), or the name of a file with lines of wavelength (A) and weight: in place of "
        "wavelength and dispersion; only the weights' ratios count",
        way=None,
        energy=True,
    )
    sources: tuple | None = field(
        "source_file",
        source_rows,
        "",
        "None, or rows (X, Y, Z, weight, wavelength) of explicit sources, positions and wavelengths in m as seen from "
        "the sample, None for a default (10 m up the beam, 1, wavelength); weights count, but in the reference's "
        "physics",
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
