"""Rendering an experiment with the library; its noise and files."""

import os
import pickle
import shlex
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from small_experiment import small

from nanobragg_py import Experiment, FieldError, StructureFactors, add_noise


def test_render_into_a_buffer():
    made = small(detector__roi=(3, 9, 2, 7))
    image = made.render()
    assert image.dtype == np.float32 and image.shape == made.shape == (20, 24)
    out = np.full((20, 24), 7.0, np.float32)
    assert made.render(out=out) is not None and np.array_equal(out, image)
    shared = memoryview(bytearray(4 * 20 * 24)).cast("B").cast("f", (20, 24))
    made.render(out=shared)
    assert np.array_equal(np.asarray(shared), image)
    assert not image[0].any() and image[2:8, 3:10].all()


def test_statistics():
    image, statistics = small().simulate()
    assert statistics.pixels == image.size
    assert statistics.mean == pytest.approx(image.mean(dtype=float))
    assert statistics.maximum == image.max()
    assert image[statistics.maximum_pixel] == image.max()


def test_progress_and_threads():
    seen = []
    image = small().render(threads=1, progress=seen.append)
    assert seen[-1] == image.size
    assert np.array_equal(small().render(threads=3), image)


def test_an_error_in_progress_comes_through():
    def stop(done):
        raise KeyError("enough")

    with pytest.raises(KeyError):
        small().render(progress=stop)


def test_two_threads_render_different_experiments():
    table = StructureFactors.from_arrays(np.random.default_rng(0).integers(-9, 9, (999, 3)), np.arange(999.0), 3.0)
    made = [small(crystal__missets=(0.1 * i, 0.2, 0.3), structure_factors=table) for i in range(12)]
    wanted = [one.replace(structure_factors=pickle.loads(pickle.dumps(table))).render(threads=1) for one in made]
    found = [None] * len(made)

    def work(first):
        for i in range(first, len(made), 4):
            found[i] = made[i].add_noise(made[i].render(threads=2), seed=i), made[i].render(threads=1)

    workers = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for i, (noisy, image) in enumerate(found):
        assert np.array_equal(image, wanted[i])
        assert np.array_equal(noisy, add_noise(wanted[i], seed=i))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("first", ["one.render(threads=2)", "simulate(one.resolved, None, threads=2)[0]"])
def test_forked_process_does_not_wait_for_ever(first):
    """Whoever has used several threads before: the library, or a program's or a tool's part of it."""
    code = """if True:
        import os
        from nanobragg_py.render.simulate import simulate
        from nanobragg_py import Crystal, Detector, Experiment, StructureFactors
        detector = Detector.flat(64, 1e-3, 0.1)
        one = Experiment(Crystal.from_cell(100), detector=detector, structure_factors=StructureFactors(default_F=1))
        image = FIRST
        child = os.fork()
        if not child:
            os._exit(not (one.render(threads=2) == image).all())
        raise SystemExit(os.waitpid(child, 0)[1])
    """.replace("FIRST", first)
    # its own session, so that a hanging child can be ended with it
    running = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], start_new_session=True)
    try:
        assert running.wait(60) == 0
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def test_other_threads_run_while_it_renders():
    """With the interpreter's switching off, another thread runs only if rendering lets go of the lock."""
    made = small(sampling__oversample=20, crystal__mosaic_spread=0.01, crystal__mosaic_domains=300)
    begin, ran = threading.Event(), []

    def other():
        begin.wait()
        ran.append(True)

    worker = threading.Thread(target=other)
    worker.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60.0)
    try:
        begin.set()
        made.render(threads=1)
        while_rendering = bool(ran)
    finally:
        sys.setswitchinterval(interval)
        worker.join()
    assert while_rendering


# ---- noise and files -----------------------------------------------------------------------------------------------


def test_noise_and_smv_are_the_programs(runner):
    line = "-cell 100 100 100 -N 5 -default_F 100 -pixel 1 -detpixels 20 -seed 7 -adc 12 -roi 2 15 3 18"
    words = shlex.split(line)
    result = runner.result(*words)
    made = Experiment.from_args(words)
    image = made.render()
    assert image.tobytes() == result.files["floatimage.bin"]
    noisy = made.add_noise(image, seed=7, adc=12)
    assert noisy.tobytes() == result.files["noiseimage.img"][512:]
    made.to_smv(runner.folder / "noise.img", noisy)
    made.to_smv(runner.folder / "int.img", image, adc=12)
    assert (runner.folder / "noise.img").read_bytes() == result.files["noiseimage.img"]
    assert (runner.folder / "int.img").read_bytes() == result.files["intimage.img"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"stream": "mt19937"}, "stream is 'mt19937'; it must be one of ran1, philox"),
        ({"image": np.zeros(5)}, "image has the shape"),
    ],
)
def test_bad_noise(arguments, says):
    with pytest.raises(FieldError, match=says):
        add_noise(**{"image": np.zeros((3, 3)), **arguments})


def test_smv_of_another_shape(tmp_path):
    with pytest.raises(FieldError, match="image has the shape"):
        small().to_smv(tmp_path / "a.img", np.zeros((3, 3), np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flags", ["", "-nopolar", "-polar 0.9", "-oversample 2", "-detector_thick 400 -thicksteps 3"])
def test_full_tiles_are_what_others_are(flags):
    """What is worked out once a pixel is one pass over full tiles, and several over those that a region cuts."""
    line = f"-default_F 100 -cell 90 100 110 80 95 100 -misset 10 20 30 -N 5 -lambda 1 -distance 50 -pixel 0.2 {flags}"
    full = Experiment.from_args(f"{line} -detpixels_x 256 -detpixels_y 8").render()
    cut = Experiment.from_args(f"{line} -detpixels_x 256 -detpixels_y 8 -roi 0 250 0 7").render()
    assert (full[:, :251] == cut[:, :251]).all() and full[:, 251:].all() and not cut[:, 251:].any()
