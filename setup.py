"""The extension list and its compiler flags; everything else stands in pyproject.toml."""

import glob
import os
import platform
import subprocess
import tempfile

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

OPTIMISE = ["-O3"]
# Without these two gcc will not vectorise loops that convert to integers, compare or take roots: they promise that
# nobody looks at errno or at floating-point exception flags. Values are not changed (as -ffast-math would).
# The third keeps loops that clear an array in vectors: as a call of memset they cost more than a tile is worth.
LOOPS = ["-fno-math-errno", "-fno-trapping-math", "-fno-tree-loop-distribute-patterns"]
# Two clippings in a row stay a minimum and a maximum: gcc would make branches of what follows from the first.
CLIPPING = ["-fno-thread-jumps"]
# What must agree with the reference bit for bit is not fused into multiply-adds.
EXACT = ["-ffp-contract=off"]

# One source, several instruction-set levels; nanobragg_py.backends picks one at import. "base" is whatever the
# compiler takes for the least of its machines, and the only one where there is no x86-64.
LEVELS = {"base": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    LEVELS["v3"] = ["-march=x86-64-v3"]
    LEVELS["v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]


def module(name, *flags, source=None, macros=()):
    return Extension(
        f"nanobragg_py.{name}",
        [source or name.replace(".", "/") + ".pyx"],
        extra_compile_args=OPTIMISE + list(flags),
        define_macros=list(macros),
        include_dirs=["kernels"],
    )


EXTENSIONS = [
    module("kernels.buffers"),
    module("kernels.job"),
    module("kernels.hkltext"),
    module("kernels.imagefile", *EXACT, *CLIPPING, "-fno-trapping-math"),
    module("kernels.random", *EXACT),
    module("kernels.sequential", *EXACT),
    module("cli.parser"),
]
# The level modules of a name share one source; only the name of the module's initialiser differs.
BY_LEVEL = [
    module(
        f"kernels.{name}_{level}",
        *exact,
        *LOOPS,
        *flags,
        source=f"kernels/{name}.pyx",
        macros=[(f"PyInit_{name}", f"PyInit_{name}_{level}")],
    )
    for name, exact in (("render", []), ("noise", EXACT), ("philox", EXACT + CLIPPING))
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
        super().build_extensions()

    def translate(self):
        """.pyx -> .c, each source once, in a tree that looks like the installed package (cimport wants that)."""
        tree = os.path.abspath(os.path.join("build", "tree"))
        package = os.path.join(tree, "nanobragg_py")
        os.makedirs(package, exist_ok=True)
        for name in ("kernels", "cli"):
            link = os.path.join(package, name)
            if not os.path.islink(link):
                os.symlink(os.path.abspath(name), link)
        with open(os.path.join(package, "__init__.py"), "w"):
            pass
        sources = {}
        for extension in self.extensions:
            (source,) = extension.sources
            name = "nanobragg_py." + os.path.splitext(source)[0].replace("/", ".")
            sources[source] = Extension(name, [os.path.join(package, source)])
        translated = cythonize(
            list(sources.values()), include_path=[tree], language_level=3, compiler_directives={"embedsignature": True}
        )
        c_files = {source: done.sources for source, done in zip(sources, translated, strict=True)}
        for extension in self.extensions:
            extension.depends = [*glob.glob("kernels/*.h")]
            extension.sources = list(c_files[extension.sources[0]])

    def build_extension(self, extension):
        shared, self.build_temp = self.build_temp, os.path.join(self.build_temp, extension.name)
        super().build_extension(extension)
        self.build_temp = shared

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
