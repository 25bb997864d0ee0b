"""What the program imports: on a small image the interpreter's start is most of the run time."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import nanobragg_py
from nanobragg_py import cli, kernels

#: What the program may import besides its own modules: everything here is in the interpreter or small.
ALLOWED = {
    "_collections_abc",
    "_stat",
    "abc",
    "collections.abc",
    "errno",
    "gc",
    "genericpath",
    "math",
    "os",
    "posixpath",
    "stat",
    "time",
}
#: own modules that a plain run has no use for
NOT_NEEDED = ("usage", "version", "flags_doc", "main", "tools", "golden", "sequential", "compare", "trace", "explain")

SMALL = "-cell 50 60 70 90 90 90 -default_F 10 -N 3 -oversample 1 -detpixels 8 -pixel 1 -seed 1"
RUNS = {
    "plain": SMALL,
    "table": f"{SMALL} -hkl table.hkl -nointerpolate",
    "everything": f"{SMALL} -mosaic_spread 1 -mosaic_domains 3 -mat a.mat -osc 1 -sourcefile s.txt -curved_det",
    "help": "-help",
    "version": "-version",
    "mistake": "-cell nan",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package as a plain install has it, so that the machinery of an editable one does not count."""
    place = tmp_path_factory.mktemp("installed")
    package = place / "nanobragg_py"
    package.mkdir()
    for path in Path(nanobragg_py.__file__).parent.iterdir():
        if path.name not in ("kernels", "cli"):
            (package / path.name).symlink_to(path)
    (package / "kernels").symlink_to(Path(kernels.__file__).parent)
    (package / "cli").symlink_to(Path(cli.__file__).parent)
    return place


def imported(arguments, folder, installed):
    """Names of the modules that a run of the interpreter without site imports, and its exit status."""
    done = subprocess.run(
        [sys.executable, "-S", "-X", "importtime", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.split("|")[2].strip() for line in lines[1:]}, done


@pytest.mark.parametrize("run", RUNS)
def test_imports(run, program, installed, tmp_path):
    (tmp_path / "table.hkl").write_text("1 2 3 40\n-1 -2 -3 50\n")
    (tmp_path / "a.mat").write_text("0.02 0 0\n0 0.02 0\n0 0 0.02\n")
    (tmp_path / "s.txt").write_text("-10 0 0 1 1e-10\n")
    before, _ = imported(["-c", ""], tmp_path, installed)
    names, done = imported([*program, *shlex.split(RUNS[run])], tmp_path, installed)
    assert done.returncode == (9 if run == "mistake" else 0), done.stderr
    assert "nanobragg_py.cli.dropin" in names
    own = {name for name in names if name.partition(".")[0] == "nanobragg_py"}
    assert sorted(names - before - own - ALLOWED) == []
    assert ("nanobragg_py.kernels.files.hkltext" in names) == (run == "table")
    if run not in ("help", "version", "mistake"):
        assert sorted(name for name in own if name.rpartition(".")[2] in NOT_NEEDED) == []


@pytest.mark.parametrize("flags", ["-psf gauss -readout_noise 1", "-nonoise", "-help"])
def test_imports_of_noisify(flags, noisify, installed, tmp_path):
    (tmp_path / "in.bin").write_bytes(bytes(400))
    before, _ = imported(["-c", ""], tmp_path, installed)
    names, done = imported([*noisify, "-floatfile", "in.bin", *shlex.split(flags)], tmp_path, installed)
    assert done.returncode == 0, done.stderr
    own = {name for name in names if name.partition(".")[0] == "nanobragg_py"}
    assert sorted(names - before - own - ALLOWED) == []
    not_needed = {*NOT_NEEDED, "nanobragg", "report", "response", "fourier"} - {"usage" if flags == "-help" else ""}
    assert sorted(name for name in own if name.rpartition(".")[2] in not_needed) == []


@pytest.mark.parametrize("run", ["help", "version", "mistake"])
def test_no_kernels_before_there_is_something_to_render(run, program, installed, tmp_path):
    names, _ = imported([*program, *shlex.split(RUNS[run])], tmp_path, installed)
    kernels_imported = {name for name in names if name.startswith("nanobragg_py.kernels.")}
    if run == "help":
        assert kernels_imported == set()
    else:
        assert not any(name.rpartition(".")[2].startswith(("poisson", "philox")) for name in kernels_imported)
