"""Ways to break bytes, texts and values of which a program expects something."""

import re

NUMBERS = """
0 -1 1 2 3 1.5 -0 nan inf -inf 1e308 -1e308 1e-308 1e160 1e-160 5e-324 1e40 1e20 -1e20 2147483647 2147483648
-2147483648 -2147483649 4294967296 9223372036854775807 9223372036854775808 18446744073709551616 32768 65536
0x10 1_000 1,5 1D3 +1 --1 1e 1e+ e5 .5 5. . - + \u00b2 \u0663 1e9999
00000000000000000000000000000000000000000000000000001
"""
NUMBERS = tuple(NUMBERS.split())
WORDS = (
    "",
    " ",
    "\0",
    "%s%n",
    "../x",
    "/dev/null",
    "/dev/zero",
    "a" * 300,
    "\N{GREEK SMALL LETTER PHI}",
    "\udcff",
    "true",
    "null",
    "[]",
    "{}",
    "'",
    '"',
    "\\",
    "#",
    ";",
    "-",
    "--",
)


def broken_bytes(numbers, data, times=None):
    """`data` with a few bytes, or stretches of them, changed."""
    data = bytearray(data)
    for _ in range(times or numbers.choice((1, 1, 2, 5))):
        at = numbers.randrange(len(data) + 1)
        width = numbers.choice((1, 1, 2, 4, 8, 64, 512))
        change = numbers.randrange(7)
        if change == 0:
            data[at : at + 1] = bytes([numbers.randrange(256)])
        elif change == 1:
            del data[at : at + width]
        elif change == 2:
            data[at:at] = numbers.randbytes(width)
        elif change == 3:
            data[at : at + width] = bytes([numbers.choice((0, 255, 10, 32))]) * width
        elif change == 4:
            del data[at:]
        elif change == 5:
            data[at:at] = data[at : at + width]
        elif at < len(data):
            data[at] ^= 1 << numbers.randrange(8)
    return bytes(data)


def broken_text(numbers, text, times=None, words=()):
    """A text with tokens or lines changed, left out, doubled or put in."""
    if numbers.random() < 0.1:
        return broken_bytes(numbers, text.encode("utf-8", "surrogateescape"))
    lines = text.split("\n")
    for _ in range(times or numbers.choice((1, 1, 2, 4))):
        at = numbers.randrange(len(lines))
        change = numbers.randrange(8)
        if change < 4:
            lines[at] = broken_line(numbers, lines[at], words)
        elif change == 4:
            del lines[at]
        elif change == 5:
            lines.insert(at, numbers.choice(lines or [""]))
        elif change == 6:
            lines.insert(at, numbers.choice((*words, *NUMBERS, *WORDS)))
        else:
            lines = lines[:at] + [lines[at][: numbers.randrange(len(lines[at]) + 1)]]
        lines = lines or [""]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def broken_line(numbers, line, words=()):
    """A line with one of its tokens changed."""
    tokens = re.split(r"([\s,;=\[\]{}:]+)", line)
    at = numbers.randrange(len(tokens))
    change = numbers.randrange(5)
    if change < 3:
        tokens[at] = numbers.choice(NUMBERS if change < 2 else (*words, *WORDS))
    elif change == 3:
        del tokens[at]
    else:
        tokens.insert(at, " " + numbers.choice(NUMBERS))
    return "".join(tokens)


def broken_value(numbers, value, depth=0):
    """A value of dicts, lists, numbers and texts with one leaf or branch changed."""
    if depth and numbers.random() < 0.15:
        return odd_value(numbers)
    if isinstance(value, dict) and value:
        changed, key = dict(value), numbers.choice(list(value))
        change = numbers.randrange(8)
        if change == 0:
            del changed[key]
        elif change == 1:
            changed[numbers.choice((*WORDS, "x", key + "x"))] = value[key]
        else:
            changed[key] = broken_value(numbers, value[key], depth + 1)
        return changed
    if isinstance(value, list) and value:
        changed, at = list(value), numbers.randrange(len(value))
        change = numbers.randrange(8)
        if change == 0:
            del changed[at]
        elif change == 1:
            changed.insert(at, value[at])
        else:
            changed[at] = broken_value(numbers, value[at], depth + 1)
        return changed
    return odd_value(numbers)


def odd_value(numbers):
    """A value that is probably wrong where it is put."""
    nested = []
    for _ in range(numbers.choice((1, 50))):
        nested = [nested]
    return numbers.choice(
        (
            *(0, 1, -1, 2, 10**9, 2**31 - 1, 2**31, 2**63, 10**400, -(10**400)),
            *(0.5, -0.5, 1e308, 1e160, 1e-300, float("nan"), float("inf")),
            *(None, True, False, [], {}, [[]], [1, 2], [1, 2, 3], {"x": 1}, "", "x", "1 A", "1e308 mm", nested),
            *NUMBERS,
            *WORDS,
        )
    )
