"""Numbers in text files, against C's strtod itself."""

import ctypes
import math
import random

import pytest

from nanobragg_py.files.scan import scan_number

strtod = ctypes.CDLL(None).strtod
strtod.restype = ctypes.c_double
strtod.argtypes = [ctypes.c_char_p, ctypes.c_void_p]

TEXTS = [
    *("1", "-2.5", "+3.", ".5", "-.5e3", "1e5", "1e", "1e+", "1e-3x", "1.2.3", "12abc", "1d5", "007"),
    *("", " ", "abc", ".", "-", "+-3", "e5", ".e5", "- 3", "--4"),
    *("inf", "-INF", "infinity", "InfinityX", "infin", "nan", "NaN", "-nan", "in", "n"),
    *("0x10", "-0x1.8p3", "0x", "0xg", "0x.8", "0x1p", "0x1p-", "0X1P+2", "0x."),
    *("1e400", "-1e400", "1e-400", "4.9e-324", "0x1p99999", "\t\n\v\f\r 7", "1,5", "-0", "1_000", "1e5_0"),
]


def c_strtod(text):
    buffer = ctypes.create_string_buffer(text)
    end = ctypes.c_void_p()
    value = strtod(ctypes.cast(buffer, ctypes.c_char_p), ctypes.byref(end))
    return value, end.value - ctypes.addressof(buffer)


def same(one, other):
    return (one == other and math.copysign(1, one) == math.copysign(1, other)) or (one != one and other != other)


@pytest.mark.parametrize("text", TEXTS)
def test_agrees_with_strtod(text):
    value, end = scan_number(text.encode())
    expected, expected_end = c_strtod(text.encode())
    assert same(value, expected)
    assert end == expected_end


def test_agrees_with_strtod_on_noise():
    noise = random.Random(5)
    for _ in range(20000):
        text = "".join(noise.choice("0011.eE+-xX pPnaif9") for _ in range(noise.randint(1, 8))).encode()
        if b"nan(" in text:
            continue
        value, end = scan_number(text)
        expected, expected_end = c_strtod(text)
        assert same(value, expected), text
        assert end == expected_end, text


def test_starts_at_a_position():
    assert scan_number(b"1 22 333", 1) == (22.0, 4)
    assert scan_number(b"1 22", 4) == (0.0, 4)
