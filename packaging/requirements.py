"""What an extra of the package asks for, a line each, as pip reads it: `python packaging/requirements.py test`.

The Makefile installs it while the package itself is being compiled, which pip would do one after the other.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def requirements(project, extra):
    """Those of an extra and of the extras that it names, and the package's own."""
    found = dict.fromkeys(project["dependencies"])
    for requirement in project["optional-dependencies"][extra]:
        inner = re.fullmatch(re.escape(project["name"]) + r"\[(.*)\]", requirement)
        for each in inner[1].split(",") if inner else ():
            found.update(dict.fromkeys(requirements(project, each)))
        if not inner:
            found[requirement] = None
    return list(found)


if __name__ == "__main__":
    print(*requirements(tomllib.loads(PROJECT.read_text())["project"], sys.argv[1]), sep="\n")
