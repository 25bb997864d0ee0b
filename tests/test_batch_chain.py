"""Backgrounds and detectors that vary from image to image of a batch job."""

import json
import math

import numpy as np
import pytest

from nanobragg_py import Background, NanoBraggError, Response
from nanobragg_py.batch import Job, Output, iter_images, manifest, run, verify
from nanobragg_py.batch.images import Maker
from nanobragg_py.cli.main import main as tools
from nanobragg_py.data import Images
from nanobragg_py.render import amorphous

CURVE = "".join(f"{0.02 * i:.2f} {3 + math.sin(i):.6f}\n" for i in range(30))
FLAGS = (
    "-cell 50 60 70 90 90 90 -default_F 20 -N 3 -lambda 1 -distance 60 -pixel 1 -detpixels_f 50 -detpixels_s 40 "
    "-oversample 1 -fluence 1e17"
)
#: all kinds of draws; the first three images have little read-out noise, the others much
JOB = {
    "seed": 11,
    "repeat": 3,
    "experiment": {"flags": FLAGS},
    "background": [
        {"curve": "curve.stol", "thickness": 3e-4},
        {"curve": "air", "thickness": 0.03, "density": 1.2e-3, "molecular_weight": 28},
    ],
    "response": {"psf": "gauss", "fwhm": "1.5 mm", "readout": 3, "gain": 1.5},
    "vary": [{"response.readout": [1, 30.0]}],
    "random": {
        "crystal.orientation": "uniform",
        "background.1.thickness": {"uniform": ["0.1 mm", "0.5 mm"]},
        "background.2.density": {"jitter": 0.1},
        "response.fwhm": {"lognormal": ["1.2 mm", 0.1]},
        "response.gain": {"normal": [1.7, 0.05]},
        "response.offset": {"integers": [20, 60]},
        "response.calibration": {"choice": [0.01, 0.02]},
    },
}
DRAWN = [name for name in JOB["random"] if name != "crystal.orientation"]
ICE = {"background": {"curve": "ice", "thickness": "20 um"}, "vary": [], "response": None}


def job_with(**changes):
    values = {**JOB, **changes}
    return {key: value for key, value in values.items() if value is not None}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "curve.stol").write_text(CURVE)
    (tmp_path / "job.json").write_text(json.dumps(JOB))
    return tmp_path


def by_hand(experiment, folder, told):
    """The image of the recorded values, of the library's own steps."""
    image = experiment.render()
    image += Background(f"{folder}/curve.stol", thickness=told["background.1.thickness"]).render(experiment)
    air = Background("air", thickness=0.03, density=told["background.2.density"], molecular_weight=28)
    image += air.render(experiment)
    drawn = {name: told[f"response.{name}"] for name in ("fwhm", "gain", "offset", "calibration", "readout")}
    return Response(psf="gauss", pixel_size=1e-3, **drawn).apply(image, told["noise_seed"])


def test_values_vary_and_give_the_images(folder):
    maker = Maker(folder / "job.json")
    found = list(iter_images(folder / "job.json", labels=True))
    for index, (pixels, told) in enumerate(found):
        assert np.array_equal(pixels, by_hand(maker.experiment(index)[0], folder, told))
        assert 1e-4 <= told["background.1.thickness"] <= 5e-4
        assert told["response.readout"] == (1 if index < 3 else 30)
        assert told["response.offset"] in range(20, 61)
    for name in ("background.1.thickness", "background.2.density", "response.fwhm", "response.gain"):
        assert len({told[name] for _, told in found}) == 6
    assert {told["response.calibration"] for _, told in found} <= {0.01, 0.02}
    # what a value is does not depend on what else is drawn
    alone = Job(job_with(random={"response.gain": JOB["random"]["response.gain"]}), folder)
    assert [told["response.gain"] for _, told in iter_images(alone, labels=True)] == [
        told["response.gain"] for _, told in found
    ]


def test_an_image_is_that_of_simulate(folder):
    """From the values of the manifest, written as words of a command line."""
    values = job_with(random={name: JOB["random"][name] for name in DRAWN})
    pixels, told = next(iter_images(Job(values, folder), [4], labels=True))
    names = ("fwhm", "gain", "offset", "calibration", "readout")
    drawn = ",".join(f"{name}={told[f'response.{name}']}" for name in names)
    words = ["simulate", "--background", f"{folder}/curve.stol,thickness={told['background.1.thickness']}"]
    words += ["--background", f"air,thickness=0.03,density={told['background.2.density']},molecular_weight=28"]
    words += ["--response", f"psf=gauss,{drawn}", "--seed", str(told["noise_seed"]), "--out", f"{folder}/one.npy"]
    assert tools([*words, "--", *FLAGS.split()]) == 0
    assert np.array_equal(np.load(folder / "one.npy"), pixels)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", ["hdf5", "nexus", "zarr", "smv", "cbf", "tiff", "npy"])
def test_runs(form, folder):
    """The same files with one worker, with two, and in two parts; the manifest has the values of every image."""
    pytest.importorskip("h5py", reason="h5py is not installed")
    if form == "zarr":
        pytest.importorskip("zarr", reason="zarr is not installed")
    job = folder / "job.json"
    for name, workers in (("one", 1), ("two", 2)):
        assert run(job, Output(folder / name, form, 2), workers=workers) == 0
    left = [run(job, Output(folder / "parts", form, 2), workers=1, rank=(rank, 2)) for rank in (0, 1)]
    assert left[0] > 0 and left[1] == 0
    files = [files_of(folder / name) for name in ("one", "two", "parts")]
    assert files[0] == files[1] == files[2]
    assert verify(folder / "one") == 6
    told = [entry["parameters"] for entry in manifest(folder / "one")]
    assert told == [parameters for _, parameters in iter_images(job, labels=True)]
    assert all(isinstance(each[name], (int, float)) for each in told for name in DRAWN)


def test_a_run_that_lost_a_file_goes_on(folder):
    pytest.importorskip("h5py", reason="h5py is not installed")
    job, output = folder / "job.json", Output(folder / "out", "npy")
    assert run(job, output, workers=1) == 0
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    (folder / "out" / "image_000003.npy").unlink()
    assert run(job, output, workers=2) == 0
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == before
    other = job_with(random={**JOB["random"], "response.gain": {"normal": [1.7, 0.06]}})
    with pytest.raises(NanoBraggError, match="images of another job"):
        run(Job(other, folder, "job.json"), output, workers=1)


def test_the_data_set_has_the_same_images(folder):
    images, expected = Images(folder / "job.json", dtype=np.uint16), list(iter_images(folder / "job.json"))
    assert all(np.array_equal(images[index][0], pixels) for index, pixels in enumerate(expected))
    assert all(np.array_equal(expected[told["index"]], image) for image, told in images.stream(seed=3))


def test_panels(folder):
    panel = {"fpixels": 20, "spixels": 30, "pixel_size": 1e-3, "fast": [0, 0, 1], "slow": [0, -1, 0]}
    panels = [{**panel, "origin": [0.06, 0.01, z]} for z in (-0.03, 0.01)]
    parts = {
        "crystal": {"lengths": [50.0, 60.0, 70.0], "cells": [3, 3, 3]},
        "beam": {"wavelength": 1e-10, "fluence": 1e17},
        "detector": {"panels": panels},
        "sampling": {"oversample": 1},
        "structure_factors": {"default_F": 20.0},
    }
    values = job_with(experiment=parts)
    maker = Maker(Job(values, folder))
    for index in (0, 5):
        made = maker.make(index)
        assert np.shape(made.pixels) == (2, 30, 20)
        assert np.array_equal(made.pixels, by_hand(made.experiment, folder, made.parameters))
    pytest.importorskip("h5py", reason="h5py is not installed")
    assert run(Job(values, folder), Output(folder / "out", "hdf5", 2), workers=2) == 0
    assert verify(folder / "out") == 6
    assert [entry["parameters"] for entry in manifest(folder / "out")][5] == made.parameters


def test_draws_of_sweeps_are_made_once_a_sweep(folder):
    random = {
        "background.1.thickness": {"uniform": [1e-4, 5e-4]},
        "response.gain": {"uniform": [1, 2], "each": "image"},
    }
    values = job_with(sweep={"images": 3, "step": "1 deg"}, vary=[], random=random, repeat=2)
    told = [parameters for _, parameters in iter_images(Job(values, folder), labels=True)]
    thick = [each["background.1.thickness"] for each in told]
    assert len(set(thick[:3])) == len(set(thick[3:])) == 1 and thick[0] != thick[3]
    assert len({each["response.gain"] for each in told}) == 6


def test_ice_varies(folder):
    """Also what its curve is calculated from, and with that its density."""
    pytest.importorskip("gemmi", reason="gemmi is not installed")
    random = {"background.grain": {"uniform": ["10 nm", "30 nm"]}, "background.a": {"shift": "0.01 A"}}
    job = Job(job_with(**ICE, random={**random, "background.thickness": {"jitter": 0.2}}, noise=False), folder)
    maker = Maker(job)
    for pixels, told in iter_images(job, labels=True):
        more = {name: told[f"background.{name}"] for name in ("grain", "a", "thickness")}
        experiment = maker.experiment(0)[0]
        assert np.array_equal(pixels, experiment.render() + Background.ice(**more).render(experiment))


def test_tables_and_ranges(folder):
    (folder / "rows.csv").write_text("background.1.thickness,response.gain\n0.2 mm,1\n4e-4,\n")
    vary = [{"table": "rows.csv"}, {"response.offset": {"start": 10, "stop": 40, "count": 2}}]
    values = job_with(vary=vary, random={}, repeat=1)
    told = [each for _, each in iter_images(Job(values, folder), labels=True)]
    assert [each["background.1.thickness"] for each in told] == [2e-4, 2e-4, 4e-4, 4e-4]
    assert [each.get("response.gain") for each in told] == [1, 1, None, None]
    assert [each["response.offset"] for each in told] == [10, 40, 10, 40]


@pytest.mark.parametrize(
    ("random", "renders", "reads"),
    [
        ({}, 2, 2),
        ({"response.gain": {"uniform": [1, 2]}}, 2, 2),
        ({"background.1.thickness": {"uniform": [1e-4, 2e-4]}}, 6 + 1, 2),
        ({"beam.fluence": {"uniform": [1e17, 2e17]}}, 12, 2),
    ],
)
def test_what_does_not_vary_is_worked_out_once(random, renders, reads, folder, monkeypatch):
    calls = {"render_background": 0, "read_curve": 0}

    def counted(name):
        own = getattr(amorphous, name)

        def call(*words, **named):
            calls[name] += 1
            return own(*words, **named)

        monkeypatch.setattr(amorphous, name, call)

    for name in calls:
        counted(name)
    random = {"crystal.orientation": "uniform", **random}
    job = Job(job_with(random=random, noise=False), folder)
    kept = [np.array(pixels) for pixels in iter_images(job)]
    assert calls == {"render_background": renders, "read_curve": reads}
    # and out of turn by one who has kept nothing
    assert all(np.array_equal(next(iter_images(job, [index])), kept[index]) for index in (5, 2))


def test_a_mask_that_changes_is_seen(folder):
    """What is kept is that of the same detector only, mask included."""
    masks = np.ones((2, 40, 50), np.uint16)
    masks[1, 10:20] = 0
    maker = Maker(Job(job_with(random={}), folder))
    experiment = maker.experiment(0)[0]
    for mask in (masks[0], masks[1], masks[1].copy()):
        one = experiment.replace({"detector.mask": mask}).replace(physics="exact")
        image = maker._steps.add_backgrounds(np.zeros((40, 50), np.float32), one, {})
        assert (image[10:20] == 0).all() == (not mask.all())


BAD = [
    ({"background.thickness": {"uniform": [1, 2]}}, "the job has 2 backgrounds; say which, as background.1.thickness"),
    ({"background.3.thickness": {"uniform": [1, 2]}}, "the job has 2 backgrounds; say which, as background.1.thick"),
    ({"background.1.oversample": {"integers": [1, 2]}}, "background.1.oversample cannot vary; of the background,"),
    ({"background.1.curve": {"choice": ["water", "air"]}}, "background.1.curve cannot vary; of the background,"),
    ({"background.1.grain": {"uniform": [1e-8, 2e-8]}}, "background.1.grain is nothing that can vary"),
    ({"response.bits": {"choice": [16, 32]}}, "response.bits cannot vary; of the response, numbers can: fwhm"),
    ({"response.gian": {"uniform": [1, 2]}}, "did you mean response.gain?"),
    ({"response.gain": {"choice": [1, "much"]}}, "response.gain is 'much'; it must be a number"),
    ({"response.gain": {"choice": [True]}}, "response.gain is True; it must be a number"),
    ({"response.fwhm": {"uniform": ["1 mm", "2 deg"]}}, "response.fwhm is '2 deg'"),
    ({"response.fwhm": {"uniform": [0, 1e-4]}}, "response.fwhm is 0; it must be above 0"),
    ({"background.2.density": {"uniform": [-1, 1]}}, "background.2.density is -1; it must be a number above 0"),
    ({"response.readout": {"integers": [-2, 1]}}, "response.readout is -2; it must not be negative"),
    ({"response.flicker": {"normal": [0.01, 0.01]}}, "image 0: response.flicker is -"),
    ({"response.flicker": {"shift": 0.01}}, "image 0: response.flicker is -"),
    ({"background.1.thickness": {"jitter": 2.0}}, "background.1.thickness is -"),
    ({"background.1.molecules": {"jitter": 0.1}}, "background.1.molecules is None"),
    (
        {"background.1.molecules": {"uniform": [1, 2]}, "background.1.width": {"uniform": [1, 2]}},
        "background.1.width varies, and the number of molecules is given, which leaves it no part",
    ),
]


def test_one_background_has_no_number(folder):
    values = job_with(background=JOB["background"][0], random={"background.1.thickness": {"uniform": [0, 1]}})
    with pytest.raises(NanoBraggError, match=r"the job has one background, so write background\.thickness"):
        Job(values, folder)


@pytest.mark.parametrize(("random", "said"), BAD)
def test_bad_draws(random, said, folder):
    """Refused before the first image, with nothing written."""
    values = job_with(random=random, vary=[], repeat=40)
    with pytest.raises(NanoBraggError) as caught:
        run(Job(values, folder), Output(folder / "out", "npy"), workers=1)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vary": [{"response.readout": [10**400]}]}, "response.readout is inf; it must be a finite number"),
        ({"background": None}, "background.1.thickness varies, and the job has no [background]; state it as well"),
        ({"response": None, "vary": []}, "response.fwhm varies, and the job has no [response]; state it as well"),
        ({"response": {"gain": 2}}, "response.fwhm varies, and the response has no psf, which alone needs it"),
        ({"vary": [{"response.gain": [1, 2]}]}, "response.gain is in [[vary]] number 1 and in [random]; state it once"),
        ({"vary": [{"response.readout": [1] * 500 + [-1]}]}, "response.readout is -1; it must not be negative"),
        ({"vary": [{"response.readout": [1, "x"]}]}, "response.readout is 'x'; it must be a number"),
        (
            {"vary": [{"response.readout": {"start": 5, "step": -1, "count": 9}}]},
            "response.readout is -3; it must not be negative",
        ),
        (
            {**ICE, "random": {"background.grain": {"uniform": ["1 nm", "1 mm"]}}},
            "background.grain is 0.001; it must be a length in metres",
        ),
    ],
)
def test_bad_jobs(changes, said, folder):
    if "grain" in said:
        pytest.importorskip("gemmi", reason="gemmi is not installed")
    with pytest.raises(NanoBraggError) as caught:
        Job(job_with(**changes), folder)
    assert said in str(caught.value)


def test_a_draw_far_on_that_leaves_the_range_is_found_first(folder):
    """Not after the images before it."""
    random = {"response.readout": {"normal": [3.0, 0.85]}}
    values = job_with(random=random, vary=[], repeat=5000)
    with pytest.raises(NanoBraggError, match=r"image (\d{2,}): response.readout is -"):
        run(Job(values, folder), Output(folder / "out", "npy"), workers=1)
    assert not (folder / "out").exists()
