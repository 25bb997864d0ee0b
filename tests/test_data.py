"""`nanobragg_py.data`: a batch job as a data set, alone and in PyTorch's DataLoader."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py import FieldError, b_matrix, random_rotations
from nanobragg_py.batch import iter_images
from nanobragg_py.batch.labels import quaternion_of
from nanobragg_py.data import LABELS, Images

JOB = """
repeat = 7
seed = 3
[experiment]
flags = "-hkl full8.hkl -cell 40 50 60 90 90 90 -N 5 -detpixels 32 -pixel 1 -fluence 1e28"
[noise]
adc = 0
[random]
"crystal.orientation" = "uniform"
"beam.fluence" = { normal = [1e28, 1e27] }
"""


@pytest.fixture
def job(tmp_path):
    source = Path(__file__).parent.parent / "golden" / "inputs" / "full8.hkl"
    (tmp_path / "full8.hkl").write_bytes(source.read_bytes())
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path / "job.toml"


def test_random_access(job):
    images = Images(job)
    assert len(images) == 7
    expected = list(iter_images(job))
    for index in (3, 0, 6, -1):
        image, told = images[index]
        assert image.dtype == np.float32 and (image == expected[index]).all()
        assert told["index"] == index % 7
    assert [told["index"] for _, told in images] == list(range(7))
    with pytest.raises(IndexError, match=r"no image 7; they go from 0 to 6"):
        images[7]
    with pytest.raises(IndexError):
        images[-8]


def test_labels(job):
    image, told = Images(job, dtype=np.uint16, spots=True)[2]
    assert image.dtype == np.uint16 and set(told) == {*LABELS, "spots"}
    w, x, y, z = told["quaternion"]
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    assert told["A"] == pytest.approx(rotation @ b_matrix(*told["cell"]), abs=1e-12)
    assert told["cell"] == pytest.approx([40, 50, 60, 90, 90, 90])
    assert told["wavelength"] == 1e-10 and told["fluence"] != 1e28
    spots = told["spots"]
    assert len(spots["hkl"]) == len(spots["position"]) == len(spots["amplitude"]) > 0
    # the brightest pixels are where spots are said to be
    bright = np.argwhere(image >= np.sort(image, axis=None)[-5])[:, ::-1] + 0.5
    near = [np.abs(spots["position"] - place).max(axis=1).min() < 0.5 for place in bright]
    assert len(near) == 5 and all(near)
    assert Images(job, labels=False)[2].shape == (32, 32)
    assert Images(job, transform=lambda image, told: told["index"])[2] == 2


@pytest.mark.parametrize("index", range(20))
def test_quaternions(index):
    (rotation,) = random_rotations(1, seed=5, start=index)
    if index < 4:  # turns by half a circle, where a component is 0
        rotation = np.diag([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]][index])
    w, *v = quaternion_of(rotation)
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    assert rotation == pytest.approx(np.eye(3) + 2 * w * cross + 2 * cross @ cross, abs=1e-14)
    assert w >= 0


def test_a_stream_gives_every_image_once_and_in_another_order_each_time(job):
    stream = Images(job).stream(seed=4)
    passes = [[told["index"] for _, told in stream] for _ in range(3)]
    assert all(sorted(each) == list(range(7)) for each in passes)
    assert len({*map(tuple, passes)}) == 3
    again = Images(job).stream(seed=4)
    again.epoch = 2
    assert [told["index"] for _, told in again] == passes[2]
    assert [told["index"] for _, told in Images(job).stream(shuffle=False)] == list(range(7))


def test_pickled(job):
    images = Images(job)
    assert (pickle.loads(pickle.dumps(images))[1][0] == images[1][0]).all()


def test_what_it_does_not_take(job):
    with pytest.raises(FieldError, match="spots are among the labels"):
        Images(job, labels=False, spots=True)


def test_torch_is_not_imported(job):
    code = f"import sys, nanobragg_py.data as d; d.Images({str(job)!r}).stream(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=job.parent)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "spawn"), (2, "fork")])
def test_in_a_data_loader(job, workers, context):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    expected = np.array(list(iter_images(job)))
    # of forked workers those that would wait for threads that a fork does not copy
    Images(job, threads=2)[0]
    more = {"batch_size": 2, "num_workers": workers, "multiprocessing_context": context}
    found = list(torch.utils.data.DataLoader(Images(job), **more))
    assert [len(batch) for batch, _ in found] == [2, 2, 2, 1]
    assert (torch.cat([batch for batch, _ in found]).numpy() == expected).all()
    assert torch.cat([told["quaternion"] for _, told in found]).shape == (7, 4)
    shuffled = list(torch.utils.data.DataLoader(Images(job), shuffle=True, **more))
    assert sorted(torch.cat([told["index"] for _, told in shuffled]).tolist()) == list(range(7))
    stream = Images(job).stream(seed=1)
    assert isinstance(stream, torch.utils.data.IterableDataset)
    streamed = list(torch.utils.data.DataLoader(stream, **more))
    assert sorted(torch.cat([told["index"] for _, told in streamed]).tolist()) == list(range(7))
