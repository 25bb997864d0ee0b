"""Gives the programs inputs that are meant to break them, and counts what became of them.

    python tests/fuzz/run.py --count 100000                     so many of every kind
    python tests/fuzz/run.py --kinds job folder --seed 7        some kinds, other inputs
    python tests/fuzz/run.py --keep found                       failures are kept in folders there, with ARGS.json

Every input is a function of its kind, the seed and its number. Exit status 1 if one of them failed.
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness
import warm

#: kinds whose program starts workers or itself: so many times fewer of them
SLOW = {"folder": 100, "golden": 100, "sweep": 20}


def inputs(name, args, numbers):
    """(number, outcome) of inputs of a kind, many in one process where the program starts none of its own."""
    memory = int(args.memory * 2**30)
    if name not in SLOW and not args.alone:
        yield from warm.outcomes(name, args.seed, numbers, args.seconds, memory)
        return
    for number in numbers:
        yield number, harness.run(harness.generate(name, args.seed, number), args.seconds, memory)


def main():
    kinds = harness.load_kinds()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="inputs of each kind (default: 200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--kinds", nargs="+", choices=sorted(kinds), default=sorted(kinds), metavar="KIND")
    parser.add_argument("--seconds", type=float, default=harness.SECONDS, help="one input may take")
    parser.add_argument("--memory", type=float, default=4.0, help="GiB that one input may take; 0: no limit")
    parser.add_argument("--alone", action="store_true", help="a process for every input, which is slower")
    parser.add_argument("--keep", metavar="DIR", help="folder for inputs that failed")
    parser.add_argument("--caught", action="store_true", help="keep those, too, that only the last boundary caught")
    args = parser.parse_args()
    harness.preload()
    os.environ["PYTHONSAFEPATH"] = "1"
    total = Counter()
    for name in args.kinds:
        begin = time.perf_counter()
        counts = Counter()
        count = -(-args.count // SLOW.get(name, 1))
        for number, outcome in inputs(name, args, range(args.first, args.first + count)):
            counts[outcome.verdict] += 1
            if outcome.verdict in harness.FAILURES or (args.caught and outcome.verdict == "caught"):
                print(
                    f"{name} {args.seed} {number}: {outcome.verdict}, {outcome.status}: {outcome.last[:200]}",
                    flush=True,
                )
                if args.keep:
                    given = harness.generate(name, args.seed, number)
                    harness.keep(given, outcome, Path(args.keep) / f"{name}-{outcome.verdict}-{args.seed}-{number}")
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in harness.VERDICTS if counts[verdict])
        print(f"{name:12} {count:7} inputs in {time.perf_counter() - begin:6.1f} s: {told}", flush=True)
        total.update(counts)
    failed = sum(total[verdict] for verdict in harness.FAILURES)
    print(f"{sum(total.values())} inputs, {failed} failures: {dict(total)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
