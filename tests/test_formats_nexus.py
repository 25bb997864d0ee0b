"""NeXus files: the rules of NXmx, read with h5py."""

import os
import sys

import h5py
import numpy as np
import pytest
from images import CONVENTIONS, geometry

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.nexus import COMPRESSIONS, write_nexus

#: what the NXmx definition (2022.07) and the gold standard ask for: path -> NX_class, or None for a field
REQUIRED = {
    "entry": "NXentry",
    "entry/definition": None,
    "entry/start_time": None,
    "entry/end_time_estimated": None,
    "entry/data": "NXdata",
    "entry/data/data": None,
    "entry/source": "NXsource",
    "entry/source/name": None,
    "entry/sample": "NXsample",
    "entry/sample/name": None,
    "entry/sample/depends_on": None,
    "entry/sample/transformations": "NXtransformations",
    "entry/instrument": "NXinstrument",
    "entry/instrument/name": None,
    "entry/instrument/beam": "NXbeam",
    "entry/instrument/beam/incident_wavelength": None,
    "entry/instrument/detector": "NXdetector",
    "entry/instrument/detector/depends_on": None,
    "entry/instrument/detector/description": None,
    "entry/instrument/detector/distance": None,
    "entry/instrument/detector/count_time": None,
    "entry/instrument/detector/beam_center_x": None,
    "entry/instrument/detector/beam_center_y": None,
    "entry/instrument/detector/sensor_material": None,
    "entry/instrument/detector/sensor_thickness": None,
    "entry/instrument/detector/saturation_value": None,
    "entry/instrument/detector/transformations": "NXtransformations",
    "entry/instrument/detector/module": "NXdetector_module",
    "entry/instrument/detector/module/data_origin": None,
    "entry/instrument/detector/module/data_size": None,
    "entry/instrument/detector/module/module_offset": None,
    "entry/instrument/detector/module/fast_pixel_direction": None,
    "entry/instrument/detector/module/slow_pixel_direction": None,
}
UNITS = {"mm": 1e-3, "m": 1.0}


def pixels(count):
    return np.random.default_rng(4).poisson(30.0, (count, 70, 90)).astype(np.uint16)


def write(path, described, count=3, **options):
    images = pixels(count)
    write_nexus(path, images, [described.next(i) for i in range(count)], images.dtype, 65535, **options)
    return images


def place(file, axis):
    """Where a chain of translations ends, m: the axis and all that it depends on."""
    at = np.zeros(3)
    while axis != ".":
        field = file[axis]
        assert field.attrs["transformation_type"] == "translation"
        assert np.linalg.norm(field.attrs["vector"]) == pytest.approx(1.0)
        at += field[0] * UNITS[field.attrs["units"]] * field.attrs["vector"]
        axis = field.attrs["depends_on"]
    return at


def test_what_the_definition_asks_for(tmp_path):
    path = tmp_path / "sweep.h5"
    images = write(path, geometry())
    with h5py.File(path) as file:
        for name, kind in REQUIRED.items():
            assert name in file, name
            if kind is not None:
                assert file[name].attrs["NX_class"] == kind
        assert file["entry/definition"][()] == b"NXmx"
        assert np.array_equal(file["entry/data/data"], images) and file["entry/data/data"].dtype == np.uint16
        assert file["entry/data"].attrs["signal"] == "data"
        assert file["entry/instrument/beam/incident_wavelength"].attrs["units"] == "angstrom"
        assert file["entry/instrument/beam/incident_wavelength"][()] == pytest.approx(1.1)
        omega = file[file["entry/sample/depends_on"][()]]
        assert omega.attrs["transformation_type"] == "rotation" and omega.attrs["units"] == "deg"
        assert np.allclose(omega, [30.0, 30.5, 31.0])
        assert np.allclose(file["entry/sample/transformations/omega_end"], [30.5, 31.0, 31.5])
        assert list(file["entry/instrument/detector/module/data_size"]) == [70, 90]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("tilt", [(), ("-twotheta", "12")], ids=["flat", "tilted"])
def test_geometry(tmp_path, convention, tilt):
    described = geometry(f"-{convention}", *tilt)
    write(tmp_path / "sweep.h5", described)
    # the McStas frame is the imgcif frame turned by half a turn about y
    rotation = np.diag([-1, 1, -1]) @ described.frame("imgcif")
    with h5py.File(tmp_path / "sweep.h5") as file:
        module = file["entry/instrument/detector/module"]
        for name in ("fast", "slow"):
            axis = module[f"{name}_pixel_direction"]
            assert np.allclose(axis.attrs["vector"], rotation @ np.asarray(getattr(described, name)))
            assert axis[0] == pytest.approx(0.5) and axis.attrs["units"] == "mm"
            assert place(file, axis.attrs["depends_on"]) == pytest.approx(rotation @ np.asarray(described.origin))
        omega = file["entry/sample/transformations/omega"]
        assert np.allclose(omega.attrs["vector"], (-1, 0, 0)) and omega.attrs["depends_on"] == "."
        detector = file["entry/instrument/detector"]
        assert detector["distance"][()] == pytest.approx(described.distance)
        centre = [detector[f"beam_center_{axis}"][()] * described.pixel_size for axis in "xy"]
        assert centre == pytest.approx(described.beam_centre)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressions(tmp_path, compression):
    path = tmp_path / "sweep.h5"
    images = write(path, geometry(), compression=compression)
    with h5py.File(path) as file:
        data = file["entry/data/data"]
        assert np.array_equal(data, images)
        assert (data.id.get_storage_size() < images.nbytes) == (compression != "none")


def test_same_images_same_file(tmp_path):
    for name in ("a.h5", "b.h5"):
        write(tmp_path / name, geometry())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_nothing_is_left_of_a_failure(tmp_path):
    def images():
        yield from pixels(2)
        raise NanoBraggError("the third cannot be read")

    with pytest.raises(NanoBraggError, match="the third"):
        write_nexus(tmp_path / "sweep.h5", images(), [geometry()] * 3, np.uint16)
    assert list(tmp_path.iterdir()) == []


def test_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(NanoBraggError, match="cannot be a pipe or a device"):
        write(tmp_path / "pipe.h5", geometry())


def test_curved_detectors_are_refused(tmp_path):
    with pytest.raises(NanoBraggError, match="curved"):
        write(tmp_path / "sweep.h5", geometry("-curved_det", "1"))


@pytest.mark.parametrize(("module", "compression"), [("h5py", "gzip"), ("hdf5plugin", "bslz4")])
def test_missing_library(tmp_path, monkeypatch, module, compression):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NanoBraggError, match=rf"need {module}: pip install 'nanobragg-py\[hdf5(plugin)?\]'"):
        write(tmp_path / "sweep.h5", geometry(), compression=compression)
