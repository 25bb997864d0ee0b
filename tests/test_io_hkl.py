"""Structure-factor text: where reading stops, what enters the table, and what bad files say."""

import math
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.hkl import HklReport, NotEnoughIndices, kernel_table, read_hkl, table_pad
from nanobragg_py.kernels.memory.buffers import Buffer

INPUTS = Path(__file__).parent.parent / "golden" / "inputs"

LARGEST = 10**9


@pytest.fixture
def hkl(tmp_path):
    """Read a text, given as str or bytes, through a file: (structure factors, report)."""

    def read(text, default_F=0.0):
        path = tmp_path / "P1.hkl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        report = HklReport()
        return read_hkl(path, default_F, report), report

    return read


def table_of(factors):
    """The box without its extra layers."""
    return np.asarray(factors.values)[:-1, :-1, :-1]


# ---- an independent model of the two fscanf loops ----------------------------------------------------------------

# the input item of %lg: everything that could begin a number
ITEM = re.compile(
    rb"[+-]?(?:(?i:nan)|(?i:inf)(?i:inity)?|0[xX](?:[0-9a-fA-F]*\.?[0-9a-fA-F]*)(?:[pP][+-]?[0-9]*)?"
    rb"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]*)?)"
)
DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
HEXADECIMAL = re.compile(rb"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?")
INTEGER = re.compile(rb"[+-]?[0-9]+")
SPACE = b" \t\n\v\f\r"


def skip_space(text, position):
    return len(text) - len(text[position:].lstrip(SPACE))


def model_number(text, position):
    """What %lg reads: (value, position behind it), or None."""
    position = skip_space(text, position)
    match = ITEM.match(text, position)
    if not match:
        return None
    item, end = match.group(), match.end()
    bare = item.lstrip(b"+-").lower()
    if bare[:3] == b"inf" and bare == b"inf" and text[end : end + 1] in (b"i", b"I"):
        return None  # the rest of "infinity" was expected
    if bare.startswith(b"0x"):
        if bare == b"0x":
            return None
        number = HEXADECIMAL.match(item)
        try:
            value = float.fromhex(number.group().decode()) if number else math.copysign(0.0, -(item[:1] == b"-") or 1)
        except OverflowError:
            value = math.copysign(math.inf, -(item[:1] == b"-") or 1)
        return value, end
    if bare[:1] in b"ni":
        return float(item), end
    return float(DECIMAL.match(item).group()), end


def model_integer(text, position):
    match = INTEGER.match(text, skip_space(text, position))
    return (int(match.group()), match.end()) if match else None


def model_rows(text, readers):
    rows, position = [], 0
    while True:
        row = []
        for reader in readers:
            got = reader(text, position)
            if got is None:
                return rows
            value, position = got
            row.append(value)
        rows.append(row)


def model(text, default_F):
    """("ok", bounds, count, table, warnings, used), or ("none", bounds) or ("bad",)."""
    low, high, warnings = [LARGEST] * 3, [-LARGEST] * 3, []
    first = model_rows(text, [model_number] * 4)
    for count, row in enumerate(first):
        for axis in range(3):
            x = row[axis]
            if math.isnan(x) or (math.isfinite(x) and x != math.ceil(x - 0.4)):
                warnings.append(("hkl"[axis], x, count))
            if math.isnan(x):
                continue
            if abs(x) > LARGEST:
                return ("bad",)
            low[axis] = int(x) if low[axis] > x else low[axis]
            high[axis] = int(x) if high[axis] < x else high[axis]
    bounds = (low[0], high[0], low[1], high[1], low[2], high[2])
    if any(a > b for a, b in zip(low, high, strict=True)):
        return "none", bounds
    shape = [b - a + 1 for a, b in zip(low, high, strict=True)]
    if math.prod(shape) > 10**6:
        return ("large",)
    table = np.full(shape, default_F)
    second = model_rows(text, [model_integer] * 3 + [model_number])
    for row in second:
        index = tuple(row[axis] - low[axis] for axis in range(3))
        if any(i < 0 or i >= n for i, n in zip(index, shape, strict=True)):
            return ("bad",)
        table[index] = row[3]
    return "ok", bounds, len(first), table, warnings, len(second)


def agree(text, hkl, default_F):
    expected = model(text, default_F)
    if expected[0] == "large":
        return "large"
    try:
        factors, report = hkl(text, default_F)
    except NotEnoughIndices as error:
        assert expected[0] == "none", text
        bounds = expected[1]
        assert error.report_lines == tuple(f"{a}: {bounds[2 * i]} - {bounds[2 * i + 1]}" for i, a in enumerate("hkl"))
    except NanoBraggError:
        assert expected[0] == "bad", text
    else:
        assert expected[0] == "ok", text
        _, bounds, count, table, warnings, used = expected
        assert (factors.bounds, factors.count, report.used) == (bounds, count, used), text
        assert repr(report.non_integer) == repr(warnings), text
        np.testing.assert_array_equal(table_of(factors), table, err_msg=repr(text))
        assert (np.signbit(table_of(factors)) == np.signbit(table))[~np.isnan(table)].all(), text
        full = np.asarray(factors.values)
        assert not full[-1].any() and not full[:, -1].any() and not full[:, :, -1].any()
    return expected[0]


WORDS = """
    0 1 2 3 -1 -2 +1 -0 007 1. 1.5 .5 -.5 1e0 1e 1e+ 2E-1 0x1 0x 0x. 0x1p 0X1P+1 0x.8 nan NaN -nan inf infi -Infinity
    1-1 1+ --1 . e x 50 1e400 1e-400 123456789012345678901234567890 0.1234567890123456789 9007199254740993
    1.000000000000000000e+00 3.14159265358979311600e+00 000000000000000000001 1,2 1_0 5e22 5e23 1e-22 4.35 1e5e5 nan1
    2.2250738585072011e-308 4.9e-324 1.7976931348623159e308 123456789 1234567890 5..2 - + # \0 \xff
"""
FRAGMENTS = WORDS.split()


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_two_readings_by_fscanf(hkl, seed):
    draw = random.Random(seed)
    seen = dict.fromkeys(("ok", "none", "bad", "large"), 0)
    for _ in range(400):
        plain = draw.random()
        text = ""
        for _ in range(draw.randint(0, 24)):
            text += str(draw.randint(-3, 3)) if draw.random() < plain else draw.choice(FRAGMENTS)
            text += draw.choice(("  ", "\n", "\t", "\r\n", "\v", "\f", "")) if draw.random() < 0.3 else " "
        seen[agree(text.encode("latin1"), hkl, draw.choice((0.0, 7.5)))] += 1
    assert min(seen["ok"], seen["none"], seen["bad"]) > 10


def test_random_bytes_never_crash(hkl):
    draw = random.Random(5)
    for _ in range(400):
        agree(draw.randbytes(draw.randint(0, 200)), hkl, 1.0)
        agree(bytes(draw.choices(b"0123456789 .-+exn\n", k=60)), hkl, 0.0)


@pytest.mark.parametrize("form", ["{!r}", "{:.17e}", "{:.18e}", "{:.4f}", "{:.2f}", "{:.10g}", "{:.1f}", "{:.25f}"])
def test_amplitudes_are_exactly_rounded(hkl, form):
    draw = random.Random(form)
    values = (draw.choice((1, -1)) * draw.expovariate(1) * 10 ** draw.randint(-12, 12) for _ in range(2000))
    numbers = [form.format(value) for value in values]
    factors, report = hkl("".join(f"{i} 0 0 {number}\n" for i, number in enumerate(numbers)))
    assert report.used == 2000
    assert table_of(factors)[:, 0, 0].tolist() == [float(number) for number in numbers]


@pytest.mark.parametrize("name", ["de_DE", "ps_AF"])
def test_decimal_point_of_the_locale_does_not_matter(tmp_path, name):
    # 17 digits go the slow way, through strtod, which reads 3,14 or 3\u066b14 there
    localedef = shutil.which("localedef")
    if localedef is None:
        pytest.skip("there is no localedef")
    subprocess.run([localedef, "-i", name, "-f", "UTF-8", tmp_path / name], capture_output=True)
    if not (tmp_path / name).exists():
        pytest.skip(f"localedef does not know {name}")
    (tmp_path / "P1.hkl").write_text("0 0 0 3.1415926535897931\n")
    program = (
        "import locale\n"
        f"locale.setlocale(locale.LC_NUMERIC, {name!r})\n"
        "assert locale.localeconv()['decimal_point'] != '.'\n"
        "from nanobragg_py.files.hkl import read_hkl\n"
        f"print(repr(memoryview(read_hkl({os.fspath(tmp_path / 'P1.hkl')!r}).values)[0, 0, 0]))\n"
    )
    environment = {**os.environ, "LOCPATH": os.fspath(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout == f"{math.pi!r}\n", done.stderr


# ---- what users meet -----------------------------------------------------------------------------------------------


def test_rows_are_tokens_and_later_ones_win():
    factors = read_hkl(INPUTS / "odd_rows.hkl")
    # the row "1 0 0" takes the first number of the next row for its F
    assert (factors.bounds, factors.count) == ((-1, 2, -1, 1, -1, 2), 7)
    table = np.asarray(factors.values)
    assert (table[1, 1, 1], table[2, 1, 1], table[3, 2, 0]) == (50, 2, 33.5)


def test_text_ends_the_table():
    factors = read_hkl(INPUTS / "text_after.hkl", 9.0)
    assert (factors.bounds, factors.count) == ((-1, 1, -1, 1, 0, 2), 4)
    assert (table_of(factors) == 9.0).sum() == 27 - 4


def test_holes_are_default_F_and_the_outer_layers_zero():
    factors = read_hkl(INPUTS / "holes6.hkl", 35.0)
    table = np.asarray(factors.values)
    inside = table_of(factors)
    holes = np.asarray(read_hkl(INPUTS / "holes6.hkl").values)[:-1, :-1, :-1] == 0.0
    assert holes.sum() == inside.size - factors.count > 0
    assert (inside[holes] == 35.0).all()
    assert not table[-1].any() and not table[:, -1].any() and not table[:, :, -1].any()
    assert factors.default_F == 35.0


def test_windows_line_ends_and_a_missing_last_line_end(hkl):
    factors, _ = hkl("0 0 0 5\r\n1 0 0 6")
    assert table_of(factors).ravel().tolist() == [5.0, 6.0]


def test_fractional_index_warns_once_an_axis_and_ends_the_table(hkl):
    factors, report = hkl("0 0 0 5\n1.5 0 0.25 6\n2 0 1 7\n")
    assert report.non_integer == [("h", 1.5, 1), ("l", 0.25, 1)]
    assert (factors.bounds, factors.count, report.used) == ((0, 2, 0, 0, 0, 1), 3, 1)
    assert table_of(factors).sum() == 5.0


def test_indices_written_as_floats_are_counted_but_do_not_enter(hkl):
    factors, report = hkl("0.0 0.0 0.0 5.0\n1.0 0.0 0.0 6.0\n", 3.0)
    assert (factors.count, report.used, report.non_integer) == (2, 0, [])
    assert (table_of(factors) == 3.0).all()


def test_fraction_of_l_becomes_F_and_shifts_the_columns(hkl):
    factors, report = hkl("0 0 0 1\n1 1 1.5 0\n0 1 1 0\n1 2 3 4\n")
    # the integers see 1 1 1 .5, 0 0 1 1, 0 1 2 3, and then a lone 4
    assert report.used == 4
    table = table_of(factors)
    assert (table[1, 1, 1], table[0, 0, 1], table[0, 1, 2]) == (0.5, 1.0, 3.0)


def test_shifted_columns_outside_the_table_are_an_error(hkl):
    with pytest.raises(NanoBraggError, match=r"shifts the columns behind it, and row 50 2 2"):
        hkl("1 1 1.5 50\n2 2 2 30\n")


@pytest.mark.parametrize("index", ["1e10", "-3e9", "99999999999999999999", "inf", "-1e308"])
def test_impossible_index_is_an_error_naming_the_row(hkl, index):
    with pytest.raises(NanoBraggError, match=r"P1\.hkl, row 2: k = .* is no Miller index"):
        hkl(f"0 0 0 5\n0 {index} 0 5\n")


@pytest.mark.parametrize("far", [999_999_999, 100_000])
def test_ranges_too_large_for_memory_are_an_error(hkl, far):
    with pytest.raises(NanoBraggError, match=rf"h from 0 to {far}, .* GiB is too large"):
        hkl(f"0 0 0 5\n{far} {far} {far} 5\n")


def test_sparse_table_costs_what_is_used(hkl):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    factors, _ = hkl("0 0 0 5\n400 400 400 6\n")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert factors.values.nbytes > 490 * 2**20
    assert (after - before) * 1024 < 200 * 2**20
    assert memoryview(factors.values)[400, 400, 400] == 6.0


@pytest.mark.parametrize("text", [b"", b"\n\n", b"h k l F\n", b"1 2 3", b"\x7fELF\2\1\1\0", b"nan nan nan 5\n"])
def test_no_rows_is_the_reference_s_error_with_its_lines(hkl, text):
    with pytest.raises(NotEnoughIndices, match="not enough HKL indices") as caught:
        hkl(text)
    assert caught.value.status == 9
    assert caught.value.report_lines == tuple(f"{axis}: 1000000000 - -1000000000" for axis in "hkl")


def test_lines_of_the_empty_file_are_the_golden_ones():
    golden = INPUTS.parent / "error_empty_hkl_file.npz"
    with np.load(golden) as case:
        lines = case["stdout"].tobytes().decode().splitlines()
    with pytest.raises(NotEnoughIndices) as caught:
        read_hkl(INPUTS / "empty.hkl")
    assert tuple(lines[-3:]) == caught.value.report_lines


def test_missing_file_directory_and_odd_names(tmp_path):
    with pytest.raises(NanoBraggError, match=r"cannot read .*P1\.hkl: no such file; give .* with -hkl FILE"):
        read_hkl(tmp_path / "P1.hkl")
    with pytest.raises(NanoBraggError, match="it is a directory"):
        read_hkl(tmp_path)
    with pytest.raises(NanoBraggError, match="the name has a NUL in it"):
        read_hkl("P1\0.hkl")
    with pytest.raises(NanoBraggError, match="the name is too long"):
        read_hkl("x" * 300)
    with pytest.raises(NanoBraggError, match="not a directory"):
        read_hkl(__file__ + "/P1.hkl")


def test_reads_from_a_pipe():
    text = "".join(f"{i} 0 0 {i}.25\n" for i in range(2000)).encode()
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    try:
        factors = read_hkl(f"/dev/fd/{reader}")
    finally:
        os.close(reader)
    assert table_of(factors)[:, 0, 0].tolist() == [i + 0.25 for i in range(2000)]


def test_number_longer_than_any_line(hkl):
    factors, _ = hkl("0 0 0 0." + "3" * 5000 + "\n1 0 0 1" + "0" * 400 + "\n")
    assert table_of(factors)[:, 0, 0].tolist() == [1 / 3, math.inf]


# ---- the table as the kernels want it ------------------------------------------------------------------------------


def pad_of(table):
    """The elements before the table, seen through their address."""
    import ctypes

    address = np.asarray(table).ctypes.data - 8 * table.pad
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_double)), (table.pad,))


def assert_kernel_layout(table, factors, inside):
    full = np.asarray(table)
    np.testing.assert_array_equal(full[:-1, :-1, :-1], inside)
    for layer in (full[-1], full[:, -1], full[:, :, -1]):
        assert (layer == factors.default_F).all()
    assert table.pad >= table_pad(table.shape)
    assert (pad_of(table) == factors.default_F).all()
    assert full.ctypes.data % 64 == 0
    # one below the box on every axis
    _, k_extent, l_extent = table.shape
    assert full.ctypes.data - 8 * (k_extent * l_extent + l_extent + 1) >= full.ctypes.data - 8 * table.pad


def test_kernel_table_without_default_F_is_the_table_itself():
    factors = read_hkl(INPUTS / "holes6.hkl")
    table = kernel_table(factors)
    assert table is factors.values
    assert_kernel_layout(table, factors, table_of(factors))


def test_kernel_table_is_a_copy_unless_told_otherwise():
    factors = read_hkl(INPUTS / "holes6.hkl", 35.0)
    before = np.array(factors.values)
    table = kernel_table(factors)
    assert table is not factors.values
    np.testing.assert_array_equal(np.asarray(factors.values), before)
    assert_kernel_layout(table, factors, before[:-1, :-1, :-1])
    in_place = kernel_table(factors, in_place=True)
    assert in_place is factors.values
    assert_kernel_layout(in_place, factors, before[:-1, :-1, :-1])


def test_kernel_table_of_somebody_else_s_array():
    factors = read_hkl(INPUTS / "full8.hkl")
    for default_F in (0.0, 3.0):
        foreign = factors.replace(values=np.array(factors.values), default_F=default_F)
        table = kernel_table(foreign, in_place=True)
        assert isinstance(table, Buffer)
        assert_kernel_layout(table, foreign, table_of(factors))
    assert kernel_table(factors.replace(bounds=None, values=None)) is None


# ---- indices that come more than once ------------------------------------------------------------------------------


def repeated(rows, default_F):
    """(number of rows that change an amplitude, the first of them) by their definition."""
    amplitudes, count, first = {}, 0, None
    for *index, F in rows:
        before = amplitudes.get(tuple(index), default_F)
        if before not in (default_F, F):
            count, first = count + 1, first or tuple(index)
        amplitudes[tuple(index)] = F
    return count, first, amplitudes


@pytest.mark.parametrize("default_F", [0.0, 7.0])
@pytest.mark.parametrize("width", [3, 40])  # a table that is full, and one that is next to empty
def test_rows_that_replace_others(hkl, width, default_F):
    numbers = random.Random(width)
    for _ in range(20):
        rows = [(*(numbers.randrange(width) for _ in range(3)), float(numbers.randrange(9))) for _ in range(40)]
        factors, report = hkl("".join(f"{h} {k} {l} {F:g}\n" for h, k, l, F in rows), default_F)
        count, first, amplitudes = repeated(rows, default_F)
        assert (report.replaced, report.first_replaced) == (count, first)
        bounds = factors.bounds
        for (h, k, l), F in amplitudes.items():
            assert table_of(factors)[h - bounds[0], k - bounds[2], l - bounds[4]] == F
        others = [F for F in amplitudes.values() if F not in (default_F,)]
        assert np.count_nonzero(table_of(factors) != default_F) == len(others)


def test_rows_that_replace_others_behind_one_that_is_read_twice(hkl):
    _, report = hkl("1 2 3 10\n0x1 2 3 20\n1 2 3 30\n")  # %d reads 0 and stops
    assert (report.used, report.replaced) == (1, 0)
    _, report = hkl("1 2 3 10\n0000000001 2 3 5\n1 2 3 30\n")
    assert (report.used, report.replaced, report.first_replaced) == (3, 2, (1, 2, 3))


def test_the_program_says_that_rows_repeat(tmp_path):
    (tmp_path / "a.hkl").write_text("1 2 3 100\n0 0 1 5\n1 2 3 110\n0 0 1 5\n")
    words = "-hkl a.hkl -cell 50 60 70 90 90 90 -N 3 -detpixels 8 -pixel 1 -nointerpolate"
    done = subprocess.run(
        [Path(sys.executable).parent / "nanoBragg", *words.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "WARNING: a.hkl: 1 row with another amplitude for an index that an earlier row has, the first of them 1 2 3; "
        "the last one counts, as in the C program; for their mean: nanobragg-py hkl a.hkl --out FIXED.hkl"
    ]
