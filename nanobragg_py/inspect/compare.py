"""Measures of how a float image differs from its reference: functions of arrays.

docs/compare.md describes the measures. `nanobragg_py.inspect.compare_runs` runs the programs whose images are compared.
"""

import os
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from ..records import REQUIRED, Record

#: how far, in pixels, a spot may be from its counterpart
REACH = 10.0
#: a spot's centroid is taken over this many pixels to each side of its maximum
HALF_WINDOW = 2


class Limits(Record):
    """What a comparison has to meet. exact: every file the same byte for byte, and the printed lines the same."""

    _fields = {"min_correlation": 0.9995, "sum_ratio": (0.99, 1.01), "exact": False}


class Spots(Record):
    """Displacement of the brightest spots of the reference.

    count: how many were looked for. found: how many have a counterpart within `REACH` pixels. mean, largest: of their
    displacements, pixels; None when none was found.
    """

    _fields = {"count": 0, "found": 0, "mean": None, "largest": None}


class ImageMetrics(Record):
    """How an image differs from its reference; every measure is over the same region.

    shape: (slow, fast) pixels of the images. region: (fast min, fast max, slow min, slow max), inclusive, that was
    measured. correlation: Pearson's; None where an image has no contrast and the other is not the same. sum_ratio:
    this image's sum over the reference's; None where that is 0 and this one's is not. rmsd: root mean square
    difference. worst_absolute, worst_relative: (difference, slow, fast, value, reference value), the relative one over
    the larger of the two values' sizes. identical: share of pixels that are the same to the bit. not_finite: pixels
    that are no numbers in one image only. spots: a `Spots`.
    """

    _fields = {
        "shape": REQUIRED,
        "region": REQUIRED,
        "correlation": None,
        "sum_ratio": None,
        "rmsd": 0.0,
        "worst_absolute": (0.0, 0, 0, 0.0, 0.0),
        "worst_relative": (0.0, 0, 0, 0.0, 0.0),
        "identical": 1.0,
        "not_finite": 0,
        "spots": Spots(),
    }


def image_metrics(image: Any, reference: Any, region: Any = None, spots: Any = 50) -> "ImageMetrics":
    """Compare two float32 arrays of one shape (slow, fast): an `ImageMetrics`.

    region: (fast min, fast max, slow min, slow max), inclusive; None: all of it. spots: how many of the brightest
    spots are looked for. Raises NanoBraggError for images of different shape or a region outside them.
    """
    if image.shape != reference.shape:
        raise NanoBraggError(
            f"the images have {' x '.join(map(str, image.shape))} and {' x '.join(map(str, reference.shape))} pixels "
            "(slow x fast); compare images of one size"
        )
    slow, fast = image.shape
    region = clipped((0, fast - 1, 0, slow - 1) if region is None else region, fast, slow)
    window = (slice(region[2], region[3] + 1), slice(region[0], region[1] + 1))
    ours, theirs = image[window], reference[window]
    same = (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))
    usable = np.isfinite(ours) & np.isfinite(theirs)
    x = np.where(usable, ours, 0.0).astype(np.float64)
    y = np.where(usable, theirs, 0.0).astype(np.float64)
    difference = np.abs(x - y)
    scale = np.maximum(np.abs(x), np.abs(y))
    relative = np.divide(difference, scale, out=np.zeros_like(scale), where=scale > 0.0)

    def worst(values):
        at = np.unravel_index(int(np.argmax(values)), values.shape)
        return (float(values[at]), int(at[0]) + region[2], int(at[1]) + region[0], float(x[at]), float(y[at]))

    return ImageMetrics(
        shape=(slow, fast),
        region=region,
        correlation=correlation(x, y),
        sum_ratio=_ratio(float(x.sum()), float(y.sum())),
        rmsd=float(np.sqrt(np.mean(difference * difference))),
        worst_absolute=worst(difference),
        worst_relative=worst(relative),
        identical=float(np.count_nonzero(same)) / same.size,
        not_finite=int(np.count_nonzero(~usable & ~same)),
        spots=spot_displacements(x, y, spots),
    )


def clipped(region: Any, fast: int, slow: int) -> Any:
    """A region of interest cut to an image; NanoBraggError when nothing of it is left."""
    low_fast, high_fast, low_slow, high_slow = region
    cut = (max(low_fast, 0), min(high_fast, fast - 1), max(low_slow, 0), min(high_slow, slow - 1))
    if cut[0] > cut[1] or cut[2] > cut[3]:
        raise NanoBraggError(
            f"the region of interest {' '.join(map(str, region))} holds no pixel of an image of {fast} x {slow} pixels "
            "(fast x slow); give FMIN FMAX SMIN SMAX within it"
        )
    return cut


def correlation(x: Any, y: Any) -> float | None:
    """Pearson's correlation coefficient of two float64 arrays; 1 for equal ones, None if one has no contrast."""
    if np.array_equal(x, y):
        return 1.0
    x, y = x - x.mean(), y - y.mean()
    # scaled first, since the squares of dim images vanish
    sizes = [float(np.abs(values).max()) for values in (x, y)]
    if 0.0 in sizes:
        return None
    x, y = x / sizes[0], y / sizes[1]
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


def _ratio(ours, theirs):
    if ours == theirs:
        return 1.0
    return ours / theirs if theirs != 0.0 else None


def brightest_spots(image: Any, count: int) -> Any:
    """Centroids (slow, fast) of the brightest local maxima, an array of at most `count` rows, the brightest first.

    A maximum is no darker than its eight neighbours and above the median by five times the median deviation from it
    (the direct beam would spoil mean and standard deviation); of those within `HALF_WINDOW` of each other only the
    brightest counts. A centroid is taken over the window about the maximum, above the window's darkest pixel.
    """
    slow, fast = image.shape
    padded = np.pad(image, 1, constant_values=-np.inf)
    median = np.median(image)
    peak = image > median + 5.0 * np.median(np.abs(image - median))
    for i in range(3):
        for j in range(3):
            if (i, j) != (1, 1):
                peak &= image >= padded[i : i + slow, j : j + fast]
    rows, columns = np.nonzero(peak)
    taken = np.zeros(image.shape, bool)
    centroids = []
    for at in np.argsort(-image[rows, columns], kind="stable"):
        if len(centroids) == count:
            break
        row, column = int(rows[at]), int(columns[at])
        if taken[row, column]:
            continue
        first, left = max(row - HALF_WINDOW, 0), max(column - HALF_WINDOW, 0)
        window = image[first : row + HALF_WINDOW + 1, left : column + HALF_WINDOW + 1]
        taken[first : row + HALF_WINDOW + 1, left : column + HALF_WINDOW + 1] = True
        weights = window - window.min()
        total = weights.sum()
        if total > 0.0:
            centroids.append(
                (
                    first + (weights.sum(axis=1) * np.arange(weights.shape[0])).sum() / total,
                    left + (weights.sum(axis=0) * np.arange(weights.shape[1])).sum() / total,
                )
            )
    return np.array(centroids).reshape(-1, 2)


def spot_displacements(image: Any, reference: Any, count: int) -> "Spots":
    """How far the reference's brightest spots are from the image's: a `Spots`."""
    wanted = brightest_spots(reference, count)
    # twice as many, since a spot that lost brightness is still one
    present = brightest_spots(image, 2 * count)
    if len(wanted) == 0 or len(present) == 0:
        return Spots(count=len(wanted))
    apart = np.sqrt(((wanted[:, None, :] - present[None, :, :]) ** 2).sum(axis=2)).min(axis=1)
    near = apart[apart <= REACH]
    if len(near) == 0:
        return Spots(count=len(wanted))
    return Spots(count=len(wanted), found=len(near), mean=float(near.mean()), largest=float(near.max()))


def shortcomings(metrics: Any, limits: Any) -> Any:
    """Sentences about the limits that an image does not meet; none when it does."""
    found = []
    if metrics.not_finite:
        found.append(f"{metrics.not_finite} pixels are numbers in one image and not in the other")
    if metrics.correlation is None:
        found.append("one image has no contrast, so there is no correlation")
    elif metrics.correlation < limits.min_correlation:
        found.append(f"the correlation {metrics.correlation:.9f} is below {limits.min_correlation:g}")
    low, high = limits.sum_ratio
    if metrics.sum_ratio is None:
        found.append("the reference's sum is 0 and the image's is not")
    elif not low <= metrics.sum_ratio <= high:
        found.append(f"the sum ratio {metrics.sum_ratio:.9f} is not within {low:g} and {high:g}")
    if limits.exact and metrics.identical < 1.0:
        pixels = (metrics.region[1] - metrics.region[0] + 1) * (metrics.region[3] - metrics.region[2] + 1)
        differing = pixels - round(metrics.identical * pixels)
        found.append(f"{differing} of {pixels} float pixels are not the same to the bit")
    return found


def read_floats(name: str, shape: Any) -> Any:
    """A float image from a file without header, as an array of shape (slow, fast)."""
    try:
        data = np.fromfile(name, np.float32)
        size = os.path.getsize(name)
    except OSError as error:
        raise NanoBraggError(f"cannot read {name}: {error.strerror}") from None
    if size != 4 * shape[0] * shape[1]:
        raise NanoBraggError(
            f"{name} has {size} bytes, and {shape[0]} x {shape[1]} pixels (slow x fast) take "
            f"{4 * shape[0] * shape[1]}; compare images of one size"
        )
    return data.reshape(shape)


def read_pixels(name: str, shape: Any = None) -> Any:
    """The pixels of an image of any format that is read, as float32; bare floats need their shape (slow, fast)."""
    from ..files.image import read_image
    from ..files.registry import format_of_bytes
    from ..files.source import Source

    source = Source(name, header_only=True)
    if format_of_bytes(source.name, source.start).magic is not None:
        return read_image(name).pixels.astype(np.float32)
    if shape is None or min(shape) < 1:
        raise NanoBraggError(
            f"--images needs --shape S F, the numbers of pixels along slow and fast, for {name}, which has no header"
        )
    return read_floats(name, shape)


def floats(data: Any, shape: Any) -> Any:
    """The bytes of a float image as an array of shape (slow, fast)."""
    if len(data) != 4 * shape[0] * shape[1]:
        raise NanoBraggError(
            f"a float image has {len(data) // 4} pixels, and the detector has {shape[0]} x {shape[1]} (slow x fast); "
            "images of different size cannot be compared"
        )
    return np.frombuffer(data, np.float32).reshape(shape)
