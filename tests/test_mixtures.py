"""Crystals of several materials in one image: structure factors of their own."""

import numpy as np
import pytest
from test_crystals import GAUSS, GIVEN, MOSAIC, image, made

from nanobragg_py import Crystal, Experiment, Sampling, StructureFactors
from nanobragg_py.batch.labels import spots_of
from nanobragg_py.errors import FieldError, NanoBraggError

INDICES = [[h, k, l] for h in range(-9, 10) for k in range(-9, 10) for l in range(-9, 10)]
ONE, TWO = (
    StructureFactors.from_arrays(INDICES, [5 + (a * h + b * k + c * l) % 23 for h, k, l in INDICES], default_F=2.0)
    for a, b, c in ((7, 11, 13), (3, 17, 5))
)
PHASES = (MOSAIC, Crystal.from_cell(40, 40, 90, cells=(8, 8, 4), scale=0.5))


@pytest.mark.parametrize("more", [{}, {"sampling": Sampling(oversample=1, interpolate=True)}], ids=["", "interpolated"])
@pytest.mark.parametrize("factors", [(ONE, TWO), (None, TWO), (ONE, None), (TWO, StructureFactors(default_F=7.0))])
def test_a_mixture_of_two_materials_is_the_sum_of_two_images(factors, more):
    """Each crystal with a table of its own, or that of the experiment, by everything that renders."""
    default = {**more, "structure_factors": ONE if factors[1] is not None else TWO}
    both = made([phase.replace(structure_factors=own) for phase, own in zip(PHASES, factors, strict=True)], **default)
    apart = [
        made(phase, **{**default, "structure_factors": default["structure_factors"] if own is None else own})
        for phase, own in zip(PHASES, factors, strict=True)
    ]
    wanted = sum(each.render(dtype="float64") for each in apart)
    assert both.render(dtype="float64") == pytest.approx(wanted, rel=1e-12)
    assert both.render(rois=[(3, 20, 5, 25)])[5:26, 3:21] == pytest.approx(wanted[5:26, 3:21], rel=1e-6)
    for number, one in enumerate(apart):
        traced = both.trace(3, 4, crystal=number).pixel["I_pixel_final"]
        assert traced == pytest.approx(one.render(dtype="float64")[3, 4], rel=1e-9)


def test_one_crystal_with_structure_factors_of_its_own():
    alone = made(MOSAIC.replace(structure_factors=TWO), structure_factors=ONE)
    assert alone.render(dtype="float64") == pytest.approx(image(MOSAIC, structure_factors=TWO), rel=1e-12)
    turned = alone.replace(crystal__missets=(0.0, 0.1, 0.2))
    wanted = image(MOSAIC.replace(missets=(0.0, 0.1, 0.2)), structure_factors=TWO)
    assert turned.render(dtype="float64") == pytest.approx(wanted, rel=1e-12)
    assert turned.replace(crystal__structure_factors=None).render(dtype="float64") == pytest.approx(
        image(turned.crystal.replace(structure_factors=None), structure_factors=ONE), rel=1e-12
    )


def test_derivatives_of_a_mixture():
    both = made([PHASES[0].replace(structure_factors=TWO), PHASES[1]], structure_factors=ONE)
    names, weights = ["crystal.scale", "more_crystals.0.scale", "beam.fluence"], np.ones((32, 32))
    found = both.vjp(names)[1](weights)
    parts = [image(MOSAIC, structure_factors=TWO).sum(), image(PHASES[1], structure_factors=ONE).sum()]
    assert found["crystal.scale"] == pytest.approx(parts[0], rel=1e-9)
    assert found["more_crystals.0.scale"] == pytest.approx(parts[1] / 0.5, rel=1e-9)
    with pytest.raises(FieldError, match="a crystal has structure factors of its own"):
        both.vjp(["structure_factors.F"])


def test_files_of_a_mixture(tmp_path):
    both = made([PHASES[0].replace(structure_factors=TWO), PHASES[1].replace(structure_factors=ONE)])
    for name in ("a.toml", "a.json"):
        both.write(tmp_path / name)
        assert Experiment.read(tmp_path / name) == both
        assert np.array_equal(Experiment.read(tmp_path / name).render(), both.render())
    assert Experiment.from_dict(both.to_dict()) == both
    rows = "\n".join(f"{h} {k} {l} {5 + (3 * h + 17 * k + 5 * l) % 23}" for h, k, l in INDICES)
    (tmp_path / "two.hkl").write_text(rows)
    (tmp_path / "b.toml").write_text("""
[[crystal]]
lengths = [50, 60, 70]
[[crystal]]
lengths = [40, 40, 90]
structure_factors = { file = "two.hkl", default_F = 2.0 }
[structure_factors]
default_F = 3.0
""")
    assert Experiment.read(tmp_path / "b.toml").more_crystals[0].structure_factors == TWO
    assert np.isnan(spots_of(Experiment.read(tmp_path / "b.toml").resolved)["amplitude"]).all()
    own_tables = Experiment([phase.replace(structure_factors=ONE) for phase in PHASES], detector=GIVEN["detector"])
    assert own_tables.render().max() > 0
    (tmp_path / "b.toml").write_text('[crystal]\nlengths = [50, 60, 70]\nstructure_factors = "two.hkl"\n')
    with pytest.raises(FieldError, match=r"b.toml: crystal.structure_factors is 'two.hkl'; it must be a table"):
        Experiment.read(tmp_path / "b.toml")
    (tmp_path / "b.toml").write_text('[crystal]\nlengths = [50, 60, 70]\nstructure_factors = { file = "no.hkl" }\n')
    with pytest.raises(NanoBraggError, match=r"no\.hkl"):
        Experiment.read(tmp_path / "b.toml")
    with pytest.raises(FieldError, match=r"no flag states crystal\.structure_factors"):
        made(GAUSS.replace(structure_factors=ONE)).to_args()
