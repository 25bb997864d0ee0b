"""Runs kept inputs and tells what each gives now.

    python tests/fuzz/cases.py FOLDER            folders with ARGS.json, as run.py --keep makes them
    python tests/fuzz/cases.py tests/fuzz/kept.json

kept.json holds inputs that once broke a program, or gave something wrong without a word, with what each has to give:
its verdict (see harness.py), what it says, and lines of files that it makes. Exit status 1 if one gives another.
"""

import argparse
import base64
import json
import os
import sys
import zlib
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness

from nanobragg_py.cli.main import TOOLS

INPUTS = Path(__file__).resolve().parent.parent.parent / "golden" / "inputs"


def program_of(words):
    return "nanobragg-py" if words[:1] and words[0] in TOOLS else "nanoBragg"


def folders(place):
    """(name, Input, what is expected) of the folders in a folder; of those nothing is expected but that they end."""
    for folder in sorted(path.parent for path in Path(place).glob("*/ARGS.json")):
        told = json.loads((folder / "ARGS.json").read_text())
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.name != "ARGS.json"
        }
        words = told["argv"]
        yield folder.name, harness.Input(told.get("program") or program_of(words), words, files), {}


def kept(path):
    """The same of a file like kept.json."""
    told = json.loads(Path(path).read_text())
    blobs = {name: zlib.decompress(base64.b85decode(text)) for name, text in told["blobs"].items()}
    for case in told["cases"]:
        keys = case["files"].items()
        files = {name: blobs[key] if key in blobs else (INPUTS / key).read_bytes() for name, key in keys}
        program, *words = case["words"]
        yield case["name"], harness.Input(program, words, files), case


def wrong(outcome, expected):
    """Sentences about what an Outcome is not."""
    found = []
    if outcome.verdict in harness.FAILURES or outcome.verdict != expected.get("verdict", outcome.verdict):
        found.append(f"{outcome.verdict}, not {expected.get('verdict')}: {outcome.last}")
    text = outcome.output + outcome.errors
    found += [f"it does not say {part!r}" for part in expected.get("says", ()) if part not in text]
    for name, lines in expected.get("makes", {}).items():
        made = outcome.files.get(name, b"").decode(errors="replace").splitlines()
        if lines and isinstance(lines[0], int):
            found += [f"{name} has {len(made)} lines, not {lines[0]}"] if len(made) != lines[0] else []
        found += [f"{name} has no line {line!r}" for line in lines if isinstance(line, str) and line not in made]
        found += [f"{name} was not made"] if name not in outcome.files else []
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", help="a folder with a folder for each case, or a file like kept.json")
    parser.add_argument("--seconds", type=float, default=harness.SECONDS, help="one case may take")
    parser.add_argument("--memory", type=float, default=4.0, help="GiB that one case may take; 0: no limit")
    args = parser.parse_args()
    harness.preload()
    failed = count = 0
    for name, given, expected in kept(args.cases) if Path(args.cases).is_file() else folders(args.cases):
        outcome = harness.run(given, args.seconds, int(args.memory * 2**30), expected.get("makes", ()))
        found = wrong(outcome, expected)
        count, failed = count + 1, failed + bool(found)
        print(f"{name:32} {outcome.verdict:10} {outcome.seconds:5.1f} s  {outcome.last[:220]}", flush=True)
        for sentence in found:
            print(f"{'':32} WRONG: {sentence}", flush=True)
    print(f"{count} cases, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
