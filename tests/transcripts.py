"""Replays the terminal transcripts of a document, so that what the documentation shows is what happens.

A transcript is a fenced block marked ``console``::

    ```console
    $ nanobragg-py trace --pixel 3 4 -- \\
        -cell 40 50 60 -default_F 10
    TRACE: ...
    ...
    $ echo $?
    0
    ```

Lines that begin with ``$ `` are commands (a backslash at the end continues one on the next line); the lines below a
command are what it prints, standard output and standard error together. In those, a line ``...`` stands for any number
of lines, also none, and ``...`` inside a line for any text. All blocks of a document run one after the other in one
folder, which starts with the files of golden/inputs; a block is one shell, so ``$?`` and variables work.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARK = "=== next command ==="
SECONDS = 300


def replay(document, folder):
    """Run every transcript of a document in a folder; AssertionError says what differs.

    document: its path from the root of the repository, as in "docs/trace.md". folder: an empty one (pytest's tmp_path).
    """
    found = transcripts(ROOT / document)
    assert found, f"{document} has no console transcript"
    for source in (ROOT / "golden" / "inputs").iterdir():
        shutil.copy(source, folder)
    for line, commands in found:
        replay_block(f"{document}, line {line}", commands, folder)


def transcripts(path):
    """[(line number, [(command, expected lines), ...]), ...] of a document."""
    found, commands = [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if commands is None:
            if line.strip() == "```console":
                commands = []
                found.append((number, commands))
        elif line.strip() == "```":
            commands = None
        elif line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands and not commands[-1][1] and commands[-1][0].endswith("\\"):
            commands[-1] = (commands[-1][0] + "\n" + line, [])
        else:
            assert commands, f"{path}, line {number}: a transcript begins with a command ($ ...)"
            commands[-1][1].append(line.rstrip())
    return found


def replay_block(where, commands, folder):
    """Run the commands of one block in one shell and compare what each printed."""
    script = "".join(f"{command}\nstatus=$?; echo; echo '{MARK}'; (exit $status)\n" for command, _ in commands)
    environment = dict(os.environ, COLUMNS="100", LC_ALL="C.UTF-8")
    environment["PATH"] = os.path.dirname(sys.executable) + os.pathsep + environment["PATH"]
    done = subprocess.run(
        ["bash", "-c", "exec 2>&1\n" + script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=SECONDS,
    )
    printed = done.stdout.decode(errors="replace").split(f"\n{MARK}\n")
    assert len(printed) == len(commands) + 1, f"{where}: the shell stopped early and printed\n{printed[-1]}"
    for (command, expected), text in zip(commands, printed, strict=False):
        lines = [line.rstrip() for line in text.splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        while expected and not expected[-1]:
            expected.pop()
        assert matches(expected, lines), (
            f"{where}: $ {command}\n--- the document says\n"
            + "\n".join(expected)
            + "\n--- it printed\n"
            + "\n".join(lines)
        )


def matches(expected, lines):
    """True when the lines are those that were expected, wildcards taken into account."""
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(line + "\n" for line in lines)) is not None
