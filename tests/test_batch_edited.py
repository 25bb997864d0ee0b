"""Folders of images after somebody's hand: other lines, files and jobs, and copies; see test_batch_damage as well."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest
from edited_folders import JOB, contents, rendered
from running import installed_program

from nanobragg_py import NanoBraggError
from nanobragg_py.batch import Output, run, verify

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


def first_note(**changes):
    """Lines of a journal whose first has other values; of its first record where the key is one of those."""

    def change(lines):
        note = json.loads(lines[0])
        for key, value in changes.items():
            (note if key in note else note["records"][0])[key] = value
        return [json.dumps(note).encode() + b"\n", *lines[1:]]

    return change


#: what becomes of a journal's lines, and what is said: a line that counts for nothing, or nothing
JOURNALS = {
    "every line twice": (lambda lines: lines * 2, None),
    "in the other order": (lambda lines: lines[::-1], None),
    "with ends of lines of another system": (lambda lines: [line[:-1] + b"\r\n" for line in lines], None),
    "without an end": (lambda lines: [*lines[:-1], lines[-1][:-1]], None),
    "cut within a character": (lambda lines: [lines[0][:60] + "\u00e5".encode()[:1] + b"\n", *lines[1:]], "is no JSON"),
    "cut within the last character": (lambda lines: [*lines[:-1], lines[-1][:60] + b"\xc3"], None),
    "with a mark in front": (lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]], None),
    "with empty lines": (lambda lines: [b"\n", *lines, b"\n"], "is no JSON"),
    "of another unit": (first_note(unit=1), "does not name the file of unit 1"),
    "of no unit": (first_note(unit=3), "is of a unit 3, which the job has not"),
    "of fewer images": (
        lambda lines: first_note(records=json.loads(lines[0])["records"][:1])(lines),
        "does not have the images of unit 0",
    ),
    "of an image elsewhere": (first_note(at=1), "does not have image 0 where it must be"),
    "with the number as a word": (first_note(unit="0"), "is of a unit '0', which the job has not"),
}


@pytest.mark.parametrize("change", JOURNALS)
def test_a_journal_that_was_edited(change, calm, job, tmp_path):
    edit, says = JOURNALS[change]
    rendered(job, tmp_path / "out", rank=(0, 2))
    (journal,) = (tmp_path / "out").glob(".work/*/journal.jsonl")
    journal.write_bytes(b"".join(edit(journal.read_bytes().splitlines(keepends=True))))
    with pytest.raises(NanoBraggError, match=r"manifest\.jsonl: no such file; a run writes it when it is complete"):
        verify(tmp_path / "out")
    said = []
    assert rendered(job, tmp_path / "out", said=said) == 0
    told = [sentence for sentence in said if str(journal) in sentence]
    assert (says is None and not told) or all("rendered again" in sentence for sentence in told)
    assert says is None or any(says in sentence for sentence in told)
    assert contents(tmp_path / "out") == contents(calm)
    assert verify(tmp_path / "out") == 6


def test_a_journal_that_speaks_of_another_size(job, tmp_path):
    rendered(job, tmp_path / "out", rank=(0, 2))
    (journal,) = (tmp_path / "out").glob(".work/*/journal.jsonl")
    journal.write_bytes(b"".join(first_note(bytes=5)(journal.read_bytes().splitlines(keepends=True))))
    with pytest.raises(NanoBraggError, match=r"images_000000\.h5 is not as written: .* remove it, and"):
        rendered(job, tmp_path / "out")
    (tmp_path / "out" / "images_000000.h5").unlink()
    assert rendered(job, tmp_path / "out") == 0 and verify(tmp_path / "out") == 6


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_journal_that_is_no_file(kind, calm, job, tmp_path):
    rendered(job, tmp_path / "out", rank=(0, 2))
    (journal,) = (tmp_path / "out").glob(".work/*/journal.jsonl")
    instead(journal, kind)
    said = []
    assert rendered(job, tmp_path / "out", said=said) == 0
    assert f"{journal} is no file; what it was about is rendered again" in said
    assert contents(tmp_path / "out") == contents(calm)


def instead(path, kind):
    """Put something else where a file was."""
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "circle":
        path.symlink_to(path)
    elif kind == "empty":
        path.touch()


@pytest.mark.parametrize("kind", ["folder", "pipe", "circle", "empty", "gone"])
@pytest.mark.parametrize("name", ["images_000001.h5", "manifest.jsonl", "job.json", "images.h5"])
def test_something_else_where_a_file_was(name, kind, job, out):
    """Nothing waits for a pipe's other end. What can be made again is; of the rest a sentence says what to do."""
    calm = contents(out)
    instead(out / name, kind)
    if name != "job.json":
        with pytest.raises(NanoBraggError, match=re.escape(name)) as error:
            verify(out)
        assert "\n" not in str(error.value)
    try:
        assert rendered(job, out) == 0
    except NanoBraggError as error:
        assert str(out) in str(error) and "\n" not in str(error)
        assert kind in ("folder", "pipe", "circle") or name == "job.json" or (kind, name[:7]) == ("empty", "images_")
        if name == "job.json":
            return
        path = out / name
        path.rmdir() if kind == "folder" else path.unlink()
        assert rendered(job, out) == 0
    assert contents(out) == calm
    assert verify(out) == 6


def test_a_file_of_another_image_is_seen_by_verify(job, out):
    shutil.copy(out / "images_000000.h5", out / "images_000001.h5")
    size = (out / "images_000002.h5").stat().st_size
    with pytest.raises(NanoBraggError, match=r"images_000001\.h5"):
        verify(out)
    assert (out / "images_000001.h5").stat().st_size == size
    (out / "images_000001.h5").unlink()
    assert rendered(job, out) == 0 and verify(out) == 6


def test_files_that_no_run_has_written_are_left_alone(job, out):
    calm = contents(out)
    shutil.copy(out / "images_000000.h5", out / "images_000003.h5")
    (out / "notes.txt").write_text("mine")
    (out / ".work").write_text("in the way")
    assert verify(out) == 6 and rendered(job, out) == 0
    assert {name: data for name, data in contents(out).items() if name in calm} == calm
    assert (out / "notes.txt").read_text() == "mine" and (out / "images_000003.h5").exists()


@pytest.mark.parametrize("key", ["index", "at", "file", "sha256", "dtype", "parameters", "statistics", "bytes"])
def test_a_line_of_the_manifest_that_lacks_a_key(key, job, out):
    calm = contents(out)
    lines = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    entry = json.loads(lines[2])
    del entry[key]
    (out / "manifest.jsonl").write_bytes(b"".join([*lines[:2], json.dumps(entry).encode() + b"\n", *lines[3:]]))
    with pytest.raises(NanoBraggError, match=r"manifest\.jsonl, line 3 has no"):
        verify(out)
    said = []
    assert rendered(job, out, said=said) == 0
    assert [sentence for sentence in said if "manifest.jsonl, line 3 has no" in sentence]
    assert contents(out) == calm


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("repeat = 6", "repeat = 8"),
        ("-N 3", "-N 4"),
        ('"crystal.orientation" = "uniform"', '"beam.fluence" = { lognormal = [1e24, 0.5] }'),
        ("repeat = 6", "repeat = 6\nseed = 2"),
    ],
)
def test_a_job_that_was_edited_between_runs(before, after, calm, job, tmp_path):
    """Its images would lie beside those of the first job: they do not, and what is there stays."""
    rendered(job, tmp_path / "out", rank=(0, 2))
    there = contents(tmp_path / "out")
    job.write_text(JOB.replace(before, after))
    with pytest.raises(NanoBraggError, match="holds images of another job, or of this one written otherwise"):
        rendered(job, tmp_path / "out")
    assert contents(tmp_path / "out") == there
    job.write_text(JOB)
    assert rendered(job, tmp_path / "out") == 0 and contents(tmp_path / "out") == contents(calm)


def test_a_folder_that_was_copied_while_a_run_wrote_into_it(job, tmp_path):
    """The copy is continued; a file that was cut by the copying is named."""
    job.write_text(JOB.replace("repeat = 6", "repeat = 40").replace("-detpixels 16", "-detpixels 300"))
    words = [*installed_program("nanobragg-py"), "batch", str(job), "--out", str(tmp_path / "out"), "--workers", "1"]
    running = subprocess.Popen([*words, "--per-file", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while len(list(tmp_path.glob("out/images_*.h5"))) < 3:
        assert running.poll() is None
        time.sleep(0.01)
    shutil.copytree(tmp_path / "out", tmp_path / "copy", ignore=shutil.ignore_patterns("*.h5", "*.part"))
    for path in sorted(tmp_path.glob("out/images_*.h5")):
        shutil.copy(path, tmp_path / "copy")
    running.communicate()
    assert running.returncode == 0
    noted = sorted((tmp_path / "copy").glob("images_*.h5"))[0]
    noted.write_bytes(noted.read_bytes()[:-7])
    with pytest.raises(NanoBraggError, match=r"images_000000\.h5 is cut short: .* remove it, and the same command"):
        rendered(job, tmp_path / "copy")
    noted.unlink()
    assert rendered(job, tmp_path / "copy") == 0
    assert contents(tmp_path / "copy") == contents(tmp_path / "out")


@pytest.mark.parametrize("name", ["zarr.json", "images/zarr.json", "index/zarr.json"])
@pytest.mark.parametrize("kind", ["gone", "empty", "folder"])
def test_what_describes_a_zarr_group(name, kind, job, tmp_path):
    pytest.importorskip("zarr", reason="zarr is not installed")
    output = Output(tmp_path / "out", "zarr", per_file=2)
    assert run(job, output, workers=1) == 0
    calm = contents(tmp_path / "out")
    assert f"images.zarr/{name}" in calm
    instead(tmp_path / "out" / "images.zarr" / name, kind)
    with pytest.raises(NanoBraggError, match=r"zarr") as error:
        verify(tmp_path / "out")
    assert "\n" not in str(error.value)
    said = []
    if kind == "folder":
        with pytest.raises(NanoBraggError, match=r"zarr\.json"):
            run(job, output, workers=1)
        return
    assert run(job, output, workers=1, complain=said.append) == 0
    assert [sentence for sentence in said if "does not show the images; it is written again" in sentence]
    assert contents(tmp_path / "out") == calm and verify(tmp_path / "out") == 6
