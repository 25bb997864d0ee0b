"""The exact physics against what must be true: cells, sum rules, Darwin's formula, sampling that does not matter."""

from math import pi

import numpy as np
import pytest
from exact import ORTHOGONAL, TRICLINIC, Reflection
from formula_library import AVAILABLE, compiled

from nanobragg_py import Beam, Crystal, Detector, Experiment, Sampling, StructureFactors, b_matrix

CELLS = (7, 9, 8)
FACTORS = StructureFactors(default_F=10.0)
SMALL = Detector.flat(24, 2e-4, 0.05)


@pytest.fixture(scope="module", params=AVAILABLE)
def formulas(request):
    return compiled(request.param)


# ---- 1: the mean of F_latt^2 over a cell of reciprocal space is the number of cells ---------------------------------


def squares(formulas, experiment, h, k, l):
    """F_latt^2 of the experiment's crystal, from the formulas that render."""
    crystal = experiment.resolved.crystal
    numbers = np.array(
        [
            *crystal.cells,
            crystal.fudge,
            *np.ravel(crystal.spot_axes),
            crystal.spot_scale,
            crystal.gauss_width,
            crystal.tophat_cutoff,
        ]
    )
    kind = "square_general" if crystal.shape == "square" else crystal.shape
    out = np.empty(h.size)
    number = formulas("kind", kind.encode())
    formulas("map_lattice_sqr", crystal.shape.encode(), number, numbers, h.size, *(np.ravel(x) for x in (h, k, l)), out)
    return out


def cell_mean(formulas, experiment, half=0.5, points=100):
    """The mean over the cell, of which F_latt^2 is 0 beyond `half`."""
    x = ((np.arange(points) + 0.5) / points * 2 - 1) * half
    grid = [np.ascontiguousarray(g) for g in np.meshgrid(x, x, x, indexing="ij")]
    return squares(formulas, experiment, *grid).mean() * (2 * half) ** 3


def of_shape(shape, cells=CELLS, physics="exact", **more):
    crystal = Crystal.from_cell(*TRICLINIC, cells=cells, shape=shape, **more)
    return Experiment(crystal, detector=SMALL, structure_factors=FACTORS, physics=physics)


@pytest.mark.parametrize("cells", [CELLS, (5, 5, 5)])
@pytest.mark.parametrize(("shape", "half", "points", "within"), [
    ("square", 0.5, 48, 1e-9),
    ("gauss", 0.5, 64, 1e-4),
    ("tophat", 0.13, 160, 1e-3),
])  # fmt: skip
def test_sum_rule(formulas, shape, half, points, within, cells):
    found = cell_mean(formulas, of_shape(shape, cells), half, points)
    assert found == pytest.approx(np.prod(cells), rel=within)


def test_sum_rule_of_round_crystals_less_their_tails(formulas):
    found = cell_mean(formulas, of_shape("round", (8, 8, 8)), points=96) / 512
    assert 1 - 3 / (pi**2 * 4) < found < 1


@pytest.mark.parametrize(("shape", "half"), [("gauss", 0.5), ("tophat", 0.5)])
def test_the_reference_breaks_the_sum_rule(formulas, shape, half):
    assert cell_mean(formulas, of_shape(shape, physics="reference"), half, 80) < 0.3 * np.prod(CELLS)


@pytest.mark.parametrize("shape", ["gauss", "tophat"])
def test_widths_of_simtbx(formulas, shape):
    exact, simtbx = of_shape(shape), of_shape(shape, spot_width="simtbx")
    x = np.linspace(-0.1, 0.1, 1001)
    inside = squares(formulas, simtbx, x, 0 * x, 0 * x) > 0
    if shape == "tophat":
        edge = np.sqrt(0.3969) / CELLS[0]
        assert np.array_equal(inside, np.abs(x) < edge)
    else:
        expected = (np.prod(CELLS) * np.exp(-((CELLS[0] * x) ** 2) / 0.63)) ** 2
        assert squares(formulas, simtbx, x, 0 * x, 0 * x) == pytest.approx(expected, rel=1e-9)
    assert not np.allclose(
        squares(formulas, exact, x, 0 * x, 0 * x), squares(formulas, simtbx, x, 0 * x, 0 * x), rtol=1e-3
    )


# ---- 2: Darwin's formula ---------------------------------------------------------------------------------------------

#: of the reflection alone: half the extent in indices, pixels, phi steps, so that what is left out does not count
EXTENTS = {"square": (0.75, 120, 240), "gauss": (0.3, 60, 120), "tophat": (0.13, 110, 170), "round": (0.75, 120, 240)}


@pytest.mark.parametrize("cell", [ORTHOGONAL, TRICLINIC])
@pytest.mark.parametrize("shape", EXTENTS)
def test_darwin(formulas, shape, cell):
    reflection = Reflection(cell)
    half, pixels, steps = EXTENTS[shape]
    experiment = reflection.experiment(shape, CELLS, half, pixels, steps)
    expected = cell_mean(formulas, experiment) / np.prod(CELLS) if shape == "round" else 1.0
    assert reflection.found(experiment) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("layers", [1, 3])
def test_darwin_in_a_sensor(layers):
    reflection = Reflection(TRICLINIC)
    experiment = reflection.experiment("gauss", CELLS, 0.35, 80, 160, sensor=450e-6, thicksteps=layers)
    assert reflection.found(experiment) == pytest.approx(1, abs=1e-3)
    assert abs(reflection.found(experiment.replace(physics="reference")) - 1) > 0.5


@pytest.mark.parametrize("shape", ["gauss", "tophat"])
def test_the_reference_is_not_darwins(shape):
    reflection = Reflection(TRICLINIC)
    assert reflection.found(reflection.experiment(shape, CELLS, 0.75, 60, 120, physics="reference")) < 0.3


# ---- 3: what must not matter -----------------------------------------------------------------------------------------


def base(**more):
    """A thick sensor under an angle, a Gaussian crystal, some water; parts may be changed."""
    detector = {
        "thickness": 300e-6,
        "mu": 2000.0,
        "thicksteps": 2,
        "detsize_f": 0.02,
        "detsize_s": 0.02,
        **more.pop("detector", {}),
    }
    sampling = {"oversample": 2, "water": 1e-5, **more.pop("sampling", {})}
    return Experiment(
        Crystal.from_cell(
            50, 60, 70, 80, 95, 100, cells=(4, 5, 6), shape="gauss", missets=(0.1, 0.2, 0.3), **more.pop("crystal", {})
        ),
        Beam(polarization=0.7, fluence=1e27, **more.pop("beam", {})),
        Detector(fpixels=24, spixels=24, pixel_size=5e-4, distance=0.03, **detector),
        Sampling(**sampling),
        StructureFactors(default_F=30.0),
        **more,
    )


def test_sources_count_by_their_weight():
    rows = [(-10.0, 0.0, 0.0, 3.0, 1e-10), (-10.0, 0.02, 0.0, 1.0, 1.01e-10)]
    both = base(beam={"sources": rows}).render()
    first, second = (base(beam={"sources": [row]}).render().astype(float) for row in rows)
    assert both == pytest.approx((3 * first + second) / 4, rel=1e-5)
    split = [(*rows[0][:3], 1.5, 1e-10), (*rows[0][:3], 1.5, 1e-10), rows[1]]
    assert base(beam={"sources": split}).render() == pytest.approx(both, rel=1e-5)
    assert base(beam={"sources": [(*row[:3], 7 * row[3], row[4]) for row in rows]}).render() == pytest.approx(
        both, rel=1e-6
    )
    as_reference = base(beam={"sources": rows}, physics="reference").render()
    other = base(beam={"sources": [(*rows[0][:3], 1.0, 1e-10), rows[1]]}, physics="reference").render()
    assert np.array_equal(as_reference, other)


@pytest.mark.parametrize("weights", [(-1.0, 2.0), (0.0, 0.0)])
def test_weights_without_sense(weights):
    rows = [(-10.0, 0.0, 0.0, weight, 1e-10) for weight in weights]
    with pytest.raises(ValueError, match="weight"):
        base(beam={"sources": rows})


def mean(experiment):
    return experiment.render().mean(dtype=float)


def test_sampling_does_not_matter():
    much = base(sampling={"oversample": 12})
    assert mean(base(sampling={"oversample": 8})) == pytest.approx(mean(much), rel=2e-3)
    assert mean(base(detector={"thicksteps": 5})) == pytest.approx(mean(base(detector={"thicksteps": 9})), rel=2e-3)
    sweep = {"osc": 0.02, "phisteps": 20}
    assert mean(base(sampling=sweep)) == pytest.approx(mean(base(sampling={**sweep, "phisteps": 40})), rel=2e-3)


def test_water_is_added_once():
    """Its photons do not depend on the sampling, and are what so many molecules scatter."""
    no_crystal = {"sampling": {"oversample": 1, "water": 1e-5}}

    def water(**more):
        given = {**no_crystal, **more}
        dry = {**given, "sampling": {**given["sampling"], "water": 0.0}}
        return base(**given).render().astype(float) - base(**dry).render()

    plain = water()
    for more in (
        {"crystal": {"mosaic_spread": 0.01, "mosaic_domains": 7}},
        {"sampling": {"water": 1e-5, "oversample": 1, "osc": 0.01, "phisteps": 5}},
        {"beam": {"dispersion": 0.01, "dispersion_steps": 3}},
        {"sampling": {"water": 1e-5, "oversample": 1, "dmin": 3e-10}},
    ):
        assert np.abs(water(**more) / plain - 1).max() < 3e-3
    detector = {"thickness": 0.0, "mu": None, "thicksteps": None}
    bare = base(detector=detector, sampling={"oversample": 4, "water": 1e-5}).replace(
        {"structure_factors.default_F": 1e-6}
    )
    resolved = bare.resolved.detector
    f, s = np.meshgrid((np.arange(24) + 0.5) * 5e-4, (np.arange(24) + 0.5) * 5e-4)
    place = np.array(resolved.origin) + f[..., None] * resolved.fast + s[..., None] * resolved.slow
    r = np.linalg.norm(place, axis=-1)
    x, b, e = np.moveaxis(place / r[..., None], -1, 0)
    omega = 5e-4**2 * 0.03 / r**3
    polar = (1 + x**2 - 0.7 * (e**2 - b**2) / (e**2 + b**2) * (1 - x**2)) / 2
    molecules = 1e-15 * 1e6 * 6.02214179e23 / 18
    expected = 1e27 * 7.94079248018965e-30 * 2.57**2 * molecules * polar * omega
    assert bare.render() == pytest.approx(expected, rel=5e-4)


def test_regions_and_threads_are_alike_to_the_bit():
    experiment = base()
    image = experiment.render(threads=1)
    assert np.array_equal(experiment.render(threads=3), image)
    part = experiment.replace(detector__roi=(5, 14, 3, 20)).render()
    assert np.array_equal(part[3:21, 5:15], image[3:21, 5:15])
    assert part.sum() < image.sum()


# ---- 4: solid angle and polarization ---------------------------------------------------------------------------------


def rectangle(x, y, z):
    """The solid angle of a rectangle from the foot of the perpendicular, z long, to a corner x, y away."""
    return np.arctan2(x * y, z * np.sqrt(x * x + y * y + z * z))


def test_solid_angle_of_large_pixels():
    """Of pixels as large as the distance, by their corners; one sub-pixel is far off."""

    def angles(oversample, physics):
        return Experiment(
            Crystal.from_cell(50, cells=(1, 1, 1)),
            Beam(polarized=False, fluence=1e28),
            Detector.flat(4, 0.01, 0.02, (0.02, 0.02)),
            Sampling(oversample=oversample),
            StructureFactors(default_F=1.0),
            physics,
        ).render()

    edges = (np.arange(5) - 2) * 0.01
    corner = rectangle(edges[:, None], edges[None, :], 0.02)
    expected = np.diff(np.diff(corner, axis=0), axis=1)
    found = angles(40, "exact") / (1e28 * 7.94079248018965e-30)
    assert found == pytest.approx(expected, rel=2e-4)
    wrong = angles(40, "reference") / (1e28 * 7.94079248018965e-30)
    assert np.abs(wrong / expected - 1).max() > 0.1


@pytest.mark.parametrize("kahn", [0.0, 1.0])
def test_polarization(kahn):
    """(1 + cos^2)/2 unpolarized, 1 - (s.E)^2 for a beam that is polarized along E... each sub-pixel its own."""
    given = {
        "crystal": Crystal.from_cell(50),
        "detector": Detector.flat(5, 0.01, 0.02, (0.025, 0.025)),
        "sampling": Sampling(oversample=20),
        "structure_factors": StructureFactors(default_F=1.0),
    }
    polarized = Experiment(beam=Beam(polarization=kahn), **given).render()
    without = Experiment(beam=Beam(polarized=False), **given).render()
    fine = (np.arange(500) + 0.5) / 100 * 0.01 - 0.025
    f, s = np.meshgrid(fine, fine)
    r2 = f**2 + s**2 + 0.02**2
    factor = (1 + 0.02**2 / r2) / 2 if kahn == 0.0 else 1 - f**2 / r2
    omega = r2**-1.5
    expected = (factor * omega).reshape(5, 100, 5, 100).sum((1, 3)) / omega.reshape(5, 100, 5, 100).sum((1, 3))
    assert polarized / without == pytest.approx(expected, rel=2e-3)


# ---- 5: cells --------------------------------------------------------------------------------------------------------


def test_cells_are_what_was_given():
    cell = (71, 84, 97, 71, 84, 97)
    experiment = Experiment(Crystal.from_cell(*cell), detector=SMALL, structure_factors=FACTORS)
    crystal = experiment.resolved.crystal
    assert (*crystal.lengths, *np.degrees(crystal.angles)) == pytest.approx(cell, rel=1e-14)
    direct, stars = (np.array([getattr(crystal, name + end) for name in "abc"]) for end in ("", "_star"))
    assert np.abs(1e10 * direct @ stars.T - np.eye(3)).max() < 1e-15
    assert pytest.approx(b_matrix(*cell), abs=1e-17) == stars.T
    distorted = experiment.replace(physics="reference").resolved.crystal
    assert abs(np.degrees(distorted.angles[0]) - 71) > 0.1


def test_a_matrix_turns_a_cell_and_does_not_change_it():
    cell = (71, 84, 97, 71, 84, 97)
    rotation = np.linalg.qr(np.array([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]]))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    rough = np.round(rotation @ b_matrix(*cell), 5)
    lengths, angles = cell[:3], tuple(np.radians(cell[3:]))
    crystal = Crystal(lengths=lengths, angles=angles, matrix=rough)
    resolved = Experiment(crystal, detector=SMALL, structure_factors=FACTORS).resolved.crystal
    assert (*resolved.lengths, *np.degrees(resolved.angles)) == pytest.approx(cell, rel=1e-12)
    stars = np.array([resolved.a_star, resolved.b_star, resolved.c_star]).T
    assert stars == pytest.approx(rotation @ b_matrix(*cell), abs=2e-5)


def test_random_orientations_are_uniform():
    """The images of a direction have no mean, and a third of their squares lies along each axis."""
    rows = []
    for seed in range(400):
        made = Experiment(
            Crystal.from_cell(50, missets="random", misset_seed=seed), detector=SMALL, structure_factors=FACTORS
        )
        rows.append(np.array(made.resolved.crystal.a_star) * 50)
    rows = np.array(rows)
    assert np.abs(rows.mean(0)).max() < 5 / np.sqrt(3 * 400)
    assert rows.T @ rows / 400 == pytest.approx(np.eye(3) / 3, abs=0.08)
    # the angle of a uniform rotation has the mean pi/2 + 2/pi, of one by up to 90 radians about any axis pi/2
    cosines = np.arccos(np.clip(rows[:, 0], -1, 1))
    assert abs(cosines.mean() - pi / 2) < 0.15
