"""What campaigns of broken inputs (tests/fuzz) found, a test a kind: the right value, or the sentence."""

import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nanobragg_py import Experiment, FieldError, NanoBraggError, StructureFactors
from nanobragg_py.batch.jobs import Job
from nanobragg_py.experiment.load import load_args
from nanobragg_py.inspect.trace_compare import compare_traces, read_trace
from nanobragg_py.render.backends import CPU_STEPS, SEQUENTIAL_STEP, expected_seconds
from nanobragg_py.render.simulate import simulate

BIN = os.path.dirname(sys.executable)
INPUTS = Path(__file__).parent.parent / "golden" / "inputs"
FLAGS = "-cell 30 40 50 90 90 90 -default_F 10 -N 3 -detpixels 4 -pixel 5 -oversample 1"


def run(program, words, folder):
    words = [os.path.join(BIN, program), *shlex.split(words)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "number", [10**400, -(10**400), float("nan"), float("inf"), "1"], ids=["large", "negative", "nan", "inf", "word"]
)
def test_default_F_is_a_finite_number(number):
    with pytest.raises(FieldError, match=r"default_F is .*; it must be a finite number") as raised:
        StructureFactors(default_F=number)
    assert len(str(raised.value)) < 120


def test_an_experiment_with_a_number_of_hundreds_of_digits(tmp_path):
    text = '{"crystal": {"lengths": [30, 40, 50], "cells": [3, 3, 3]}, "structure_factors": {"default_F": 1%s}}'
    (tmp_path / "e.json").write_text(text % ("0" * 400))
    with pytest.raises(FieldError, match=r"e\.json: structure_factors\.default_F"):
        Experiment.read(tmp_path / "e.json")


def job(**more):
    return Job({"experiment": {"flags": FLAGS}, **more}, ".")


@pytest.mark.parametrize("number", [10**400, -(10**400)], ids=["large", "negative"])
def test_draws_of_numbers_of_hundreds_of_digits(number):
    with pytest.raises(NanoBraggError, match=r"beam\.fluence has normal = .*; it must be two numbers"):
        job(random={"beam.fluence": {"normal": [number, 1.0]}})


def test_a_job_that_repeats_null_times():
    assert len(job(repeat=None)) == len(job()) == 1


def trace_of(folder, *lines):
    (folder / "t.txt").write_text("".join(f"TRACE: {line}\n" for line in lines))
    return read_trace(folder / "t.txt")


@pytest.mark.parametrize("index", ["inf", "-inf", "nan", "1.5", "1e400"])
def test_a_trace_counts_in_whole_numbers(index, tmp_path):
    with pytest.raises(NanoBraggError, match=r"t\.txt, line 2: source is .*; it must be a whole number"):
        trace_of(tmp_path, "omega 1", f"source {index}", "polar 0.5")


@pytest.mark.parametrize(
    ("one", "other", "grade"),
    [
        ("inf 1 2", "inf 1 2", "pass"),
        ("inf 1 2", "inf 1 3", "critical"),
        ("nan 1 2", "nan 1 2", "pass"),
        ("nan 1 2", "nan 1 3", "critical"),
        ("nan 1 2", "0 1 2", "critical"),
        ("inf 1 2", "-inf 1 2", "critical"),
    ],
)
def test_traces_that_are_not_finite(one, other, grade, tmp_path):
    """An infinite component is no scale on which the others would not matter."""
    a, b = (trace_of(tmp_path, f"scattering_vec {values}") for values in (one, other))
    assert compare_traces(a, b).grade == grade


def test_a_header_with_a_zero_byte(tmp_path):
    header = b"{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\nSIZE1=2;\nSIZE2=2;\n"
    header += b"PIXEL_SIZE=0.1;\nDISTANCE=100;\n\0WAVELENGTH=1;\nBEAM_CENTER_X=0.1;\nBEAM_CENTER_Y=0.1;\n}\f"
    (tmp_path / "a.img").write_bytes(header.ljust(512) + bytes(8))
    done = run("nanobragg-py", "convert a.img --out a.cbf", tmp_path)
    assert done.returncode == 2 and "a.img" in done.stderr and "WAVELENGTH" in done.stderr
    assert "--debug" not in done.stderr


def test_expected_times():
    experiment = load_args(shlex.split(f"{FLAGS} -oversample 10 -oversample_omega")).experiment
    steps = 16 * 100
    # a row of 4 pixels takes as long as one of 32
    assert expected_seconds(experiment, 1) in [pytest.approx(8 * steps * plain) for plain, _ in CPU_STEPS.values()]
    assert expected_seconds(experiment, 1, "c") == expected_seconds(experiment, 8, "c") == steps * SEQUENTIAL_STEP


@pytest.mark.parametrize(
    ("program", "words"),
    [("nanoBragg", FLAGS), ("nonBragg", "-stol c.stol -detpixels 4")],
)
def test_years_are_refused(program, words, tmp_path):
    (tmp_path / "c.stol").write_text("".join(f"{0.02 * i} 5\n" for i in range(40)))
    done = run(program, f"{words} -oversample 100000000", tmp_path)
    assert done.returncode == 9 and "contributions to each pixel would take years" in done.stderr
    assert "-oversample" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["c.stol"]


@pytest.mark.parametrize(
    ("program", "words"),
    [("nanoBragg", f"{FLAGS} -oversample 40000"), ("nonBragg", "-stol c.stol -detpixels 40 -oversample 20000")],
)
@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_in_a_pixel_of_minutes(program, words, number, status, tmp_path):
    """Within a row, which takes minutes here."""
    (tmp_path / "c.stol").write_text("".join(f"{0.02 * i} 5\n" for i in range(40)))
    words = [os.path.join(BIN, program), *shlex.split(f"{words} -threads 1 -noprogress -detpixels 200")]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert "are expected to take" in process.stderr.readline()
    time.sleep(0.5)
    process.send_signal(getattr(signal, number))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "interrupted; no unfinished file was left behind" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["c.stol"]


def test_more_sub_pixels_than_a_gpu_counts():
    experiment = load_args(shlex.split(f"{FLAGS} -oversample 46341")).experiment
    with pytest.raises(NanoBraggError, match="no more than 46340 sub-pixels a side"):
        simulate(experiment, backend="gpu")


def test_job_files_say_it_too(tmp_path):
    value = {"experiment": {"flags": FLAGS}, "random": {"beam.fluence": {"normal": [10**400, 1]}}}
    (tmp_path / "j.json").write_text(json.dumps(value))
    done = run("nanobragg-py", "batch j.json --dry-run", tmp_path)
    assert done.returncode == 2 and "beam.fluence" in done.stderr and "--debug" not in done.stderr


def test_pictures_are_not_larger_than_somebody_can_look_at(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(16))
    for size in (16385, 2**31, 2**64):
        done = run("nanobragg-py", f"view a.bin --shape 2x2 --out o.png --size {size}", tmp_path)
        assert done.returncode == 2 and "at most 16384 pixels" in done.stderr


@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
def test_a_header_with_numbers_that_are_none(value, tmp_path):
    assert run("nanoBragg", f"{FLAGS} -detpixels 4", tmp_path).returncode == 0
    data = (tmp_path / "intimage.img").read_bytes()
    old = next(line for line in data[:512].split(b"\n") if line.startswith(b"TWOTHETA="))
    new = f"TWOTHETA={value};".encode().ljust(len(old))
    (tmp_path / "a.img").write_bytes(data.replace(old, new)[: len(data)])
    for words in ("info a.img", "convert a.img --out a.cbf"):
        done = run("nanobragg-py", words, tmp_path)
        assert "--debug" not in done.stderr and "math domain" not in done.stderr


def test_a_matrix_of_numbers_that_are_too_large():
    from nanobragg_py import FieldError, split_UB

    with pytest.raises(FieldError, match="too large"):
        split_UB([[1e160, 0, 0], [0, 1e160, 0], [1e160, 0, 1e-10]])


@pytest.mark.parametrize("name", ["j.toml", "j.json", "t.csv", "t.jsonl"])
def test_byte_order_marks_in_jobs(name, tmp_path):
    files = {
        "j.toml": '[experiment]\nflags = "-default_F 10 -cell 40 50 60 -detpixels 8 -N 3 -oversample 1"\n',
        "j.json": '{"experiment": {"flags": "-default_F 10 -cell 40 50 60 -detpixels 8 -N 3 -oversample 1"}}',
        "t.csv": '-misset,-lambda\r\n"1 2 3",1.0\r\n"4 5 6",1.1\r\n',
        "t.jsonl": '{"-misset": [1, 2, 3]}\n{"-misset": [4, 5, 6]}\n',
    }
    for each, text in files.items():
        (tmp_path / each).write_bytes(b"\xef\xbb\xbf" * (each == name) + text.encode())
    (tmp_path / "t.toml").write_text(files["j.toml"] + f'[[vary]]\ntable = "{name}"\n')
    job = name if name.startswith("j") else "t.toml"
    done = run("nanobragg-py", f"batch {job} --dry-run", tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_program_that_takes_long_is_told_of_by_the_tool_that_runs_it(tmp_path):
    words = f"{FLAGS} -detpixels 12 -oversample 90000"
    (tmp_path / "cases.json").write_text(json.dumps([{"id": "one", "args": words}]))
    command = [sys.executable, "-c", "import sys; from nanobragg_py.cli.main import main; sys.exit(main())"]
    words = [*command, "golden", "make", "cases.json", "refs"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        line = process.stderr.readline()
        os.killpg(process.pid, signal.SIGINT)
        process.stderr.read()
    assert "are expected to take" in line and process.returncode == 130


def test_no_step_is_missed_where_a_gaussian_crystal_scatters_nothing(tmp_path):
    """The reference's amplitude is 0 far from a Gaussian spot, and then it looks for no structure factor."""
    shutil.copy(INPUTS / "holes6.hkl", tmp_path)
    words = "-pixel 2.039 -detpixels_x 2 -detpixels_y 11 -phisteps 5 -osc 1 -samplesize 0.0002 -distance 74.61 -N 1 "
    words += "-hkl holes6.hkl -interpolate -nopgm -cell 35.329 -twotheta 5.4 -twotheta_axis 0 1 0 -oversample 2 -seed 9"
    for shape, missed in (("-gauss_xtal", False), ("-square_xtal", True)):
        done = run("nanoBragg", f"{words} {shape}", tmp_path)
        assert done.returncode == 0 and ("outside the range" in done.stdout) == missed


def test_a_signal_ends_a_row_of_minutes_of_a_tool(tmp_path):
    """Within a row, which takes minutes here."""
    words = f"simulate --out o.npy --threads 1 -- {FLAGS} -detpixels 16 -oversample 60000"
    command = [os.path.join(BIN, "nanobragg-py"), *words.split()]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        said = next((line for line in process.stderr if "are expected to take" in line), None)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert said is not None and process.returncode == 143 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("program", "words"),
    [
        *(("nanoBragg", f"{FLAGS} -detpixels 4 {flag} /dev/zero") for flag in ("-Q", "-stol", "-hkl", "-sourcefile")),
        ("nonBragg", "-detpixels 4 -stol /dev/zero"),
        ("nanobragg-py", "hkl /dev/zero --out a.hkl"),
        ("nanobragg-py", "matrix /dev/zero"),
        ("nanobragg-py", "batch /dev/zero --dry-run"),
        ("nanobragg-py", "simulate /dev/zero --out a.img"),
        ("nanobragg-py", "compare-traces /dev/zero /dev/zero"),
        ("nanobragg-py", "golden make /dev/zero refs"),
        ("nanobragg-py", f"explain -- {FLAGS} -geometry /dev/zero"),
    ],
)
def test_a_file_without_an_end(program, words, tmp_path):
    """It is not read into memory until there is none."""
    limit = 2 * 2**30
    done = subprocess.run(
        [os.path.join(BIN, program), *shlex.split(words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == (2 if program == "nanobragg-py" else 9)
    assert "memory" not in done.stderr and "/dev/zero" in done.stderr and len(done.stderr.splitlines()) <= 2
    assert not list(tmp_path.iterdir())
