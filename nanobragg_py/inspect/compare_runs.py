"""Running two programs on one command line, each in a folder of its own, and judging all that they wrote.

``nanobragg-py compare`` prints what this finds. A command line is looked at as the drop-in reads it, so that its input
files are at hand in both folders.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from ..errors import NanoBraggError
from ..experiment.load import HEADERS, INPUTS, read_headers
from ..experiment.resolve.detector import detector_size
from ..flags.nanobragg import parse, prescan
from ..flags.options import Options
from ..records import REQUIRED, Record
from . import golden
from .compare import clipped, floats, image_metrics, shortcomings

#: options that name files which are read; a dump file is read only where it happens to lie
READ = tuple(name for name in (*HEADERS, *INPUTS) if name != "dump_file")
#: options that name files which are written
OUTPUTS = ("float_file", "int_file", "pgm_file", "noise_file")


class Plan(Record):
    """What is to be run. flags: the tokens, as both programs get them. inputs: (name in the run's folder, file) pairs
    to copy there. outputs: folders below it that files are written to. float_file: its name. shape: (slow, fast).
    region: what -roi leaves of it. remarks: sentences for the user.
    """

    _fields = {
        "flags": REQUIRED,
        "inputs": REQUIRED,
        "outputs": REQUIRED,
        "float_file": REQUIRED,
        "shape": REQUIRED,
        "region": REQUIRED,
        "remarks": (),
    }


def float_layout(options: Any) -> tuple[Any, Any, Any]:
    """Where options put the float image: (file name, (slow, fast) pixels, region of interest cut to them)."""
    _, _, fast, slow = detector_size(options)
    low_fast, high_fast, low_slow, high_slow = options.roi
    region = (
        max(low_fast, 0),
        fast - 1 if high_fast < 0 else high_fast,
        max(low_slow, 0),
        slow - 1 if high_slow < 0 else high_slow,
    )
    return os.path.normpath(options.float_file), (slow, fast), clipped(region, fast, slow)


def read_flags(flags: Any, folder: Any = None) -> tuple[Any, Any]:
    """The options of a command line and of the headers it names, and its events: (Options, list)."""
    options = Options()
    # headers that are missing are the programs' business
    read_headers(*prescan(flags), options, folder=folder)
    events = []
    parse(flags, options, events)
    return options, events


def plan_run(flags: Any, roi: Any = None) -> "Plan":
    """Find out what a command line reads and writes, from the current directory: a `Plan`.

    roi: (fast min, fast max, slow min, slow max) to add to it; it has to lie within the detector.
    """
    flags = [*flags, "-roi", *map(str, roi)] if roi is not None else list(flags)
    options, events = read_flags(flags)
    _, _, fast, slow = detector_size(options)
    if roi is not None and not (0 <= roi[0] <= roi[1] < fast and 0 <= roi[2] <= roi[3] < slow):
        raise NanoBraggError(
            f"--roi {' '.join(map(str, roi))} does not lie within the detector, whose pixels are 0 {fast - 1} 0 "
            f"{slow - 1}; give FMIN FMAX SMIN SMAX"
        )
    for name in OUTPUTS:
        target = getattr(options, name)
        if outside(target):
            raise NanoBraggError(
                f"both programs would write {target}; give a name below the current directory and relative to it"
            )
    remarks = []
    reads = {*READ}
    if options.hkl_file is None:
        if any(name == "dump_file" for event in events for name, _ in event[4] or ()):
            reads.add("dump_file")
        elif os.path.exists(options.dump_file):
            remarks.append(
                f"{options.dump_file} lies here, where nanoBragg would read it, and is not used; name it with -dump if "
                "you mean it"
            )
    inputs = {}
    for position, _, _, words, changes in events:
        if words and any(name in reads for name, _ in changes or ()):
            source = words[0]
            if outside(source):
                flags[position + 1] = os.path.abspath(source)
            elif os.path.isfile(source):
                inputs[os.path.normpath(source)] = source
    if options.write_noise and options.seed is None:
        remarks.append("the noise is seeded by the clock and differs from run to run; give -seed, or -nonoise")
    if options.misset_mode == "random" and options.misset_seed is None:
        remarks.append("the random orientation is seeded by the clock and differs from run to run; give -misset_seed")
    float_file, shape, region = float_layout(options)
    return Plan(
        flags=tuple(flags),
        inputs=tuple(inputs.items()),
        outputs=tuple({os.path.dirname(getattr(options, name)) for name in OUTPUTS} - {""}),
        float_file=float_file,
        shape=shape,
        region=region,
        remarks=tuple(remarks),
    )


def outside(name: str) -> Any:
    """Whether a file name leads out of the directory that it is relative to."""
    return os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == os.pardir


class Outcome(Record):
    """What came of running two programs.

    ours, reference: `golden.Result`. metrics: `ImageMetrics`, or None where a program wrote no image; images: those
    arrays. files: name -> None for files that are the same, or a sentence. lines: sentences about the printed lines.
    failures: sentences about what does not meet the limits; none if all is well.
    """

    _fields = {
        "ours": REQUIRED,
        "reference": REQUIRED,
        "metrics": None,
        "images": None,
        "files": REQUIRED,
        "lines": REQUIRED,
        "failures": REQUIRED,
    }


def run_program(program: Any, plan: Any, folder: Any) -> Any:
    """Run a program on a plan in a new folder, and leave its output there: a `golden.Result`.

    program: the executable's path. Raises NanoBraggError if it cannot be run.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    for name in plan.outputs:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, source in plan.inputs:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    try:
        return golden.run([program], plan.flags, folder)
    except OSError as error:
        raise NanoBraggError(f"cannot run {program}: {error.strerror}; give a program that can be run") from None


def compare_results(ours: Any, reference: Any, plan: Any, limits: Any, spots: Any = 50) -> "Outcome":
    """Judge two results of a plan: an `Outcome`."""
    failures = []
    if ours.exit_status != reference.exit_status:
        failures.append(f"the exit status is {ours.exit_status}, not {reference.exit_status}")
    metrics = images = None
    if plan.float_file in ours.files and plan.float_file in reference.files:
        images = tuple(floats(result.files[plan.float_file], plan.shape) for result in (ours, reference))
        metrics = image_metrics(images[0], images[1], region=plan.region, spots=spots)
        failures += shortcomings(metrics, limits)
    else:
        failures.append(f"there are not two float images to compare: {plan.float_file} was not written by both")
    files: dict[str, str | None] = {}
    for name in sorted({*ours.files, *reference.files}):
        data = [result.files.get(name) for result in (ours, reference)]
        if None in data:
            files[name] = f"only {'the reference' if data[0] is None else 'our program'} wrote it"
        else:
            files[name] = None if data[0] == data[1] else golden.bytes_apart(*data)
    lines = golden.compare_lines("printed line", ours.lines, reference.lines)
    lines += golden.compare_lines("progress line", ours.progress, reference.progress)
    if ours.warnings != reference.warnings:
        lines.append(f"{ours.warnings} WARNING lines, not {reference.warnings}")
    if limits.exact:
        failures += [f"{name} differs: {text}" for name, text in files.items() if text and name != plan.float_file]
        failures += lines
    return Outcome(
        ours=ours, reference=reference, metrics=metrics, images=images, files=files, lines=lines, failures=failures
    )
