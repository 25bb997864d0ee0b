"""Every option on the emulated device: the CPU's image, or one sentence that says why not.

A new option has to be entered here: the table below is held against that of the program.
"""

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from nanobragg_py.batch import iter_images
from nanobragg_py.batch.jobs import Job
from nanobragg_py.cli.dropin import render
from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load
from nanobragg_py.flags.nanobragg import parse
from nanobragg_py.flags.options import DEFAULTS, Options

INPUTS = Path(__file__).parents[2] / "golden" / "inputs"
BASE = "-cell 50 60 70 80 95 100 -default_F 100 -N 3 -detpixels 12 -pixel 2 -lambda 1 -seed 1 -misset 10 20 30"
GEOMETRY = """\
clen = 0.1
res = 1000
photon_energy = 12398.4
p0/min_fs = 0
p0/max_fs = 9
p0/min_ss = 0
p0/max_ss = 7
p0/corner_x = -10.5
p0/corner_y = -8.5
p0/fs = +1.0x
p0/ss = +1.0y
p1/min_fs = 0
p1/max_fs = 9
p1/min_ss = 8
p1/max_ss = 15
p1/corner_x = -10.5
p1/corner_y = 0.5
p1/fs = +1.0x
p1/ss = +1.0y
"""
SENSOR = "-detector_thick 300 -detector_abs 400 -thicksteps 2"
SPREAD = "-dispersion 2 -dispsteps 2"
#: flags that set an option, or several, to something that makes another image
LINES = {
    "convention": "-xds",
    "pivot": "-pivot sample -twotheta 10",
    "pixel_size detsize_f detsize_s": "-pixel 3 -detsize 30",
    "distance": "-distance 80",
    "close_distance": "-close_distance 90",
    "fpixels spixels": "-detpixels_x 7 -detpixels_y 5",
    "detector_rotx detector_roty detector_rotz": "-detector_rotx 3 -detector_roty 2 -detector_rotz 1",
    "twotheta twotheta_axis": "-twotheta_axis 0 1 0 -twotheta 7",
    "Xbeam Ybeam": "-Xbeam 5 -Ybeam 7",
    "Xclose Yclose": "-Xclose 5 -Yclose 7",
    "ORGX ORGY": "-xds -ORGX 5 -ORGY 7",
    "fdet_vector sdet_vector odet_vector beam_vector polar_vector spindle_axis": "-fdet_vector 0 0.6 0.8 -sdet_vector"
    " 0 -0.8 0.6 -odet_vector 1 0 0 -beam_vector 1 0.1 0 -polar_vector 0 1 0 -spindle_axis 0 1 0 -osc 2 -phisteps 2",
    "curved_det": "-curved_det",
    "point_pixel": "-point_pixel",
    "detector_thick detector_mu detector_thicksteps": SENSOR,
    "detector_thickstep": "-detector_thick 300 -detector_abs 400 -detector_thickstep 150",
    "roi": "-roi 2 9 3 8",
    "wavelength": "-lambda 1.2",
    "fluence": "-fluence 1e25",
    "flux exposure beamsize": "-flux 1e12 -exposure 2 -beamsize 0.05",
    "polarization": "-polar 0.7",
    "nopolar": "-nopolar",
    "dispersion dispsteps": SPREAD,
    "dispstep": "-dispersion 2 -dispstep 1",
    "hdivrange hdivsteps vdivrange vdivsteps": "-hdivrange 2 -hdivsteps 2 -vdivrange 2 -vdivsteps 2",
    "hdivstep vdivstep round_div": "-hdivrange 2 -hdivstep 1 -vdivrange 2 -vdivstep 1 -square_div",
    "Na Nb Nc": "-Na 4 -Nb 5 -Nc 9",
    "sample_x sample_y sample_z": "-xtal_size 0.00003 -oversample 1",
    "user_cell cell_lengths cell_angles": "-cell 40 50 60 90 90 90",
    "misset_mode misset misset_seed": "-misset random -misset_seed 3",
    "mosaic_spread mosaic_domains mosaic_seed": "-mosaic_spread 2 -mosaic_domains 70 -mosaic_seed 5",
    "shape": "-gauss_xtal",
    "fudge": "-tophat_spots -fudge 0.2",
    "oversample": "-oversample 3",
    "oversample_thick": f"{SENSOR} -oversample_thick -oversample 2",
    "oversample_polar": f"{SPREAD} -oversample_polar -oversample 2",
    "oversample_omega": "-oversample_omega -oversample 2",
    "phi0 osc phisteps": "-phi 10 -osc 5 -phisteps 3",
    "phistep": "-phi 10 -osc 6 -phistep 2",
    "dmin": "-dmin 4",
    "water": "-water 100",
    "interpolate hkl_file": "-hkl {hkl} -interpolate",
    "dump_file dump_named": "-hkl {hkl} -dumpfile other.bin -nointerpolate",
    "default_F": "-default_F 7",
    "physics spot_width": "-physics exact -spot_width simtbx -gauss_xtal",
    "mosaic_model": "-physics exact -mosaic_model gauss -mosaic_spread 2 -mosaic_domains 9",
    "mosaic_spreads": "-physics exact -aniso_mosaic 1 2 0.5 -mosaic_domains 9",
    "domain_file": "-physics exact -domain_file domains.txt",
    "spectrum_file": "-physics exact -spectrum spectrum.txt",
    "source_file": "-physics exact -sourcefile sources.txt -water 20",
    "compat": "-compat c -phi 0 -osc 2 -phisteps 3",
    "precision": "-precision single",
    "geometry_file": "-physics exact -geometry panels.geom",
    "threads": "-threads 1",
    "matrix_file": "-mat {mat}",
    "mask_file": "-mask {mask}",
    "img_file": "-img {mask}",
}
#: what enters no float image, or says how it is made
BESIDE = [
    "pix0_vector", "density", "molecular_weight", "stol_file", "stol_mult", "stolout_file", "coherent",
    "float_file", "int_file", "pgm_file", "noise_file", "write_pgm", "write_noise", "scale", "pgm_scale",
    "adc_offset", "printout", "printout_pixel", "progress", "backend", "device", "noise_rng", "timing",
    "trace_pixel", "show_version", "show_help", "seed",
]  # fmt: skip
#: flags that the device refuses, with a part of the sentence
REFUSED = {
    "-compat c -hkl {hkl} -interpolate": "which a GPU cannot do; use -backend cpu",
    "-compat c -oversample_omega -oversample 2": "which a GPU cannot do; use -backend cpu",
    "-compat c -round_xtal": "which a GPU cannot do; use -backend cpu",
    "-compat c -geometry panels.geom": "knows no panels",
    "-oversample 50000": "sub-pixels a side",
}


@pytest.fixture
def folder(tmp_path, monkeypatch, emulated):
    (tmp_path / "panels.geom").write_text(GEOMETRY)
    (tmp_path / "spectrum.txt").write_text("0.98 1\n1.00 3\n1.02 2\n")
    (tmp_path / "domains.txt").write_text("1 0 0 0 1 0 0 0 1 3\n1 0 0 0 0.8 -0.6 0 0.6 0.8 1\n")
    (tmp_path / "sources.txt").write_text("-10 0 0 3 1e-10\n-10 0.1 0 1 1.02e-10\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(line):
    """A line, with inputs of the golden cases in the working directory."""
    names = {"hkl": "full8.hkl", "mat": "A.mat", "mask": "mask.img"}
    for name in names.values():
        shutil.copy(INPUTS / name, ".")
    return shlex.split(f"{BASE} {line}".format(**names))


def image_of(tokens):
    options = Options()
    parse(tokens, options)
    loaded = load(options, write_dump=False)
    image, statistics, _ = render(loaded.experiment, loaded.table, options, None)
    return np.array(image), statistics


def test_every_option_is_entered():
    entered = [option for options in LINES for option in options.split()] + BESIDE
    assert sorted(entered) == sorted(DEFAULTS)


@pytest.mark.parametrize("options", LINES)
def test_the_image_is_the_cpus(options, folder):
    tokens = words(LINES[options])
    expected, cpu = image_of([*tokens, "-precision", "double"])
    image, gpu = image_of([*tokens, "-backend", "gpu"])
    rtol = 1e-3 if "-precision" in tokens else 1e-6
    np.testing.assert_allclose(image, expected, rtol=rtol, atol=1e-7 * expected.max())
    assert image.any() and gpu.pixels == cpu.pixels


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused(line, folder):
    with pytest.raises(NanoBraggError) as found:
        image_of([*words(line), "-backend", "gpu"])
    assert REFUSED[line] in str(found.value) and "\n" not in str(found.value)


def test_what_comes_after_the_image(folder):
    """Background and response of batch jobs: on the CPU, of an image that a device has made."""
    values = {
        "repeat": 2,
        "experiment": {"flags": f"{BASE} -misset 10 20 30"},
        "random": {"crystal.orientation": "uniform"},
        "background": {"curve": "water", "thickness": 1e-4},
        "response": {"psf": "gauss", "fwhm": 1e-3},
        "noise": False,
    }
    expected = list(iter_images(Job(values)))
    images = list(iter_images(Job({**values, "backend": "gpu"})))
    for image, other in zip(images, expected, strict=True):
        assert np.abs(image.astype(float) - other).max() <= 1 and image.any()
