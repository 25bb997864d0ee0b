"""What the host module uses of CuPy, on numpy arrays and on kernels that g++ compiled: a device that every machine has.

It is stricter than CuPy: arguments are checked against the kernel's own, arrays lie between guards that are looked at
after every launch, and host arrays are not taken for device arrays.
"""

import ctypes
import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np

from nanobragg_py.kernels.loops.job import processor_level

FOLDER = os.path.dirname(os.path.abspath(__file__))
#: where compiled kernels are kept; tests may point it elsewhere
BUILD = os.environ.get("NANOBRAGG_EMULATED_BUILD") or os.path.join(FOLDER, "..", "..", "build", "emulated")
#: further flags for g++, for builds with sanitizers
FLAGS = os.environ.get("NANOBRAGG_EMULATED_FLAGS", "").split()
#: bytes of memory the device pretends to have
MEMORY = int(os.environ.get("NANOBRAGG_EMULATED_MEMORY", 1 << 30))

#: how many devices there are, and the number of the one that is chosen, of each with-statement
DEVICES = 1
CHOSEN = [0]
#: streams of with-statements
STREAMS = []
#: what has been launched: (kernel, grid); and on which devices
LAUNCHES = []
USED = set()
#: bytes that have been copied to the device, and back
COPIED = {"in": 0, "out": 0}
#: what the device says of itself: two multiprocessors of a slow sort
ATTRIBUTES = {"MultiProcessorCount": 2, "ClockRate": 1_000_000, "SingleToDoublePrecisionPerfRatio": 2}

GUARD = 4096
FILL = 0xA5


class CUDARuntimeError(RuntimeError):
    """An error of a launch. status: its number."""

    def __init__(self, text, status=None):
        super().__init__(text)
        self.status = status


class CUDADriverError(CUDARuntimeError):
    """An error of the driver."""


class NVRTCError(RuntimeError):
    """An error of the compiler that is not about the text."""


class CompileException(Exception):
    """The compiler's log."""


class OutOfMemoryError(MemoryError):
    """The device's memory is used up."""


class Memory:
    """Bytes between two guards."""

    used = 0

    def __init__(self, nbytes):
        if Memory.used + nbytes > MEMORY:
            raise OutOfMemoryError(f"Out of memory allocating {nbytes} bytes (allocated so far: {Memory.used} bytes).")
        self.nbytes = nbytes
        self.device, self.stream = Device(CHOSEN[-1]), get_current_stream()
        Memory.used += nbytes
        self.whole = np.full(nbytes + 2 * GUARD, FILL, np.uint8)
        self.bytes = self.whole[GUARD : GUARD + nbytes]

    def __del__(self):
        if hasattr(self, "whole"):
            Memory.used -= self.nbytes

    def intact(self):
        return (self.whole[:GUARD] == FILL).all() and (self.whole[GUARD + self.nbytes :] == FILL).all()


class ndarray:
    """An array on the device: of the host's functions it takes none."""

    def __init__(self, memory, host):
        self._memory, self._host = memory, host
        self.device, self.stream = memory.device, memory.stream
        self.shape, self.dtype, self.nbytes, self.size = host.shape, host.dtype, host.nbytes, host.size

    def __getitem__(self, key):
        part = self._host[key]
        assert part.flags.c_contiguous
        return ndarray(self._memory, part)

    def __len__(self):
        return self.shape[0]

    def get(self, stream=None, out=None):
        COPIED["out"] += self.nbytes
        if out is None:
            return self._host.copy()
        assert out.flags.c_contiguous and out.dtype == self.dtype and out.shape == self.shape
        out[...] = self._host
        return out

    def set(self, values):
        assert isinstance(values, np.ndarray) and values.dtype == self.dtype and values.shape == self.shape
        COPIED["in"] += self.nbytes
        self._host[...] = values

    def fill(self, value):
        self._host.fill(value)


def empty(shape, dtype):
    dtype = np.dtype(dtype)
    assert dtype.kind in "biuf", f"CuPy has no arrays of {dtype}"
    memory = Memory(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
    return ndarray(memory, memory.bytes.view(dtype).reshape(shape))


def zeros(shape, dtype):
    array = empty(shape, dtype)
    array.fill(0)
    return array


def asarray(values):
    assert isinstance(values, np.ndarray)
    array = empty(values.shape, values.dtype)
    array.set(values)
    return array


class RawModule:
    """Kernels compiled by g++ from the text that NVRTC would have got."""

    def __init__(self, *, code, options=(), backend="nvrtc"):
        assert backend == "nvrtc"
        self.code, self.options = code, options
        self._library = None

    def get_function(self, name):
        if self._library is None:
            self._library = ctypes.CDLL(build(self.code, self.options))
        return RawKernel(getattr(self._library, f"launch_{name}"), name)


class Module:
    """Kernels of machine code that is at hand; g++'s stands for a device's."""

    def load(self, code):
        if not code.startswith(b"\x7fELF"):
            raise CUDADriverError("CUDA_ERROR_INVALID_IMAGE: device kernel image is invalid", 200)
        with tempfile.NamedTemporaryFile(suffix=".so") as file:
            file.write(code)
            file.flush()
            self._library = ctypes.CDLL(file.name)

    def get_function(self, name):
        return RawKernel(getattr(self._library, f"launch_{name}"), name)


def build(code, options):
    """Compile to a shared library, unless that has been done; its path."""
    kernels = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(", code)
    text = '#include "emulated_cuda.h"\n#line 1 "kernel.cu"\n' + code
    for name in kernels:
        text += (
            f'\nextern "C" int launch_{name}(void **arguments, const size_t *sizes, size_t n, const unsigned *shape)'
            f"\n{{ return emulated::launch({name}, arguments, sizes, n, shape); }}\n"
        )
    flags = [option for option in options if option.startswith(("-D", "-I"))]
    # as on a device, products and sums are fused unless --fmad=false says otherwise
    processor = [] if processor_level() == "base" else ["-march=x86-64-v3"]
    exact = ["-ffp-contract=off"] if "--fmad=false" in options else []
    command = ["g++", "-std=c++17", "-O2", "-g1", "-fPIC", "-shared", "-Wall", "-Werror", "-Wno-unknown-pragmas",
               "-Wno-unused-function", "-Wno-unused-variable", "-U_FORTIFY_SOURCE",  # longjmp between fibres
               f"-I{FOLDER}", *processor, *flags, *exact, *FLAGS]
    headers = [Path(FOLDER, name).read_text() for name in ("emulated_cuda.h", "nb_device.h")]
    key = hashlib.sha256(repr((headers, text, command)).encode()).hexdigest()[:24]
    path = os.path.join(BUILD, f"{key}.so")
    if not os.path.exists(path):
        os.makedirs(BUILD, exist_ok=True)
        with open(f"{path}.lock", "w") as lock:  # tests that run side by side want the same kernels
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(path):
                compile_to(path, command, text)
    return path


def compile_to(path, command, text):
    partial = f"{path}.{os.getpid()}"
    done = subprocess.run([*command, "-x", "c++", "-", "-o", partial], input=text, capture_output=True, text=True)
    if done.returncode:
        raise CompileException(done.stderr)
    os.replace(partial, path)


class RawKernel:
    """One kernel. Arguments: device arrays, numpy scalars, and numpy arrays without dimensions for structs by value."""

    def __init__(self, launch, name):
        self._launch, self.name = launch, name

    def __call__(self, grid, block, args, *, shared_mem=0):
        assert shared_mem == 0
        grid, block = (tuple(grid) + (1, 1))[:3], (tuple(block) + (1, 1))[:3]
        if min(grid) < 1 or grid[0] >= 2**31 or max(grid[1:]) > 65535 or np.prod(block) > 1024:
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument", 1)
        LAUNCHES.append((self.name, grid))
        USED.add(CHOSEN[-1])
        kept = [self._bytes(argument) for argument in args]
        pointers = (ctypes.c_void_p * len(kept))(*[data.ctypes.data for data in kept])
        sizes = (ctypes.c_size_t * len(kept))(*[data.nbytes for data in kept])
        status = self._launch(pointers, sizes, ctypes.c_size_t(len(kept)), (ctypes.c_uint * 6)(*grid, *block))
        if status == 2:
            raise TypeError(f"{self.name}: arguments of {[data.nbytes for data in kept]} bytes are not the kernel's")
        if status:
            raise CUDARuntimeError(f"{self.name}: a barrier was not reached by every thread of the block")
        for argument in args:
            if isinstance(argument, ndarray) and argument.device.id != CHOSEN[-1]:
                raise CUDARuntimeError(f"cudaErrorIllegalAddress: an array of {self.name} is on another device", 700)
            if isinstance(argument, ndarray) and not argument._memory.intact():
                raise CUDARuntimeError(f"cudaErrorIllegalAddress: {self.name} wrote beside an array", 700)

    @staticmethod
    def _bytes(argument):
        if isinstance(argument, ndarray):
            return np.array(argument._host.ctypes.data, np.uint64)
        if isinstance(argument, np.generic) or (isinstance(argument, np.ndarray) and argument.shape == ()):
            return np.array(argument)
        raise TypeError(f"{type(argument)} is no kernel argument")


class Device:
    """One of the devices, which are all the same."""

    compute_capability = "80"

    def __init__(self, number=0):
        assert 0 <= number < DEVICES
        self.id = number

    def use(self):
        CHOSEN[-1] = self.id

    def __enter__(self):
        CHOSEN.append(self.id)
        return self

    def __exit__(self, *error):
        CHOSEN.pop()

    @property
    def mem_info(self):
        return MEMORY - Memory.used, MEMORY

    def synchronize(self):
        pass


class Stream:
    """Everything is done at once here."""

    def __init__(self, non_blocking=False):
        pass

    def __enter__(self):
        STREAMS.append(self)
        return self

    def __exit__(self, *error):
        STREAMS.pop()

    def synchronize(self):
        pass


DEFAULT_STREAM = Stream()


def get_current_stream():
    return STREAMS[-1] if STREAMS else DEFAULT_STREAM


def alloc_pinned_memory(nbytes):
    return bytearray(nbytes)


class MemoryPool:
    """Gives freed memory back, as there is no pool."""

    def free_all_blocks(self):
        pass


def get_default_memory_pool():
    return MemoryPool()


def install():
    """Become the module `cupy` of this process."""
    cupy = types.ModuleType("cupy")
    for name in ("ndarray", "empty", "zeros", "asarray", "RawModule", "RawKernel", "get_default_memory_pool"):
        setattr(cupy, name, globals()[name])
    cupy.cuda = types.SimpleNamespace(
        Device=Device,
        Stream=Stream,
        get_current_stream=get_current_stream,
        alloc_pinned_memory=alloc_pinned_memory,
        runtime=types.SimpleNamespace(
            getDeviceCount=lambda: DEVICES,
            CUDARuntimeError=CUDARuntimeError,
            getDeviceProperties=lambda number: {"name": b"emulated by g++"},
            deviceGetAttribute=lambda what, number: ATTRIBUTES[what],
            **{f"cudaDevAttr{what}": what for what in ATTRIBUTES},
        ),
        driver=types.SimpleNamespace(CUDADriverError=CUDADriverError),
        function=types.SimpleNamespace(Module=Module),
        compiler=types.SimpleNamespace(CompileException=CompileException),
        nvrtc=types.SimpleNamespace(getVersion=lambda: (12, 9), NVRTCError=NVRTCError),
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    )
    sys.modules["cupy"] = cupy
    return cupy
