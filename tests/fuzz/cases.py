"""Runs kept inputs (folders with ARGS.json, as run.py --keep makes them) and tells what each gives now.

python tests/fuzz/cases.py FOLDER [--seconds 10]
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness

TOOLS = ["batch", "compare", "compare-traces", "convert", "explain", "golden", "hkl", "info", "matrix", "trace", "view"]


def read(folder):
    """The Input of a folder."""
    folder = Path(folder)
    words = json.loads((folder / "ARGS.json").read_text())["argv"]
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "ARGS.json"
    }
    return harness.Input("nanobragg-py" if words[:1] and words[0] in TOOLS else "nanoBragg", words, files)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="the folder with a folder for each case")
    parser.add_argument("--seconds", type=float, default=harness.SECONDS, help="one case may take")
    args = parser.parse_args()
    harness.preload()
    failed = 0
    for folder in sorted(path.parent for path in Path(args.folder).glob("*/ARGS.json")):
        outcome = harness.run(read(folder), args.seconds)
        failed += outcome.verdict in harness.FAILURES
        print(f"{folder.name:32} {outcome.verdict:10} {outcome.seconds:5.1f} s  {outcome.last[:220]}", flush=True)
    print(f"{failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
