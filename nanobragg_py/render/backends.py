"""Where to compute, which compiled loops to use there, and how many threads."""

import os

from ..errors import FieldError, NanoBraggError
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: instruction-set levels, least first; the environment variable NANOBRAGG_ISA forces one
LEVELS = ("base", "v3", "v4")

#: seconds a step of one CPU thread, roughly (docs/speed.md), by level: the nearest structure factor, or interpolated
CPU_STEPS = {"v4": (1.0e-9, 0.8e-8), "v3": (2.0e-9, 1.6e-8), "base": (1.3e-8, 8.0e-8)}
#: as many pixels of a row cost as much as one does
ROW = (32, 12)
#: the same in the order of pixels, by one thread
SEQUENTIAL_STEP = 1.5e-7
#: seconds before a GPU does anything
GPU_START = 2.0
#: seconds that are announced
LONG = 60.0
#: OpenMP ends the process where the system gives it no more
MOST_THREADS = 1024

#: what has OpenMP keep each thread at its place, and the thread that loads it at the first one, which then seems to be
#: the only processor; so those that there are without it are counted before
PINNING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")
_processors_at_start = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
#: the process that has first used several threads
_team_process = None
#: the words that a Compute takes
ALLOWED = {"backend": ("cpu", "gpu", "auto"), "compat": ("spec", "c"), "precision": ("double", "single")}

_gpu_renderers = {}
_level_modules = {}


class Compute(Record):
    """How to compute an image.

    backend: "cpu", "gpu" (needs CuPy), or "auto" (see `choose_backend`). device: the GPU's number. precision:
    "double", or "single" for the lattice transform in float32. threads: of the CPU; 0 lets `thread_count` decide; the
    image does not depend on it. compat: "spec", or "c" for the reference's defects D1, D2, D4 and D6.

    Raises FieldError, naming the field, for values that it does not take.
    """

    _fields = {"backend": "cpu", "device": 0, "precision": "double", "threads": 0, "compat": "spec"}

    def _validate(self):
        for name, allowed in ALLOWED.items():
            value = getattr(self, name)
            if value not in allowed:
                raise FieldError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}", fields=(name,))
        for name in ("threads", "device"):
            value = getattr(self, name)
            if value < 0:
                raise FieldError(f"{name} is {value}; it cannot be below 0", fields=(name,))

    @classmethod
    def of(cls, options: "Any") -> "Any":
        """What the options of the same names say."""
        return cls(**{name: getattr(options, name) for name in cls._fields})

    @property
    def renderer(self) -> "Any":
        """What renders, as of `renderer_of`; the backend has to be chosen."""
        return renderer_of(self.backend, self.device, self.precision)

    def is_sequential(self, sampling: "Any") -> "Any":
        """True where defects D2 and D4 depend on the order of steps and pixels: no parallel loops then."""
        return is_sequential(sampling, self.compat)

    def chosen(self, experiment: "Any") -> "tuple[Any, Any]":
        """The same with the backend that "auto" takes for an experiment, and why it does; else itself and None."""
        if self.backend != "auto":
            return self, None
        backend, sentence = choose_backend(experiment, self)
        return self.replace(backend=backend), sentence


def short_waits(environment: "Any") -> "dict[str, str]":
    """Variables that a process of ours sets before it loads the loops, in an environment that does not say otherwise.

    OpenMP's threads wait for each other in a busy loop, by default for so long that on a machine with other work the
    one that is waited for does not get a processor.
    """
    stated = "OMP_WAIT_POLICY" in environment or "GOMP_SPINCOUNT" in environment
    return {} if stated else {"GOMP_SPINCOUNT": "3000"}


def cpu_renderer(level: "Any" = None) -> "Any":
    """The render module with the loops of an instruction-set level, and the level's name; see `level_module`."""
    return level_module("loops.render", level)


def level_module(name: str, level: "Any" = None) -> "tuple[Any, Any]":
    """The compiled module kernels.NAME (loops.render, say) with an instruction-set level's loops, and the level's name.

    level: one of LEVELS; None takes NANOBRAGG_ISA from the environment, else the best that this processor has. A level
    that was not built falls back to the next lower one. The module has the loops of one level at a time, that of the
    last call. Raises NanoBraggError for a level that the processor lacks.
    """
    wanted = level or os.environ.get("NANOBRAGG_ISA")
    if name not in _level_modules or _level_modules[name][0] != wanted:
        _level_modules[name] = wanted, *_find_level(name, wanted)
    return _level_modules[name][1:]


def _find_level(name, wanted):
    from ..kernels.loops.job import processor_level

    best = processor_level()
    wanted = wanted or best
    if wanted not in LEVELS:
        raise NanoBraggError(f"NANOBRAGG_ISA is {wanted!r}; it must be one of {', '.join(LEVELS)}")
    if LEVELS.index(wanted) > LEVELS.index(best):
        raise NanoBraggError(f"NANOBRAGG_ISA is {wanted}, but this processor has {best} at most")
    module = __import__(f"nanobragg_py.kernels.{name}", fromlist=["kernels"])
    for found in reversed(LEVELS[: LEVELS.index(wanted) + 1]):
        if module.choose(found):
            return module, found
    raise NanoBraggError("the compiled loops are missing; install the package anew")


def renderer_of(backend: str, device: "Any" = 0, precision: str = "double") -> "Any":
    """What renders on a backend, "cpu" or "gpu": it has the functions of kernels/loops/render.pyx.

    device: number of the GPU. precision: of the GPU, "double" or "single". One GPU renderer is kept for each of these,
    with its compiled kernels. Raises NanoBraggError when the backend cannot be used.
    """
    if backend == "cpu":
        return cpu_renderer()[0]
    key = device, precision
    if key not in _gpu_renderers:
        from .gpu import Renderer

        _gpu_renderers[key] = Renderer(device, precision)
    return _gpu_renderers[key]


def is_sequential(sampling: "Any", compat: str) -> "Any":
    """True where the reference's defects D2 and D4 depend on the order of steps and pixels: no parallel loops then."""
    return compat == "c" and (
        sampling.interpolate or sampling.oversample_thick or sampling.oversample_polar or sampling.oversample_omega
    )


def needs_cpu(experiment: "Any", compat: str) -> "Any":
    """True where only the CPU can do as the reference: in the order of pixels, or for the centres of spots (D6)."""
    if compat != "c" or is_sequential(experiment.sampling, compat):
        return compat == "c"
    from ..kernels.loops.job import marks_pixels

    return marks_pixels(experiment.crystal.shape)


def choose_backend(experiment: "Any", compute: "Any" = None, **how: "Any") -> "tuple[Any, Any]":
    """The backend, "cpu" or "gpu", that is expected to have an experiment done first, and a sentence that says why.

    A GPU has to make up for the time that CuPy and the driver take to start. Only when the experiment is large enough
    for that is CuPy imported and a device looked for; then its cores, clock and rate in the precision that is asked for
    (a GeForce has one lane of double for 64 of float32) are set against the processor's threads. compute: a Compute;
    None: one of the values in how.
    """
    compute = Compute(**how) if compute is None else compute
    if compute.is_sequential(experiment.sampling):
        return "cpu", "-backend auto takes the CPU: -compat c makes pixels depend on those before them here"
    if needs_cpu(experiment, compute.compat):
        return "cpu", "-backend auto takes the CPU: -compat c has spots' centres worked out one by one here"
    steps, seconds = steps_of(experiment), expected_seconds(experiment, compute.threads, compute.compat)
    threads = thread_count(compute.threads)
    expected = f"{steps:.3g} steps are expected to take {seconds:.2g} s on the CPU ({threads} threads)"
    if seconds < GPU_START:
        return "cpu", f"-backend auto takes the CPU: {expected}, less than a GPU takes to start"
    try:
        chosen = renderer_of("gpu", compute.device, compute.precision)
    except NanoBraggError as error:
        return "cpu", f"-backend auto takes the CPU: {error}"
    rate = chosen.hardware.rate(compute.precision, bool(experiment.sampling.interpolate))
    gpu = GPU_START + steps / rate
    expected += f", {gpu:.2g} s on the GPU in {compute.precision}"
    if seconds < gpu:
        return "cpu", f"-backend auto takes the CPU rather than {chosen.name}: {expected}"
    return "gpu", f"-backend auto takes the GPU ({chosen.name}): {expected}"


def rows_of(roi: "Any", fpixels: int, spixels: int) -> "tuple[Any, Any]":
    """Rows of a region of interest on a detector of so many pixels, and the pixels of each."""
    fast_min, fast_max, slow_min, slow_max = roi
    width = min(fast_max, fpixels - 1) - max(fast_min, 0) + 1
    height = min(slow_max, spixels - 1) - max(slow_min, 0) + 1
    return max(0, height), max(0, width)


def pixels_of(detector: "Any") -> "Any":
    """Pixels of a detector's region of interest."""
    rows, width = rows_of(detector.roi, detector.fpixels, detector.spixels)
    return rows * width


def steps_of(experiment: "Any") -> "Any":
    """Contributions to all pixels of an image together."""
    detectors = experiment.panels or (experiment.detector,)
    return steps_a_pixel(experiment) * sum(pixels_of(one) * one.thicksteps for one in detectors)


def steps_a_pixel(experiment: "Any") -> "Any":
    """Contributions to a pixel, in each layer of the sensor."""
    if experiment.crystals:
        return sum(crystal.sampling.steps for crystal in experiment.single_crystals)
    return experiment.sampling.steps


def expected_seconds(experiment: "Any", threads: int = 0, compat: str = "spec") -> "Any":
    """About how long the CPU takes for an image, with `thread_count` of `threads`."""
    sampling = experiment.sampling
    if is_sequential(sampling, compat):
        return steps_of(experiment) * SEQUENTIAL_STEP
    interpolated, alike = bool(sampling.interpolate), {}
    for detector in experiment.panels or (experiment.detector,):
        key = detector.roi, detector.fpixels, detector.spixels, detector.thicksteps
        alike[key] = alike.get(key, 0) + 1
    steps = 0
    for (roi, fpixels, spixels, layers), count in alike.items():
        rows, width = rows_of(roi, fpixels, spixels)
        # narrow rows take as long as those of so many pixels
        steps += rows * (max(width, ROW[interpolated]) if width else 0) * layers * count
    steps *= steps_a_pixel(experiment)
    return steps * CPU_STEPS[cpu_renderer()[1]][interpolated] / thread_count(threads)


def long_remark(steps: "Any", seconds: "Any", what: str = "") -> "str | None":
    """A sentence for a run of the library that is expected to take minutes, else None. what: that takes them."""
    if seconds < LONG:
        return None
    return (
        f"{what}{steps:.3g} steps (pixels, sub-pixels, sources, domains, phi steps, layers) are expected to take "
        f"{seconds / 60.0:.2g} minutes or more; Ctrl-C stops, and a smaller detector.roi or sampling.oversample makes "
        "it less"
    )


def warn_of_time(experiment: "Any", compute: "Any", images: float = 1.0, what: str = "") -> None:
    """Tell the library's caller, in a Python warning, of minutes before they are spent.

    compute: a `Compute` whose backend has been chosen. images: how many times an image's time it takes.
    """
    seconds = images * expected_seconds(experiment, compute.threads, compute.compat)
    if seconds < LONG:
        return
    steps = images * steps_of(experiment)
    if compute.backend == "gpu":
        rate = compute.renderer.hardware.rate(compute.precision, bool(experiment.sampling.interpolate))
        seconds = GPU_START + steps / rate
    remark = long_remark(steps, seconds, what)
    if remark is not None:
        from ..hints import warn_caller

        warn_caller(remark)


def thread_count(wanted: "Any" = 0) -> "Any":
    """How many threads to use: `wanted`, else OMP_NUM_THREADS, else every processor this process may run on."""
    count = wanted if wanted > 0 else environment_threads()
    if count:
        return min(count, MOST_THREADS)
    if _processors_at_start and any(name in os.environ for name in PINNING):
        return _processors_at_start
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def team_size(wanted: "Any" = 0) -> "Any":
    """How many threads a loop is to use, as `thread_count`; 1 in a process forked by one that has used several.

    GNU's OpenMP would wait for ever there, for threads that a fork does not copy.
    """
    global _team_process
    threads = thread_count(wanted)
    if threads > 1 and _team_process is None:
        _team_process = os.getpid()
    return threads if _team_process in (None, os.getpid()) else 1


def environment_threads() -> int:
    """The first number of OMP_NUM_THREADS; 0 where there is none of 1 or more."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and len(first) < 10 else 0


def threads_remark() -> "str | None":
    """A sentence for an OMP_NUM_THREADS that says nothing, else None."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    if not stated.strip() or environment_threads():
        return None
    return f"OMP_NUM_THREADS is {stated!r}, which is no number of threads, and was ignored; every processor is used"
