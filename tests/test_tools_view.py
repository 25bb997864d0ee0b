"""`nanobragg-py view`."""

import numpy as np
import pytest
from images import FLAGS, render, tool
from PIL import Image

from nanobragg_py.inspect.picture import CENTRE, RING, SPOT


def colours(path):
    return {tuple(colour) for colour in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).tolist()}


def test_picture(tmp_path):
    image, out = render(tmp_path), tmp_path / "a.png"
    assert tool("view", image, "--out", out) == (0, "", "")
    assert colours(out) >= {RING, CENTRE} and SPOT not in colours(out)
    assert Image.open(out).size == (990, 770)
    assert tool("view", image, "--out", out, "--no-rings", "--no-centre", "--size", 90)[0] == 0
    assert Image.open(out).size == (90, 70) and all(len(set(colour)) == 1 for colour in colours(out))


def test_spots(tmp_path):
    image, out = render(tmp_path), tmp_path / "a.png"
    assert tool("view", image, "--spots", "--out", out, "--", *FLAGS)[0] == 0
    assert SPOT in colours(out)


def test_floats_without_geometry(tmp_path):
    render(tmp_path)
    status, _, err = tool("view", tmp_path / "image.bin", "--shape", "90x70", "--out", tmp_path / "a.png")
    assert status == 0 and "no rings and no beam centre" in err


def test_terminal(tmp_path, program):
    import subprocess
    import sysconfig

    command = [f"{sysconfig.get_path('scripts')}/nanobragg-py", "view", str(render(tmp_path)), "--show", "kitty"]
    done = subprocess.run(command, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"\x1b_Ga=T,f=100,") and done.stdout.endswith(b"\x1b\\\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["image.img"], "write one with --out NAME"),
        (["image.img", "--spots", "--out", "a.png"], "give nanoBragg's flags after --"),
        (["image.img", "--size", "3", "--out", "a.png"], "--size does not take 3"),
        (
            ["image.img", "--out", "a.png", "--", "-distance", "80"],
            "90 x 70 pixels, and the detector described 1024 x 1024",
        ),
        (["image.bin", "--shape", "90x70", "--rings", "3", "--out", "a.png"], "nothing of beam and detector"),
        (["image.img", "--out", "none/a.png"], "its directory does not exist"),
        (["image.img", "--spots", "--out", "a.png", "--", *FLAGS, "-curved_det", "1"], "curved detector"),
        (["image.img", "--spots", "--out", "a.png", "--", *FLAGS, "-cell", "9000", "9000", "9000"], "give --dmin"),
    ],
)
def test_bad_input(tmp_path, words, message, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    for name in ("KITTY_WINDOW_ID", "TERM_PROGRAM", "LC_TERMINAL"):
        monkeypatch.delenv(name, raising=False)
    render(tmp_path)
    before = sorted(tmp_path.iterdir())
    status, out, err = tool("view", *words, folder=tmp_path)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
