"""Which choices of the exact physics change an image, and by how much: a coarse pair of images for each of them.

An image that takes longer than `STEPS` allow is rendered with larger pixels, one point in each, and fewer steps, the
same for both of a pair; what it comes to is an estimate, and is called one.
"""

from math import ceil, sqrt
from typing import Any

from ..errors import NanoBraggError
from ..experiment.load import (
    kernel_table,
    read_amorphous,
    read_domains,
    read_matrix,
    read_sources,
    read_spectrum,
)
from ..experiment.physics import CHOICES, EXACT, EXACT_ONLY, REFERENCE, physics_of
from ..experiment.resolve import resolve_experiment, resolve_setup
from ..experiment.resolved import StructureFactors
from ..flags.options import DEFAULTS, Options
from ..kernels.noise.random import Ran1
from ..records import REQUIRED, Record
from ..render.backends import steps_of
from ..render.simulate import simulate

#: contributions to all pixels of an image that are waited for
STEPS = 10_000_000
#: of a coarse image: at most so many domains, phi steps and sources
COARSE = {"domains": 8, "phisteps": 8, "sources": 16}
#: pixels of a patch that is rendered in full, where what is asked is no matter of spots but of places
PATCH = 32
#: what `Effect` says of all choices together
EVERYTHING = "all of them"
#: a smaller part of the image is rounding
NOTHING = 1e-5
#: a seed for what the clock would seed, which could strike between the two images
SEED = -1


class Effect(Record):
    """What a choice does to an image.

    id, about: of `CHOICES`; "all", for all of them together. changed: the sum of the pixels' changes over the sum of
    the reference's pixels; None where the float image stays as it is. ratio: of the exact sum to the reference's; None
    likewise, or where the reference's is 0. coarse: whether these are estimates. note: what is to be said besides.
    """

    _fields = {
        "id": REQUIRED,
        "about": REQUIRED,
        "changed": None,
        "ratio": None,
        "coarse": False,
        "note": None,
    }


def physics_effects(options: Any, loaded: Any) -> tuple[Effect, ...]:
    """What each choice of the exact physics does to the image of a command line, in the order of their ids.

    options: as the flags left them. loaded: the `Loaded` experiment. Takes a second or two, whatever the image. Raises
    NanoBraggError for what the exact physics does not take.
    """
    trial = Trial(options, loaded)
    reference = trial.experiment(REFERENCE)
    try:
        exact = trial.experiment(EXACT)
    except NanoBraggError as error:
        return (Effect("all", EVERYTHING, note=f"the exact physics does not take this: {error}"),)
    found = []
    for name, (number, about) in CHOICES.items():
        effect = Effect(number, about)
        if name == "rounding":
            if options.write_noise and options.adc_offset != round(options.adc_offset):
                note = f"{options.adc_offset:g} is no whole number: pixels of the noise image change by 1"
                found.append(effect.replace(note=note))
            continue
        # with all others right, for the reference's corrections miss out its water
        before, after = trial.experiment(EXACT.replace(**{name: False})), exact
        if name == "water":
            before, after = reference, trial.experiment(REFERENCE.replace(water=True))
        if changes(before, after, name):
            effect = compared(effect, before, after, patch=name == "corrections")
            if effect.changed > NOTHING:
                found.append(effect)
    if any(effect.changed is not None for effect in found):
        found.append(compared(Effect("all", EVERYTHING), reference, exact))
    return tuple(found)


class Trial:
    """Experiments of one command line in any physics; its files are read once."""

    def __init__(self, options: Any, loaded: Any) -> None:
        values = {name: getattr(options, name) for name in DEFAULTS}
        if physics_of(options) != REFERENCE:
            values |= {name: DEFAULTS[name] for name in EXACT_ONLY}
        if values["misset_seed"] is None:
            values["misset_seed"] = SEED
        self.values = values
        self.matrix, self.panels = read_matrix(options), loaded.panels
        self.spectrum, self.domains = read_spectrum(options), read_domains(options)
        self.sources, self.mask = read_sources(options), loaded.experiment.detector.mask
        self.factors = loaded.experiment.structure_factors
        self.curve = None if options.stol_file is None else read_amorphous(options)
        #: from a dump file that nobody named, which the exact physics does not read
        self.found = options.hkl_file is None and self.factors.bounds is not None and not options.dump_named

    def experiment(self, physics: Any) -> Any:
        """The resolved experiment in a `Physics`."""
        factors = self.factors
        if physics.factors and self.found:
            factors = StructureFactors(default_F=self.values["default_F"])
        random = Ran1()
        setup = resolve_setup(
            Options(**(self.values | {"physics": physics, "compat": "spec"})),
            random,
            matrix=self.matrix,
            mask=self.mask,
            dump_available=factors.bounds is not None,
            panels=self.panels,
            spectrum=self.spectrum,
            domains=self.domains,
        )
        made = resolve_experiment(setup, random, factors, source_rows=self.sources)
        return made if self.curve is None or not physics.curve else made.replace(amorphous=self.curve)


def changes(reference: Any, other: Any, name: str) -> bool:
    """Whether a choice makes another experiment."""
    if name == "water":
        return bool(reference.sampling.water)
    if name == "curve":
        return other.amorphous is not None
    parts = ("beam", "detector", "crystal", "sampling", "structure_factors")
    return any(differs(getattr(reference, part), getattr(other, part)) for part in parts)


def differs(one: Any, other: Any) -> bool:
    """Whether records differ; buffers are compared by their bytes."""
    for value, twin in zip(one._asdict().values(), other._asdict().values(), strict=True):
        if value is twin or value == twin:
            continue
        try:
            if memoryview(value).tobytes() != memoryview(twin).tobytes():
                return True
        except TypeError:
            return True
    return False


def compared(effect: Effect, reference: Any, other: Any, patch: bool = False) -> Effect:
    """The effect with its numbers. patch: of a corner of the detector, each pixel in full, in place of all, coarse."""
    import numpy as np

    whole = steps_of(reference) <= STEPS and not reference.panels
    smaller = as_it_is if whole else corner if patch else coarse
    images = []
    for experiment in (reference, other):
        experiment = smaller(experiment)
        factors = experiment.structure_factors
        table = None if factors.bounds is None else kernel_table(factors, False)
        images.append(np.asarray(simulate(experiment, table)[0]).astype(float))
    before, after = images
    total = np.abs(before).sum()
    changed = np.abs(after - before).sum()
    return effect.replace(
        changed=float(changed / total) if total else float(changed > 0),
        ratio=float(after.sum() / before.sum()) if total else None,
        coarse=not whole,
    )


def as_it_is(experiment: Any) -> Any:
    """An experiment that is small enough."""
    return experiment


def every(items: Any, most: int) -> Any:
    """At most so many of a sequence, evenly chosen."""
    return items[:: max(1, ceil(len(items) / most))]


def fewer_steps(experiment: Any, oversample: int) -> Any:
    """One panel of an experiment with at most `COARSE` steps, and so many sub-pixels a side."""
    beam, crystal, sampling = experiment.beam, experiment.crystal, experiment.sampling
    weights = every(beam.relative_weights, COARSE["sources"])
    mean = sum(weights) / len(weights) if weights else 1.0
    beam = beam.replace(
        sources=every(beam.sources, COARSE["sources"]),
        source_directions=every(beam.source_directions, COARSE["sources"]),
        relative_weights=tuple(weight / mean for weight in weights) if mean > 0.0 else (),
    )
    crystal = crystal.replace(mosaic_domains=min(crystal.mosaic_domains, COARSE["domains"]))
    phisteps = min(sampling.phisteps, COARSE["phisteps"])
    steps = len(beam.sources) * crystal.mosaic_domains * phisteps * oversample**2
    water = sampling.water
    if not experiment.physics.water:  # which the reference divides by the steps
        water *= (steps / sampling.steps) ** (1.0 / 3.0)
    sampling = sampling.replace(
        oversample=oversample,
        phisteps=phisteps,
        phistep=sampling.phistep * sampling.phisteps / phisteps,
        water=water,
        steps=steps,
    )
    return experiment.replace(beam=beam, crystal=crystal, sampling=sampling, panels=())


def coarse(experiment: Any) -> Any:
    """An experiment with larger pixels, of which one point each is worked out, and fewer steps."""
    experiment = fewer_steps(experiment, 1)
    detector = experiment.detector.replace(mask=None)
    factor = max(1, ceil(sqrt(steps_of(experiment) / STEPS)))
    fast_min, fast_max, slow_min, slow_max = detector.roi
    detector = detector.replace(
        pixel_size=detector.pixel_size * factor,
        fpixels=ceil(detector.fpixels / factor),
        spixels=ceil(detector.spixels / factor),
        roi=(fast_min // factor, fast_max // factor, slow_min // factor, slow_max // factor),
    )
    return experiment.replace(detector=detector)


def corner(experiment: Any) -> Any:
    """The corner of the region of interest that is farthest from the first pixel, each pixel with its sub-pixels."""
    experiment = fewer_steps(experiment, min(experiment.sampling.oversample, 8))
    detector = experiment.detector.replace(mask=None)
    fast_min, fast_max, slow_min, slow_max = detector.roi
    fast_max, slow_max = min(fast_max, detector.fpixels - 1), min(slow_max, detector.spixels - 1)
    roi = (max(fast_min, fast_max - PATCH + 1), fast_max, max(slow_min, slow_max - PATCH + 1), slow_max)
    return experiment.replace(detector=detector.replace(roi=roi))
