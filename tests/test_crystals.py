"""Crystals beyond one block in one orientation: mosaic models, own domains, sizes of blocks, several crystals."""

import re

import numpy as np
import pytest
from exact import TRICLINIC, Reflection

from nanobragg_py import Beam, Crystal, Detector, Experiment, Sampling, StructureFactors
from nanobragg_py.errors import FieldError, NanoBraggError
from nanobragg_py.experiment.load import load_args

CELL = (50, 60, 70, 80, 95, 100)
GAUSS = Crystal.from_cell(*CELL, cells=(5, 6, 7), shape="gauss", missets=(0.1, 0.2, 0.3))
MOSAIC = GAUSS.replace(mosaic_spread=0.01, mosaic_domains=5)
GIVEN = {"detector": Detector.flat(32, 4e-4, 0.05), "structure_factors": StructureFactors(default_F=10.0)}
SAMPLING = Sampling(oversample=1)
LINE = "-cell 50 60 70 80 95 100 -default_F 10 -N 5 -gauss_xtal -detpixels 24 -pixel 0.4 -distance 50 -physics exact"


def made(crystal, **more):
    return Experiment(crystal, **{"sampling": SAMPLING, **GIVEN, **more})


def image(crystal, **more):
    return made(crystal, **more).render(dtype="float64")


def rotations(crystal):
    resolved = made(crystal).resolved.crystal
    return np.frombuffer(resolved.mosaic_rotations).reshape(-1, 3, 3)[: resolved.mosaic_domains]


def own(crystal, matrices, **more):
    return crystal.replace(mosaic_spread=None, mosaic_domains=None, domains=matrices, **more)


# ---- several crystals ------------------------------------------------------------------------------------------------


def test_twins_are_the_sum_of_two_images():
    twin = MOSAIC.replace(missets=(0.15, 0.2, 0.3), scale=0.3)
    together = image([MOSAIC, twin])
    apart = image(MOSAIC) + 0.3 * image(twin.replace(scale=1.0))
    assert together == pytest.approx(apart, rel=1e-12)
    assert np.array_equal(made([MOSAIC, twin]).render(), together.astype(np.float32))


def test_the_background_is_there_once():
    sampling = Sampling(oversample=1, water=2e-5)
    water = image(GAUSS, sampling=sampling) - image(GAUSS)
    assert water.min() > 0
    twice = image([GAUSS.replace(scale=0.5)] * 3, sampling=sampling)
    assert twice == pytest.approx(1.5 * image(GAUSS) + water, rel=1e-12)


@pytest.mark.parametrize("scale", [0.25, 3.0])
def test_scale_of_one_crystal(scale):
    assert image(GAUSS.replace(scale=scale)) == pytest.approx(scale * image(GAUSS), rel=1e-12)


def test_crystals_of_other_cells_shapes_and_domains():
    others = [Crystal.from_cell(40, 40, 90, cells=(3, 3, 2)), own(GAUSS, rotations(MOSAIC)), GAUSS]
    assert image(others) == pytest.approx(sum(image(one) for one in others), rel=1e-12)


def test_sub_pixels_are_those_of_the_largest():
    large = Crystal.from_cell(100, cells=(40, 40, 40))
    both = made([GAUSS, large], sampling=Sampling())
    assert both.resolved.sampling.oversample == made(large, sampling=Sampling()).resolved.sampling.oversample > 1


def test_statistics_and_threads():
    twins = made(
        [MOSAIC, MOSAIC.replace(missets=None, scale=2.0)], detector=Detector.flat(60, 2e-4, 0.05, roi=(3, 50, 7, 59))
    )
    found, statistics = twins.simulate(threads=1)
    assert np.array_equal(found, twins.render(threads=3))
    inside = found[7:60, 3:51].astype(float)
    assert found.sum() == pytest.approx(inside.sum())
    assert statistics.pixels == inside.size
    assert statistics.mean == pytest.approx(inside.mean(), rel=1e-12)
    assert statistics.rmsd == pytest.approx(inside.std(ddof=1), rel=1e-9)
    assert statistics.maximum == inside.max() and found[statistics.maximum_pixel] == inside.max()


def test_masked_pixels_stay_dark():
    mask = np.ones((32, 32), np.uint16)
    mask[:, 5:9] = 0
    twins = made([GAUSS, MOSAIC], detector=Detector.flat(32, 4e-4, 0.05, mask=mask))
    found, statistics = twins.simulate()
    assert not found[:, 5:9].any() and found[:, 9].any()
    assert statistics.pixels == 32 * 28


def test_panels(tmp_path):
    from nanobragg_py import Panel

    panels = [
        Panel(name=f"p{i}", origin=(0.05, -0.006 + 0.007 * i, 0.005), fast=(0, 1, 0), slow=(0, 0, -1), pixel_size=4e-4,
              fpixels=16, spixels=16) for i in range(2)
    ]  # fmt: skip
    twin = GAUSS.replace(missets=(0, 0, 0), scale=0.4)
    detector = Detector(panels=panels)
    together = made([GAUSS, twin], detector=detector).render()
    apart = made(GAUSS, detector=detector).render() + made(twin, detector=detector).render()
    assert together.shape == (2, 16, 16)
    assert together == pytest.approx(apart, rel=3e-7)


def test_traces_of_each():
    twins = made([GAUSS, MOSAIC.replace(scale=0.5)])
    pixels = [twins.trace(3, 4, crystal=number).pixel["I_pixel_final"] for number in range(2)]
    assert sum(pixels) == pytest.approx(twins.render(dtype="float64")[3, 4], rel=1e-9)
    with pytest.raises(NanoBraggError, match="sum of 2 crystals"):
        twins.trace(3, 4)
    with pytest.raises(FieldError, match="crystal is 2; the image has 2"):
        twins.trace(3, 4, crystal=2)


def test_spots_of_each():
    from nanobragg_py.inspect.predictions import predict

    turned = GAUSS.replace(missets=(0.4, 0.2, 0.3))
    both, *single = (predict(made(each).resolved) for each in ([GAUSS, turned], GAUSS, turned))
    assert np.array_equal(both[1], np.concatenate([one[1] for one in single]))
    sizes = predict(made(GAUSS.replace(block_sizes=[4, 5])).resolved)
    assert np.array_equal(sizes[0], np.unique(sizes[0], axis=0)[np.lexsort(sizes[0].T[::-1]).argsort()])


def test_files_and_copies(tmp_path):
    several = made(
        [MOSAIC, own(GAUSS, rotations(MOSAIC), domain_weights=[1, 2, 0, 1, 1], block_sizes=[4, (5, 6, 6.5)])]
    )
    for name in ("a.toml", "a.json"):
        several.write(tmp_path / name)
        again = Experiment.read(tmp_path / name)
        assert again == several
        assert np.array_equal(again.render(), several.render())
    text = (tmp_path / "a.toml").read_text()
    assert text.count("[[crystal]]") == 2
    turned = several.replace(crystal__missets=(0.0, 0.1, 0.0))
    assert turned.more_crystals == several.more_crystals
    assert np.array_equal(
        turned.render(), Experiment([turned.crystal, *several.more_crystals], **GIVEN, sampling=SAMPLING).render()
    )
    assert several.replace(more_crystals=()).render(dtype="float64") == pytest.approx(image(MOSAIC), rel=1e-12)


def test_what_has_no_flags(tmp_path):
    with pytest.raises(FieldError, match="one crystal"):
        made([GAUSS, GAUSS]).to_args()
    with pytest.raises(FieldError, match=r"crystal\.block_sizes"):
        made(GAUSS.replace(block_sizes=[5])).to_args()


# ---- domains ---------------------------------------------------------------------------------------------------------


def frame_of(crystal):
    """Unit vectors along a*, at right angles to it towards b*, and along c, which is at right angles to both."""
    resolved = made(crystal).resolved.crystal
    a = np.array(resolved.a_star) / np.linalg.norm(resolved.a_star)
    c = np.array(resolved.c) / np.linalg.norm(resolved.c)
    return np.array([a, np.cross(c, a), c])


@pytest.mark.parametrize("model", ["cap", "gauss"])
def test_own_domains_are_the_drawn_ones_to_the_bit(model):
    drawn = MOSAIC.replace(mosaic_model=model)
    assert np.array_equal(image(own(GAUSS, rotations(drawn))), image(drawn))


def test_weights_count_as_often_as_they_say():
    matrices = rotations(MOSAIC)
    often = [1, 2, 0, 3, 1]
    weighted = image(own(GAUSS, matrices, domain_weights=[0.5 * x for x in often]))
    assert weighted == pytest.approx(image(own(GAUSS, np.repeat(matrices, often, 0))), rel=1e-12)
    alike = own(GAUSS, matrices, domain_weights=[3.0] * 5)
    assert np.array_equal(image(alike), image(MOSAIC))


def test_three_equal_spreads_are_isotropic():
    """The same draws, about the crystal's own axes."""
    spreads = own(GAUSS, None, mosaic_spreads=(0.02, 0.02, 0.02)).replace(mosaic_domains=5)
    unturned = spreads.replace(missets=None)
    drawn = GAUSS.replace(missets=None, mosaic_spread=0.02, mosaic_domains=5, mosaic_model="gauss")
    assert np.array_equal(rotations(unturned), rotations(drawn))
    assert np.array_equal(image(unturned), image(drawn))
    frame, turned = (frame_of(one) for one in (unturned, spreads))
    U = turned.T @ frame
    assert rotations(spreads) == pytest.approx(U @ rotations(drawn) @ U.T, abs=1e-14)


def test_three_spreads_are_about_the_crystals_axes():
    spreads, count = (0.004, 0.01, 0.02), 4000
    crystal = GAUSS.replace(mosaic_spreads=spreads, mosaic_domains=count)
    matrices = rotations(crystal)
    skew = (matrices - matrices.transpose(0, 2, 1)) / 2
    vectors = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], 1)
    assert (vectors @ frame_of(crystal).T).std(0) == pytest.approx(spreads, rel=0.06)


def test_domains_of_a_command_line(tmp_path):
    matrices = rotations(MOSAIC)
    rows = [" ".join(repr(float(x)) for x in one.ravel()) for one in matrices]
    (tmp_path / "plain.txt").write_text("\n".join(rows) + "\n")
    line = LINE
    plain = Experiment.from_args(f"{line} -domain_file plain.txt", tmp_path)
    assert np.array_equal(rotations(plain.crystal), matrices)
    again = Experiment.from_args(plain.to_args(tmp_path), tmp_path)
    assert np.array_equal(again.render(), plain.render())
    (tmp_path / "weights.txt").write_text("\n".join(f"{row} {i}" for i, row in enumerate(rows)) + "\n")
    weighted = Experiment.from_args(f"{line} -domain_file weights.txt", tmp_path)
    assert weighted.crystal.domain_weights == (0, 1, 2, 3, 4)
    loaded = load_args(f"{line} -domain_file weights.txt".split(), tmp_path).experiment
    assert len(loaded.crystals) == 4
    assert np.array_equal(Experiment.from_args(weighted.to_args(tmp_path), tmp_path).render(), weighted.render())
    spreads = Experiment.from_args(f"{line} -aniso_mosaic 1 2 3 -mosaic_domains 4", tmp_path)
    assert spreads.crystal.mosaic_spreads == pytest.approx(np.radians([1, 2, 3]))
    assert np.array_equal(Experiment.from_args(spreads.to_args(tmp_path), tmp_path).render(), spreads.render())


def test_the_program_adds_domains_of_several_weights(tmp_path, monkeypatch):
    from nanobragg_py.cli.dropin import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.txt").write_text("1 0 0 0 1 0 0 0 1 2\n0 -1 0 1 0 0 0 0 1\n")
    line = f"{LINE} -oversample 1 -domain_file d.txt -nonoise -nopgm"
    assert main(["nanoBragg", *line.split()]) == 0
    found = np.fromfile("floatimage.bin", np.float32).reshape(24, 24)
    assert np.array_equal(found, Experiment.from_args(line).render())


# ---- blocks ----------------------------------------------------------------------------------------------------------

#: distributions of sizes, and what they are distributions of
SIZES = [
    {"block_sizes": [(4, 5, 4), (8, 9, 7)], "block_weights": [3, 1]},
    {"block_sizes": [5, 6.5, 8.25]},
    {"block_sigma": 0.15},
]


@pytest.mark.parametrize("blocks", SIZES)
def test_blocks_scatter_what_the_crystal_does(blocks):
    """Darwin's photons: those of the crystal's numbers of cells, whatever its blocks."""
    reflection = Reflection(TRICLINIC)
    experiment = reflection.experiment("gauss", (7, 9, 8), 0.45, 70, 140, crystal=blocks)
    assert len(experiment.resolved.crystals) > 1
    assert reflection.found(experiment) == pytest.approx(1, abs=2e-3)


def test_blocks_of_one_size_are_the_crystal():
    assert image(GAUSS.replace(block_sizes=[(5, 6, 7)])) == pytest.approx(image(GAUSS), rel=1e-12)
    smaller = image(GAUSS.replace(block_sizes=[(4, 5, 6)]))
    assert smaller == pytest.approx(image(GAUSS.replace(cells=(4, 5, 6))) * 210 / 120, rel=1e-12)


def test_sizes_are_weighed_by_number():
    sizes, numbers = [4, 6, 7.5], [5, 2, 1]
    found = image(GAUSS.replace(block_sizes=sizes, block_weights=numbers))
    parts = sum(n * image(GAUSS.replace(cells=(size,) * 3)) for size, n in zip(sizes, numbers, strict=True))
    volume = sum(n * size**3 for size, n in zip(sizes, numbers, strict=True))
    assert found == pytest.approx(parts * 210 / volume, rel=1e-12)


def test_drawn_sizes():
    """As many orientations as domains, each with one size; many of them come to the distribution."""
    drawn = GAUSS.replace(
        mosaic_spread=1e-6, mosaic_domains=3000, block_sizes=[4, 6], block_weights=[3, 1], block_drawn=True
    )
    detector = Detector.flat(8, 1e-3, 0.05)
    parts = made(drawn, detector=detector).resolved.crystals
    assert sum(part.mosaic_domains for part in parts) == 3000
    assert parts[0].mosaic_domains / 3000 == pytest.approx(0.75, abs=0.03)
    often = [part.mosaic_domains for part in parts]
    weighted = GAUSS.replace(block_sizes=[4, 6], block_weights=often)
    assert image(drawn, detector=detector) == pytest.approx(image(weighted, detector=detector), rel=1e-3)
    assert image(drawn.replace(mosaic_seed=5), detector=detector) != pytest.approx(image(drawn, detector=detector))


def test_blocks_and_weights_of_domains():
    matrices = rotations(MOSAIC)
    both = own(GAUSS, matrices, domain_weights=[1, 2, 1, 1, 1], block_sizes=[4, 6])
    often = own(GAUSS, np.repeat(matrices, [1, 2, 1, 1, 1], 0), block_sizes=[4, 6])
    assert image(both) == pytest.approx(image(often), rel=1e-12)


# ---- numbers of cells that are not whole -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["gauss", "tophat", "round"])
def test_real_numbers_of_cells(shape):
    """Darwin's photons between those of two whole numbers."""
    reflection = Reflection(TRICLINIC)
    half, pixels, steps = {"gauss": (0.35, 60, 120), "tophat": (0.13, 110, 170), "round": (0.75, 100, 200)}[shape]
    cells = (7.5, 9.25, 8)
    between = reflection.found(reflection.experiment(shape, cells, half, pixels, steps))
    assert reflection.experiment(shape, cells).resolved.crystal.cells == cells
    if shape == "round":  # less its tails
        ends = [reflection.found(reflection.experiment(shape, n, half, pixels, steps)) for n in ((7, 9, 8), (8, 10, 8))]
        assert min(ends) - 1e-3 < between < max(ends) + 1e-3
    else:
        assert between == pytest.approx(1, abs=1e-3)


def test_whole_cells_of_square_crystals_and_of_the_reference():
    line = "-cell 50 60 70 -default_F 1 -N 5.7 -detpixels 16"
    assert load_args(line.split()).experiment.crystal.cells == (5, 5, 5)
    assert load_args(f"{line} -gauss_xtal".split()).experiment.crystal.cells == (5, 5, 5)
    assert load_args(f"{line} -physics exact".split()).experiment.crystal.cells == (5, 5, 5)
    assert load_args(f"{line} -physics exact -round_xtal".split()).experiment.crystal.cells == (5.7, 5.7, 5.7)
    odd = load_args(f"{line} -N 1e1 -physics exact -gauss_xtal".split())
    assert odd.experiment.crystal.cells == (1, 1, 1)
    assert Experiment.from_args(f"{line} -gauss_xtal -physics exact").crystal.cells == (5.7, 5.7, 5.7)


def test_cells_that_are_cut_are_told_of():
    parts = Beam(), Detector.flat(8, 1e-3, 0.1), Sampling(), StructureFactors(default_F=1.0)
    square = Crystal.from_cell(50, 60, 70, cells=(3.5, 4, 5))
    said = "crystal.cells has a number of 3.5, and it is cut to a whole one"
    assert [sentence.startswith(said) for sentence in Experiment(square, *parts).warnings].count(True) == 1
    for crystal in (square.replace(shape="gauss"), square.replace(cells=(3, 4, 5))):
        assert not any("crystal.cells" in sentence for sentence in Experiment(crystal, *parts).warnings)


def test_what_is_said_of_cells_that_are_cut():
    said = []
    for words in ("", "-gauss_xtal", "-physics exact", "-physics exact -gauss_xtal"):
        load_args(f"-cell 50 60 70 -default_F 1 -N 5.7 -detpixels 16 {words}".split(), complain=said.append)
    assert said == ["-N takes a whole number and reads '5.7' as 5"] * 3


# ---- bad input -------------------------------------------------------------------------------------------------------

TURN = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(("fields", "said"), [
    ({"domains": [[[1, 0, 0], [0, 1, 0], [0, 0, -1]]]}, r"crystal\.domains\[0\] is no rotation"),
    ({"domains": [TURN, [[2, 0, 0], [0, 1, 0], [0, 0, 1]]]}, r"crystal\.domains\[1\] is no rotation"),
    ({"domains": [[[1, 0, float("nan")], [0, 1, 0], [0, 0, 1]]]}, r"crystal\.domains\[0\] is nan"),
    ({"domains": []}, r"crystal\.domains must be one or more"),
    ({"domains": TURN}, r"crystal\.domains"),
    ({"domains": 5}, r"crystal\.domains must be one or more"),
    ({"domains": [TURN], "mosaic_spread": 0.01}, r"leave crystal\.mosaic_spread out"),
    ({"domains": [TURN], "domain_weights": [1, 2]}, r"crystal\.domain_weights has 2 numbers"),
    ({"domains": [TURN], "domain_weights": [-1]}, r"crystal\.domain_weights\[0\] is -1; it cannot be below 0"),
    ({"domains": [TURN, TURN], "domain_weights": [0, 0]}, "not all 0"),
    ({"domain_weights": [1]}, r"crystal\.domain_weights has 1 numbers"),
    ({"scale": 0}, r"crystal\.scale is 0; it must be above 0"),
    ({"structure_factors": 5.0}, r"crystal\.structure_factors is 5\.0; it must be a nanobragg_py\.StructureFactors"),
    ({"scale": -1}, r"crystal\.scale is -1"),
    ({"scale": float("nan")}, r"crystal\.scale is nan"),
    ({"block_sizes": []}, r"crystal\.block_sizes must be one or more"),
    ({"block_sizes": [0.5]}, r"crystal\.block_sizes\[0\] is 0\.5; it must be at least 1"),
    ({"block_sizes": [(3, 4)]}, r"crystal\.block_sizes\[0\]"),
    ({"block_sizes": [(3, 4, float("inf"))]}, r"crystal\.block_sizes\[0\]"),
    ({"block_sizes": [4], "block_weights": [1, 2]}, r"crystal\.block_weights has 2 numbers"),
    ({"block_sizes": [4], "block_sigma": 0.1}, r"crystal\.block_sigma stands in"),
    ({"block_sigma": -0.1}, r"crystal\.block_sigma is -0\.1"),
    ({"mosaic_spreads": (0.01, 0.02)}, r"crystal\.mosaic_spreads"),
    ({"mosaic_spreads": (0.01, 0.02, -0.01)}, r"crystal\.mosaic_spreads is -0\.01"),
    ({"mosaic_spreads": (0.01, 0.02, 0.03), "mosaic_spread": 0.01}, r"crystal\.mosaic_spreads stand in"),
    ({"cells": (0.5, 1, 1)}, r"crystal\.cells is 0\.5; it must be at least 1"),
])  # fmt: skip
def test_fields_without_sense(fields, said):
    with pytest.raises(FieldError, match=said):
        GAUSS.replace(**fields)


def test_crystals_without_sense():
    with pytest.raises(FieldError, match="empty list"):
        made([])
    with pytest.raises(FieldError, match="more_crystals has 5"):
        made([GAUSS, 5])
    with pytest.raises(FieldError, match='need physics = "exact"'):
        made([GAUSS, GAUSS], physics="reference")
    with pytest.raises(FieldError, match=r"crystal\.scale needs physics"):
        made(GAUSS.replace(scale=2.0), physics="reference")
    with pytest.raises(FieldError, match=r"crystal\.structure_factors needs physics"):
        made(GAUSS.replace(structure_factors=StructureFactors(default_F=7.0)), physics="reference")
    with pytest.raises(FieldError, match=re.escape("crystal.domains needs")):
        made(own(GAUSS, [TURN]), physics="reference")
    with pytest.raises(FieldError, match="square crystals must be whole"):
        made(GAUSS.replace(shape="square", block_sizes=[4.5]))
    with pytest.raises(FieldError, match=r"crystal number 2: crystal\.lengths"):
        made([GAUSS, Crystal.from_cell(50, 60, 70, 100, 100, 179)])


@pytest.mark.parametrize(("rows", "said"), [
    ("", "is empty"),
    ("1 0 0 0 1 0 0 0 1\n1 0 0 0 1 0 0 1 1\n", "row 2 of d.txt is no rotation"),
    ("1 0 0 0 1 0 0 0\n", "row 1 of d.txt is no rotation"),
    ("1 0 0 0 1 0 0 0 1 -2\n", "row 1 of d.txt has a weight of -2"),
    ("1 0 0 0 1 0 0 0 1 0\n", "the weights in d.txt are all 0"),
])  # fmt: skip
def test_domain_files_without_sense(tmp_path, monkeypatch, rows, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.txt").write_text(rows)
    line = "-cell 50 60 70 -default_F 1 -detpixels 16 -physics exact -domain_file d.txt"
    with pytest.raises(NanoBraggError, match=said):
        load_args(line.split())
    with pytest.raises(NanoBraggError, match="leave -mosaic"):
        (tmp_path / "d.txt").write_text("1 0 0 0 1 0 0 0 1\n")
        load_args(f"{line} -mosaic 1".split())
    with pytest.raises(NanoBraggError, match="needs -physics exact"):
        load_args(line.replace(" -physics exact", "").split())
