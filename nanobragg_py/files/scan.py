"""Numbers in text files, read as C's strtod reads them: the longest prefix that is a number counts."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SPACE = b" \t\n\v\f\r"
_DIGITS = b"0123456789"
_HEX_DIGITS = b"0123456789abcdefABCDEF"


def _skip(text, position, characters):
    """The first position from `position` on whose byte is not one of `characters`."""
    while position < len(text) and text[position] in characters:
        position += 1
    return position


def _mantissa_end(text, start, digits):
    """Where digits with at most one point among them end; `start` when there is no digit."""
    whole = _skip(text, start, digits)
    if text[whole : whole + 1] != b".":
        return whole
    end = _skip(text, whole + 1, digits)
    return start if end == whole + 1 and whole == start else end


def _exponent_end(text, start, letters):
    """Where an exponent that begins at `start` ends; `start` when there is none."""
    if start >= len(text) or text[start] not in letters:
        return start
    digits = start + 2 if text[start + 1 : start + 2] in (b"+", b"-") else start + 1
    end = _skip(text, digits, _DIGITS)
    return start if end == digits else end


def scan_number(text: "Any", position: "Any" = 0) -> "tuple[Any, Any]":
    """The number in the bytes `text` at `position`, after white space: (value, position behind it).

    Decimal and hexadecimal numbers, inf and nan count, in either case. Where there is none the value is 0.0 and the
    position is the one that was given.
    """
    first = _skip(text, position, _SPACE)
    negative = text[first : first + 1] == b"-"
    start = first + 1 if text[first : first + 1] in (b"+", b"-") else first
    word = text[start : start + 8].lower()
    if word[:3] in (b"inf", b"nan"):
        value = float(word[:3])
        return -value if negative else value, start + (8 if word == b"infinity" else 3)
    if word[:2] == b"0x":
        end = _mantissa_end(text, start + 2, _HEX_DIGITS)
        if end > start + 2:
            end = _exponent_end(text, end, b"pP")
            try:
                value = float.fromhex(text[start:end].decode("ascii"))
            except OverflowError:
                value = float("inf")
            return -value if negative else value, end
    end = _mantissa_end(text, start, _DIGITS)
    if end == start:
        return 0.0, position
    end = _exponent_end(text, end, b"eE")
    return float(text[first:end]), end
