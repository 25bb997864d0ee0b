"""Completion scripts and man pages: shells take them, and everything is in them."""

import os
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from nanobragg_py.cli import pages
from nanobragg_py.cli.main import TOOLS, main
from nanobragg_py.flags.page import TABLES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("pages")
    pages.write(place)
    return place


def scripts(folder, shell):
    return [folder / pages.PLACES[shell].format(program.name) for program in pages.programs()]


def completions(folder, line):
    """What bash offers for the last word of a line."""
    words = line.split(" ")
    program = words[0]
    sources = "\n".join(f"source {path}" for path in scripts(folder, "bash"))
    code = f"""{sources}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
COMP_CWORD={len(words) - 1}
$(complete -p {program} | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes(folder):
    assert completions(folder, "nanoBragg -detpix") == ["-detpixels", "-detpixels_f", "-detpixels_x", "-detpixels_s",
                                                         "-detpixels_y"]  # fmt: skip
    assert completions(folder, "nanoBragg -backend ") == ["cpu", "gpu", "auto"]
    assert completions(folder, "nanoBragg -hkl a") == []  # so that bash takes file names
    assert completions(folder, "nanobragg-py comp") == ["compare-traces", "compare", "completion"]
    assert completions(folder, "nanobragg-py trace --phi-") == ["--phi-log", "--phi-mode"]
    assert completions(folder, "nanobragg-py trace --phi-mode ") == ["spec", "c-parity"]
    assert completions(folder, "nanobragg-py trace --pixel 1 2 -- -mosaic_d") == ["-mosaic_domains"]
    assert "-mosaic_domains" in completions(folder, "nb-compare -- -mosaic_")
    assert completions(folder, "nanobragg-py completion ") == ["bash", "fish", "tcsh", "zsh"]


@pytest.mark.parametrize(
    ("shell", "check"),
    [
        ("bash", ["bash", "-n", "{}"]),
        ("zsh", ["zsh", "-n", "{}"]),
        ("fish", ["fish", "-n", "{}"]),
        ("tcsh", ["tcsh", "-f", "-c", "source {}"]),
    ],
)
def test_shells_take_the_scripts(folder, shell, check):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    for script in scripts(folder, shell):
        done = subprocess.run([word.format(script) for word in check], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_fish_completes(folder):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    sources = "; ".join(f"source {path}" for path in scripts(folder, "fish"))
    for line, word in (
        ("nanoBragg -detpixels_", "-detpixels_f"),
        ("nanobragg-py comp", "compare-traces"),
        ("nanobragg-py sweep --images 3 -- -mosaic_d", "-mosaic_domains"),
        ("nanobragg-py trace -- -backend ", "auto"),
        ("nanobragg-py completion ", "tcsh"),
    ):
        done = subprocess.run(["fish", "-c", f"{sources}; complete -C '{line}'"], capture_output=True, text=True)
        assert word in [found.split("\t")[0] for found in done.stdout.splitlines()]


#: what is typed up to the tabulator, and what stands there then
TYPED = [
    ("nanoBragg -distan", "nanoBragg -distance"),
    ("nanobragg-py completion z", "nanobragg-py completion zsh"),
    ("nanobragg-py sweep --ima", "nanobragg-py sweep --images"),
    ("noisify -psf g", "noisify -psf gauss"),
]
BEHIND = [
    ("nanobragg-py sweep --images 3 -- -mosaic_dom", "-- -mosaic_domains"),
    ("nb-compare -- -backend g", "-- -backend gpu"),
]


class Typing:
    """A shell in a terminal of its own, in an empty folder."""

    def __init__(self, folder, *command):
        import pty

        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(folder)
                os.environ.update(TERM="vt100" if command[0] == "tcsh" else "dumb", PS1="% ", HOME=str(folder))
                os.execvp(command[0], command)
            finally:
                os._exit(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def shows(self, text, typed):
        """Type something, and read until what a pattern describes is there; returns what was read."""
        os.write(self.fd, typed.encode())
        read, until = "", time.monotonic() + 60
        while not re.search(text, plain(read)) and time.monotonic() < until:
            if select.select([self.fd], [], [], 0.1)[0]:
                read += os.read(self.fd, 65536).decode(errors="replace")
        return plain(read)


def plain(text):
    """What a terminal was told, without what is no text."""
    return re.sub(r"\x07|\x1b\[[?\d;]*[A-Za-z]", "", text)


@pytest.mark.parametrize("way", ["zsh, sourced", "zsh, found", "tcsh", "bash"])
def test_completion_as_it_is_typed(folder, way, tmp_path):
    shell = way.partition(",")[0]
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    sources = "".join(f"source {path}\n" for path in scripts(folder, shell))
    setup = {
        "zsh, sourced": f"autoload -U compinit; compinit -D -u\n{sources}",
        "zsh, found": f"fpath=({scripts(folder, 'zsh')[0].parent} $fpath); autoload -U compinit; compinit -D -u\n",
        "tcsh": sources,
        "bash": sources,
    }[way]
    setup = {"tcsh": "set prompt = 'ready> '\n"}.get(shell, "PS1='ready> '\n") + setup
    options = {"zsh": ["-f", "-i"], "tcsh": ["-f"], "bash": ["--norc", "--noprofile", "-i"]}[shell]
    with Typing(tmp_path, shell, *options) as terminal:
        assert "3042" in terminal.shows(r"3042\s[\s\S]*ready> $", f"{setup}expr 3000 + 42\n")
        for typed, text in TYPED if shell == "tcsh" else TYPED + BEHIND:
            found = terminal.shows(re.escape(text), f"{typed}\t")
            assert text in found and "error" not in found and "not found" not in found
            assert "7020" in terminal.shows(r"7020\s[\s\S]*ready> $", "\x15expr 7000 + 20\n")


@pytest.mark.parametrize("shell", pages.SHELLS)
def test_every_flag_is_in_the_scripts(folder, shell):
    for program, script in zip(pages.programs(), scripts(folder, shell), strict=True):
        text = script.read_text()
        for option in program.options:
            for name in option.names:
                assert re.search(rf"(?<![\w-])-?-?{re.escape(name.lstrip('-'))}(?![\w-])", text), name


def test_man_pages(folder):
    names = {path.name for path in (folder / "share" / "man" / "man1").iterdir()}
    assert names == {
        *(f"{program}.1" for program in TABLES),
        *("nanobragg-py.1", "nb-compare.1"),
        *(f"nanobragg-py-{tool}.1" for tool in TOOLS),
    }
    page = (folder / "share" / "man" / "man1" / "nanoBragg.1").read_text()
    for rule in TABLES["nanoBragg"].rules:
        if rule.action != "retired":
            assert all(pages.roff(name) in page for name in rule.names)


def test_man_pages_are_well_formed(folder):
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    for path in (folder / "share" / "man" / "man1").iterdir():
        done = subprocess.run(["mandoc", "-Tutf8", "-Werror", path], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), path


def test_the_tool_prints_them(capsys):
    for shell in pages.SHELLS:
        assert main(["completion", shell]) == 0
        assert all(program.name in capsys.readouterr().out for program in pages.programs()[:1])
