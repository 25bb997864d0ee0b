"""TIFF, npy and PNG, and what is drawn on pictures: rings, beam centre, predicted spots."""

import base64
import re
import sys
from io import BytesIO

import fabio
import numpy as np
import pytest
from images import FLAGS, geometry, render
from PIL import Image as pillow

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.files.formats.npy import write_npy
from nanobragg_py.files.formats.png import write_png
from nanobragg_py.files.formats.tiff import write_tiff
from nanobragg_py.files.geometry import experiment_geometry as geometry_of
from nanobragg_py.files.grey import greyscale, reduce_to
from nanobragg_py.files.image import read_image
from nanobragg_py.inspect.picture import CENTRE, RING, SPOT, draw
from nanobragg_py.inspect.predictions import predict
from nanobragg_py.inspect.rings import ring_mask, round_spacings, spacing_map
from nanobragg_py.inspect.terminal import detect, terminal_bytes
from nanobragg_py.render.simulate import simulate


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_tiff_and_npy(tmp_path, kind):
    pixels = (np.random.default_rng(6).normal(size=(70, 90)) * 3e4).clip(0, 65535).astype(kind)
    write_tiff(tmp_path / "a.tif", pixels, "wavelength 1.1 A")
    image = fabio.open(str(tmp_path / "a.tif"))
    assert image.data.dtype == kind and np.array_equal(image.data, pixels)
    assert pillow.open(tmp_path / "a.tif").tag_v2[270] == "wavelength 1.1 A"
    write_npy(tmp_path / "a.npy", pixels)
    assert np.array_equal(np.load(tmp_path / "a.npy"), pixels)


def test_missing_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(NanoBraggError, match=r"TIFF files need pillow: pip install 'nanobragg-py\[images\]'"):
        write_tiff(tmp_path / "a.tif", np.zeros((2, 2), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_grey_levels():
    pixels = np.full((40, 40), 10.0)
    pixels[5, 5], pixels[6, 6] = 1e6, np.nan
    pixels[20:, :] += np.arange(40)
    grey = greyscale(pixels)
    assert grey[0, 0] == 255 and grey[5, 5] == 0 and grey[6, 6] == 255
    assert (np.diff(grey[30].astype(int)) <= 0).all() and grey[30, 39] < grey[30, 1]
    assert greyscale(pixels, white=30.0)[30, 10] == pytest.approx(255 - 255 * 10 / 20, abs=20)
    assert (greyscale(np.zeros((3, 3))) == 255).all()


def test_reduction_keeps_spots():
    grey = np.full((100, 70), 255, np.uint8)
    grey[55, 33] = 0
    small, factor = reduce_to(grey, 30)
    assert factor == 4 and small.shape == (25, 18)
    assert small[55 // 4, 33 // 4] < 128 and (small < 255).sum() == 1
    assert reduce_to(grey, 100)[1] == 1


def test_png_is_a_picture(tmp_path):
    write_png(tmp_path / "a.png", np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert np.array_equal(np.asarray(pillow.open(tmp_path / "a.png")), np.arange(12).reshape(3, 4))


@pytest.mark.parametrize("each", [1.0, 0.25])
def test_rings_have_the_radius_of_braggs_law(each):
    described = geometry()
    shape = (int(70 / each), int(90 / each))
    mask = ring_mask(spacing_map(described, shape, each), 6.0)
    slow, fast = (np.nonzero(mask)[i] * each for i in (0, 1))
    centre = np.array(described.beam_centre) / described.pixel_size
    radius = 80.0 / 0.5 * np.tan(2 * np.arcsin(1.1 / (2 * 6.0)))
    distances = np.hypot(fast - centre[0], slow - centre[1])
    assert mask.any() and np.abs(distances - radius).max() < 1.5 * each + 0.01


def test_chosen_rings_reach_the_edge():
    described = geometry()
    spacings = round_spacings(described)
    assert sorted(spacings, reverse=True) == spacings and len(spacings) == 4
    for d in spacings:
        assert ring_mask(spacing_map(described, (70, 90), 1), d).any()


@pytest.mark.parametrize(
    "flags",
    [
        ("-osc", "1", "-phisteps", "60"),
        ("-osc", "3", "-phisteps", "150", "-xds", "-twotheta", "10"),
        ("-osc", "1", "-phisteps", "60", "-detector_rotx", "7", "-dials"),
        ("-osc", "0", "-phisteps", "1", "-N", "20"),
    ],
)
def test_predictions_lie_on_the_spots(flags):
    """Strong pixels are where spots are predicted, and predicted spots are where the image is strong."""
    line = [*FLAGS, "-N", "25", "-detpixels", "200", "-pixel", "0.2", "-cell", "40", "50", "60", *flags]
    if "-N" in flags:
        line += ["-N", "10"]
    loaded = load_args(line, write_dump=False)
    image = np.asarray(simulate(loaded.experiment, loaded.table)[0])
    hkl, fast, slow = predict(loaded.experiment)
    assert len(hkl) > 20
    # the spot of 0 0 0 is not predicted
    across, up = (x / 2e-4 for x in geometry_of(loaded.experiment).beam_centre)
    image[max(0, int(up) - 8) : int(up) + 9, max(0, int(across) - 8) : int(across) + 9] = 0.0
    strong = np.argwhere(image > 0.2 * image.max())
    away = np.array([np.hypot(fast - (f + 0.5), slow - (s + 0.5)).min() for s, f in strong])
    assert len(strong) > 5 and away.max() < 2.5
    level = [
        image[int(s) - 1 : int(s) + 2, int(f) - 1 : int(f) + 2].max(initial=0) for f, s in zip(fast, slow, strict=True)
    ]
    assert np.mean(np.array(level) > 20 * np.median(image)) > 0.8


def test_absent_reflections_are_not_predicted(tmp_path):
    rows = [(h, k, l, 0 if h % 2 else 9) for h in range(-5, 6) for k in range(-5, 6) for l in range(-5, 6)]
    (tmp_path / "a.hkl").write_text("".join("{} {} {} {}\n".format(*row) for row in rows))
    line = [*FLAGS, "-default_F", "0", "-hkl", str(tmp_path / "a.hkl"), "-osc", "20"]
    hkl, _, _ = predict(load_args(line, write_dump=False).experiment)
    assert len(hkl) and (hkl[:, 0] % 2 == 0).all() and np.abs(hkl).max() <= 5


def test_curved_detectors_have_no_predictions():
    with pytest.raises(NanoBraggError, match="curved"):
        predict(load_args([*FLAGS, "-curved_det", "1"]).experiment)


def colour(picture, x, y):
    return tuple(np.asarray(picture)[y, x].tolist())


def test_what_is_drawn(tmp_path):
    image = read_image(render(tmp_path))
    spots = (np.array([20.0]), np.array([50.0]))
    picture = draw(image, 360, geometry=geometry(), spacings=[6.0], centre=True, spots=spots)
    assert picture.size == (360, 280)
    # the beam's centre, 42.5 and 30.5 pixels, at four picture pixels each
    assert colour(picture, 170, 122) == CENTRE
    assert SPOT in {colour(picture, 80 + x, 200) for x in (-6, -5, -4)}
    assert (np.asarray(picture) == RING).all(axis=2).sum() > 100
    bare = draw(image, 360)
    assert (np.asarray(bare)[..., 0] == np.asarray(bare)[..., 2]).all()


def test_terminals():
    assert detect({"TERM": "xterm-kitty"}) == "kitty"
    assert detect({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}) == "iterm"
    assert detect({"TERM": "foot-extra"}) == "sixel"
    assert detect({"TERM": "xterm-256color"}) is None


@pytest.fixture
def picture():
    return pillow.fromarray(np.random.default_rng(7).integers(0, 255, (50, 64, 3)).astype(np.uint8))


def test_kitty(picture):
    data = terminal_bytes(picture, "kitty")
    chunks = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", data)
    assert [b"m=1" in keys for keys, _ in chunks] == [True] * (len(chunks) - 1) + [False]
    assert all(len(chunk) <= 4096 for _, chunk in chunks) and len(chunks) > 1
    shown = pillow.open(BytesIO(base64.b64decode(b"".join(chunk for _, chunk in chunks))))
    assert np.array_equal(np.asarray(shown), np.asarray(picture))


def test_iterm(picture):
    data = re.fullmatch(rb"\x1b\]1337;File=inline=1:(.*)\x07\n", terminal_bytes(picture, "iterm"))[1]
    assert np.array_equal(np.asarray(pillow.open(BytesIO(base64.b64decode(data)))), np.asarray(picture))


def test_sixels(picture):
    """Decoded again, the sixels are the picture in its reduced colours."""
    data = terminal_bytes(picture, "sixel").decode("ascii")
    assert data.startswith('\x1bPq"1;1;64;50') and data.endswith("\x1b\\\n")
    palette = {int(n): tuple(map(int, c.split(";"))) for n, c in re.findall(r"#(\d+);2;(\d+;\d+;\d+)", data)}
    shown = np.full((54, 64, 3), -1)
    body = re.sub(r"#\d+;2;[\d;]+", "", data[data.index("#") : -3])
    top, x = 0, 0
    for number, count, repeated, sixel, control in re.findall(r"#(\d+)|!(\d+)([?-~])|([?-~])|([$-])", body):
        if number:
            now = palette[int(number)]
        elif control:
            x, top = 0, top + 6 * (control == "-")
        else:
            bits = ord(repeated or sixel) - 63
            run = int(count or 1)
            for bit in range(6):
                if bits >> bit & 1:
                    shown[top + bit, x : x + run] = now
            x += run
    reduced = picture.quantize(64).convert("RGB")
    assert np.abs(shown[:50] - np.asarray(reduced, int) * 100 // 255).max() <= 1
