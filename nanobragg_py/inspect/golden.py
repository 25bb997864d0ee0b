"""Reference results of command lines: run a program, keep what it wrote, compare.

A case is a dict, as in golden/cases.json: ``id``; ``args``, the command line as one shell-quoted string; ``inputs``,
names of the files it reads; ``mode``, "default" or "c" (then `-compat c` is given to our program); ``before``, command
lines to run first in the same folder. A result of it is kept as an .npz archive (see `save`).
"""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..files.atomic import write_file
from ..flags.nanobragg import TABLE
from ..records import REQUIRED, Record

#: a pixel may differ from its reference by this part of its value, and by this part of the image's maximum
RELATIVE = 1e-6
OF_MAXIMUM = 1e-9
#: the share of pixels that must be the same to the bit
IDENTICAL = 0.999
#: archive members that are not output files
_PRINTED = ("stdout", "progress", "warnings", "exit_code")

#: seconds after which a program that says that it takes long is not kept to ourselves; what it says
PATIENCE = 2.0
LONG = "are expected to take"

_PROGRESS = re.compile(r"\d+% done")
# What is ours or differs from run to run: the program's name, an address, the wording of complaints.
_OURS = re.compile(r"[nN](ano|on)[bB]ragg|noisify - |mmap\(|WARNING|ERROR")
#: how the reference goes on with a complaint on the next line
_CONTINUED = re.compile(r" {9}\S")
_USAGE = re.compile(r"(ERROR:.*)?[uU]sage:")


class Result(Record):
    """What a program did with a command line.

    files: name -> bytes, of every file it wrote. lines: the printed lines that any program must print alike, without
    trailing blanks. progress: the progress meter's lines. warnings: number of WARNING lines on standard output.
    exit_status. output, errors: standard output as it came, and standard error. seconds: wall-clock time it took.
    """

    _fields = {
        "files": REQUIRED,
        "lines": REQUIRED,
        "progress": REQUIRED,
        "warnings": REQUIRED,
        "exit_status": REQUIRED,
        "output": "",
        "errors": "",
        "seconds": 0.0,
    }


class Comparison(Record):
    """How a result differs from its reference.

    differences: sentences, empty when it passes. pixels: pixels of float images that were compared; differing: how
    many of them are not the same to the bit.
    """

    _fields = {"differences": REQUIRED, "pixels": 0, "differing": 0}


# ---- running -------------------------------------------------------------------------------------------------------


def case_arguments(case: Any, own_flags: bool = True) -> Any:
    """The tokens of a case's command line. own_flags: say `-compat c` where the case wants it; the reference cannot."""
    arguments = shlex.split(case["args"])
    # in front, since it matters to defect D3 which flag is the last
    return ["-compat", "c", *arguments] if own_flags and case["mode"] == "c" else arguments


def run(program: Any, arguments: Any, folder: Any, environment: Any = None) -> "Result":
    """Run a command line in a folder and collect what it did: a `Result`.

    program: the command as a list of words. arguments: the tokens after it. folder: files that lie there already are
    inputs, and are not collected unless the program changed them. environment: variables to set besides.
    """
    folder = Path(folder)
    before = _contents(folder)
    begin = perf_counter()
    status, printed, errors = _run_telling([*program, *arguments], folder, {**os.environ, **(environment or {})})
    seconds = perf_counter() - begin
    output = printed.decode(errors="surrogateescape")
    after = _contents(folder)
    printed = printed_lines(output)
    return Result(
        files={name: data for name, data in after.items() if before.get(name) != data},
        lines=printed["lines"],
        progress=printed["progress"],
        warnings=printed["warnings"],
        exit_status=status,
        output=output,
        errors=errors.decode(errors="surrogateescape"),
        seconds=seconds,
    )


def _run_telling(command, folder, environment):
    """(exit status, standard output, standard error) of a command; that it will take long is passed on."""
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        try:
            try:
                output, errors = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired as late:
                for line in (late.stderr or b"").decode(errors="replace").splitlines():
                    if LONG in line:
                        print(line, file=sys.stderr, flush=True)
                output, errors = process.communicate()
        except BaseException:
            process.kill()
            raise
    return process.returncode, output, errors


def _contents(folder):
    """The files of a folder and those below it, by their names from the folder: name -> bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run_case(program: Any, case: Any, inputs: Any, environment: Any = None, own_flags: bool = True) -> Any:
    """Run a case in an empty folder: a `Result`. inputs: the folder where its input files are. Others as for `run`."""
    with tempfile.TemporaryDirectory() as folder:
        for name in case["inputs"]:
            shutil.copy(Path(inputs) / name, folder)
        kept = {}
        for line in case.get("before", ()):
            kept.update(run(program, shlex.split(line), folder, environment).files)
        result = run(program, case_arguments(case, own_flags), folder, environment)
        # a file that the command before left, and this one left as it was, is part of the outcome all the same
        return result.replace(files={**kept, **result.files})


def printed_lines(text: Any) -> dict[Any, Any]:
    """What a program printed, sorted: ``lines`` that must be the same everywhere, ``progress`` lines, ``warnings``."""
    lines, progress, warnings, complaining = [], [], 0, False
    for line in text.split("\n"):
        if _USAGE.match(line):
            break
        complaining = bool(_OURS.match(line)) or (complaining and bool(_CONTINUED.match(line)))
        if _PROGRESS.fullmatch(line):
            progress.append(line)
        elif complaining:
            warnings += line.startswith("WARNING:")
        else:
            lines.append(line.rstrip())
    return {"lines": _trimmed(lines), "progress": progress, "warnings": warnings}


def _trimmed(lines):
    """The lines without blank ones at either end."""
    full = [at for at, line in enumerate(lines) if line]
    return lines[full[0] : full[-1] + 1] if full else []


# ---- keeping -------------------------------------------------------------------------------------------------------


def save(result: Any, path: Any) -> None:
    """Write a result as an archive: every output file's bytes under its name, and what it printed."""
    members: dict[str, Any] = {name: np.frombuffer(data, np.uint8) for name, data in result.files.items()}
    for name, lines in (("stdout", result.lines), ("progress", result.progress)):
        members[name] = np.frombuffer("\n".join(lines).encode(errors="surrogateescape"), np.uint8)
    archive = io.BytesIO()
    np.savez_compressed(archive, **members, warnings=result.warnings, exit_code=result.exit_status)
    write_file(path, archive.getbuffer())


def load(path: Any) -> "Result":
    """Read an archive that `save` wrote; one without progress lines (an older one) has None for them."""
    with np.load(path) as archive:
        return Result(
            files={name: archive[name].tobytes() for name in archive.files if name not in _PRINTED},
            lines=_member_lines(archive, "stdout"),
            progress=_member_lines(archive, "progress") if "progress" in archive.files else None,
            warnings=int(archive["warnings"]),
            exit_status=int(archive["exit_code"]),
        )


def _member_lines(archive, name):
    return _trimmed(archive[name].tobytes().decode(errors="surrogateescape").split("\n"))


# ---- comparing -----------------------------------------------------------------------------------------------------


def compare(
    result: Any, reference: Any, arguments: Any, identical: Any = IDENTICAL, table: Any = TABLE
) -> "Comparison":
    """Compare two results of one command line: a `Comparison`.

    arguments: its tokens, which say what file holds the float image. That one is compared with tolerance (see
    `compare_pixels`); all other files, the printed lines and the exit status must be the same. identical: the share of
    float pixels that must be the same to the bit. table: the program's flags; one that writes no float image has no
    option `float_file`.
    """
    differences = []
    if result.exit_status != reference.exit_status:
        last = result.errors.strip().splitlines()[-1:] or ["nothing on standard error"]
        differences.append(f"exit status {result.exit_status}, not {reference.exit_status} ({last[0]})")
    differences += compare_lines("printed line", result.lines, reference.lines)
    if reference.progress is not None:
        differences += compare_lines("progress line", result.progress, reference.progress)
    if result.warnings != reference.warnings:
        differences.append(f"{result.warnings} WARNING lines, not {reference.warnings}")
    pixels = differing = 0
    float_file = getattr(table.parse(list(arguments)), "float_file", None)
    float_file = float_file and os.path.normpath(float_file)
    for name in sorted({*result.files, *reference.files}):
        ours, theirs = result.files.get(name), reference.files.get(name)
        if ours is None or theirs is None:
            differences.append(f"{name} was {'not ' if ours is None else ''}written")
        elif name == float_file:
            images = [np.frombuffer(data[: len(data) // 4 * 4], np.float32) for data in (ours, theirs)]
            found, differing = compare_pixels(images[0], images[1], identical)
            pixels = images[1].size
            differences += [f"{name}: {sentence}" for sentence in found]
        elif ours != theirs:
            differences.append(f"{name} differs: {bytes_apart(ours, theirs)}")
    return Comparison(differences=differences, pixels=pixels, differing=differing)


def compare_pixels(ours: Any, theirs: Any, identical: Any = IDENTICAL) -> tuple[Any, Any]:
    """How two float32 images differ: (list of sentences, number of pixels that are not the same to the bit).

    Every pixel has to lie within 1e-6 of its value plus 1e-9 of the image's maximum, and be zero where the reference
    is; a share `identical` has to be the same to the bit. nan agrees with nan.
    """
    if ours.size != theirs.size:
        return [f"{ours.size} pixels, not {theirs.size}"], max(ours.size, theirs.size)
    same = (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))
    differing = int(np.count_nonzero(~same))
    found = []
    if differing > (1.0 - identical) * ours.size:
        found.append(f"{differing} of {ours.size} pixels are not the same to the bit")
    finite = np.isfinite(theirs)
    maximum = float(np.abs(theirs[finite]).max(initial=0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
        allowed = RELATIVE * np.abs(theirs.astype(np.float64)) + OF_MAXIMUM * maximum
    allowed[~finite] = 0.0
    wrong = ~same & ~(error <= allowed)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[np.argmax(np.where(finite, error, np.inf)[wrong])])
        found.append(
            f"{np.count_nonzero(wrong)} pixels are out of tolerance, the worst of them pixel {at}: "
            f"{ours[at]:.9g}, not {theirs[at]:.9g}"
        )
    lit = int(np.count_nonzero((theirs == 0.0) & (ours != 0.0)))
    if lit:
        found.append(f"{lit} pixels are not 0 where the reference is")
    return found, differing


def compare_lines(what: Any, ours: Any, theirs: Any) -> list[str]:
    """Sentences about the first place where two lists of lines part."""
    for at, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        if our != their:
            return [f"{what} {at + 1} is {our!r}, not {their!r}"]
    if len(ours) < len(theirs):
        return [f"{what} {len(ours) + 1} is missing: {theirs[len(ours)]!r}"]
    if len(ours) > len(theirs):
        return [f"{what} {len(theirs) + 1} is one too many: {ours[len(theirs)]!r}"]
    return []


def bytes_apart(ours: Any, theirs: Any) -> str:
    """How two files differ, in words."""
    if len(ours) != len(theirs):
        return f"{len(ours)} bytes, not {len(theirs)}"
    apart = np.flatnonzero(np.frombuffer(ours, np.uint8) != np.frombuffer(theirs, np.uint8))
    return f"{apart.size} bytes, the first of them byte {apart[0]}"
