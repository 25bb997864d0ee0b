"""The extension list and its compiler flags; everything else stands in pyproject.toml."""

import ast
import contextlib
import importlib.util
import marshal
import os
import pathlib
import platform
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tempfile

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

# Debugging information and symbols of modules that export one function are most of an installation's size.
# So are the tables that unwind stacks, which C that raises nothing does without, and the blanks between segments.
PLAIN = ["-g0", "-fno-asynchronous-unwind-tables"]
STRIPPED = ["-Wl,-s", "-Wl,-z,noseparate-code"]
# Modules that call others and convert arguments are as fast with little optimisation, and compile in half the time.
GLUE = ["-O1", *PLAIN]
FAST = ["-O3", *PLAIN]
# Without these two gcc will not vectorise loops that convert to integers, compare or take roots: they promise that
# nobody looks at errno or at floating-point exception flags. Values are not changed (as -ffast-math would).
# The third keeps loops that clear an array in vectors: as a call of memset they cost more than a tile is worth.
LOOPS = ["-fno-math-errno", "-fno-trapping-math", "-fno-tree-loop-distribute-patterns"]
# Instructions of the innermost loops are put in order before registers are given out, as far as registers allow: by up
# to a tenth faster where structure factors are looked up.
ORDER = ["-fschedule-insns", "-fsched-pressure"]
# Two clippings in a row stay a minimum and a maximum: gcc would make branches of what follows from the first.
CLIPPING = ["-fno-thread-jumps"]
# What must agree with the reference bit for bit is not fused into multiply-adds.
EXACT = ["-ffp-contract=off"]

# One source, several instruction-set levels; nanobragg_py.render.backends picks one at the first rendering. "base" is
# whatever the compiler takes for the least of its machines, and the only one where there is no x86-64.
LEVELS = {"base": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    LEVELS["v3"] = ["-march=x86-64-v3"]
    LEVELS["v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
# Fewer of them, "base v3" say, for those who change a loop and build it often (CONTRIBUTING.md).
if "NANOBRAGG_BUILD_LEVELS" in os.environ:
    LEVELS = {level: LEVELS[level] for level in os.environ["NANOBRAGG_BUILD_LEVELS"].split()}

# What gcc and clang check while a program runs: memory that is not the program's, and what C leaves undefined.
# `make sanitize` builds such a package and runs the golden cases and a corpus of broken inputs with it.
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1"]
SANITIZED += ["-fasynchronous-unwind-tables"]  # they show the stack
SANITIZE = bool(os.environ.get("NANOBRAGG_SANITIZE"))

#: the module that holds what Cython would otherwise compile into every other one, its memoryviews above all
SHARED = "nanobragg_py.kernels.memory.shared"
#: folders with sources -> packages that they are; kernels/ stands beside nanobragg_py/
FOLDERS = {"kernels": "kernels", "nanobragg_py/flags": "flags"}
#: what Cython makes of the sources
TREE = "build/tree"
C_FILES = "build/c"
SHARED_SOURCE = "nanobragg_py/kernels/memory/shared.c"
TRANSLATION = {
    "include_path": ["."],
    "build_dir": os.path.abspath(C_FILES),
    "language_level": 3,
    "compiler_directives": {"embedsignature": True, "embedsignature.format": "clinic", "binding": False},
}
Options.emit_code_comments = False


def source_of(name):
    """The .pyx file of a module of the package."""
    path = name.replace(".", "/") + ".pyx"
    return path if path.startswith("kernels/") else f"nanobragg_py/{path}"


def module(name, *flags, source=None):
    return Extension(
        f"nanobragg_py.{name}",
        [source or source_of(name)],
        extra_compile_args=list(flags),
        include_dirs=["kernels/files", "kernels/formulas", "kernels/loops", "kernels/noise"],
    )


EXTENSIONS = [
    Extension(SHARED, [SHARED_SOURCE], extra_compile_args=GLUE),
    module("flags.parser", *GLUE),
    module("kernels.memory.buffers", *GLUE),
    module("kernels.loops.job", *FAST),
    module("kernels.loops.sequential", *FAST, *EXACT),
    module("kernels.loops.amorphous", *FAST),
    module("kernels.loops.walk", *FAST, *EXACT),
    module("kernels.files.columns", *GLUE),
    module("kernels.files.hkltext", *FAST),
    module("kernels.files.imagefile", *FAST, *EXACT, *CLIPPING, "-fno-trapping-math"),
    module("kernels.noise.random", *FAST, *EXACT),
    module("kernels.noise.detector", *FAST, *EXACT, "-fno-math-errno"),
]
# The level modules of a name share one source; only the name of the module's initialiser differs.
BY_LEVEL = [
    module(
        f"kernels.{room}.{name}_{level}",
        *FAST,
        *exact,
        *LOOPS,
        *flags,
        source=f"kernels/{room}/{name}.pyx",
    )
    for room, name, exact in (
        ("loops", "render", ORDER),
        ("loops", "gradient", ["-fopenmp-simd"]),
        ("loops", "background", []),
        ("loops", "spread", EXACT),
        ("noise", "poisson", EXACT),
        ("noise", "response", EXACT + CLIPPING),
        ("noise", "philox", EXACT + CLIPPING),
    )
    for level, flags in LEVELS.items()
]


class BuildExtensions(build_ext):
    """Translates with Cython, finds out what the compiler can do, and keeps the objects of the shared source apart."""

    def build_extensions(self):
        openmp = self.accepts(["-fopenmp"], link=["-fopenmp"])
        stripped = STRIPPED if sys.platform != "darwin" and self.accepts([], link=STRIPPED) else []
        accepted = {}
        kept = []
        for extension in self.extensions:
            flags = extension.extra_compile_args
            for flag in flags:  # clang does without some of gcc's
                if flag not in accepted:
                    accepted[flag] = self.accepts([flag])
            if not all(accepted[flag] for flag in flags if flag.startswith("-march")):
                continue  # a compiler that does not know the level: the others serve
            extension.extra_compile_args = [flag for flag in flags if accepted[flag]] + ["-fopenmp"] * openmp
            extension.extra_compile_args += os.environ.get("NANOBRAGG_BUILD_FLAGS", "").split()
            extension.extra_link_args = [*stripped] + ["-fopenmp"] * openmp
            if SANITIZE:
                extension.extra_compile_args += SANITIZED
                extension.extra_link_args = [*SANITIZED, "-fopenmp"]
            kept.append(extension)
        self.extensions[:] = kept
        self.parallel = self.parallel or os.cpu_count()
        self.translate()
        super().build_extensions()

    def run(self):
        super().run()
        if not self.inplace:  # in a checkout, modules are found as ever
            self.write_startup()
            if os.environ.get("NANOBRAGG_BUILD_GPU", "0") != "0":
                self.write_gpu_kernels()

    def write_gpu_kernels(self):
        """Machine code of the GPU's kernels, which takes minutes; without it they are compiled when asked for."""
        path = os.path.join(self.build_lib, "nanobragg_py", "kernels", "loops", "kernels.zip")
        command = [sys.executable, "packaging/gpu_kernels.py", path, os.path.abspath(self.build_lib)]
        base = sysconfig.get_path("purelib")  # where NVRTC is, as the build may be isolated from it
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, base])}
        made = subprocess.run(command, env=environment, capture_output=True, text=True)
        if made.returncode:
            why = made.stderr.strip().rpartition("\n")[2]
            print(f"warning: the GPU's kernels are left to be compiled when they are asked for: {why}", file=sys.stderr)

    def write_startup(self):
        """The file that programs start from (nanobragg_py/startup.py): code of modules, and where compiled ones are."""
        startup = os.path.join(self.build_lib, "nanobragg_py", "startup.py")
        sources = {}
        for name in runpy.run_path(startup)["MODULES"]:
            place = name.replace(".", "/") + ("__init__.py" if name.endswith(".") else ".py")
            text = pathlib.Path(self.build_lib, place).read_bytes()
            # without docstrings and what functions are annotated with, which nobody reads there
            code = compile(without_annotations(text), place, "exec", dont_inherit=True, optimize=2)
            sources[name.rstrip(".")] = place, len(text), marshal.dumps(code)
        names = [extension.name for extension in self.extensions]
        compiled = {name: self.get_ext_filename(name) for name in names}
        path = pathlib.Path(startup).with_suffix(".bin")
        path.write_bytes(marshal.dumps((importlib.util.MAGIC_NUMBER, sources, compiled)))

    def accepts(self, flags, link=()):
        """True when a trivial program compiles (and links, if link flags are given) with these flags."""
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "probe.c")
            with open(source, "w") as file:
                file.write("int main(void) { return 0; }\n")
            command = [*self.compiler.compiler_so, "-Werror", *flags]
            if link:
                command += [*link, source, "-o", os.path.join(folder, "probe")]
            else:
                command += ["-c", source, "-o", os.path.join(folder, "probe.o")]
            return subprocess.run(command, capture_output=True).returncode == 0

    def translate(self):
        """.pyx -> .c, each source once, from a tree that looks like the installed package (cimport wants that)."""
        for folder, name in FOLDERS.items():
            link = os.path.join(TREE, "nanobragg_py", name)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            if os.path.realpath(link) != os.path.realpath(folder):  # none yet, or the tree was copied with its build/
                if os.path.lexists(link):
                    os.unlink(link)
                os.symlink(os.path.abspath(folder), link)
        write_if_changed(os.path.join(TREE, "nanobragg_py", "__init__.py"), "")
        paths = {extension.name: path_in_tree(extension.sources[0]) for extension in self.extensions}
        with contextlib.chdir(TREE):
            # The parser is imported first and has no memoryviews: it is spared the types that the shared module makes.
            kernels = [path for path in {*paths.values()} if path.startswith("nanobragg_py/kernels/")]
            cythonize([path for path in {*paths.values()} if path not in kernels], **TRANSLATION)
            modules = [Extension(name_of(path), [path]) for path in kernels if path != SHARED_SOURCE]
            shared = Extension(SHARED, [SHARED_SOURCE])
            cythonize(
                [shared, *modules], nthreads=self.parallel, shared_utility_qualified_name=SHARED, **TRANSLATION
            )
        for extension in self.extensions:
            c_file = os.path.splitext(os.path.join(C_FILES, paths[extension.name]))[0] + ".c"
            extension.depends = [c_file, *headers_of(c_file, extension.include_dirs)]
            extension.sources = [unit_of(extension.name, c_file)]


class InstallPages(Distribution().get_command_class("install_data")):
    """Completion scripts and man pages, which the package that was just built makes of its own tables."""

    def run(self):
        command = self.get_finalized_command("build")
        folder = os.path.join(command.build_temp, "pages")
        shutil.rmtree(folder, ignore_errors=True)
        built = [os.path.abspath(command.build_lib), *sys.path]
        code = f"import sys; sys.path[:] = {built!r}; from nanobragg_py.cli.pages import write; write({folder!r})"
        made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if made.returncode:  # built for another machine, or numpy is not there
            why = made.stderr.strip().rpartition("\n")[2]
            print(f"warning: completion scripts and man pages are left out: {why}", file=sys.stderr)
        places = [(os.path.relpath(place, folder), place, names) for place, _, names in os.walk(folder) if names]
        self.data_files = [(below, [os.path.join(place, name) for name in names]) for below, place, names in places]
        super().run()


def without_annotations(text):
    """The syntax tree of a module whose functions say nothing of the types of what they take and give."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return tree


def path_in_tree(source):
    """Where a source is in the tree: kernels/loops/render.pyx -> nanobragg_py/kernels/loops/render.pyx."""
    return source if source.startswith("nanobragg_py/") else f"nanobragg_py/{source}"


def name_of(path):
    return os.path.splitext(path)[0].replace("/", ".")


def headers_of(path, folders, found=None):
    """The headers of this project that a C file includes, directly or through others."""
    found = {} if found is None else found
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', pathlib.Path(path).read_text(), re.MULTILINE):
        for folder in (os.path.dirname(path), *folders):
            header = os.path.normpath(os.path.join(folder, name))
            if header not in found and os.path.exists(header):
                found[header] = None
                headers_of(header, folders, found)
                break
    return [*found]


def unit_of(name, c_file):
    """The C file to compile for a module: c_file itself, or for a level of it one that gives it the level's name.

    Objects of one source for several levels would overwrite each other.
    """
    own, shared = name.rpartition(".")[2], os.path.splitext(os.path.basename(c_file))[0]
    if own == shared:
        return c_file
    path = os.path.join(os.path.dirname(c_file), f"{own}.c")
    write_if_changed(path, f'#define PyInit_{shared} PyInit_{own}\n#include "{shared}.c"\n')
    return path


def write_if_changed(path, text):
    """Write a text file, unless it is as it should be: what has not changed is not compiled again."""
    if not (os.path.exists(path) and pathlib.Path(path).read_text() == text):
        pathlib.Path(path).write_text(text)


if __name__ == "__main__":  # and not in a process that translates
    setup(
        ext_modules=BY_LEVEL + EXTENSIONS,  # what takes longest is begun first
        data_files=[("share", [])],  # InstallPages knows which
        cmdclass={"build_ext": BuildExtensions, "install_data": InstallPages},
    )
