"""The extension list and its compiler flags; everything else stands in pyproject.toml."""

import ast
import contextlib
import gc
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
from concurrent.futures import ThreadPoolExecutor

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

# Debugging information and symbols of modules that export one function are most of an installation's size.
# So are the tables that unwind stacks, which C that raises nothing does without, and the blanks between segments.
# Names that are for no other file need no table to look them up.
PLAIN = ["-g0", "-fno-asynchronous-unwind-tables", "-fvisibility=hidden"]
STRIPPED = ["-Wl,-s", "-Wl,-z,noseparate-code"]
# Without passes that take the compiler an eighth of its time and gain nothing where few loops, or none, take long.
BRIEF = ["-fno-gcse", "-fno-schedule-insns2", "-fno-tree-dominator-opts", "-fno-tree-vrp"]
# Modules that call others and convert arguments are as fast small, and compile in half the time.
GLUE = ["-Os", *BRIEF, "-fno-thread-jumps", "-fno-tree-fre", "-fno-tree-pre", *PLAIN]
# Those that work out a little besides, or do a lot one after the other, which vectors do not speed up.
SERIAL = ["-O1", *PLAIN]
FAST = ["-O3", *PLAIN]
# Vectors without what -O3 does besides, where that gains nothing and takes the compiler a quarter longer.
VECTORS = ["-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic"]
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
    # Processors from before 2013 are not worth the compiler's longest work; images take some per cent longer there.
    LEVELS["base"] = [*VECTORS, *BRIEF, "-fno-schedule-insns"]
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
    "compiler_directives": {
        "auto_pickle": False,
        "binding": False,
        "embedsignature": True,
        "embedsignature.format": "clinic",
    },
}


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
    module("kernels.loops.job", *SERIAL),
    module("kernels.loops.sequential", *SERIAL, *EXACT),
    module("kernels.loops.amorphous", *VECTORS, *BRIEF, *PLAIN),
    module("kernels.loops.walk", *FAST, *EXACT),
    module("kernels.files.columns", *GLUE),
    module("kernels.files.hkltext", *FAST),
    module("kernels.files.imagefile", *FAST, *EXACT, *CLIPPING, "-fno-trapping-math"),
    module("kernels.noise.random", *SERIAL, *EXACT),
    module("kernels.noise.detector", *FAST, *EXACT, "-fno-math-errno"),
]
# Modules whose loops are compiled once for each level (kernels/loops/nb_levels.h), and what these are compiled with.
BY_LEVEL = {
    "kernels.loops.render": ORDER,
    "kernels.loops.gradient": ["-fopenmp-simd", *VECTORS],
    "kernels.loops.background": [],
    "kernels.loops.spread": EXACT,
    "kernels.noise.poisson": EXACT + CLIPPING,
    "kernels.noise.response": EXACT + CLIPPING,
    "kernels.noise.philox": EXACT + CLIPPING + VECTORS,
}
EXTENSIONS += [module(name, *GLUE, *EXACT) for name in BY_LEVEL]
#: modules that an installation has in one file, and where that is
STARTUP = runpy.run_path("nanobragg_py/startup.py")
TOGETHER = STARTUP["TOGETHER"]
TOGETHER_FILE = f"nanobragg_py/{STARTUP['TOGETHER_FILE']}"


class BuildExtensions(build_ext):
    """Translates with Cython, finds out what the compiler can do, and keeps the objects of the shared source apart."""

    def build_extensions(self):
        openmp = self.accepts(["-fopenmp"], link=["-fopenmp"])
        stripped = STRIPPED if sys.platform != "darwin" and self.accepts([], link=STRIPPED) else []
        accepted = {}

        def known(flags):
            unknown = [flag for flag in flags if flag not in accepted]
            together = len(unknown) > 1 and self.accepts(unknown)
            for flag in unknown:  # clang does without some of gcc's
                accepted[flag] = together or self.accepts([flag])
            flags = [flag for flag in flags if accepted[flag]] + ["-fopenmp"] * openmp
            return flags + os.environ.get("NANOBRAGG_BUILD_FLAGS", "").split() + SANITIZED * SANITIZE

        # a compiler may not know a level: the others serve
        levels = {level: flags for level, flags in LEVELS.items() if level == "base" or flags[0] in known(flags[:1])}
        known([flag for extension in self.extensions for flag in extension.extra_compile_args])  # most of them, at once
        known([*LOOPS, *LEVELS.get("base", []), *(flag for flags in BY_LEVEL.values() for flag in flags)])
        for extension in self.extensions:
            extension.extra_compile_args = known(extension.extra_compile_args)
            extension.extra_link_args = [*SANITIZED, "-fopenmp"] if SANITIZE else [*stripped] + ["-fopenmp"] * openmp
        self.parallel = self.parallel or os.cpu_count()
        self.translate()
        loops = {}
        for extension in self.extensions:
            flags = BY_LEVEL.get(extension.name.removeprefix("nanobragg_py."))
            if flags is None:
                continue
            (c_file,) = extension.sources
            for level in levels:
                # the one name that Cython gives to other units
                main = f"__pyx_module_is_main_{extension.name.replace('.', '__')}"
                loops[unit_of(c_file, level, f"#define NB_LEVEL {level}\n#define {main} {main}_{level}")] = (
                    known([*FAST, *flags, *LOOPS, *levels[level]]),
                    extension,
                )
            module = "".join(f" level({level})" for level in levels)
            extension.sources = [unit_of(c_file, "module", f"#define NB_LEVELS(level){module}")]
        for extension in self.together:  # not linked, and each has flags of its own
            loops[extension.sources[0]] = extension.extra_compile_args, extension
        with ThreadPoolExecutor(self.parallel) as pool:  # what takes longest is begun first
            made = [pool.submit(self.compile_unit, unit, *how) for unit, how in loops.items()]
        for (_, extension), one in zip(loops.values(), made, strict=True):
            extension.extra_objects.append(one.result())
            extension.depends.append(one.result())
        self.extensions = [extension for extension in self.extensions if extension not in self.together]
        super().build_extensions()
        if self.together:
            self.link_together()

    def compile_unit(self, unit, flags, extension):
        """The object of a C file of an extension, compiled anew if anything that it is made of is newer."""
        (path,) = self.compiler.object_filenames([unit], output_dir=self.build_temp)
        if self.force or newer_group([unit, *extension.depends], path, "newer"):
            folders = extension.include_dirs
            self.compiler.compile([unit], self.build_temp, include_dirs=folders, extra_postargs=flags)
        return path

    def run(self):
        # in a checkout, each module has a file of its own
        self.together = [one for one in self.extensions if one.name in TOGETHER and not self.inplace]
        super().run()
        if not self.inplace:
            made = {os.path.normpath(path) for path in self.get_outputs()}
            # modules that there once were, where builds are kept
            for path in pathlib.Path(self.build_lib).rglob("*.so"):
                if os.path.normpath(path) not in made:
                    path.unlink()
            self.write_startup()
            if os.environ.get("NANOBRAGG_BUILD_GPU", "0") != "0":
                self.write_gpu_kernels()

    def get_outputs(self):
        if self.inplace:
            return super().get_outputs()
        apart = {self.get_ext_fullpath(name) for name in TOGETHER}
        return sorted({*super().get_outputs(), self.path_of_together()} - apart)

    def path_of_together(self):
        return os.path.join(self.build_lib, *TOGETHER_FILE.split("/"))

    def link_together(self):
        """One file of several modules, which exports what each of theirs would."""
        path, one = self.path_of_together(), self.together[0]
        objects = [each for extension in self.together for each in extension.extra_objects]
        if self.force or newer_group(objects, path, "newer"):
            how = {"libraries": self.get_libraries(one), "library_dirs": one.library_dirs}
            self.compiler.link_shared_object(objects, path, extra_postargs=one.extra_link_args, **how)

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
        sources, pieces = {}, []
        for number, names in enumerate(runpy.run_path(startup)["MODULES"]):
            piece = {}
            for name in names:
                place = name.replace(".", "/") + ("__init__.py" if name.endswith(".") else ".py")
                text = pathlib.Path(self.build_lib, place).read_bytes()
                # without docstrings and what functions are annotated with, which nobody reads there
                code = compile(without_annotations(text), place, "exec", dont_inherit=True, optimize=2)
                # read back, equal strings are one
                piece[name.rstrip(".")] = marshal.loads(marshal.dumps(code))
                sources[name.rstrip(".")] = place, len(text), number
            pieces.append(marshal.dumps(piece))
        names = [extension.name for extension in self.extensions]
        compiled = {name: self.get_ext_filename(name) for name in names}
        compiled |= dict.fromkeys(TOGETHER, TOGETHER_FILE)
        head = marshal.dumps((importlib.util.MAGIC_NUMBER, sources, [len(piece) for piece in pieces], compiled))
        path = pathlib.Path(startup).with_suffix(".bin")
        path.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(pieces))

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
        from Cython.Build import cythonize  # and not where a build's front end asks what is needed
        from Cython.Compiler import Options

        Options.emit_code_comments = False
        for folder, name in FOLDERS.items():
            link = os.path.join(TREE, "nanobragg_py", name)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            if os.path.realpath(link) != os.path.realpath(folder):  # none yet, or the tree was copied with its build/
                if os.path.lexists(link):
                    os.unlink(link)
                os.symlink(os.path.abspath(folder), link)
        write_if_changed(os.path.join(TREE, "nanobragg_py", "__init__.py"), "")
        paths = {extension.name: path_in_tree(extension.sources[0]) for extension in self.extensions}
        # trees of syntax last until their file is written: to look for garbage among them took a third of the time
        gc.disable()
        with contextlib.chdir(TREE):
            # The parser is imported first and has no memoryviews: it is spared the types that the shared module makes.
            kernels = [path for path in {*paths.values()} if path.startswith("nanobragg_py/kernels/")]
            cythonize([path for path in {*paths.values()} if path not in kernels], **TRANSLATION)
            modules = [Extension(name_of(path), [path]) for path in kernels if path != SHARED_SOURCE]
            shared = Extension(SHARED, [SHARED_SOURCE])
            cythonize(
                [shared, *modules], nthreads=self.parallel, shared_utility_qualified_name=SHARED, **TRANSLATION
            )
        gc.enable()
        for extension in self.extensions:
            c_file = os.path.splitext(os.path.join(C_FILES, paths[extension.name]))[0] + ".c"
            extension.depends = [c_file, *headers_of(c_file, extension.include_dirs)]
            extension.sources = [c_file]


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
    """The syntax tree of a module whose functions say nothing of the types of what they take and give.

    Without what is for type checkers alone, too.
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef)):
            node.body = [each for each in node.body if not for_checkers(each)]
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return tree


def for_checkers(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


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


def unit_of(c_file, name, lines):
    """A C file beside another, which it includes after lines of its own: the objects of both can be there at once."""
    path = f"{os.path.splitext(c_file)[0]}_{name}.c"
    write_if_changed(path, f'{lines}\n#include "{os.path.basename(c_file)}"\n')
    return path


def write_if_changed(path, text):
    """Write a text file, unless it is as it should be: what has not changed is not compiled again."""
    if not (os.path.exists(path) and pathlib.Path(path).read_text() == text):
        pathlib.Path(path).write_text(text)


if __name__ == "__main__":  # and not in a process that translates
    setup(
        ext_modules=EXTENSIONS,
        data_files=[("share", [])],  # InstallPages knows which
        cmdclass={"build_ext": BuildExtensions, "install_data": InstallPages},
    )
