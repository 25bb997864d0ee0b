"""The figures of docs/phi.md: ``python docs/phi_figures.py`` (with matplotlib) makes them anew in docs/images/.

Everything in them is computed here by nanobragg_py, from the inputs in golden/inputs.
"""

import shlex
from pathlib import Path

import numpy as np
from matplotlib import colors, pyplot

from nanobragg_py.experiment.load import load_args
from nanobragg_py.inspect.trace import trace_pixel
from nanobragg_py.render.simulate import simulate

HERE = Path(__file__).resolve().parent
INPUTS = HERE.parent / "golden" / "inputs"
IMAGES = HERE / "images"
CRYSTAL = "-cell 34.77 39.17 48.31 90 90 90 -hkl cro_1orc_2A.hkl -misset 10 20 30 -N 30 -fluence 1e24"
FLAGS = f"{CRYSTAL} -distance 100 -pixel 0.3 -detpixels 300 -oversample 1 -phi 0 -osc 1"
PIXEL = (102, 70)
#: what is drawn: compat mode -> (name, colour, marker)
MODES = {"spec": ("fresh rotation", "tab:blue", "o"), "c": ("-compat c", "tab:red", "x")}
VECTORS = [f"rot_{name}_{unit}" for unit in ("angstroms", "star_A_inv") for name in "abc"]


def steps(flags, compat="spec"):
    """The phi steps and domains of the pixel."""
    case = load_args(shlex.split(flags), str(INPUTS))
    return list(trace_pixel(case.experiment, case.table, *PIXEL, compat).steps())


def image(compat):
    """The float image."""
    case = load_args(shlex.split(f"{FLAGS} -phisteps 4"), str(INPUTS))
    return np.asarray(simulate(case.experiment, case.table, compat=compat)[0]).astype(float)


def draw_steps():
    """F_latt against phi: the curve, and what the two modes take from it."""
    figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
    curve = steps(f"{FLAGS} -phisteps 400")
    phi, lattice = ([step[name] for step in curve] for name in ("phi_deg", "F_latt"))
    axes.plot(phi, lattice, color="0.7", zorder=0)
    for compat, (name, colour, marker) in MODES.items():
        found = steps(f"{FLAGS} -phisteps 4", compat)
        phi, lattice = ([step[name] for step in found] for name in ("phi_deg", "F_latt"))
        axes.scatter(phi, lattice, 60, color=colour, marker=marker, label=name)
        print(f"{name}: F_latt", *(f"{value:.6g}" for value in lattice))
    axes.set_xlabel("phi (degrees)")
    axes.set_ylabel(f"F_latt of pixel slow {PIXEL[0]}, fast {PIXEL[1]}")
    axes.legend()
    figure.savefig(IMAGES / "phi_steps.png", dpi=110)


def draw_duality():
    """How far the rotated vectors are from dual, and the cell's volume from constant."""
    found = steps(f"{FLAGS} -phisteps 90 -osc 90 -mosaic 1 -mosaic_domains 10")
    duality, volume = [], []
    for step in found:
        vectors = np.array([step[name] for name in VECTORS])
        duality.append(abs(vectors[:3] @ vectors[3:].T - np.eye(3)).max())
        volume.append(abs(step["V_actual"] / found[0]["V_actual"] - 1.0))
    print(f"{len(found)} steps and domains: duality {max(duality):.2g}, volume {max(volume):.2g} at most")
    figure, axes = pyplot.subplots(figsize=(6, 3.0), layout="constrained")
    phi = [step["phi_deg"] for step in found]
    floor = 1e-17  # a logarithm needs something to stand on
    axes.scatter(phi, np.maximum(duality, floor), 6, label="largest |a_i . a*_j - delta_ij|")
    axes.scatter(phi, np.maximum(volume, floor), 6, label="|V/V0 - 1|")
    axes.axhline(1e-12, color="k", linestyle=":", label="limit of the tests")
    axes.set_yscale("log")
    axes.set_ylim(floor / 2, 1e-11)
    axes.set_xlabel("phi (degrees)")
    axes.legend(fontsize="small", ncols=3)
    figure.savefig(IMAGES / "phi_duality.png", dpi=110)


def blocks(pixels, size=3):
    """The value of largest magnitude in each block of pixels, so that spots of one pixel can be seen."""
    rows, columns = (extent // size for extent in pixels.shape)
    parts = pixels.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(rows, columns, size * size)
    return np.take_along_axis(parts, abs(parts).argmax(axis=2)[..., None], axis=2)[..., 0]


def draw_images():
    """A rotation image in both modes, and their difference."""
    fresh, stale = image("spec"), image("c")
    correlation = np.corrcoef(fresh.ravel(), stale.ravel())[0, 1]
    print(f"images: correlation {correlation:.4f}, sum ratio {fresh.sum() / stale.sum():.4f}")
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(9.6, 3.3), layout="constrained")
    for axes, pixels, title in ((left, fresh, "fresh rotation"), (middle, stale, "-compat c")):
        axes.imshow(blocks(pixels), cmap="gray_r", norm=colors.LogNorm(0.01, 100, clip=True))
        axes.set_title(title)
    scale = colors.SymLogNorm(0.1, vmin=-100, vmax=100)
    drawn = right.imshow(blocks(stale - fresh), cmap="RdBu_r", norm=scale)
    right.set_title("difference (photons)")
    figure.colorbar(drawn, ax=right, shrink=0.8)
    for axes in (left, middle, right):
        axes.set_xticks([])
        axes.set_yticks([])
    figure.savefig(IMAGES / "phi_images.png", dpi=100)


if __name__ == "__main__":
    draw_steps()
    draw_duality()
    draw_images()
