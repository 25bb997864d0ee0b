"""What the drop-in programs share: what they print, what they do about errors, and where their time goes."""

import os
from time import perf_counter

from ..errors import DEBUG, NanoBraggError, Sentence, UsageError
from ..process import INTERRUPTED, catch_signals, ignore_signals, open_descriptors, status_of, stopped_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


#: minutes that are announced
LONG_MINUTES = 1.0


def guard(run: "Any", table: "Any", argv: "Any") -> "Any":
    """The exit status of `run`, called with the tokens of argv (whose first is the program's name).

    What goes wrong becomes a sentence on standard error. table: the program's flags, whose usage text answers a
    UsageError.
    """
    open_descriptors()
    flag_name = Sentence.flag_name
    try:
        catch_signals()
        status = run(argv[1:])
        ignore_signals()
        return status
    except (Exception, KeyboardInterrupt) as caught:
        return end(stopped_by(caught), table)
    finally:
        Sentence.flag_name = staticmethod(flag_name)


def name_headers(options: "Any", taken: "dict[str, str]") -> None:
    """Let sentences name the header's keys, and not flags, where a header gave an option its value.

    options: as the headers left them. taken: what options are called there, "PIXEL_SIZE of mask.img".
    """
    given = {name: getattr(options, name) for name in taken}
    flag_name = Sentence.flag_name

    def name_of(names, value=None):
        text, unit = flag_name(names, value)
        # nan is what it was given, too
        name = names[0] if len(names) == 1 and names[0] in given else None
        from_header = name is not None and repr(getattr(options, name)) == repr(given[name])
        return (taken[name] if from_header else text), unit

    Sentence.flag_name = staticmethod(name_of)


def end(error: "Any", table: "Any") -> "Any":
    """Say what went wrong, in a sentence; returns the exit status that goes with it."""
    if isinstance(error, KeyboardInterrupt):
        complain(INTERRUPTED)
        return status_of(error)
    if isinstance(error, UsageError):
        from ..flags.usage import usage_text

        say(usage_text(table, columns()).splitlines())
    if isinstance(error, NanoBraggError):
        complain(f"ERROR: {error}")
        return error.status
    if isinstance(error, MemoryError):
        complain(
            f"ERROR: there is not enough memory{f' ({error})' if str(error) else ''}; render fewer pixels or steps"
        )
        return NanoBraggError.status
    if os.environ.get(DEBUG):
        raise error
    complain(
        f"ERROR: this command line ended in {type(error).__name__} ({error}), which is a defect of the program; "
        f"please report it with what {DEBUG}=1 in the environment shows"
    )
    return NanoBraggError.status


def answer(options: "Any", table: "Any") -> bool:
    """Print what -help and -version ask for; True where they did."""
    if options.show_help:
        from ..flags.usage import usage_text

        say(usage_text(table, columns()).splitlines())
        return True
    if options.show_version:
        from .version import version_lines

        say(version_lines())
        return True
    return False


def announce(factors: str, steps: "Any", seconds: "Any") -> None:
    """Say so before minutes are spent. factors: what the number of steps is the product of."""
    minutes = seconds / 60.0
    if minutes > LONG_MINUTES:
        warn(
            f"{steps:.3g} steps ({factors}) are expected to take {minutes:.2g} minutes or more; Ctrl-C stops, and "
            "-roi, -oversample and -detpixels make it less"
        )


def say(lines: "Any") -> None:
    """Lines on standard output, at once; file names keep the bytes they came with."""
    write(1, os.fsencode("\n".join(lines)) + b"\n" if lines else b"")


def columns() -> int:
    """How wide a usage text may be: as the terminal is, where it goes to one that is narrower than most."""
    from ..flags.usage import WIDTH

    try:
        return min(WIDTH, os.get_terminal_size(1).columns or WIDTH)
    except OSError:
        return WIDTH


def warn(sentence: str) -> None:
    """A warning on standard error."""
    complain(f"WARNING: {sentence}")


def complain(line: "Any") -> None:
    """A line on standard error."""
    write(2, os.fsencode(line) + b"\n")


def write(descriptor: "Any", data: "Any") -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        return  # nobody is listening; the images matter more


class Clock:
    """Where the time goes, for -timing."""

    def __init__(self) -> None:
        self.begin = self.last = perf_counter()
        self.parts: dict[Any, Any] = {}

    def mark(self, part: "Any") -> None:
        """The time since the last mark went into `part`."""
        now = perf_counter()
        self.parts[part] = self.parts.get(part, 0.0) + now - self.last
        self.last = now

    def report(self) -> None:
        """Print milliseconds a part."""
        for part, seconds in self.parts.items():
            complain(f"timing: {part} {seconds * 1e3:.3f} ms")

    def report_total(self) -> None:
        """Print the milliseconds from the first mark to the last."""
        complain(f"timing: total {(self.last - self.begin) * 1e3:.3f} ms after the imports of the program")
