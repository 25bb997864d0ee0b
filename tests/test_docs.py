"""The documentation: what it shows on a terminal happens, its links and paths lead somewhere."""

import doctest
import re
import shutil
from pathlib import Path

import pytest
from transcripts import ROOT, replay

from nanobragg_py.batch import iter_images

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(page):
    """The text of a page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """The anchors of a page's headings, as code forges make them."""
    headings = re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def relative(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links(page):
    """Every link to a file of the repository, and to a heading in one, has a target."""
    for link in LINK.findall(prose(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{relative(page)} links to {link}"
        assert target.is_relative_to(ROOT), f"{relative(page)} links to {link}, outside the repository"
        if anchor:
            assert anchor in anchors(target), f"{relative(page)} links to {link}: no such heading"


def test_every_page_is_on_the_map():
    docs = ROOT / "docs"
    linked = {(docs / link.partition("#")[0]).resolve() for link in LINK.findall(prose(docs / "index.md"))}
    missing = [relative(page) for page in docs.rglob("*.md") if page.resolve() not in linked]
    assert missing == ["docs/index.md"]


@pytest.mark.parametrize("document", ["README.md", "docs/crystals.md", "docs/differences.md", "docs/files.md"])
def test_transcripts(document, tmp_path):
    replay(document, tmp_path)


def test_python_and_job_of_the_readme(tmp_path, monkeypatch):
    """The examples for the library and for the batch runner, in a folder with the structure factors."""
    shutil.copy(ROOT / "golden/inputs/cro_1orc_2A.hkl", tmp_path)
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False, encoding="utf-8")
    assert tried >= 5 and not failed
    (job,) = re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    Path("job.toml").write_text(job)
    images = iter_images("job.toml")
    first, second = next(images), next(images)
    assert first.shape == second.shape == (256, 256)
    assert first.max() > 0 and (first != second).any()


def test_paths_in_code_spans_exist():
    """`kernels/loops/job.pyx` and the like in the pages for developers."""
    folders = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
    for page in (ROOT / "docs/architecture.md", ROOT / "CONTRIBUTING.md"):
        for name in re.findall(rf"(?:^|[\s(`])((?:{folders})/[\w./]*\w)", prose(page)):
            assert Path(ROOT, name).exists(), f"{relative(page)} speaks of {name}"
