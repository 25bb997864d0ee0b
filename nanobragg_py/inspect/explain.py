"""What a command line means: which rules each token fires, what overrides what, and where every value comes from.

`explain` follows a command line the way the drop-in does, through the same functions, and keeps a record. The text of
``nanobragg-py explain`` is made in explain_text.py; `Explanation.as_dict` is its JSON.
"""

import os
from typing import Any

from .. import __version__
from ..errors import NanoBraggError
from ..experiment.load import load, read_headers
from ..experiment.origins import Origins
from ..flags.nanobragg import INERT, RETIRED, flag_name, matching_rules, nearest_flag, parse, prescan, warning_sentences
from ..flags.options import DEFAULTS, Options
from ..records import REQUIRED, Record
from .explain_oddities import oddities
from .explain_quantities import quantities


class Origin(Record):
    """Who set an option: kind is default, header, flag or field; name the flag's, the field's or the header's file's.

    position: the token's.
    """

    _fields = {"kind": "default", "name": None, "position": None}

    def __str__(self) -> str:
        if self.kind == "default":
            return "default"
        if self.kind == "header":
            return f"header of {self.name}"
        if self.kind == "field":
            return str(self.name)
        return f"{self.name} (token {self.position + 1})"


class Setting(Record):
    """One assignment to an option. value: in the units of nanobragg_py.flags.options."""

    _fields = {"option": REQUIRED, "value": REQUIRED, "origin": REQUIRED}


class Firing(Record):
    """One rule that a token fits.

    rule: its name. outcome: fired; short (too few tokens follow); stopped (an earlier rule of the token ends the
    search); passed (a rule that looks at its value and did not like it). words: the values it read. settings: what it
    set. inert: read, and without effect on the image. needed: how many values it takes.
    """

    _fields = {
        "rule": REQUIRED,
        "outcome": "fired",
        "words": (),
        "settings": (),
        "inert": False,
        "needed": 0,
    }


class Token(Record):
    """One token of the command line.

    outcome: fired (at least one rule did); ignored; value (of an earlier token, and no rule fits it). firings: the
    rules it fits. nearest: the flag an unknown one may have been meant to be.
    """

    _fields = {"position": REQUIRED, "text": REQUIRED, "outcome": REQUIRED, "firings": (), "nearest": None}


class Explanation(Record):
    """All there is to say about a command line, or about an experiment of the library; as a str it is the text.

    argv: its tokens; none of an experiment. tokens: a Token each. history: every Setting in order, headers first.
    warnings: what the drop-in says on standard error and in WARNING lines. oddities: (id, sentence) pairs. quantities:
    the resolved experiment, as `Quantity` records; empty when there is none. unused: (options, reason) pairs, of those
    that do not enter the image here. physics: an `Effect` for each choice of the exact physics that changes the image;
    None where nobody asked. error: why there is none, or None.
    """

    _fields = {
        "argv": REQUIRED,
        "tokens": REQUIRED,
        "history": REQUIRED,
        "warnings": (),
        "oddities": (),
        "quantities": (),
        "unused": (),
        "physics": None,
        "error": None,
    }

    def overridden_by(self, setting: Any) -> Any:
        """The next Setting of the same option, or None when this one counts."""
        return self._neighbour(setting, +1)

    def overrides(self, setting: Any) -> Any:
        """The Setting that this one replaced, or None when it replaced the default."""
        return self._neighbour(setting, -1)

    def _neighbour(self, setting, step):
        same = [other for other in self.history if other.option == setting.option]
        at = next(i for i, other in enumerate(same) if other is setting) + step
        return same[at] if 0 <= at < len(same) else None

    def as_dict(self) -> dict[Any, Any]:
        """The whole in lists, dicts, strings and numbers, ready for JSON; docs/explain.md describes it."""
        return plain(
            {
                "program": f"nanobragg_py {__version__}",
                "flags": list(self.argv),
                "tokens": [self._token_dict(token) for token in self.tokens],
                "headers": [
                    {"file": s.origin.name, "option": s.option, "value": s.value, "overridden_by": self._next_name(s)}
                    for s in self.history
                    if s.origin.kind == "header"
                ],
                "warnings": list(self.warnings),
                "oddities": [{"id": name, "text": text} for name, text in self.oddities],
                "experiment": [
                    {**q._asdict(), "origins": [{"option": name, **o._asdict()} for name, o in q.origins]}
                    for q in self.quantities
                ],
                "unused": [{"options": list(options), "reason": reason} for options, reason in self.unused],
                "physics": None if self.physics is None else [effect._asdict() for effect in self.physics],
                "error": self.error,
            }
        )

    def __str__(self) -> str:
        from .explain_text import text_lines

        return "\n".join(text_lines(self))

    def _token_dict(self, token):
        rules = []
        for firing in token.firings:
            rule = firing._asdict()
            rule["settings"] = [
                {
                    "option": s.option,
                    "value": s.value,
                    "overrides": self._previous_name(s),
                    "overridden_by": self._next_name(s),
                }
                for s in firing.settings
            ]
            rules.append(rule)
        return {
            "position": token.position,
            "token": token.text,
            "outcome": token.outcome,
            "nearest": token.nearest,
            "rules": rules,
        }

    def _next_name(self, setting):
        other = self.overridden_by(setting)
        return None if other is None else str(other.origin)

    def _previous_name(self, setting):
        other = self.overrides(setting)
        return None if other is None else str(other.origin)


class WatchedOptions(Options):
    """Options that note who sets them, while `watching` is an Origin."""

    __slots__ = ("history", "watching")

    def __init__(self) -> None:
        object.__setattr__(self, "history", [])
        object.__setattr__(self, "watching", None)
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in DEFAULTS and self.watching is not None:
            self.history.append(Setting(name, value, self.watching))


def explain(argv: Any, physics: bool = False, folder: Any = None) -> "Explanation":
    """Follow a command line (tokens without the program's name): an `Explanation`.

    folder: what relative file names in it are relative to; None: the working directory. Input files are read, and
    nothing is written. physics: render coarse images for what the exact physics would change.
    A command line from which no experiment follows is explained as far as its tokens go, with the reason in `error`.
    Raises NanoBraggError where not even the tokens can be read: a bad value of a flag that only nanobragg_py has.
    """
    argv = list(argv)
    options = WatchedOptions()
    warnings = []
    error = mask = None
    mask_file, img_file = prescan(argv)
    try:
        for kind, name in (("mask", mask_file), ("img", img_file)):
            options.watching = Origin("header", name)
            pixels, _ = read_headers(
                name if kind == "mask" else None, name if kind == "img" else None, options, warnings.append, folder
            )
            mask = pixels if kind == "mask" else mask
    except NanoBraggError as caught:
        error = str(caught)
    options.watching = None
    events = []
    parse(argv, options, events)
    history = list(options.history)
    tokens = token_list(argv, events, history)
    warnings = [*warning_sentences(argv, events), *warnings]
    last = {setting.option: setting.origin for setting in history}
    default = Origin()

    def set_by(option):
        return last.get(option, default)

    loaded = None
    origins = Origins(options)
    if error is None:
        try:
            loaded = load(options, (), mask, complain=warnings.append, write_dump=False, folder=folder, origins=origins)
        except NanoBraggError as caught:
            error = str(caught)
    found: Any = ()
    if loaded is not None:
        warnings += [" ".join([text, *lines]) for _, text, lines in loaded.setup.warnings]
        origins.settle(loaded.setup, loaded.experiment)
        found = quantities(origins, set_by)
    effects = None
    if physics and loaded is not None:
        from .explain_physics import physics_effects

        effects = physics_effects(options, loaded)
    voids = [(void.name, void.options, reason(void, set_by)) for void in origins.voids]
    return Explanation(
        argv=tuple(argv),
        tokens=tokens,
        history=tuple(history),
        warnings=tuple(warnings),
        oddities=tuple(oddities(options, history, loaded, voids)),
        quantities=tuple(found),
        unused=() if loaded is None else tuple((options, why) for _, options, why in voids),
        physics=effects,
        error=error,
    )


def reason(void: Any, set_by: Any) -> str:
    """Why options do not enter the image; those that the reason speaks of are named as they were set."""

    def name_of(options, value):
        origin = set_by(options[0])
        name, unit = flag_name(options, value)
        return (str(origin) if origin.kind == "flag" else name), unit

    return void.why.named(name_of)


def token_list(argv: Any, events: Any, history: Any) -> Any:
    """The `Token` of each token; the settings of the events are appended to history."""
    fired = {}
    values = set()
    for position, token, rule, words, changes in events:
        settings = []
        for name, value in changes or ():
            settings.append(Setting(name, value, Origin("flag", token, position)))
        history += settings
        short = changes is None and len(argv) - position - 1 < max(1, rule.values)
        outcome = "fired" if changes is not None else "short" if short else "passed"
        fired.setdefault(position, []).append(
            Firing(
                rule=rule.name,
                outcome=outcome,
                words=words,
                settings=tuple(settings),
                inert=rule.group in (INERT, RETIRED),
                needed=rule.values,
            )
        )
        values.update(range(position + 1, position + 1 + len(words)))
    tokens = []
    for position, text in enumerate(argv):
        firings = fired.get(position, [])
        if any(firing.outcome == "fired" for firing in firings):
            outcome = "fired"
            # a rule may be there twice under one name (-misset random, -misset with angles): only other names are news
            names = {firing.rule for firing in firings}
            firings += [
                Firing(rule=rule.name, outcome="stopped") for rule in matching_rules(text) if rule.name not in names
            ]
        else:
            outcome = "value" if position in values else "ignored"
        unknown = outcome == "ignored" and not firings and text.startswith("-")
        tokens.append(
            Token(
                position=position,
                text=text,
                outcome=outcome,
                firings=tuple(firings),
                nearest=nearest_flag(text) if unknown else None,
            )
        )
    return tuple(tokens)


def plain(value: Any) -> Any:
    """JSON has no nan and no surrogates: those become null and question marks."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and value - value != 0.0:
        return None
    if isinstance(value, str):
        return os.fsencode(value).decode("utf-8", "replace")
    return value
