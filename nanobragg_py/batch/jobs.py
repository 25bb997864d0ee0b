"""The job file: an experiment, and what varies from image to image.

A job is read once and then answers, for any image number, what that image's parameters are. Nothing here depends on
other images, or on who asks.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from typing import Any

from ..errors import FieldError, NanoBraggError
from ..experiment.checks import finite
from ..experiment.serialize import PARTS, field_value, read_table
from ..hints import meant
from ..render.backends import ALLOWED
from ..render.images import STREAMS
from . import tables
from .chain import Chain
from .draws import ABOUT_THE_VALUE, ORIENTATION, Draw, read_draw

KEYS = (
    "seed",
    "repeat",
    "noise",
    "background",
    "response",
    "backend",
    "device",
    "precision",
    "experiment",
    "vary",
    "sweep",
    "random",
    "override",
)
SWEEP = ("sampling.phi0", "sampling.osc")
MOST_IMAGES = 10**12
#: numpy's Philox and the digests take any of these; a signed 64-bit number is what TOML has
LARGEST_SEED = 2**63 - 1


def field_names() -> list[str]:
    """Every field of an experiment that may vary, by its dotted name."""
    names = [f"{part}.{field.name}" for part, cls in PARTS.items() for field in dataclasses.fields(cls)]
    return [*names, "structure_factors.default_F"]


def read_job(path: str | os.PathLike[str]) -> Job:
    """The Job of a file: TOML or (.json) JSON as docs/batch.md has it, or a table (.csv, .jsonl) of command lines.

    Raises NanoBraggError that names the file and what is wrong in it.
    """
    path = os.fspath(path)
    folder, name = os.path.split(path)
    if os.path.splitext(path)[1].lower() in (".csv", ".jsonl"):
        return Job({"vary": [{"table": name}]}, folder, name)
    return Job(read_table(path), folder, name)


class Job:
    """What to render: ``len(job)`` images, of which `parameters` tells one.

    values: the content of a job file as dicts and lists. folder: what relative file names in it are relative to. name:
    what messages call it. Raises NanoBraggError for what is wrong in it; the experiment itself is looked at by
    `nanobragg_py.batch.Maker`.
    """

    def __init__(self, values: dict[str, Any], folder: str | os.PathLike[str] = "", name: str = "job") -> None:
        self.values: dict[str, Any] = values
        self.folder: Any = os.path.abspath(os.fspath(folder))
        self.name: str = name
        if not isinstance(values, dict):
            raise NanoBraggError(f"{name}: a job is a table of {', '.join(KEYS)}, not {type(values).__name__}")
        try:
            self._read(values)
        except FieldError as error:
            raise NanoBraggError(f"{name}: {error}") from None

    def __reduce__(self) -> Any:
        return Job, (self.values, self.folder, self.name)

    def __len__(self) -> int:
        return self._combinations * self.repeat * self.sweep_images

    # ---- reading ---------------------------------------------------------------------------------------------------

    def _read(self, values):
        for key in values:
            if key not in KEYS:
                raise FieldError(f"there is no key {key!r}; {meant(key, KEYS, 'the keys are')}")
        self.seed = self._whole("seed", values.get("seed"), 0, LARGEST_SEED)
        self.repeat = self._whole("repeat", values.get("repeat"), 1, tables.LARGEST) or 1
        self.noise = self._read_noise(values.get("noise"))
        self.chain = Chain(values.get("background"), values.get("response"), self.noise, self.folder)
        self.backgrounds, self.response = self.chain.backgrounds, self.chain.response
        self.backend = values.get("backend", "cpu")
        if self.backend not in ("cpu", "gpu"):
            raise FieldError(f'backend is {self.backend!r}; it must be "cpu" or "gpu"')
        self.devices = self._read_devices(values.get("device", 0))
        self.precision = values.get("precision", "double")
        if self.precision not in ALLOWED["precision"]:
            raise FieldError(f'precision is {self.precision!r}; it must be "double" or "single"')
        for key in ("device", "precision"):
            if key in values and self.backend != "gpu":
                raise FieldError(f'{key} is of a GPU; give backend = "gpu" as well, or leave it out')
        self._read_experiment(values.get("experiment"))
        self.groups = self._read_groups(values.get("vary", []))
        self._combinations = 1
        for columns in self.groups:
            self._combinations *= tables.group_length(columns)
        self._read_sweep(values.get("sweep"))
        if (images := self._combinations * self.repeat * self.sweep_images) > MOST_IMAGES:
            raise FieldError(f"the job has {images:.3g} images; it can have {MOST_IMAGES:.0e}")
        self.draws = self._read_draws(values.get("random", {}))
        self.overrides = self._read_overrides(values.get("override", {}))
        self._check_twice()

    def _whole(self, name, value, low, high):
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise FieldError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
        return value

    def _read_devices(self, given):
        """The numbers of the GPUs that share the job."""
        devices = given if isinstance(given, list) else [given]
        sound = devices and all(isinstance(x, int) and not isinstance(x, bool) and x >= 0 for x in devices)
        if not sound or len(set(devices)) < len(devices):
            raise FieldError(f"device is {given!r}; it must be the number of a GPU, from 0, or a list of such numbers")
        return devices

    def device_of(self, worker: int) -> int:
        """The GPU of a worker: workers take turns at the job's."""
        return self.devices[worker % len(self.devices)]

    def _table(self, name, value):
        if not isinstance(value, dict):
            raise FieldError(f"{name} is {value!r}; it must be a table ([{name}])")
        return value

    def _read_noise(self, given):
        """None where the job says nothing, else a dict of stream and adc, or False."""
        if given is None or given is False:
            return given
        given = {} if given is True else self._table("noise", given)
        for key in given:
            if key not in ("stream", "adc"):
                raise FieldError(f"noise.{key} is no key; {meant(key, ('stream', 'adc'), 'those of noise are')}")
        if given.get("stream", STREAMS[0]) not in STREAMS:
            raise FieldError(f"noise.stream is {given['stream']!r}; it must be one of {', '.join(STREAMS)}")
        if "adc" in given:
            finite("noise.adc", given["adc"])
        return dict(given)

    def _read_experiment(self, given):
        """The base: `tokens` of a command line, or `file`, or `parts`; tokens are empty without an experiment."""
        self.tokens, self.file, self.parts = [], None, None
        if given is None:
            return
        given = self._table("experiment", given)
        if "flags" in given or "file" in given:
            if len(given) > 1:
                raise FieldError(f"experiment has {' and '.join(given)}; give flags alone, or file alone, or tables")
            ((kind, value),) = given.items()
            if not isinstance(value, str):
                raise FieldError(f"experiment.{kind} is {value!r}; it must be a text")
            if kind == "flags":
                self.tokens = split_flags("experiment.flags", value)
            else:
                self.file = os.path.join(self.folder, value)
        else:
            self.parts = given

    @property
    def from_flags(self) -> bool:
        """Whether the experiment is a command line, which flags can add to."""
        return self.file is None and self.parts is None

    def _read_groups(self, given):
        if not isinstance(given, list):
            raise FieldError("vary must be a list of tables, each under [[vary]]")
        groups = []
        for place, group in enumerate(given, 1):
            where = f"[[vary]] number {place}"
            group = dict(self._table(where, group))
            columns = {}
            if "table" in group:
                table = group.pop("table")
                if not isinstance(table, str):
                    raise FieldError(f"{where}: table is {table!r}; it must be the name of a file")
                columns = tables.read_table(os.path.join(self.folder, table))
            for name, values in group.items():
                columns[name] = tables.read_column(name, values, lambda value, name=name: self.plain(name, value))
            lengths = {name: len(column) for name, column in columns.items()}
            if not lengths:
                raise FieldError(f"{where} is empty; give lists, ranges or a table, or leave it out")
            if len(set(lengths.values())) > 1:
                told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
                raise FieldError(f"{where}: {told} values; give as many of each, or put them under two [[vary]]")
            for name, column in columns.items():
                self._check_name(name, where)
                if name in self.chain.fields:
                    self.chain.check_values(name, tables.ends(column))
            groups.append(columns)
        return groups

    def _check_name(self, name, where):
        if name == "flags" or name.startswith("-"):
            if not self.from_flags:
                raise FieldError(f"{name} varies, which needs an experiment stated by flags; use the names of fields")
            if name != "flags":
                from ..flags.nanobragg import matching_rules

                if not matching_rules(name):
                    raise FieldError(f"{name} is no flag of nanoBragg")
            return
        names = [*field_names(), *self.chain.fields]
        if not self.chain.check_name(name) and name not in names:
            known = [*names, ORIENTATION] if where == "[random]" else names
            bare = {each.partition(".")[2]: each for each in known}
            advice = meant(name, known, elsewhere=bare)
            if not advice.startswith("did"):
                advice = "give a field such as beam.wavelength, a flag, or flags"
            raise FieldError(f"{name} is nothing that can vary; {advice}")

    def _read_sweep(self, given):
        self.sweep_images, self.sweep = 1, None
        if given is None:
            return
        given = self._table("sweep", given)
        for key in given:
            if key not in ("images", "start", "step"):
                hint = meant(key, ("images", "start", "step"), "those of sweep are")
                raise FieldError(f"sweep.{key} is no key; {hint}")
        if "step" not in given or "images" not in given:
            raise FieldError("sweep needs images and step")
        self.sweep_images = self._whole("sweep.images", given["images"], 1, tables.LARGEST)
        start, step = (plain("sampling.phi0", given.get(key, 0.0)) for key in ("start", "step"))
        for key, value in (("start", start), ("step", step)):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise FieldError(f'sweep.{key} is {value!r}; it must be radians, or a text such as "0.1 deg"')
        self.sweep = float(start), float(step)

    def _read_draws(self, given):
        each = "image" if self.sweep is None else "sweep"
        draws = []
        for name, stated in self._table("random", given).items():
            if name != ORIENTATION:
                self._check_name(name, "[random]")
            if name == "flags":
                raise FieldError("random.flags: flags cannot be drawn; use a list of them in [[vary]]")
            draw = read_draw(name, stated, lambda value, name=name: self.plain(name, value), each)
            if name in self.chain.fields:
                self.chain.check_values(name, draw.extremes())
            if draw.kind in ABOUT_THE_VALUE and name.startswith("-"):
                raise FieldError(f"{name} has {draw.kind}, which fields can have and flags cannot")
            draws.append(draw)
        return draws

    def _read_overrides(self, given):
        overrides = {}
        for key, flags in self._table("override", given).items():
            if not key.isascii() or not key.isdigit() or int(key) >= len(self):
                raise FieldError(f"override.{key} is no image; they go from 0 to {len(self) - 1}")
            if not self.from_flags:
                raise FieldError("override needs an experiment stated by flags")
            overrides[int(key)] = split_flags(f"override.{key}", flags)
        return overrides

    def _check_twice(self):
        seen = {}
        stated = [(name, f"[[vary]] number {i}") for i, columns in enumerate(self.groups, 1) for name in columns]
        stated += [(name, "[sweep]") for name in SWEEP if self.sweep]
        stated += [(draw.name, "[random]") for draw in self.draws if draw.kind not in ABOUT_THE_VALUE]
        for name, where in stated:
            if name in seen and name != "flags":
                raise FieldError(f"{name} is in {seen[name]} and in {where}; state it once")
            seen[name] = where
        if any(draw.name == ORIENTATION for draw in self.draws) and "crystal.missets" in seen:
            raise FieldError(f"crystal.missets and a random {ORIENTATION} exclude each other")
        self.chain.check_effect([*seen, *(draw.name for draw in self.draws)])

    # ---- what an image is ------------------------------------------------------------------------------------------

    def stated(self, index: int) -> tuple[dict[str, Any], list[str]]:
        """What is stated of image `index`: fields by name (units worked out), and the flags that are added.

        Random draws are not among them; see `draws`.
        """
        sweep, position = divmod(index, self.sweep_images)
        combination = sweep // self.repeat
        named: dict[str, Any] = {}
        for columns in reversed(self.groups):
            combination, number = divmod(combination, tables.group_length(columns))
            named = {**tables.row(columns, number), **named}
        fields: dict[str, Any] = {}
        tokens: list[str] = []
        for name, value in named.items():
            if name == "flags":
                tokens += split_flags(f"image {index}: flags", value)
            elif name.startswith("-"):
                tokens += flag_tokens(name, value)
            else:
                fields[name] = self.plain(name, value)
        if self.sweep:
            start, step = self.sweep
            fields["sampling.phi0"], fields["sampling.osc"] = start + position * step, abs(step)
        return fields, tokens + self.overrides.get(index, [])

    def each_row(self, most: int) -> list[int]:
        """Numbers of images among which every row of every list occurs, up to `most` rows of each."""
        stride, found = self.repeat * self.sweep_images, []
        for columns in reversed(self.groups):
            length = tables.group_length(columns)
            found += [number * stride for number in range(1, min(length, most))]
            stride *= length
        return found

    def draw_index(self, draw: Draw, index: int) -> int:
        """What counts for a draw: the image's number, or its sweep's."""
        return index // self.sweep_images if draw.each == "sweep" else index

    def plain(self, name: str, value: Any) -> Any:
        """A value of a field, of the experiment or of what comes after it, with the words for its unit as numbers."""
        return self.chain.number(name, value) if name in self.chain.fields else plain(name, value)

    def canonical(self) -> str:
        """The job as text, tables included, that is equal for equal jobs."""
        rows = [{name: _told(column) for name, column in group.items()} for group in self.groups]
        return json.dumps([self.values, rows], sort_keys=True, default=str)


def _told(column):
    """A column as JSON has it."""
    if isinstance(column, tables.Span):
        return column.told()
    return ["" if value is tables.MISSING else value for value in column]


def plain(name: str, value: Any) -> Any:
    """A value of a field with the words for its unit turned into numbers."""
    part, _, field = name.partition(".")
    return field_value(part, field, value)


def split_flags(where: str, text: Any) -> list[str]:
    """The tokens of a command line, given as a text, which is split as a shell does, or as a list."""
    if isinstance(text, list):
        return [str(token) for token in text]
    if not isinstance(text, str):
        raise FieldError(f"{where} is {text!r}; it must be a text")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise FieldError(f"{where} is {text!r}, which cannot be split into words: {error}") from None


def flag_tokens(name: str, value: Any) -> list[str]:
    """The tokens of one flag: none for false, the name alone for true, else the name and its values."""
    if value is False:
        return []
    if value is True:
        return [name]
    words = [name]
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, str):
            words += split_flags(name, entry)
        elif isinstance(entry, (int, float)) and not isinstance(entry, bool):
            words.append(repr(entry))
        else:
            raise FieldError(f"{name} is {value!r}; give numbers, words, true or false")
    return words
