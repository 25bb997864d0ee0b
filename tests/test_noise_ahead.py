"""Noise of the serial stream that a thread draws while other files are written: the same bytes, lines and failures."""

import os
import resource
import shlex
import signal
import subprocess
import time

import pytest
from running import installed_program

from nanobragg_py.kernels.noise.random import Ran1
from nanobragg_py.render import noise

CRYSTAL = "-cell 50 60 70 90 90 90 -default_F 10 -N 3 -seed 1 -oversample 1 -pixel 0.2"
#: enough pixels for the thread, and rows that do not fill the last block
SIDES = "-detpixels_x 401 -detpixels_y 393"
LINES = {
    "nanoBragg": f"{CRYSTAL} {SIDES}",
    "nanoBragg, ROI": f"{CRYSTAL} {SIDES} -roi 7 380 100 300",
    "nanoBragg, one row": f"{CRYSTAL} -detpixels_x 150000 -detpixels_y 1",
    "nanoBragg, overloads": f"{CRYSTAL} {SIDES} -adc 65530",
    "nonBragg": f"-stol curve.stol -lambda 1 -distance 100 -pixel 0.2 -seed 1 {SIDES}",
}


@pytest.fixture
def image():
    """60 x 40 pixels, from dark to bright."""
    rows = memoryview(bytearray(60 * 40 * 4)).cast("f")
    for number in range(len(rows)):
        rows[number] = number * number / 900.0
    return rows.cast("B").cast("f", (60, 40))


@pytest.fixture
def small(monkeypatch):
    """Blocks of a few rows, and a thread for any image."""
    monkeypatch.setattr(noise, "AHEAD_FROM", 0)
    monkeypatch.setattr("nanobragg_py.files.blocks._BLOCK_PIXELS", 7 * 40)


def drawn(image, ahead):
    """The noise, its photons and overloads, and how it was drawn."""
    stream = noise.noise_maker("ran1", Ran1(), -5, 1)
    blocks = noise.noise_blocks(stream, image, (3, 37, 2, 58), 65000.0, ahead)
    pixels = b"".join(bytes(memoryview(block).cast("B")) for block in blocks)
    return (pixels, stream.photons, stream.overloads), blocks.__name__


@pytest.mark.parametrize("places", [1, 2, 3, 100])
def test_places_that_are_gone_round(places, image, small, monkeypatch):
    """Fewer places than blocks: a place is drawn into again only after its block has been used."""
    monkeypatch.setattr(noise, "AHEAD_BYTES", places * 7 * 40 * 2)
    alone, by = drawn(image, False)
    assert by == "_drawn" and alone[2] > 0 and any(alone[0])
    assert drawn(image, True) == (alone, "blocks")


def test_a_block_is_good_until_the_next_one(image, small, monkeypatch):
    monkeypatch.setattr(noise, "AHEAD_BYTES", 2 * 7 * 40 * 2)
    stream = noise.noise_maker("ran1", Ran1(), -5, 1)
    found = b""
    for block in noise.noise_blocks(stream, image, (3, 37, 2, 58), 65000.0, True):
        time.sleep(0.01)  # the thread is as far ahead as it may be
        found += bytes(memoryview(block).cast("B"))
    assert found == drawn(image, False)[0][0]


def test_small_images_have_no_thread(image):
    assert drawn(image, True)[1] == "_drawn"


def test_where_no_thread_can_be_started(image, small, monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(noise, "start_new_thread", refuse)
    assert drawn(image, True) == drawn(image, False)


def test_an_error_in_the_thread_is_the_callers(image, small):
    class Failing:
        def apply(self, image, first, block, roi, adc):
            if first >= 14:
                raise MemoryError("no memory for a deviate")

    blocks = noise.noise_blocks(Failing(), image, (0, 39, 0, 59), 40.0, True)
    with pytest.raises(MemoryError, match="deviate"):
        list(blocks)


def run(name, words, folder, threads, **options):
    (folder / "curve.stol").write_text("0 1\n0.5 200\n1 3\n")
    command = [*installed_program(name.partition(",")[0]), *shlex.split(LINES[name]), *words, "-threads", str(threads)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", LINES)
def test_programs(name, tmp_path):
    found = []
    for threads in (1, 2, 3):
        folder = tmp_path / str(threads)
        folder.mkdir()
        done = run(name, [], folder, threads)
        assert done.returncode == 0, done.stderr
        found.append((done.stdout, done.stderr, contents(folder)))
    assert any(found[0][2]["noiseimage.img"][512:]) and "photons on noise image" in found[0][0]
    assert found[1] == found[0] and found[2] == found[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a file system")
@pytest.mark.parametrize(("kilobytes", "there"), [(300, 0), (700, 1), (1000, 2), (1200, 3)])
def test_full_disk(kilobytes, there, tmp_path):
    """What was written before the disk was full is there whole, and the sentence names the file that was not."""
    found, order = [], ["floatimage.bin", "intimage.img", "image.pgm", "noiseimage.img"]
    for threads in (1, 2):
        disk = tmp_path / str(threads)
        disk.mkdir()
        size = f"size={kilobytes}k"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        try:
            done = run("nanoBragg", [], disk, threads)
            found.append((done.returncode, done.stdout, done.stderr, contents(disk)))
        finally:
            subprocess.run(["umount", disk])
    assert found[0][0] == 9 and f"cannot write {order[there]}: no space left on device" in found[0][2]
    assert sorted(found[0][3]) == sorted(["curve.stol", *order[:there]])
    assert found[1] == found[0]


@pytest.mark.parametrize("size", [600_000, 650_000])
def test_files_may_grow_to_a_limit(size, tmp_path):
    """Where the float image is too large, no other file is there either; else all are."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = run("nanoBragg", [], tmp_path, 2, preexec_fn=limit)
    too_large = size < 401 * 393 * 4
    assert done.returncode == (9 if too_large else 0), done.stderr
    assert len(contents(tmp_path)) == (1 if too_large else 5)


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("waiting", ["image.pgm", "noiseimage.img"])
def test_signals(number, status, waiting, tmp_path):
    """The program waits for somebody who reads the pipe, its thread has drawn or waits to be used."""
    os.mkfifo(tmp_path / waiting)
    command = [*installed_program("nanoBragg"), *shlex.split(LINES["nanoBragg"]), "-threads", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (tmp_path / "intimage.img").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(getattr(signal, number))
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.decode()) == (status, "interrupted; no unfinished file was left behind\n")
    done = ["floatimage.bin", "intimage.img"] + ["image.pgm"] * (waiting == "noiseimage.img")
    assert sorted(os.listdir(tmp_path)) == sorted({*done, waiting})
