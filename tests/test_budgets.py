"""Memory and time are known, and said, before they are taken: by the library as by the programs."""

import os
import re
import shlex
import subprocess
import sys
import warnings

import numpy as np
import pytest
from images import tool
from running import Runner, installed_program

import nanobragg_py
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
    memory,
)
from nanobragg_py.batch import Output
from nanobragg_py.batch.images import Maker
from nanobragg_py.batch.jobs import Job
from nanobragg_py.batch.local import tell_of_time
from nanobragg_py.render import backends

LONG = "are expected to take"


def experiment(crystal=(), detector=(), **sampling):
    return Experiment(
        Crystal.from_cell(40, 50, 60, **dict(crystal)),
        Beam(wavelength=1e-10),
        Detector(**{"fpixels": 8, "spixels": 8, "distance": 0.1, **dict(detector)}),
        Sampling(**{"oversample": 1, **sampling}),
        StructureFactors(default_F=10.0),
    )


@pytest.fixture
def one_gib(monkeypatch):
    monkeypatch.setenv(memory.VARIABLE, "1")


# ---- memory --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"crystal": {"mosaic_spread": 0.01, "mosaic_domains": 10**9}}, "1 phi steps of 1000000000 domains need 67.1"),
        ({"osc": 0.01, "phisteps": 10**9}, "1000000000 phi steps of 1 domains need 160"),
        ({"detector": {"thickness": 1e-3, "mu": 1e-3, "thicksteps": 10**9}}, "1000000000 sensor layers need 93.1"),
        ({"detector": {"fpixels": 10**5, "spixels": 10**5}}, "has more than 2147483647 pixels"),
    ],
)
def test_an_experiment_that_needs_too_much(one_gib, parts, says):
    with pytest.raises(FieldError, match=re.escape(says)) as caught:
        experiment(**parts)
    if "need " in says:
        assert "GiB, and NANOBRAGG_MEMORY_LIMIT allows 1; NANOBRAGG_MEMORY_LIMIT=GiB raises" in str(caught.value)


RENDERINGS = {
    "render": lambda e: e.render(),
    "simulate": lambda e: e.simulate(),
    "float64": lambda e: e.render(dtype="float64"),
    "rois": lambda e: e.render(rois=[(0, 3, 0, 3)]),
    "vjp": lambda e: e.vjp(["crystal.rotation"]),
    "jvp": lambda e: e.jvp({"crystal.rotation": [0.0, 0.0, 1.0]}),
    "derivative_images": lambda e: e.derivative_images(["crystal.rotation"]),
    "background": lambda e: e.background("ice"),
}


@pytest.mark.parametrize("way", RENDERINGS)
def test_an_image_that_needs_too_much(one_gib, way):
    # 16,500^2 pixels of 4 bytes are 1.01 GiB
    large = experiment(detector={"fpixels": 16500, "spixels": 16500, "roi": (0, 3, 0, 3)})
    with pytest.raises(NanoBraggError, match=r"no memory for .*GiB, and NANOBRAGG_MEMORY_LIMIT allows 1; .* raises"):
        RENDERINGS[way](large)


def test_derivative_images_are_counted_together(one_gib):
    # one of 134 MB fits eight times, and ten do not
    wide = experiment(detector={"fpixels": 4096, "spixels": 4096, "roi": (0, 3, 0, 3)})
    with pytest.raises(NanoBraggError, match=r"no memory for 10 images of float64: they need 1\.25 GiB, .*fewer param"):
        wide.derivative_images(["crystal.rotation", "crystal.lengths", "crystal.angles"])


def test_derivatives_of_orientations(one_gib):
    many = experiment(detector={"roi": (0, 0, 0, 0)}, osc=0.01, phisteps=4 * 10**6)
    with pytest.raises(NanoBraggError, match=r"derivatives of 4000000 orientations .* need 1\.34 GiB, .*phisteps"):
        many.vjp(["crystal.lengths"])


def test_the_limit_can_be_raised_and_has_to_be_a_number(monkeypatch):
    monkeypatch.setenv(memory.VARIABLE, "0.25")
    large = experiment(detector={"fpixels": 8500, "spixels": 8500, "roi": (0, 3, 0, 3)})
    with pytest.raises(NanoBraggError, match=r"it needs 0\.269 GiB, and NANOBRAGG_MEMORY_LIMIT allows 0\.25"):
        large.render()
    monkeypatch.setenv(memory.VARIABLE, "0.3")
    assert large.render()[:4, :4].min() > 0.0
    for wrong in ("much", "nan", "-1"):
        monkeypatch.setenv(memory.VARIABLE, wrong)
        with pytest.raises(NanoBraggError, match=f"NANOBRAGG_MEMORY_LIMIT is '{wrong}'; it takes GiB"):
            large.render()


def test_the_drop_in_says_it_too(tmp_path):
    line = "-cell 40 50 60 90 90 90 -default_F 1 -N 2 -detpixels 16500 -pixel 0.1 -oversample 1 -roi 0 3 0 3"
    runner = Runner(installed_program("nanoBragg"), tmp_path)
    done = runner(*shlex.split(line), environment={memory.VARIABLE: "1"})
    assert done.returncode == 9 and not list(tmp_path.iterdir())
    assert "ERROR: no memory for an image of 16500 x 16500 pixels: it needs 1.01 GiB, and NANOB" in done.stderr
    assert "-detpixels" in done.stderr and done.stderr.count("\n") == 1
    done = runner(*shlex.split(line), environment={memory.VARIABLE: "some"})
    assert done.returncode == 9 and done.stderr == "ERROR: NANOBRAGG_MEMORY_LIMIT is 'some'; it takes GiB, such as 16\n"


@pytest.mark.parametrize(
    ("groups", "files", "gib"),
    [
        ("0::/\n", {"memory.max": "2147483648\n"}, 2),
        ("0::/a/b\n", {"a/memory.max": "1073741824\n", "a/b/memory.max": "max\n"}, 1),
        ("0::/a/b\n", {"a/memory.max": "max\n", "a/b/memory.max": "3221225472\n"}, 3),
        ("7:cpu,memory:/slurm/job\n", {"memory/slurm/job/memory.limit_in_bytes": "1073741824\n"}, 1),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/elsewhere\nno group\n\n", {}, None),
    ],
)
def test_the_limit_of_a_container_counts(tmp_path, monkeypatch, groups, files, gib):
    (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text)
    monkeypatch.setattr(memory, "GROUPS", str(tmp_path / "cgroup"))
    monkeypatch.setattr(memory, "GROUP_ROOT", str(tmp_path / "fs"))
    assert memory.group_memory() == (float("inf") if gib is None else gib * 2**30)
    if gib is not None:
        monkeypatch.setattr(memory, "physical_memory", lambda: 64.0 * 2**30)
        monkeypatch.setattr(memory, "address_space", lambda: float("inf"))
        assert memory.shortage(4 * 2**30).startswith(f"4 GiB, and the control group of this process may have {gib};")
        assert not memory.shortage(2**29)


def test_memory_that_the_system_refuses_is_a_sentence():
    """The limit on the address space is what the system holds to, whatever the environment says."""
    script = """
import resource
from nanobragg_py import *
e = Experiment(Crystal.from_cell(40, 50, 60), Beam(), Detector(fpixels=20000, spixels=20000, roi=(0, 1, 0, 1)),
               Sampling(oversample=1), StructureFactors(default_F=1))
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
many = Crystal.from_cell(40, 50, 60, mosaic_spread=0.01, mosaic_domains=10**8)
for act in (e.render, lambda: e.replace(crystal=many)):
    try:
        act()
    except NanoBraggError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, memory.VARIABLE: "1000"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    image, domains = done.stdout.splitlines()
    assert image == "no memory for an image of 20000 x 20000 pixels (1.49 GiB)"
    assert domains.startswith("there is not enough memory (no memory for an array of shape (900000000,): 6.71 GiB)")


# ---- time ----------------------------------------------------------------------------------------------------------


class Enough(Exception):
    """Raised instead of the work that was told of."""


@pytest.fixture
def no_work(monkeypatch):
    """Whatever would compute an image raises `Enough`."""

    def refuse(*args, **keywords):
        raise Enough

    for module, name in (
        ("render.images", "simulate"),
        ("render.panels", "simulate_panels"),
        ("render.shoeboxes", "jobs_of"),
        ("render.amorphous", "render_background"),
        ("gradients.modes", "Differentiated"),
    ):
        monkeypatch.setattr(f"{nanobragg_py.__name__}.{module}.{name}", refuse)


@pytest.mark.parametrize("way", [way for way in RENDERINGS if way != "vjp"])
def test_minutes_are_announced(no_work, way):
    # 6.4e12 steps
    long = experiment(detector={"fpixels": 8000, "spixels": 8000}, oversample=1000)
    act = RENDERINGS[way] if way != "rois" else lambda e: e.render(rois=[(0, 999, 0, 999), (0, 7999, 0, 7999)])
    with pytest.warns(NanoBraggWarning, match=LONG) as said, pytest.raises(Enough):
        act(long)
    assert len(said) == 1 and said[0].filename == __file__


@pytest.mark.parametrize("way", RENDERINGS)
def test_nothing_is_said_of_seconds(way):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RENDERINGS[way](experiment())


def test_regions_are_what_is_counted(no_work):
    long = experiment(detector={"fpixels": 8000, "spixels": 8000}, oversample=1000)
    with warnings.catch_warnings(), pytest.raises(Enough):
        warnings.simplefilter("error")
        long.render(rois=[(0, 1, 0, 1)])


def test_a_pullback_is_announced(monkeypatch):
    small = experiment()
    _, pullback = small.vjp(["crystal.rotation"])
    monkeypatch.setattr(backends, "expected_seconds", lambda *args: 30.0)
    with pytest.warns(NanoBraggWarning, match="the derivatives' .* expected to take 1.5 minutes"):
        pullback(np.ones(small.shape))


def test_a_batch_of_many_small_images_is_announced(tmp_path):
    flags = "-cell 40 50 60 90 90 90 -default_F 10 -N 3 -distance 60 -detpixels 12 -pixel 5 -oversample 1"
    said = []
    for repeat in (65536, 100):
        maker = Maker(Job({"repeat": repeat, "experiment": {"flags": flags}}, str(tmp_path), "job"))
        tell_of_time(maker, Output(tmp_path / "o", per_file=8), repeat // 8, 1, 1, said.append)
    assert len(said) == 1 and re.match(
        r"65536 images are expected to take 1\.\d minutes or more with 1 workers of 1 threads; Ctrl-C stops", said[0]
    )


def test_a_sweep_says_it_before_it_begins(tmp_path, monkeypatch):
    def stop(self, units, workers):
        raise NanoBraggError("enough")

    monkeypatch.setattr("nanobragg_py.batch.local.Crew.work", stop)
    flags = shlex.split("-cell 40 50 60 90 90 90 -default_F 10 -N 3 -distance 60 -detpixels 12 -pixel 5 -oversample 1")
    for images, told in ((10**6, True), (50, False)):
        words = ["sweep", "--images", images, "--osc", "1", "--workers", "1", "--out", f"s{images}", "--", *flags]
        status, _, err = tool(*words, folder=tmp_path)
        assert status == 2 and err.endswith("nanobragg-py sweep: enough\n")
        assert (f"nanobragg-py sweep: 1000000 images {LONG}" in err) == told
