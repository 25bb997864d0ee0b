"""The arrays of a rendering on the device: described as data, allocated, filled, and copied back."""

import ctypes
from typing import Any

import numpy as np

from ...records import REQUIRED, Record
from .bands import Cut
from .structs import CARRIED, STATISTICS, shot_bytes
from .variants import REDUCE_THREADS, Variant


class DeviceArray(Record):
    """An array on the device: its name, dtype, shape, and what goes in; zeroed: whether it is 0 otherwise."""

    _fields = {"name": REQUIRED, "dtype": REQUIRED, "shape": REQUIRED, "values": None, "zeroed": False}

    @property
    def nbytes(self) -> Any:
        size = np.dtype(self.dtype).itemsize
        for extent in self.shape:
            size *= extent
        return size


class Packed(Record):
    """Images as they are copied to the device.

    data: bytes of the `nb_shot`s, and behind them, from `inputs` on, the doubles that they have the places of, those of
    the first image's sources first. cells: doubles of all cell vectors. orientations: of the image with most.
    """

    _fields = {"data": REQUIRED, "inputs": REQUIRED, "cells": REQUIRED, "orientations": REQUIRED}


def pack(jobs: Any, overrides: Any = None) -> Packed:
    """Jobs side by side. overrides: None, or a pixel of each that was worked out elsewhere, or None."""
    known: dict[Any, int] = {}  # what several images have in common is there once
    parts: list[Any] = []
    shots: list[bytes] = []
    here = cells = orientations = 0

    def place(values, key):
        nonlocal here
        at = known.get(key)
        if at is None:
            at = known[key] = here
            parts.append(values)
            here += values.size
        return at

    for number, job in enumerate(jobs):
        _, _, phis, rotations, _ = job.rotation
        sources = np.asarray(job.sources)
        tables = np.asarray(job.tables, dtype="f8")
        # the numbers themselves are short; the rotations are the same object where they are the same
        short = sources, tables, np.array(phis, np.float64)
        places = [place(values.reshape(-1), values.tobytes()) for values in short]
        domains = -1
        if rotations is not None:
            domains = place(np.asarray(rotations).reshape(-1), id(rotations))
        shots.append(shot_bytes(job, (*places, domains, cells), overrides and overrides[number]))
        cells += 9 * job.stride
        orientations = max(orientations, len(phis) * job.domains)
    data = b"".join([*shots, *parts])
    return Packed(data=np.frombuffer(data, "u1"), inputs=sum(map(len, shots)), cells=cells, orientations=orientations)


def image_arrays(held: int, width: int, zeroed: bool) -> list[DeviceArray]:
    """`held` rows of the image."""
    return [DeviceArray(name="image", dtype="f4", shape=(held, width), zeroed=zeroed)]


def band_arrays(cut: Cut, segments: int, variant: Variant, images: int = 1) -> list[DeviceArray]:
    """What a band needs: statistics of its blocks and of the levels of their tree, and what launches leave."""
    blocks = cut.rows * segments
    arrays = [statistics("total", images), statistics("partials", images * blocks)]
    for depth, level in enumerate(levels(blocks)):
        arrays.append(statistics(f"level{depth}", images * level))
    if len(cut.slices) > 1:
        shape = (blocks * variant.segment, CARRIED.itemsize)
        arrays.append(DeviceArray(name="carried", dtype="u1", shape=shape))
    return arrays


def statistics(name: str, count: int) -> DeviceArray:
    """An array of nb_statistics: bytes, as CuPy knows no structs."""
    return DeviceArray(name=name, dtype="u1", shape=(count, STATISTICS.itemsize))


def levels(blocks: int) -> list[int]:
    """How many statistics the levels between blocks and total have."""
    found = []
    while blocks > REDUCE_THREADS:
        blocks = -(-blocks // REDUCE_THREADS)
        found.append(blocks)
    return found


def nbytes(arrays: Any) -> Any:
    """Bytes of a list of DeviceArray."""
    return sum(array.nbytes for array in arrays)


def padded(table: Any) -> Any:
    """The table with the slab before its first element, which the kernels read for an index below every axis' range."""
    values = np.asarray(table).ravel()
    first = values.ctypes.data - 8 * table.pad
    pad = np.frombuffer((ctypes.c_char * (8 * table.pad)).from_address(first), "f8")
    return np.concatenate([pad, values])


def allocate(cupy: Any, arrays: Any) -> dict[str, Any]:
    """The arrays on the device, by name, with what goes in copied."""
    made = {}
    for array in arrays:
        if array.values is not None:
            made[array.name] = cupy.asarray(array.values)
        else:
            made[array.name] = (cupy.zeros if array.zeroed else cupy.empty)(array.shape, array.dtype)
    return made


class Lasting:
    """What stays on the device from an image to the next, as long as the same object is asked for."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._known: dict[str, Any] = {}

    def array(self, name: str, value: Any, make: Any) -> Any:
        """`make` of a value on the device, None for None."""
        if value is None:
            return None
        known, array = self._known.get(name, (None, None))
        if known is not value:
            self._known.pop(name, None)  # gives its memory back before more is wanted
            array = self._cupy.asarray(make(value))
            self._known[name] = value, array
        return array


class Staging:
    """Pinned memory of the host, through which arrays come back, in a stream of their own: kernels go on meanwhile."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._memory: Any = None

    def fetch(self, array: Any, out: Any) -> None:
        """Copy an array whose kernels are done into a host array of its shape and type."""
        out[...] = self.view(array)

    def view(self, array: Any) -> Any:
        """What is in an array whose kernels are done, until the next call."""
        if self._memory is None or len(self._memory) < array.nbytes:
            pinned = self._cupy.cuda.alloc_pinned_memory(array.nbytes)
            self._memory = np.frombuffer(pinned, "u1")
        view = self._memory[: array.nbytes].view(array.dtype).reshape(array.shape)
        array.get(stream=self._stream, out=view)
        self._stream.synchronize()
        return view
