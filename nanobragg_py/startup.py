"""Programs start from one file: the code of their modules, put together when the package is built.

Most of what a small image takes is Python's start, and most of that is looking for fifty modules, each in a file of its
own. The file is a cache like __pycache__: a module whose source is not what the file was made of (another size, or
written later), or that is not in it, is imported as ever, and so are all where the file is missing or another Python's.
"""

import _imp
import gc
import marshal
import sys

# what the package importlib is made of, which takes a millisecond itself
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, ExtensionFileLoader, SourceFileLoader
from posix import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What the programs import in plain runs, within the package; packages end in a dot. Compiled modules need no mention.
#: Modules that are imported together have their code in one piece, which names what they share once; a piece is made
#: into code whole, when the first of them is imported.
MODULES = (
    (  # what every program begins with
        "nanobragg_py.cli.",
        "nanobragg_py.cli.console",
        "nanobragg_py.constants",
        "nanobragg_py.errors",
        "nanobragg_py.flags.",
        "nanobragg_py.process",
        "nanobragg_py.vectors",
    ),
    (  # what nanoBragg's words mean
        "nanobragg_py.cli.dropin",
        "nanobragg_py.flags.nanobragg",
    ),
    (  # from options to an experiment
        "nanobragg_py.cli.meter",
        "nanobragg_py.experiment.physics",
        "nanobragg_py.experiment.resolve.",
        "nanobragg_py.experiment.resolve.checks",
        "nanobragg_py.experiment.resolve.crystal",
        "nanobragg_py.experiment.resolve.detector",
        "nanobragg_py.experiment.resolve.finite",
        "nanobragg_py.experiment.resolve.setup",
        "nanobragg_py.experiment.resolve.sources",
        "nanobragg_py.experiment.resolve.steps",
        "nanobragg_py.experiment.resolved",
        "nanobragg_py.files.report",
        "nanobragg_py.flags.options",
    ),
    (  # what the kernels are reached by
        "nanobragg_py.experiment.",
        "nanobragg_py.files.",
        "nanobragg_py.kernels.",
        "nanobragg_py.kernels.loops.",
        "nanobragg_py.kernels.memory.",
        "nanobragg_py.kernels.noise.",
        "nanobragg_py.records",
        "nanobragg_py.render.",
        "nanobragg_py.render.backends",
    ),
    (  # images and their files
        "nanobragg_py.cli.warmup",
        "nanobragg_py.files.pgm",
        "nanobragg_py.files.smv",
        "nanobragg_py.render.noise",
        "nanobragg_py.render.simulate",
    ),
    (  # what is written by every program
        "nanobragg_py.files.atomic",
        "nanobragg_py.files.blocks",
        "nanobragg_py.files.failures",
        "nanobragg_py.files.parts",
        "nanobragg_py.kernels.files.",
    ),
    (  # noisify
        "nanobragg_py.cli.noisify",
        "nanobragg_py.experiment.noisify",
        "nanobragg_py.files.report_noisify",
        "nanobragg_py.flags.noisify",
        "nanobragg_py.render.detector",
    ),
    (  # nonBragg
        "nanobragg_py.cli.nonbragg",
        "nanobragg_py.experiment.background",
        "nanobragg_py.experiment.load_background",
        "nanobragg_py.files.report_nonbragg",
        "nanobragg_py.flags.nonbragg",
        "nanobragg_py.render.background",
    ),
    # of one program, or for some inputs
    ("nanobragg_py.experiment.load",),
    ("nanobragg_py.experiment.resolve.file_sources",),
    ("nanobragg_py.files.hkl",),
    ("nanobragg_py.files.matrix",),
    ("nanobragg_py.files.reading",),
    ("nanobragg_py.files.scan",),
    ("nanobragg_py.files.table",),
    ("nanobragg_py.flags.names",),
)

#: an installation's files are written within so many seconds
SLACK = 60.0


class Loader(SourceFileLoader):
    """A loader of sources that finds their code in the file."""

    finder: "Any" = None

    def get_code(self, fullname: str) -> "Any":
        code = self.finder.code_of(fullname)
        _imp._fix_co_filename(code, self.path)  # type: ignore[attr-defined]
        return code


class Finder:
    """Finds the package's modules without looking for them. root: the folder that has the package in it.

    sources: {module: (its file, the file's size, the number of its piece)}. pieces: of code, {module: code}, as bytes.
    compiled: {module: its file}.
    """

    def __init__(
        self, path: str, root: str, written: float, sources: "Any", pieces: "Any", compiled: "Any"
    ) -> None:
        self.path = path
        self.root = root
        self.latest = written + SLACK
        self.sources = sources
        self.pieces = pieces
        self.compiled = compiled

    def code_of(self, name: str) -> "Any":
        """The code of a module in the file."""
        number = self.sources[name][2]
        piece = self.pieces[number]
        if isinstance(piece, bytes):
            piece = self.pieces[number] = marshal.loads(piece)
        return piece[name]

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """The spec of a module, or None where it is to be found in another way."""
        if name in self.sources:
            place, size, _ = self.sources[name]
            origin = self.root + place
            now = stat(origin)
            if now.st_size != size or now.st_mtime > self.latest:
                return None
            loader = Loader(name, origin)
            loader.finder = self
            spec = ModuleSpec(name, loader, origin=origin)
            spec.cached = self.path
            if place.endswith("/__init__.py"):
                spec.submodule_search_locations = [origin[: -len("/__init__.py")]]
        elif name in self.compiled:
            origin = self.root + self.compiled[name]
            spec = ModuleSpec(name, ExtensionFileLoader(name, origin), origin=origin)
        else:
            return None
        spec.has_location = True
        return spec


def begin() -> None:
    """What a program does before it imports anything else of the package."""
    # nothing makes reference cycles for the collector to find
    gc.disable()
    folder = __file__[: -len("startup.py")]
    path = f"{folder}startup.bin"
    try:
        with open(path, "rb", buffering=0) as file:
            magic, sources, pieces, compiled = marshal.loads(file.readall())
    except (OSError, EOFError, ValueError, TypeError):  # there is none, or it was cut short
        return
    if magic == MAGIC_NUMBER and not sys.flags.optimize:
        root, written = folder[: -len("nanobragg_py/")], stat(path).st_mtime
        sys.meta_path.insert(0, Finder(path, root, written, sources, pieces, compiled))
