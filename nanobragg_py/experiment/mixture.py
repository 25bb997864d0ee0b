"""Crystals whose mosaic domains or blocks do not count alike, as several crystals whose images are added.

A crystal is cut into parts whose domains have one size of blocks and one weight each; a part's share makes its photons
those of so much of the crystal. The photons of the whole are those of its numbers of cells, whatever its blocks.
"""

from math import exp, prod
from typing import Any

import numpy as np

from ..errors import FieldError
from ..kernels.noise.random import Ran1
from .physics import whole_cells
from .resolve.exact import spots

#: sizes of blocks that stand for a lognormal distribution
SIZES = 9


def mixed(experiment: Any, weights: Any = None, blocks: Any = None) -> Any:
    """The resolved experiment with its crystal cut into parts.

    weights: of the mosaic domains, or None. blocks: `Blocks`, or None.
    """
    return experiment.replace(crystals=parts_of(experiment.crystal, weights, blocks))


class Blocks:
    """Sizes of mosaic blocks: cells, (n, 3); counts, (n,), of the blocks of each size; draw: None, or the seed by which
    each domain draws its size; width: the spots' (`spot_width`)."""

    def __init__(self, cells: Any, counts: Any, draw: Any, width: str) -> None:
        self.cells: Any = np.asarray(cells, dtype=float)
        self.counts: Any = np.asarray(counts, dtype=float)
        self.draw: Any = draw
        self.width: str = width

    def chosen(self, domains: int) -> Any:
        """How often each domain is of each size, (domains, n): the counts' parts, or 1 for the one that it draws."""
        parts = self.counts / self.counts.sum()
        if self.draw is None:
            return np.tile(parts, (domains, 1))
        deviates = np.asarray(memoryview(Ran1().deviates(domains, self.draw)), dtype=float)
        drawn = np.searchsorted(np.cumsum(parts), deviates, side="right").clip(0, len(parts) - 1)
        return np.eye(len(parts))[drawn]


def blocks_of(crystal: Any, resolved: Any) -> Blocks | None:
    """The `Blocks` that a Crystal states, or None. resolved: the `ResolvedExperiment` with it."""
    if crystal.block_sizes is not None:
        cells = np.array(crystal.block_sizes, dtype=float)
        counts = np.ones(len(cells)) if crystal.block_weights is None else np.array(crystal.block_weights)
    elif crystal.block_sigma > 0.0:
        # the nodes of Gauss and Hermite have the moments of a normal distribution
        nodes, counts = np.polynomial.hermite_e.hermegauss(SIZES)
        cells = np.outer([exp(crystal.block_sigma * node) for node in nodes], resolved.crystal.cells)
    else:
        return None
    if whole_cells(crystal.shape, resolved.physics):
        if crystal.block_sizes is not None and (cells != np.rint(cells)).any():
            raise FieldError(
                "crystal.block_sizes of square crystals must be whole numbers; give those, or another shape"
            )
        cells = np.rint(cells)
    return Blocks(
        cells.clip(1.0), counts, -crystal.mosaic_seed - 1 if crystal.block_drawn else None, crystal.spot_width
    )


def parts_of(crystal: Any, weights: Any = None, blocks: Blocks | None = None) -> tuple[Any, ...]:
    """The crystals, `ResolvedCrystal` each, whose images add up to that of one whose domains do not count alike."""
    count = crystal.mosaic_domains
    weight = np.ones(count) if weights is None else np.array(weights, dtype=float)
    rotations = None
    if crystal.mosaic_rotations is not None:
        rotations = np.asarray(memoryview(crystal.mosaic_rotations)).reshape(-1)[: 9 * count].reshape(count, 9)
    whole = prod(crystal.cells)
    sizes = [(crystal.cells, weight)]
    total = whole * weight.sum()
    if blocks is not None:
        often = weight[:, None] * blocks.chosen(count)
        sizes = list(zip(blocks.cells.tolist(), often.T, strict=True))
        total = float((often * blocks.cells.prod(axis=1)).sum())
    parts = []
    for cells, often in sizes:
        for value in np.unique(often[often > 0.0]):
            which = often == value
            number = int(which.sum())
            part = crystal if blocks is None else sized(crystal, cells, blocks.width)
            if rotations is not None and number < count:
                part = part.replace(mosaic_rotations=np.ascontiguousarray(rotations[which]).reshape(-1))
            share = crystal.share * number * float(value) * whole / total
            parts.append(part.replace(mosaic_domains=number, share=share))
    return tuple(parts)


def sized(crystal: Any, cells: Any, width: str) -> Any:
    """A `ResolvedCrystal` of other numbers of cells."""
    cells = tuple(cells)
    edges = (crystal.a, crystal.b, crystal.c)
    size = tuple(
        length * n for length, n in zip((sum(x * x for x in edge) ** 0.5 for edge in edges), cells, strict=True)
    )
    return crystal.replace(cells=cells, size=size, **spots(cells, width))
