"""What tests of the program share: where it is, and how to run it."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from running import Runner, installed_program

from nanobragg_py.inspect import golden

# Tests are run in the checkout, whose package has no compiled modules when what is tested is installed: programs that
# tests start must not find it in their working directory.
os.environ["PYTHONSAFEPATH"] = "1"

# Signals that whoever started the tests ignores (nohup, a shell's background) would be ignored by programs, too, whose
# tests send them.
for _number, _default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)


@pytest.fixture(autouse=True)
def _signals():
    """A program that a test calls leaves signals ignored at its end, and what is started later would inherit that."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


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


#: what takes longest, by the file's name: it is begun first, so that no processor is left with it at the end
LONGEST = ["test_gpu_compile", "test_howto_shape", "test_batch_runs", "test_install", "test_gpu_render"]
LONGEST += ["test_batch_engines", "test_golden", "test_gpu_golden", "test_batch_damage", "test_fuzz"]
LONGEST += ["test_formats_everywhere", "test_chain"]


def pytest_collection_modifyitems(items):
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
    missing = [name for name in ("gcc", "g++") if shutil.which(name) is None]
    if missing:
        why = pytest.mark.skip(reason=f"it compiles C or C++, and there is no {' and no '.join(missing)}")
        for item in items:
            if any(item.get_closest_marker(name) is not None for name in ("compiler", "install")):
                item.add_marker(why)


def pytest_itemcollected(item):
    """`pytest -m gpu_smoke`, which scripts of older projects call, is `pytest -m gpu`."""
    if item.get_closest_marker("gpu") is not None:
        item.add_marker("gpu_smoke")
