"""``nanobragg-py <subcommand>``: the modern command beside the drop-in. One module a subcommand, in cli/tools/.

A tool module has ``add_arguments(parser)``, which also sets ``description`` and ``epilog``, and ``run(args)``, which
returns the exit status. What follows ``--`` on the command line is an ordinary nanoBragg command line; the tool finds
it, as a list of tokens, in ``args.flags`` (None without a ``--``).
"""

import argparse
import contextlib
import difflib
import importlib
import os
import re
import shlex
import shutil
import sys
import textwrap
import warnings
from itertools import pairwise
from typing import Any

from .. import __version__
from ..errors import DEBUG, NanoBraggError
from ..flags.nanobragg import matching_rules
from ..hints import NanoBraggWarning, sentence_of
from ..process import catch_signals, ignore_signals, open_descriptors, status_of, stopped_by

#: name: (module in cli/tools, one line of help)
TOOLS = {
    "trace": ("trace", "every quantity on the way to one pixel"),
    "compare-traces": ("compare_traces", "where two traces part"),
    "compare": ("compare", "run two programs on one command line and compare everything they write"),
    "explain": ("explain", "what a nanoBragg command line means, flag by flag"),
    "golden": ("golden", "make and check sets of reference results"),
    "bundle": ("bundle", "keep the evidence of a run, and verify it"),
    "hkl": ("hkl", "structure factors from and to files of other programs"),
    "matrix": ("matrix", "orientation matrices from and to files of other programs"),
    "convert": ("convert", "images to formats of other programs"),
    "view": ("view", "a picture of an image"),
    "info": ("info", "header, statistics and beam centre of an image"),
    "batch": ("batch", "render many images"),
    "add": ("add", "the sum of float images"),
    "simulate": ("simulate", "spots, background and detector in one image"),
    "refine": ("refine", "crystal, beam and detector fitted to an observed image"),
    "sweep": ("sweep", "render a rotation series, ready for DIALS or XDS"),
    "completion": ("completion", "scripts for shells that complete flags and options"),
}
#: packages that some installation may lack: what brings them
PACKAGES = {"numpy": "numpy", "matplotlib": "'nanobragg-py[plot]'"}
#: tools whose runs go on where they were stopped
RESUMED = ("batch", "sweep")

USAGE_STATUS = 2
BROKEN_PIPE = 141

DESCRIPTION = """\
Tools around nanoBragg images. Where a tool wants a nanoBragg command line, it takes it behind --
as it is. Each tool explains itself: nanobragg-py <subcommand> --help
"""
EPILOG = """\
The simulation itself is the program nanoBragg (nanoBragg -help); exit status 2 of any tool means that
something was wrong with its arguments or files. --debug, in front of --, shows where in the program
an error arose.
"""


def main(argv: Any = None) -> Any:
    """Run the program; returns the exit status. argv: None: the process's, whose signals it then takes."""
    whole_process = argv is None
    if whole_process:
        prepare_process()
    argv = sys.argv[1:] if argv is None else list(argv)
    # file names keep the bytes they came with; lines on the two streams keep their order
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape", line_buffering=True)
    own, flags = argv, None
    if "--" in argv:
        at = argv.index("--")
        own, flags = argv[:at], argv[at + 1 :]
    debug = "--debug" in own or bool(os.environ.get(DEBUG))
    if debug:
        os.environ[DEBUG] = "1"  # workers of a batch, and programs that a tool starts
    own = [word for word in own if word != "--debug"]
    name = next((word for word in own if not word.startswith("-")), None)
    try:
        if whole_process:
            catch_signals()
        status = run_tool(name, own, flags)
        sys.stdout.flush()
        ignore_signals()
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            import traceback

            traceback.print_exception(error)
        return end(name, stopped_by(error), argv)
    return status


def prepare_process() -> None:
    """What the process needs: open streams, and sentences without Python's frame."""
    warnings.simplefilter("ignore", NanoBraggWarning)  # tools print what experiments have in `warnings`
    open_descriptors()
    for descriptor, stream in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(descriptor, "w" if descriptor else "r", closefd=False))  # noqa: SIM115


def run_tool(name: str | None, own: Any, flags: Any) -> Any:
    """Read the words of the tool `name` and run it; returns the exit status."""
    check_words(own, name)
    args, unknown = build_parser(name).parse_known_args(own)
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    args.flags = flags
    return args.run(args)


def end(name: str | None, error: Any, words: Any) -> Any:
    """Say what went wrong, in a sentence; returns the exit status that goes with it."""
    if isinstance(error, BrokenPipeError):
        # what is still buffered has nowhere to go, and must not fail again when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        complain(name, f"interrupted{going_on(name, words)}")
        return status_of(error)
    if isinstance(error, ModuleNotFoundError) and error.name in PACKAGES:
        return complain(name, f"this needs {error.name}; pip install {PACKAGES[error.name]}")
    return complain(name, str(error) if isinstance(error, NanoBraggError) else sentence_of(error, words))


def going_on(name: str | None, words: Any) -> str:
    """How a run that was stopped goes on, as the end of a sentence: the command, to be pasted into a shell."""
    own = words[: words.index("--")] if "--" in words else words
    options = {word.partition("=")[0] for word in own}
    if name not in RESUMED or (name == "batch" and ("--out" not in options or "--dry-run" in options)):
        return ""  # nothing was begun that could go on
    if "--rank=env" in own or ("--rank", "env") in pairwise(own):
        return "; the same command, behind the same srun or mpirun, goes on where this one stopped"
    return f"; this goes on where it stopped:\n{' '.join(map(shell_word, (own_name(), *words)))}"


def own_name() -> str:
    """What this program is called by in a shell."""
    called, found = sys.argv[0], shutil.which("nanobragg-py")
    if not os.path.isfile(called) or (found is not None and os.path.samefile(called, found)):
        return "nanobragg-py"
    return called


def shell_word(word: str) -> str:
    """A word as bash and zsh read it back; what a terminal would not show as it is, as numbers of bytes."""
    if word.isprintable():
        return shlex.quote(word)
    shown = (chr(x) if 32 <= x < 127 and x not in b"'\\" else f"\\x{x:02x}" for x in os.fsencode(word))
    return f"$'{''.join(shown)}'"


def complain(name: str | None, sentence: str) -> Any:
    """A sentence on standard error, after the tool's name; returns the exit status that goes with it."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    print(f"{' '.join(['nanobragg-py', *([name] if name else [])])}: {sentence}", file=sys.stderr)
    return USAGE_STATUS


def check_words(own: Any, name: str | None) -> None:
    """Raise for what argparse would explain badly: an unknown subcommand, and nanoBragg's flags without ``--``."""
    if name is None:
        return
    if name not in TOOLS:
        near = difflib.get_close_matches(name, TOOLS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(TOOLS)}"
        raise NanoBraggError(f"there is no such subcommand; {hint}")
    for word in own:
        if word.startswith("-") and not word.startswith("--") and word != "-h" and matching_rules(word):
            raise NanoBraggError(
                f"{word} is a flag of nanoBragg, and options of this tool begin with two dashes; "
                "put -- in front of nanoBragg's flags"
            )


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions, and has room for our longest option beside its help."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"max_help_position": 28, **options})

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """As it stands, or, on a terminal that is too narrow for that, its paragraphs broken between words."""
        if max(map(len, text.splitlines()), default=0) <= self._width or not sys.stdout.isatty():
            return super()._fill_text(text, width, indent)
        lines, paragraph = [], []
        for line in [*text.splitlines(), ""]:
            if line.strip() and not line.startswith(" "):
                paragraph.append(line)
                continue
            lines += [*textwrap.wrap(" ".join(paragraph), self._width), *self._within(line)]
            paragraph = []
        return "\n".join(lines)

    def _within(self, line):
        """An indented line, an example or a row of a list, as lines that are not too long: commands stay commands."""
        if len(line) <= self._width:
            return [line]
        indent = " " * (len(line) - len(line.lstrip()))
        whole = {"break_long_words": False, "break_on_hyphens": False}
        if re.match(r" +(\w+=\S+ )*(nanobragg-py|srun|-)", line):
            broken = textwrap.wrap(line.rstrip(" \\"), self._width - 2, subsequent_indent=f"{indent}    ", **whole)
            return [*(f"{part} \\" for part in broken[:-1]), broken[-1] + (" \\" if line.endswith("\\") else "")]
        label = re.match(r" +\S+ +", line)
        return textwrap.wrap(line, self._width, subsequent_indent=" " * len(label[0]) if label else indent, **whole)

    def _metavar_formatter(self, action: Any, default_metavar: str) -> Any:
        """Choices by the option's name where they would be wider than a narrow terminal has room for."""
        if self._is_wide(action):
            return lambda size: (action.dest.upper(),) * size
        return super()._metavar_formatter(action, default_metavar)

    def _expand_help(self, action: Any) -> str:
        text = super()._expand_help(action)
        return f"one of {', '.join(action.choices)} {text}" if self._is_wide(action) else text

    def _is_wide(self, action):
        listed = action.metavar is None and action.choices is not None and action.option_strings
        return listed and len(",".join(map(str, action.choices))) > 0.3 * self._width and sys.stdout.isatty()


def build_parser(name: str | None) -> Any:
    """The argument parser, with the arguments of the tool `name` (or of none: those modules are not imported)."""
    style: dict[str, Any] = {"formatter_class": HelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(prog="nanobragg-py", description=DESCRIPTION, epilog=EPILOG, **style)
    parser.add_argument("--version", action="version", version=f"nanobragg-py {__version__}")
    tools = parser.add_subparsers(title="subcommands", metavar="<subcommand>", required=True)
    for tool, (module, summary) in TOOLS.items():
        sub = tools.add_parser(tool, help=summary, **style)
        if tool == name:
            found = importlib.import_module(f"nanobragg_py.cli.tools.{module}")
            found.add_arguments(sub)
            sub.set_defaults(run=found.run, parser=sub)
    return parser
