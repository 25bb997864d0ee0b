"""`nanobragg-py bundle`: what it keeps, that it can be verified, and what is refused."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest
from transcripts import replay

from nanobragg_py.cli.main import main
from nanobragg_py.inspect.trace_compare import read_trace

INPUTS = Path(__file__).parent.parent / "golden" / "inputs"
FLAGS = shlex.split("-mat A.mat -hkl full8.hkl -N 5 -detpixels 48 -pixel 1 -oversample 1 -seed 1 -osc 1 -phisteps 3")
FILES = {
    *("summary.md", "metrics.json", "run_metadata.json", "env.json", "commands.txt", "git_sha.txt", "sha256.txt"),
    *("trace.log", "trace_c.log", "per_phi.log", "per_phi_c.log", "comparison.txt"),
    *("ours", "ours.stdout", "ours.stderr"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("A.mat", "full8.hkl"):
        (tmp_path / name).write_bytes((INPUTS / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANOBRAGG_C", raising=False)
    monkeypatch.delenv("NB_C_BIN", raising=False)
    return tmp_path


def test_what_it_holds(folder, runner):
    assert main(["bundle", "kept", "--", *FLAGS]) == 0
    kept = folder / "kept"
    assert {path.name for path in kept.iterdir()} == FILES
    image = (kept / "ours" / "floatimage.bin").read_bytes()
    for name in ("A.mat", "full8.hkl"):
        (runner.folder / name).write_bytes((INPUTS / name).read_bytes())
    assert image == runner.result(*FLAGS).files["floatimage.bin"]
    metrics = json.loads((kept / "metrics.json").read_text())
    assert metrics["reference"] is None and metrics["pixel"]["value"] == metrics["maximum"]
    values = {quantity.name: quantity.values for quantity in read_trace(kept / "trace.log").quantities}
    assert values["I_pixel_image"] == pytest.approx((metrics["maximum"],), rel=1e-14)
    log = (kept / "per_phi.log").read_text().splitlines()
    phi_tics = [line.split()[1] for line in log if line.startswith("TRACE_PY_PHI")]
    assert phi_tics == ["phi_tic=0", "phi_tic=1", "phi_tic=2"]
    assert json.loads((kept / "run_metadata.json").read_text())["flags"] == FLAGS
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "sha256.txt"], cwd=kept, check=True)


def test_check(folder, capsys):
    assert main(["bundle", "kept", "--pixel", "3", "4", "--", *FLAGS]) == 0
    assert main(["bundle", "--check", "kept"]) == 0
    (folder / "kept" / "env.json").write_text("{}")
    (folder / "kept" / "ours" / "image.pgm").unlink()
    (folder / "kept" / "more").write_text("")
    capsys.readouterr()
    assert main(["bundle", "--check", "kept"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ours/image.pgm is missing",
        "env.json is not as it was",
        "more was not there",
    ]


def test_a_reference_that_differs(folder, program, tmp_path):
    """A program that renders another crystal."""
    other = tmp_path / "other"
    other.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@" -N 6\n')
    other.chmod(0o755)
    assert main(["bundle", "kept", "--reference", str(other), "--", *FLAGS]) == 1
    assert json.loads((folder / "kept" / "metrics.json").read_text())["reference"]["agrees"] is False
    assert main(["bundle", "same", "--reference", program[0], "--", *FLAGS]) == 0
    assert (folder / "same" / "reference" / "floatimage.bin").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["kept"], "give nanoBragg's flags after --"),
        (["kept", "--", "-cell", "50"], "ended with exit status 9"),
        (["full", "--", *FLAGS], "full is there already"),
        (["kept", "--pixel", "48", "0", "--", *FLAGS], "is not on the detector"),
        (["--check", "nothing"], "is no bundle"),
        (["--check", "full"], "is no bundle"),
        (["--check", "kept", "--", *FLAGS], "--check runs nothing"),
    ],
)
def test_bad_input(folder, words, said, capsys):
    (folder / "full").mkdir()
    (folder / "full" / "a").write_text("")
    before = {path.name for path in folder.iterdir()}
    assert main(["bundle", *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1
    assert {path.name for path in folder.iterdir()} == before


def test_transcripts_of_the_page(tmp_path, monkeypatch):
    monkeypatch.delenv("NANOBRAGG_C", raising=False)  # the page has none
    replay("docs/bundle.md", tmp_path)
