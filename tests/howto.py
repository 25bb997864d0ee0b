"""The How-tos of docs/architecture.md, performed: a copy of the tree, a patch, and the programs that come of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import bundled_libraries

import nanobragg_py

ROOT = Path(__file__).resolve().parent.parent
PATCHES = Path(__file__).resolve().parent / "howto_patches"
#: what a build needs, and what is made of it
PARTS = ("nanobragg_py", "kernels", "cli", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "docs")
PROGRAM = "import sys; from nanobragg_py.cli.main import main; sys.exit(main())"


class Tree:
    """A copy of the tree in `folder`/tree with a patch of tests/howto_patches applied.

    touched: the files that the patch changes or makes, relative to the root.
    """

    def __init__(self, folder, patch):
        if shutil.which("git") is None:
            pytest.skip("what is tested is how developers change the source, and there is no git to apply the patch")
        self.folder = Path(folder)
        self.root = self.folder / "tree"
        self.root.mkdir()
        leave = shutil.ignore_patterns("__pycache__", "*.so", "*.c")
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, self.root / part, ignore=leave)
            elif source.exists():
                shutil.copy(source, self.root)
        self.touched = self._apply(PATCHES / patch)

    def _apply(self, patch):
        # git applies patches where there is no repository, too, if none is found above
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(self.folder)}
        git = ["git", "apply", "--whitespace=nowarn"]
        told = subprocess.run(
            [*git, "--numstat", patch], cwd=self.root, env=environment, capture_output=True, text=True, check=True
        )
        subprocess.run([*git, patch], cwd=self.root, env=environment, check=True)
        return [line.split("\t")[2] for line in told.stdout.splitlines()]

    def overlay(self):
        """Put the tree's Python files over a copy of the installed package, which needs no compiler."""
        package = self.folder / "site" / "nanobragg_py"
        shutil.copytree(Path(nanobragg_py.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        for libraries in bundled_libraries():
            shutil.copytree(libraries, self.folder / "site" / libraries.name)
        for part, target in (("nanobragg_py", package), ("kernels", package / "kernels"), ("cli", package / "cli")):
            for path in (self.root / part).rglob("*.py"):
                place = target / path.relative_to(self.root / part)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place)
        return self

    def tool(self, *words, cwd=None):
        """Run nanobragg-py of the overlaid package: (exit status, standard output, standard error)."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "site"), "PYTHONSAFEPATH": "1", "COLUMNS": "100"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, words)],
            cwd=cwd or self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr
