"""`nanobragg-py view`."""

import numpy as np
import pytest
from images import FLAGS, render, tool
from PIL import Image

from nanobragg_py.files.grey import GreyScale
from nanobragg_py.inspect.frame import inner_size, letter, round_steps, scale_values
from nanobragg_py.inspect.picture import CENTRE, RING, SPOT


def colours(path):
    return {tuple(colour) for colour in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).tolist()}


def test_picture(tmp_path):
    image, out = render(tmp_path), tmp_path / "a.png"
    assert tool("view", image, "--out", out) == (0, "", "")
    assert colours(out) >= {RING, CENTRE} and SPOT not in colours(out)
    assert max(Image.open(out).size) == 1000
    assert tool("view", image, "--out", out, "--no-rings", "--no-centre", "--no-axes", "--size", 90)[0] == 0
    assert Image.open(out).size == (90, 70) and all(len(set(colour)) == 1 for colour in colours(out))


@pytest.mark.parametrize("size", [200, 333, 1000])
@pytest.mark.parametrize("white", [(), ("--white", 300)])
def test_size_axes_and_scale(tmp_path, size, white):
    """The longer side has the size asked for; beside the image are ticks, and greys from black to white."""
    image, out = render(tmp_path), tmp_path / "a.png"
    assert tool("view", image, "--out", out, "--size", size, *white, "--no-rings", "--no-centre") == (0, "", "")
    picture = np.asarray(Image.open(out).convert("L")).astype(int)
    assert abs(max(picture.shape) - size) <= 1
    height = letter(size)
    bar = picture[height + 2 : -2 * height - 2, picture.shape[1] - 7 * height + 2]
    assert bar[0] < 10 and bar[-1] > 245 and (np.diff(bar) >= 0).all()
    inner = inner_size((70, 90), size)
    assert (picture[height : height + round(inner * 70 / 90), 4 * height - 1] == 0).all()
    assert tool("view", image, "--out", out, "--size", size, "--no-axes", *white)[0] == 0
    assert Image.open(out).size == (size, round(size * 70 / 90))
    # without anything coloured it is a picture in greys, which is a third as large
    assert tool("view", image, "--out", out, "--no-axes", "--no-rings", "--no-centre", *white)[0] == 0
    assert Image.open(out).mode == "L"


def test_ticks():
    assert round_steps(90) == [0, 20, 40, 60, 80] and round_steps(2463) == [0, 500, 1000, 1500, 2000]
    assert round_steps(3) == [0, 1, 2, 3]
    scale = GreyScale(low=40.0, black=5000.0, near=100.0)
    values, places = zip(*scale_values(scale), strict=True)
    assert values[0] == 40.0 and {100.0, 1000.0} <= set(values) and max(values) <= 5040.0
    assert places[0] == 0.0 and (np.diff(places) >= 0.09).all() and places[-1] <= 1.0
    assert scale.grey(np.array(values))[0] == 255
    assert [value for value, _ in scale_values(GreyScale(low=0.0, black=8.0))] == [0, 2, 4, 6, 8]


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
