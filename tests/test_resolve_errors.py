"""Options that make no image: one sentence that names the flag, never a traceback."""

import math
from math import pi

import pytest
from resolving import Ran1, experiment, options, setup

from nanobragg_py.errors import NanoBraggError, UsageError
from nanobragg_py.experiment.resolve import resolve_setup


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"wavelength": 0.0}, "-lambda"),
        ({"wavelength": math.nan}, "-lambda"),
        ({"wavelength": math.inf}, "-energy"),
        ({"pixel_size": 0.0}, "-pixel"),
        ({"distance": 0.0}, "-distance"),
        ({"close_distance": 0.0}, "-close_distance"),
        ({"close_distance": math.inf}, "-close_distance"),
        ({"misset": (0.0, math.nan, 0.0)}, "-misset"),
        ({"fpixels": 0, "spixels": 0, "detsize_f": 0.0}, "no pixels"),
        ({"fpixels": -5}, "no pixels"),
        ({"fpixels": 100000, "spixels": 100000}, "more than 2147483647 pixels"),
        ({"fpixels": 0, "detsize_f": 1e300}, "more than 2147483647 pixels"),
        ({"flux": 1e12, "beamsize": 0.0}, "-beamsize"),
        ({"flux": 1e300, "exposure": 1e300}, "infinite fluence"),
        ({"convention": "CUSTOM", "beam_vector": (0.0, 0.0, 0.0)}, "-beam_vector"),
        ({"convention": "CUSTOM", "fdet_vector": (0.0, 2.0, 0.0), "odet_vector": (2.0, 0.0, 0.0)}, "parallel"),
        ({"cell_lengths": (50.0, 1e300, 50.0)}, "-cell"),
        ({"cell_lengths": (50.0, math.nan, 50.0)}, "-cell"),
        ({"cell_angles": (pi, pi / 2, pi / 2)}, "-cell 100 100 100 180 90 90"),
        ({"cell_lengths": (1e-200, 1e-200, 1e-200)}, "-cell"),
        ({"user_cell": False, "matrix_file": "absent.mat"}, "absent.mat"),
        ({"sample_x": 1e300}, "-xtalsize"),
        ({"mosaic_spread": 1e300}, "-mosaic"),
        ({"osc": 0.0, "phistep": 0.1}, "-osc"),
        ({"osc": 1.0, "phistep": 1e-300}, "-osc"),
        ({"hdivrange": 1e-3, "hdivstep": 1.0, "vdivrange": 1e-3, "vdivstep": 1.0}, "-square_div"),
        ({"phisteps": 2**31 - 1, "mosaic_spread": 0.1, "mosaic_domains": 2**31 - 1}, "-phisteps"),
        ({"dispersion": 0.1, "dispsteps": 2**31 - 1, "hdivsteps": 10**6}, "-dispsteps"),
        ({"detector_thick": 1e-4, "detector_thicksteps": 2**31 - 1, "detector_mu": 1.0}, None),
        ({"distance": 1e157}, "-distance"),
        ({"distance": 1e305}, "-distance"),
        ({"close_distance": 1e157}, "-close_distance"),
        ({"Xbeam": 1e157, "convention": "MOSFLM"}, "-Xbeam"),
        ({"Ybeam": 1e305, "convention": "MOSFLM"}, "-Ybeam"),
        ({"ORGX": 1e305, "convention": "XDS"}, "-ORGX"),
        ({"pixel_size": 1e157, "fpixels": 12, "spixels": 12}, "-pixel"),
        ({"pixel_size": 1e306, "fpixels": 12, "spixels": 12}, "-pixel"),
        ({"convention": "CUSTOM", "twotheta_axis": (1e200, 0.0, 0.0), "twotheta": 0.1}, "vector"),
        ({"detector_thick": 1e302}, "-detector_thick"),
        ({"detector_thick": 1e194, "detector_thicksteps": 3}, "-detector_thick"),
        ({"detector_thick": 1e100, "detector_mu": 1e300}, "-detector_abs"),
        ({"wavelength": 1e-317}, "-lambda"),
        ({"wavelength": 1e-30}, "-lambda"),
        ({"wavelength": 1e-10, "cell_lengths": (1e20, 1e20, 1e20)}, "-cell"),
        ({"dispersion": 1e306, "dispsteps": 3}, "-dispersion"),
        ({"dispersion": 2.0, "dispsteps": 3}, "-dispersion"),
        ({"hdivrange": 1.7e308, "hdivstep": 1.7e308, "hdivsteps": 3}, "-hdivrange"),
        ({"phi0": 1.7e308, "osc": 1.7e308, "phisteps": 3}, "-phi"),
        ({"water": 1e157}, "-water"),
        ({"shape": "gauss", "fudge": 1e308, "Na": 1e9, "Nb": 1e9, "Nc": 1e9}, "-fudge"),
        ({"oversample": 2**31 - 1}, "-oversample"),
        ({"oversample": 10**6, "mosaic_spread": 0.1, "mosaic_domains": 2, "phisteps": 4 * 10**6}, "contributions"),
        ({"detector_thick": 1e-310}, "-detector_thick"),
        (
            {"detector_rotx": 1e308, "distance": 1e308, "convention": "CUSTOM", "twotheta_axis": (1e300, 0.0, 0.0)},
            "reach",
        ),
    ],
)
def test_options_without_sense(given, says):
    if says is None:
        # too large for some machines and not for others
        given, says = {**given, "detector_thicksteps": 10**17}, "-detector_thicksteps"
    with pytest.raises(NanoBraggError, match=says) as error:
        experiment(**given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("matrix", [(0.0,) * 9, (1, 2, 3, 2, 4, 6, 0.1, 0.5, 0.3), (1.0,) * 9])
@pytest.mark.parametrize("user_cell", [True, False])
def test_a_singular_matrix(matrix, user_cell):
    with pytest.raises(NanoBraggError, match=r"bad\.mat"):
        setup(matrix=tuple(float(x) for x in matrix), matrix_file="bad.mat", user_cell=user_cell)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((-10.0, 0.0, 0.0, 1.0, 0.0), "source 2 .* wavelength"),
        ((0.0, 0.0, 0.0, 1.0, 1e-10), "source 2 .* sample"),
        ((-10.0, math.inf, 0.0, 1.0, 1e-10), "source 2 .* finite"),
    ],
)
def test_bad_sources(row, says):
    with pytest.raises(NanoBraggError, match=says):
        experiment([(-10.0, 0.0, 0.0, 1.0, 1e-10), row])


@pytest.mark.parametrize(
    "given",
    [{"default_F": 0.0}, {"user_cell": False, "cell_lengths": (0.0, 0.0, 0.0)}, {"cell_lengths": (0.0, 5.0, 5.0)}],
)
def test_nothing_to_render_is_a_question_of_usage(given):
    with pytest.raises(UsageError):
        setup(**given)


def test_a_dump_file_or_an_hkl_file_will_do():
    resolve_setup(options(default_F=0.0), Ran1(), dump_available=True)
    setup(default_F=0.0, hkl_file="P1.hkl")


@pytest.mark.parametrize("name", ["wavelength", "pixel_size", "distance", "close_distance", "fluence"])
def test_negative_values_are_rendered_with_a_remark(name):
    value = {"wavelength": 1e-10, "pixel_size": 1e-4, "distance": 0.1, "close_distance": 0.1, "fluence": 1e20}[name]
    assert len(setup(**{name: -value}).remarks) == 1
    assert not setup(**{name: value}).remarks


def test_more_steps_than_the_reference_can_count():
    made = experiment(mosaic_spread=0.1, mosaic_domains=2, oversample=65536)
    assert made.sampling.steps == 2**33
    assert "count" in setup(mosaic_spread=0.1, mosaic_domains=2, oversample=65536).remarks[0]
