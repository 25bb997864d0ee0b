"""Amorphous material around a crystal, as a value: the background that it adds to an experiment's image."""

from __future__ import annotations

import os
from math import isfinite
from typing import TYPE_CHECKING, Any

from ..constants import AVOGADRO
from ..errors import FieldError, NanoBraggError
from ..experiment.background import FACTORS, ResolvedBackground, make_curve, reach_remark
from ..experiment.load_background import read_curve
from ..experiment.units import metres
from ..files.table import odd_numbers
from ..hints import warn_caller
from ..kernels.loops.amorphous import Curve
from ..memory import within_memory
from ..records import REQUIRED, Record
from .background import expected_seconds, render_background, steps_of
from .sums import darken

if TYPE_CHECKING:
    import numpy as np

    from ..api import Experiment

#: where the curves that come with the package lie
FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "curves")
#: their names
SHIPPED = ("air", "unity", "water")
#: the curve that is calculated
ICE = "ice"
#: points at which a function is sampled
SAMPLES = 2001


class Background(Record):
    """Amorphous material in the beam. Lengths are in metres, or words with a unit ("0.3 mm").

    curve: F against sin(theta)/lambda in 1/Angstrom, F in electrons a molecule: a file of two columns, by its path; a
    pair of arrays (x, F); a function of x; or one of the curves that come with the package, "water", "air" or "unity".
    `Background.ice` makes one of ice.
    abscissa: what x is, "stol" (sin(theta)/lambda), "4stol" (four times that) or "Q" (4 pi times that).
    density: g/cm^3. molecular_weight: g/mol. thickness: along the beam. width: across it, both ways; None: as wide as
    the beam, which clips what is wider. molecules: their number, instead of what follows from these.
    oversample: sub-pixels a side; None: as many as the experiment has.

    Raises FieldError for values that make no sense, NanoBraggError for a file that is no curve.
    """

    _fields = {
        "curve": REQUIRED,
        "density": 1.0,
        "molecular_weight": 18.0,
        "thickness": 1e-4,
        "width": None,
        "molecules": None,
        "abscissa": "stol",
        "oversample": None,
    }

    @classmethod
    def ice(
        cls, grain: float = 20e-9, a: float = 4.497e-10, c: float = 7.322e-10, B: float = 1.0, **more: Any
    ) -> Background:
        """Hexagonal ice, whose powder rings are calculated (with gemmi), with its density and molecular weight.

        grain: size of its crystallites, m, from which the rings have their width. a, c: edges of its cell, m; those of
        about 100 K. B: displacement factor, Angstrom^2. more: of the Background, thickness above all.
        """
        from .ice import MOLECULAR_WEIGHT, density, ice_curve

        curve = ice_curve(grain, a, c, B)
        return cls(**{"curve": curve, "density": density(a, c), "molecular_weight": MOLECULAR_WEIGHT, **more})

    def _validate(self):
        if self.abscissa not in FACTORS:
            raise FieldError(f"abscissa is {self.abscissa!r}; it must be one of {', '.join(FACTORS)}")
        for name in ("density", "molecular_weight", "thickness", "width", "molecules"):
            value = getattr(self, name)
            if value is None and name in ("width", "molecules"):
                continue
            value = metres(name, value) if name in ("thickness", "width") else value
            try:
                value = float(value)
            except (TypeError, ValueError):
                raise FieldError(f"{name} is {value!r}; it must be a number") from None
            if not isfinite(value) or value < 0.0 or (value == 0.0 and name == "molecular_weight"):
                raise FieldError(f"{name} is {value:g}; it must be a number above 0")
            self._set(name, value)
        if self.oversample is not None and not (isinstance(self.oversample, int) and self.oversample > 0):
            raise FieldError(f"oversample is {self.oversample!r}; it must be a whole number above 0")

    def resolved(self, experiment: Experiment, panel: Any = None) -> ResolvedBackground:
        """What the kernels render: the experiment's own beam, sources and detector, and this material.

        panel: None, or a resolved detector that stands in for the experiment's.
        """
        found = experiment.resolved
        beam = found.beam
        if beam.divergence_steps >= 0:  # a grid, whose sources count alike where there is no spectrum
            weights = beam.relative_weights or (1.0,) * len(beam.sources)
            rows = zip(beam.sources, weights, strict=True)
            beam = beam.replace(sources=tuple((*source[:3], weight, source[4]) for source, weight in rows))
        oversample = self.oversample or found.sampling.oversample
        detector = found.detector if panel is None else panel
        return ResolvedBackground(
            beam=beam,
            detector=detector,
            oversample=oversample,
            steps=len(beam.sources) * oversample**2,
            curve=self._kernel_curve(min(abs(source[4]) for source in beam.sources)),
            molecules=self._count(beam.size),
            sensor=found.physics.curve,
            phi0=found.sampling.phi0,
            osc=found.sampling.osc,
        )

    def _count(self, beam_size):
        if self.molecules is not None:
            return self.molecules
        width = beam_size if self.width is None else min(self.width, beam_size)
        volume = self.thickness * width * width
        return volume * (self.density * 1e6) * AVOGADRO / self.molecular_weight

    def _kernel_curve(self, wavelength):
        """The curve as the kernels want it; wavelength: the shortest, m, up to whose limit a function is sampled."""
        factor, curve = FACTORS[self.abscissa], self.curve
        if isinstance(curve, Curve):  # read before
            return curve
        if isinstance(curve, str) and curve in SHIPPED:
            if self.abscissa != "stol":
                raise FieldError(f"the curve {curve!r} is one of sin(theta)/lambda; leave abscissa as it is")
            return read_curve(os.path.join(FOLDER, f"{curve}.stol"), factor)
        if isinstance(curve, (str, bytes, os.PathLike)):
            found = read_curve(os.fsdecode(curve), factor)
            for sentence in (odd_numbers(curve), reach_remark(found, os.fsdecode(curve), wavelength)):
                if sentence is not None:
                    warn_caller(sentence)
            return found
        import numpy as np

        if callable(curve):
            x = np.linspace(0.0, 1.0 / wavelength / factor, SAMPLES)
            F: Any = [curve(each) for each in x]
        else:
            try:
                x, F = curve
            except (TypeError, ValueError):
                raise FieldError(f"curve is {curve!r}; it must be a file, a pair (x, F) or a function") from None
        try:
            x, F = (np.asarray(values, dtype=np.float64) for values in (x, F))
        except (TypeError, ValueError):
            raise FieldError("curve holds what is no number") from None
        if x.ndim != 1 or x.shape != F.shape or x.size == 0:
            raise FieldError(f"curve has {x.shape} abscissae and {F.shape} F; it must have as many of each")
        return make_curve(x.tolist(), F.tolist(), "curve", factor)

    @within_memory
    def render(self, experiment: Experiment, out: Any = None, threads: int = 0) -> np.ndarray:
        """The background: float32 of the experiment's shape (slow, fast), photons a pixel; 0 outside its region of
        interest. Of panels: a stack, or a list where they differ in size, as the experiment's own images.

        It is for the experiment's own beam, detector and sources. In the exact physics its sensor catches as much of
        these photons as of the crystal's, and masked pixels are 0; in the reference's, as with nonBragg, neither
        enters. out: a writable C-contiguous float32 array of that shape to render into. threads: 0: as of
        `Experiment.render`.
        """
        from .backends import long_remark, team_size
        from .images import caller_image, new_image

        if threads < 0:
            raise FieldError(f"threads is {threads}; it cannot be below 0")
        panels = experiment.resolved.panels
        if panels and len(set(experiment.shapes)) > 1:
            if out is not None:
                raise FieldError("out is one array, and the panels differ in size; leave it out")
            image: Any = [new_image(shape) for shape in experiment.shapes]
        else:
            image = new_image(experiment.shape) if out is None else caller_image(out, experiment.shape)
        try:
            backgrounds = [self.resolved(experiment, panel) for panel in panels or (None,)]
            remark = long_remark(
                sum(steps_of(each) for each in backgrounds),
                sum(expected_seconds(each, threads) for each in backgrounds),
                "the background's ",
            )
            if remark is not None:
                warn_caller(remark)
            for background, pixels in zip(backgrounds, image if panels else (image,), strict=True):
                render_background(background, pixels, team_size(threads))
                darken(background, pixels)
        except FieldError:
            raise
        except NanoBraggError as error:
            raise FieldError(str(error)) from None
        return image


def material(curve: Any, **more: Any) -> Background:
    """The Background of a curve, which may be named "ice". more: of the Background, or of `Background.ice`."""
    return Background.ice(**more) if isinstance(curve, str) and curve == ICE else Background(curve, **more)
