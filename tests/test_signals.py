"""A signal within a pixel that would take minutes or hours, and its caller afterwards."""

import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
INPUTS = Path(__file__).parent.parent / "golden" / "inputs"
CELL = "-cell 50 60 70 90 90 90 -N 5 -seed 1 -detpixels 300 -pixel 0.2"
PLAIN = f"{CELL} -default_F 10"

#: a user's own Python, which is stopped in something and then does something else
CALLER = """
import sys
import numpy as np
from nanobragg_py import Background, Experiment, Response

threads = int(sys.argv[1])
small = Experiment.from_args("-cell 50 60 70 90 90 90 -N 5 -default_F 10 -detpixels 20 -oversample 1")
before = small.render(threads=1)
print("begun", flush=True)
try:
    {work}
except KeyboardInterrupt:
    print(np.array_equal(small.render(threads=threads), before))
"""
WORK = {
    "image": f"Experiment.from_args('{PLAIN} -oversample 30000').render(threads=threads)",
    "interpolated": f"Experiment.from_args('{CELL} -hkl full8.hkl -interpolate -oversample 20000')"
    ".render(threads=threads)",
    "spots that end": f"Experiment.from_args('{PLAIN} -gauss_xtal -N 50 -oversample 30000').render(threads=threads)",
    "no step within dmin": f"Experiment.from_args('{PLAIN} -dmin 1000 -oversample 40000').render(threads=threads)",
    "curved": f"Experiment.from_args('{PLAIN} -curved_det -oversample 20000').render(threads=threads)",
    "sources": f"Experiment.from_args('{PLAIN} -dispersion 10 -dispsteps 20000 -oversample 100')"
    ".render(threads=threads)",
    "the reference's order": f"Experiment.from_args('{PLAIN} -oversample 20000 -oversample_omega')"
    ".render(threads=threads, compat='c')",
    "background": f"Background('water', oversample=20000).render(Experiment.from_args('{PLAIN}'), threads=threads)",
    "point spread": "Response(psf='gauss', fwhm=0.1, radius=1500, threads=threads).apply(np.full((3000, 3000), 9.0))",
    "point spread, own radii": "Response(psf='fiber', fwhm=0.1, threads=threads).apply(np.full((3000, 3000), 1e4))",
    "vjp": f"Experiment.from_args('{PLAIN} -oversample 9000').vjp(['crystal.rotation'], threads=threads)"
    "[1](np.ones((300, 300)))",
    "derivatives": f"Experiment.from_args('{PLAIN} -oversample 9000')"
    ".derivative_images(['crystal.lengths'], threads=threads)",
}


@pytest.mark.parametrize(("what", "threads"), [*((what, 2) for what in WORK), ("image", 1), ("vjp", 1)])
def test_ctrl_c_in_the_library(what, threads, tmp_path):
    shutil.copy(INPUTS / "full8.hkl", tmp_path)
    command = [sys.executable, "-P", "-c", CALLER.format(work=WORK[what]), str(threads)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **options) as process:
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "True\n"), errors


def test_a_handler_that_raises_nothing_leaves_the_image_as_it_is(tmp_path):
    """Signals that come all the time, and a thread of Python's that works beside the loops, cost no pixel."""
    program = """
import signal, threading
import numpy as np
from nanobragg_py import Experiment

experiment = Experiment.from_args("-cell 50 60 70 90 90 90 -N 5 -default_F 10 -detpixels 60 -oversample 40")
calm, heard, over = experiment.render(threads=2), [], threading.Event()
signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
beside = threading.Thread(target=lambda: [sum(range(100)) for _ in iter(over.is_set, True)])
beside.start()
signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
images = []
while len(heard) < 20:
    images.append(experiment.render(threads=2))
signal.setitimer(signal.ITIMER_REAL, 0)
over.set()
print(all(np.array_equal(image, calm) for image in images))
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def test_a_thread_of_the_callers_renders_on(tmp_path):
    """Python raises KeyboardInterrupt in its main thread; an image that another thread renders comes to its end."""
    program = f"""
import os, signal, threading
import numpy as np
from nanobragg_py import Experiment

experiment = Experiment.from_args("{PLAIN} -detpixels 100 -oversample 30")
calm, found = experiment.render(threads=2), []
beside = threading.Thread(target=lambda: found.append(experiment.render(threads=2)))
beside.start()
try:
    os.kill(os.getpid(), signal.SIGINT)
    while beside.is_alive():
        beside.join(0.01)
except KeyboardInterrupt:
    beside.join()
    print(np.array_equal(found[0], calm))
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


JOB = f'experiment.flags = "{PLAIN} -oversample 30000"\nrepeat = 2\n'
#: command lines, and what each does first: a line on one of the streams, or a folder
PROGRAMS = {
    "nanoBragg": (f"nanoBragg {PLAIN} -noprogress -oversample 30000 -threads 2", "stderr"),
    "nanoBragg, the reference's order": (f"nanoBragg {PLAIN} -oversample 20000 -compat c -oversample_omega", "stderr"),
    "nonBragg, the reference's order": (
        "nonBragg -stol b.stol -detpixels 300 -oversample 20000 -noprogress -compat c",
        "stderr",
    ),
    "noisify": (
        "noisify -floatfile in.bin -detpixels 2000 -pixel 0.1 -psf gauss -psf_fwhm 100 -psf_radius 1000",
        "stdout",
    ),
    "batch": ("nanobragg-py batch in.toml --out o --workers 1", "o/.work"),
    "sweep": (f"nanobragg-py sweep --images 2 --osc 1 --workers 1 --out o -- {PLAIN} -oversample 30000", "o/.work"),
    "refine": (f"nanobragg-py refine in.img --outdir o --parameters rotation -- {PLAIN} -oversample 9000", "stderr"),
}
FILES = {"b.stol", "in.toml", "in.bin", "in.img"}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder with what the programs read."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "b.stol").write_text("".join(f"{0.02 * i:.3g} 5\n" for i in reversed(range(60))))
    (folder / "in.toml").write_text(JOB)
    for words in ("-intfile in.img -floatfile out.bin", "-detpixels 2000 -intfile out.img -floatfile in.bin"):
        words = shlex.split(f"{PLAIN} -oversample 1 -nopgm -nonoise -noprogress {words}")
        subprocess.run([BIN / "nanoBragg", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.mark.parametrize("what", PROGRAMS)
def test_a_signal_to_a_program(what, given, tmp_path):
    line, first = PROGRAMS[what]
    name, *words = shlex.split(line)
    for file in FILES:
        (tmp_path / file).hardlink_to(given / file)
    options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([BIN / name, *words], **options) as process:
        if first in ("stdout", "stderr"):
            assert getattr(process, first).readline()
        while not first.startswith("std") and not (tmp_path / first).exists():
            time.sleep(0.01)
        time.sleep(0.3)
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "Traceback" not in errors
    # noisify writes two images before it spreads photons
    assert {path.name for path in tmp_path.iterdir()} - {"o", "intimage.img", "image.pgm"} == FILES
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".part", ".h5", ".cbf"))]
