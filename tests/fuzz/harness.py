"""Running inputs that are meant to break the programs, each in a forked child, and judging what became of it.

An `Input` is a command line with the files it reads. `run` gives it to a program in a child process of its own folder
and says what it did: ``ok``; ``long``, a run that said beforehand that it would take minutes; ``sentence``, a foreseen
error; ``caught``, one that only the tools' last boundary turned into a sentence; and the failures ``mute``,
``traceback``, ``signal``, ``hang`` and ``leftover``. Generators of inputs register themselves
with `kind` (tests/fuzz/inputs_*.py).
"""

import importlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

FAILURES = ("mute", "traceback", "signal", "hang", "leftover")
VERDICTS = ("ok", "long", "sentence", "caught", *FAILURES)
#: exit status of a child in which an exception came through
ESCAPED = 77
#: and of one that a sanitizer stopped (tests/sanitize.sh), which counts as a signal
SANITIZER = 66
#: bytes of memory that a child may take, seconds that it may run, and bytes that it may write
MEMORY = 4 * 2**30
SECONDS = 10.0
DISK = 256 * 2**20

#: what children would each import anew
PRELOADED = """
numpy h5py gemmi tomllib nanobragg_py.cli.dropin nanobragg_py.api nanobragg_py.batch.local nanobragg_py.batch.store
nanobragg_py.experiment.load nanobragg_py.experiment.reflections nanobragg_py.files.hkl nanobragg_py.files.smv
nanobragg_py.files.pgm nanobragg_py.files.formats.cbf nanobragg_py.files.parts nanobragg_py.inspect.golden_set
nanobragg_py.inspect.trace nanobragg_py.inspect.trace_compare nanobragg_py.render.noise nanobragg_py.render.simulate
nanobragg_py.render.images nanobragg_py.kernels.loops.sequential
"""

#: name -> function(random.Random) -> Input
KINDS = {}


class Input:
    """program: "nanoBragg" or "nanobragg-py". words: of the command line. files: name -> bytes."""

    def __init__(self, program, words, files):
        self.program, self.words, self.files = program, [str(word) for word in words], files

    def write(self, folder):
        """Put the files into a folder."""
        for name, data in self.files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


class Outcome:
    """verdict: one of VERDICTS. status: the exit status, or minus the signal. errors: standard error. seconds."""

    def __init__(self, verdict, status, errors, seconds):
        self.verdict, self.status, self.errors, self.seconds = verdict, status, errors, seconds

    @property
    def last(self):
        """The last line of standard error."""
        return (self.errors.strip().splitlines() or [""])[-1]


def kind(name):
    """Register a generator under a name."""

    def register(function):
        KINDS[name] = function
        return function

    return register


def load_kinds():
    """Import every module of generators beside this one."""
    for path in sorted(Path(__file__).parent.glob("inputs_*.py")):
        importlib.import_module(path.stem)
    return KINDS


def generate(name, seed, number):
    """Input `number` of a kind: a function of the three, whatever came before."""
    return KINDS[name](random.Random(f"{name} {seed} {number}"))


def preload():
    """Import what children would each import anew."""
    from nanobragg_py.cli import main
    from nanobragg_py.render import backends

    for tool in main.TOOLS:
        main.build_parser(tool)
    # the loops, but not their threads, which a forked child would not have
    backends.cpu_renderer()
    backends.level_module("noise.poisson")
    for name in PRELOADED.split():
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def run(given, seconds=SECONDS, memory=MEMORY):
    """Run an Input in a child process and a folder of its own: an `Outcome`. memory: bytes; 0: no limit."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        given.write(folder)
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
            begin = time.perf_counter()
            child = os.fork()
            if child == 0:
                _child(given, folder, output.fileno(), errors.fileno(), memory)
            status = _wait(child, begin + seconds)
            took = time.perf_counter() - begin
            errors.seek(0)
            text = errors.read(200_000).decode(errors="replace")
        left = [path.name for path in Path(folder).rglob("*.part")]
    return Outcome(_verdict(status, text, left), status, text, took)


def _child(given, folder, output, errors, memory):
    """What the child does; it does not return."""
    status = ESCAPED
    try:
        os.setsid()
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, DISK))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if given.program == "nanoBragg":
            from nanobragg_py.cli.dropin import main

            status = main(["nanoBragg", *given.words])
        else:
            from nanobragg_py.cli.main import main

            status = main(given.words)
        sys.stdout.flush()
    except SystemExit as stopped:
        status = stopped.code if isinstance(stopped.code, int) else 1 if stopped.code else 0
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
        finally:
            os._exit(ESCAPED if status is None else status & 0xFF)


def _wait(child, until):
    """The child's exit status, minus its signal, or None for one that had to be killed."""
    pause = 0.0005
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.perf_counter() > until:
            for end in (os.killpg, os.kill):
                try:
                    end(child, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            os.waitpid(child, 0)
            return None
        time.sleep(pause)
        pause = min(pause * 1.3, 0.05)


def _verdict(status, errors, left):
    if status is None:
        return "long" if "are expected to take" in errors else "hang"
    if status < 0:
        return "signal"
    if status == SANITIZER or "runtime error: " in errors:
        return "signal"
    if status == ESCAPED or "Traceback (most recent" in errors or "defect of the program" in errors:
        return "traceback"
    if left:
        return "leftover"
    if status == 0:
        return "ok"
    if not errors.strip():
        return "mute" if status != 1 else "ok"  # 1 says that two things differ, on standard output
    return "caught" if "--debug where this was found" in errors else "sentence"


def keep(given, outcome, folder):
    """Keep an input that failed, to be looked at and run again: its files and ARGS.json."""
    import json

    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(parents=True)
    given.write(folder)
    told = {
        "program": given.program,
        "argv": given.words,
        "kind": outcome.verdict,
        "status": outcome.status,
        "err": outcome.errors[-2000:],
    }
    (Path(folder) / "ARGS.json").write_text(json.dumps(told, indent=1, default=str))


# ---- breaking things -----------------------------------------------------------------------------------------------

NUMBERS = """
0 -1 1 2 3 1.5 -0 nan inf -inf 1e308 -1e308 1e-308 1e160 1e-160 5e-324 1e40 1e20 -1e20 2147483647 2147483648
-2147483648 -2147483649 4294967296 9223372036854775807 9223372036854775808 18446744073709551616 32768 65536
0x10 1_000 1,5 1D3 +1 --1 1e 1e+ e5 .5 5. . - + \u00b2 \u0663 1e9999
00000000000000000000000000000000000000000000000000001
"""
NUMBERS = tuple(NUMBERS.split())
WORDS = (
    "",
    " ",
    "\0",
    "%s%n",
    "../x",
    "/dev/null",
    "/dev/zero",
    "a" * 300,
    "\N{GREEK SMALL LETTER PHI}",
    "\udcff",
    "true",
    "null",
    "[]",
    "{}",
    "'",
    '"',
    "\\",
    "#",
    ";",
    "-",
    "--",
)


def broken_bytes(numbers, data, times=None):
    """`data` with a few bytes, or stretches of them, changed."""
    data = bytearray(data)
    for _ in range(times or numbers.choice((1, 1, 2, 5))):
        at = numbers.randrange(len(data) + 1)
        width = numbers.choice((1, 1, 2, 4, 8, 64, 512))
        change = numbers.randrange(7)
        if change == 0:
            data[at : at + 1] = bytes([numbers.randrange(256)])
        elif change == 1:
            del data[at : at + width]
        elif change == 2:
            data[at:at] = numbers.randbytes(width)
        elif change == 3:
            data[at : at + width] = bytes([numbers.choice((0, 255, 10, 32))]) * width
        elif change == 4:
            del data[at:]
        elif change == 5:
            data[at:at] = data[at : at + width]
        elif at < len(data):
            data[at] ^= 1 << numbers.randrange(8)
    return bytes(data)


def broken_text(numbers, text, times=None, words=()):
    """A text with tokens or lines changed, left out, doubled or put in."""
    if numbers.random() < 0.1:
        return broken_bytes(numbers, text.encode("utf-8", "surrogateescape"))
    lines = text.split("\n")
    for _ in range(times or numbers.choice((1, 1, 2, 4))):
        at = numbers.randrange(len(lines))
        change = numbers.randrange(8)
        if change < 4:
            lines[at] = broken_line(numbers, lines[at], words)
        elif change == 4:
            del lines[at]
        elif change == 5:
            lines.insert(at, numbers.choice(lines or [""]))
        elif change == 6:
            lines.insert(at, numbers.choice((*words, *NUMBERS, *WORDS)))
        else:
            lines = lines[:at] + [lines[at][: numbers.randrange(len(lines[at]) + 1)]]
        lines = lines or [""]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def broken_line(numbers, line, words=()):
    """A line with one of its tokens changed."""
    import re

    tokens = re.split(r"([\s,;=\[\]{}:]+)", line)
    at = numbers.randrange(len(tokens))
    change = numbers.randrange(5)
    if change < 3:
        tokens[at] = numbers.choice(NUMBERS if change < 2 else (*words, *WORDS))
    elif change == 3:
        del tokens[at]
    else:
        tokens.insert(at, " " + numbers.choice(NUMBERS))
    return "".join(tokens)


def broken_value(numbers, value, depth=0):
    """A value of dicts, lists, numbers and texts with one leaf or branch changed."""
    if depth and numbers.random() < 0.15:
        return odd_value(numbers)
    if isinstance(value, dict) and value:
        changed, key = dict(value), numbers.choice(list(value))
        change = numbers.randrange(8)
        if change == 0:
            del changed[key]
        elif change == 1:
            changed[numbers.choice((*WORDS, "x", key + "x"))] = value[key]
        else:
            changed[key] = broken_value(numbers, value[key], depth + 1)
        return changed
    if isinstance(value, list) and value:
        changed, at = list(value), numbers.randrange(len(value))
        change = numbers.randrange(8)
        if change == 0:
            del changed[at]
        elif change == 1:
            changed.insert(at, value[at])
        else:
            changed[at] = broken_value(numbers, value[at], depth + 1)
        return changed
    return odd_value(numbers)


def odd_value(numbers):
    """A value that is probably wrong where it is put."""
    nested = []
    for _ in range(numbers.choice((1, 50))):
        nested = [nested]
    return numbers.choice(
        (
            *(0, 1, -1, 2, 10**9, 2**31 - 1, 2**31, 2**63, 10**400, -(10**400)),
            *(0.5, -0.5, 1e308, 1e160, 1e-300, float("nan"), float("inf")),
            *(None, True, False, [], {}, [[]], [1, 2], [1, 2, 3], {"x": 1}, "", "x", "1 A", "1e308 mm", nested),
            *NUMBERS,
            *WORDS,
        )
    )
