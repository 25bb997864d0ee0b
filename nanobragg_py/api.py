"""The library: an experiment as a value, and the image it gives as an array.

Everything is a thin layer over the functions that serve the command line: `nanobragg_py.experiment.options_map` states
the parts as options, `nanobragg_py.experiment.resolve` works out what follows from them, `nanobragg_py.render.simulate`
renders.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .errors import FieldError
from .experiment.checks import choice
from .experiment.crystal import replaced
from .experiment.fields import FIELDS, in_fields
from .experiment.following import Followed, follow, turn
from .experiment.parts import PARTS, Beam, Crystal, Detector, Sampling
from .experiment.physics import NAMES
from .experiment.resolved import StructureFactors
from .gradients.methods import Differentiable
from .hints import meant
from .render.methods import Storable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike

    from .experiment.resolved import ResolvedExperiment
    from .inspect.explain import Explanation
    from .inspect.trace import Trace
    from .render.simulate import Statistics

#: what an experiment is made of, by name
CONTENTS = {**PARTS, "structure_factors": StructureFactors}
#: its other fields
BESIDE = ("physics", "more_crystals")
#: seconds that a notebook's picture may take, about
QUICK = 2.0
#: fields that leave nearly all of what follows as it was; see `nanobragg_py.experiment.resolve.turned`
TURNING = {"crystal": {"missets", "misset_seed", "lengths", "angles"}, "beam": {"fluence"}}
#: which physics an experiment may have
PHYSICS = choice(*NAMES)


@dataclasses.dataclass(frozen=True, eq=True, repr=False)
class Experiment(Differentiable, Storable):
    """One image: crystal, beam, detector, sampling and structure factors. Frozen, comparable, picklable.

    Everything that follows from the fields is worked out, and checked, when an experiment is made. `resolved` is the
    outcome: a `nanobragg_py.experiment.resolved.Experiment` in SI units, with reciprocal vectors, the detector's place,
    numbers of steps and the like. `warnings` are the sentences the command line would print about it.

    crystal: a Crystal, or a list of several in one image (split crystals, twins), whose photons are added, each
    counted `Crystal.scale` times; the first is then `crystal`, the others are `more_crystals`.
    physics: "exact", or "reference" for what the reference program makes of the same (docs/differences.md).

    Raises FieldError (a NanoBraggError and a ValueError) that names the field for what makes no image.
    """

    crystal: Crystal
    beam: Beam = dataclasses.field(default_factory=Beam)
    detector: Detector = dataclasses.field(default_factory=Detector)
    sampling: Sampling = dataclasses.field(default_factory=Sampling)
    structure_factors: StructureFactors = dataclasses.field(default_factory=StructureFactors)
    physics: str = "exact"
    more_crystals: tuple[Crystal, ...] = ()
    resolved: ResolvedExperiment = dataclasses.field(init=False, repr=False, compare=False)
    _followed: Followed = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.crystal, (list, tuple)):
            several = (*self.crystal, *self.more_crystals)
            if not several:
                raise FieldError("crystal is an empty list; give one or more nanobragg_py.Crystal")
            self.__dict__.update(crystal=several[0], more_crystals=several[1:])
        self.__dict__["more_crystals"] = tuple(self.more_crystals)
        for other in self.more_crystals:
            if not isinstance(other, Crystal):
                raise FieldError(f"more_crystals has {other!r}; each must be a nanobragg_py.Crystal")
        for name, cls in CONTENTS.items():
            if not isinstance(getattr(self, name), cls):
                raise FieldError(f"{name} is {getattr(self, name)!r}; it must be a nanobragg_py.{cls.__name__}")
        PHYSICS("physics", self.physics)
        followed = self._follow()
        self.__dict__.update(resolved=followed.resolved, _followed=followed, _said=followed.said)

    def _follow(self) -> Followed:
        """What follows from the fields."""
        parts = self.beam, self.detector, self.crystal, self.sampling, self.structure_factors
        return follow(*parts, self.physics, self.more_crystals)

    @functools.cached_property
    def warnings(self) -> tuple[str, ...]:
        """The sentences that the command line would print about it."""
        said = self.__dict__.get("_said")
        told = tuple(in_fields(text) for text in (self._follow().said if said is None else said))
        return told + tuple(text for name in PARTS for text in getattr(self, name).oddities)

    def _turned(self, crystal: Crystal, beam: Beam) -> Experiment | None:
        """This experiment with another orientation, cell and fluence, sooner; None where all has to be worked out."""
        if "random" in (crystal.missets, self.crystal.missets):
            return None
        followed = turn(self._followed, crystal, beam.fluence)
        if followed is None:
            return None
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.__dict__.update(crystal=crystal, beam=beam, resolved=followed.resolved, _followed=followed)
        made.__dict__.update(_said=None, _line=None)
        made.__dict__.pop("warnings", None)  # worked out when they are asked for
        return made

    def __repr__(self) -> str:
        """The parts that are not as they are when nothing is said."""
        fields = [(f, getattr(self, f.name)) for f in dataclasses.fields(self) if f.init]
        unsaid = [f.default if f.default_factory is dataclasses.MISSING else f.default_factory() for f, _ in fields]
        shown = [f"{f.name}={x!r}" for (f, x), default in zip(fields, unsaid, strict=True) if x != default]
        return f"Experiment({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """What notebooks show: a table, and a picture of what is rendered in the time that they take for it."""
        from .inspect.figure import html
        from .render.backends import expected_seconds

        image = None
        if expected_seconds(self.resolved) < QUICK and importlib.util.find_spec("PIL") is not None:
            image = self.render()
            if self.detector.panels is not None:
                from .files.panels import stored_image

                image = stored_image(self.detector.panels, image)
        return html(self.resolved, image, self.warnings)

    def __reduce__(self) -> Any:
        return Experiment, tuple(getattr(self, field.name) for field in dataclasses.fields(self) if field.init)

    # ---- making and changing ---------------------------------------------------------------------------------------

    @classmethod
    def from_args(cls, args: str | Sequence[str], folder: str | os.PathLike[str] | None = None) -> Experiment:
        """The experiment of a nanoBragg command line.

        args: the tokens behind the program's name, or one string that is split as a shell does. folder: what relative
        file names in it are relative to; None: the working directory. As the program does, it takes structure factors
        from Fdump.bin where there is one and no -hkl. What concerns output and noise is left out. What the program
        would warn of, mistyped flags above all, is a Python warning (NanoBraggWarning), and in `warnings`. The physics
        is the command line's: the reference's without -physics.

        Raises NanoBraggError for files that cannot be read, FieldError for values that `Beam` and the like do not take.
        """
        from .experiment.from_args import from_args

        return from_args(cls, args, folder)

    def replace(self, changes: dict[str, Any] | None = None, /, **more: Any) -> Experiment:
        """A copy with some fields changed, everything that follows from them worked out anew.

        changes, more: parts by name (``beam=Beam(...)``), or fields of parts by dotted name, in a dict
        (``{"sampling.oversample": 2}``) or with two underscores (``sampling__oversample=2``); of crystals beside the
        first, ``"more_crystals.0.scale"``.
        Raises FieldError for a name that is no field.
        """
        parts: dict[str, Any] = {}
        others: dict[str, Any] = {}
        fields: dict[str, dict[str, Any]] = {}
        for name, value in {**(changes or {}), **more}.items():
            part, _, field = name.replace("__", ".", 1).partition(".")
            if part == "more_crystals" and field:
                others[field.replace("__", ".")] = value
                continue
            if part not in CONTENTS and name not in BESIDE:
                hint = meant(part, (*CONTENTS, *BESIDE), "its fields are", elsewhere())
                raise FieldError(f"an experiment has no field {part!r}; {hint}")
            if field:
                fields.setdefault(part, {})[field] = value
            else:
                parts[part] = value
        if others:
            parts["more_crystals"] = replaced(parts.get("more_crystals", self.more_crystals), others)
        turning = not parts and all(set(values) <= TURNING.get(part, set()) for part, values in fields.items())
        for part, values in fields.items():
            old = parts.get(part, getattr(self, part))
            try:
                parts[part] = old.replace(**values)
            except TypeError as error:
                raise FieldError(str(error)) from None
        if turning:
            turned = self._turned(parts.get("crystal", self.crystal), parts.get("beam", self.beam))
            if turned is not None:
                return turned
        return dataclasses.replace(self, **parts)

    # ---- rendering -------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The image's shape: (slow, fast) pixels; (panels, slow, fast) of panels that are alike.

        Raises FieldError for panels of several sizes, whose images are a list; see `shapes`.
        """
        shapes = self.shapes
        if self.detector.panels is None:
            return shapes[0]
        if len(set(shapes)) > 1:
            raise FieldError("the panels differ in size, so their images have no common shape; see shapes")
        return (len(shapes), *shapes[0])

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """The shape (slow, fast) of every panel's image; one for a detector that is one."""
        return tuple((d.spixels, d.fpixels) for d in self.resolved.panels or (self.resolved.detector,))

    def render(
        self,
        backend: str = "cpu",
        threads: int = 0,
        out: Any = None,
        progress: Callable[[int], Any] | None = None,
        compat: str = "spec",
        *,
        device: int = 0,
        precision: str = "double",
        on_device: bool = False,
        dtype: DTypeLike = "float32",
        rois: Any = None,
    ) -> np.ndarray:
        """The image: float32 of shape (slow, fast), photons a pixel; 0 outside the region of interest.

        backend: "cpu", "gpu", or "auto" (a GPU where one can be used). threads: of the CPU; 0: OMP_NUM_THREADS, else
        one for every processor; the image does not depend on it. out: a writable C-contiguous array of that shape and
        dtype to render into, which is then returned. progress: called now and then with the number of pixels that are
        done. compat: "spec", or "c" for the defects of the reference program as well. device: number of the GPU.
        precision: of the GPU, "double" or "single". on_device: return a cupy array there (only with backend "gpu").
        dtype: float32, or float64 for the same pixels before they are rounded (backend "cpu", compat "spec").
        rois: regions that are rendered, shoeboxes say, a list of (fast min, fast max, slow min, slow max), inclusive;
        of panels a list of such lists, or a dict of them by the panel's name or number. Elsewhere pixels are 0.

        Other Python threads run meanwhile. Raises FieldError for an argument that makes no sense, NanoBraggError where
        there is no memory or no GPU.
        """
        if rois is not None or dtype != "float32":
            import numpy

            from .render.backends import Compute
            from .render.images import render_precise
            from .render.shoeboxes import render_regions

            if (kind := numpy.dtype(dtype)) not in (numpy.float32, numpy.float64):
                raise FieldError(f"dtype is {dtype!r}; it must be float32 or float64")
            compute = Compute(backend, device, precision, threads, compat)
            if rois is not None and on_device:
                raise FieldError("on_device gives the image of one region; render rois without it")
            if rois is not None:
                return render_regions(self, rois, compute, out, progress, kind)
            if kind == numpy.float64:
                return render_precise(self, compute, out, progress)
        return self.simulate(
            backend, threads, out, progress, compat, device=device, precision=precision, on_device=on_device
        )[0]

    def simulate(
        self,
        backend: str = "cpu",
        threads: int = 0,
        out: Any = None,
        progress: Callable[[int], Any] | None = None,
        compat: str = "spec",
        *,
        device: int = 0,
        precision: str = "double",
        on_device: bool = False,
    ) -> tuple[np.ndarray, Statistics]:
        """The image, as of `render`, and its `Statistics`."""
        from .render.backends import Compute
        from .render.images import render

        compute = Compute(backend, device, precision, threads, compat)
        return render(self, compute, out, progress, on_device)

    def background(self, curve: Any, threads: int = 0, **more: Any) -> np.ndarray:
        """What amorphous material scatters: float32 of shape (slow, fast), photons a pixel, to be added to the image.

        curve, more: of a `Background` (density, molecular_weight, thickness, ...), or "ice" and what `Background.ice`
        takes. threads: as of `render`.
        """
        from .render.amorphous import material

        return material(curve, **more).render(self, threads=threads)

    def add_noise(
        self, image: ArrayLike, seed: int = 1, stream: str = "ran1", adc: float = 40.0, threads: int = 0
    ) -> np.ndarray:
        """Photon noise on an image of this experiment, within its region of interest; see `nanobragg_py.add_noise`."""
        from .render.images import add_noise, panel_noise

        adc = self.resolved.whole_offset(adc)
        if self.detector.panels is not None:
            return panel_noise(self, image, seed, stream, adc, threads)
        return add_noise(image, seed, stream, adc, self.resolved.detector.roi, threads)

    # ---- looking at it ---------------------------------------------------------------------------------------------

    def plot(self, image: ArrayLike | None = None, ax: Any = None, **how: Any) -> Any:
        """A picture in matplotlib axes, which are returned: greys, resolution rings, beam centre, pixels' values.

        image: (slow, fast); None renders it. ax: None makes a figure. how: rings (spacings, Angstrom; () for none),
        spots (True: circles where spots should be), white (the value drawn black). Needs matplotlib. Raises FieldError
        for a detector of several panels.
        """
        import numpy as np

        if self.detector.panels is not None:
            raise FieldError("plot draws a detector of one panel; nanobragg-py view draws files of several")

        from .inspect.figure import plot

        return plot(self.resolved, self.render() if image is None else np.asarray(image), ax, **how)

    def trace(
        self, slow: int, fast: int, compat: str = "spec", crystal: int | None = None, panel: int | str | None = None
    ) -> Trace:
        """Every quantity on the way to one pixel: what ``nanobragg-py trace`` prints, as a `Trace`.

        slow, fast: the pixel, counted from 0. compat: as of `render`. crystal: of an image that is the sum of several,
        the number of one in `resolved.crystals`. panel: name or number of the one that the pixel is counted on; None:
        of several panels, it is counted in the image that holds all of them. Raises NanoBraggError for a pixel that is
        not rendered, or has too many steps to be read.
        """
        from .inspect.trace import trace_pixel
        from .render.panels import on_panel
        from .render.tables import kernel_table

        resolved, slow, fast = on_panel(self.resolved, slow, fast, None if panel is None else str(panel))
        if crystal is not None:
            if not 0 <= crystal < len(resolved.single_crystals):
                raise FieldError(f"crystal is {crystal}; the image has {len(resolved.single_crystals)}, counted from 0")
            resolved = resolved.single_crystals[crystal]
        return trace_pixel(resolved, kernel_table(resolved.structure_factors, resolved.beam), slow, fast, compat)

    def explain(self, physics: bool = False) -> Explanation:
        """What the experiment means, an `Explanation`: ``print(experiment.explain())``, or its ``as_dict()``.

        Of an experiment that is as `from_args` made it, what ``nanobragg-py explain`` prints of the command line, whose
        files are read again; of any other (and where files have gone), the values and the fields that they come from.
        physics: of a command line, say also what the exact physics would change, which takes a second or two.
        """
        from .inspect.explain_fields import explain_experiment

        return explain_experiment(self, physics)

    # ---- other forms -----------------------------------------------------------------------------------------------

    def to_args(self, folder: str | os.PathLike[str] | None = None) -> list[str]:
        """The command line, without the program's name, that gives this image in this program.

        With the reference's physics, the C program makes the same image of it; the exact one is -physics exact,
        which the C program ignores, and it has no flags that would give these images.

        folder: where to write the files that it needs: orientation matrix, structure factors, sources, mask; their
        names in the command line begin with it. None: FieldError if there is a need for one. Images are the same up to
        the last bit of numbers that the program's units cannot state exactly.
        """
        from .experiment.to_args import to_args

        return to_args(self, folder)


def elsewhere() -> dict[str, str]:
    """Names that people leave the part out of, and how they go in full."""
    return {row.name: row.full_name for row in FIELDS if row.name}
