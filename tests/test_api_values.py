"""What the library says of bad values."""

import math

import numpy as np
import pytest
from small_experiment import small

from nanobragg_py import Experiment, FieldError, NanoBraggError, StructureFactors


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"beam.wavelength": -1.0}, "beam.wavelength is -1; it must be above 0"),
        ({"beam.wavelength": "long"}, "beam.wavelength is 'long'; it must be a number"),
        ({"beam.fluence": math.inf}, "beam.fluence is inf; it must be a finite number"),
        ({"beam.polarized": 3}, "beam.polarized is 3; it must be true or false"),
        ({"beam.sources": []}, "beam.sources must be rows"),
        ({"beam.sources": [(1, 2, 3)]}, r"beam.sources\[0\] is \(1, 2, 3\); it must be 5 numbers"),
        ({"beam.sources": [(0, 0, 0, 1, None)]}, "source 1 of the beam.sources lies in the sample"),
        ({"beam.direction": (0, 0, 1)}, 'beam.direction counts only with detector.convention = "CUSTOM"'),
        ({"detector.distance": 0}, "detector.distance is 0"),
        ({"detector.fpixels": 2.5}, "detector.fpixels is 2.5; it must be a whole number"),
        ({"detector.fpixels": 10**6, "detector.spixels": 10**6}, "more than 2147483647 pixels"),
        ({"detector.convention": "xds"}, "detector.convention is 'xds'; it must be one of"),
        ({"detector.pivot": "beam"}, "detector.pivot counts only"),
        ({"detector.roi": (0, 1, 2)}, "detector.roi is .* it must be 4 numbers"),
        ({"detector.mask": np.ones((3, 4), int)}, r"detector.mask has the shape \(3, 4\); the detector has \(20, 24\)"),
        ({"detector.mask": np.ones((20, 24))}, "detector.mask must be an array of whole numbers"),
        ({"crystal.cells": (0, 1, 1)}, "crystal.cells is 0; it must be at least 1"),
        ({"crystal.lengths": (10, 10, -1)}, "crystal.lengths is -1; it must be above 0"),
        ({"crystal.lengths": None}, "crystal.lengths is missing"),
        ({"crystal.shape": "cube"}, "crystal.shape is 'cube'; it must be one of square, round, gauss, tophat"),
        ({"crystal.missets": "random"}, "crystal.misset_seed is needed"),
        ({"crystal.matrix": np.ones((2, 3))}, "crystal.matrix must be a 3 x 3 matrix"),
        ({"crystal.matrix": np.ones((3, 3))}, "crystal.matrix"),
        ({"sampling.oversample": 0}, "sampling.oversample is 0; it must be at least 1"),
        (
            {"sampling.osc": 0.1, "sampling.phistep": 0.5, "sampling.phisteps": None, "sampling.dmin": -1},
            "sampling.dmin",
        ),
        ({"sampling.mosaic": 1}, "Sampling has no field 'mosaic'; did you mean crystal.mosaic_spread?"),
        ({"sampling.zzz": 1}, "Sampling has no field 'zzz'; its fields are oversample"),
        ({"crystal.mosaic_domain": 1}, "Crystal has no field 'mosaic_domain'; did you mean mosaic_domains?"),
        ({"wavelength": 1}, "an experiment has no field 'wavelength'; did you mean beam.wavelength?"),
        ({"detectr.distance": 1}, "an experiment has no field 'detectr'; did you mean detector?"),
        ({"nois": 1}, "an experiment has no field 'nois'; its fields are"),
        ({"crystal": 5}, "crystal is 5; it must be a nanobragg_py.Crystal"),
        ({"structure_factors.default_F": math.nan}, "structure_factors.default_F is nan"),
        ({"structure_factors": StructureFactors()}, "give structure_factors or structure_factors.default_F"),
    ],
)
def test_bad_fields_are_named(fields, says):
    with pytest.raises(FieldError, match=says) as caught:
        small(**fields)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"backend": "cuda"}, "backend is 'cuda'; it must be one of cpu, gpu, auto"),
        ({"compat": "d"}, "compat is 'd'"),
        ({"threads": -1}, "threads is -1"),
        ({"out": np.zeros((24, 20), np.float32)}, r"out is float32 of shape \(24, 20\)"),
        ({"out": np.zeros((20, 24))}, "out is float64"),
        ({"out": np.zeros((20, 48), np.float32)[:, ::2]}, "C-contiguous"),
        ({"out": [1]}, "out is list"),
        ({"on_device": True}, 'on_device needs backend "gpu"'),
    ],
)
def test_bad_arguments_of_render(arguments, says):
    with pytest.raises(FieldError, match=says):
        small().render(**arguments)


def test_command_line_errors_name_the_flag():
    with pytest.raises(NanoBraggError, match=r"-hkl|-default_F"):
        Experiment.from_args("-cell 10 10 10")
    with pytest.raises(NanoBraggError, match=r"absent\.hkl"):
        Experiment.from_args(["-cell", "10", "10", "10", "-hkl", "absent.hkl"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("detector.distance", 1e157),
        ("detector.pixel_size", 1e157),
        ("beam.wavelength", 1e-300),
        ("crystal.lengths", (1e25, 1e25, 1e25)),
        ("sampling.water", 1e150),
        ("beam.dispersion", 2.0),
    ],
)
def test_absurd_numbers_are_errors_of_the_field_and_not_the_end_of_the_process(field, value):
    with pytest.raises(NanoBraggError) as error:
        small(**{field: value}).render()
    assert "\n" not in str(error.value)
