"""The exact physics on the emulated device: the CPU's image."""

import pytest
from test_gpu_render import assert_same

SMALL = (
    "-physics exact -cell 50 60 70 80 95 100 -misset 10 20 30 -N 4 -default_F 30 -detpixels 21 -pixel 0.5 -distance 30"
)
SENSOR = "-detector_thick 300 -detector_abs 400 -thicksteps 3"


@pytest.mark.parametrize(
    "words",
    [
        "-gauss_xtal -oversample 2",
        "-tophat_spots -oversample 2 -polar 0.7",
        f"{SENSOR} -oversample 1",
        f"{SENSOR} -oversample 2 -polar 0.7 -water 20",
        "-water 20 -dmin 2 -polar 0.5 -oversample 1",
        "-water 20 -nopolar -mosaic 1 -mosaic_domains 70 -phi 5 -osc 2 -phisteps 3 -oversample 1",
        "-mosaic 2 -mosaic_domains 9 -mosaic_model gauss -phi 40 -osc 1 -phisteps 2 -oversample 1",
        "-curved_det -water 20 -oversample 2",
        "-gauss_xtal -N 4.6 -aniso_mosaic 1 2 3 -mosaic_domains 5 -oversample 1",
        "-gauss_xtal -domain_file domains.txt -water 20 -oversample 1",
        "-sourcefile weights.txt -oversample 1 -water 10",
        f"-sourcefile weights.txt -oversample 2 {SENSOR}",
    ],
)
def test_exact_physics(emulated, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.txt").write_text("-10 0 0 3 1e-10\n-10 0.1 0 1 1.02e-10\n-10 0 0.2 0 1e-10\n")
    (tmp_path / "domains.txt").write_text("1 0 0 0 1 0 0 0 1 2\n0 -1 0 1 0 0 0 0 1 1\n")
    assert_same(f"{SMALL} {words}")
