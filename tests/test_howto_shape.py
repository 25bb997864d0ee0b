"""docs/architecture.md, "Add a crystal shape": done with three files and no loop, compiled, and everything knows it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from howto import Tree

pytestmark = pytest.mark.install

GPU = Path(__file__).parent / "gpu"
OBJECTS = Path(__file__).parent.parent / "build" / "objects"
WORDS = (
    "-default_F 10 -cell 40 50 60 80 95 100 -N 3 -misset 10 20 30 -detpixels_x 60 -detpixels_y 24 -pixel 0.4 "
    "-distance 60 -oversample 1 -fudge 10 -mosaic 1 -mosaic_domains 3"
)
FLAGS = WORDS.split()
RENDER = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
if "gpu" in sys.argv[2]:
    import emulated_cupy
    emulated_cupy.install()
from nanobragg_py import Experiment
keywords = dict(word.split("=") for word in sys.argv[2].split())
np.save("image.npy", Experiment.from_args(sys.argv[3:]).render(**keywords))
"""


class Compiled(Tree):
    """A patched tree that was built at the base level, programs and all."""

    def __init__(self, folder, patch):
        super().__init__(folder, patch)
        site = self.folder / "site"
        environment = {**os.environ, "NANOBRAGG_BUILD_LEVELS": "base", "NANOBRAGG_BUILD_FLAGS": "-O1"}
        command = [sys.executable, "setup.py", "-q", "build", "--build-lib", str(site)]
        # what `make setup` compiled of this tree: only what includes a file that the patch changes is compiled again
        if (OBJECTS / "c").is_dir():
            shutil.copytree(OBJECTS, self.root / "build", symlinks=True)
            (built,) = (self.root / "build").glob("lib.*")
            built.rename(site)
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]

    def run(self, code, *words, cwd):
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "site"), "PYTHONSAFEPATH": "1", "COLUMNS": "100"}
        environment.pop("NANOBRAGG_ISA", None)
        command = [sys.executable, "-c", code, *map(str, words)]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)

    def render(self, folder, keywords, *words):
        done = self.run(RENDER, GPU, keywords, *FLAGS, *words, cwd=folder)
        assert done.returncode == 0, done.stderr
        return np.load(folder / "image.npy")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Compiled(tmp_path_factory.mktemp("howto"), "shape.patch")


DROPIN = "import sys; from nanobragg_py.cli.dropin import main; sys.exit(main(sys.argv))"


def test_three_files_and_no_loop(tree):
    assert sorted(tree.touched) == [
        "kernels/formulas/shapes/lorentz.h",
        "kernels/formulas/shapes/shapes.h",
        "nanobragg_py/flags/nanobragg.py",
    ]


def test_the_image_is_that_of_the_definition(tree, tmp_path):
    """With one orientation, by way of the Gaussian, whose exponent is the Lorentzian's."""
    words = ("-mosaic", "0", "-mosaic_domains", "1")
    gauss = tree.render(tmp_path, "backend=cpu", *words, "-gauss_xtal").astype(float)
    flat = tree.render(tmp_path, "backend=cpu", *words, "-gauss_xtal", "-fudge", "1e-12").astype(float)
    found = tree.render(tmp_path, "backend=cpu", *words, "-lorentz_xtal")
    clear = gauss > 1e-30 * flat
    exponent = -0.5 * np.log(gauss[clear] / flat[clear])
    assert clear.mean() > 0.5 and exponent.max() > 2 and exponent.min() < 0.1
    assert found[clear] == pytest.approx(flat[clear] / (1 + exponent) ** 2, rel=1e-5)


def test_every_way_to_render_it(tree, tmp_path):
    double = tree.render(tmp_path, "backend=cpu", "-lorentz_xtal")
    assert double.min() > 0
    assert np.array_equal(tree.render(tmp_path, "backend=cpu precision=single", "-lorentz_xtal"), double)
    device = tree.render(tmp_path, "backend=gpu", "-lorentz_xtal")
    assert device == pytest.approx(double, rel=1e-5)
    assert np.array_equal(tree.render(tmp_path, "backend=gpu precision=single", "-lorentz_xtal"), device)
    # the sequential loop, which sums amplitudes
    assert tree.render(tmp_path, "backend=cpu compat=c", "-lorentz_xtal", "-oversample_omega").min() > 0


def test_what_shows_it(tree, tmp_path):
    done = tree.run(DROPIN, "-lorentz_xtal", *FLAGS, "-precision", "single", cwd=tmp_path)
    assert done.returncode == 0 and "  lorentzian xtal: 3x3x3 cells\n" in done.stdout
    assert "-lorentz_xtal" in tree.run(DROPIN, "-help", cwd=tmp_path).stdout
    status, out, said = tree.tool("explain", "--", *FLAGS, "-lorentz_xtal", cwd=tmp_path)
    assert (status, said) == (0, "") and "lorentz" in out
    for pixel in ((3, 7), (20, 41)):
        status, out, said = tree.tool("trace", "--pixel", *pixel, "--", *FLAGS, "-lorentz_xtal", cwd=tmp_path)
        assert (status, said) == (0, "") and "TRACE: shape lorentz\n" in out
    done = tree.run("from nanobragg_py import Crystal; Crystal(shape='cube')", cwd=tmp_path)
    assert "it must be one of square, round, gauss, tophat, lorentz" in done.stderr


def test_images_of_it_have_no_derivatives(tree, tmp_path):
    code = "import sys; from nanobragg_py import Experiment; Experiment.from_args(sys.argv[1:]).vjp(['beam.fluence'])"
    done = tree.run(code, *FLAGS, "-lorentz_xtal", cwd=tmp_path)
    assert "shape \"lorentz\" have no derivatives; those of square, round, gauss have" in done.stderr


def test_the_page_of_flags_has_it(tree, tmp_path):
    page = tree.root / "docs" / "flags.md"
    code = "import runpy; runpy.run_module('nanobragg_py.flags.page', run_name='__main__')"
    done = tree.run(code, page, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| `-lorentz_xtal` |" in page.read_text()
