"""Ice as amorphous material: its rings against the lattice, against Debye's sum over a crystal, and in images."""

import numpy as np
import pytest

from nanobragg_py import Background, Experiment, FieldError
from nanobragg_py.cli.main import main as tools
from nanobragg_py.experiment.background import curve_remark, make_curve

gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed")
from nanobragg_py.render import ice  # noqa: E402 (what it needs may not be there)

A, C = 4.497, 7.322
FLAGS = (
    "-default_F 1 -cell 50 60 70 90 90 90 -N 1 -lambda 1 -distance 60 -pixel 0.5 -detpixels 81 -fluence 1e20 "
    "-oversample 1"
)


def test_the_cell_has_its_atoms():
    atoms = ice.positions()
    assert [sum(each[0] == element for each in atoms) for element in "OH"] == [4, 16]
    assert sum(occupancy for _, _, occupancy in atoms) == 12.0
    assert ice.density(A * 1e-10, C * 1e-10) == pytest.approx(0.933, abs=0.002)
    # hydrogens are 1 A from the next oxygen, over the cell's edges
    axes = np.array([[A, 0, 0], [-A / 2, A * 0.75**0.5, 0], [0, 0, C]])
    oxygens = np.array([place for element, place, _ in atoms if element == "O"])
    for place in (place for element, place, _ in atoms if element == "H"):
        apart = (oxygens - place + 0.5) % 1.0 - 0.5
        assert np.linalg.norm(apart @ axes, axis=1).min() == pytest.approx(1.0, abs=0.02)


def test_rings_lie_where_the_lattice_has_them():
    x, F = ice.ice_curve(grain=100e-9)
    peaks = x[1:-1][(F[1:-1] > F[:-2]) & (F[1:-1] > F[2:]) & (F[1:-1] > 10.0)]
    cell = gemmi.UnitCell(A, A, C, 90, 90, 120)
    wanted = ((1, 0, 0), (0, 0, 2), (1, 0, 1), (1, 0, 2), (1, 1, 0), (1, 0, 3), (2, 0, 0), (1, 1, 2), (2, 0, 1))
    expected = sorted(0.5 / cell.calculate_d(hkl) for hkl in wanted)
    assert peaks[:9] == pytest.approx(expected, abs=x[1])


def test_no_ring_where_the_space_group_has_none():
    stol, weight = ice.rings(A, C, 1.0)
    cell = gemmi.UnitCell(A, A, C, 90, 90, 120)
    for hkl in ((0, 0, 1), (0, 0, 3), (1, 1, 1), (1, 1, 3)):
        there = np.isclose(stol, 0.5 / cell.calculate_d(hkl), rtol=1e-9)
        assert there.any() and weight[there].max() < 1e-12 * weight.max()


def test_against_debye(monkeypatch):
    """The powder average of a crystal is Debye's sum over all its pairs: the same integral over a group of rings."""
    monkeypatch.setattr(ice, "ATOMS", (("O", 1 / 3, 2 / 3, 0.0622, 1.0),))
    places = np.array([place for _, place, _ in ice.positions()])
    steps = np.stack(np.meshgrid(*[np.arange(-8, 9)] * 3, indexing="ij"), -1).reshape(-1, 3)
    fractional = (steps[:, None, :] + places).reshape(-1, 3)
    axes = np.array([[A, 0, 0], [-A / 2, A * 0.75**0.5, 0], [0, 0, C]])
    atoms = fractional @ axes
    atoms = atoms[np.linalg.norm(atoms, axis=1) < 24.0]
    counts = np.zeros(4801)
    for atom in atoms:
        counts += np.bincount(np.rint(np.linalg.norm(atoms - atom, axis=1) * 100).astype(int), minlength=4801)
    counts[0] -= len(atoms)
    r = np.arange(1, 4801) / 100
    x = np.linspace(0.105, 0.168, 400)
    pairs = np.array([counts[1:] @ np.sinc(4 * s * r) for s in x]) / len(atoms)  # sin(qr)/(qr), q = 4 pi s
    B = 1.0
    debye = ice.form_factor("O", x) ** 2 * (1.0 + np.exp(-2 * B * x**2) * pairs)
    grid, F = ice.ice_curve(grain=20e-9, B=B)
    ours = np.interp(x, grid, F**2)
    assert np.trapezoid(debye, x) == pytest.approx(np.trapezoid(ours, x), rel=0.03)
    # between the groups of rings a sphere with a sharp surface has more; on average still the same
    stol, weight = ice.rings(A, C, B)
    inside = (stol > x[0]) & (stol < x[-1])
    assert weight[inside].sum() / 2 == pytest.approx(np.trapezoid(ours - ice.diffuse(x, B), x), rel=1e-3)


@pytest.mark.parametrize("grain", [3e-9, 20e-9, 100e-9])
def test_curves_of_all_widths_are_smooth(grain):
    x, F = ice.ice_curve(grain=grain)
    curve = make_curve(x.tolist(), F.tolist(), "ice", 1e10)
    assert curve_remark(curve, "ice") is None and curve.overshoot < 0.01
    assert F.min() > 0.0 and np.ptp(np.diff(x)) < 1e-12
    # the rings' width changes, and not what they hold
    rings = np.trapezoid(F**2 - ice.diffuse(x, 1.0), x)
    assert rings == pytest.approx(ice.rings(A, C, 1.0)[1][ice.rings(A, C, 1.0)[0] < 0.99].sum() / 2, rel=0.01)


def test_images_of_ice():
    experiment = Experiment.from_args(FLAGS)
    image = Background.ice(thickness=1e-4).render(experiment)
    assert np.array_equal(image, experiment.background("ice", thickness=1e-4))
    x, F = ice.ice_curve()
    material = Background((x, F), thickness=1e-4, density=0.9331, molecular_weight=18.015)
    assert image == pytest.approx(material.render(experiment), rel=1e-4)
    # twice the thickness, twice the photons; wider rings are lower
    assert experiment.background("ice", thickness=2e-4) == pytest.approx(2 * image, rel=1e-6)
    assert experiment.background("ice", thickness=1e-4, grain=4e-9).max() < 0.5 * image.max()


def test_ice_in_tools_and_jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["simulate", "--background", "ice,thickness=1e-4,grain=5e-9", "--out", "a.npy", "--", *FLAGS.split()]
    assert tools(words) == 0
    experiment = Experiment.from_args(FLAGS)
    assert np.array_equal(
        np.load("a.npy"), experiment.render() + experiment.background("ice", thickness=1e-4, grain=5e-9)
    )
    from nanobragg_py.batch import iter_images

    job = f'noise = false\n[experiment]\nflags = "{FLAGS}"\n[background]\ncurve = "ice"\ngrain = "5 nm"\n'
    (tmp_path / "job.toml").write_text(job)
    (pixels,) = iter_images(tmp_path / "job.toml")
    assert np.array_equal(pixels, np.load("a.npy"))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"grain": 0}, "grain is 0; it must be a length in metres"),
        ({"grain": 200}, "grain is 200"),
        ({"grain": 1e-3 / 2}, "need no powder but a crystal"),
        ({"a": 4.497}, "a is 4.497; it must be a length in metres"),
        ({"a": 4.497e-9}, "ice has a cell of about 4.5e-10"),
        ({"B": -1}, "B is -1"),
        ({"B": "soft"}, "B is 'soft'; it must be a number"),
        ({"grain": "fine"}, "grain is 'fine'; it must be a number"),
        ({"grain": "20 deg"}, "its unit one of m, cm, mm"),
        ({"density": -1}, "density is -1"),
    ],
)
def test_ice_that_cannot_be(more, says):
    with pytest.raises(FieldError, match=says):
        Background.ice(**more)
