"""Many inputs one after the other in one child process, which is hundreds of times a second.

A child that was forked from a warm process runs the inputs of a stretch of numbers and tells of each through a pipe. A
signal, or a time without news, is that of the input after the last that was told of; the next child goes on behind it.
What looks like a failure is run again alone (`harness.run`), so that nothing that an earlier input left in the process
is taken for one; where the two disagree the worse counts.
"""

import functools
import os
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

import harness

#: inputs of one child, and seconds without news after which its standard error is looked at
STRETCH, PATIENCE = 400, 0.5
#: a run of less than a minute is not announced, and the machine may be busy with others
UNANNOUNCED = 12
#: verdicts whose standard error is told, and bytes of it; all news is smaller than what a pipe may split
TOLD_OF, TOLD = (*harness.FAILURES, "caught"), 1000
_NEWS = struct.Struct("<qiBH")


def outcomes(name, seed, numbers, seconds=harness.SECONDS, memory=harness.MEMORY):
    """Run inputs of a kind: yields (number, `harness.Outcome`) in their order. numbers: a range."""
    first, place = numbers.start, "/dev/shm" if os.path.isdir("/dev/shm") else None
    while first < numbers.stop:
        stretch = range(first, min(first + STRETCH, numbers.stop))
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=place) as folder:
            for number, verdict, status, text in _stretch(name, seed, stretch, folder, seconds, memory):
                first = number + 1
                if verdict in harness.FAILURES:
                    # without others before it, and with the time that an unannounced run may take
                    alone = harness.run(harness.generate(name, seed, number), UNANNOUNCED * seconds, memory)
                    if alone.verdict in harness.FAILURES or verdict == "hang":
                        yield number, alone
                        continue
                yield number, harness.Outcome(verdict, status, text, 0.0)


def _stretch(name, seed, numbers, folder, seconds, memory):
    """News of one child: (number, verdict, status, text) of each input, until the last or the one that ended it."""
    reading, writing = os.pipe()
    output, errors = (os.memfd_create(stream) for stream in ("output", "errors"))
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(name, seed, numbers, folder, output, errors, writing, memory)
    os.close(writing)
    last, since, status = numbers.start - 1, time.monotonic(), 0
    try:
        while True:
            if select.select([reading], [], [], PATIENCE)[0]:
                news = os.read(reading, _NEWS.size)
                if not news:
                    break
                last, status, verdict, length = _NEWS.unpack(news)
                text = os.read(reading, length).decode(errors="replace") if length else ""
                since = time.monotonic()
                yield last, harness.VERDICTS[verdict], status, text
            else:
                told = harness.LONG in os.pread(errors, 65536, 0)
                if told or time.monotonic() - since > seconds:
                    os.kill(child, signal.SIGKILL)
                    yield last + 1, "long" if told else "hang", None, ""
                    last = None
                    break
    finally:
        os.close(reading)
        if last is None or sys.exc_info()[0] is not None:
            os.kill(child, signal.SIGKILL)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(output)
        os.close(errors)
    if last is not None and ended != 0:
        yield last + 1, "signal" if ended < 0 else "traceback", ended, ""


def _child(name, seed, numbers, folder, output, errors, writing, memory):
    """Run the inputs; this does not return."""
    from nanobragg_py.cli import main

    ended = harness.ESCAPED
    try:
        main.build_parser = functools.cache(main.build_parser)
        harness.enter(folder, output, errors, memory)
        environment = dict(os.environ)
        for number in numbers:
            given = harness.generate(name, seed, number)
            given.write(folder)
            status = harness.call(given)
            os.lseek(2, 0, os.SEEK_SET)
            text = os.read(2, 200_000).decode(errors="replace")
            left = _clear(folder)
            _rewind()
            if environment != dict(os.environ):
                os.environ.clear()
                os.environ.update(environment)
            verdict = harness.verdict_of(status, text, left)
            told = text[-TOLD:].encode(errors="replace") if verdict in TOLD_OF else b""
            os.write(writing, _NEWS.pack(number, status, harness.VERDICTS.index(verdict), len(told)) + told)
        ended = 0
    finally:
        os._exit(ended)


def _rewind():
    """Standard output and error are as at the beginning, whatever a program has done to them."""
    for descriptor, stream in ((1, "stdout"), (2, "stderr")):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        if getattr(sys, stream).closed:
            setattr(sys, stream, harness.text_stream(descriptor))


def _clear(folder):
    """Empty the folder; the names of temporary files that were in it."""
    left = []
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            left += [path.name for path in Path(entry.path).rglob("*.part")]
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            left += [entry.name] if entry.name.endswith(".part") else []
            os.unlink(entry.path)
    return left
