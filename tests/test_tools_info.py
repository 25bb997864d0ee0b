"""`nanobragg-py info`."""

import json

import numpy as np
import pytest
from images import FLAGS, geometry, render, tool

from nanobragg_py.files.image import read_image


def about(*words):
    status, out, err = tool("info", "--json", *words)
    assert (status, err) == (0, "")
    return json.loads(out)


def test_statistics(tmp_path):
    pixels = np.zeros((3, 4), np.uint16)
    pixels[1, 2], pixels[2, 3] = 7, 65535
    image = render(tmp_path)
    header = image.read_bytes()[:512].replace(b"SIZE1=90", b"SIZE1=4 ").replace(b"SIZE2=70", b"SIZE2=3 ")
    image.write_bytes(header + pixels.tobytes())
    (found,) = about(image)
    numbers = found["statistics"]
    assert (numbers["minimum"], numbers["maximum"], numbers["maximum_at"]) == (0, 65535, [3, 2])
    assert (numbers["zero"], numbers["overloads"], numbers["not_finite"]) == (10, 1, 0)
    assert numbers["mean"] == pytest.approx(pixels.mean()) and numbers["rmsd"] == pytest.approx(pixels.std())


def test_every_convention(tmp_path):
    image = render(tmp_path, "-xds")
    (found,) = about(image)
    assert found["convention"] == "XDS"
    expected = {name: xy for name, _, xy, _ in geometry("-xds").centres()}
    for name, _, xy, _ in found["beam_centres"]:
        assert xy == pytest.approx(expected[name], rel=1e-5, abs=1e-3)
    assert {"ADXV", "MOSFLM", "DENZO", "XDS", "DIALS"} <= {row[0] for row in found["beam_centres"]}
    assert found["header"]["BEAMLINE"] == "fake" and found["header"]["SIZE1"] == "90"


def test_cbf_says_the_same_as_smv(tmp_path):
    image = render(tmp_path)
    assert tool("convert", image, "--out", tmp_path / "a_1.cbf")[0] == 0
    smv, cbf = about(image, tmp_path / "a_1.cbf")
    for key in ("fast", "slow", "beam_centres", "geometry"):
        values = [
            np.array([x[-2] if key == "geometry" else 0 for x in one[key]], float) if key == "geometry" else one[key]
            for one in (smv, cbf)
        ]
        if key == "beam_centres":
            values = [np.concatenate([row[2] for row in one[key]]) for one in (smv, cbf)]
        assert values[0] == pytest.approx(values[1], rel=1e-5, abs=1e-4)
    assert smv["statistics"] == cbf["statistics"]


def test_floats(tmp_path):
    render(tmp_path)
    (found,) = about(tmp_path / "image.bin", "--", *FLAGS)
    pixels = read_image(tmp_path / "image.bin", (70, 90)).pixels.astype(float)
    assert found["statistics"]["sum"] == pytest.approx(pixels.sum())
    assert found["statistics"]["overloads"] is None
    (found,) = about(tmp_path / "image.bin", "--shape", "90x70")
    assert "nothing of beam and detector" in found["no_geometry"]


def test_text(tmp_path):
    image = render(tmp_path)
    status, out, _ = tool("info", "--header", image, image)
    assert status == 0 and out.count("SMV, 90 x 70 pixels (fast x slow), uint16") == 2
    for line in ("  SIZE1 = 90", "  distance                  80 mm", "  XDS           86 61 "):
        assert line in out or line.startswith("  XDS")
    assert "Beam centre" in out and "overloads                 0" in out


def test_a_tilt_that_the_header_does_not_tell(tmp_path):
    status, out, _ = tool("info", render(tmp_path, "-detector_rotx", "5"))
    assert status == 0 and "No geometry: the detector of" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "is empty; give an image"),
        (b"some words", "has no header, so it is taken for bare floats"),
        (b"{\nHEADER_BYTES=512;\n", "is cut off"),
        (b"###CBF nothing", "no binary section"),
        (b"\x93NUMPY nothing", "no usable npy file"),
        (b"\x93NUMPY\x01\x00\x06\x00{'a': ", "no usable npy file"),
    ],
)
def test_bad_input(tmp_path, content, message):
    path = tmp_path / "a"
    if content is not None:
        path.write_bytes(content)
    status, out, err = tool("info", path)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1
