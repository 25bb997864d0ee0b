"""What the programs make of detectors of several panels."""

import json

import numpy as np
import pytest
from panel_files import hierarchical, turn

import nanobragg_py as nb
from nanobragg_py.batch import Maker, Output, iter_images, run
from nanobragg_py.cli.main import main
from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.image import read_image
from nanobragg_py.hints import NanoBraggWarning

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
    """Images are stacks; formats of one panel refuse them, HDF5 has one image, and region and domains of flags hold."""
    path, _ = hierarchical(tmp_path)
    np.savetxt(tmp_path / "domains.txt", [np.eye(3).ravel(), turn((0, 0, 1), 0.4).ravel()])
    line = f"-geometry {path} {LINE} -roi 10 40 35 90 -domain_file {tmp_path / 'domains.txt'} -physics exact"
    job = {"experiment": {"flags": line}, "repeat": 2, "noise": False, "random": {"crystal.orientation": "uniform"}}
    (tmp_path / "job.json").write_text(json.dumps(job))
    images = list(iter_images(tmp_path / "job.json"))
    experiment, _, _ = Maker(tmp_path / "job.json").experiment(1)
    assert images[1].shape == (4, 40, 60) and np.array_equal(images[1], experiment.render())
    assert len(experiment.crystal.domains) == 2 and experiment.detector.panels[2].roi == (10, 40, 0, 10)
    with pytest.raises(NanoBraggError, match="4 panels, for which cbf files have no room; use --format hdf5, nexus"):
        run(tmp_path / "job.json", Output(str(tmp_path / "out"), "cbf"))
    assert run(tmp_path / "job.json", Output(str(tmp_path / "out"))) == 0
    assert np.array_equal(read_image(tmp_path / "out" / "images.h5").pixels, images[0].reshape(160, 60))


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
