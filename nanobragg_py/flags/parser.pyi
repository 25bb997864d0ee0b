from collections.abc import Sequence
from typing import Any, ClassVar

Event = tuple[int, str, "Rule", tuple[str, ...], list[tuple[str, Any]] | None]

UNITS: dict[str, tuple[float, float]]
METAVARS: dict[str | None, str]
MAX_COUNT: int
INERT: str
OWN: str

class Rule:
    def __init__(
        self,
        group: str,
        names: str,
        convert: str | None,
        dests: str,
        help: str,
        metavar: str | None = None,
        sets: tuple[tuple[str, Any], ...] = (),
        values: int = 1,
        needles: str | None = None,
        match: str = "has",
        action: str = "set",
        first_pass: bool = False,
        stop: bool = False,
        choices: tuple[str, ...] = (),
    ) -> None: ...
    group: str
    help: str
    metavar: str
    match: str
    action: str
    convert: str | None
    names: tuple[str, ...]
    dests: tuple[str, ...]
    sets: tuple[tuple[str, Any], ...]
    needles: tuple[str, ...]
    choices: tuple[str, ...]
    values: int
    first_pass: bool
    stop: bool
    @property
    def name(self) -> str: ...

class Table:
    def __init__(
        self, program: str, rules: tuple[Rule, ...], options: type[OptionRecord], groups: tuple[str, ...]
    ) -> None: ...
    program: str
    rules: tuple[Rule, ...]
    groups: tuple[str, ...]
    options: type[OptionRecord]
    def parse(self, argv: Sequence[str], options: Any = None, events: list[Event] | None = None) -> Any: ...
    def prescan(self, argv: Sequence[str]) -> dict[str, str | None]: ...
    def matching_rules(self, token: str) -> list[Rule]: ...
    def nearest_flag(self, token: str) -> str | None: ...
    def unknown_flags(self, argv: Sequence[str], events: list[Event] | None = None) -> list[tuple[str, str | None]]: ...
    def warning_sentences(self, argv: Sequence[str], events: list[Event] | None = None) -> list[str]: ...

class OptionRecord:
    defaults: ClassVar[dict[str, Any]]
    def __init__(self, **values: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...

def switch(group: str, names: str, sets: tuple[tuple[str, Any], ...], help: str, **more: Any) -> Rule: ...
def own(name: str, convert: str | None, dest: str, help: str, metavar: str | None = None) -> Rule: ...
def second_pass(rule: Rule) -> bool: ...
