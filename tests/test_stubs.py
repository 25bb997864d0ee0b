"""The stubs of the compiled modules say what the modules have: names, attributes, arguments and their defaults."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import nanobragg_py

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "kernels").glob("*/*.pyx"), *(ROOT / "nanobragg_py").rglob("*.pyx")])
PATHS = {path.with_suffix("").relative_to(ROOT).as_posix().removeprefix("nanobragg_py/"): path for path in SOURCES}


def compiled(name):
    """The module of a source."""
    return importlib.import_module("nanobragg_py." + name.replace("/", "."))


def stub_of(name):
    return ast.parse(PATHS[name].with_suffix(".pyi").read_text())


def declared(body):
    """Names that a stub's module or class declares -> their nodes; aliases of types are the stub's own."""
    found = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = node
    return found


def own(name, module):
    """The functions and classes that a module defines, and its constants."""
    imported = re.findall(r"^from [\w.]+ import (.*)$", PATHS[name].read_text(), re.MULTILINE)
    imported = set(re.findall(r"\w+", " ".join(imported)))
    return [
        each
        for each, value in vars(module).items()
        if each[0] != "_" and each not in imported
        if each.isupper() or getattr(value, "__module__", None) == module.__name__
    ]


def arguments(node):
    """Names and defaults of a stub's function without self, as texts."""
    found = node.args
    positional = [argument.arg for argument in found.posonlyargs + found.args]
    defaults = [None] * (len(positional) - len(found.defaults)) + [ast.literal_eval(value) for value in found.defaults]
    more = [found.vararg.arg] if found.vararg else []
    more += [found.kwarg.arg] if found.kwarg else []
    return [pair for pair in zip(positional, defaults, strict=True) if pair[0] != "self"] + [
        (name, None) for name in more
    ]


def signature(function):
    """Names and defaults of a compiled function without self; Ellipsis is a default that is a name in the source."""
    text = re.sub(r"^\(\$self(, )?", "(", function.__text_signature__)
    text = re.sub(r"=[A-Z_][A-Z_0-9]*(?=[,)])", "=...", text)
    return arguments(ast.parse(f"def f{text}: ...").body[0])


@pytest.mark.parametrize("name", PATHS)
def test_stub(name):
    module, names = compiled(name), declared(stub_of(name).body)
    assert sorted(own(name, module)) == sorted(names), f"{name}.pyi and the module differ"
    for each, node in names.items():
        value = getattr(module, each)
        assert isinstance(value, type) == isinstance(node, ast.ClassDef), each
        if isinstance(node, ast.FunctionDef):
            assert arguments(node) == signature(value), each
        elif isinstance(node, ast.ClassDef):
            members = declared(node.body)
            public = {key for key in vars(value) if not key.startswith("_")}
            assert {key for key in members if not key.startswith("_")} == public, each
            for key, member in members.items():
                if isinstance(member, ast.FunctionDef) and not member.decorator_list and key in public:
                    assert arguments(member) == signature(getattr(value, key)), f"{each}.{key}"


def test_stubs_are_installed():
    package = Path(nanobragg_py.__file__).parent
    assert [name for name in PATHS if not (package / f"{name}.pyi").is_file()] == []
