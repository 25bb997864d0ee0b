"""Many small images in one launch: the same to the bit as one by one."""

import numpy as np
import pytest

from nanobragg_py import Experiment
from nanobragg_py.batch import iter_images
from nanobragg_py.batch.images import Maker
from nanobragg_py.batch.jobs import Job
from nanobragg_py.data import Images
from nanobragg_py.render.backends import Compute
from nanobragg_py.render.images import render, render_many

FLAGS = "-default_F 100 -cell 50 60 70 80 95 100 -N 5 -lambda 1 -distance 100 -detpixels 24 -pixel 0.7 -oversample 1"
GPU = Compute(backend="gpu")


def of_images(launched):
    """The grids of the launches that render."""
    return [grid for name, grid in launched if name == "nb_intensity"]


def many(flags="", count=7):
    base = Experiment.from_args(f"{FLAGS} {flags}")
    return [
        base.replace({"crystal.missets": (0.1 * i, 0.2 * i, 0.3 * i), "beam.fluence": 1e25 * (i + 1)})
        for i in range(count)
    ]


@pytest.mark.parametrize(
    "flags",
    [
        "",
        "-mosaic_spread 1 -mosaic_domains 70",
        "-gauss_xtal -dispersion 2 -dispsteps 3",
        "-tophat_spots -roi 3 20 5 17",
        "-curved_det -oversample 2 -osc 1 -phisteps 3",
        "-round_xtal -dmin 2 -detector_thick 100 -detector_abs 200 -thicksteps 2 -oversample_thick",
    ],
)
@pytest.mark.parametrize("precision", ["double", "single"])
def test_one_launch(launched, flags, precision):
    """And images that differ in more than an orientation: wavelength, distance, number of phi steps."""
    experiments = many(flags)
    experiments[2] = experiments[2].replace({"beam.wavelength": 1.1e-10, "detector.distance": 0.11})
    experiments[4] = experiments[4].replace({"sampling.osc": 0.02, "sampling.phisteps": 5})
    how = GPU.replace(precision=precision)
    alone = [render(experiment, how) for experiment in experiments]
    assert len(of_images(launched)) == 7
    launched.clear()
    together = render_many(experiments, how)
    ((_, _, images),) = of_images(launched)
    assert images == 7
    for (image, statistics), (expected, found) in zip(together, alone, strict=True):
        assert np.array_equal(image, expected) and image.any()
        assert statistics.replace(seconds=0.0) == found.replace(seconds=0.0)


def test_what_goes_apart(launched, monkeypatch):
    """Other sizes, shapes and tables make launches of their own; an image that is long makes several."""
    from nanobragg_py.render.gpu import renderer

    small = many(count=2)
    large = [one.replace({"detector.fpixels": 30, "detector.spixels": 30}) for one in small]
    gauss = many("-gauss_xtal", count=1)
    other = many("-mosaic_spread 1 -mosaic_domains 3", count=1)
    experiments = [*small, *large, *gauss, *small, *other]
    expected = [render(experiment, GPU)[0] for experiment in experiments]
    counted_before = len(of_images(launched))
    images = [image for image, _ in render_many(experiments, GPU)]
    assert [grid[2] for grid in of_images(launched)[counted_before:]] == [2, 2, 1, 3]
    monkeypatch.setattr(renderer, "SECONDS", 600 / 0.8e9)  # one image of 24 x 24
    limited = [image for image, _ in render_many(experiments, GPU)]
    monkeypatch.undo()
    for image, other, one in zip(images, limited, expected, strict=True):
        assert np.array_equal(image, one) and np.array_equal(other, one)


def test_no_pixels_and_no_images(emulated):
    assert render_many([], GPU) == []
    empty = Experiment.from_args(f"{FLAGS} -roi 7 3 7 3")
    for image, statistics in render_many([empty, *many(count=2)], GPU)[:1]:
        assert not image.any() and statistics.pixels == 0


def stills(**more):
    return Job(
        {
            "repeat": 10,
            "backend": "gpu",
            "random": {"crystal.orientation": "uniform"},
            "experiment": {"flags": FLAGS},
            **more,
        }
    )


def test_batches_and_data_sets_use_it(launched):
    job = stills()
    alone = [Maker(job).make(index).pixels for index in range(10)]
    assert [grid[2] for grid in of_images(launched)] == [1] * 10
    images = Images(job)
    shuffled = images.stream(seed=3)
    order = shuffled.order(0)
    for made in (
        list(iter_images(job)),
        [image for image, _ in images],
        [image.astype(np.uint16) for image, _ in images.__getitems__(range(10))],
    ):
        assert all(np.array_equal(one, other) for one, other in zip(made, alone, strict=True))
    assert all(np.array_equal(alone[i], image) for i, (image, _) in zip(order, shuffled, strict=True))
    assert [grid[2] for grid in of_images(launched)[10:]] == [10] * 4


@pytest.mark.parametrize(("flags", "launches"), [("-noise_rng philox -adc 7", [(10, 10)]), ("", [])])
def test_noise_of_many(launched, monkeypatch, flags, launches):
    """The counter-based stream's by the device, in one launch; the counts of each image alone, made by the CPU."""
    from nanobragg_py.render import images

    words = f"{FLAGS} -roi 3 20 5 14 -fluence 1e27 {flags}"
    job = stills(experiment={"flags": words}, background={"curve": "water", "thickness": 1e-7, "width": 1e-7})
    alone = [Maker(job).make(index).pixels for index in range(10)]
    assert not any(name == "nb_noise" for name, _ in launched)
    together = list(iter_images(job))
    assert [grid for name, grid in launched if name == "nb_noise"] == launches
    monkeypatch.setattr(images, "NOISY", 3 * 24 * 24 * 4)
    in_threes = list(iter_images(job))
    assert len({image.tobytes() for image in alone}) == 10
    for image, one, expected in zip(together, in_threes, alone, strict=True):
        assert image.dtype == np.uint16 and np.array_equal(image, expected) and np.array_equal(one, expected)


def test_an_image_does_not_depend_on_its_company(emulated):
    job = stills(noise=False)
    whole = list(iter_images(job))
    for index in (7, 2):
        (image,) = iter_images(job, [index])
        assert np.array_equal(image, whole[index])
