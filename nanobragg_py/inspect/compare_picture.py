"""The picture of a comparison: both images and their difference, with the worst pixel marked. Needs matplotlib."""

from typing import Any

import numpy as np

#: pixels to a side that a panel shows; larger images are shown in blocks, each by its extreme value
PANEL = 900


def blocks(image: Any, size: Any, signed: bool = False) -> Any:
    """An image cut into squares of `size` pixels, each represented by its largest value, or the largest in size."""
    if size == 1:
        return image
    rows, columns = (-(-n // size) for n in image.shape)
    padded = np.zeros((rows * size, columns * size), image.dtype)
    padded[: image.shape[0], : image.shape[1]] = image
    tiles = padded.reshape(rows, size, columns, size).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    if not signed:
        return tiles.max(axis=2)
    return np.take_along_axis(tiles, np.abs(tiles).argmax(axis=2)[..., None], axis=2)[..., 0]


def percentile(values: Any, share: float) -> float:
    """A percentile of those values that are above 0; 1 where there are none."""
    lit = values[values > 0.0]
    return float(np.percentile(lit, share)) if lit.size else 1.0


def write_picture(path: Any, image: Any, reference: Any, metrics: Any) -> None:
    """Write the picture as a PNG file.

    image, reference: float32 arrays (slow, fast). metrics: their `ImageMetrics`. The two images share one scale, the
    square root of intensity up to the 99.9th percentile of what is not 0; the difference is linear up to the 99.5th
    (the worst pixel alone, often the direct beam, would leave the rest grey). Raises ImportError without matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import Normalize, PowerNorm
    from matplotlib.figure import Figure

    low_fast, high_fast, low_slow, high_slow = metrics.region
    window = (slice(low_slow, high_slow + 1), slice(low_fast, high_fast + 1))
    ours, theirs = (np.nan_to_num(values[window].astype(np.float64)) for values in (image, reference))
    difference = ours - theirs
    largest = float(np.abs(difference).max())
    top = percentile(theirs, 99.9)
    bound = percentile(np.abs(difference), 99.5)
    size = max(1, -(-max(ours.shape) // PANEL))
    extent = (low_fast - 0.5, high_fast + 0.5, high_slow + 0.5, low_slow - 0.5)

    # tall or wide images get a figure of their shape, within reason
    height = min(max(4.8 * ours.shape[0] / ours.shape[1], 2.2), 8.0)
    figure = Figure(figsize=(16, height + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    intensity = PowerNorm(0.5, 0.0, top)
    spread = Normalize(-bound, bound)
    beyond = "both" if largest > bound else "neither"
    for panel, title, values, colours, scale, extend in (
        (panels[0], "ours", blocks(ours, size), "viridis", intensity, "max"),
        (panels[1], "reference", blocks(theirs, size), "viridis", intensity, "max"),
        (panels[2], "ours - reference", blocks(difference, size, signed=True), "RdBu_r", spread, beyond),
    ):
        shown = panel.imshow(values, cmap=colours, norm=scale, extent=extent, interpolation="nearest")
        figure.colorbar(shown, ax=panel, shrink=0.85, extend=extend)
        panel.set_title(title)
        panel.set_xlabel("fast / pixels")
    panels[0].set_ylabel("slow / pixels")
    value, slow, fast, *_ = metrics.worst_absolute
    if largest:
        for panel in panels:
            panel.plot(fast, slow, "o", ms=14, mfc="none", mec="magenta", mew=1.5)
        panels[2].annotate(
            f"{value:.3g} at slow {slow}, fast {fast}",
            (fast, slow),
            xytext=(0.5, 0.02 if slow < (low_slow + high_slow) / 2 else 0.94),
            textcoords="axes fraction",
            ha="center",
            color="magenta",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.0},
            arrowprops={"arrowstyle": "-", "color": "magenta", "lw": 0.6},
        )
    figure.suptitle(_headline(metrics))
    figure.savefig(path, dpi=100, format="png")


def _headline(metrics):
    if metrics.identical == 1.0:
        return "the images are the same to the bit"
    related = "none" if metrics.correlation is None else f"{metrics.correlation:.9f}"
    ratio = "none" if metrics.sum_ratio is None else f"{metrics.sum_ratio:.9f}"
    same = f"{metrics.identical:.3%} of the pixels identical"
    return f"correlation {related}, sum ratio {ratio}, RMSD {metrics.rmsd:.3g}, {same}"
