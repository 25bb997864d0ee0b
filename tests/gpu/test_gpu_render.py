"""The host module on the emulated device: shapes, bands, statistics, precisions, buffers."""

import numpy as np
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.render.simulate import simulate

BASE = "-default_F 100 -cell 90 100 110 80 95 100 -lambda 1 -distance 100 -pixel 0.5 -nointerpolate"
FIELDS = ("pixels", "mean", "rms", "rmsd", "maximum", "solid_angle")


def load(words):
    return load_args(f"{BASE} {words}".split())


def both(words, **options):
    """The images and statistics of the CPU and of the emulated GPU."""
    loaded = load(words)
    cpu = simulate(loaded.experiment, loaded.table)
    gpu = simulate(loaded.experiment, loaded.table, backend="gpu", **options)
    return np.asarray(cpu[0]), cpu[1], np.asarray(gpu[0]), gpu[1]


def assert_same(words, rtol=1e-6, **options):
    expected, cpu, image, gpu = both(words, **options)
    np.testing.assert_allclose(image, expected, rtol=rtol, atol=1e-9 * expected.max(initial=0.0))
    for name in FIELDS:
        assert getattr(gpu, name) == pytest.approx(getattr(cpu, name), rel=max(rtol, 1e-6)), name
    assert gpu.maximum_pixel == cpu.maximum_pixel
    return image


@pytest.mark.parametrize("fast", [1, 2, 127, 128, 129, 255, 256, 257, 300, 513])
def test_widths_that_no_block_divides(emulated, fast):
    assert assert_same(f"-N 5 -detpixels_x {fast} -detpixels_y 3").shape == (3, fast)


@pytest.mark.parametrize("orientations", [1, 2, 63, 64, 65, 129])
def test_chunks_that_no_orientation_count_divides(emulated, orientations):
    assert_same(f"-N 3 -detpixels 20 -mosaic_spread 1 -mosaic_domains {orientations}")


def test_one_pixel(emulated):
    assert assert_same("-N 5 -detpixels 1").shape == (1, 1)


def test_empty_region_of_interest(emulated):
    image, statistics = simulate(load("-N 5 -detpixels 9 -roi 7 3 7 3").experiment, backend="gpu")
    assert not np.asarray(image).any()
    assert statistics.pixels == 0 and statistics.maximum == 0.0 and statistics.maximum_pixel is None


def test_region_of_interest_leaves_the_rest_alone(emulated):
    image = assert_same("-N 5 -detpixels 40 -roi 5 30 7 20")
    outside = image.copy()
    outside[7:21, 5:31] = 0.0
    assert image.any() and not outside.any()


@pytest.mark.parametrize(
    "words",
    [
        "-N 4",
        "-Na 5 -Nb 7 -Nc 12",
        "-N 5 -round_xtal",
        "-N 5 -gauss_xtal",
        "-N 5 -tophat_xtal -mosaic_spread 20 -mosaic_domains 8",
        "-N 5 -curved_det -dispersion 5 -dispsteps 3",
        "-N 5 -dispersion 5 -dispsteps 3 -phi 10 -osc 1 -phisteps 30",
        "-N 5 -dmin 2.5 -dispersion 20 -dispsteps 3",
        "-N 5 -oversample 2 -oversample_omega -oversample_polar -detector_thick 100 -detector_abs 200 -thicksteps 2",
        "-N 5 -oversample 2 -oversample_thick -detector_thick 100 -detector_abs 200 -thicksteps 3",
        "-N 5 -point_pixel -nopolar -water 100",
    ],
)
@pytest.mark.parametrize("precision", ["double", "single"])
def test_both_precisions(emulated, words, precision):
    if precision == "double":
        assert_same(f"{words} -detpixels 48")
        return
    expected, _, image, _ = both(f"{words} -detpixels 48", precision="single")
    np.testing.assert_allclose(image, expected, rtol=1e-3, atol=2e-5 * expected.max())
    assert np.linalg.norm(image - expected) < 1e-5 * np.linalg.norm(expected)


def test_bands_do_not_change_the_image(emulated, monkeypatch):
    import emulated_cupy

    from nanobragg_py.render.gpu import renderer

    loaded = load("-N 5 -oversample 1 -detpixels 50")
    whole, together = simulate(loaded.experiment, backend="gpu")
    done = []
    monkeypatch.setattr(renderer, "SLOW_RATE", 350.5 / renderer.BAND_SECONDS)  # seven rows at a time
    image, apart = simulate(loaded.experiment, backend="gpu", progress=done.append)
    assert done == [*range(350, 2500, 350), 2500]
    assert np.array_equal(np.asarray(image), np.asarray(whole))
    assert apart.rmsd == pytest.approx(together.rmsd, rel=1e-12)
    assert (apart.maximum, apart.maximum_pixel) == (together.maximum, together.maximum_pixel)

    monkeypatch.setattr(renderer, "SLOW_RATE", 5e9)
    monkeypatch.setattr(emulated_cupy, "MEMORY", 12000)  # about thirty rows and the arrays of the job
    done.clear()
    image, _ = simulate(loaded.experiment, backend="gpu", progress=done.append)
    assert len(done) > 1
    assert np.array_equal(np.asarray(image), np.asarray(whole))


def test_no_memory(emulated, monkeypatch):
    import emulated_cupy

    loaded = load("-N 5 -oversample 1 -detpixels 50")
    for more, sentence in ((10, "has not enough memory for this"), (1400, "has no memory left for a row of 50 pixels")):
        monkeypatch.setattr(emulated_cupy, "MEMORY", emulated_cupy.Memory.used + more)
        with pytest.raises(NanoBraggError, match=sentence):
            simulate(loaded.experiment, backend="gpu")


def test_results_are_the_same_on_every_run(emulated):
    loaded = load("-N 5 -detpixels 70 -water 10")
    first, second = (simulate(loaded.experiment, backend="gpu") for _ in range(2))
    assert np.array_equal(np.asarray(first[0]), np.asarray(second[0]))
    assert first[1].replace(seconds=0.0) == second[1].replace(seconds=0.0)


def test_spread_of_a_nearly_flat_image(emulated):
    """A sum of squares less the square of the sum would lose all its digits here."""
    _, cpu, image, gpu = both("-default_F 1e-4 -N 1 -water 1000 -detpixels 100 -pixel 0.01 -nopolar")
    assert image.std() < 1e-3 * image.mean()
    exact = image.astype(np.float64)
    assert gpu.rmsd == pytest.approx(np.sqrt(((exact - exact.mean()) ** 2).sum() / (exact.size - 1)), rel=1e-9)
    assert gpu.rmsd == pytest.approx(cpu.rmsd, rel=1e-9)


@pytest.mark.parametrize("words", ["", "-oversample 2 -oversample_omega", "-phi 1 -osc 1 -phisteps 3"])
def test_pixels_that_float32_can_hardly_hold(emulated, words):
    """Far from a Gaussian spot: subnormal float32 numbers, which the device's arithmetic takes for 0."""
    expected, cpu, image, gpu = both(f"-gauss_xtal -N 10 -detpixels 200 {words}")
    tiny = (expected != 0) & (expected < np.finfo(np.float32).tiny)
    assert tiny.mean() > 0.0015
    assert (image == expected).mean() > 0.999
    assert np.array_equal(image[tiny], expected[tiny])
    assert gpu.pixels == cpu.pixels


def test_an_image_of_faint_pixels_alone(emulated):
    """Statistics and integer pixels of what the device's arithmetic takes for 0."""
    expected, cpu, image, gpu = both("-N 5 -detpixels 20 -fluence 1e-14")
    assert 0 < expected.max() < np.finfo(np.float32).tiny
    assert np.array_equal(image, expected)
    assert (gpu.maximum, gpu.maximum_pixel) == (cpu.maximum, cpu.maximum_pixel)
    assert gpu.mean == pytest.approx(cpu.mean, rel=1e-12)


def test_rotation_and_duality(emulated):
    """The device's cells are the host's, and the reciprocal vectors are dual to them with the volume kept."""
    from nanobragg_py.kernels.loops.job import Job
    from nanobragg_py.render.gpu import Renderer
    from nanobragg_py.render.gpu.renderer import allocate, job_arrays

    job = Job(load("-N 5 -detpixels 4 -phi 10 -osc 5 -phisteps 7 -mosaic_spread 3 -mosaic_domains 5").experiment)
    renderer = Renderer()
    arrays = allocate(renderer.cupy, job_arrays(job))
    renderer.rotate(job, arrays)
    real, dual = (arrays[name].get()[:, :35].T.reshape(35, 3, 3) for name in ("real", "dual"))
    expected = np.asarray(job.orientations)[:, :35].T.reshape(35, 3, 3)
    np.testing.assert_allclose(real, expected, rtol=0, atol=1e-15 * np.abs(expected).max())
    np.testing.assert_allclose(dual @ real.transpose(0, 2, 1), np.broadcast_to(np.eye(3), real.shape), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(real) * np.linalg.det(dual), 1.0, rtol=1e-5)


def test_arrays_are_described_as_data(emulated):
    from nanobragg_py.kernels.loops.job import Job
    from nanobragg_py.render.gpu.renderer import band_arrays, job_arrays
    from nanobragg_py.render.gpu.structs import STATISTICS

    loaded = load("-N 5 -detpixels 12 -mosaic_spread 3 -mosaic_domains 5")
    arrays = {array.name: array for array in job_arrays(Job(loaded.experiment))}
    assert {*arrays} == {"sources", "phis", "rotations", "real", "dual", "total"}
    assert arrays["rotations"].direction == "in" and arrays["rotations"].nbytes == 8 * 45
    image, partials = band_arrays(5, 3, 12, 2)
    assert (image.nbytes, partials.nbytes) == (4 * 5 * 12, 3 * 2 * STATISTICS.itemsize)
