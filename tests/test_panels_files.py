"""Detectors of several panels in the files of other programs, and in what the programs make of them."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

import nanobragg_py as nb
from nanobragg_py.batch import Maker, Output, iter_images, run
from nanobragg_py.cli.main import main
from nanobragg_py.errors import NanoBraggError, NanoBraggWarning
from nanobragg_py.experiment.panels import panels_of
from nanobragg_py.files.detectors.read import read_panels
from nanobragg_py.files.geometry import experiment_geometry
from nanobragg_py.inspect.predictions import predict_panels


def turn(axis, degrees):
    return nb.axis_rotation(axis, np.radians(degrees))


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


def overlap(text):
    return "\n".join("p5/corner_x = -1000" if line.startswith("p5/corner_x") else line for line in text.splitlines())


def hierarchical(tmp_path, change=lambda content: None):
    """An experiment list with two tilted groups of two panels; and where those are, worked out here, mm, imgcif."""

    def node(rotation, origin, **more):
        fast, slow, _ = rotation.T
        return {"fast_axis": fast.tolist(), "slow_axis": slow.tolist(), "origin": list(origin), **more}

    flip = np.diag([1.0, -1.0, -1.0])
    root = turn((0.1, 1, 0.2), 12) @ flip, np.array([1.0, 2.0, -120.0])
    groups = [(turn((0, 0, 1), 3 * n + 1), np.array([-60.0 + 62 * n, -50.0, 0.5 * n])) for n in range(2)]
    own = [(turn((1, 0, 0.3), 0.5 * m), np.array([float(m), 26.0 * m, 0.0])) for m in range(2)]
    panels, truth, children = [], [], []
    for n, (R, o) in enumerate(groups):
        below = []
        for m, (r, p) in enumerate(own):
            below.append({"panel": len(panels)})
            panels.append(
                node(r, p, name=f"q{n}m{m}", pixel_size=[0.1, 0.1], image_size=[60, 40], thickness=0.0, mu=0.0)
            )
            turned = root[0] @ R @ r
            truth.append((root[0] @ (R @ p + o) + root[1], turned[:, 0], turned[:, 1]))
        children.append(node(R, o, name=f"q{n}", children=below))
    content = {
        "__id__": "ExperimentList",
        "experiment": [{"beam": 0, "detector": 0, "goniometer": 0}],
        "beam": [{"direction": [0.0, 0.0, 1.0], "wavelength": 1.1}],
        "goniometer": [{"rotation_axis": [1.0, 0.0, 0.0]}],
        "detector": [{"panels": panels, "hierarchy": node(*root, name="root", children=children)}],
    }
    change(content)
    path = tmp_path / "h.expt"
    path.write_text(json.dumps(content))
    return path, truth


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


# ---- programs ------------------------------------------------------------------------------------------------------

LINE = "-cell 50 60 70 80 95 100 -N 8 -misset 12 25 40 -lambda 1.1 -default_F 100 -oversample 1 -seed 1 -nopgm"


def test_drop_in(tmp_path, runner):
    path, _ = hierarchical(tmp_path)
    done = runner("-geometry", str(path), *LINE.split())
    assert done.returncode == 0, done.stderr
    assert "4 panels are written as one image" in done.stderr
    floats = np.fromfile(runner.folder / "floatimage.bin", np.float32).reshape(160, 60)
    stack = nb.Experiment.from_args(["-geometry", str(path), *LINE.split()]).render()
    assert (floats == stack.reshape(160, 60)).all() and floats.max() > 0
    assert b"SIZE1=60" in (runner.folder / "intimage.img").read_bytes()[:512]
    assert b"SIZE2=160" in (runner.folder / "intimage.img").read_bytes()[:512]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("-compat c", "knows no panels"),
        ("-curved_det", "-curved_det bends one detector"),
        ("-printout", "-printout knows one detector"),
        ("-geometry missing.expt", "cannot read missing.expt"),
        ("-trace_pixel 159 60", "is on no panel"),
    ],
)
def test_drop_in_refuses(tmp_path, runner, flags, said):
    path, _ = hierarchical(tmp_path)
    done = runner("-geometry", str(path), *LINE.split(), *flags.split())
    assert done.returncode == 9 and said in done.stderr
    assert not (runner.folder / "floatimage.bin").exists()


def smv(path, pixels):
    """A mask as an SMV image, whose header says of the detector what has no effect."""
    size = f"SIZE1={pixels.shape[1]};\nSIZE2={pixels.shape[0]};\nDISTANCE=77;\n"
    head = f"{{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\n{size}}}\f"
    path.write_bytes(head.encode().ljust(512) + pixels.astype("<u2").tobytes())


def test_drop_in_region_and_mask(tmp_path, runner):
    """Both are of the image that holds all panels: the pixels that are left are the same, the others 0."""
    path, _ = hierarchical(tmp_path)
    line = ["-geometry", str(path), *LINE.split()]
    whole = nb.Experiment.from_args(line).render().reshape(160, 60)
    mask = np.ones((160, 60), np.uint16)
    mask[30:50, 20:] = 0
    smv(tmp_path / "mask.img", mask)
    flags = ["-mask", str(tmp_path / "mask.img"), "-roi", "10", "40", "35", "90"]
    done = runner(*line, *flags)
    assert done.returncode == 0, done.stderr
    assert "states where its panels are; no effect of " in done.stderr
    assert f"DISTANCE of {flags[1]}" in done.stderr
    left = np.zeros((160, 60), bool)
    left[35:91, 10:41] = True
    left &= mask != 0
    floats = np.fromfile(runner.folder / "floatimage.bin", np.float32).reshape(160, 60)
    assert np.array_equal(floats, np.where(left, whole, 0)) and (floats[left] > 0).all()
    noise = np.frombuffer((runner.folder / "noiseimage.img").read_bytes()[512:], "<u2").reshape(160, 60)
    inside = np.zeros((160, 60), bool)
    inside[35:91, 10:41] = True
    assert not noise[~inside].any() and (noise[inside] >= 40).all()
    with pytest.warns(NanoBraggWarning):
        experiment = nb.Experiment.from_args([*line, *flags])
    assert np.array_equal(experiment.render().reshape(160, 60), floats)
    regions = [panel.roi for panel in experiment.detector.panels]
    assert regions == [(10, 40, 35, 39), (10, 40, 0, 39), (10, 40, 0, 10), (10, 40, 40, 40)]
    # one bound alone, as for a detector that is one
    assert runner(*line, "-roi", "-1", "-1", "120", "-1").returncode == 0
    floats = np.fromfile(runner.folder / "floatimage.bin", np.float32).reshape(160, 60)
    assert np.array_equal(floats[120:], whole[120:]) and not floats[:120].any()


def test_drop_in_mask_of_another_size(tmp_path, runner):
    path, _ = hierarchical(tmp_path)
    smv(tmp_path / "mask.img", np.ones((40, 60), np.uint16))
    done = runner("-geometry", str(path), *LINE.split(), "-mask", str(tmp_path / "mask.img"))
    assert done.returncode == 9 and "has 60 x 40 pixels; the image of all panels has 60 x 160" in done.stderr
    assert not (runner.folder / "floatimage.bin").exists()


def test_batch_of_panels(tmp_path):
    """Images are stacks; formats for images of one detector refuse them, and region and domains of flags hold."""
    path, _ = hierarchical(tmp_path)
    np.savetxt(tmp_path / "domains.txt", [np.eye(3).ravel(), turn((0, 0, 1), 0.4).ravel()])
    line = f"-geometry {path} {LINE} -roi 10 40 35 90 -domain_file {tmp_path / 'domains.txt'} -physics exact"
    job = {"experiment": {"flags": line}, "repeat": 2, "noise": False, "random": {"crystal.orientation": "uniform"}}
    (tmp_path / "job.json").write_text(json.dumps(job))
    images = list(iter_images(tmp_path / "job.json"))
    experiment, _, _ = Maker(tmp_path / "job.json").experiment(1)
    assert images[1].shape == (4, 40, 60) and np.array_equal(images[1], experiment.render())
    assert len(experiment.crystal.domains) == 2 and experiment.detector.panels[2].roi == (10, 40, 0, 10)
    with pytest.raises(NanoBraggError, match="has 4 panels, and hdf5 files are of one here; use --format npy"):
        run(tmp_path / "job.json", Output(str(tmp_path / "out")))


def test_drop_in_says_what_has_no_effect(tmp_path, runner):
    path, _ = hierarchical(tmp_path)
    flags = ["-distance", "50", "-lambda", "1.3", "-detector_rotx", "3"]
    done = runner("-geometry", str(path), *LINE.split(), *flags)
    assert "no effect of -distance, -detector_rotx" in done.stderr
    assert "states a wavelength of 1.1 A, and 1.3 A is used; give -lambda" in done.stderr


def test_trace_by_panel(tmp_path, capsys):
    path, _ = hierarchical(tmp_path)
    flags = ["--", "-geometry", str(path), *LINE.split()]
    stack = nb.Experiment.from_args(flags[1:]).render()
    for place in (
        ["--pixel", "92", "17"],
        ["--pixel", "12", "17", "--panel", "q1m0"],
        ["--pixel", "12", "17", "--panel", "2"],
    ):
        assert main(["trace", *place, *flags]) == 0
        value = next(line for line in capsys.readouterr().out.splitlines() if "I_pixel_final" in line).split()[-1]
        assert float(value) == pytest.approx(stack[2][12, 17], rel=1e-6)
    assert main(["trace", "--pixel", "1", "1", "--panel", "nine", *flags]) == 2
    assert "there is no panel 'nine'; there are 4: q0m0" in capsys.readouterr().err
