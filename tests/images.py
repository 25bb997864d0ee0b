"""Small images for the tests of tools and formats, and how to run a tool."""

import contextlib
import io
import os
import shlex

import numpy as np

from nanobragg_py.cli.main import main
from nanobragg_py.experiment.from_flags import flags_geometry
from nanobragg_py.experiment.load import load_args
from nanobragg_py.files.atomic import write_file
from nanobragg_py.files.report import smv_header
from nanobragg_py.render.simulate import simulate

#: an off-centre beam, a detector that is not square, a rotation that does not begin at 0
FLAGS = shlex.split(
    "-cell 40 50 60 -misset 10 20 30 -default_F 100 -N 5 -distance 80 -detpixels_f 90 -detpixels_s 70 -pixel 0.5 "
    "-lambda 1.1 -Xbeam 15 -Ybeam 21 -phi 30 -osc 0.5 -phisteps 2 -fluence 1e28 -oversample 1 -seed 1 -nopgm"
)
CONVENTIONS = ("mosflm", "denzo", "xds", "adxv", "dials")


def render(folder, *flags, name="image"):
    """Make NAME.bin and NAME.img (the floats, rounded, plus 40) in a folder; returns the path of the second."""
    loaded = load_args([*FLAGS, *flags], write_dump=False)
    image, _ = simulate(loaded.experiment, loaded.table)
    write_file(folder / f"{name}.bin", image)
    pixels = np.minimum(np.asarray(image) + 40.5, 65535).astype(np.uint16)
    write_file(folder / f"{name}.img", smv_header(loaded.experiment), pixels)
    return folder / f"{name}.img"


def sweep(folder, count=3):
    """Images image_1.img ... that follow on one another by half a degree."""
    return [render(folder, "-phi", str(30 + 0.5 * i), name=f"image_{i + 1}") for i in range(count)]


def geometry(*flags):
    return flags_geometry([*FLAGS, *flags])[0]


def tool(*words, folder=None):
    """Run nanobragg-py: (exit status, standard output, standard error)."""
    out, err = io.StringIO(), io.StringIO()
    before = os.getcwd()
    if folder is not None:
        os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([str(word) for word in words])
    finally:
        os.chdir(before)
    return status, out.getvalue(), err.getvalue()
