"""Inputs of the tools for images and orientations: files of every format, damaged, and names with odd numbers."""

import functools
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from breaking import broken_bytes, broken_text, broken_value
from harness import Input, kind

sys.path.append(os.fspath(Path(__file__).parent.parent))

HEADER_WORDS = (
    "HEADER_BYTES=512;",
    "TYPE=signed_long;",
    "Data_type=float IEEE;",
    "BYTE_ORDER=big_endian;",
    "SIZE1=",
    "DIM=3;\nSIZE3=2;",
    "COMPRESSION=",
    "PIXEL_SIZE=",
    "BEAM_CENTER_X=",
    "DIALS_ORIGIN=",
    "# Beam_xy (",
    "# Pixel_size 0",
    "Count_cutoff",
    "X-Binary-Size-Fastest-Dimension: 99999999999",
    "X-Binary-Element-Type: ",
    "_axis.vector[1]",
    "loop_",
    "ELEMENT_X",
)
#: bytes in which most of a file's structure is
START = 1500


@functools.cache
def made():
    """{name: bytes} of a small image in every format that is written, and of orientations."""
    import images

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        picture = images.render(folder)
        for name in ("a.cbf", "a.h5", "a.npy", "a.tif", "a.png", "a.pgm"):
            images.tool("convert", picture, "--out", folder / name)
        flags = ["--", *images.FLAGS]
        images.tool("convert", folder / "image.bin", "--out", folder / "full.cbf", *flags, "-twotheta", "9")
        for form, name in (("dials", "A.expt"), ("xds", "XPARM.XDS"), ("mosflm", "m.mat"), ("mat", "A.mat")):
            images.tool("matrix", "--to", form, "--out", folder / name, *flags)
        np.save(folder / "stack.npy", np.arange(24, dtype=np.int32).reshape(2, 3, 4))
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def damaged(numbers, data):
    """Bytes changed where the structure is, or anywhere; text changed in what is text at its start."""
    if numbers.random() < 0.5 and data[:200].isascii():
        head, tail = data[:START], data[START:]
        return broken_text(numbers, head.decode("latin-1"), words=HEADER_WORDS) + tail
    if numbers.random() < 0.7:
        return broken_bytes(numbers, data[:START]) + data[START:]
    return broken_bytes(numbers, data)


@kind("picture")
def picture(numbers):
    """The tools that read images, and every format."""
    import bz2
    import gzip

    name = numbers.choice([name for name in made() if not name.endswith((".mat", ".expt", ".XDS"))])
    data = damaged(numbers, made()[name])
    wrap = numbers.random()
    if wrap < 0.1:
        name, data = (f"{name}.gz", gzip.compress(data)) if wrap < 0.05 else (f"{name}.bz2", bz2.compress(data))
        if numbers.random() < 0.5:
            data = broken_bytes(numbers, data)
    number = numbers.choice(["#0", "#1", "#99", "#-1", "#", "#999999999"]) if numbers.random() < 0.15 else ""
    shape = ["--shape", "90x70"] if numbers.random() < 0.3 else []
    tail = numbers.choice(
        [
            ["info"],
            ["info", "--json", "--header"],
            ["view", "--out", "o.png"],
            *(["convert", "--out", f"o{ending}"] for ending in (".img", ".cbf", ".h5", ".npy", ".tif", ".pgm", ".bin")),
        ]
    )
    return Input("nanobragg-py", [tail[0], name + number, *tail[1:], *shape], {name: data})


@kind("orientation")
def orientation(numbers):
    """Matrices, experiment lists and XPARM.XDS."""
    name = numbers.choice([name for name in made() if name.endswith((".mat", ".expt", ".XDS"))])
    if name.endswith(".expt") and numbers.random() < 0.6:
        data = json.dumps(broken_value(numbers, json.loads(made()[name]))).encode()
    else:
        data = broken_text(numbers, made()[name].decode())
    words = ["matrix", name, "--to", numbers.choice(["mat", "mosflm", "dials", "xds"])]
    return Input("nanobragg-py", words, {name: data})
