"""`nanobragg-py convert`, and its documentation."""

import fabio
import h5py
import numpy as np
import pytest
from images import FLAGS, render, sweep, tool
from transcripts import replay

from nanobragg_py.experiment.header_geometry import header_geometry
from nanobragg_py.files.formats.cbf import read_cbf
from nanobragg_py.files.image import read_image
from nanobragg_py.files.smv_read import read_smv

READ = {
    "a.img": lambda path: fabio.open(path).data,
    "a_1.cbf": lambda path: fabio.open(path).data,
    "a.h5": lambda path: h5py.File(path)["entry/data/data"][0],
    "a.tif": lambda path: fabio.open(path).data,
    "a.npy": np.load,
}


def floats(folder, *flags):
    render(folder, *flags)
    return np.fromfile(folder / "image.bin", np.float32).reshape(70, 90)


@pytest.mark.parametrize("name", READ)
def test_pixels_of_smv(tmp_path, name):
    image = render(tmp_path)
    said = "nanobragg-py convert: npy files have no room for beam, detector and rotation\n" if "npy" in name else ""
    assert tool("convert", image, "--out", tmp_path / name) == (0, "", said)
    pixels = READ[name](str(tmp_path / name))
    assert np.array_equal(pixels, read_image(image).pixels)
    assert pixels.dtype == (np.int32 if name.endswith("cbf") else np.uint16)


@pytest.mark.parametrize("name", READ)
def test_pixels_of_floats(tmp_path, name):
    expected = floats(tmp_path)
    words = ["convert", tmp_path / "image.bin", "--out", tmp_path / name]
    status, _, _ = tool(*words, "--", *FLAGS)
    assert status == 0
    pixels = READ[name](str(tmp_path / name))
    whole = name.endswith(("img", "cbf"))
    assert np.array_equal(
        pixels, np.floor(expected + 0.5).clip(0, 65535 if "img" in name else None) if whole else expected
    )


def test_header_of_another_image_serves(tmp_path):
    image = render(tmp_path)
    first, second = tmp_path / "first_1.cbf", tmp_path / "second_1.cbf"
    assert tool("convert", tmp_path / "image.bin", "--out", first, "--header", image)[0] == 0
    assert tool("convert", tmp_path / "image.bin", "--out", second, "--", *FLAGS)[0] == 0
    # an SMV header has no room for the beam's polarization
    polarization = b"# Polarization 0.5\r\n"
    assert second.read_bytes().count(polarization) == 1
    assert first.read_bytes() == second.read_bytes().replace(b"data_second", b"data_first").replace(polarization, b"")


def test_smv_from_floats_is_what_the_program_would_read(tmp_path):
    image = render(tmp_path)
    out = tmp_path / "out.img"
    assert tool("convert", tmp_path / "image.bin", "--out", out, "--offset", 40, "--header", image)[0] == 0
    assert out.read_bytes() == image.read_bytes()
    assert tool("convert", tmp_path / "image.bin", "--out", out, "--offset", 40, "--", *FLAGS)[0] == 0
    assert out.read_bytes() == image.read_bytes()


def test_scale_offset_and_what_is_said_of_clipping(tmp_path):
    expected = floats(tmp_path)
    status, _, said = tool(
        "convert", tmp_path / "image.bin", "--out", tmp_path / "a.img", "--scale", 1e6, "--offset", 5, "--", *FLAGS
    )
    wanted = np.floor(expected.astype(float) * 1e6 + 5.5)
    assert status == 0 and f"{(wanted > 65535).sum()} pixels" in said and "are clipped" in said
    assert np.array_equal(read_image(tmp_path / "a.img").pixels, wanted.clip(0, 65535))
    status, _, said = tool(
        "convert", tmp_path / "image.bin", "--out", tmp_path / "b.img", "--scale", 1e-9, "--", *FLAGS
    )
    assert status == 0 and "become 0; give a larger --scale" in said


def test_pixels_that_are_no_numbers(tmp_path):
    pixels = np.array([[1.0, np.nan], [np.inf, 3.4]], np.float32)
    np.save(tmp_path / "a.npy", pixels)
    status, _, said = tool("convert", tmp_path / "a.npy", "--integer", "--out", tmp_path / "a.tif")
    assert status == 0 and "2 pixels" in said and "are no numbers" in said
    assert np.array_equal(fabio.open(str(tmp_path / "a.tif")).data, [[1, 0], [0, 3]])


def test_integers_in_hdf5(tmp_path):
    expected = floats(tmp_path)
    words = ["convert", tmp_path / "image.bin", "--out", tmp_path / "a.h5", "--integer", "--scale", 3]
    assert tool(*words, "--", *FLAGS)[0] == 0
    pixels = h5py.File(tmp_path / "a.h5")["entry/data/data"][0]
    assert pixels.dtype == np.int32 and np.array_equal(pixels, np.floor(expected.astype(float) * 3 + 0.5))


def test_foreign_byte_order(tmp_path):
    image = render(tmp_path)
    content = image.read_bytes()
    turned = np.frombuffer(content[512:], np.uint16).byteswap().tobytes()
    swapped = tmp_path / "big.img"
    header = content[:512].replace(b"BYTE_ORDER=little_endian", b"BYTE_ORDER=big_endian")
    swapped.write_bytes(header.ljust(512) + turned)
    assert np.array_equal(read_image(swapped).pixels, read_image(image).pixels)
    assert tool("convert", swapped, "--out", tmp_path / "native.img")[0] == 0
    assert np.array_equal(read_image(tmp_path / "native.img").pixels, read_image(image).pixels)
    assert b"little_endian" in (tmp_path / "native.img").read_bytes()[:512]


def test_series(tmp_path):
    images = sweep(tmp_path)
    assert tool("convert", *images, "--out", tmp_path / "sweep.cbf", "--first", 7)[0] == 0
    assert tool("convert", *images, "--out", tmp_path / "s_##.img")[0] == 0
    for number in range(3):
        expected = read_image(images[number]).pixels
        _, pixels, header = read_cbf(tmp_path / f"sweep_0000{number + 7}.cbf")
        assert np.array_equal(pixels, expected) and f"# Start_angle {30 + 0.5 * number:g} deg." in header
        assert (tmp_path / f"s_0{number + 1}.img").read_bytes() == images[number].read_bytes()


def test_floats_of_a_series_turn_by_the_oscillation(tmp_path):
    images = sweep(tmp_path)
    bare = [path.with_suffix(".bin") for path in images]
    assert tool("convert", *bare, "--out", tmp_path / "s_#.img", "--offset", 40, "--", *FLAGS)[0] == 0
    for number, image in enumerate(images):
        assert (tmp_path / f"s_{number + 1}.img").read_bytes() == image.read_bytes()
    assert tool("convert", *bare, "--out", tmp_path / "s.h5", "--header", images[0])[0] == 0
    with h5py.File(tmp_path / "s.h5") as file:
        assert np.allclose(file["entry/sample/transformations/omega"], [30, 30.5, 31])


def test_png(tmp_path):
    from PIL import Image

    image = render(tmp_path)
    assert tool("convert", image, "--out", tmp_path / "a.png")[0] == 0
    picture = Image.open(tmp_path / "a.png")
    assert picture.size == (90, 70) and picture.mode == "L"
    pixels = read_image(image).pixels
    assert np.asarray(picture)[np.unravel_index(pixels.argmax(), pixels.shape)] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.img", "--out", "a_1.cbf"], "cannot read no.img: no such file"),
        (["image.img", "--out", "a.xyz"], "say what to write"),
        (["image.img", "image.img", "--to", "cbf"], "give --out NAME"),
        (["image.img", "--out", "image.img"], "image.img is one of the images to convert"),
        (["image.bin", "--out", "a_1.cbf"], "has no header, so it is taken for bare floats"),
        (["image.bin", "--shape", "90x70", "--out", "a_1.cbf"], "nothing is known of beam and detector"),
        (["image.bin", "--shape", "90x71", "--out", "a.npy"], "has 25200 bytes, and 90 x 71 floats take 25560"),
        (["image.bin", "--shape", "90", "--out", "a.npy"], "--shape does not take 90"),
        (["image.img", "--out", "none/a_1.cbf"], "cannot write none/a_1.cbf: its directory does not exist"),
        (["image.img", "--out", "none/a.h5"], "cannot write none/a.h5: its directory does not exist"),
        (["image.img", "--header", "image.img", "--out", "a_1.cbf", "--", "-lambda", "1"], "give one of them"),
        (["image.img", "--out", "a_1.cbf", "--", "-lambda", "1"], "90 x 70 pixels and its description 1024 x 1024"),
        (["image.img", "turned.img", "--out", "a.cbf"], "begins at phi 33 and not at 30.5 degrees"),
        (["image.img", "image.img", "--out", "a#.cbf", "--first", "9"], "do not fit into the 1 digits"),
        (["image.h5", "--out", "a_1.cbf"], "image.h5 is no usable HDF5 file"),
        (["short.img", "--out", "a_1.cbf"], "short.img is cut off"),
    ],
)
def test_bad_input(tmp_path, words, message):
    image = render(tmp_path)
    render(tmp_path, "-phi", "33", name="turned")
    (tmp_path / "image.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "short.img").write_bytes(image.read_bytes()[:5000])
    before = sorted(tmp_path.iterdir())
    status, out, err = tool("convert", *words, folder=tmp_path)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_geometry_survives(tmp_path):
    image = render(tmp_path, "-xds", "-twotheta", "9")
    assert tool("convert", image, "--out", tmp_path / "copy.img", "--scale", 2)[0] == 0
    assert header_geometry(read_smv(tmp_path / "copy.img", True)) == header_geometry(read_smv(image, True))


@pytest.mark.parametrize("document", ["docs/tools.md", "docs/formats.md"])
def test_documents(document, tmp_path):
    replay(document, tmp_path)
