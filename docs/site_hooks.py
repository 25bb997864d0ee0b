"""What the site needs besides the pages: links out of docs/ lead to the repository's files."""

import posixpath
import re
import tomllib
from pathlib import Path

_LINK = re.compile(r"(?<=\]\()(\.\./[^)#\s]+)")


def sources():
    """Where the repository's files are shown."""
    with open(Path(__file__).parent.parent / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["urls"]["Source"] + "/blob/main/"


def on_page_markdown(markdown, page, **_):
    """Links to files beside docs/ (../kernels/...), which the site does not hold, to those of the repository."""
    folder = posixpath.dirname(page.file.src_uri)
    return _LINK.sub(lambda link: sources() + posixpath.normpath(posixpath.join("docs", folder, link[1])), markdown)
