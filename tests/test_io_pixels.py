"""Float images to the integers of SMV and PGM files: the reference's numbers, bit for bit."""

import json
import math
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.files.blocks import row_blocks
from nanobragg_py.files.pgm import write_pgm
from nanobragg_py.files.smv import write_scaled_smv
from nanobragg_py.files.smv_read import read_smv
from nanobragg_py.kernels.files.imagefile import pgm_pixels, smv_pixels
from nanobragg_py.kernels.memory.buffers import Buffer

GOLDEN = Path(__file__).parent.parent / "golden"


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def model_smv(intensity, scale, adc):
    value = intensity * scale + adc
    if math.isnan(value):
        return 0
    value = min(max(value, 0.0), 65535.0)
    return math.floor(float32(value + 0.5))


def model_pgm(intensity, scale):
    value = intensity * scale
    if value > 255.0:
        return 255
    if math.isnan(value) or value < -(2.0**31):
        return 0
    return math.trunc(value) & 0xFF


# values around every half and every limit, as float32
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 3.4e38, -3.4e38, 1e-45, -1e-45, 1e10, -1e10, 2.0**31, -(2.0**31)]
NEAR = [
    float(np.nextafter(np.float32(x), np.float32(towards)))
    for x in [*np.arange(-3, 4, 0.5), 254.5, 255.0, 255.5, 256.0, 999.5, 32767.5, 65534.5, 65535.0, 65535.5, 65536.0]
    for towards in (-math.inf, x, math.inf)
]
RANDOM = np.random.default_rng(7)
WIDE = RANDOM.normal(0, 1, 500) * 10.0 ** RANDOM.integers(-3, 11, 500)
VALUES = np.array([*SPECIAL, *NEAR, *WIDE, *RANDOM.uniform(0, 70000, 500)], dtype=np.float32)


def image_of(values):
    values = np.asarray(values, dtype=np.float32)
    return np.resize(values, (math.ceil(len(values) / 37), 37))


def everything(image):
    return 0, image.shape[1], 0, image.shape[0]


@pytest.mark.parametrize("scale", [1.0, 0.1, 3.7, 1e-3, 1e6, -2.0, 0.0])
@pytest.mark.parametrize("adc", [0.0, 40.0, -3.5, 20.75, 0.49999999999])
@pytest.mark.parametrize("wide", [False, True])
def test_smv_pixels_equal_the_model(scale, adc, wide):
    image = image_of(VALUES)
    block = Buffer(image.shape, "H", zero=False)
    smv_pixels(image, 0, block, everything(image), scale, adc, wide=wide)
    assert np.asarray(block).ravel().tolist() == [model_smv(value, scale, adc) for value in image.ravel().tolist()]


@pytest.mark.parametrize("scale", [1.0, 0.1, 3.7, 1e-3, 1e6, -2.0, 0.0])
@pytest.mark.parametrize("wide", [False, True])
def test_pgm_pixels_equal_the_model(scale, wide):
    image = image_of(VALUES)
    block = Buffer(image.shape, "B", zero=False)
    pgm_pixels(image, 0, block, everything(image), scale, wide=wide)
    assert np.asarray(block).ravel().tolist() == [model_pgm(value, scale) for value in image.ravel().tolist()]


def test_rounding_to_float32_is_kept():
    # 8191.49999999 + 0.5 is below 8192 in float64, and is 8192 in float32
    block = Buffer((1, 1), "H")
    smv_pixels(np.full((1, 1), 1.0, np.float32), 0, block, (0, 1, 0, 1), 8191.49999999, 0.0)
    assert memoryview(block)[0, 0] == 8192


def test_product_and_sum_are_rounded_one_after_the_other():
    # a fused multiply-add would leave the rounding error of the product, millions here
    value = float32(1.1e12)
    scales = (1.7e12 / n for n in range(3, 99))
    scale = next(scale for scale in scales if Fraction(value) * Fraction(scale) - Fraction(value * scale) > 65535)
    block = Buffer((1, 8), "H")
    smv_pixels(np.full((1, 8), value, np.float32), 0, block, (0, 8, 0, 1), scale, -(value * scale))
    assert not any(bytes(block))


@pytest.mark.parametrize(
    "roi",
    [
        (0, 8, 0, 6),
        (2, 5, 1, 3),
        (0, 0, 0, 0),
        (7, 8, 5, 6),
        (3, 2, 0, 6),
        (0, 8, 4, 1),
        (-5, 3, -5, 2),
        (0, 10**9, 0, 10**9),
        (9, 12, 7, 9),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_roi_is_inclusive_and_the_rest_is_zero(roi, rows):
    image = np.random.default_rng(1).uniform(10, 100, (6, 8)).astype(np.float32)
    fast, slow = np.arange(8), np.arange(6)[:, None]
    inside = (fast >= roi[0]) & (fast <= roi[1]) & (slow >= roi[2]) & (slow <= roi[3])
    for format, convert, expected in (
        ("H", lambda first, block: smv_pixels(image, first, block, roi, 2.0, 40.0), np.floor(image * 2.0 + 40.5)),
        ("B", lambda first, block: pgm_pixels(image, first, block, roi, 2.0), np.floor(image * 2.0)),
    ):
        got = np.empty((6, 8), format)
        for first in range(0, 6, rows):
            block = Buffer((rows, 8), format, zero=False)
            np.asarray(block)[...] = 77
            convert(first, block)
            got[first : first + rows] = block
        np.testing.assert_array_equal(got, np.where(inside, expected, 0))


def test_wrong_images_are_refused():
    block = Buffer((2, 3), "H")
    for shape, format in (((2, 3), "d"), (6, "f"), ((2, 4), "f"), ((1, 3), "f"), ((2, 3), "i")):
        with pytest.raises(ValueError):
            smv_pixels(np.zeros(shape, format), 0, block, (0, 3, 0, 2), 1.0, 0.0)
    with pytest.raises(ValueError):
        smv_pixels(np.zeros((3, 3), "f"), 2, block, (0, 3, 0, 2), 1.0, 0.0)
    with pytest.raises(ValueError):
        smv_pixels(np.zeros((3, 3), "f"), -1, block, (0, 3, 0, 2), 1.0, 0.0)
    with pytest.raises(ValueError):
        pgm_pixels(np.zeros((2, 3), "f"), 0, block, (0, 3, 0, 2), 1.0)
    with pytest.raises((ValueError, BufferError)):
        smv_pixels(np.zeros((3, 2), "f").T, 0, block, (0, 3, 0, 2), 1.0, 0.0)


@pytest.mark.parametrize("slow, fast", [(1, 1), (3, 70000), (1000, 200), (65, 1024), (0, 5)])
def test_blocks_cover_the_image_once(slow, fast):
    rows = 0
    for first, block in row_blocks(slow, fast, "B"):
        assert first == rows
        assert block.shape[1] == fast
        rows += block.shape[0]
    assert rows == slow


# ---- against the reference's files ---------------------------------------------------------------------------------


def golden_images():
    return [
        case
        for case in json.loads((GOLDEN / "cases.json").read_text())
        if not case["id"].startswith("error") and "-intfile" not in case["args"] and "-intimage" not in case["args"]
    ]


def after(words, flag, default):
    """The last value of a flag, found in its token as the reference finds it."""
    values = [float(value) for word, value in pairwise(words) if word.startswith(flag)]
    return values[-1] if values else default


@pytest.mark.parametrize("case", golden_images(), ids=lambda case: case["id"])
def test_golden_integer_and_pgm_images(tmp_path, case):
    with np.load(GOLDEN / f"{case['id']}.npz") as golden:
        written = {name: golden[name].tobytes() for name in golden if name.endswith((".img", ".pgm", ".bin"))}
    if "intimage.img" not in written or "floatimage.bin" not in written:
        pytest.skip("its files have other names")
    smv = tmp_path / "intimage.img"
    smv.write_bytes(written["intimage.img"])
    header = read_smv(smv, header_only=True)
    image = np.frombuffer(written["floatimage.bin"], np.float32).reshape(header.height, header.width)
    words = case["args"].split()
    roi = [0, header.width, 0, header.height]
    if "-roi" in words:
        given = [int(word) for word in words[words.index("-roi") + 1 :][:4]]
        roi = [new if new >= 0 else old for new, old in zip(given, roi, strict=True)]
    roi = tuple(roi)
    scale = after(words, "-scale", 0.0)
    if scale <= 0.0:
        scale = 55000.0 / float(image.max()) if image.max() > 0 else 1.0
    write_scaled_smv(smv, header.header, image, scale, after(words, "-adc", 40.0), roi)
    assert smv.read_bytes() == written["intimage.img"]

    if "image.pgm" not in written or "-mask" in words:
        return
    pgm = tmp_path / "image.pgm"
    pgm_scale = after(words, "-pgmscale", 0.0)
    if pgm_scale <= 0.0:
        inside = image[roi[2] : roi[3] + 1, roi[0] : roi[1] + 1].astype(float).ravel()
        mean = np.cumsum(inside)[-1] / len(inside)
        rmsd = math.sqrt(np.cumsum((inside - mean) ** 2)[-1] / (len(inside) - 1))
        pgm_scale = 250.0 / (5.0 * rmsd) if rmsd > 0 else scale
    write_pgm(pgm, image, pgm_scale, roi)
    assert pgm.read_bytes() == written["image.pgm"]
