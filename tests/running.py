"""Running the programs in a test's own folder."""

import os
import subprocess

from nanobragg_py.inspect import golden


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
