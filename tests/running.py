"""Running the programs in a test's own folder."""

import os
import subprocess
import sysconfig
from pathlib import Path

import nanobragg_py
from nanobragg_py.inspect import golden


def installed_program(name):
    """An installed program, as the words of a command."""
    path = Path(sysconfig.get_path("scripts")) / name
    assert path.exists(), f"{path} is missing; install the package first (pip install .)"
    return [str(path)]


def bundled_libraries():
    """Folders that the compiled modules look for beside the package: a wheel that auditwheel has repaired has libgomp
    in one, and copies of the package need it beside themselves."""
    return sorted(Path(nanobragg_py.__file__).parent.parent.glob("nanobragg_py.libs"))


class Runner:
    """Runs the program in a test's own folder.

    `runner(line, ...)` gives the finished process, its output as text; `runner.result(line)` a `golden.Result`.
    """

    def __init__(self, program, folder):
        self.program = program
        self.folder = folder

    def __call__(self, *words, environment=None, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.run(
            [*self.program, *words],
            cwd=self.folder,
            text=True,
            errors="surrogateescape",
            env={**os.environ, **(environment or {})},
            **options,
        )

    def result(self, *words, environment=None):
        return golden.run(self.program, words, self.folder, environment)
