"""The chain: spots, background, their sum, and the detector, in one process, in three programs, and in batch jobs."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from transcripts import replay

from nanobragg_py import Background, NanoBraggError, Response
from nanobragg_py.batch import Output, estimate, iter_images, manifest, run, verify
from nanobragg_py.batch.images import Maker
from nanobragg_py.cli.main import main as tools
from nanobragg_py.files.image import read_image
from nanobragg_py.inspect import golden

CURVE = "".join(f"{0.02 * i:.2f} {3 + math.sin(i):.6f}\n" for i in range(30))
#: an experiment with axes of its own, in which both programs count the beam centre alike
FLAGS = (
    "-cell 50 60 70 90 90 90 -default_F 20 -N 3 -lambda 1 -distance 60 -pixel 1 -detpixels_f 50 -detpixels_s 40 "
    "-fdet_vector 0 0 1 -Xbeam 22.3 -Ybeam 18.1 -oversample 1 -fluence 1e17"
)
#: the same detector for Response and for noisify
RESPONSE = {"readout": 3, "psf": "gauss", "fwhm": 1500e-6, "gain": 1.5, "flicker": 0.01, "calibration": 0.02}
DETECTOR = (
    "-detpixels_x 50 -detpixels_y 40 -pixel 1 -readout_noise 3 -psf gauss -psf_fwhm 1500 -gain 1.5 -flicker 0.01 "
    "-calibration 0.02"
)


# ---- sums ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Three float images in the current folder, and what they hold."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(5)
    values = {name: (random.random(1000) * 10.0**power).astype(np.float32) for name, power in (("a", 0), ("b", 6))}
    values["c"] = values["a"] - np.float32(0.3)
    for name, image in values.items():
        image.tofile(f"{name}.bin")
    return values


def test_add(images, capsys):
    assert tools(["add", "a.bin", "b.bin", "c.bin", "--out", "sum.bin"]) == 0
    assert np.array_equal(np.fromfile("sum.bin", np.float32), (images["a"] + images["b"]) + images["c"])
    assert "1000 values in sum.bin" in capsys.readouterr().out


def test_add_scaled_and_onto_itself(images):
    assert tools(["add", "a.bin", "b.bin", "--scale=-0.1,3", "--out", "a.bin"]) == 0
    first = (images["a"].astype(float) * -0.1).astype(np.float32).astype(float)
    wanted = (first + images["b"].astype(float) * 3.0).astype(np.float32)
    assert np.array_equal(np.fromfile("a.bin", np.float32), wanted)


def test_add_keeps_what_is_no_number(images):
    np.array([np.nan, np.inf, 3e38] + [0] * 997, np.float32).tofile("odd.bin")
    assert tools(["add", "odd.bin", "odd.bin", "--out", "sum.bin"]) == 0
    values = np.fromfile("sum.bin", np.float32)
    assert np.isnan(values[0]) and np.isinf(values[1:3]).all() and not values[3:].any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.bin", "none.bin"], "cannot read none.bin: no such file"),
        (["a.bin", "short.bin"], "short.bin has 999 values and a.bin 1000"),
        (["a.bin", "odd.bin"], "odd.bin has 4001 bytes, which is no number of 4-byte floats"),
        (["empty.bin", "empty.bin"], "empty.bin has 0 bytes"),
        (["a.bin", "image.img"], "image.img is a file of another kind (SMV); give float images"),
        (["a.bin", "b.bin", "--scale", "1"], "--scale has 1 numbers and there are 2 images"),
        (["a.bin", "--scale", "x"], "'x' is no number"),
        (["a.bin", "--scale", "inf"], "inf is not finite"),
        (["a.bin", "--", "b.bin"], "flags behind -- have no meaning"),
        (["a.bin", "b.bin", "--out", "no/sum.bin"], "cannot write no/sum.bin: its directory does not exist"),
    ],
)
def test_add_errors(words, said, images, capsys):
    images["a"][:999].tofile("short.bin")
    Path("odd.bin").write_bytes(bytes(4001))
    Path("empty.bin").write_bytes(b"")
    Path("image.img").write_bytes(b"{\nHEADER_BYTES=512;\n}\f".ljust(512) + bytes(3488))
    Path("sum.bin").write_text("older")
    before = sorted(Path().iterdir())
    own, flags = (words[: words.index("--")], words[words.index("--") :]) if "--" in words else (words, [])
    assert tools(["add", *([] if "--out" in own else ["--out", "sum.bin"]), *own, *flags]) == 2
    told = capsys.readouterr().err
    assert said in told and told.startswith("nanobragg-py add: ") and told.count("\n") == 1
    assert sorted(Path().iterdir()) == before and Path("sum.bin").read_text() == "older"


# ---- one process and three programs --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three(program, nonbragg, noisify, tmp_path_factory):
    """The folder where nanoBragg, nonBragg (twice), add and noisify have been."""
    folder = tmp_path_factory.mktemp("three")
    (folder / "curve.stol").write_text(CURVE)
    golden.run(program, [*FLAGS.split(), "-nonoise", "-nopgm", "-floatfile", "spots.bin"], folder)
    for name, more in (("water", "-thickness 0.3"), ("air", "-thickness 30 -density 1.2e-3 -MW 28")):
        words = ["-stol", "curve.stol", *FLAGS.split(), *more.split(), "-nonoise", "-floatfile", f"{name}.bin"]
        golden.run(nonbragg, words, folder)
    names = [str(folder / f"{name}.bin") for name in ("spots", "water", "air", "sum")]
    assert tools(["add", *names[:3], "--out", names[3]]) == 0
    for bits in ("16", "32"):
        words = ["-floatfile", "sum.bin", *DETECTOR.split(), "-seed", "7", "-bits", bits, "-noisefile", f"{bits}.img"]
        golden.run(noisify, words, folder)
    # the comparisons say something: neither empty nor clipped
    assert np.median(noisy(folder, 16)) > 50 and noisy(folder, 16).max() < 60000
    return folder


def noisy(folder, bits):
    kind = {16: np.uint16, 32: np.uint32}[bits]
    return np.frombuffer((folder / f"{bits}.img").read_bytes()[512:], kind).reshape(40, 50)


def simulated(folder, name, *more, response=True):
    """The pixels of a file that simulate has written."""
    words = ["simulate", "--background", f"{folder}/curve.stol,thickness=3e-4"]
    words += ["--background", f"{folder}/curve.stol,thickness=0.03,density=1.2e-3,molecular_weight=28"]
    if response:
        words += ["--response", ",".join(f"{key}={value}" for key, value in RESPONSE.items()), "--seed", "7"]
    assert tools([*words, *more, "--out", str(name), "--", *FLAGS.split()]) == 0
    return read_image(str(name))


def test_simulate_sums_as_add_does(three, tmp_path):
    image = simulated(three, tmp_path / "sum.npy", response=False)
    assert np.array_equal(image.pixels.reshape(-1), np.fromfile(three / "sum.bin", np.float32))
    spots = np.fromfile(three / "spots.bin", np.float32)
    assert (image.pixels.reshape(-1) > spots).all() and (spots > 0).any()


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("ending", ["img", "npy", "cbf", "nxs"])
def test_simulate_is_the_three_programs(ending, threads, three, tmp_path):
    image = simulated(three, tmp_path / f"all.{ending}", "--threads", threads)
    pixels = image.pixels[0] if image.pixels.ndim == 3 else image.pixels
    assert np.array_equal(pixels, noisy(three, 16))


def test_files_of_nexus(three, tmp_path, capsys):
    """What h5py and the tool info find in it."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    path = tmp_path / "all.nxs"
    simulated(three, path)
    with h5py.File(path) as file:
        assert np.array_equal(np.squeeze(file["entry/data/data"][...]), noisy(three, 16))
        beam = file["entry/instrument/beam/incident_wavelength"]
        assert beam[()] == pytest.approx(1.0) and beam.attrs["units"] in ("angstrom", b"angstrom")
    assert tools(["info", str(path)]) == 0
    assert "50 x 40" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "x.xyz"], "has the ending of no format"),
        (["--out", "x.npy", "--background", "no.stol"], "cannot read no.stol"),
        (["--out", "x.npy", "--background", "water,thick=1"], "--background water,thick=1"),
        (["--out", "x.npy", "--background", "water,thickness"], "takes KEY=VALUE"),
        (["--out", "x.npy", "--response", "psf=round"], "--response psf=round"),
        (["--out", "x.img", "--response", "bits=32"], "no room in SMV"),
        (["--out", "x.npy", "--threads", "-1"], "--threads -1"),
    ],
)
def test_simulate_errors(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert tools(["simulate", *arguments, "--", *FLAGS.split()]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_the_program_warns_of_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--", *FLAGS.split(), "-distanec", "3"]
    assert tools(["simulate", "--out", "x.npy", *words]) == 0
    said = "warning: -distanec is not a nanoBragg flag and was ignored; did you mean -distance?"
    assert f"nanobragg-py simulate: {said}" in capsys.readouterr().err
    assert tools(["refine", "x.npy", "--evaluations", "1", "--no-picture", *words]) in (0, 1)
    assert f"nanobragg-py refine: {said}" in capsys.readouterr().err


# ---- many images ---------------------------------------------------------------------------------------------------

JOB = f"""
repeat = 3
seed = 11
[experiment]
flags = "{FLAGS}"
[random]
"crystal.orientation" = "uniform"
[[background]]
curve = "curve.stol"
thickness = 3e-4
[[background]]
curve = "curve.stol"
thickness = 0.03
density = 1.2e-3
molecular_weight = 28
[response]
"""
JOB += "".join(f"{key} = {json.dumps(value)}\n" for key, value in RESPONSE.items())


@pytest.fixture
def job(tmp_path):
    (tmp_path / "curve.stol").write_text(CURVE)
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


def by_hand(experiment, folder, seed):
    """What an image of the job must be."""
    image = experiment.render()
    image += Background(f"{folder}/curve.stol", thickness=3e-4).render(experiment)
    air = Background(f"{folder}/curve.stol", thickness=0.03, density=1.2e-3, molecular_weight=28)
    image += air.render(experiment)
    return Response(**RESPONSE, pixel_size=1e-3).apply(image, seed)


def test_jobs_have_backgrounds_and_a_response(job, tmp_path):
    maker = Maker(job)
    for index, (pixels, told) in enumerate(iter_images(job, labels=True)):
        experiment, _, noise = maker.experiment(index)
        assert told["noise_seed"] == noise["seed"]
        assert pixels.dtype == np.uint16
        assert np.array_equal(pixels, by_hand(experiment, tmp_path, told["noise_seed"]))


def test_an_image_of_a_job_is_that_of_simulate(three, tmp_path):
    (tmp_path / "curve.stol").write_text(CURVE)
    (tmp_path / "job.toml").write_text(JOB.replace('"crystal.orientation" = "uniform"', "") + "bits = 32\n")
    pixels, told = next(iter_images(tmp_path / "job.toml", [1], labels=True))
    assert pixels.dtype == np.uint32
    simulated(three, tmp_path / "one.npy")  # with seed 7, which is another's
    words = ["--response", ",".join(f"{key}={value}" for key, value in [*RESPONSE.items(), ("bits", 32)])]
    image = simulated(three, tmp_path / "one.npy", *words, "--seed", str(told["noise_seed"]))
    assert np.array_equal(image.pixels, pixels)
    assert not np.array_equal(pixels, noisy(three, 32))


@pytest.mark.parametrize(("form", "bits"), [("hdf5", 16), ("nexus", 32), ("cbf", 32), ("tiff", 16), ("npy", 16)])
def test_runs_of_realistic_images(form, bits, job, tmp_path):
    """One command, however often it is stopped: the same files, and they hold the images."""
    pytest.importorskip("h5py", reason="h5py is not installed")
    job.write_text(JOB.replace('"crystal.orientation" = "uniform"', "") + f"bits = {bits}\n")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(job, Output(whole, form, 2), workers=1) == 0
    left = [run(job, Output(parts, form, 2), workers=1, rank=(rank, 2)) for rank in (0, 1)]
    assert left[0] > 0 and left[1] == 0
    assert {path.name: path.read_bytes() for path in whole.iterdir() if path.is_file()} == {
        path.name: path.read_bytes() for path in parts.iterdir() if path.is_file()
    }
    assert verify(whole) == 3
    entries = list(manifest(whole))
    assert {entry["dtype"] for entry in entries} == {f"uint{bits}"}
    assert entries[0]["statistics"]["overloads"] == 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The job of a run that takes some seconds, and the folder of one that nobody stopped."""
    pytest.importorskip("h5py", reason="h5py is not installed")
    folder = tmp_path_factory.mktemp("whole")
    (folder / "curve.stol").write_text(CURVE)
    (folder / "job.toml").write_text(JOB.replace("repeat = 3", "repeat = 60"))
    assert run(folder / "job.toml", Output(folder / "out", "hdf5", 2), workers=1) == 0
    return folder / "job.toml", folder / "out"


@pytest.mark.parametrize(("name", "status"), [("SIGKILL", -signal.SIGKILL), ("SIGTERM", 143)])
def test_a_run_that_is_stopped_twice_has_the_same_bytes(name, status, whole, tmp_path):
    """Point spread, background and noise, stopped in the middle, and once more; the last run ends as if nobody had."""
    (job, calm), parts = whole, tmp_path / "parts"
    words = [sys.executable, "-c", "import sys; from nanobragg_py.cli.main import main; sys.exit(main())", "batch"]
    words += [str(job), "--out", str(parts), "--workers", "1", "--per-file", "2"]
    for number in (1, 8):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while len(list(parts.glob("images_*.h5"))) < number:
            assert process.poll() is None
            time.sleep(0.002)
        # all of it: a worker may be a process of its own
        os.killpg(process.pid, getattr(signal, name))
        assert process.wait(timeout=60) == status
        assert not (parts / "manifest.jsonl").exists(), "the run was over before it could be stopped"
    assert subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    files = [{path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} for folder in (calm, parts)]
    assert files[0] == files[1]
    assert verify(parts) == 60


def test_estimate_knows_the_pixels(job, tmp_path):
    pytest.importorskip("h5py", reason="h5py is not installed")
    assert estimate(job, Output(tmp_path / "out"))["dtype"] == "uint16"
    job.write_text(JOB + "bits = 32\n")
    assert estimate(job, Output(tmp_path / "out"))["dtype"] == "uint32"


def test_a_response_without_noise(job, tmp_path):
    job.write_text("noise = false\n" + JOB)
    pixels, told = next(iter_images(job, labels=True))
    experiment, _, _ = Maker(job).experiment(0)
    assert "noise_seed" not in told
    assert np.array_equal(pixels, by_hand(experiment, tmp_path, None))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[response]", "[response]\nfwmh = 1"), "response: "),
        (("[response]", "[response]\nbits = 8"), "response: bits is 8; it must be one of 16, 32"),
        (("[response]", "[response]\nthreads = 2"), "response.threads cannot be"),
        (("seed = 11", "seed = 11\nnoise = { adc = 3 }"), "noise.adc has no meaning with a response"),
        (('curve = "curve.stol"\nthickness = 3e-4', "thickness = 3e-4"), "[[background]] number 1: curve is missing"),
        (('curve = "curve.stol"\nthickness = 3e-4', 'curve = "none.stol"'), "none.stol: no such file"),
        (("density = 1.2e-3", "density = -1.0"), "[[background]] number 2: density is -1"),
    ],
)
def test_bad_jobs(change, said, job, tmp_path):
    job.write_text(JOB.replace(*change))
    with pytest.raises(NanoBraggError) as caught:
        run(job, Output(tmp_path / "out", "npy"), workers=1)
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_pixels_of_32_bits_have_no_room_in_smv(job, tmp_path):
    job.write_text(JOB + "bits = 32\n")
    with pytest.raises(NanoBraggError, match="no room in SMV"):
        run(job, Output(tmp_path / "out", "smv"), workers=1)
    assert not (tmp_path / "out").exists()


def test_the_page(tmp_path):
    """Its commands: what simulate writes is what the three programs write."""
    replay("docs/chain.md", tmp_path)
