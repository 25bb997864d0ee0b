"""Job files: what an image is follows from the file and the image's number, and from nothing else."""

import json
import re
import shutil
from math import log, radians
from statistics import fmean, stdev

import numpy as np
import pytest
from transcripts import ROOT

from nanobragg_py import Experiment, NanoBraggError, missets_to_rotation
from nanobragg_py.batch import Job, Maker, iter_images, read_job
from nanobragg_py.batch.draws import Draw, fractions, words
from nanobragg_py.batch.tables import read_column, read_table

FLAGS = "-cell 50 60 70 90 90 90 -N 3 -default_F 100 -detpixels 24 -pixel 1 -distance 80 -fluence 1e27"


def made(values, folder=""):
    return Job({"experiment": {"flags": FLAGS}, **values}, folder)


# ---- draws ---------------------------------------------------------------------------------------------------------


def test_words_are_digests():
    """Another program can repeat them: SHA-256 of "seed index block name", four little-endian words each."""
    assert words(1, 2, "beam.fluence", 1) == [3766906737560353527]
    assert words(1, 2, "beam.fluence", 6)[:4] == words(1, 2, "beam.fluence", 4)


def test_draws_differ_by_seed_index_and_name():
    several = {tuple(words(seed, index, name, 1)) for seed in range(3) for index in range(3) for name in "ab"}
    assert len(several) == 18


def test_distributions():
    def drawn(kind, numbers, base=None):
        return [Draw("x", kind, numbers).value(5, index, base) for index in range(4000)]

    assert min(fractions(1, 1, "x", 4000)) > 0 and max(fractions(1, 1, "x", 4000)) < 1
    uniform = drawn("uniform", (2.0, 4.0))
    assert (min(uniform) > 2, max(uniform) < 4, fmean(uniform)) == (True, True, pytest.approx(3, abs=0.05))
    normal = drawn("normal", (10.0, 0.5))
    assert (fmean(normal), stdev(normal)) == (pytest.approx(10, abs=0.04), pytest.approx(0.5, rel=0.05))
    logs = [log(x) for x in drawn("lognormal", (100.0, 0.3))]
    assert (fmean(logs), stdev(logs)) == (pytest.approx(log(100), abs=0.03), pytest.approx(0.3, rel=0.05))
    assert set(drawn("integers", (3, 6))) == {3, 4, 5, 6}
    assert set(drawn("choice", ("a", "b"))) == {"a", "b"}
    jittered = drawn("jitter", 0.1, (50.0, 60.0))
    assert stdev(x[0] for x in jittered) == pytest.approx(5, rel=0.05)
    assert abs(np.corrcoef(np.array(jittered).T)[0, 1]) < 0.06
    assert stdev(drawn("shift", 0.2, 1.0)) == pytest.approx(0.2, rel=0.05)


def test_orientations_are_uniform_and_of_the_image():
    maker = Maker(made({"repeat": 300, "random": {"crystal.orientation": "uniform"}}))
    several = [maker.experiment(index) for index in range(300)]
    axes = np.array([missets_to_rotation(one.crystal.missets)[:, 2] for one, _, _ in several])
    assert np.all(np.abs(axes.mean(axis=0)) < 0.12)
    assert np.allclose(axes[7], np.reshape(several[7][1]["crystal.orientation"], (3, 3))[:, 2])


# ---- what varies ---------------------------------------------------------------------------------------------------


def test_lists_in_one_table_go_together_and_tables_multiply():
    job = made(
        {
            "repeat": 2,
            "vary": [
                {"beam.wavelength": ["1 A", "2 A"], "detector.distance": [0.1, 0.2]},
                {"sampling.oversample": {"start": 1, "step": 1, "count": 3}},
            ],
        }
    )
    assert len(job) == 12
    seen = [job.stated(index)[0] for index in range(12)]
    assert [one["sampling.oversample"] for one in seen] == [1, 1, 2, 2, 3, 3] * 2
    assert [one["detector.distance"] for one in seen] == [0.1] * 6 + [0.2] * 6
    assert seen[11]["beam.wavelength"] == 2e-10
    assert list(seen[0]) == ["beam.wavelength", "detector.distance", "sampling.oversample"]


def test_ranges():
    def column(**given):
        return list(read_column("x", given, lambda value: value))

    assert column(start=0, stop=1, count=5) == [0, 0.25, 0.5, 0.75, 1]
    assert column(start=1, step=2, count=3) == [1, 3, 5]
    assert column(start=1, stop=100, count=3, log=True) == pytest.approx([1, 10, 100])
    assert column(start=1, step=10, count=3, log=True) == [1, 10, 100]
    assert column(start=7, stop=9, count=1) == [7]


def test_a_billion_values_take_no_memory(tmp_path):
    values = read_column("x", {"start": 0, "step": 2, "count": 10**9}, lambda value: value)
    assert (len(values), values[0], values[-1], values[10**9 - 1]) == (10**9, 0, 2 * (10**9 - 1), 2 * (10**9 - 1))
    with pytest.raises(IndexError):
        values[10**9]
    vary = [{"beam.wavelength": {"start": "1 A", "stop": "2 A", "count": 10**9}}]
    job = made({"vary": vary, "repeat": 100})
    assert len(job) == 10**11
    fields, _ = job.stated(10**11 - 1)
    assert fields == {"beam.wavelength": pytest.approx(2e-10)}
    assert len(job.canonical()) < 1000
    with pytest.raises(NanoBraggError, match="images"):
        made({"vary": vary, "repeat": 10**9})


@pytest.mark.parametrize(
    "given",
    [
        {"start": 1, "step": 10, "count": 10**6, "log": True},
        {"start": 1e308, "step": 1e308, "count": 5},
        {"start": 0, "step": float("nan"), "count": 5},
        {"start": 1, "stop": -1, "count": 5, "log": True},
        {"start": 1, "stop": 2, "count": 5, "log": "yes"},
        {"start": 10**400, "stop": 2, "count": 5},
    ],
)
def test_ranges_that_end_nowhere(given):
    with pytest.raises(NanoBraggError) as error:
        read_column("x", given, lambda value: value)
    assert "\n" not in str(error.value)


def test_values_that_are_too_large_are_named():
    job = made({"random": {"beam.fluence": {"lognormal": [1e24, 1e6]}}})
    with pytest.raises(NanoBraggError, match=r"beam\.fluence"):
        for index in range(20):
            Maker(job).experiment(index)
    with pytest.raises(NanoBraggError, match=r"beam\.fluence"):
        Maker(made({"vary": [{"beam.fluence": [10**400]}]})).experiment(0)


def test_sweeps():
    job = made(
        {
            "repeat": 2,
            "sweep": {"images": 3, "start": "10 deg", "step": "0.5 deg"},
            "random": {
                "crystal.orientation": "uniform",
                "beam.fluence": {"normal": [1e27, 1e25], "each": "image"},
            },
        }
    )
    assert len(job) == 6
    maker = Maker(job)
    several = [maker.experiment(index)[0] for index in range(6)]
    assert [one.sampling.phi0 for one in several] == pytest.approx([radians(10 + 0.5 * (i % 3)) for i in range(6)])
    assert {one.sampling.osc for one in several} == {radians(0.5)}
    assert [one.crystal.missets == several[0].crystal.missets for one in several] == [True] * 3 + [False] * 3
    assert len({one.beam.fluence for one in several}) == 6


def test_flags_vary_and_are_overridden():
    job = made(
        {
            "repeat": 2,
            "vary": [{"flags": ["-lambda 1.1", "-lambda 1.2 -nonoise"]}, {"-misset": [[1, 2, 3]]}],
            "override": {"1": "-oversample 2 -lambda 1.5"},
            "random": {"-fluence": {"uniform": [1e26, 2e26]}},
        }
    )
    maker = Maker(job)
    several = [maker.experiment(index) for index in range(4)]
    assert [one.beam.wavelength for one, _, _ in several] == pytest.approx([1.1e-10, 1.5e-10, 1.2e-10, 1.2e-10])
    assert several[1][0].sampling.oversample == 2 and several[0][0].sampling.oversample is None
    assert several[0][0].crystal.missets == pytest.approx([radians(x) for x in (1, 2, 3)])
    assert len({one.beam.fluence for one, _, _ in several}) == 4
    assert all(1e26 < one.beam.fluence < 2e26 for one, _, _ in several)
    assert [bool(noise) for _, _, noise in several] == [True, True, False, False]


def test_tables(tmp_path):
    (tmp_path / "runs.csv").write_text('flags,-misset,beam.size,crystal.shape\n"-N 2",1 2 3,1e-5,gauss\n-N 3,,,\n')
    (tmp_path / "runs.jsonl").write_text('"-N 2 -lambda 1.5"\n{"flags": "-N 3", "beam.wavelength": "1.2 A"}\n')
    assert read_table(str(tmp_path / "runs.csv"))["-misset"][0] == [1.0, 2.0, 3.0]
    maker = Maker(made({"vary": [{"table": "runs.csv"}]}, tmp_path))
    first, second = (maker.experiment(index)[0] for index in (0, 1))
    assert (first.crystal.cells, first.crystal.shape, first.beam.size) == ((2, 2, 2), "gauss", 1e-5)
    assert (second.crystal.cells, second.crystal.shape) == ((3, 3, 3), "square")
    assert first.crystal.missets == pytest.approx([radians(x) for x in (1, 2, 3)])
    lines = Maker(made({"vary": [{"table": "runs.jsonl"}]}, tmp_path))
    assert [lines.experiment(index)[0].beam.wavelength for index in (0, 1)] == [1.5e-10, pytest.approx(1.2e-10)]


def test_a_table_alone_is_a_job(tmp_path):
    (tmp_path / "lines.jsonl").write_text("\n".join(json.dumps(f"{FLAGS} -lambda {x}") for x in (1, 2)))
    assert [image.shape for image in iter_images(tmp_path / "lines.jsonl")] == [(24, 24)] * 2


def test_jitter_goes_about_the_value_of_the_image():
    job = made({"vary": [{"beam.fluence": [1e26, 1e20]}], "random": {"beam.fluence": {"jitter": 0.01}}})
    maker = Maker(job)
    found = [maker.experiment(index)[0].beam.fluence for index in (0, 1)]
    assert found == pytest.approx([1e26, 1e20], rel=0.06) and found != [1e26, 1e20]


# ---- images --------------------------------------------------------------------------------------------------------

RANDOM = {
    "repeat": 6,
    "random": {"crystal.orientation": "uniform", "beam.fluence": {"lognormal": [1e27, 0.3]}},
}


def test_an_image_depends_on_its_number_alone():
    forth = list(iter_images(made(RANDOM)))
    back = list(iter_images(made(RANDOM), range(5, -1, -1), threads=2))[::-1]
    assert all(np.array_equal(one, other) for one, other in zip(forth, back, strict=True))
    assert len({one.tobytes() for one in forth}) == 6
    longer = next(iter_images(made({**RANDOM, "repeat": 1000}), [3]))
    assert np.array_equal(longer, forth[3])
    assert not np.array_equal(next(iter_images(made({**RANDOM, "seed": 2}))), forth[0])


def test_an_image_is_that_of_its_parameters():
    """The manifest's parameters give the image again, without the batch."""
    ((image, told),) = iter_images(made(RANDOM), [4], labels=True)
    experiment = Experiment.from_args(FLAGS)
    rotation = np.reshape(told["crystal.orientation"], (3, 3))
    experiment = experiment.replace(crystal=experiment.crystal.rotated(rotation), beam__fluence=told["beam.fluence"])
    assert np.array_equal(image, experiment.add_noise(experiment.render(), seed=told["noise_seed"]))


def test_noise_can_be_left_out_and_set():
    (plain,) = iter_images(made({"noise": False}))
    assert plain.dtype == np.float32 and np.array_equal(plain, Experiment.from_args(FLAGS).render())
    (shifted,) = iter_images(made({"noise": {"adc": 0}}))
    (usual,) = iter_images(made({}))
    assert np.array_equal(usual, shifted + 40) and usual.min() >= 40
    philox = made({"noise": {"stream": "philox"}})
    assert np.array_equal(next(iter_images(philox)), next(iter_images(philox, threads=3)))
    assert not np.array_equal(next(iter_images(philox)), usual)
    seeded = Experiment.from_args(FLAGS).add_noise(plain, seed=77)
    assert np.array_equal(next(iter_images(made({"vary": [{"-seed": [77]}]}))), seeded)


def test_experiments_from_toml(tmp_path):
    Experiment.from_args(FLAGS).write(tmp_path / "experiment.toml")
    given = Experiment.from_args(FLAGS).to_dict()
    for stated in ({"file": "experiment.toml"}, given):
        (image,) = iter_images(Job({"experiment": stated, "noise": False}, tmp_path))
        assert np.array_equal(image, Experiment.from_args(FLAGS).render())


def test_structure_factors_are_read_once(tmp_path):
    shutil.copy(ROOT / "golden/inputs/full8.hkl", tmp_path)
    job = made({"vary": [{"-lambda": [1.0, 1.1, 1.2]}], "experiment": {"flags": f"{FLAGS} -hkl full8.hkl"}}, tmp_path)
    maker = Maker(job)
    tables = [maker.experiment(index)[0].structure_factors for index in range(3)]
    assert tables[0] is tables[1] is tables[2]
    (tmp_path / "full8.hkl").unlink()
    assert maker.make(2).pixels.shape == (24, 24)


# ---- what is wrong -------------------------------------------------------------------------------------------------

WRONG = {
    "key": ({"repeats": 3}, "job: there is no key 'repeats'; did you mean repeat?"),
    "misspelt": ({"random": {"crystal.orientatoin": "uniform"}}, "did you mean crystal.orientation?"),
    "another part": ({"random": {"crystal.fluence": {"jitter": 0.1}}}, "did you mean beam.fluence?"),
    "seed": ({"seed": -1}, "seed is -1"),
    "field": ({"vary": [{"beam.wavelenght": [1]}]}, "did you mean beam.wavelength"),
    "flag": ({"vary": [{"-floob": [1]}]}, "-floob is no flag"),
    "lengths": ({"vary": [{"beam.size": [1e-4, 2e-4], "-N": [1]}]}, "beam.size has 2, -N has 1 values"),
    "twice": ({"vary": [{"-N": [1]}, {"-N": [2]}]}, "-N is in .* number 1 and in .* number 2"),
    "list": ({"vary": [{"-N": 3}]}, "-N is 3; give a list"),
    "range": ({"vary": [{"-N": {"start": 1, "count": 2}}]}, "-N: a range has start, count"),
    "orientation": ({"random": {"crystal.orientation": "gauss"}}, 'it can be "uniform"'),
    "distribution": ({"random": {"beam.size": {"flat": [1, 2]}}}, "beam.size has 'flat'; give one of uniform"),
    "numbers": ({"random": {"beam.size": {"uniform": [2, 1]}}}, "two numbers, from and to"),
    "unit": ({"random": {"beam.wavelength": {"uniform": ["1 A", "2 ft"]}}}, "its unit must be one of"),
    "sweep": ({"sweep": {"images": 3}}, "sweep needs images and step"),
    "override": ({"override": {"5": "-N 2"}}, "override.5 is no image; they go from 0 to 0"),
    "backend": ({"backend": "tpu"}, "backend is 'tpu'"),
    "adc": ({"noise": {"adc": "x"}}, "noise.adc is 'x'"),
    "stream": ({"noise": {"stream": "x"}}, "noise.stream is 'x'; it must be one of ran1"),
    "noise": ({"noise": {"sigma": 2}}, "noise.sigma is no key"),
    "table": ({"vary": [{"table": "none.csv"}]}, "cannot read .*none.csv"),
    "experiment": ({"experiment": {"flags": FLAGS, "file": "x"}}, "give flags alone"),
}


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(values, message, tmp_path):
    with pytest.raises(NanoBraggError, match=message):
        made(values, tmp_path)


UNRENDERABLE = {
    "list": ({"vary": [{"beam.wavelength": [1e-10, 2e-10, -1.0]}]}, "job, image 2: beam.wavelength is -1"),
    "draw": ({"random": {"beam.flux": {"integers": [-1, 10**6]}}}, r"\[random\]: beam.flux is -1"),
    "clock": ({"vary": [{"flags": ["-misset random"]}]}, "image 0: -misset random would take its seed from the clock"),
    "missing": ({"experiment": {"flags": f"{FLAGS} -hkl none.hkl"}}, "cannot read .*none.hkl"),
    "nothing": ({"experiment": {"flags": FLAGS.replace("-default_F 100", "")}}, "no structure factors"),
    "part": ({"experiment": {"bean": {}}}, "job: bean is no part"),
    "jitter": ({"random": {"crystal.mosaic_spread": {"jitter": 0.1}}}, "crystal.mosaic_spread is None"),
}


@pytest.mark.parametrize(("values", "message"), UNRENDERABLE.values(), ids=UNRENDERABLE)
def test_what_makes_no_image_is_found_before_any(values, message, tmp_path):
    with pytest.raises(NanoBraggError, match=message):
        Maker(made(values, tmp_path)).check()


def test_fields_of_a_file_cannot_be_mixed_with_flags():
    with pytest.raises(NanoBraggError, match="needs an experiment stated by flags"):
        Job({"experiment": {"crystal": {"lengths": [5, 6, 7]}}, "vary": [{"-N": [1]}]})


def test_what_is_wrong_in_tables(tmp_path):
    for name, text, message in (
        ("a.csv", "flags,-N\n-N 3\n", "line 2 has 1 cells; line 1 names 2"),
        ("b.csv", "", "line 1 must name the columns"),
        ("c.csv", "flags\n", "has no rows"),
        ("d.jsonl", '"-N 3"\n{"flags": \n', "line 2 is no JSON"),
        ("e.jsonl", "3\n", "line 1 is neither"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(NanoBraggError, match=f"{name}.*{message}"):
            read_job(tmp_path / name)


def test_no_toml(tmp_path):
    (tmp_path / "bad.toml").write_text("[experiment\n")
    with pytest.raises(NanoBraggError, match=r"bad\.toml is no TOML"):
        read_job(tmp_path / "bad.toml")


def test_gpu_images_need_a_gpu():
    """Where there is one, its images are those of the CPU; elsewhere a sentence says what is missing."""
    try:
        (image,) = iter_images(made({"backend": "gpu", "noise": False}))
    except NanoBraggError as error:
        assert re.search("GPU|CuPy|CUDA", str(error))
    else:
        assert np.allclose(image, Experiment.from_args(FLAGS).render(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["stills.toml", "sweeps.toml", "lines.toml"])
def test_examples(name, tmp_path):
    for source in (ROOT / "golden/inputs/cro_1orc_2A.hkl", *(ROOT / "examples/batch").iterdir()):
        shutil.copy(source, tmp_path)
    maker = Maker(read_job(tmp_path / name))
    maker.check()
    assert len(maker.job) == {"stills.toml": 1000, "sweeps.toml": 900, "lines.toml": 3}[name]
    assert maker.make(len(maker.job) - 1).pixels.max() > 60
