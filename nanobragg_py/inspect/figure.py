"""Pictures of an experiment for notebooks: a matplotlib figure, and a table with a small picture as HTML."""

from base64 import b64encode
from html import escape
from typing import Any

import numpy as np

from ..files.extras import need
from ..files.geometry import experiment_geometry
from ..files.grey import grey_scale_of
from ..files.registry import Image
from .describe import corner_resolution
from .frame import scale_values
from .rings import round_spacings, spacing_map

#: pixels of the longer side of a notebook's picture
THUMBNAIL = 320
#: cells along the longer side of the map that rings are drawn from
CELLS = 400


def plot(experiment: Any, image: Any, ax: Any = None, rings: Any = None, spots: bool = False, white: Any = None) -> Any:
    """Draw an image of a resolved experiment into matplotlib axes, and return these.

    image: (slow, fast). ax: None: a figure of its own. rings: spacings in Angstrom; None: some; (): none. spots: circle
    where the crystal's spots should be. white: the pixel value drawn black; see `files.grey.grey_scale_of`.
    """
    colors = need("matplotlib.colors", "plot", "figures")
    if ax is None:
        _, ax = need("matplotlib.pyplot", "plot", "figures").subplots()
    geometry, scale = experiment_geometry(experiment), grey_scale_of(image, white)
    top = scale.low + scale.black
    norm = colors.FuncNorm((scale.part, scale.value), vmin=scale.low, vmax=top)
    slow, fast = image.shape
    shown = ax.imshow(image, cmap="Greys", norm=norm, extent=(0, fast, slow, 0), interpolation="nearest")
    ax.set(xlabel="fast, pixels", ylabel="slow, pixels")
    bar = ax.figure.colorbar(shown, ax=ax, label="photons a pixel", extend="max")
    bar.set_ticks(values := [value for value, _ in scale_values(scale)], labels=[f"{value:.3g}" for value in values])
    wanted = sorted(round_spacings(geometry) if rings is None else rings)
    if wanted:
        each = max(image.shape) / CELLS
        grid = tuple(max(2, round(n / each)) for n in image.shape)
        spacings = spacing_map(geometry, grid, each)
        y, x = ((np.arange(n) + 0.5) * each for n in grid)
        lines = ax.contour(x, y, spacings, levels=wanted, colors="tab:blue", linewidths=0.7)
        ax.clabel(lines, fmt=lambda d: f"{d:g} \N{ANGSTROM SIGN}", fontsize=8)
    x, y = (value / geometry.pixel_size for value in geometry.beam_centre)
    if 0 <= x <= fast and 0 <= y <= slow:
        ax.plot(x, y, "+", color="tab:red")
    if spots:
        from .predictions import predict

        _, across, down = predict(experiment)
        ax.plot(across, down, "o", mfc="none", mec="tab:green", ms=6, mew=0.6)
    ax.set(xlim=(0, fast), ylim=(slow, 0))
    return ax


def summary(experiment: Any) -> list[tuple[str, str]]:
    """Rows (what, how much) that describe a resolved experiment to people."""
    beam, crystal, sampling = experiment.beam, experiment.crystal, experiment.sampling
    turn = np.degrees
    every = experiment.single_panels if experiment.panels else [experiment]
    finest = min(corner_resolution(experiment_geometry(each)) for each in every)
    cell = " ".join(f"{x:.4g}" for x in (*crystal.lengths, *turn(crystal.angles)))
    rows = [
        ("crystal", f"{cell} \N{ANGSTROM SIGN} \N{DEGREE SIGN}, {crystal.shape}"),
        ("cells", " \N{MULTIPLICATION SIGN} ".join(f"{n:g}" for n in crystal.cells)),
        ("beam", f"{beam.wavelength * 1e10:.6g} \N{ANGSTROM SIGN}, {beam.fluence:.3g} photons/m\N{SUPERSCRIPT TWO}"),
        ("detector", what_detector(experiment)),
        ("resolution", f"{finest:.3g} \N{ANGSTROM SIGN} in the corners"),
    ]
    if sampling.osc:
        rows.append(
            ("rotation", f"{turn(sampling.phi0):.4g} to {turn(sampling.phi0 + sampling.osc):.4g}\N{DEGREE SIGN}")
        )
    if crystal.mosaic_spread:
        rows.append(("mosaic", f"{turn(crystal.mosaic_spread):.3g}\N{DEGREE SIGN}, {crystal.mosaic_domains} domains"))
    factors = experiment.structure_factors
    others = f"{factors.default_F:g}"
    table = f"{factors.count} reflections, {others} elsewhere" if factors.bounds is not None else f"all {others}"
    rows.append(("structure factors", table))
    rows.append(("steps", f"{sampling.steps} a pixel"))
    return rows


def what_detector(experiment: Any) -> str:
    """The detector of a resolved experiment, in few words."""
    detector = experiment.detector
    size = f"{detector.pixel_size * 1e3:.4g} mm"
    if experiment.panels:
        pixels = sum(panel.fpixels * panel.spixels for panel in experiment.panels)
        return f"{len(experiment.panels)} panels, {pixels} pixels of {size}"
    shape = f"{detector.fpixels} \N{MULTIPLICATION SIGN} {detector.spixels}"
    return f"{shape} pixels of {size} at {detector.distance * 1e3:.5g} mm"


def html(experiment: Any, image: Any, warnings: Any = ()) -> str:
    """A table of a resolved experiment, and its image where there is one (None: none), for a notebook."""
    picture = ""
    if image is not None:
        from ..files.formats.png import png_bytes
        from .picture import draw

        wrapped = Image(name="image", kind="npy", shape=image.shape, pixels=image)
        data = b64encode(png_bytes(draw(wrapped, THUMBNAIL))).decode()
        picture = f'<td rowspan="99" style="background: white"><img src="data:image/png;base64,{data}"/></td>'
    lines = []
    for what, text in (*summary(experiment), *(("warning", sentence) for sentence in warnings)):
        lines.append(f'<tr>{picture}<th style="text-align: left">{what}</th><td>{escape(text)}</td></tr>')
        picture = ""
    return f"<table>{''.join(lines)}</table>"
