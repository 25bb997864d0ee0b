"""``import nanobragg_py`` in the root of a checkout, where Python finds the sources first."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nanobragg_py

ROOT = Path(__file__).parent.parent
WHERE = "import nanobragg_py, nanobragg_py.kernels.loops.job; print(nanobragg_py.__file__)"


@pytest.fixture
def checkout(tmp_path):
    """The package as it lies in a checkout where nothing was built."""
    shutil.copytree(ROOT / "nanobragg_py", tmp_path / "nanobragg_py", ignore=shutil.ignore_patterns("*.so"))
    return tmp_path


def python(folder, *words, path=()):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    environment["PYTHONPATH"] = os.pathsep.join(path)
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, env=environment)


def test_the_installed_package_is_taken(checkout):
    done = python(checkout, "-c", WHERE)
    assert done.stderr == ""
    assert done.stdout == f"{nanobragg_py.__file__}\n"
    done = python(checkout, "-m", "nanobragg_py.cli.main", "--version")
    assert (done.returncode, done.stderr) == (0, "")


def test_names_of_the_package(checkout):
    done = python(checkout, "-c", "from nanobragg_py import *; import nanobragg_py as n; print(n.Beam is Beam)")
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_none_is_installed(checkout):
    done = python(checkout, "-S", "-c", WHERE)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said.startswith("ImportError: ")
    assert f"{checkout / 'nanobragg_py'} is a part of nanobragg_py's sources" in said
    assert f"install the package with `pip install {checkout}`" in said


def test_an_editable_install_completes_it(checkout):
    """Its finder knows where the kernels are."""
    (checkout / "finder.py").write_text(
        "import importlib.util, sys\n"
        "class Finder:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'nanobragg_py.kernels':\n"
        "            return importlib.util.spec_from_file_location(name, 'kernels/__init__.py')\n"
        "sys.meta_path.append(Finder)\n"
    )
    (checkout / "kernels").mkdir()
    (checkout / "kernels" / "__init__.py").touch()
    done = python(checkout, "-S", "-c", "import finder, nanobragg_py.kernels; print(nanobragg_py.__file__)")
    assert (done.stdout, done.stderr) == (f"{checkout / 'nanobragg_py' / '__init__.py'}\n", "")
