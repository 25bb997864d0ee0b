"""Output files appear whole or not at all."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.atomic import OutputFile, check_writable, write_file
from nanobragg_py.files.parts import Part, part_name
from nanobragg_py.kernels.files.imagefile import exchange
from nanobragg_py.kernels.memory.buffers import Buffer

AS_ROOT = os.geteuid() == 0


def names(folder):
    return sorted(os.listdir(folder))


def test_writes_buffers_and_bytes(tmp_path):
    path = tmp_path / "floatimage.bin"
    image = Buffer((300, 400), "f")
    np.asarray(image)[...] = np.random.default_rng(0).normal(size=(300, 400))
    with OutputFile(path) as file:
        file.write(b"head")
        file.write(image)
        file.write(b"")
        file.write(Buffer((0, 5), "f"))
        file.write(np.arange(3))
        assert names(tmp_path) == ["floatimage.bin.nanobragg-0.part"]
    assert path.read_bytes() == b"head" + bytes(image) + np.arange(3).tobytes()
    assert names(tmp_path) == ["floatimage.bin"]


@pytest.mark.parametrize("kind", [str, os.fsencode, lambda path: path])
def test_names_of_any_kind(tmp_path, kind):
    check_writable(kind(tmp_path / "a.bin"))
    write_file(kind(tmp_path / "a.bin"), b"1", b"2")
    assert (tmp_path / "a.bin").read_bytes() == b"12"


def test_name_that_is_not_text(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.bin"
    write_file(path, b"1")
    write_file(os.fsdecode(path), b"2")
    with open(path, "rb") as file:
        assert file.read() == b"2"


def test_a_reader_of_the_old_file_goes_on_reading_it(tmp_path):
    path = tmp_path / "image.img"
    path.write_bytes(b"old")
    with open(path, "rb") as old:
        write_file(path, b"new")
        assert old.read() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges names here")
def test_exchange(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    assert not exchange(os.fsencode(one), os.fsencode(other))
    other.write_text("2")
    assert exchange(os.fsencode(one), os.fsencode(other))
    assert (one.read_text(), other.read_text()) == ("2", "1")


@pytest.mark.parametrize("able", [True, False])
def test_replacing_with_and_without_an_exchange(tmp_path, monkeypatch, able):
    if not able:
        monkeypatch.setattr(Part, "_exchange", lambda self: False)
    path = tmp_path / "image"
    for text in (b"first", b"second"):
        write_file(path, text)
        assert path.read_bytes() == text
        assert names(tmp_path) == ["image"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, NanoBraggError])
def test_an_exception_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "image.img"
    for before in (None, b"old"):
        if before is not None:
            path.write_bytes(before)
        with pytest.raises(error), OutputFile(path) as file:
            file.write(b"new")
            raise error
        assert names(tmp_path) == ([] if before is None else ["image.img"])
    assert path.read_bytes() == b"old"


def test_a_killed_program_leaves_no_target(tmp_path):
    path = tmp_path / "image.img"
    program = (
        "import os, signal\n"
        "from nanobragg_py.files.atomic import OutputFile\n"
        f"with OutputFile({os.fspath(path)!r}) as file:\n"
        "    file.write(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for before in (None, b"old"):
        if before is not None:
            path.write_bytes(before)
        done = subprocess.run([sys.executable, "-c", program])
        assert done.returncode == -signal.SIGKILL
        assert path.exists() == (before is not None)
    assert path.read_bytes() == b"old"
    # what it left goes with the next one of the same name, and nothing else does
    assert names(tmp_path) == ["image.img", "image.img.nanobragg-0.part"]
    others = ("other.img.nanobragg-0.part", "image.img.part", "image.img.nanobragg-x.part", "image.img.123.part")
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == sorted(["image.img", *others])


def test_what_a_running_process_writes_is_not_touched(tmp_path):
    path = tmp_path / "image.img"
    for number in (1, 2):
        (tmp_path / f"image.img.nanobragg-{number}.part").write_bytes(b"left")
    with OutputFile(path) as file:
        file.write(b"first")
        with OutputFile(path) as other:
            # the one beside it has taken the place of what was left
            assert names(tmp_path) == ["image.img.nanobragg-0.part", "image.img.nanobragg-1.part"]
            other.write(b"second")
        assert path.read_bytes() == b"second"
        assert names(tmp_path) == ["image.img", "image.img.nanobragg-0.part"]
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["image.img"]


def test_processes_writing_one_file_leave_one_of_theirs(tmp_path):
    path = tmp_path / "image.img"
    program = (
        "import sys\n"
        "from nanobragg_py.files.atomic import write_file\n"
        "for _ in range(300):\n"
        f"    write_file({os.fspath(path)!r}, sys.argv[1].encode() * 30_000)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, letter]) for letter in "abc"]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert path.read_bytes() in [letter * 30_000 for letter in (b"a", b"b", b"c")]
    assert names(tmp_path) == ["image.img"]


@pytest.mark.skipif(not AS_ROOT, reason="only root gives files away")
def test_what_somebody_else_left_is_in_nobodys_way(tmp_path):
    left = Path(part_name(os.fspath(tmp_path / "image.img"), 0))
    left.write_bytes(b"left")
    left.chmod(0o600)
    tmp_path.chmod(0o1777)
    for folder in tmp_path.parents:
        if folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(0o755)
    assert as_somebody_else(lambda: attempt(tmp_path / "image.img", b"new")) == "written"
    assert names(tmp_path) == ["image.img", left.name]


def test_threads_writing_one_file_leave_one_of_theirs(tmp_path):
    path = tmp_path / "image.img"
    contents = [bytes([65 + i]) * 300_000 for i in range(8)]
    threads = [threading.Thread(target=write_file, args=(path, data)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert names(tmp_path) == ["image.img"]


def test_permissions(tmp_path):
    path = tmp_path / "image.img"
    old = os.umask(0o027)
    try:
        write_file(path, b"1")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        write_file(path, b"2")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert path.read_bytes() == b"2"


@pytest.mark.skipif(not AS_ROOT, reason="only root gives files away")
def test_root_keeps_the_owner(tmp_path):
    path = tmp_path / "image.img"
    path.write_bytes(b"1")
    os.chown(path, 1234, 4321)
    write_file(path, b"2")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_symbolic_links_stay_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "target.img"
    link = tmp_path / "link.img"
    link.symlink_to("elsewhere/target.img")
    for data in (b"first", b"second"):
        check_writable(link)
        write_file(link, data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    assert names(tmp_path) == ["elsewhere", "link.img"]
    assert names(tmp_path / "elsewhere") == ["target.img"]


def test_long_names(tmp_path):
    for name in ("x" * 255, "\N{GREEK SMALL LETTER PHI}" * 127):
        write_file(tmp_path / name, b"1")
        assert (tmp_path / name).read_bytes() == b"1"
    with pytest.raises(NanoBraggError, match="the name is too long"):
        write_file(tmp_path / ("x" * 256), b"1")
    with pytest.raises(NanoBraggError, match="the name is too long"):
        check_writable(tmp_path / ("x" * 256))


# ---- what is no regular file ---------------------------------------------------------------------------------------


def test_null_device():
    check_writable(os.devnull)
    write_file(os.devnull, b"1" * 100_000)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_full_disk():
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with pytest.raises(NanoBraggError, match=r"^cannot write /dev/full: no space left on device; free some$") as caught:
        write_file("/dev/full", b"1", advice="free some")
    assert caught.value.status == 9


def test_file_size_limit_leaves_nothing(tmp_path):
    path = tmp_path / "floatimage.bin"
    program = (
        "import resource, sys\n"
        "from nanobragg_py.errors import NanoBraggError\n"
        "from nanobragg_py.files.atomic import write_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        f"    write_file({os.fspath(path)!r}, bytes(3_000_000))\n"
        "except NanoBraggError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == f"cannot write {path}: the file would be larger than the limit\n", done.stderr
    assert names(tmp_path) == []


def test_named_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    write_file(path, b"1" * 300_000)
    reader.join()
    assert got == [b"1" * 300_000]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_pipe_without_reader():
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(NanoBraggError, match="nobody reads from the pipe any more"):
        write_file(f"/dev/fd/{writer}", b"1")
    os.close(writer)


@pytest.mark.parametrize("name", ["/dev/stdout", "link"])
def test_redirected_standard_output_keeps_its_name(tmp_path, name):
    out = tmp_path / "out.bin"
    if name == "link":
        (tmp_path / "link").symlink_to(out)
        name = os.fspath(tmp_path / "link")
    with open(out, "wb") as stream:
        program = f"from nanobragg_py.files.atomic import write_file; write_file({name!r}, b'image')"
        subprocess.run([sys.executable, "-c", program], stdout=stream, check=True)
        assert os.path.samestat(os.fstat(stream.fileno()), out.stat())
    assert out.read_bytes() == b"image"


def test_file_open_under_another_number_keeps_its_name(tmp_path):
    out = tmp_path / "out.bin"
    with open(out, "wb") as stream:
        write_file(f"/dev/fd/{stream.fileno()}", b"image")
        assert os.path.samestat(os.fstat(stream.fileno()), out.stat())
    assert out.read_bytes() == b"image"
    assert names(tmp_path) == ["out.bin"]


# ---- what cannot be written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, message",
    [
        ("", "it is a directory"),
        ("absent/image.img", "its directory does not exist"),
        ("absent/", "its directory does not exist"),
        ("file/image.img", "part of its path is not a directory"),
        ("loop/image.img", "too many symbolic links"),
        ("a\0b", "the name has a NUL in it"),
    ],
)
def test_impossible_targets_are_found_early_and_late(tmp_path, name, message):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    before = names(tmp_path)
    path = f"{tmp_path}/{name}"
    with pytest.raises(NanoBraggError, match=f"^cannot write .*: {message}; use -floatfile$"):
        check_writable(path, "use -floatfile")
    with pytest.raises(NanoBraggError, match=f"^cannot write .*: {message}; use -floatfile$"):
        write_file(path, b"1", advice="use -floatfile")
    assert names(tmp_path) == before


def test_empty_name():
    for attempt in (check_writable, write_file):
        with pytest.raises(NanoBraggError, match="cannot write : "):
            attempt("")


def test_checking_creates_nothing(tmp_path):
    check_writable(tmp_path / "image.img")
    assert names(tmp_path) == []


def as_somebody_else(function):
    """Run `function` in a child that is not root; return what it returns, which must be text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if AS_ROOT:
                os.setgid(65534)
                os.setuid(65534)
            os.write(writer, function().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        text = stream.read().decode()
    os.waitpid(child, 0)
    return text


def attempt(path, data):
    try:
        check_writable(path)
        write_file(path, data)
    except NanoBraggError as error:
        return str(error).partition(": ")[2]
    return "written"


@pytest.fixture
def public(tmp_path):
    """A directory that somebody else can reach, which pytest's own are not."""
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    yield folder
    os.chmod(folder, 0o755)
    shutil.rmtree(folder)


def test_unwritable_file_is_not_replaced(public):
    path = os.path.join(public, "image.img")
    write_file(path, b"old")
    os.chmod(public, 0o777)
    os.chmod(path, 0o444)
    assert as_somebody_else(lambda: attempt(path, b"new")) == "permission denied"
    assert names(public) == ["image.img"]


def test_writable_file_in_an_unwritable_directory(public):
    path = os.path.join(public, "image.img")
    write_file(path, b"old and long")
    os.chmod(path, 0o666)
    os.chmod(public, 0o555)
    assert as_somebody_else(lambda: attempt(path, b"new")) == "written"
    with open(path, "rb") as file:
        assert file.read() == b"new"
    other = os.path.join(public, "other.img")
    assert as_somebody_else(lambda: attempt(other, b"new")) == "permission denied"


def test_error_of_the_rename(tmp_path):
    path = tmp_path / "image.img"
    with pytest.raises(NanoBraggError, match="it is a directory"), OutputFile(path) as file:
        file.write(b"1")
        path.mkdir()
    assert names(tmp_path) == ["image.img"]
