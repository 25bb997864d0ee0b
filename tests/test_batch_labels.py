"""Labels in the files of a job's images: what is true of each, the spots that should be there, the job itself."""

import json

import numpy as np
import pytest

from nanobragg_py import FieldError, NanoBraggError, b_matrix
from nanobragg_py.batch import iter_images
from nanobragg_py.batch.jobs import Job
from nanobragg_py.batch.labels import LABELS, SPOTS, labels_of, spots_of
from nanobragg_py.batch.local import run
from nanobragg_py.batch.output import Output
from nanobragg_py.batch.readback import verify
from nanobragg_py.cli.main import main
from nanobragg_py.data import Images
from nanobragg_py.files.image import read_image

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

FLAGS = "-cell 40 50 60 90 95 90 -default_F 10 -N 6 -detpixels 48 -pixel 1 -distance 100 -fluence 1e28 -osc 0.5 -seed 3"
SPINS = FLAGS.replace("-osc 0.5 ", "").split()
VALUES = {
    "repeat": 7,
    "experiment": {"flags": FLAGS},
    "random": {"crystal.orientation": "uniform", "beam.fluence": {"normal": [1e28, 1e27]}},
}


@pytest.fixture
def job(tmp_path):
    return Job(VALUES, tmp_path)


def expected(job):
    images = Images(job, spots=True)
    return [images[index] for index in range(len(images))]


@pytest.mark.parametrize("format", ["hdf5", "nexus"])
def test_hdf5_has_labels_spots_and_the_job(format, job, tmp_path):
    values = {**VALUES, "random": {"crystal.orientation": "uniform"}}
    if format == "nexus":
        job = Job(values, tmp_path)
    assert run(job, Output(tmp_path / "out", format, per_file=3, spots=True), workers=1) == 0
    wanted = expected(job)
    with h5py.File(tmp_path / "out" / "images.h5") as file:
        assert json.loads(file["job"][()]) == job.values
        assert file["index"][()].tolist() == list(range(7))
        for name, (_, units) in LABELS.items():
            data = file[f"labels/{name}"]
            assert data.attrs.get("units", "") == units
            for index, (_, told) in enumerate(wanted):
                assert np.array_equal(data[index], told[name]), name
        first = file["labels/spots/first"][()]
        for name, (_, dtype, units) in SPOTS.items():
            data = file[f"labels/spots/{name}"]
            assert (data.attrs.get("units", ""), data.dtype) == (units, dtype)
            for index, (_, told) in enumerate(wanted):
                assert np.array_equal(data[first[index] : first[index + 1]], told["spots"][name])
        images = file["images"] if format == "hdf5" else file["entry/data/data"]
        assert all((images[index] == image).all() for index, (image, _) in enumerate(wanted))


def test_labels_are_true(job):
    for image, told in expected(job):
        w, x, y, z = told["quaternion"]
        U = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        assert told["A"] == pytest.approx(U @ b_matrix(*told["cell"]), abs=1e-12)
        assert told["cell"] == pytest.approx([40, 50, 60, 90, 95, 90], rel=1e-3)
        # spots are where photons are
        spots, counts = told["spots"], image - 40.0
        near = np.array([
            counts[max(0, int(s) - 2) : int(s) + 3, max(0, int(f) - 2) : int(f) + 3].sum() for f, s in spots["position"]
        ])  # fmt: skip
        assert len(near) > 5 and near.sum() > 0
        assert np.abs(near - spots["intensity"]).max() < 8 * np.sqrt(spots["intensity"].max()) + 5


def test_intensity_is_the_sum_about_a_spot():
    from nanobragg_py import Experiment

    resolved = Experiment.from_args(FLAGS).resolved
    image = np.arange(48.0 * 48).reshape(48, 48).astype(np.float32)
    found = spots_of(resolved, image)
    for (fast, slow), photons in zip(found["position"], found["intensity"], strict=True):
        rows, columns = (slice(max(0, int(at) - 2), int(at) + 3) for at in (slow, fast))
        assert photons == pytest.approx(float(image[rows, columns].sum()))
    assert "intensity" not in spots_of(resolved) and set(labels_of(0, resolved)) == {"index", *LABELS}


def test_spots_need_hdf5(tmp_path):
    with pytest.raises(FieldError, match="spots are kept in HDF5 files"):
        Output(tmp_path, "smv", spots=True)


# ---- Zarr ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "gzip", "none"])
def test_zarr(compression, job, tmp_path, capsys):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    output = Output(tmp_path / "out", "zarr", per_file=3, compression=compression)
    assert run(job, output, workers=2) == 0
    wanted = expected(job)
    group = zarr.open_group(tmp_path / "out" / "images.zarr", mode="r")
    assert group.attrs["job"] == job.values
    assert group["images"].shape == (7, 48, 48) and group["images"].chunks == (1, 48, 48)
    assert all((group["images"][index] == image).all() for index, (image, _) in enumerate(wanted))
    assert group["index"][:].tolist() == list(range(7))
    for name, (_, units) in LABELS.items():
        assert np.array_equal(group[f"labels/{name}"][:], np.array([told[name] for _, told in wanted]))
        assert group[f"labels/{name}"].attrs["units"] == units
    assert verify(output.folder) == 7
    read = read_image(f"{tmp_path}/out/images.zarr#4")
    assert (read.pixels == wanted[4][0]).all() and read.count == 7
    assert main(["info", f"{tmp_path}/out/images.zarr#6"]) == 0
    assert main(["convert", f"{tmp_path}/out/images.zarr#6", "--out", str(tmp_path / "six.npy")]) == 0
    assert (np.load(tmp_path / "six.npy") == wanted[6][0]).all()
    assert main(["info", f"{tmp_path}/out/images.zarr#7"]) == 2
    assert "there is none of number 7" in capsys.readouterr().err


def test_zarr_goes_on_where_it_was_stopped(job, tmp_path):
    pytest.importorskip("zarr", reason="zarr is not installed")
    output = Output(tmp_path / "out", "zarr", per_file=2)
    assert run(job, output, workers=1, rank=(0, 2)) == 2
    assert run(job, output, workers=1, rank=(1, 2)) == 0
    shard = tmp_path / "out" / "images.zarr" / "images" / "c" / "1" / "0" / "0"
    before = shard.read_bytes()
    shard.unlink()
    with pytest.raises(NanoBraggError, match="images/c/1/0/0"):
        verify(output.folder)
    assert run(job, output, workers=1) == 0
    assert shard.read_bytes() == before and verify(output.folder) == 7
    shard.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(NanoBraggError, match=r"image [23]"):
        verify(output.folder)


def test_zarr_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(FieldError, match="szip is of HDF5 files"):
        Output(tmp_path, "zarr", compression="szip")
    with pytest.raises(FieldError, match="there is no room"):
        Output(tmp_path, "zarr", spots=True)


# ---- URLs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["batch", "sweep", "convert"])
def test_urls_are_refused(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.json").write_text(json.dumps(VALUES))
    np.save("a.npy", np.zeros((4, 4), np.float32))
    words = {
        "batch": ["batch", "job.json", "--out", "s3://bucket/x"],
        "sweep": ["sweep", "--images", "2", "--osc", "1", "--out", "gs://bucket/x", "--", *SPINS],
        "convert": ["convert", "a.npy", "--out", "memory://x.tif"],
    }[tool]
    assert main(words) == 2
    assert "it is a URL, and outputs are files" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "job.json"]


def test_iter_images_is_what_files_hold(job):
    assert all((one == image).all() for one, (image, _) in zip(iter_images(job), expected(job), strict=True))
