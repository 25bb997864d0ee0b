"""Dump files of structure factors: identity with the reference's, the white-space quirk, and bad ones."""

import json
import random
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.hkl import HklTable, read_dump, read_hkl, write_dump

GOLDEN = Path(__file__).parent.parent / "golden"


def dump_cases():
    """(id, hkl file, default_F, dump file) of the goldens that write one, one for each hkl file and default_F."""
    seen = {}
    for case in json.loads((GOLDEN / "cases.json").read_text()):
        words = case["args"].split()
        if "-hkl" not in words or case["id"].startswith("error"):
            continue
        after = dict(pairwise(words))
        key = after["-hkl"], float(after.get("-default_F", 0)), after.get("-dump", "Fdump.bin")
        seen.setdefault(key, case["id"])
    return [(case, *key) for key, case in seen.items()]


@pytest.mark.parametrize("case, hkl, default_F, name", dump_cases())
def test_same_bytes_as_the_reference(tmp_path, case, hkl, default_F, name):
    with np.load(GOLDEN / f"{case}.npz") as golden:
        expected = golden[name].tobytes()
    factors = read_hkl(GOLDEN / "inputs" / hkl, default_F)
    path = tmp_path / name
    write_dump(path, factors)
    assert path.read_bytes() == expected
    again = read_dump(path, default_F)
    assert again.bounds == factors.bounds
    assert again.default_F == default_F
    assert bytes(again.values) == bytes(factors.values)
    assert again.count == np.prod(np.array(again.values.shape) - 1)


def dump(bounds, values, gap=b"\n\f"):
    return " ".join(map(str, bounds)).encode() + gap + np.asarray(values, dtype=np.float64).tobytes()


@pytest.fixture
def reread(tmp_path):
    def read(data, **options):
        path = tmp_path / "Fdump.bin"
        path.write_bytes(data)
        return read_dump(path, **options)

    return read


def test_white_space_in_the_first_value_is_skipped_too(reread):
    # two bytes of the first value look like a blank and a newline; everything moves up by two bytes
    first = struct.unpack("<d", b" \n" + struct.pack("<d", 7.0)[2:])[0]
    values = np.zeros((3, 2, 2))
    values[:2, 0, 0] = first, 5.0
    factors = reread(dump((0, 1, 0, 0, 0, 0), values))
    shifted = np.frombuffer(values.tobytes()[2:] + b"\0\0", dtype=np.float64).reshape(3, 2, 2)
    read = np.asarray(factors.values)
    np.testing.assert_array_equal(read[:-1, :-1, :-1], shifted[:-1, :-1, :-1])
    assert read[0, 0, 0] != first
    assert not read[-1].any() and not read[:, -1].any() and not read[:, :, -1].any()


def test_white_space_longer_than_a_read(reread):
    # a table whose values are blanks only is skipped to the end, and reads as zeros
    blank = struct.unpack("<d", b" " * 8)[0]
    for side in (4, 10, 12):
        values = np.full((side, side, side), blank)
        factors = reread(dump((0, side - 2) * 3, values))
        assert not np.asarray(factors.values).any()


def test_integers_are_read_as_scanf_reads_them(reread):
    values = np.arange(8.0).reshape(2, 2, 2) + 0.1
    for text in (b"-1-1 +2 +2\n\t7  7", b"-1 -1 2 2 7 7", b"\n\n-1 -1 02 0002 7 7"):
        factors = reread(text + b"\n\f" + values.tobytes(), default_F=4.0)
        assert factors.bounds == (-1, -1, 2, 2, 7, 7)
        assert (factors.count, factors.default_F) == (1, 4.0)
        assert memoryview(factors.values)[0, 0, 0] == 0.1
        # the outer layers hold 0 whatever the file has there
        assert np.count_nonzero(np.asarray(factors.values)) == 1


def test_longer_file_than_needed_is_accepted(reread):
    values = np.full((2, 2, 2), 3.5)
    assert memoryview(reread(dump((0, 0) * 3, values) + b"tail").values)[0, 0, 0] == 3.5


@pytest.mark.parametrize("missing", [1, 8, 63, 64])
def test_cut_off_file_is_an_error(reread, missing):
    data = dump((0, 0) * 3, np.full((2, 2, 2), 3.5))
    with pytest.raises(NanoBraggError, match=rf"Fdump\.bin is cut off, {missing} bytes are missing; remove it"):
        reread(data[:-missing])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1 2 3",
        b"1 2 3 4 5",
        b"h k l",
        b"\x7fELF\2\1\1\0" * 100,
        b"0 0 0 0 0 99999999999999\n\f" + bytes(64),
        b"0 0 0 0 0 -\n\f" + bytes(64),
    ],
)
def test_no_dump_file_is_an_error(reread, data):
    with pytest.raises(NanoBraggError, match=r"Fdump\.bin is no dump file of structure factors; remove it"):
        reread(data)


def test_empty_ranges_are_an_error(reread):
    with pytest.raises(NanoBraggError, match=r"its ranges of indices are empty; remove it"):
        reread(dump((0, -1, 0, 0, 0, 0), np.zeros(64)))


def test_ranges_larger_than_the_file_take_no_memory(reread):
    with pytest.raises(NanoBraggError, match=r"is cut off, .* bytes are missing"):
        reread(dump((0, 10**8) * 3, np.zeros(64)))


def test_missing_dump_file(tmp_path):
    with pytest.raises(NanoBraggError, match=r"cannot read .*absent\.bin: no such file; remove it, or"):
        read_dump(tmp_path / "absent.bin")
    with pytest.raises(NanoBraggError, match="it is a directory"):
        read_dump(tmp_path)


def test_random_bytes_never_crash(reread):
    draw = random.Random(3)
    for _ in range(300):
        head = b" ".join(str(draw.randint(-3, 3)).encode() for _ in range(draw.randint(4, 7)))
        data = (head if draw.random() < 0.7 else b"") + draw.randbytes(draw.randint(0, 600))
        try:
            factors = reread(data)
        except NanoBraggError:
            continue
        assert isinstance(factors, HklTable)


def test_unwritable_dump_file_is_an_error(tmp_path):
    factors = read_hkl(GOLDEN / "inputs" / "odd_rows.hkl")
    with pytest.raises(NanoBraggError, match=r"cannot write .*Fdump\.bin: its directory does not exist"):
        write_dump(tmp_path / "absent" / "Fdump.bin", factors)
