"""Everything that we write we read: pixels, and beam, detector and rotation where the file has room for them."""

import bz2
import gzip
import json
import lzma
import sys

import h5py
import numpy as np
import pytest
from images import CONVENTIONS, FLAGS, geometry, render, sweep, tool

from nanobragg_py.files.image import read_image
from nanobragg_py.files.registry import Scene, image_formats, orientation_formats, written_formats
from nanobragg_py.inspect.describe import image_geometry

TILTS = {"flat": (), "twotheta": ("-twotheta", "12"), "turned": ("-detector_rotx", "5", "-detector_rotz", "3")}
COUNTS = [name for name, found in written_formats().items() if not found.picture and found.magic is not None]


def places(described):
    """All directions of a Geometry in one frame, and its numbers."""
    rotation = described.frame("imgcif")
    vectors = [rotation @ np.asarray(getattr(described, name)) for name in ("beam", "spindle", "fast", "slow")]
    origin = rotation @ np.asarray(described.origin) * 1000.0
    numbers = [described.wavelength * 1e10, described.phi0, described.osc, described.pixel_size * 1e3]
    return np.concatenate([*vectors, origin, numbers, [described.fpixels, described.spixels]])


def test_formats_are_what_they_should_be():
    assert list(image_formats()) == ["cbf", "float", "hdf5", "npy", "pgm", "png", "smv", "tiff", "zarr"]
    assert list(orientation_formats()) == ["dials", "mat", "mosflm", "xds"]


@pytest.mark.parametrize("name", written_formats())
def test_pixels(tmp_path, name):
    image = render(tmp_path)
    found = written_formats()[name]
    out = tmp_path / f"out_1{found.suffixes[0]}"
    assert tool("convert", image, "--to", name, "--out", out)[0] == 0
    expected = read_image(image).pixels
    back = read_image(out, (70, 90))
    assert (back.kind, back.shape, back.count) == (name, (70, 90), 1)
    if found.picture:
        assert back.pixels.dtype == np.uint8 and back.pixels.ravel()[expected.argmax()] == 0
        assert "is a picture" in back.remarks[0]
    else:
        assert np.array_equal(back.pixels, expected)
    header = read_image(out, (70, 90), header_only=True)
    assert header.pixels is None and header.shape == (70, 90)
    words = ["--", *FLAGS] if found.magic is None else []
    status, said, _ = tool("info", out, *words)
    assert status == 0 and f": {found.title}, 90 x 70 pixels" in said
    assert tool("view", out, "--out", tmp_path / "picture.png", *words)[0] == 0


@pytest.mark.parametrize("tilt", TILTS)
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", ["cbf", "hdf5", "smv", "tiff"])
def test_geometry(tmp_path, name, convention, tilt):
    flags = (f"-{convention}", *TILTS[tilt])
    known = geometry(*flags)
    render(tmp_path, *flags)
    out = tmp_path / f"out_1{written_formats()[name].suffixes[0]}"
    status, _, said = tool("convert", tmp_path / "image.bin", "--to", name, "--out", out, "--", *FLAGS, *flags)
    assert status == 0
    lost = list(written_formats()[name].loses(Scene(geometry=known)))
    assert ("have no room for " in said.replace("fractions", "")) == bool(lost or name in ("cbf", "smv"))
    for clause in lost:
        assert clause in said
    try:
        found = image_geometry(read_image(out))
    except Exception as error:
        assert lost, error
        return
    if convention == "dials" and name == "smv" and tilt == "flat":
        return  # its header is that of the XDS convention, as docs/formats.md says
    assert not lost
    assert places(found) == pytest.approx(places(known), rel=1e-5, abs=1e-3 if name == "smv" else 1e-5)


@pytest.mark.parametrize("there", ["cbf", "hdf5", "tiff"])
@pytest.mark.parametrize("back", ["smv", "cbf", "hdf5"])
def test_from_one_to_another(tmp_path, there, back):
    image = render(tmp_path)
    first, second = (tmp_path / f"{name}_1{written_formats()[name].suffixes[0]}" for name in (there, back))
    assert tool("convert", image, "--to", there, "--out", first)[0] == 0
    second = second.with_name(f"second_1{second.suffix}")
    assert tool("convert", first, "--to", back, "--out", second) == (0, "", "")
    assert np.array_equal(read_image(second).pixels, read_image(image).pixels)
    assert places(image_geometry(read_image(second))) == pytest.approx(places(geometry()), rel=1e-5, abs=1e-4)
    if back == "smv":
        ours, theirs = (dict(read_image(path).items) for path in (second, image))
        numbers = [
            [float(x[key]) for key in x if key.endswith(("_X", "_Y", "ORGX", "ORGY", "BEAM"))] for x in (ours, theirs)
        ]
        assert list(ours) == list(theirs) and numbers[0] == pytest.approx(numbers[1], abs=1e-3)


def test_images_of_a_series(tmp_path):
    images = sweep(tmp_path)
    assert tool("convert", *images, "--out", tmp_path / "s.h5")[0] == 0
    for number, path in enumerate(images):
        image = read_image(f"{tmp_path}/s.h5#{number}")
        assert (image.count, image.name) == (3, f"{tmp_path}/s.h5#{number}")
        assert np.array_equal(image.pixels, read_image(path).pixels)
        assert image_geometry(image).phi0 == pytest.approx(np.radians(30 + 0.5 * number))
    status, said, _ = tool("info", tmp_path / "s.h5")
    assert status == 0 and f"one of 3 images in the file; the last is {tmp_path}/s.h5#2" in said
    # all of them, or the one that is meant
    assert tool("convert", tmp_path / "s.h5", "--out", tmp_path / "again.img")[0] == 0
    assert tool("convert", tmp_path / "s.h5#1", "--out", tmp_path / "one.cbf")[0] == 0
    for number, path in enumerate(images):
        assert np.array_equal(read_image(tmp_path / f"again_0000{number + 1}.img").pixels, read_image(path).pixels)
    assert np.array_equal(read_image(tmp_path / "one.cbf").pixels, read_image(images[1]).pixels)
    assert tool("compare", "--images", tmp_path / "s.h5#2", images[2], "--exact")[0] == 0
    status, _, said = tool("info", tmp_path / "s.h5#3")
    assert status == 2 and "has 3 images, counted from 0; there is none of number 3" in said


def test_a_file_whose_name_ends_in_a_number(tmp_path):
    image = render(tmp_path)
    other = tmp_path / "x#1"
    other.write_bytes(image.read_bytes())
    assert read_image(other).count == 1


JOB = """
seed = 3
repeat = 3
[experiment]
flags = "-cell 50 60 70 90 90 90 -N 3 -default_F 100 -detpixels 24 -pixel 1 -distance 80 -fluence 1e27"
[random]
"crystal.orientation" = "uniform"
"""


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("noise", [True, False])
def test_what_batch_writes(tmp_path, name, noise):
    from nanobragg_py.batch import iter_images

    job = tmp_path / "job.toml"
    job.write_text(("" if noise else "noise = false\n") + JOB)
    status, _, said = tool("batch", job, "--out", tmp_path / "out", "--format", name, "--workers", 1)
    assert status == 0 and ("npy files have no room for beam" in said) == (name == "npy")
    expected = list(iter_images(str(job)))
    ending = written_formats()[name].suffixes[0]
    for number, pixels in enumerate(expected):
        where = f"images{ending}#{number}" if name == "hdf5" else f"image_{number + 1:06d}{ending}"
        image = read_image(f"{tmp_path}/out/{where}")
        if noise or name in ("hdf5", "npy", "tiff"):
            assert np.array_equal(image.pixels, pixels) and image.pixels.dtype == (
                np.int32 if name == "cbf" else pixels.dtype
            )
        if name == "hdf5":
            assert dict(image.items)["image of the job"] == str(number)
    assert tool("batch", "--verify", tmp_path / "out")[0] == 0
    assert tool("info", image.name)[0] == 0 and tool("view", image.name, "--out", tmp_path / "a.png")[0] == 0
    assert tool("convert", image.name, "--out", tmp_path / "a.npy")[0] == 0


SWEEP = """
sweep = {{ images = 5, start = "10 deg", step = "0.5 deg" }}
experiment.flags = "{}"
"""


def nexus_run(folder, flags):
    job = folder / "job.toml"
    job.write_text(SWEEP.format(" ".join(flags)))
    words = ["batch", job, "--out", folder / "out", "--format", "nexus", "--per-file", 2, "--workers", 1]
    return tool(*words)


def test_nexus_of_batch(tmp_path):
    """One master file that shows the files' images, each with its angle; the same whoever made it."""
    from nanobragg_py.batch import iter_images

    flags = [word for word in FLAGS if word != "-nopgm"]
    known = geometry("-phi", "10", "-osc", "0.5")
    assert nexus_run(tmp_path, flags)[0] == 0
    master = tmp_path / "out" / "images.h5"
    for number, pixels in enumerate(iter_images(str(tmp_path / "job.toml"))):
        image = read_image(f"{master}#{number}")
        assert (image.count, image.saturated) == (5, 65535) and np.array_equal(image.pixels, pixels)
        assert places(image_geometry(image)) == pytest.approx(places(known.next(number)))
    assert tool("batch", "--verify", tmp_path / "out")[0] == 0
    assert tool("convert", master, "--out", tmp_path / "s.cbf")[0] == 0
    assert places(image_geometry(read_image(tmp_path / "s_00005.cbf"))) == pytest.approx(
        places(known.next(4)), abs=1e-4
    )
    content = master.read_bytes()
    (tmp_path / "second").mkdir()
    assert nexus_run(tmp_path / "second", flags)[0] == 0
    assert (tmp_path / "second" / "out" / "images.h5").read_bytes() == content


def test_nexus_has_one_geometry(tmp_path):
    job = tmp_path / "job.toml"
    job.write_text(JOB + '"detector.distance" = { uniform = ["80 mm", "90 mm"] }\n')
    words = ["batch", job, "--out", tmp_path / "out", "--format", "nexus", "--workers", 1]
    status, _, said = tool(*words)
    assert status == 2 and "image 1 has another beam or detector than those before it, and NXmx holds one" in said


@pytest.mark.parametrize("name", ["npy", "tiff"])
def test_floats_that_were_changed_are_found(tmp_path, name):
    job = tmp_path / "job.toml"
    job.write_text("noise = false\n" + JOB)
    assert tool("batch", job, "--out", tmp_path / "out", "--format", name, "--workers", 1)[0] == 0
    path = tmp_path / "out" / f"image_000002{written_formats()[name].suffixes[0]}"
    content = bytearray(path.read_bytes())
    content[content.index(read_image(path).pixels[5].tobytes()) + 9] ^= 1
    path.write_bytes(content)
    status, _, said = tool("batch", "--verify", tmp_path / "out")
    assert status == 2 and "the pixels of image 1 are not those" in said


@pytest.mark.parametrize("wrap", [gzip, bz2, lzma])
@pytest.mark.parametrize("name", ["image.img", "a_1.cbf", "a.h5", "a.npy", "a.tif", "image.bin"])
def test_compressed_files(tmp_path, name, wrap):
    image = render(tmp_path)
    if not (tmp_path / name).exists():
        assert tool("convert", image, "--out", tmp_path / name)[0] == 0
    ending = {gzip: ".gz", bz2: ".bz2", lzma: ".xz"}[wrap]
    packed = tmp_path / (name + ending)
    packed.write_bytes(wrap.compress((tmp_path / name).read_bytes()))
    shape = (70, 90)
    assert np.array_equal(read_image(packed, shape).pixels, read_image(tmp_path / name, shape).pixels)
    packed.write_bytes(packed.read_bytes()[:-9])
    status, _, said = tool("info", packed)
    assert status == 2 and "cannot be uncompressed" in said and said.count("\n") == 1


def test_a_compressed_file_gives_its_name_to_the_output(tmp_path):
    image = render(tmp_path)
    (tmp_path / "b.img.gz").write_bytes(gzip.compress(image.read_bytes()))
    assert tool("convert", "b.img.gz", "--to", "tiff", folder=tmp_path)[0] == 0
    assert (tmp_path / "b.tif").exists()


@pytest.mark.parametrize("name", written_formats())
def test_names_that_are_not_ascii(tmp_path, name):
    image = render(tmp_path)
    out = tmp_path / f"Bild-ü-図_1{written_formats()[name].suffixes[0]}"
    assert tool("convert", image, "--to", name, "--out", out)[0] == 0
    assert read_image(out, (70, 90)).shape == (70, 90)


def test_a_header_of_any_format_serves(tmp_path):
    image = render(tmp_path)
    assert tool("convert", image, "--out", tmp_path / "a_1.cbf")[0] == 0
    words = ["convert", tmp_path / "image.bin", "--offset", 40, "--header", tmp_path / "a_1.cbf"]
    assert tool(*words, "--out", tmp_path / "b.img")[0] == 0
    assert np.array_equal(read_image(tmp_path / "b.img").pixels, read_image(image).pixels)
    assert places(image_geometry(read_image(tmp_path / "b.img"))) == pytest.approx(places(geometry()), abs=1e-3)


def test_types_are_kept(tmp_path):
    for kind in ("u1", "i2", "u4", "i8", "f4", "f8"):
        pixels = (np.arange(12).reshape(3, 4) * 11).astype(kind)
        np.save(tmp_path / "a.npy", pixels)
        assert tool("convert", tmp_path / "a.npy", "--out", tmp_path / "b.npy") == (0, "", "")
        assert read_image(tmp_path / "b.npy").pixels.dtype == np.dtype(kind)
        assert tool("convert", tmp_path / "a.npy", "--out", tmp_path / "b.tif") == (0, "", "")
        assert np.array_equal(read_image(tmp_path / "b.tif").pixels, pixels)
    np.save(tmp_path / "a.npy", np.full((3, 4), 2**31 + 1, np.uint32))
    status, _, said = tool("convert", tmp_path / "a.npy", "--out", tmp_path / "b.tif")
    assert status == 0 and "no room for whole numbers of more than 24 bits" in said


def test_a_missing_package(tmp_path, monkeypatch):
    image = render(tmp_path)
    assert tool("convert", image, "--out", tmp_path / "a.h5")[0] == 0
    monkeypatch.setitem(sys.modules, "h5py", None)
    status, _, said = tool("info", tmp_path / "a.h5")
    assert status == 2 and "HDF5 files need h5py: pip install 'nanobragg-py[hdf5]'" in said


def test_information_as_json(tmp_path):
    image = render(tmp_path)
    assert tool("convert", image, "--out", tmp_path / "a.h5")[0] == 0
    status, out, err = tool("info", "--json", image, tmp_path / "a.h5")
    one, two = json.loads(out)
    assert (status, err, one["kind"], two["kind"]) == (0, "", "smv", "hdf5")
    assert one["statistics"] == two["statistics"] and one["remarks"] == two["remarks"] == []
    assert two["header"]["definition"] == "NXmx" and h5py.is_hdf5(tmp_path / "a.h5")
