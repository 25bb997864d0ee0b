"""The headers with the formulas as a library: compiled by the compiler that Python was built with.

tests/formulas.c makes arrays of the scalars.
"""

import ctypes
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py import kernels
from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.render.backends import LEVELS

KERNELS = Path(kernels.__file__).parent
FLAGS = {"base": [], "v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4"]}
AVAILABLE = LEVELS[: LEVELS.index(processor_level()) + 1]
LONG = np.longdouble


class Formulas:
    """The compiled headers; arrays go in and come out as float64."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        for name in ("solid_angle", "capture", "polarization", "volume", "box_interpolate"):
            getattr(self.library, name).restype = ctypes.c_double

    def __call__(self, name, *arguments):
        return getattr(self.library, name)(*(self.converted(value) for value in arguments))

    @staticmethod
    def converted(value):
        if isinstance(value, np.ndarray):
            assert value.dtype == np.float64 and value.flags.c_contiguous
            return value.ctypes.data_as(ctypes.c_void_p)
        if isinstance(value, float):
            return ctypes.c_double(value)
        return value

    def map(self, name, x, *more):
        x = np.ascontiguousarray(x, float)
        out = np.empty_like(x)
        self(name, x.size, x, *more, out)
        return out


@cache  # modules of tests share it
def compiled(level):
    """The headers, compiled for an instruction-set level."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"what is tested are the formulas' headers, and there is no compiler {compiler[0]} to compile them")
    source = Path(__file__).parent / "formulas.c"
    flags = ["-O3", "-fno-math-errno", "-fno-trapping-math", *FLAGS[level], "-shared", "-fPIC"]
    flags += [f"-I{KERNELS}/formulas", f"-I{KERNELS}/noise"]
    with tempfile.TemporaryDirectory() as folder:
        target = f"{folder}/{level}.so"
        subprocess.run([*compiler, *flags, str(source), "-o", target, "-lm"], check=True)
        return Formulas(target)


def vector(*numbers):
    return np.array(numbers, float)
