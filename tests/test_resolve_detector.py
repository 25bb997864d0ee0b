"""The detector: conventions, pivots, near points, sizes, masks, and what image headers set."""

import math
from math import cos, radians, sin

import numpy as np
import pytest
from resolving import setup, texts

from nanobragg_py.flags.header import apply_header
from nanobragg_py.flags.options import Options

X, Y, Z = np.eye(3)

CONVENTIONS = {
    #         beam fast slow normal polar spindle pivot
    "ADXV": (Z, X, -Y, Z, X, X, "beam"),
    "MOSFLM": (X, Z, -Y, X, Z, Z, "beam"),
    "DENZO": (X, Z, -Y, X, Z, Z, "beam"),
    "XDS": (Z, X, Y, Z, X, X, "sample"),
    "DIALS": (Z, X, Y, Z, Y, Y, "sample"),
    "CUSTOM": (X, Z, -Y, X, Z, Z, "beam"),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_convention_vectors(convention):
    made = setup(convention=convention)
    beam, fast, slow, normal, polar, spindle, pivot = CONVENTIONS[convention]
    assert made.beam.direction == tuple(beam)
    assert made.detector.fast == pytest.approx(tuple(fast))
    assert made.detector.slow == pytest.approx(tuple(slow))
    assert made.detector.normal == pytest.approx(tuple(normal))
    assert made.beam.polarization_axis == tuple(polar)
    assert made.sampling.spindle == tuple(spindle)
    assert made.detector.pivot == pivot


@pytest.mark.parametrize(
    ("convention", "axis"), [("ADXV", -X), ("MOSFLM", -Z), ("DENZO", -Z), ("XDS", X), ("DIALS", Y), ("CUSTOM", Y)]
)
def test_twotheta_axis(convention, axis):
    angle = 0.3
    still = setup(convention=convention, pivot="sample").detector
    swung = setup(convention=convention, pivot="sample", twotheta=angle).detector
    normal = np.array(still.normal)
    expected = normal * cos(angle) + np.cross(axis, normal) * sin(angle) + axis * (axis @ normal) * (1 - cos(angle))
    assert swung.normal == pytest.approx(tuple(expected), abs=1e-15)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_default_beam_centre(convention):
    size = {"fpixels": 60, "spixels": 40, "pixel_size": 1e-3}
    pixel, fast, slow = 1e-3, 60e-3, 40e-3
    detector = setup(convention=convention, **size).detector
    expected = {
        "ADXV": ((fast + pixel) / 2, (slow - pixel) / 2),
        "MOSFLM": ((slow + pixel) / 2, (fast + pixel) / 2),
        "DENZO": ((slow + pixel) / 2, (fast + pixel) / 2),
    }.get(convention, (fast / 2, slow / 2))
    assert (detector.Xbeam, detector.Ybeam) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("convention", "spot"),
    [
        ("ADXV", (0.021, 0.04 - 0.013)),
        ("MOSFLM", (0.0135, 0.0215)),
        ("DENZO", (0.013, 0.021)),
        ("XDS", (0.03, 0.02)),
        ("DIALS", (0.03, 0.02)),
        ("CUSTOM", (0.021, 0.013)),
    ],
)
def test_beam_centre_on_the_detector(convention, spot):
    """XDS and DIALS pivot about the sample, so that the near point decides and Xbeam is only listed."""
    size = {"fpixels": 60, "spixels": 40, "pixel_size": 1e-3}
    detector = setup(convention=convention, Xbeam=0.021, Ybeam=0.013, **size).detector
    assert (detector.Fbeam, detector.Sbeam) == pytest.approx(spot, rel=1e-13)
    assert (detector.Xbeam, detector.Ybeam) == (0.021, 0.013)


@pytest.mark.parametrize("convention", ["MOSFLM", "XDS"])
def test_a_named_convention_overrides_the_pivot(convention):
    pivots = {setup(convention=convention, pivot=pivot).detector.pivot for pivot in ("beam", "sample")}
    assert pivots == {CONVENTIONS[convention][-1]}


TILTED = {
    "convention": "CUSTOM",
    "detector_rotx": 0.1,
    "detector_roty": -0.2,
    "detector_rotz": 0.3,
    "twotheta": 0.15,
    "fdet_vector": (0.0, 0.1, 1.0),
    "sdet_vector": (0.0, -1.0, 0.1),
}


def test_beam_pivot_keeps_the_beam_spot():
    made = setup(pivot="beam", Xbeam=0.02, Ybeam=0.03, **TILTED)
    d, beam = made.detector, np.array(made.beam.direction)
    spot = np.array(d.origin) + 0.02 * np.array(d.fast) + 0.03 * np.array(d.slow)
    # the distance is that of the detector before two-theta, along the beam
    assert spot == pytest.approx(np.linalg.norm(spot) * beam, abs=1e-15)
    assert np.linalg.norm(spot) == pytest.approx(0.1, rel=1e-12)


def test_sample_pivot_keeps_the_near_point():
    made = setup(pivot="sample", Xbeam=0.02, Ybeam=0.03, close_distance=0.12, **TILTED)
    d = made.detector
    assert (d.Fclose, d.Sclose, d.close_distance) == pytest.approx((0.02, 0.03, 0.12), rel=1e-12)


@pytest.mark.parametrize("pivot", ["beam", "sample"])
def test_near_point_and_header_coordinates(pivot):
    d = setup(pivot=pivot, **TILTED).detector
    fast, slow, normal, origin = (np.array(v) for v in (d.fast, d.slow, d.normal, d.origin))
    near = origin + d.Fclose * fast + d.Sclose * slow
    assert near == pytest.approx(d.close_distance * normal, abs=1e-15)
    assert pytest.approx(d.Fclose / d.pixel_size + 0.5) == d.ORGX
    assert pytest.approx(d.Sclose / d.pixel_size + 0.5) == d.ORGY
    assert d.dials_origin == pytest.approx((1000 * origin[2], 1000 * origin[1], -1000 * origin[0]))
    assert abs(fast @ normal) < 1e-3  # the given axes are nearly, not exactly, perpendicular
    assert d.beam_in_detector_frame == pytest.approx((fast[0], slow[0], normal[0]))


def test_the_near_point_may_be_given_in_pixels():
    d = setup(convention="XDS", ORGX=20.0, ORGY=31.5, pixel_size=1e-3).detector
    assert (d.Fclose, d.Sclose) == pytest.approx((0.0195, 0.031), rel=1e-14)
    assert (d.Xclose, d.Yclose) == (d.Xbeam, d.Ybeam) == ((20.0 - 0.5) * 1e-3, (31.5 - 0.5) * 1e-3)
    assert pytest.approx([20.0, 31.5], rel=1e-13) == [d.ORGX, d.ORGY]


def test_distance_and_close_distance():
    assert setup(detector_roty=0.5).detector.close_distance == pytest.approx(0.1 * cos(0.5), rel=1e-14)
    assert setup(detector_roty=0.5, close_distance=0.1).detector.distance == pytest.approx(0.1 / cos(0.5), rel=1e-14)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"fpixels": 0, "spixels": 0}, (0.1024, 0.1024, 1024, 1024)),
        ({"fpixels": 50, "spixels": 0, "pixel_size": 1e-3}, (0.05, 0.1024, 50, 102)),
        (
            {"fpixels": 0, "spixels": 0, "pixel_size": 0.9e-3, "detsize_f": 0.06, "detsize_s": 0.045},
            (0.06, 0.045, 67, 50),
        ),
        ({"fpixels": 0, "spixels": 3, "pixel_size": 2.0, "detsize_f": 5.0}, (5.0, 6.0, 2, 3)),
    ],
)
def test_detector_size(given, expected):
    d = setup(**given).detector
    assert (d.detsize_f, d.detsize_s, d.fpixels, d.spixels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((-1, -1, -1, -1), (0, 64, 0, 50)),
        ((3, 5, 7, 9), (3, 5, 7, 9)),
        ((-4, 5, 7, -9), (0, 5, 7, 50)),
        ((2, 100, 0, 0), (2, 100, 0, 0)),
    ],
)
def test_region_of_interest(given, expected):
    assert setup(roi=given, spixels=50).detector.roi == expected


def test_a_normal_that_is_no_unit_vector_is_replaced():
    made = setup(convention="CUSTOM", odet_vector=(5.0, 1.0, 0.0))
    assert made.detector.normal == pytest.approx((1.0, 0.0, 0.0))
    assert len(texts(made, "options")) == 1
    assert not setup(convention="CUSTOM", odet_vector=(0.6, 0.8, 0.0)).warnings


def test_the_mask_is_fitted_to_the_detector():
    flags = np.arange(12, dtype=np.uint16).reshape(3, 4)
    same = setup(mask=flags, mask_file="m.img", fpixels=4, spixels=3)
    assert list(same.detector.mask) == list(range(12))
    assert same.detector.mask_name == "m.img"
    assert list(setup(mask=flags, fpixels=2, spixels=2).detector.mask) == [0, 1, 2, 3]
    larger = setup(mask=flags, fpixels=4, spixels=4)
    assert list(larger.detector.mask) == [*range(12), 0, 0, 0, 0]
    assert len(larger.remarks) == 1


class Header:
    width, height = 56, 72

    def __init__(self, **values):
        self.values = values

    def header_value(self, key):
        return self.values.get(key)


FULL = {
    "PIXEL_SIZE": 0.8,
    "DISTANCE": 110.0,
    "CLOSE_DISTANCE": 105.0,
    "WAVELENGTH": 0.9795,
    "BEAM_CENTER_X": 21.5,
    "BEAM_CENTER_Y": 30.25,
    "ORGX": 12.0,
    "ORGY": 13.0,
    "PHI": 3.5,
    "OSC_RANGE": 0.5,
    "TWOTHETA": 5.0,
}


def test_header_values():
    given = Options()
    apply_header(given, Header(**FULL), "img")
    assert (given.fpixels, given.spixels) == (56, 72)
    assert (given.pixel_size, given.distance, given.close_distance) == (0.8e-3, 0.11, 0.105)
    assert (given.detsize_f, given.detsize_s) == (given.pixel_size * 56, given.pixel_size * 72)
    assert given.wavelength == 0.9795 / 1e10
    assert (given.Xbeam, given.Ybeam, given.ORGX, given.ORGY) == (0.0215, 0.03025, 12.0, 13.0)
    assert (given.phi0, given.osc) == pytest.approx((radians(3.5), radians(0.5)), rel=1e-15)
    assert given.twotheta == 0.0


def test_a_mask_counts_the_beam_from_the_other_edge():
    given = Options()
    apply_header(given, Header(**FULL), "mask")
    assert given.Ybeam == 0.8e-3 * 72 - 0.03025
    assert given.Xbeam == 0.0215


def test_missing_header_values_leave_the_options_alone():
    given = Options()
    apply_header(given, Header(DISTANCE=float("nan")), "img")
    assert (given.distance, given.wavelength, given.osc) == (0.1, 1e-10, -1.0)
    assert math.isnan(given.Xbeam)
    assert given.detsize_f == 1e-4 * 56
