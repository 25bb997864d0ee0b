"""Spectra: images are weighted sums of those of the wavelengths, whoever states them, and what is no spectrum."""

import doctest
import json
import re
import shutil

import numpy as np
import pytest
from transcripts import ROOT, replay

from nanobragg_py import (
    Beam,
    Crystal,
    Detector,
    Experiment,
    FieldError,
    NanoBraggError,
    Sampling,
    StructureFactors,
    gauss_spectrum,
    sase_spectrum,
    two_colour_spectrum,
)
from nanobragg_py.batch import Maker, read_job

WAVELENGTHS, WEIGHTS = (0.97e-10, 0.99e-10, 1.0e-10, 1.02e-10), (1.0, 0.0, 2.5, 0.75)
TABLE = StructureFactors.from_arrays(
    [[h, k, l] for h in range(-4, 2) for k in range(-8, 9) for l in range(-8, 9)],
    [20 + (7 * h + 11 * k + 13 * l) % 31 for h in range(-4, 2) for k in range(-8, 9) for l in range(-8, 9)],
)


def still(factors=TABLE, crystal=(), sampling=(), detector=(), **beam):
    given = {"cells": (5, 6, 7), "missets": (0.1, 0.2, 0.3), **dict(crystal)}
    return Experiment(
        Crystal.from_cell(40, 45, 50, 80, 95, 100, **given),
        Beam(**{"spectrum": (WAVELENGTHS, WEIGHTS), "polarization": 0.4, **beam}),
        Detector.flat(37, 1.3e-3, 0.05, **dict(detector)),
        Sampling(**{"oversample": 1, **dict(sampling)}),
        factors,
    )


def by_hand(experiment, **changes):
    """The weighted mean of the monochromatic images."""
    wavelengths, weights = experiment.beam.spectrum
    total = 0.0
    for wavelength, weight in zip(wavelengths, weights, strict=True):
        one = experiment.replace({"beam.spectrum": None, "beam.wavelength": wavelength, **changes})
        total = total + weight * one.render(dtype="float64", threads=1)
    return total / sum(weights)


KINDS = {
    "plain": {},
    "constant": {"factors": StructureFactors(default_F=50.0)},
    "sub-pixels": {"sampling": {"oversample": 2}},
    "layers": {"detector": {"thickness": 3e-4, "mu": 3e3, "thicksteps": 2}},
    "domains": {"crystal": {"mosaic_spread": 0.01, "mosaic_domains": 70}},
    "gauss": {"crystal": {"shape": "gauss", "cells": (20, 20, 20)}},
    "round": {"crystal": {"shape": "round"}},
    "interpolated": {"sampling": {"interpolate": True}},
    "cut": {"sampling": {"dmin": 3e-10}},
    "water": {"sampling": {"water": 1e-6}},
    "curved": {"detector": {"curved": True}},
    "divergence": {"hdivrange": 0.01, "hdivsteps": 3, "vdivrange": 0.005, "vdivsteps": 2},
    "unpolarized": {"polarized": False},
    "phi": {"sampling": {"phi0": 0.1, "osc": 0.02, "phisteps": 5}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_the_weighted_sum_of_its_wavelengths(kind):
    experiment = still(**KINDS[kind])
    found = experiment.render(dtype="float64", threads=1)
    assert found.max() > 0
    np.testing.assert_allclose(found, by_hand(experiment), rtol=1e-12, atol=found.max() * 1e-15)


@pytest.mark.parametrize("factors", [TABLE, StructureFactors(default_F=50.0)], ids=["table", "constant"])
@pytest.mark.parametrize(("shape", "cells"), [
    ("square", (5, 5, 5)), ("square", (3, 6, 4)), ("square", (7, 9, 5)), ("round", (5, 6, 7)), ("gauss", (4, 5, 4)),
    ("tophat", (5, 6, 7)),
])  # fmt: skip
def test_many_wavelengths_of_one_direction_share_its_geometry(shape, cells, factors):
    """More of them, and more domains, than are worked on at a time."""
    crystal = {"shape": shape, "cells": cells, "mosaic_spread": 0.01, "mosaic_domains": 3}
    spectrum = np.linspace(0.97e-10, 1.01e-10, 70), 1.0 + np.arange(70) % 3
    experiment = still(factors, crystal, spectrum=spectrum)
    found, wanted = experiment.render(dtype="float64", threads=1), by_hand(experiment)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=wanted.max() * 1e-14)
    assert np.abs(experiment.render(precision="single", threads=1) - wanted).max() < 2e-5 * wanted.max()
    many = still(factors, {**crystal, "mosaic_domains": 70})
    np.testing.assert_allclose(many.render(dtype="float64"), by_hand(many), rtol=1e-11, atol=wanted.max() * 1e-14)


@pytest.mark.parametrize("kind", ["plain", "domains"])
def test_in_single_precision(kind):
    experiment = still(**KINDS[kind])
    found = experiment.render(precision="single", threads=1)
    assert np.abs(found - by_hand(experiment)).max() < 2e-5 * found.max()


def test_only_the_ratios_of_weights_count():
    experiment = still()
    scaled = experiment.replace(beam__spectrum=(WAVELENGTHS, [1e3 * w for w in WEIGHTS]))
    np.testing.assert_allclose(scaled.render(), experiment.render(), rtol=1e-6)


def test_one_wavelength_is_that_wavelength():
    assert np.array_equal(
        still(spectrum=([1.1e-10], [3.0])).render(), still(spectrum=None, wavelength=1.1e-10).render()
    )


def test_threads_change_nothing():
    experiment = still(**KINDS["domains"])
    assert np.array_equal(experiment.render(threads=1), experiment.render(threads=3))


def test_every_pixel_of_the_trace():
    experiment = still(**KINDS["sub-pixels"])
    image = experiment.render(threads=1)
    for slow, fast in ((3, 5), (20, 31)):
        traced = experiment.trace(slow, fast)
        assert traced.pixel["I_pixel_image"] == image[slow, fast]
        assert traced.pixel["I_pixel_final"] == pytest.approx(image[slow, fast], rel=1e-6)


def test_the_central_wavelength_is_the_mean():
    beam = still().resolved.beam
    assert beam.wavelength == pytest.approx(np.average(WAVELENGTHS, weights=WEIGHTS), rel=1e-15)
    assert (beam.dispersion_steps, len(beam.sources)) == (4, 4)


# ---- stating it -----------------------------------------------------------------------------------------------------


def test_ways_to_state_one(tmp_path):
    file = tmp_path / "pink.txt"
    file.write_text("# wavelength (A), weight\n\n0.97 1 another column\n0.99,0\n1.0\t2.5\n1.02 0.75\n")
    wanted = still()
    read = Beam(spectrum=str(file)).spectrum
    np.testing.assert_allclose(read, wanted.beam.spectrum, rtol=1e-15)
    assert Beam(spectrum=file).spectrum == read
    assert Beam(spectrum=[["0.97 A", "0.99 A", "1.0 A", "1.02 A"], WEIGHTS]).spectrum == read
    assert Beam(spectrum=np.array([WAVELENGTHS, WEIGHTS])).spectrum == wanted.beam.spectrum
    rest = "crystal.lengths = [50, 50, 50]\nstructure_factors.default_F = 1.0\n"
    (tmp_path / "e.toml").write_text(f'beam.spectrum = "pink.txt"\n{rest}')
    assert Experiment.read(tmp_path / "e.toml").beam.spectrum == read
    for name in ("whole.toml", "whole.json"):
        wanted.write(tmp_path / name)
        assert Experiment.read(tmp_path / name) == wanted
    again = Experiment.from_args(wanted.to_args(tmp_path))
    np.testing.assert_allclose(again.beam.spectrum, wanted.beam.spectrum, rtol=1e-15)
    np.testing.assert_allclose(again.render(), wanted.render(), rtol=1e-6)
    turned = wanted.crystal.replace(missets=(0.3, 0.2, 0.1))
    quickly, anew = wanted.replace(crystal__missets=(0.3, 0.2, 0.1)), wanted.replace(crystal=turned)
    assert quickly.resolved.sampling == anew.resolved.sampling
    assert np.array_equal(quickly.render(), anew.render())


def test_the_program(runner):
    wanted = still()
    line = [*wanted.to_args(runner.folder), "-floatfile", "f.bin", "-nonoise", "-nopgm", "-threads", "1"]
    done = runner(*line)
    image = np.fromfile(runner.folder / "f.bin", "f4").reshape(37, 37)
    np.testing.assert_allclose(image, wanted.render(), rtol=1e-6)
    assert "lambda3 = 1.02e-10" in done.stdout
    assert "  4 sources" in done.stdout


@pytest.mark.parametrize(("text", "said"), [
    ("", "spectrum.txt has no line of a wavelength and a weight"),
    ("# nothing\n", "has no line of a wavelength and a weight"),
    ("1.0 1\n0.9 1\n", "line 2 of spectrum.txt has a wavelength of 0.9 A after one of 1 A"),
    ("1.0 1\n\n1.0 1\n", "line 3 of spectrum.txt has a wavelength of 1 A after one of 1 A"),
    ("1.0 0\n1.1 0\n", "spectrum.txt has weights whose sum is 0"),
    ("1.0 1\n1.1 -1\n", "line 2 of spectrum.txt has a weight of -1"),
    ("1.0 1\n1.1 nan\n", "line 2 of spectrum.txt has a number that is not finite"),
    ("inf 1\n", "line 1 of spectrum.txt has a number that is not finite"),
    ("0 1\n", "line 1 of spectrum.txt has a wavelength of 0 A"),
    ("1e-10 1\n", "line 1 of spectrum.txt has a wavelength of 1e-10 A; give that of X-rays"),
    ("1.0 1e308\n1.1 1e308\n", "spectrum.txt has weights whose sum is not finite; give smaller ones"),
    ("1.0;1\n", "line 1 of spectrum.txt is '1.0;1'"),
    (b"\x1f\x8b\x08\x00\xff\xfe".decode("latin-1"), "line 1 of spectrum.txt is"),
    ("12400 1\n", "line 1 of spectrum.txt has a wavelength of 12400 A"),
    ("lambda weight\n", "line 1 of spectrum.txt is 'lambda weight'"),
    ("1.0\n", "line 1 of spectrum.txt is '1.0'"),
    (None, "cannot read spectrum.txt: no such file"),
])  # fmt: skip
def test_files_that_are_none(runner, text, said):
    if text is not None:
        (runner.folder / "spectrum.txt").write_text(text)
    line = "-physics exact -spectrum spectrum.txt -cell 50 50 50 90 90 90 -default_F 9 -detpixels 8"
    done = runner(*line.split())
    assert done.returncode == 9
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not list(runner.folder.glob("*image*"))
    with pytest.raises(NanoBraggError):
        Beam(spectrum=runner.folder / "spectrum.txt")


@pytest.mark.parametrize(("flags", "said"), [
    ("", "-spectrum needs -physics exact"),
    ("-physics exact -dispersion 1 -dispsteps 3", "-spectrum and -dispersion both state wavelengths"),
    ("-physics exact -dispsteps 3", "-spectrum and -dispsteps both state wavelengths"),
    ("-physics exact -sourcefile s.txt", "-spectrum and -sourcefile both state wavelengths"),
])  # fmt: skip
def test_what_does_not_go_with_it(runner, flags, said):
    (runner.folder / "p.txt").write_text("1.0 1\n1.1 1\n")
    (runner.folder / "s.txt").write_text("-10 0 0 1 1e-10\n")
    line = f"-spectrum p.txt -cell 50 50 50 90 90 90 -default_F 9 -detpixels 8 {flags}".split()
    done = runner(*line)
    assert done.returncode == 9
    assert said in done.stderr


@pytest.mark.parametrize(("spectrum", "said"), [
    (3, "must be wavelengths and weights, two lists, or the name of a file"),
    ({"sase": {"bandwidth": 0.002}}, "what is drawn, sase and the like, stands under [random] of a job"),
    (([1e-10, 1.1e-10],), "must be wavelengths and weights"),
    (([], []), "0 wavelengths and 0 weights"),
    (([1e-10, 1.1e-10], [1]), "2 wavelengths and 1 weights"),
    (([1e-10, "2 kg"], [1, 1]), "its unit must be one of"),
    (([0.9, 1.0], [1, 1]), "number 1: a wavelength of 9e"),
    (([1.1e-10, 1e-10], [1, 1]), "number 2: a wavelength of 1 A after one of 1.1 A"),
    (([1e-10, 1.1e-10], [0, 0]), "weights whose sum is 0"),
    (([1e-10, float("inf")], [1, 1]), "must be a finite number"),
])  # fmt: skip
def test_what_is_no_spectrum(spectrum, said):
    with pytest.raises(FieldError, match=r"beam\.spectrum") as error:
        Beam(spectrum=spectrum)
    assert said in str(error.value)


# ---- drawing it -----------------------------------------------------------------------------------------------------


def width(spectrum):
    """The standard deviation of the wavelengths over their mean."""
    x, weights = (np.array(each) for each in spectrum)
    mean = np.average(x, weights=weights)
    return np.sqrt(np.average((x - mean) ** 2, weights=weights)) / mean


def test_generators():
    sigma = 0.01 / 2.3548200450309493
    assert width(gauss_spectrum(1e-10, 0.01, 400, span=4)) == pytest.approx(sigma, rel=1e-3)
    colours = two_colour_spectrum(1e-10, 0.04, 0.01, ratio=3.0, wavelengths=60)
    x, weights = (np.array(each) for each in colours)
    assert (len(x), weights.sum()) == (60, pytest.approx(1.0))
    assert weights[x > 1e-10].sum() / weights[x < 1e-10].sum() == pytest.approx(3.0)
    assert np.average(x[x > 1e-10], weights=weights[x > 1e-10]) == pytest.approx(1.02e-10, rel=1e-6)
    shot = sase_spectrum(1e-10, 0.01, 5e-4, 60, seed=7)
    assert shot == sase_spectrum(1e-10, 0.01, 5e-4, 60, seed=7)
    assert shot != sase_spectrum(1e-10, 0.01, 5e-4, 60, seed=8)
    assert sum(shot[1]) == pytest.approx(1.0)
    moved = [gauss_spectrum(1e-10, 0.01, jitter=0.02, seed=seed) for seed in range(60)]
    middles = [np.average(x, weights=w) for x, w in moved]
    assert np.std(middles) == pytest.approx(2e-12, rel=0.3)
    assert Beam(spectrum=shot).spectrum == shot


def test_the_mean_of_many_shots_is_the_gaussian_and_spikes_are_as_wide_as_asked():
    shots = np.array([sase_spectrum(1e-10, 0.01, 4e-4, 300, seed=s)[1] for s in range(200)])
    mean = shots.mean(axis=0)
    gauss = np.array(gauss_spectrum(1e-10, 0.01, 300)[1])
    assert np.corrcoef(mean, gauss)[0, 1] > 0.985
    # a square of Gaussian noise has the contrast 1, and is correlated as the square of its field: sqrt(2) spikes wide
    flat = (shots / gauss)[:, 100:200]
    flat /= flat.mean()
    assert flat.std() == pytest.approx(1.0, abs=0.1)
    flat -= flat.mean()
    lag = round(4e-4 * 2**0.5 / 2 / (0.03 / 300))
    related = (flat[:, lag:] * flat[:, :-lag]).mean() / flat.var()
    assert related == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("make", "said"), [
    (lambda: gauss_spectrum(1e-10, 0), "bandwidth is 0"),
    (lambda: gauss_spectrum(1e-10, 0.9, span=4), "below 0"),
    (lambda: two_colour_spectrum(1e-10, 0.1, wavelengths=1), "two colours need 2"),
    (lambda: sase_spectrum(1e-10, 0.01, 1e-12), "spike is 1e-12"),
    (lambda: sase_spectrum(1e-10, 0.01, jitter=-1), "jitter is -1"),
])  # fmt: skip
def test_generators_of_nothing(make, said):
    with pytest.raises(FieldError, match=said):
        make()


JOB = """
repeat = 3
noise = false
[experiment]
crystal = { lengths = [50, 50, 50], cells = [5, 5, 5] }
beam = { wavelength = "1.3 A" }
detector = { fpixels = 16, spixels = 16, pixel_size = 1e-3, distance = 0.05 }
structure_factors = { default_F = 10.0 }
"""


def test_batch_draws_a_spectrum_a_shot(tmp_path):
    job = tmp_path / "job.toml"
    drawn = "{ sase = { bandwidth = 0.005, spike = 1e-3, wavelengths = 9 } }"
    job.write_text(JOB + f'[random]\n"beam.spectrum" = {drawn}\n')
    made = [Maker(job).make(i) for i in (2, 0, 1)]
    spectra = [each.parameters["beam.spectrum"] for each in made]
    assert len({tuple(weights) for _, weights in spectra}) == 3
    assert made[0].experiment.resolved.beam.wavelength == pytest.approx(1.3e-10, rel=0.005)
    again = Maker(job).make(2)
    assert np.array_equal(again.pixels, made[0].pixels)
    # the manifest's line gives the image again
    told = json.loads(json.dumps(spectra[0]))
    base = Experiment.from_dict(read_job(job).parts)
    assert np.array_equal(base.replace(beam__spectrum=told).render(), made[0].pixels)


def test_batch_varies_files(tmp_path):
    (tmp_path / "one.txt").write_text("1.0 1\n")
    shutil.copy(tmp_path / "one.txt", tmp_path / "two.txt")
    with open(tmp_path / "two.txt", "a") as file:
        file.write("1.02 1\n")
    job = tmp_path / "job.toml"
    job.write_text(JOB + '[[vary]]\n"beam.spectrum" = ["one.txt", "two.txt"]\n')
    assert [len(Maker(job).make(i).experiment.resolved.beam.sources) for i in (0, 5)] == [1, 2]


@pytest.mark.parametrize(("stated", "said"), [
    ("{ sase = 3 }", "it must be a table of bandwidth"),
    ("{ sas = {} }", "give one of gauss, sase, two_colour"),
    ("{ sase = { bandwith = 0.1 } }", "did you mean bandwidth"),
    ("{ two_colour = {} }", "two_colour needs separation"),
    ("{ sase = { bandwidth = -1 } }", "sase: bandwidth is -1"),
    ("{ uniform = [1, 2] }", "give one of gauss, sase, two_colour"),
])  # fmt: skip
def test_batch_says_what_is_wrong(tmp_path, stated, said):
    job = tmp_path / "job.toml"
    job.write_text(JOB + f'[random]\n"beam.spectrum" = {stated}\n')
    with pytest.raises(NanoBraggError) as error:
        Maker(job).check()
    assert said in str(error.value)


def test_page(tmp_path, monkeypatch):
    replay("docs/spectra.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "spectra.md"
    blocks = re.findall(r"^```python\n(>>> .*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, str(page), str(page), 0)
    said = []
    outcome = doctest.DocTestRunner().run(test, out=said.append)
    assert outcome.failed == 0, "".join(said)
    assert outcome.attempted > 8
