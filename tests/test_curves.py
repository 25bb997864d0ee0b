"""Curves F(sin(theta)/lambda) as people have them, and as nobody should: a background, or one sentence."""

import gzip
import math
import random
import struct

import numpy as np
import pytest

from nanobragg_py import Background, Experiment, NanoBraggError
from nanobragg_py.experiment.load_background import read_curve
from nanobragg_py.inspect import golden

SMALL = "-detpixels 8 -pixel 4 -distance 30 -lambda 1 -fluence 1e20 -nonoise"
ROWS = [(0.02 * i, 3.0 + math.sin(i)) for i in range(20)]


def text(rows):
    return "".join(f"{x:.3f} {F:.5f}\n" for x, F in rows).encode()


def image(nonbragg, curve, folder, *more):
    """(exit status, last line on standard error, pixels or None) of a run with a curve."""
    folder.mkdir()
    (folder / "curve.stol").write_bytes(curve)
    result = golden.run(nonbragg, ["-stol", "curve.stol", *SMALL.split(), *more], folder)
    assert "Traceback" not in result.errors and "defect" not in result.errors
    pixels = None
    if result.exit_status == 0:
        pixels = np.frombuffer(result.files["floatimage.bin"], np.float32)
    else:
        assert result.exit_status == 9 and result.files == {}
    return result.exit_status, (result.errors.splitlines() or [""])[-1], pixels


@pytest.mark.parametrize("mode", [(), ("-compat", "c")], ids=["default", "c"])
@pytest.mark.parametrize(
    ("curve", "said"),
    [
        (b"", "curve.stol has no row of numbers"),
        (b"\n \t\n", "curve.stol has no row of numbers"),
        (b"0.1\n0.2\n", "curve.stol has no F"),
        (b"0.1 nan\n0.2 nan\n", "curve.stol has no F"),
        (b"0.1 2\n0.2 inf\n", "row 2 of curve.stol is"),
        (b"nan 2\n0.2 1\n", "row 1 of curve.stol is"),
        (b"0.1 1e999\n0.2 1\n", "row 1 of curve.stol is"),
    ],
)
def test_what_is_no_curve(curve, said, mode, nonbragg, tmp_path):
    status, last, _ = image(nonbragg, curve, tmp_path / "run", *mode)
    assert status == 9 and last.startswith("ERROR: ") and said in last


@pytest.mark.parametrize("curve", [gzip.compress(text(ROWS)), bytes(range(128, 256)) * 40, b"\0" * 3000])
def test_bytes_are_no_curve(curve, nonbragg, tmp_path):
    status, last, _ = image(nonbragg, curve, tmp_path / "run")
    assert status == 9 and "curve.stol" in last


def test_one_point_is_a_constant(nonbragg, tmp_path):
    _, _, one = image(nonbragg, b"0.3 5\n", tmp_path / "one")
    _, _, two = image(nonbragg, b"0 5\n1 5\n", tmp_path / "two")
    np.testing.assert_allclose(one, two, rtol=1e-6)
    assert (one > 0).all()


def test_order_does_not_count(nonbragg, tmp_path):
    _, _, rising = image(nonbragg, text(ROWS), tmp_path / "rising")
    _, _, falling = image(nonbragg, text(ROWS[::-1]), tmp_path / "falling")
    mixed = random.Random(1).sample(ROWS, len(ROWS))
    _, _, any_order = image(nonbragg, text(mixed), tmp_path / "mixed")
    assert np.array_equal(rising, falling) and np.array_equal(rising, any_order)


def test_of_equal_abscissae_the_last_counts(nonbragg, tmp_path):
    _, _, plain = image(nonbragg, text(ROWS), tmp_path / "plain")
    twice = [row for x, F in ROWS for row in ((x, F + 7.0), (x, F))]
    _, _, doubled = image(nonbragg, text(twice), tmp_path / "doubled")
    assert np.array_equal(plain, doubled)


def test_prose_does_not_count(nonbragg, tmp_path):
    _, _, plain = image(nonbragg, text(ROWS), tmp_path / "plain")
    wordy = b"# water\nsin(theta)/lambda F\n" + text(ROWS).replace(b"\n", b"\r\n") + b"; the end\n"
    _, _, commented = image(nonbragg, wordy, tmp_path / "commented")
    assert np.array_equal(plain, commented)


def broken(draw):
    """A curve file in which something was done to the bytes, or which is made of odd words."""
    if draw.random() < 0.4:
        words = [
            "0",
            "-1",
            "1e308",
            "1e-320",
            "nan",
            "inf",
            "-inf",
            "0.1",
            "0.1",
            ",",
            ";",
            "x",
            "+",
            "1e",
            "0x1p3",
            "\0",
        ]
        rows = (" ".join(draw.choice(words) for _ in range(draw.randrange(4))) for _ in range(draw.randrange(12)))
        return draw.choice(["\n", "\r\n", "\r"]).join(rows).encode()
    data = bytearray(text(ROWS[: draw.randrange(1, 20)]))
    for _ in range(draw.randrange(1, 6)):
        kind, at = draw.randrange(4), draw.randrange(len(data) + 1)
        if kind == 0:
            data[at:at] = draw.randbytes(draw.randrange(1, 9))
        elif kind == 1:
            del data[at : at + draw.randrange(1, 30)]
        elif kind == 2:
            data[at:at] = draw.choice(
                [b"\n", b"nan", b"1e999", b"#", b"\0", b"\xff\xfe", b"9" * 400, struct.pack("d", 0.1)]
            )
        else:
            data[at:at] = data[draw.randrange(len(data) + 1) :]
    return bytes(data)


@pytest.mark.parametrize("ordered", [True, False])
def test_any_bytes_are_a_curve_or_a_sentence(ordered, tmp_path):
    """Also for the loops: what comes out of the reader can be rendered."""
    draw, path = random.Random(20261125), tmp_path / "curve.stol"
    experiment = Experiment.from_args("-cell 50 60 70 90 90 90 -default_F 1 -N 1 -detpixels 8 -pixel 4 -distance 30")
    curves = sentences = 0
    for _ in range(1500):
        path.write_bytes(broken(draw))
        try:
            curve = read_curve(str(path), 1e10, ordered)
        except NanoBraggError as error:
            assert str(path) in str(error)
            sentences += 1
            continue
        assert all(map(math.isfinite, [*memoryview(curve.x), *memoryview(curve.F)]))
        curves += 1
        if ordered and curves % 10 == 0:
            assert Background(str(path)).render(experiment).shape == (8, 8)
    assert curves > 100 and sentences > 100
