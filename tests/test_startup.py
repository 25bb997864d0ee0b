"""What the program imports: on a small image the interpreter's start is most of the run time."""

import marshal
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from running import bundled_libraries

import nanobragg_py
from nanobragg_py import cli, kernels, startup

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
    for libraries in bundled_libraries():
        (place / libraries.name).symlink_to(libraries)
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
    own.discard("nanobragg_py.kernels.noise.response")  # not render.response, which is the library's
    not_needed = {*NOT_NEEDED, "nanobragg", "report", "response", "fourier"} - {"usage" if flags == "-help" else ""}
    assert sorted(name for name in own if name.rpartition(".")[2] in not_needed) == []


CURVE = "-stol curve.stol -lambda 1 -distance 100 -pixel 1 -detpixels 8 -seed 1"


@pytest.mark.parametrize("flags", [CURVE, f"{CURVE} -nonoise -nopgm", "-help"])
def test_imports_of_nonbragg(flags, nonbragg, installed, tmp_path):
    (tmp_path / "curve.stol").write_text("0 1\n0.5 2\n1 3\n")
    before, _ = imported(["-c", ""], tmp_path, installed)
    names, done = imported([*nonbragg, *shlex.split(flags)], tmp_path, installed)
    assert done.returncode == 0, done.stderr
    own = {name for name in names if name.partition(".")[0] == "nanobragg_py"}
    assert sorted(names - before - own - ALLOWED) == []
    not_needed = {*NOT_NEEDED, "nanobragg", "response"} - {"usage" if flags == "-help" else ""}
    assert sorted(name for name in own if name.rpartition(".")[2] in not_needed) == []


@pytest.mark.parametrize("run", ["help", "version", "mistake"])
def test_no_kernels_before_there_is_something_to_render(run, program, installed, tmp_path):
    names, _ = imported([*program, *shlex.split(RUNS[run])], tmp_path, installed)
    kernels_imported = {name for name in names if name.startswith("nanobragg_py.kernels.")}
    if run == "help":
        assert kernels_imported == set()
    else:
        assert not any(name.rpartition(".")[2].startswith(("poisson", "philox")) for name in kernels_imported)


# ---- the file that programs start from -----------------------------------------------------------------------------

PROGRAMS = {
    "dropin": f"{SMALL} -hkl table.hkl -mat a.mat -sourcefile s.txt",
    "noisify": "-floatfile in.bin -psf gauss -psf_fwhm 1 -readout_noise 1 -seed 1",
    "nonbragg": CURVE,
}
#: runs a program as its script does, and says which modules have come from where
LISTING = """
import sys
from nanobragg_py import startup
startup.begin()
from importlib import import_module
assert import_module("nanobragg_py.cli." + sys.argv[1]).main(sys.argv[1:]) == 0
for name, module in list(sys.modules.items()):
    if name.startswith("nanobragg_py.") and module.__file__.endswith(".py"):
        print("::", name + "." * hasattr(module, "__path__"), module.__cached__.endswith("startup.bin"))
"""


def sources_of(program, folder, installed, code=LISTING):
    """{module: whether it came from the file} of a plain run; packages end in a dot."""
    (folder / "table.hkl").write_text("1 2 3 40\n-1 -2 -3 50\n")
    (folder / "a.mat").write_text("0.02 0 0\n0 0.02 0\n0 0 0.02\n")
    (folder / "s.txt").write_text("-10 0 0 1 1e-10\n")
    (folder / "in.bin").write_bytes(b"\0\0\x80\x3f" * 100)
    (folder / "curve.stol").write_text("0 1\n0.5 2\n1 3\n")
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, program, *shlex.split(PROGRAMS[program])],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("::")]
    return {name: kept == ["True"] for _, name, *kept in rows}


def test_the_file_has_what_programs_import_and_no_more(installed, tmp_path):
    found = {}
    for program in PROGRAMS:
        (tmp_path / program).mkdir()
        found |= sources_of(program, tmp_path / program, installed)
    assert {name for name, kept in found.items() if not kept} == {"nanobragg_py.startup"}
    wanted = [name for names in startup.MODULES for name in names]
    assert sorted(found.keys() - {"nanobragg_py.startup"}) == sorted(wanted)


@pytest.mark.parametrize("program", PROGRAMS)
def test_pieces_are_imported_whole(program, installed, tmp_path):
    """A piece of the file is made into code whole, so a program that needs one module of it needs them all."""
    found = {name.rstrip(".") for name in sources_of(program, tmp_path, installed)}
    for names in startup.MODULES:
        used = {name.rstrip(".") in found for name in names}
        assert len(used) == 1, sorted(name for name in names if name.rstrip(".") not in found)


#: runs a program as its script does, and says where its compiled modules have come from
COMPILED = LISTING.partition("for name")[0] + """
for name, module in list(sys.modules.items()):
    if name.startswith("nanobragg_py.") and not module.__file__.endswith(".py"):
        print("::", name, module.__file__.endswith("/nanobragg_py/" + startup.TOGETHER_FILE))
"""


def test_compiled_modules_of_a_plain_run_are_one_file(installed, tmp_path):
    """Apart from the loops, and what only some inputs need."""
    found = sources_of("dropin", tmp_path, installed, COMPILED)
    assert {name for name, kept in found.items() if not kept} == {
        "nanobragg_py.kernels.files.hkltext",
        "nanobragg_py.kernels.loops.render",
    }
    _, _, _, compiled = head_and_pieces(installed / "nanobragg_py" / "startup.bin")[0]
    together = {name for name, place in compiled.items() if place == f"nanobragg_py/{startup.TOGETHER_FILE}"}
    assert together == {name for name, kept in found.items() if kept} == {*startup.TOGETHER}


#: imports compiled modules as everybody may, and says what was found where, and whether it is as it should be
LIBRARY = """
import importlib, sys
import nanobragg_py
from nanobragg_py import startup
for name in startup.TOGETHER:
    module = importlib.import_module(name)
    spec = module.__spec__
    right = (spec.name, spec.origin, spec.parent) == (name, module.__file__, name.rpartition(".")[0])
    right = right and spec.has_location and spec.loader is module.__loader__ and importlib.reload(module) is module
    print(name, module.__file__, right)
finders = len(sys.meta_path)
importlib.reload(nanobragg_py)
print(len(sys.meta_path) == finders)
"""


def imports(place, *words, path=None):
    environment = {**os.environ, "PYTHONPATH": str(place)}
    return subprocess.run([sys.executable, "-S", *words], cwd=path, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("flags", [[], ["-O"], ["-OO"]])
def test_the_library_finds_compiled_modules_in_the_one_file(flags, installed, tmp_path):
    done = imports(installed, *flags, "-c", LIBRARY, path=tmp_path)
    assert done.stderr == ""
    file = installed / "nanobragg_py" / startup.TOGETHER_FILE
    assert done.stdout.splitlines() == [*(f"{name} {file} True" for name in startup.TOGETHER), "True"]


def test_a_module_with_a_file_of_its_own_is_taken_from_there(installed, tmp_path):
    """So it is in a checkout where they are built."""
    shutil.copytree(installed, tmp_path / "place")
    file = tmp_path / "place" / "nanobragg_py" / startup.TOGETHER_FILE
    own = (file.parent / "flags" / "parser").with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
    shutil.copy(file, own)
    done = imports(tmp_path / "place", "-c", LIBRARY, path=tmp_path)
    assert done.stderr == ""
    first, *others, _ = done.stdout.splitlines()
    assert first == f"nanobragg_py.flags.parser {own} True"
    assert others == [f"{name} {file} True" for name in startup.TOGETHER[1:]]


def test_compiled_modules_that_are_not_there(installed, tmp_path):
    shutil.copytree(installed, tmp_path / "place")
    (tmp_path / "place" / "nanobragg_py" / startup.TOGETHER_FILE).unlink()
    done = imports(tmp_path / "place", "-c", "import nanobragg_py.flags.parser", path=tmp_path)
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'nanobragg_py.flags.parser'"


def head_and_pieces(path):
    """What the file says of itself, and the bytes of its pieces."""
    data = path.read_bytes()
    first = 8 + int.from_bytes(data[:8], "little")
    return marshal.loads(data[8:first]), data[first:]


#: runs a program, and says in which order its modules' own code was run to its end, and which importlib was asked for
#: while their piece was being imported
ORDER = """
import sys
from nanobragg_py import startup
startup.begin()
finder = sys.meta_path[0]
exec_module, begin, import_before, within = startup.Loader.exec_module, finder.begin, finder.import_before, []
def traced(name):
    within.append(finder.sources[name][2])
    import_before(name)
    within.pop()
def asked(loader, module):
    if finder.sources[module.__name__][2] in within:
        print("::", module.__name__)
    exec_module(loader, module)
finder.import_before, startup.Loader.exec_module = traced, asked
from importlib import import_module
assert import_module("nanobragg_py.cli." + sys.argv[1]).main(sys.argv[1:]) == 0
assert not finder.begun
"""


@pytest.mark.parametrize("program", PROGRAMS)
def test_modules_stand_behind_what_they_import(program, installed, tmp_path):
    """In their piece: else importlib would be asked for them, or give a module whose code has yet to be run."""
    assert sources_of(program, tmp_path, installed, ORDER) == {}


def test_a_module_is_as_importlib_makes_it(installed, tmp_path):
    attributes = """
import sys
from nanobragg_py import startup
if sys.argv[1] == "file":
    startup.begin()
import nanobragg_py.cli.console, nanobragg_py.experiment.resolve
for name in ("nanobragg_py.errors", "nanobragg_py.experiment.resolve", "nanobragg_py.experiment.resolve.checks"):
    module = sys.modules[name]
    parent, child = name.rsplit(".", 1)
    print(name, module.__name__, module.__package__, module.__file__, getattr(module, "__path__", None))
    print(module.__spec__.name, module.__spec__.parent, module.__spec__.origin, module.__spec__.has_location)
    print(module.__spec__.submodule_search_locations, module.__loader__ is module.__spec__.loader)
    print(getattr(sys.modules[parent], child) is module, sorted(vars(module)))
"""
    said = []
    for which in ("file", "sources"):
        command = [sys.executable, "-S", "-c", attributes, which]
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == said[1]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_standard_streams_that_are_closed_are_not_the_file(closed, installed, tmp_path):
    program = "import os\nfrom nanobragg_py import startup\nstartup.begin()\n"
    program += "open('found', 'w').write(repr([os.path.basename(os.readlink(f'/proc/self/fd/{n}')) for n in range(3) "
    program += "if os.path.islink(f'/proc/self/fd/{n}')]))"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=tmp_path, env=environment, preexec_fn=lambda: os.close(closed)
    )
    assert (tmp_path / "found").exists() and "startup.bin" not in (tmp_path / "found").read_text()


def test_the_file_has_nothing_that_only_people_and_checkers_read(installed):
    """No docstrings and no annotations of functions: what unmarshals them is a part of the start."""
    (_, sources, sizes, _), pieces = head_and_pieces(installed / "nanobragg_py" / "startup.bin")
    place, _, number = sources["nanobragg_py.vectors"]
    code = marshal.loads(pieces[sum(sizes[:number]) :])["nanobragg_py.vectors"]
    found, whole = {}, {}
    exec(code, {"__name__": "nanobragg_py.vectors", "__package__": "nanobragg_py"}, found)
    exec((installed / place).read_text(), {"__name__": "nanobragg_py.vectors", "__package__": "nanobragg_py"}, whole)
    assert whole["cross"].__doc__ and whole["cross"].__annotations__
    assert found.keys() - {"__doc__"} == whole.keys() - {"__doc__"}
    assert not found["cross"].__doc__ and not found["cross"].__annotations__
    assert found["cross"]((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)) == (0.0, 0.0, 1.0)


CHANGES = ["nothing", "later", "longer", "another Python", "empty", "cut short", "cut shorter", "missing"]


@pytest.mark.parametrize("change", CHANGES)
def test_sources_that_were_changed_count(change, installed, tmp_path):
    place = tmp_path / "place"
    shutil.copytree(installed, place)
    source, path = place / "nanobragg_py" / "vectors.py", place / "nanobragg_py" / "startup.bin"
    written = path.stat().st_mtime
    os.utime(source, (written, written))
    if change == "later":
        os.utime(source, (written + 3600, written + 3600))
    elif change == "longer":
        source.write_text(source.read_text() + "# changed\n")
        os.utime(source, (written, written))
    elif change == "another Python":
        head, pieces = head_and_pieces(path)
        text = marshal.dumps((b"????", *head[1:]))
        path.write_bytes(len(text).to_bytes(8, "little") + text + pieces)
    elif change == "empty":
        path.write_bytes(b"")
    elif change == "cut short":
        path.write_bytes(path.read_bytes()[:-1])
    elif change == "cut shorter":
        path.write_bytes(path.read_bytes()[:100])
    elif change == "missing":
        path.unlink()
    found = sources_of("dropin", tmp_path, place)
    kept = {name for name, kept in found.items() if kept}
    if change == "nothing":
        assert kept == found.keys() - {"nanobragg_py.startup"}
    elif change in ("later", "longer"):
        assert kept == found.keys() - {"nanobragg_py.startup", "nanobragg_py.vectors"}
    else:
        assert kept == set()
