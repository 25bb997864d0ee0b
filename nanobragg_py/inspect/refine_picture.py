"""The picture of a refinement: the observed image, the model, and what is left in units of its noise."""

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure

from ..files.beside import written_beside
from .compare_picture import blocks, percentile

#: standard deviations that the residual's colours reach
REACH = 5.0
#: cells to a side, each with the largest of its pixels: spots of few pixels are to be seen
CELLS = 170


def draw(path: str, observed: Any, model: Any, variance: float) -> None:
    """Write it as a PNG file.

    observed, model: photons, (slow, fast), nan where a pixel does not count. variance: of a pixel beside that of its
    photons. Images share one scale, the square root of intensity; the residual is (observed - model)/deviation.
    """
    residual = (observed - model) / np.sqrt(np.maximum(model, 0.0) + max(variance, 0.05))
    observed, model, residual = (np.nan_to_num(values) for values in (observed, model, residual))
    size = max(1, -(-max(observed.shape) // CELLS))
    top = percentile(blocks(observed, size), 98.0)
    height = min(max(4.8 * observed.shape[0] / observed.shape[1], 2.2), 8.0)
    figure = Figure(figsize=(16, height + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    intensity, spread = PowerNorm(0.5, 0.0, top), Normalize(-REACH, REACH)
    for panel, title, values, colours, scale in zip(
        figure.subplots(1, 3, sharex=True, sharey=True),
        ("observed", "model", "(observed - model) / deviation"),
        (blocks(observed, size), blocks(model, size), blocks(residual, size, signed=True)),
        ("viridis", "viridis", "RdBu_r"),
        (intensity, intensity, spread),
        strict=True,
    ):
        extent = (-0.5, observed.shape[1] - 0.5, observed.shape[0] - 0.5, -0.5)
        shown = panel.imshow(values, cmap=colours, norm=scale, extent=extent, interpolation="nearest")
        figure.colorbar(shown, ax=panel, shrink=0.85)
        panel.set_title(title)
        panel.set_xlabel("fast / pixels")
    with written_beside(path) as name:
        figure.savefig(name, dpi=110, format="png")
