"""What is run first on a real GPU, on the emulated one as far as that goes; and many runs in one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanobragg_py.inspect import golden

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
GOLDEN = ROOT / "golden"
SCRIPT = [sys.executable, "-P", str(ROOT / "benchmarks" / "gpu_first_run.py")]
STAND_IN = "import sys\nsys.path.insert(0, {folder!r})\nimport emulated_cupy\nemulated_cupy.install()\n"


def run(words, folder, **more):
    environment = {**os.environ, **more}
    return subprocess.run([*SCRIPT, *words], cwd=folder, env=environment, capture_output=True, text=True)


def test_without_a_device_it_says_so(tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('No module named cupy')\n")
    done = run([], tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 9
    assert done.stdout.startswith("no GPU was measured: the GPU backend needs CuPy") and "===" not in done.stdout


def test_a_step_that_there_is_not(tmp_path):
    done = run(["fast"], tmp_path)
    assert done.returncode == 2 and "there is no step fast; the steps are versions, tests, golden" in done.stderr


def test_steps_on_the_emulated_device(tmp_path):
    (tmp_path / "cupy.py").write_text(STAND_IN.format(folder=str(FOLDER)))
    done = run(["-patience", "20", "versions", "faint"], tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "emulated by g++" in done.stdout and "expected in single" in done.stdout
    assert "subnormal ones 1.0000" in done.stdout and "nothing failed" in done.stdout


def test_a_step_that_fails_is_named(tmp_path):
    (tmp_path / "cupy.py").write_text(
        STAND_IN.format(folder=str(FOLDER)) + "del emulated_cupy.ATTRIBUTES['ClockRate']\n"
    )
    done = run(["versions"], tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode != 0 and "nothing failed" not in done.stdout


def test_many_runs_in_one_process(one_process):
    """Golden cases one after the other, a failure among them: files, lines and status of each are its own."""
    from test_gpu_golden import check

    cases = {case["id"]: case for case in json.loads((GOLDEN / "cases.json").read_text())}
    program, process = one_process(emulated=True)
    for name in ("roi_row", "c_tophat_os_omega", "mask_roi", "roi_row"):
        check(cases[name], golden.run_case([*program, "-backend", "gpu"], cases[name], GOLDEN / "inputs"))
    assert process.poll() is None  # and nothing of them ended it


@pytest.fixture
def one_process(request):
    from one_process import started

    processes = []

    def start(emulated):
        program, process = started(emulated)
        processes.append((program, process))
        return program, process

    yield start
    for program, process in processes:
        from one_process import stop

        stop(program[-2])
        assert process.wait(20) == 0
