"""Faults around a run: signals, closed descriptors, full disks, folders that may not be written, limits of the system.

What must hold: an exit status that says so, one sentence, and either the whole file or none.
"""

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
NANOBRAGG, TOOLS = os.fspath(BIN / "nanoBragg"), os.fspath(BIN / "nanobragg-py")
CRYSTAL = "-cell 50 60 70 90 90 90 -default_F 10 -N 3 -seed 1 -threads 1"
SMALL = shlex.split(f"{CRYSTAL} -oversample 1 -detpixels 16 -pixel 2")
LONG = shlex.split(f"{CRYSTAL} -oversample 20 -detpixels 500 -phisteps 50 -osc 1")
IMAGES = ["floatimage.bin", "image.pgm", "intimage.img", "noiseimage.img"]
AS_ROOT = os.geteuid() == 0


def names(folder):
    return sorted(os.listdir(folder))


def contents(folder):
    return {name: (folder / name).read_bytes() for name in names(folder)}


def run(words, folder, before=None, environment=None, **options):
    """Run a program in a folder. before: called in the child. environment: all of it."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(words, cwd=folder, preexec_fn=before, env=environment, text=True, **options)


def assert_sentence(done, status, *says):
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    for text in says:
        assert text in done.stderr


@pytest.fixture
def whole(tmp_path):
    """What a run gives that nothing happens to."""
    folder = tmp_path / "whole"
    folder.mkdir()
    run([NANOBRAGG, *SMALL], folder)
    assert names(folder) == IMAGES
    return contents(folder)


# ---- signals -------------------------------------------------------------------------------------------------------


SWALLOWED = {
    "a weak reference's callback": """
class Thing: pass
thing = Thing()
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
def run_tool(*_):
    global thing
    thing = None
    time.sleep(30)
""",
    "a library that makes another error of it": """
def run_tool(*_):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    except BaseException:
        raise ImportError("a part of a package cannot be imported")
""",
}


@pytest.mark.parametrize("who", SWALLOWED)
def test_a_signal_that_is_swallowed(who, tmp_path):
    program = "import os, signal, sys, time, weakref\nfrom nanobragg_py.cli import main\n" + SWALLOWED[who]
    program += "main.run_tool = run_tool\nsys.argv = ['nanobragg-py', 'info', 'a.img']\nsys.exit(main.main())\n"
    done = run([sys.executable, "-c", program], tmp_path)
    assert (done.returncode, done.stderr) == (143, "nanobragg-py info: interrupted\n")


#: sends a program Ctrl-C at an import: that of number n, from the first that may take time
STOPPED_AT_IMPORT = """
import os, signal, sys
left, begun = int(sys.argv[1]), False
def hook(event, args):
    global left, begun
    if event == "import":
        begun = begun or args[0] in ("nanobragg_py.startup", "nanobragg_py.cli.main")
        left -= begun
        if begun and left == 0:
            os.kill(os.getpid(), signal.SIGINT)
sys.argv = sys.argv[2:]
sys.addaudithook(hook)
exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"), {"__name__": "__main__"})
"""


@pytest.mark.parametrize(
    ("program", "words"),
    [("nanoBragg", SMALL), ("noisify", ["-help"]), ("nonBragg", ["-help"]), ("nanobragg-py", ["matrix", "--help"])],
)
def test_ctrl_c_during_the_imports(program, words, tmp_path):
    """No traceback, whatever the program is at, and nothing left."""
    ends = []
    for number in (1, 4, 12, 40):
        done = run([sys.executable, "-c", STOPPED_AT_IMPORT, str(number), BIN / program, *words], tmp_path)
        assert "Traceback" not in done.stderr, (number, done.stderr)
        assert not [name for name in names(tmp_path) if name.endswith(".part")]
        ends.append(done.returncode)
    assert ends[0] == -signal.SIGINT and set(ends) <= {0, 130, -signal.SIGINT}


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("while_writing", [False, True])
def test_a_signal_ends_like_ctrl_c(number, status, while_writing, tmp_path):
    (tmp_path / "intimage.img").write_bytes(b"precious")
    words = [*LONG, "-noprogress"]
    if while_writing:
        # the program waits for somebody who reads the pipe
        os.mkfifo(tmp_path / "image.pgm")
        words = [*SMALL, "-noprogress"]
    process = subprocess.Popen([NANOBRAGG, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if while_writing:
        while not any(name == "floatimage.bin" for name in names(tmp_path)):
            time.sleep(0.01)
        time.sleep(0.1)
    else:
        while b"water droplet" not in (line := process.stdout.readline()) and line:
            pass
        time.sleep(0.2)
    process.send_signal(getattr(signal, number))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert errors.decode() == "interrupted; no unfinished file was left behind\n"
    assert not [name for name in names(tmp_path) if name.endswith(".part")]
    if not while_writing:
        assert contents(tmp_path) == {"intimage.img": b"precious"}


def test_nohup_is_heeded(tmp_path):
    ignore = [signal.SIGHUP, signal.SIGTERM]
    words = [NANOBRAGG, *SMALL, "-floatfile", "/dev/stdout", "-detpixels", "2000", "-noprogress", "-nonoise", "-nopgm"]
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: [signal.signal(number, signal.SIG_IGN) for number in ignore],
    )
    process.stdout.read(1000)
    for number in ignore:
        process.send_signal(number)
    process.stdout.read()
    assert process.wait() == 0
    assert names(tmp_path) == ["intimage.img"]


def test_a_tool_ends_like_ctrl_c(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # which nobody writes to
    process = subprocess.Popen([TOOLS, "compare-traces", "pipe", "pipe"], cwd=tmp_path, stderr=subprocess.PIPE)
    time.sleep(1.0)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors.decode() == "nanobragg-py compare-traces: interrupted\n"


def test_what_a_killed_run_left_goes_with_the_next_one(tmp_path, whole):
    folder = tmp_path / "run"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    # the program waits at the pipe with the noise image begun
    words = [NANOBRAGG, *SMALL, "-noprogress"]
    program = (
        "import os, signal\n"
        "from nanobragg_py.cli import dropin\n"
        "from nanobragg_py.files.atomic import OutputFile\n"
        "write = OutputFile.write\n"
        "def stop(self, data):\n"
        "    write(self, data)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "OutputFile.write = stop\n"
        f"dropin.main({words!r})\n"
    )
    done = run([sys.executable, "-c", program], folder)
    assert done.returncode == -signal.SIGKILL
    assert names(folder) == ["floatimage.bin.nanobragg-0.part", "pipe"]
    os.unlink(folder / "pipe")
    assert run(words, folder).returncode == 0
    assert contents(folder) == whole


# ---- descriptors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_closed_descriptors_change_no_image(closed, tmp_path, whole):
    folder = tmp_path / "run"
    folder.mkdir()
    shut = lambda: [os.close(number) for number in closed]  # noqa: E731
    done = run([NANOBRAGG, *SMALL], folder, shut, stdout=None, stderr=None)
    assert done.returncode == 0
    assert contents(folder) == whole


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_descriptors_of_a_tool(closed, tmp_path, whole):
    (tmp_path / "a.img").write_bytes(whole["noiseimage.img"])
    shut = lambda: [os.close(number) for number in closed]  # noqa: E731
    words = [TOOLS, "convert", "a.img", "--out", "a.png"]
    assert run(words, tmp_path, shut, stdout=None, stderr=None).returncode == 0
    under_faults = (tmp_path / "a.png").read_bytes()
    assert run(words, tmp_path).returncode == 0
    assert (tmp_path / "a.png").read_bytes() == under_faults


# ---- disks and folders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 100, 600, 1000, 1500])
def test_files_may_grow_to_a_limit(size, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    (tmp_path / "noiseimage.img").write_bytes(b"precious")
    done = run([NANOBRAGG, *SMALL], tmp_path, limit)
    if done.returncode:
        assert_sentence(done, 9, "the file would be larger than the limit")
        assert (tmp_path / "noiseimage.img").read_bytes() == b"precious"
    assert not [name for name in names(tmp_path) if name.endswith(".part")]


@pytest.mark.skipif(not AS_ROOT, reason="only root mounts a file system")
@pytest.mark.parametrize("pages", [1, 2, 3, 4])
def test_full_disk(pages, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = run(["mount", "-t", "tmpfs", "-o", f"size={pages * 4096}", "tmpfs", disk], tmp_path)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        done = run([NANOBRAGG, *shlex.split(f"{CRYSTAL} -oversample 1 -detpixels 60 -pixel 1")], disk)
        assert_sentence(done, 9, "no space left on device")
        assert not [name for name in names(disk) if name.endswith(".part")]
    finally:
        run(["umount", disk], tmp_path)


#: runs the program twice in one process: first to have everything imported, which an environment below /root would not
#: let others do, and then as nobody
AS_NOBODY = """
import os, sys
from nanobragg_py.cli import dropin
words, folder = sys.argv[1:-1], sys.argv[-1]
assert dropin.main(["nanoBragg", *words]) == 0
os.chdir(folder)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.exit(dropin.main(["nanoBragg", *words]))
"""


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_may_not_be_written(there, tmp_path):
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir()
    if there:
        (closed / "floatimage.bin").write_bytes(b"precious")
    closed.chmod(0o555)
    before = contents(closed)
    try:
        done = run([sys.executable, "-c", AS_NOBODY, *SMALL, closed], tmp_path)
        assert_sentence(done, 9, "permission denied", "-floatfile")
        assert len(done.stderr.splitlines()) == 1
        assert contents(closed) == before
    finally:
        closed.chmod(0o755)


# ---- the environment -----------------------------------------------------------------------------------------------


def test_no_environment(tmp_path, whole):
    folder = tmp_path / "run"
    folder.mkdir()
    done = run([NANOBRAGG, *SMALL], folder, environment={})
    assert done.returncode == 0 and done.stderr == ""
    assert contents(folder) == whole


def test_no_home_and_no_temporary_folder_for_tools(tmp_path, whole):
    (tmp_path / "a.img").write_bytes(whole["noiseimage.img"])
    environment = {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "MPLCONFIGDIR": "/nonexistent"}
    done = run([TOOLS, "info", "a.img"], tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("stated", ["abc", "-3", "0", "1.5", "\N{SUPERSCRIPT TWO}", "99999999999999999999", "1e3"])
def test_nonsense_in_omp_num_threads_is_a_warning(stated, tmp_path, whole):
    folder = tmp_path / "run"
    folder.mkdir()
    words = SMALL[: SMALL.index("-threads")] + SMALL[SMALL.index("-threads") + 2 :]
    done = run([NANOBRAGG, *words], folder, environment={**os.environ, "OMP_NUM_THREADS": stated})
    assert done.returncode == 0
    assert "WARNING: OMP_NUM_THREADS is" in done.stderr
    assert contents(folder) == whole


@pytest.mark.parametrize("gigabytes", [0.3, 0.5, 1.0])
def test_little_memory(gigabytes, tmp_path):
    def limit():
        size = int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    words = shlex.split(f"{CRYSTAL} -oversample 1 -detpixels 20000 -pixel 0.01 -roi 0 1 0 1 -noprogress")
    done = run([NANOBRAGG, *words], tmp_path, limit)
    assert_sentence(done, 9, "memory")
    assert names(tmp_path) == []


@pytest.mark.skipif(not AS_ROOT, reason="only root hides /dev/shm")
def test_no_shared_memory(tmp_path, whole):
    folder = tmp_path / "run"
    folder.mkdir()
    words = shlex.join([NANOBRAGG, *SMALL, "-threads", "2"])
    hide = f"mount -t tmpfs -o size=0,mode=000 tmpfs /dev/shm && exec {words}"
    done = run(["unshare", "-m", "sh", "-c", hide], folder)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no name space can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert contents(folder) == whole
