"""Lists of regions, such as spots' shoeboxes, of a detector that is one and of panels; where spots are predicted."""

import numpy as np
import pytest
from test_panels import tiles, whole

import nanobragg_py as nb
from nanobragg_py.batch.labels import spots_of
from nanobragg_py.errors import FieldError
from nanobragg_py.inspect.predictions import predict, predict_panels


def inside(shape, rois):
    found = np.zeros(shape, bool)
    for fast_min, fast_max, slow_min, slow_max in rois:
        found[slow_min : slow_max + 1, fast_min : fast_max + 1] = True
    return found


#: two that overlap, one that reaches beyond the edge
ROIS = [(3, 9, 40, 47), (7, 20, 45, 50), (90, 200, 0, 5)]
SEVERAL = nb.Crystal.from_cell(50, 60, 70, 80, 95, 100, cells=(8, 8, 8), missets=(0.3, 0.1, 0.2), scale=0.4)


@pytest.mark.parametrize(
    "changes",
    [{}, {"more_crystals": (SEVERAL,)}, {"sampling.water": 1e-4}, {"crystal.shape": "gauss", "sampling.dmin": 1.5e-10}],
    ids=["plain", "crystals", "water", "gauss"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_regions_are_the_images(changes, dtype):
    """To the last bit as they are rounded (float64: to rounding, for rows begin elsewhere), and nothing elsewhere."""
    experiment = whole(**changes)
    image = experiment.render(threads=1, dtype=dtype)
    some = experiment.render(threads=1, dtype=dtype, rois=ROIS)
    assert some.dtype == image.dtype and image[inside(image.shape, ROIS)].all()
    there = inside(image.shape, ROIS)
    assert np.array_equal(some.astype(np.float32), np.where(there, image, 0.0).astype(np.float32))
    assert np.abs(some[there] - image[there]).max() <= 1e-13 * image.max() and not some[~there].any()
    assert np.array_equal(experiment.render(threads=3, dtype=dtype, rois=ROIS), some)
    assert not experiment.render(rois=[]).any()


def test_region_of_interest_and_mask_hold():
    mask = np.ones((96, 96), np.uint16)
    mask[46] = 0
    experiment = whole(**{"detector.roi": (5, 95, 0, 95), "detector.mask": mask})
    out = np.ones((96, 96), np.float32)
    seen = []
    some = experiment.render(rois=[*ROIS, (0, 2, 0, 2)], out=out, progress=seen.append)
    assert np.shares_memory(some, out) and seen == [5 * 8, 5 * 8 + 14 * 6, 5 * 8 + 14 * 6 + 6 * 6]
    assert np.array_equal(some, np.where(inside(some.shape, ROIS), experiment.render(), 0.0))


@pytest.mark.parametrize("given", ["list", "dict"])
def test_regions_of_panels(given):
    many = tiles(whole(), 2)
    lists = [[(0, 5, 0, 5), (40, 47, 3, 9)], [], [(7, 9, 0, 47)], []]
    rois = lists if given == "list" else {"0": lists[0], 2: lists[2]}
    stack, some = many.render(), many.render(rois=rois)
    for image, part, regions in zip(stack, some, lists, strict=True):
        assert np.array_equal(part, np.where(inside(image.shape, regions), image, 0.0))
    panels = [panel.replace(spixels=40 + number) for number, panel in enumerate(many.detector.panels)]
    mixed = many.replace(detector=nb.Detector(panels=[panel.replace(corner=None) for panel in panels[:2]]))
    images = mixed.render(rois={"1": [(0, 3, 0, 3)]})
    assert [image.shape for image in images] == list(mixed.shapes) and not images[0].any() and images[1].any()


@pytest.mark.parametrize("several", [False, True])
def test_float64_of_panels(several):
    """Of one crystal and of several: what is rounded to the float32 images."""
    many = tiles(whole(**({"more_crystals": (SEVERAL,)} if several else {})), 2)
    precise = many.render(dtype="float64")
    assert precise.max() > 0.0 and np.array_equal(precise.astype(np.float32), many.render())


@pytest.mark.parametrize(
    ("rois", "more", "said"),
    [
        ([(0, 1, 2)], {}, r"rois\[0\]"),
        ([(0, 3, 0, 3), (0, 1, -2, 3)], {}, r"rois\[1\] is \(0, 1, -2, 3\); its bounds cannot be below 0"),
        ([(5, 4, 0, 3)], {}, r"rois\[0\] is \(5, 4, 0, 3\), which has none of the 96 x 96 pixels"),
        ([(0, 3, 96, 99)], {}, "which has none of the 96 x 96 pixels"),
        (7, {}, "rois is 7; give a list of"),
        ([], {"backend": "gpu"}, 'rois need backend "cpu"'),
        ([], {"compat": "c"}, 'rois need compat "spec"'),
        ([], {"on_device": True}, "render rois without it"),
        ([], {"dtype": "int32"}, "must be float32 or float64"),
    ],
)
def test_broken_regions(rois, more, said):
    with pytest.raises(FieldError, match=said):
        whole().render(rois=rois, **more)


def test_broken_regions_of_panels():
    many = tiles(whole(), 2)
    with pytest.raises(FieldError, match="rois has 1 lists, and there are 4 panels"):
        many.render(rois=[[(0, 1, 0, 1)]])
    with pytest.raises(FieldError, match="there is no panel 'nine'"):
        many.render(rois={"nine": []})
    with pytest.raises(FieldError, match=r"rois\[2\]\[0\] is \(48, 49, 0, 1\), which has none of the 48 x 48 pixels"):
        many.render(rois={2: [(48, 49, 0, 1)]})
    with pytest.raises(FieldError, match="give a list of regions for each panel"):
        many.render(rois=3)


# ---- predictions -----------------------------------------------------------------------------------------------------


def sharp(**more):
    """Spots that are a pixel or two wide."""
    crystal = nb.Crystal.from_cell(50, 60, 70, 80, 95, 100, cells=(14, 12, 10), missets=(0.1, 0.2, 0.3), shape="gauss")
    sampling = nb.Sampling(oversample=3, osc=np.radians(5), phisteps=100)
    return whole(160, crystal=crystal, sampling=sampling, **more)


def test_panels_spots_are_where_they_are_rendered():
    """Those of the detector that is one, each on its tile, with its centre of mass within a sixth of a pixel."""
    one = sharp()
    many = tiles(one, 2)
    hkl, fast, slow = predict(one.resolved)
    number, own, f, s = predict_panels(many.resolved)
    assert len(hkl) == len(own) > 20
    whole_f, whole_s = f + 80 * (number % 2), s + 80 * (number // 2)
    found = {tuple(h): place for h, *place in zip(own.tolist(), whole_f, whole_s, strict=True)}
    for h, x, y in zip(hkl.tolist(), fast, slow, strict=True):
        assert found[tuple(h)] == pytest.approx((x, y), abs=1e-9)
    # in the stored image panels lie one below the other
    stored = predict(many.resolved)
    assert np.array_equal(stored[0], own) and np.allclose(stored[1], f) and np.allclose(stored[2], s + 80 * number)
    stack = many.render(dtype="float64")
    # what is not cut off at the ends of the turn
    within = many.replace({"sampling.phi0": np.radians(1.5), "sampling.osc": np.radians(2)})
    complete = set(map(tuple, predict_panels(within.resolved)[1].tolist()))
    bright = 0
    for n, h, x, y in zip(number, own.tolist(), f, s, strict=True):
        i, j = int(x), int(y)
        box = stack[n][j - 4 : j + 5, i - 4 : i + 5]
        alone = np.sum((number == n) & (np.hypot(f - x, s - y) < 12)) == 1
        if box.shape != (9, 9) or not alone or tuple(h) not in complete:
            continue
        down, across = np.mgrid[j - 4 : j + 5, i - 4 : i + 5] + 0.5
        centre = (box * across).sum() / box.sum(), (box * down).sum() / box.sum()
        assert np.hypot(centre[0] - x, centre[1] - y) < 0.15
        bright += 1
    assert bright > 5
    # and all that is bright is predicted
    near = np.zeros(stack.shape, bool)
    for n, x, y in zip(number, f.astype(int), s.astype(int), strict=True):
        near[n, max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5] = True
    # but for the direct beam, in the corner that all tiles share, and what lies across an edge
    inner = np.zeros((80, 80), bool)
    inner[6:-6, 6:-6] = True
    assert (stack[~near & inner] < 0.05 * stack.max()).all()


def test_labels_of_panels_spots():
    many = tiles(sharp(), 2)
    stack = many.render()
    labels = spots_of(many.resolved, stack)
    number, hkl, f, s = predict_panels(many.resolved)
    assert np.array_equal(labels["panel"], number) and np.array_equal(labels["hkl"], hkl)
    for n, x, y, photons in zip(number, f.astype(int), s.astype(int), labels["intensity"], strict=True):
        own = stack[n][max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].sum(dtype=float)
        assert photons == pytest.approx(own, rel=1e-6, abs=1e-6 * float(stack.max()))
    # boxes about them are lists of regions
    rois = [[] for _ in many.detector.panels]
    for n, x, y in zip(number, f.astype(int), s.astype(int), strict=True):
        rois[n].append((max(x - 2, 0), x + 2, max(y - 2, 0), y + 2))
    boxes = spots_of(many.resolved, many.render(rois=rois))["intensity"]
    assert np.allclose(boxes, labels["intensity"], rtol=1e-6, atol=1e-6 * stack.max())
