"""Spots that end (gauss, tophat) are not computed where they cannot be seen; nobody may see that."""

import pytest

from nanobragg_py.experiment.load import load_args
from nanobragg_py.kernels.loops.job import Job
from nanobragg_py.kernels.loops.sequential import Sequential, render_sequential
from nanobragg_py.kernels.memory.buffers import Buffer
from nanobragg_py.render.simulate import simulate

GEOMETRIES = {
    "still": "",
    "wide": "-pixel 2 -detpixels_x 90 -detpixels_y 14",
    "near": "-distance 3",
    "rotated": "-phi 10 -osc 4 -phisteps 3 -mosaic 1 -mosaic_domains 5",
    "tilted": "-detector_rotx 20 -detector_roty -35 -oversample 2",
    "bright": "-default_F 1e15",
}


@pytest.mark.parametrize("shape", ["-gauss_xtal", "-tophat_spots"])
@pytest.mark.parametrize("cells", [3, 8, 20])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_what_is_left_out_cannot_be_seen(shape, cells, geometry):
    flags = (
        f"-cell 61 72 83 85 95 100 -misset 12 25 40 -default_F 100 -N {cells} {shape} -oversample 1 "
        f"-pixel 0.3 -detpixels_x 150 -detpixels_y 8 -nointerpolate {GEOMETRIES[geometry]}"
    )
    loaded = load_args(flags.split())
    image, _ = simulate(loaded.experiment)
    job = Job(loaded.experiment)
    expected = Buffer(job.shape, "f")
    render_sequential(Sequential(job), expected)
    pairs = list(zip(memoryview(image).cast("B").cast("f"), memoryview(expected).cast("B").cast("f"), strict=True))
    top = max(value for _, value in pairs)
    for ours, value in pairs:
        assert abs(ours - value) <= 2e-7 * value + 1e-9 * top
        assert (ours == 0.0) == (value == 0.0)
