"""The image depends on neither threads nor the order of a transform's parts: bit for bit, with all that is said of it.
"""

import os
import shlex
import subprocess
import sys

import pytest

from nanobragg_py.experiment.load import load_args
from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.render import backends
from nanobragg_py.render.backends import LEVELS, short_waits
from nanobragg_py.render.simulate import simulate

CRYSTAL = "-cell 36 47 62 71 84 97 -misset 12 -25 40 -N 4 -distance 100 -default_F 20 -lambda 1"
#: what is rendered: shapes of image and kinds of loop
JOBS = {
    "square": "-detpixels 70 -pixel 1",
    "wide": "-detpixels_x 1100 -detpixels_y 5 -pixel 0.1",
    "tall": "-detpixels_x 5 -detpixels_y 1100 -pixel 0.1",
    "one_row": "-detpixels_x 600 -detpixels_y 1 -pixel 0.1",
    "one_column": "-detpixels_x 1 -detpixels_y 600 -pixel 0.1",
    "one_pixel": "-detpixels 1 -pixel 1",
    "two_rows": "-detpixels_x 33 -detpixels_y 2 -pixel 1",
    "roi": "-detpixels 90 -pixel 1 -roi 7 61 30 33",
    "roi_of_one": "-detpixels 90 -pixel 1 -roi 40 40 41 41",
    "mask": "-mask mask.img -pixel 1",
    "mask_and_roi": "-mask mask.img -pixel 1 -roi 5 40 9 50",
    "table": "-hkl full8.hkl -nointerpolate -detpixels 64 -pixel 1",
    "tricubic_inside": "-hkl full8.hkl -interpolate -detpixels 40 -pixel 0.4",
    "tricubic_leaves": "-hkl full8.hkl -interpolate -detpixels 40 -pixel 2",
    "mosaic": "-mosaic_spread 1 -mosaic_domains 13 -detpixels 40 -pixel 1",
    "phi": "-osc 3 -phisteps 7 -detpixels 40 -pixel 1",
    "sources": "-dispersion 2 -dispsteps 3 -divergence 2 -divsteps 3 -detpixels 30 -pixel 1",
    "subpixels": "-oversample 3 -oversample_omega -oversample_polar -polar 0.7 -detpixels 30 -pixel 1",
    "sensor": "-detector_thick 400 -detector_abs 300 -thicksteps 3 -oversample_thick -detpixels 30 -pixel 1",
    "dmin": "-dmin 3 -dispersion 2 -dispsteps 3 -detpixels 40 -pixel 2",
    "curved": "-detpixels 40 -pixel 2 -curved_det",
    "round": "-round_xtal -detpixels 40 -pixel 1",
    "gauss": "-gauss_xtal -detpixels 40 -pixel 1",
    "tophat": "-tophat_spots -fudge 0.1 -detpixels 40 -pixel 1",
    "any_N": "-Na 7 -Nb 20 -Nc 3 -nointerpolate -detpixels 40 -pixel 1",
    "large": "-detpixels_x 790 -detpixels_y 700 -pixel 0.1",  # enough for the statistics to be threads' work, too
    "large_roi": "-detpixels_x 1040 -detpixels_y 900 -pixel 0.1 -roi 3 1001 5 600",
    "five": "-N 5 -detpixels 40 -pixel 1",
    "water": "-water 30 -detpixels 40 -pixel 1",
}
#: more threads than rows, and than this machine has cores
THREADS = (2, 3, 7, 64)


@pytest.fixture(scope="module")
def inputs(request):
    return request.config.rootpath / "golden" / "inputs"


def render(line, folder, threads, compat):
    # -oversample 1 stands in front, so that a job may say otherwise
    loaded = load_args(["-oversample", "1", *shlex.split(f"{CRYSTAL} {line}")], folder)
    image, statistics = simulate(loaded.experiment, loaded.table, threads=threads, compat=compat)
    return bytes(memoryview(image).cast("B")), statistics.replace(seconds=0.0)


@pytest.mark.parametrize("compat", ["spec", "c"])
@pytest.mark.parametrize("job", JOBS)
def test_image_and_statistics(job, compat, inputs):
    image, statistics = render(JOBS[job], inputs, 1, compat)
    assert any(image), "an image of nothing but zeros proves nothing"
    for threads in THREADS:
        assert render(JOBS[job], inputs, threads, compat) == (image, statistics)


PARTS = {
    **JOBS,
    "waves": "-dispersion 2 -dispsteps 6 -detpixels 40 -pixel 1",
    "weights": "-sourcefile {sources} -physics exact -N 5 -detpixels 64 -pixel 1",  # no spare lanes
    "sixteen": "-N 5 -mosaic_spread 1 -mosaic_domains 3 -detpixels_x 16 -detpixels_y 9 -pixel 1",
    "thirty_two": "-N 5 -mosaic_spread 1 -mosaic_domains 70 -detpixels_x 32 -detpixels_y 9 -pixel 1",
    "round_domains": "-round_xtal -mosaic_spread 1 -mosaic_domains 5 -detpixels_x 270 -detpixels_y 3 -pixel 1",
    "cells": "-N 20 -mosaic_spread 1 -mosaic_domains 5 -detpixels_x 270 -detpixels_y 3 -pixel 1",
    "curved_five": "-N 5 -mosaic_spread 1 -mosaic_domains 5 -detpixels 40 -pixel 2 -curved_det",
}


@pytest.mark.skipif(LEVELS.index(processor_level()) < LEVELS.index("v3"), reason="this processor has no AVX2")
@pytest.mark.parametrize("job", PARTS)
def test_parts_in_turns(job, inputs, tmp_path, monkeypatch):
    """With AVX2 some processors take a transform's parts in turns, and others one after the other."""
    sources = tmp_path / "sources"  # of one direction, with weights of their own
    sources.write_text("-10 0 0 0.5 1e-10\n-10 0 0 0.2 1.01e-10\n-10 0 0 0.9 1.03e-10\n")
    line = PARTS[job].format(sources=sources)
    monkeypatch.setenv("NANOBRAGG_ISA", "v3")
    found = []
    for turns in "01":
        monkeypatch.setenv("NANOBRAGG_TURNS", turns)
        monkeypatch.setattr(backends, "_level_modules", {})  # loops are chosen anew
        found.append(render(line, inputs, 1, "spec"))
    monkeypatch.undo()
    backends._level_modules.clear()
    assert any(found[0][0]) and found[0] == found[1]


def test_repetition(inputs):
    """Dynamic scheduling: the same again, many times."""
    line = "-mosaic_spread 1 -mosaic_domains 3 -detpixels 50 -pixel 1"
    assert len({render(line, inputs, 5, "spec") for _ in range(30)}) == 1


LINES = {
    "default": ["-N", "4", "-detpixels", "80", "-oversample", "2"],
    "phi_zero": ["-N", "4", "-detpixels", "40", "-oversample", "2", "-osc", "2", "-phisteps", "4", "-compat", "c"],
    "large": ["-N", "4", "-detpixels", "500", "-oversample", "1", "-roi", "3", "480", "7", "499"],  # files by threads
    "philox": ["-N", "4", "-detpixels", "80", "-oversample", "1", "-noise_rng", "philox"],
}


@pytest.mark.parametrize("name", LINES)
def test_program(name, runner):
    """Every file and every line; -threads and OMP_NUM_THREADS alike."""
    words = [*shlex.split("-cell 40 50 60 90 90 90 -default_F 50 -distance 100 -pixel 1 -seed 3"), *LINES[name]]
    first = runner.result(*words, "-threads", "1")
    assert first.exit_status == 0 and len(first.files) == 4
    for result in (
        runner.result(*words, "-threads", "2"),
        runner.result(*words, "-threads", "3"),
        runner.result(*words, environment={"OMP_NUM_THREADS": "1"}),
        runner.result(*words, environment={"OMP_NUM_THREADS": "5"}),
    ):
        # the folder is not emptied: a file that comes out otherwise than before counts as written
        assert result.files == {}
        assert (result.exit_status, result.output, result.errors) == (0, first.output, first.errors)


PINNED = {"OMP_PROC_BIND": "spread", "OMP_PLACES": "threads"}


def test_threads_that_stay_at_their_places(runner):
    """The same bytes, and as many threads as without: OpenMP leaves the first one a single processor."""
    words = [*shlex.split("-cell 40 50 60 90 90 90 -default_F 50 -distance 100 -pixel 1 -seed 3"), *LINES["large"]]
    first = runner.result(*words, "-threads", "1")
    result = runner.result(*words, "-threads", "3", environment=PINNED)
    assert (result.exit_status, result.output, result.errors, result.files) == (0, first.output, first.errors, {})
    code = """from nanobragg_py.render.backends import level_module, thread_count
level_module("loops.render")
print(thread_count())"""
    free = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    counts = {
        subprocess.run([sys.executable, "-P", "-c", code], env=each, capture_output=True, check=True).stdout
        for each in (free, {**free, **PINNED}, {**free, "OMP_PROC_BIND": "true"})
    }
    assert len(counts) == 1


def test_threads_of_our_own_processes_wait_briefly():
    """In a busy loop, unless the environment says how."""
    assert short_waits({"PATH": "/bin"}) == {"GOMP_SPINCOUNT": "3000"}
    assert short_waits({"OMP_WAIT_POLICY": "active"}) == short_waits({"GOMP_SPINCOUNT": "7"}) == {}
