"""From the source archive to an installed program, in environments of their own."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import venv
import zipfile
from pathlib import Path

import pytest
import setuptools

from nanobragg_py.startup import TOGETHER, TOGETHER_FILE

ROOT = Path(__file__).parent.parent
#: what Cython made of the sources for `make setup`
C_FILES = ROOT / "build" / "objects" / "c"
CRYSTAL = ["-cell", "50", "60", "70", "90", "90", "90", "-default_F", "10", "-detpixels", "16", "-N", "3", "-seed", "1"]
#: what lies in a checkout and is not of it
NOT_OURS = (".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", "*.so", ".*_cache")
#: folders of the package as they lie in the tree -> as they are installed
PACKAGES = {"kernels": "nanobragg_py/kernels", "cli": "nanobragg_py/cli"}
#: modules of this time are newer than whatever a build translates or finds
LATER = int(time.time()) + 86400

pytestmark = pytest.mark.install


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def sources(folder, *suffixes):
    """Files of the tree with these suffixes, relative to it."""
    found = (path.relative_to(ROOT) for suffix in suffixes for path in (ROOT / folder).rglob(f"*{suffix}"))
    return {str(path) for path in found if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The source archive, made from a copy of the tree and unpacked."""
    place = tmp_path_factory.mktemp("sdist")
    copy = place / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_OURS))
    run(sys.executable, "setup.py", "sdist", "--dist-dir", place, cwd=copy)
    (archive,) = place.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(place, filter="data")
    (folder,) = (path for path in place.glob("nanobragg_py-*") if path.is_dir())
    return folder


@pytest.fixture(scope="module")
def wheel(unpacked, tmp_path_factory):
    """The wheel that `make setup` built from the source archive; without it, one that is built here in the same way."""
    place = Path(os.environ.get("NANOBRAGG_WHEELS") or tmp_path_factory.mktemp("wheel"))
    if "NANOBRAGG_WHEELS" not in os.environ:
        run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", place, unpacked)
    (path,) = place.glob("*.whl")
    return path


def environment(folder):
    """The interpreter of a new environment that has nothing in it, and its site-packages."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    return python, Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())


def pip_into(python, *words, **variables):
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", *words,
        env={**os.environ, **variables})  # fmt: skip


def assert_renders(program, folder, reference):
    """The program makes the same image as the one under test."""
    folder.mkdir()
    run(program, *CRYSTAL, cwd=folder)
    for name in ("floatimage.bin", "noiseimage.img"):
        assert (folder / name).read_bytes() == reference.files[name]


def test_source_archive_is_complete(unpacked):
    wanted = (
        sources("kernels", ".py", ".pyi", ".pyx", ".pxd", ".pxi", ".h", ".cu")
        | sources("cli", ".py")
        | sources("nanobragg_py", ".py", ".pyi", ".pyx", ".pxi", "py.typed")
        | sources("tests", ".py", ".c", ".h")
        | sources("golden", ".npz", ".json", ".hkl", ".mat", ".img", ".txt", ".stol")
        | sources("docs", ".md")
        | sources("examples", ".sh", ".csh", ".py")
        | {"cli/nanoBragg", "Makefile", "LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "setup.py", ".ci/run"}
    )
    assert sorted(name for name in wanted if not (unpacked / name).is_file()) == []
    built = [path for path in unpacked.rglob("*") if path.suffix in (".so", ".pyc") or path.name == "render.c"]
    assert built == []


def test_wheel_holds_one_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if ".d" not in top} == {"nanobragg_py"}
    expected = sources("nanobragg_py", ".py", ".pyi", "py.typed")
    for folder, package in PACKAGES.items():
        expected |= {name.replace(folder, package, 1) for name in sources(folder, ".py")}
    shipped = sources("kernels", ".h", ".pxd", ".pyi", ".cu")
    expected |= {name.replace("kernels", "nanobragg_py/kernels", 1) for name in shipped}
    assert sorted(expected - {*names}) == []
    assert [name for name in names if name.endswith((".pyx", ".pxi", ".c"))] == []  # what is compiled is not read again
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    built = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    built += [name.replace(".", "/") for name in TOGETHER]  # they have one file
    written = {name.removesuffix(".pyx") for name in sources("nanobragg_py", ".pyx")}
    written |= {f"nanobragg_py/{name.removesuffix('.pyx')}" for name in sources("kernels", ".pyx")}
    assert sorted(built) == sorted({*written, "nanobragg_py/kernels/memory/shared"})
    libraries = [name for name in names if name.endswith(".so") and not name.endswith(suffix)]
    assert libraries == [f"nanobragg_py/{TOGETHER_FILE}"]


def test_wheel_has_completion_and_man_pages(wheel):
    """Made while it was built, from the tables of the package in it, and put where shells and man look."""
    from nanobragg_py.cli.pages import files

    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".data/data/" in name]
        found = {name.partition(".data/data/")[2]: archive.read(name).decode() for name in names}
    assert found == files()


def test_wheel_in_a_fresh_environment(wheel, runner, tmp_path):
    python, packages = environment(tmp_path / "fresh")
    pip_into(python, wheel)
    assert {path.name for path in packages.iterdir() if not path.name.endswith(".dist-info")} == {"nanobragg_py"}
    assert_renders(python.parent / "nanoBragg", tmp_path / "rendered", runner.result(*CRYSTAL))
    assert "instruction set" in run(python.parent / "nanoBragg", "-version", cwd=tmp_path)


def test_editable_install(unpacked, wheel, runner, tmp_path):
    """The modules compiled for the wheel are put where a build in place has them, and stay, being newer.

    What setuptools compiles beside them and throws away is of no level, not optimised and, where it can be, not
    translated again.
    """
    copy = tmp_path / "tree"
    shutil.copytree(unpacked, copy, ignore=shutil.ignore_patterns("build"))
    if C_FILES.is_dir():
        shutil.copytree(C_FILES, copy / "build" / "c")
    placed = set()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not name.endswith(".so"):
                continue
            places = [name]
            if name == f"nanobragg_py/{TOGETHER_FILE}":  # serves as the file of each of its modules
                suffix = sysconfig.get_config_var("EXT_SUFFIX")
                places = [each.replace(".", "/") + suffix for each in TOGETHER]
            for place in places:
                target = copy / (place.removeprefix("nanobragg_py/") if "/kernels/" in place else place)
                target.write_bytes(archive.read(name))
                os.utime(target, (LATER, LATER))
                placed.add(target)
    python, packages = environment(tmp_path / "fresh")
    # the build tools are those of this environment
    pip_into(
        python,
        "--ignore-installed",
        "--no-build-isolation",
        "--editable",
        copy,
        PYTHONPATH=str(Path(setuptools.__file__).parent.parent),
        NANOBRAGG_BUILD_LEVELS="",
        NANOBRAGG_BUILD_FLAGS="-O0",
    )
    assert {*copy.rglob("*.so")} == placed and all(path.stat().st_mtime == LATER for path in placed)
    assert not (packages / "kernels").exists() and not (packages / "cli").exists()
    code = "import nanobragg_py.flags.parser as p, nanobragg_py.kernels.loops.job; print(p.__file__)"
    where = run(python, "-c", code, cwd=tmp_path)
    assert Path(where.strip()).parent == copy / "nanobragg_py" / "flags"
    assert_renders(python.parent / "nanoBragg", tmp_path / "rendered", runner.result(*CRYSTAL))
