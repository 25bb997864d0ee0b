"""Random valid command lines, by the C program and by ours in a forked child: where do they differ?

    NANOBRAGG_C=... NANOBRAGG_C_FIXED=... python tests/fuzz/lines.py --count 10000

Prints every difference as it is found, and counts at the end. The reference's programs are those that
tests/test_differential.py is about, and the lines those of tests/random_lines.py. Exit status 1 for a difference.
"""

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.append(os.fspath(Path(__file__).resolve().parent.parent))

import harness
import test_differential
from random_lines import Lines, write_inputs

from nanobragg_py.inspect import golden

SECONDS = 60.0


def ours(words, folder):
    """What our program does with a line, in a forked child: a `golden.Result`."""
    before = golden._contents(folder)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            status = harness.ESCAPED
            try:
                harness.enter(folder, output.fileno(), errors.fileno(), harness.MEMORY)
                status = harness.call(harness.Input("nanoBragg", ["-threads", "1", *words], {}))
            finally:
                os._exit(status)
        status = harness._wait(child, time.perf_counter() + SECONDS)
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read().decode(errors="surrogateescape"))
    files = {name: data for name, data in golden._contents(folder).items() if before.get(name) != data}
    printed = golden.printed_lines(texts[0])
    return golden.Result(files=files, exit_status=status, output=texts[0], errors=texts[1], **printed)


def compare(words, mode, program):
    """Both programs on one line: a `golden.Comparison`. program: the reference's."""
    results = []
    with tempfile.TemporaryDirectory() as place:
        for name in ("theirs", "ours"):
            folder = Path(place, name)
            folder.mkdir()
            write_inputs(folder)
            if name == "theirs":
                results.append(golden.run([program], words, folder, {"OMP_NUM_THREADS": "1"}))
            else:
                results.append(ours([*test_differential.MODES[mode][1], *words], folder))
    return test_differential.judged(results[1], results[0], words, mode)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="lines in each mode (default: 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--modes", nargs="+", choices=sorted(test_differential.MODES), default=["default", "c"])
    args = parser.parse_args()
    programs = {mode: os.environ.get(test_differential.MODES[mode][0]) for mode in args.modes}
    if missing := [test_differential.MODES[mode][0] for mode in args.modes if not programs[mode]]:
        parser.error(f"the environment names no reference program: {', '.join(missing)}")
    harness.preload()
    stream, counts, begin = Lines(args.seed), Counter(), time.perf_counter()
    for number in range(args.count):
        words = stream.line()
        for mode in args.modes:
            found = compare(words, mode, os.path.abspath(programs[mode]))
            counts["comparisons"] += 1
            counts["pixels"] += found.pixels
            counts["pixels not the same to the bit"] += found.differing
            if found.differences:
                counts["lines that differ"] += 1
                told = "\n    ".join(found.differences)
                print(f"{args.seed} {number} {mode}: {shlex.join(words)}\n    {told}", flush=True)
        if number % 500 == 499:
            print(f"{number + 1} lines in {time.perf_counter() - begin:.0f} s: {dict(counts)}", flush=True)
    print(f"{args.count} lines: {dict(counts)}")
    return 1 if counts["lines that differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
