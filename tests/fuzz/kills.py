"""Kills programs at random moments, and tells what each kind of signal left.

    python tests/fuzz/kills.py --count 500

Ctrl-C while the interpreter itself starts is Python's to answer, which it does with a traceback; it is counted apart.
After every kill no file may be cut off (it is that of a whole run, or not there), no temporary file may be left but by
SIGKILL, and the next run must end with the files of a whole run and nothing beside them.
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
BIN = Path(sys.executable).parent
BEFORE = "nanoBragg -cell 50 60 70 90 90 90 -default_F 10 -N 3 -seed 1 -oversample 1 -detpixels 500 -pixel 0.2 -nonoise"
LINES = (
    "nanoBragg -cell 50 60 70 90 90 90 -default_F 10 -N 3 -seed 1 -threads 1 -oversample 1 -detpixels 500 -pixel 0.2 "
    "-noprogress",
    "noisify -floatfile in.bin -detpixels 500 -pixel 0.2 -seed 1 -threads 1",
    "nonBragg -stol in.stol -detpixels 500 -pixel 0.2 -seed 1 -threads 1 -noprogress -thick 1",
    "nanobragg-py convert in.img --out o.h5",
    "nanobragg-py convert in.img --out o.cbf",
    "nanobragg-py batch in.toml --out o --workers 1",
)
JOB = """repeat = 3
experiment.flags = "-cell 50 60 70 90 90 90 -default_F 10 -N 3 -oversample 1 -detpixels 60 -pixel 2 -seed 1"
random."crystal.orientation" = "uniform"
"""


def contents(folder):
    """{name: bytes} of what a program made in a folder; of a batch the images alone, as notes have times in them."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith("in.")]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path.parent == Path(folder) or path.name.endswith((".h5", ".part"))
    }


def prepare(folder):
    """The files that the programs read."""
    name, *words = shlex.split(BEFORE)
    subprocess.run([BIN / name, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    for path in Path(folder).iterdir():
        path.replace(path.with_name("in" + path.suffix)) if path.suffix in (".bin", ".img") else path.unlink()
    (Path(folder) / "in.stol").write_text("".join(f"{0.02 * i:.3g} {5 + (i % 7):.4g}\n" for i in range(60)))
    (Path(folder) / "in.toml").write_text(JOB)


def clear(folder, made):
    """Away with what runs have made."""
    for name in made:
        os.unlink(os.path.join(folder, name))
    for path in Path(folder).iterdir():
        if path.is_dir():
            subprocess.run(["rm", "-r", path], check=True)


def hear():
    """In the child: signals that whoever started this may have had ignored are heard."""
    for name in NAMES[:3]:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


class Scene:
    """A command line, its folder, how long it takes, and what it makes when nothing happens."""

    def __init__(self, line, folder):
        name, *words = shlex.split(line)
        self.name, self.words, self.folder = line[:24], [BIN / name, *words], folder
        prepare(folder)
        begin = time.perf_counter()
        self.run(check=True)
        self.takes = time.perf_counter() - begin
        self.calm = contents(folder)
        clear(folder, self.calm)

    def run(self, check=False):
        subprocess.run(self.words, cwd=self.folder, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def kill(self, name, after):
        """Run and kill: how it ended, and sentences about what is wrong."""
        before = {file for file in contents(self.folder) if file.endswith(".part")}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        process = subprocess.Popen(self.words, cwd=self.folder, preexec_fn=hear, **quiet)
        time.sleep(after)
        process.send_signal(getattr(signal, name))
        errors = process.communicate()[1].decode(errors="replace")
        left, wrong = contents(self.folder), []
        parts = [file for file in left if file.endswith(".part") and file not in before]
        status = process.returncode
        how = "over" if status == 0 else "unwound" if status == STATUS.get(name) else "before it began"
        if parts and name != "SIGKILL":
            wrong.append(f"left {parts}")
        wrong += [f"{file} is not whole" for file in left if file in self.calm and left[file] != self.calm[file]]
        if "Traceback" in errors and "nanobragg_py" not in errors:
            return "in Python's own start", bool(parts), wrong  # which is over before a program has its first line
        if "Traceback" in errors:
            wrong.append(errors.strip().splitlines()[-1])
        if status not in (0, STATUS.get(name), -getattr(signal, name)):
            wrong.append(f"exit status {status}: {errors.strip()[-200:]}")
        return "killed" if name == "SIGKILL" and status else how, bool(parts), wrong

    def again(self):
        """What is wrong with the run after it; then the folder is as at the beginning."""
        self.run()
        now = contents(self.folder)
        wrong = [] if now == self.calm else [f"the run after it ended with {sorted(now)}"]
        clear(self.folder, now)
        return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    numbers = random.Random(args.seed)
    ends, failures = {name: Counter() for name in NAMES}, []
    with tempfile.TemporaryDirectory() as folder:
        scenes = []
        for at, line in enumerate(LINES):
            place = Path(folder, str(at))
            place.mkdir()
            scenes.append(Scene(line, place))
        for number in range(args.count):
            name, scene = NAMES[number % len(NAMES)], scenes[number // 8 % len(scenes)]
            how, parts, wrong = scene.kill(name, numbers.uniform(0.0, scene.takes))
            ends[name][how] += 1
            ends[name]["left a part"] += parts
            # only now and then: what has been left must not be in the way of later runs, and piles up until then
            if number % 8 == 7 or number == args.count - 1:
                wrong += scene.again()
            for sentence in wrong:
                failures.append(f"{number} {name} {scene.name}: {sentence}")
                print(failures[-1], flush=True)
            if number % 50 == 49 or number == args.count - 1:
                print(f"{number + 1} kills, {len(failures)} failures", flush=True)
    for name in NAMES:
        print(f"{name:8} {', '.join(f'{count} {how}' for how, count in sorted(ends[name].items()) if count)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
