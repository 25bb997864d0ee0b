"""The package: its public names, and what importing it brings."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nanobragg_py


def test_import_is_light():
    """Importing the package brings nothing in; the public names come when they are used."""
    code = """if True:
        import sys
        before = set(sys.modules)
        import nanobragg_py
        brought = set(sys.modules) - before
        assert brought == {"nanobragg_py"}, brought
        for name in nanobragg_py.__all__:
            getattr(nanobragg_py, name)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_type_checkers_see_the_public_names():
    tree = ast.parse(Path(nanobragg_py.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    own = [node for node in block.body if node.level]
    seen = {name.asname: node.module for node in own for name in node.names}
    assert seen == nanobragg_py._PUBLIC


def test_public_names_are_documented():
    for name in nanobragg_py.__all__:
        thing = getattr(nanobragg_py, name)
        if name == "__version__":
            continue
        assert thing.__doc__ and len(thing.__doc__) > 40, name
        if isinstance(thing, type):
            for member, value in vars(thing).items():
                if not member.startswith("_") and callable(value):
                    assert value.__doc__, f"{name}.{member}"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = nanobragg_py.nonsense
