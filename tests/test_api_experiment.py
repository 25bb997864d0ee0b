"""The library's experiment: making and changing one."""

import math
import pickle

import numpy as np
import pytest
from small_experiment import FLAT, small

import nanobragg_py
from nanobragg_py import (
    Beam,
    Crystal,
    Detector,
    Experiment,
    FieldError,
    Sampling,
    StructureFactors,
    random_rotations,
    rotation_to_missets,
)

# ---- making --------------------------------------------------------------------------------------------------------


def test_parts_are_what_the_command_line_makes():
    words = "-cell 100 110 120 90 95 90 -N 5 -lambda 1.2 -distance 150 -pixel 1 -detpixels 20 -default_F 100 -xds"
    words += " -mosaic 0.5 -mosaic_domains 4 -phi 1 -osc 0.5 -phisteps 3 -oversample 2 -misset 10 20 30"
    theirs = Experiment.from_args(words)
    angles = tuple(x / nanobragg_py.vectors.DEGREES_PER_RADIAN for x in (10.0, 20.0, 30.0, 0.5, 1.0, 95.0))
    ours = Experiment(
        Crystal.from_cell(
            100, 110, 120, 90, 95, 90, cells=(5, 5, 5), missets=angles[:3], mosaic_spread=angles[3], mosaic_domains=4
        ).replace(angles=(math.pi / 2, angles[5], math.pi / 2)),
        Beam(wavelength=1.2e-10),
        Detector.flat(20, 1e-3, 0.15, convention="XDS"),
        Sampling(phi0=angles[4], osc=angles[3], phisteps=3, oversample=2),
        FLAT,
        "reference",
    )
    assert ours.replace({"crystal.angles": theirs.crystal.angles}) == theirs
    assert np.array_equal(ours.render(), theirs.render())


@pytest.mark.parametrize("convention", ["MOSFLM", "DENZO", "ADXV", "XDS", "DIALS", "CUSTOM"])
def test_flat_detector_has_its_beam_centre(convention):
    detector = Detector.flat((30, 20), 1e-3, 0.1, beam_centre=(0.012, 0.009), convention=convention)
    resolved = Experiment(Crystal.from_cell(100), detector=detector, structure_factors=FLAT).resolved.detector
    assert (resolved.Fbeam, resolved.Sbeam) == pytest.approx((0.012, 0.009))
    assert (resolved.fpixels, resolved.spixels, resolved.distance) == (30, 20, pytest.approx(0.1))


def test_crystal_from_vectors_and_UB_agree():
    U = nanobragg_py.random_rotations(1, seed=3)[0]
    cell = (50, 60, 70, 80, 95, 100)
    A = U @ nanobragg_py.b_matrix(*cell)
    vectors = np.linalg.inv(A)
    for crystal in (Crystal.from_UB(U, cell), Crystal.from_matrix(A), Crystal.from_vectors(*vectors)):
        resolved = small(crystal=crystal).resolved.crystal
        assert np.allclose([resolved.a, resolved.b, resolved.c], vectors * 1e-10, rtol=1e-12)
        assert np.allclose(np.transpose([resolved.a_star, resolved.b_star, resolved.c_star]), A, rtol=1e-9)
        assert resolved.lengths == pytest.approx(cell[:3])


def test_matrix_does_not_depend_on_the_wavelength():
    crystal = Crystal.from_UB(np.eye(3), (50, 60, 70, 90, 90, 90))
    for wavelength in (1e-10, 1.2345e-10):
        resolved = small(crystal=crystal, beam__wavelength=wavelength).resolved.crystal
        assert resolved.lengths == pytest.approx((50, 60, 70), rel=1e-12)


def test_rotated_crystal():
    U = nanobragg_py.random_rotations(1, seed=9)[0]
    turned = small().replace(crystal=small().crystal.rotated(U)).resolved.crystal
    plain = small().resolved.crystal
    assert np.allclose(turned.a, U @ plain.a) and np.allclose(turned.c_star, U @ plain.c_star)


# ---- changing ------------------------------------------------------------------------------------------------------


def test_replace_works_out_what_follows():
    one = small()
    more = one.replace({"crystal.mosaic_spread": 0.01, "sampling.oversample": 3}, crystal__mosaic_domains=7)
    assert one.resolved.sampling.steps == 1 * one.resolved.sampling.oversample**2
    assert more.resolved.sampling.steps == 7 * 9
    assert len(memoryview(more.resolved.crystal.mosaic_rotations)) == 7 * 9
    assert more.crystal.cells == one.crystal.cells and one.crystal.mosaic_domains is None
    moved = one.replace(detector__ORGX=3.0, detector__convention="XDS")
    assert pytest.approx(3.0) == moved.resolved.detector.ORGX


def test_replace_whole_parts_and_fields_of_them():
    made = small().replace({"beam.polarization": 0.5}, beam=Beam(wavelength=2e-10))
    assert Beam(wavelength=2e-10, polarization=0.5) == made.beam


def test_frozen():
    with pytest.raises(AttributeError):
        small().beam.wavelength = 1.0
    with pytest.raises(AttributeError):
        small().beam = Beam()
    mask = np.ones((20, 24), np.uint16)
    made = small(detector__mask=mask)
    mask[:] = 0
    assert made.detector.mask.all() and not made.detector.mask.flags.writeable


def test_equality_and_hash():
    mask = np.ones((20, 24), np.uint16)
    assert small(detector__mask=mask) == small(detector__mask=mask.copy())
    assert hash(small(detector__mask=mask)) == hash(small(detector__mask=mask.copy()))
    other = mask.copy()
    other[3, 3] = 0
    assert small(detector__mask=mask) != small(detector__mask=other)
    assert small() != small(beam__wavelength=1.1e-10)
    table = [
        StructureFactors.from_arrays([[1, 2, 3]], [F], default_F) for F, default_F in ((1, 0), (1, 2), (3, 0), (1, 0))
    ]
    assert table[0] == table[3] and table[0] != table[1] and table[0] != table[2]


def test_masks_of_any_whole_numbers():
    wanted = np.zeros((20, 24), bool)
    wanted[4:9, 5:20] = True
    images = [small(detector__mask=wanted.astype(kind)).render() for kind in (bool, np.uint8, np.int64, np.uint16)]
    assert all(np.array_equal(image, images[0]) for image in images)
    assert np.array_equal(images[0] > 0, wanted)


def followed(experiment):
    """What follows from an experiment, with the mosaic domains' rotations by their values."""
    resolved = experiment.resolved
    rotations = memoryview(resolved.crystal.mosaic_rotations).tolist()
    return resolved.replace(crystal=resolved.crystal.replace(mosaic_rotations=rotations))


TURNED = [
    {},
    {"crystal.mosaic_spread": 0.01, "crystal.mosaic_domains": 7},
    {"crystal.lengths": (30.0, 41.0, 52.0), "crystal.angles": (1.4, 1.5, 1.9)},
    {"physics": "reference", "crystal.angles": (0.1, 0.1, 3.0)},  # with warnings of its own
    {"crystal.matrix": ((0.02, 0.001, 0.0), (0.0, 0.015, 0.002), (0.003, 0.0, 0.01)), "crystal.lengths": None},
    {"crystal.sample_size": (1e-6, 2e-3, 1e-6), "beam.size": 1e-4, "detector.thickness": 1e-4},
    {"beam.flux": 1e12, "sampling.oversample": 1, "crystal.cells": (200, 200, 201)},
    {"sampling.oversample": 1, "crystal.cells": (200, 200, 200)},  # 720 sub-pixels, or 721
]


@pytest.mark.parametrize("fields", TURNED)
def test_another_orientation_is_as_good_as_new(fields):
    """`replace` works out what follows from orientation, cell and fluence, and that is what a new experiment has."""
    base = small(**{"crystal.angles": None} | fields)
    for number, rotation in enumerate(random_rotations(20, 3)):
        changes = {"crystal.missets": rotation_to_missets(rotation), "beam.fluence": 1e24 + number}
        if number % 3 and base.crystal.lengths is not None:
            changes["crystal.lengths"] = tuple(x * (1.0 + 1e-4 * number) for x in base.crystal.lengths)
        if number % 3 == 2 and base.crystal.lengths is not None:
            changes["crystal.angles"] = tuple(x - 1e-3 * number for x in base.crystal.angles)
        turned = base.replace(changes)
        short = turned.resolved.detector is base.resolved.detector
        # the last bit of a crystal's size can ask for a sub-pixel more
        assert short == (turned.resolved.sampling.oversample == base.resolved.sampling.oversample)
        parts = turned.crystal, turned.beam, turned.detector, turned.sampling, turned.structure_factors
        new = Experiment(*parts, physics=turned.physics)
        assert turned == new and turned.warnings == new.warnings
        assert followed(turned) == followed(new)
        assert pickle.loads(pickle.dumps(turned)) == new
    again = turned.replace(crystal__missets=None)
    cell = {name: getattr(turned.crystal, name) for name in ("lengths", "angles")}
    assert followed(again) == followed(base.replace(crystal=base.crystal.replace(**cell), beam=turned.beam))


def test_orientations_that_the_short_way_does_not_know():
    base = small(crystal__missets=(0.0, 0.1, 0.2))
    random = base.replace(crystal__missets="random", crystal__misset_seed=3)
    assert random.resolved.crystal.random_misset and random.resolved.crystal.missets != (0.0, 0.1, 0.2)
    assert followed(random.replace(crystal__missets=(0.0, 0.1, 0.2))) == followed(base)
    with pytest.raises(FieldError, match=r"crystal\.missets"):
        base.replace(crystal__missets=(0.0, math.inf, 0.0))
    with pytest.raises(FieldError, match=r"sampling\.water and the fluence"):
        base.replace(sampling__water=10.0).replace(beam__fluence=1e307)


def test_warnings_are_kept():
    assert any("impossible" in text for text in small(crystal__angles=(0.1, 0.1, 3.0), physics="reference").warnings)
    assert any("mosaic domain" in text for text in small(crystal__mosaic_spread=0.01).warnings)
