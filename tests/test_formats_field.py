"""Images as people have them: read right, pixel by pixel, or refused in one sentence."""

import importlib
import json
import os
import resource
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import fabio
import h5py
import numpy as np
import pytest
from images import FLAGS, geometry, render, tool

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.formats import cbf
from nanobragg_py.files.image import read_image
from nanobragg_py.inspect.describe import image_geometry

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "f4")
DRAW = np.random.default_rng(5)


def pixels_of(kind, shape=(20, 30)):
    """Counts with the least and the largest number of the type among them."""
    pixels = DRAW.poisson(50.0, shape).astype(kind)
    if pixels.dtype.kind in "iu":
        pixels[1, 1], pixels[3, 2] = np.iinfo(kind).min, np.iinfo(kind).max
    else:
        pixels += np.float32(0.25)
    return pixels


def refused(*words, folder=None):
    """What a tool says that ends in one sentence with status 2."""
    status, out, said = tool(*words, folder=folder)
    assert (status, out) == (2, "") and said.count("\n") == 1, said
    return said


# ---- what fabio writes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "writer", ["dtrek.Dtrek", "tif.Tif", "marccd.Marccd", "pilatus.Pilatus", "eiger.Eiger", "lima.Lima", "cbf.Cbf"]
)
def test_files_of_fabio(tmp_path, writer, kind):
    """Every pixel as fabio reads it, whatever the type."""
    module, name = writer.split(".")
    pixels = pixels_of(kind)
    path = tmp_path / f"{module}.{'cbf' if module == 'cbf' else 'img'}"
    getattr(importlib.import_module(f"fabio.{module}image"), f"{name}Image")(data=pixels).write(str(path))
    with fabio.open(str(path)) as image:
        expected = image.data
    found = read_image(path)
    assert np.array_equal(found.pixels, expected) and found.remarks == ()
    assert module == "cbf" or (np.array_equal(found.pixels, pixels) and found.pixels.dtype == pixels.dtype)


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


# ---- Pilatus, Eiger, imgCIF ----------------------------------------------------------------------------------------

PILATUS = """# Detector: PILATUS 6M, S/N 60-0101
# 2011-Apr-09T11:32:28.510
# Pixel_size 172e-6 m x 172e-6 m
# Silicon sensor, thickness 0.000320 m
# Exposure_time 0.097000 s
# Exposure_period 0.100000 s
# Tau = 198.3e-09 s
# Count_cutoff 1048500 counts
# Threshold_setting 6329 eV
# Wavelength 0.97950 A
# Energy_range (0, 0) eV
# Detector_distance 0.26500 m
# Detector_Voffset 0.00000 m
# Beam_xy (15.10, 9.45) pixels
# Flux 0.0000
# Filter_transmission 1.0000
# Start_angle 45.1000 deg.
# Angle_increment 0.1000 deg.
# Detector_2theta 0.0000 deg.
# Polarization 0.990
# Oscillation_axis X.CW
# N_oscillations 1
"""


def pilatus_cbf(path, pixels, text=PILATUS):
    image = fabio.cbfimage.CbfImage(data=pixels)
    image.header["_array_data.header_convention"] = '"PILATUS_1.2"'
    image.header["_array_data.header_contents"] = text.replace("\n", "\r\n")
    image.write(str(path))


def check_pilatus(path, pixels):
    image = read_image(path)
    found = image_geometry(image)
    assert np.array_equal(image.pixels, pixels) and image.saturated == 1048500
    assert (found.wavelength, found.pixel_size, found.distance) == pytest.approx((0.9795e-10, 172e-6, 0.265))
    assert found.beam_centre == pytest.approx((15.1 * 172e-6, 9.45 * 172e-6))
    assert (found.thickness, found.exposure) == (0.00032, 0.097)
    assert np.degrees([found.phi0, found.osc]) == pytest.approx([45.1, 0.1])
    assert dict(image.items)["Detector"] == "PILATUS 6M, S/N 60-0101"


def test_pilatus(tmp_path):
    pixels = pixels_of("i4").clip(-2, 2**20)
    pilatus_cbf(tmp_path / "a_00001.cbf", pixels)
    check_pilatus(tmp_path / "a_00001.cbf", pixels)
    from PIL import Image

    Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo={270: PILATUS})
    check_pilatus(tmp_path / "a.tif", pixels)
    assert tool("convert", tmp_path / "a.tif", "--out", tmp_path / "b.cbf") == (0, "", "")
    assert np.array_equal(fabio.open(str(tmp_path / "b.cbf")).data, pixels)
    assert image_geometry(read_image(tmp_path / "b.cbf")).beam_centre == pytest.approx((15.1 * 172e-6, 9.45 * 172e-6))


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        ("Wavelength 0.97950", "Wavelength 0", "no sensible pixel size, wavelength and distance"),
        ("Wavelength 0.97950 A", "Wavelength", "says too little of beam and detector"),
        ("Detector_2theta 0.0000", "Detector_2theta 20", "nothing says about which axis"),
        ("172e-6 m x 172e-6", "172e-6 m x 100e-6", "has pixels of 0.000172 x 0.0001 m"),
        ("Beam_xy (15.10, 9.45)", "Beam_xy (nan, 9.45)", "says too little"),
        ("Beam_xy (15.10, 9.45)", "Beam_xy (1e300, 9.45)", "cannot be"),
        ("Pixel_size 172e-6 m", "Pixel_size -172e-6 m", "no sensible pixel size"),
        ("Detector_distance 0.26500", "Detector_distance 1e-400", "no sensible pixel size"),
    ],
)
def test_pilatus_headers_that_cannot_be(tmp_path, line, change, message):
    pilatus_cbf(tmp_path / "a_1.cbf", pixels_of("i4"), PILATUS.replace(line, change))
    status, out, _ = tool("info", tmp_path / "a_1.cbf")
    assert status == 0 and "No geometry: " in out and message in out
    assert message in refused("convert", tmp_path / "a_1.cbf", "--out", tmp_path / "b.h5")


def eiger(folder, per_file=2, files=2):
    """A master file as Eigers write it, and its data files; returns the pixels."""
    pixels = DRAW.poisson(9.0, (per_file * files, 20, 30)).astype(np.uint32)
    with h5py.File(folder / "x_master.h5", "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = np.bytes_("NXentry")
        data = entry.create_group("data")
        for number in range(files):
            name = f"x_data_{number + 1:06d}.h5"
            with h5py.File(folder / name, "w") as other:
                part = pixels[number * per_file : (number + 1) * per_file]
                other.create_dataset("entry/data/data", data=part, chunks=(1, 20, 30), compression="gzip")
            data[f"data_{number + 1:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
        beam = entry.create_group("instrument/beam")
        beam["incident_wavelength"] = np.float32(0.9795)
        beam["incident_wavelength"].attrs["units"] = np.bytes_("angstrom")
        detector = entry.create_group("instrument/detector")
        for name, value, unit in (
            ("detector_distance", 0.2, "m"),
            ("beam_center_x", 15.5, "pixel"),
            ("beam_center_y", 9.25, "pixel"),
            ("x_pixel_size", 75e-6, "m"),
            ("y_pixel_size", 75e-6, "m"),
            ("sensor_thickness", 450e-6, "m"),
            ("count_time", 0.1, "s"),
        ):
            detector[name] = value
            detector[name].attrs["units"] = np.bytes_(unit)
        detector["description"] = np.bytes_("Dectris EIGER 16M")
        entry["sample/goniometer/omega"] = 10.0 + 0.25 * np.arange(per_file * files)
    return pixels


def test_eiger(tmp_path):
    pixels = eiger(tmp_path)
    for number in range(4):
        image = read_image(tmp_path / f"x_master.h5#{number}")
        assert image.count == 4 and np.array_equal(image.pixels, pixels[number])
        found = image_geometry(image)
        assert np.degrees([found.phi0, found.osc]) == pytest.approx([10 + 0.25 * number, 0.25])
    assert (found.wavelength, found.distance, found.thickness) == pytest.approx((0.9795e-10, 0.2, 450e-6))
    assert found.beam_centre == pytest.approx((15.5 * 75e-6, 9.25 * 75e-6))
    assert dict(image.items)["instrument/detector/description"] == "Dectris EIGER 16M"
    assert tool("convert", tmp_path / "x_master.h5", "--out", tmp_path / "s.cbf") == (0, "", "")
    assert np.array_equal(fabio.open(str(tmp_path / "s_00004.cbf")).data, pixels[3])
    (tmp_path / "x_data_000002.h5").unlink()
    assert read_image(tmp_path / "x_master.h5").count == 2
    (tmp_path / "x_data_000001.h5").unlink()
    assert "keeps its images in x_data_000001.h5, which is not there" in refused("info", tmp_path / "x_master.h5")


@pytest.mark.parametrize("links", ["soft", "virtual", "bslz4"])
def test_ways_to_keep_images_in_hdf5(tmp_path, links):
    import hdf5plugin

    pixels = DRAW.poisson(9.0, (3, 20, 30)).astype(np.uint16)
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file["d"] = pixels
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("run").attrs["NX_class"] = "NXentry"
        if links == "soft":
            file["somewhere"] = pixels
            file["run/data/data"] = h5py.SoftLink("/somewhere")
        elif links == "virtual":
            layout = h5py.VirtualLayout(pixels.shape, pixels.dtype)
            layout[:] = h5py.VirtualSource("part.h5", "d", pixels.shape)
            file.create_virtual_dataset("run/data/data", layout)
        else:
            file.create_dataset("run/data/data", data=pixels, chunks=(1, 20, 30), **hdf5plugin.Bitshuffle())
    assert np.array_equal(read_image(tmp_path / "a.h5#2").pixels, pixels[2])


def test_hdf5_that_holds_no_images(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["words"] = "none"
    assert "is an HDF5 file without images" in refused("info", tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["one"], file["two"] = np.zeros((3, 4)), np.zeros((3, 4))
    assert "several data sets that may be images: /one, /two" in refused("info", tmp_path / "a.h5")


def imgcif(path, twotheta):
    """An image of ours whose detector hangs on an arm that turns, as beamlines describe it."""
    described = geometry("-detector_rotx", "1")
    cbf.write_cbf(path, pixels_of("i4", (70, 90)), described)
    text = path.read_bytes()
    arm = "ARM rotation detector . -1 0 0 0 0 0\r\nDETECTOR_X translation detector ARM"
    text = text.replace(b"DETECTOR_X translation detector .", arm.encode(), 1)
    frame = b"_diffrn_scan_frame_axis.displacement\r\n"
    path.write_bytes(text.replace(frame, frame + f"frame ARM {twotheta} 0.0\r\n".encode(), 1))
    return described


@pytest.mark.parametrize("twotheta", [0.0, 20.0])
def test_axes_of_imgcif(tmp_path, twotheta):
    path = tmp_path / "a_1.cbf"
    described = imgcif(path, twotheta)
    found = image_geometry(read_image(path))
    angle = np.radians(twotheta)
    arm = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]])
    for name in ("origin", "fast", "slow"):
        expected = arm @ described.frame("imgcif") @ np.asarray(getattr(described, name))
        assert found.frame("imgcif") @ np.asarray(getattr(found, name)) == pytest.approx(expected, abs=1e-9)
    path.write_bytes(path.read_bytes().replace(b"detector ARM", b"detector LEG"))
    status, out, _ = tool("info", path)
    assert status == 0 and "its axis LEG is not described" in out


@pytest.mark.parametrize("mean", [10, 1000, 1e5, 1e9])
def test_steps_of_all_sizes_are_quick_to_read(mean):
    """Long steps, with bytes in them that look like marks; once a minute for so many."""
    pixels = DRAW.poisson(mean, 400_000) * DRAW.choice([1, -1, 128, -32768], 400_000)
    packed = cbf.compress(pixels)
    begin = time.perf_counter()
    assert np.array_equal(cbf.uncompress(packed, len(pixels)), pixels)
    assert time.perf_counter() - begin < 5.0


def test_cbf_without_compression_and_with_damage(tmp_path):
    path = tmp_path / "a_1.cbf"
    pixels = pixels_of("i4")
    pilatus_cbf(path, pixels)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[content.index(cbf.BINARY_START) + 50] ^= 1
    path.write_bytes(flipped)
    assert "is damaged: its pixels do not have the checksum" in read_image(path).remarks[0]
    header, _, _ = content.partition(cbf.BINARY_START)
    for kind, name in (
        ("<i4", "signed 32-bit integer"),
        ("<u2", "unsigned 16-bit integer"),
        ("<f4", "signed 32-bit real IEEE"),
    ):
        plain = header.replace(b'conversions="x-CBF_BYTE_OFFSET"', b"").replace(b"signed 32-bit integer", name.encode())
        plain = b"\n".join(line for line in plain.split(b"\n") if b"MD5" not in line and b"Size:" not in line)
        path.write_bytes(plain + cbf.BINARY_START + pixels.astype(kind).tobytes())
        assert np.array_equal(read_image(path).pixels, pixels.astype(kind))


# ---- what promises too much, and what is none ----------------------------------------------------------------------


def huge_hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (10**6, 10**6, 10**6), "u2", chunks=(1, 100, 100), compression="gzip")


def huge_chunk(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (10**6, 100, 100), "u2", chunks=(200000, 100, 100), compression="gzip")


def png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def tiff(width, height):
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 16),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (279, 4, 64),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags)) + entries + bytes(68)


def cbf_promise(fast, slow):
    sizes = f"X-Binary-Size-Fastest-Dimension: {fast}\nX-Binary-Size-Second-Dimension: {slow}\n"
    return f"###CBF\nx-CBF_BYTE_OFFSET\n{sizes}".encode() + cbf.BINARY_START + bytes(50)


def npy_promise(*shape):
    text = f"{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(64)


PROMISES = {
    "smv": b"{\nHEADER_BYTES=512;\nSIZE1=1000000;\nSIZE2=1000000;\n}".ljust(2000),
    "smv-types": b"{\nHEADER_BYTES=512;\nSIZE1=30000;\nSIZE2=30000;\nTYPE=float;\n}".ljust(2000),
    "smv-stack": b"{\nHEADER_BYTES=512;\nDIM=3;\nSIZE1=3;\nSIZE2=3;\nSIZE3=2000000000;\n}".ljust(2000),
    "smv-header": b"{\nHEADER_BYTES=99999999999;\nSIZE1=3;\nSIZE2=3;\n}".ljust(2000),
    "smv-endless": b"{\nHEADER_BYTES=" + b"9" * 5000 + b";\nSIZE1=3;\nSIZE2=3;\n}",
    "cbf": cbf_promise(10**6, 10**6),
    "cbf-large": cbf_promise(30000, 30000),
    "cbf-endless": cbf_promise("9" * 5000, 3),
    "npy": npy_promise(10**6, 10**6),
    "npy-large": npy_promise(30000, 30000),
    "npy-stack": npy_promise(10**12, 3, 3),
    "npy-negative": npy_promise(-3, 3),
    "pgm": b"P5\n1000000 1000000\n255\n".ljust(2000),
    "pgm-large": b"P5\n30000 30000\n65535\n".ljust(2000),
    "png": png(2**31 - 1, 2**31 - 1),
    "png-large": png(60000, 15000),
    "tiff": tiff(10**6, 10**6),
    "tiff-large": tiff(30000, 30000),
    "hdf5": huge_hdf5,
    "hdf5-chunk": huge_chunk,
}


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))


@pytest.mark.parametrize("name", PROMISES)
def test_promises_take_neither_time_nor_memory(tmp_path, name):
    """A header that speaks of 10^12 pixels, or of 10^9 that are not there: refused with 2 GiB of address space."""
    path = tmp_path / f"a.{name.partition('-')[0]}"
    if callable(PROMISES[name]):
        PROMISES[name](path)
    else:
        path.write_bytes(PROMISES[name])
    words = "import sys; from nanobragg_py.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", words, "info", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        preexec_fn=limited,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"nanobragg-py info: {path}")


def test_a_million_images(tmp_path):
    huge_chunk(tmp_path / "a.h5")
    assert "has 1000000 images, of which 99999 are converted" in refused("convert", tmp_path / "a.h5", "--out", "b.npy")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{\nEDF_DataBlockID = 1 ;\n", "an EDF image"),
        (b"{\nHeaderID = EH:000001 ;\n", "an EDF image"),
        (b"R-AXIS4   ", "an R-AXIS image"),
        (struct.pack("<I", 1234), "a MAR345 image"),
        (b"FORMAT :100   ", "a Bruker image"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
    ],
)
def test_formats_that_are_not_read(tmp_path, content, what):
    path = tmp_path / "a.img"
    path.write_bytes(content.ljust(600))
    assert f"a.img is {what}, which is not read here; give one of CBF, bare floats" in refused("info", path)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.img")
    assert "it is a pipe or a device" in refused("info", tmp_path / "pipe.img")
    assert "it is a directory" in refused("info", tmp_path)
    assert "no such file" in refused("info", tmp_path / "none.img#3")
    assert "it is a pipe or a device" in refused("info", "/dev/zero")


def test_colours_and_channels(tmp_path):
    from PIL import Image

    for name in ("a.png", "a.tif"):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / name)
    assert "is a picture in colours" in refused("info", tmp_path / "a.png")
    assert "has 3 channels of 8 bits" in refused("info", tmp_path / "a.tif")


# ---- inputs that were found elsewhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["F1-unsigned_long", "F4-signed_long"])
def test_field_types(case):
    folder = SHARED / "field" / case
    if not folder.exists():
        pytest.skip(f"{folder} is not here")
    image = read_image(next(folder.glob("*.img")))
    assert (int(image.pixels.sum()), int(image.pixels.max())) == (2002560, 999)


def test_damaged_images_end_in_a_sentence(tmp_path):
    """Every format, bytes changed and cut: an image or a NanoBraggError, nothing else."""
    image = render(tmp_path)
    draw = np.random.default_rng(11)
    files = [image]
    for name in ("a_1.cbf", "a.h5", "a.npy", "a.tif", "a.png", "a.pgm"):
        assert tool("convert", image, "--out", tmp_path / name)[0] == 0
        files.append(tmp_path / name)
    full = tmp_path / "full_1.cbf"
    cbf.write_cbf(full, pixels_of("i4", (70, 90)), geometry("-twotheta", "9"))
    eiger(tmp_path)
    refusals = 0
    for path in [*files, full, tmp_path / "x_master.h5"]:
        good = path.read_bytes()
        broken = tmp_path / f"broken{path.suffix}"
        for _ in range(60):
            data = bytearray(good[: draw.choice([len(good), draw.integers(len(good))])])
            for place in draw.integers(0, max(1, min(len(data), 3000)), draw.integers(1, 8)):
                if place < len(data):
                    data[place] = draw.integers(256)
            broken.write_bytes(data)
            try:
                found = read_image(broken)
                image_geometry(found)
                assert found.pixels.shape == found.shape
            except NanoBraggError:
                refusals += 1
    assert refusals > 100


CASES = sorted((SHARED / "cases").glob("smv-*")) + sorted((SHARED / "cases").glob("cbf-*"))
CASES += sorted((SHARED / "cases").glob("expt-*"))


@pytest.mark.parametrize("case", CASES or [None], ids=lambda case: case and case.name)
def test_inputs_that_broke_the_tools(case, tmp_path):
    """Once tracebacks; the kinds are above and in test_formats_orientation.py, and tests/fuzz/ makes more."""
    if case is None:
        pytest.skip(f"{SHARED / 'cases'} is not here")
    for path in case.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    words = json.loads((tmp_path / "ARGS.json").read_text())["argv"]
    status, _, said = tool(*words, folder=tmp_path)
    assert status in (0, 2) and "Traceback" not in said
    assert status == 0 or said.count("\n") == 1


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
