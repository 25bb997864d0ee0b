"""The replayer of documented transcripts has to notice what it is there for."""

import pytest
from transcripts import matches, replay_block, transcripts


def test_wildcards():
    assert matches(["a 1", "...", "z"], ["a 1", "z"])
    assert matches(["a 1", "...", "z"], ["a 1", "b", "c", "z"])
    assert matches(["took ... ms"], ["took 12.5 ms"])
    assert not matches(["took ... ms"], ["took 12.5 s"])
    assert not matches(["a"], ["a", "b"])
    assert not matches(["a", "b"], ["a"])
    assert not matches(["a.c"], ["abc"])
    assert not matches([], ["a"])


def test_blocks_of_a_document(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n```console\n$ echo \\\n  one\none\n$ false\n```\n```sh\n$ not this\n```\n")
    assert transcripts(page) == [(2, [("echo \\\n  one", ["one"]), ("false", [])])]


def test_a_block_is_one_shell(tmp_path):
    replay_block(
        "here", [("x=5; echo out; echo err >&2", ["out", "err"]), ("(exit 3)", []), ("echo $? $x", ["3 5"])], tmp_path
    )


def test_a_difference_is_reported(tmp_path):
    with pytest.raises(AssertionError, match=r"page.*\n.*the document says\ntwo\n.*it printed\none"):
        replay_block("page", [("echo one", ["two"])], tmp_path)


def test_a_shell_that_stops_early_is_reported(tmp_path):
    with pytest.raises(AssertionError, match="stopped early"):
        replay_block("page", [("exit 1", []), ("echo on", ["on"])], tmp_path)
