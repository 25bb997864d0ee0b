"""What tests of the program share: where it is, and how to run it."""

import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from nanobragg_py.inspect import golden

# Tests are run in the checkout, whose package has no compiled modules when what is tested is installed: programs that
# tests start must not find it in their working directory.
os.environ["PYTHONSAFEPATH"] = "1"

# Signals that whoever started the tests ignores (nohup, a shell's background) would be ignored by programs, too, whose
# tests send them.
for _number, _default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)


def installed_program(name):
    """An installed program, as the words of a command."""
    path = Path(sysconfig.get_path("scripts")) / name
    assert path.exists(), f"{path} is missing; install the package first (pip install .)"
    return [str(path)]


@pytest.fixture(scope="session")
def program():
    """nanoBragg, as it is installed."""
    return installed_program("nanoBragg")


@pytest.fixture(scope="session")
def noisify():
    """noisify, as it is installed."""
    return installed_program("noisify")


@pytest.fixture(scope="session")
def nonbragg():
    """nonBragg, as it is installed."""
    return installed_program("nonBragg")


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


@pytest.fixture
def runner(program, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return Runner(program, folder)


def pytest_report_header():
    from nanobragg_py.render.backends import cpu_renderer

    module, level = cpu_renderer()
    threads = "threads" if module.PARALLEL else "no threads"
    return f"nanobragg_py: {Path(golden.__file__).parent}, level {level}, {threads}, Python {sys.version.split()[0]}"
