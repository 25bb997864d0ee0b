"""The library's manners: words with units, slips that are noticed, what experiments look like, files of images."""

import math
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from nanobragg_py import (
    Beam,
    Crystal,
    Detector,
    Experiment,
    FieldError,
    NanoBraggError,
    NanoBraggWarning,
    Sampling,
    StructureFactors,
)
from nanobragg_py.batch.jobs import Job
from nanobragg_py.batch.local import estimate
from nanobragg_py.batch.output import Output
from nanobragg_py.files.image import read_image

FLAGS = "-cell 40 50 60 90 90 90 -default_F 10 -N 5 -detpixels 32 -pixel 1 -distance 100 -fluence 1e28 -osc 1 -phi 2"


def degrees(*angles):
    return pytest.approx([math.radians(angle) for angle in angles])


@pytest.fixture(scope="module")
def experiment():
    return Experiment.from_args(FLAGS)


# ---- units ---------------------------------------------------------------------------------------------------------


def test_units_in_constructors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Beam(wavelength="1 A").wavelength == pytest.approx(1e-10)
        assert Beam(wavelength="1.5\N{ANGSTROM SIGN}").wavelength == pytest.approx(1.5e-10)
        assert Beam(exposure="50 fs", size="5 um").exposure == pytest.approx(5e-14)
        assert Beam(hdivrange="2 mrad").hdivrange == pytest.approx(0.002)
        made = Detector.flat(64, "0.4 mm", "15cm", beam_centre=("10 mm", "1.2 cm"), twotheta="20\N{DEGREE SIGN}")
        assert (made.pixel_size, made.distance) == pytest.approx((4e-4, 0.15))
        assert made == Detector.flat(64, 4e-4, 0.15, beam_centre=(0.01, 0.012), twotheta=math.radians(20)).replace(
            pixel_size=made.pixel_size, twotheta=made.twotheta, Xbeam=made.Xbeam, Ybeam=made.Ybeam
        )
        assert (made.Xbeam, made.Ybeam) == pytest.approx((0.0118, 0.0098))
        turned = Crystal.from_cell("3.4 nm", 40, 50, beta="100 deg", missets="10 20 30 deg")
        assert turned.lengths == pytest.approx((34, 40, 50)) and turned.missets == degrees(10, 20, 30)
        assert turned.angles == degrees(90, 100, 90)
        assert turned.replace(missets="10, 20, -30 deg").missets == degrees(10, 20, -30)
        assert Crystal.from_cell(40, missets=["10 deg", 0, 0.5]).missets == pytest.approx([math.radians(10), 0, 0.5])
        assert Sampling(osc="0.5 deg", dmin="2 A").dmin == pytest.approx(2e-10)
        assert Crystal.from_cell(40, missets="random", misset_seed=1).missets == "random"


def test_energy_is_another_way_to_state_the_wavelength(experiment):
    program = Experiment.from_args(f"{FLAGS} -energy 12400").beam.wavelength
    assert Beam(energy="12.4 keV").wavelength == Beam(energy=12400.0).wavelength == program
    assert Beam(energy=12400.0).energy == pytest.approx(12400.0)
    assert experiment.replace(beam__energy="12.4 keV").beam.wavelength == program
    assert Experiment.from_dict({**experiment.to_dict(), "beam": {"energy": "12.4 keV"}}).beam.wavelength == program
    for wrong in ({"energy": "9 keV", "wavelength": 2e-10}, {"energy": "0 keV"}, {"energy": "1 A"}, {"energy": -1}):
        with pytest.raises(FieldError, match=r"beam\.energy"):
            Beam(**wrong)
    with pytest.raises(FieldError, match="give one of them"):
        Beam().replace(energy=9000, wavelength=1e-10)


SLIPS = {
    "wavelength": (lambda: Beam(wavelength=1.0), 'beam.wavelength is 1 m, .*"1 A"'),
    "energy": (lambda: Beam(energy=12.4), 'beam.energy is 12.4 eV, .*"12.4 keV"'),
    "size": (lambda: Beam(size=0.1), 'beam.size is 0.1 m, .*"0.1 mm"'),
    "distance": (lambda: Detector(distance=100), 'detector.distance is 100 m, .*"100 mm"'),
    "pixel": (lambda: Detector.flat(64, 0.1, 0.1), 'detector.pixel_size is 0.1 m, .*"0.1 mm"'),
    "missets": (lambda: Crystal.from_cell(40, missets=(10, 20, 30)), 'crystal.missets is 10 rad, .*"10 deg"'),
    "mosaic": (lambda: Crystal.from_cell(40, mosaic_spread=0.5), 'crystal.mosaic_spread is 0.5 rad, .*"0.5 deg"'),
    "osc": (lambda: Sampling(osc=1), 'sampling.osc is 1 rad, .*"1 deg"'),
    "replaced": (lambda: Detector().replace(distance=150), 'detector.distance is 150 m, .*"150 mm"'),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_values_of_another_unit_are_warned_of(slip):
    make, says = SLIPS[slip]
    with pytest.warns(NanoBraggWarning, match=says) as caught:
        made = make()
    assert [warning.filename for warning in caught] == [__file__]  # the line that is to be mended
    assert len(made.oddities if slip != "energy" else (1,)) == 1


def test_odd_values_stay_among_an_experiments_warnings(experiment):
    with pytest.warns(NanoBraggWarning):
        far = experiment.replace(detector__distance=100.0)
    assert any("detector.distance is 100 m" in text for text in far.warnings)
    assert not any("distance" in text for text in far.replace(detector__distance="100 mm").warnings)
    assert any("detector.distance" in text for text in far.replace(crystal__missets="1 2 3 deg").warnings)


@pytest.mark.parametrize("value", [1e9, 1e-9, 0.02])
def test_values_that_no_unit_explains_are_left_alone(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Detector(distance=value)


# ---- slips in flags ------------------------------------------------------------------------------------------------


def test_from_args_says_what_the_program_says(tmp_path, runner):
    words = f"{FLAGS} -mosaik 0.3 -distanse 3"
    with pytest.warns(NanoBraggWarning, match="-mosaik is not a nanoBragg flag .* did you mean -mosaic"):
        made = Experiment.from_args(words)
    said = [text for text in made.warnings if "is not a nanoBragg flag" in text]
    told = runner(*words.split()).stderr
    assert len(said) == 2 and all(f"WARNING: {text}" in told for text in said)


def test_dry_run_says_what_a_run_says(tmp_path):
    job = {"repeat": 2, "experiment": {"flags": f"{FLAGS} -mosaik 0.3"}, "vary": [{"-lambda": [1.0, 1.1]}]}
    said = []
    estimate(Job(job, tmp_path), Output(str(tmp_path / "out"), "smv"), said.append)
    assert any("-mosaik is not a nanoBragg flag" in sentence for sentence in said)
    (tmp_path / "job.json").write_text(__import__("json").dumps(job))
    for words in (["--dry-run"], ["--out", "out"]):
        done = subprocess.run(
            [sys.executable, "-P", "-c", "from nanobragg_py.cli.main import main; main()", "batch", "job.json", *words],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0 and done.stderr.count("-mosaik is not a nanoBragg flag") == 1
        assert "NanoBraggWarning" not in done.stderr


# ---- what it looks like --------------------------------------------------------------------------------------------


def test_repr_says_what_is_not_at_its_default(experiment):
    assert repr(Beam()) == "Beam()" and repr(Beam(wavelength=2e-10)) == "Beam(wavelength=2e-10)"
    assert eval(repr(experiment)) == experiment and len(repr(experiment)) < 500
    assert repr(Detector(mask=np.ones((3, 4), int))) == "Detector(fpixels=4, spixels=3, mask=<uint16 3 x 4>)"
    table = StructureFactors.from_arrays([(1, 2, 3)], [4.0])
    assert "of 1 rows" in repr(table) and "array" not in repr(table)


def test_html_for_notebooks(experiment):
    text = experiment._repr_html_()
    assert text.startswith("<table>") and "data:image/png;base64," in text
    assert re.search(r"40 50 60 90 90 90 \N{ANGSTROM SIGN}", text) and "2 to 3\N{DEGREE SIGN}" in text
    long = experiment.replace(crystal__mosaic_domains=1, detector__fpixels=9000, sampling__phisteps=9000)
    assert "data:image" not in long._repr_html_()


def test_plot(experiment):
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    image = experiment.render()
    ax = experiment.plot(image, rings=(10.0,), spots=True)
    assert (ax.images[0].get_array() == image).all()
    assert ax.get_xlim() == (0, 32) and ax.get_ylim() == (32, 0)
    assert any("10 \N{ANGSTROM SIGN}" in text.get_text() for text in ax.texts)
    ax.figure.canvas.draw()
    assert experiment.plot(ax=ax) is ax


def test_trace(experiment):
    image, trace = experiment.render(), experiment.trace(10, 20)
    assert trace.pixel["I_pixel_image"] == image[10, 20]
    assert trace.pixel["I_pixel_final"] == pytest.approx(float(image[10, 20]), rel=1e-6)
    with pytest.raises(NanoBraggError, match="not on the detector"):
        experiment.trace(32, 0)


# ---- files ---------------------------------------------------------------------------------------------------------


def test_images_in_files_of_other_programs(experiment, tmp_path):
    noisy = experiment.add_noise(experiment.render())
    experiment.to_cbf(tmp_path / "a.cbf", noisy)
    experiment.to_nexus(tmp_path / "a.nxs", noisy)
    experiment.to_nexus(tmp_path / "b.nxs", np.array([noisy, noisy + 1]))
    for name in ("a.cbf", "a.nxs", "b.nxs#0"):
        read = read_image(tmp_path / name)
        assert (read.pixels == noisy).all(), name
        assert read.geometry.wavelength == pytest.approx(1e-10)
        assert (read.geometry.phi0, read.geometry.osc) == degrees(2, 1)
    second = read_image(tmp_path / "b.nxs#1")
    assert (second.pixels == noisy + 1).all() and second.geometry.phi0 == pytest.approx(math.radians(3))
    with pytest.raises(FieldError, match="the experiment's is"):
        experiment.to_cbf(tmp_path / "c.cbf", noisy[1:])
    with pytest.raises(NanoBraggError, match="absent"):
        experiment.to_nexus(tmp_path / "absent" / "c.nxs", noisy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.cbf", "a.nxs", "b.nxs"]
