"""Inputs that are meant to break the programs, a few of each kind; `python tests/fuzz/run.py --count N` tries more."""

import os
import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parent / "fuzz"
COUNT = 15


def test_no_input_breaks_a_program(tmp_path):
    words = [sys.executable, FUZZ / "run.py", "--count", str(COUNT), "--seed", "20", "--keep", tmp_path / "found"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


BROKEN = {
    "signal": "os.kill(os.getpid(), 11)",
    "hang": "import time; time.sleep(30)",
    "traceback": "raise AttributeError('x')",
    "mute": "os._exit(2)",
    "leftover": "open('a.img.nanobragg-0.part', 'w').close()",
    "sentence": "sys.stderr.write('wrong\\n'); return 2",
    "ok": "return 0",
}


def test_the_harness_sees_what_happens(tmp_path):
    """Each verdict is given to a program that does just that."""
    program = "import os, sys\nsys.path.insert(0, sys.argv[1])\nimport harness\nfrom nanobragg_py.cli import dropin\n"
    for verdict, body in BROKEN.items():
        program += f"def main(argv):\n    {body.replace('; ', chr(10) + '    ')}\n    return 0\ndropin.main = main\n"
        program += "given = harness.Input('nanoBragg', [], {})\n"
        program += (
            f"outcome = harness.run(given, seconds=2.0)\nassert outcome.verdict == {verdict!r}, outcome.verdict\n"
        )
    done = subprocess.run(
        [sys.executable, "-c", program, os.fspath(FUZZ)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_an_input_depends_on_its_seed_and_number_alone():
    program = (
        "import sys\nsys.path.insert(0, sys.argv[1])\nimport harness\nharness.load_kinds()\n"
        "for name in sorted(harness.KINDS):\n"
        "    one = harness.generate(name, 3, 5)\n"
        "    harness.generate(name, 3, 6)\n"
        "    other = harness.generate(name, 3, 5)\n"
        "    assert (one.words, one.files) == (other.words, other.files), name\n"
        "assert len(harness.KINDS) > 10\n"
    )
    done = subprocess.run([sys.executable, "-c", program, os.fspath(FUZZ)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
