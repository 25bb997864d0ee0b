"""A CUDA device through CuPy, and what can go wrong with one, in sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import OptionError

INSTALL = "pip install 'nanobragg-py[gpu12]' for CUDA 12, or 'nanobragg-py[gpu13]' for CUDA 13"


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
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise OptionError(
            "no CUDA device can be used ({error}); check the driver with nvidia-smi, or use {backend} cpu",
            error=first_line(error),
        ) from None
    if number >= count:
        raise OptionError(f"{{device}} {number} does not exist: there are {count} CUDA devices, numbered from 0")
    with clear_errors(cupy):
        cupy.cuda.Device(number).use()
    return cupy


def device_name(cupy: Any, number: Any) -> Any:
    """What the maker calls the device."""
    name = cupy.cuda.runtime.getDeviceProperties(number)["name"]
    return name.decode(errors="replace") if isinstance(name, bytes) else name


@contextmanager
def clear_errors(cupy: Any) -> Iterator[Any]:
    """Turns errors of the device's memory, of the compiler and of the driver into a NanoBraggError each."""
    try:
        yield
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise OptionError(
            "the GPU has not enough memory for this experiment ({error}); free some, or use {backend} cpu",
            error=first_line(error),
        ) from None
    except cupy.cuda.compiler.CompileException as error:
        raise OptionError(
            "the kernels do not compile for this GPU ({error}); please report it, and use {backend} cpu",
            error=first_line(error),
        ) from None
    except (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError) as error:
        raise OptionError(
            "the GPU failed ({error}); try again, or use {backend} cpu", error=first_line(error)
        ) from None


def first_line(error: Any) -> str:
    """The line of an error's text that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in lines if "error" in line.lower()), lines[0])
