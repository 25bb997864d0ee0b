"""The library's way from an experiment to arrays: rendering, photon noise, and SMV files of arrays."""

from __future__ import annotations

import os
import threading
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FieldError, NanoBraggError, OptionError
from ..experiment.fields import in_fields
from ..kernels.noise.random import Ran1
from ..memory import shortage, within_memory
from .backends import team_size, warn_of_time
from .many import simulate_many
from .noise import noise_maker
from .simulate import simulate
from .tables import kernel_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

STREAMS = ("ran1", "philox")
#: a pixel that has this value is an overload, by the type of the pixels
SATURATION = {"uint16": 65535, "uint32": 2**31 - 1}


#: bytes of images that a GPU gets together, to make their noise
NOISY = 1 << 28
#: the GPU renderers keep the sums of their last image
_GPU_LOCK = threading.Lock()


@within_memory
def render(experiment: Any, compute: Any, out: Any = None, progress: Any = None, on_device: bool = False) -> Any:
    """(image, Statistics) of an `Experiment`; see its `render` and `simulate`. compute: a `Compute`."""
    if on_device and (compute.backend != "gpu" or out is not None):
        raise FieldError('on_device needs backend "gpu" and no out; a GPU image is where the GPU has made it')
    resolved, table = experiment.resolved, kernel_table(experiment.structure_factors, experiment.resolved.beam)
    if resolved.panels:
        return _render_panels(experiment, table, compute, out, progress, on_device)
    try:
        compute, _ = compute.chosen(resolved)
        warn_of_time(resolved, compute)
        image = None
        if not on_device:
            image = new_image(experiment.shape) if out is None else caller_image(out, experiment.shape)
        if compute.backend == "cpu":
            return simulate(resolved, table, image, compute.replace(threads=team_size(compute.threads)), progress)
        with _GPU_LOCK:
            return simulate(resolved, table, image, compute, progress, on_device)
    except OptionError as error:
        raise NanoBraggError(in_fields(error.sentence)) from None


def render_many(experiments: Any, compute: Any) -> list[tuple[Any, Any]]:
    """(image, Statistics) of each of many `Experiment`s; on a GPU, small ones that are alike are done together."""
    if compute.backend != "gpu" or any(one.resolved.panels for one in experiments):
        return [render(experiment, compute) for experiment in experiments]
    images = [new_image(experiment.shape) for experiment in experiments]
    tables = [kernel_table(experiment.structure_factors, experiment.resolved.beam) for experiment in experiments]
    try:
        with _GPU_LOCK:
            found = simulate_many([experiment.resolved for experiment in experiments], tables, images, compute)
    except OptionError as error:
        raise NanoBraggError(in_fields(error.sentence)) from None
    return list(zip(images, found, strict=True))


@within_memory
def render_precise(experiment: Any, compute: Any, out: Any = None, progress: Any = None) -> Any:
    """The float64 image of an `Experiment`: what `render` rounds. FieldError where the loops do not give it."""
    if compute.backend == "gpu":
        raise FieldError('dtype float64 needs backend "cpu"; the GPU\'s image is float32')
    if compute.compat == "c":
        raise FieldError('dtype float64 needs compat "spec"; the reference program\'s image is float32')
    compute = compute.replace(backend="cpu", threads=team_size(compute.threads))
    if experiment.resolved.panels:
        table = kernel_table(experiment.structure_factors, experiment.resolved.beam)
        return _render_panels(experiment, table, compute, out, progress, dtype=np.float64)[0]
    warn_of_time(experiment.resolved, compute)
    image = new_image(experiment.shape, np.float64) if out is None else caller_image(out, experiment.shape, np.float64)
    table = kernel_table(experiment.structure_factors, experiment.resolved.beam)
    simulate(experiment.resolved, table, new_image(experiment.shape), compute, progress, precise=image)
    return image


def _render_panels(experiment, table, compute, out, progress, on_device=False, dtype=np.float32):
    """(stack, Statistics) where panels are alike, (list of images, Statistics) where they are not."""
    from .panels import simulate_panels

    if on_device:
        raise FieldError("on_device gives the image of one detector; render panels without it")
    shapes = experiment.shapes
    if len(set(shapes)) == 1:
        stack = new_image(experiment.shape, dtype) if out is None else caller_image(out, experiment.shape, dtype)
        images = list(stack)
    elif out is not None:
        raise FieldError("out is one array, and the panels differ in size; leave it out")
    else:
        stack = images = [new_image(shape, dtype) for shape in shapes]
    precise = None
    if dtype != np.float32:  # and the float32 pixels are thrown away
        precise, images = images, [new_image(shape) for shape in shapes]
    try:
        compute, _ = compute.chosen(experiment.resolved)
        warn_of_time(experiment.resolved, compute)
        if compute.backend == "cpu":
            compute = compute.replace(threads=team_size(compute.threads))
            found = simulate_panels(experiment.resolved, table, images, compute, progress, precise)
        else:
            with _GPU_LOCK:
                found = simulate_panels(experiment.resolved, table, images, compute, progress)
    except OptionError as error:
        raise NanoBraggError(in_fields(error.sentence)) from None
    return stack, found


def new_image(shape: Any, dtype: Any = np.float32) -> Any:
    """A zeroed image; NanoBraggError where there is no memory for it."""
    needed = prod(shape) * np.dtype(dtype).itemsize
    size = " x ".join(map(str, shape[::-1]))
    if said := shortage(needed):
        raise NanoBraggError(f"no memory for an image of {size} pixels: it needs {said}")
    try:
        return np.zeros(shape, dtype=dtype)
    except MemoryError:
        raise NanoBraggError(f"no memory for an image of {size} pixels ({needed / 2**30:.3g} GiB)") from None


def caller_image(out: Any, shape: Any, dtype: Any = np.float32) -> Any:
    """A caller's array, zeroed; FieldError unless it is writable, C-contiguous, of that dtype and the image's shape."""
    try:
        view = np.asarray(memoryview(out))
    except TypeError:
        raise FieldError(f"out is {type(out).__name__}; it must be an array of {np.dtype(dtype)}") from None
    if view.dtype != dtype or view.shape != shape or not view.flags.c_contiguous or not view.flags.writeable:
        raise FieldError(
            f"out is {view.dtype} of shape {view.shape}; it must be writable C-contiguous {np.dtype(dtype)} of "
            f"shape {shape}"
        )
    view[...] = 0.0
    return view


@within_memory
def add_noise(
    image: ArrayLike,
    seed: int = 1,
    stream: str = "ran1",
    adc: float = 40.0,
    roi: tuple[int, int, int, int] | None = None,
    threads: int = 0,
) -> np.ndarray:
    """Photon noise: Poisson counts about an image, plus adc, clipped to 65535, as uint16 of the same shape.

    image: (slow, fast), mean photons a pixel, or a stack or list of such images of panels, which are one image after
    another to the stream. seed: 0 or more. stream: "ran1", the reference's generator (the same
    image and seed give its noise image, byte for byte), or "philox", counter-based, parallel, independent of threads.
    adc: pixel value of zero photons. roi: (fast min, fast max, slow min, slow max), inclusive; pixels outside are 0.
    """
    if roi is None and is_panels(image):
        panels: Any = image
        return _panel_noise(panels, seed, stream, adc, [None] * len(panels), threads)
    pixels = np.ascontiguousarray(image, dtype=np.float32)
    if pixels.ndim != 2:
        raise FieldError(f"image has the shape {pixels.shape}; it must be (slow, fast)")
    slow, fast = pixels.shape
    out = new_image((slow, fast), np.uint16)
    noise = _noise(seed, stream, threads)
    if out.size:
        noise.apply(pixels, 0, out, (0, fast - 1, 0, slow - 1) if roi is None else roi, float(adc))
    return out


def added(image: Any, more: Any) -> Any:
    """The sum of two images, or of the images of panels one by one, in the place of the first."""
    if isinstance(image, list):
        for pixels, other in zip(image, more, strict=True):
            pixels += other
    else:
        image += more
    return image


def is_panels(image: Any) -> bool:
    """Whether an image is a stack or a list of the images of panels."""
    several = isinstance(image, (list, tuple)) or np.ndim(image) == 3
    return several and len(image) > 0 and np.ndim(image[0]) == 2


def add_noise_many(
    experiments: Sequence[Any], images: Sequence[np.ndarray], settings: Sequence[dict[str, Any]], compute: Any
) -> list[np.ndarray]:
    """Photon noise on the images of many `Experiment`s, as their `add_noise` makes it.

    settings: seed, stream and adc of each. A GPU makes what is of the counter-based stream, with the CPU's counts.
    """
    panels = any(one.detector.panels is not None for one in experiments)
    drawn = compute.backend == "gpu" and not panels and all(how.get("stream") == "philox" for how in settings)
    rois = {one.resolved.detector.roi for one in experiments}
    if not drawn or len(rois) != 1 or len({image.shape for image in images}) != 1:
        threads = compute.threads
        given = zip(experiments, images, settings, strict=True)
        return [one.add_noise(image, threads=threads, **how) for one, image, how in given]
    shape, (roi,) = images[0].shape, rois
    for one in settings:
        _check_noise(one["seed"], "philox")
    noisy = np.zeros((len(images), *shape), np.uint16)
    low, high = max(roi[2], 0), min(roi[3], shape[0] - 1) + 1
    if low < high and roi[0] <= roi[1]:
        asked = [
            (one.resolved.whole_offset(how.get("adc", 40.0)), how["seed"])
            for one, how in zip(experiments, settings, strict=True)
        ]
        rows, some = (roi[0], roi[1], low, high - 1), max(1, NOISY // images[0].nbytes)
        try:
            for first in range(0, len(images), some):
                of = slice(first, first + some)
                with _GPU_LOCK:
                    means = np.stack([image[low:high] for image in images[of]])
                    noisy[of, low:high] = compute.renderer.noise_many(means, rows, asked[of])
        except OptionError as error:
            raise NanoBraggError(in_fields(error.sentence)) from None
    return list(noisy)


def _noise(seed, stream, threads):
    """What makes the noise; FieldError for a stream or a seed that there is not."""
    _check_noise(seed, stream)
    return noise_maker(stream, Ran1(), -int(seed), team_size(threads) if stream == "philox" else 1)


def _check_noise(seed, stream):
    if stream not in STREAMS:
        raise FieldError(f"stream is {stream!r}; it must be one of {', '.join(STREAMS)}")
    if isinstance(seed, bool) or int(seed) != seed or not 0 <= seed < 2**31:
        raise FieldError(f"seed is {seed}; it must be a whole number from 0 to {2**31 - 1}")


def _panel_noise(images, seed, stream, adc, rois, threads):
    """Photon noise on the images of panels, whose rows follow on one another in the stream."""
    images = [np.ascontiguousarray(image, dtype=np.float32) for image in images]
    noise, width, row, made = _noise(seed, stream, threads), max(image.shape[1] for image in images), 0, []
    whole = new_image((sum(image.shape[0] for image in images), width))
    for image, roi in zip(images, rois, strict=True):
        slow, fast = image.shape
        whole[row : row + slow, :fast] = image
        out = new_image((slow, width), np.uint16)
        f0, f1, s0, s1 = (0, fast - 1, 0, slow - 1) if roi is None else roi
        noise.apply(whole, row, out, (f0, min(f1, fast - 1), row + s0, row + min(s1, slow - 1)), float(adc))
        made.append(out[:, :fast])
        row += slow
    return np.stack(made) if len({out.shape for out in made}) == 1 else [np.ascontiguousarray(out) for out in made]


@within_memory
def panel_noise(experiment: Any, image: Any, seed: int, stream: str, adc: float, threads: int) -> Any:
    """`add_noise` within the regions of interest of an experiment's panels."""
    shapes = tuple(np.shape(each) for each in image)
    if shapes != experiment.shapes:
        raise FieldError(f"image has the shapes {shapes}; those of the experiment's panels are {experiment.shapes}")
    return _panel_noise(image, seed, stream, adc, [panel.roi for panel in experiment.resolved.panels], threads)


def to_smv(
    experiment: Any, path: Any, image: Any, scale: float | None = None, adc: float = 40.0, offset: Any = None
) -> None:
    """Write an image of an `Experiment` as SMV; see its `to_smv`."""
    from ..files.report import smv_header
    from ..files.smv import integer_scale, write_scaled_smv, write_smv
    from ..files.smv_header import with_offset

    resolved = experiment.resolved
    if experiment.detector.panels is not None:
        raise FieldError("SMV files are written of one panel; use to_nexus")
    pixels = np.ascontiguousarray(image)
    if pixels.shape != experiment.shape:
        raise FieldError(f"image has the shape {pixels.shape}; the experiment's is {experiment.shape}")
    if pixels.dtype == np.uint16:
        write_smv(os.fspath(path), with_offset(smv_header(resolved, noise=True), offset), pixels)
        return
    pixels = pixels.astype(np.float32, copy=False)
    if scale is None:
        scale = integer_scale(float(pixels.max()))
    header = with_offset(smv_header(resolved), offset)
    write_scaled_smv(os.fspath(path), header, pixels, scale, adc, resolved.detector.roi)


def to_nexus(experiment: Any, path: Any, images: Any, compression: str = "gzip", **details: Any) -> None:
    """Write images of an `Experiment` as NXmx; see its `to_nexus`. details: of a `Details`."""
    from ..files.geometry import experiment_details, experiment_geometry
    from ..files.nexus import write_nexus

    panels = experiment.detector.panels
    if not len(images):
        raise FieldError("images is empty; give at least one")
    single = np.ndim(images[0]) == 1 if panels is None else np.ndim(images[0]) == 2 and np.ndim(images[0][0]) == 1
    series = [images] if single else list(images)
    if panels is None:
        series = [np.asarray(image) for image in series]
        shapes = [image.shape for image in series]
        wanted: Any = experiment.shape
    else:
        series = [[np.asarray(image) for image in each] for each in series]
        shapes = [tuple(image.shape for image in each) for each in series]
        wanted = experiment.shapes
    for shape in shapes:
        if shape != wanted:
            raise FieldError(f"an image has the shape {shape}; the experiment's is {wanted}")
    dtype = series[0].dtype if panels is None else np.result_type(*series[0])
    first = experiment_geometry(experiment.resolved)
    geometries = [first.next(number) for number in range(len(series))]
    known = experiment_details(experiment.resolved, **details)
    top = SATURATION.get(dtype.name)
    write_nexus(os.fspath(path), series, geometries, dtype, top, compression, panels, known)


def to_cbf(experiment: Any, path: Any, image: Any, full: bool = False, **details: Any) -> None:
    """Write an image of an `Experiment` as CBF; see its `to_cbf`. details: of a `Details`."""
    from ..files.fit import fit
    from ..files.geometry import experiment_details, experiment_geometry
    from ..files.registry import Scene, written_formats

    if experiment.detector.panels is not None:
        raise FieldError("CBF files are written of one panel; use to_nexus")
    pixels = np.asarray(image)
    if pixels.shape != experiment.shape:
        raise FieldError(f"image has the shape {pixels.shape}; the experiment's is {experiment.shape}")
    found = written_formats()["cbf"]
    saturated, geometry = SATURATION.get(pixels.dtype.name), experiment_geometry(experiment.resolved)
    known = experiment_details(experiment.resolved, **details)
    pixels, _, _ = fit(found, "image", pixels)
    found.write(os.fspath(path), pixels, Scene(geometry=geometry, saturated=saturated, details=known, full=full))
