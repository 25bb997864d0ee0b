"""The evidence of a run in one folder: images, traces, comparison, what ran where, and a checksum of every file.

docs/bundle.md lists the files. Everything is made in a folder beside the wanted one, which takes its name when all of
it is there.
"""

import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import NanoBraggError
from ..experiment.load import load_args
from ..records import REQUIRED, Record
from ..render.backends import cpu_renderer, thread_count
from .compare import Limits, floats
from .compare_runs import compare_results, plan_run, run_program
from .trace import trace_pixel
from .trace_compare import compare_traces, read_trace, worst

CHECKSUMS = "sha256.txt"
#: variables of the environment that a run can depend on
VARIABLES = ("OMP_", "GOMP_", "KMP_", "MKL_", "NANOBRAGG_", "CUDA_", "CUPY_", "LANG", "LC_", "TZ", "PYTHON")
PACKAGES = ("numpy", "cupy", "gemmi", "h5py")


class Bundle(Record):
    """What a bundle holds. folder. pixel: (slow, fast) that was traced. failures: sentences about the comparison."""

    _fields = {"folder": REQUIRED, "pixel": REQUIRED, "failures": ()}


def make_bundle(
    folder: Any, flags: Any, program: Any, reference: Any = None, pixel: Any = None, limits: Any = None
) -> Any:
    """Run a command line and keep the evidence: a `Bundle`.

    folder: where it goes; it must not be there yet, or be empty. flags: the nanoBragg command line, a list of tokens,
    whose input files are looked for in the current directory. program: path of our nanoBragg. reference: path of
    another one, to run and to compare with, or None. pixel: (slow, fast) to trace; None takes the brightest. limits:
    a `compare.Limits` for the comparison.

    Raises NanoBraggError for flags that cannot be run or traced, and for a folder that is in use.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NanoBraggError(f"{folder} is there already; give the name of a new folder")
    begun = time.time()
    part = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    try:
        part.mkdir(parents=True)
        bundle = _fill(part, list(flags), program, reference, pixel, limits or Limits(), begun)
        _write(part, CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in _digests(part).items()))
        os.replace(part, folder)  # onto an empty folder, if any
    except OSError as error:
        raise NanoBraggError(f"cannot write {folder}: {error.strerror}; give another folder") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return bundle.replace(folder=folder)


def check_bundle(folder: Any) -> Any:
    """Sentences about what is not as it was when the bundle was made; none if all is well.

    Raises NanoBraggError for a folder that is no bundle.
    """
    folder = Path(folder)
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        listed = {}
        for number, line in enumerate(lines, 1):
            digest, blanks, name = line.partition("  ")
            if len(digest) != 64 or not blanks or not name:
                raise NanoBraggError(f"{folder / CHECKSUMS}, line {number} is no checksum and file name")
            listed[name] = digest
        found = _digests(folder)
    except OSError as error:
        raise NanoBraggError(f"{folder} is no bundle that can be read: {error.strerror or error}") from None
    faults = [f"{name} is missing" for name in listed if name not in found]
    faults += [f"{name} is not as it was" for name in listed if found.get(name, listed[name]) != listed[name]]
    return faults + [f"{name} was not there" for name in found if name not in listed]


def _fill(folder, flags, program, reference, pixel, limits, begun):
    plan = plan_run(flags)
    runs = {"ours": program} if reference is None else {"ours": program, "reference": reference}
    results = {}
    for name, executable in runs.items():
        results[name] = result = run_program(executable, plan, folder / name)
        _write(folder, f"{name}.stdout", result.output)
        _write(folder, f"{name}.stderr", result.errors)
        if result.exit_status != 0:
            said = (result.errors.strip() or result.output.strip()).splitlines()[-1:]
            raise NanoBraggError(f"{executable} ended with exit status {result.exit_status}: {' '.join(said)}")
    image = floats(results["ours"].files[plan.float_file], plan.shape)
    if pixel is None:
        slow, fast = divmod(int(image.argmax()), plan.shape[1])
        pixel = slow, fast
    comparison = _traces(folder, flags, pixel)
    metrics = {
        "shape": list(plan.shape),
        "sum": float(image.sum(dtype=float)),
        "maximum": float(image.max()),
        "pixel": {"slow": pixel[0], "fast": pixel[1], "value": float(image[tuple(pixel)])},
        "phi_defect": _phi_metrics(comparison),
        "reference": None,
    }
    failures = ()
    if reference is not None:
        outcome = compare_results(results["ours"], results["reference"], plan, limits)
        failures = tuple(outcome.failures)
        metrics["reference"] = {
            "correlation": outcome.metrics.correlation,
            "sum_ratio": outcome.metrics.sum_ratio,
            "identical": outcome.metrics.identical,
            "files": {name: difference or "identical" for name, difference in outcome.files.items()},
            "printed_lines": list(outcome.lines) or ["identical"],
            "agrees": not failures,
        }
    _write(folder, "metrics.json", _json(metrics))
    _write(folder, "run_metadata.json", _json(_metadata(flags, runs, results, begun)))
    _write(folder, "env.json", _json(_environment()))
    _write(folder, "commands.txt", _commands(flags, runs, pixel))
    _write(folder, "git_sha.txt", _git_sha())
    _write(folder, "summary.md", _summary(flags, runs, metrics, comparison, failures))
    return Bundle(folder=folder, pixel=tuple(pixel), failures=failures)


def _traces(folder, flags, pixel):
    """Trace the pixel in both phi modes, and compare the two."""
    for name, compat in (("trace", "spec"), ("trace_c", "c")):
        loaded = load_args(flags)
        trace = trace_pixel(loaded.experiment, loaded.table, *pixel, compat)
        prefix = "TRACE_PY" if compat == "spec" else "TRACE_C"
        _write(folder, f"{name}.log", "\n".join(trace.lines(flags, prefix)) + "\n")
        _write(folder, f"per_phi{name.removeprefix('trace')}.log", "\n".join(trace.phi_lines(flags, prefix)) + "\n")
    comparison = compare_traces(read_trace(folder / "trace_c.log"), read_trace(folder / "trace.log"))
    rows = [
        f"{name}: {len(pairs)} pairs, relative difference {worst(pairs).relative:.3g}, {worst(pairs).grade}\n"
        for name, pairs in comparison.by_name()
    ]
    _write(folder, "comparison.txt", "the reference's phi steps (-compat c) against ours\n\n" + "".join(rows))
    return comparison


def _phi_metrics(comparison):
    first = comparison.first_divergence
    return {
        "pairs": len(comparison.pairs),
        "grade": comparison.grade,
        "first_divergence": None if first is None else {"name": first.name, "where": first.where},
    }


def _metadata(flags, runs, results, begun):
    _, level = cpu_renderer()
    return {
        "nanobragg_py": __version__,
        "flags": flags,
        "programs": {
            name: {"path": path, "sha256": _digest(Path(path)), "seconds": round(results[name].seconds, 3)}
            for name, path in runs.items()
        },
        "level": level,
        "threads": thread_count(),
        "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun)),
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "folder": os.getcwd(),
    }


def _environment():
    from importlib.metadata import PackageNotFoundError, version

    def found(package):
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    return {
        "python": sys.version,
        "executable": sys.executable,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "host": platform.node(),
        "processors": os.cpu_count(),
        "packages": {package: found(package) for package in PACKAGES},
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)},
    }


def _commands(flags, runs, pixel):
    """What to type to have it all again."""
    lines = [shlex.join([path, *flags]) for path in runs.values()]
    for mode in ("spec", "c-parity"):
        words = ["nanobragg-py", "trace", "--pixel", *map(str, pixel), "--phi-mode", mode, "--", *flags]
        lines.append(shlex.join(words))
    return f"cd {shlex.quote(os.getcwd())}\n" + "".join(f"{line}\n" for line in lines)


def _git_sha():
    """The commit of the current directory, if it is under git: the run's inputs may be."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    except OSError:
        return "none: there is no git\n"
    return done.stdout if done.returncode == 0 else "none: the current directory is not under git\n"


def _summary(flags, runs, metrics, comparison, failures):
    pixel, first = metrics["pixel"], comparison.first_divergence
    lines = [
        "# A run of nanobragg_py",
        "",
        f"    nanoBragg {shlex.join(flags)}",
        "",
        f"- image: {metrics['shape'][0]} x {metrics['shape'][1]} pixels (slow x fast), sum {metrics['sum']:.9g}, "
        f"maximum {metrics['maximum']:.9g}",
        f"- traced: slow {pixel['slow']}, fast {pixel['fast']}, {pixel['value']:.9g} photons (trace.log, per_phi.log)",
        f"- reference's phi steps (-compat c) against ours at that pixel: {comparison.grade}"
        + ("" if first is None else f", first difference {first.name}")
        + " (comparison.txt)",
    ]
    if "reference" in runs:
        found = metrics["reference"]
        lines += [
            f"- against {runs['reference']}: " + ("they agree" if not failures else "; ".join(failures)),
            f"- correlation {found['correlation']}, sum ratio {found['sum_ratio']}, "
            f"{found['identical']:.4%} of the pixels identical",
        ]
    else:
        lines.append("- no reference program was given, so no images were compared")
    return "\n".join(lines) + "\n"


def _write(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")


def _json(value):
    return json.dumps(value, indent=1) + "\n"


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digests(folder):
    """{name below the folder: sha256} of every file but the list itself, by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    return {name: _digest(folder / name) for name in names if name != CHECKSUMS}
