#!/usr/bin/env python3
"""An SMV image as a PNG picture, dark spots on white as on film; needs nothing but Python.

Usage: smv_to_png.py IMAGE.img PICTURE.png [BLACK] [BIN]

BLACK: the counts above the zero level that are printed black (default 100). BIN: BIN x BIN pixels become one, with
their mean (default 1).
"""

import struct
import sys
import zlib
from array import array

ZERO_LEVEL = 40  # what nanoBragg adds to every pixel unless -adc says otherwise


def read_smv(path):
    """The width, the height and the uint16 pixels of an SMV image."""
    with open(path, "rb") as file:
        data = file.read()
    fields = dict(line.rstrip(b";").split(b"=", 1) for line in data[:512].split(b"\n") if b"=" in line)
    width, height = int(fields[b"SIZE1"]), int(fields[b"SIZE2"])
    pixels = array("H")
    pixels.frombytes(data[-2 * width * height :])
    if fields[b"BYTE_ORDER"] != sys.byteorder.encode() + b"_endian":
        pixels.byteswap()
    return width, height, pixels


def grey_rows(width, height, pixels, black, size):
    """Rows of bytes, 255 for no counts and 0 for `black` or more, each the mean of size x size pixels."""
    scale = 255.0 / (black * size * size)
    zero = ZERO_LEVEL * size * size
    for top in range(0, height - size + 1, size):
        rows = [pixels[row * width : (row + 1) * width] for row in range(top, top + size)]
        columns = [sum(column) for column in zip(*rows, strict=True)]
        sums = [sum(columns[left : left + size]) for left in range(0, width - size + 1, size)]
        yield bytes(255 - min(255, max(0, int((counts - zero) * scale))) for counts in sums)


def write_png(path, rows):
    """Rows of bytes as an 8-bit greyscale PNG."""
    rows = list(rows)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        file.write(chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 9)) + chunk(b"IEND", b""))


def main(image, picture, black="100", size="1"):
    width, height, pixels = read_smv(image)
    write_png(picture, grey_rows(width, height, pixels, float(black), int(size)))


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
