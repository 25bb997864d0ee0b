"""The kernels' source and their compile-time choices."""

import os
import zlib
from typing import Any

from ... import kernels
from ...kernels.loops.job import TRANSFORMS
from ...records import REQUIRED, Record

KERNELS = os.path.dirname(os.path.abspath(kernels.__file__))
#: where the .cu files are, and the folders of the headers they include
FOLDER = os.path.join(KERNELS, "loops")
HEADERS = tuple(os.path.join(KERNELS, room) for room in ("formulas", os.path.join("formulas", "shapes"), "noise"))

#: names of the values that the macro NB_STRUCTURE of kernels/loops/intensity.cu takes, by their numbers in nb_job.h;
#: those of NB_KIND are TRANSFORMS
STRUCTURES = ("constant", "nearest", "tricubic")
#: threads a block: of the intensity kernel (but see `Variant.threads`) and those without choices, and of the reduction
THREADS = 128
REDUCE_THREADS = 256
#: transforms that take fewest instructions in float32
SHORT = ("square_555", "gauss")


class Variant(Record):
    """The compile-time choices of kernels/loops/intensity.cu.

    kind, structure: places in TRANSFORMS and STRUCTURES. curved: the detector. single: lattice transforms in float32.
    """

    _fields = {
        "kind": REQUIRED,
        "structure": REQUIRED,
        "curved": False,
        "single": False,
    }

    @property
    def macros(self) -> Any:
        """-D options that make the choices."""
        chosen = tuple(f"-DNB_{name.upper()}={int(getattr(self, name))}" for name in self._fields)
        return (*chosen, f"-DNB_PIXELS={self.pixels}")

    @property
    def pixels(self) -> int:
        """Of a thread: two; four in float32 where it is soonest done; one where structure factors are interpolated."""
        if STRUCTURES[self.structure] == "tricubic":
            return 1
        return 4 if self.single and self.structure == 0 and TRANSFORMS[self.kind] in SHORT else 2

    @property
    def threads(self) -> int:
        """Of a block."""
        return THREADS // 2 if self.pixels == 4 else THREADS

    @property
    def segment(self) -> int:
        """Pixels that a block renders."""
        return self.threads * self.pixels

    @property
    def name(self) -> str:
        """A name for people and for the table of budgets, such as "square_555-constant-curved"."""
        flags = [name for name in ("curved", "single") if getattr(self, name)]
        return "-".join([TRANSFORMS[self.kind], STRUCTURES[self.structure], *flags])


def all_variants() -> list[Any]:
    """Every choice that a job can come to."""
    return [
        Variant(
            kind=kind,
            structure=structure,
            curved=bool(flags & 1),
            single=bool(flags & 2),
        )
        for kind in range(len(TRANSFORMS))
        for structure in range(len(STRUCTURES))
        for flags in range(4)
    ]


def source(name: str) -> str:
    """The text of loops/`name`.cu, and a comment that changes with the headers: CuPy's cache knows texts only."""
    digest = 0
    for folder in HEADERS:
        for header in sorted(os.listdir(folder)):
            if header.endswith(".h"):
                with open(os.path.join(folder, header), "rb") as file:
                    digest = zlib.crc32(file.read(), digest)
    with open(os.path.join(FOLDER, name + ".cu"), encoding="ascii") as file:
        return f"{file.read()}\n/* headers {digest:08x} */\n"


def options(macros: Any = (), exact: bool = False) -> Any:
    """Compiler options. exact: no fused multiply-adds, for what has to agree with the CPU bit for bit."""
    return ("--std=c++14", *(f"-I{folder}" for folder in HEADERS), *macros, *(("--fmad=false",) if exact else ()))
