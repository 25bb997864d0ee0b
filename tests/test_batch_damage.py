"""Folders of images that somebody has edited: what is damaged counts for nothing, is said, and is mended."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from edited_folders import JOB, contents, rendered
from running import installed_program

from nanobragg_py import NanoBraggError
from nanobragg_py.batch import Output, manifest, verify

pytest.importorskip("h5py", reason="h5py is not installed")

@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A folder of JOB that nobody has edited, to be copied."""
    place = tmp_path_factory.mktemp("calm")
    (place / "job.toml").write_text(JOB)
    assert rendered(place / "job.toml", place / "out") == 0
    return place / "out"


@pytest.fixture
def out(calm, tmp_path):
    """A copy of it, to be edited."""
    shutil.copytree(calm, tmp_path / "out")
    return tmp_path / "out"


def damage(line, kind):
    """A line of JSON, as bytes, damaged in one of the ways of DAMAGES."""
    if kind == "bytes":
        return b"\xff\xfe" + line
    if kind == "cut":
        return line[: len(line) // 2] + b"\n"
    if kind == "empty":
        return b"\n"
    if kind == "nested":
        return b"[" * 100_000 + b"\n"
    value = json.loads(line)
    for part in (value, value.get("records", [value])[-1]):
        if kind == "float":
            part.update({key: 1.5 for key in ("unit", "index") if key in part})
        elif kind == "huge":
            part.update({key: 2**70 for key in ("unit", "index", "at") if key in part})
        elif kind == "outside" and "file" in part:
            part["file"] = "../" + part["file"]
        elif kind == "keys":
            part.pop("file", None)
        elif kind == "kind":
            part["file"] = ["x"]
        elif kind == "sum" and "sha256" in part:
            part["sha256"] = None
    return json.dumps(value if kind != "list" else [value]).encode() + b"\n"


DAMAGES = ("bytes", "cut", "empty", "nested", "float", "huge", "outside", "keys", "kind", "sum", "list")


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_line_of_a_journal(kind, calm, job, tmp_path):
    rendered(job, tmp_path / "out", rank=(0, 2))
    (journal,) = (tmp_path / "out").glob(".work/*/journal.jsonl")
    first, *rest = journal.read_bytes().splitlines(keepends=True)
    assert rest
    journal.write_bytes(b"".join([damage(first, kind), *rest]))
    said = []
    assert rendered(job, tmp_path / "out", said=said) == 0
    assert [sentence for sentence in said if f"{journal}, line 1 " in sentence and "rendered again" in sentence]
    assert contents(tmp_path / "out") == contents(calm)


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_line_of_the_manifest(kind, job, out):
    calm = contents(out)
    lines = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    lines[3] = damage(lines[3], kind)
    (out / "manifest.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(NanoBraggError, match=r"manifest\.jsonl") as error:
        verify(out)
    assert "\n" not in str(error.value)
    said = []
    assert rendered(job, out, said=said) == 0
    assert [sentence for sentence in said if "manifest.jsonl, line 4 " in sentence]
    assert contents(out) == calm
    assert verify(out) == 6


@pytest.mark.parametrize("change", ["a line less", "a line twice", "another order", "nothing", "more"])
def test_lines_of_the_manifest_that_are_gone_or_too_many(change, job, out):
    calm = contents(out)
    lines = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    changed = {
        "a line less": lines[:-1],
        "a line twice": [*lines[:2], *lines[1:]],
        "another order": lines[::-1],
        "nothing": [],
        "more": [*lines, b"{}\n"],
    }[change]
    (out / "manifest.jsonl").write_bytes(b"".join(changed))
    with pytest.raises(NanoBraggError, match=r"manifest\.jsonl"):
        verify(out)
    if change in ("a line less", "nothing", "more"):
        assert rendered(job, out) == 0
        assert contents(out) == calm


def test_images_that_are_not_where_the_manifest_says(out):
    import h5py

    for change in ("group", "shape", "kind"):
        with h5py.File(out / "images_000001.h5", "w") as file:
            if change == "group":
                file.create_group("images")
            elif change == "shape":
                file["images"] = 5
            else:
                file["images"] = ["a", "b"]
        with pytest.raises(NanoBraggError, match=r"images_000001\.h5"):
            verify(out)


def test_a_damaged_job_file_is_not_taken_for_this_job(job, out):
    (out / "job.json").write_bytes(b"\xff{")
    with pytest.raises(NanoBraggError, match="another job"):
        rendered(job, out)
    assert verify(out) == 6


def test_a_journal_that_cannot_be_written_to_its_end(job, tmp_path):
    """A short write is undone: the journal ends with a whole line."""
    from nanobragg_py.batch.images import Maker
    from nanobragg_py.batch.store import Store, Writer

    output = Output(tmp_path / "out", per_file=2)
    maker = Maker(job)
    store = Store(maker, output)
    writer = Writer(maker, output)
    writer.unit(0)
    before = Path(writer.path("journal.jsonl")).read_bytes()

    class Full:
        def __init__(self, file):
            self.file, self.calls = file, 0

        def write(self, data):
            self.calls += 1
            if self.calls > 1:
                raise OSError(28, "No space left on device")
            return self.file.write(data[:10])

    writer._journal = Full(writer._journal)
    with pytest.raises(NanoBraggError, match="no space left"):
        writer.unit(1)
    assert Path(writer.path("journal.jsonl")).read_bytes() == before
    assert list(store.done()) == [0]


def test_two_runs_in_one_folder(job, tmp_path):
    """The second says so and waits; both end well and the files are those of one."""
    job.write_text(JOB.replace("repeat = 6", "repeat = 60").replace("-detpixels 16", "-detpixels 300"))
    words = [sys.executable, "-c", "import sys; from nanobragg_py.cli.main import main; sys.exit(main())", "batch"]
    words += [str(job), "--out", str(tmp_path / "out"), "--workers", "1", "--per-file", "2"]
    first = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/images_*.h5")):
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # until the second has met it
    second = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = next((line for line in second.stderr if "another run is writing into" in line), None)
    first.send_signal(signal.SIGCONT)
    complaints = second.communicate(timeout=120)[1]
    assert said is not None
    assert (first.wait(), second.returncode) == (0, 0), complaints
    first.communicate()
    assert verify(tmp_path / "out") == 60
    assert [entry["index"] for entry in manifest(tmp_path / "out")] == list(range(60))


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_leaves_whole_files_and_notes_and_says_how_to_go_on(name, status, job, tmp_path):
    """The folder's name has all that a shell would make something of; what is said is pasted as it is."""
    job.write_text(JOB.replace("repeat = 6", "repeat = 60").replace("-detpixels 16", "-detpixels 300"))
    out = tmp_path / "an 'odd' $name; \\ * \"\u00e5\"\ttab\nline"
    program = installed_program("nanobragg-py")
    words = ["batch", job.name, "--out", str(out), "--workers", "1", "--per-file", "2"]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
    process = subprocess.Popen([*program, *words], **quiet)
    while not list(out.glob("images_*.h5")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    said = process.communicate(timeout=60)[1].decode().splitlines()
    assert process.returncode == status
    at = said.index("nanobragg-py batch: interrupted; this goes on where it stopped:")
    assert all("warning" in line for line in said[:at]) and len(said) == at + 2
    for path in out.rglob("*"):
        if path.is_file() and ".work" in path.parts:
            assert path.name == "journal.jsonl" and path.read_bytes().endswith(b"\n")
        assert not path.name.endswith(".part")
    there = {path.name: path.stat().st_mtime_ns for path in out.glob("images_*.h5")}
    noted = [json.loads(line)["file"] for path in out.rglob("journal.jsonl") for line in path.read_text().splitlines()]
    begun = {each: there[each] for each in noted}
    assert len(there) - len(begun) <= 1  # a file that was whole, but not yet noted, is made again
    done = subprocess.run(["bash", "-c", said[at + 1]], **quiet, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(list(out.glob("images_*.h5"))) == 30 > len(there) > 0
    assert all((out / each).stat().st_mtime_ns == written for each, written in begun.items())
    assert verify(out) == 60


def test_how_to_go_on_where_a_command_is_not_enough():
    from nanobragg_py.cli.main import going_on

    assert going_on("batch", ["batch", "j.toml", "--dry-run"]) == going_on("info", ["info", "x"]) == ""
    for rank in (["--rank", "env"], ["--rank=env"]):
        assert "srun or mpirun" in going_on("batch", ["batch", "j.toml", "--out", "o", *rank])
    assert going_on("sweep", ["sweep", "--osc", "1", "--", "-hkl", "a b"]).endswith("sweep --osc 1 -- -hkl 'a b'")
