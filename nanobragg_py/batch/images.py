"""From a job and a number to an image: the one place where both meet the library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..api import Experiment
from ..errors import FieldError, NanoBraggError
from ..experiment.checks import count as check_count
from ..files.panels import place_panels, stored_image
from ..flags.options import Options
from ..orientation import missets_of_rows
from ..render.backends import Compute
from ..render.images import add_noise_many, render, render_many
from .chain import Steps
from .draws import ABOUT_THE_VALUE, ORIENTATION, SPECTRUM, noise_seed
from .jobs import Job, flag_tokens, read_job
from .labels import spots_of

if TYPE_CHECKING:
    from ..experiment.resolved import StructureFactors
    from ..render.simulate import Statistics

#: how many tables of structure factors, and experiments of command lines, a Maker keeps
KEPT_TABLES = 4
KEPT_EXPERIMENTS = 16
DEFAULT_SEED = 1
#: images that a GPU is given together
TOGETHER = 64
#: rows of each list that are tried before any work is done, and seconds that this may take
CHECKED_ROWS = 200
CHECK_SECONDS = 5.0


@dataclass(frozen=True)
class Made:
    """An image of a job.

    index: its number. pixels: (slow, fast), uint16 with noise, else float32; with a response uint16 or uint32. Of a
    detector of panels a stack of such images, or a list where the panels differ in size; `stored` has them in one.
    parameters: what was stated and drawn for it, plain values by name, with noise_seed. statistics: of the spots alone,
    without noise. experiment: what it is of.
    """

    index: int
    pixels: Any
    parameters: dict[str, Any]
    statistics: Statistics
    experiment: Experiment
    spots: dict[str, np.ndarray] | None = None

    @property
    def stored(self) -> Any:
        """The pixels as files of many images hold them, (slow, fast): panels as `place_panels` has them."""
        panels = self.experiment.detector.panels
        return self.pixels if panels is None else stored_image(panels, self.pixels)


class Maker:
    """Makes the images of a job, in any order. Structure factors are read once; threads may share a Maker.

    job: a Job, or the name of a job file. threads: of one image. worker: the number of whoever asks, by which those of
    a job with several GPUs share them. warnings: what the program would say of the first image, known after `check`.
    Raises NanoBraggError for an experiment that cannot be.
    """

    def __init__(self, job: Job | str | os.PathLike[str], threads: int = 1, worker: int = 0) -> None:
        self.job: Any = job if isinstance(job, Job) else read_job(job)
        self.threads: int = threads
        self.compute = Compute(self.job.backend, self.job.device_of(worker), self.job.precision, threads)
        self._tables: dict[Any, StructureFactors] = {}
        self._experiments: dict[tuple, tuple[Experiment, Options]] = {}
        self.warnings: list[str] = []
        self._said_of_hkl: list[str] = []
        self._base = self._read_base()
        self.seed: Any = self._base_seed()
        draws = self.job.draws
        self._flag_draws = [draw for draw in draws if draw.name.startswith("-")]
        self._field_draws = [draw for draw in draws if not draw.name.startswith("-")]
        self._steps = Steps(self.job.chain, threads)

    def _read_base(self):
        job = self.job
        if job.file is not None:
            return Experiment.read(job.file)
        if job.parts is not None:
            try:
                return Experiment.from_dict(job.parts, job.folder)
            except FieldError as error:
                raise NanoBraggError(f"{job.name}: {error}") from None
        return None

    def _base_seed(self):
        """The job's seed, or that of its flags."""
        if self.job.seed is not None:
            return self.job.seed
        seed = parsed(self.job.tokens).seed
        return DEFAULT_SEED if seed is None or seed > 0 else -seed

    # ---- experiments -----------------------------------------------------------------------------------------------

    def experiment(self, index: int) -> tuple[Experiment, dict[str, Any], dict[str, Any]]:
        """Image `index` before it is rendered: (Experiment, parameters, settings of the noise or empty).

        Raises NanoBraggError that names the image and the field.
        """
        if not 0 <= index < len(self.job):
            raise NanoBraggError(f"{self.job.name} has no image {index}; they go from 0 to {len(self.job) - 1}")
        try:
            return self._experiment(index)
        except FieldError as error:
            raise NanoBraggError(f"{self.job.name}, image {index}: {error}") from None

    def _experiment(self, index):
        job = self.job
        fields, tokens = job.stated(index)
        parameters: dict[str, Any] = {"flags": " ".join(tokens)} if tokens else {}
        for draw in self._flag_draws:
            parameters[draw.name] = value = draw.value(self.seed, job.draw_index(draw, index))
            tokens = tokens + flag_tokens(draw.name, value)
        experiment, options = (self._base, None) if self._base is not None else self._of_flags(tokens)
        parameters.update(fields)
        rotation = None
        for draw in self._field_draws:
            base = self._base_of(draw.name, fields, experiment) if draw.kind in ABOUT_THE_VALUE else None
            if draw.name == SPECTRUM:
                base = fields.get("beam.wavelength", experiment.beam.wavelength)
            value = draw.value(self.seed, job.draw_index(draw, index), base)
            if draw.name == ORIENTATION:
                rotation = value
            else:
                fields[draw.name] = value
            parameters[draw.name] = plain_value(value)
        for name in job.chain.fields.keys() & fields.keys():
            job.chain.check_value(name, fields.pop(name))
        if rotation is not None:
            fields["crystal.missets"] = missets_of_rows(rotation.tolist())
            if experiment.crystal.misset_seed is not None:
                fields["crystal.misset_seed"] = None
        if "structure_factors.default_F" in fields:
            factors = self._with_default(experiment.structure_factors, fields.pop("structure_factors.default_F"))
            fields["structure_factors"] = factors
        if isinstance(fields.get(SPECTRUM), str):
            fields[SPECTRUM] = os.path.join(job.folder, fields[SPECTRUM])
        if fields:
            experiment = experiment.replace(fields)
        noise = self._noise(index, tokens, options)
        if noise:
            parameters["noise_seed"] = noise["seed"]
        return experiment, parameters, noise

    def _base_of(self, name, fields, experiment):
        """What a draw goes about: what is stated for the image, else of all."""
        if name in fields:
            return fields[name]
        return self.job.chain.base(name, experiment) if name in self.job.chain.fields else value_of(experiment, name)

    def _noise(self, index, tokens, options):
        """The arguments of `add_noise` for an image, none for no noise."""
        given = self.job.noise
        if given is False or (given is None and options is not None and not options.write_noise):
            return {}
        settings = {} if options is None else {"stream": options.noise_rng, "adc": options.adc_offset}
        settings.update(given or {})
        own = parsed(tokens).seed if tokens else None
        settings["seed"] = noise_seed(self.seed, index) if own is None else -own
        return settings

    def _of_flags(self, added):
        """The Experiment and the Options of the job's command line with tokens added to it."""
        key = tuple(added)
        kept = self._experiments.get(key)
        if kept is None:
            kept = self._read_flags([*self.job.tokens, *added])
            keep(self._experiments, key, kept, KEPT_EXPERIMENTS)
        return kept

    def _read_flags(self, tokens):
        from ..experiment.load import INPUTS, load, read_domains, read_headers, read_matrix, read_sources, read_spectrum
        from ..experiment.options_map import from_options
        from ..flags.nanobragg import parse, prescan, warning_sentences

        options, folder = Options(), self.job.folder
        said: list[str] = []
        mask, _ = read_headers(*prescan(tokens), options, said.append, folder)
        events: list = []
        parse(tokens, options, events)
        said += warning_sentences(tokens, events)
        if options.misset_mode == "random" and options.misset_seed is None:
            raise FieldError(
                "-misset random would take its seed from the clock; give -misset_seed, or a random crystal.orientation"
            )
        for name in INPUTS:
            if getattr(options, name) is not None:
                setattr(options, name, os.path.join(folder, getattr(options, name)))
        factors = self._factors(options)
        default_F = options.default_F
        # the table is read by now; any amplitude will do to have the rest worked out
        options.hkl_file, options.dump_file, options.default_F = None, "", default_F or 1.0
        loaded = load(options, mask=mask, write_dump=False)
        resolved, panels = loaded.experiment, loaded.panels
        detector = resolved.detector
        mask = None if mask is None or panels is not None else np.asarray(mask)
        if mask is not None:
            mask = mask.reshape(detector.spixels, detector.fpixels)
        beam, detector, crystal, sampling = from_options(
            options,
            matrix=read_matrix(options, said.append),
            sources=read_sources(options),
            mask=mask,
            roi=detector.roi,
            missets=resolved.crystal.missets,
            panels=panels,
            spectrum=read_spectrum(options),
            domains=read_domains(options),
        )
        options.default_F = default_F
        self.warnings = self.warnings or said + self._said_of_hkl
        return Experiment(crystal, beam, detector, sampling, factors, options.physics), options

    def _factors(self, options):
        """The structure factors that options name, read once."""
        from ..experiment.physics import uses_dump
        from ..experiment.resolved import StructureFactors
        from ..files import hkl

        default_F = options.default_F
        if options.hkl_file is not None:
            name, read = options.hkl_file, self._read_hkl
        elif uses_dump(options) and os.access(options.dump_file, os.R_OK):
            name, read = options.dump_file, hkl.read_dump
        else:
            name = None
        if name is not None:
            return self._kept((name, default_F), lambda: StructureFactors.of(read(name, default_F)))
        if default_F == 0.0:
            raise NanoBraggError(f"{self.job.name}: the flags give no structure factors; give -hkl or -default_F")
        return self._kept((None, default_F), lambda: StructureFactors(default_F=default_F))

    def _read_hkl(self, name, default_F):
        from ..files.hkl import HklReport, read_hkl

        said = HklReport()
        table = read_hkl(name, default_F, said)
        self._said_of_hkl = said.sentences(name)
        return table

    def _kept(self, key, read):
        if key not in self._tables:
            keep(self._tables, key, read(), KEPT_TABLES)
        return self._tables[key]

    def _with_default(self, factors, default_F):
        return self._kept((factors, default_F), lambda: factors.replace(default_F=default_F))

    # ---- images ----------------------------------------------------------------------------------------------------

    def make(self, index: int, out: np.ndarray | None = None, spots: bool = False) -> Made:
        """Image `index`. out: float32 to render into. spots: predict the crystal's spots as well.

        Raises NanoBraggError that names the image and the field.
        """
        experiment, parameters, noise = self.experiment(index)
        if out is not None and (out.shape,) != experiment.shapes:
            out = None
        try:
            pixels, statistics = render(experiment, self.compute, out)
        except FieldError as error:
            raise NanoBraggError(f"{self.job.name}, image {index}: {error}") from None
        return self._finish(index, experiment, parameters, noise, pixels, statistics, spots)

    def make_many(self, indices: Iterable[int], spots: bool = False, reuse: bool = False) -> Iterator[Made]:
        """Images as of `make`, one after the other; a GPU renders many of them together.

        reuse: an image may be overwritten when the next one is asked for.
        """
        if self.compute.backend != "gpu":
            buffer = None
            for index in indices:
                made = self.make(index, buffer, spots)
                if reuse and buffer is None and made.experiment.detector.panels is None:
                    buffer = np.empty(made.pixels.shape, np.float32)
                yield made
            return
        for some in batched(indices, TOGETHER):
            asked = [self.experiment(index) for index in some]
            rendered = render_many([experiment for experiment, _, _ in asked], self.compute)
            yield from self._finish_many(some, asked, rendered, spots)

    def _finish_many(self, indices, asked, rendered, spots):
        """What comes after the float images of a GPU, which makes their noise together, too."""
        settings = [noise for _, _, noise in asked]
        later = self.job.response is None and all(settings)
        made = (
            self._finish(index, experiment, parameters, {} if later else noise, pixels, statistics, spots)
            for index, (experiment, parameters, noise), (pixels, statistics) in zip(
                indices, asked, rendered, strict=True
            )
        )
        if not later:
            yield from made
            return
        clean = list(made)
        noisy = add_noise_many(
            [one.experiment for one in clean], [one.pixels for one in clean], settings, self.compute
        )
        yield from (replace(one, pixels=pixels) for one, pixels in zip(clean, noisy, strict=True))

    def _finish(self, index, experiment, parameters, noise, pixels, statistics, spots):
        """What comes after the float image."""
        try:
            found = spots_of(experiment.resolved, pixels) if spots else None
            pixels = self._steps.add_backgrounds(pixels, experiment, parameters)
            if self.job.response is not None:
                pixels = self._steps.response(experiment, parameters).apply(pixels, noise.get("seed"))
            elif noise:
                pixels = experiment.add_noise(pixels, threads=self.threads, **noise)
        except FieldError as error:
            raise NanoBraggError(f"{self.job.name}, image {index}: {error}") from None
        return Made(index, pixels, parameters, statistics, experiment, found)

    def dtype(self, noise: dict[str, Any]) -> np.dtype:
        """The type of an image's pixels; noise: its settings, of `experiment`."""
        if self.job.response is not None:
            return np.dtype(np.uint32 if self.job.response.get("bits") == 32 else np.uint16)
        return np.dtype(np.uint16 if noise else np.float32)

    def check(self) -> None:
        """Try the first image, the last, the values of lists, and the ends of every draw, without rendering.

        Raises NanoBraggError for the first that cannot be.
        """
        first, parameters, _ = self.experiment(0)
        self.warnings = [*self.warnings, *first.warnings]
        try:
            for place in range(len(self.job.backgrounds)):
                self._steps.background(place, first, {})
            if self.job.response is not None:
                self._steps.response(first, parameters)
        except NanoBraggError as error:
            raise NanoBraggError(f"{self.job.name}: {error}") from None
        begin = perf_counter()
        for index in [len(self.job) - 1, *self.job.each_row(CHECKED_ROWS)]:
            self.experiment(index)
            if perf_counter() - begin > CHECK_SECONDS:
                break
        self._check_draws(first)
        for draw in self.job.draws:
            if draw.name.startswith(("-", "structure_factors")) or draw.name in self.job.chain.fields:
                continue
            for value in draw.extremes():
                try:
                    first.replace({draw.name: value})
                except FieldError as error:
                    raise NanoBraggError(f"{self.job.name}, [random]: {error}") from None

    def _check_draws(self, first):
        """Try all images' draws of backgrounds and response that could leave a field's range."""
        job, chain = self.job, self.job.chain
        varied = {name for columns in job.groups for name in columns}
        draws = [draw for draw in self._field_draws if draw.name in chain.fields]
        draws = [draw for draw in draws if chain.may_leave_range(draw, first, draw.name in varied)]
        begin = perf_counter()
        for index in range(len(job) if draws else 0):
            fields = job.stated(index)[0] if varied else {}
            try:
                for draw in draws:
                    base = self._base_of(draw.name, fields, first) if draw.kind in ABOUT_THE_VALUE else None
                    chain.check_value(draw.name, draw.value(self.seed, job.draw_index(draw, index), base))
            except FieldError as error:
                raise NanoBraggError(f"{job.name}, image {index}: {error}") from None
            if perf_counter() - begin > CHECK_SECONDS:
                break


def iter_images(
    job: Job | str | os.PathLike[str],
    indices: Iterable[int] | None = None,
    *,
    threads: int = 1,
    labels: bool = False,
) -> Iterator[Any]:
    """The images of a job, one after the other, as arrays of shape (slow, fast): uint16 with noise, else float32.

    job: a Job, or the name of a job file. indices: which images, in this order; None: all. threads: of one image; the
    image does not depend on it. labels: yield pairs (array, parameters) instead, as the manifest has them.
    Raises NanoBraggError for a job that cannot be, before the first image.
    """
    maker = Maker(job, check_count("threads", threads))
    return _images(maker, range(len(maker.job)) if indices is None else indices, labels)


def _images(maker, indices, labels):
    for made in maker.make_many(indices):
        yield (made.pixels, made.parameters) if labels else made.pixels


def batched(indices: Iterable[int], most: int) -> Iterator[list[int]]:
    """Runs of at most so many (itertools.batched, of Python 3.12)."""
    rest = iter(indices)
    while some := list(islice(rest, most)):
        yield some


def stored_shape(experiment: Any) -> tuple[int, int]:
    """(slow, fast) of the one image that files of many images hold, of all panels where there are several."""
    panels = experiment.detector.panels
    return experiment.shape if panels is None else place_panels(panels)[0]


def parsed(tokens: Any) -> Any:
    """The Options that tokens alone set."""
    from ..flags.nanobragg import parse

    options = Options()
    parse(tokens, options)
    return options


def keep(kept: Any, key: Any, value: Any, most: int) -> None:
    """Put a value into a dict that holds the latest few."""
    while len(kept) >= most:
        kept.pop(next(iter(kept)), None)
    kept[key] = value


def value_of(experiment: Any, name: str) -> Any:
    """The value of a dotted field of an experiment."""
    part, _, field = name.partition(".")
    return getattr(getattr(experiment, part), field)


def plain_value(value: Any) -> Any:
    """Arrays as lists, for the manifest."""
    return value.ravel().tolist() if isinstance(value, np.ndarray) else value
