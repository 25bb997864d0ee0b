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
#: what a run says that takes long
LONG = b"are expected to take"
#: bytes of memory that a child may take, seconds that it may run, and bytes that it may write
MEMORY = 4 * 2**30
SECONDS = 10.0
DISK = 256 * 2**20

#: what children would each import anew
PRELOADED = """
numpy h5py gemmi tomllib nanobragg_py.cli.dropin nanobragg_py.api nanobragg_py.batch.local nanobragg_py.batch.store
nanobragg_py.experiment.load nanobragg_py.experiment.reflections nanobragg_py.files.hkl nanobragg_py.files.smv_read
nanobragg_py.files.pgm nanobragg_py.files.formats.cbf nanobragg_py.files.parts nanobragg_py.inspect.golden_set
nanobragg_py.inspect.trace nanobragg_py.inspect.trace_compare nanobragg_py.render.noise nanobragg_py.render.simulate
nanobragg_py.render.images nanobragg_py.kernels.loops.sequential nanobragg_py.cli.noisify nanobragg_py.cli.nonbragg
nanobragg_py.experiment.noisify nanobragg_py.experiment.load_background nanobragg_py.render.detector
"""

#: the programs, and the modules that are theirs; "library" has none: see `library`
PROGRAMS = {
    "nanoBragg": "nanobragg_py.cli.dropin",
    "noisify": "nanobragg_py.cli.noisify",
    "nonBragg": "nanobragg_py.cli.nonbragg",
    "nanobragg-py": "nanobragg_py.cli.main",
    "library": None,
}

#: name -> function(random.Random) -> Input
KINDS = {}


class Input:
    """program: one of PROGRAMS. words: of the command line. files: name -> bytes."""

    def __init__(self, program, words, files):
        self.program, self.words, self.files = program, [str(word) for word in words], files

    def write(self, folder):
        """Put the files into a folder."""
        for name, data in self.files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


class Outcome:
    """verdict: one of VERDICTS. status: the exit status, or minus the signal. errors: standard error. seconds.

    output: standard output. files: {name: bytes} of those that `run` was asked for and that were made.
    """

    def __init__(self, verdict, status, errors, seconds, output="", files=None):
        self.verdict, self.status, self.errors, self.seconds = verdict, status, errors, seconds
        self.output, self.files = output, files or {}

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


def run(given, seconds=SECONDS, memory=MEMORY, wanted=()):
    """Run an Input in a child process and a folder of its own: an `Outcome`. memory: bytes; 0: no limit.

    wanted: names of files that are read afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        given.write(folder)
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
            begin = time.perf_counter()
            child = os.fork()
            if child == 0:
                _child(given, folder, output.fileno(), errors.fileno(), memory)
            status = _wait(child, begin + seconds, errors.fileno())
            took = time.perf_counter() - begin
            errors.seek(0)
            text = errors.read(200_000).decode(errors="replace")
            output.seek(0)
            printed = output.read(200_000).decode(errors="replace")
        made = {name: Path(folder, name).read_bytes() for name in wanted if Path(folder, name).is_file()}
        left = [path.name for path in Path(folder).rglob("*.part")]
    return Outcome(verdict_of(status, text, left), status, text, took, printed, made)


def _child(given, folder, output, errors, memory):
    """What the child does; it does not return."""
    status = ESCAPED
    try:
        enter(folder, output, errors, memory)
        status = call(given)
    finally:
        os._exit(status)


def enter(folder, output, errors, memory):
    """Make this process one that programs run in: their folder, their three streams, and what they may take."""
    os.setsid()
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    sys.stdin, sys.stdout, sys.stderr = open(0), text_stream(1), text_stream(2)  # noqa: SIM115
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, DISK))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def text_stream(descriptor):
    """A stream like Python's own, to a descriptor."""
    return open(descriptor, "w", errors="strict" if descriptor == 1 else "backslashreplace", closefd=False)


def call(given):
    """Run an Input in this process: the exit status."""
    status = ESCAPED
    try:
        if given.program == "library":
            status = library(given.words)
        else:
            main = importlib.import_module(PROGRAMS[given.program]).main
            status = main(given.words if given.program == "nanobragg-py" else [given.program, *given.words])
        sys.stdout.flush()
    except SystemExit as stopped:
        status = stopped.code if isinstance(stopped.code, int) else 1 if stopped.code else 0
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    return ESCAPED if status is None else status & 0xFF


def library(words):
    """What a user's own Python does: an experiment of flags (or of a file that is named alone, or with a
    detector's file), and all it can do."""
    from nanobragg_py import Beam, Crystal, Detector, Experiment, NanoBraggError, Sampling, StructureFactors

    try:
        if words[0] == "detector":
            crystal, beam = Crystal.from_cell(40, 50, 60), Beam(wavelength=1e-10)
            detector = Detector.read(words[1])
            Experiment(crystal, beam, detector, Sampling(oversample=1), StructureFactors(default_F=1)).render(threads=1)
            return 0
        single = len(words) == 1 and not words[0].startswith("-")
        experiment = Experiment.read(words[0]) if single else Experiment.from_args(words)
        image = experiment.render(threads=1)
        experiment.add_noise(image)
        experiment.to_args(".")
        experiment.to_dict()
    except NanoBraggError as error:
        print(error, file=sys.stderr)
        return NanoBraggError.status
    return 0


def _wait(child, until, errors=None):
    """The child's exit status, minus its signal, or None for one that had to be killed.

    errors: descriptor of its standard error: a run that says there that it takes long is not waited for.
    """
    pause, patience = 0.0005, time.perf_counter() + 3.0
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        now = time.perf_counter()
        told = errors is not None and now > patience and LONG in os.pread(errors, 65536, 0)
        if told or now > until:
            for end in (os.killpg, os.kill):
                try:
                    end(child, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            os.waitpid(child, 0)
            return None
        time.sleep(pause)
        pause = min(pause * 1.3, 0.05)


def verdict_of(status, errors, left):
    """One of VERDICTS. status: None for what had to be ended. left: temporary files that are still there."""
    if status is None:
        return "long" if LONG.decode() in errors else "hang"
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
