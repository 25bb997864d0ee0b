"""Detectors of several panels: rendered and made noisy."""

import numpy as np
import pytest
from panel_files import side_by_side

import nanobragg_py as nb
from nanobragg_py.errors import FieldError, NanoBraggError
from nanobragg_py.files.panels import overlapping
from nanobragg_py.render.backends import Compute
from nanobragg_py.render.panels import simulate_panels, simulate_stored

PIXEL = 1e-4


def crystal(**more):
    return nb.Crystal.from_cell(50, 60, 70, 80, 95, 100, cells=(8, 8, 8), missets=(0.1, 0.2, 0.3), **more)


def whole(pixels=96, **more):
    """A detector that is one, at 60 mm."""
    return nb.Experiment(
        crystal(mosaic_spread=0.004, mosaic_domains=3),
        nb.Beam(wavelength=1e-10),
        nb.Detector.flat(pixels, PIXEL, 0.06),
        nb.Sampling(oversample=2, osc=0.01, phisteps=2),
        nb.StructureFactors(default_F=100),
    ).replace(more)


def tiles(experiment, across, **more):
    """The same detector as across x across panels, row by row."""
    place = experiment.resolved.detector
    origin, fast, slow = (np.array(v) for v in (place.origin, place.fast, place.slow))
    edge = place.fpixels // across
    panels = [
        nb.Panel(
            origin=tuple(origin + PIXEL * edge * (row * slow + column * fast)),
            fast=place.fast,
            slow=place.slow,
            pixel_size=PIXEL,
            fpixels=edge,
            spixels=edge,
            **more,
        )
        for row in range(across)
        for column in range(across)
    ]
    return experiment.replace(detector=nb.Detector(panels=panels))


def joined(stack, across):
    edge = stack.shape[1]
    return stack.reshape(across, across, edge, edge).transpose(0, 2, 1, 3).reshape(across * edge, across * edge)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sampling.dmin": 1.5e-10},
        {"beam.polarized": False, "beam.dispersion": 0.01, "beam.dispersion_steps": 3},
        {"crystal.shape": "gauss", "crystal.cells": (3, 3, 3)},
        {"crystal.shape": "round"},
        {"sampling.oversample_omega": True, "sampling.oversample_polar": True},
    ],
    ids=lambda changes: "-".join(changes) or "plain",
)
def test_tiles_are_the_whole(changes):
    one = whole(**changes)
    image, statistics = one.simulate(threads=1)
    stack, together = tiles(one, 4).simulate(threads=1)
    assert stack.shape == (16, 24, 24) and stack.dtype == np.float32
    # corners of tiles are rounded once more than those of pixels
    assert abs(joined(stack, 4) - image).max() <= 1e-6 * image.max()
    assert image.max() > 0
    for name in ("pixels", "mean", "rms", "rmsd", "maximum", "solid_angle"):
        assert getattr(together, name) == pytest.approx(getattr(statistics, name), rel=1e-6)
    panel, slow, fast = together.maximum_pixel
    assert (panel // 4 * 24 + slow, panel % 4 * 24 + fast) == statistics.maximum_pixel


def test_a_panel_is_what_it_is_alone():
    """To the bit: what is set up once for all panels is what one of them would have."""
    many = tiles(whole(), 3, thickness=2e-4, mu=1500.0)
    panels = list(many.detector.panels)
    panels[4] = panels[4].replace(fast=panels[4].slow, slow=panels[4].fast)
    panels[5] = panels[5].replace(pixel_size=0.7 * PIXEL)
    many = many.replace(detector=nb.Detector(panels=panels))
    stack = many.render(threads=1)
    assert np.array_equal(stack, many.render(threads=2))
    for number, panel in enumerate(many.detector.panels):
        alone = many.replace(detector=nb.Detector(panels=[panel])).render(threads=1)
        assert alone.shape == (1, 32, 32) and np.array_equal(alone[0], stack[number])


def test_threads_and_precision():
    many = tiles(whole(), 4)
    assert (many.render(threads=1) == many.render(threads=3)).all()
    assert abs(many.render(precision="single") - many.render()).max() < 1e-3 * many.render().max()


def test_sensor_mask_and_region_of_a_panel():
    one = whole()
    many = tiles(one, 2)
    panels = list(many.detector.panels)
    mask = np.ones((48, 48), np.uint16)
    mask[5:9] = 0
    panels[1] = panels[1].replace(mask=mask)
    panels[2] = panels[2].replace(roi=(10, 20, 30, 40))
    panels[3] = panels[3].replace(thickness=3e-4, mu=2000.0, thicksteps=3)
    changed = many.replace(detector=nb.Detector(panels=panels))
    plain, image = many.render(), changed.render()
    assert (image[0] == plain[0]).all()
    assert (image[1] == np.where(mask, plain[1], 0)).all()
    inside = np.zeros((48, 48), bool)
    inside[30:41, 10:21] = True
    assert (image[2] == np.where(inside, plain[2], 0)).all()
    sensor = whole(**{"detector.thickness": 3e-4, "detector.mu": 2000.0, "detector.thicksteps": 3}).render()
    assert abs(image[3] - sensor[48:, 48:]).max() <= 1e-6 * sensor.max()
    assert not np.allclose(image[3], plain[3])


def test_statistics_of_masked_panels_are_those_of_the_whole():
    mask = np.ones((96, 96), np.uint16)
    mask[3:40, 10:60] = 0
    one = whole(**{"detector.mask": mask})
    many = tiles(whole(), 2)
    parts = [mask[s : s + 48, f : f + 48].copy() for s in (0, 48) for f in (0, 48)]
    panels = [panel.replace(mask=part) for panel, part in zip(many.detector.panels, parts, strict=True)]
    alone, together = one.simulate()[1], many.replace(detector=nb.Detector(panels=panels)).simulate()[1]
    for name in ("pixels", "mean", "rms", "rmsd", "maximum", "solid_angle"):
        assert getattr(together, name) == pytest.approx(getattr(alone, name), rel=1e-6)


def test_threads_share_uneven_panels():
    """Images, what is said of them and the meter's last word, where threads go from panel to panel."""
    many = tiles(whole(**{"crystal.mosaic_domains": 1, "sampling.phisteps": 1}), 4)
    panels = [
        panel.replace(spixels=24 - number, roi=(0, 23, 5, 4) if number == 6 else None)
        for number, panel in enumerate(many.detector.panels)
    ]
    uneven, said = many.replace(detector=nb.Detector(panels=panels)), []
    images, first = uneven.simulate(threads=1, progress=said.append)
    assert said[-1] == first.pixels == 24 * sum(24 - number for number in range(16) if number != 6)
    assert not images[6].any() and all(image.any() for number, image in enumerate(images) if number != 6)
    for threads in (2, 3, 40):
        again, statistics = uneven.simulate(threads=threads)
        assert all((a == b).all() for a, b in zip(images, again, strict=True))
        assert statistics.replace(seconds=0.0) == first.replace(seconds=0.0)


def test_panels_of_several_sizes():
    many = tiles(whole(), 2)
    panels = list(many.detector.panels)
    panels[1] = panels[1].replace(spixels=20)
    mixed = many.replace(detector=nb.Detector(panels=panels))
    images = mixed.render()
    assert [image.shape for image in images] == list(mixed.shapes) == [(48, 48), (20, 48), (48, 48), (48, 48)]
    assert (images[1] == many.render()[1][:20]).all()
    with pytest.raises(FieldError, match="differ in size"):
        _ = mixed.shape
    with pytest.raises(FieldError, match="differ in size"):
        mixed.render(out=np.zeros((4, 48, 48), np.float32))
    noisy = mixed.add_noise(images, seed=3, stream="philox")
    assert [image.shape for image in noisy] == list(mixed.shapes) and noisy[1].dtype == np.uint16


@pytest.mark.parametrize("several", [False, True], ids=["one crystal", "two crystals"])
def test_the_image_that_holds_all_panels(several):
    """Each is rendered where it lies there, between the rows of others, to the bit as alone."""
    experiment = whole().replace(detector=nb.Detector(panels=side_by_side()))
    if several:
        experiment = experiment.replace(crystal=[crystal(), crystal(scale=0.5)])
    resolved = experiment.resolved
    wanted, left = experiment.render(threads=1), np.ones(resolved.stored_shape, bool)
    alone = simulate_panels(resolved, None, [np.zeros(image.shape, np.float32) for image in wanted])
    for threads in (1, 3):
        image, found = simulate_stored(resolved, None, Compute(threads=threads))
        for expected, panel, (s, f) in zip(wanted, resolved.panels, resolved.panel_corners, strict=True):
            there = slice(s, s + panel.spixels), slice(f, f + panel.fpixels)
            assert expected.any() and np.array_equal(image[there], expected)
            left[there] = False
        assert left.any() and not image[left].any()
        assert image[found.maximum_pixel] == found.maximum == image.max()
        assert found.replace(maximum_pixel=None, maximum_at=None, seconds=0.0) == alone.replace(
            maximum_pixel=None, maximum_at=None, seconds=0.0
        )


@pytest.mark.parametrize("stream", ["ran1", "philox"])
def test_noise_goes_on_from_panel_to_panel(stream):
    many = tiles(whole(**{"structure_factors.default_F": 1e3}), 4)
    stack = many.render()
    noisy = many.add_noise(stack, seed=5, stream=stream)
    rows = nb.add_noise(stack.reshape(-1, 24), seed=5, stream=stream)
    assert (noisy.reshape(-1, 24) == rows).all()
    assert noisy.max() > 45


def test_response_and_background_of_panels():
    one = whole()
    many = tiles(one, 2)
    background = many.background("water")
    assert abs(joined(background, 2) - one.background("water")).max() <= 1e-6 * background.max()
    response = nb.Response(psf="gauss", fwhm=1.5e-4, gain=2.0, readout=3.0, stream="philox")
    counted = response.apply(many.render() + background, seed=7)
    assert counted.shape == many.shape
    assert (counted[2] == response.apply(many.render()[2] + background[2], seed=9)).all()


def test_round_trips(tmp_path):
    many = tiles(whole(), 2)
    panels = [panel.replace(name=f"p{number}") for number, panel in enumerate(many.detector.panels)]
    panels[0] = panels[0].replace(mask=np.eye(48, dtype=np.uint16) + 1, corner=None)
    many = many.replace(detector=nb.Detector(panels=panels))
    assert nb.Experiment.from_dict(many.to_dict()) == many
    for name in ("e.toml", "e.json"):
        many.write(tmp_path / name)
        assert nb.Experiment.read(tmp_path / name) == many


# ---- what makes no sense -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fpixels": 0}, "panel.fpixels is 0; it must be at least 1"),
        ({"fast": (0, 0, 0)}, "panel.fast is 0 0 0"),
        ({"pixel_size": -1.0}, "panel.pixel_size is -1"),
        ({"origin": (0, float("nan"), 0)}, "panel.origin is nan"),
        ({"mask": np.ones((3, 3), int)}, "panel.mask has the shape"),
        ({"corner": (1.5, 0)}, "two whole numbers"),
        ({"colour": 3}, "a panel has no field 'colour'"),
    ],
)
def test_broken_panels(change, said):
    panel = tiles(whole(), 2).detector.panels[0]
    with pytest.raises(FieldError) as caught:
        panel.replace(**change)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        (lambda p: {"panels": []}, "there are no panels"),
        (lambda p: {"panels": [p[0], p[0]]}, "overlap"),
        (lambda p: {"panels": [p[0].replace(slow=p[0].fast)]}, "not at right angles"),
        (lambda p: {"panels": [3]}, "must be a nanobragg_py.Panel"),
        (lambda p: {"panels": 3}, "must be a list of Panels"),
        (lambda p: {"panels": "refined.expt"}, "read a file with Detector.read"),
        (lambda p: {"panels": p, "distance": 0.3}, "detector.distance cannot be given with detector.panels"),
        (lambda p: {"panels": [{"origin": (0, 0, 0)}]}, "detector.panels[0]"),
    ],
)
def test_broken_detectors(detector, said):
    panels = tiles(whole(), 2).detector.panels
    with pytest.raises(FieldError) as caught:
        nb.Detector(**detector(panels))
    assert said in str(caught.value)


def test_a_panel_through_the_sample():
    panel = tiles(whole(), 2).detector.panels[0].replace(origin=(0.0, 0.0, 0.0))
    with pytest.raises(FieldError, match="goes through the sample"):
        whole(detector=nb.Detector(panels=[panel]))


def test_overlap_is_judged_in_space():
    panels = list(tiles(whole(), 2).detector.panels)
    assert overlapping(panels) is None
    behind = panels[0].replace(origin=tuple(1.01 * x for x in panels[0].origin))
    assert overlapping([*panels, behind]) is None
    shifted = panels[0].replace(origin=tuple(np.array(panels[0].origin) + 3 * PIXEL * np.array(panels[0].fast)))
    assert overlapping([*panels, shifted]) is not None
    assert overlapping([panels[1], shifted]) is not None


def test_a_pixel_of_a_panel_is_traced():
    """Counted on its panel, or in the image that holds all panels, one below the other here."""
    experiment = tiles(whole(32), 2)
    image = experiment.render()
    panel = experiment.trace(5, 7, panel=2)
    assert panel.pixel["I_pixel_image"] == image[2, 5, 7] > 0.0
    assert experiment.trace(5, 7, panel="2").pixel == panel.pixel
    assert experiment.trace(2 * 16 + 5, 7).pixel == panel.pixel
    with pytest.raises(NanoBraggError, match="there is no panel '4'; there are 4: 0, 1, 2, 3"):
        experiment.trace(5, 7, panel=4)
    with pytest.raises(NanoBraggError, match="the detector is one"):
        whole(32).trace(5, 7, panel=0)


def test_lengths_of_panels_may_be_words():
    place = {"origin": (0.1, 0.004, -0.004), "fast": (0, 0, 1), "slow": (0, -1, 0)}
    plain = nb.Panel(**place, pixel_size=1e-4, fpixels=8, spixels=9)
    words = plain.replace(origin=("100 mm", "0.4 cm", "-4mm"), pixel_size="100 um", thickness="0.32 mm")
    assert words.thickness == pytest.approx(3.2e-4, rel=1e-15)
    assert (*words.origin, words.pixel_size) == pytest.approx((*plain.origin, plain.pixel_size), rel=1e-15)
    with pytest.raises(FieldError, match=r"panel\.pixel_size is '1 deg'; .* its unit one of m, cm, mm"):
        plain.replace(pixel_size="1 deg")


def test_no_images_are_an_error(tmp_path):
    for experiment in (whole(32), tiles(whole(32), 2)):
        with pytest.raises(FieldError, match="images is empty"):
            experiment.to_nexus(tmp_path / "none.nxs", [])
    assert list(tmp_path.iterdir()) == []
