"""The figures of the exact physics: ``python docs/exact_figures.py`` (with matplotlib) makes them anew in docs/images/.

Everything in them is computed here by nanobragg_py, from the inputs in golden/inputs.
"""

from pathlib import Path

import numpy as np
from matplotlib import colors, pyplot

from nanobragg_py import Crystal, Detector, Experiment, StructureFactors

HERE = Path(__file__).resolve().parent
INPUTS = HERE.parent / "golden" / "inputs"
IMAGES = HERE / "images"
GAUSS = (
    "-cell 34.77 39.17 48.31 90 90 90 -hkl cro_1orc_2A.hkl -misset 10 20 30 -N 12 -gauss_xtal -fluence 1e24 "
    "-distance 100 -pixel 0.1 -detpixels 300 -oversample 2 -mosaic 1 -mosaic_domains 40 -phi 0 -osc 2 -phisteps 40"
)


def draw_gauss():
    """A Gaussian crystal in the reference's physics and in the exact one, in the same greys."""
    reference = Experiment.from_args(GAUSS, INPUTS)
    images = {"reference": reference.render(), "exact": reference.replace(physics="exact").render()}
    top = images["exact"].max() * 0.1
    greys = colors.SymLogNorm(linthresh=top * 3e-4, vmin=0, vmax=top)
    figure, panels = pyplot.subplots(1, 2, figsize=(7.6, 3.9), layout="constrained")
    for axes, (name, image) in zip(panels, images.items(), strict=True):
        photons = np.sum(image, dtype=float)
        print(f"{name}: {photons:.4g} photons")
        axes.imshow(image, cmap="gray_r", norm=greys, interpolation="antialiased")
        axes.set_title(f"-physics {name}: {photons:.3g} photons", fontsize="medium")
        axes.set_xticks([])
        axes.set_yticks([])
    figure.savefig(IMAGES / "exact_gauss.png", dpi=80, metadata={"Software": None})


def draw_crystals():
    """One crystal, a split one, and one with anisotropic mosaicity."""
    one = Crystal.from_cell(40, 50, 60, cells=(14, 14, 14), shape="gauss", missets=(0.1, 0.25, 0.3))
    one = one.replace(mosaic_spread=0.01, mosaic_domains=200, mosaic_model="gauss")
    split = one.replace(missets=(0.16, 0.25, 0.3), scale=0.4)
    aniso = one.replace(mosaic_spread=None, mosaic_model="cap", mosaic_spreads=(0.002, 0.002, 0.03))
    detector = Detector.flat(120, 2.5e-4, 0.1)
    cases = {"one crystal": [one], "split": [one, split], "mosaic_spreads": [aniso]}
    figure, panels = pyplot.subplots(1, 3, figsize=(8.4, 3.0), layout="constrained")
    for axes, (name, crystals) in zip(panels, cases.items(), strict=True):
        image = Experiment(crystals, detector=detector, structure_factors=StructureFactors(default_F=100)).render()
        top = np.sort(image, axis=None)[-25]
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=top, interpolation="antialiased")
        axes.set_title(name, fontsize="medium")
        axes.set_xticks([])
        axes.set_yticks([])
    figure.savefig(IMAGES / "crystals.png", dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    draw_gauss()
    draw_crystals()
