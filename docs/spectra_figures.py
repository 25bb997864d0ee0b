"""The figure of spectra.md: ``python docs/spectra_figures.py`` (with matplotlib) makes it anew in docs/images/.

Everything in it is computed here by nanobragg_py, from the inputs in golden/inputs.
"""

from pathlib import Path

import numpy as np
from matplotlib import colors, pyplot

from nanobragg_py import (
    Beam,
    Crystal,
    Detector,
    Experiment,
    Sampling,
    StructureFactors,
    sase_spectrum,
    two_colour_spectrum,
)

HERE = Path(__file__).resolve().parent
FACTORS = HERE.parent / "golden" / "inputs" / "cro_1orc_2A.hkl"
WAVELENGTH = 1.3e-10
SPECTRA = {
    "two colours, 3 % apart": two_colour_spectrum(WAVELENGTH, separation=0.03, bandwidth=0.002, ratio=0.5),
    "a SASE shot": sase_spectrum(WAVELENGTH, bandwidth=0.012, spike=1e-3, wavelengths=80, seed=4),
}


def still(spectrum):
    """The image of a spectrum."""
    return Experiment(
        Crystal.from_cell(
            34.77, 39.17, 48.31, cells=(12, 12, 12), missets=(0.2, 0.4, 0.6), shape="gauss",
            mosaic_spread="0.15 deg", mosaic_domains=30,
        ),
        Beam(spectrum=spectrum, fluence=1e24),
        Detector.flat(220, 2.5e-4, 0.06),
        Sampling(oversample=1),
        StructureFactors.read(FACTORS),
    ).render()  # fmt: skip


def draw():
    """Spectra above, the middle of their images below."""
    figure, panels = pyplot.subplots(
        2, 2, figsize=(7.6, 5.4), layout="constrained", gridspec_kw={"height_ratios": (1, 3)}
    )
    for (above, below), (title, spectrum) in zip(panels.T, SPECTRA.items(), strict=True):
        wavelengths, weights = spectrum
        above.plot(np.array(wavelengths) * 1e10, weights, color="black", linewidth=1)
        above.set_title(title, fontsize="medium")
        above.set_xlabel("wavelength (\N{ANGSTROM SIGN})", fontsize="small")
        above.tick_params(labelsize="small")
        above.set_yticks([])
        image = still(spectrum)
        greys = colors.SymLogNorm(linthresh=image.max() * 1e-6, vmin=0, vmax=image.max() * 0.003)
        below.imshow(image, cmap="gray_r", norm=greys, interpolation="antialiased")
        below.set_xticks([])
        below.set_yticks([])
    figure.savefig(HERE / "images" / "spectra.png", dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    draw()
