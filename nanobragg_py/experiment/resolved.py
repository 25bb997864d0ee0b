"""The resolved experiment: everything the kernels need to know, in SI units, with no trace of flags, words or files.

Lengths are in metres, angles in radians, vectors in the laboratory frame, unless a name says otherwise. The reciprocal
vectors are in 1/Angstrom, as the field (and the reference program) has them.
"""

from math import floor
from sys import float_info

from ..constants import AVOGADRO, R_E_SQR
from ..errors import FieldError
from ..records import REQUIRED, TYPE_CHECKING, Record
from .physics import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from typing import Any

    from numpy import ndarray
    from numpy.typing import ArrayLike


class Unasked:
    """Takes the place of `nanobragg_py.experiment.origins.Origins` where nobody asks what values come from."""

    def note(self, *what: "Any", **how: "Any") -> None:
        """Nothing is noted."""

    taken = filled = steps = follows = void = note


UNASKED = Unasked()
#: of a molecule of water, electrons, whatever the angle
WATER_F = 2.57
#: of spots with one profile in all directions, in the reference: the width of Gaussians, the cut-off of top-hats
SPOTS = {"gauss_width": 0.63, "tophat_cutoff": 0.3969}


class ResolvedBeam(Record):
    """The incident beam.

    direction: unit vector the beam travels along. wavelength: the central one, m.
    sources: rows (x, y, z, weight, wavelength) as given or generated, x y z being the position of the source seen from
    the sample. source_directions: unit vectors of those. relative_weights: how much each counts, on average 1; () where
    all count alike, as they always do in the reference's physics.
    fluence: photons/m^2. flux: photons/s. exposure: s. size: m.
    polarization: Kahn factor, -1 to 1. polarized: False switches the factor off. polarization_axis: unit vector of the
    E-vector. divergence_deviations: (h, v) radians of each grid point, empty for a source file, whose number of
    divergence steps the reference reports as -1; wavelength_steps: the wavelengths of the dispersion grid, m, empty for
    a source file.
    """

    _fields = {
        "direction": REQUIRED,
        "wavelength": REQUIRED,
        "sources": REQUIRED,
        "source_directions": REQUIRED,
        "relative_weights": (),
        "fluence": REQUIRED,
        "flux": 0.0,
        "exposure": 1.0,
        "size": 1e-4,
        "polarization": 0.0,
        "polarized": True,
        "polarization_axis": (0.0, 0.0, 1.0),
        "dispersion": 0.0,
        "dispersion_steps": 1,
        "hdivrange": 0.0,
        "hdivstep": 0.0,
        "vdivrange": 0.0,
        "vdivstep": 0.0,
        "divergence_steps": 1,
        "divergence_deviations": (),
        "wavelength_steps": (),
    }


class ResolvedDetector(Record):
    """A flat (or cylindrically curved) detector.

    fast, slow, normal: unit vectors, all rotations applied. origin: outer corner of the first pixel (pix0), m.
    fpixels, spixels: pixels along fast and slow. pixel_size: m. detsize_f, detsize_s: m.
    distance: along the beam, m. close_distance: along the normal, m.
    thickness, thickstep: sensor and layer thickness, m; thicksteps: layers; first_depth: of the first one, along the
    normal, m, the next ones thickstep deeper; deepening: 1 where a layer's own distance makes its solid angle, 0 where
    the front's does; mu: 1/m (negative: not set).
    Xbeam .. ORGY: the beam centre and near point in the conventions the header lists (m, pixels for ORG).
    dials_origin: mm. roi: (fast min, fast max, slow min, slow max), inclusive, may reach one past the end.
    mask: None, or a buffer of spixels*fpixels uint16 (0 = skip). mask_name: what the report calls it.
    """

    _fields = {
        "fast": REQUIRED,
        "slow": REQUIRED,
        "normal": REQUIRED,
        "origin": REQUIRED,
        "fpixels": REQUIRED,
        "spixels": REQUIRED,
        "pixel_size": REQUIRED,
        "detsize_f": REQUIRED,
        "detsize_s": REQUIRED,
        "distance": REQUIRED,
        "close_distance": REQUIRED,
        "curved": False,
        "point_pixel": False,
        "thickness": 0.0,
        "thickstep": 0.0,
        "thicksteps": 1,
        "first_depth": 0.0,
        "deepening": 0.0,
        "mu": -1.0,
        "convention": "CUSTOM",
        "pivot": "beam",
        "twotheta": 0.0,
        "Xbeam": 0.0,
        "Ybeam": 0.0,
        "Fbeam": 0.0,
        "Sbeam": 0.0,
        "Xclose": 0.0,
        "Yclose": 0.0,
        "Fclose": 0.0,
        "Sclose": 0.0,
        "ORGX": 0.0,
        "ORGY": 0.0,
        "dials_origin": (0.0, 0.0, 0.0),
        "beam_in_detector_frame": (0.0, 0.0, 1.0),
        "roi": REQUIRED,
        "mask": None,
        "mask_name": None,
    }


class ResolvedCrystal(Record):
    """The crystal at phi = 0, before mosaic rotation.

    a, b, c: real-space cell vectors, m. a_star, b_star, c_star: reciprocal ones, 1/Angstrom, dual to them.
    lengths, angles, reciprocal_lengths, reciprocal_angles: Angstrom, radians, 1/Angstrom, radians. volume: Angstrom^3.
    cells: (Na, Nb, Nc) floats, whole but in the exact physics of shapes that are no parallelepiped. shape: one of
    SHAPES (kernels/loops/crystal.pxi). fudge: the shape parameter.
    mosaic_spread: radians. mosaic_domains: number. mosaic_rotations: buffer of mosaic_domains*9 float64, row-major
    matrices; the first is the identity. missets: radians, or None; random_misset: True when they were drawn.
    spot_axes, spot_scale: the squared distance h, k, l from a lattice point is spot_scale |h axes[0] + k axes[1] +
    l axes[2]|^2 for shapes whose spots have one profile in all directions; gauss_width, tophat_cutoff: of those.
    share: how often its photons count. domains_turn: the domains' rotations are of the crystal, which phi then turns;
    else they follow phi. structure_factors: of its own, or None.
    molecular_weight: g/mol, the estimate that is printed. size: edges in m.
    """

    _fields = {
        "a": REQUIRED,
        "b": REQUIRED,
        "c": REQUIRED,
        "a_star": REQUIRED,
        "b_star": REQUIRED,
        "c_star": REQUIRED,
        "lengths": REQUIRED,
        "angles": REQUIRED,
        "reciprocal_lengths": REQUIRED,
        "reciprocal_angles": REQUIRED,
        "volume": REQUIRED,
        "cells": (1.0, 1.0, 1.0),
        "shape": "square",
        "fudge": 1.0,
        "spot_axes": REQUIRED,
        "spot_scale": REQUIRED,
        "gauss_width": REQUIRED,
        "tophat_cutoff": REQUIRED,
        "mosaic_spread": 0.0,
        "mosaic_domains": 1,
        "mosaic_rotations": None,
        "share": 1.0,
        "domains_turn": False,
        "missets": None,
        "random_misset": False,
        "structure_factors": None,
        "molecular_weight": 0.0,
        "size": (0.0, 0.0, 0.0),
    }


class ResolvedSampling(Record):
    """How the continuous things are cut into steps.

    oversample: sub-pixels a side. oversample_thick, _polar, _omega: weight every contribution rather than the pixel.
    phi0, osc, phistep: radians; phisteps: number; spindle: unit vector. dmin: m, 0 = no cut.
    interpolate: tricubic interpolation of structure factors. water: thickness, m.
    steps: sources * domains * phisteps * oversample^2.
    """

    _fields = {
        "oversample": 1,
        "oversample_thick": False,
        "oversample_polar": False,
        "oversample_omega": False,
        "recommended_oversample": 1,
        "auto_oversample": False,
        "phi0": 0.0,
        "osc": 0.0,
        "phistep": 0.0,
        "phisteps": 1,
        "spindle": (0.0, 0.0, 1.0),
        "dmin": 0.0,
        "interpolate": False,
        "water": 0.0,
        "steps": 1,
    }


class StructureFactors(Record):
    """A dense box of amplitudes and what lies outside it.

    bounds: (hmin, hmax, kmin, kmax, lmin, lmax), or None when there is no table. values: buffer of float64 in the dump
    file's layout: (hmax-hmin+2, kmax-kmin+2, lmax-lmin+2), h outermost, the last layer of each axis 0. count: how many
    rows were read, as reported. default_F: amplitude of every index that is not in the box. wavelengths: (), or those,
    m, of several tables, which values then are one after the other: (tables, ...); between two of them amplitudes are
    linear in the wavelength, and every source has those of its own.

    Made from a number alone (``StructureFactors(default_F=100)``), from arrays or from files; `read` goes by the file's
    content. All of them state space group P1 in the end: see `nanobragg_py.experiment.structure_factors`.
    """

    _fields = {
        "bounds": None,
        "values": None,
        "count": 0,
        "default_F": 0.0,
        "wavelengths": (),
    }

    bounds: "tuple[int, int, int, int, int, int] | None"
    values: "Any"
    count: "int"
    default_F: "float"
    wavelengths: "tuple[float, ...]"

    def _validate(self):
        if (self.bounds is None) != (self.values is None):
            raise FieldError("structure_factors needs bounds and values together")
        if self.wavelengths:
            from .structure_factors import check_wavelengths

            self._set("wavelengths", check_wavelengths(self.wavelengths, self.bounds))
        # a comparison and not isfinite, which a whole number of hundreds of digits overflows
        if not isinstance(self.default_F, (int, float)) or not abs(self.default_F) <= float_info.max:
            raise FieldError(f"structure_factors.default_F is {self.default_F!r:.40}; it must be a finite number")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        # not the count, which says how the table came about and does not enter the image
        mine, others = ((each.bounds, each.default_F, each.wavelengths) for each in (self, other))
        if mine != others:
            return False
        return self.values is other.values or memoryview(self.values) == memoryview(other.values)

    def __hash__(self) -> int:
        return hash((self.bounds, self.default_F))

    def __repr__(self) -> str:
        if self.bounds is None:
            return f"StructureFactors(default_F={self.default_F:g})"
        if self.wavelengths:
            low, high = (f"{self.wavelengths[at] * 1e10:g}" for at in (0, -1))
            several = f"{len(self.wavelengths)} tables from {low} to {high} A, "
        else:
            several = ""
        return f"<StructureFactors of {several}{self.count} rows, bounds {self.bounds}, default_F {self.default_F:g}>"

    def __reduce__(self) -> "Any":
        import numpy as np

        # an array, which pickle's protocol 5 can pass without a copy
        values = None if self.values is None else np.asarray(self.values)
        return type(self)._unpickled, (self.bounds, values, self.count, self.default_F, self.wavelengths)

    @classmethod
    def _unpickled(cls, bounds, values, count, default_F, wavelengths=()):
        from .structure_factors import padded

        values = None if values is None else padded(values, bounds, len(wavelengths))
        return cls(bounds, values, count, default_F, wavelengths)

    @classmethod
    def of(cls, table: "Any") -> "StructureFactors":
        """Of a `nanobragg_py.files.hkl.HklTable`, as readers give it."""
        return cls(table.bounds, table.values, table.count, table.default_F)

    @classmethod
    def from_arrays(
        cls,
        hkl: "ArrayLike",
        F: "ArrayLike",
        default_F: "float" = 0.0,
        *,
        F000: "float | None" = None,
        space_group: "str | int | None" = None,
        friedel: "bool" = False,
    ) -> "StructureFactors":
        """From Miller indices, (N, 3) whole numbers, and amplitudes, (N,). See `structure_factors.from_arrays`."""
        from .structure_factors import from_arrays

        return cls.of(from_arrays(hkl, F, default_F, F000=F000, space_group=space_group, friedel=friedel))

    @classmethod
    def read(cls, path: "str | PathLike", default_F: "float" = 0.0, **how: "Any") -> "StructureFactors":
        """From a file of any kind known: hkl text, dump, MTZ, CIF, XDS_ASCII. See `reflections.read`."""
        from .reflections import read

        return cls.of(read(path, default_F, **how))

    @classmethod
    def from_model(
        cls, path: "str | PathLike", d_min: "float", default_F: "float" = 0.0, **how: "Any"
    ) -> "StructureFactors":
        """Calculated from a PDB or mmCIF model. See `models.from_model`.

        anomalous: True, with `wavelengths`, one or several, m: Friedel mates differ by f' and f'' of the model's
        elements; a table for each wavelength, see `at_wavelengths`.
        """
        from .models import anomalous_from_model, from_model

        anomalous, wavelengths = how.pop("anomalous", False), how.pop("wavelengths", None)
        if not anomalous:
            if wavelengths is not None:
                raise FieldError("wavelengths count with anomalous scattering only; give anomalous as well")
            return cls.of(from_model(path, d_min, default_F, **how))
        from .structure_factors import given_wavelengths

        given = given_wavelengths(wavelengths)
        tables = [cls.of(table) for table in anomalous_from_model(path, d_min, given, default_F, **how)]
        return tables[0] if len(tables) == 1 else cls.at_wavelengths(tables, given)

    @classmethod
    def at_wavelengths(
        cls, tables: "Sequence[StructureFactors]", wavelengths: "Sequence[float]"
    ) -> "StructureFactors":
        """Several tables, those of anomalous scatterers at two wavelengths or more: each with its wavelength, m.

        Wavelengths increase; between two of them amplitudes are linear in the wavelength. Raises FieldError.
        """
        from .structure_factors import at_wavelengths

        return at_wavelengths(tables, wavelengths)

    def at(self, wavelength: float) -> "StructureFactors":
        """The one table of a wavelength, m; itself where there are not several. FieldError beyond the wavelengths."""
        from .structure_factors import at_wavelength

        return at_wavelength(self, wavelength)

    def sum_over_mates(
        self, values: "ArrayLike", space_group: "str | int | None", friedel: bool = True
    ) -> "tuple[ndarray, ndarray]":
        """Numbers of the table's indices, summed over symmetry's mates. See `structure_factors.sum_over_mates`."""
        from .structure_factors import sum_over_mates

        if self.bounds is None:
            raise FieldError("there is no table of structure factors whose mates could be summed")
        return sum_over_mates(values, self.bounds, space_group, friedel)

    def amplitudes(self) -> "tuple[ndarray, ndarray]":
        """The table's indices and amplitudes as arrays, (N, 3) int32 and (N,) float64, h outermost; of several tables
        (tables, N).
        """
        from .structure_factors import amplitudes

        return amplitudes(self)


class ResolvedExperiment(Record):
    """One image: beam, detector, crystal, structure factors and sampling.

    panels: a Detector for each panel of one that has several, of which `detector` is the first; else ().
    panel_names: what messages call them. panel_corners: (slow, fast) of the first pixel of each in one image that holds
    all of them; stored_shape: (slow, fast) of that. crystals: of an image that is the sum of several, a ResolvedCrystal
    each (of domains or blocks that do not count alike, too), with its share; `crystal` says then what is printed; else
    (). amorphous: (curve, molecules) that scatter in water's place, a Curve (kernels/loops/amorphous.pyx) and their
    number; or None. physics: the `Physics` that they came from.
    """

    _fields = {
        "beam": REQUIRED,
        "detector": REQUIRED,
        "crystal": REQUIRED,
        "sampling": REQUIRED,
        "structure_factors": StructureFactors(),
        "panels": (),
        "panel_names": (),
        "panel_corners": (),
        "stored_shape": None,
        "crystals": (),
        "amorphous": None,
        "physics": REFERENCE,
    }

    @property
    def single_crystals(self) -> "Any":
        """An experiment for each crystal of an image that is a sum; itself where there is one.

        What is diffuse belongs to the first.
        """
        found, sampling = [], self.sampling if self.amorphous is None else self.dry
        each = sampling.steps // self.crystal.mosaic_domains
        for crystal in self.crystals:
            steps = each * crystal.mosaic_domains
            of_it = {"sampling": sampling.replace(steps=steps), "amorphous": None}
            of_it["structure_factors"] = crystal.structure_factors or self.structure_factors
            found.append(self.replace(crystal=crystal, crystals=(), **of_it))
            sampling = sampling.replace(water=0.0)
        return tuple(found) or (self if self.amorphous is None else self.replace(amorphous=None, sampling=self.dry),)

    @property
    def dry(self) -> "Any":
        """The sampling without water."""
        return self.sampling.replace(water=0.0)

    @property
    def is_sum(self) -> bool:
        """Whether the image is a sum of several."""
        return len(self.crystals) > 0 or self.amorphous is not None

    @property
    def single_panels(self) -> "Any":
        """An experiment for each panel; itself where the detector is one."""
        return tuple(self.replace(detector=panel, panels=()) for panel in self.panels) or (self,)

    @property
    def water_background(self) -> "Any":
        """Intensity of the amorphous background before the pixel's corrections (the reference's I_bg).

        It is added to the sum, and so scaled and divided by the steps; 0 where `diffuse` stands for it.
        """
        water = self.sampling.water
        if self.physics.water:
            return 0.0
        return WATER_F * WATER_F * R_E_SQR * self.beam.fluence * water * water * water * 1e6 * AVOGADRO / 18.0

    def whole_offset(self, adc: "Any") -> "Any":
        """The offset of images of whole photons: the nearest whole number, or as it is, for the sum to be cut."""
        return floor(adc + 0.5) if self.physics.rounding else adc

    @property
    def diffuse(self) -> "Any":
        """What amorphous material adds to |F_cell F_latt|^2 of every source and sub-pixel: molecules times F^2."""
        water = self.sampling.water
        if not self.physics.water:
            return 0.0
        return WATER_F * WATER_F * water * water * water * 1e6 * AVOGADRO / 18.0
