"""Files that promise more than they hold, and files that are none."""

import os
import resource
import struct
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pytest
from field_files import refused

from nanobragg_py.files.formats import cbf

# ---- what promises too much, and what is none ----------------------------------------------------------------------


def huge_hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (10**6, 10**6, 10**6), "u2", chunks=(1, 100, 100), compression="gzip")


def huge_chunk(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (10**6, 100, 100), "u2", chunks=(200000, 100, 100), compression="gzip")


def png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def tiff(width, height):
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 16),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (279, 4, 64),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags)) + entries + bytes(68)


def cbf_promise(fast, slow):
    sizes = f"X-Binary-Size-Fastest-Dimension: {fast}\nX-Binary-Size-Second-Dimension: {slow}\n"
    return f"###CBF\nx-CBF_BYTE_OFFSET\n{sizes}".encode() + cbf.BINARY_START + bytes(50)


def npy_promise(*shape):
    text = f"{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(64)


PROMISES = {
    "smv": b"{\nHEADER_BYTES=512;\nSIZE1=1000000;\nSIZE2=1000000;\n}".ljust(2000),
    "smv-types": b"{\nHEADER_BYTES=512;\nSIZE1=30000;\nSIZE2=30000;\nTYPE=float;\n}".ljust(2000),
    "smv-stack": b"{\nHEADER_BYTES=512;\nDIM=3;\nSIZE1=3;\nSIZE2=3;\nSIZE3=2000000000;\n}".ljust(2000),
    "smv-header": b"{\nHEADER_BYTES=99999999999;\nSIZE1=3;\nSIZE2=3;\n}".ljust(2000),
    "smv-endless": b"{\nHEADER_BYTES=" + b"9" * 5000 + b";\nSIZE1=3;\nSIZE2=3;\n}",
    "cbf": cbf_promise(10**6, 10**6),
    "cbf-large": cbf_promise(30000, 30000),
    "cbf-endless": cbf_promise("9" * 5000, 3),
    "npy": npy_promise(10**6, 10**6),
    "npy-large": npy_promise(30000, 30000),
    "npy-stack": npy_promise(10**12, 3, 3),
    "npy-negative": npy_promise(-3, 3),
    "pgm": b"P5\n1000000 1000000\n255\n".ljust(2000),
    "pgm-large": b"P5\n30000 30000\n65535\n".ljust(2000),
    "png": png(2**31 - 1, 2**31 - 1),
    "png-large": png(60000, 15000),
    "tiff": tiff(10**6, 10**6),
    "tiff-large": tiff(30000, 30000),
    "hdf5": huge_hdf5,
    "hdf5-chunk": huge_chunk,
}


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))


@pytest.mark.parametrize("name", PROMISES)
def test_promises_take_neither_time_nor_memory(tmp_path, name):
    """A header that speaks of 10^12 pixels, or of 10^9 that are not there: refused with 2 GiB of address space."""
    path = tmp_path / f"a.{name.partition('-')[0]}"
    if callable(PROMISES[name]):
        PROMISES[name](path)
    else:
        path.write_bytes(PROMISES[name])
    words = "import sys; from nanobragg_py.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", words, "info", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        preexec_fn=limited,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"nanobragg-py info: {path}")


def test_a_million_images(tmp_path):
    huge_chunk(tmp_path / "a.h5")
    assert "has 1000000 images, of which 99999 are converted" in refused("convert", tmp_path / "a.h5", "--out", "b.npy")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{\nEDF_DataBlockID = 1 ;\n", "an EDF image"),
        (b"{\nHeaderID = EH:000001 ;\n", "an EDF image"),
        (b"R-AXIS4   ", "an R-AXIS image"),
        (struct.pack("<I", 1234), "a MAR345 image"),
        (b"FORMAT :100   ", "a Bruker image"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
    ],
)
def test_formats_that_are_not_read(tmp_path, content, what):
    path = tmp_path / "a.img"
    path.write_bytes(content.ljust(600))
    assert f"a.img is {what}, which is not read here; give one of CBF, bare floats" in refused("info", path)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.img")
    assert "it is a pipe or a device" in refused("info", tmp_path / "pipe.img")
    assert "it is a directory" in refused("info", tmp_path)
    assert "no such file" in refused("info", tmp_path / "none.img#3")
    assert "it is a pipe or a device" in refused("info", "/dev/zero")


def test_colours_and_channels(tmp_path):
    from PIL import Image

    for name in ("a.png", "a.tif"):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / name)
    assert "is a picture in colours" in refused("info", tmp_path / "a.png")
    assert "has 3 channels of 8 bits" in refused("info", tmp_path / "a.tif")
