"""Runs into files: the same bytes whoever renders them and however often they are killed, and whole files or none."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py import NanoBraggError
from nanobragg_py.batch import Output, estimate, iter_images, manifest, run, verify
from nanobragg_py.batch.local import divide, processors
from nanobragg_py.files.image import read_image

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

PROGRAM = [sys.executable, "-c", "import sys; from nanobragg_py.cli.main import main; sys.exit(main())", "batch"]
JOB = """
repeat = 7
[experiment]
flags = "-cell 50 60 70 90 90 90 -N 3 -default_F 100 -detpixels 24 -pixel 1 -distance 80 -fluence 1e27"
[[vary]]
"sampling.oversample" = [1, 2]
[random]
"crystal.orientation" = "uniform"
"""
# some seconds of work in many small files
LONG = JOB.replace("-detpixels 24", "-detpixels 200").replace("repeat = 7", "repeat = 80").replace("[1, 2]", "[6, 7]")


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


def contents(folder):
    """Every file below a folder, hidden ones included, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def batch(*words):
    """The finished program, and what it said beside warnings about the experiment."""
    done = subprocess.run([*PROGRAM, *map(str, words)], capture_output=True, text=True)
    done.said = [line for line in done.stderr.splitlines() if ": warning: " not in line]
    return done


# ---- files ---------------------------------------------------------------------------------------------------------


def test_hdf5_files_hold_the_images(job, tmp_path):
    assert run(job, Output(tmp_path / "out", per_file=4), workers=1) == 0
    names = [f"images_{number:06d}.h5" for number in range(4)]
    assert sorted(contents(tmp_path / "out")) == sorted(["images.h5", "job.json", "manifest.jsonl", *names])
    images = list(iter_images(job))
    with h5py.File(tmp_path / "out/images.h5") as file:
        assert file["images"].shape == (14, 24, 24) and file["images"].dtype == np.uint16
        assert np.array_equal(file["images"], images)
        assert file["index"][:].tolist() == list(range(14))
    with h5py.File(tmp_path / "out/images_000003.h5") as file:
        assert np.array_equal(file["images"], images[12:]) and file["index"][:].tolist() == [12, 13]
        assert file["images"].chunks == (1, 24, 24)


def test_the_manifest_tells_of_every_image(job, tmp_path):
    run(job, Output(tmp_path / "out", per_file=4), workers=1)
    entries = list(manifest(tmp_path / "out"))
    assert [entry["index"] for entry in entries] == list(range(14))
    assert [(entry["file"], entry["at"]) for entry in entries[3:6]] == [
        ("images_000000.h5", 3),
        ("images_000001.h5", 0),
        ("images_000001.h5", 1),
    ]
    labels = [told for _, told in iter_images(job, labels=True)]
    assert [entry["parameters"] for entry in entries] == json.loads(json.dumps(labels))
    assert entries[0]["statistics"]["pixels"] == 24 * 24 and entries[0]["statistics"]["maximum"] > 0
    assert entries[0]["bytes"] == (tmp_path / "out/images_000000.h5").stat().st_size
    assert verify(tmp_path / "out") == 14


@pytest.mark.parametrize("ending", ["smv", "cbf"])
def test_one_file_an_image(ending, job, tmp_path):
    job.write_text(JOB + '[sweep]\nimages = 2\nstep = "1 deg"\n')
    run(job, Output(tmp_path / "out", ending), workers=1)
    assert verify(tmp_path / "out") == 28
    names = [entry["file"] for entry in manifest(tmp_path / "out")]
    suffix = {"smv": "img", "cbf": "cbf"}[ending]
    assert names[:3] == [f"sweep_0000{sweep}_0000{place}.{suffix}" for sweep, place in ((1, 1), (1, 2), (2, 1))]
    for name, image in zip(names, iter_images(job), strict=True):
        assert np.array_equal(read_image(tmp_path / "out" / name).pixels, image)


def test_threads_of_workers_wait_briefly(job, tmp_path, monkeypatch):
    given = []
    start = subprocess.Popen
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **more: given.append(more["env"]) or start(*words, **more))
    assert run(job, Output(tmp_path / "out"), workers=1) == 0
    assert [environment["GOMP_SPINCOUNT"] for environment in given] == ["3000"]


def test_images_without_noise(job, tmp_path):
    job.write_text("noise = false\n" + JOB)
    run(job, Output(tmp_path / "h5"), workers=1)
    with h5py.File(tmp_path / "h5/images.h5") as file:
        assert file["images"].dtype == np.float32 and np.array_equal(file["images"], list(iter_images(job)))
    run(job, Output(tmp_path / "cbf", "cbf"), workers=1)
    first = read_image(tmp_path / "cbf/image_000001.cbf").pixels
    assert np.array_equal(first, np.floor(next(iter_images(job)) + 0.5))
    assert verify(tmp_path / "h5") == verify(tmp_path / "cbf") == 14


def test_files_are_the_same_for_any_split(job, tmp_path):
    """Workers, threads, ranks and the time of day leave no trace."""
    run(job, Output(tmp_path / "one", per_file=2), workers=1, threads=2)
    time.sleep(1.1)  # times in files are in seconds
    run(job, Output(tmp_path / "three", per_file=2), workers=3, threads=1)
    output = Output(tmp_path / "ranks", per_file=2)
    left = [run(job, output, workers=1, rank=(rank, 3)) for rank in (2, 0, 1)]
    assert left == [5, 2, 0]
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "three") == contents(tmp_path / "ranks")
    smv = [contents_of_run(job, tmp_path / name, workers) for name, workers in (("a", 1), ("b", 2))]
    assert smv[0] == smv[1]


def contents_of_run(job, folder, workers):
    run(job, Output(folder, "smv"), workers=workers)
    return contents(folder)


def test_images_of_different_sizes(job, tmp_path):
    job.write_text(JOB.replace('"sampling.oversample" = [1, 2]', '"-detpixels" = [24, 20]'))
    with pytest.raises(NanoBraggError, match="image 7 is 20 x 20 pixels and those before it 24 x 24"):
        run(job, Output(tmp_path / "h5"), workers=1)
    run(job, Output(tmp_path / "smv", "smv"), workers=1)
    assert verify(tmp_path / "smv") == 14


def test_processors_are_filled_once(monkeypatch):
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    assert processors() == 8
    assert divide(100) == (8, 1)
    assert divide(3) == (3, 2)
    assert divide(1) == (1, 8)
    assert divide(100, threads=4) == (2, 4)
    assert divide(100, workers=2) == (2, 4)


# ---- runs that are stopped -----------------------------------------------------------------------------------------


def children(process):
    """The workers of a process."""
    found = []
    with contextlib.suppress(OSError):
        for word in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            if b"nanobragg_py.batch.worker" in Path(f"/proc/{word}/cmdline").read_bytes():
                found.append(int(word))
    return found


def kill(process):
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds workers by /proc")
@pytest.mark.parametrize("layout", [("hdf5", 3), ("smv", 1)], ids=["hdf5", "smv"])
def test_kills_leave_no_trace(layout, tmp_path):
    """A worker, and then everything at once, is killed at random moments; the last run ends as if nobody had."""
    job, chance = tmp_path / "job.toml", random.Random()
    job.write_text(LONG)
    words = [job, "--format", layout[0], "--per-file", layout[1], "--workers", 2]
    done = batch(*words, "--out", tmp_path / "calm")
    assert done.returncode == 0, done.stderr
    calm = contents(tmp_path / "calm")
    seen = 0
    for _ in range(3):
        process = subprocess.Popen(
            [*PROGRAM, *map(str, words), "--out", str(tmp_path / "out")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not (workers := children(process.pid)) and process.poll() is None:
            time.sleep(0.005)
        while not list(tmp_path.glob(f"out/.work/*-{workers[0] if workers else 0}-*")) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.2))
        if workers:
            kill(chance.choice(workers))
            time.sleep(chance.uniform(0, 0.2))
        for victim in (*children(process.pid), process.pid):
            kill(victim)
        process.communicate()
        seen += bool(workers) and not (tmp_path / "out/manifest.jsonl").exists()
        for name, data in contents(tmp_path / "out").items():
            assert name.startswith(".work/") or name.endswith(".part") or data == calm[name], f"{name} is not whole"
    assert seen, "every run was over before it could be killed"
    done = batch(*words, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "out") == calm


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds workers by /proc")
def test_a_dead_worker_is_replaced(tmp_path):
    job, said, killed = tmp_path / "job.toml", [], []
    job.write_text(LONG)

    def progress(images):
        if not killed:
            killed.append(children(os.getpid())[-1])
            kill(killed[0])

    assert run(job, Output(tmp_path / "out", per_file=5), workers=2, progress=progress, complain=said.append) == 0
    assert [sentence for sentence in said if "SIGKILL" in sentence] == [
        "a worker ended with SIGKILL; another one takes over"
    ]
    assert verify(tmp_path / "out") == 160


def test_only_what_is_missing_is_rendered(job, tmp_path):
    output = Output(tmp_path / "out", per_file=2)
    run(job, output, workers=1, rank=(0, 2))
    rendered = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in os.listdir(tmp_path / "out")}
    counted = []
    assert run(job, output, workers=1, progress=counted.append) == 0
    assert counted[-1] == 6
    for name, when in rendered.items():
        if name.endswith(".h5"):
            assert (tmp_path / "out" / name).stat().st_mtime_ns == when
    before = contents(tmp_path / "out")
    # a file that somebody removed is rendered again, and nothing else is
    (tmp_path / "out/images_000002.h5").unlink()
    counted.clear()
    assert run(job, output, workers=1, progress=counted.append) == 0
    assert counted[-1] == 2
    assert contents(tmp_path / "out") == before


def test_a_note_that_was_cut_off_counts_for_nothing(job, tmp_path):
    output = Output(tmp_path / "out", per_file=2)
    run(job, output, workers=1)
    calm = contents(tmp_path / "out")
    run(job, Output(tmp_path / "cut", per_file=2), workers=1, rank=(0, 2))
    (journal,) = (tmp_path / "cut").glob(".work/*/journal.jsonl")
    journal.write_bytes(journal.read_bytes()[:-20])
    run(job, Output(tmp_path / "cut", per_file=2), workers=1)
    assert contents(tmp_path / "cut") == calm


# ---- what is wrong -------------------------------------------------------------------------------------------------


def test_an_hdf5_file_that_was_cut_short(job, tmp_path):
    out = tmp_path / "out"
    run(job, Output(out, per_file=4), workers=1)
    before = contents(out)
    shard = out / "images_000001.h5"
    shard.write_bytes(before[shard.name][:1500])
    done = batch(job, "--out", out, "--per-file", 4)
    assert done.returncode == 2
    assert len(done.said) == 1
    assert f"{shard} is cut short: it has 1500 bytes, and {len(before[shard.name])} were written" in done.said[0]
    done = batch("--verify", out)
    assert (done.returncode, len(done.said)) == (2, 1)
    assert f"{shard} is damaged or cut short" in done.said[0]
    shard.unlink()
    assert batch(job, "--out", out, "--per-file", 4).returncode == 0
    assert contents(out) == before


def test_verify_finds_a_changed_pixel(job, tmp_path):
    run(job, Output(tmp_path / "out", "smv"), workers=1)
    path = tmp_path / "out/image_000003.img"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(NanoBraggError, match=r"image_000003\.img: the pixels of image 2 are not those"):
        verify(tmp_path / "out")


def test_another_job_is_refused(job, tmp_path):
    run(job, Output(tmp_path / "out"), workers=1)
    for change, per_file in ((("repeat = 7", "repeat = 8"), 100), (("-N 3", "-N 4"), 100), (("", ""), 50)):
        job.write_text(JOB.replace(*change))
        with pytest.raises(NanoBraggError, match="holds images of another job"):
            run(job, Output(tmp_path / "out", per_file=per_file), workers=1)
    with pytest.raises(NanoBraggError, match="has files of something else"):
        run(job, Output(tmp_path), workers=1)


def test_a_mistake_far_down_ends_in_one_sentence(job, tmp_path):
    """Found by a worker, in an image that nobody looked at beforehand; what is complete stays."""
    job.write_text(JOB + '"beam.fluence" = { normal = [1e27, 0.9e27] }\n')
    done = batch(job, "--out", tmp_path / "out", "--per-file", 1, "--workers", 1)
    assert done.returncode == 2
    assert len(done.said) == 1 and "beam.fluence is -" in done.said[0]
    assert not (tmp_path / "out/manifest.jsonl").exists()
    for path in (tmp_path / "out").glob("images_*.h5"):
        with h5py.File(path) as file:
            assert file["images"].shape == (1, 24, 24)


CALLS = {
    "key": (["job.toml", "--out", "out"], "job.toml: there is no key 'repeats'"),
    "missing": (["none.toml", "--out", "out"], "cannot read none.toml"),
    "no out": (["good.toml"], "give the folder of the images with --out, or --dry-run"),
    "no job": ([], "give a job file"),
    "rank": (["good.toml", "--out", "out", "--rank", "4/4"], "rank 4 of 4 cannot be"),
    "rank text": (["good.toml", "--out", "out", "--rank", "first"], "--rank is first; give env"),
    "no environment": (["good.toml", "--out", "out", "--rank", "env"], "the environment has no rank"),
    "number": (["good.toml", "--out", "out", "--workers", "0"], "0 is no whole number of 1 or more"),
    "flags": (["good.toml", "--out", "out", "--", "-N", "5"], "put them into the job file"),
    "no folder": (["--verify", "none"], "cannot read none/manifest.jsonl"),
    "folder": (["good.toml", "--out", "good.toml"], "cannot write"),
}


@pytest.mark.parametrize(("words", "message"), CALLS.values(), ids=CALLS)
def test_what_is_wrong_ends_in_a_sentence(words, message, tmp_path, monkeypatch, capsys):
    from nanobragg_py.cli.main import main

    (tmp_path / "job.toml").write_text("repeats = 3\n")
    (tmp_path / "good.toml").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    try:
        status = main(["batch", *words])
    except SystemExit as stopped:
        status = stopped.code
    said = capsys.readouterr().err.splitlines()
    assert (status, message in said[-1]) == (2, True), said
    assert contents(tmp_path) == before and not (tmp_path / "out").exists()


def test_estimate(job, tmp_path):
    told = estimate(job, Output(tmp_path / "out", per_file=4))
    assert (told["images"], told["slow"], told["fast"], told["dtype"], told["files"]) == (14, 24, 24, "uint16", 4)
    assert told["bytes"] > 14 * 100 and told["seconds"] > 0
    assert not (tmp_path / "out").exists()
