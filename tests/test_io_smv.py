"""SMV images: the header's odd rules, and files that are none."""

import random
import struct
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.smv import write_smv
from nanobragg_py.files.smv_read import NotSMVError, header_value, read_smv
from nanobragg_py.kernels.memory.buffers import Buffer

INPUTS = Path(__file__).parent.parent / "golden" / "inputs"


def header(lines, size=512):
    text = "".join(f"{line};\n" for line in [f"HEADER_BYTES={size}", *lines])
    return b"{\n" + text.encode() + b"}\f".ljust(size - len(text) - 2)


@pytest.fixture
def smv(tmp_path):
    def read(data, **options):
        path = tmp_path / "mask.img"
        path.write_bytes(data)
        return read_smv(path, **options)

    return read


def test_golden_mask():
    image = read_smv(INPUTS / "mask.img")
    assert (image.width, image.height, image.header_value("PIXEL_SIZE")) == (80, 64, 0.9)
    raw = (INPUTS / "mask.img").read_bytes()[512:]
    np.testing.assert_array_equal(np.asarray(image.data), np.frombuffer(raw, np.uint16).reshape(64, 80))
    assert image.header_value("NOPE") is None


def test_long_header():
    path = INPUTS / "mask1024.img"
    image = read_smv(path)
    assert (image.width, image.height, len(image.header)) == (56, 48, 1024)
    assert bytes(image.data) == path.read_bytes()[1024 : 1024 + 2 * 56 * 48]
    # the key's letters are looked for, wherever they are: CLOSE_DISTANCE has DISTANCE in it, XDS_ORGX has ORGX
    assert image.header_value("DISTANCE") == image.header_value("CLOSE_DISTANCE") == 118.0
    assert image.header_value("ORGX") == 30.5


@pytest.mark.parametrize(
    "text, key, value",
    [
        ("PHI=1;\nPHI=2;\n", "PHI", 2.0),
        ("DISTANCE=100;\nCLOSE_DISTANCE=90;\n", "DISTANCE", 90.0),
        ("CLOSE_DISTANCE=90;\nDISTANCE=100;\n", "DISTANCE", 100.0),
        ("PHI  =  -3.5e1deg;\n", "PHI", -35.0),
        ("PHI=;\nOSC=5", "PHI", 0.0),
        ("PHI=\n 7;", "PHI", 7.0),
        ("PHI;\nOSC=5", "PHI", 5.0),
        ("PHI", "PHI", 0.0),
        ("PHI=abc", "PHI", 0.0),
        ("PHI=0x10", "PHI", 16.0),
        ("PHI=1\0PHI=2", "PHI", 1.0),
        ("OSC=1", "PHI", None),
        ("", "PHI", None),
    ],
)
def test_header_values(text, key, value):
    assert header_value(text.encode(), key) == value


def test_sizes_from_detector_dimensions(smv):
    pixels = np.arange(9, dtype=np.uint16)
    image = smv(header(["SIZE1=0", "DETECTOR_DIMENSIONS=3"]) + pixels.tobytes())
    assert (image.width, image.height) == (3, 3)
    assert np.asarray(image.data).ravel().tolist() == list(range(9))


def test_byte_order_is_not_acted_on(smv):
    image = smv(header(["BYTE_ORDER=big_endian", "SIZE1=1", "SIZE2=1"]) + struct.pack("=H", 513))
    assert memoryview(image.data)[0, 0] == 513


def test_header_of_odd_length_has_pixels_from_the_byte_before(smv):
    image = smv(header(["SIZE1=2", "SIZE2=1"], 513)[:-1] + struct.pack("=HHH", 1, 2, 3))
    assert np.asarray(image.data).tolist() == [[1, 2]]


def test_short_header_hides_what_lies_behind_it(smv):
    text = header(["SIZE1=2", "SIZE2=1"], 64)
    image = smv(text + struct.pack("=HH", 1, 2) + b"PHI=3;".ljust(512))
    assert image.header_value("PHI") is None
    assert np.asarray(image.data).tolist() == [[1, 2]]


def test_header_is_enough_when_only_it_is_asked_for(smv):
    image = smv(header(["SIZE1=2000", "SIZE2=1000"]), header_only=True)
    assert (image.width, image.height, image.data) == (2000, 1000, None)


def test_missing_file_and_other_formats_can_be_ignored(tmp_path, smv):
    with pytest.raises(NotSMVError, match=r"cannot read .*absent\.img: no such file"):
        read_smv(tmp_path / "absent.img")
    with pytest.raises(NotSMVError, match=r"mask\.img is no SMV image"):
        smv(b"II*\0".ljust(5000))


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is cut off: its header needs 512 bytes more"),
        (b"{\nHEADER_BYTES=512;\n}\f", "is cut off: its header needs"),
        (header(["SIZE1=2", "SIZE2=2"], 1024)[:1000], "is cut off: its header needs 24 bytes more"),
        (header(["SIZE1=2", "SIZE2=2"]) + b"1234567", "is cut off: 2 x 2 pixels take 8 bytes .* it has 7"),
        (header(["SIZE1=100000", "SIZE2=100000"]), "is cut off"),
        (header(["SIZE2=2"]), "no usable SIZE1"),
        (header(["SIZE1=0"]), "no usable DETECTOR_DIMENSIONS"),
        (header(["SIZE1=4"]), "has 4 x 0 pixels by its header"),
        (header(["SIZE1=-4", "SIZE2=-4"]), "has -4 x -4 pixels by its header"),
        (header(["SIZE1=1e99", "SIZE2=4"]), "no usable SIZE1"),
        (header(["SIZE1=nan", "SIZE2=4"]), "no usable SIZE1"),
        (b"{\nHEADER_BYTES=0;\n".ljust(600), "HEADER_BYTES=0"),
        (b"{\nHEADER_BYTES=-512;\n".ljust(600), "HEADER_BYTES=-512"),
        (b"{\nHEADER_BYT=512;\n".ljust(600), "no usable HEADER_BYTES"),
    ],
)
def test_bad_images_are_errors(smv, data, message):
    with pytest.raises(NanoBraggError, match=message) as caught:
        smv(data)
    assert not isinstance(caught.value, NotSMVError)


def test_directory_is_an_error(tmp_path):
    with pytest.raises(NanoBraggError, match="it is a directory"):
        read_smv(tmp_path)


def test_written_images_read_back(tmp_path):
    pixels = Buffer((3, 4), "H")
    np.asarray(pixels)[...] = np.arange(12).reshape(3, 4) * 5000
    path = tmp_path / "image.img"
    write_smv(path, header(["SIZE1=4", "SIZE2=3", "PHI=1.5"]), pixels)
    image = read_smv(path)
    assert bytes(image.data) == bytes(pixels)
    assert image.header_value("PHI") == 1.5
    assert path.stat().st_size == 512 + 24


def test_random_bytes_never_crash(smv):
    draw = random.Random(1)
    good = header(["SIZE1=3", "SIZE2=2", "PHI=3"]) + bytes(12)
    for _ in range(500):
        data = bytearray(good)
        for _ in range(draw.randint(1, 6)):
            data[draw.randrange(12, 60)] = draw.choice(b"0123456789=;-e. \n\0S")
        try:
            image = smv(bytes(data[: draw.choice((len(data), draw.randrange(len(data))))]))
        except NanoBraggError:
            continue
        assert image.data.shape == (image.height, image.width)
