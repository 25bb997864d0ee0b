"""Kills the drop-in at random moments, and tells what each kind of signal left.

    python tests/fuzz/kills.py --count 500

After every kill no image may be cut off (it is that of a whole run, or not there), no temporary file may be left but
by SIGKILL, and the next run must end with the images of a whole run and nothing beside them.
"""

import argparse
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

NAMES = ("SIGTERM", "SIGHUP", "SIGINT", "SIGKILL")
STATUS = {"SIGTERM": 143, "SIGHUP": 129, "SIGINT": 130}
LINE = (
    "-cell 50 60 70 90 90 90 -default_F 10 -N 3 -seed 1 -threads 1 -oversample 1 -detpixels 500 -pixel 0.2 -noprogress"
)


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    numbers = random.Random(args.seed)
    words = [os.path.join(os.path.dirname(sys.executable), "nanoBragg"), *shlex.split(LINE)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        subprocess.run(words, cwd=folder, check=True, **quiet)
        takes = time.perf_counter() - begin
        calm = contents(folder)
    ends, failures = {name: Counter() for name in NAMES}, []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.count):
            name = NAMES[number % len(NAMES)]
            process = subprocess.Popen(words, cwd=folder, **quiet)
            time.sleep(numbers.uniform(0.0, takes))
            process.send_signal(getattr(signal, name))
            errors = process.communicate()[1].decode(errors="replace")
            left = contents(folder)
            parts = [file for file in left if file.endswith(".part")]
            status = process.returncode
            how = "over" if status == 0 else "unwound" if status == STATUS.get(name) else "before it began"
            ends[name]["killed" if name == "SIGKILL" and status else how] += 1
            ends[name]["left a part"] += bool(parts)
            if parts and name != "SIGKILL":
                failures.append(f"{number} {name}: left {parts}")
            if any(left[file] != calm.get(file) for file in left if file not in parts):
                failures.append(f"{number} {name}: an image is not whole")
            if "Traceback" in errors and how == "unwound":
                failures.append(f"{number} {name}: {errors.strip().splitlines()[-1]}")
            # only now and then: what has been left must not be in the way of later runs, and piles up until then
            if number % 10 == 9 or number == args.count - 1:
                subprocess.run(words, cwd=folder, check=True, **quiet)
                if contents(folder) != calm:
                    failures.append(f"{number}: the run after it ended with {sorted(contents(folder))}")
                for file in calm:
                    os.unlink(os.path.join(folder, file))
    for name in NAMES:
        print(f"{name:8} {', '.join(f'{count} {how}' for how, count in sorted(ends[name].items()) if count)}")
    print("\n".join([f"{args.count} kills, {len(failures)} failures", *failures]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
