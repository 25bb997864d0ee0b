"""The extension list and its compiler flags; everything else stands in pyproject.toml."""

import glob
import os
import platform
import subprocess
import tempfile

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

OPTIMISE = ["-O3", "-g0"]
# Without these two gcc will not vectorise loops that convert to integers, compare or take roots: they promise that
# nobody looks at errno or at floating-point exception flags. Values are not changed (as -ffast-math would).
# The third keeps loops that clear an array in vectors: as a call of memset they cost more than a tile is worth.
LOOPS = ["-fno-math-errno", "-fno-trapping-math", "-fno-tree-loop-distribute-patterns"]
# Two clippings in a row stay a minimum and a maximum: gcc would make branches of what follows from the first.
CLIPPING = ["-fno-thread-jumps"]
# What must agree with the reference bit for bit is not fused into multiply-adds.
EXACT = ["-ffp-contract=off"]

# One source, several instruction-set levels; nanobragg_py.render.backends picks one at import. "base" is whatever the
# compiler takes for the least of its machines, and the only one where there is no x86-64.
LEVELS = {"base": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    LEVELS["v3"] = ["-march=x86-64-v3"]
    LEVELS["v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
# Fewer of them, "base v3" say, for those who change a loop and build it often.
if "NANOBRAGG_BUILD_LEVELS" in os.environ:
    LEVELS = {level: LEVELS[level] for level in os.environ["NANOBRAGG_BUILD_LEVELS"].split()}


def source_of(name):
    """The .pyx file of a module of the package: kernels/ stands beside nanobragg_py/, all else is in it."""
    path = name.replace(".", "/") + ".pyx"
    return path if path.startswith("kernels/") else f"nanobragg_py/{path}"


def module(name, *flags, source=None, macros=()):
    return Extension(
        f"nanobragg_py.{name}",
        [source or source_of(name)],
        extra_compile_args=OPTIMISE + list(flags),
        define_macros=list(macros),
        include_dirs=["kernels/formulas", "kernels/noise"],
    )


EXTENSIONS = [
    module("flags.parser"),
    module("kernels.memory.buffers"),
    module("kernels.loops.job"),
    module("kernels.loops.sequential", *EXACT),
    module("kernels.files.hkltext"),
    module("kernels.files.imagefile", *EXACT, *CLIPPING, "-fno-trapping-math"),
    module("kernels.noise.random", *EXACT),
]
# The level modules of a name share one source; only the name of the module's initialiser differs.
BY_LEVEL = [
    module(
        f"kernels.{room}.{name}_{level}",
        *exact,
        *LOOPS,
        *flags,
        source=f"kernels/{room}/{name}.pyx",
        macros=[(f"PyInit_{name}", f"PyInit_{name}_{level}")],
    )
    for room, name, exact in (
        ("loops", "render", []),
        ("noise", "poisson", EXACT),
        ("noise", "philox", EXACT + CLIPPING),
    )
    for level, flags in LEVELS.items()
]


class BuildExtensions(build_ext):
    """Translates with Cython, finds out what the compiler can do, and keeps the objects of the shared source apart."""

    def build_extensions(self):
        openmp = self.accepts(["-fopenmp"], link=["-fopenmp"])
        kept = []
        for extension in self.extensions:
            flags = extension.extra_compile_args
            if not self.accepts(flags):  # clang does without some of gcc's
                extension.extra_compile_args = [flag for flag in flags if self.accepts([flag])]
                if any(flag.startswith("-march") for flag in {*flags} - {*extension.extra_compile_args}):
                    continue  # a compiler that does not know the level: the others serve
            if openmp:
                extension.extra_compile_args = [*extension.extra_compile_args, "-fopenmp"]
                extension.extra_link_args = ["-fopenmp"]
            kept.append(extension)
        self.extensions[:] = kept
        self.translate()
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()

    def translate(self):
        """.pyx -> .c, each source once, in a tree that looks like the installed package (cimport wants that)."""
        tree = os.path.abspath(os.path.join("build", "tree"))
        package = os.path.join(tree, "nanobragg_py")
        os.makedirs(package, exist_ok=True)
        for name, folder in (("kernels", "kernels"), *((room, f"nanobragg_py/{room}") for room in ("flags",))):
            link, folder = os.path.join(package, name), os.path.abspath(folder)
            if os.path.islink(link) and os.readlink(link) != folder:  # of a checkout that was copied or moved
                os.unlink(link)
            if not os.path.islink(link):
                os.symlink(folder, link)
        with open(os.path.join(package, "__init__.py"), "w"):
            pass
        sources = {}
        for extension in self.extensions:
            (source,) = extension.sources
            inside = source.removeprefix("nanobragg_py/")
            name = "nanobragg_py." + os.path.splitext(inside)[0].replace("/", ".")
            sources[source] = Extension(name, [os.path.join(package, inside)])
        translated = cythonize(
            list(sources.values()), include_path=[tree], language_level=3, compiler_directives={"embedsignature": True}
        )
        c_files = {source: done.sources for source, done in zip(sources, translated, strict=True)}
        for extension in self.extensions:
            extension.depends = glob.glob("kernels/*/*.h")
            extension.sources = list(c_files[extension.sources[0]])

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


setup(ext_modules=EXTENSIONS + BY_LEVEL, cmdclass={"build_ext": BuildExtensions})
