"""Draws docs/images/chain.png for docs/chain.md: what becomes of an image from the spots to the detector.

Usage: python docs/chain_figures.py, with the package and matplotlib installed.
"""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from nanobragg_py import Background, Experiment
from nanobragg_py.render.response import Response

ROOT = Path(__file__).parent.parent
FLAGS = (
    "-hkl cro_1orc_2A.hkl -cell 34.77 39.17 48.31 90 90 90 -misset 10 20 30 -N 40 -lambda 1 -distance 100 -pixel 0.4 "
    "-detpixels 256 -oversample 1 -mosaic 1 -mosaic_domains 20 -phi 0 -osc 1 -phisteps 8 -polar 0.95 "
    "-fluence 3e24 -beamsize 0.001"
)


def steps():
    """(title, image) of every step."""
    experiment = Experiment.from_args(FLAGS, folder=ROOT / "golden" / "inputs")
    spots = experiment.render()
    background = Background("water", thickness=1e-7).render(experiment)
    background += Background("air", thickness=1e-4, density=1.2e-3, molecular_weight=28).render(experiment)
    detector = Response(psf="fiber", fwhm=350e-6, radius=12, pixel_size=4e-4, gain=1.0, offset=0.0)
    spread = detector.apply(spots + background).astype(np.float32)
    noisy = detector.replace(readout=2.0, offset=10.0).apply(spots + background, seed=1)
    yield "nanoBragg: spots", spots
    yield "nonBragg: water and air", background
    yield "sum", spots + background
    yield "point spread", spread
    yield "noise", noisy


def main():
    figure, axes = plt.subplots(1, 5, figsize=(15, 3.3), layout="constrained")
    for axis, (title, image) in zip(axes, steps(), strict=True):
        part = np.asarray(image, np.float64)[130:250, 130:250]
        axis.imshow(np.sqrt(np.maximum(part, 0.0)), cmap="gray_r", vmin=0.0, vmax=18.0, interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    figure.savefig(ROOT / "docs" / "images" / "chain.png", dpi=80)


if __name__ == "__main__":
    main()
