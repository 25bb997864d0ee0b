"""Curved detectors: the vector loops, which take scattering vectors there, against one pixel after the other."""

import pytest

from nanobragg_py.experiment.load import load_args
from nanobragg_py.kernels.loops.job import SHAPES, Job
from nanobragg_py.kernels.loops.sequential import Sequential, render_sequential
from nanobragg_py.kernels.memory.buffers import Buffer
from nanobragg_py.render.simulate import simulate

FLAGS = {"square": "", "gauss": "-gauss_xtal", "round": "-round_xtal", "tophat": "-tophat_xtal"}
SAMPLING = {
    "still": "",
    "mosaic": "-mosaic 1 -mosaic_domains 70 -dispersion 2 -dispsteps 2",
    "weighted": "-physics exact -spectrum spectrum.txt -phi 5 -osc 2 -phisteps 3",
}


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    indices = range(-12, 13)
    lines = [f"{h} {k} {l} {20 + (7 * h + 11 * k + 13 * l) % 100}\n" for h in indices for k in indices for l in indices]
    (tmp_path / "some.hkl").write_text("".join(lines))
    (tmp_path / "spectrum.txt").write_text("0.99 1\n1.01 3\n")


def test_every_shape_is_here():
    assert set(FLAGS) == set(SHAPES)


@pytest.mark.parametrize("structure", ["-default_F 100", "-hkl some.hkl", "-hkl some.hkl -interpolate"])
@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("shape", FLAGS)
@pytest.mark.parametrize("cells", [4, 5, 9])
def test_vectors_are_the_pixels_one_by_one(inputs, shape, cells, sampling, structure):
    flags = (
        f"-cell 41 52 63 85 95 100 -misset 12 25 40 -N {cells} {FLAGS[shape]} -lambda 1 -distance 60 -pixel 0.3 "
        f"-curved_det -oversample 1 -detpixels_x 90 -detpixels_y 5 {structure} {SAMPLING[sampling]}"
    )
    loaded = load_args(flags.split())
    image, _ = simulate(loaded.experiment, loaded.table)
    job = Job(loaded.experiment, loaded.table)
    assert job.roi == (0, 89, 0, 4)
    expected = Buffer(job.shape, "f")
    render_sequential(Sequential(job), expected)
    pairs = list(zip(memoryview(image).cast("B").cast("f"), memoryview(expected).cast("B").cast("f"), strict=True))
    top = max(value for _, value in pairs)
    assert top > 0.0
    for ours, value in pairs:
        assert abs(ours - value) <= 1e-6 * value + 1e-9 * top
