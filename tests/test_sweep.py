"""`nanobragg-py sweep`: files in order, each what nanoBragg renders there, and the input files beside them."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.cli.main import main
from nanobragg_py.experiment.load import load_args
from nanobragg_py.files.geometry import experiment_geometry

FLAGS = shlex.split(
    "-cell 40 50 60 90 90 90 -default_F 100 -N 5 -detpixels 48 -pixel 1 -oversample 1 -phisteps 2 -fluence 1e25 "
    "-distance 120 -Xbeam 20 -Ybeam 27 -polar 0.9 -nonoise"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(*words, flags=FLAGS):
    return main(["sweep", "--images", "3", "--osc", "0.5", "--start", "10", *words, "--", *flags])


def test_every_image_goes_on_where_the_one_before_it_ended(folder, runner, capsys):
    assert sweep("--format", "npy", "--name", "xtal") == 0
    assert "xtal_00001.npy to xtal_00003.npy" in capsys.readouterr().out
    for number in range(3):
        image = np.load(folder / "sweep" / f"xtal_{number + 1:05d}.npy")
        runner.result(*FLAGS, "-phi", str(10 + 0.5 * number), "-osc", "0.5")
        rendered = np.fromfile(runner.folder / "floatimage.bin", np.float32).reshape(48, 48)
        assert image == pytest.approx(rendered, rel=1e-5)


def test_it_is_continued(folder):
    assert sweep() == 0
    files = sorted((folder / "sweep").glob("*.cbf"))
    before = [path.read_bytes() for path in files]
    files[1].unlink()
    assert sweep() == 0
    assert [path.read_bytes() for path in files] == before


def test_what_comes_next_is_said(folder, capsys):
    assert sweep("--xds", "--dials", "--out", "a b") == 0
    said = capsys.readouterr().out
    assert "dials.import 'a b/image'_*.cbf" in said and "(cd 'a b' && xds)" in said
    assert (folder / "a b" / "dials.phil").read_text().split() == (
        ["indexing.known_symmetry", "{", "space_group", "=", "P1", "unit_cell", "=", "40,50,60,90,90,90", "}"]
    )


@pytest.mark.parametrize("convention", ["-mosflm", "-xds", "-adxv", "-twotheta_axis 0 1 0 -twotheta 7"])
def test_xds_inp_describes_the_detector(folder, convention):
    """A pixel's place from the file, turned into the laboratory, is where nanoBragg has it."""
    flags = [*FLAGS, *shlex.split(convention)]
    assert sweep("--xds", flags=flags) == 0
    text = (folder / "sweep" / "XDS.INP").read_text()
    keys = dict(re.findall(r"^(\S+)= (.*)$", text, re.M))
    plain = {name: value.split() for name, value in keys.items() if value[0] in "-0123456789"}
    numbers = {name: np.array([float(x) for x in words]) for name, words in plain.items()}
    fast, slow = numbers["DIRECTION_OF_DETECTOR_X-AXIS"], numbers["DIRECTION_OF_DETECTOR_Y-AXIS"]
    corner = numbers["DETECTOR_DISTANCE"] * np.cross(fast, slow)
    corner -= (numbers["ORGX"] - 0.5) * numbers["QX"] * fast + (numbers["ORGY"] - 0.5) * numbers["QY"] * slow
    geometry = experiment_geometry(load_args([*flags, "-phi", "10", "-osc", "0.5"]).experiment)
    turn = geometry.frame("xds")
    assert corner == pytest.approx(turn @ np.array(geometry.origin) * 1000, abs=1e-5)
    assert fast == pytest.approx(turn @ np.array(geometry.fast), abs=1e-8)
    assert numbers["ROTATION_AXIS"] == pytest.approx([1, 0, 0], abs=1e-8)
    assert (keys["STARTING_ANGLE"], keys["OSCILLATION_RANGE"], keys["DATA_RANGE"]) == ("10", "0.5", "1 3")
    assert keys["FRACTION_OF_POLARIZATION"] == "0.95"
    assert Path(folder / "sweep" / keys["NAME_TEMPLATE_OF_DATA_FRAMES"].replace("?????", "00003")).exists()


def test_images_are_read_back(folder, capsys):
    assert sweep() == 0
    assert main(["info", "sweep/image_00002.cbf"]) == 0
    assert "48" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--osc", "0", "--images", "2", "--", *FLAGS], "--osc takes degrees"),
        (["--osc", "nan", "--images", "2", "--", *FLAGS], "--osc takes degrees"),
        (["--osc", "1", "--images", "2"], "give nanoBragg's flags after --"),
        (["--osc", "1", "--images", "2", "--name", "a/b", "--", *FLAGS], "--name is 'a/b'"),
        (["--osc", "1", "--images", "2", "--xds", "--format", "npy", "--", *FLAGS], "XDS does not read npy"),
        (["--osc", "1", "--images", "2", "--", *FLAGS, "-osc", "3"], "-phi and -osc follow from"),
        (["--osc", "1", "--images", "2", "--", "-cell", "50", "60", "70"], "no structure factors"),
    ],
)
def test_bad_input(folder, words, said, capsys):
    assert main(["sweep", *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_progress_without_tqdm(monkeypatch, capsys):
    """A terminal is told how far it is, whatever is installed."""
    from nanobragg_py.cli.progress import Progress

    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress(8, "sweep") as meter:
        meter(2)
        meter.complain("something")
    said = capsys.readouterr().err
    assert re.search(r"^\[=======  +\]  25%  2 of 8 images, .* s left\r", said)
    assert "\rnanobragg-py sweep: something\n" in said
