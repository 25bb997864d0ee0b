"""Inputs that once broke a program, or gave something wrong without a word: what each gives now."""

import json
import os
import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parent / "fuzz"


def test_kept_inputs():
    words = [sys.executable, FUZZ / "cases.py", FUZZ / "kept.json", "--seconds", "60"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONSAFEPATH": "1"})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_case_that_gives_something_else_is_seen(tmp_path):
    """What is expected is looked at: of three changed cases each fails."""
    told = json.loads((FUZZ / "kept.json").read_text())
    by_name = {case["name"]: case for case in told["cases"]}
    chosen = [dict(by_name[name]) for name in ("D1-mtz-column-order", "smv-traceback-101-404", "J1-gz-image")]
    chosen[0]["makes"] = {"o.hkl": ["1 2 3 101.0"]}
    chosen[1]["verdict"] = "ok"
    chosen[2]["says"] = ["2002561"]
    (tmp_path / "kept.json").write_text(json.dumps({**told, "cases": chosen}))
    done = subprocess.run([sys.executable, FUZZ / "cases.py", tmp_path / "kept.json"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.endswith("3 cases, 3 failures\n"), done.stdout + done.stderr
