"""CBF images with the byte-offset compression: the short header of Pilatus detectors, and full imgCIF where it fails.

The short header (a miniCBF) supposes a detector across the beam, its fast axis along the spindle. Everything else is
written with the axes of imgCIF (Hammersley, Bernstein & Westbrook, International Tables G, chapter 2.3), which have
room for any direction. Compression: differences to the pixel before as 1, 2, 4 or 8 bytes, each size announced by the
most negative number of the one before (chapter 5.6).
"""

import base64
import hashlib
import os
import re
from math import degrees

import numpy as np

from ..errors import NanoBraggError
from .atomic import write_file
from .imgcif import imgcif_header
from .reading import cannot_read

BINARY_START = b"\x0c\x1a\x04\xd5"
SECTION = b"--CIF-BINARY-FORMAT-SECTION--"
#: number of bytes, its type, and what announces the next size
SIZES = ((1, "<i1", -(2**7)), (2, "<i2", -(2**15)), (4, "<i4", -(2**31)), (8, "<i8", None))
#: directions are "along" an axis when they differ by less than this
ALONG = 1e-9


def compress(pixels):
    """The bytes of integers, one after the other, in byte-offset compression."""
    values = np.ascontiguousarray(pixels).ravel().astype(np.int64)
    steps = np.diff(values, prepend=0)
    # how often each step has to announce a larger size
    level = np.zeros(len(steps), np.int8)
    for number, (_, _, mark) in enumerate(SIZES[:-1]):
        level[(steps <= mark) | (steps >= -mark)] = number + 1
    lengths = np.array([1, 3, 7, 15])[level]
    start = np.cumsum(lengths) - lengths
    packed = np.empty(int(lengths.sum()), np.uint8)
    offset = 0
    for number, (size, kind, mark) in enumerate(SIZES):
        here = level == number
        _put(packed, start[here] + offset, steps[here].astype(kind), size)
        above = level > number
        if above.any():
            _put(packed, start[above] + offset, np.full(above.sum(), mark, kind), size)
        offset += size
    return packed.tobytes()


def _put(packed, start, numbers, size):
    for byte, column in enumerate(numbers.view(np.uint8).reshape(-1, size).T):
        packed[start + byte] = column


def uncompress(data, count):
    """`count` integers (int64) from the bytes of byte-offset compression; ValueError when they do not suffice."""
    raw = np.frombuffer(data, np.int8)
    marks = np.flatnonzero(raw == -128)
    pieces, position, done = [], 0, 0
    while done < count:
        # everything up to the next mark is steps of one byte; what looks like a mark inside a longer step is skipped
        index = np.searchsorted(marks, position)
        end = int(marks[index]) if index < len(marks) else len(raw)
        end = min(end, position + count - done)
        pieces.append(raw[position:end])
        done += end - position
        position = end
        if done == count:
            break
        for size, kind, mark in SIZES:
            if position + size > len(data):
                raise ValueError(f"{done} of {count} pixels are there")
            step = np.frombuffer(data, kind, 1, position)
            position += size
            if step[0] != mark:
                break
        pieces.append(step)
        done += 1
    return np.cumsum(np.concatenate(pieces).astype(np.int64)) if pieces else np.zeros(0, np.int64)


def is_plain(geometry):
    """Whether the short header can tell the geometry: across the beam, fast along the spindle, slow as MOSFLM's."""
    rotation = geometry.frame("imgcif")
    across = abs(np.dot(geometry.beam, geometry.spindle)) < ALONG
    return (
        across
        and np.allclose(rotation @ np.asarray(geometry.fast), (1, 0, 0), rtol=0, atol=ALONG)
        and np.allclose(rotation @ np.asarray(geometry.slow), (0, -1, 0), rtol=0, atol=ALONG)
    )


def short_header(geometry, saturation):
    """The comment lines of a miniCBF, as text; dxtbx knows the convention GENERIC_MINI as that of simulated images."""
    fast, slow = (x / geometry.pixel_size for x in geometry.beam_centre)
    lines = [
        "# Detector: nanobragg_py, simulated",
        f"# Pixel_size {geometry.pixel_size:.9g} m x {geometry.pixel_size:.9g} m",
        f"# Silicon sensor, thickness {geometry.sensor_thickness:.9f} m",
        f"# Exposure_time {geometry.exposure:.9g} s",
        f"# Exposure_period {geometry.exposure:.9g} s",
        f"# Count_cutoff {saturation} counts",
        f"# Wavelength {geometry.wavelength * 1e10:.9g} A",
        f"# Detector_distance {geometry.distance:.9g} m",
        f"# Beam_xy ({fast:.5f}, {slow:.5f}) pixels",
        f"# Start_angle {degrees(geometry.phi0):.9g} deg.",
        f"# Angle_increment {degrees(geometry.osc):.9g} deg.",
        "# Detector_2theta 0.0000 deg.",
        f"# Phi {degrees(geometry.phi0):.9g} deg.",
        "# Oscillation_axis X.CW",
    ]
    text = "\r\n".join(lines)
    return f'_array_data.header_convention "GENERIC_MINI"\r\n_array_data.header_contents\r\n;\r\n{text}\r\n;\r\n\r\n'


def write_cbf(path, pixels, geometry, saturation=2**31 - 1):
    """Write an image as a CBF.

    pixels: int32 of shape (slow, fast). geometry: a Geometry. saturation: the first value that is no count any more.
    Raises NanoBraggError for a detector that is curved, and where the file cannot be written.
    """
    if geometry.curved:
        raise NanoBraggError("a CBF header cannot tell of a curved detector; convert to npy or tiff")
    name = re.sub(r"\W", "_", os.path.splitext(os.path.basename(os.fsdecode(path)))[0]) or "image"
    plain = is_plain(geometry)
    header = short_header(geometry, saturation) if plain else imgcif_header(geometry, saturation)
    slow, fast = pixels.shape
    data = compress(pixels)
    digest = base64.b64encode(hashlib.md5(data).digest()).decode()
    section = "\r\n".join(
        (
            ";",
            SECTION.decode(),
            "Content-Type: application/octet-stream;",
            '     conversions="x-CBF_BYTE_OFFSET"',
            "Content-Transfer-Encoding: BINARY",
            f"X-Binary-Size: {len(data)}",
            "X-Binary-ID: 1",
            'X-Binary-Element-Type: "signed 32-bit integer"',
            "X-Binary-Element-Byte-Order: LITTLE_ENDIAN",
            f"Content-MD5: {digest}",
            f"X-Binary-Number-of-Elements: {fast * slow}",
            f"X-Binary-Size-Fastest-Dimension: {fast}",
            f"X-Binary-Size-Second-Dimension: {slow}",
            "X-Binary-Size-Padding: 4095",
            "",
            "",
        )
    )
    start = f"###CBF: VERSION 1.5, nanobragg_py\r\n\r\ndata_{name}\r\n\r\n"
    # fabio does not look for an image in a loop
    item = "" if plain else "_array_data.array_id image\r\n_array_data.binary_id 1\r\n"
    item += "_array_data.data\r\n"
    write_file(
        path,
        (start + header + item + section).encode("ascii"),
        BINARY_START,
        data,
        bytes(4095) + b"\r\n" + SECTION + b"--\r\n;\r\n",
    )


def read_cbf(path, header_only=False):
    """Read a CBF with byte-offset compression: (shape, pixels, header text).

    The pixels are int32, or int64 where they do not fit, and None with header_only. Raises NanoBraggError for what is
    none, is compressed otherwise, or is cut off.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise cannot_read(path, error, "give a CBF image") from None
    header, found, data = content.partition(BINARY_START)
    text = header.decode("latin-1")
    if not found:
        raise NanoBraggError(f"{path} is no CBF image: it has no binary section")
    if "x-CBF_BYTE_OFFSET" not in text:
        raise NanoBraggError(f"{path} is a CBF image without byte-offset compression; only that one is read")
    sizes = [re.search(rf"X-Binary-Size-{which}-Dimension:\s*(\d+)", text) for which in ("Second", "Fastest")]
    if None in sizes:
        raise NanoBraggError(f"{path} does not say how many pixels it has")
    shape = slow, fast = tuple(int(match[1]) for match in sizes)
    header = text.partition(SECTION.decode())[0]
    if header_only:
        return shape, None, header
    try:
        pixels = uncompress(data, slow * fast).reshape(shape)
    except ValueError as error:
        raise NanoBraggError(f"{path} is cut off: {error}") from None
    fits = pixels.size == 0 or (pixels.min() >= -(2**31) and pixels.max() < 2**31)
    return shape, pixels.astype(np.int32) if fits else pixels, header
