"""The measures of `nanobragg-py compare`, and what it makes of two programs that agree, differ, fail or are missing."""

import numpy as np
import pytest
from spot_images import CENTRES, spots

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.inspect.compare import (
    Limits,
    brightest_spots,
    correlation,
    image_metrics,
    shortcomings,
    spot_displacements,
)

# ---- measures ------------------------------------------------------------------------------------------------------


def test_equal_images():
    image = spots(CENTRES)
    metrics = image_metrics(image, image.copy())
    assert (metrics.correlation, metrics.sum_ratio, metrics.identical) == (1.0, 1.0, 1.0)
    assert metrics.rmsd == metrics.worst_absolute[0] == metrics.worst_relative[0] == 0.0
    assert metrics.spots.found == metrics.spots.count == 5
    assert metrics.spots.largest == 0.0
    assert shortcomings(metrics, Limits(exact=True)) == []


def test_measures_by_hand():
    reference = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    image = np.array([[1, 2, 3], [4, 5, 9]], np.float32)
    metrics = image_metrics(image, reference)
    assert metrics.shape == (2, 3)
    assert metrics.sum_ratio == 24 / 21
    assert metrics.rmsd == pytest.approx((9 / 6) ** 0.5)
    assert metrics.worst_absolute == (3.0, 1, 2, 9.0, 6.0)
    assert metrics.worst_relative == (pytest.approx(3 / 9), 1, 2, 9.0, 6.0)
    assert metrics.identical == 5 / 6
    assert metrics.correlation == pytest.approx(np.corrcoef(image.ravel(), reference.ravel())[0, 1])


def test_region():
    reference = spots(CENTRES)
    image = reference.copy()
    image[5, 7] += 1
    image[50, 70] += 9
    metrics = image_metrics(image, reference, region=(2, 40, 3, 30))
    assert metrics.worst_absolute[:3] == (pytest.approx(1, rel=1e-5), 5, 7)
    assert image_metrics(image, reference, region=(60, 200, 40, 200)).worst_absolute[1:3] == (50, 70)
    assert image_metrics(image, reference, region=(60, 200, 40, 200)).region == (60, 79, 40, 59)
    with pytest.raises(NanoBraggError, match="100 120 0 10 holds no pixel of an image of 80 x 60"):
        image_metrics(image, reference, region=(100, 120, 0, 10))


def test_scale_shows_in_the_sum_and_not_in_the_correlation():
    reference = spots(CENTRES, dtype=np.float64)
    metrics = image_metrics((1.02 * reference).astype(np.float32), reference.astype(np.float32))
    assert metrics.sum_ratio == pytest.approx(1.02, rel=1e-6)
    assert metrics.correlation == pytest.approx(1.0, abs=1e-9)
    assert [text.split(" is ")[0] for text in shortcomings(metrics, Limits())] == [
        f"the sum ratio {metrics.sum_ratio:.9f}"
    ]
    assert shortcomings(metrics, Limits(sum_ratio=(1.0, 1.03))) == []


@pytest.mark.parametrize(("dy", "dx"), [(0.3, 0.0), (0.0, -0.4), (0.6, 0.8), (2.0, -3.0)])
def test_displacement_of_spots(dy, dx):
    reference = spots(CENTRES)
    image = spots([(y + dy, x + dx) for y, x in CENTRES])
    found = image_metrics(image, reference).spots
    assert found.found == found.count == 5
    assert found.mean == pytest.approx(np.hypot(dy, dx), abs=0.08)


def test_a_background_does_not_hold_spots_back():
    reference = spots(CENTRES[:3]) + np.float32(1000)
    image = spots([(y + 0.4, x) for y, x in CENTRES[:3]]) + np.float32(1000)
    assert image_metrics(image, reference).spots.mean == pytest.approx(0.4, abs=0.08)


def test_spots_in_order_of_brightness():
    found = brightest_spots(spots(CENTRES).astype(float), 3)
    assert np.abs(found - np.array(CENTRES[:3])).max() < 0.1


def test_a_spot_that_is_gone():
    found = image_metrics(spots(CENTRES[1:]), spots(CENTRES)).spots
    assert (found.count, found.found) == (5, 4)


def test_no_spots():
    nothing = np.zeros((20, 20))
    assert spot_displacements(nothing, nothing, 10).count == 0
    found = spot_displacements(nothing, spots(CENTRES, dtype=float)[:20, :20], 10)
    assert (found.count, found.found, found.mean) == (1, 0, None)


def test_a_plateau_is_one_spot():
    image = np.zeros((20, 20))
    image[5:7, 5:7] = 1.0
    assert len(brightest_spots(image, 10)) == 1


def test_images_without_contrast():
    assert correlation(np.zeros(5), np.zeros(5)) == 1.0
    assert correlation(np.zeros(5), np.arange(5.0)) is None
    metrics = image_metrics(np.ones((3, 3), np.float32), np.zeros((3, 3), np.float32))
    assert metrics.correlation is None and metrics.sum_ratio is None
    assert len(shortcomings(metrics, Limits())) == 2


def test_faint_images_correlate():
    image = spots(CENTRES, dtype=np.float64) * 1e-200
    assert correlation(image, image * 2) == pytest.approx(1.0)


def test_pixels_that_are_no_numbers():
    reference = spots(CENTRES)
    image = reference.copy()
    image[3, 3] = np.nan
    metrics = image_metrics(image, reference)
    assert metrics.not_finite == 1
    assert "1 pixels are numbers in one image" in shortcomings(metrics, Limits())[0]
    reference[3, 3] = np.nan
    assert image_metrics(image, reference).not_finite == 0
    assert image_metrics(image, reference).identical == 1.0


def test_negative_zero_is_not_the_same_to_the_bit():
    image = np.array([[0.0, 1.0]], np.float32)
    assert image_metrics(-image * np.float32([[1, -1]]), image).identical == 0.5


def test_images_of_different_size():
    with pytest.raises(NanoBraggError, match=r"60 x 80 and 59 x 80 pixels"):
        image_metrics(spots(CENTRES), spots(CENTRES)[:-1])


# ---- the picture ---------------------------------------------------------------------------------------------------


def test_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need the extra [plot]")
    from matplotlib.image import imread

    from nanobragg_py.inspect.compare_picture import write_picture

    reference = spots(CENTRES)
    image = reference.copy()
    image[30, 50] += 20
    for name, ours, region in (("differ", image, None), ("same", reference, None), ("part", image, (40, 60, 20, 40))):
        write_picture(tmp_path / f"{name}.png", ours, reference, image_metrics(ours, reference, region))
    pictures = {name: imread(tmp_path / f"{name}.png") for name in ("differ", "same", "part")}
    assert all(picture.shape[1] == 1600 for picture in pictures.values())
    # magenta marks the worst pixel, and nothing where there is none
    marks = {name: int((np.abs(p[..., :3] - (1, 0, 1)).max(axis=2) < 0.1).sum()) for name, p in pictures.items()}
    assert marks["differ"] > 100 and marks["part"] > 100 and marks["same"] == 0


def test_blocks_keep_the_extremes():
    from nanobragg_py.inspect.compare_picture import blocks

    image = np.zeros((5, 7))
    image[1, 1], image[4, 6], image[0, 0] = 3.0, 5.0, -9.0
    assert blocks(image, 2).shape == (3, 4)
    assert blocks(image, 2)[0, 0] == 3.0 and blocks(image, 2)[2, 3] == 5.0
    assert blocks(image, 2, signed=True)[0, 0] == -9.0
    assert blocks(image, 1) is image
