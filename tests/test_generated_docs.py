"""`make docs` writes the generated pages of docs/, and finds them as they are."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def words(text):
    """Python's versions break the lines of help texts in other places."""
    return b" ".join(text.split())


def test_make_docs(tmp_path):
    for folder in ("docs", "nanobragg_py"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (tmp_path / "tests").mkdir()
    for name in ("Makefile", "tests/test_help.py", "tests/conftest.py", "tests/running.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    before = contents(tmp_path / "docs")
    page, help_text = tmp_path / "docs" / "flags.md", tmp_path / "docs" / "help" / "trace.txt"
    page.write_text(page.read_text().replace("unit cells along a", "something else"))
    help_text.unlink()
    done = subprocess.run(
        ["make", "docs", "--old-file=setup", f"BIN={sysconfig.get_path('scripts')}"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},  # as people call it
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    after = contents(tmp_path / "docs")
    assert sorted(after) == sorted(before)
    assert [name for name in before if words(before[name]) != words(after[name])] == []
