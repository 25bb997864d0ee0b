"""Columns of numbers: source lists and amorphous structure factors."""

import math
from pathlib import Path

import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.table import read_sources, read_table


@pytest.fixture
def table(tmp_path):
    def read(content, columns=5):
        path = tmp_path / "table.txt"
        path.write_bytes(content)
        return [tuple(None if math.isnan(x) else x for x in row) for row in read_table(path, columns)]

    return read


def test_missing_values(table):
    assert table(b"-10 0.5 0 2 1e-10\n-10 0 1\n7\n") == [
        (-10.0, 0.5, 0.0, 2.0, 1e-10),
        (-10.0, 0.0, 1.0, None, None),
        (7.0, None, None, None, None),
    ]


@pytest.mark.parametrize("line", [b"1 2 3\n", b"  1\t2  3  \n", b"1,2;3\n", b":1!2, ;3,\n", b"1 2 3\r\n", b"1 2 3"])
def test_delimiters_and_line_ends(table, line):
    assert table(line, 3) == [(1.0, 2.0, 3.0)]
    assert table(line, 4) == [(1.0, 2.0, 3.0, None)]


def test_empty_lines_do_not_count(table):
    assert table(b"\n 1\n  \t,\n\r\n2\n\n \n", 1) == [(1.0,), (2.0,)]


def test_further_columns_are_ignored(table):
    assert table(b"1 2 3 4\n", 2) == [(1.0, 2.0)]


def test_what_is_no_number_is_zero(table):
    assert table(b"# 3 1.5mm -2e-3m\n", 4) == [(0.0, 3.0, 1.5, -0.002)]


def test_nan_is_a_missing_value(table):
    assert table(b"1 nan 3\n", 3) == [(1.0, None, 3.0)]


def test_the_golden_source_list():
    rows = read_sources(Path(__file__).parent.parent / "golden" / "inputs" / "sources.txt")
    assert [row[:3] for row in rows] == [(-10, 0, 0), (-10, 0.02, 0.01), (-10, -0.015, 0.01), (-9.5, 0.01, -0.02)]
    assert rows[1][3:] == (0.25, 1.01e-10)
    assert math.isnan(rows[2][4])
    assert math.isnan(rows[3][3])


@pytest.mark.parametrize("content", [b"", b"\n\n", b"  ,;\n"])
def test_a_file_without_rows(tmp_path, content):
    path = tmp_path / "empty.txt"
    path.write_bytes(content)
    with pytest.raises(NanoBraggError, match=r"empty\.txt is empty"):
        read_table(path, 2)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(NanoBraggError, match=r"absent\.txt"):
        read_table(tmp_path / "absent.txt", 2)
    with pytest.raises(NanoBraggError, match="directory"):
        read_table(tmp_path, 2)
