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
from posix import _exit, stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What the programs import in plain runs, within the package; packages end in a dot. Compiled modules need no mention.
#: Modules that are imported together have their code in one piece, which names what they share once; a piece is made
#: into code whole, when the first of them is imported. With a module, those that stand before it in its piece are
#: imported at once: each stands behind what it imports of its piece. What loads OpenMP's library is not to be imported
#: with what comes before `import_loops`, which sets that up.
MODULES = (
    (  # what every program begins with
        "nanobragg_py.constants",
        "nanobragg_py.vectors",
        "nanobragg_py.errors",
        "nanobragg_py.process",
        "nanobragg_py.flags.",
        "nanobragg_py.cli.console",
        "nanobragg_py.cli.",
    ),
    (  # what nanoBragg's words mean
        "nanobragg_py.flags.nanobragg",
        "nanobragg_py.cli.dropin",
    ),
    (  # from options to an experiment
        "nanobragg_py.flags.options",
        "nanobragg_py.experiment.physics",
        "nanobragg_py.experiment.resolved",
        "nanobragg_py.experiment.resolve.checks",
        "nanobragg_py.experiment.resolve.steps",
        "nanobragg_py.experiment.resolve.finite",
        "nanobragg_py.experiment.resolve.detector",
        "nanobragg_py.experiment.resolve.crystal",
        "nanobragg_py.experiment.resolve.sources",
        "nanobragg_py.experiment.resolve.setup",
        "nanobragg_py.experiment.resolve.",
        "nanobragg_py.cli.meter",
        "nanobragg_py.files.report",
    ),
    (  # what the kernels are reached by
        "nanobragg_py.kernels.",
        "nanobragg_py.kernels.loops.",
        "nanobragg_py.kernels.memory.",
        "nanobragg_py.kernels.noise.",
        "nanobragg_py.records",
        "nanobragg_py.render.",
        "nanobragg_py.render.backends",
        "nanobragg_py.files.",
        "nanobragg_py.experiment.",
    ),
    (  # images and their files
        "nanobragg_py.cli.warmup",
        "nanobragg_py.render.simulate",
        "nanobragg_py.render.noise",
        "nanobragg_py.files.smv",
        "nanobragg_py.files.pgm",
    ),
    (  # what is written by every program
        "nanobragg_py.files.failures",
        "nanobragg_py.kernels.files.",
        "nanobragg_py.files.blocks",
        "nanobragg_py.files.atomic",
        "nanobragg_py.files.parts",
    ),
    (  # noisify
        "nanobragg_py.flags.noisify",
        "nanobragg_py.cli.noisify",
        "nanobragg_py.files.report_noisify",
        "nanobragg_py.experiment.noisify",
        "nanobragg_py.render.detector",
    ),
    (  # nonBragg
        "nanobragg_py.flags.nonbragg",
        "nanobragg_py.cli.nonbragg",
        "nanobragg_py.files.report_nonbragg",
        "nanobragg_py.experiment.background",
        "nanobragg_py.experiment.load_background",
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

#: The compiled modules of plain runs, apart from the loops. An installation has them in one file, as the system takes
#: as long for each file that it loads as Python for what is in it.
TOGETHER = (
    "nanobragg_py.flags.parser",
    "nanobragg_py.kernels.memory.shared",
    "nanobragg_py.kernels.memory.buffers",
    "nanobragg_py.kernels.loops.job",
    "nanobragg_py.kernels.noise.random",
    "nanobragg_py.kernels.noise.poisson",
    "nanobragg_py.kernels.files.imagefile",
)
#: that file, beside this one; no module can have its name
TOGETHER_FILE = "compiled-modules.so"

Module = type(sys)

#: an installation's files are written within so many seconds
SLACK = 60.0


class Loader(SourceFileLoader):
    """A loader of sources that finds their code in the file."""

    finder: "Any" = None

    def get_code(self, fullname: str) -> "Any":
        return self.finder.code_of(fullname)

    def exec_module(self, module: "Any") -> None:
        name = module.__name__
        self.finder.import_before(name)
        exec(self.finder.code_of(name), module.__dict__)


class Finder:
    """Finds the package's modules without looking for them. root: the folder that has the package in it.

    file: with pieces of code, {module: code}, which stays open, as an installation may replace it. first: where the
    first of them begins. sources: {module: (its file, the file's size, the number of its piece)}. sizes: of the pieces.
    compiled: {module: its file}.
    """

    def __init__(
        self,
        path: str,
        file: "Any",
        first: int,
        root: str,
        written: float,
        sources: "Any",
        sizes: "Any",
        compiled: "Any",
    ) -> None:
        self.path = path
        self.file = file
        self.first = first
        self.root = root
        self.latest = written + SLACK
        self.sources = sources
        self.sizes = sizes
        self.compiled = compiled
        self.pieces: Any = {}
        # for one piece after the other: new memory would take as long as what is read into it
        self.text = memoryview(bytearray(max(sizes)))
        # packages that are there for a module in them, and whose own code has yet to be run
        self.begun: Any = set()

    def piece_of(self, name: str) -> "Any":
        """{module: code} of a module and those that are imported with it."""
        number = self.sources[name][2]
        if number not in self.pieces:
            text = self.text[: self.sizes[number]]
            self.file.seek(self.first + sum(self.sizes[:number]))
            if self.file.readinto(text) != len(text):
                raise ImportError(f"{self.path} cannot be read; install the package anew")
            self.pieces[number] = marshal.loads(text)
        return self.pieces[number]

    def code_of(self, name: str) -> "Any":
        """The code of a module in the file."""
        code = self.piece_of(name)[name]
        _imp._fix_co_filename(code, self.root + self.sources[name][0])  # type: ignore[attr-defined]
        return code

    def import_before(self, name: str) -> None:
        """Import what stands before a module in its piece, without importlib, which takes longer than their code."""
        for other in self.piece_of(name):
            if other == name:
                return
            if other in self.begun:
                self.begun.remove(other)
            elif other in sys.modules or not self.begin(other):
                continue
            exec(self.code_of(other), sys.modules[other].__dict__)

    def begin(self, name: str) -> bool:
        """Make a module as importlib does, whose code has yet to be run; False where its source counts instead."""
        spec = self.find_spec(name)
        if spec is None:
            return False
        parent, _, child = name.rpartition(".")
        if parent not in sys.modules:
            if self.begin(parent):
                self.begun.add(parent)
            else:
                __import__(parent)
        module = sys.modules[name] = Module(name)
        names = module.__dict__
        names["__spec__"], names["__loader__"] = spec, spec.loader
        names["__file__"], names["__cached__"] = spec.origin, self.path
        names["__package__"] = spec.parent
        if spec.submodule_search_locations is not None:
            names["__path__"] = spec.submodule_search_locations
        setattr(sys.modules[parent], child, module)
        return True

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
            return compiled_spec(name, self.root + self.compiled[name])
        else:
            return None
        spec.has_location = True
        return spec


def compiled_spec(name: str, origin: str) -> "Any":
    spec = ModuleSpec(name, ExtensionFileLoader(name, origin), origin=origin)
    spec.has_location = True
    return spec


def find_spec(name: str) -> "Any":
    """The spec of a module that is in the one file, or None: what imports take that are not a program's."""
    if name not in TOGETHER:
        return None
    origin = __file__.rpartition("/")[0] + "/" + TOGETHER_FILE
    try:
        stat(origin)
    except OSError:  # of a module that is not there, Python has a sentence to say
        return None
    return compiled_spec(name, origin)


def begin() -> None:
    """What a program does before it imports anything else of the package."""
    # nothing makes reference cycles for the collector to find
    gc.disable()
    folder = __file__[: -len("startup.py")]
    path = f"{folder}startup.bin"
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115
        head = int.from_bytes(file.read(8), "little")
        magic, sources, sizes, compiled = marshal.loads(file.read(head))
    except (OSError, EOFError, ValueError, TypeError, OverflowError):  # there is none, or it was cut short
        return
    status, first = stat(path), 8 + head
    whole = magic == MAGIC_NUMBER and status.st_size == first + sum(sizes)
    # the number of a standard stream that is closed is not for this file
    if whole and not sys.flags.optimize and file.fileno() > 2:
        root = folder[: -len("nanobragg_py/")]
        sys.meta_path.insert(0, Finder(path, file, first, root, status.st_mtime, sources, sizes, compiled))
    else:
        file.close()


def run(program: str) -> None:
    """Run a program, cli.PROGRAM, and end the process with its exit status."""
    begin()
    main = __import__(f"nanobragg_py.cli.{program}", fromlist=["main"]).main
    # at the end there is nothing to tidy up
    _exit(main(sys.argv))
