"""`compare` and nb-compare: two files, and two programs."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from spot_images import CENTRES, spots
from transcripts import replay

from nanobragg_py.cli.main import main
from nanobragg_py.inspect.compare import read_floats
from nanobragg_py.inspect.compare_runs import plan_run

GOLDEN = Path(__file__).parent.parent / "golden"
REFERENCE = os.environ.get("NANOBRAGG_C")
FLAGS = "-mat A.mat -hkl full8.hkl -N 5 -detpixels 48 -pixel 1 -seed 1 -osc 1 -phisteps 3"
STILL = "-cell 50 60 70 90 90 90 -default_F 10 -N 5 -detpixels 32 -pixel 1 -oversample 1 -seed 1"


# ---- two files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the goldens' input files; no reference program in the environment."""
    for source in (GOLDEN / "inputs").iterdir():
        shutil.copy(source, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANOBRAGG_C", raising=False)
    return tmp_path


def test_two_files(folder, capsys):
    image = spots(CENTRES)
    image.tofile("a.bin")
    image[10, 12] *= 0.97
    image.tofile("b.bin")
    assert main(["compare", "--images", "a.bin", "b.bin", "--shape", "60", "80"]) == 0
    said = capsys.readouterr().out
    assert "at slow 10, fast 12" in said and "result: they agree" in said
    assert main(["compare", "--images", "a.bin", "b.bin", "--shape", "60", "80", "--exact"]) == 1
    assert "1 of 4800 float pixels are not the same to the bit" in capsys.readouterr().out
    assert main(["compare", "--images", "a.bin", "b.bin", "--shape", "60", "80", "--min-correlation", "0.9999999"]) == 1
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == []
    assert (
        main(["compare", "--images", "a.bin", "b.bin", "--shape", "60", "80", "--outdir", "out", "--no-picture"]) == 0
    )
    summary = json.loads(Path("out/summary.json").read_text())
    assert summary["agrees"] and summary["image"]["worst_absolute"]["slow"] == 10
    assert [Path(name).name for name in summary["images"]] == ["a.bin", "b.bin"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--images a.bin b.bin", "--images needs --shape"),
        ("--images a.bin b.bin --shape 60 79", "a.bin has 19200 bytes, and 60 x 79 pixels (slow x fast) take 18960"),
        ("--images a.bin absent.bin --shape 60 80", "cannot read absent.bin"),
        ("--images a.bin short.bin --shape 60 80", "short.bin has 400 bytes"),
        ("--images a.bin b.bin --shape 60 80 --roi 80 90 0 10", "80 90 0 10 holds no pixel"),
        ("--images a.bin b.bin --shape 60 80 -- -N 3", "compares two files and runs nothing"),
        ("--shape 3 4 -- -N 3", "--shape belongs to --images"),
        ("--sum-ratio 2 1 -- -N 3", "takes the lower bound first"),
        ("--spots -1 -- -N 3", "--spots"),
        ("", "there is nothing to compare"),
        ("-- -N 3", "there is no reference program"),
        ("--reference absent -- -N 3", "--reference absent is no program that can be run"),
        ("--reference a.bin -- -N 3", "--reference a.bin is no program that can be run"),
        ("--ours absent -- -N 3", "--ours absent is no program that can be run"),
        ("-hkl P1.hkl", "-hkl is a flag of nanoBragg"),
    ],
)
def test_bad_input(words, said, folder, capsys):
    spots(CENTRES).tofile("a.bin")
    spots(CENTRES).tofile("b.bin")
    spots(CENTRES)[:10, :10].tofile("short.bin")
    assert main(["compare", *shlex.split(words)]) == 2
    assert said in capsys.readouterr().err


def test_read_floats(tmp_path):
    np.arange(6, dtype=np.float32).tofile(tmp_path / "x.bin")
    assert read_floats(tmp_path / "x.bin", (2, 3))[1, 2] == 5


# ---- two programs --------------------------------------------------------------------------------------------------


def script(name, text):
    """A program that does something before, instead of or after the real one."""
    Path(name).write_text(f"#!/bin/sh\n{text}\n")
    Path(name).chmod(0o755)
    return f"./{name}"


@pytest.fixture
def defective(folder, program):
    """Our program with the reference's defects: what can be had for a reference everywhere."""
    return script("defective", f'exec {program[0]} -compat c "$@"')


def run(reference, flags, *words):
    return main(["compare", "--reference", reference, "--no-picture", *words, "--", *shlex.split(flags)])


def summary(folder="nb-compare"):
    return json.loads((Path(folder) / "summary.json").read_text())


def test_programs_that_agree(defective, capsys):
    assert run(defective, STILL, "--exact") == 0
    said = capsys.readouterr().out
    assert "result: they agree" in said
    found = summary()
    assert found["agrees"] and found["failures"] == [] and found["printed_lines"] == []
    assert found["flags"] == shlex.split(STILL)
    assert set(found["files"]) == {"floatimage.bin", "intimage.img", "image.pgm", "noiseimage.img"}
    assert set(found["files"].values()) == {"identical"}
    assert found["image"]["shape"] == [32, 32] and found["image"]["identical"] == 1.0
    assert found["ours"]["exit_status"] == found["reference"]["exit_status"] == 0
    assert found["picture"] is None
    assert "max_I" in Path("nb-compare/ours.stdout").read_text()
    assert Path("nb-compare/reference/noiseimage.img").exists()


def test_programs_that_differ(defective, capsys):
    assert run(defective, FLAGS) in (0, 1)
    assert run(defective, FLAGS, "--exact", "--outdir", "exact") == 1
    said = capsys.readouterr().out
    assert "result: they differ" in said and "are not the same to the bit" in said
    found = summary("exact")
    assert not found["agrees"]
    assert found["files"]["Fdump.bin"] == "identical"
    assert "bytes, the first of them byte" in found["files"]["noiseimage.img"]
    assert found["image"]["worst_absolute"]["difference"] > 0
    assert run(defective, FLAGS, "--min-correlation", "1") == 1
    assert "the correlation" in summary()["failures"][0]


def test_a_reference_that_fails(folder, program, capsys):
    assert run(script("failing", "echo something is wrong >&2; exit 3"), STILL) == 2
    assert "ended with exit status 3 (something is wrong)" in capsys.readouterr().err
    assert run(program[0], "-cell 50 -detpixels 8") == 2
    assert run(script("broken", "kill -9 $$"), STILL) == 2
    Path("no-format").write_bytes(b"\x7fELF nonsense")
    Path("no-format").chmod(0o755)
    assert run("./no-format", STILL) == 2
    assert "cannot run" in capsys.readouterr().err


def test_our_program_that_fails(program, folder, capsys):
    ours = script("ours", f'{program[0]} "$@"; exit 1')
    assert run(program[0], STILL, "--ours", ours) == 1
    assert "the exit status is 1, not 0" in capsys.readouterr().out
    assert run(program[0], STILL, "--ours", script("idle", "exit 0")) == 1
    assert "was not written by both" in capsys.readouterr().out


def test_images_of_another_size(program, folder, capsys):
    ours = script("ours", f'exec {program[0]} "$@" -detpixels 16')
    assert run(program[0], STILL, "--ours", ours) == 2
    assert "a float image has 256 pixels, and the detector has 32 x 32" in capsys.readouterr().err


def test_printed_lines(program, folder):
    ours = script("ours", f'{program[0]} "$@"; echo one more line')
    assert run(program[0], STILL, "--ours", ours) == 0
    assert "one more line" in summary()["printed_lines"][0]
    assert run(program[0], STILL, "--ours", ours, "--exact") == 1
    # the program's name and the wording of warnings do not count, their number does
    ours = script("ours", f'echo nanoBragg other version; {program[0]} "$@"')
    assert run(program[0], STILL, "--ours", ours, "--exact") == 0
    ours = script("ours", f'{program[0]} "$@"; echo WARNING: all is well')
    assert run(program[0], STILL, "--ours", ours, "--exact") == 1


def test_a_file_that_only_one_writes(program, folder):
    ours = script("ours", f'{program[0]} "$@"; rm image.pgm; echo > extra')
    assert run(program[0], STILL, "--ours", ours) == 0
    assert summary()["files"]["image.pgm"] == "only the reference wrote it"
    assert summary()["files"]["extra"] == "only our program wrote it"
    assert run(program[0], STILL, "--ours", ours, "--exact") == 1


def test_region_of_interest(program, folder, capsys):
    assert run(program[0], STILL, "--roi", "3", "20", "5", "31") == 0
    assert "region            fast 3 to 20, slow 5 to 31" in capsys.readouterr().out
    assert summary()["image"]["region"] == [3, 20, 5, 31]
    assert summary()["flags"][-5:] == ["-roi", "3", "20", "5", "31"]
    assert run(program[0], STILL, "--roi", "3", "20", "5", "32") == 2
    assert "--roi 3 20 5 32 does not lie within the detector, whose pixels are 0 31 0 31" in capsys.readouterr().err
    assert run(program[0], STILL, "--roi", "9", "3", "5", "6") == 2
    assert run(program[0], STILL + " -roi 40 50 0 3") == 2
    assert "40 50 0 3 holds no pixel" in capsys.readouterr().err


def test_input_files_are_where_the_flags_say(program, folder):
    Path("sub").mkdir()
    shutil.move("full8.hkl", "sub/full8.hkl")
    shutil.move("A.mat", folder.parent / "A.mat")
    flags = (
        f"-mat ../A.mat -hkl sub/full8.hkl -mask {folder / 'mask.img'} -N 3 -detpixels 8 -seed 1 -floatfile out/f.bin"
    )
    assert run(program[0], flags, "--exact") == 0
    assert summary()["files"]["out/f.bin"] == "identical"
    assert summary()["flags"][1] == str(folder.parent / "A.mat")


def test_outputs_that_both_would_write(program, folder, capsys):
    assert run(program[0], f"{STILL} -floatfile {folder / 'f.bin'}") == 2
    assert "both programs would write" in capsys.readouterr().err
    assert run(program[0], f"{STILL} -noisefile ../n.img") == 2


def test_dump_files(program, folder, capsys):
    subprocess.run([*program, *shlex.split(FLAGS)], check=True, capture_output=True)
    flags = FLAGS.replace("-hkl full8.hkl ", "")
    assert run(program[0], flags) == 2
    said = capsys.readouterr().err
    assert "Fdump.bin lies here, where nanoBragg would read it, and is not used" in said
    assert run(program[0], flags + " -dump Fdump.bin", "--exact") == 0
    assert "Fdump.bin" in os.listdir("nb-compare/ours")
    # with -hkl it is an output, and what lies here is neither read nor touched
    Path("Fdump.bin").write_text("something else")
    assert run(program[0], FLAGS + " -dump Fdump.bin", "--exact") == 0
    assert Path("Fdump.bin").read_text() == "something else"


def test_seeds_from_the_clock_are_mentioned(folder):
    remarks = plan_run(shlex.split("-cell 50 -default_F 1 -misset random")).remarks
    assert [text.split(" is ")[0] for text in remarks] == ["the noise", "the random orientation"]
    assert plan_run(shlex.split("-cell 50 -default_F 1 -misset random -misset_seed 3 -nonoise")).remarks == ()


def test_the_output_folder(program, folder, capsys):
    Path("precious").mkdir()
    Path("precious/thesis.tex").write_text("")
    assert run(program[0], STILL, "--outdir", "precious") == 2
    assert "precious holds files that no comparison made (thesis.tex)" in capsys.readouterr().err
    assert Path("precious/thesis.tex").exists()
    assert run(program[0], STILL, "--outdir", "A.mat") == 2
    assert run(program[0], STILL) == 0
    Path("nb-compare/ours/stale").write_text("")
    assert run(program[0], STILL) == 0
    assert not Path("nb-compare/ours/stale").exists()


def test_inputs_in_the_output_folder(program, folder, capsys):
    assert run(program[0], FLAGS) == 0
    assert run(program[0], FLAGS.replace("A.mat", "nb-compare/ours/A.mat")) == 2
    words = ["--images", "nb-compare/ours/floatimage.bin", "nb-compare/reference/floatimage.bin", "--shape", "48", "48"]
    assert main(["compare", *words, "--outdir", "nb-compare"]) == 2
    assert "lies in nb-compare, which is emptied for the output" in capsys.readouterr().err
    assert Path("nb-compare/ours/floatimage.bin").exists()
    assert main(["compare", *words]) == 0


def test_reference_of_the_environment(program, folder, monkeypatch):
    monkeypatch.setenv("NANOBRAGG_C", program[0])
    words = [Path(sys.executable).parent / "nb-compare", "--no-picture", "--", *shlex.split(STILL)]
    assert subprocess.run(words).returncode == 0
    assert summary()["reference"]["program"] == program[0]


def test_names_of_older_programs(program, folder, monkeypatch):
    monkeypatch.setenv("NB_C_BIN", program[0])
    monkeypatch.setenv("NB_PY_BIN", "no/such/program")
    flags = ["--", *shlex.split(STILL)]
    assert main(["compare", *flags]) == 2
    assert main(["compare", "--py-bin", program[0], "--threshold", "0.9", "--save-diff", "--no-picture", *flags]) == 0
    assert summary()["limits"]["min_correlation"] == 0.9
    shape = summary()["image"]["shape"]
    assert (folder / "nb-compare" / "difference.bin").read_bytes() == bytes(4 * shape[0] * shape[1])


def test_own_flags_go_to_both(program, folder):
    assert run(program[0], STILL + " -threads 1 -compat c", "--exact") == 0


# ---- the picture ---------------------------------------------------------------------------------------------------


def test_without_matplotlib(program, folder):
    Path("blocked/matplotlib").mkdir(parents=True)
    Path("blocked/matplotlib/__init__.py").write_text("raise ImportError('not here')")
    command = "import sys; from nanobragg_py.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command, "compare", "--reference", program[0], "--", *shlex.split(STILL)],
        env={**os.environ, "PYTHONPATH": str(folder / "blocked")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "pip install 'nanobragg-py[plot]'" in done.stderr
    assert summary()["picture"] is None


# ---- against the reference, and the document -----------------------------------------------------------------------


@pytest.mark.skipif(not REFERENCE, reason="NANOBRAGG_C does not name the reference program")
def test_against_the_reference(folder, capsys):
    assert run(REFERENCE, STILL, "--exact") == 0
    assert run(REFERENCE, FLAGS + " -compat c", "--exact") == 0


def test_documented_transcript(tmp_path):
    replay("docs/compare.md", tmp_path)
