"""A CUDA device through CuPy, and what can go wrong with one, in sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import OptionError

INSTALL = "pip install 'nanobragg-py[gpu12]' for CUDA 12, or 'nanobragg-py[gpu13]' for CUDA 13"
#: numbers of cudaError_t (and CUresult, where they are the same) after which the driver refuses everything that this
#: process asks for: uncorrectable memory errors, illegal addresses and instructions, launches cut off or failed
STICKY = frozenset({214, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 720})


def open_device(number: Any) -> Any:
    """CuPy, with device `number` chosen. Raises NanoBraggError that says what to install or what is missing."""
    try:
        import cupy
    except ImportError as error:
        raise OptionError(
            "the GPU backend needs CuPy ({error}); install it with {how}, or use {backend} cpu",
            error=str(error),
            how=INSTALL,
        ) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:  # of CUDA, or of cuda.pathfinder, which finds its libraries
        raise OptionError(
            "no CUDA device can be used ({error}); check the driver with nvidia-smi, or use {backend} cpu",
            error=first_line(error),
        ) from None
    if number >= count:
        raise OptionError(f"{{device}} {number} does not exist: there are {count} CUDA devices, numbered from 0")
    with clear_errors(cupy):
        cupy.cuda.Device(number).use()
    return cupy


def need_compiler(cupy: Any) -> None:
    """Raise NanoBraggError where NVRTC is missing, which a kernel that did not come with the wheel needs."""
    try:
        cupy.cuda.nvrtc.getVersion()
    except (RuntimeError, OSError, ImportError) as error:  # which of them depends on CuPy's version
        raise OptionError(
            "the GPU backend needs NVRTC, CUDA's run-time compiler ({error}); install it with {how}, or use "
            "{backend} cpu",
            error=first_line(error),
            how=INSTALL,
        ) from None


@contextmanager
def clear_errors(cupy: Any) -> Iterator[Any]:
    """Turns errors of the device's memory, of the compiler and of the driver into a NanoBraggError each.

    After a sticky error (`STICKY`) nothing but a new process helps, and the sentence says so.
    """
    try:
        yield
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise OptionError(
            "the GPU has not enough memory for this experiment ({error}); free some, or use {backend} cpu",
            error=first_line(error),
        ) from None
    except (cupy.cuda.compiler.CompileException, cupy.cuda.nvrtc.NVRTCError) as error:
        raise OptionError(
            "the kernels do not compile for this GPU ({error}); please report it, and use {backend} cpu",
            error=first_line(error),
        ) from None
    except (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError) as error:
        sentence = "the GPU failed ({error}); try again, or use {backend} cpu"
        if getattr(error, "status", None) in STICKY:
            sentence = (
                "the GPU failed ({error}) and does nothing more for this process; start the program anew, with "
                "{backend} cpu if it fails again"
            )
        raise OptionError(sentence, error=first_line(error)) from None


def first_line(error: Any) -> str:
    """The line of an error's text that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in lines if "error" in line.lower()), lines[0])
