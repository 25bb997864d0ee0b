"""SMV files as people have them: types, byte orders, layouts of headers, beam centres."""

import fabio
import numpy as np
import pytest
from field_files import DRAW, SHARED, pixels_of, refused
from images import FLAGS, render, tool

from nanobragg_py.files.image import read_image
from nanobragg_py.inspect.describe import image_geometry

# ---- SMV -----------------------------------------------------------------------------------------------------------

GEOMETRY = ["PIXEL_SIZE=0.1", "DISTANCE=100", "WAVELENGTH=1", "BEAM_CENTER_X=1", "BEAM_CENTER_Y=1.5"]


def smv(path, pixels, *lines, size=512, start="{\nHEADER_BYTES=%5d;\n", end="\n", order="<", tail=b""):
    text = "".join(f"{line};{end}" for line in [f"SIZE1={pixels.shape[1]}", f"SIZE2={pixels.shape[0]}", *lines])
    header = (start % size).encode() + text.encode() + b"}\f"
    assert len(header) <= size
    path.write_bytes(header.ljust(size) + pixels.astype(pixels.dtype.newbyteorder(order)).tobytes() + tail)
    return path


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("TYPE=unsigned_short", "u2"),
        ("TYPE=unsigned short int", "u2"),
        ("TYPE=signed_short", "i2"),
        ("TYPE=unsigned_long", "u4"),
        ("TYPE=signed_long", "i4"),
        ("TYPE=long_int", "i4"),
        ("TYPE=UNSIGNED_LONG", "u4"),
        ("TYPE=unsigned_char", "u1"),
        ("TYPE=float", "f4"),
        ("TYPE=mad", "u2"),
        ("Data_type=unsigned short int", "u2"),
        ("Data_type=short int", "i2"),
        ("Data_type=long int", "i4"),
        ("Data_type=unsigned long int", "u4"),
        ("Data_type=float IEEE", "f4"),
        ("Data_type=signed char", "i1"),
    ],
)
def test_every_type(tmp_path, key, kind, order):
    pixels = pixels_of(kind)
    path = smv(tmp_path / "a.img", pixels, "DIM=2", f"BYTE_ORDER={order}_endian", key, order="<>"[order == "big"])
    image = read_image(path)
    assert np.array_equal(image.pixels, pixels) and image.pixels.dtype == pixels.dtype
    if key.startswith("Data_type"):
        assert np.array_equal(fabio.dtrekimage.DtrekImage().read(str(path)).data, pixels)
    # and written by us, it says what it then is
    assert (
        tool("convert", path, "--out", tmp_path / "b.img", "--", *FLAGS, "-detpixels_f", 30, "-detpixels_s", 20)[0] == 0
    )
    assert np.array_equal(read_image(tmp_path / "b.img").pixels, np.floor(pixels + 0.5).clip(0, 65535))


def test_types_that_are_not_known(tmp_path):
    path = smv(tmp_path / "a.img", pixels_of("u4"), "TYPE=complex_double")
    assert "has pixels of the type complex_double, which is not known here" in refused("info", path)
    path = smv(tmp_path / "a.img", pixels_of("u2"), "TYPE=mad")
    assert "TYPE=mad, and as many bytes as unsigned 16-bit pixels" in read_image(path).remarks[0]
    path = smv(tmp_path / "a.img", pixels_of("u2"), "COMPRESSION=PCK")
    assert "COMPRESSION=pck" in refused("info", path)
    path = smv(tmp_path / "a.img", pixels_of("u2"), "COMPRESSION=None", "TYPE=unsigned_short")
    assert read_image(path).shape == (20, 30)


@pytest.mark.parametrize(
    "layout",
    [
        {"size": 1024},
        {"size": 5120},
        {"start": "{\nHEADER_BYTES=  %d ;\n"},
        {"start": "{\r\nHEADER_BYTES=%d;\r\n", "end": "\r\n"},
        {"start": "{\nheader_bytes=%d;\n", "lower": True},
        {"start": " {\n HEADER_BYTES = %d;\n"},
        {"start": "{\nCOMMENT=of a file whose first key is another;\nHEADER_BYTES=%d;\n"},
    ],
    ids=["1024", "5120", "blanks", "crlf", "lower case", "blanks in front", "other first key"],
)
def test_layouts_of_headers(tmp_path, layout):
    pixels = pixels_of("i4")
    lines = ["DIM=2", "BYTE_ORDER=little_endian", "TYPE=signed_long", *GEOMETRY]
    lower = layout.pop("lower", False)
    path = smv(tmp_path / "a.img", pixels, *lines, **layout)
    if lower:
        content = path.read_bytes()
        path.write_bytes(content[:512].lower() + content[512:])
    image = read_image(path)
    assert np.array_equal(image.pixels, pixels)
    found = image_geometry(image)
    assert found.distance == pytest.approx(0.1) and found.beam_centre == pytest.approx((0.00155, 0.00105))
    assert tool("convert", path, "--out", tmp_path / "b.img")[0] == 0
    again = read_image(tmp_path / "b.img")
    assert np.array_equal(again.pixels, pixels.clip(0, 65535)) and image_geometry(again) == found


def test_stacks(tmp_path):
    pixels = DRAW.poisson(9.0, (3, 20, 30)).astype(np.uint16)
    path = smv(tmp_path / "a.img", pixels[0], "DIM=3", "SIZE3=3", tail=pixels[1:].tobytes())
    assert read_image(path).count == 3 and np.array_equal(read_image(f"{path}#2").pixels, pixels[2])
    np.save(tmp_path / "a.npy", pixels)
    assert np.array_equal(read_image(tmp_path / "a.npy#1").pixels, pixels[1])
    np.save(tmp_path / "f.npy", np.asfortranarray(pixels))
    assert np.array_equal(read_image(tmp_path / "f.npy#1").pixels, pixels[1])
    assert tool("convert", path, "--out", tmp_path / "b.npy")[0] == 0
    assert np.array_equal(np.load(tmp_path / "b_00003.npy"), pixels[2])


def test_pixels_that_are_missing_or_too_many(tmp_path):
    pixels = pixels_of("u2")
    path = smv(tmp_path / "a.img", pixels, tail=b"more")
    status, _, said = tool("info", path)
    assert status == 0 and "has 4 bytes behind its pixels, which are ignored" in said
    path.write_bytes(path.read_bytes()[:-5])
    assert "is cut off: 30 x 20 pixels of 2 bytes take 1200 bytes after the header, and it has 1199" in refused(
        "info", path
    )


@pytest.mark.parametrize("order", ["motorola", "ieee", "3412", "unknown"])
def test_an_order_of_bytes_that_is_none(tmp_path, order):
    """Read in a wrong order, counts are numbers like others."""
    path = smv(tmp_path / "a.img", pixels_of("u4"), f"BYTE_ORDER={order}", "TYPE=unsigned_long")
    assert f"has BYTE_ORDER={order} in its header; correct it to little_endian or big_endian" in refused("info", path)
    bytes_ = pixels_of("u1")
    path = smv(tmp_path / "b.img", bytes_, f"BYTE_ORDER={order}", "TYPE=unsigned_char")
    assert np.array_equal(read_image(path).pixels, bytes_)


def test_counts_of_image_plates(tmp_path):
    pixels = pixels_of("u2").clip(0, 32767)
    lines = ("Data_type=unsigned short int", "RAXIS_COMPRESSION_RATIO=8")
    assert np.array_equal(read_image(smv(tmp_path / "a.img", pixels, *lines)).pixels, pixels)
    pixels[2, 2] = 40000
    assert "squeezed by RAXIS_COMPRESSION_RATIO=8" in refused("info", smv(tmp_path / "a.img", pixels, *lines))


@pytest.mark.parametrize(("centre", "odd"), [(1, False), (31, True), (-1, True)])
def test_a_beam_centre_off_the_detector(tmp_path, centre, odd):
    path = smv(
        tmp_path / "a.img", pixels_of("u2", (64, 64)), *GEOMETRY[:3], f"BEAM_CENTER_X={centre}", "BEAM_CENTER_Y=2"
    )
    status, _, said = tool("info", path)
    assert status == 0 and ("lies off the detector of 6.4 x 6.4 mm" in said) == odd
    assert ("may give it in pixels" in said) == (centre == 31)


@pytest.mark.parametrize(
    "key", ["PIXEL_SIZE=0", "WAVELENGTH=0", "WAVELENGTH=-1", "DISTANCE=0", "PIXEL_SIZE=1e999", "DISTANCE=nan"]
)
def test_geometry_that_cannot_be(tmp_path, key):
    path = smv(tmp_path / "a.img", pixels_of("u2"), *GEOMETRY, key)
    status, out, _ = tool("info", path)
    assert status == 0 and f"has {key}" in out
    assert f"has {key}" in refused("convert", path, "--out", tmp_path / "a.cbf")
    assert tool("convert", path, "--out", tmp_path / "a.png")[0] == 0


# ---- inputs that were found elsewhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["F1-unsigned_long", "F4-signed_long"])
def test_field_types(case):
    folder = SHARED / "field" / case
    if not folder.exists():
        pytest.skip(f"{folder} is not here")
    image = read_image(next(folder.glob("*.img")))
    assert (int(image.pixels.sum()), int(image.pixels.max())) == (2002560, 999)


def test_byte_order_marks(tmp_path):
    mark = b"\xef\xbb\xbf"
    cell = ["--cell", 40, 50, 60, 90, 90, 90, "--missets", 10, 20, 30]
    for form in ("mat", "mosflm", "dials", "xds"):
        path = tmp_path / f"A.{form}"
        assert tool("matrix", *cell, "--to", form, "--out", path, "--", *FLAGS)[0] == 0
        expected = tool("matrix", path, "--", *FLAGS)
        path.write_bytes(mark + path.read_bytes())
        assert tool("matrix", path, "--", *FLAGS) == expected and expected[0] == 0
    (tmp_path / "sources.txt").write_bytes(mark + b"-10 0 0 1 1e-10\n")
    said = refused("info", render(tmp_path), "--", *FLAGS, "-sourcefile", tmp_path / "sources.txt")
    assert "sources.txt begins with a byte order mark; save it as UTF-8 without one" in said
