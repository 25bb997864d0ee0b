"""Orientation matrices."""

import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.files.matrix import read_matrix

NUMBERS = (-0.01783, -0.00912, 0.01127, 0.01345, 0.02051, -0.00481, -0.01921, 0.00377, -0.01689)


@pytest.mark.parametrize(
    "text",
    [
        "-0.01783 -0.00912 0.01127\n0.01345 0.02051 -0.00481\n-0.01921 0.00377 -0.01689\n",
        "-0.01783 -0.00912 0.01127\r\n0.01345 0.02051 -0.00481\r\n-0.01921 0.00377 -0.01689",
        "-1.783e-2-0.00912+0.01127\n\n0.01345 0.02051-0.00481-0.01921 0.00377\t-0.01689\n  0.5 0.6 0.7\n text",
    ],
    ids=["plain", "carriage returns", "touching numbers and more text"],
)
def test_reads_nine_numbers(tmp_path, text):
    path = tmp_path / "A.mat"
    path.write_bytes(text.encode())
    assert read_matrix(path) == NUMBERS


def test_a_missing_file_is_none(tmp_path):
    assert read_matrix(tmp_path / "absent.mat") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 2 3\n4 5 6\n7 8", "begins with 8 numbers"),
        ("", "begins with 0 numbers"),
        ("matrix\n1 2 3 4 5 6 7 8 9", "begins with 0 numbers"),
        ("1 2 3 4 nan 6 7 8 9", "nan"),
        ("1 2 3 4 5 6 7 8 1e999", "inf"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, says):
    path = tmp_path / "bad.mat"
    path.write_text(text)
    with pytest.raises(NanoBraggError, match=says) as error:
        read_matrix(path)
    assert "bad.mat" in str(error.value)


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(NanoBraggError, match="directory"):
        read_matrix(tmp_path)
