"""Whatever writes images, whatever reads them: every format through every tool, one image and many, and panels."""

import json

import numpy as np
import pytest
from images import FLAGS, render, sweep, tool

from nanobragg_py.files.image import read_image
from nanobragg_py.files.registry import image_formats, written_formats

#: those of detectors' pixels that say what they are
COUNTS = [name for name, found in image_formats().items() if not found.picture and found.magic is not None]
SMALL = "-cell 40 50 60 90 90 90 -default_F 100 -N 5 -detpixels 24 -pixel 1.5 -distance 80 -fluence 1e28"
JOB = f"""
seed = 3
sweep = {{ images = 3, start = "10 deg", step = "0.5 deg" }}
experiment.flags = "{SMALL}"
"""


def by_convert(folder, name, ending):
    """One image."""
    image = render(folder)
    assert tool("convert", image, "--to", name, "--out", folder / f"one_1{ending}")[0] == 0
    return [f"{folder}/one_1{ending}"], [read_image(image).pixels], FLAGS


def by_convert_of_many(folder, name, ending):
    """A series, in one file where the format has room."""
    images = sweep(folder)
    assert tool("convert", *images, "--to", name, "--out", folder / f"s{ending}")[0] == 0
    if (folder / f"s{ending}").exists():
        names = [f"{folder}/s{ending}#{number}" for number in range(3)]
    else:
        names = [f"{folder}/s_0000{number + 1}{ending}" for number in range(3)]
    return names, [read_image(image).pixels for image in images], FLAGS


def by_batch(folder, name, ending):
    from nanobragg_py.batch import iter_images

    (folder / "job.toml").write_text(JOB)
    assert tool("batch", folder / "job.toml", "--out", folder / "out", "--format", name, "--workers", 1)[0] == 0
    (together,) = [*folder.glob(f"out/images{ending}"), None][:1]
    names = [
        f"{together}#{number}" if together else f"{folder}/out/sweep_00001_{number + 1:05d}{ending}"
        for number in range(3)
    ]
    return names, list(iter_images(str(folder / "job.toml"))), SMALL.split()


def by_batch_of_nexus(folder, name, ending):
    """A master file that shows the images of several others."""
    from nanobragg_py.batch import iter_images

    (folder / "job.toml").write_text(JOB)
    words = ["--format", "nexus", "--per-file", 2, "--workers", 1]
    assert tool("batch", folder / "job.toml", "--out", folder / "out", *words)[0] == 0
    names = [f"{folder}/out/images.h5#{number}" for number in range(3)]
    return names, list(iter_images(str(folder / "job.toml"))), SMALL.split()


def by_sweep(folder, name, ending):
    words = [
        "--images",
        3,
        "--osc",
        0.5,
        "--start",
        10,
        "--workers",
        1,
        "--name",
        "s",
        "--out",
        folder / "out",
        "--format",
        name,
    ]
    assert tool("sweep", *words, "--", *SMALL.split(), "-seed", 3)[0] == 0
    together = folder / f"out/images{ending}"
    names = (
        [f"{together}#{number}" for number in range(3)]
        if together.exists()
        else [f"{folder}/out/s_{number + 1:05d}{ending}" for number in range(3)]
    )
    return names, [read_image(one).pixels for one in names], SMALL.split()


def by_simulate(folder, name, ending):
    words = ["--seed", 4, "--", *SMALL.split(), "-phi", "10", "-osc", "1"]
    assert tool("simulate", "--out", folder / f"a_1{ending}", *words)[0] == 0
    assert tool("simulate", "--out", folder / "expected.npy", *words)[0] == 0
    return [f"{folder}/a_1{ending}"], [np.load(folder / "expected.npy")], SMALL.split()


WRITERS = [by_convert, by_convert_of_many, by_batch, by_sweep, by_simulate]
PAIRS = [(name, writer) for name in COUNTS for writer in WRITERS]


@pytest.mark.parametrize(("name", "writer"), [*PAIRS, ("hdf5", by_batch_of_nexus)])
def test_every_tool_reads_it(name, writer, tmp_path):
    found = image_formats()[name]
    if name not in written_formats() and writer not in (by_batch, by_sweep):
        pytest.skip(f"only batch and sweep write {name}")
    names, expected, flags = writer(tmp_path, name, found.suffixes[0])
    last, pixels = names[-1], expected[-1]
    assert np.array_equal(read_image(last).pixels, pixels)
    status, said, _ = tool("info", last)
    assert status == 0 and f": {found.title}, {pixels.shape[1]} x {pixels.shape[0]} pixels" in said
    assert tool("view", last, "--out", tmp_path / "picture.png", "--size", 200)[0] == 0
    assert tool("convert", last, "--out", tmp_path / "again.npy")[0] == 0
    assert np.array_equal(np.load(tmp_path / "again.npy"), pixels)
    for each, known in zip(names, expected, strict=True):
        np.save(tmp_path / "known.npy", known)
        assert tool("compare", "--images", each, tmp_path / "known.npy", "--exact")[0] == 0
    if len(names) > 1:
        status, said, _ = tool("compare", "--images", names[0], names[1], "--exact")
        assert status == 1
    words = ["--parameters", "fluence", "--evaluations", 1, "--no-picture", "--outdir", tmp_path / "fit"]
    # 1: it has not come to an end
    assert tool("refine", last, *words, "--", *flags, "-phi", "11", "-osc", "0.5")[0] in (0, 1)
    assert (tmp_path / "fit" / "refined.json").exists()


def test_folders_that_are_no_image(tmp_path):
    """What they are is said, and what is missing in them."""
    (tmp_path / "job.toml").write_text(JOB)
    words = ["batch", "job.toml", "--format", "zarr", "--per-file", 2, "--workers", 1, "--out"]
    assert tool(*words, "out", folder=tmp_path)[0] == 0
    assert tool(*words, "part", "--rank", "0/2", folder=tmp_path)[0] == 0

    def refused(name):
        status, _, said = tool("info", name, folder=tmp_path)
        assert status == 2
        return said

    assert "it is a folder of nanobragg-py batch; give out/images.zarr" in refused("out")
    assert "it is a Zarr group without its zarr.json" in refused("part/images.zarr")
    assert tool("info", "out/images.zarr#2", folder=tmp_path)[0] == 0
    (tmp_path / "out/images.zarr/images/c/1/0/0").unlink()
    assert tool("info", "out/images.zarr#1", folder=tmp_path)[0] == 0
    assert "images/c/1/0/0 is not there, which has image 2; run the batch again" in refused("out/images.zarr#2")


# ---- detectors of several panels -----------------------------------------------------------------------------------

GEOMETRY = """\
photon_energy = 12398.42 eV
adu_per_photon = 1
clen = 0.08 m
res = 2000
"""
LINE = "-geometry two.geom -lambda 1 -cell 40 50 60 90 90 90 -default_F 100 -N 5 -fluence 1e28"


def write_geometry(name, rows=20):
    """A detector of two panels, one above the other; rows: of the second."""
    lines = [GEOMETRY]
    for n in range(2):
        last = 19 if n == 0 else 19 + rows
        each = {"min_fs": 0, "max_fs": 23, "min_ss": 20 * n, "max_ss": last, "fs": "x", "ss": "y"}
        each |= {"corner_x": -12, "corner_y": -22 + 24 * n}
        lines += [f"p{n}/{key} = {value}\n" for key, value in each.items()]
    name.write_text("".join(lines))


@pytest.fixture
def two_panels(tmp_path, monkeypatch):
    """A folder with a detector of two panels."""
    write_geometry(tmp_path / "two.geom")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [name for name in COUNTS if name in written_formats()])
def test_panels_through_every_tool(name, two_panels):
    """simulate writes them where there is room and says so where there is none; what it wrote the others read."""
    from nanobragg_py import Experiment

    out = f"image{image_formats()[name].suffixes[0]}"
    status, _, said = tool("simulate", "--out", out, "--", *LINE.split())
    image = Experiment.from_args(LINE).render()
    if name == "npy":
        assert np.array_equal(np.load(out), image)
        return
    if not image_formats()[name].write_series:
        assert status == 2 and "files are written of one panel, and the detector has 2; write HDF5" in said
        assert not (two_panels / out).exists()
        return
    assert status == 0, said
    stored = read_image(out).pixels
    assert np.array_equal(stored, image.reshape(stored.shape))
    status, told, _ = tool("info", out)
    assert status == 0 and "24 x 40 pixels" in told
    assert tool("view", out, "--out", "picture.png", "--size", 200)[0] == 0
    assert tool("convert", out, "--out", "again.npy")[0] == 0
    assert tool("compare", "--images", out, "again.npy", "--exact")[0] == 0
    words = ["--parameters", "fluence", "--no-picture", "--min", 0.0, "--max", 1e9]
    status, told, said = tool("refine", out, *words, "--", *LINE.replace("-fluence 1e28", "-fluence 1.2e28").split())
    assert status == 0, said
    refined = json.loads((two_panels / "refined" / "refined.json").read_text())
    assert refined["parameters"]["beam.fluence"]["refined"] == pytest.approx(1e28, rel=1e-5)
    # a command line has no room for panels without their file
    assert not (two_panels / "refined" / "command.txt").exists()


@pytest.mark.parametrize("rows", [20, 13])
@pytest.mark.parametrize("name", ["hdf5", "nexus", "zarr"])
def test_panels_of_a_batch_through_every_tool(name, rows, two_panels):
    """One image holds those of all panels, alike or not; the tools take it, and the folder can be verified."""
    from nanobragg_py.batch import iter_images, manifest

    write_geometry(two_panels / "two.geom", rows)
    random = 'random."crystal.orientation" = "uniform"'
    water = 'background = { curve = "water", thickness = 1e-15 }'
    (two_panels / "job.toml").write_text(f'repeat = 3\n{water}\n{random}\nexperiment.flags = "{LINE}"\n')
    spots = [] if name == "zarr" else ["--spots"]
    words = ["batch", "job.toml", "--out", "out", "--format", name, "--per-file", 2, "--workers", 1, *spots]
    assert tool(*words)[0] == 0
    assert tool("batch", "--verify", "out")[1].startswith("3 images are as they were written")
    together = f"out/images.{'zarr' if name == 'zarr' else 'h5'}"
    for number, panels in enumerate(iter_images("job.toml")):
        assert np.array_equal(read_image(f"{together}#{number}").pixels, np.concatenate(list(panels)))
    last = f"{together}#2"
    status, told, _ = tool("info", last)
    assert status == 0 and f"24 x {20 + rows} pixels" in told and "one of 3 images" in told
    assert tool("view", last, "--out", "picture.png", "--size", 200)[0] == 0
    assert tool("convert", last, "--out", "again.npy")[0] == 0
    assert tool("compare", "--images", last, "again.npy", "--exact")[0] == 0
    assert tool("compare", "--images", last, f"{together}#1", "--exact")[0] == 1
    if name == "nexus":
        # panels with a gap between them are no plane of which one beam centre would be true
        assert "it has a detector of 2 panels that are no one plane" in told
        status, _, said = tool("convert", last, "--out", "one_1.cbf")
        assert status == 2 and "it has a detector of 2 panels that are no one plane" in said
    words = ["--parameters", "fluence", "--adc", 40, "--evaluations", 2, "--no-picture"]
    status, _, said = tool("refine", last, *words, "--", *LINE.split())
    assert status in (0, 1), said
    if spots:
        h5py = pytest.importorskip("h5py", reason="h5py is not installed")
        with h5py.File(together) as file:
            assert file["panels"][()].tolist() == [[0, 0, 20, 24], [20, 0, rows, 24]]
            found = file["labels/spots"]
            assert set(found["panel"][()]) <= {0, 1} and len(found["panel"]) == len(found["hkl"]) == found["first"][-1]
    # a changed pixel is seen
    (entry, *_) = manifest("out")
    if name != "zarr":
        with h5py.File(f"out/{entry['file']}", "r+") as file:
            file["images"][0, 25, 3] += 1
        status, _, said = tool("batch", "--verify", "out")
        assert status != 0 and "the pixels of image 0 are not those that were written" in said


def test_panels_of_several_sizes_in_npy(two_panels):
    """A stack has no room for them."""
    write_geometry(two_panels / "two.geom", 13)
    (two_panels / "job.toml").write_text(f'repeat = 2\nexperiment.flags = "{LINE}"\n')
    status, _, said = tool("batch", "job.toml", "--out", "out", "--format", "npy", "--workers", 1)
    assert status == 2 and "panels of several sizes, for which npy files have no room; use --format hdf5" in said
    write_geometry(two_panels / "two.geom")
    assert tool("batch", "job.toml", "--out", "out", "--format", "npy", "--workers", 1)[0] == 0
    assert tool("batch", "--verify", "out")[0] == 0


def test_panels_that_are_one_plane(tmp_path):
    """Modules that lie in space as their pixels lie in the image are one detector, wherever the first of them is."""
    from nanobragg_py import Detector, Experiment, Panel
    from nanobragg_py.inspect.describe import image_geometry

    whole = Experiment.from_args(f"{SMALL} -detector_rotx 5 -twotheta 7 -oversample 3")
    detector = whole.resolved.detector
    fast, slow, size = np.array(detector.fast), np.array(detector.slow), detector.pixel_size
    half = {"fast": fast, "slow": slow, "pixel_size": size, "fpixels": 24, "spixels": 12}
    panels = [Panel(origin=np.array(detector.origin) + row * size * slow, corner=(row, 0), **half) for row in (12, 0)]
    split = whole.replace(detector=Detector(panels=panels))
    for name, experiment in (("whole.h5", whole), ("split.h5", split)):
        experiment.to_nexus(tmp_path / name, experiment.render())
    one, other = (image_geometry(read_image(tmp_path / name)) for name in ("whole.h5", "split.h5"))
    for field in ("origin", "fast", "slow"):
        assert getattr(other, field) == pytest.approx(getattr(one, field), abs=1e-12)
    assert np.array_equal(read_image(tmp_path / "split.h5").pixels, read_image(tmp_path / "whole.h5").pixels)


# ---- what is rendered in part --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in COUNTS if name in written_formats()])
def test_masks_and_shoeboxes(name, tmp_path):
    """Images of which only some pixels are rendered, with a mask and as a list of shoeboxes, come back as they were."""
    from nanobragg_py import Experiment
    from nanobragg_py.cli.tools.simulate import write

    experiment = Experiment.from_args(SMALL)
    mask = np.ones(experiment.shape, np.uint16)
    mask[5:9, 3:20] = 0
    masked = experiment.replace({"detector.mask": mask})
    rois = [(0, 6, 0, 4), (4, 12, 3, 15), (20, 23, 20, 23)]
    outside = np.ones(experiment.shape, bool)
    for first, last, low, high in rois:
        outside[low : high + 1, first : last + 1] = False
    for number, (made, off) in enumerate([(masked.render(), mask == 0), (experiment.render(rois=rois), outside)]):
        assert not made[off].any() and made[~off].any()
        pixels = experiment.add_noise(made, seed=3, adc=0.0)
        file = str(tmp_path / f"a_{number + 1}{image_formats()[name].suffixes[0]}")
        write(written_formats()[name], file, masked if number == 0 else experiment, pixels)
        assert np.array_equal(read_image(file).pixels, pixels)
        assert tool("info", file)[0] == 0
        assert tool("view", file, "--out", tmp_path / "picture.png", "--size", 200)[0] == 0
        assert tool("convert", file, "--out", tmp_path / "again.npy")[0] == 0
        assert tool("compare", "--images", file, tmp_path / "again.npy", "--exact")[0] == 0
