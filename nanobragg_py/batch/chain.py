"""What comes after the spots of a job: backgrounds and a detector, and which of their fields vary.

``background.thickness`` and ``response.gain`` are names like those of an experiment's fields: they may stand in lists,
ranges, tables and draws. Of several backgrounds, ``background.2.thickness`` is of the second.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from ..errors import FieldError, NanoBraggError
from ..experiment.checks import finite
from ..experiment.units import metres
from ..hints import meant
from .draws import ABOUT_THE_VALUE, Draw

if TYPE_CHECKING:
    from ..api import Experiment
    from ..render.amorphous import Background
    from ..render.response import Response

#: fields that are real numbers; the second are those of ice, which is calculated
BACKGROUND = ("density", "molecular_weight", "thickness", "width", "molecules")
OF_ICE = ("grain", "a", "c", "B")
RESPONSE = ("fwhm", "pixel_size", "gain", "offset", "readout", "flicker", "calibration")
LENGTHS = ("thickness", "width", "grain", "a", "c", "fwhm", "pixel_size")
#: fields from which the number of molecules follows unless it is given
FOR_MOLECULES = ("density", "molecular_weight", "thickness", "width")
#: fields that only a point spread needs
FOR_SPREAD = ("fwhm", "pixel_size")
#: the largest normal deviate, in standard deviations, of a fraction of 53 bits
FARTHEST = -NormalDist().inv_cdf(2.0**-54)


class Chain:
    """The backgrounds and the detector of a job, as stated, and their fields that may vary.

    background, response: what the job file has under these keys. noise: its noise, as read. folder: of its files.
    backgrounds: the `Background`s. response: the fields, as stated, of the `Response`, or None. fields: {name: (which
    background, or None for the response; its field)}. Raises FieldError.
    """

    def __init__(self, background: Any, response: Any, noise: Any, folder: str) -> None:
        several = isinstance(background, list)
        tables = [] if background is None else background if several else [background]
        places = [f"[[background]] number {place}" if several else "background" for place in range(1, len(tables) + 1)]
        self._stated = [_stated(where, given, folder) for where, given in zip(places, tables, strict=True)]
        self.backgrounds: list[Background] = [
            _material(where, given) for where, given in zip(places, self._stated, strict=True)
        ]
        self.response: dict[str, Any] | None = _read_response(response, noise)
        self.fields: dict[str, tuple[int | None, str]] = {}
        for place in range(len(tables)):
            prefix = "background" if len(tables) == 1 else f"background.{place + 1}"
            names = (*BACKGROUND, *OF_ICE) if self._is_ice(place) else BACKGROUND
            self.fields |= {f"{prefix}.{field}": (place, field) for field in names}
        if self.response is not None:
            self.fields |= {f"response.{field}": (None, field) for field in RESPONSE}

    def _is_ice(self, place):
        from ..render.amorphous import ICE

        return isinstance(curve := self._stated[place]["curve"], str) and curve == ICE

    # ---- names and numbers -----------------------------------------------------------------------------------------

    def check_name(self, name: str) -> bool:
        """Whether a name is that of a field of these; FieldError for one that looks like it and cannot vary."""
        part, _, field = name.partition(".")
        if name in self.fields or part not in ("background", "response"):
            return name in self.fields
        count = len(self.backgrounds) if part == "background" else int(self.response is not None)
        if not count:
            raise FieldError(f"{name} varies, and the job has no [{part}]; state it as well")
        number, _, inner = field.rpartition(".")
        if part == "background" and count > 1 and number not in map(str, range(1, count + 1)):
            raise FieldError(f"{name} varies, and the job has {count} backgrounds; say which, as background.1.{inner}")
        own = {each: (where, last) for each, (where, last) in self.fields.items() if each.startswith(f"{part}.")}
        from ..render.amorphous import Background
        from ..render.response import Response

        if count == 1 and f"{part}.{inner}" in self.fields:
            raise FieldError(f"{name} is nothing that can vary; the job has one {part}, so write {part}.{inner}")
        if inner in (Background if part == "background" else Response)._fields:
            known = ", ".join(dict.fromkeys(last for _, last in own.values()))
            raise FieldError(f"{name} cannot vary; of the {part}, numbers can: {known}")
        raise FieldError(f"{name} is nothing that can vary; {meant(name, list(own))}")

    def number(self, name: str, value: Any) -> Any:
        """The number, in metres of lengths, that a value of a field is; FieldError for what is none."""
        if name not in self.fields:
            return value
        return finite(name, metres(name, value) if self.fields[name][1] in LENGTHS else value)

    def check_values(self, name: str, values: Iterable[Any]) -> None:
        """Raise FieldError where a field does not take one of several values."""
        numbers = [self.number(name, value) for value in values]
        for value in {min(numbers, default=None), max(numbers, default=None)} - {None}:
            self.check_value(name, value)

    def check_value(self, name: str, value: Any) -> None:
        """Raise FieldError where a field does not take a number."""
        place, field = self.fields[name]
        try:
            if place is None:
                self.detector({field: value})
            elif field in OF_ICE:
                from ..render.ice import check_ice

                check_ice(**{field: value})
            else:
                self.backgrounds[place].replace(**{field: value})
        except FieldError as error:
            raise FieldError(f"{name.removesuffix(field)}{error}") from None

    def check_effect(self, names: Iterable[str]) -> None:
        """Raise FieldError for a field that varies, by name, and has no part in the image."""
        varied = [self.fields[name] for name in names if name in self.fields]
        for name in names:
            place, field = self.fields.get(name, (None, ""))
            if place is None and field in FOR_SPREAD and (self.response or {}).get("psf") is None:
                raise FieldError(f"{name} varies, and the response has no psf, which alone needs it")
            if place is None or field not in FOR_MOLECULES:
                continue
            if (place, "molecules") in varied or self.backgrounds[place].molecules is not None:
                raise FieldError(f"{name} varies, and the number of molecules is given, which leaves it no part")

    def base(self, name: str, experiment: Experiment) -> Any:
        """What is stated of a field, about which draws go."""
        place, field = self.fields[name]
        if place is None:
            if field == "pixel_size" and field not in self.response:  # type: ignore[operator]
                return experiment.resolved.detector.pixel_size
            return getattr(self.detector({}), field)
        if field in OF_ICE:
            from ..render.amorphous import Background

            default = inspect.signature(Background.ice).parameters[field].default
            return self.number(name, self._stated[place].get(field, default))
        return getattr(self.backgrounds[place], field)

    def may_leave_range(self, draw: Draw, experiment: Experiment, stated: bool) -> bool:
        """Whether a draw could give a value that its field does not take, other than at the ends of its range.

        stated: the value that it goes about varies, too.
        """
        if draw.kind not in ("normal", *ABOUT_THE_VALUE):
            return False
        if stated:
            return True
        middle = draw.numbers[0] if draw.kind == "normal" else self.base(draw.name, experiment)
        if middle is None:
            return True
        width = draw.numbers[1] if draw.kind == "normal" else draw.numbers
        reach = FARTHEST * width * (abs(middle) if draw.kind == "jitter" else 1.0)
        try:
            self.check_values(draw.name, (middle - reach, middle + reach))
        except FieldError:
            return True
        return False

    # ---- values of an image ----------------------------------------------------------------------------------------

    def changes(self, parameters: dict[str, Any]) -> dict[int | None, dict[str, Any]]:
        """What an image's parameters, by name, say of each background, by its place, and of the response, None."""
        found: dict[int | None, dict[str, Any]] = {}
        for name, (place, field) in self.fields.items():
            if name in parameters:
                found.setdefault(place, {})[field] = parameters[name]
        return found

    def material(self, place: int, changes: dict[str, Any], read: Background | None = None) -> Background:
        """A background with fields changed. read: it, with its curve read."""
        if not set(OF_ICE).isdisjoint(changes):
            from ..render.amorphous import material

            return material(**{**self._stated[place], **changes})
        made = read or self.backgrounds[place]
        return made.replace(**changes) if changes else made

    def detector(self, changes: dict[str, Any], **more: Any) -> Response:
        """The response with fields changed. more: fields that hold unless they are stated."""
        from ..render.response import Response

        return Response(**{**more, **(self.response or {}), **changes})


class Steps:
    """The chain of whoever makes images: curves are read once, and what was scattered is kept for the next image.

    threads: of one image. Threads may share one.
    """

    def __init__(self, chain: Chain, threads: int) -> None:
        self.chain, self.threads = chain, threads
        self._read: dict[int, Background] = {}
        self._kept: dict[int, tuple[Any, Any]] = {}

    def add_backgrounds(self, pixels: Any, experiment: Experiment, parameters: dict[str, Any]) -> Any:
        """The image, or those of panels, with the backgrounds added, in place. Raises FieldError."""
        from ..render.images import added

        changes = self.chain.changes(parameters)
        for place in range(len(self.chain.backgrounds)):
            pixels = added(pixels, self._scattered(place, experiment, changes.get(place, {})))
        return pixels

    def background(self, place: int, experiment: Experiment, changes: dict[str, Any]) -> Background:
        """One with its curve read. Raises FieldError."""
        try:
            if place not in self._read:
                given = self.chain.backgrounds[place]
                self._read[place] = given.replace(curve=given.resolved(experiment).curve)
            made = self.chain.material(place, changes, self._read[place])
            if not set(OF_ICE).isdisjoint(changes):
                made = made.replace(curve=made.resolved(experiment).curve)
            return made
        except FieldError:
            raise
        except NanoBraggError as error:
            raise FieldError(str(error)) from None

    def _scattered(self, place, experiment, changes):
        """The image of a background, which is the one before where nothing that it depends on has changed."""
        background, found = self.background(place, experiment, changes), experiment.resolved
        key = background, found.beam, found.detector, found.panels, found.sampling.oversample, found.physics.curve
        kept = self._kept.get(place)
        if kept is None or kept[0] != key:
            kept = self._kept[place] = key, background.render(experiment, threads=self.threads)
        return kept[1]

    def response(self, experiment: Experiment, parameters: dict[str, Any]) -> Response:
        """What makes pixels of an experiment's photons; a pixel is as large as there unless the job says otherwise."""
        changes = self.chain.changes(parameters).get(None, {})
        size = experiment.resolved.detector.pixel_size
        return self.chain.detector({**changes, "threads": self.threads}, pixel_size=size)


def _stated(where, given, folder):
    """What a job file states of a background, with the path of its curve."""
    from ..render.amorphous import ICE, SHIPPED

    if not isinstance(given, dict):
        raise FieldError(f"{where} is {given!r}; it must be a table ([{where}])")
    given = dict(given)
    curve = given.get("curve")
    if not isinstance(curve, (str, list)):
        raise FieldError(f"{where}: curve is missing; give a file, {', '.join((*SHIPPED, ICE))}, or two lists")
    if isinstance(curve, str) and curve not in (*SHIPPED, ICE):
        given["curve"] = os.path.join(folder, curve)
    return given


def _material(where, given):
    from ..render.amorphous import material

    try:
        return material(**given)
    except (TypeError, FieldError) as error:
        raise FieldError(f"{where}: {error}") from None


def _read_response(given, noise):
    """The fields, as stated, of the `Response` that every image goes through, or None."""
    if given is None:
        return None
    from ..render.response import Response

    if not isinstance(given, dict):
        raise FieldError(f"response is {given!r}; it must be a table ([response])")
    if isinstance(noise, dict) and noise:
        raise FieldError(
            f"noise.{next(iter(noise))} has no meaning with a response; give stream and offset under "
            "[response], and noise = true or false"
        )
    if "threads" in given:
        raise FieldError("response.threads cannot be; the threads are those of the batch (--threads)")
    try:
        Response(**given)
    except (TypeError, FieldError) as error:
        raise FieldError(f"response: {error}") from None
    return dict(given)
