"""Batch jobs on emulated devices: device, precision, several devices at once."""

import sys

import numpy as np
import pytest

from nanobragg_py.batch import Output, iter_images, read_job, run
from nanobragg_py.batch.images import Maker
from nanobragg_py.batch.jobs import Job
from nanobragg_py.batch.local import DEVICE_WORKERS, divide
from nanobragg_py.data import Images
from nanobragg_py.errors import NanoBraggError

FLAGS = "-default_F 100 -cell 50 60 70 80 95 100 -N 5 -lambda 1 -distance 100 -detpixels 16 -pixel 1 -oversample 1"

#: what stands for CuPy in worker processes: two devices, and a file that says which ones have worked
CUPY = """
import atexit, os, sys
sys.path.insert(0, {folder!r})
import emulated_cupy
emulated_cupy.DEVICES = 2
emulated_cupy.install()
def tell():
    with open({told!r} + str(os.getpid()), "w") as file:
        file.write(" ".join(map(str, sorted(emulated_cupy.USED))))
atexit.register(tell)
"""


def stills(**more):
    return Job(
        {
            "repeat": 8,
            "noise": False,
            "backend": "gpu",
            "random": {"crystal.orientation": "uniform"},
            "experiment": {"flags": FLAGS},
            **more,
        }
    )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"device": -1}, "device is -1; it must be the number of a GPU"),
        ({"device": [0, 0]}, "device is .0, 0.; it must be"),
        ({"device": []}, "device is ..; it must be"),
        ({"device": True}, "device is True; it must be"),
        ({"precision": "half"}, "precision is 'half'; it must be"),
        ({"backend": "cpu", "device": 1}, "device is of a GPU; give backend"),
        ({"backend": "cpu", "precision": "single"}, "precision is of a GPU; give backend"),
    ],
)
def test_what_a_job_cannot_ask_for(more, sentence):
    with pytest.raises(NanoBraggError, match=sentence):
        stills(**more)


@pytest.mark.emulation
def test_a_job_chooses_the_device_and_the_precision(emulated, monkeypatch):
    import emulated_cupy

    monkeypatch.setattr(emulated_cupy, "DEVICES", 2)
    monkeypatch.setattr(emulated_cupy, "USED", set())
    double = next(iter_images(stills(device=1)))
    assert sorted(emulated_cupy.USED) == [1]
    single = next(iter_images(stills(precision="single")))
    assert sorted(emulated_cupy.USED) == [0, 1]
    assert not np.array_equal(double, single)
    assert np.abs(double - single).max() < 1e-5 * double.max()
    with pytest.raises(NanoBraggError, match="device 2 does not exist"):
        next(iter_images(stills(device=2)))


def test_workers_take_turns_at_the_devices():
    job = stills(device=[1, 3])
    assert [Maker(job, worker=worker).compute.device for worker in range(4)] == [1, 3, 1, 3]
    assert Images(job).maker.compute.device == 1


def test_workers_of_a_data_loader_share_the_devices(monkeypatch):
    import types

    info = types.SimpleNamespace(id=3, num_workers=4)
    loader = types.SimpleNamespace(get_worker_info=lambda: info)
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(utils=types.SimpleNamespace(data=loader)))
    assert Images(stills(device=[4, 5])).maker.compute.device == 5


def test_a_few_workers_for_each_device(monkeypatch):
    from nanobragg_py.batch import local

    monkeypatch.setattr(local, "processors", lambda: 32)
    assert divide(100, devices=2) == (2 * DEVICE_WORKERS, 32 // (2 * DEVICE_WORKERS))
    assert divide(100, workers=3, devices=2)[0] == 3
    monkeypatch.setattr(local, "processors", lambda: 1)
    assert divide(100, devices=2)[0] == 2


@pytest.mark.emulation
def test_several_devices_take_shards(tmp_path, monkeypatch):
    """The real worker processes, each with a device of its own, and the images that one device gives."""
    from pathlib import Path

    (tmp_path / "modules").mkdir()
    text = CUPY.format(folder=str(Path(__file__).parent), told=f"{tmp_path}/told-")
    (tmp_path / "modules" / "cupy.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    job = stills(device=[0, 1])
    assert run(job, Output(str(tmp_path / "both"), "npy"), workers=2, threads=1) == 0
    assert {path.read_text() for path in tmp_path.glob("told-*")} == {"0", "1"}
    for path in tmp_path.glob("told-*"):
        path.unlink()
    assert run(stills(device=[1]), Output(str(tmp_path / "one"), "npy"), workers=1, threads=1) == 0
    assert {path.read_text() for path in tmp_path.glob("told-*")} == {"1"}
    for index in range(len(job)):
        name = f"image_{index + 1:06d}.npy"
        assert np.array_equal(np.load(tmp_path / "both" / name), np.load(tmp_path / "one" / name))


def test_a_job_file_says_which(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text(f'backend = "gpu"\ndevice = [0, 2]\nprecision = "single"\nexperiment.flags = "{FLAGS}"\n')
    job = read_job(file)
    assert (job.devices, job.precision) == ([0, 2], "single")
