"""Sets of reference results that users keep of their own command lines: a folder of archives and a manifest.

The archives are those of `nanobragg_py.inspect.golden`, one a case; manifest.json holds the command lines as they were
run, the sha256 sum of every file that they wrote, and what wrote them. docs/golden.md describes it.
"""

import hashlib
import json
import os
import shlex
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import NanoBraggError
from ..files.atomic import write_file
from ..files.reading import check_ends
from ..flags.nanobragg import parse
from . import golden
from .compare import floats, image_metrics
from .compare_runs import OUTPUTS, READ, float_layout, outside, read_flags

MANIFEST = "manifest.json"
KEYS = ("id", "args", "inputs", "mode", "before", "tags")


def read_cases(name: str, allow_outside: bool = False) -> list[Any]:
    """The cases of a JSON file, checked, with what they leave out filled in: a list of dicts.

    allow_outside: let them read and write files that are not in the folder that each of them is run in.

    ``id`` and ``args`` are needed; ``mode`` is "default" if missing; ``inputs`` the files that the flags name.
    """
    try:
        with open(name, encoding="utf-8-sig") as file:
            check_ends(file)
            cases = json.load(file)
    except OSError as error:
        raise NanoBraggError(f"cannot read {name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise NanoBraggError(f"{name} is no JSON file ({error}); correct it") from None
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases) or not cases:
        raise NanoBraggError(f"{name} has to hold a list of cases, each an object with id and args")
    found = {}
    for number, case in enumerate(cases, 1):
        case = checked(name, number, case, allow_outside)
        if case["id"] in found:
            raise NanoBraggError(f"{name} has two cases with the id {case['id']}; rename one")
        found[case["id"]] = case
    return list(found.values())


def checked(name: str, number: Any, case: Any, allow_outside: bool = False) -> dict[Any, Any]:
    """A case with all its keys; NanoBraggError says what is wrong with it."""
    where = f"case {number} of {name}"
    for key in ("id", "args"):
        if not isinstance(case.get(key), str):
            raise NanoBraggError(f'{where} lacks "{key}", which has to be a string')
    where = f"case {case['id']} of {name}"
    if not case["id"] or case["id"] in (".", "..") or "/" in case["id"] or "\0" in case["id"]:
        raise NanoBraggError(f"{where} has an id that is no file name")
    unknown = [key for key in case if key not in KEYS]
    if unknown:
        raise NanoBraggError(f'{where} has a key "{unknown[0]}"; there are {", ".join(KEYS)}')
    if case.get("mode", "default") not in ("default", "c"):
        raise NanoBraggError(f'{where} has the mode "{case["mode"]}"; give "default" or "c"')
    lists = {key: case.get(key, []) for key in ("inputs", "before")}
    for key, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise NanoBraggError(f'{where} has "{key}" that is no list of strings')
    try:
        lines = [shlex.split(line) for line in (case["args"], *lists["before"])]
    except ValueError as error:
        raise NanoBraggError(f"{where} has a command line that cannot be split into words ({error})") from None
    if not allow_outside:
        check_inside(where, lines)
    inputs = lists["inputs"] if "inputs" in case else [file for file in input_names(lines) if not outside(file)]
    stray = [item for item in inputs if outside(item) or os.path.dirname(item)]
    if stray:
        raise NanoBraggError(f"{where} reads {stray[0]}; inputs are names of files in the folder of inputs")
    return {"mode": "default", **case, "inputs": inputs, "before": lists["before"]}


def check_inside(where: Any, lines: Any) -> None:
    """Raise where a command line (a list of tokens) reads or writes a file outside of the folder that it is run in."""
    for flags in lines:
        options = parse(flags)
        for option in (*READ, *OUTPUTS, "dump_file"):
            file = getattr(options, option)
            if file is not None and file != os.devnull and outside(file):
                raise NanoBraggError(
                    f"{where} names {file}, which is outside of its folder; give a name in it, or --allow-outside if "
                    "you trust the cases"
                )


def input_names(lines: Any) -> list[Any]:
    """The files that command lines (lists of tokens) read, in order and once each."""
    names = {}
    for flags in lines:
        options = parse(flags)
        names.update(dict.fromkeys(getattr(options, option) for option in READ))
    return [name for name in names if name is not None]


def inputs_folder(cases_file: str, given: Any = None) -> Any:
    """Where the input files are: the folder given, or `inputs` beside the file of cases, or where that file lies."""
    if given is not None:
        folder = Path(given)
        if not folder.is_dir():
            raise NanoBraggError(f"there is no folder {given}; give the one with the input files")
        return folder
    beside = Path(cases_file).parent
    return beside / "inputs" if (beside / "inputs").is_dir() else beside


def run_case(program: Any, case: Any, inputs: Any, own_flags: bool) -> Any:
    """Run a case: a `golden.Result`. NanoBraggError when a file or the program is missing."""
    try:
        return golden.run_case([program], case, inputs, own_flags=own_flags)
    except FileNotFoundError as error:
        raise NanoBraggError(f"case {case['id']} needs {error.filename}, which is not there") from None
    except OSError as error:
        raise NanoBraggError(f"cannot run {program}: {error.strerror}; give a program that can be run") from None


def entry(case: Any, result: Any) -> dict[Any, Any]:
    """What the manifest says of a case."""
    return {
        "args": case["args"],
        "mode": case["mode"],
        "before": case["before"],
        "exit_status": result.exit_status,
        "files": {name: {"bytes": len(data), "sha256": sha256(data)} for name, data in sorted(result.files.items())},
    }


def sha256(data: Any) -> Any:
    return hashlib.sha256(data).hexdigest()


def write_manifest(folder: Any, program: Any, entries: Any, inputs: Any, names: Any) -> None:
    """Write manifest.json. entries: id -> `entry`. names: of the input files, of which the sums are kept, too."""
    manifest = {
        "nanobragg_py": __version__,
        "program": program,
        "inputs": {name: sha256((inputs / name).read_bytes()) for name in sorted(names)},
        "cases": entries,
    }
    write_file(Path(folder) / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())


def read_manifest(folder: Any) -> Any:
    """The manifest of a folder; None for a set without one, whose sums cannot be checked."""
    path = Path(folder) / MANIFEST
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8-sig"))
        entries, inputs = manifest["cases"], manifest["inputs"]
        sound = isinstance(inputs, dict) and all(_is_entry(entry) for entry in entries.values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise NanoBraggError(f"{path} cannot be read as a manifest; make the set again")
    return manifest


def _is_entry(entry):
    """Whether an entry of a manifest has what `entry` gives it."""
    return {"args", "mode", "before", "files"} <= set(entry) and all("sha256" in f for f in entry["files"].values())


def read_reference(folder: Any, case: Any) -> Any:
    """The stored result of a case; NanoBraggError where there is none."""
    path = Path(folder) / f"{case['id']}.npz"
    try:
        return golden.load(path)
    except FileNotFoundError:
        raise NanoBraggError(f"{path} is missing; make the set again") from None
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged archive
        raise NanoBraggError(f"{path} is damaged ({error}); make the set again") from None


def manifest_faults(case: Any, manifest: Any, reference: Any, inputs: Any) -> Any:
    """Sentences about where a stored result is not what the manifest says, or is of another command line."""
    if manifest is None:
        return []
    known = manifest["cases"].get(case["id"])
    if known is None:
        return ["the set was made without this case"]
    faults = [
        f"its {key} changed since the set was made: {known[key]!r}"
        for key in ("args", "mode", "before")
        if known[key] != case[key]
    ]
    stored = {name: sha256(data) for name, data in reference.files.items()}
    if stored != {name: file["sha256"] for name, file in known["files"].items()}:
        faults.append("its archive does not have the sha256 sums of the manifest")
    for name in case["inputs"]:
        path = inputs / name
        if name in manifest["inputs"] and path.exists() and sha256(path.read_bytes()) != manifest["inputs"][name]:
            faults.append(f"the input {name} changed since the set was made")
    return faults


def float_metrics(case: Any, result: Any, reference: Any, inputs: Any) -> Any:
    """The `ImageMetrics` of a case's float image; None where one of the results has none, or they differ in size."""
    options, _ = read_flags(shlex.split(case["args"]), inputs)
    name, shape, region = float_layout(options)
    images = [found.files.get(name) for found in (result, reference)]
    if None in images or len(images[0]) != len(images[1]):
        return None
    ours, theirs = (floats(data, shape) for data in images)
    return image_metrics(ours, theirs, region=region)
