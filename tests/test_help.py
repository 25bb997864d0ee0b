"""The help of every tool is kept in docs/help/, so that no change of it goes unseen.

After a change, write the files anew: ``python tests/test_help.py``.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import installed_program

from nanobragg_py.cli.main import TOOLS, main

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "help"
COMMANDS = {"nanobragg-py": [], **{name: [name] for name in TOOLS}}


def help_text(words):
    """What a tool says to --help in a terminal of 100 columns."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        patch.setenv("NO_COLOR", "1")
        with pytest.raises(SystemExit) as stopped:
            main([*words, "--help"])
    assert stopped.value.code == 0
    return text.getvalue()


def words_of(text):
    """The text without what Python's versions lay out differently: line breaks, and `-o X, --option X` in full."""
    return re.sub(r"(-\w) ([^,\s]+), (--[\w-]+) \2", r"\1, \3 \2", " ".join(text.split()))


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name):
    assert words_of(help_text(COMMANDS[name])) == words_of((FOLDER / f"{name}.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_the_terminal(name):
    long = [line for line in help_text(COMMANDS[name]).splitlines() if len(line) > 110]
    assert long == []


def test_no_help_of_tools_that_are_gone():
    assert {path.stem for path in FOLDER.iterdir()} == set(COMMANDS)


def test_layout_of_other_versions():
    assert words_of("usage: x [-o\n  N]\n  -o N, --out N  text") == words_of("usage: x [-o N]\n -o, --out N\n   text")
    assert words_of("one two") != words_of("one too")


# ---- the command around the tools ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exlpain"], "nanobragg-py exlpain: there is no such subcommand; did you mean explain?"),
        (["zzz"], "there are trace, compare-traces"),
        (["explain", "-hkl", "P1.hkl"], "put -- in front of nanoBragg's flags"),
        (["explain", "-cell", "5"], "-cell is a flag of nanoBragg"),
    ],
)
def test_words_that_are_wrong(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "arguments are required"),
        (["explain", "--jso"], "nanobragg-py explain: error: unrecognized arguments: --jso"),
        (["compare", "--roi", "3"], "expected 4 arguments"),
    ],
)
def test_words_that_argparse_refuses(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert re.fullmatch(r"nanobragg-py \d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize("words", [["compare", "--", "-cell", "5"], ["golden", "make", "cases.json", "kept"]])
def test_an_extra_that_is_missing(words, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "numpy", None)
    for module in [name for name in sys.modules if re.fullmatch(r"nanobragg_py\.inspect\.(compare|golden)\w*", name)]:
        monkeypatch.delitem(sys.modules, module)
    assert main(words) == 2
    assert "this needs numpy; pip install numpy" in capsys.readouterr().err


def test_a_reader_that_leaves(tmp_path):
    """`nanobragg-py explain ... | head -1` ends quietly."""
    command = f"{sys.executable} -c 'import sys; from nanobragg_py.cli.main import main; sys.exit(main())'"
    line = f"{command} explain --json -- -cell 50 -default_F 1 | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode in (0, 141)
    assert done.stdout == "{\n" and done.stderr == ""


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for tool, arguments in COMMANDS.items():
        (FOLDER / f"{tool}.txt").write_text(help_text(arguments), encoding="utf-8")
        print(os.path.relpath(FOLDER / f"{tool}.txt"))


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_on_a_narrow_terminal(name, columns):
    """No word is broken at the edge, and an example is a command still."""
    text = on_a_terminal(columns, "nanobragg-py", *COMMANDS[name], "--help")
    # the usage has a column of its own, from which an option and its value may stick out
    long = [line.strip() for line in text.splitlines() if len(line) > columns]
    assert [line for line in long if not re.fullmatch(r"\[--[\w-]+ \S+\]", line)] == []
    wide = on_a_terminal(200, "nanobragg-py", *COMMANDS[name], "--help")
    for example in commands_of(wide):
        assert example in commands_of(text)


def commands_of(text):
    """The words of every example."""
    lines = re.sub(r" \\\n +", " ", text.partition("\nexample")[2]).splitlines()
    return [line.split() for line in lines if re.match(r"  \S*[^:\s] ", line)]


def on_a_terminal(columns, program, *words):
    """What a program prints on a terminal so wide."""
    import fcntl
    import pty
    import struct
    import termios

    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.environ.pop("COLUMNS", None)
        os.environ["NO_COLOR"] = "1"
        (path,) = installed_program(program)
        os.execv(path, [path, *words])
    printed = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error
        while block := os.read(terminal, 65536):
            printed += block
    os.close(terminal)
    os.waitpid(pid, 0)
    return printed.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("program", ["nanoBragg", "noisify", "nonBragg"])
def test_flags_on_a_narrow_terminal(program, columns):
    assert [line for line in on_a_terminal(columns, program, "-help").splitlines() if len(line) > columns] == []
