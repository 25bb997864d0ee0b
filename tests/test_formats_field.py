"""Images as people have them: read right, pixel by pixel, or refused in one sentence."""

import importlib
import json

import fabio
import h5py
import numpy as np
import pytest
from field_files import DRAW, SHARED, pixels_of, refused
from images import geometry, render, tool

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.formats import cbf
from nanobragg_py.files.image import read_image
from nanobragg_py.inspect.describe import image_geometry

KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "f4")


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
def test_steps_of_all_sizes(mean):
    """Long steps, with bytes in them that look like marks."""
    pixels = DRAW.poisson(mean, 400_000) * DRAW.choice([1, -1, 128, -32768], 400_000)
    assert np.array_equal(cbf.uncompress(cbf.compress(pixels), len(pixels)), pixels)


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


# ---- inputs that were found elsewhere ------------------------------------------------------------------------------


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
