"""Detectors of several panels in the files of other programs."""

import gzip
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from panel_files import hierarchical, turn

import nanobragg_py as nb
from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.panels import panels_of
from nanobragg_py.files.detectors.read import read_panels
from nanobragg_py.files.geometry import experiment_geometry
from nanobragg_py.files.image import read_image
from nanobragg_py.inspect.predictions import predict_panels


def crystal():
    return nb.Crystal.from_cell(50, 60, 70, 80, 95, 100, cells=(8, 8, 8), missets=(0.1, 0.2, 0.3))


def jungfrau(gap=8, **more):
    """Eight modules of 512 x 1024 pixels of 75 um about the beam, as CrystFEL states them."""
    lines = ["photon_energy = 12400 eV", "adu_per_photon = 1", "clen = 0.120 m", "res = 13333.333", "", "dim0 = %"]
    for number in range(8):
        row, column = number // 2, number % 2
        x = -1030 + column * (1024 + gap)
        y = -1060 + row * (512 + gap)
        name = f"p{number}"
        lines += [
            f"{name}/min_fs = 0",
            f"{name}/max_fs = 1023",
            f"{name}/min_ss = {512 * number}",
            f"{name}/max_ss = {512 * number + 511}",
            f"{name}/corner_x = {x}",
            f"{name}/corner_y = {y}",
            f"{name}/fs = +0.999998x +0.002y",
            f"{name}/ss = -0.002x +0.999998y",
            *(f"{name}/{key} = {value}" for key, value in more.items()),
        ]
    lines += ["bad_edge/panel = p3", "bad_edge/min_fs = 0", "bad_edge/max_fs = 1023"]
    lines += ["bad_edge/min_ss = 1536", "bad_edge/max_ss = 1537", "rigid_group_all = p0,p1,p2,p3,p4,p5,p6,p7"]
    lines += ["rigid_group_collection_whole = all", "; a comment"]
    return "\n".join(lines) + "\n"


def test_crystfel_jungfrau(tmp_path):
    path = tmp_path / "j.geom"
    path.write_text(jungfrau())
    found = read_panels(path)
    assert found.wavelength == pytest.approx(12398.42 / 12400 * 1e-10, rel=1e-4)
    assert [panel.name for panel in found.panels] == [f"p{n}" for n in range(8)]
    pixel = 1 / 13333.333
    # CrystFEL looks along z with y up; MOSFLM's beam is x, its spindle z
    first = found.panels[0]
    assert first.origin == pytest.approx((0.12, -1060 * pixel, 1030 * pixel), abs=1e-12)
    assert first.fast == pytest.approx((0, 0.002, -0.999998), abs=1e-6)
    assert first.slow == pytest.approx((0, 0.999998, 0.002), abs=1e-6)
    assert [panel.corner for panel in found.panels[:3]] == [(0, 0), (512, 0), (1024, 0)]
    assert (found.panels[3].mask[:2] == 0).all() and (found.panels[3].mask[2:] == 1).all()
    detector = nb.Detector.read(path)
    experiment = nb.Experiment(
        crystal(),
        nb.Beam(wavelength=found.wavelength),
        detector,
        nb.Sampling(oversample=1),
        nb.StructureFactors(default_F=50),
    )
    image = experiment.render()
    assert image.shape == (8, 512, 1024)
    assert (image[3][:2] == 0).all() and (image.max(axis=(1, 2)) > 0).all()


def test_crystfel_agipd(tmp_path):
    """Sixteen modules of eight tiles each; axes in three dimensions, an offset, and camera lengths in the images."""
    lines = ["clen = /entry/instrument/camera_length", "coffset = 0.001", "res = 5000", "wavelength = 1.3 A"]
    for module in range(16):
        quadrant, place = divmod(module, 4)
        spin = nb.axis_rotation((0, 0, 1), np.radians(90 * quadrant + 1))
        for tile in range(8):
            corner = spin @ np.array([15.0 + 66.0 * tile, 15.0 + 130.0 * place, 0.0])
            name = f"m{module}a{tile}"
            fs, ss = (
                " ".join(f"{value:+.9f}{axis}" for value, axis in zip(spin @ v, "xyz", strict=True))
                for v in ((0, 1, 0), (1, 0, 0))
            )
            lines += [f"{name}/dim0 = %", f"{name}/dim1 = {module}", f"{name}/dim2 = ss", f"{name}/dim3 = fs"]
            lines += [f"{name}/min_fs = 0", f"{name}/max_fs = 127", f"{name}/fs = {fs}", f"{name}/ss = {ss}"]
            lines += [f"{name}/min_ss = {64 * tile}", f"{name}/max_ss = {64 * tile + 63}"]
            lines += [f"{name}/corner_x = {corner[0]:.9f}", f"{name}/corner_y = {corner[1]:.9f}"]
    path = tmp_path / "a.geom"
    path.write_text("\n".join(lines))
    with pytest.raises(NanoBraggError, match="panel m0a0 has no camera length"):
        read_panels(path)
    found = read_panels(path, distance=0.2)
    assert found.took_distance and "200 mm is taken" in found.remarks[0]
    assert len(found.panels) == 128
    assert {panel.origin[0] for panel in found.panels} == {0.201}
    experiment = nb.Experiment(
        crystal(),
        nb.Beam(wavelength=1.3e-10),
        nb.Detector(panels=panels_of(found)),
        nb.Sampling(oversample=1),
        nb.StructureFactors(default_F=50),
    )
    image = experiment.render()
    assert image.shape == (128, 64, 128) and (image > 0).mean() > 0.99


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("p0,p1,", "p0,p9,"), "names p9, and there is no panel or group of that name"),
        (("whole = all", "whole = all,none"), "names none, and there is no group of that name"),
        (("p2/max_fs = 1023", "p2/max_fs = -1"), "panel p2 has no pixels"),
        (("p2/corner_x = -1030", "p2/corner_x = hello"), "line 27: p2/corner_x is 'hello'; it must be a number"),
        (("p5/corner_x = 2", "p5/corner_x = -1020 ;"), "panels p4 and p5 overlap"),
        (("p5/max_ss = 3071", "p5/max_ss = 3072"), "overlap in the stored image"),
        (("p1/fs = +0.999998x +0.002y", "p1/fs = up"), "p1/fs is 'up'; it must be a sum such as"),
        (("p1/fs = +0.999998x +0.002y", "p1/fs = +0.002x +0.999998y"), "panel p1 has fs and ss that are not at right"),
        (("p4/min_ss", "p4/min"), "panel p4 has no min_ss; every panel needs"),
        (("res = 13333.333", "res = 0"), "res is '0'; it must be above 0"),
        (("clen = 0.120 m", "clen = 0.120 ft"), "clen is '0.120 ft'; it must be a number with one of the units"),
        (("bad_edge/panel = p3", "bad_edge/panel = q3"), "bad_edge is of panel q3, and there is none"),
        (("adu_per_photon = 1", "adu_per_photon"), "line 2: 'adu_per_photon' is no line of a geometry file"),
        (("photon_energy = 12400 eV", "photon_energy = -3 eV"), "must be above 0"),
    ],
)
def test_crystfel_broken(tmp_path, change, said, capfd):
    path = tmp_path / "broken.geom"
    text = jungfrau()
    assert change[0] in text
    path.write_text(text.replace(*change, 1) if "p5/corner_x" not in change[0] else overlap(text))
    with pytest.raises(NanoBraggError) as caught:
        read_panels(path)
    assert said in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01\0\0", b"a = b\n" + bytes(10), b"\x89PNG\r\n\x1a\n\0 = 1"])
def test_a_binary_file_is_not_quoted(tmp_path, content):
    path = tmp_path / "some.geom"
    path.write_bytes(content)
    with pytest.raises(NanoBraggError) as caught:
        read_panels(path)
    said = f"{path} is no known kind of geometry file; give a DIALS .expt, CrystFEL .geom or NXmx file"
    assert str(caught.value) == said


def overlap(text):
    return "\n".join("p5/corner_x = -1000" if line.startswith("p5/corner_x") else line for line in text.splitlines())


#: imgcif has z towards the source and x along the spindle; the MOSFLM convention has x along the beam, z the spindle
TO_MOSFLM = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]])


def test_dials_hierarchy(tmp_path):
    path, truth = hierarchical(tmp_path)
    found = read_panels(path)
    assert found.wavelength == pytest.approx(1.1e-10)
    for panel, (origin, fast, slow) in zip(found.panels, truth, strict=True):
        np.testing.assert_allclose(panel.origin, TO_MOSFLM @ origin * 1e-3, atol=1e-12)
        np.testing.assert_allclose(panel.fast, TO_MOSFLM @ fast, atol=1e-12)
        np.testing.assert_allclose(panel.slow, TO_MOSFLM @ slow, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["detector"][0]["hierarchy"]["children"].append({"panel": 9}), "holds panel 9, and there are 4"),
        (lambda c: c["detector"][0]["panels"][1].update(image_size=[0, 40]), "panel q0m1 has no pixels"),
        (lambda c: c["detector"][0]["panels"][1].update(origin=[0, 0, 0]), "panels q0m0 and q0m1 overlap"),
        (lambda c: c["detector"][0]["panels"][1].update(pixel_size=[0.1, 0.2]), "must be square"),
        (lambda c: c["detector"][0]["panels"][1].update(fast_axis=[0, 0, 0]), "is 0 0 0; it must be a direction"),
        (lambda c: c["detector"][0]["panels"][1].pop("pixel_size"), "it has no pixel_size"),
        (lambda c: c["experiment"][0].update(detector=-1), "has no experiment with a detector"),
        (lambda c: c["experiment"][0].update(detector=4), "states no usable detector"),
        (lambda c: c.update(experiment=None), "states no usable detector"),
    ],
)
def test_dials_broken(tmp_path, change, said):
    path, _ = hierarchical(tmp_path, change)
    with pytest.raises(NanoBraggError) as caught:
        read_panels(path)
    assert said in str(caught.value) and str(path) in str(caught.value)


def test_a_nexus_file_without_an_entry_is_a_sentence(tmp_path):
    h5py = pytest.importorskip("h5py", reason="no h5py, which NeXus files need")
    with h5py.File(tmp_path / "d.nxs", "w") as file:
        file.create_group("entry/module").attrs["NX_class"] = "NXdetector_module"
    with pytest.raises(NanoBraggError, match=r"d\.nxs: it has no NXentry"):
        nb.Detector.read(tmp_path / "d.nxs")


@pytest.mark.parametrize("damage", ["free space", "size"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_heap_of_texts_without_an_end(tmp_path, wrapped, damage):
    """The HDF5 library would read it for ever, and hear no signal."""
    h5py = pytest.importorskip("h5py", reason="no h5py, which NeXus files need")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_group("entry").attrs["NX_class"] = "NXentry"
        file["entry/data/data"] = np.zeros((4, 5), np.uint16)
    data = bytearray((tmp_path / "d.h5").read_bytes())
    assert read_image(tmp_path / "d.h5").pixels.shape == (4, 5)
    with h5py.File(tmp_path / "f.h5", "w") as file:  # where there is no group, the one stack of the file is meant
        file.create_group("entry").attrs["NX_class"] = "NXentry"
        file["entry/data"] = np.full((4, 5), 7, np.uint16)
    assert (read_image(tmp_path / "f.h5").pixels == 7).all()
    heap = data.index(b"GCOL")
    text = data.index(b"NXentry", heap)
    assert text < heap + 4096
    if damage == "free space":
        data[text + 8 : heap + 4096] = bytes(heap + 4096 - text - 8)
    else:  # the next object has the largest size that there is
        data[text + 8 : text + 24] = b"\xff" * 16
    name = tmp_path / ("e.h5.gz" if wrapped else "e.h5")
    name.write_bytes(gzip.compress(data) if wrapped else data)
    with pytest.raises(NanoBraggError, match=rf"e\.h5.* is damaged: its heap of texts at byte {heap} has no end"):
        read_image(name)
    if not wrapped:
        with pytest.raises(NanoBraggError, match="heap of texts"):
            nb.Detector.read(name)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_nexus_with_no_wavelength(tmp_path, value):
    h5py = pytest.importorskip("h5py", reason="no h5py, which NeXus files need")
    path, _ = hierarchical(tmp_path)
    experiment = nb.Experiment(
        crystal(), nb.Beam(wavelength=1e-10), nb.Detector.read(path), nb.Sampling(), nb.StructureFactors(default_F=50)
    )
    experiment.to_nexus(tmp_path / "p.nxs", experiment.render())
    assert nb.Detector.read(tmp_path / "p.nxs").panels
    with h5py.File(tmp_path / "p.nxs", "r+") as file:
        file["entry/instrument/beam/incident_wavelength"][...] = value
    with pytest.raises(NanoBraggError, match=r"p\.nxs: its .*/incident_wavelength is no(ne| number)"):
        nb.Detector.read(tmp_path / "p.nxs")


def test_nexus_has_every_panel_where_it_is(tmp_path):
    h5py = pytest.importorskip("h5py", reason="no h5py, which NeXus files need")
    path, _ = hierarchical(tmp_path)
    detector = nb.Detector.read(path)
    panels = list(detector.panels)
    panels[1] = panels[1].replace(mask=np.arange(40 * 60).reshape(40, 60) % 7)
    experiment = nb.Experiment(
        crystal(),
        nb.Beam(wavelength=1.1e-10),
        nb.Detector(panels=panels),
        nb.Sampling(oversample=1, osc=0.01, phisteps=2),
        nb.StructureFactors(default_F=50),
    )
    images = [experiment.render(), experiment.replace({"sampling.phi0": 0.01}).render()]
    experiment.to_nexus(tmp_path / "p.nxs", images)
    back = read_panels(tmp_path / "p.nxs")
    assert back.wavelength == pytest.approx(1.1e-10, rel=1e-12)
    for panel, given in zip(back.panels, panels, strict=True):
        for name in ("origin", "fast", "slow"):
            np.testing.assert_allclose(getattr(panel, name), getattr(given, name), atol=1e-10)
        assert (panel.name, panel.pixel_size) == (given.name, pytest.approx(given.pixel_size, rel=1e-12))
    with h5py.File(tmp_path / "p.nxs") as file:
        stored = file["entry/data/data"][()]
        assert stored.shape == (2, 160, 60)
        for number, name in enumerate(["q0m0", "q0m1", "q1m0", "q1m1"]):
            own = file[f"entry/instrument/detector/{name}/data"][()]
            for image, frame, whole_frame in zip(images, own, stored, strict=True):
                assert (frame == image[number]).all()
                assert (whole_frame[40 * number : 40 * number + 40] == image[number]).all()
        bad = file["entry/instrument/detector/pixel_mask"][40:80]
        assert (bad == (np.asarray(panels[1].mask) == 0)).all()


SYSTEM_PYTHON = "/usr/bin/python3"
READ_BACK = """
import json, sys
import numpy as np
from dxtbx.model.experiment_list import ExperimentListFactory
experiment = ExperimentListFactory.from_filenames([sys.argv[1]])[0]
panels = [[list(p.get_origin()), list(p.get_fast_axis()), list(p.get_slow_axis())] for p in experiment.detector]
raw = [r.as_numpy_array().tolist() for r in experiment.imageset.get_raw_data(0)]
print(json.dumps({"panels": panels, "raw": raw}))
"""


def test_dxtbx_reads_what_is_written(tmp_path):
    """Panel frames to 1e-9 m, pixels exactly. DIALS is Debian's python3-dials; skipped without."""
    pytest.importorskip("h5py", reason="no h5py, which NeXus files need")
    there = (
        shutil.which(SYSTEM_PYTHON)
        and not subprocess.run(
            [SYSTEM_PYTHON, "-c", "import dxtbx"], capture_output=True, check=False, env=bare()
        ).returncode
    )
    if not there:
        pytest.skip("no dxtbx in the system's python")
    path, truth = hierarchical(tmp_path)
    experiment = nb.Experiment(
        crystal(),
        nb.Beam(wavelength=1.1e-10),
        nb.Detector.read(path),
        nb.Sampling(oversample=1),
        nb.StructureFactors(default_F=500),
    )
    image = np.round(experiment.render()).astype(np.int32)
    experiment.to_nexus(tmp_path / "p.nxs", image)
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", READ_BACK, str(tmp_path / "p.nxs")],
        capture_output=True,
        text=True,
        check=True,
        env=bare(),
    )
    found = json.loads(done.stdout.splitlines()[-1])
    for ours, (origin, fast, slow) in zip(found["panels"], truth, strict=True):
        np.testing.assert_allclose(np.array(ours[0]) * 1e-3, origin * 1e-3, atol=1e-9)
        np.testing.assert_allclose(ours[1:], [fast, slow], atol=1e-12)
    assert (np.array(found["raw"]) == image).all()


PREDICT = """
import json, sys
from scitbx import matrix
from dials.array_family import flex
from dials.algorithms.spot_prediction import ScanStaticReflectionPredictor
from dxtbx.model import Beam, Crystal, Detector, Experiment, Goniometer, Scan
spec = json.load(sys.stdin)
detector = Detector()
for fast, slow, origin in spec["panels"]:
    panel = detector.add_panel()
    panel.set_frame(fast, slow, [1000 * x for x in origin])
    panel.set_pixel_size((0.1, 0.1))
    panel.set_image_size((480, 240))
real = matrix.sqr(spec["A"]).inverse()
crystal = Crystal(real[0:3], real[3:6], real[6:9], "P1")
osc = spec["osc"]
experiment = Experiment(
    beam=Beam((0, 0, 1), 1.1), detector=detector, goniometer=Goniometer(spec["spindle"]),
    scan=Scan((1, 3), (-osc, osc)), crystal=crystal, imageset=None,
)
found = ScanStaticReflectionPredictor(experiment, dmin=1.4).for_ub(crystal.get_A())
rows = zip(found["miller_index"], found["panel"], found["xyzcal.px"])
print(json.dumps([[list(h), p, list(x)] for h, p, x in rows]))
"""


def test_dials_predicts_spots_where_they_are_rendered():
    """On eight tilted panels: its predictions are ours, and the centres of mass of spots, each rendered alone."""
    if not shutil.which("dials.integrate"):
        pytest.skip("DIALS is not on the path")
    tilt = turn((0.3, 1, 0.2), 12)
    panels = []
    for n in range(8):
        own = turn((1, 0.2, 0.4), 0.7 * n) @ tilt
        corner = tilt @ (0.1, 0.052 - 0.026 * (n // 2), -0.05 + 0.051 * (n % 2))
        panels.append(nb.Panel(tuple(corner), tuple(own @ (0, 0, 1)), tuple(own @ (0, -1, 0)), 1e-4, 480, 240))
    osc = 6.0
    experiment = nb.Experiment(
        crystal().replace(cells=(12, 12, 12), shape="gauss"),  # whose spots are wider than pixels
        nb.Beam(wavelength=1.1e-10, fluence=1e28),
        nb.Detector(panels=panels),
        nb.Sampling(oversample=2, osc=np.radians(osc), phisteps=150),
        nb.StructureFactors(default_F=100),
    )
    resolved = experiment.resolved
    frame = experiment_geometry(resolved).frame("imgcif")
    A = np.array([resolved.crystal.a_star, resolved.crystal.b_star, resolved.crystal.c_star]).T
    spec = {
        "panels": [[(frame @ np.array(v)).tolist() for v in (p.fast, p.slow, p.origin)] for p in panels],
        "A": (frame @ A).ravel().tolist(),
        "spindle": (frame @ np.array(resolved.sampling.spindle)).tolist(), "osc": osc,
    }  # fmt: skip
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", PREDICT], input=json.dumps(spec), capture_output=True, text=True, env=bare()
    )
    assert done.returncode == 0, done.stderr
    theirs = {}
    for h, panel, place in json.loads(done.stdout.splitlines()[-1]):
        theirs.setdefault((*h, panel), []).append(place)
    compared = rendered = 0
    for panel, h, f, s in zip(*predict_panels(resolved), strict=True):
        some = [place for place in theirs.get((*h.tolist(), panel), ()) if 1.0 < place[2] < 2.0]
        if len(some) != 1:  # a spot that only begins, or comes twice
            continue
        assert np.hypot(f - some[0][0], s - some[0][1]) < 1e-6
        compared += 1
        i, j = int(f), int(s)
        if not (14 < i < 465 and 14 < j < 225 and 1.35 < some[0][2] < 1.65) or rendered == 30:
            continue
        alone = experiment.replace(structure_factors=nb.StructureFactors.from_arrays([h.tolist()], [100.0]))
        box = alone.render(dtype="float64", rois={int(panel): [(i - 14, i + 14, j - 14, j + 14)]})[panel]
        box = box[j - 14 : j + 15, i - 14 : i + 15]
        down, across = np.mgrid[j - 14 : j + 15, i - 14 : i + 15] + 0.5
        centre = (box * across).sum() / box.sum(), (box * down).sum() / box.sum()
        assert np.hypot(centre[0] - some[0][0], centre[1] - some[0][1]) < 5e-3
        rendered += 1
    assert compared > 1000 and rendered == 30


def bare():
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
