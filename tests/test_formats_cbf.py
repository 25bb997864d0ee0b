"""CBF images, read back by fabio and compared with its compression."""

import fabio
import numpy as np
import pytest
from fabio.compression import compByteOffset, decByteOffset
from images import CONVENTIONS, geometry

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.formats import cbf
from nanobragg_py.files.minicbf import is_plain

#: steps of every size, on both sides of every limit
EDGES = [0, 127, -1, -128, 128, 32767, -1, -32768, 0, 32768, 2**31 - 1, -(2**31), 2**31 - 1, 0, 1, 1]
STEPS = np.cumsum([0, 127, -127, 128, -128, 32767, -32767, 32768, -32768, 2**31 - 1, -(2**31 - 1)])


@pytest.mark.parametrize(
    "values",
    [
        EDGES,
        STEPS.tolist(),
        [5],
        np.random.default_rng(1).poisson(3.0, 5000),
        np.arange(3000) ** 2 * (-1) ** np.arange(3000),
    ],
    ids=["edges", "steps", "one", "noise", "large"],
)
def test_compression(values):
    values = np.asarray(values, np.int64)
    packed = cbf.compress(values)
    assert packed == bytes(compByteOffset(values))
    assert np.array_equal(cbf.uncompress(packed, len(values)), values)
    assert np.array_equal(decByteOffset(packed, len(values), np.int64), values)


def test_compression_that_is_cut_off():
    packed = cbf.compress(np.array(EDGES))
    for length in range(len(packed)):
        with pytest.raises(ValueError, match="pixels are there"):
            cbf.uncompress(packed[:length], len(EDGES))


@pytest.fixture
def pixels():
    return np.random.default_rng(2).poisson(20.0, (70, 90)).astype(np.int32) * 300 - 1


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("tilt", [(), ("-twotheta", "12")], ids=["flat", "tilted"])
def test_fabio_reads_it(tmp_path, pixels, convention, tilt):
    path = tmp_path / "image_00001.cbf"
    described = geometry(f"-{convention}", *tilt)
    cbf.write_cbf(path, pixels, described)
    assert np.array_equal(fabio.open(str(path)).data, pixels)
    shape, again, header = cbf.read_cbf(path)
    assert shape == (70, 90) and again.dtype == np.int32 and np.array_equal(again, pixels)
    assert ("_diffrn.id" in header) == (not is_plain(described))
    assert is_plain(described) == (not tilt and convention in ("mosflm", "denzo", "xds"))


def test_short_header(tmp_path, pixels):
    path = tmp_path / "image_00001.cbf"
    cbf.write_cbf(path, pixels, geometry("-detector_thick", "300", "-detector_abs", "500"), 65535)
    header = fabio.open(str(path)).header["_array_data.header_contents"]
    for line in (
        "# Wavelength 1.1 A",
        "# Detector_distance 0.08 m",
        "# Beam_xy (42.50000, 30.50000) pixels",
        "# Pixel_size 0.0005 m x 0.0005 m",
        "# Start_angle 30 deg.",
        "# Angle_increment 0.5 deg.",
        "# Count_cutoff 65535 counts",
        "# Silicon sensor, thickness 0.000300000 m",
    ):
        assert line in header


def test_reads_fabios_file(tmp_path, pixels):
    path = str(tmp_path / "fabio.cbf")
    fabio.cbfimage.CbfImage(data=pixels).write(path)
    assert np.array_equal(cbf.read_cbf(path)[1], pixels)


def test_large_values_stay(tmp_path):
    path = str(tmp_path / "large.cbf")
    pixels = np.array([[0, 2**40], [-(2**35), 7]])
    content = b"###CBF\nx-CBF_BYTE_OFFSET\nX-Binary-Size-Fastest-Dimension: 2\nX-Binary-Size-Second-Dimension: 2\n"
    with open(path, "wb") as file:
        file.write(content + cbf.BINARY_START + cbf.compress(pixels))
    assert np.array_equal(cbf.read_cbf(path)[1], pixels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[: data.index(cbf.BINARY_START)], "no binary section"),
        (lambda data: data[: data.index(cbf.BINARY_START) + 100], "is cut off: .* of 6300 pixels"),
        (lambda data: data.replace(b"x-CBF_BYTE_OFFSET", b"x-CBF_PACKED"), "without byte-offset"),
        (lambda data: data.replace(b"X-Binary-Size-Second", b"Second"), "does not say how many"),
    ],
)
def test_bad_files(tmp_path, pixels, change, message):
    path = tmp_path / "image_1.cbf"
    cbf.write_cbf(path, pixels, geometry())
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(NanoBraggError, match=message):
        cbf.read_cbf(path)


def test_curved_detectors_are_refused(tmp_path, pixels):
    with pytest.raises(NanoBraggError, match="curved"):
        cbf.write_cbf(tmp_path / "image.cbf", pixels, geometry("-curved_det", "1"))
    assert list(tmp_path.iterdir()) == []
