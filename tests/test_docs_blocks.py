"""Every block of code on every page is run: by the tests that replay the page's terminal, or here.

A page's pieces of Python and TOML take something for granted, an experiment or a file; `GIVEN` says what.
"""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from transcripts import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
#: what only another machine has: clusters, and packages that a test must not install
ELSEWHERE = {"CONTRIBUTING.md": ("sh",), "README.md": ("sh",), "docs/batch.md": ("sh",), "docs/gpu.md": ("console",)}
#: whole runs of other programs, what they printed, and shells that complete (tests/test_pages.py has those)
ELSEWHERE |= {"docs/expectations.md": ("sh", ""), "docs/install.md": ("",), "docs/tools.md": ("sh",)}

STILL = """
import numpy, nanobragg_py
from nanobragg_py import *

hkl = numpy.indices((6, 6, 6)).reshape(3, -1).T
experiment = Experiment(
    Crystal.from_cell(34, 34, 48, cells=(6, 6, 6), missets=(0.1, 0.2, 0.3)),
    Beam(fluence=1e24),
    Detector.flat((40, 40), 1e-3, 0.1),
    structure_factors=StructureFactors.from_arrays(hkl, 50 + hkl.sum(1), space_group="P 43 21 2", friedel=True),
)
"""
GEOMETRY = """\
photon_energy = 12400 eV
adu_per_photon = 1
clen = 0.1 m
res = 10000
p0/min_fs = 0
p0/max_fs = 7
p0/min_ss = 0
p0/max_ss = 7
p0/corner_x = -4
p0/corner_y = -4
p0/fs = x
p0/ss = y
"""
EXPERIMENT = {
    "__id__": "ExperimentList",
    "experiment": [{"__id__": "Experiment", "beam": 0, "detector": 0}],
    "beam": [{"direction": [0.0, 0.0, 1.0], "wavelength": 1.0}],
    "detector": [{"panels": [{
        "name": "Panel", "origin": [-4.0, 4.0, -100.0], "fast_axis": [1.0, 0.0, 0.0], "slow_axis": [0.0, -1.0, 0.0],
        "pixel_size": [1.0, 1.0], "image_size": [8, 8],
    }]}],
}  # fmt: skip
MODEL = """\
CRYST1   30.000   34.000   40.000  90.00  90.00  90.00 P 1
ATOM      1  CA  MSE A   1       5.000   6.000   7.000  1.00 20.00           C
ATOM      2 SE   MSE A   1      15.000  16.000  17.000  1.00 20.00          Se
END
"""
#: by page and line: statements before a piece of Python, which stand for what the text around it takes for granted
GIVEN = {
    "docs/crystals.md": "",
    "docs/files.md": "SIZE1, SIZE2 = 5, 4\nopen('floatimage.bin', 'wb').write(bytes(4 * SIZE1 * SIZE2))",
    "docs/gradients.md": STILL + "\nobserved = experiment.render()\nweights = numpy.ones(experiment.shape)",
    "docs/panels.md": "import nanobragg_py",
    "docs/spectra.md": STILL,
}
MORE = {
    "from nanobragg_py.torch": "import jax, torch\nloss = lambda image: image.sum()",
    "found = refine(fit)": "start, photons = experiment, experiment.add_noise(experiment.render(), adc=0)",
    "least_squares": "start, photons = experiment, experiment.add_noise(experiment.render(), adc=0)\n"
    "from nanobragg_py.fit import Fit\nfit = Fit(start, photons, ['crystal.rotation', 'beam.fluence'])",
}  # fmt: skip


def blocks(page):
    """[(line, language, text), ...] of a page's blocks of code."""
    found, text = [], page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        found.append((text.count("\n", 0, match.start()) + 1, match[1], match[2]))
    return found


def name_of(page):
    return str(page.relative_to(ROOT))


def of_language(language):
    return [
        pytest.param(page, line, text, id=f"{name_of(page)}:{line}")
        for page in PAGES
        for line, found, text in blocks(page)
        if found == language and not text.startswith(">>> ")
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files that pages speak of."""
    import json

    (tmp_path / "jungfrau.geom").write_text(GEOMETRY)
    (tmp_path / "refined.expt").write_text(json.dumps(EXPERIMENT))
    (tmp_path / "model.pdb").write_text(MODEL)
    (tmp_path / "lines.csv").write_text("-misset\n1 2 3\n4 5 6\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "line", "text"), of_language("python"))
def test_python(page, line, text, folder):
    """Pieces of Python that are no transcripts, those of a page in one another's sight."""
    for module in ("torch", "jax", "scipy", "gemmi"):
        if re.search(rf"\b{module}\b|from_model" if module == "gemmi" else rf"\b{module}\b", text):
            pytest.importorskip(module, reason=f"{module} is not installed")
    names = {}
    exec(GIVEN[name_of(page)], names)
    for before, language, earlier in blocks(page):
        # the first one of a page defines what the later ones go on with
        if language == "python" and before < line and not earlier.startswith(">>>"):
            exec(earlier, names)
            break
    exec(next((more for words, more in MORE.items() if words in text), ""), names)
    exec(compile(text, f"{name_of(page)}:{line}", "exec"), names)


@pytest.mark.parametrize(("page", "line", "text"), of_language("toml"))
def test_toml(page, line, text, folder):
    """A job, or a part of one or of an experiment."""
    from nanobragg_py import Experiment
    from nanobragg_py.batch import Job

    values = tomllib.loads(text)
    if {"random", "vary", "repeat"} & set(values):
        values.setdefault("experiment", {"flags": "-cell 34 34 48 90 90 90 -default_F 10 -N 5"})
        assert len(Job(values, folder)) > 0
        return
    values.setdefault("crystal", {"lengths": [30.0, 34.0, 40.0]})
    values.setdefault("structure_factors", {"default_F": 10.0})
    if "model" in values["structure_factors"]:
        pytest.importorskip("gemmi", reason="gemmi is not installed")
        values.setdefault("beam", {"wavelength": "0.975 A"})
    (folder / "pink.txt").write_text("0.99 1\n1.00 2\n")
    Experiment.from_dict(values, folder)


def test_refine_of_the_gradients_page(folder):
    """The two command lines of the section on refinement."""
    from images import tool

    from nanobragg_py import Crystal, Experiment, cell_of

    (text,) = (text for _, language, text in blocks(ROOT / "docs/gradients.md") if language == "")
    first, second = text.splitlines()
    flags = "-hkl P1.hkl -mat A.mat -N 20 -detpixels 64 -pixel 0.5 -distance 100 -fluence 1e24 -oversample 1"
    (folder / "P1.hkl").write_bytes((ROOT / "golden/inputs/full8.hkl").read_bytes())
    (folder / "A.mat").write_bytes((ROOT / "golden/inputs/A.mat").read_bytes())
    experiment = Experiment.from_args(flags)
    with_cell = Crystal.from_cell(*cell_of(experiment.crystal.matrix), cells=(20, 20, 20))
    experiment.replace(crystal=with_cell).write("start.toml")
    photons = experiment.add_noise(experiment.render(), adc=0)
    experiment.to_smv("shot.img", photons)
    experiment.to_cbf("shot.cbf", photons)
    quick = ["--no-picture", "--evaluations", "2", "--outdir"]
    own, _, others = second.partition(" -- ")
    rest = flags.removeprefix(others)
    assert rest != flags
    for words in (
        [*shlex.split(first)[1:], *quick, "a"],
        [*shlex.split(own)[1:], *quick, "b", "--", *shlex.split(others + rest)],
    ):
        status, _, said = tool(*words)
        assert status in (0, 1), said


def test_extras_that_pages_name_are_there():
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for page in PAGES:
        for names in re.findall(r"nanobragg-py\[([\w,]+)\]|\[(\w+)\]'?\"? +#", page.read_text(encoding="utf-8")):
            for name in ",".join(filter(None, names)).split(","):
                assert name in known, f"{name_of(page)} speaks of the extra {name}"


def test_nothing_is_left_out():
    """Blocks of every language of every page are run by somebody."""
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for page in PAGES:
        for line, language, _ in blocks(page):
            name = name_of(page)
            if language in ELSEWHERE.get(name, ()) or language == "toml":
                continue
            if language == "python":
                assert f"{page.name}" in tests, f"{name}, line {line}"
            elif language == "console":
                assert f'"{name}"' in tests, f"{name}, line {line}: nobody replays it"
            else:
                assert name == "docs/gradients.md", f"{name}, line {line}: {language} is run by nobody"
