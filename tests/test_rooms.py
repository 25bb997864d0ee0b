"""The rooms of the house: imports go one way, from the programs to the library to the kernels, and in no circle.

Every import counts, those inside functions too; only what stands under TYPE_CHECKING, which nothing executes, does not.
"""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: the rooms, from the cellar up: one may import from those below it. Modules of the top level are rooms of their own.
FLOORS = (
    ("errors", "hints", "records", "constants", "vectors", "orientation", "process", "checkout", "startup", "memory"),
    ("kernels",),
    ("flags",),
    ("files",),
    ("experiment",),
    ("render",),
    ("gradients", "inspect"),
    ("api",),
    ("batch", "fit", "torch", "jax"),
    ("data",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
#: rooms beside each other on a floor that may look into one another, in this direction
BESIDE = {
    ("orientation", "errors"),
    ("orientation", "vectors"),
    ("vectors", "constants"),
    ("memory", "errors"),
}


def module_of(path):
    name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    return name if name.startswith("nanobragg_py") else f"nanobragg_py.{name}"


def sources():
    """Every module of the package, as {name: path}; those of the kernels by their sources."""
    found = {}
    for folder in ("nanobragg_py", "kernels", "cli"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".pyx", ".pxd") and "__pycache__" not in path.parts:
                found.setdefault(module_of(path), []).append(path)
    return found


MODULES = sources()


def resolve(name, package, level):
    base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
    return ".".join([*base, *([name] if name else [])])


class Imports(ast.NodeVisitor):
    """The modules that a source imports, as absolute names."""

    def __init__(self, package):
        self.package, self.found = package, set()

    def visit_If(self, node):
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_Import(self, node):
        self.found |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node):
        base = resolve(node.module, self.package, node.level)
        for alias in node.names:
            name = f"{base}.{alias.name}"
            self.found.add(name if name in MODULES else base)


def imports(module):
    """The modules of the package that `module` imports."""
    found = set()
    for path in MODULES[module]:
        text = path.read_text()
        if path.suffix == ".py":
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            visitor = Imports(package)
            visitor.visit(ast.parse(text))
            found |= visitor.found
        else:  # Cython, which ast cannot read; imports there are absolute
            found |= set(re.findall(r"^\s*from ([\w.]+) c?import", text, re.M))
    return {name for name in found if name.partition(".")[0] == "nanobragg_py"} - {module, "nanobragg_py"}


def room(module):
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", [name for name in MODULES if name != "nanobragg_py"])
def test_imports_go_down(module):
    own = room(module)
    for imported in sorted(imports(module)):
        assert imported in MODULES, f"{module} imports {imported}, which is not there"
        other = room(imported)
        if other != own and (own, other) not in BESIDE:
            assert FLOOR[other] < FLOOR[own], f"{module} imports {imported}, which is not below it"


def test_no_circles():
    graph = {module: imports(module) for module in MODULES if module != "nanobragg_py"}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail("modules import one another in a circle: " + " -> ".join(error.args[1]))


@pytest.mark.parametrize("name", sorted({path.parent for paths in MODULES.values() for path in paths}))
def test_a_room_says_what_it_is_for(name):
    text = ast.get_docstring(ast.parse((name / "__init__.py").read_text()))
    assert text and text.endswith("."), f"{name} does not say what it is for"
