"""The program's own flags and warnings, and how it behaves on pipes, terminals and signals."""

import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from program_lines import CRYSTAL, IMAGES, SMALL, assert_one_sentence, left, words

# ---- our own flags, warnings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["-version", "--version"])
def test_version(flag, runner):
    from nanobragg_py import __version__
    from nanobragg_py.render.backends import cpu_renderer

    done = runner(flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"nanobragg_py {__version__}\n")
    renderer, level = cpu_renderer()
    assert f"instruction set: {level} " in done.stdout
    assert ("single-threaded build" in done.stdout) is not renderer.PARALLEL
    assert f"Python: {sys.version.split()[0]} " in done.stdout


def test_version_of_a_lower_level(runner):
    assert "instruction set: base " in runner("-version", environment={"NANOBRAGG_ISA": "base"}).stdout


@pytest.mark.parametrize("level", ["sse", "v9"])
def test_unknown_level(level, runner):
    done = runner(*words(f"{CRYSTAL} {SMALL}"), environment={"NANOBRAGG_ISA": level})
    assert_one_sentence(done, "NANOBRAGG_ISA", level)


@pytest.mark.parametrize("flag", ["-help", "--help", "-h"])
def test_help(flag, runner):
    done = runner(flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert "-cell" in done.stdout and "-compat" in done.stdout


def test_unknown_flag_is_ignored_with_a_warning(runner):
    plain = runner.result(*words(f"{CRYSTAL} {SMALL}"))
    done = runner(*words(f"{CRYSTAL} {SMALL} -distnace 5 -frobnicate"))
    assert done.returncode == 0
    assert done.stdout == plain.output
    warnings = done.stderr.splitlines()
    assert all(line.startswith("WARNING: ") for line in warnings)
    assert any("-distnace" in line and "-distance" in line for line in warnings)
    assert any("-frobnicate" in line for line in warnings)


def test_unreadable_number_is_warned_about(runner):
    done = runner(*words(f"{CRYSTAL} {SMALL} -osc 1x"))
    assert done.returncode == 0
    assert "1x" in done.stderr


# ---- streams, terminals, signals -----------------------------------------------------------------------------------


def test_reader_that_goes_away(runner):
    """`nanoBragg ... | head -1`: the images are written all the same, and nothing is said about the pipe."""
    line = shlex.join([*runner.program, *words(f"{CRYSTAL} {SMALL}")])
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -1; exit ${{PIPESTATUS[0]}}"], cwd=runner.folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert left(runner.folder) == IMAGES


def test_closed_standard_output(runner):
    line = shlex.join([*runner.program, *words(f"{CRYSTAL} {SMALL}")])
    done = subprocess.run(["bash", "-c", f"{line} >&-"], cwd=runner.folder, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
    assert left(runner.folder) == IMAGES


@pytest.mark.parametrize("shell", ["bash", "sh", "tcsh"])
def test_shell(shell, runner):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    program = shlex.quote(runner.program[0])
    script = f"{program} {CRYSTAL} {SMALL} > log.txt && grep max_I log.txt | cut -d ' ' -f 3"
    done = subprocess.run([shell, "-c", script], cwd=runner.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0


LONG = "-detpixels 3000 -oversample 3 -N 20 -mosaic_spread 1 -mosaic_domains 50"


def started(runner, line, **options):
    process = subprocess.Popen(
        [*runner.program, *words(line)],
        cwd=runner.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    # it is rendering when the first pixel's progress line comes
    for text in process.stdout:
        if "% done" in text:
            return process
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize("threads", [1, 2])
def test_interrupt(threads, runner):
    (runner.folder / "floatimage.bin").write_bytes(b"precious")
    process = started(runner, f"{CRYSTAL} {LONG} -threads {threads}")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(errors.splitlines()) == 1 and "Traceback" not in errors
    assert left(runner.folder) == {"floatimage.bin"}
    assert (runner.folder / "floatimage.bin").read_bytes() == b"precious"


def test_interrupt_of_the_sequential_loop(runner):
    process = started(runner, f"{CRYSTAL} {LONG} -compat c -oversample_omega")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert left(runner.folder) == set()


def on_terminal(command, folder):
    """Run a command with standard output and standard error on a terminal; (exit status, what was shown)."""
    shown = b""
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.chdir(folder)
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1.0)
        try:
            more = os.read(terminal, 65536) if ready else b""
        except OSError:
            break
        if ready and not more:
            break
        shown += more
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def test_progress_on_a_terminal_is_a_bar(runner):
    line = f"{CRYSTAL} -detpixels 600 -oversample 2 -N 20 -mosaic_spread 1 -mosaic_domains 10 -threads 1"
    status, shown = on_terminal([*runner.program, *words(line)], runner.folder)
    assert status == 0
    assert not re.search(r"\d+% done", shown)
    assert re.search(r"\r\[=+ *\] +\d+%", shown)
    # and it is wiped out before the next line
    assert re.search(r"\r +\r", shown)


def test_no_bar_without_progress(runner):
    line = f"{CRYSTAL} {SMALL} -detpixels 99 -noprogress"
    status, shown = on_terminal([*runner.program, *words(line)], runner.folder)
    assert status == 0
    assert "[=" not in shown and "% done" not in shown


def test_progress_lines_in_a_pipe(runner):
    result = runner.result(*words(f"{CRYSTAL} {SMALL} -detpixels 20"))
    assert result.progress[0] == "0% done" and result.progress[-1] == "89% done"  # 396 of 21 x 21 pixels
    assert runner.result(*words(f"{CRYSTAL} {SMALL} -detpixels 20 -noprogress")).progress == []
